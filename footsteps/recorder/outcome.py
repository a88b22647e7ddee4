"""How a run ended, what it made and what it said: outcome.json, its files, console.txt.

`begin(run)` follows a run that is made here to its end. Nothing here raises into the program,
starts a thread or a process, or handles a signal.

The console keeps what goes through the write() of the streams that were there when the run began,
not what goes to their buffer or is printed by child programs or C libraries.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, time

from footsteps.recorder import ending
from footsteps.recorder.format import (
    INFO,
    OUTCOME_JSON,
    PACKAGES,
    RECORD,
    RECORDED,
    RUN_JSON,
    append,
    append_line,
    as_json,
    content_of,
    from_json,
    hasher,
    iso,
    plain_file,
    printable,
    replace,
    run_directory,
    warn,
    write,
)
from footsteps.recorder.keep import FOLDER, VARIABLE, keep_small
from footsteps.recorder.processes import run_of
from footsteps.recorder.program import notebook_path, shell
from footsteps.recorder.ranks import is_head_ending_it
from footsteps.recorder.secrets import mask

from .hooks import RECORDER_FOLDER, own_errors_dropped, without_ours
from .inputs import _open, facts_on_disk, inputs_file, tracker
from .places import LINK, REGULAR, files_below, is_of_python, stat_kind
from .values import figure_metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["follow_end", "path"]

# --- settings ---------------------------------------------------------------------------------------------------------

ARTIFACTS_LISTED = 100_000  # files of the run's directory listed at the end
HASH_SECONDS = 1.0  # spent on hashes at the end of a run, artifacts and inputs together
KEEPS_CONSOLE = False  # keep what is written to stdout and stderr in console.txt

LONG_LINE = 1 << 16  # characters of a line that are kept back for its end at most
CONSOLE_TXT = "console.txt"
CELLS = "executed_cells.py"


def path(name: str | os.PathLike[str]) -> str:
    """A path inside the run's directory, its parent folders made; begins the run if need be.

    Raises:
        ValueError: the name is empty or absolute, or leads out of the directory or into the record.
        OSError: a folder can't be made.
    """
    wanted = os.fspath(name)
    whole = os.path.normpath(wanted)
    parts = whole.split(os.sep)
    if not wanted or whole == os.curdir or parts[0] == os.pardir or os.path.isabs(whole):
        raise ValueError(f"path {wanted!r} leaves the run's directory; give one such as 'a/b.pt'")
    if os.path.splitdrive(whole)[0] or parts[0] == RECORD or "\0" in wanted:
        raise ValueError(f"path {wanted!r} is not the program's to write; give one such as 'b.pt'")
    made = os.path.join(run_directory(), wanted)
    os.makedirs(os.path.dirname(made), exist_ok=True)
    return made


# --- a run begins, a run ends -----------------------------------------------------------------------------------------


def follow_end(run: Any) -> None:
    """Follow a run to its end, where this process tells it; else what this process has read is all there is to tell."""
    run.figure_metadata = lambda kind: figure_metadata(run, kind)
    if not is_head_ending_it(run):
        run.endings.append(tracker.close)
        if run.job is not None and run.job.worker_of is None:
            follow_rank(run)
        return
    if not run.made_here:
        run.facts = facts_on_disk(run.directory)
    tracker.monitor = RunMonitor(run, ending.Ending())
    run.endings.append(tracker.monitor.end)
    if run.worker and "multiprocessing.util" in sys.modules:  # a forked worker leaves by os._exit, without atexit
        sys.modules["multiprocessing.util"].Finalize(None, run.end, exitpriority=-50)


def follow_rank(run: Any) -> None:
    """Tell at the end of a rank that did not make the run if it failed: then the experiment has."""
    mine = ending.program_ending = ending.Ending()

    def told() -> None:
        status, number, error = ("finished", 0, None) if mine.is_running() else mine.status()
        if status not in ("finished", "unknown"):
            values = {"rank": run.job.rank, "status": status, "exit_status": number}
            append_line(run.record, "rank", {**values, "exception": described(error) if error is not None else None})

    run.endings.append(told)


def end_of_another(handle: Mapping[str, Any], *, known: bool) -> None:
    """At the end of the head: how a run ended that a worker has made, in the head's name (known) or in its own."""
    facts = facts_on_disk(handle["directory"])
    run = run_of(handle)
    run.facts, run.options = facts, {"console": False}
    tracker.begin(run)
    monitor = RunMonitor(run, ending.program_ending if known else None)
    monitor.began -= max(0.0, time() - seconds_of(facts.get("started")))
    monitor.used = 0.0
    monitor.end()


