"""Long answers on a terminal go through a pager, as git's do: PAGER, else less; --no-pager, PAGER=cat or none."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager

from footsteps.cli import render

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_no_pager(parser: argparse.ArgumentParser) -> None:
    """The option of commands whose answer may be long."""
    parser.add_argument("--no-pager", action="store_true", help="also where it is longer than the terminal")


class Kept(io.TextIOWrapper):
    """What is printed, kept until all of it is there; to those who print it is the terminal that it stands for."""

    def __init__(self, terminal: io.TextIOWrapper) -> None:
        super().__init__(io.BytesIO(), encoding=terminal.encoding, errors="backslashreplace", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        """It is shown on one."""
        return True

    def fileno(self) -> int:
        """The terminal's, which knows its width."""
        return self.terminal.fileno()

    def taken(self) -> bytes:
        """All that was printed."""
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


@contextmanager
def paged(args: argparse.Namespace) -> Iterator[None]:
    """Show what is printed inside in the pager if it is longer than the terminal; messages follow afterwards."""
    terminal = sys.stdout
    command = os.environ.get("PAGER", "less")
    plain = getattr(args, "no_pager", False) or command in ("", "cat") or os.environ.get("TERM", "dumb") == "dumb"
    if plain or not render.is_terminal(terminal) or not isinstance(terminal, io.TextIOWrapper):
        yield
        return
    sys.stdout = kept = Kept(terminal)
    render.held_lines.append([])
    try:
        yield
    finally:
        sys.stdout = terminal
        try:
            page_text(kept.taken(), command, terminal)
        finally:
            for lines, hint in render.held_lines.pop():
                render.message(*lines, hint=hint)


def page_text(data: bytes, command: str, terminal: io.TextIOWrapper) -> None:
    """Put the text on the terminal, through the pager if there is more than fits."""
    try:
        height = os.get_terminal_size(terminal.fileno()).lines or 24
    except OSError:
        height = 24
    if data.count(b"\n") < height or not through(data, command):
        terminal.flush()
        terminal.buffer.write(data)
        terminal.buffer.flush()


def through(data: bytes, command: str) -> bool:
    """Whether the pager could be started; it has ended then."""
    import shlex
    import subprocess

    try:
        pager = subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, env={"LESS": "FRX", "LV": "-c", **os.environ}
        )
    except (OSError, ValueError):
        return False
    while True:
        try:
            pager.communicate(data)
        except BrokenPipeError:  # it was left before the end
            pass
        except KeyboardInterrupt:  # is the pager's to answer
            continue
        return True
