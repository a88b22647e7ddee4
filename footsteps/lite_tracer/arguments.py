"""What a parser made of a command line: plain values, and the words on one line that give them back."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from footsteps.recorder.format import quote
from footsteps.recorder.secrets import MASK, hides, mask, mask_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    Texts = Mapping[int, Sequence[str]]

ADDED = ("hash_code", "base_hash_code", "git_label")
PLAIN_TYPES = (str, int, float, type(None))  # values with a text of their own

# ---------------------------------------------------------------------------
# What argparse knows
# ---------------------------------------------------------------------------


def is_argument(parser: argparse.ArgumentParser, name: str) -> bool:
    """Whether the parser has an argument of that name."""
    return any(action.dest == name for action in parser._actions)  # noqa: SLF001


def subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that were given, outermost first, and their parsers."""
    command = getattr(parser, "_command", None)
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction) and command in action.choices:  # noqa: SLF001
            below = action.choices[command]
            yield command, below
            yield from subparsers(below)


def namespace_values(parser: argparse.ArgumentParser, namespace: object) -> dict[str, Any]:
    """The values of a namespace of any kind: its own, and what the parser has set where they are not in a __dict__."""
    values = dict(getattr(namespace, "__dict__", {}))
    for each in (parser, *(below for _, below in subparsers(parser))):
        for name in (action.dest for action in each._actions):  # noqa: SLF001
            if name not in values and name != argparse.SUPPRESS and hasattr(namespace, name):
                values[name] = getattr(namespace, name)
    return values


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
    def of(cls, parser: argparse.ArgumentParser, namespace: Mapping[str, Any], rest: list[str]) -> Parsed:
        """What ``parser`` made of the arguments, secrets masked where they are shown."""
        ours = [name for name in ADDED if not is_argument(parser, name)]
        raw = {n: v for n, v in namespace.items() if n not in ours and n[:2] != "__"}
        chain = [parser, *(below for _, below in subparsers(parser))]
        texts = {key: words for each in chain for key, words in _texts_of(each, raw)}
        values = {str(name): stable_value(value, texts) for name, value in raw.items()}
        names = {action.dest: option_names(action) for each in chain for action in each._actions}  # noqa: SLF001
        commands = [name for name, _ in subparsers(parser)]
        # A secret enters the id as *** too: it could be guessed from a hash, which is fast and public.
        shown, others = {n: without_secrets(names.get(n, [n]), v) for n, v in values.items()}, mask_arguments(rest)
        counted = [{n: v for n, v in shown.items() if not _is_the_launchers(n, v)}, commands, others]
        return cls(
            shown,
            commands,
            others,
            digest(["arguments", *counted]),
            lambda label: " ".join(map(on_one_line, settings_words(parser, raw, texts, label))),
        )


def _is_the_launchers(name: str, value: Any) -> bool:
    """Whether it is the --local_rank of torch.distributed.launch: ranks are one run, not several."""
    return name == "local_rank" and str(value) == os.environ.get("LOCAL_RANK")


def _texts_of(parser: argparse.ArgumentParser, values: Mapping[str, Any]) -> Iterator[tuple[int, Sequence[str]]]:
    """The id of each value that words stand for, and the words: those given, or the flag's name."""
    for action in parser._actions:  # noqa: SLF001
        if action.option_strings and not isinstance(action.const, PLAIN_TYPES):
            yield id(action.const), [_option(action).lstrip(parser.prefix_chars)]
    given = getattr(parser, "_given", {})
    made = ((values.get(dest), words) for dest, words in given.items() if words)
    yield from ((id(value), words) for value, words in made if not isinstance(value, PLAIN_TYPES))
    yield from getattr(parser, "_texts", {}).items()


def stable_value(value: Any, texts: Texts, words: Sequence[str] = ()) -> Any:
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
        return _stable_text(value, words) if hasattr(value, "name") else _plain_value(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(float(value))  # strict JSON has no NaN
    if isinstance(value, (list, tuple)):
        return [stable_value(each, texts, words) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((stable_value(each, texts, words) for each in value), key=canonical_json)
    if isinstance(value, dict):
        return {str(stable_value(key, texts, words)): stable_value(each, texts, words) for key, each in value.items()}
    if isinstance(value, argparse.Namespace):
        return stable_value(vars(value), texts, words)
    return _stable_text(value, words)


def _plain_value(value: int | str) -> int | str:
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
            return stable_value(value.tolist(), {})
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
    if any(hides(name, value) for name in names):
        return MASK
    if value is None or isinstance(value, bool):
        return value
    key, equals, given = str(value).partition("=")
    if equals and hides(key.lstrip("-+"), given):
        return f"{key}={MASK}"
    text = mask(str(value))
    return value if text == str(value) else text


def holds_secret(names: Sequence[str], value: Any) -> bool:
    """Whether a dictionary or list, of JSON or of ``key=value``, has a part that may not be written."""
    if not isinstance(value, (dict, list, tuple)):
        return False
    try:
        values = stable_value(value, {})
        return bool(without_secrets(names, values) != values)
    except RecursionError:  # a list that holds itself; the program is still parsing
        return False


def option_names(action: argparse.Action) -> list[str]:
    """What an argument is called: in the namespace, and on the command line without its dashes."""
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
    below = next(subparsers(parser), None)
    further = [below[0], *settings_words(below[1], values, texts, label)] if below is not None else []
    swallows = bool(left) or any(nargs in (argparse.PARSER, argparse.REMAINDER) for nargs in _positional_nargs(parser))
    dashes = ["--"] if not swallows and any(_is_like_an_option(parser, word) for word in positionals) else []
    if swallows or dashes:
        return [*_ordered(options), f"--git_label={label}", *dashes, *positionals, *left, *further]
    if not is_argument(parser, "git_label"):
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
        return _argument_text(values.get(action.dest), texts) == _argument_text(action.default, texts)

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
            return _argument_words(parser, action, option, added, texts) if added else []
        return [word for each in added for word in _argument_words(parser, action, option, each, texts)]
    if action.nargs == "?" and option and value is action.const:
        return option
    return _argument_words(parser, action, option, value, texts)


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
    return one is other or (
        type(one) is type(other) and canonical_json(stable_value(one, {})) == canonical_json(stable_value(other, {}))
    )


def _argument_words(
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
    names = option_names(action)
    return (
        MASK if holds_secret(names, value) else str(without_secrets(names, _argument_text(value, texts, action.type)))
    )


def _argument_text(value: Any, texts: Texts, convert: Any = None) -> str:
    """The text that argparse would make ``value`` of."""
    if hasattr(value, "_value_") and callable(convert):
        return next((text for text in _texts_of_member(value) if _makes(convert, text, value)), str(value))
    if isinstance(value, (bool, int, float, str)):
        return str(value)
    return " ".join(texts[id(value)]) if id(value) in texts else str(stable_value(value, texts))


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


def canonical_json(value: Any, *, in_order: bool = False) -> str:
    """The value as ASCII JSON without spaces, the same for equal values; in_order keeps the order of keys."""
    import json

    return json.dumps(value, sort_keys=not in_order, separators=(",", ":"))


def digest(value: Any) -> str:
    """The SHA-256 of a value's JSON, in hexadecimal."""
    import hashlib

    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
