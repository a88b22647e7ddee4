"""`footsteps rm` and `footsteps du`: what runs take on disk, and those that are not wanted any more."""

from __future__ import annotations

import os
import sys

from footsteps.cli import render
from footsteps.cli.listing import FILTERS, add_filters, moment_argument
from footsteps.cli.parsers import DONE, NO, add_command, add_roots, chosen_several, is_agreed, roots_of
from footsteps.cli.rows import add_output, print_rows, when
from footsteps.reader import runs
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run


def add_rm(commands: Commands) -> None:
    """`footsteps rm`."""
    parser = add_command(
        commands,
        rm,
        "rm",
        examples="""\
  footsteps rm unet-3 'test*'
  footsteps rm --failed --before 2w    what failed more than two weeks ago
  footsteps rm --empty                 delete what is in the trash""",
        more="""\
Shows the runs, their sizes, and which other runs have read their files; asks;
then moves them to .trash/ below the output root. Runs that others have read,
that are tagged, or that still run are kept, unless --force is given.""",
    )
    parser.add_argument("names", nargs="*", default=[], metavar="RUN", help="names, groups, patterns")
    add_filters(parser)
    parser.add_argument(
        "--before", type=moment_argument, metavar="WHEN", help="begun earlier than 2w ago, march, 2026-11-22"
    )
    parser.add_argument("--since", type=moment_argument, metavar="WHEN", help="begun then or later")
    parser.add_argument("--empty", action="store_true", help="delete what is in the trash")
    parser.add_argument("--force", action="store_true", help="also runs that others have read, or that are tagged")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_roots(parser)
    parser.add_argument("--json", action="store_true", help="one JSON array, an object for each run")


def rm(args: argparse.Namespace) -> int:
    """`footsteps rm`: 1 if nothing was removed."""
    roots = roots_of(args.root)[: None if args.root else 1]
    if args.empty:
        return empty_trashes(args, roots)
    found, known = removal_candidates(args, roots)
    seen: dict[tuple[int, int], int] = {}
    rows = [removal_row(run, known, found, seen) for run in found]
    going = [(row, row.pop("run")) for row in rows]
    if not args.force:
        going = [pair for pair in going if not pair[0]["kept"]]
    if not args.json:
        print_candidates(rows, args.force)
    if not found or not going:
        render.message("footsteps: nothing to remove" + (" (--force removes kept ones too)" if found else ""))
        if args.json:
            render.print_document([])
        return NO
    total = sum(row["size"] for row, _ in going)
    if not is_agreed(
        args, f"Move {len(going)} run{'s'[: len(going) != 1]} ({render.size_text(total)}) to the trash?", "remove this"
    ):
        render.message("footsteps: nothing was removed")
        return NO
    return move_to_trash(args, going)


def removal_candidates(args: argparse.Namespace, roots: Sequence[str]) -> tuple[list[Run], list[Run]]:
    """The runs that would go, newest first, and all that are known."""
    from footsteps.reader import search

    narrowed = args.filter or args.before is not None or args.since is not None
    if not args.names and not narrowed:
        raise FootstepsError("no run to remove", "footsteps rm RUN..., or footsteps rm --failed --before 2w")
    known = list(search.known(roots, watch=render.progress))
    found = chosen_several(args.names, args.root) if args.names else known
    if args.filter:
        found = [run for run in found if FILTERS[args.filter](run)]
    after, before = args.since, args.before
    found = [run for run in found if (after is None or run.start >= after) and (before is None or run.start < before)]
    return found, known


def removal_row(
    run: Run, known: Sequence[Run], found: Sequence[Run], seen: dict[tuple[int, int], int]
) -> dict[str, Any]:
    """What is to be known of a run before it goes, how much that frees, and why it is kept."""
    from footsteps.reader import trash

    read = trash.readers_of([run], [other for other in known if other not in found]).get(run.directory, [])
    inner = [other.name for other in trash.runs_inside(run, known) if other not in found]
    kept = [f"read by {', '.join(read[:3])}"] if read else []
    kept += [f"tagged {' '.join(run.tags)}"] if run.tags else []
    kept += [f"holds the run {inner[0]}"] if inner else []
    if run.status == "running":
        kept = ["still running"]
    size, files = trash.size_of_folder(run.directory, seen, freed=True)
    return {"name": run.name, "status": run.status, "started": run.started, "size": size, "files": files,
            "kept": "; ".join(kept), "directory": run.directory, "run": run}  # fmt: skip


