"""The command line of chains: how `trace` shows the runs that lead to a file, and `rerun --chain`."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager

from footsteps.cli import render
from footsteps.cli.parsers import (
    DONE,
    NO,
    add_command,
    add_json,
    add_roots,
    add_source,
    chosen_run,
    is_agreed,
    roots_of,
    size_argument,
)
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run
    from footsteps.reproduce.chain import Chain
    from footsteps.reproduce.stages import ChainRerun, Step
    from footsteps.reproduce.unpack import Unpacked

DRAWINGS = {
    "tree": "as a tree, in a pipe too",
    "mermaid": "as a Mermaid flow chart",
    "graphviz": "as a text for Graphviz' dot",
}


def add_drawings(parser: argparse.ArgumentParser) -> None:
    """How the whole chain is shown."""
    which = parser.add_mutually_exclusive_group()
    for name, meaning in DRAWINGS.items():
        text = f"show the chain of runs {meaning}"
        which.add_argument(f"--{name}", dest="drawing", action="store_const", const=name, help=text)


def print_chain(chain: Chain, drawing: str | None) -> None:
    """The chain in the way that was asked for: on a terminal a tree if it was not said how, in a pipe nothing."""
    from footsteps.reproduce import chain as chains

    if drawing == "mermaid":
        render.print_text(chains.mermaid(chain))
    elif drawing == "graphviz":
        render.print_text(chains.graphviz(chain))
    elif drawing == "tree" or render.Screen().terminal:
        print_tree(chain)


def print_tree(chain: Chain) -> None:
    """The tree, in ASCII where the terminal's encoding has no lines, each line as wide as the terminal."""
    from footsteps.reproduce import chain as chains

    screen = render.Screen()
    plain = not render.can_say(screen.stream, "\u251c\u2514\u2502\u2500")
    ago = render.ago if screen.terminal else str
    for line in chains.tree(chain, ago, render.size_text):
        words = render.terminal_text(line.translate(ASCII) if plain else line)
        screen.say(render.cut(words, screen.width, screen.dots) if screen.terminal else words)
    if chain.cycle:
        names = ", ".join(stage.run.name for stage in chain.cycle)
        render.message(render.terminal_text(f"footsteps: these read each other's files: {names}"))


ASCII = {ord("\u251c"): "|", ord("\u2514"): "`", ord("\u2502"): "|", ord("\u2500"): "-"}


def chain_to(selector: str, given: list[str] | None) -> Chain:
    """The chain to a run, or to a file that is none."""
    from footsteps.reader.archive import split, was_exported
    from footsteps.reproduce import chain as chains

    roots = roots_of(given)
    if os.path.isfile(selector) and not was_exported(selector):
        return chains.of_file(selector, roots, watch=render.progress)
    run = chosen_run(selector, given)
    lies_in = "" if os.path.isdir(run.directory) else split(run.directory)[0]
    return chains.of_run(run, [lies_in] if lies_in else roots, watch=render.progress)


def unpacked_run(run: Run, place: str) -> closing[Unpacked]:
    """A run for a command that makes a place: of an archived one, what is unpacked goes to PLACE.archive."""
    from footsteps.reproduce.unpack import Unpacked

    return closing(Unpacked(run, os.path.abspath(place.rstrip(os.sep) + ".archive")))


@contextmanager
def unpacked_for_now(run: Run, place: str | None) -> Iterator[Run]:
    """A run for as long as it is needed: unpacked beside the place, or where temporary things are made."""
    import tempfile

    from footsteps.reproduce.unpack import Unpacked

    near = os.path.dirname(os.path.abspath(place)) if place else tempfile.gettempdir()
    while not os.path.isdir(near):
        near = os.path.dirname(near)
    folder = os.path.join(near, f".footsteps-archive-{os.getpid()}")
    with closing(Unpacked(run, folder)) as there:
        try:
            yield there.run
        except FootstepsError as error:  # whose advice would name a folder that is gone then
            error.hint = error.hint.replace(there.run.directory, run.directory)
            raise


