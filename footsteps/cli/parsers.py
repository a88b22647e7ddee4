"""Which commands there are, the parsers, and what several commands share.

Each command is two functions in the file of its group: `add_<command>` makes its parser, and the
function that this names asks the readers for values, has `render` print them, and returns the exit status.
"""

from __future__ import annotations

import argparse
import os
import sys

from footsteps.cli import render
from footsteps.reader import runs
from footsteps.recorder.format import OUTPUT_ROOT, VERSION, FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, NoReturn

    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run

    Commands = argparse._SubParsersAction[Any]  # noqa: SLF001

DONE, NO, TROUBLE, BUG, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141  # exit statuses; EPILOG tells of them

# The file in which each command is, where `add_<command>` makes its parser, and what `footsteps --help` says of it.
COMMANDS = {
    "list": ("listing", "list runs, newest first"),
    "search": ("listing", "find runs by what was recorded"),
    "show": ("showing", "show all that is known of a run"),
    "path": ("showing", "print a run's directory"),
    "compare": ("listing", "show several runs side by side"),
    "diff": ("comparing", "show what differs between two runs"),
    "plot": ("plotting", "draw recorded values as curves"),
    "watch": ("watching", "follow the runs that are running"),
    "note": ("noting", "write a note about a run, or read its notes"),
    "tag": ("noting", "give runs a tag, or take one away"),
    "trace": ("comparing", "tell which run made a file"),
    "verify": ("reproducing", "check that a run's code can be brought back"),
    "restore": ("reproducing", "bring a run's exact code back in a new place"),
    "rerun": ("reproducing", "run a run's command again and compare what it made"),
    "export": ("chains", "put a run and its chain into one zip file for somebody else"),
    "view": ("viewing", "look at runs in a browser: one HTML file, no server, no network"),
    "rm": ("cleaning", "move runs to the trash, or empty it"),
    "du": ("cleaning", "show how much runs take on disk"),
    "help": ("helping", "tell what a command does"),
    "completion": ("completion", "print the completion script of a shell"),
    "complete": ("completion", ""),
}
HIDDEN = {"complete"}
# What other tools call it, and the topic of help that is no command; "did you mean" proposes ours.
ELSEWHERE = {
    "ls": "list", "log": "list", "history": "list", "runs": "list", "status": "list", "find": "search",
    "grep": "search", "query": "search", "info": "show", "describe": "show", "cat": "show", "tail": "watch",
    "top": "watch", "ps": "watch", "remove": "rm", "delete": "rm", "del": "rm", "clean": "rm", "prune": "rm",
    "size": "du", "comment": "note", "label": "tag", "graph": "plot", "checkout": "restore", "reproduce": "rerun",
    "repeat": "rerun", "run": "rerun", "zip": "export", "pack": "export", "ui": "view", "open": "view",
    "check": "verify", "format": "format",
}  # fmt: skip
EPILOG = """\
A RUN is named by its name (`unet-3`, `exp/unet-3`), by a path, by a prefix
that fits one run only, by its hash_code, id or code id, or by `@`: the newest;
`@~1` is the one before it. Where several runs may stand: a group (`knee/`), a
pattern (`'knee/*'`). Runs are looked for in results/ here or in a folder above,
in FOOTSTEPS_ROOT, or where `[tool.footsteps] root = "..."` in pyproject.toml or
setup.cfg says.

exit status:
  0    done
  1    no: they differ, none was found, it is not the same
  2    wrong usage, or something that you can mend as the message says
  3    a mistake in footsteps itself
  130  interrupted    141  the program that read the pipe has ended

Tables are for terminals; in a pipe the same rows are values between tabs.
PAGER (default: less) shows what is longer than the terminal.
NO_COLOR=1 takes the colours away; FORCE_COLOR=1 brings those of patches into a
pipe. `footsteps help COMMAND`; `footsteps help format`: the files of a record."""


