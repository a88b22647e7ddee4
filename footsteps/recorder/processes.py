"""Facts of processes: which are there, who started them, what they were told of a run."""

from __future__ import annotations

import os
import sys
import time

from footsteps.recorder.format import (
    RECORD,
    RUN_VARIABLE,
    bytes_of,
    open,  # noqa: A004 - the one that notes nothing
    quote,
    shared,
    text_of,
)
from footsteps.recorder.secrets import mask_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def handle_lines(run_id: str, name: str, maker: int) -> list[str]:
    """What follows the core module's four lines in RUN_VARIABLE: the run's id and name, the pid that made it."""
    return [run_id, name, str(maker)]


def read_handle(text: str | None) -> dict[str, Any] | None:
    """What a process was told of a run: {pid, directory, shown, cwd, id, name, maker}.

    None if it is nothing of ours, or the directory is gone.
    """
    lines = (text or "").split("\n")
    if len(lines) != 7 or not (lines[0].isdigit() and lines[6].isdigit()):
        return None
    names = ("pid", "directory", "shown", "cwd", "id", "name", "maker")
    handle: dict[str, Any] = dict(zip(names, lines, strict=True))
    handle.update(pid=int(lines[0]), maker=int(lines[6]))
    return handle if os.path.isdir(os.path.join(handle["directory"], RECORD)) else None


def is_multiprocessing_child() -> bool:
    """Whether multiprocessing (or loky, which does as it does) started this process, or is starting it."""
    module: Any = sys.modules.get("multiprocessing.process")
    if module is None:
        return False
    return module.parent_process() is not None or getattr(module.current_process(), "_inheriting", False)


def multiprocessing_parents() -> list[int]:
    """Pid of this worker's parent; if that is a worker too, or a fork server, those above up to the main process."""
    parent = sys.modules["multiprocessing.process"].parent_process()
    pids = [parent.pid if parent is not None else os.getppid()]
    while (facts := process_facts(pids[-1])) and _is_worker(facts):
        pids.append(facts["parent"])
    return pids


_WORKERS = ("multiprocessing.spawn", "multiprocessing.forkserver", "popen_loky")


def _is_worker(facts: Mapping[str, Any]) -> bool:
    """Whether another process is part of a pool: started so, or forked, which leaves command and environment alike."""
    pid, above = facts["pid"], facts["parent"]
    command = command_of(pid)
    if any(name in word for name in _WORKERS for word in command):
        return True
    return bool(command) and command == command_of(above) and environment_of(pid) == environment_of(above)


def parents_run() -> dict[str, Any] | None:
    """The handle of the run of the process that started this pool worker, if it has begun one."""
    if not is_multiprocessing_child():
        return None
    handle = read_handle(os.environ.get(RUN_VARIABLE))
    return handle if handle and handle["pid"] in multiprocessing_parents() else None


def process_facts(pid: int) -> dict[str, Any] | None:
    """{pid, parent, name, start}; start tells a process from a later one of the same pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().decode("utf-8", "replace").rpartition(")")
        fields = tail.split()  # proc_pid_stat(5): field 3 is the first here, 22 the start in clock ticks
        return {"pid": pid, "parent": int(fields[1]), "name": head.partition("(")[2], "start": int(fields[19])}
    except (OSError, IndexError, ValueError):
        return _process_facts_by_psutil(pid)


def _process_facts_by_psutil(pid: int) -> dict[str, Any] | None:
    if os.path.exists("/proc/self/stat"):
        return None
    try:
        import psutil

        process = psutil.Process(pid)
        start = int(process.create_time() * 100)
        return {"pid": pid, "parent": process.ppid(), "name": process.name(), "start": start}
    except Exception:
        return None


def is_running(pid: int, start: int) -> bool:
    """Whether the very process of that pid and start is still there."""
    facts = process_facts(pid)
    return facts is not None and facts["start"] == start


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0")]
        return {os.fsdecode(k): os.fsdecode(v) for k, _, v in pairs if k}
    except OSError:
        pass
    try:
        import psutil

        return dict(psutil.Process(pid).environ())
    except Exception:
        return {}


def program_of(pid: int) -> str:
    """Base name of the executable; a process can call itself anything (torch: pt_main_thread)."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except (OSError, AttributeError):
        facts = process_facts(pid)
        return facts["name"] if facts else ""


def command_of(pid: int) -> list[str]:
    """The command line of a process; [] if it can't be read."""
    try:
        return [os.fsdecode(part) for part in bytes_of(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]
    except OSError:
        pass
    try:
        import psutil

        return list(psutil.Process(pid).cmdline())
    except Exception:
        return []


def folder_of(pid: int) -> str:
    """The working directory of a process, "" if it can't be seen."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except (OSError, AttributeError):
        pass
    try:
        import psutil

        return str(psutil.Process(pid).cwd())
    except Exception:
        return ""


def created_at(ticks: int | None) -> float | None:
    """When a process was created, in seconds since the epoch, from its start as `process_facts` tells it."""
    uptime = text_of("/proc/uptime").split()  # finer than btime in /proc/stat, which is whole seconds
    if ticks is None or not uptime:
        return ticks / 100 if ticks else None  # psutil's, see _process_facts_by_psutil
    return time.time() - float(uptime[0]) + ticks / os.sysconf("SC_CLK_TCK")


def inherited_run() -> dict[str, Any] | None:
    """The run of the program that launched this one: {id, name, directory}."""
    handle = read_handle(getattr(shared(), "inherited", os.environ.get(RUN_VARIABLE)))
    return {key: handle[key] for key in ("id", "name", "directory")} if handle else None


def join(run: Any, handle: Mapping[str, Any]) -> None:
    """Take part in the run that another process has made."""
    run.join(handle["directory"], handle["shown"], handle["cwd"])
    run.id, run.name, run.maker = handle["id"], handle["name"], handle["maker"]
    run.record = os.path.join(run.directory, RECORD)


def run_of(handle: Mapping[str, Any]) -> Any:
    """The run of a handle, for a worker that only adds to its record."""
    from types import SimpleNamespace

    return SimpleNamespace(**handle, record=os.path.join(handle["directory"], RECORD), facts={}, made_here=False)


def may_share_a_run() -> bool:
    """Whether this process may be one of several that make one experiment: a worker, or a rank of a launch."""
    ranks = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
    modules = ("multiprocessing.process", "joblib.externals.loky")
    return any(name in os.environ for name in ranks) or any(name in sys.modules for name in modules)


def process_row(job: Any) -> dict[str, Any]:
    """The process whose life is the run's: this one, or the head of the pool that made it."""
    pid = job.worker_of["pid"] if job and job.worker_of else os.getpid()
    facts = process_facts(pid) or {"parent": os.getppid(), "start": None}
    boot = text_of("/proc/sys/kernel/random/boot_id").strip() or None
    row = {
        "pid": pid,
        "created": created_at(facts["start"]),
        "ticks": facts["start"] if boot else None,
        "boot_id": boot,
    }
    row.update(parent_pid=facts["parent"], maker=os.getpid(), launcher=None, job=None, rank=None, world_size=None)
    if job is not None and job.kind != "multiprocessing":
        command = quote(mask_arguments(command_of(job.head["pid"])))
        row["launcher"] = {"kind": job.kind, "pid": job.head["pid"], "command": command}
        row.update(job=job.key, rank=job.rank, world_size=job.size)
    return row
