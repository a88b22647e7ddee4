"""LTParser: argparse whose arguments know the code that read them.

    from footsteps import LTParser

    parser = LTParser("train a network")
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()
    path = f"results/{args.hash_code}.csv"

``args.hash_code`` names the commit, the arguments, the uncommitted changes and the untracked files;
``lt_records/<hash_code>/`` keeps all four:

    settings_<hash_code>.txt    the arguments on one line without an end, for ``parse_known_args``
    diff.patch                  the uncommitted changes, for ``git apply``
    untracked/                  the files that git does not know
    .footsteps/                 the same, exactly, for ``footsteps restore``
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from footsteps.recorder.bundle import make_in_background
from footsteps.recorder.code import capture_code
from footsteps.recorder.format import (
    FORMAT,
    INFO,
    OUTPUT_ROOT,
    RECORD,
    RECORDED,
    RUN_JSON,
    VERSION,
    FootstepsError,
    Locked,
    append,
    as_json,
    collected,
    current,
    encoded,
    is_bytecode,
    iso,
    printable,
    quietly,
    remove,
    text_of,
    warn,
    write,
)
from footsteps.recorder.processes import is_multiprocessing_child, process_row
from footsteps.recorder.ranks import current_job
from footsteps.recorder.rendezvous import Rendezvous
from footsteps.recorder.secrets import note_secrets
from footsteps.recorder.steps import BEGUN_LISTENERS, COLLECTORS, note_arguments

from .arguments import (
    ADDED,
    PLAIN_TYPES,
    Parsed,
    canonical_json,
    digest,
    holds_secret,
    is_argument,
    namespace_values,
    option_names,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from footsteps.recorder.code import Code

    Texts = Mapping[int, Sequence[str]]
    Words = Sequence[str] | None

__all__ = ["LTParser"]

RECORD_DIR = "lt_records"
PATIENCE_WITH_GIT = 3  # times GIT_TIMEOUT for git: what it does not tell in time makes another id of the same code
SETTINGS_FILE = "settings_{}.txt"  # LiteTracer's name for it
LT_PATCH = "diff.patch"
UNTRACKED_FOLDER = "untracked"
SHORT = 16  # hexadecimal digits: 64 bits for each half, an even chance of a collision at 5e9 runs
PARSED_VARIABLE = "FOOTSTEPS_PARSED"  # tells multiprocessing children what their parent recorded
LAST_PARSES = 20  # that it holds; with a long environment nothing can be started
MOST_UNTRACKED = 10_000

# ---------------------------------------------------------------------------
# The parser
# ---------------------------------------------------------------------------


class _Subcommands(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """``add_subparsers()`` of an LTParser: the parsers of subcommands have no records of their own."""

    def add_parser(self, *given: Any, **named: Any) -> Any:
        LTParser._is_of_subcommand = True  # noqa: SLF001
        try:
            return super().add_parser(*given, **named)
        finally:
            LTParser._is_of_subcommand = False  # noqa: SLF001


class LTParser(argparse.ArgumentParser):
    """An ArgumentParser that records what it parsed, and adds the record's id to the namespace.

    ``parse_args``, ``parse_intermixed_args``, and ``parse_known_args`` without a list of arguments
    record; ``parse_known_args`` with one only parses, as programs read settings back with it.

    Args:
        description: as of ArgumentParser, but the first word; all others are given by name.
        record_dir: where records are made; the folder itself as soon as there is a parser.
        on_suspicion: "warn", "error" or "ignore", when this code ran with these arguments before.
        short_hash: 64 bits for each half of the id; False: 256.
        ids_in_namespace: False leaves ``hash_code``, ``base_hash_code`` and ``git_label`` out of the
            namespace, for ``main(**vars(parser.parse_args()))``.
        options: what ArgumentParser takes.

    Attributes:
        hash_code, base_hash_code, git_label: as in the namespace; "" before parsing.
        record_path: directory of the record; None before parsing, or if it could not be made.
        args_file: the settings file in it.

    Raises:
        ValueError: ``on_suspicion`` is another word.
        FootstepsError: from parsing, with ``on_suspicion="error"``, for a known state.
    """

    def __init__(
        self,
        description: str | None = None,
        *,
        record_dir: str | os.PathLike[str] = RECORD_DIR,
        on_suspicion: str = "warn",
        short_hash: bool = True,
        ids_in_namespace: bool = True,
        **options: Any,
    ) -> None:
        if on_suspicion not in ("warn", "error", "ignore"):
            raise ValueError(f"on_suspicion is 'warn', 'error' or 'ignore', not {on_suspicion!r}")
        super().__init__(description=description, **options)
        self.record_dir = os.fspath(record_dir)
        self.on_suspicion = on_suspicion
        self.short_hash = short_hash
        self.ids_in_namespace = ids_in_namespace
        self.hash_code = self.base_hash_code = self.git_label = ""
        self.record_path: str | None = None
        self.args_file: str | None = None
        self._texts: dict[int, list[str]] = {}
        self._given: dict[str, list[str]] = {}
        self._command: str | None = None
        self.register("action", "parsers", _Subcommands)
        if not self._is_of_subcommand:
            _make_folder(self.record_dir)

    _is_of_subcommand = False  # set while one is made

    if not TYPE_CHECKING:  # checkers see argparse's own signatures

        def parse_args(self, args: Words = None, namespace: Any = None) -> Any:
            """Parse, record, and return the namespace with ``hash_code``."""
            words = _given(args)
            return self._recorded(words, super().parse_args(words, namespace))

        def parse_intermixed_args(self, args: Words = None, namespace: Any = None) -> Any:
            """Parse, record, and return the namespace with ``hash_code``."""
            words = _given(args)
            return self._recorded(words, super().parse_intermixed_args(words, namespace))

        def parse_known_args(self, args: Words = None, namespace: Any = None) -> Any:
            """Parse; record only if ``args`` is left to the command line.

            argparse itself calls this from all others, and for subparsers, always with a list.
            """
            self._command = None
            if namespace is None:  # else what it holds was given to us before, as the intermixed ones do
                self._given = {}
            words = _given(args)
            parsed, rest = super().parse_known_args(words, namespace)
            return (self._recorded(words, parsed, rest) if args is None else parsed), rest

        def parse_known_intermixed_args(self, args: Words = None, namespace: Any = None) -> Any:
            """Parse; record only if ``args`` is left to the command line."""
            self._given = {}
            words = _given(args)
            parsed, rest = super().parse_known_intermixed_args(words, namespace)
            return (self._recorded(words, parsed, rest) if args is None else parsed), rest

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """argparse's, noting the words: an action may make anything of them."""
        if isinstance(action, argparse._SubParsersAction) and arg_strings:  # noqa: SLF001
            self._command = arg_strings[0]
        self._given.setdefault(action.dest, []).extend(arg_strings)
        note_secrets(w for w in arg_strings if without_secrets(option_names(action), w) != w)
        return super()._get_values(action, arg_strings)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """argparse's, noting the word of a value without a text, as ``type=open`` makes."""
        value = super()._get_value(action, arg_string)
        if not isinstance(value, PLAIN_TYPES):
            if len(self._texts) > MOST_UNTRACKED:  # a program that parses in a loop
                self._texts.clear()
            self._texts[id(value)] = [arg_string]
        if holds_secret(option_names(action), value):
            note_secrets([arg_string])
        return value

    def _recorded(self, words: list[str], namespace: Any, rest: Sequence[str] = ()) -> Any:
        """The namespace, with what was recorded of it."""
        recorded = _recorded(self, words, namespace, list(rest))
        self.record_path, self.args_file = recorded.record_path, recorded.args_file
        for name in ADDED:
            setattr(self, name, getattr(recorded, name))
        own = [name for name in ADDED if not is_argument(self, name)]  # --hash_code stays what was given
        try:
            for name in own if self.ids_in_namespace else ():
                setattr(namespace, name, getattr(recorded, name))
        except Exception as error:  # __slots__, or a __setattr__ that refuses what it does not know
            _warn(f"the namespace takes no {name}, which the parser has: {type(error).__name__}: {error}")
        return namespace


