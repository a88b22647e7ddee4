"""What a run did: how it ended, what it read, what it made, what it said.

A companion of the heart. The note of what the program opens begins when this module is imported,
in memory; `begin(run)` takes it to the run's directory when there is one. Nothing here raises into
the program, starts a thread or a process, or handles a signal.

What is not seen: files that a library opens for itself (sqlite3, HDF5, pyarrow, cv2, safetensors,
ITK), by io.FileIO or with a dir_fd, and files that child programs open; `reads(path)` adds one by
hand. The console keeps what goes through the write() of the streams that were there when the run
began, not what goes to their buffer or is printed by child programs or C libraries.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import sys
from _thread import get_ident
from time import monotonic, time
from types import BuiltinFunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType, TracebackType
    from typing import Any, TypeVar

    from . import footsteps as heart

    Method = TypeVar("Method", bound=Callable[..., Any])
else:

    class Later:
        """The heart, imported when something of it is first wanted: importing us must cost next to nothing."""

        def __getattr__(self, name: str) -> Any:
            from . import footsteps

            return getattr(footsteps, name)

    heart = Later()

HEART = f"{__package__}.footsteps"

__all__ = ["begin", "metadata", "path", "reads", "record"]

# --- settings -------------------------------------------------------------------------------------

INPUTS = os.environ.get("FOOTSTEPS_INPUTS", "1") != "0"  # note which files the program opens
INPUTS_LISTED = 10_000  # files noted one by one in each process; beyond, opens per directory
ARTIFACTS_LISTED = 100_000  # files of the run's directory listed at the end
HASH_SECONDS = 1.0  # spent on hashes at the end of a run, artifacts and inputs together
CONSOLE = False  # keep what is written to stdout and stderr in console.txt
PROMPT = 50  # times that a file is looked at as soon as it was opened; for later ones there are
CREDIT = 0.002  # seconds that may be spent at once on looking at noted files,
SHARE = 0.003  # earned again as a share of the time; the rest is looked at when the run ends
BATCH = 500  # names that are only gathered once the credit is spent
CHUNK = 200  # files looked at in one go
TABLE = 1000  # rows or columns of a table that record() keeps one by one; of a larger one it keeps the repr

CONSOLE_TXT = "console.txt"
CELLS = "executed_cells.py"


# --- what programs call ---------------------------------------------------------------------------


def record(*things: Any, **values: Any) -> None:
    """Add parameters or results to the run: mappings, namespaces, dataclasses, or keywords.

    Values that JSON can't say are kept as their repr. A later value is added, never written over
    an earlier one. Before the run begins they wait for it. Never raises.
    """
    try:
        said: dict[str, Any] = {}
        for thing in things:
            said.update(fields_of(thing))
        said.update({name: named(name, value) for name, value in values.items()})
        run = heart.current() or (_note.join() if heart.is_multiprocessing_child() else None)
        if run is None:
            _waiting.append(said)
        elif said:
            follow(run)
            run.append("recorded", said)
    except Exception as error:
        heart.say(f"not recorded: {error!r}")


def reads(path: Any) -> Any:
    """Note a file, or every file below a directory, as an input of the run; returns `path`.

    For files that are opened where footsteps can't see it: `h5py.File(footsteps.reads("x.h5"))`.
    """
    try:
        _note.by_hand(os.path.abspath(os.fsdecode(path)))
    except Exception as error:
        heart.say(f"not noted as read: {path!r}: {error!r}")
    return path


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
    if os.path.splitdrive(whole)[0] or parts[0] == heart.RECORD or "\0" in wanted:
        raise ValueError(f"path {wanted!r} is not the program's to write; give one such as 'b.pt'")
    made = os.path.join(heart.run_directory(), wanted)
    os.makedirs(os.path.dirname(made), exist_ok=True)
    return made


def metadata(path_or_format: str | os.PathLike[str] = "png") -> dict[str, Any]:
    """What savefig(metadata=...) takes to tell a figure its run: for PNG, PDF, SVG, PS; else empty.

    Holds the run's name, id, code id and command; no host and no user. Begins the run if need be.
    """
    if heart.current() is None:
        heart.run_directory()  # asking for it begins the run
    run = heart.current()
    name = os.fsdecode(path_or_format).lower()
    return figure_metadata(run, name.rpartition(".")[2]) if run else {}


# --- a run begins, a run ends ---------------------------------------------------------------------

_waiting: list[dict[str, Any]] = []  # what was recorded before there was a run
_watch: Watch | None = None  # over the run that this process has made


def begin(run: heart.Run) -> None:
    """Follow a run: called by the heart once its directory is filled, or was joined."""
    global _watch  # noqa: PLW0603 - over one run at a time
    while _waiting:
        run.append("recorded", _waiting.pop(0))
    _note.begin(run)
    run.figure_metadata = lambda: figure_metadata(run, "png")
    if run.facts.get("outcome_expected"):
        _watch = Watch(run)
        run.at_end(_watch.end)
    else:  # joined: what it has read is all there is to tell
        run.at_end(_note.close)


def follow(run: heart.Run) -> None:
    """Find the run's directory again, if it is watched here, before something is added to its record."""
    if _watch is not None and _watch.run is run:
        _watch.follow_directory()


