"""Values as JSON can say them: what programs record, arguments, a figure's metadata."""

from __future__ import annotations

import os

from footsteps.recorder.format import append_line, current, json_text, printable, run_directory, warn
from footsteps.recorder.processes import is_multiprocessing_child
from footsteps.recorder.program import in_notebook, main_frame, notebook_parameters, sent_arguments, start_argv
from footsteps.recorder.secrets import MASK, hides, mask, mask_arguments, masked

from .inputs import follow_directory, tracker, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["metadata", "record"]

LARGEST_TABLE = 1000  # rows or columns of a table that record() keeps one by one; of a larger one it keeps the repr


def record(*things: Any, **values: Any) -> None:
    """Add parameters or results to the run: mappings, namespaces, dataclasses, or keywords.

    Values that JSON can't say are kept as their repr. A later value is added, never written over
    an earlier one. Before the run begins they wait for it, and a program that ends before has lost
    them: `footsteps.initialize()` at its top begins it at once.

    Raises TypeError for `record("lr", 1)`, which other trackers take; else nothing.
    """
    if len(things) > 1 and isinstance(things[0], str):
        raise TypeError(f"record() takes names as keywords: {right_form(*things)}")
    try:
        said: dict[str, Any] = {}
        for thing in things:
            said.update(fields_of(thing))
        said.update({name: masked_value(name, value) for name, value in values.items()})
        tracker.notice_execution()
        run = current() or (tracker.join() if is_multiprocessing_child() else None)
        if run is None:
            waiting.append(said)
        elif said:
            follow_directory(run)
            append_line(run.record, "recorded", said)
    except Exception as error:
        warn(f"not recorded: {error!r}")


def right_form(name: str, value: Any, *_: Any) -> str:
    """How `record(name, value)` is said here."""
    said = "..." if hides(name, value) else json_text(as_json_value(value))[:60]
    return f"footsteps.record({name}={said})" if name.isidentifier() else f"footsteps.record({{{name!r}: {said}}})"


def metadata(path_or_format: str | os.PathLike[str] = "png") -> dict[str, Any]:
    """What savefig(metadata=...) takes to tell a figure its run: for PNG, PDF, SVG, PS; else empty.

    Holds the run's name, id, code id and command; no host and no user. Begins the run if need be.
    """
    run_directory()  # asking for it begins the run
    run = current()
    name = os.fsdecode(path_or_format).lower()
    return figure_metadata(run, name.rpartition(".")[2]) if run else {}


# --- values, arguments, figures -------------------------------------------------------------------


def fields_of(thing: Any) -> dict[str, Any]:
    """The named values of a mapping, namespace, dataclass or other object; else it is a value."""
    pairs = items_of(thing)
    if pairs is not None:
        return {key: masked_value(key, value) for key, value in pairs}
    names = getattr(type(thing), "__dataclass_fields__", None) or getattr(type(thing), "_fields", None)
    own = {} if hasattr(type(thing), "shape") else getattr(thing, "__dict__", {})  # a table is a value
    names = names or [name for name in own if name[0] != "_"]
    return {name: masked_value(name, getattr(thing, name)) for name in names} or {"value": as_json_value(masked(thing))}


def items_of(thing: Any) -> list[tuple[str, Any]] | None:
    """The keys and values of a mapping or small table; None where a key would stand for several values."""
    if not callable(getattr(type(thing), "keys", None)) or not hasattr(thing, "__getitem__"):
        return None
    keys = list(thing.keys())
    if not isinstance(thing, dict) and (len(keys) > LARGEST_TABLE or len(set(map(str, keys))) < len(keys)):
        return None
    return [(str(key), thing[key]) for key in keys]


def masked_value(name: Any, value: Any) -> Any:
    """The value of a name, without secrets: record(vars(args)) holds what was given as --token."""
    return as_json_value(masked(value, str(name)))


def inner(name: Any, value: Any, above: tuple[int, ...]) -> Any:
    """The same of a value within another one, which was masked as a whole, tables aside."""
    return MASK if hides(str(name), value) else as_json_value(value, above)