def add_chain_rerun(parser: argparse.ArgumentParser) -> None:
    """The options of `rerun` for a chain."""
    parser.add_argument("--chain", action="store_true", help="first the runs whose files it read; RUN may be a FILE")
    text = "with --chain: do not run again what made files that are still there as they were"
    parser.add_argument("--reuse", action="store_true", help=text)
    parser.add_argument("--script", action="store_true", help="with --chain: print a shell script instead")


def rerun(args: argparse.Namespace) -> int:
    """`footsteps rerun --chain`: 1 if a stage made other files, or failed."""
    from footsteps.cli.reproducing import set_values
    from footsteps.reproduce import chain as chains
    from footsteps.reproduce.inputs import maps_of
    from footsteps.reproduce.rerun import free_destination
    from footsteps.reproduce.stages import ChainRerun

    if args.script and args.env:
        raise FootstepsError("a script makes no environment: it takes the Python that is here", hint="--python EXE")
    chain = chain_to(args.run, args.root)
    if chain.head is None:
        raise FootstepsError(f"no run is known to have made {args.run!r}", hint=f"footsteps trace {quote([args.run])}")
    dest = args.dest or free_destination(chain.head.run)
    with unpacked_run(chain.head.run, dest) as there:
        again = ChainRerun(
            chains.of_run(there.run, there.roots) if there.roots else chain, dest,
            sources=args.source, values=set_values(args.set), given=there.inputs,
            python=args.python, environment=args.env, reuse=args.reuse,
            roots=there.roots or roots_of(args.root), maps=maps_of(args.map),
        )  # fmt: skip
        if args.script:
            render.print_text(again.script())
        elif not agreed_to_chain(args, again):
            render.message("footsteps: nothing was restored, and nothing was run")
            return NO
        there.keep = True
    return DONE if args.script else run_chain(args, again)


def run_chain(args: argparse.Namespace, again: ChainRerun) -> int:
    """Run all stages in order; none where environments would be made for runs whose inputs are gone."""
    if args.env and again.gone and not args.anyway:
        line = f"{len(again.gone)} of the inputs can't be had: no environment was made (--anyway makes them)"
        render.message(f"footsteps: {line}", "footsteps: nothing was restored, and nothing was run")
        return NO
    for step in again.steps:
        run_step(args, again, step)
    return print_chain_result(args, again)


def agreed_to_chain(args: argparse.Namespace, again: ChainRerun) -> bool:
    """Show all that would be run and what is missing, and ask. FootstepsError where nobody can be asked."""
    from footsteps.cli.reproducing import ask_for_values, said_before, said_missing

    asks = render.is_terminal(sys.stdin) and render.is_terminal(sys.stderr)
    will = "will" if args.yes else "would"
    render.message(*said_missing(again.missing))
    for step in again.steps:
        title = f"{step.name}: {step.verdict}, {step.note}".rstrip(", ") if step.verdict else f"{step.name}:"
        lines = (
            [line for line in said_before(step.again, will) if " run" in line or " build" in line] if step.again else []
        )
        render.message(render.terminal_text(title), *(f"  {line}" for line in lines))
    for name in again.needed() if not asks else ():
        raise FootstepsError(f"{name!r} was recorded as ***", hint=f"--set {quote([name])}=VALUE")
    if not is_agreed(args, "Run these?", "run this"):
        return False
    ask_for_values(again)
    return True


def run_step(args: argparse.Namespace, again: ChainRerun, step: Step) -> None:
    """Restore one stage, run it, and say how it came out."""
    from footsteps.cli.reproducing import how, said_missing, say_step

    known = again.missing
    restored = again.bring(step, say_step)
    if restored:
        render.message(render.terminal_text(f"{step.name}: restored {how(restored)}: {step.directory}"))
        render.message(*said_missing(sentence for sentence in again.missing if sentence not in known))
        if args.env and step.again and step.again.gone and not args.anyway:
            step.verdict, step.note = "not run", "its inputs can't be had: no environment was made (--anyway makes it)"
        else:
            again.execute(step, say_step)
    render.message(render.terminal_text(f"{step.name}: {step.verdict}" + (f", {step.note}" if step.note else "")))