def forked() -> None:
    """In a forked child: what its parent has not yet written to console.txt is the parent's."""
    for tee in tracker.monitor.tees if tracker.monitor is not None else ():
        tee.copy.pieces.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)


class RunMonitor:
    """One run from its beginning to its outcome, in the process that made it."""

    def __init__(self, run: Any, followed: ending.Ending | None) -> None:
        self.run = run
        self.ending = followed  # None: nobody has seen how the process ended
        if followed is not None:
            ending.program_ending = followed
        self.inode = os.stat(run.directory).st_ino  # by which it is known under another name,
        self.mark = fingerprint(run.directory)  # and by which its record is
        self.ended = False
        self.problems: list[str] = []
        self.began = monotonic()
        self.used = processor_seconds()
        self.handled = mark_of(sys.exc_info()[1])  # a run may begin in an except block: not its failure
        self.threads: list[dict[str, Any]] = []
        self.tees: list[Tee] = []
        self.restore: list[Callable[[], None]] = []
        self.replaced_by: str | None = None
        self.attempt("console", self.open_console)
        self.attempt("threads", self.follow_threads)
        self.attempt("exec", self.follow_exec)

    def attempt(self, what: str, step: Callable[[], Any]) -> Any:
        """What `step` returns; where it fails, None and a line that says so."""
        try:
            return step()
        except (Exception, KeyboardInterrupt) as error:  # Ctrl-C again and again costs a part, not the outcome
            self.problems.append(mask(f"{what}: {type(error).__name__}: {error}"))
            return None

    # what may tell the outcome

    def follow_threads(self) -> None:
        """See exceptions that end a thread, before whoever prints them.

        A program that has not imported threading yet finds our hook there when it does: importing
        it here would cost a small program 4 ms.
        """
        import _thread

        loaded: Any = sys.modules.get("threading")
        holder, name = (_thread, "_excepthook") if loaded is None else (loaded, "excepthook")
        before = getattr(holder, name)

        def excepthook(args: Any, /) -> Any:
            silent = args.exc_value is None or isinstance(args.exc_value, SystemExit)  # a thread may end by it
            if not silent and len(self.threads) < 10 and not self.ended:
                self.threads.append(described(args.exc_value))
            return before(args)

        def restore() -> None:
            threading = sys.modules.get("threading")
            for place, hook in ((holder, name), (threading, "excepthook"), (threading, "__excepthook__")):
                if getattr(place, hook, None) is excepthook:
                    setattr(place, hook, before)

        setattr(holder, name, excepthook)
        self.restore.append(restore)

    def follow_exec(self) -> None:
        """See the program give its process to another one (os.execv and all that call it): nobody tells its end.

        Who took execv out of its module before the run began (`from os import execv`) is not seen: an audit hook would
        see it, and make each copy.deepcopy take twice as long.
        """
        for holder in (os, sys.modules[os.name]):  # posix, where os has them from
            for name in ("execv", "execve"):
                self.follow_exec_by(holder, name, getattr(holder, name))

    def follow_exec_by(self, holder: Any, name: str, original: Any) -> None:
        """Have the outcome written before the other program takes the place of this one."""

        def exec_of_program(path: Any, argv: Any, *environment: Any, **named: Any) -> Any:
            self.attempt("exec", lambda: self.replaced(path))
            return original(path, argv, *environment, **named)

        def restore() -> None:
            if getattr(holder, name) is exec_of_program:
                setattr(holder, name, original)

        exec_of_program.__name__, exec_of_program.__doc__ = name, original.__doc__
        setattr(holder, name, exec_of_program)
        self.restore.append(restore)

    def replaced(self, path: Any) -> None:
        """End the run, if this is its process and there is such a program: execvp tries one folder after another."""
        ours, known = os.getpid() == self.run.process and not self.ended, not isinstance(path, int)
        file = path if known else f"/dev/fd/{path}"  # an open file
        if ours and os.access(file, os.X_OK) and not os.path.isdir(file):
            self.replaced_by = os.fsdecode(path if known else os.path.realpath(file))
            self.run.end()

    def open_console(self) -> None:
        """Copy what is written to stdout and stderr, if that was asked for."""
        asked = os.environ.get("FOOTSTEPS_CONSOLE", "1" if KEEPS_CONSOLE else "0") not in ("", "0")
        if self.run.options.get("console", asked):
            target = ConsoleFile(os.path.join(self.run.directory, CONSOLE_TXT))
            streams = {id(stream): stream for stream in (sys.stdout, sys.stderr) if stream}  # may be one and the same
            for stream in streams.values():
                self.tees.append(Tee(stream, target))

    # the end

    def end(self) -> None:
        """Write the outcome: once, in the process that made the run, whatever state it is in."""
        self.ended = True
        facts = self.attempt("outcome", self.facts) or {"status": "unknown", "exit_status": None}
        for restore in (*self.restore, *(tee.remove for tee in self.tees)):
            self.attempt("restore", restore)
        facts["problems"] = self.problems
        self.attempt("directory", self.follow_directory)
        if self.is_at(self.run.directory):
            self.finish(facts)
        else:  # the program has removed it, so there is nothing to tell
            tracker.forget()
        if self.ending is not None:
            self.ending.main = self.ending.inner = self.ending.job = None

    def follow_directory(self) -> None:
        """Go on in the run's directory where it was given another name beside its old one while the run lived."""
        if not self.is_at(self.run.directory):
            found = self.found_beside(os.path.dirname(self.run.directory.rstrip(os.sep)))
            if found is not None:
                self.run.record = os.path.join(found, os.path.relpath(self.run.record, self.run.directory))
                self.run.directory = os.path.join(found, "")

    def found_beside(self, folder: str) -> str | None:
        """This run's directory in the folder where it was."""
        with own_errors_dropped, os.scandir(folder) as entries:
            return next((one.path for one in entries if one.inode() == self.inode and self.is_at(one.path)), None)
        return None

    def is_at(self, directory: str) -> bool:
        """Whether a directory is this run's: another run may have been given its name since."""
        mark = fingerprint(directory)
        if mark is None:  # the program has removed run.json
            record = os.path.join(directory, RECORD)
            return os.path.isdir(record) and os.stat(directory).st_ino == self.inode
        return mark == self.mark or facts_on_disk(directory).get("id") == self.run.id

    def finish(self, facts: dict[str, Any]) -> None:
        """Look at the files, which may take its time, and write what is known."""
        self.attempt("cells", self.keep_cells)
        self.attempt("open files", tracker.flush_written)
        facts.update(self.attempt("files", self.files) or {})
        self.write(facts)
        if self.problems:
            warn(f"not all is recorded: {self.problems[0]}")

    def facts(self) -> dict[str, Any]:
        """How it ended, and what it used."""
        status, exit_status, error = self.status()
        return {
            "format": 1,
            "status": status,
            "exit_status": exit_status,
            "exception": described(error) if error is not None else None,
            "thread_exceptions": self.threads,
            "ended": iso(time()),
            "duration": round(monotonic() - self.began, 3),
            "cpu": round(processor_seconds() - self.used, 3),
            **(self.attempt("memory", memory_peaks) or {}),
            "seeds": self.attempt("seeds", seeds) or {},
            "thread_pools": self.attempt("thread pools", thread_pools) or [],
            "notebook": self.attempt("notebook", notebook_path) if shell() else None,
            **({"replaced_by": self.replaced_by} if self.replaced_by is not None else {}),
            "others_at_work": getattr(self.run, "others", int)(),
        }

    def status(self) -> tuple[str, int | None, BaseException | None]:
        """The status, the exit status where it is known, the exception that ended the run."""
        if self.ending is None or self.replaced_by is not None:
            return "unknown", None, None
        if not self.ending.is_running():
            return self.ending.status()
        error = sys.exc_info()[1]  # finish() was called, maybe on the way out of a failure
        amiss = mark_of(error) != self.handled and not isinstance(error, GeneratorExit)  # a generator's close()
        return ending.status_of_exception(error if amiss else None)

    def files(self) -> dict[str, Any]:
        """What lies in the run's directory, what was written elsewhere, whether all is noted."""
        deadline = monotonic() + HASH_SECONDS
        found, all_listed = saved_artifacts(self.run)
        hash_files(found, self.run.directory, monotonic() + HASH_SECONDS / 2)
        read, told = tracker.end()
        others, complete, apart = noted_by_others(self.run, deadline)
        read += [entry for entry in others if entry["path"] not in tracker.inputs]
        told["inputs_complete"] = told["inputs_complete"] and complete
        told["inputs_not_followed"] = sorted({*told["inputs_not_followed"], *apart})
        hash_files(read, "/", deadline)
        tracker.append(entry for entry in read if entry["sha256"])
        told["inputs_kept"] = self.attempt("small inputs", lambda: keep_small(self.run, read))
        tracker.forget()
        complete = all_listed and not getattr(self.run, "others", int)()
        return {"artifacts": found, "artifacts_complete": complete, **told}

    def keep_cells(self) -> None:
        """Write the cells that a notebook or IPython has run so far."""
        cells = executed_cells()
        if cells:
            write(os.path.join(self.run.directory, CELLS), cells.encode("utf-8", "backslashreplace"))

    def write(self, facts: dict[str, Any]) -> None:
        """Write outcome.json, shorter where the disk is full, and the section in info.txt."""
        target = os.path.join(self.run.record, OUTCOME_JSON)
        short = {name: value for name, value in facts.items() if name not in BULKY}
        try:
            try:
                write_once(target, as_json(facts))
            except OSError as error:
                self.problems.append(f"files: not listed: {error}")
                write_once(target, as_json(short))
            target = os.path.join(self.run.directory, INFO)
            more = self.attempt("summary", lambda: closing_lines(self.run)) or []
            append(target, closing_section(facts, more), new=False)
        except OSError as error:
            self.problems[:] = [f"the outcome could not be written to {target}: {error.strerror or error}"]