class Watch:
    """One run from its beginning to its outcome, in the process that made it."""

    def __init__(self, run: heart.Run) -> None:
        self.run = run
        self.inode = os.stat(run.directory).st_ino  # by which it is known under another name,
        self.mark = mark_of_record(run.directory)  # and by which its record is
        self.ended = False
        self.problems: list[str] = []
        self.began = monotonic()
        self.used = processor_seconds()
        self.handled = mark_of(sys.exc_info()[1])  # a run may begin in an except block: not its failure
        self.main = outermost_frame()
        self.exit: tuple[int, Any, int] | None = None  # at the last sys.exit: where main was, status, what had failed
        self.threads: list[dict[str, Any]] = []
        self.tees: list[Tee] = []
        self.restore: list[Callable[[], None]] = []
        self.attempt("console", self.open_console)
        self.attempt("threads", self.follow_threads)

    def attempt(self, what: str, step: Callable[[], Any]) -> Any:
        """What `step` returns; where it fails, None and a line that says so."""
        try:
            return step()
        except (Exception, KeyboardInterrupt) as error:  # Ctrl-C again and again costs a part, not the outcome
            self.problems.append(f"{what}: {type(error).__name__}: {error}")
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

    def open_console(self) -> None:
        """Copy what is written to stdout and stderr, if that was asked for."""
        asked = os.environ.get("FOOTSTEPS_CONSOLE", "1" if CONSOLE else "0") not in ("", "0")
        if self.run.options.get("console", asked):
            target = Copy(os.path.join(self.run.directory, CONSOLE_TXT))
            streams = {id(stream): stream for stream in (sys.stdout, sys.stderr) if stream}  # may be one and the same
            for stream in streams.values():
                self.tees.append(Tee(stream, target))

    def exiting(self, status: Any) -> None:
        """Note a sys.exit: main's, or that of an excepthook, which is called once `last_value` is set."""
        if self.main is not None:
            self.exit = (self.main.f_lasti, status, id(getattr(sys, "last_value", None)))

    # the end

    def end(self) -> None:
        """Write the outcome: once, in the process that made the run, whatever state it is in."""
        self.ended = True
        facts = self.attempt("outcome", self.facts) or {"status": "exited", "exit_status": None}
        for restore in (*self.restore, *(tee.remove for tee in self.tees)):
            self.attempt("restore", restore)
        facts["problems"] = self.problems
        self.attempt("directory", self.follow_directory)
        if self.is_at(self.run.directory):
            self.finish(facts)
        else:  # the program has removed it, so there is nothing to tell
            _note.forget()
        self.main = None

    def follow_directory(self) -> None:
        """Go on in the run's directory where it was given another name beside its old one while the run lived."""
        if not self.is_at(self.run.directory):
            found = self.found_beside(os.path.dirname(self.run.directory.rstrip(os.sep)))
            if found is not None:
                self.run.directory = os.path.join(found, "")
                self.run.record = os.path.join(found, heart.RECORD)

    def found_beside(self, folder: str) -> str | None:
        """This run's directory in the folder where it was."""
        try:
            with os.scandir(folder) as entries:
                return next((one.path for one in entries if one.inode() == self.inode and self.is_at(one.path)), None)
        except OSError as error:
            if is_foreign(error):
                raise
            return None

    def is_at(self, directory: str) -> bool:
        """Whether a directory is this run's: another run may have been given its name since."""
        mark = mark_of_record(directory)
        if mark is None:  # the program has removed run.json
            record = os.path.join(directory, heart.RECORD)
            return os.path.isdir(record) and os.stat(directory).st_ino == self.inode
        return mark == self.mark or facts_of(directory).get("id") == self.run.id

    def finish(self, facts: dict[str, Any]) -> None:
        """Look at the files, which may take its time, and write what is known."""
        self.attempt("cells", self.keep_cells)
        facts.update(self.attempt("files", self.files) or {})
        self.write(facts)
        if self.problems:
            heart.say(f"not all is recorded: {self.problems[0]}")

    def facts(self) -> dict[str, Any]:
        """How it ended, and what it used."""
        status, exit_status, error = self.status()
        return {
            "format": 1,
            "status": status,
            "exit_status": exit_status,
            "exception": described(error) if error is not None else None,
            "thread_exceptions": self.threads,
            "ended": heart.iso(time()),
            "duration": round(monotonic() - self.began, 3),
            "cpu": round(processor_seconds() - self.used, 3),
            **(self.attempt("memory", memory_peaks) or {}),
            "seeds": self.attempt("seeds", seeds) or {},
            "notebook": self.attempt("notebook", heart.notebook_path) if shell() else None,
        }

    def status(self) -> tuple[str, int | None, BaseException | None]:
        """The status, the exit status where it is known, the exception that ended the run."""
        if self.main is None or self.main is outermost_frame():
            error = sys.exc_info()[1]  # finish() was called, maybe on the way out of a failure
            amiss = mark_of(error) != self.handled and not isinstance(error, GeneratorExit)  # a generator's close()
            return status_of(error if amiss else None)
        if returned(self.main):
            return status_of(None)
        error = getattr(sys, "last_value", None)
        trace = error.__traceback__ if error is not None else None
        if error is not None and trace is not None and trace.tb_frame is self.main:
            status, number, _ = status_of(error)
            if self.exit is not None and self.exit[2] == id(error):  # the excepthook has chosen another status
                number = exit_number(self.exit[1])
            return status, number, error
        # Python tells nobody of a SystemExit: what else ends a program leaves its last_value.
        if self.exit is not None and self.exit[0] == self.main.f_lasti:
            return "exited", exit_number(self.exit[1]), None
        return "exited", None, None

    def files(self) -> dict[str, Any]:
        """What lies in the run's directory, what was written elsewhere, whether all is noted."""
        deadline = monotonic() + HASH_SECONDS
        found, all_listed = artifacts_of(self.run)
        hash_files(found, self.run.directory, monotonic() + HASH_SECONDS / 2)
        noted = _note.end(deadline)
        return {"artifacts": found, "artifacts_complete": all_listed, **noted}

    def keep_cells(self) -> None:
        """Write the cells that a notebook or IPython has run so far."""
        cells = executed_cells()
        if cells:
            with _open(os.path.join(self.run.directory, CELLS), "xb") as file:
                file.write(cells.encode("utf-8", "backslashreplace"))

    def write(self, facts: dict[str, Any]) -> None:
        """Write outcome.json, shorter where the disk is full, and the section in info.txt."""
        target = os.path.join(self.run.record, heart.OUTCOME_JSON)
        short = {name: value for name, value in facts.items() if name not in BULKY}
        try:
            try:
                write_once(target, heart.as_json(facts))
            except OSError as error:
                self.problems.append(f"files: not listed: {error}")
                write_once(target, heart.as_json(short))
            target = os.path.join(self.run.directory, heart.INFO)
            append_to(target, closing_section(facts))
        except OSError as error:
            self.problems[:] = [f"the outcome could not be written to {target}: {error.strerror or error}"]


BULKY = ("artifacts", "written_elsewhere", "written_complete", "inputs_complete", "artifacts_complete")


def mark_of_record(directory: str) -> tuple[int, int] | None:
    """What tells a run's record from another's, also once it was moved: run.json is written once."""
    try:
        status = os.stat(os.path.join(directory, heart.RECORD, heart.RUN_JSON))
    except OSError as error:
        if is_foreign(error):
            raise
        return None
    return status.st_mtime_ns, status.st_size


def write_once(target: str, content: bytes) -> None:
    """Write a file that was not there, whole or not at all."""
    if os.path.lexists(target):
        return
    beside = f"{target}.{os.getpid()}"
    try:
        with _open(beside, "wb") as file:
            file.write(content)
        os.rename(beside, target)
    except BaseException:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise


def append_to(target: str, content: bytes, *, create: bool = False) -> None:
    """Add to a file in one go; a file that is not there is only made if so asked."""
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    descriptor = _os_open(target, flags | (os.O_CREAT if create else 0), 0o666)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


# --- how it ended ---------------------------------------------------------------------------------


def main_thread() -> int:
    """The main thread's id."""
    threading = sys.modules.get("threading")  # never imported, there is no thread but this one
    return int(threading.main_thread().ident or 0) if threading is not None else get_ident()