def print_chain_result(args: argparse.Namespace, again: ChainRerun) -> int:
    """Whether the same was made, and in which stage the first difference arose; 0 if it was."""
    red = ("different", "failed", "not run")
    columns = [
        render.Column("run", color=lambda _: "cyan"),
        render.Column("verdict", color=lambda word: "red" if word in red else "green"),
        render.Column("note"),
    ]
    if args.json:
        render.print_json([again.row()])
    else:
        render.print_table(columns, [step.row() for step in again.steps])
    sys.stdout.flush()  # in a pipe, the verdict comes after its table
    if again.first_unlike:
        render.message(render.terminal_text(f"footsteps: the first difference arose in {again.first_difference}"))
        reasons = (f"footsteps: it may be why: {reason}" for reason in again.first_unlike.reasons)
        render.message(*map(render.terminal_text, reasons))
    render.message("footsteps: the same" if again.same else "footsteps: not the same")
    return DONE if again.same else NO


def add_export(commands: Commands) -> None:
    """`footsteps export`."""
    parser = add_command(
        commands,
        export,
        "export",
        examples="""\
  footsteps export paper/fig3.pdf -o study.zip
  footsteps export unet-3 --no-chain --inputs 2G
  footsteps export --mlflow http://localhost:5000 unet-3 unet-4""",
        more="""\
The runs with what they made, the exact source code of each, small inputs, the packages, an index.html to look at
and a README. The same runs give the same bytes. What a record left out is not in it; what is missing is listed.
Every command takes such a file in the place of a RUN: `footsteps show study.zip`.""",
    )
    parser.add_argument("run", nargs="+", metavar="RUN|FILE", help="a run, or a file that one made; more with --mlflow")
    parser.add_argument("-o", "--output", metavar="FILE", help="a zip file that is not there yet (default: RUN.zip)")
    parser.add_argument("--no-chain", action="store_true", help="only this run, not those whose files it read")
    text = "take inputs of at most SIZE each along (default: 1M)"
    parser.add_argument("--inputs", type=size_argument, default=None, metavar="SIZE", help=text)
    parser.add_argument("--agent", action="store_true", help="name in the metadata who ran it")
    parser.add_argument("--mlflow", metavar="URI", help="send the runs to this MLflow server instead, nothing twice")
    parser.add_argument("--experiment", default="", metavar="NAME", help="with --mlflow (default: group or project)")
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def export(args: argparse.Namespace) -> int:
    """`footsteps export`: 1 if something is missing in it."""
    from footsteps.cli.reproducing import say_step
    from footsteps.reproduce import chain as chains
    from footsteps.reproduce import export as exporting

    if args.mlflow:
        return push(args)
    if len(args.run) > 1:
        raise FootstepsError("one archive holds one chain", hint=f"footsteps export {quote(args.run[:1])}")
    chain = chain_to(args.run[0], args.root)
    if args.no_chain:
        chain = chains.alone(chain)
    most = exporting.SMALL_INPUT if args.inputs is None else args.inputs
    done = exporting.export(chain, args.output, sources=args.source, inputs=most, agent=args.agent, say=say_step)
    if args.json:
        render.print_json([done.row()])
    else:
        render.print_path(done.path)
    for row in done.missing:
        render.message(render.terminal_text(f"footsteps: not in it: {row['path']}: {row['reason']}"))
    render.message(hint=render.terminal_text(f"{render.size_text(done.size)}: footsteps show {quote([done.path])}"))
    return NO if done.missing else DONE


def push(args: argparse.Namespace) -> int:
    """`footsteps export --mlflow`."""
    from footsteps.reproduce.mlflow import MLflowServer

    runs = [chosen_run(selector, args.root) for selector in args.run]
    server = MLflowServer(args.mlflow, args.experiment)
    rows = []
    for run in render.progress(runs, "sending runs", len(runs)):
        with unpacked_for_now(run, None) as there:
            rows.append(server.push(there))
    columns = [render.Column(key) for key in ("run", "mlflow_run", "experiment")]
    columns += [render.Column(key, right=True) for key in ("params", "metrics", "files")]
    if args.json:
        render.print_json(rows)
    else:
        render.print_table(columns, rows)
    return DONE
