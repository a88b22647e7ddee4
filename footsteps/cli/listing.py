"""`footsteps list` and `footsteps search`."""

from __future__ import annotations

import argparse

from footsteps.cli import render
from footsteps.cli.parsers import DONE, NO, add_command, add_json, add_roots, complain, roots_of
from footsteps.reader import runs
from footsteps.recorder.format import OUTPUT_ROOT, FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run


SUMMARY = ("name", "directory", "kind", "status", "started", "duration", "command", "changed",
           "code_id", "commit", "hash_code", "arguments", "recorded")  # fmt: skip


def add_list(commands: Commands) -> None:
    """`footsteps list`."""
    parser = add_command(
        commands,
        list_runs,
        "list",
        "list runs, newest first",
        examples="""\
  footsteps list -n 20                 the newest twenty below results/
  footsteps list --failed --since 3d   what went wrong in the last three days
  footsteps list old/results --json    another directory, an object for each run""",
        more="""\
Name, start, how it ended, how long it took, the id of its code (with a + where
that differed from the commit), and the arguments and recorded values in which
the listed runs differ.""",
    )
    parser.add_argument("roots", nargs="*", metavar="ROOT", help=f"default: {OUTPUT_ROOT}")
    parser.add_argument("-r", "--root", action="append", default=[], metavar="ROOT", help="the same, as elsewhere")
    parser.add_argument("-n", type=count, metavar="N", help="only the newest N")
    parser.add_argument("--since", type=moment, default=float("-inf"), metavar="WHEN", help=MOMENTS)
    add_filters(parser)
    add_rows(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Only runs that ended, or did not end, in some way."""
    which = parser.add_mutually_exclusive_group()
    for name, meaning in (
        ("failed", "runs that failed, died, were interrupted or exited with another status than 0"),
        ("running", "runs whose process is alive on this machine"),
    ):
        option = f"--{name}"
        which.add_argument(option, dest="filter", action="store_const", const=name, help=meaning)


def add_rows(parser: argparse.ArgumentParser) -> None:
    """How rows are printed."""
    add_json(parser)
    parser.add_argument("--no-header", action="store_true", help="rows only")


def count(words: str) -> int:
    """A number that is not negative."""
    if not (words.isascii() and words.isdigit()):
        raise argparse.ArgumentTypeError(f"{words!r} is no number of runs")
    return int(words)


MOMENTS = "2026-11-22, 2026-11, 2026, 3d, 2w, 12h, today"


def moment(words: str) -> float:
    """Seconds since 1970 of a date, a month, a year, a time, or so long ago (`3d`, `12h`, `today`)."""
    import re
    import time
    from datetime import datetime, timedelta

    units = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
    back = re.fullmatch(r"(\d+)\s*(s|min|m|h|d|w)(?:\w* ago)?", words.strip())
    if back:
        return time.time() - int(back[1]) * units[back[2]]
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if words in ("today", "yesterday"):
        return (midnight - timedelta(days=words == "yesterday")).timestamp()
    begins = words + "-01-01"[len(words) - 4 :] if re.fullmatch(r"\d{4}(-\d\d)?", words, re.ASCII) else words
    try:
        return datetime.fromisoformat(begins).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"cannot read {words!r} as a time: {MOMENTS} would do") from None


def list_runs(args: argparse.Namespace) -> int:
    """`footsteps list`: the newest runs; 1 if there are none."""
    from footsteps.reader import search

    given = [*args.roots, *args.root]
    roots = roots_of(given) if given else runs.default_roots()[:1]
    problems: list[Problem] = []
    keep = FILTERS[args.filter] if args.filter else None
    found = search.newest(roots, args.n, args.since, keep, problems=problems, watch=render.progress)
    return print_runs(args, found, problems, f"no runs in {runs.said(roots)}{elsewhere(roots, 'list')}")


def elsewhere(roots: Sequence[str], command: str) -> str:
    """A hint for where there is no place to look for runs."""
    return "" if roots else f"\nhint: footsteps {command} DIRECTORY, or cd to the project"


def is_failed(run: Run) -> bool:
    """Whether a run went wrong, as far as can be known."""
    return run.status in ("failed", "exited", "died", "interrupted")


FILTERS: dict[str, Callable[[Run], bool]] = {
    "failed": is_failed,
    "running": lambda run: run.status == "running",
}


def print_runs(args: argparse.Namespace, found: Sequence[Run], problems: Iterable[Problem], none: str) -> int:
    """The rows of some runs in the form that was asked for; 1 and a sentence if there are none."""
    if args.json:
        render.print_json({key: getattr(run, key) for key in SUMMARY} for run in found)
    elif found:
        from footsteps.reader import expressions

        read = render.progress(found, "reading runs", len(found))
        rows = [{**row_of(run), **parameters_of(run)} for run in read]
        render.print_table(columns_of(expressions.varying(found)), rows, not args.no_header)
    complain(problems, found)
    if not found:
        render.talk(f"footsteps: {none}")
    return DONE if found else NO


def columns_of(names: Sequence[str]) -> list[render.Column]:
    """The columns of a list of runs in which parameters of these names differ."""
    column = render.Column
    return [
        column("name", color=lambda _: "bold"),
        column("started", show=lambda when: render.ago(when) if when else ""),
        column("status", color=lambda status: render.STATUS_COLORS.get(status, "")),
        column("took", show=render.span, right=True),
        column("code", show=short_code, color=lambda _: "dim"),
        *(column(PARAMETER + name, name, extra=True) for name in names),
    ]


PARAMETER = "="  # before a parameter's key in a row: one may be called `name`


def row_of(run: Run) -> dict[str, Any]:
    """What a list says of a run itself."""
    return {
        "name": run.name, "started": run.started, "status": run.status, "took": run.duration,
        "code": (run.code_id or run.commit) + ("+" if run.changed else ""),
    }  # fmt: skip


def short_code(code: str) -> str:
    """The beginning of a code id, enough to tell it from others, with its mark."""
    return code.rstrip("+")[:8] + "+" * code.endswith("+")


def parameters_of(run: Run) -> dict[str, Any]:
    """What a list says of a run's arguments and recorded values."""
    from footsteps.reader import expressions

    return {PARAMETER + name: value for name, value in expressions.parameters(run).items()}


def add_search(commands: Commands) -> None:
    """`footsteps search`."""
    parser = add_command(
        commands,
        search_runs,
        "search",
        "find runs by what was recorded",
        examples="""\
  footsteps search 'lr<=0.01' optimizer:sgd       both must hold
  footsteps search unet --exclude status:failed   a word anywhere, and not these
  footsteps search 'package.numpy<2' 'started>=2026-11'""",
        more="""\
An EXPR is P:V or P==V (equal), 'P<V', 'P<=V', 'P>V', 'P>=V' (quote < and > for
the shell), or a word, which is looked for in all names and values. P is the name
of an argument or a recorded value, package.NAME, or one of

  name status started ended duration exit_status exception code commit branch
  changed hash_code command host user cwd python system job

Runs of footsteps 0.1 and LiteTracer's records are found as well.""",
    )
    parser.add_argument("include", nargs="*", metavar="EXPR", help="all of these must hold")
    parser.add_argument(
        "-e", "--exclude", nargs="+", action="extend", default=[], metavar="EXPR",
        help="none of these may hold",
    )  # fmt: skip
    add_roots(parser)
    add_rows(parser)


def search_runs(args: argparse.Namespace) -> int:
    """`footsteps search`: the runs that match; 1 if there are none."""
    from footsteps.reader import search

    if not args.include and not args.exclude:
        raise FootstepsError("nothing to search for", hint="footsteps search 'lr<=0.01' unet")
    problems: list[Problem] = []
    roots = roots_of(args.root)
    found = search.search(roots, args.include, args.exclude, problems, render.progress)
    nowhere = "" if found else search.unheard_of(roots, args.include)
    why = f"has {nowhere}" if nowhere else "matches"
    none = f"no run in {runs.said(roots)} {why}{elsewhere(roots, 'search --root')}"
    return print_runs(args, found, problems, none)