def outermost_frame() -> FrameType | None:
    """The frame in which the whole program runs: the main module's, or runpy's for `python -m`.

    It holds nothing that the program would not hold, and tells at exit how the program was left.
    """
    frame = sys._current_frames().get(main_thread())  # noqa: SLF001
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def returned(frame: FrameType) -> bool:
    """Whether a frame that no longer runs came to its end, rather than was left by an exception."""
    returns = {function.__code__.co_code[-2] for function in (lambda: None, lambda x: x)}  # opcode takes 0.5 ms
    return frame.f_code.co_code[frame.f_lasti] in returns


def status_of(error: BaseException | None) -> tuple[str, int | None, BaseException | None]:
    """The status that an exception (or none) stands for."""
    if error is None:
        return "finished", 0, None
    if isinstance(error, SystemExit):
        return "exited", exit_number(error.code), None
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130, error
    return "failed", 1, error


def mark_of(error: BaseException | None) -> tuple[int, list[int]]:
    """What tells an exception from another one, without keeping it and its frames alive."""
    lines, trace = [], error.__traceback__ if error is not None else None
    while trace is not None:
        lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return id(error), lines


def exit_number(status: Any) -> int:
    """What the caller of the program sees for sys.exit(status)."""
    if status is None:
        return 0
    if not isinstance(status, int):
        return 1
    number = int(status) if abs(status) < 1 << 63 else -1  # to C such a number is -1
    return number & 0xFF if os.name == "posix" else number


def described(error: BaseException) -> dict[str, Any]:
    """An exception's type, message, and the place in the program that it came through last."""
    kind = type(error)
    try:
        message = str(error)
    except BaseException:  # whatever a __str__ of the program's raises
        message = "<its message could not be had>"
    module = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    file, line = place_of(error.__traceback__)
    said = message if len(message) <= 2000 else message[:2000] + "..."
    return {"type": module + kind.__qualname__, "message": said, "file": file, "line": line}


def place_of(trace: TracebackType | None) -> tuple[str | None, int | None]:
    """File and line of the innermost frame that is the user's own; else of the innermost."""
    own = last = (None, None)  # type: tuple[str | None, int | None]
    while trace is not None:
        last = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        if not is_of_python(last[0] or "") and last[0] != __file__:
            own = last
        trace = trace.tb_next
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


def closing_section(facts: Mapping[str, Any]) -> bytes:
    """The outcome as the last section of info.txt; each line is one line, whatever it holds."""
    lines = [outcome_line(facts)]
    lines.append(f"ended {facts.get('ended')} after {facts.get('duration')} s")
    lines.append(f"CPU {facts.get('cpu')} s, peak memory {megabytes(facts.get('peak_memory'))}")
    if "artifacts" in facts:
        lines.append(f"files in this directory: {len(facts['artifacts'])}")
    text = "Outcome:\n" + "".join(heart.printable(line) + "\n" for line in lines)
    return text.encode("utf-8", "surrogateescape")


def outcome_line(facts: Mapping[str, Any]) -> str:
    """How it ended, in a line."""
    status, error = str(facts["status"]), facts.get("exception")
    if error:
        return f"{status}: {error['type']}: {error['message']} ({error['file']}:{error['line']})"
    if status == "exited":
        known = facts.get("exit_status")
        return f"exited with status {'that is not known' if known is None else known}"
    return status


def megabytes(size: int | None) -> str:
    """A size for people."""
    return "not known" if size is None else f"{size / 2**20:.0f} MiB"


# --- what it made ---------------------------------------------------------------------------------


def artifacts_of(run: heart.Run) -> tuple[list[dict[str, Any]], bool]:
    """What the run saved in its directory, and whether that is all of it."""
    ours = {heart.INFO, heart.PACKAGES, (run.facts.get("script") or {}).get("stored")}
    found: list[dict[str, Any]] = []
    for path, status in files_below(run.directory):
        name = os.path.relpath(path, run.directory)
        if name in ours:
            continue
        if len(found) == ARTIFACTS_LISTED:
            return found, False
        link = os.readlink(path) if stat_kind(status) == LINK else None
        entry = {"path": name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
        found.append({**entry, "sha256": None} if link is None else {**entry, "target": link})
    return sorted(found, key=lambda entry: str(entry["path"])), True


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
                if entry.name != heart.RECORD and not is_run(entry.path):
                    waiting.append(entry.path)
            elif entry.is_file() or entry.is_symlink():
                try:
                    yield entry.path, entry.stat(follow_symlinks=False)
                except OSError:
                    continue


def is_run(directory: str) -> bool:
    """Whether a directory is a run's own."""
    return os.path.lexists(os.path.join(directory, heart.RECORD))


def hash_files(entries: Iterable[dict[str, Any]], top: str, deadline: float) -> None:
    """Fill in hashes, small files first, until the deadline; a large file is not begun in vain."""
    for entry in sorted(entries, key=lambda entry: entry["size"]):
        left = deadline - monotonic()
        if left <= 0 or entry["size"] > left * 2e9:  # no machine hashes more in a second
            break
        if "sha256" in entry:
            entry["sha256"] = hash_of(os.path.join(top, entry["path"]), entry, deadline)


def hash_of(path: str, entry: Mapping[str, Any], deadline: float) -> str | None:
    """A file's SHA-256; None where it is not as it was noted, can't be read, or takes too long."""
    digest = heart.hasher("sha256")(b"")
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


# --- stand-ins for builtin functions --------------------------------------------------------------


class Place:
    """A module, by name: pickled it is that module elsewhere."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (self.module,)


class StandIn:
    """What stands where a builtin function stood, and calls it. To whoever asks it is a builtin.

    pyfakefs patches whatever inspect.isbuiltin says is one, classes don't bind it (`opener = open`
    in a class body), and pickled it is whatever stands there elsewhere.
    """

    stands_in = True

    def __init__(self, module: str, original: Any) -> None:
        self.place, self.original = Place(module), original
        for name in ("__name__", "__qualname__", "__doc__", "__module__", "__self__", "__text_signature__"):
            setattr(self, name, getattr(original, name, None))  # a __getattr__ would be felt in each open()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return BuiltinFunctionType

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.place, self.original.__name__)

    def __copy__(self) -> StandIn:
        return self

    def __deepcopy__(self, _: object) -> StandIn:
        return self

    def __repr__(self) -> str:
        return repr(self.original)


def stand_in(calling: Any, module: str, original: Any) -> Any:
    """A stand-in for `original`; a call of it is one of `calling(original)`, without so much as a `self` to pass."""
    called = calling(original)
    called.__qualname__ = original.__name__  # a TypeError for a wrong call names it
    made = type(original.__name__, (StandIn,), {"__call__": staticmethod(called)})(module, original)
    for names in ("dir_fd", "effective_ids", "fd", "follow_symlinks"):
        able: set[Any] = getattr(os, f"supports_{names}", set())
        if original in able:  # shutil.rmtree asks whether os.open is in there
            able.add(made)
    return made


def original_of(function: Any) -> Any:
    """The builtin function, also where an earlier import of this module has put its own there."""
    return function.original if getattr(type(function), "stands_in", False) else function


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this module that it begins with, and of what these have called.

    Set in an except block that ends with a bare `raise`: that one adds no frame of its own.
    """
    files = []
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        if files[-1] != __file__ and not (files[:2] == [__file__] * 2 and is_ours(files[-1])):
            return trace
        trace = trace.tb_next
    return trace


