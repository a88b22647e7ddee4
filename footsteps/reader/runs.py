"""A recorded run, read back: every format ever written.

    >>> from footsteps.reader import runs
    >>> run = runs.select("unet-3")              # or a path, "@", "@~1", a hash, a prefix
    >>> run.command, run.status, run.arguments["lr"]
    ('train.py --lr 0.1', 'finished', 0.1)

`find` gives the runs below some roots, `newest_first` orders them, `select` finds the one
that a person means. A `Run` reads its files when it is first asked and never raises for what
a record holds: what is damaged is a `Problem` in `Run.damage`, the rest is there.
Nothing here writes, prints, or starts a process.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property

from footsteps.reader.formats import (
    CLOSED,
    DAMAGED,
    READERS,
    Problem,
    differs_from_commit,
    info_sections,
    is_number,
    kind_of_record,
    mapping,
    merged_inputs,
    merged_repositories,
    objects,
    read_bytes,
    read_lines,
    read_object,
    record_files,
    seconds,
    text,
    unique,
)
from footsteps.reader.notes import notes_in, tags_in
from footsteps.reader.series import Series, all_series
from footsteps.recorder.format import (
    BUNDLES_JSON,
    DIFF,
    INFO,
    LATE_JSON,
    NOTES,
    OUTCOME_JSON,
    OUTPUT_ROOT,
    RECORD,
    RECORDED,
    RUN_JSON,
    FootstepsError,
    quote,
)
from footsteps.recorder.machine import host_name
from footsteps.recorder.resume import records_of
from footsteps.recorder.settings import configured_root, folders_up

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

LT_RECORDS = "lt_records"
BELOW_A_RUN = 3  # levels searched inside a run for one named `outer/inner`: artifacts lie there
OUTCOMES = ("finished", "failed", "interrupted", "exited")
STATUSES = (*OUTCOMES, "running", "died", "unknown")
UNTOLD = -1  # no time at which a directory was last changed
RUN_ATTRIBUTES = (
    "name", "directory", "kind", "status", "started", "duration", "changed", "arguments",
    "argument_facts", "recorded", "repositories", "outcome", "inputs", "parents",
    "tags", "notes",
)  # fmt: skip
STARTING = 60.0  # seconds in which a run's record comes into its directory
ENDING = 10.0  # seconds within which a program that has told its outcome writes what it has left open
LOOP = "not followed, a link back to a folder above it"


# ---------------------------------------------------------------------------------------------
# One run
# ---------------------------------------------------------------------------------------------


EMPTY: dict[str, Callable[[], object]] = {
    "str": str, "float": float, "bytes": bytes, "bool | None": lambda: None, "dict[str, Any]": dict,
    "dict[str, str]": dict, "list[dict[str, Any]]": list, "list[str]": list, "list[dict[str, str]]": list,
    "dict[str, Series]": dict, "int": int, "float | None": lambda: None, "str | None": lambda: None,
}  # fmt: skip
BAD = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
if TYPE_CHECKING:
    told = cached_property
else:

    class told(cached_property):  # noqa: N801 - it is used as cached_property is
        """A property of a run, had once; where the record is damaged so that it can't be had, empty, and a problem.

        So one bad record is a row among others, and never the end of what was asked of all.
        """

        def __get__(self, run: Run | None, owner: type | None = None) -> Any:
            """The value, from the record or from before."""
            try:
                return super().__get__(run, owner)
            except BAD as error:
                run.damage.append(Problem(DAMAGED, run.directory, f"{self.attrname}: {error or type(error).__name__}"))
                value = "unknown" if self.attrname == "status" else EMPTY[self.func.__annotations__["return"]]()
                return vars(run).setdefault(self.attrname, value)


class Run:
    """One recorded run, of whatever format; cheap to make, read when asked.

    directory: absolute path without a slash at the end, where the record lies now (it may have
    been moved); root: the directory that `name` is relative to, absolute as well; kind: "run" (format 1),
    "arguments" (an LTParser record of ours), "footsteps 0.1" or "lite_tracer".
    """

    def __init__(self, directory: str, root: str = "", kind: str | None = None) -> None:
        if kind is None:  # else it comes from a walk, in which both are absolute
            directory, root = os.path.abspath(directory), os.path.abspath(root) if root else ""
        self.directory, self._root = directory, root
        self._kind = kind
        self.damage: list[Problem] = []

    def __repr__(self) -> str:
        return f"<Run {self.name!r} in {self.directory!r}>"

    def _repr_html_(self) -> str:
        """What a notebook shows of it: asked for by name, as the view stands on the readers and only notebooks ask."""
        from importlib import import_module

        return str(import_module("footsteps.view.notebook").run_html(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.directory == self.directory

    def __hash__(self) -> int:
        return hash(self.directory)

    # where it is and what it is called

    @property
    def record(self) -> str:
        """The absolute path of the `.footsteps` folder (which older formats do not have)."""
        return os.path.join(self.directory, RECORD)

    @told
    def root(self) -> str:
        """The output root: where `find` met the run, else what its recorded name leaves over."""
        if self._root:
            return self._root
        tail = os.path.join(os.sep, *text(self.facts.get("name")).split("/"))
        if len(tail) > 1 and self.directory.endswith(tail):
            return self.directory[: -len(tail)] or os.sep
        return os.path.dirname(self.directory)

    @told
    def name(self) -> str:
        """The directory below the root, with slashes: `exp/unet-3`."""
        if self.directory == self.root:
            return os.path.basename(self.directory)
        if self.directory.startswith(self.root + os.sep):
            return self.directory[len(self.root) + 1 :].replace(os.sep, "/")
        return os.path.relpath(self.directory, self.root).replace(os.sep, "/")

    @told
    def kind(self) -> str:
        """What wrote it: "run", "arguments", "footsteps 0.1" or "lite_tracer"."""
        kind = self._kind or kind_of_record(self.directory) or "run"
        return "arguments" if kind == "run" and self.facts.get("kind") == "arguments" else kind

    # what was recorded

    @told
    def facts(self) -> dict[str, Any]:
        """The content of run.json, or the same keys as far as an older format knew them."""
        kind = self._kind or kind_of_record(self.directory) or "run"
        return READERS[kind](self.directory, self.damage)

    @told
    def records(self) -> list[str]:
        """The record, and those of later sessions where the run was resumed, in order; see `recorder.resume`."""
        return records_of(self.directory)

    @told
    def last_facts(self) -> dict[str, Any]:
        """The content of run.json of the last session: the process that writes now."""
        if len(self.records) == 1:
            return self.facts
        return read_object(os.path.join(self.records[-1], RUN_JSON), self.damage) or {}

    @told
    def sessions(self) -> list[dict[str, Any]]:
        """An object for each time that the program ran here: started, status, duration, command, code_id, commit."""
        if len(self.records) == 1:
            return [session_of(self.facts, self.outcome)]
        each = [[read_object(os.path.join(record, name), self.damage) or {} for name in (RUN_JSON, OUTCOME_JSON)]
                for record in self.records]  # fmt: skip
        return [session_of(facts, outcome) for facts, outcome in each]

    @told
    def outcome(self) -> dict[str, Any]:
        """How it ended and what it made (outcome.json, of the last session); empty if it has not, or did not say."""
        return read_object(os.path.join(self.records[-1], OUTCOME_JSON), self.damage) or {}

    @told
    def log(self) -> list[dict[str, Any]]:
        """The lines of recorded.jsonl in order: {"time", "kind", "pid", "values"}."""
        return [line for each in self.records for line in read_lines(os.path.join(each, RECORDED), self.damage)]

    def logged(self, kind: str) -> dict[str, Any]:
        """The values appended under one kind, later ones over earlier ones."""
        merged: dict[str, Any] = {}
        for line in self.log:
            if line.get("kind") == kind:
                merged.update(mapping(line.get("values")))
        return merged

    @told
    def recorded(self) -> dict[str, Any]:
        """What the program recorded with `footsteps.record`, the last value of each name."""
        return self.logged("recorded")

    @told
    def arguments(self) -> dict[str, Any]:
        """The parsed arguments by name, as a parser said or the command line itself; {} where there are none."""
        late, parsed = self.logged("arguments"), self.facts.get("arguments")
        early = parsed if parsed is not None or late else self.facts.get("parsed_argv")  # which is a guess
        return {**mapping(early), **mapping(late.get("arguments", late))}

    @told
    def argument_facts(self) -> dict[str, Any]:
        """LTParser's own: hash_code, base_hash_code, git_label ...; {} without LTParser."""
        late = self.logged("arguments")
        later = {key: late[key] for key in late if key != "arguments" and "arguments" in late}
        return {**mapping(self.facts.get("argument_facts")), **later}

    @told
    def repositories(self) -> list[dict[str, Any]]:
        """The recorded repositories, with what late.json and bundles.json add.

        Each as in run.json; `files`, `left_out` and `edited` (files that were changed while the run
        went on) are always lists of objects, and `bundles` holds the entries of bundles.json for it.
        """
        late = read_object(os.path.join(self.record, LATE_JSON), self.damage) or {}
        bundles = read_object(os.path.join(self.record, BUNDLES_JSON), self.damage) or {}
        return merged_repositories(self.facts, late, bundles)

    @told
    def packages(self) -> dict[str, str]:
        """Installed packages: version by name, names as they were written."""
        listed = objects(self.facts.get("packages"))
        return {text(p.get("name")): text(p.get("version")) for p in listed}

    @told
    def artifacts(self) -> list[dict[str, Any]]:
        """The files that it made: {path (below the directory), size, mtime_ns, sha256 or None}.

        As its manifest says, which was written just before the program ended: a file that was still
        open then has the size and time that the end of the program gave it, and no hash.
        """
        listed = [a for a in objects(self.outcome.get("artifacts")) if text(a.get("path"))]
        ended = seconds(text(self.outcome.get("ended")))
        return [self.as_left(entry, ended) if entry.get("left_open") else entry for entry in listed]

    def as_left(self, entry: dict[str, Any], ended: float) -> dict[str, Any]:
        """An entry of the manifest, as the file lay there once the program had ended at about that time."""
        try:
            found = os.lstat(os.path.join(self.directory, entry["path"]))
        except (OSError, ValueError):
            return entry
        as_listed = (found.st_size, found.st_mtime_ns) == (entry.get("size"), entry.get("mtime_ns"))
        by_its_end = ended - ENDING < found.st_mtime < ended + ENDING
        if as_listed or not by_its_end or "target" in entry or os.pardir in entry["path"].split("/"):
            return entry
        return {**entry, "size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": None}

    @told
    def inputs(self) -> list[dict[str, Any]]:
        """Files read: {path (absolute), size, mtime_ns, sha256 or None} or {directory, count}."""
        each = [merged_inputs(record, self.damage) for record in self.records]
        if len(each) == 1:
            return each[0]
        last = {repr((entry.get("path"), entry.get("directory"))): entry for entries in each for entry in entries}
        return list(last.values())

    @told
    def parents(self) -> list[dict[str, Any]]:
        """The runs that launched this one or whose artifacts it read: {id, name, directory}."""
        late = [line.get("values") for line in self.log if line.get("kind") == "parent"]
        return unique([self.facts.get("parent"), *late], "directory")

    @told
    def all_series(self) -> dict[str, Series]:
        """What the program recorded as a number more than once, whole, by dotted name."""
        return {name: series for name, series in all_series(self.log).items() if len(series) > 1}

    def series(self, name: str) -> Series:
        """All values of one recorded name, with their steps; empty if it was never recorded as a number."""
        return all_series(self.log).get(name, Series())

    @told
    def note_lines(self) -> list[dict[str, Any]]:
        """The lines of notes.jsonl, as people added them later; see `footsteps.reader.notes`."""
        return read_lines(os.path.join(self.record, NOTES), self.damage)

    @told
    def notes(self) -> list[dict[str, str]]:
        """What people noted: {"time", "user", "host", "note"}, oldest first."""
        return notes_in(self.note_lines)

    @told
    def tags(self) -> list[str]:
        """The tags that people gave it."""
        return tags_in(self.note_lines)

    # what follows from it

    @property
    def path(self) -> str:
        """The run's directory, ending in a slash, as `output_dir` had it: `run.path + "weights.pt"`."""
        return os.path.join(self.directory, "")

    @told
    def id(self) -> str:
        """The run's own id, or "" in older formats."""
        return text(self.facts.get("id"))

    @told
    def code_id(self) -> str:
        """The id of the exact code, hex, or "" in older formats."""
        return text(self.facts.get("code_id"))

    @told
    def hash_code(self) -> str:
        """LTParser's `hash_code`, or ""."""
        return text(self.argument_facts.get("hash_code"))

    @told
    def repository(self) -> dict[str, Any]:
        """The working directory's repository, else the first recorded one, else {}."""
        own = [r for r in self.repositories if r.get("role") == "cwd"]
        return next(iter(own + self.repositories), {})

    @property
    def commit(self) -> str:
        """The working directory's commit: full in format 1, as recorded in older ones, or ""."""
        return text(self.repository.get("commit"))

    @told
    def changed(self) -> bool | None:
        """Whether the code differed from its commit; None where there was no commit."""
        if not any(r.get("commit") for r in self.repositories):
            return None
        return any(differs_from_commit(r) for r in self.repositories)

    @property
    def command(self) -> str:
        """The command, one line that can be pasted into a shell."""
        return text(self.facts.get("command"))

    @property
    def started(self) -> str:
        """When it began, ISO 8601 with zone; from the file's time in older formats."""
        return text(self.facts.get("started"))

    @told
    def start(self) -> float:
        """When it began, seconds since 1970; 0.0 if the record does not say."""
        return seconds(self.started)

    @told
    def status(self) -> str:
        """finished, failed, interrupted, exited, running, died, did not start, or unknown (from here).

        finished: with exit status 0; exited: with another one; failed: by an exception; unknown: it ended, or may have
        ended, and nobody knows how. "running" is said only while the recorded process, by its pid and creation time
        on this host and boot, is alive; so it is never said for ever.
        """
        said, number = self.outcome.get("status"), self.outcome.get("exit_status")
        if said == "exited" and number in (0, None):  # as footsteps before 1.2 said it
            said = "unknown" if number is None else "finished"
        if said == "finished" and any(line.get("kind") == "rank" for line in self.log):
            return "failed"  # one of the ranks has, which the maker of the record was not
        if said in (*OUTCOMES, "unknown"):
            return str(said)
        if not self.facts and did_not_start(self.directory):
            return "did not start"
        lives = is_alive(self.last_facts)
        if lives is False and any(goes_on(line) for line in self.log):
            return "running"
        if lives or lives is None or self.last_facts.get("outcome_expected") is not True:
            return "running" if lives else "unknown"
        return "died"

    @property
    def duration(self) -> float | None:
        """Seconds it took, or has taken so far while it runs; None if it can't be known."""
        took = self.outcome.get("duration")
        if isinstance(took, (int, float)) and is_number(took):
            return float(took) + sum(each["duration"] or 0.0 for each in self.sessions[:-1])
        if self.status != "running" or not self.start:
            return None
        import time

        return max(0.0, time.time() - self.start)

    @told
    def diff(self) -> bytes:
        """The uncommitted changes as a patch, as git gave it; b"" if there were none."""
        if self.kind == "lite_tracer" or (self.kind == "arguments" and self.patch_file):
            return read_bytes(self.patch_file, self.damage)
        whole = read_bytes(os.path.join(self.record, DIFF), self.damage)
        return whole or info_sections(os.path.join(self.directory, INFO), self.damage)[4]

    @told
    def patch_file(self) -> str:
        """The path of LiteTracer's diff.patch, or "" where there is none."""
        path = os.path.join(self.directory, "diff.patch")
        return path if os.path.isfile(path) else ""

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """The files in the run's directory now, without `.footsteps`: path below it, and stat."""
        return record_files(self.directory)

    def everything(self) -> dict[str, Any]:
        """All that is known as one JSON-able object: run.json's keys and, over them, ours."""
        own = {key: getattr(self, key) for key in RUN_ATTRIBUTES}
        damage = [f"{problem.path}: {problem.detail or problem.kind}" for problem in self.damage]
        return {**self.facts, **own, "series": self.all_series, "sessions": self.sessions, "damage": damage}