def _make_folder(path: str) -> None:
    """The folder for records; who parses is told what stands in its way."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError):  # ValueError: a NUL
        pass


def _given(args: Words) -> list[str]:
    return sys.argv[1:] if args is None else list(args)


# ---------------------------------------------------------------------------
# The id
# ---------------------------------------------------------------------------


DELTA_FACTS = ("kind", "executable", "target", "sha256", "size", "count")


def base_hash(code: Code, parsed: Parsed) -> str:
    """The commits and the arguments, as a SHA-256 in hexadecimal."""
    commits = sorted([place, repository["commit"] or ""] for place, repository in _named(code))
    return digest(["base", commits, parsed.digest])


def delta_of(code: Code) -> str:
    """What is uncommitted or untracked, whatever the order and place of the files."""
    found = [
        [place, _path_in(repository, file), *(file.get(fact) for fact in DELTA_FACTS)]
        for place, repository in _named(code)
        for file in (*repository["files"], *repository["left_out"])
        if file.get("state") != "converted" and not is_bytecode(file["path"]) and not _is_ours(repository, file["path"])
    ]
    return digest(["delta", sorted(found, key=canonical_json)])


def _named(code: Code) -> list[tuple[str, dict[str, Any]]]:
    """The repositories that enter an id, by a name that is the same from any directory and in any clone.

    footsteps' own does not, unless it is what is worked on.
    """
    roles = {each["role"]: "project" for each in code.repositories if each["role"] in ("cwd", "script")}
    if len(roles) == 2:
        roles["cwd"] = "cwd"  # another one than the script's
    return [
        (str((each["inside"] or {}).get("path") or roles.get(each["role"], each["role"])), each)
        for each in code.repositories
        if each["role"] in ("cwd", "script", "submodule") or not _is_ours(each, "")
    ]


def _is_ours(repository: Mapping[str, Any], path: str) -> bool:
    """Whether this very package is what is at, or (for a whole repository) below the path."""
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    there = os.path.realpath(os.path.join(repository["path"], path))
    if repository["role"] == "loose":
        return bool(path) and there.startswith(os.path.join(here, ""))
    return not path and here.startswith(os.path.join(there, ""))


def _path_in(repository: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    """The file's path; outside of git, where there is no top, below the script's directory."""
    if repository["role"] != "loose":
        return str(file["path"])
    path: str = os.path.join(os.path.realpath(repository["path"]), file["path"])
    top = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "")
    return path[len(top) :] if path.startswith(top) else os.path.basename(path)


# ---------------------------------------------------------------------------
# Once for a program, whatever processes it is
# ---------------------------------------------------------------------------


class Recorded(NamedTuple):
    """What the namespace and the parser are told; no path if the record could not be made."""

    hash_code: str
    base_hash_code: str
    git_label: str
    record_path: str | None

    @property
    def args_file(self) -> str | None:
        """The settings in the record."""
        path, name = self.record_path, SETTINGS_FILE.format(self.hash_code)
        return os.path.join(path, name) if path is not None else None


def _recorded(parser: LTParser, words: list[str], namespace: Any, rest: list[str]) -> Recorded:
    """The record of what ``words`` were parsed to, made now unless it is known."""
    try:
        parsed = Parsed.of(parser, namespace_values(parser, namespace), [] if _is_the_kernels(words) else rest)
        known = _recorded_before(parsed, parser.record_dir, words)
        recorded = known or _of_the_job(parser, parsed)
        _remember(parsed, parser.record_dir, recorded)
        if known is None or current() is None:
            quietly(lambda: _tell_the_run(parsed, recorded))
        return recorded
    except FootstepsError:
        raise
    except Exception as error:  # whatever the arguments and the disk hold, the program gets its id
        _warn(f"these arguments are not recorded: {type(error).__name__}: {error}")
        base = digest(words)[:SHORT]
        return Recorded(f"LT_delta-{'0' * SHORT}_base-{base}_LT", base, "", None)


def _recorded_before(parsed: Parsed, record_dir: str, words: list[str]) -> Recorded | None:
    """What this process, or the parent of a multiprocessing child, recorded for these arguments.

    A child that is spawned runs the main module again, and modules share a get_args(); by then the
    program may have written files, and another look at the code would make another id.
    """
    parses = _told(os.environ.get(PARSED_VARIABLE, ""))
    again = parses.get("pid") == os.getpid() and _is_command_line(words)
    known = parses.get(_parse_key(parsed, record_dir)) if again or is_multiprocessing_child() else None
    return Recorded(*known) if known else None


def _remember(parsed: Parsed, record_dir: str, recorded: Recorded) -> None:
    parses = _told(os.environ.get(PARSED_VARIABLE, ""))
    ours = list(parses.items())[-LAST_PARSES:] if parses.pop("pid", None) == os.getpid() else []
    known = {**dict(ours), _parse_key(parsed, record_dir): recorded, "pid": os.getpid()}
    os.environ[PARSED_VARIABLE] = canonical_json(known, in_order=True)


def _of_the_job(parser: LTParser, parsed: Parsed) -> Recorded:
    """What the first of the ranks, or pool workers, of one launch records; the others take it over."""
    meeting = _meeting(parser.record_dir)
    if meeting is None:
        return _record_arguments(parser, parsed)
    told = os.path.join(meeting, f"parsed-{_parse_key(parsed, parser.record_dir)}")
    with Locked(f"{told}.lock"):
        known = _told(text_of(told))
        if known and known["pid"] != os.getpid():  # a second parse of our own looks again
            return Recorded(*known["recorded"])
        recorded = _record_arguments(parser, parsed)
        if not known:
            append(told, canonical_json({"pid": os.getpid(), "recorded": recorded}).encode("ascii"))
        return recorded


def _meeting(record_dir: str) -> str | None:
    """The folder in which the processes of this launch meet; None for a process of its own."""
    job = current_job()
    try:
        return str(Rendezvous(job, record_dir).folder) if job is not None else None
    except OSError:
        return None


def _told(text: str) -> dict[str, Any]:
    """An object that another process left for us; {} if there is none."""
    import json

    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _parse_key(parsed: Parsed, record_dir: str) -> str:
    return digest([parsed.digest, os.path.abspath(record_dir)])[:SHORT]


def _is_the_kernels(words: list[str]) -> bool:
    """Whether a notebook's kernel was started with these words: they name its connection file, another each time."""
    return "ipykernel" in sys.modules and bool(words) and words == sys.orig_argv[-len(words) :]