class Help(argparse.HelpFormatter):
    """Paragraphs as wide as the terminal; what is indented, as examples are, as it was written."""

    def __init__(self, prog: str, **words: Any) -> None:
        words.setdefault("width", render.terminal_width(sys.stdout) - 2)  # else argparse imports shutil: 2 ms
        super().__init__(prog, **words)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        whole = [part if "\n " in f"\n{part}" else super(Help, self)._fill_text(part, width, indent) for part in parts]
        return "\n\n".join(whole)


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, with examples as they were written, and with hints."""

    commands: Commands

    def __init__(self, **words: Any) -> None:
        words.setdefault("formatter_class", Help)
        super().__init__(allow_abbrev=False, **words)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Options are taken anywhere. Nothing is left over for the parser above: the hint must name the command."""
        if args is not None and self._subparsers is None and "-" in self.prefix_chars:
            args = options_first(args, self._option_string_actions)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            near = runs.guess(option, self._option_string_actions) if option.startswith("--") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{commands_with(option) or near}")
        return found, unknown

    def has(self, option: str) -> bool:
        """Whether it takes an option."""
        return option in self._option_string_actions

    def _print_message(self, message: str, file: Any = None) -> None:
        """A help that can't be written is a trouble, which argparse would keep to itself."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Wrong usage is a trouble like any other: one sentence, one command that helps."""
        import re

        wrong = re.search(r"argument COMMAND: invalid choice: '([^']*)'", message)
        if wrong:
            raise unknown_command(wrong[1])
        raise FootstepsError(message, hint=f"{self.prog} --help")


def unknown_command(word: str) -> FootstepsError:
    """The error for a word that is no command, with the one that may have been meant."""
    names = {name: name for name in COMMANDS if name not in HIDDEN} | ELSEWHERE
    near = names.get(next(iter(runs.close_to(word, names)), ""), "")
    said = f" (did you mean {near!r}?)" if near else ""
    return FootstepsError(f"no command {word!r}{said}", hint=f"footsteps help {near}".rstrip())


def commands_with(option: str) -> str:
    """The commands that have an option which this one has not, for the end of a sentence; "" if none, or many."""
    parser = Parser(prog="footsteps")
    commands = parser.add_subparsers()
    for name in COMMANDS:
        add_parser_of(name, commands)
    found = [name for name, each in commands.choices.items() if each.has(option)]
    return f" (it is an option of {', '.join(f'footsteps {name}' for name in found)})" if 0 < len(found) < 4 else ""


