"""What kind of place a path is: the system's, Python's, a temporary folder, a run's own directory."""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SYSTEM = (
    "/proc/", "/sys/", "/etc/", "/usr/share/zoneinfo/", "/usr/share/fonts/", "/usr/local/share/fonts/",
    "/usr/share/texmf", "/usr/share/texlive/", "/System/Library/", "/Library/Fonts/",
)  # fmt: skip
DEVICES, RAM_DISK = "/dev/", "/dev/shm/"  # people lay data in the second  # noqa: S108 - only compared
INSTALLED = (
    "lib", "lib64", "libexec", "bin", "include", "share", "etc", "ssl", "pkgs", "conda-meta",
    "Lib", "DLLs", "Scripts", "Library", "Resources",
)  # fmt: skip
FONTS = (".fonts", ".local/share/fonts", "Library/Fonts")  # below the user's home
KEPT_BY_TOOLS = ("/.git/", "/__pycache__/", "/matplotlib/fontlist-", "/matplotlib/tex.cache/")
REGULAR, LINK = 0o100000, 0o120000
_kept: dict[str, tuple[str, ...]] = {}  # what is asked for each file and does not change


def name_text(name: Any) -> str:
    """A file's name as text; of what has none (a descriptor), that of a file that is no input."""
    if isinstance(name, (str, bytes)):
        return str.__str__(os.fsdecode(name))  # not of a subclass, which may have no hash
    try:
        return os.devnull if isinstance(name, int) else os.fsdecode(name)
    except Exception:
        return os.devnull


def is_plain(name: Any) -> bool:
    """Whether asking for a file's name changes nothing: a __fspath__ may count, or answer only once."""
    pathlib = sys.modules.get("pathlib")
    return isinstance(name, (str, bytes, *((pathlib.PurePath,) if pathlib is not None else ())))


def path_of_descriptor(descriptor: int) -> str | None:
    """The path of an open file, where the system tells it."""
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        try:
            import fcntl

            path = os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))  # type: ignore[attr-defined, unused-ignore]
        except (ImportError, AttributeError, OSError):
            return None
    return path if os.path.isabs(path) and not path.endswith(" (deleted)") else None


def stat_kind(status: os.stat_result) -> int:
    """The kind of file (the `stat` module's S_IFMT)."""
    return status.st_mode & 0o170000


def python_folders() -> tuple[str, ...]:
    """Where the interpreter and its library lie: certain folders of a prefix, which may be /usr or a project's own."""
    if "python" not in _kept:
        prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix}
        folders = {os.path.join(prefix, name) for prefix in prefixes for name in INSTALLED}
        _kept["python"] = tuple(os.path.join(folder, "") for folder in (os.path.dirname(os.__file__), *folders))
    return _kept["python"]


def system_folders() -> tuple[str, ...]:
    """Where files are the system's; among them the fonts, of which matplotlib reads each once for its list."""
    if "system" not in _kept:
        home = os.path.expanduser("~")
        _kept["system"] = (*SYSTEM, *(os.path.join(home, folder, "") for folder in FONTS))
    return _kept["system"]


def temporary_folders() -> tuple[str, ...]:
    """Where temporary files are made (tempfile would have to try it)."""
    named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    folders = [*filter(None, named), "/tmp", "/var/tmp", RAM_DISK]  # noqa: S108 - only compared
    return tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)


CACHES = (
    "XDG_CACHE_HOME", "PYTHONPYCACHEPREFIX", "HF_HOME", "HF_MODULES_CACHE", "TORCH_EXTENSIONS_DIR", "TORCH_HOME",
    "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR",
)  # fmt: skip
CACHES_AT_HOME = (".cache", ".triton", ".keras", ".theano", "Library/Caches", "AppData/Local/Temp")


def generated_folders() -> tuple[str, ...]:
    """Where libraries put code that they generate and import: temporary folders and caches, real paths too."""
    if "generated" not in _kept:
        home = os.path.expanduser("~")
        named = [value for value in map(os.environ.get, CACHES) if value]
        folders = [*named, *(os.path.join(home, name) for name in CACHES_AT_HOME), *temporary_folders()]
        real = {os.path.realpath(folder) for folder in folders}
        _kept["generated"] = tuple(os.path.join(folder, "") for folder in real if len(folder) > 1)
    return _kept["generated"]


def is_of_python(path: str) -> bool:
    """Whether a file is the interpreter's, its library's or an installed package's."""
    installed = any(part in path for part in ("/site-packages/", "/dist-packages/", ".egg-info/", ".dist-info/"))
    return installed or path.startswith(("<frozen ", *python_folders()))


def is_of_system(path: str) -> bool:
    """Whether a file is no data of anybody's: Python's, the system's, a font, or what git and the like keep."""
    of_system = path.startswith(system_folders()) or (path.startswith(DEVICES) and not path.startswith(RAM_DISK))
    return of_system or any(part in path for part in KEPT_BY_TOOLS) or is_of_python(path)


def files_below(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Files and links below a directory, with their lstat; neither records nor other runs."""
    waiting = [top]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                here = list(entries)
        except OSError:
            continue
        for entry in here:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != RECORD and not is_run(entry.path):
                    waiting.append(entry.path)
            elif entry.is_file() or entry.is_symlink():
                try:
                    yield entry.path, entry.stat(follow_symlinks=False)
                except OSError:
                    continue


def is_run(directory: str) -> bool:
    """Whether a directory is a run's own."""
    return os.path.lexists(os.path.join(directory, RECORD))


def birth_of(path: str) -> float | None:
    """When a file was made, in seconds since the epoch; None where the system or its file system does not tell."""
    status: Any = os.lstat(path)
    if sys.platform != "linux":
        return getattr(status, "st_birthtime", None)
    import ctypes  # os.stat does not tell it on Linux

    into, birth = ctypes.create_string_buffer(256), 0x800
    try:
        failed = ctypes.CDLL(None).statx(-100, os.fsencode(path), 0x100, birth, into)  # from here, links not followed
    except (AttributeError, OSError):  # an old C library
        return None
    mask, seconds, part = (int.from_bytes(into.raw[at : at + size], sys.byteorder) for at, size in STATX)
    return seconds + part / 1e9 if not failed and mask & birth else None


STATX = ((0, 4), (80, 8), (88, 4))  # where struct statx has its mask and the birth's seconds and nanoseconds