def _is_command_line(words: list[str]) -> bool:
    """Whether this process was started with these words: a test's or a notebook's are new ones."""
    script, *given = sys.orig_argv[-len(sys.argv) :]
    started, runs = (os.path.basename(path).removesuffix(".py") for path in (script, sys.argv[0]))
    return given == words == sys.argv[1:] and runs in (started.rpartition(".")[2], "__main__")


# ---------------------------------------------------------------------------
# The record
# ---------------------------------------------------------------------------


def _record_arguments(parser: LTParser, parsed: Parsed) -> Recorded:
    """Look at the code, name it together with the arguments, and keep both."""
    run = current()
    root = run.facts.get("output_root") if run is not None else None
    code = capture_code(exclude=[parser.record_dir, root or OUTPUT_ROOT], patience=PATIENCE_WITH_GIT)
    digits = SHORT if parser.short_hash else 64
    base, delta = base_hash(code, parsed)[:digits], delta_of(code)[:digits]
    commit = next((each["commit"] for _, each in _named(code) if each["commit"]), None)
    if commit is None or code.problems:
        why = code.problems[0] if code.problems else "no git commit here"
        _warn(f"{why}: hash_code names the arguments, the script, and what could be seen of the code")
    hash_code = f"LT_delta-{delta}_base-{base}_LT"
    path = os.path.join(parser.record_dir, hash_code)
    recorded = Recorded(hash_code, base, (commit or "")[:7], path)
    try:
        if os.path.isdir(path) or not _made(path, parsed, code, recorded):
            _suspect(parser, recorded)
        return recorded
    except OSError as error:
        _warn(f"no record of these arguments: {error}")
        return recorded._replace(record_path=None)


