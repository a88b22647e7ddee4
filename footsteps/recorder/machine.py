"""Facts of the machine and the interpreter, and the installed packages, found without starting a process.

The packages are read from their metadata by our own few lines: importlib.metadata takes 33 ms more for 300 packages.
"""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import after_colon, from_json, paths_in, printable, start_of, text_of
from footsteps.recorder.secrets import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


# Environment variables that are recorded; all others stay unread.
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUBLAS_WORKSPACE_CONFIG", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "TF_CPP_MIN_LOG_LEVEL",
    "XLA_FLAGS", "JAX_PLATFORMS", "PYTORCH_CUDA_ALLOC_CONF", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONOPTIMIZE",
    "LANG", "LC_ALL", "TZ", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "WORLD_SIZE", "RANK", "LOCAL_RANK",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NNODES",
    "SLURM_JOB_PARTITION", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PBS_JOBID", "LSB_JOBID", "JOB_ID",
    "OPENBLAS_CORETYPE", "MKL_CBWR", "SOURCE_DATE_EPOCH", "MPLBACKEND", "MASTER_ADDR", "MASTER_PORT",
    "KERAS_BACKEND", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS",
    "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
)  # fmt: skip
# By which launchers, and those who call them, tell ranks how to speak to each other.
PREFIXES = ("NCCL_", "GLOO_", "OMPI_MCA_", "I_MPI_", "UCX_", "FI_")


def recorded_variables() -> list[str]:
    """The environment variables that move results, as far as they are set: those listed, then those of launchers."""
    listed = [name for name in ENVIRONMENT if name in os.environ]
    return listed + sorted(name for name in os.environ if name.startswith(PREFIXES))


def host_name() -> str:
    """What this machine calls itself."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def user_name() -> str | None:
    """The login name, None if it is not known."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return None


def python_facts() -> dict[str, Any]:
    """The interpreter: version, executable, environment, flags."""
    prefix, base = sys.prefix, sys.base_prefix
    environment = {"kind": "venv", "path": prefix} if prefix != base else None
    if os.path.isdir(os.path.join(prefix, "conda-meta")):
        environment = {"kind": "conda", "path": prefix}
    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "prefix": prefix,
        "base_prefix": base,
        "environment": environment,
        "flags": {"optimize": sys.flags.optimize, "isolated": sys.flags.isolated, "hash": sys.flags.hash_randomization},
    }


def platform_facts() -> dict[str, Any]:
    """The operating system."""
    if hasattr(os, "uname"):
        system = os.uname()
        facts = {"system": system.sysname, "release": system.release, "version": system.version}
        return {**facts, "machine": system.machine, "distribution": _linux_distribution()}
    import platform

    return {
        "system": platform.system(),
        "release": platform.release(),
        "version": platform.version(),
        "machine": platform.machine(),
    }


def _linux_distribution() -> str | None:
    lines = text_of("/etc/os-release").splitlines()
    return next((line[13:].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), None)


def hardware_facts() -> dict[str, Any]:
    """Processor, memory (bytes) and GPUs, as far as plain files tell."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": after_colon(start_of("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count(),
        "usable_cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory": _memory_size(),
        "gpus": _gpus(),
        "gpu_driver": _gpu_driver(),
    }


def _memory_size() -> int | None:
    """Bytes of main memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """Models that the kernel tells of: NVIDIA's in /proc, AMD's in /sys."""
    found = [after_colon(start_of(f"{at}/information"), "Model") for at in paths_in("/proc/driver/nvidia/gpus")]
    found += [start_of(f"{at}/device/product_name").strip() for at in paths_in("/sys/class/drm")]
    return [model for model in found if model]


