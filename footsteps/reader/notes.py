"""What people said of a run afterwards: notes and tags, lines of .footsteps/notes.jsonl, never rewritten.

{"time": "2026-11-27T10:00:00+01:00", "user": "ada", "host": "lab", "note": "used in the paper, Fig. 3"}
{"time": ..., "user": ..., "host": ..., "tag": "paper"}
{"time": ..., "user": ..., "host": ..., "untag": "paper"}
"""

from __future__ import annotations

import os

from footsteps.reader.formats import text
from footsteps.recorder.format import NOTES, FootstepsError, append, iso, json_text

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from footsteps.reader.runs import Run


def notes_in(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The notes among the lines, oldest first: {"time", "user", "host", "note"}."""
    kept = ("time", "user", "host", "note")
    return [{key: text(line.get(key)) for key in kept} for line in lines if text(line.get("note"))]


def tags_in(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The tags that were given and not taken away again, in the order in which they were given."""
    tags: dict[str, None] = {}
    for line in lines:
        if text(line.get("tag")):
            tags[line["tag"]] = None
        tags.pop(text(line.get("untag")), None)
    return list(tags)


def add(run: Run, kind: str, words: str) -> None:
    """Append one line to a run's notes: kind is "note", "tag" or "untag".

    The record's folder gets a new time, by which an index of the runs sees that there is something new.
    Raises FootstepsError for words that can't be one, or a run without a record of its own.
    """
    import time

    from footsteps.reader.index import read_again_later
    from footsteps.recorder.machine import host_name, user_name

    require_sayable(kind, words)
    if not os.path.isdir(run.record):
        hint = "footsteps note works for runs that have a .footsteps folder"
        raise FootstepsError(f"{run.name!r} ({run.kind}) has no record that a {kind} could be added to", hint)
    line = {"time": iso(time.time()), "user": user_name(), "host": host_name(), kind: words}
    append(os.path.join(run.record, NOTES), (json_text(line) + "\n").encode("ascii"))
    os.utime(run.record)
    read_again_later(run)
    for name in ("note_lines", "notes", "tags"):
        run.__dict__.pop(name, None)


def require_sayable(kind: str, words: str) -> None:
    """Raises FootstepsError unless the words can be a note, or a tag: one word without the marks of a search."""
    if not words.strip():
        words = "paper" if kind == "tag" else '"used in paper, Fig. 3"'
        raise FootstepsError(f"a {kind} can't be empty", f"footsteps {kind} RUN {words}")
    if kind != "note" and (not words.isprintable() or set(words) & set(" \t\n,:=<>")):
        raise FootstepsError(f"{words!r} can't be a tag: one word without , : = < >", "footsteps tag RUN paper")
