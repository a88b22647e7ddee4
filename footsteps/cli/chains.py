"""The command line of chains: how `trace` shows the runs that lead to a file."""

from __future__ import annotations

from footsteps.cli import render

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse

    from footsteps.reproduce.chain import Chain

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
    for line in chains.tree(chain, ago, render.size):
        words = render.escaped(line.translate(ASCII) if plain else line)
        screen.say(render.cut(words, screen.width, screen.dots) if screen.terminal else words)
    if chain.cycle:
        names = ", ".join(stage.run.name for stage in chain.cycle)
        render.talk(render.escaped(f"footsteps: these read each other's files: {names}"))


ASCII = {ord("\u251c"): "|", ord("\u2514"): "`", ord("\u2502"): "|", ord("\u2500"): "-"}
