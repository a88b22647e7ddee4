"""Files that the program opens: noted from the import on, in memory until there is a run.

``InputTracker.begin(run)`` takes the list to the run's directory. Nothing here raises into the
program, starts a thread or a process, or handles a signal.

The calls are followed by wrappers of ``open`` and the like, and of functions of libraries that open
files for themselves (libraries.py): an audit hook would see more, and would slow copy.deepcopy by
60 %. What is not seen: files that child programs open, and those of a library that libraries.py
can't follow; the outcome names these libraries. `reads(path)` adds a file by hand.

Imported with the package, so it imports nothing that costs time: the core module, and what tells
how a run ended (outcome.py), come when there is a run.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from _weakref import ref
from time import monotonic, time

from footsteps.recorder import ending
from footsteps.recorder.format import (
    RECORD,
    RUN_JSON,
    append,
    append_line,
    content_of,
    current,
    from_json,
    json_text,
    warn,
)
from footsteps.recorder.hooks import (
    PACKAGE_FOLDER,
    around,
    executed,
    holders_of,
    holds,
    is_wrapper,
    original_of,
    own_errors_dropped,
    replaced_in,
    source_files,
    source_of,
    watchers,
    without_ours,
    wrapper,
)
from footsteps.recorder.libraries import (
    CHANGED,
    READ,
    STARTED,
    WORKERS,
    argument,
    class_standing_for,
    follow_all,
    not_followed,
    opened_by,
    replace_in_modules,
)
from footsteps.recorder.places import (
    REGULAR,
    files_below,
    is_of_system,
    is_plain,
    is_run,
    name_text,
    path_of_descriptor,
    stat_kind,
    temporary_folders,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])

__all__ = ["reads"]

# --- settings -------------------------------------------------------------------------------------

FOLLOWS_INPUTS = os.environ.get("FOOTSTEPS_INPUTS", "1") != "0"  # note which files the program opens
INPUTS_LISTED = 10_000  # files noted one by one in each process; beyond, opens per directory
AT_ONCE = 50  # times that a file is looked at as soon as it was opened; for later ones there are
CREDIT = 0.002  # seconds that may be spent at once on looking at noted files,
SHARE = 0.003  # earned again as a share of the time; the rest is looked at when the run ends
NAMES_AT_ONCE = 500  # names that are only collected once the credit is spent
FILES_AT_ONCE = 200  # files looked at in one go


def reads(path: Any) -> Any:
    """Note a file, or every file below a directory, as an input of the run; returns `path`.

    For files that are opened where footsteps can't see it: `h5py.File(footsteps.reads("x.h5"))`.
    """
    try:
        tracker.notice_execution()
        tracker.add_by_hand(os.path.abspath(os.fsdecode(path)))
    except Exception as error:
        warn(f"not noted as read: {path!r}: {error!r}")
    return path


# --- functions that are followed ------------------------------------------------------------------

_open = original_of(io.open)
_os_open = original_of(os.open)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


# Each function made below calls `original`, which it finds in a closure: an attribute, or a name of
# this module (which pyfakefs would patch), would be one lookup more in each open().


def wrap_open(original: Any) -> Any:
    """What stands for `io.open`. Nanoseconds count: a loop over 100,000 small files may take 5 % more."""
    collect, more, note = _collect, tracker.remaining.pop, tracker  # to compare lengths took twice as long

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
                collect(file if file.__class__ is str else name_text(file))  # an object lives as long as without us
                try:
                    more()
                    return opened
                except IndexError:
                    pass
                note.flush()  # not within the handler: its error would be the context of what a signal raises
                return opened
            note.before_write(file)
            opened = original(file, mode, buffering, encoding, errors, newline, closefd, opener)
            if opener is None:  # tempfile gives a folder and an opener, which calls os.open
                note.opened(file, "r" in mode)
                note.keep_in_sight(opened, file)
            return opened
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return open


def wrap_os_open(original: Any) -> Any:
    """What stands for `os.open`."""

    def open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:  # noqa: A001
        try:
            if dir_fd is not None:
                opened_below: int = original(path, flags, mode, dir_fd=dir_fd)
                tracker.opened_below(opened_below, flags)
                return opened_below
            if sys._getframe(1).f_code.co_filename.startswith(PACKAGE_FOLDER):  # noqa: SLF001 - no input of the program's
                return original(path, flags, mode)  # type: ignore[no-any-return]
            if flags & _WRITES:
                tracker.before_write(path)
            opened: int = original(path, flags, mode)
            if flags & _WRITES:
                tracker.opened(path, reading=False)
            else:
                _collect(name_text(path))
                if tracker.remaining:
                    del tracker.remaining[-1:]  # of another thread's may be none left
                else:
                    tracker.flush()
            return opened
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return open


def wrap_rename(original: Any) -> Any:
    """What stands for `os.rename` and `os.replace`: what is written under one name is often kept under another."""

    def names(*given: Any, **named: Any) -> tuple[Any, ...]:
        both = (*given, *(named[name] for name in ("src", "dst") if name in named))
        return both if len(both) == 2 and named.get("src_dir_fd") is named.get("dst_dir_fd") is None else ()

    def before(*given: Any, **named: Any) -> None:
        for name in names(*given, **named):
            tracker.before_write(name)

    def after(*given: Any, **named: Any) -> None:
        if both := names(*given, **named):
            tracker.renamed(*both)

    return around(original, before, after)


def wrap_open_code(original: Any) -> Any:
    """What stands for `io.open_code`, by which Python reads what it is going to execute."""
    collect = executed.append

    def open_code(path: str) -> Any:
        try:
            opened = original(path)
            collect(path)
            for watch in watchers:
                watch(path)
            return opened
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return open_code


def wrap_chdir(original: Any) -> Any:
    """What stands for `os.chdir` and `os.fchdir`."""
    return around(original, lambda *_, **__: tracker.before_chdir())


def wrap_system(original: Any) -> Any:
    """What stands for `os.system`."""
    row = (0, "command", STARTED)
    return around(original, lambda *given, **named: tracker.opened_by_library(row, given, named))


def wrap_exit(original: Any) -> Any:
    """What stands for `sys.exit`."""

    def before(status: Any = None, *_: Any, **__: Any) -> None:
        ending.program_ending.exiting(status)

    return around(original, before)


# --- what it read ---------------------------------------------------------------------------------

PIPES = (0o010000, 0o140000)  # a socket is one to a program, too
CODE_ENDINGS = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib")


def silent(method: Method) -> Method:
    """A method whose own errors are not worth an exception in somebody's open(); a signal handler's go through."""

    def called(*given: Any, **named: Any) -> Any:
        with own_errors_dropped:
            return method(*given, **named)

    called.__doc__ = method.__doc__
    return called  # type: ignore[return-value]


class InputTracker:
    """The files that this process has opened: in memory until there is a run, then in its record.

    Opening a file appends its name to a list. Every so often the list is gone through, and the
    files of new names are looked at (stat, filters, a line on disk), a few at a time and never for
    more than SHARE of the time that has passed.
    """

    def __init__(self) -> None:
        self.names: list[str] = []  # as given, just opened for reading
        self.remaining: list[None] = []  # as long as the names that may still be collected before they are gone through
        self.at_once, self.paid, self.credit = AT_ONCE, monotonic(), CREDIT
        self.known: set[str] = set()  # names, as given, that need no second look
        self.pending: dict[str, str] = {}  # names not yet looked at, in this order, and as they were given
        self.inputs: dict[str, tuple[int, int]] = {}  # path -> size, mtime_ns: of this run
        self.early: dict[str, tuple[int, int]] | None = None  # of before the execution's first run: inputs of each run
        self.execution: Any = None  # of the program, as far as it is known: what goes on,
        self.job: Any = None  # and of a Hydra multirun
        self.unsaved: list[str] = []
        self.counts: dict[str, int] = {}  # directory -> opens of files that are not listed
        self.wrote: set[str] = set()  # absolute paths
        self.wrote_more = False  # than are kept there
        self.started: set[str] = set()  # other programs
        self.given: dict[str, str] = {}  # path -> the relative name that the program gave
        self.held: list[str] = []  # what is said where somebody has kept the open() of before our import
        self.unnamed = 0  # files that were opened and could not be named
        self.left_open: set[str] = set()  # of them, those that the program had not closed at its end
        self.writing: list[ref[Any]] = []  # files below the run's directory that were opened to be written
        self.run: Any | None = None
        self.monitor: Any = None  # of how the run ends, in the process that made it: outcome.RunMonitor
        self.begun = 0  # runs
        self.named: set[str] = set()  # what the user has named by hand
        self.parents: set[str] = set()  # directories of runs that are named as parents
        self.runs_above: dict[str, str | None] = {}  # directory -> the run's that it lies in,
        self.runs: dict[str, str | None] = {}  # also by links
        self.ids: dict[str, Any] = {}  # run's directory -> its id
        self.since = time()
        self.noting = self.child = self.closed = False

    # called by the wrappers: raises nothing of its own

    @silent
    def opened(self, file: Any, reading: bool) -> None:
        """Note that a file was opened for writing, and maybe for reading too."""
        if reading:  # it was there before, and is looked at before it counts as the program's own
            self.names.append(name_text(file))
            self.collect()
            self.check(len(self.pending))
        if file.__class__ is not int:
            self.written(os.path.abspath(name_text(file)))
        self.flush()

    @silent
    def keep_in_sight(self, opened: Any, file: Any) -> None:
        """Remember what writes to the run's directory for as long as the program does; see flush_written."""
        path = os.path.abspath(name_text(file)) if self.run is not None and file.__class__ is not int else ""
        if path and path.startswith(self.run.directory):  # type: ignore[union-attr]
            if len(self.writing) >= NAMES_AT_ONCE:
                self.writing = [one for one in self.writing if one() is not None]
            self.writing.append(ref(opened))

    def flush_written(self) -> None:
        """Have what the program has left open below the run's directory on disk, before that is listed."""
        writing, self.writing = self.writing, []
        self.left_open = set()
        for opened in (one() for one in writing):
            if opened is not None and not opened.closed:
                with own_errors_dropped:  # a full disk: the program hears of it when it closes the file
                    self.left_open.add(os.path.abspath(name_text(opened.name)))
                    opened.flush()

    @silent
    def opened_below(self, descriptor: int, flags: int) -> None:
        """Note what was opened with a dir_fd, which only the system can name."""
        kind = stat_kind(os.fstat(descriptor))
        if kind == REGULAR:
            path = path_of_descriptor(descriptor)
            if path is None:
                self.unnamed += 1
            elif flags & _WRITES:
                self.written(path)
            else:
                self.names.append(path)

    @silent
    def opened_by_library(self, row: Any, given: Any, named: Any) -> None:
        """Note the files that a library is about to open for itself, or another program that is started."""
        if row[2] in (STARTED, WORKERS):
            self.starts(argument(row, given, named) if row[2] == STARTED else None)
            return
        files, how = opened_by(row, given, named)
        if how in (READ, CHANGED):
            self.names.extend(files)
        if how != READ:
            self.collect()
            self.check(len(self.pending))
            for file in files:
                self.written(os.path.abspath(file))
        elif files:
            self.flush()

    def starts(self, command: Any) -> None:
        """Note another program that is started (None: a worker): the files in its words, and that it may open more."""
        from footsteps.recorder.children import started, strangers

        name, files = started(command) if command is not None else (strangers(), [])
        self.started.update(filter(None, [name]))
        self.names.extend(files)
        self.flush()

    def written(self, path: str) -> None:
        """Note a file that the program wrote outside the run's directory."""
        if self.run is not None and path.startswith(self.run.directory):
            return
        if len(self.wrote) < INPUTS_LISTED:
            self.wrote.add(path)
        elif path not in self.wrote:
            self.wrote_more = True

    @silent
    def before_write(self, file: Any) -> None:
        """Look at a file that was read before it changes, or is moved, under the program's own hand."""
        if file.__class__ is not int:
            self.collect()
            if not is_plain(file) or name_text(file) in self.pending:
                self.check(len(self.pending))

    @silent
    def renamed(self, old: Any, new: Any) -> None:
        """What the program wrote has another name now: a file, or those below a folder."""
        before, after = (os.path.abspath(name_text(name)) for name in (old, new))
        if before in self.wrote:
            self.wrote.remove(before)
            self.wrote.add(after)
        elif self.wrote and os.path.isdir(after):
            inside = [name for name in self.wrote if name.startswith(before + os.sep)]
            self.wrote.update(after + name[len(before) :] for name in inside)

    @silent
    def flush(self) -> None:
        """Go through the names, and look at some of the files if there is credit for it."""
        if self.child:
            self.child = False
            self.in_pool()
        start = monotonic()
        self.notice_execution()
        self.credit = min(CREDIT, max(self.credit, -CREDIT) + SHARE * (start - self.paid))
        self.collect()
        self.at_once -= 1
        if self.pending and (self.credit > 0 or self.at_once >= 0):
            self.check(FILES_AT_ONCE)
        self.paid = monotonic()
        self.credit -= self.paid - start
        self.remaining[:] = [None] * (0 if self.credit > 0 or self.at_once > 0 else NAMES_AT_ONCE)

    @silent
    def notice_execution(self) -> None:
        """End a run, or forget what was noted without one, if another execution of a program goes on by now.

        So it is for each job of a Hydra multirun; what was read before the first job is an input of all.
        """
        now, job = ending.execution(self.execution), ending.hydra_job()
        executed_again, next_job = ending.is_another(now, self.execution), ending.is_another(job, self.job)
        first_job = job is not None and self.job is None
        self.execution, self.job = now or self.execution, self.job if job is None else job
        if executed_again or next_job:
            newest = self.names[:]  # opened by what goes on now
            del self.names[: len(newest)]
            if current() is None and self.run is None:
                self.forget()
                waiting.clear()
            self.names[:0] = newest
        if executed_again:
            self.early = None
        elif first_job and self.early is None:
            self.early = dict(self.inputs)

    def collect(self) -> None:
        """Put new names among those to be looked at; once these are too many, only count."""
        names = self.names[:]
        del self.names[: len(names)]
        if names and len(self.inputs) + len(self.pending) >= INPUTS_LISTED:
            self.count(names)
        else:
            self.pending.update(zip(names, names, strict=True))
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

    @silent
    def before_chdir(self) -> None:
        """Give relative names their absolute ones while the working directory is the old one."""
        self.collect()
        self.pending = {absolute(name): given for name, given in self.pending.items()}
        for folder in [folder for folder in self.counts if not os.path.isabs(folder)]:
            whole = absolute(folder)
            self.counts[whole] = self.counts.get(whole, 0) + self.counts.pop(folder)
        self.known = set(filter(os.path.isabs, self.known))

    # looked at, a few at a time

    def check(self, most: int) -> None:
        """Take some names from the pending ones: leave out what is no input, note the rest."""
        for name in list(self.pending)[:most]:
            given = self.pending.pop(name, None)
            if given is not None:  # not taken by another thread
                if len(self.known) < 4 * INPUTS_LISTED:  # of a program that opens millions, not all
                    self.known.add(name)
                path = os.path.normpath(absolute(name))
                self.add_if_input(path)
                if not os.path.isabs(given) and path in self.inputs:
                    self.given.setdefault(path, given)
        self.save()

    def add_if_input(self, path: str) -> None:
        """Note one file, unless it is no input or the program's own."""
        own = self.run is not None and path.startswith(self.run.directory)
        if own or path in self.inputs or path in self.wrote or is_of_system(path):
            return
        status = None
        with own_errors_dropped:
            status = os.stat(path)
        if status is None:
            if not path.startswith(temporary_folders()):
                self.count([path])  # it was opened, and is gone
            return
        of_itself = status.st_mtime >= self.since and path.startswith(temporary_folders())
        if stat_kind(status) == REGULAR and not of_itself:
            self.add(path, status)

    def add(self, path: str, status: os.stat_result) -> None:
        """Note a file as it is now."""
        self.inputs[path] = (status.st_size, status.st_mtime_ns)
        self.unsaved.append(path)

    def add_by_hand(self, path: str) -> None:
        """Note a file, or those below a directory, that the user names."""
        found = files_below(path) if os.path.isdir(path) else [(path, os.stat(path))]
        for file, status in found:
            if len(self.inputs) < INPUTS_LISTED:
                self.named.add(file)
                self.add(file, status)
            else:
                self.counts[path] = self.counts.get(path, 0) + 1
        self.save()

    # to disk, when there is a run

    def begin(self, run: Any) -> None:
        """Take to a run what was noted; what was read before the first run is each run's input."""
        if not FOLLOWS_INPUTS:
            uninstall()
        stdin = stdin_facts()
        if not self.begun and stdin.get("path"):
            self.names.append(stdin["path"])
        self.collect()
        self.check(FILES_AT_ONCE)
        if self.early is None:
            self.early = dict(self.inputs)
        self.begun += 1
        self.run = run
        self.at_once = AT_ONCE
        self.remaining.clear()
        self.inputs = {**self.early, **self.inputs}
        self.unsaved = list(self.inputs)
        self.save()

    def end(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Look at all that is left: the inputs, without hashes, and what else the outcome tells of this process."""
        self.close()
        apart = [*not_followed(), *self.started, *self.held] if self.noting else []
        told = {
            "written_elsewhere": self.written_elsewhere(),
            "written_complete": self.noting and not self.wrote_more,
            "inputs_complete": self.noting and not (self.counts or self.unnamed or apart),
            "inputs_not_followed": apart,
        }
        return [self.entry_of(path) for path in self.inputs if self.is_input(path)], told

    def forget(self) -> None:
        """Be ready for another run."""
        self.run, self.closed, self.wrote_more, self.since = None, False, False, time()
        self.writing, self.unnamed = [], 0
        for memory in (self.unsaved, self.inputs, self.counts, self.wrote, self.known, self.parents, self.named):
            memory.clear()
        self.started.clear()
        self.given.clear()

    def forked(self) -> None:
        """In a forked child: the parent writes what it has noted; the child has its own file."""
        for memory in (self.names, self.remaining, self.inputs, self.counts, self.wrote, self.pending, self.unsaved):
            memory.clear()
        self.writing, self.unnamed = [], 0  # what the parent has written and not flushed is the parent's
        self.started.clear()
        self.child, self.closed, self.at_once = True, False, AT_ONCE

    def in_pool(self) -> None:
        """In a child of multiprocessing's: those that were forked leave by os._exit, without atexit."""
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Its bootstrap, which may be still to come, forgets finalizers and then calls these.
            util.register_after_fork(self, InputTracker.in_pool)
            from footsteps.recorder.processes import head_created, is_multiprocessing_child

            if is_multiprocessing_child():
                util.Finalize(None, self.close, exitpriority=-100)
                self.since = head_created() or self.since  # joblib hands on large arrays in temporary files

    def close(self) -> None:
        """Look at all that is left, and write the counts: at the end of the run or the process."""
        opened = self.names or self.pending or self.inputs or executed
        if self.closed or not (self.run or (opened and self.join())):
            return
        self.closed = True
        self.before_chdir()
        others = (path for path in map(source_of, executed) if not path.startswith(PACKAGE_FOLDER))
        self.names.extend(path for path in others if not is_of_system(path) and path not in loaded_files())  # are code
        self.collect()
        self.check(len(self.pending))
        self.counts = {folder: n for folder, n in self.counts.items() if self.is_input(folder)}
        self.append({"directory": folder, "count": n} for folder, n in self.counts.items())
        elsewhere = getattr(self.run, "maker", None) != os.getpid()  # the maker tells it with the outcome
        if elsewhere:
            with own_errors_dropped:
                from footsteps.recorder.code import note_all

                note_all(self.run)
        apart = [*not_followed(), *self.started] if self.noting and elsewhere else []
        self.append([{"not_followed": apart}] if apart or (elsewhere and self.unnamed) else [])

    def join(self) -> Any | None:
        """The run of the process that started this pool worker, which has not asked for it itself."""
        if self.run is None:
            from footsteps.recorder.processes import parents_run, run_of

            handle = parents_run()
            self.run = run_of(handle) if handle is not None else None
        return self.run

    def save(self) -> None:
        """Write what is not yet written; runs in whose directories it lies are named as parents."""
        if self.run is None or not self.unsaved:
            return
        paths, self.unsaved = self.unsaved, []
        kept = [path for path in paths if path in self.inputs and self.is_input(path)]
        for path in kept:
            self.name_parent(self.run_of(path))
        self.append(self.entry_of(path) for path in kept)

    def entry_of(self, path: str) -> dict[str, Any]:
        """A line of the inputs file; `given` is the relative name by which the program knew it."""
        size, mtime_ns = self.inputs[path]
        given = {"given": self.given[path]} if path in self.given else {}
        return {"path": path, "size": size, "mtime_ns": mtime_ns, "sha256": None, **given}

    def is_input(self, path: str) -> bool:
        """Whether it lies neither in the run's own directory nor in a record, and is no code."""
        run = self.run
        if run is not None and path in self.named:
            return True
        if run is None or path.startswith(run.directory) or f"/{RECORD}/" in path:
            return False
        if self.is_of_run(self.run_of_folder(os.path.dirname(path)), run):
            return False  # by another way to it: results/ is often a link to a larger disk
        if not path.endswith(CODE_ENDINGS):
            return not is_of_system(path)
        if is_code(run, path):
            executed.append(path)  # by exec(open(...).read()), maybe; then it is code, also where git ignores it
            return False
        return True

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Add lines to this process's own file in the run's record."""
        lines = b"".join(json_text(entry).encode() + b"\n" for entry in entries)
        if lines and self.run is not None:
            follow_directory(self.run)
            with own_errors_dropped:  # a full disk is told with the outcome; a record that is gone needs none
                append(inputs_file(self.run), lines)

    def written_elsewhere(self) -> list[str]:
        """Files outside the run's directory that the program wrote and that are still there."""
        return sorted(path for path in self.wrote if self.is_input(path) and self.was_changed(path))

    def was_changed(self, path: str) -> bool:
        """Whether a file that was opened to be changed, as any database is, is there and not as it was read."""
        try:
            status = os.stat(path)
        except OSError:
            return False
        now = status.st_size, status.st_mtime_ns
        return stat_kind(status) == REGULAR and self.inputs.get(path) != now

    # lineage

    def name_parent(self, found: str | None) -> None:
        """Name the run in whose directory an input lies, once, as a parent of this one."""
        run = self.run
        if run is None or found is None or found in self.parents:
            return
        self.parents.add(found)
        facts = facts_on_disk(found)
        if facts.get("kind") != "arguments" and facts.get("id") != run.id:
            follow_directory(run)
            values = {"id": facts.get("id"), "name": facts.get("name"), "directory": found}
            append_line(run.record, "parent", {**values, "by": "input"})

    def is_of_run(self, directory: str | None, run: Any) -> bool:
        """Whether a run's directory is that of this run."""
        if directory is not None and directory not in self.ids:
            self.ids[directory] = facts_on_disk(directory).get("id")
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


LARGEST_FACTS = 16 << 20  # bytes of a run.json that a program waits for when it opens a file beside it


def absolute(name: str) -> str:
    """The name from the root on; as it is where the working directory has been removed."""
    with own_errors_dropped:
        return name if os.path.isabs(name) else os.path.join(os.getcwd(), name)
    return name


def stdin_facts() -> dict[str, Any]:
    """The kind of the program's stdin ("file", "terminal", "pipe", "null", "other", "closed"); a file's path."""
    try:
        status = os.fstat(0)
        if os.isatty(0):
            return {"kind": "terminal"}
        null = os.stat(os.devnull)
    except OSError:
        return {"kind": "closed"}
    if stat_kind(status) == REGULAR:
        return {"kind": "file", "path": path_of_descriptor(0)}
    if (status.st_dev, status.st_ino) == (null.st_dev, null.st_ino):
        return {"kind": "null"}
    return {"kind": "pipe" if stat_kind(status) in PIPES else "other"}


def inputs_file(run: Any, beginning: str = "inputs-") -> str:
    """The file in which this process, and no other, notes its inputs (or what else has a file for each process)."""
    from footsteps.recorder.machine import host_name

    host = "".join(c if c.isalnum() or c in "-." else "_" for c in host_name())
    return os.path.join(run.record, f"{beginning}{host}-{os.getpid()}.jsonl")


def facts_on_disk(directory: str) -> dict[str, Any]:
    """The run.json of a run's directory; empty where it can't be read."""
    name = os.path.join(directory, RECORD, RUN_JSON)
    try:
        return dict(from_json(content_of(name, LARGEST_FACTS).decode()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def is_code(run: Any, path: str) -> bool:
    """Whether a source is the program's own: the script, a loaded module, of a recorded repository."""
    script = (run.facts.get("script") or {}).get("path")  # at exit __main__ has no __file__ any more
    found = [one for one in run.facts.get("repositories") or [] if one.get("role") != "loose"]
    inside = any(path.startswith(os.path.join(str(one.get("path")), "")) for one in found)
    return inside or path == script or path in loaded_files()


def loaded_files() -> frozenset[str]:
    """The files of the modules that are loaded, looked up again when there are more of them."""
    count = len(sys.modules)
    if _loaded.get("count") != count:
        _loaded.update(count=count, files=frozenset(file for _, file, _ in source_files()))
    return _loaded["files"]  # type: ignore[no-any-return]


_loaded: dict[str, Any] = {}  # for how many modules, and their files
# --- from the import on ---------------------------------------------------------------------------


def install() -> None:
    """Begin to note, unless it was turned off or would move the place that a warning names."""
    if not FOLLOWS_INPUTS or sys.flags.warn_default_encoding:
        return
    ours = is_wrapper(io.open)  # of an earlier import
    kinds = [io.FileIO] if type(io.FileIO) is type else []
    found = holders_of([*(row[2] for row in followed_functions() if not ours), *kinds])  # before ours hold them too
    rows = () if ours else followed_functions()
    made = {id(original): wrapper(calling, module, original) for calling, module, original in rows}
    for kind in kinds:
        made[id(kind)] = class_standing_for(kind, lambda given, named: tracker.opened_by_library(FILE, given, named))
    if replace_in(found, made, _open):
        tracker.held = [HELD]
    tracker.noting = True
    follow_all(tracker.opened_by_library)
    tracker.in_pool()


FILE = (0, "file", "mode")  # io.FileIO, as a row of libraries.READERS_OF_FILES
HELD = "an open() that was captured before footsteps was imported"


def replace_in(holders: list[Any] | None, stands: dict[int, Any], wanted: Any = None) -> bool:
    """Put wrappers (or originals) in the place of others, given by their id; whether `wanted` is still held there.

    Whoever has taken them before we came is reached; where nobody can tell who has, the modules are.
    """
    reader = vars(sys.modules["_io"])  # import reads code by this one's open_code
    reader["open_code"] = stands.get(id(reader["open_code"]), reader["open_code"])
    if holders is None:
        replace_in_modules(stands)
        return True
    left = [holder for holder in holders if not replaced_in(holder, stands)]
    return any(holds(holder, wanted) for holder in left)


def follow_exit() -> None:
    """See which status sys.exit is given: from the import on, for `sys.exit(main())` looks it up before main begins."""
    sys.exit = wrapper(wrap_exit, "sys", original_of(sys.exit))


def uninstall() -> None:
    """Put the originals back where our wrappers still stand, and forget what was noted."""
    ours: list[Any] = [one for one in (io.open, io.open_code, *map(os.__dict__.get, OF_OS)) if is_wrapper(one)]
    replace_in(holders_of(ours), {id(one): one.original for one in ours})
    tracker.noting = False
    tracker.forget()
    for memory in (_names, tracker.pending):
        memory.clear()


OF_OS = {
    "open": wrap_os_open, "rename": wrap_rename, "replace": wrap_rename, "chdir": wrap_chdir, "fchdir": wrap_chdir,
    "system": wrap_system,
}  # fmt: skip


def followed_functions() -> list[tuple[Any, str, Any]]:
    """The functions whose calls are followed: what makes the call of the wrapper, their module, they themselves."""
    of_io = [(wrap_open, "io", _open), (wrap_open_code, "io", original_of(io.open_code))]
    return of_io + [
        (calling, "os", original_of(getattr(os, name))) for name, calling in OF_OS.items() if hasattr(os, name)
    ]


def end_process() -> None:
    """At the end of a process that has begun no run, or whose run the core module has ended already."""
    try:
        tracker.close()
        if waiting:
            hint = "call footsteps.initialize() at the top of the program, and they are kept however it ends"
            warn(f"recorded values are lost, as no run was begun; {hint}")
    except Exception as error:  # maybe its import: who has given up privileges may not read it any more
        if sys.stderr is not None:
            sys.stderr.write(f"footsteps: not recorded: {error!r}\n")


def follow_directory(run: Any) -> None:
    """Find the run's directory again, if it was made here, before something is added to its record."""
    if tracker.monitor is not None and tracker.monitor.run is run:
        tracker.monitor.follow_directory()


def follow_run(run: Any) -> None:
    """Record a run: called by the core module once its directory is filled, or was joined."""
    from . import outcome

    while waiting:
        append_line(run.record, "recorded", waiting.pop(0))
    tracker.begin(run)
    outcome.follow_end(run)


waiting: list[dict[str, Any]] = []  # what record() was given before there was a run
tracker = InputTracker()
_names, _collect = tracker.names, tracker.names.append
atexit.register(end_process)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=tracker.forked)
install()
follow_exit()