def is_foreign(error: BaseException) -> bool:
    """Whether a signal handler or another thread has raised it in our code: the program waits for it."""
    trace, frames = error.__traceback__, []
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    if trace is None:  # from another thread it has no frame
        return type(error).__module__.partition(".")[0] not in (__package__, *sys.stdlib_module_names)
    # A handler is given the frame that it interrupts; a fake os.stat, which may raise too, is not.
    given = trace.tb_frame.f_locals.values()
    return any(one in frames for value in given for one in (value if type(value) is tuple else (value,)))


def is_ours(file: str) -> bool:
    """Whether a source is this package's, or one of the standard library's that it calls."""
    library = os.path.join(os.path.dirname(os.__file__), "")
    of_python = file.startswith(("<frozen ", library)) and "/site-packages/" not in file
    return of_python or os.path.dirname(file) == os.path.dirname(__file__)


_open = original_of(io.open)
_os_open = original_of(os.open)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


# Each function made below calls `original`, which it finds in a closure: an attribute, or a name of
# this module (which pyfakefs would patch), would be one lookup more in each open().


def opening(original: Any) -> Any:
    """What stands for `io.open`. Nanoseconds count: a loop over 100,000 small files may take 5 % more."""
    gather, more, note = _gather, _note.room.pop, _note  # to compare lengths took twice as long

    def open(  # noqa: A001, PLR0917 - the original's name and parameters
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        try:
            if mode in ("rb", "r", "rt"):
                opened = original(file, mode, buffering, encoding, errors, newline, closefd, opener)
                gather(file if file.__class__ is str else text_of(file))  # an object lives as long as without us
                try:
                    more()
                    return opened
                except IndexError:
                    pass
                note.digest()  # not within the handler: its error would be the context of what a signal raises
                return opened
            note.about_to_write(file)
            opened = original(file, mode, buffering, encoding, errors, newline, closefd, opener)
            if opener is None:  # tempfile gives a folder and an opener, which calls os.open
                note.opened(file, "r" in mode)
            return opened
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return open


def os_opening(original: Any) -> Any:
    """What stands for `os.open`."""

    def open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:  # noqa: A001
        try:
            if dir_fd is not None:
                return original(path, flags, mode, dir_fd=dir_fd)  # type: ignore[no-any-return]
            if flags & _WRITES:
                _note.about_to_write(path)
            opened: int = original(path, flags, mode)
            if sys._getframe(1).f_globals.get("__name__") == HEART:  # noqa: SLF001 - it reads each package's METADATA
                pass
            elif flags & _WRITES:
                _note.opened(path, reading=False)
            else:
                _gather(text_of(path))
                if _note.room:
                    del _note.room[-1:]  # of another thread's may be none left
                else:
                    _note.digest()
            return opened
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return open


def around(original: Any, before: Callable[..., Any], after: Callable[..., Any] | None = None) -> Any:
    """What stands for a function that is not called by the thousand: `original`, with something done around it."""

    def called(*given: Any, **named: Any) -> Any:
        try:
            before(*given, **named)
            result = original(*given, **named)
            if after is not None:
                after(*given, **named)
            return result
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return called


def renaming(original: Any) -> Any:
    """What stands for `os.rename` and `os.replace`: what is written under one name is often kept under another."""

    def names(*given: Any, **named: Any) -> tuple[Any, ...]:
        both = (*given, *(named[name] for name in ("src", "dst") if name in named))
        return both if len(both) == 2 and named.get("src_dir_fd") is named.get("dst_dir_fd") is None else ()

    def before(*given: Any, **named: Any) -> None:
        for name in names(*given, **named):
            _note.about_to_write(name)

    def after(*given: Any, **named: Any) -> None:
        if both := names(*given, **named):
            _note.renamed(*both)

    return around(original, before, after)


def leaving(original: Any) -> Any:
    """What stands for `os.chdir` and `os.fchdir`."""
    return around(original, lambda *_, **__: _note.about_to_leave())


def exiting(original: Any) -> Any:
    """What stands for `sys.exit`."""

    def before(status: Any = None, *_: Any, **__: Any) -> None:
        if _watch is not None and get_ident() == main_thread():
            _watch.exiting(status)

    return around(original, before)


# --- what it read ---------------------------------------------------------------------------------

CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib")


def unheard(method: Method) -> Method:
    """A method whose own errors are not worth an exception in somebody's open(); a signal handler's go through."""

    def called(*given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        except Exception as error:
            if is_foreign(error):
                raise
            return None

    called.__doc__ = method.__doc__
    return called  # type: ignore[return-value]


class Note:
    """The files that this process has opened: in memory until there is a run, then in its record.

    Opening a file appends its name to a list. Every so often the list is gone through, and the
    files of new names are looked at (stat, filters, a line on disk), a few at a time and never for
    more than SHARE of the time that has passed.
    """

    def __init__(self) -> None:
        self.names: list[str] = []  # as given, just opened for reading
        self.room: list[None] = []  # as long as the names that may still be gathered before they are gone through
        self.prompt, self.paid, self.credit = PROMPT, monotonic(), CREDIT
        self.known: set[str] = set()  # names, as given, that need no second look
        self.pending: dict[str, None] = {}  # names not yet looked at, as given, in this order
        self.inputs: dict[str, tuple[int, int]] = {}  # path -> size, mtime_ns: of this run
        self.early: dict[str, tuple[int, int]] = {}  # of before the first run: inputs of each run
        self.unsaved: list[str] = []
        self.counts: dict[str, int] = {}  # directory -> opens of files that are not listed
        self.wrote: set[str] = set()  # absolute paths
        self.wrote_more = False  # than are kept there
        self.run: heart.Run | None = None
        self.begun = 0  # runs
        self.named: set[str] = set()  # what the user has named by hand
        self.parents: set[str] = set()  # directories of runs that are named as parents
        self.runs_above: dict[str, str | None] = {}  # directory -> the run's that it lies in,
        self.runs: dict[str, str | None] = {}  # also by links
        self.ids: dict[str, Any] = {}  # run's directory -> its id
        self.since = time()
        self.noting = self.child = self.closed = False

    # called by the stand-ins: raises nothing of its own

    @unheard
    def opened(self, file: Any, reading: bool) -> None:
        """Note that a file was opened for writing, and maybe for reading too."""
        if reading:  # it was there before, and is looked at before it counts as the program's own
            self.names.append(text_of(file))
            self.gather()
            self.look(len(self.pending))
        if file.__class__ is not int:
            self.written(os.path.abspath(text_of(file)))
        self.digest()

    def written(self, path: str) -> None:
        """Note a file that the program wrote outside the run's directory."""
        if self.run is not None and path.startswith(self.run.directory):
            return
        if len(self.wrote) < INPUTS_LISTED:
            self.wrote.add(path)
        elif path not in self.wrote:
            self.wrote_more = True

    @unheard
    def about_to_write(self, file: Any) -> None:
        """Look at a file that was read before it changes, or is moved, under the program's own hand."""
        if file.__class__ is not int:
            self.gather()
            if not is_plain(file) or text_of(file) in self.pending:
                self.look(len(self.pending))

    @unheard
    def renamed(self, old: Any, new: Any) -> None:
        """What the program wrote has another name now: a file, or those below a folder."""
        before, after = (os.path.abspath(text_of(name)) for name in (old, new))
        if before in self.wrote:
            self.wrote.remove(before)
            self.wrote.add(after)
        elif self.wrote and os.path.isdir(after):
            inside = [name for name in self.wrote if name.startswith(before + os.sep)]
            self.wrote.update(after + name[len(before) :] for name in inside)

    @unheard
    def digest(self) -> None:
        """Go through the names, and look at some of the files if there is credit for it."""
        if self.child:
            self.child = False
            self.in_pool()
        start = monotonic()
        self.credit = min(CREDIT, max(self.credit, -CREDIT) + SHARE * (start - self.paid))
        self.gather()
        self.prompt -= 1
        if self.pending and (self.credit > 0 or self.prompt >= 0):
            self.look(CHUNK)
        self.paid = monotonic()
        self.credit -= self.paid - start
        self.room[:] = [None] * (0 if self.credit > 0 or self.prompt > 0 else BATCH)

    def gather(self) -> None:
        """Put new names among those to be looked at; once these are too many, only count."""
        names = self.names[:]
        del self.names[: len(names)]
        if names and len(self.inputs) + len(self.pending) >= INPUTS_LISTED:
            self.count(names)
        else:
            self.pending.update(dict.fromkeys(names))
            for name in self.known.intersection(names):
                self.pending.pop(name, None)

    def count(self, names: list[str]) -> None:
        """Count the opens in each directory. Mostly it is one, and that is seen at a fifth of the cost."""
        text = "\0".join(["", *names])
        folder = text[text.rfind("\0") + 1 : text.rfind(os.sep) + 1]
        inside = text.count(f"\0{folder}") == len(names)
        if inside and text.count(os.sep) == len(names) * folder.count(os.sep):
            self.counts[folder] = self.counts.get(folder, 0) + len(names)
            return
        for name in names:
            folder = name[: name.rfind(os.sep) + 1]
            self.counts[folder] = self.counts.get(folder, 0) + 1

    @unheard
    def about_to_leave(self) -> None:
        """Give relative names their absolute ones while the working directory is the old one."""
        self.gather()
        self.pending = dict.fromkeys(map(absolute, self.pending))
        for folder in [folder for folder in self.counts if not os.path.isabs(folder)]:
            whole = absolute(folder)
            self.counts[whole] = self.counts.get(whole, 0) + self.counts.pop(folder)
        self.known = set(filter(os.path.isabs, self.known))

    # looked at, a few at a time

    def look(self, most: int) -> None:
        """Take some names from the pending ones: leave out what is no input, note the rest."""
        for name in list(self.pending)[:most]:
            if self.pending.pop(name, "gone") is None:  # not taken by another thread
                if len(self.known) < 4 * INPUTS_LISTED:  # of a program that opens millions, not all
                    self.known.add(name)
                self.look_at(os.path.normpath(absolute(name)))
        self.save()

    def look_at(self, path: str) -> None:
        """Note one file, unless it is no input or the program's own."""
        own = self.run is not None and path.startswith(self.run.directory)
        if own or path in self.inputs or path in self.wrote or is_of_system(path):
            return
        try:
            status = os.stat(path)
        except OSError as error:
            if is_foreign(error):
                raise
            if not path.startswith(temporary_folders()):
                self.count([path])  # it was opened, and is gone
            return
        of_itself = status.st_mtime >= self.since and path.startswith(temporary_folders())
        if stat_kind(status) == REGULAR and not of_itself:
            self.take(path, status)

    def take(self, path: str, status: os.stat_result) -> None:
        """Note a file as it is now."""
        self.inputs[path] = (status.st_size, status.st_mtime_ns)
        self.unsaved.append(path)

    def by_hand(self, path: str) -> None:
        """Note a file, or those below a directory, that the user names."""
        found = files_below(path) if os.path.isdir(path) else [(path, os.stat(path))]
        for file, status in found:
            if len(self.inputs) < INPUTS_LISTED:
                self.named.add(file)
                self.take(file, status)
            else:
                self.counts[path] = self.counts.get(path, 0) + 1
        self.save()

    # to disk, when there is a run

    def begin(self, run: heart.Run) -> None:
        """Take to a run what was noted; what was read before the first run is each run's input."""
        if not INPUTS:
            remove()
        self.gather()
        self.look(CHUNK)
        if not self.begun:
            self.early = dict(self.inputs)
        self.begun += 1
        self.run = run
        self.prompt = PROMPT
        self.room.clear()
        self.inputs = {**self.early, **self.inputs}
        self.unsaved = list(self.inputs)
        self.save()

    def end(self, deadline: float) -> dict[str, Any]:
        """Look at all that is left, hash what the time allows, and be ready for another run."""
        self.close()
        others, others_complete = self.noted_by_others(deadline)
        entries = [entry_of(path, seen) for path, seen in self.inputs.items() if self.is_input(path)]
        entries.extend(entry for entry in others if entry["path"] not in self.inputs)
        hash_files(entries, "/", deadline)
        self.append(entry for entry in entries if entry["sha256"])
        told = {
            "written_elsewhere": self.written_elsewhere(),
            "written_complete": self.noting and not self.wrote_more,
            "inputs_complete": self.noting and others_complete and not self.counts,
        }
        self.forget()
        return told

    def forget(self) -> None:
        """Be ready for another run."""
        self.run, self.closed, self.wrote_more, self.since = None, False, False, time()
        for memory in (self.unsaved, self.inputs, self.counts, self.wrote, self.known, self.parents, self.named):
            memory.clear()

    def forked(self) -> None:
        """In a forked child: the parent writes what it has noted; the child has its own file."""
        for memory in (self.names, self.room, self.inputs, self.counts, self.wrote, self.pending, self.unsaved):
            memory.clear()
        for tee in _watch.tees if _watch is not None else ():
            tee.copy.pieces.clear()
        self.child, self.closed, self.prompt = True, False, PROMPT

    def in_pool(self) -> None:
        """In a child of multiprocessing's: those that were forked leave by os._exit, without atexit."""
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Its bootstrap, which may be still to come, forgets finalizers and then calls these.
            util.register_after_fork(self, Note.in_pool)
            if heart.is_multiprocessing_child():
                util.Finalize(None, self.close, exitpriority=-100)

    def close(self) -> None:
        """Look at all that is left, and write the counts: at the end of the run or the process."""
        opened = self.names or self.pending or self.inputs
        if self.closed or not (self.run or (opened and self.join())):
            return
        self.closed = True
        self.about_to_leave()
        self.look(len(self.pending))
        self.counts = {folder: n for folder, n in self.counts.items() if self.is_input(folder)}
        self.append({"directory": folder, "count": n} for folder, n in self.counts.items())

    def join(self) -> heart.Run | None:
        """The run of the process that started this pool worker, which has not asked for it itself."""
        self.run = self.run or heart.parents_run()
        return self.run

    def save(self) -> None:
        """Write what is not yet written; runs in whose directories it lies are named as parents."""
        if self.run is None or not self.unsaved:
            return
        paths, self.unsaved = self.unsaved, []
        kept = [path for path in paths if path in self.inputs and self.is_input(path)]
        for path in kept:
            self.name_parent(self.run_of(path))
        self.append(entry_of(path, self.inputs[path]) for path in kept)

    def is_input(self, path: str) -> bool:
        """Whether it lies neither in the run's own directory nor in a record, and is no code."""
        run = self.run
        if run is not None and path in self.named:
            return True
        if run is None or path.startswith(run.directory) or f"/{heart.RECORD}/" in path:
            return False
        if self.is_of_run(self.run_of_folder(os.path.dirname(path)), run):
            return False  # by another way to it: results/ is often a link to a larger disk
        if not path.endswith(CODE):
            return not is_of_system(path)
        return not is_code(run, path)

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Add lines to this process's own file in the run's record."""
        lines = b"".join(heart.json_text(entry).encode() + b"\n" for entry in entries)
        if lines and self.run is not None:
            follow(self.run)
            try:
                append_to(inputs_file(self.run), lines, create=True)
            except OSError as error:
                if is_foreign(error):  # a full disk is told with the outcome; a record that is gone needs none
                    raise

    def noted_by_others(self, deadline: float) -> tuple[list[dict[str, Any]], bool]:
        """What the run's other processes have noted, and whether that is one by one and all."""
        entries: dict[str, dict[str, Any]] = {}
        complete = True
        for name in other_inputs_files(self.run):
            import json

            with _open(name, "rb") as file:
                for line in file:
                    if monotonic() > deadline:
                        return list(entries.values()), complete
                    entry = json.loads(line)
                    complete = complete and "path" in entry
                    if "path" in entry:
                        entries[entry["path"]] = {**entry, "sha256": None}
        return list(entries.values()), complete

    def written_elsewhere(self) -> list[str]:
        """Files outside the run's directory that the program wrote and that are still there."""
        return sorted(path for path in self.wrote if self.is_input(path) and os.path.isfile(path))

    # lineage

    def name_parent(self, found: str | None) -> None:
        """Name the run in whose directory an input lies, once, as a parent of this one."""
        run = self.run
        if run is None or found is None or found in self.parents:
            return
        self.parents.add(found)
        facts = facts_of(found)
        if facts.get("kind") != "arguments" and facts.get("id") != run.id:
            follow(run)
            values = {"id": facts.get("id"), "name": facts.get("name"), "directory": found}
            run.append("parent", {**values, "by": "input"})

    def is_of_run(self, directory: str | None, run: heart.Run) -> bool:
        """Whether a run's directory is that of this run."""
        if directory is not None and directory not in self.ids:
            self.ids[directory] = facts_of(directory).get("id")
        return directory is not None and self.ids[directory] == run.id

    def run_of(self, path: str) -> str | None:
        """The run's directory that a file lies in, or that which it is a link to."""
        found = self.run_of_folder(os.path.dirname(path))
        if found is None and os.path.islink(path):
            found = self.run_above(os.path.dirname(os.path.realpath(path)))
        return found

    def run_of_folder(self, folder: str) -> str | None:
        """The run's directory that a folder lies in, by the way it was named or by its real one."""
        if folder not in self.runs:
            self.runs[folder] = self.run_above(folder) or self.run_above(os.path.realpath(folder))
        return self.runs[folder]

    def run_above(self, directory: str) -> str | None:
        """The run's directory that a directory lies in."""
        passed = [directory]
        while passed[-1] not in self.runs_above:
            above = os.path.dirname(passed[-1])
            if is_run(passed[-1]):
                self.runs_above[passed[-1]] = passed[-1]
            elif above == passed[-1]:
                self.runs_above[above] = None
            else:
                passed.append(above)
        found = self.runs_above[passed[-1]]
        self.runs_above.update(dict.fromkeys(passed, found))
        return found


SYSTEM = (
    "/proc/", "/dev/", "/sys/", "/etc/", "/usr/share/zoneinfo/", "/usr/share/fonts/", "/usr/local/share/fonts/",
    "/usr/share/texmf", "/usr/share/texlive/", "/System/Library/", "/Library/Fonts/",
)  # fmt: skip
INSTALLED = (
    "lib", "lib64", "libexec", "bin", "include", "share", "etc", "ssl", "pkgs", "conda-meta",
    "Lib", "DLLs", "Scripts", "Library", "Resources",
)  # fmt: skip
FONTS = (".fonts", ".local/share/fonts", "Library/Fonts")  # below the user's home
KEPT_BY_TOOLS = ("/.git/", "/__pycache__/", "/matplotlib/fontlist-", "/matplotlib/tex.cache/")
REGULAR, LINK = 0o100000, 0o120000


def text_of(name: Any) -> str:
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


def absolute(name: str) -> str:
    """The name from the root on; as it is where the working directory has been removed."""
    try:
        return name if os.path.isabs(name) else os.path.join(os.getcwd(), name)
    except OSError as error:
        if is_foreign(error):
            raise
        return name


def stat_kind(status: os.stat_result) -> int:
    """The kind of file (the `stat` module's S_IFMT)."""
    return status.st_mode & 0o170000


def entry_of(path: str, seen: tuple[int, int]) -> dict[str, Any]:
    """A line of the inputs file."""
    return {"path": path, "size": seen[0], "mtime_ns": seen[1], "sha256": None}


def inputs_file(run: heart.Run) -> str:
    """The file in which this process, and no other, notes its inputs."""
    host = "".join(c if c.isalnum() or c in "-." else "_" for c in heart.host_name())
    return os.path.join(run.record, f"inputs-{host}-{os.getpid()}.jsonl")


def other_inputs_files(run: heart.Run | None) -> list[str]:
    """Those of the run's other processes."""
    if run is None:
        return []
    names = (os.path.join(run.record, name) for name in sorted(os.listdir(run.record)))
    files = [name for name in names if os.path.basename(name).startswith("inputs-")]
    return [name for name in files if name != inputs_file(run)]


def facts_of(directory: str) -> dict[str, Any]:
    """The run.json of a run's directory; empty where it can't be read."""
    name = os.path.join(directory, heart.RECORD, heart.RUN_JSON)
    try:
        if stat_kind(os.stat(name)) != REGULAR:  # a pipe would be waited for
            return {}
        with _open(name, "rb") as file:
            return dict(heart.from_json(file.read().decode()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def is_code(run: heart.Run, path: str) -> bool:
    """Whether a source is the program's own: the script, a loaded module, of a recorded repository."""
    script = (run.facts.get("script") or {}).get("path")  # at exit __main__ has no __file__ any more
    found = [one for one in run.facts.get("repositories") or [] if one.get("role") != "loose"]
    inside = any(path.startswith(os.path.join(str(one.get("path")), "")) for one in found)
    return inside or path == script or path in loaded_files()


def loaded_files() -> frozenset[str]:
    """The files of the modules that are loaded, looked up again when there are more of them."""
    count = len(sys.modules)
    if _loaded.get("count") != count:
        files = frozenset(str(getattr(module, "__file__", "")) for module in list(sys.modules.values()))
        _loaded.update(count=count, files=files)
    return frozenset(_loaded["files"])


_loaded: dict[str, Any] = {}  # for how many modules, and their files
_kept: dict[str, tuple[str, ...]] = {}  # what is asked for each file and does not change


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
    folders = [*filter(None, named), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108 - only compared
    return tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)


def is_of_python(path: str) -> bool:
    """Whether a file is the interpreter's, its library's or an installed package's."""
    installed = any(part in path for part in ("/site-packages/", "/dist-packages/", ".egg-info/", ".dist-info/"))
    return installed or path.startswith(("<frozen ", *python_folders()))


def is_of_system(path: str) -> bool:
    """Whether a file is no data of anybody's: Python's, the system's, a font, or what git and the like keep."""
    no_data = path.startswith(system_folders()) or any(part in path for part in KEPT_BY_TOOLS)
    return no_data or is_of_python(path)


# --- what it said ---------------------------------------------------------------------------------


class Copy:
    """console.txt: a line is on its way to the disk when write() returns, so a kill loses the last."""

    def __init__(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self.descriptor = _os_open(name, flags, 0o666)
        self.identity = self.identity_now()
        self.pieces: list[str] = []

    def identity_now(self) -> tuple[int, int]:
        """Which file the descriptor stands for."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def is_ours(self) -> bool:
        """Whether the descriptor still stands for our file: daemons close all of them."""
        try:
            return self.descriptor >= 0 and self.identity_now() == self.identity
        except OSError as error:
            if is_foreign(error):
                raise
            return False

    def add(self, text: str) -> None:
        """Append it once there is an end of a line, be it a progress bar's: print writes in pieces."""
        self.pieces.append(str(text))
        if "\n" in self.pieces[-1] or "\r" in self.pieces[-1] or len(self.pieces) > 100:
            self.flush()

    def flush(self) -> None:
        """Write what is there; at the first trouble (a full disk) stop for good."""
        text = "".join(self.pieces)
        self.pieces.clear()
        try:
            if self.is_ours():
                os.write(self.descriptor, text.encode("utf-8", "backslashreplace"))
        except Exception as error:
            if is_foreign(error):
                raise
            self.descriptor = -1

    def close(self) -> None:
        """Stop."""
        self.flush()
        if self.is_ours():
            os.close(self.descriptor)
        self.descriptor = -1


class Tee:
    """A stream whose write() is copied.

    The stream stays the object it is, so that isatty, encodings, terminals, and handlers that hold
    it already, find what they would find; only its `write` is shadowed.
    """

    def __init__(self, stream: Any, copy: Copy) -> None:
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


# --- values, arguments, figures -------------------------------------------------------------------


def fields_of(thing: Any) -> dict[str, Any]:
    """The named values of a mapping, namespace, dataclass or other object; else it is a value."""
    pairs = items_of(thing)
    if pairs is not None:
        return {key: named(key, value) for key, value in pairs}
    names = getattr(type(thing), "__dataclass_fields__", None) or getattr(type(thing), "_fields", None)
    own = {} if hasattr(type(thing), "shape") else getattr(thing, "__dict__", {})  # a table is a value
    names = names or [name for name in own if name[0] != "_"]
    return {name: named(name, getattr(thing, name)) for name in names} or {"value": plain(thing)}


def items_of(thing: Any) -> list[tuple[str, Any]] | None:
    """The keys and values of a mapping or small table; None where a key would stand for several values."""
    if not callable(getattr(type(thing), "keys", None)) or not hasattr(thing, "__getitem__"):
        return None
    keys = list(thing.keys())
    if not isinstance(thing, dict) and (len(keys) > TABLE or len(set(map(str, keys))) < len(keys)):
        return None
    return [(str(key), thing[key]) for key in keys]


def named(name: Any, value: Any, above: tuple[int, ...] = ()) -> Any:
    """The value of a name, without secrets: record(vars(args)) holds what was given as --token."""
    hidden = isinstance(value, (str, bytes)) and value and heart.is_secret_name(str(name))
    return "***" if hidden else plain(value, above)


def plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """The value as JSON can say it; else its repr. `above` are the containers that it lies in."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return heart.mask(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() < 10_000 else hex(value)  # Python writes no longer ones
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(float(value))  # inf and nan are no JSON
    try:
        whole = len(above) < 20 and id(value) not in above  # each turn around a cycle would be written out
        return said_of(value, (*above, id(value))) if whole else repr(value)[:2000]
    except Exception:
        return f"<{type(value).__name__} without a repr>"


def said_of(value: Any, above: tuple[int, ...]) -> Any:
    """A container's or array scalar's value as JSON can say it; else its repr."""
    if isinstance(value, (list, tuple)):
        return [plain(one, above) for one in value]
    pairs = items_of(value)
    if pairs is not None:
        return {key: named(key, one, above) for key, one in pairs}
    if hasattr(type(value), "__dataclass_fields__"):
        names = type(value).__dataclass_fields__
        return {name: named(name, getattr(value, name), above) for name in names}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # numpy and torch
        return plain(value.item(), above)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return repr(value)[:2000]


def given_arguments() -> dict[str, Any]:
    """What the program was given on its command line; nothing in a notebook, where that is its kernel's."""
    return {} if hasattr(shell(), "kernel") else arguments_of(heart.mask_arguments(sys.argv))


def arguments_of(argv: Iterable[str]) -> dict[str, Any]:
    """A parsed view of a command line: `--lr 0.1`, `--lr=0.1`, `-v`, and Hydra's `a.b=c`.

    Values are numbers where they look like one; a flag is true, a repeated name a list, and what
    has no name stands under "_". Several numbers behind an option are its list; any other word
    behind its first value may as well be the program's own argument, and is taken for that.
    """
    found: dict[str, list[Any]] = {}
    words = list(argv)[1:]
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        if word == "--":
            found.setdefault("_", []).extend(map(number, words))
            break
        if not is_option(word):
            bare = name.lstrip("+~")
            key, bare_value = (bare, text) if equals and is_name(bare) else ("_", word)
            found.setdefault(key, []).append(number(bare_value))
            continue
        takes = not equals and words and words[0] != "--" and not is_option(words[0]) and "=" not in words[0]
        said = [number(text) if equals else number(words.pop(0)) if takes else True]
        while takes and words and not isinstance(said[-1], str) and not isinstance(number(words[0]), str):
            said.append(number(words.pop(0)))
        found.setdefault(name.lstrip("-").replace("-", "_"), []).extend(said)
    return {k: v if k == "_" or len(v) > 1 else v[0] for k, v in found.items()}


def is_option(word: str) -> bool:
    """Whether a word of a command line is an option, not a value such as -0.5 or - for stdin."""
    return word.startswith("-") and word not in ("-", "--") and isinstance(number(word), str)


def is_name(word: str) -> bool:
    """Whether it may stand before the = of an assignment."""
    return word.replace(".", "").replace("/", "").replace("@", "").replace("_", "").isalnum()


def number(word: str) -> int | float | str:
    """A word as a number if it is one that JSON can say, else itself."""
    for kind in (int, float):
        try:
            value: int | float = kind(word)
        except ValueError:
            continue
        if value - value == 0 and "_" not in word:
            return value
    return word


def figure_metadata(run: heart.Run, kind: str) -> dict[str, str]:
    """A run's name, id, code id and command under the keys that a figure's format knows."""
    command = without_people(str(run.facts.get("command") or ""), run.facts)
    facts = {"run": run.name, "id": run.id, "code_id": run.facts.get("code_id"), "command": command}
    said = {name: as_text(value) for name, value in facts.items() if value}
    origin = ", ".join(f"{name} {value}" for name, value in said.items() if name != "command")
    if kind == "png":
        return {f"footsteps:{name}": value for name, value in said.items()}
    if kind == "pdf":
        return {"Title": said["run"], "Subject": f"footsteps: {origin}", "Keywords": as_text(command)}
    if kind in ("svg", "svgz"):
        told = {"Title": said["run"], "Identifier": run.id, "Source": f"footsteps: {origin}"}
        return {**told, "Description": as_text(command)}
    creator = f"footsteps: {origin}".encode("ascii", "backslashreplace").decode()  # PostScript knows no more
    return {"Creator": creator} if kind in ("ps", "eps") else {}


def as_text(value: Any) -> str:
    """The value on one line, in characters that every format can hold."""
    return heart.printable(str(value)).encode("utf-8", "backslashreplace").decode()


def without_people(command: str, facts: Mapping[str, Any]) -> str:
    """The command without home directory, user and host: figures are published."""
    import re

    home = os.path.expanduser("~")
    text = command.replace(home, "~") if len(home) > 1 else command
    for who in filter(None, (facts.get("user"), facts.get("host"))):
        text = re.sub(rf"(?<!\w){re.escape(str(who))}(?!\w)", "***", text)
    return text


# --- notebooks ------------------------------------------------------------------------------------


def shell() -> Any:
    """IPython's shell, if the program runs in one."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def executed_cells() -> str:
    """The cells that IPython has run so far, in order, as Python."""
    here = shell()
    cells = here.user_ns.get("_ih", [])[1:] if here is not None else []
    return "".join(f"# In[{n}]:\n{cell.rstrip()}\n\n" for n, cell in enumerate(cells, 1))


# --- from the import on ---------------------------------------------------------------------------


def install() -> None:
    """Begin to note, unless it was turned off or would move the place that a warning names."""
    if not INPUTS or sys.flags.warn_default_encoding:
        return
    made = {id(original): stand_in(calling, module, original) for calling, module, original in followed()}
    for holder, name in holders():
        stand = made.get(id(original_of(getattr(holder, name, None))))  # none: somebody has put another one there
        if stand is not None:
            setattr(holder, name, stand)
    _note.noting = True
    _note.in_pool()


def follow_exit() -> None:
    """See which status sys.exit is given: from the import on, for `sys.exit(main())` looks it up before main begins."""
    sys.exit = stand_in(exiting, "sys", original_of(sys.exit))


def remove() -> None:
    """Put the originals back where our stand-ins still stand, and forget what was noted."""
    for holder, name in holders():
        if hasattr(holder, name):
            setattr(holder, name, original_of(getattr(holder, name)))
    _note.noting = False
    _note.forget()
    for memory in (_names, _note.pending):
        memory.clear()


def followed() -> list[tuple[Any, str, Any]]:
    """The functions whose calls are followed: what makes the call of the stand-in, their module, they themselves."""
    of_os = {"rename": renaming, "replace": renaming, "chdir": leaving, "fchdir": leaving}
    others = [(calling, "os", original_of(getattr(os, name, None))) for name, calling in of_os.items()]
    return [(opening, "io", _open), (os_opening, "os", _os_open), *(row for row in others if row[2])]


def holders() -> list[tuple[Any, str]]:
    """Where these stand; some libraries, IPython and pathlib of Python 3.10 may have taken them before we came."""
    accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)
    early = [(sys.modules.get("IPython.core.interactiveshell"), "io_open"), (accessor, "open")]
    early += [(sys.modules.get("bz2"), "_builtin_open"), (sys.modules.get("tarfile"), "bltn_open")]
    early += [(holder, name) for holder in (os, accessor) for name in ("rename", "replace")]
    return [(builtins, "open"), (io, "open"), (os, "open"), (os, "chdir"), (os, "fchdir"), *early]


def leave() -> None:
    """At the end of a process that has begun no run, or whose run the heart has ended already."""
    try:
        _note.close()
        if _waiting:
            heart.say("recorded values are lost, as no run was begun; footsteps.initialize() begins one")
    except Exception as error:  # maybe the heart itself: who has given up privileges may not read it any more
        if sys.stderr is not None:
            sys.stderr.write(f"footsteps: not recorded: {error!r}\n")


def meet_heart() -> None:
    """Lay what is ours where every copy of the heart finds it: companion, fact, front door, the plain `open`."""
    new = ModuleType("_footsteps_shared", "The run of this process, shared by every copy of footsteps.")
    shared: Any = sys.modules.setdefault("_footsteps_shared", new)
    if not hasattr(shared, "companions"):
        shared.companions, shared.facts, shared.doors = [], [], []
        shared.open, shared.imported_at = _open, time()
    shared.companions.append(begin)
    shared.facts.append(("parsed_argv", given_arguments))
    shared.doors.append(sys.modules[__package__])


_note = Note()
_names, _gather = _note.names, _note.names.append
atexit.register(leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note.forked)
meet_heart()  # before install(): in a pool worker that wants the heart at once
install()
follow_exit()
