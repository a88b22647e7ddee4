"""Run directories written by hand, for the tests of what reads them."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from footsteps.reader import runs


def make_run(directory, *, outcome=None, recorded=(), **facts):
    """Write a run directory of format 1 with these facts."""
    record = Path(directory) / ".footsteps"
    record.mkdir(parents=True)
    content = {"format": 1, "name": record.parent.name, "outcome_expected": True, **facts}
    (record / "run.json").write_text(json.dumps(content))
    if outcome:
        (record / "outcome.json").write_text(json.dumps(outcome))
    if recorded:
        lines = [json.dumps({"kind": kind, "values": values}) for kind, values in recorded]
        (record / "recorded.jsonl").write_text("\n".join(lines) + "\n")
    return Path(directory)


def at(hour):
    """A start time at that hour."""
    return f"2026-11-22T{hour:02d}:00:00+00:00"


def this_process(**changes):
    """What a run's record says of a process: this one, except for the changes."""
    process = {
        "pid": os.getpid(),
        "ticks": runs.start_ticks(os.getpid()),
        "boot_id": runs.boot_id(),
        **changes,
    }
    return {"host": platform.node(), "process": process}