def as_json_value(value: Any, above: tuple[int, ...] = ()) -> Any:
    """The value as JSON can say it; else its repr. `above` are the containers that it lies in."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() < 10_000 else hex(value)  # Python writes no longer ones
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(float(value))  # inf and nan are no JSON
    try:
        whole = len(above) < 20 and id(value) not in above  # each turn around a cycle would be written out
        return said_of(value, (*above, id(value))) if whole else mask(repr(value)[:20_000])[:2000]
    except Exception:
        return f"<{type(value).__name__} without a repr>"


def said_of(value: Any, above: tuple[int, ...]) -> Any:
    """A container's or array scalar's value as JSON can say it; else its repr."""
    if isinstance(value, (list, tuple)):
        return [as_json_value(one, above) for one in value]
    pairs = items_of(value)
    if pairs is not None:
        return {key: inner(key, one, above) for key, one in pairs}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # numpy and torch
        return as_json_value(value.item(), above)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return mask(repr(value)[:20_000])[:2000]


def given_arguments() -> dict[str, Any]:
    """What the program was given on its command line; a notebook, by parameters set in it; a worker, by its caller."""
    if in_notebook() and main_frame() is None:
        return {name: masked_value(name, value) for name, value in notebook_parameters().items()}
    called = arguments_of_call()
    return called if called is not None else arguments_of(mask_arguments(start_argv()))


def arguments_of_call() -> dict[str, Any] | None:
    """What the function that a worker was sent was called with, without secrets; None of others."""
    sent = sent_arguments()
    return {name: masked_value(name, value) for name, value in sent.items()} if sent is not None else None


def arguments_of(argv: Iterable[str]) -> dict[str, Any]:
    """A parsed view of a command line: `--lr 0.1`, `--lr=0.1`, `-v`, and Hydra's `a.b=c`.

    Values are numbers where they look like one; a flag is true, a repeated name a list, and what
    has no name stands under "_". Several numbers behind an option are its list; any other word
    behind its first value may as well be the program's own argument, and is taken for that. A file
    behind an option is both: the option may be a flag.
    """
    found: dict[str, list[Any]] = {}
    words = list(argv)[1:]
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        if word == "--":
            found.setdefault("_", []).extend(map(number_or_text, words))
            break
        if not is_option(word):
            bare = name.lstrip("+~")
            key, bare_value = (bare, text) if equals and is_name(bare) else ("_", word)
            found.setdefault(key, []).append(number_or_text(bare_value))
            continue
        takes = not equals and words and words[0] != "--" and not is_option(words[0]) and "=" not in words[0]
        said = [number_or_text(text) if equals else number_or_text(words.pop(0)) if takes else True]
        while takes and words and not isinstance(said[-1], str) and not isinstance(number_or_text(words[0]), str):
            said.append(number_or_text(words.pop(0)))
        found.setdefault(name.lstrip("-").replace("-", "_"), []).extend(said)
        if takes and isinstance(said[0], str) and os.path.exists(said[0]):  # or the option is a flag, and this its own
            found.setdefault("_", []).append(said[0])
    return {k: v if k == "_" or len(v) > 1 else v[0] for k, v in found.items()}


def is_option(word: str) -> bool:
    """Whether a word of a command line is an option, not a value such as -0.5 or - for stdin."""
    return word.startswith("-") and word not in ("-", "--") and isinstance(number_or_text(word), str)


def is_name(word: str) -> bool:
    """Whether it may stand before the = of an assignment."""
    return word.replace(".", "").replace("/", "").replace("@", "").replace("_", "").isalnum()


def number_or_text(word: str) -> int | float | str:
    """A word as a number if it is one that JSON can say, else itself."""
    for kind in (int, float):
        try:
            value: int | float = kind(word)
        except ValueError:
            continue
        if value - value == 0 and "_" not in word:
            return value
    return word


def figure_metadata(run: Any, kind: str) -> dict[str, str]:
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
    return printable(str(value)).encode("utf-8", "backslashreplace").decode()


def without_people(command: str, facts: Mapping[str, Any]) -> str:
    """The command without home directory, user and host: figures are published."""
    import re

    home = os.path.expanduser("~")
    text = command.replace(home, "~") if len(home) > 1 else command
    for who in filter(None, (facts.get("user"), facts.get("host"))):
        text = re.sub(rf"(?<!\w){re.escape(str(who))}(?!\w)", "***", text)
    return text