BULKY = ("artifacts", "written_elsewhere", "written_complete", "inputs_complete", "artifacts_complete")


def seconds_of(stamp: Any) -> float:
    """A time of a record in seconds since 1970; now if it is none."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (TypeError, ValueError):
        return time()


def fingerprint(directory: str) -> tuple[int, int] | None:
    """What tells a run's record from another's, also once it was moved: run.json is written once."""
    with own_errors_dropped:
        status = os.stat(os.path.join(directory, RECORD, RUN_JSON))
        return status.st_mtime_ns, status.st_size
    return None


def write_once(target: str, content: bytes) -> None:
    """Write a file that was not there, whole or not at all."""
    if not os.path.lexists(target):
        replace(target, content)


# --- how it ended -----------------------------------------------------------------------------------------------------


def mark_of(error: BaseException | None) -> tuple[int, list[int]]:
    """What tells an exception from another one, without keeping it and its frames alive."""
    lines, trace = [], error.__traceback__ if error is not None else None
    while trace is not None:
        lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return id(error), lines


def described(error: BaseException) -> dict[str, Any]:
    """An exception's type, message, and the place in the program that it came through last."""
    kind = type(error)
    try:
        message = str(error)
    except BaseException:  # whatever a __str__ of the program's raises
        message = "<its message could not be had>"
    module = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    file, line = place_of_error(error)
    said = mask(message[:20_000])
    said = said if len(said) <= 2000 else said[:2000] + "..."
    return {"type": module + kind.__qualname__, "message": said, "file": name_of_cell(file) or file, "line": line}