class Session(Run):
    """A later session of a resumed run as if it were a run: its own facts, code and end, in the run's directory."""

    def __init__(self, run: Run, record: str) -> None:
        super().__init__(run.directory, run.root, run.kind)
        self._record = record

    @property
    def record(self) -> str:
        """The absolute path of the session's record, below that of the run."""
        return self._record

    @told
    def records(self) -> list[str]:
        """Its record alone."""
        return [self.record]

    @told
    def facts(self) -> dict[str, Any]:
        """The content of the session's run.json."""
        return read_object(os.path.join(self.record, RUN_JSON), self.damage) or {}

    @told
    def diff(self) -> bytes:
        """The session's uncommitted changes as a patch; info.txt has only the first one's."""
        return read_bytes(os.path.join(self.record, DIFF), self.damage)


def session_numbered(run: Run, number: int) -> Run:
    """A session of a run, counted from 1, which is the run's own record. Raises FootstepsError if there is none."""
    if not 1 <= number <= len(run.records):
        there = f"there are {len(run.records)}" if len(run.records) > 1 else "it was never resumed"
        raise FootstepsError(
            f"{run.name!r} has no session {number}: {there}", hint=f"footsteps show {quote([run.name])}"
        )
    return run if number == 1 else Session(run, run.records[number - 1])


