"""`footsteps diff` and `footsteps trace`."""

from __future__ import annotations

import os
import sys

from footsteps.cli import chains, render
from footsteps.cli.pager import add_no_pager, paged
from footsteps.cli.parsers import (
    DONE,
    NO,
    add_command,
    add_json,
    add_roots,
    add_run,
    add_source,
    chosen_run,
    complain,
    roots_of,
)
from footsteps.reader import formats, runs
from footsteps.recorder.format import quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from footsteps.cli.parsers import Commands
    from footsteps.reader import compare
    from footsteps.reader import trace as tracing
    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run
    from footsteps.reproduce.chain import Chain


def add_diff(commands: Commands) -> None:
    """`footsteps diff`."""
    parser = add_command(
        commands,
        diff,
        "diff",
        examples="""\
  footsteps diff @~1 @             the newest two
  footsteps diff unet-3 unet-4 --json""",
        more="""\
Arguments, code, packages, Python, machine, environment, inputs, artifacts, recorded values;
in a pipe the patch between the two codes follows after an empty line.
Exits with 1 if they differ.""",
    )
    add_run(parser, "a", "A")
    add_run(parser, "b", "B")
    add_source(parser)
    add_roots(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--patch", action="store_true", help="only the patch between their codes")
    what.add_argument("--no-patch", action="store_true", help="all but the patch")
    add_json(parser)
    add_no_pager(parser)


def diff(args: argparse.Namespace) -> int:
    """`footsteps diff`: 1 if they differ."""
    from footsteps.reader import compare

    a, b = (chosen_run(selector, args.root) for selector in (args.a, args.b))
    found = compare.compare(a, b, args.source, binary=args.json or not render.is_terminal(sys.stdout))
    with paged(args):
        if args.json:
            render.print_json([found.row()])
        elif args.patch:
            render.print_patch(found.patch)
        else:
            print_comparison(found, b"" if args.no_patch else found.patch)
    render.message(*(render.terminal_text(f"footsteps: {problem}") for problem in found.problems))
    complain([], [a, b])
    return NO if found.patch or (found.differences and not args.patch) else DONE


def print_comparison(found: compare.Comparison, patch: bytes) -> None:
    """Rows, the patch after those of the code; in a pipe, after an empty line, at the end."""
    alike = found.a.name == found.b.name
    titles = [os.path.relpath(run.directory) if alike else run.name for run in (found.a, found.b)]
    columns = [
        render.Column("about", color=lambda _: "dim"),
        render.Column("name", color=lambda _: "cyan"),
        render.Column("a", titles[0], color=lambda _: "red"),
        render.Column("b", titles[1], color=lambda _: "green"),
        render.Column("note", extra=True),
    ]
    rows = [each.row() for each in found.differences]
    in_place = render.is_terminal(sys.stdout)
    first = [row for row in rows if not in_place or row["about"] in ("arguments", "code")]
    if rows:
        render.print_table(columns, first)
    if patch:
        print()
        render.print_patch(patch)
    if len(first) < len(rows):
        print()
        render.print_table(columns, rows[len(first) :])
    if not rows:
        render.message(f"footsteps: no difference was found{' in what could be compared' if found.problems else ''}")


def add_trace(commands: Commands) -> None:
    """`footsteps trace`."""
    parser = add_command(
        commands,
        trace,
        "trace",
        examples="""\
  footsteps trace paper/figures/loss.png
  footsteps trace weights.pt --root /data/results
  footsteps trace paper/fig3.pdf --mermaid > chain.mmd""",
        more="""\
By its content, by what footsteps wrote into a figure, by a LiteTracer hash in its name, by the
run's directory that it lies in; also which runs read it, and the whole chain: the runs whose files its
run read, theirs, down to raw data. Where only the path points to a run, it says "perhaps".
Exits with 1 if no run is found that made it.""",
    )
    parser.add_argument("file", metavar="FILE", help="any file, renamed or copied wherever")
    chains.add_drawings(parser)
    add_roots(parser)
    add_json(parser)


def trace(args: argparse.Namespace) -> int:
    """`footsteps trace`: 1 if nobody made it."""
    from footsteps.reader import trace as tracing
    from footsteps.reproduce import chain as chaining

    problems: list[Problem] = []
    roots = roots_of(args.root)
    found = tracing.trace(args.file, roots, problems=problems, watch=render.progress)
    chain = chaining.of_trace(found, roots, watch=render.progress)
    if args.json:
        render.print_json([{**found.row(), "chain": chain.row()}])
    else:
        print_trace(found, chain, args.drawing)
    complain(problems)
    made = found.made[0] if found.made else None
    if made is None:
        render.message(render.terminal_text(f"footsteps: no run in {runs.roots_said(roots)} is known to have made it"))
        say_who_may_have_read(roots)
    elif made.run is not None:
        render.message(hint=f"what else is known: footsteps show {quote([selector_of(made.run)])}")
    return DONE if made else NO


def say_who_may_have_read(roots: Sequence[str]) -> None:
    """One line on stderr if there are runs that do not know all that they have read: any data may be among it."""
    unsure = [run for run in runs.find(roots) if run.outcome.get("inputs_complete") is False]
    if unsure:
        which = f"{unsure[0].name!r}{f' and {len(unsure) - 1} more runs' if unsure[1:] else ''}"
        why = formats.why_incomplete(unsure[0].outcome)
        render.message(render.terminal_text(f"footsteps: {which} may have read it too: {why}"))


def selector_of(run: Run) -> str:
    """What names a run from here: its name below the usual roots, else its path."""
    usual = [os.path.abspath(root) for root in runs.default_roots()]
    return run.name if run.root in usual else os.path.relpath(run.directory)


def print_trace(found: tracing.Trace, chain: Chain, drawing: str | None) -> None:
    """A row for each run that made the file, then for each that read it; the whole chain."""
    rows = [
        {"role": role, **each.row(), "how": ", ".join(each.how)}
        for role, listed in (("made by", found.made), ("read by", found.read))
        for each in listed
    ]
    columns = [
        render.Column("role"),
        render.Column("name", "run", color=lambda _: "cyan"),
        render.Column("started", show=lambda iso: render.ago(iso or "")),
        render.Column("path"),
        render.Column("how", "evidence"),
        render.Column("command", extra=True),
    ]
    if rows and not drawing:
        render.print_table(columns, rows)
    chains.print_chain(chain, drawing)
