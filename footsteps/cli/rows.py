"""Runs become tables: which columns there are, the options of lists, JSON for each run."""

from __future__ import annotations

import sys

from footsteps.cli import render
from footsteps.cli.pager import add_no_pager, paged
from footsteps.cli.parsers import DONE, NO, complain

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run

SUMMARY = ("name", "directory", "kind", "status", "started", "duration", "command", "changed", "code_id",
           "commit", "hash_code", "arguments", "recorded", "tags", "notes")  # fmt: skip
MORE = "  (-c NAME,... or --json shows it)"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def add_table(parser: argparse.ArgumentParser) -> None:
    """How runs are sorted and printed."""
    parser.add_argument("-c", "--columns", metavar="NAME,...", help="after the name: arguments, values, facts of a run")
    parser.add_argument("--sort", metavar="NAME", help="by this value, the least first; -NAME: the greatest first")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    of_series = parser.add_mutually_exclusive_group()
    for name, words in (("min", "least"), ("max", "greatest")):
        option = f"--{name}"
        text = f"of a series the {words} value, not the last"
        of_series.add_argument(option, dest="which", action="store_const", const=name, default="last", help=text)
    parser.add_argument("--group-by", metavar="NAME,...", help="a row for each value: number of runs, mean, deviation")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """In which form rows are printed."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON array, an object for each run")
    form.add_argument("--jsonl", action="store_true", help="an object a line")
    form.add_argument("--table", action="store_true", help="a table in a pipe too, where TSV is usual")
    parser.add_argument("--no-header", action="store_true", help="rows only")
    add_no_pager(parser)


def names_in(words: str | None) -> list[str]:
    """The names in `lr,seed` or `lr seed`."""
    return [name for name in (words or "").replace(",", " ").split() if name]


def print_rows(args: argparse.Namespace, objects: Iterable[dict[str, Any]], columns: Sequence[render.Column],
               rows: Sequence[dict[str, Any]], more: str = "") -> None:  # fmt: skip
    """Rows in the form that was asked for: objects for programs, columns and rows for a table."""
    with paged(args):
        if args.json:
            render.print_document(objects)
        elif args.jsonl:
            render.print_json(objects)
        elif rows:
            render.print_table(columns, rows, not args.no_header, table=args.table, more=more)


def print_runs(
    args: argparse.Namespace,
    found: Sequence[Run],
    problems: Iterable[Problem],
    none: str,
    *,
    asked: Sequence[str] = (),
    most: int | None = None,
) -> int:
    """Some runs, sorted, cut and grouped as was asked for; 1 and a sentence if there are none.

    asked: names that come first; most: so many at most, after sorting.
    """
    from footsteps.reader import table

    columns, by = names_in(args.columns), names_in(args.group_by)
    table.require_known([*columns, *by, *([args.sort.lstrip("-+")] if args.sort else [])], found)
    if by:
        print_groups(args, found, by, columns, most)
    else:
        shown = list(table.sorted_by(found, args.sort, args.which) if args.sort else found)
        shown = (shown[::-1] if args.reverse else shown)[:most]
        names = ["name", *(n for n in columns if n != "name")] if columns else names_worth_showing(shown, asked)
        read = render.progress(shown, "reading runs", len(shown))
        rows = [] if args.json or args.jsonl else [listed_row(run, names, args.which) for run in read]
        titles = {} if args.which == "last" else {n: f"{args.which} {n}" for n in names if is_series(n, shown)}
        print_rows(args, map(object_of, shown), table_columns(names, rows, titles), rows, MORE)
    complain(problems, found)
    if not found:
        render.message(f"footsteps: {none}")
    return DONE if found else NO


def is_series(name: str, runs: Sequence[Run]) -> bool:
    """Whether some run recorded a value of this name again and again."""
    from footsteps.reader import table

    return any(table.full_name(run.all_series, name) in run.all_series for run in runs)


def object_of(run: Run) -> dict[str, Any]:
    """A run as `--json` has it."""
    return {**{key: getattr(run, key) for key in SUMMARY}, "series": run.all_series}


def names_worth_showing(runs: Sequence[Run], asked: Sequence[str] = ()) -> list[str]:
    """The columns: the name, what was asked for, results, what varies, then status, time and commit, tags if any."""
    from footsteps.reader import expressions, table
    from footsteps.reader.series import STEPS

    results = table.results(runs)
    varying = expressions.varying(runs)
    asked = [
        name for name in asked if name not in ("name", "status", "started", "took", "commit", "tag", "tags", "note")
    ]
    values = [*asked, *results, *(name for name in varying if name not in STEPS)]
    said = [name for name in ("tags", "note") if any(getattr(run, {"note": "notes"}.get(name, name)) for run in runs)]
    return list(dict.fromkeys(["name", *values, "status", *said, "started", "took", "commit", *varying]))


def listed_row(run: Run, names: Sequence[str], which: str) -> dict[str, Any]:
    """A run's values of these names."""
    from footsteps.reader import expressions, table

    values = expressions.parameters(run)
    own: dict[str, Callable[[], Any]] = {
        "tags": lambda: " ".join(run.tags),
        "note": lambda: run.notes[-1]["note"] if run.notes else "",
        "commit": lambda: run.commit + "+" * bool(run.commit and run.changed),
        "took": lambda: run.duration,
    }
    return {name: own[name]() if name in own else table.run_value(run, name, which, values) for name in names}


