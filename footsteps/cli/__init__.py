"""The `footsteps` command: runs one command, and is the one place where errors end.

The commands themselves are in the files beside this one, a file for each group; `parsers` knows
which command is where. Nothing heavy is imported before a command needs it: any command starts
within three times what an empty Python takes.
"""

from __future__ import annotations

import sys

from footsteps.cli import render
from footsteps.cli.parsers import BUG, COMMANDS, DONE, INTERRUPTED, PIPE_CLOSED, TROUBLE, make_parser
from footsteps.recorder.format import VERSION, FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; whatever happens, one message and no frames."""
    render.open_closed_streams()
    if argv is None:
        end_in_order()
    status = exit_status_of(argv)
    render.let_go(sys.stdout)
    return status


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does: what was begun is removed, and what was started ends too."""
    import _signal  # type: ignore[import-not-found]  # signal itself makes enums

    def end(number: int, _: object) -> None:
        for each in numbers:
            _signal.signal(each, _signal.SIG_IGN)  # once: the second would cut that short
        raise SystemExit(128 + number)

    numbers = [getattr(_signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(_signal, name)]
    for number in numbers:
        if _signal.getsignal(number) == _signal.SIG_DFL:  # nohup has it ignored
            _signal.signal(number, end)


def exit_status_of(argv: Sequence[str] | None) -> int:
    """The exit status of a command that has said all it had to say, or why it could not."""
    try:
        status = run_command(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except FootstepsError as error:
        render.message(*(render.terminal_text(line) for line in f"footsteps: {error}".split("\n")))
        return TROUBLE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        render.message(render.terminal_text(f"footsteps: {error.strerror or error}{where}"))
        return TROUBLE
    except MemoryError:
        render.message("footsteps: the memory of this machine is not enough for that")
        return TROUBLE
    except Exception:
        return report_bug()
    return status


def run_command(argv: Sequence[str] | None) -> int:
    """The exit status of the command that the words name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the locale can't say must not end a list
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(words[0] if words else "")
    if words and words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        raise FootstepsError(f"no option {words[0]!r} can stand before the command", hint=command_first(words))
    if not words:
        parser.print_help(sys.stdout)
        return DONE
    try:
        args = parser.parse_args(words)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    return int(args.func(args))


def command_first(words: Sequence[str]) -> str:
    """The command line that was meant by options before the command: `--no-pager list` as git has it."""
    at = next((number for number, word in enumerate(words) if word in COMMANDS), None)
    if at is None:
        return "footsteps list --help"
    return quote(["footsteps", words[at], *words[:at], *words[at + 1 :]])


def report_bug() -> int:
    """Say that it is our mistake, with what a report of it needs."""
    import platform
    import traceback

    render.message(*map(render.terminal_text, traceback.format_exc().splitlines()))
    versions = f"footsteps {VERSION}, Python {platform.python_version()}, {platform.platform()}"
    render.message(f"footsteps: this is a mistake in footsteps; please report it with: {versions}")
    return BUG
