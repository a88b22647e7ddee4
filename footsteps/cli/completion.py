"""`footsteps completion`, and `footsteps complete`, which the completion scripts ask."""

from __future__ import annotations

import argparse
import os

from footsteps.cli import render
from footsteps.cli.parsers import COMMANDS, DONE, HIDDEN, add_command, add_json, add_parser_of
from footsteps.reader import runs

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from footsteps.cli.parsers import Commands


BASH = """\
_footsteps() {
    local line piece head rest=${COMP_LINE:0:COMP_POINT} last=-1
    local -a words=()
    COMPREPLY=()
    for piece in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do  # bash cuts words at = and : too
        if [[ $last -lt 0 || $rest == [[:space:]]* ]]; then words[++last]=; fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$piece"}
        words[last]+=$piece
    done
    head=${words[last]%"${words[last]##*[$COMP_WORDBREAKS]}"}
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$head"}")
    done < <(footsteps complete bash "${words[@]:1}" 2>/dev/null)
    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _footsteps footsteps
"""
ZSH = """\
#compdef footsteps
_footsteps() {
    local -a found
    found=("${(@f)$(footsteps complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "${found[1]}" = *= ]]; then compadd -S '' -a found
    elif [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
if [[ "${funcstack[1]}" = _footsteps ]]; then _footsteps "$@"; else compdef _footsteps footsteps; fi
"""
FISH = """\
function __footsteps_complete
    set -l words (commandline -opc) (commandline -ct)
    footsteps complete fish $words[2..-1] 2>/dev/null
end
complete -c footsteps -a '(__footsteps_complete)'
"""
COMPLETIONS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
MOST_COMPLETED = 1000
TAKE_RUNS = {
    "show": 1, "path": 1, "diff": 2, "verify": 1, "restore": 1, "rerun": 1, "note": 1,
    **dict.fromkeys(("list", "compare", "watch", "tag", "rm", "du", "plot", "export", "view"), MOST_COMPLETED),
}  # fmt: skip
TAKE_NAMES = ("columns", "sort", "group_by")  # options whose value is the name of a recorded value


def add_completion(commands: Commands) -> None:
    """`footsteps completion`."""
    parser = add_command(
        commands,
        completion,
        "completion",
        examples="""\
  footsteps completion bash >> ~/.bashrc
  footsteps completion zsh > "${fpath[1]}/_footsteps"
  footsteps completion fish > ~/.config/fish/completions/footsteps.fish""",
        more="Completes commands, options, and the names of runs.",
    )
    parser.add_argument("shell", choices=sorted(COMPLETIONS))
    add_json(parser)


def completion(args: argparse.Namespace) -> int:
    """`footsteps completion`: the script."""
    if args.json:
        render.print_json([{"shell": args.shell, "script": COMPLETIONS[args.shell]}])
    else:
        render.print_text(COMPLETIONS[args.shell])
    return DONE


def add_complete(commands: Commands) -> None:
    """`footsteps complete`, which the completion scripts ask; hidden: a parser without help."""
    parser = commands.add_parser("complete", add_help=False, prefix_chars="\0")
    parser.add_argument("shell")
    parser.add_argument("words", nargs=argparse.REMAINDER)  # nothing else keeps a `--`
    parser.set_defaults(func=complete)


def complete(args: argparse.Namespace) -> int:
    """`footsteps complete SHELL WORD ...`: what the last word may become, one a line."""
    words = args.words or [""]
    for word in completed_words(words[:-1], words[-1]):
        render.print_text((backslashed(word) if args.shell == "bash" else word) + "\n")
    return DONE


def backslashed(word: str) -> str:
    """A word as bash wants its completions: quotes would not begin like what was typed."""
    import re

    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)


def completed_words(before: Sequence[str], word: str) -> list[str]:
    """What the word that follows some others may become."""
    if not before:
        names = [name for name in COMMANDS if name not in HIDDEN] + ["--help", "--version"]
    elif word.startswith("-") and completion_words(parser_or_list(before[0]), before[1:])[2] not in TAKE_NAMES:
        names = options_of(before[0])
    elif before[0] == "completion":
        names = sorted(COMPLETIONS)
    elif before[0] == "help":
        names = [*(name for name in COMMANDS if name not in HIDDEN), "format"]
    else:
        names = completed_arguments(before[0], before[1:], word)
    return [name for name in names if name.startswith(word) and name.isprintable()]


def completed_arguments(command: str, before: Sequence[str], word: str) -> list[str]:
    """What may follow some words of a command: names of runs, of values, or expressions; [] for files."""
    given, roots, awaited = completion_words(parser_or_list(command), before)
    if awaited in TAKE_NAMES:
        front = word[: word.rfind(",") + 1] or word[: word.startswith(("-", "+"))]
        return [front + name for name in value_names(roots)]
    if awaited == "exclude" or (command == "search" and not awaited):
        return values_for(word, roots) or [name + "=" for name in value_names(roots)]
    if awaited or len(given) >= TAKE_RUNS.get(command, 0):
        return []
    return value_names(roots) if command == "plot" and not given else run_names(roots)


def value_names(roots: Sequence[str]) -> list[str]:
    """The names of arguments, recorded values and facts, those that the runs have first."""
    from footsteps.reader import expressions, search

    places = list(map(os.path.expanduser, roots)) or runs.default_roots()
    known = sorted(name for name in search.names_below(places) if not name.startswith(expressions.PACKAGE_PREFIX))
    return list(dict.fromkeys([*known, *expressions.FACTS]))


def values_for(word: str, roots: Sequence[str]) -> list[str]:
    """Expressions that a beginning such as `status=` or `tag:` may become."""
    from footsteps.reader import search

    name = word[:-1] if word.endswith((":", "=")) else word.replace("=", ":").partition(":")[0]
    if name == "status":
        values: list[str] = list(runs.STATUSES)
    elif name == "tag":
        places = list(map(os.path.expanduser, roots)) or runs.default_roots()
        values = sorted({tag for run in search.known(places) for tag in run.tags})
    else:
        return []
    mark = word[len(name) : len(name) + 1]
    return [f"{name}{mark}{value}" for value in values] if mark else []


def parser_or_list(command: str) -> argparse.ArgumentParser:
    """The parser of a command; that of `list` for one that is none."""
    holder: Commands = argparse.ArgumentParser().add_subparsers()
    add_parser_of(command if command in COMMANDS else "list", holder)
    parser: argparse.ArgumentParser = next(iter(holder.choices.values()))
    return parser


def options_of(command: str) -> list[str]:
    """The options of a command, as its help shows them."""
    import re

    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", parser_or_list(command).format_help())))


def completion_words(parser: argparse.ArgumentParser, words: Iterable[str]) -> tuple[list[str], list[str], str]:
    """What words are to a command: its arguments, the roots among its options' values, the option that awaits one."""
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no other way to ask
    given, roots = [], []
    option: argparse.Action | None = None
    for word in [part for each in words for part in each.split("=", each.startswith("--"))]:
        if option:
            roots += [word] if option.dest == "root" else []
            option = None
        elif word.startswith("-"):
            option = known[word] if word in known and known[word].nargs != 0 else None
        else:
            given.append(word)
    return given, roots, option.dest if option else ""


def run_names(roots: Sequence[str]) -> list[str]:
    """The names of the runs below some roots, or the usual ones, newest first."""
    from footsteps.reader import search

    return [run.name for run in search.newest(list(map(os.path.expanduser, roots)) or runs.default_roots())]
