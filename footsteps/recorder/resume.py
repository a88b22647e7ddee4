"""Going on in an earlier run of the same name that did not finish: a new session in its directory.

``initialize("unet", resume=True)`` or FOOTSTEPS_RESUME=1. A session has a record of its own below the run's,
.footsteps/session-2/, with its run.json, code and outcome; what the earlier ones have written stays as it is.
"""

from __future__ import annotations

import os

from footsteps.recorder.format import (
    INFO,
    NAME_VARIABLE,
    OUTCOME_JSON,
    RECORD,
    RUN_JSON,
    FootstepsError,
    append,
    encoded,
    from_json,
    iso,
    printable,
    text_of,
    warn,
)
from footsteps.recorder.machine import host_name
from footsteps.recorder.processes import is_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SESSION = "session-"


def resume_or(make: Callable[[], None], run: Any) -> None:
    """Begin a session in the newest run of that name if it did not finish, else make a new run.

    Raises FootstepsError where a process still writes to it.
    """
    name = "/".join(filter(None, (run.name or os.environ.get(NAME_VARIABLE) or "").strip().split("/")))
    earlier = newest_run(run.root, name) if name else ""
    if not earlier or has_finished(last_record(earlier)):
        make()
        return
    require_dead(earlier)
    base = os.path.join(run.root, *name.split("/"))
    run.name = name + earlier[len(base) :]
    run.session = f"{SESSION}{len(records_of(earlier)) + 1}"
    run.shown = os.path.join(earlier, "")
    run.directory, run.made_here = os.path.join(os.path.abspath(earlier), ""), True
    run.call("start")
    run.call("fill")
    tell(run)


def newest_run(root: str, name: str) -> str:
    """The path of the run of that name with the highest number; "" where there is none."""
    base = os.path.join(root, *name.split("/"))
    folder, stem = os.path.split(base)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return ""
    numbers = [entry[len(stem) + 1 :] for entry in names if entry.startswith(f"{stem}-")]
    paths = [f"{base}-{number}" for number in sorted(filter(str.isdecimal, numbers), key=int, reverse=True)]
    return next((path for path in (*paths, base) if os.path.exists(os.path.join(path, RECORD, RUN_JSON))), "")


def records_of(directory: str) -> list[str]:
    """The records of a run: its own, then those of its later sessions, in order."""
    record = os.path.join(directory, RECORD)
    try:
        numbers = [name[len(SESSION) :] for name in os.listdir(record) if name.startswith(SESSION)]
    except OSError:
        numbers = []
    return [record, *(os.path.join(record, SESSION + n) for n in sorted(filter(str.isdecimal, numbers), key=int))]


def last_record(directory: str) -> str:
    """The record of the last session."""
    return records_of(directory)[-1]


def json_object(path: str) -> dict[str, Any]:
    """The object in a file of a record; {} where there is none."""
    try:
        value = from_json(text_of(path) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def has_finished(record: str) -> bool:
    """Whether a session came to its end as the program wanted."""
    outcome = json_object(os.path.join(record, OUTCOME_JSON))
    return outcome.get("status") == "finished" or (
        outcome.get("status") == "exited" and outcome.get("exit_status") == 0
    )


def require_dead(directory: str) -> None:
    """Raises FootstepsError if the process of the last session can be seen to live."""
    record = last_record(directory)
    facts = json_object(os.path.join(record, RUN_JSON))
    process, host = facts.get("process") or {}, facts.get("host")
    if os.path.exists(os.path.join(record, OUTCOME_JSON)):
        return
    if host != host_name():
        warn(f"whether {printable(directory)} is still written to on {host} can't be seen from here")
        return
    boot = text_of("/proc/sys/kernel/random/boot_id").strip()
    if boot == (process.get("boot_id") or "") and is_running(process.get("pid") or 0, process.get("ticks") or 0):
        hint = f"wait for it, or end it (kill {process.get('pid')}); without resume a new run begins"
        raise FootstepsError(f"{directory!r} can't be resumed: process {process.get('pid')} still writes to it", hint)


def tell(run: Any) -> None:
    """A section at the end of info.txt, and a line for the person."""
    facts = run.facts
    rows = facts.get("repositories") or [{}]
    lines = [iso(run.started), str(facts.get("command") or ""), f"commit {rows[0].get('commit') or 'none'}",
             f"its record: {RECORD}/{run.session}"]  # fmt: skip
    text = f"Resumed ({run.session}):\n" + "".join(f"{printable(line)}\n" for line in lines)
    append(os.path.join(run.directory, INFO), encoded(text))
    warn(f"going on in {run.shown} ({run.session})")
