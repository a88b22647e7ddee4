"""Facts of processes: which are there, who started them, what they were told of a run."""

from __future__ import annotations

import atexit
import os
import sys
import time

from footsteps.recorder.format import (
    OUTCOME_JSON,
    RECORD,
    RUN_VARIABLE,
    append_line,
    bytes_of,
    open,  # noqa: A004 - the one that notes nothing
    quietly,
    quote,
    shared,
    text_of,
)
from footsteps.recorder.hooks import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


born = os.getpid()  # another pid later on is that of a fork
session = os.getsid(0) if hasattr(os, "getsid") else 0
forks: dict[str, Any] = {}  # "run": that of the process that was forked; "children": pid of a process that has forked
left: set[str] = set()  # ids of the runs that this worker has left: it joins none of them again


def _forked() -> None:
    forks.clear()
    run = getattr(shared(), "run", None)
    if run is not None and hasattr(run, "handle_lines"):
        forks["run"] = run
        if not _is_forked_by_a_pool():
            quietly(_note_process, run)


def _is_forked_by_a_pool() -> bool:
    frame: Any = sys._getframe(2)  # noqa: SLF001
    return "multiprocessing" in frame.f_code.co_filename


def _note_process(run: Any) -> None:
    """A child of the program's may go on as a daemon, when the process that began the run is gone."""
    facts = process_facts(os.getpid())
    if facts is not None and hasattr(run, "record"):
        append_line(run.record, "process", {"pid": facts["pid"], "ticks": facts["start"], "session": session})


def _end_as_daemon(run: Any) -> None:
    """The end of a process that has left the session of the one that began the run, and has outlived it."""
    if os.getsid(0) != session and head_of_worker() is None and not has_ended(run.directory):
        run.process = os.getpid()
        run.end()


def _has_forked() -> None:
    forks["children"] = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked, after_in_parent=_has_forked)


def _at_exit() -> None:
    """The workers of a program that has not asked for its run itself may have made it."""
    if "run" in forks:
        quietly(_end_as_daemon, forks["run"])
    elif os.getpid() == born and has_workers() and not is_multiprocessing_child():
        from footsteps.recorder.ranks import pool_key
        from footsteps.recorder.rendezvous import end_of_head

        quietly(lambda: end_of_head(pool_key(process_facts(born) or {"pid": born, "start": 0})))


atexit.register(_at_exit)


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


def is_preparing() -> bool:
    """Whether multiprocessing imports, in a worker that it is starting, what its parent has imported."""
    module: Any = sys.modules.get("multiprocessing.process")
    return bool(getattr(module.current_process(), "_inheriting", False)) if module is not None else False


def is_multiprocessing_child() -> bool:
    """Whether multiprocessing (or loky, which does as it does) started this process, or is starting it."""
    module: Any = sys.modules.get("multiprocessing.process")
    if module is None:
        return False
    return module.parent_process() is not None or getattr(module.current_process(), "_inheriting", False)