def place_of_error(error: BaseException) -> tuple[str | None, int | None]:
    """File and line of the innermost frame that is the user's own; else of what could not be compiled, or innermost."""
    own = last = (None, None)  # type: tuple[str | None, int | None]
    trace = error.__traceback__
    while trace is not None:
        last = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        if not is_of_python(last[0] or "") and not str(last[0]).startswith(RECORDER_FOLDER):
            own = last
        trace = trace.tb_next
    if own[0] is None and isinstance(error, SyntaxError):
        return error.filename, error.lineno
    return own if own[0] else last


def processor_seconds() -> float:
    """CPU time of this process and the children it has waited for, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def memory_peaks() -> dict[str, int | None]:
    """The highest resident memory of this process and of its largest child, in bytes."""
    peaks: dict[str, int | None] = {"peak_memory": None, "children_peak_memory": None}
    try:
        import resource
    except ImportError:
        import psutil

        peaks["peak_memory"] = getattr(psutil.Process().memory_info(), "peak_wset", None)
        return {**peaks, **gpu_peak()}
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    peaks["peak_memory"] = own_peak() or own
    peaks["children_peak_memory"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return {**peaks, **gpu_peak()}


def own_peak() -> int | None:
    """Linux's own count: ru_maxrss begins with the memory of whoever started this process."""
    try:
        with _open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def gpu_peak() -> dict[str, int | None]:
    """The highest GPU memory of one device that torch has allocated, if torch uses a GPU."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_available() or not cuda.is_initialized():
        return {}
    return {"gpu_peak_memory": max(map(cuda.max_memory_allocated, range(cuda.device_count())))}


def seeds() -> dict[str, Any]:
    """Seeds that can be had without touching any random state."""
    found: dict[str, Any] = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED")}
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "initial_seed"):
        found["torch"] = int(torch.initial_seed())
    return found


def thread_pools() -> list[dict[str, Any]]:
    """Threads in effect, and which BLAS with the kernels of which processor, as threadpoolctl tells if it is loaded."""
    found: list[dict[str, Any]] = []
    threadpoolctl, torch = sys.modules.get("threadpoolctl"), sys.modules.get("torch")
    if threadpoolctl is not None and hasattr(threadpoolctl, "threadpool_info"):
        told = ("user_api", "internal_api", "version", "num_threads", "threading_layer", "architecture")
        found += [{name: row[name] for name in told if name in row} for row in threadpoolctl.threadpool_info()]
    if torch is not None and hasattr(torch, "get_num_threads"):
        found.append({"internal_api": "torch", "num_threads": int(torch.get_num_threads())})
    return found


def closing_section(facts: Mapping[str, Any], summary: Sequence[str] = ()) -> bytes:
    """The outcome, arguments and results as the last section of info.txt; each a line, whatever it holds."""
    lines = [outcome_line(facts), *summary]
    lines.append(f"ended {facts.get('ended')} after {facts.get('duration')} s")
    lines.append(f"CPU {facts.get('cpu')} s, peak memory {megabytes(facts.get('peak_memory'))}")
    if "artifacts" in facts:
        lines.append(f"files in this directory: {len(facts['artifacts'])}")
    kept = facts.get("inputs_kept")
    if kept and kept["files"]:
        where = f"beside the runs in {FOLDER}/ ({VARIABLE}=0 keeps none)"
        lines.append(f"inputs that git does not have: {kept['files']} kept, {kept['bytes']} bytes, {where}")
    if facts.get("others_at_work"):
        lines.append(f"incomplete: {facts['others_at_work']} other processes of this run were still at work")
    text = "Outcome:\n" + "".join(printable(line) + "\n" for line in lines)
    return text.encode("utf-8", "surrogateescape")


def outcome_line(facts: Mapping[str, Any]) -> str:
    """How it ended, in a line."""
    status, error = str(facts["status"]), facts.get("exception")
    if facts.get("replaced_by"):
        return f"{status}: the program gave its process to another one: {facts['replaced_by']}"
    if error:
        return f"{status}: {error['type']}: {error['message']} ({error['file']}:{error['line']})"
    return f"exited with status {facts.get('exit_status')}" if status == "exited" else status


def megabytes(size: int | None) -> str:
    """A size for people."""
    return "not known" if size is None else f"{size / 2**20:.0f} MiB"


# --- what it made -----------------------------------------------------------------------------------------------------


def saved_artifacts(run: Any) -> tuple[list[dict[str, Any]], bool]:
    """What the run saved in its directory, and whether that is all of it."""
    ours = {INFO, PACKAGES, (run.facts.get("script") or {}).get("stored")}
    found: list[dict[str, Any]] = []
    for path, status in files_below(run.directory):
        name = os.path.relpath(path, run.directory)
        if name in ours:
            continue
        if len(found) == ARTIFACTS_LISTED:
            return found, False
        link = os.readlink(path) if stat_kind(status) == LINK else None
        entry: dict[str, Any] = {"path": name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
        if path in tracker.left_open:
            entry["left_open"] = True  # what is written when the program's end closes it is the program's too
        found.append({**entry, "sha256": None} if link is None else {**entry, "target": link})
    return sorted(found, key=lambda entry: str(entry["path"])), True


def noted_by_others(run: Any, deadline: float) -> tuple[list[dict[str, Any]], bool, set[str]]:
    """The inputs that the run's other processes have noted, whether that is all, and libraries not followed there."""
    entries: dict[str, dict[str, Any]] = {}
    complete, apart = True, set[str]()
    for name in other_inputs_files(run):
        import json

        try:
            lines = content_of(name).splitlines()
        except OSError:  # no plain file any more, or too large
            complete = False
            continue
        for line in lines:
            if monotonic() > deadline:
                return list(entries.values()), False, apart
            entry = json.loads(line)
            complete = complete and "path" in entry
            apart.update(entry.get("not_followed", ()))
            if "path" in entry:
                entries[entry["path"]] = {**entry, "sha256": None}
    return list(entries.values()), complete, apart