def table_columns(
    names: Sequence[str], rows: Sequence[dict[str, Any]], titles: Mapping[str, str]
) -> list[render.Column]:
    """The columns of these names, some with another title; those of numbers to the right."""
    return [column_of(name, [row.get(name) for row in rows], titles.get(name, name)) for name in names]


def column_of(name: str, values: Sequence[Any], title: str) -> render.Column:
    """One column, shown as its name or its values want it."""
    column = render.Column
    known = {
        "name": lambda: column(name, color=lambda _: "bold"),
        "status": lambda: column(name, color=lambda status: render.STATUS_COLORS.get(status, "")),
        "commit": lambda: column(name, show=short_commit, color=lambda _: "dim", extra=True),
        "tags": lambda: column(name, color=lambda _: "yellow", extra=True),
        **dict.fromkeys(("started", "ended"), lambda: column(name, show=when, extra=True)),
        **dict.fromkeys(("took", "duration"), lambda: column(name, show=render.span, right=True, extra=True)),
    }
    if name in known:
        return known[name]()
    return column(name, title, show=render.figure, right=render.are_numbers(values), extra=True)


def when(iso: object) -> str:
    """A time as people tell it."""
    return render.ago(iso) if isinstance(iso, str) and iso else ""


def short_commit(commit: object) -> str:
    """The beginning of a commit, enough to tell it from others, with the mark of changes."""
    text = str(commit or "")
    return text.rstrip("+")[:7] + "+" * text.endswith("+")


# ---------------------------------------------------------------------------------------------
# Groups
# ---------------------------------------------------------------------------------------------


def print_groups(
    args: argparse.Namespace, found: Sequence[Run], by: Sequence[str], names: Sequence[str], most: int | None
) -> None:
    """A row for each group of runs: how many, and of each value mean and standard deviation."""
    from footsteps.reader import table

    values = [n for n in names if n not in by] or [n for n in table.results(found) if n not in by]
    groups = table.grouped(found, by)
    if args.sort:
        groups = sorted_groups(groups, args.sort, args.which, by)
    groups = (groups[::-1] if args.reverse else groups)[:most]
    objects = ({"group": g.key, "runs": [run.name for run in g.runs],
                "values": {name: g.spread(name, args.which) for name in values}} for g in groups)  # fmt: skip
    rows = [] if args.json or args.jsonl else [row_of_group(group, values, args.which) for group in groups]
    whole = render.is_terminal(sys.stdout) or args.table
    print_rows(args, objects, columns_of_groups(by, values, rows, args.which, whole), rows, MORE)
    going = sum(run.status not in ("finished", "exited") for run in found)
    if going:
        render.message(
            hint=f"{going} of these runs did not finish; footsteps search status:finished ... leaves them out"
        )


def sorted_groups(groups: Sequence[Any], name: str, which: str, by: Sequence[str]) -> list[Any]:
    """The groups by the mean of a value, or by one of the names that they are made of."""
    from footsteps.reader import table

    plain = name.lstrip("-+")
    if plain in ("runs", "count"):
        values = [len(group.runs) for group in groups]
    else:
        values = [group.key[plain] if plain in by else group.spread(plain, which)["mean"] for group in groups]
    keyed = [(table.order_of(value), group) for value, group in zip(values, groups, strict=True)]
    there = sorted((pair for pair in keyed if pair[0]), key=lambda pair: pair[0] or (), reverse=name.startswith("-"))
    return [group for _, group in there] + [group for key, group in keyed if not key]


def row_of_group(group: Any, values: Sequence[str], which: str) -> dict[str, Any]:
    """What a table says of a group."""
    row: dict[str, Any] = {**group.key, "runs": len(group.runs)}
    for name in values:
        spread = group.spread(name, which)
        row[f"{name}.mean"], row[f"{name}.std"] = spread["mean"], spread["std"]
        row[f"{name}.both"] = spread
    return row


def columns_of_groups(
    by: Sequence[str], values: Sequence[str], rows: Sequence[dict[str, Any]], which: str, together: bool
) -> list[render.Column]:
    """The columns of groups: for people mean and deviation in one column, for programs one for each."""
    first = [*(column_of(name, [row[name] for row in rows], name) for name in by), render.Column("runs", right=True)]
    prefix = "" if which == "last" else f"{which} "
    if together:
        sign = PLUS_MINUS if render.can_say(sys.stdout, PLUS_MINUS) else "+-"
        both = [
            render.Column(f"{name}.both", prefix + name, show=lambda s: said_spread(s, sign), right=True, extra=True)
            for name in values
        ]
        return [*first, *both]
    each = [render.Column(f"{name}.{part}", f"{prefix}{name}.{part}") for name in values for part in ("mean", "std")]
    return [*first, *each]


def said_spread(spread: dict[str, Any], sign: str) -> str:
    """A mean and its deviation: `0.0203 ± 0.0012`."""
    if spread["mean"] is None:
        return ""
    mean = f"{spread['mean']:.4g}"
    return mean if spread["std"] is None else f"{mean} {sign} {spread['std']:.2g}"