def _suspect(parser: LTParser, recorded: Recorded) -> None:
    """There is such a record already: say so, as ``on_suspicion`` wishes."""
    message = f"this code ran with these arguments before: {recorded.record_path}"
    if parser.on_suspicion == "error":
        raise FootstepsError(message, 'change them, or say LTParser(on_suspicion="warn")')
    if parser.on_suspicion == "warn":
        _warn(message)


def _made(path: str, parsed: Parsed, code: Code, recorded: Recorded) -> bool:
    """Whether we made the record: filled beside its place and renamed, so nobody sees half."""
    # What other runs see of it among untracked files is known as a record by the rest of the name.
    making = os.path.join(os.path.dirname(path), f".making-{os.urandom(4).hex()}-{os.path.basename(path)}")
    os.makedirs(making)
    try:
        facts = _filled(making, path, parsed, code, recorded)
        os.rename(making, path)
    except BaseException as error:
        remove(making)
        if isinstance(error, OSError) and os.path.isdir(path):  # another process was quicker
            return False
        raise
    if code.bundles():
        quietly(make_in_background, os.path.join(path, RECORD), os.path.dirname(path), code.bundles())
    _say_what_is_left_out(path, facts)
    return True


def _filled(making: str, path: str, parsed: Parsed, code: Code, recorded: Recorded) -> dict[str, Any]:
    """The facts, after all files were written; what can't be written raises OSError."""
    record = os.path.join(making, RECORD)
    os.mkdir(record)
    code.keep(record, os.path.dirname(path))
    aside = "".join(f"(not in this diff: {printable(name)})\n" for name in code.not_in_diff)
    write(os.path.join(making, LT_PATCH), encoded(aside) + code.diff)
    settings = encoded(parsed.line(recorded.git_label))
    write(os.path.join(making, SETTINGS_FILE.format(recorded.hash_code)), settings)
    _copy_untracked(record, os.path.join(making, UNTRACKED_FOLDER), code)
    facts = _arguments_record(path, parsed, code, recorded)
    write(os.path.join(record, RUN_JSON), as_json(facts))
    return facts


def _copy_untracked(record: str, untracked: str, code: Code) -> None:
    """LiteTracer's folder: the files that git does not know, linked to their copies in ``code/``."""
    os.mkdir(untracked)
    project = code.repositories[:1]  # the working directory's, else the script's
    for file in project[0]["files"] if project else ():
        if file["state"] == "untracked" and file.get("stored"):
            path = os.path.join(untracked, *file["path"].split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _link(os.path.join(record, *file["stored"].split("/")), path)


def _link(source: str, path: str) -> None:
    import shutil

    try:
        os.link(source, path)
    except OSError:  # a file system without hard links
        shutil.copy2(source, path)


def _arguments_record(path: str, parsed: Parsed, code: Code, recorded: Recorded) -> dict[str, Any]:
    """run.json of the record: the format of a run's, with ``kind`` "arguments"."""
    import time

    now, problems = time.time(), []  # type: tuple[float, list[str]]
    facts: dict[str, Any] = {"format": FORMAT, "kind": "arguments"}
    facts.update(footsteps=VERSION, id=f"{iso(now)}-{os.urandom(4).hex()}")
    facts.update(name=recorded.hash_code, directory=os.path.join(os.path.abspath(path), ""))
    facts.update(output_root=os.path.dirname(path), started=iso(now))
    for name, function in COLLECTORS:
        facts[name] = collected(name, function, problems)
    facts["process"] = collected("process", lambda: process_row(current_job(), is_multiprocessing_child()), problems)
    facts.update(arguments=parsed.shown, argument_facts=argument_facts(parsed, recorded))
    facts.update(parent=None, outcome_expected=False, script=None)
    facts.update(code_id=code.code_id, repositories=code.repositories)
    facts.update(cost={"code": round(code.seconds, 4)}, problems=[*problems, *code.problems])
    return facts


def argument_facts(parsed: Parsed, recorded: Recorded) -> dict[str, Any]:
    """What is known of the arguments beside their values."""
    path = recorded.record_path
    facts: dict[str, Any] = {name: getattr(recorded, name) for name in ADDED}
    facts["record"] = os.path.abspath(path) if path else None
    return {**facts, **{k: v for k, v in (("commands", parsed.commands), ("rest", parsed.rest)) if v}}


def _say_what_is_left_out(path: str, facts: Mapping[str, Any]) -> None:
    """At most one line on stderr for what the record lacks."""
    left_out = [row for repository in facts["repositories"] for row in repository["left_out"]]
    count = sum(row.get("count", 1) for row in left_out)
    if count:
        file = os.path.join(path, RECORD, RUN_JSON)
        files = "file" if count == 1 else "files"
        warn(f"{count} {files} left out of the record (too large, or named like a secret); see {file}")


# ---------------------------------------------------------------------------
# A program that uses footsteps too
# ---------------------------------------------------------------------------


def _tell_the_run(parsed: Parsed, recorded: Recorded) -> None:
    """Give the run, now or when it begins, the arguments, and the record the run."""
    run, facts = current(), argument_facts(parsed, recorded)
    pointer = Pointer(recorded)
    if pointer not in BEGUN_LISTENERS:
        BEGUN_LISTENERS.append(pointer)
    if run is None or run.made_here:
        note_arguments(parsed.shown, **facts)
    if run is not None and run.made_here:
        pointer(run)
        _append_to_info(run, {**facts, **parsed.shown})


def _append_to_info(run: Any, told: Mapping[str, Any]) -> None:
    """The section that info.txt would have, had the arguments been parsed before the run began."""
    lines = ["Arguments:", *(printable(f"{name} {value}") for name, value in told.items())]
    append(os.path.join(run.directory, INFO), encoded("\n".join(lines) + "\n"))


class Pointer:
    """Adds to a record the runs that were made with its arguments."""

    def __init__(self, recorded: Recorded) -> None:
        path = recorded.record_path
        self.log = os.path.join(os.path.abspath(path), RECORD, RECORDED) if path else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pointer) and other.log == self.log

    def __hash__(self) -> int:
        return hash(self.log)

    def __call__(self, run: Any) -> None:
        """A line of kind "run" in the record's recorded.jsonl."""
        import time

        if self.log is None or not run.made_here:
            return
        values = {"id": run.id, "name": run.name, "directory": run.directory}
        line = {"time": iso(time.time()), "kind": "run", "pid": os.getpid(), "values": values}
        if values not in [each.get("values") for each in map(_told, text_of(self.log).splitlines())]:
            append(self.log, encoded(canonical_json(line) + "\n"))


def _warn(message: str) -> None:
    """A warning at the line of the program that parsed its arguments."""
    import warnings

    frame, level = sys._getframe(1), 2  # noqa: SLF001
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, argparse.__file__):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"footsteps: {message}", stacklevel=level)
