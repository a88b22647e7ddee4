"""Find recorded runs by their parameters.

    lite_trace.py --include optimizer:sgd 'lr<=0.1' --exclude bsz:12
    lite_trace.py --exclude bsz:12 git_label:f6afeb8 --include sgd

A condition is P:V or P==V (equal), P<V, P<=V, P>V, P>=V, or a bare word: a parameter that is set,
or a value. Of a list, one item that fits is enough. Each line of the answer tells a run's
hash_code, its date, and the parameters in which the found runs differ, as conditions.
"""

from __future__ import annotations

import argparse
import os
import sys

from footsteps.cli import render
from footsteps.reader import expressions, formats, runs, search
from footsteps.recorder.format import VERSION, FootstepsError

TYPE_CHECKING = False  # as in the readers: typing costs a fifth of an interpreter's start
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from footsteps.reader.expressions import Expression
    from footsteps.reader.runs import Run

__all__ = ["main"]

PROGRAM = "lite_trace.py"
LT_IDS = ("hash_code", "base_hash_code", "git_label", "commit")
FOUND, NONE, TROUBLE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Search as the words say.

    Returns:
        0 some were found, 1 none or there is no history, 2 a condition can't be read.
    """
    render.open_closed_streams()
    try:
        return _status_of(argv)
    finally:  # --help leaves by an exception
        render.let_go(sys.stdout)


def _status_of(argv: Sequence[str] | None) -> int:
    """The exit status of a search that has said all it had to say, or why it could not."""
    try:
        return _answer(_parser().parse_args(argv))
    except FootstepsError as error:
        would_do = f" ({error.hint} would do)" if error.hint else ""
        render.message(render.terminal_text(f"{PROGRAM}: {error.message}{would_do}"))
        return TROUBLE
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:  # a full disk behind stdout
        render.message(render.terminal_text(f"{PROGRAM}: {error.strerror or error}"))
        return TROUBLE
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=summary,
        epilog=f"examples:\n{rest}\nexit status: 0 found, 1 none, 2 a condition can't be read",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} of footsteps {VERSION}")
    words: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "PARAM:VALUE"}
    parser.add_argument("-i", "--include", help="only runs for which all of these hold", **words)
    parser.add_argument("-e", "--exclude", help="no run for which one of these holds", **words)
    parser.add_argument(
        "-d", "--lt_dir", default=runs.LT_RECORDS, metavar="DIR", help="where the records are (default: %(default)s)"
    )
    return parser


def _answer(args: argparse.Namespace) -> int:
    wanted, unwanted = (
        [expressions.parse(each, single=False) for each in given] for given in (args.include, args.exclude)
    )
    problems: list[formats.Problem] = []
    every = [(run, _searched_facts(run)) for run in search.known([args.lt_dir], problems) if run.hash_code]
    found = [
        run
        for run, facts in every
        if all(facts_fit(facts, each) for each in wanted) and not any(facts_fit(facts, each) for each in unwanted)
    ]
    if problems and every:
        render.message(render.terminal_text(f"{PROGRAM}: {len(problems)} could not be read: {problems[0].path}"))
    if not found:
        render.message(render.terminal_text(f"{PROGRAM}: {_why_none(args.lt_dir, every, [*wanted, *unwanted])}"))
        return NONE
    _print_found(found)
    sys.stdout.flush()
    return FOUND


def facts_fit(facts: Mapping[str, Any], condition: Expression) -> bool:
    """Whether the facts of a run are as the condition says."""
    if condition.operator:
        return any(condition.holds(name, value) for name, value in facts.items() if condition.concerns(name))
    return any(_is_called(condition.value, *fact) or _is(condition.value, *fact) for fact in facts.items())


def _is_called(word: str, name: str, value: Any) -> bool:
    """Whether the word is the name of a parameter that is set, as a flag is that was given."""
    return value is not None and value is not False and expressions.Expression(word, ":", "").concerns(name)


def _is(word: str, name: str, value: Any) -> bool:
    """Whether the word is the value; a short one is no beginning of an id."""
    return (name not in LT_IDS or len(word) >= 7) and expressions.Expression(name, ":", word).holds(name, value)


def _searched_facts(run: Run) -> dict[str, Any]:
    """What can be asked for: the parameters, and what names the code."""
    return {name: expressions.FACTS[name](run) for name in LT_IDS} | expressions.parameters(run)


def _why_none(folder: str, every: Sequence[tuple[Run, Mapping[str, Any]]], conditions: Sequence[Expression]) -> str:
    """One line: there is no history, nobody has such a parameter, or none fits."""
    if not os.path.isdir(folder):
        return f"no history here: {folder!r} is not there (-d DIR says where the records are)"
    if not every:
        return f"no history: {folder!r} holds no records"
    names = {name for _, facts in every for name in facts}
    for condition in conditions:
        if condition.operator and not any(map(condition.concerns, names)):
            near = runs.guess(condition.name, sorted(names))
            return f"none of {len(every)} runs has a parameter {condition.name!r}{near}"
    return f"none of {len(every)} runs matches"


def _print_found(found: list[Run]) -> None:
    """A line for each run: hash, date, and what tells it from the others."""
    screen, names = render.Screen(), expressions.varying(found)
    for run in found:
        values = expressions.parameters(run)
        differing = [f"{name}:{_cell(values[name])}" for name in names if name in values]
        line = "  ".join([run.hash_code, _date(run), " ".join(differing)])
        screen.say(render.terminal_text(line).rstrip())


def _date(run: Run) -> str:
    """The local time at which it began, as long as any other."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.start))


def _cell(value: Any) -> str:
    import shlex

    text = expressions.typed_form(value)
    return shlex.quote(text) if any(c.isspace() or c in "'\"" for c in text) else text


if __name__ == "__main__":
    raise SystemExit(main())