def options_first(words: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """The words with options, and their values, before all others: argparse takes arguments only in one piece.

    What follows an option is its value also where it begins with a dash: `--sort -loss`. A word such as `-dash`,
    which is no option, is an argument: a run may be called so.
    """
    options: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            others += rest
        elif not word.startswith("-") or word == "-" or (word[1] != "-" and len(word) > 2 and word[:2] not in known):
            others.append(word)
        elif word in known and known[word].nargs is None:
            value = next(rest, None)
            options += [word] if value is None else [f"{word}={value}" if word.startswith("--") else f"{word}{value}"]
        else:
            options.append(word)
    return [*options, "--", *others] if any(word.startswith("-") for word in others) else [*options, *others]


def make_parser(first: str = "") -> Parser:
    """The parser of the command line: of the command that is its first word, else one that only tells of them all."""
    parser = Parser(
        prog="footsteps",
        description="Find, understand and repeat recorded experiments.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"footsteps {VERSION}")
    commands = parser.commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    if first in COMMANDS:
        add_parser_of(first, commands)
    for command, (_, summary) in COMMANDS.items() if first not in COMMANDS else ():
        if command not in HIDDEN:
            commands.add_parser(command, help=summary)
    return parser


def add_parser_of(command: str, commands: Commands) -> None:
    """Add the parser of a command, out of the file of its group."""
    from importlib import import_module

    getattr(import_module(f"footsteps.cli.{COMMANDS[command][0]}"), f"add_{command}")(commands)


def add_command(
    commands: Commands,
    function: Callable[[argparse.Namespace], int],
    name: str,
    *,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """A command's parser: its function, what is to be said beyond its summary, and examples."""
    summary = COMMANDS[name][1]
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{more}".strip(),
        epilog=f"examples:\n{examples}",
    )
    parser.set_defaults(func=function)
    return parser


def add_run(parser: argparse.ArgumentParser, name: str = "run", metavar: str = "RUN") -> None:
    """An argument that names a run."""
    parser.add_argument(name, metavar=metavar, help="name, path, prefix, hash, `@` or `@~N`")


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Where the runs lie."""
    parser.add_argument(
        "-r",
        "--root",
        action="append",
        metavar="ROOT",
        help=f"look for runs in this directory (default: {OUTPUT_ROOT} and lt_records/)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option every command that answers has."""
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def roots_of(given: Sequence[str] | None) -> list[str]:
    """The roots that were asked for, which must be there, or the usual ones."""
    from footsteps.reader.archive import is_archive

    for root in given or ():
        if not os.path.isdir(root) and not is_archive(root):
            raise FootstepsError(f"no directory {root!r}", hint="footsteps list DIRECTORY")
    return list(given) if given else runs.default_roots()


def chosen_run(selector: str, given: Sequence[str] | None = None) -> Run:
    """The run that a selector names, below the roots of `--root` or the usual ones."""
    from footsteps.reader import search

    roots = roots_of(given)
    if selector.startswith("@") and not given:  # counted as `list` lists: an LTParser's record is no run before its run
        roots = roots[:1]
    back = selector.lstrip("@~") or str(len(selector) - 1)
    most = int(back) + 1 if selector.startswith("@") and back.isdecimal() else None
    return runs.select(selector, roots, search.known(roots, watch=render.progress, most=most))


def chosen_several(words: Sequence[str], given: Sequence[str] | None = None, *, wide: bool = False) -> list[Run]:
    """The runs that names, groups and patterns mean, below the roots of `--root` or the usual ones."""
    from footsteps.reader import search, selection

    roots = roots_of(given)
    roots = roots if given else roots[:1]
    return selection.several(words, roots, list(search.known(roots, watch=render.progress)), wide=wide)


def complain(problems: Iterable[Problem], about: Iterable[Run] = ()) -> None:
    """One line on stderr for each kind of problem that was met."""
    kinds: dict[str, list[Problem]] = {}
    for problem in [*problems, *(problem for run in about for problem in run.damage)]:
        kinds.setdefault(problem.kind, []).append(problem)
    for kind, met in kinds.items():
        others = len({problem.path for problem in met}) - 1
        more = f", and {others} more" if others else ""
        why = f" ({met[0].detail})" if met[0].detail else ""
        render.message(render.terminal_text(f"footsteps: {kind}: {os.path.relpath(met[0].path)}{why}{more}"))


def add_source(parser: argparse.ArgumentParser) -> None:
    """Where commits come from."""
    parser.add_argument(
        "--from", dest="source", type=source_argument, action="append", default=[], metavar="REPOSITORY",
        help="take commits from this clone, bundle or URL (NAME=URL: those of the repository so named)",
    )  # fmt: skip


def source_argument(words: str) -> str:
    """Where commits come from, as it was given: a URL, or a path at which there is something."""
    places = [words, words.partition("=")[2]]
    if not any(":" in place or (place and os.path.exists(place)) for place in places):
        raise argparse.ArgumentTypeError(f"there is nothing at {words!r}: a clone, a bundle or a URL would do")
    return words


def is_agreed(args: argparse.Namespace, question: str, what: str) -> bool:
    """Whether somebody at the terminal says yes to `what`, or --yes was given; Ctrl-D is no.

    Raises FootstepsError where nobody can be asked.
    """
    if args.yes:
        return True
    if not (render.is_terminal(sys.stdin) and render.is_terminal(sys.stderr)):
        hint = "the same command with --yes does not ask"
        raise FootstepsError(f"stdin is no terminal where it could be asked whether to {what}", hint)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line.endswith("\n"):  # Ctrl-D leaves the line open
        sys.stderr.write("\n")
    return line.strip().lower() in ("y", "yes")


def size_argument(words: str) -> int:
    """A number of bytes: 500, 20k, 1.5M, 2G."""
    import re

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(?:i?B)?", words.strip(), re.IGNORECASE | re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"cannot read {words!r} as a size: 500, 20k, 1.5M, 2G would do")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))