def _gpu_driver() -> str | None:
    words = start_of("/proc/driver/nvidia/version").split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def _packages() -> list[dict[str, Any]]:
    """Each distribution on sys.path: {name, version, location? (editable), direct_url? (PEP 610)}."""
    found: dict[str, dict[str, Any]] = {}
    for folder in dict.fromkeys(path or "." for path in sys.path):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            row = package_at(os.path.join(folder, name)) if name.endswith(_METADATA) else None
            if row is not None:
                key = _canonical(row["name"])
                if row.get("editable") and not found.get(key, row).get("editable"):
                    found[key] = row  # the .egg-info beside a script is what its `pip install -e .` has left
                found.setdefault(key, row)  # the first on the path is imported
    return [found[key] for key in sorted(found)]


_METADATA = (".dist-info", ".egg-info", ".egg-link")


def package_at(path: str) -> dict[str, Any] | None:
    """The distribution of a .dist-info, .egg-info or .egg-link, None if it tells no name and version."""
    if path.endswith(".egg-link"):  # `setup.py develop`, before PEP 660
        location = text_of(path).split("\n")[0].strip()
        inner = next((p for p in paths_in(location) if p.endswith(".egg-info")), None)
        row = package_at(inner) if inner else None
        return {**row, "editable": True, "location": location} if row else None
    single = path.endswith(".egg-info") and os.path.isfile(path)
    text = _head_of(path if single else f"{path}/{'METADATA' if path.endswith('.dist-info') else 'PKG-INFO'}")
    name, version = _field(text, "Name"), _field(text, "Version")
    if not name or not version:
        return None
    return {"name": name, "version": version, **_origin(path)}


def _head_of(path: str) -> str:
    """The first 2 KiB: name and version stand at the top."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 2048).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _field(text: str, title: str) -> str:
    at = text.find(f"{title}: ") if text.startswith(f"{title}: ") else text.find(f"\n{title}: ") + 1
    if at == 0 and not text.startswith(f"{title}: "):
        return ""
    return text[at + len(title) + 2 :].partition("\n")[0].strip()


def _origin(path: str) -> dict[str, Any]:
    """Where a distribution came from, if not from an index (PEP 610's direct_url.json)."""
    text = text_of(f"{path}/direct_url.json") if path.endswith(".dist-info") else ""
    if not text:
        return {}
    try:
        origin = masked(from_json(text))
        url = str(origin["url"])
        editable = bool(origin.get("dir_info", {}).get("editable")) and url.startswith("file://")
        place = {"editable": True, "location": _path_of_url(url)} if editable else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {"direct_url": origin, **place}


def _path_of_url(url: str) -> str:
    """The path in a file:// URL; importing urllib.request costs more than all the other packages."""
    path = url[len("file://") :]
    if os.name == "nt":
        from urllib.request import url2pathname

        return url2pathname(path)
    plain, *escaped = path.encode().split(b"%")
    return os.fsdecode(plain + b"".join(bytes.fromhex(part[:2].decode()) + part[2:] for part in escaped))


def editable_locations() -> list[str]:
    """Folders of packages that were installed with `pip install -e`."""
    return [row["location"] for row in known_packages() if row.get("editable") and row.get("location")]


def known_packages() -> list[dict[str, Any]]:
    """The packages, looked up once for a run."""
    if not _packages_known:
        _packages_known.append(_packages())
    return _packages_known[0]


_packages_known: list[list[dict[str, Any]]] = []


def forget_packages() -> None:
    """Have them looked up again: another run begins."""
    _packages_known.clear()


def _canonical(name: str) -> str:
    """PEP 503."""
    return "-".join(name.lower().replace("_", "-").replace(".", "-").split("-"))


def package_table(packages: Sequence[Mapping[str, Any]]) -> str:
    """The rows in the form that ``pip list`` prints."""
    titles = ["Package", "Version"] + (
        ["Editable project location"] if any(p.get("editable") for p in packages) else []
    )
    rows = [[p["name"], p["version"], p.get("location") or ""][: len(titles)] for p in packages]
    widths = [max(len(row[n]) for row in [titles, *rows]) for n in range(len(titles))]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "".join(
        " ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )
