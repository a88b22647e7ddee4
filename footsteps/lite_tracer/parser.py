"""LTParser: argparse whose arguments know the code that read them.

    from footsteps import LTParser

    parser = LTParser("train a network")
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()
    path = f"results/{args.hash_code}.csv"

``args.hash_code`` names the commit, the arguments, the uncommitted changes and the untracked files;
``lt_records/<hash_code>/`` keeps all four:

    settings_<hash_code>.txt    the arguments on one line, for ``parse_known_args``
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
    iso,
    printable,
    quietly,
    quote,
    remove,
    say,
    text_of,
    write,
)
from footsteps.recorder.processes import is_multiprocessing_child, process_row
from footsteps.recorder.ranks import Rendezvous, current_job
from footsteps.recorder.secrets import is_bytecode, is_secret_name, mask, mask_arguments, note_secrets
from footsteps.recorder.steps import COLLECTORS, LISTENERS, note_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.recorder.code import Code

    Texts = Mapping[int, Sequence[str]]
    Words = Sequence[str] | None

__all__ = ["LTParser"]

RECORD_DIR = "lt_records"
SETTINGS = "settings_{}.txt"  # LiteTracer's name for it
PATCH = "diff.patch"
UNTRACKED = "untracked"
SHORT = 16  # hexadecimal digits: 64 bits for each half, an even chance of a collision at 5e9 runs
PARSED_VARIABLE = "FOOTSTEPS_PARSED"  # tells multiprocessing children what their parent recorded
LAST_PARSES = 20  # that it holds; with a long environment nothing can be started
MANY = 10_000
ADDED = ("hash_code", "base_hash_code", "git_label")
PLAIN = (str, int, float, type(None))  # values with a text of their own

# ---------------------------------------------------------------------------
# The parser
# ---------------------------------------------------------------------------


class LTParser(argparse.ArgumentParser):
    """An ArgumentParser that records what it parsed, and adds the record's id to the namespace.

    ``parse_args``, ``parse_intermixed_args``, and ``parse_known_args`` without a list of arguments
    record; ``parse_known_args`` with one only parses, as programs read settings back with it.

    Args:
        description: as of ArgumentParser, but the first word; all others are given by name.
        record_dir: where records are made.
        on_suspicion: "warn", "error" or "ignore", when this code ran with these arguments before.
        short_hash: 64 bits for each half of the id; False: 256.
        options: what ArgumentParser takes.

    Attributes:
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
        **options: Any,
    ) -> None:
        if on_suspicion not in ("warn", "error", "ignore"):
            raise ValueError(f"on_suspicion is 'warn', 'error' or 'ignore', not {on_suspicion!r}")
        super().__init__(description=description, **options)
        self.record_dir = os.fspath(record_dir)
        self.on_suspicion = on_suspicion
        self.short_hash = short_hash
        self.record_path: str | None = None
        self.args_file: str | None = None
        self._texts: dict[int, list[str]] = {}
        self._given: dict[str, list[str]] = {}
        self._command: str | None = None

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
        note_secrets(w for w in arg_strings if str(without_secrets(_names(action), w)).endswith("***"))
        return super()._get_values(action, arg_strings)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """argparse's, noting the word of a value without a text, as ``type=open`` makes."""
        value = super()._get_value(action, arg_string)
        if not isinstance(value, PLAIN):
            if len(self._texts) > MANY:  # a program that parses in a loop
                self._texts.clear()
            self._texts[id(value)] = [arg_string]
        if _holds_secret(_names(action), value):
            note_secrets([arg_string])
        return value

    def _recorded(self, words: list[str], namespace: Any, rest: Sequence[str] = ()) -> Any:
        """The namespace, with what was recorded of it."""
        recorded = _recorded(self, words, namespace, list(rest))
        self.record_path, self.args_file = recorded.record_path, recorded.args_file
        for name in ADDED:
            if not _is_argument(self, name):  # the program's own --hash_code stays what was given
                setattr(namespace, name, getattr(recorded, name))
        return namespace


def _given(args: Words) -> list[str]:
    return sys.argv[1:] if args is None else list(args)


def _is_argument(parser: argparse.ArgumentParser, name: str) -> bool:
    return any(action.dest == name for action in parser._actions)  # noqa: SLF001


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that were given, outermost first, and their parsers."""
    command = getattr(parser, "_command", None)
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction) and command in action.choices:  # noqa: SLF001
            below = action.choices[command]
            yield command, below
            yield from _subparsers(below)


# ---------------------------------------------------------------------------
# What was parsed: values of any kind, as plain ones
# ---------------------------------------------------------------------------


class Parsed(NamedTuple):
    """Arguments as plain values.

    Attributes:
        shown: the values of the namespace by name, without secrets.
        commands: the subcommands given.
        rest: words that the parser did not know.
        digest: hexadecimal SHA-256 of the values (secrets too), commands and rest.
        line: for the settings file, made when the git label is known.
    """

    shown: dict[str, Any]
    commands: list[str]
    rest: list[str]
    digest: str
    line: Callable[[str], str]

    @classmethod
    def of(cls, parser: LTParser, namespace: Mapping[str, Any], rest: list[str]) -> Parsed:
        """What ``parser`` made of the arguments, secrets masked where they are shown."""
        ours = [name for name in ADDED if not _is_argument(parser, name)]
        raw = {n: v for n, v in namespace.items() if n not in ours and n[:2] != "__"}
        chain = [parser, *(below for _, below in _subparsers(parser))]
        texts = {key: words for each in chain for key, words in _texts_of(each, raw)}
        values = {str(name): plain(value, texts) for name, value in raw.items()}
        names = {action.dest: _names(action) for each in chain for action in each._actions}  # noqa: SLF001
        commands = [name for name, _ in _subparsers(parser)]
        counted = [{n: v for n, v in values.items() if not _is_the_launchers(n, v)}, commands, rest]
        return cls(
            {n: without_secrets(names.get(n, [n]), v) for n, v in values.items()},
            commands,
            mask_arguments(rest),
            _digest(["arguments", *counted]),
            lambda label: " ".join(map(on_one_line, settings_words(parser, raw, texts, label))),
        )


def _is_the_launchers(name: str, value: Any) -> bool:
    """Whether it is the --local_rank of torch.distributed.launch: ranks are one run, not several."""
    return name == "local_rank" and str(value) == os.environ.get("LOCAL_RANK")


def _texts_of(parser: argparse.ArgumentParser, values: Mapping[str, Any]) -> Iterator[tuple[int, Sequence[str]]]:
    """The id of each value that words stand for, and the words: those given, or the flag's name."""
    for action in parser._actions:  # noqa: SLF001
        if action.option_strings and not isinstance(action.const, PLAIN):
            yield id(action.const), [_option(action).lstrip(parser.prefix_chars)]
    given = getattr(parser, "_given", {})
    made = ((values.get(dest), words) for dest, words in given.items() if words)
    yield from ((id(value), words) for value, words in made if not isinstance(value, PLAIN))
    yield from getattr(parser, "_texts", {}).items()


def plain(value: Any, texts: Texts, words: Sequence[str] = ()) -> Any:
    """``value`` as JSON can hold it, the same text on any machine and in any run.

    Args:
        value: anything argparse can put into a namespace.
        texts: the words that values were made from, by id of the value.
        words: those of what holds it.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    words = texts.get(id(value), words)
    if isinstance(value, (int, str)):
        return _stable_text(value, words) if hasattr(value, "name") else _plain(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(float(value))  # strict JSON has no NaN
    if isinstance(value, (list, tuple)):
        return [plain(each, texts, words) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(each, texts, words) for each in value), key=json_text)
    if isinstance(value, dict):
        return {str(plain(key, texts, words)): plain(each, texts, words) for key, each in value.items()}
    if isinstance(value, argparse.Namespace):
        return plain(vars(value), texts, words)
    return _stable_text(value, words)


def _plain(value: int | str) -> int | str:
    return str.__str__(value) if isinstance(value, str) else int(value)


def _stable_text(value: Any, words: Sequence[str]) -> Any:
    """A name or path that is the same in any run, else the words given, else its repr or type."""
    import enum
    import pathlib
    import re

    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, pathlib.PurePath):
        return value.as_posix()
    try:
        if hasattr(value, "tolist"):  # numpy and torch: repr differs between their versions
            return plain(value.tolist(), {})
        if hasattr(value, "read") or hasattr(value, "write"):  # argparse.FileType
            return str(value.name)
        named = getattr(getattr(value, "func", value), "__qualname__", None)  # func: of a functools.partial
        if words and (named or type(value).__module__ not in sys.stdlib_module_names):
            return " ".join(words)  # a repr may leave out what tells values apart: two models, two lambdas
        text = named or repr(value)
    except Exception:
        text = " at 0x0"
    if not re.search(r"\bat 0x[0-9a-fA-F]+", text):
        return text
    return " ".join(words) if words else type(value).__qualname__


def without_secrets(names: Sequence[str], value: Any) -> Any:
    """``value`` of the argument that goes by ``names``, as it may be written."""
    if isinstance(value, list):
        return [without_secrets(names, each) for each in value]
    if isinstance(value, dict):
        return {key: without_secrets([*names, key], each) for key, each in value.items()}
    if value in (None, "") or isinstance(value, bool):
        return value
    if any(map(is_secret_name, names)):
        return "***"
    key, equals, _ = str(value).partition("=")
    if equals and is_secret_name(key.lstrip("-+")):
        return f"{key}=***"
    text = mask(str(value))
    return value if text == str(value) else text


def _holds_secret(names: Sequence[str], value: Any) -> bool:
    """Whether a dictionary or list, of JSON or of ``key=value``, has a part that may not be written."""
    if not isinstance(value, (dict, list, tuple)):
        return False
    try:
        values = plain(value, {})
        return bool(without_secrets(names, values) != values)
    except RecursionError:  # a list that holds itself; the program is still parsing
        return False


def _names(action: argparse.Action) -> list[str]:
    return [action.dest, *(option.lstrip("-") for option in action.option_strings)]


# ---------------------------------------------------------------------------
# The settings line
# ---------------------------------------------------------------------------


def settings_words(parser: argparse.ArgumentParser, values: Mapping[str, Any], texts: Texts, label: str) -> list[str]:
    """The arguments as words that ``parser`` reads back: positionals, then options sorted by name.

    A subcommand, what is left of the line, and, after ``--``, positionals with a leading dash come
    after the options; ``--git_label=`` before them ends an option that would swallow them.
    """
    positionals: list[str] = []
    left: list[str] = []
    options: list[tuple[str, list[str]]] = []
    for action in _written(parser, values, texts):
        words = _words_of(parser, action, values[action.dest], texts)
        if action.option_strings and action.nargs != argparse.REMAINDER:
            options.append((_option(action).lstrip(parser.prefix_chars), words))
        else:
            (left if action.option_strings else positionals).extend(words)
    below = next(_subparsers(parser), None)
    further = [below[0], *settings_words(below[1], values, texts, label)] if below is not None else []
    swallows = bool(left) or any(nargs in (argparse.PARSER, argparse.REMAINDER) for nargs in _positional_nargs(parser))
    dashes = ["--"] if not swallows and any(_is_like_an_option(parser, word) for word in positionals) else []
    if swallows or dashes:
        return [*_ordered(options), f"--git_label={label}", *dashes, *positionals, *left, *further]
    if not _is_argument(parser, "git_label"):
        options.append(("git_label", _git_label(parser, label)))
    return [*positionals, *_ordered(options)]


def _ordered(options: list[tuple[str, list[str]]]) -> list[str]:
    return [word for _, words in sorted(options) for word in words]


def _positional_nargs(parser: argparse.ArgumentParser) -> list[int | str | None]:
    return [action.nargs for action in parser._actions if not action.option_strings]  # noqa: SLF001


def _git_label(parser: argparse.ArgumentParser, label: str) -> list[str]:
    """The label as an option that parsers don't know; one word where a positional would take the second."""
    if {"?", "*"} & {*_positional_nargs(parser)}:
        return [f"--git_label={label}"]
    return ["--git_label", *filter(None, [label])]


def _is_like_an_option(parser: argparse.ArgumentParser, word: str) -> bool:
    number = parser._negative_number_matcher.match(word) and not parser._has_negative_number_optionals  # noqa: SLF001
    return word[:1] in parser.prefix_chars and len(word) > 1 and not number


def _written(parser: argparse.ArgumentParser, values: Mapping[str, Any], texts: Texts) -> Iterator[argparse.Action]:
    """The actions with a value to write; of those that exclude each other, the ones that were given."""

    def is_default(action: argparse.Action) -> bool:
        return _word(values.get(action.dest), texts) == _word(action.default, texts)

    excluded = set()
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001
        unchanged = [action for action in group._group_actions if is_default(action)]  # noqa: SLF001
        all_unchanged = len(unchanged) == len(group._group_actions)  # noqa: SLF001
        excluded.update(unchanged[1:] if group.required and all_unchanged else unchanged)
    return (a for a in _written_once(parser) if a not in excluded and values.get(a.dest) is not None)


def _written_once(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The actions whose values stand in the settings: of those that set one value, the first.

    Flags that set or append a constant stand beside it, save where an append writes all of a list.
    """
    not_written = (argparse._SubParsersAction, argparse._HelpAction, argparse._VersionAction)  # noqa: SLF001
    actions = [action for action in parser._actions if not isinstance(action, not_written)]  # noqa: SLF001
    appended = {action.dest for action in actions if isinstance(action, argparse._AppendAction)}  # noqa: SLF001
    seen = set()
    for action in actions:
        adds = isinstance(action, argparse._AppendConstAction)  # noqa: SLF001
        several = adds or isinstance(action, argparse._StoreConstAction)  # noqa: SLF001
        if (several or action.dest not in seen) and not (adds and action.dest in appended):
            yield action
        if not several:
            seen.add(action.dest)


def _words_of(parser: argparse.ArgumentParser, action: argparse.Action, value: Any, texts: Texts) -> list[str]:
    """The words that give ``value`` to ``action``; none where its default does, or nothing can."""
    if action.type is bool and value is False:  # bool("False") is True
        return []
    if action.nargs == 0:
        return _flags_of(action, value)
    option = [_option(action)] if action.option_strings else []
    if isinstance(action, argparse._AppendAction) and isinstance(value, list):  # noqa: SLF001
        added = _beyond_default(action, value)
        if isinstance(action, argparse._ExtendAction):  # noqa: SLF001
            return _words(parser, action, option, added, texts) if added else []
        return [word for each in added for word in _words(parser, action, option, each, texts)]
    if action.nargs == "?" and option and value is action.const:
        return option
    return _words(parser, action, option, value, texts)


def _flags_of(action: argparse.Action, value: Any) -> list[str]:
    """A flag as often as it was set."""
    option = _option(action)
    if isinstance(action, argparse._StoreConstAction):  # noqa: SLF001
        return [option] if _same(value, action.const) else []
    if isinstance(action, argparse._CountAction):  # noqa: SLF001
        return [option] * (value - (action.default or 0) if isinstance(value, int) else 1)
    if isinstance(action, argparse._AppendConstAction):  # noqa: SLF001
        return [option for each in _beyond_default(action, value) if _same(each, action.const)]
    if isinstance(action, argparse.BooleanOptionalAction):
        noes = [name for name in action.option_strings if name.startswith("--no-")]
        return [option] if value else noes[:1]
    return [option] if value else []


def _beyond_default(action: argparse.Action, value: list[Any]) -> list[Any]:
    """What was given: append and extend add to their default, and so would the words read back."""
    default = action.default if isinstance(action.default, list) else []
    return value[len(default) :] if _same(value[: len(default)], default) else value


def _same(one: Any, other: Any) -> bool:
    """Whether they are equal; arrays don't say."""
    return one is other or (type(one) is type(other) and json_text(plain(one, {})) == json_text(plain(other, {})))


def _words(
    parser: argparse.ArgumentParser,
    action: argparse.Action,
    option: list[str],
    value: Any,
    texts: Texts,
) -> list[str]:
    several = isinstance(value, (list, tuple)) and action.nargs not in (None, "?")
    words = [_word_shown(action, each, texts) for each in (value if several else [value])]
    if not option or not any(words):
        return option or words
    special = parser.prefix_chars + (parser.fromfile_prefix_chars or "")
    if len(words) == 1 and words[0][0] in special:
        return [f"{option[0]}={words[0]}"]
    return [*option, *words]


def _word_shown(action: argparse.Action, value: Any, texts: Texts) -> str:
    names = _names(action)
    return "***" if _holds_secret(names, value) else str(without_secrets(names, _word(value, texts, action.type)))


def _word(value: Any, texts: Texts, convert: Any = None) -> str:
    """The text that argparse would make ``value`` of."""
    if hasattr(value, "_value_") and callable(convert):
        return next((text for text in _texts_of_member(value) if _makes(convert, text, value)), str(value))
    if isinstance(value, (bool, int, float, str)):
        return str(value)
    return " ".join(texts[id(value)]) if id(value) in texts else str(plain(value, texts))


def _texts_of_member(member: Any) -> list[str]:
    """What may stand for an enum's member: ``type=Colour``, ``type=Colour.__getitem__``, a converter of one's own."""
    return [str(member.value), str(member.name), str(member)]


def _makes(convert: Callable[[str], object], text: str, value: object) -> bool:
    try:
        return convert(text) is value
    except Exception:
        return False


def _option(action: argparse.Action) -> str:
    """``--learning-rate`` of ``-l, --learning-rate``."""
    long = (name for name in action.option_strings if name.startswith("--"))
    return next(long, action.option_strings[0])


def on_one_line(word: str) -> str:
    """Bare where ``split()`` gives it back, else as a shell reads it; what is no UTF-8 can't be opened as text."""
    bare = word and not any(c.isspace() or c in "'\"\x7f" or c < " " or "\ud800" <= c <= "\udfff" for c in word)
    return word if bare else quote([word])


# ---------------------------------------------------------------------------
# The id
# ---------------------------------------------------------------------------


DELTA_FACTS = ("kind", "executable", "target", "sha256", "size", "count")


def base_of(code: Code, parsed: Parsed) -> str:
    """The commits and the arguments, as a SHA-256 in hexadecimal."""
    commits = sorted([place, repository["commit"] or ""] for place, repository in _named(code))
    return _digest(["base", commits, parsed.digest])


def delta_of(code: Code) -> str:
    """What is uncommitted or untracked, whatever the order and place of the files."""
    found = [
        [place, _path_in(repository, file), *(file.get(fact) for fact in DELTA_FACTS)]
        for place, repository in _named(code)
        for file in (*repository["files"], *repository["left_out"])
        if file.get("state") != "converted" and not is_bytecode(file["path"]) and not _is_ours(repository, file["path"])
    ]
    return _digest(["delta", sorted(found, key=json_text)])


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


def json_text(value: Any, *, in_order: bool = False) -> str:
    import json

    return json.dumps(value, sort_keys=not in_order, separators=(",", ":"))


def _digest(value: Any) -> str:
    import hashlib

    return hashlib.sha256(json_text(value).encode("ascii")).hexdigest()


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
        path, name = self.record_path, SETTINGS.format(self.hash_code)
        return os.path.join(path, name) if path is not None else None


def _recorded(parser: LTParser, words: list[str], namespace: Any, rest: list[str]) -> Recorded:
    """The record of what ``words`` were parsed to, made now unless it is known."""
    try:
        parsed = Parsed.of(parser, vars(namespace), [] if _is_the_kernels(words) else rest)
        known = _known(parsed, parser.record_dir, words)
        recorded = known or _of_the_job(parser, parsed)
        _remember(parsed, parser.record_dir, recorded)
        if known is None or current() is None:
            quietly(lambda: _tell_the_run(parsed, recorded))
        return recorded
    except FootstepsError:
        raise
    except Exception as error:  # whatever the arguments and the disk hold, the program gets its id
        _warn(f"these arguments are not recorded: {type(error).__name__}: {error}")
        base = _digest(words)[:SHORT]
        return Recorded(f"LT_delta-{'0' * SHORT}_base-{base}_LT", base, "", None)


def _known(parsed: Parsed, record_dir: str, words: list[str]) -> Recorded | None:
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
    os.environ[PARSED_VARIABLE] = json_text(known, in_order=True)


def _of_the_job(parser: LTParser, parsed: Parsed) -> Recorded:
    """What the first of the ranks, or pool workers, of one launch records; the others take it over."""
    meeting = _meeting(parser.record_dir)
    if meeting is None:
        return _record(parser, parsed)
    told = os.path.join(meeting, f"parsed-{_parse_key(parsed, parser.record_dir)}")
    with Locked(f"{told}.lock"):
        known = _told(text_of(told))
        if known and known["pid"] != os.getpid():  # a second parse of our own looks again
            return Recorded(*known["recorded"])
        recorded = _record(parser, parsed)
        if not known:
            append(told, json_text({"pid": os.getpid(), "recorded": recorded}).encode("ascii"))
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
    return _digest([parsed.digest, os.path.abspath(record_dir)])[:SHORT]


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


def _record(parser: LTParser, parsed: Parsed) -> Recorded:
    """Look at the code, name it together with the arguments, and keep both."""
    run = current()
    root = run.facts.get("output_root") if run is not None else None
    code = capture_code(exclude=[parser.record_dir, root or OUTPUT_ROOT])
    digits = SHORT if parser.short_hash else 64
    base, delta = base_of(code, parsed)[:digits], delta_of(code)[:digits]
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
    making = os.path.join(os.path.dirname(path), f".making-{os.getpid()}-{os.urandom(4).hex()}")
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
    code.keep(record)
    aside = "".join(f"(not in this diff: {printable(name)})\n" for name in code.not_in_diff)
    write(os.path.join(making, PATCH), encoded(aside) + code.diff)
    settings = parsed.line(recorded.git_label) + "\n"
    write(os.path.join(making, SETTINGS.format(recorded.hash_code)), encoded(settings))
    _copy_untracked(record, os.path.join(making, UNTRACKED), code)
    facts = _facts(path, parsed, code, recorded)
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


def _facts(path: str, parsed: Parsed, code: Code, recorded: Recorded) -> dict[str, Any]:
    """run.json of the record: the format of a run's, with ``kind`` "arguments"."""
    import time

    now, problems = time.time(), []  # type: tuple[float, list[str]]
    facts: dict[str, Any] = {"format": FORMAT, "kind": "arguments"}
    facts.update(footsteps=VERSION, id=f"{iso(now)}-{os.urandom(4).hex()}")
    facts.update(name=recorded.hash_code, directory=os.path.join(os.path.abspath(path), ""))
    facts.update(output_root=os.path.dirname(path), started=iso(now))
    for name, function in COLLECTORS:
        facts[name] = collected(name, function, problems)
    facts["process"] = collected("process", lambda: process_row(current_job()), problems)
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
        say(f"{count} {files} left out of the record (too large, or named like a secret); see {file}")


# ---------------------------------------------------------------------------
# A program that uses footsteps too
# ---------------------------------------------------------------------------


def _tell_the_run(parsed: Parsed, recorded: Recorded) -> None:
    """Give the run, now or when it begins, the arguments, and the record the run."""
    run, facts = current(), argument_facts(parsed, recorded)
    pointer = Pointer(recorded)
    if pointer not in LISTENERS:
        LISTENERS.append(pointer)
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
            append(self.log, encoded(json_text(line) + "\n"))


def _warn(message: str) -> None:
    """A warning at the line of the program that parsed its arguments."""
    import warnings

    frame, level = sys._getframe(1), 2  # noqa: SLF001
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, argparse.__file__):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"footsteps: {message}", stacklevel=level)
