"""What people look for first in info.txt: a long diff in short, and at the end arguments and results in a line."""

from __future__ import annotations

import os

from footsteps.recorder.format import RECORDED, content_of, decoded, encoded, from_json, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIFF = "uncommitted.diff"  # in the record, where info.txt has only the beginning of it
LONG = 500  # lines of a diff that info.txt shows whole
MOST_LINES = 200  # lines that it shows of a longer one
RECORDED_TAIL = 1 << 16  # bytes at the end of recorded.jsonl in which the last values are looked for
ROOM = 300  # characters of a line of arguments or results


def is_long(diff: bytes) -> bool:
    """Whether a diff would bury what follows it in info.txt."""
    return diff.count(b"\n") > LONG


def short_form(diff: bytes, where: str) -> bytes:
    """The stat of a diff, its first lines, and where all of it is."""
    lines = diff.split(b"\n")
    head = f"({len(lines) - 1} lines, of which the first {MOST_LINES} stand here; all of them: {where})\n"
    return encoded(head) + stat_of(diff) + b"\n".join(lines[:MOST_LINES]) + encoded(f"\n(it goes on in {where})\n")


def stat_of(diff: bytes) -> bytes:
    """A line for each file of a diff, with how many lines were added and removed, as git's --stat has it."""
    rows = []
    for part in (b"\n" + diff).split(b"\ndiff --git ")[1:]:
        name, *body = part.split(b"\n")
        added = sum(line.startswith(b"+") and not line.startswith(b"+++ ") for line in body)
        removed = sum(line.startswith(b"-") and not line.startswith(b"--- ") for line in body)
        rows.append((printable(decoded(name.rpartition(b" b/")[2])), added, removed))
    width = min(60, max((len(name) for name, _, _ in rows), default=0))
    told = [f" {name:<{width}} | +{added} -{removed}\n" for name, added, removed in rows]
    total = f" {len(rows)} file{'s'[: len(rows) != 1]} changed, +{sum(r[1] for r in rows)} -{sum(r[2] for r in rows)}\n"
    return encoded("".join(told) + total)


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