def print_candidates(rows: Sequence[dict[str, Any]], force: bool) -> None:
    """The runs that would go, on stderr's side of the question: a table for people."""
    columns = [
        render.Column("name", color=lambda _: "bold"),
        render.Column("status", color=lambda status: render.STATUS_COLORS.get(status, "")),
        render.Column("started", show=when),
        render.Column("size", show=render.size_text, right=True),
        render.Column(
            "kept", "", show=lambda why: f"{why}: {'removed all the same' if force else 'kept'}" if why else ""
        ),
    ]
    if rows:
        render.print_table(columns, rows)
        sys.stdout.flush()


def move_to_trash(args: argparse.Namespace, going: Sequence[tuple[dict[str, Any], Run]]) -> int:
    """Move the runs, those inside of others first."""
    from footsteps.reader import trash

    for row, run in sorted(going, key=lambda pair: pair[1].directory, reverse=True):
        row["trash"] = trash.throw_away(run)
    if args.json:
        render.print_document(row for row, _ in going)
    first = os.path.relpath(going[0][0]["trash"])
    back = f"mv {quote([first])} {quote([os.path.relpath(going[0][1].directory)])}"
    render.message(hint=render.terminal_text(f"undo: {back}    delete for good: footsteps rm --empty"))
    return DONE


def empty_trashes(args: argparse.Namespace, roots: Sequence[str]) -> int:
    """Delete the trash of each root; 1 if it was empty."""
    from footsteps.reader import trash

    freed = 0
    for root in map(os.path.abspath, roots):
        size, files = trash.size_of_folder(os.path.join(root, trash.TRASH))
        where = os.path.relpath(os.path.join(root, trash.TRASH))
        if files and is_agreed(
            args,
            f"Delete {render.terminal_text(where)} ({files} files, {render.size_text(size)}) for good?",
            "remove this",
        ):
            freed += trash.empty_trash(root)[1]
    if args.json:
        render.print_document([{"deleted files": freed}])
    if not freed:
        render.message("footsteps: nothing was deleted")
    return DONE if freed else NO


def add_du(commands: Commands) -> None:
    """`footsteps du`."""
    parser = add_command(
        commands,
        du,
        "du",
        examples="""\
  footsteps du                 all runs, the largest first
  footsteps du 'knee/*' -n 5""",
        more="""\
Files that several runs share on disk count once, for the oldest of them. The
last line is the sum; what is in the trash is a line of its own.""",
    )
    parser.add_argument("names", nargs="*", default=[], metavar="RUN", help="names, groups, patterns (default: all)")
    parser.add_argument("-n", type=int, metavar="N", help="only the N largest")
    add_roots(parser)
    add_output(parser)


def du(args: argparse.Namespace) -> int:
    """`footsteps du`: sizes, the largest first; 1 if there are no runs."""
    from footsteps.reader import search, trash

    roots = roots_of(args.root)[: None if args.root else 1]
    found = chosen_several(args.names, args.root, wide=True) if args.names else list(search.known(roots))
    seen: dict[tuple[int, int], int] = {}
    rows: list[dict[str, Any]] = []
    for run in render.progress(runs.newest_first(found)[::-1], "measuring", len(found)):
        size, files = trash.size_of_folder(run.directory, seen)
        rows.append({"size": size, "files": files, "name": run.name})
    rows.sort(key=lambda row: row["size"], reverse=True)
    columns = [render.Column("size", show=render.size_text, right=True), render.Column("files", right=True),
               render.Column("name", color=lambda _: "bold")]  # fmt: skip
    print_rows(args, rows[: args.n], columns, rows[: args.n])
    total = sum(row["size"] for row in rows)
    thrown = sum(trash.size_of_folder(os.path.join(root, trash.TRASH))[0] for root in roots)
    render.message(
        f"{render.size_text(total)} in {len(rows)} runs"
        + (f", {render.size_text(thrown)} in the trash" if thrown else "")
    )
    return DONE if rows else NO