def session_of(facts: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of one session of a run."""
    repositories = objects(facts.get("repositories")) or [{}]
    known = {key: facts.get(key) for key in ("started", "command", "code_id")}
    ended = {key: outcome.get(key) for key in ("status", "duration")}
    return {**known, **ended, "commit": repositories[0].get("commit")}


# ---------------------------------------------------------------------------------------------
# Is it still alive?
# ---------------------------------------------------------------------------------------------


def did_not_start(directory: str) -> bool:
    """Whether a run's directory was made, and no record came into it within a minute: it was killed meanwhile."""
    import time

    record = os.path.join(directory, RECORD)
    try:
        began = os.stat(record).st_mtime
    except OSError:
        return False
    named = any(os.path.lexists(path) for path in (os.path.join(record, RUN_JSON), os.path.join(directory, INFO)))
    return not named and time.time() - began > STARTING


def is_alive(facts: Mapping[str, Any]) -> bool | None:
    """Whether the recorded process runs; None where that can't be known from here."""
    process = mapping(facts.get("process"))
    pid, boot = process.get("pid"), text(process.get("boot_id"))
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    here = facts.get("host") == host_name()
    if boot and boot != boot_id():
        return False if here else None
    namespace = text(process.get("pid_namespace"))
    if namespace and namespace != own_pid_namespace():  # a container's, or seen from one: its pids are others' here
        return None
    lives = same_process(pid, process)
    return lives if lives or here else None


def own_pid_namespace() -> str:
    """What names the pid namespace of this process on Linux, else ""."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except (OSError, AttributeError):
        return ""


def boot_id() -> str:
    """What names this boot of this machine on Linux, else ""."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def same_process(pid: int, process: Mapping[str, Any]) -> bool:
    """Whether the process with this pid is the recorded one and not a later one with its number."""
    ticks = process.get("ticks")
    if ticks is not None and sys.platform == "linux":  # unlike created, not moved by the clock
        return bool(start_ticks(pid) == ticks)
    import psutil

    try:
        found = psutil.Process(pid)
        created = float(process.get("created") or 0.0)
        zombie = found.status() == psutil.STATUS_ZOMBIE
        return not zombie and abs(float(found.create_time()) - created) < 2
    except (psutil.Error, TypeError, ValueError, OverflowError):
        return False


def goes_on(line: Mapping[str, Any]) -> bool:
    """Whether a line of recorded.jsonl tells of a child that lives as a daemon: in a session of its own."""
    child = mapping(line.get("values")) if line.get("kind") == "process" else {}
    pid, session = child.get("pid"), child.get("session")
    if not isinstance(pid, int) or not hasattr(os, "getsid") or start_ticks(pid) != child.get("ticks"):
        return False
    try:
        return os.getsid(pid) != session
    except OSError:
        return False


def start_ticks(pid: int) -> int | None:
    """When a process started in clock ticks since boot (Linux); None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            after_name = file.read().rpartition(b")")[2].split()
        return None if after_name[0] in (b"Z", b"X") else int(after_name[19])
    except (OSError, IndexError, ValueError):
        return None


# ---------------------------------------------------------------------------------------------
# Many runs
# ---------------------------------------------------------------------------------------------


def default_roots(base: str = "") -> list[str]:
    """The output root and lt_records below `base` (default: here), those of them that exist.

    Without `base` the root is the one that is set (FOOTSTEPS_ROOT, pyproject.toml, setup.cfg), else results/ here,
    or in the nearest folder above, as git finds its repository from a sub-folder.
    """
    if base:
        return roots_in(base, OUTPUT_ROOT)
    configured = configured_root()
    if configured:
        return roots_in("", configured)
    return next(filter(None, (roots_in(folder, OUTPUT_ROOT) for folder in places_up())), [])


def places_up() -> Iterator[str]:
    """Here and the folders above: "", "..", "../.." as far as the repository reaches."""
    above = list(folders_up(os.path.realpath(os.curdir)))
    return (os.path.join(*[os.pardir] * number) if number else "" for number in range(len(above)))


def roots_in(base: str, root: str) -> list[str]:
    """The output root and lt_records below a folder, those of them that exist."""
    wanted = [os.path.join(base, os.fspath(root)), os.path.join(base, LT_RECORDS)]
    return [root for root in wanted if os.path.isdir(root)]


def find(roots: Iterable[str] | None = None, problems: list[Problem] | None = None) -> Iterator[Run]:
    """Every run below the roots (default: `default_roots()`), in no particular order, each once.

    Groups are searched to any depth, the inside of a run a few levels deep; links in groups are
    followed where they do not lead back. What can't be opened is added to `problems`.
    """
    seen: set[str] = set()
    for root in default_roots() if roots is None else roots:
        if os.path.isfile(root):
            from footsteps.reader import archive

            yield from archive.runs_of(root, problems)
            continue
        yield from Walk(root, [] if problems is None else problems, seen).runs()


class Walk:
    """One search below a root: what it has seen, what stood in its way, the groups it came by.

    groups: when each directory that is no run was last changed (ns), by its path; UNTOLD for one of
    which there is something to say each time.
    """

    def __init__(self, root: str, problems: list[Problem], seen: set[str] | None = None) -> None:
        self.root, self.top = os.path.abspath(root), os.path.realpath(root)
        self.problems = problems
        self.seen: set[str] = set() if seen is None else seen
        self.links: list[str] = []
        self.groups: dict[str, int] = {}

    def runs(self, start: str = "") -> Iterator[Run]:
        """The runs at and below a directory (default: the root), those behind links last."""
        start = start or self.root
        if os.path.islink(start) and start != self.root:
            self.links.append(start)
        else:
            yield from self.visit(start, os.path.realpath(start))
        while self.links:
            path = self.links.pop(0)
            real = os.path.realpath(path)
            if (self.top + os.sep).startswith(real.rstrip(os.sep) + os.sep):
                self.problems.append(Problem(LOOP, path, f"-> {real}"))
                self.groups[os.path.dirname(path)] = UNTOLD
            elif not real.startswith(self.top + os.sep):  # what lies below the root has its own name
                yield from self.visit(path, real)

    def visit(self, start: str, real: str) -> Iterator[Run]:
        """The runs at and below a directory; `real` is where it lies when links are followed."""
        folders = [(start, real, BELOW_A_RUN + 1)]
        while folders:
            path, real, left = folders.pop()
            if real in self.seen:
                continue
            self.seen.add(real)
            kind = kind_of_record(path)
            if kind:
                yield Run(path, self.root, kind)
            if kind and left <= BELOW_A_RUN:
                self.note_folders_between(path)
            if kind:
                left = BELOW_A_RUN
            if left > 0 and not (kind and has_no_folders(path, kind)):
                left -= left <= BELOW_A_RUN
                names = self.folders(path, grouping=not kind and left > BELOW_A_RUN)
                above, above_real = os.path.join(path, ""), os.path.join(real, "")
                folders += [(above + name, above_real + name, left) for name in names]

    def note_folders_between(self, inner: str) -> None:
        """Take the folders between a run and one inside of it for groups: the next one may come there."""
        folder = os.path.dirname(inner)
        while folder != self.root and not kind_of_record(folder):
            self.groups[folder] = os.stat(folder).st_mtime_ns
            folder = os.path.dirname(folder)

    def folders(self, path: str, grouping: bool = False) -> list[str]:
        """The names of a directory's folders, hidden ones left out; a group's links are for later."""
        names = []
        try:
            if grouping:
                self.groups[path] = os.stat(path).st_mtime_ns
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
                    elif grouping and entry.is_symlink() and os.path.isdir(entry.path):
                        self.links.append(entry.path)
        except OSError as error:
            self.problems.append(Problem(CLOSED, path, error.strerror or str(error)))
            self.groups[path] = UNTOLD  # opening it again would not change its time
        return names


def has_no_folders(path: str, kind: str) -> bool:
    """Whether a run's directory surely holds no folder but its record (by its link count)."""
    try:
        return os.stat(path).st_nlink == (3 if kind == "run" else 2)
    except OSError:
        return True


def newest_first(runs: Iterable[Run]) -> list[Run]:
    """The runs by when they began, the newest first; name and directory decide between equals."""
    return sorted(runs, key=lambda run: (run.start, run.id, run.directory), reverse=True)


# ---------------------------------------------------------------------------------------------
# The run that a person means
# ---------------------------------------------------------------------------------------------


def load(directory: str | os.PathLike[str]) -> Run:
    """The run recorded in a directory. Raises FootstepsError if there is none."""
    path = os.path.abspath(os.fspath(directory))
    kind = kind_of_record(path)
    if not kind:
        where = os.fspath(directory)
        raise FootstepsError(f"no run is recorded in {where!r}", hint="footsteps list")
    return Run(path, "", kind)


def select(selector: str, roots: Sequence[str] | None = None, among: Iterable[Run] | None = None) -> Run:
    """The run that a selector names.

    selector: a name, a path, `@` for the newest and `@~N` for the Nth before it, a `hash_code`,
    an id, a code id, or a prefix of one of them that fits a single run. roots: where to look
    (default: `default_roots()`). among: the runs to choose from, where they are known already.
    Raises FootstepsError, which lists the candidates or the nearest names.
    """
    roots = default_roots() if roots is None else roots
    for run in named_directly(selector, roots):
        return run
    runs = list(find(roots)) if among is None else list(among)
    if not selector:
        raise unknown(selector, runs, roots)
    if selector.startswith("@"):
        return nth_newest(selector, runs, roots)
    for fits in (by_glob, by_name_prefix, by_id):
        found = fits(selector, runs)
        if found:
            return only(found, selector)
    raise unknown(selector, runs, roots)


def named_directly(selector: str, roots: Sequence[str]) -> list[Run]:
    """The run whose directory the selector spells: below a root, or as a path."""
    below = [os.path.join(root, selector) for root in roots if selector.strip("./")]
    for path in map(os.path.abspath, [*below, os.path.expanduser(selector)]):
        kind = kind_of_record(path) if selector else None
        if kind:
            above = [top for top in map(os.path.abspath, roots) if path.startswith(top + os.sep)]
            return [Run(path, above[0] if above else "", kind)]
    if ".zip" in selector:
        from footsteps.reader import archive

        run = archive.run_named(os.path.expanduser(selector))
        return [run] if run else []
    return []


def nth_newest(selector: str, runs: list[Run], roots: Sequence[str]) -> Run:
    """The run that `@` or `@~N` names (`@~` is `@~1`, as git has it)."""
    mark, number = selector[:2], selector[2:] or str(len(selector) - 1)
    if mark not in ("@", "@~") or not (number.isascii() and number.isdigit()):
        raise FootstepsError(f"cannot read {selector!r}", hint="@ is the newest run, @~1 the one before it")
    if int(number) >= len(runs):
        message = f"no run {selector!r}: {len(runs)} recorded in {roots_said(roots)}"
        raise FootstepsError(message, hint="footsteps list")
    return newest_first(runs)[int(number)]


def by_glob(selector: str, runs: list[Run]) -> list[Run]:
    """Runs whose name fits a pattern with `*`, `?` or `[...]`."""
    if not any(mark in selector for mark in "*?["):
        return []
    from fnmatch import fnmatchcase

    return [run for run in runs if fnmatchcase(run.name, selector)]


def by_name_prefix(selector: str, runs: list[Run]) -> list[Run]:
    """Runs whose name, else whose last part of the name, is or begins with the selector."""
    key = selector.rstrip("/").replace(os.sep, "/")
    if not key:  # of a path, which all names would begin with
        return []
    names = [(run, (run.name, run.name.rpartition("/")[2])) for run in runs]
    return [run for run, of in names if key in of] or [
        run for run, of in names if any(one.startswith(key) for one in of)
    ]


def by_id(selector: str, runs: list[Run]) -> list[Run]:
    """Runs whose id, hash_code or code id is or begins with the selector (of four characters)."""
    if len(selector) < 4:
        return []
    ids = [(run, (run.id, run.hash_code, run.code_id)) for run in runs]
    return [run for run, of in ids if selector in of] or [
        run for run, of in ids if any(one.startswith(selector) for one in of)
    ]


def only(found: list[Run], selector: str) -> Run:
    """The one run found. Raises FootstepsError that lists the candidates if there are several."""
    if len(found) == 1:
        return found[0]
    names = [run.name for run in newest_first(found)]
    listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
    message = f"{selector!r} fits {len(names)} runs: {listed}"
    raise FootstepsError(message, hint=f"footsteps show {quote(names[:1])}")


def unknown(selector: str, runs: list[Run], roots: Sequence[str]) -> FootstepsError:
    """The error for a selector that fits nothing, with the nearest names."""
    inside = [run for run in runs if selector and run.directory.startswith(os.path.abspath(selector) + os.sep)]
    if inside:
        return FootstepsError(f"{selector!r} is a group of {len(inside)} runs", f"footsteps list {quote([selector])}")
    if os.path.isfile(selector):
        hint = f"footsteps trace {quote([selector])} tells which run made it"
        return FootstepsError(f"{selector!r} is a file and no run", hint)
    near = guess(selector, [run.name for run in runs], most=3, alike=0.5)
    return FootstepsError(f"no run {selector!r} in {roots_said(roots)}{near}", hint="footsteps list")


def guess(word: str, known: Iterable[str], *, most: int = 1, alike: float = 0.6) -> str:
    """What may have been meant by a word, of what is known, for the end of a sentence; "" without an idea."""
    near = close_to(word, known, most=most, alike=alike)
    return f" (did you mean {', '.join(map(repr, near))}?)" if near else ""


def close_to(word: str, known: Iterable[str], *, most: int = 1, alike: float = 0.6) -> list[str]:
    """Those of the known words that are most like one, whatever its case."""
    import difflib

    names = {name.casefold(): name for name in known}
    return [names[found] for found in difflib.get_close_matches(word.casefold(), names, n=most, cutoff=alike)]


def roots_said(roots: Sequence[str]) -> str:
    """The roots as a person wrote them, for a sentence; where there are none, that there is none."""
    return ", ".join(repr(os.fspath(root)) for root in roots) or f"{os.fspath(OUTPUT_ROOT)!r} (no such directory here)"