def other_inputs_files(run: Any) -> list[str]:
    """The files in which the run's other processes have noted theirs."""
    names = (os.path.join(run.record, name) for name in sorted(os.listdir(run.record)))
    files = [name for name in names if os.path.basename(name).startswith("inputs-")]
    return [name for name in files if name != inputs_file(run)]


def hash_files(entries: Iterable[dict[str, Any]], top: str, deadline: float) -> None:
    """Fill in hashes, small files first, until the deadline; a large file is not begun in vain."""
    for entry in sorted(entries, key=lambda entry: entry["size"]):
        left = deadline - monotonic()
        if left <= 0 or entry["size"] > left * 2e9:  # no machine hashes more in a second
            break
        if "sha256" in entry:
            entry["sha256"] = artifact_hash(os.path.join(top, entry["path"]), entry, deadline)


def artifact_hash(path: str, entry: Mapping[str, Any], deadline: float) -> str | None:
    """A file's SHA-256; None where it is not as it was noted, can't be read, or takes too long."""
    digest = hasher("sha256")(b"")
    try:
        if stat_kind(os.stat(path)) != REGULAR:  # a pipe would be waited for
            return None
        with _open(path, "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                digest.update(block)
                if monotonic() > deadline:
                    return None
            status = os.fstat(file.fileno())
    except OSError:
        return None
    same = (status.st_size, status.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
    return str(digest.hexdigest()) if same else None


# --- what it said -----------------------------------------------------------------------------------------------------


class ConsoleFile:
    """console.txt: a line is on its way to the disk when write() returns, so a kill loses the last."""

    def __init__(self, name: str) -> None:
        self.descriptor = plain_file(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.identity = self.identity_now()
        self.pieces: list[str] = []

    def identity_now(self) -> tuple[int, int]:
        """Which file the descriptor stands for."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def is_ours(self) -> bool:
        """Whether the descriptor still stands for our file: daemons close all of them."""
        with own_errors_dropped:
            return self.descriptor >= 0 and self.identity_now() == self.identity
        return False

    def add(self, text: str) -> None:
        """Append it once there is an end of a line, be it a progress bar's: print writes in pieces."""
        self.pieces.append(str(text))
        if "\n" in self.pieces[-1] or "\r" in self.pieces[-1] or len(self.pieces) > 100:
            self.flush()

    def flush(self, *, last: bool = False) -> None:
        """Write the whole lines, in which a secret shows; at the first trouble (a full disk) stop for good."""
        text = "".join(self.pieces)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1 if not last and len(text) < LONG_LINE else len(text)
        self.pieces[:] = [text[end:]] if text[end:] else []
        written = -1
        with own_errors_dropped:
            if self.is_ours():
                written = os.write(self.descriptor, mask(text[:end]).encode("utf-8", "backslashreplace"))
        if written < 0:
            self.descriptor = -1

    def close(self) -> None:
        """Stop."""
        self.flush(last=True)
        if self.is_ours():
            os.close(self.descriptor)
        self.descriptor = -1


class Tee:
    """A stream whose write() is copied.

    The stream stays the object it is, so that isatty, encodings, terminals, and handlers that hold
    it already, find what they would find; only its `write` is shadowed.
    """

    def __init__(self, stream: Any, copy: ConsoleFile) -> None:
        original = stream.write
        self.stream, self.copy = stream, copy

        def write(text: str, /) -> Any:
            try:
                count = original(text)
                copy.add(text)
                return count
            except BaseException as error:
                error.__traceback__ = without_ours(error.__traceback__)
                raise

        self.write = stream.write = write

    def remove(self) -> None:
        """Give the stream its own write() back, if nobody has put another on top."""
        self.copy.close()
        if vars(self.stream).get("write") is self.write:
            del self.stream.write


# --- notebooks --------------------------------------------------------------------------------------------------------


def executed_cells() -> str:
    """The cells that IPython has run so far, in order, as Python."""
    here = shell()
    cells = here.user_ns.get("_ih", [])[1:] if here is not None else []
    return "".join(f"# In[{n}]:\n{mask(cell.rstrip())}\n\n" for n, cell in enumerate(cells, 1))


def name_of_cell(file: str | None) -> str | None:
    """The cell that IPython has compiled as if it were in this file, "In[3]"; None of a real file."""
    named = getattr(getattr(shell(), "compile", None), "format_code_name", None)
    told = named(file) if named is not None else None
    return told[1] if told else None


# --- what people look for first: arguments and results in a line ------------------------------------------------------

RECORDED_TAIL = 1 << 16  # bytes at the end of recorded.jsonl in which the last values are looked for
ROOM = 300  # characters of a line of arguments or results


def closing_lines(run: Any) -> list[str]:
    """The run's arguments and its results, a line each; none of what there is not."""
    facts = run.facts or {}
    arguments = dict(facts.get("arguments") or facts.get("parsed_argv") or {})
    results: dict[str, Any] = {}
    for line in last_lines(os.path.join(run.record, RECORDED)):
        values = line.get("values")
        if line.get("kind") == "recorded" and isinstance(values, dict):
            results.update(values)
        elif line.get("kind") == "arguments" and isinstance(values, dict):
            arguments.update(values.get("arguments") or {})
    results = {name: value for name, value in results.items() if name not in arguments}
    titled = (("arguments", arguments), ("results", results))
    return [f"{title}: {in_a_line(values)}" for title, values in titled if values]


def in_a_line(values: dict[str, Any]) -> str:
    """Names and values with blanks between them, as many as there is room for."""
    words: list[str] = []
    length = 0
    for name, value in values.items():
        word = f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        length += len(word) + 1
        if length > ROOM:
            return " ".join([*words, "..."])
        words.append(word)
    return " ".join(words)


def last_lines(path: str) -> list[dict[str, Any]]:
    """The objects in the last lines of a file with one a line; [] where it is not there."""
    try:
        lines = content_of(path)[-RECORDED_TAIL:].splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            value = from_json(line.decode())
        except ValueError:  # the first one, cut off
            continue
        found += [value] if isinstance(value, dict) else []
    return found
