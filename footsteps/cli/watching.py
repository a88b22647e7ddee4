"""`footsteps watch`: the runs that are running, their last values and what they say, as it changes."""

from __future__ import annotations

import io
import os
import sys

from footsteps.cli import render
from footsteps.cli.chart import lines_of
from footsteps.cli.pager import Kept
from footsteps.cli.parsers import DONE, NO, add_command, add_json, add_roots, chosen_several, roots_of
from footsteps.reader import runs

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run

WATCHED_TAIL = 1 << 16  # bytes at the end of a file in which the last line and the last values are looked for
CONSOLE_FILE = "console.txt"


def add_watch(commands: Commands) -> None:
    """`footsteps watch`."""
    parser = add_command(
        commands,
        watch,
        "watch",
        examples="""\
  footsteps watch              all that run now; Ctrl-C ends
  footsteps watch unet-3       until it ends; then 0 if it finished, else 1
  footsteps watch | cat        once, as a table for programs""",
        more="""\
How long each has run, its last step and values, and the last line that it
printed (where its console is kept: initialize(..., console=True)). Exits with 1
if a RUN has ended and did not finish, in a pipe too, or if nothing runs.""",
    )
    parser.add_argument(
        "names", nargs="*", default=[], metavar="RUN", help="names, groups, patterns (default: all that run)"
    )
    parser.add_argument(
        "-i", "--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks (default: 1)"
    )
    add_roots(parser)
    add_json(parser)


def watch(args: argparse.Namespace) -> int:
    """`footsteps watch`: until Ctrl-C, or until the runs that were named have ended."""
    roots = roots_of(args.root)[: None if args.root else 1]
    named = chosen_several(args.names, args.root) if args.names else None
    if args.json:
        found = watched_runs(named, roots)
        render.print_document([watched_row(run) for run in found])
        return status_of(found, named)
    if not isinstance(sys.stdout, io.TextIOWrapper) or not render.is_terminal(sys.stdout):
        return once(watched_runs(named, roots), named)
    try:
        return redraw(named, roots, max(0.1, args.interval))
    except KeyboardInterrupt:
        return DONE


def watched_runs(named: Sequence[Run] | None, roots: Sequence[str]) -> list[Run]:
    """The named runs, or those that run, as they are now."""
    if named is not None:
        return [runs.Run(run.directory, run.root) for run in named if os.path.isdir(run.directory)]
    from footsteps.reader import search

    return [run for run in search.runs_without_end(roots) if run.status == "running"]


def once(found: Sequence[Run], named: Sequence[Run] | None) -> int:
    """What a pipe gets, and the exit status."""
    if found:
        print_state(found)
    else:
        render.message("footsteps: no run is running here")
    return status_of(found, named)


def status_of(found: Sequence[Run], named: Sequence[Run] | None) -> int:
    """The exit status: 1 if nothing runs, or if a run that was named has ended and did not finish."""
    bad = named is not None and any(run.status not in ("running", "finished") for run in found)
    return NO if bad or not found else DONE


def redraw(named: Sequence[Run] | None, roots: Sequence[str], interval: float) -> int:
    """Draw the table again and again over itself; ends when all named runs have."""
    import time

    drawn = 0
    while True:
        found = watched_runs(named, roots)
        text = picture(found, drawn, len(found) == 1 and named is not None)
        drawn = text.count("\n")
        sys.stdout.write(text)
        sys.stdout.flush()
        if named is not None and not any(run.status == "running" for run in found):
            return status_of(found, named)
        time.sleep(interval)


def picture(found: Sequence[Run], drawn: int, alone: bool) -> str:
    """The table as text that takes the place of one of so many lines; below a run alone what it printed last."""
    terminal = sys.stdout
    room = lines_of(terminal) - 2
    sys.stdout = kept = Kept(terminal)  # type: ignore[arg-type]
    render.held_lines.append([])  # not said again each second what there is no room for
    try:
        if found:
            print_state(found[: room - 1])
        else:
            render.print_text("nothing runs here now; waiting (Ctrl-C ends)\n")
        if alone:
            print_console(found[0], room - 3)
    finally:
        sys.stdout = terminal
        render.held_lines.pop()
    back = f"\x1b[{drawn}F\x1b[J" if drawn else ""
    return back + kept.taken().decode(kept.encoding, "replace")


def print_state(found: Sequence[Run]) -> None:
    """A row for each run."""
    rows = [watched_row(run) for run in found]
    names = list(dict.fromkeys(name for row in rows for name in row["values"]))
    columns = [
        render.Column("name", color=lambda _: "bold"),
        render.Column("status", color=lambda status: render.STATUS_COLORS.get(status, "")),
        render.Column("elapsed", show=render.span, right=True),
        *(render.Column(f"={name}", name, show=render.figure, right=True, extra=True) for name in names),
        render.Column("console", "last line", extra=True),
    ]
    if not any(row["console"] for row in rows):
        columns.pop()
    render.print_table(columns, [{**row, **{f"={n}": v for n, v in row["values"].items()}} for row in rows])


def watched_row(run: Run) -> dict[str, Any]:
    """What is shown of a run: elapsed seconds, the last values with the step first, the last line on its console."""
    lines = console_lines(run)
    return {"name": run.name, "status": run.status, "elapsed": run.duration,
            "values": last_values(run), "console": lines[-1] if lines else ""}  # fmt: skip


def last_values(run: Run) -> dict[str, Any]:
    """The last recorded numbers by name, steps first, from the end of recorded.jsonl."""
    from footsteps.reader.formats import flat, mapping
    from footsteps.reader.series import STEPS, recorded_number
    from footsteps.recorder.format import RECORDED, from_json

    values: dict[str, Any] = {}
    for line in tail(os.path.join(run.records[-1], RECORDED)).splitlines():
        try:
            said = from_json(line)
        except ValueError:  # cut off at its beginning, or not whole yet
            continue
        if isinstance(said, dict) and said.get("kind") == "recorded":
            values.update(flat(mapping(said.get("values"))))
    numbers = {
        name: value
        for name, value in values.items()
        if recorded_number(value) is not None and name not in run.arguments
    }
    return {name: numbers[name] for name in sorted(numbers, key=lambda name: name not in STEPS)}


def console_lines(run: Run) -> list[str]:
    """The last lines that a run printed, progress bars as they last were; [] where its console is not kept."""
    lines = tail(os.path.join(run.directory, CONSOLE_FILE)).split("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2].strip() for line in lines]
    return [line for line in shown if line]


def tail(path: str) -> str:
    """The end of a file as text; "" where there is none."""
    from footsteps.reader.formats import open_plain_file

    try:
        with open_plain_file(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - WATCHED_TAIL))
            return (file.read(WATCHED_TAIL) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def print_console(run: Run, room: int) -> None:
    """What a run printed last, as much as there is room for."""
    screen = render.Screen()
    lines = console_lines(run)[-max(0, min(room, 12)) :]
    if lines:
        screen.say()
    for line in lines:
        screen.say(render.cut(render.terminal_text(line), screen.width, screen.dots))