def ray_driver() -> int | None:
    """Pid of the program whose ray.init() has started this worker, on this machine and for its job; else None.

    The name of Ray's session ends with the pid of who began it, whose job is the session's first.
    """
    module: Any = sys.modules.get("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    try:
        if worker is None or worker.mode != module.WORKER_MODE or worker.current_job_id.hex() != "01000000":
            return None
        pid = int(worker.node.session_name.rpartition("_")[2])
        return pid if pid in ancestors() else None
    except (AttributeError, ValueError):  # a version that is made otherwise: a run of its own
        return None


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


def head_of_worker() -> int | None:
    """Pid of the process at the head of the workers that this one is among; None if it is no worker.

    A child whose parents have all ended is none: a daemon is the program itself.
    """
    if is_multiprocessing_child():
        return multiprocessing_parents()[-1]
    if os.getpid() != born and born in ancestors():
        return born
    return ray_driver()


def head_created() -> float | None:
    """When the program at the head of this worker was started, in seconds since the epoch; None if it is no worker."""
    head = head_of_worker()
    facts = process_facts(head) if head is not None else None
    return created_at(facts["start"]) if facts is not None else None


def is_started_anew() -> bool:
    """Whether this is a worker that was started by a command of its own, and no fork of the program at its head."""
    head = head_of_worker()
    return head not in (None, born) and command_of(os.getpid()) != command_of(head or 0)


OF_HEAD = "footsteps"  # a key of what a process hands on to those that multiprocessing or loky starts for it


class FactsOfHead:
    """What workers are told of the program at their head: pickled for them, it is a dictionary of what is known then.

    It holds nothing before, and costs nothing where no worker is started anew.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        facts: dict[str, Any] = {}
        try:
            from footsteps.recorder.ranks import facts_for_workers

            facts = facts_for_workers()
        except Exception:  # a worker can tell by itself most of it
            pass
        return dict, (facts,)


def _tell_workers(module: Any) -> None:
    module.current_process()._config.setdefault(OF_HEAD, FactsOfHead())  # noqa: SLF001


when_imported("multiprocessing.process", _tell_workers)


def told_by_head() -> dict[str, Any]:
    """What this worker was told; {} in a fork, which knows it, and where the head has not imported footsteps."""
    module: Any = sys.modules.get("multiprocessing.process")
    told = getattr(module.current_process(), "_config", {}).get(OF_HEAD) if module is not None else None
    return told if isinstance(told, dict) else {}


def ancestors() -> Iterator[int]:
    """Pids of the parent, of its parent, and so on."""
    facts = process_facts(os.getpid())
    while facts is not None and facts["parent"] > 1:
        yield facts["parent"]
        facts = process_facts(facts["parent"])


POOLS = ("joblib.externals.loky", "ray._private.worker")  # whose workers are not counted there


def has_workers() -> bool:
    """Whether this process has started workers, which may have come to output_dir before it."""
    module = sys.modules.get("multiprocessing.process")
    # _children forgets those that have ended, the counter of names does not
    counter = repr(getattr(module, "_process_counter", "count(1)")).strip("'")
    return counter != "count(1)" or any(name in sys.modules for name in POOLS) or forks.get("children") == os.getpid()


def parents_run() -> dict[str, Any] | None:
    """The handle of the run of the process that started this worker, if it has begun one."""
    run = forks.get("run")  # of the process that was forked
    if run is not None:
        return read_handle("\n".join((str(run.process), run.directory, run.shown, run.cwd, *run.handle_lines)))
    if not is_multiprocessing_child():
        driver = ray_driver()
        return handle_of(driver) if driver is not None else None
    handle = read_handle(os.environ.get(RUN_VARIABLE))
    return handle if handle and handle["pid"] in multiprocessing_parents() else None


def handle_of(pid: int) -> dict[str, Any] | None:
    """The handle of the run that this process was started with, if it is that process's."""
    handle = read_handle(getattr(shared(), "inherited", os.environ.get(RUN_VARIABLE)))
    return handle if handle and handle["pid"] == pid and pid != os.getpid() else None


def is_called(handle: Mapping[str, Any], name: str) -> bool:
    """Whether the run of a handle has this name, be it with a number."""
    wanted = "/".join(part for part in name.strip().split("/") if part)
    rest = handle["name"][len(wanted) :] if str(handle["name"]).startswith(wanted) else "?"
    return rest == "" or (rest[:1] == "-" and rest[1:].isdigit())


def has_ended(directory: str) -> bool:
    """Whether it was told how the run of this directory has ended."""
    return os.path.exists(os.path.join(directory, RECORD, OUTCOME_JSON))


def can_be_asked(process: Mapping[str, Any] | None) -> bool:
    """Whether the process may yet ask for a name: it has a stdin that somebody may write to."""
    try:
        return os.readlink(f"/proc/{process['pid']}/fd/0") != os.devnull if process else True
    except FileNotFoundError:
        return not os.path.exists("/proc/self/fd")
    except OSError:
        return True


def script_of_process(pid: int) -> str | None:
    """The script (absolute path) or module that a Python was started with; None if it is neither."""
    words = command_of(pid)[1:]
    while words and words[0].startswith("-") and words[0] != "-":
        option = words.pop(0)
        if option == "-m":
            return words[0] if words else None
        if option == "-c":
            return None
        if option in ("-W", "-X", "--check-hash-based-pycs") and words:
            words.pop(0)
    paths = paths_of_word(pid, words[0]) if words else []
    return next((path for path in paths if os.path.isfile(path)), paths[0] if paths else None)


def paths_of_word(pid: int, word: str) -> list[str]:
    """What a word of a process's command may mean: from where the process is, and from where a shell started it."""
    folders = dict.fromkeys((folder_of(pid), environment_of(pid).get("PWD", "")))
    return [os.path.abspath(os.path.join(folder, word)) for folder in folders]


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


# Whether the head of a worker has imported footsteps too, so that it will tell how the run ended.
head_has_footsteps = (not is_multiprocessing_child() or is_preparing()) and ray_driver() is None


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


def started_by(handle: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The run of the process that started this one, {id, name, directory}: a worker's handle, or what was inherited."""
    handle = handle or read_handle(getattr(shared(), "inherited", os.environ.get(RUN_VARIABLE)))
    return {key: handle[key] for key in ("id", "name", "directory")} if handle else None


def join(run: Any, handle: Mapping[str, Any], *, of_head: bool) -> None:
    """Take part in the run that another process has made; `of_head`: that of the head, not of one of its workers."""
    run.of_head = of_head
    run.join(handle["directory"], handle["shown"], handle["cwd"])
    run.id, run.name, run.maker = handle["id"], handle["name"], handle["maker"]
    run.record = os.path.join(run.directory, RECORD)


def run_of(handle: Mapping[str, Any]) -> Any:
    """The run of a handle, for a worker that only adds to its record."""
    from types import SimpleNamespace

    return SimpleNamespace(**handle, record=os.path.join(handle["directory"], RECORD), facts={}, made_here=False)


def may_share_a_run() -> bool:
    """Whether this process may be one of several that make one experiment: a worker, or a rank of a launch."""
    ranks = ("RANK", "RANKID", "PROCID", "GLOBALID")
    modules = ("multiprocessing.process", *POOLS)
    numbered = any(name.endswith(ranks) for name in os.environ)
    return numbered or os.getpid() != born or bool(forks) or any(name in sys.modules for name in modules)


def pid_namespace() -> str | None:
    """In which the pids are meant: a container's are others' outside of it. None where there are none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except (OSError, AttributeError):
        return None


def process_row(job: Any, of_head: bool) -> dict[str, Any]:
    """The process whose life is the run's: this one, or the head whose worker has made it."""
    head = job.worker_of["pid"] if job is not None and job.worker_of else None
    pid = head if of_head and head is not None else os.getpid()
    facts = process_facts(pid) or {"parent": os.getppid(), "start": None}
    boot = text_of("/proc/sys/kernel/random/boot_id").strip() or None
    row = {
        "pid": pid,
        "created": created_at(facts["start"]),
        "ticks": facts["start"] if boot else None,
        "boot_id": boot,
        "pid_namespace": pid_namespace(),
    }
    row.update(
        parent_pid=facts["parent"], maker=os.getpid(), head=head, launcher=None, job=None, rank=None, world_size=None
    )
    if job is not None and job.kind != "multiprocessing":
        from footsteps.recorder.secrets import mask_arguments

        command = quote(mask_arguments(command_of(job.head["pid"])))
        row["launcher"] = {"kind": job.kind, "pid": job.head["pid"], "command": command}
        row.update(job=job.key, rank=job.rank, world_size=job.size)
    return row
