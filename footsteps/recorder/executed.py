"""Code that the other processes of a run have executed: workers and ranks note it, the head keeps it at the end.

`executed-HOST-PID.jsonl` in the record has a line for each source of the program that such a process has read: its
path, and whether it had been edited before.
"""

from __future__ import annotations

import os

from footsteps.recorder.code import Code, own_modules, project_modules
from footsteps.recorder.format import append, bytes_of, content_of, from_json, json_text
from footsteps.recorder.inputs import inputs_file
from footsteps.recorder.modules import executed
from footsteps.recorder.processes import created_at, process_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

BEGINNING = "executed-"


def watch_for(run: Any) -> Callable[[str], None]:
    """Who is told of each source that Python reads: the run's code, or in a forked worker the worker's own file."""

    def watch(path: str) -> None:
        if os.getpid() == run.process:
            run.code.watch(path)
        else:
            note_one(run, path)

    return watch


def note_one(run: Any, path: str) -> None:
    """In a forked worker: note a source that it reads now. It raises nothing."""
    try:
        source = run.code.source_read(path)
        if source:
            write_lines(run, [(source, run.code.is_touched(source))])
    except Exception:  # a full disk: the outcome tells it
        return


def note_all(run: Any) -> None:
    """At the end of a process that joined the run: note the program's sources that it has loaded."""
    if not hasattr(run, "code"):  # a forked worker has noted each as it came
        facts = process_facts(os.getpid())
        born = (created_at(facts["start"]) if facts else None) or 0.0
        write_lines(run, [(path, os.stat(path).st_ctime <= born) for path in project_modules(own_modules())])


def write_lines(run: Any, rows: list[tuple[str, bool]]) -> None:
    """Add lines to this process's file."""
    lines = b"".join(json_text({"path": path, "edited_before": edited}).encode() + b"\n" for path, edited in rows)
    if lines:
        append(inputs_file(run, BEGINNING), lines)


def take_from_others(record: str, code: Code) -> None:
    """In the head: have what the others executed among the code of the run."""
    for row in noted(record):
        path = row.get("path")
        if isinstance(path, str):
            executed.append(path)
            if row.get("edited_before") is True and path not in code.read_again and code.is_touched(path):
                code.read_again[path] = bytes_of(path)


def noted(record: str) -> Iterator[dict[str, Any]]:
    """The lines of all such files of a record, those cut off aside."""
    for name in sorted(os.listdir(record)) if os.path.isdir(record) else ():
        if name.startswith(BEGINNING) and name.endswith(".jsonl"):
            for line in content_of(os.path.join(record, name)).splitlines():
                try:
                    row = from_json(line.decode())
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row
