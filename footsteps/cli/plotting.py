"""`footsteps plot`: recorded series as curves, in the terminal or in a file."""

from __future__ import annotations

import os
import sys

from footsteps.cli import render
from footsteps.cli.parsers import DONE, add_command, add_json, add_roots, chosen_several, roots_of
from footsteps.reader import runs
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from footsteps.cli.chart import Curve
    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run

MOST_CURVES = 12  # curves in one picture of a terminal


def add_plot(commands: Commands) -> None:
    """`footsteps plot`."""
    parser = add_command(
        commands,
        plot,
        "plot",
        examples="""\
  footsteps plot loss                    of the newest run
  footsteps plot loss knee               knee, knee-1 ..., and the group knee/
  footsteps plot loss 'knee/*' -o loss.png
  footsteps plot loss unet-3 --log""",
        more="""\
In the terminal; with -o in a file of any format that matplotlib writes. Values
that were recorded with a step, epoch or iteration stand at it.""",
    )
    parser.add_argument("name", metavar="NAME", help="of a value that was recorded several times")
    parser.add_argument(
        "names",
        nargs="*",
        default=[],
        metavar="RUN",
        help="names (and those numbered after them), groups, patterns (default: the newest that has it)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="draw with matplotlib into this file")
    parser.add_argument("--log", action="store_true", help="logarithmic values")
    add_roots(parser)
    add_json(parser)


def plot(args: argparse.Namespace) -> int:
    """`footsteps plot`: the curves."""
    found = chosen_several(args.names, args.root, wide=True)[::-1] if args.names else newest_with(args)
    name, curves = curves_of(args.name, found)
    if args.json:
        render.print_document({"name": title, "steps": steps, "values": values} for title, steps, values in curves)
    elif args.output:
        draw(args.output, name, curves, args.log)
        render.message(hint=f"wrote {render.terminal_text(args.output)}: {len(curves)} curve{'s'[: len(curves) != 1]}")
    else:
        print_curves(name, curves, args.log)
    without = len(found) - len(curves)
    if without:
        render.message(f"footsteps: {without} of {len(found)} runs recorded no {render.terminal_text(name)}")
    return DONE


def newest_with(args: argparse.Namespace) -> list[Run]:
    """The newest run that recorded such a series, else the newest one; none where there are no runs."""
    from footsteps.reader import search
    from footsteps.reader.table import full_name

    roots = roots_of(args.root)[: None if args.root else 1]
    known = list(search.known(roots, watch=render.progress))
    if not known:
        raise FootstepsError(f"no runs in {runs.roots_said(roots)}", "footsteps plot NAME -r DIRECTORY")
    return [next((r for r in known if full_name(r.all_series, args.name) in r.all_series), known[0])]


def curves_of(asked: str, found: Sequence[Run]) -> tuple[str, list[Curve]]:
    """The name that was meant, and a curve of it for each run that has one. Raises FootstepsError without any."""
    from footsteps.reader.series import all_series
    from footsteps.reader.table import full_name

    each = [(run, all_series(run.log)) for run in found]
    known = dict.fromkeys(name for _, series in each for name in series)
    name = full_name(known, asked)
    curves: list[Curve] = [(run.name, s[name].steps, s[name].values) for run, s in each if name in s]
    if curves:
        return name, curves
    there = f"recorded are: {', '.join(known)}" if known else "footsteps.record(step=step, loss=loss) records one"
    raise FootstepsError(f"{runs_said(found)} no series {asked!r}{runs.guess(asked, known)}", there)


def runs_said(found: Sequence[Run]) -> str:
    """One run by its name, several by their number."""
    return f"the run {found[0].name!r} has" if len(found) == 1 else f"these {len(found)} runs have"


def print_curves(name: str, curves: Sequence[Curve], log: bool) -> None:
    """The curves on the terminal; in a pipe the points, one a line."""
    from footsteps.cli.chart import print_chart

    if not render.is_terminal(sys.stdout):
        rows = [
            {"name": title, "step": step, name: value}
            for title, xs, ys in curves
            for step, value in zip(xs, ys, strict=True)
        ]
        render.print_table([render.Column("name"), render.Column("step"), render.Column(name)], rows)
        return
    print_chart(name, curves[-MOST_CURVES:], log=log)
    if len(curves) > MOST_CURVES:
        render.message(f"footsteps: the newest {MOST_CURVES} of {len(curves)} runs; -o FILE draws all of them")


def draw(file: str, name: str, curves: Sequence[Curve], log: bool) -> None:
    """The curves in a file, with matplotlib. Raises FootstepsError where that is missing or can't write such a file."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise FootstepsError("-o needs matplotlib, which is not installed here", "pip install matplotlib") from None
    figure = Figure(figsize=(7, 4.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for title, steps, values in curves:
        axes.plot(steps, values, label=title, linewidth=1.2)
    axes.set(xlabel="step", ylabel=name, yscale="log" if log else "linear")
    axes.legend(fontsize="small")
    try:
        figure.savefig(file, dpi=150)
    except ValueError as error:  # a format that it does not know
        raise FootstepsError(
            f"can't write {file!r}: {error}",
            f"footsteps plot {quote([name])} -o {quote([os.path.splitext(file)[0] + '.png'])}",
        ) from None
