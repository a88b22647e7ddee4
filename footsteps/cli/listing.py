"""`footsteps list`, `footsteps search`, `footsteps compare`: tables of runs."""

from __future__ import annotations

import argparse
import os

from footsteps.cli import render, rows
from footsteps.cli.parsers import DONE, NO, add_command, add_roots, chosen_several, roots_of
from footsteps.reader import runs
from footsteps.recorder.format import OUTPUT_ROOT, FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.expressions import Expression
    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run


def add_list(commands: Commands) -> None:
    """`footsteps list`."""
    parser = add_command(
        commands,
        list_runs,
        "list",
        examples="""\
  footsteps list -n 20                 the newest twenty
  footsteps list knee                  knee, knee-1 ..., and the group knee/
  footsteps list 'knee/*' --sort -final_loss -n 5 -c lr,seed,final_loss
  footsteps list knee --sort loss --min     by the least loss that each run had
  footsteps list knee --group-by lr    mean and standard deviation over seeds
  footsteps list --failed --since 3d   what went wrong in the last three days
  footsteps list old/results --json    another directory, for programs""",
        more="""\
Name, results (recorded values, the last of a series), the arguments in which
the listed runs differ, how they ended, tags, when they began, how long they
took, the commit (with a + where the code differed from it).""",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN",
        help=f"names (and those numbered after them), groups, patterns, a directory of runs (default: {OUTPUT_ROOT})",
    )
    add_roots(parser)
    parser.add_argument("-n", type=count, metavar="N", help="only the first N: the newest, or by --sort")
    parser.add_argument(
        "--since",
        type=moment_argument,
        default=float("-inf"),
        metavar="WHEN",
        help="begun then or later: 3d, march, 2026-11-22",
    )
    parser.add_argument("--before", type=moment_argument, default=float("inf"), metavar="WHEN", help="begun earlier")
    add_filters(parser)
    rows.add_table(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Only runs that ended, or did not end, in some way."""
    which = parser.add_mutually_exclusive_group()
    for name, meaning in (
        ("failed", "runs that failed, died, were interrupted or exited with another status than 0"),
        ("running", "runs whose process is alive on this machine"),
    ):
        option = f"--{name}"
        which.add_argument(option, dest="filter", action="store_const", const=name, help=meaning)


def count(words: str) -> int:
    """A number that is not negative."""
    if not (words.isascii() and words.isdigit()):
        raise argparse.ArgumentTypeError(f"{words!r} is no number of runs")
    return int(words)


def moment_argument(words: str) -> float:
    """Seconds since 1970 of a date, a month, a year, a time, or so long ago (`3d`, `12h`, `today`)."""
    from footsteps.reader import times

    when = times.moment(words)
    if when is None:
        raise argparse.ArgumentTypeError(f"cannot read {words!r} as a time: {times.TIMES_SAID} would do")
    return when


def list_runs(args: argparse.Namespace) -> int:
    """`footsteps list`: the newest runs; 1 if there are none."""
    from footsteps.reader import search

    usual = runs.default_roots()[:1]
    names, places = names_and_roots(args.names, usual)
    roots = roots_of([*places, *(args.root or [])]) if places or args.root else usual
    problems: list[Problem] = []
    all_at_once = args.sort or args.group_by or args.reverse or names
    keep = FILTERS[args.filter] if args.filter else None
    if args.before != float("inf"):
        keep = lambda run: run.start < args.before and (not args.filter or FILTERS[args.filter](run))  # noqa: E731
    most = None if all_at_once else args.n
    found = search.newest(roots, most, args.since, keep, problems=problems, watch=render.progress)
    if names:
        found = those_of(found, names, roots)
    none = f"no runs in {runs.roots_said(roots)}{elsewhere(roots, 'list')}"
    if not found and search.newest(roots, 1):
        none = f"no run in {runs.roots_said(roots)} is so: `footsteps list` shows what there is"
    return rows.print_runs(args, found, problems, none, most=args.n)


def names_and_roots(words: Sequence[str], roots: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that name runs, and those that are directories in which to look for runs."""
    from footsteps.reader.archive import is_archive

    names: list[str] = []
    places: list[str] = []
    for word in words:
        known = any(os.path.lexists(os.path.join(root, word)) for root in roots) and word.strip("./")
        (places if (os.path.isdir(word) or is_archive(word)) and not known else names).append(word)
    return names, places


def those_of(found: list[Run], names: Sequence[str], roots: Sequence[str]) -> list[Run]:
    """The runs among those found that the names mean, still the newest first."""
    from footsteps.reader import search, selection

    every = found or list(search.known(roots))
    try:
        wanted = set(selection.several(names, roots, every, wide=True))
    except FootstepsError as error:
        if any(os.sep in name for name in names):
            raise FootstepsError(error.message, "footsteps list DIRECTORY") from None
        raise
    return [run for run in found if run in wanted]


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


def add_search(commands: Commands) -> None:
    """`footsteps search`."""
    parser = add_command(
        commands,
        search_runs,
        "search",
        examples="""\
  footsteps search 'lr<=0.01' optimizer=sgd       both must hold
  footsteps search lr=0.1 OR lr=0.2               one of them
  footsteps search unet --exclude status:failed   a word anywhere, and not these
  footsteps search tag:paper 'started>last week' 'duration>1h'
  footsteps search name:knee/ 'loss<0.1' --sort loss""",
        more="""\
An EXPR is P:V, P=V or P==V (equal), 'P<V', 'P<=V', 'P>V', 'P>=V' (quote < and >
for the shell), or a word, which is looked for in all names and values. All must
hold; OR between them means one of both sides. P is the name of an argument or a
recorded value, package.NAME, or one of

  name status started ended duration exit_status exception code commit branch
  changed hash_code command host user cwd python system job tag note

A name may be a group (name:knee/) or a pattern (name:knee*); times are dates,
march, monday, today, last week, 3d; durations 90s, 5m, 1h30m.
Runs of footsteps 0.1 and LiteTracer's records are found as well.""",
    )
    parser.add_argument("include", nargs="*", default=[], metavar="EXPR", help="all of these must hold; OR between two")
    parser.add_argument(
        "-e", "--exclude", action="append", default=[], metavar="EXPR", help="this may not hold; can be given again"
    )
    add_roots(parser)
    parser.add_argument("-n", type=count, metavar="N", help="only the first N")
    rows.add_table(parser)


def search_runs(args: argparse.Namespace) -> int:
    """`footsteps search`: the runs that match; 1 if there are none."""
    from footsteps.reader import expressions, search

    alternatives = split_at_or(args.include)
    if not any(alternatives) and not args.exclude:
        raise FootstepsError("nothing to search for", hint="footsteps search 'lr<=0.01' unet")
    problems: list[Problem] = []
    roots = roots_of(args.root)
    every = [
        run for wanted in alternatives for run in search.search(roots, wanted, args.exclude, problems, render.progress)
    ]
    found = runs.newest_first({run.directory: run for run in every}.values())
    asked = [expressions.parse(each) for wanted in alternatives for each in wanted]
    none = f"no run in {runs.roots_said(roots)} {why_none(roots, asked, found)}{elsewhere(roots, 'search --root')}"
    names = [each.name for each in asked if each.operator]
    status = rows.print_runs(args, found, problems, none, asked=[n for n in names if has_value(found, n)], most=args.n)
    for each in map(expressions.parse, args.exclude):
        warn_of(each, roots)
    return status


def split_at_or(words: Sequence[str]) -> list[list[str]]:
    """The expressions between OR's, each list of which all must hold: `a OR b c` is a, or b and c."""
    alternatives: list[list[str]] = [[]]
    for word in [part for each in words for part in or_apart(each)]:
        if word == "OR":
            alternatives.append([])
        else:
            alternatives[-1].append(word)
    if len(alternatives) > 1 and not all(alternatives):
        raise FootstepsError("an OR stands between two expressions", hint="footsteps search lr=0.1 OR lr=0.2")
    return alternatives


def or_apart(word: str) -> list[str]:
    """`'lr=0.1 OR lr=0.2'`, quoted as one word, as three."""
    parts = word.split(" OR ")
    return [part for pair in zip(parts, ["OR"] * len(parts), strict=True) for part in pair][:-1]


def has_value(found: Sequence[Run], name: str) -> bool:
    """Whether a name is that of an argument or recorded value, or of a fact, of some run."""
    from footsteps.reader import table

    return any(table.run_value(run, name) not in (None, "") for run in found)


def why_none(roots: Sequence[str], asked: Sequence[Expression], found: Sequence[Run]) -> str:
    """Why nothing was found, with what would do where an expression can hold for no run."""
    from footsteps.reader import expressions, search

    if found:
        return ""
    nowhere = search.unheard_of(roots, [f"{each.name}{each.operator}{each.value}" for each in asked if each.operator])
    reasons = [reason for reason in (expressions.impossible(each, runs.STATUSES) for each in asked) if reason]
    if nowhere:
        return "; ".join([f"has {nowhere}", *reasons[:1]])
    return f"matches: {reasons[0]}" if reasons else "matches"


def warn_of(excluded: Expression, roots: Sequence[str]) -> None:
    """A line where an expression excludes nothing because no run can be so."""
    from footsteps.reader import expressions, search

    reason = expressions.impossible(excluded, runs.STATUSES)
    if reason and not any(map(excluded.concerns, search.names_below(roots))):
        render.message(render.terminal_text(f"footsteps: --exclude left out nothing: {reason}"))


# ---------------------------------------------------------------------------------------------
# Several runs side by side
# ---------------------------------------------------------------------------------------------


def add_compare(commands: Commands) -> None:
    """`footsteps compare`."""
    parser = add_command(
        commands,
        compare_runs,
        "compare",
        examples="""\
  footsteps compare unet-1 unet-2 unet-3
  footsteps compare 'knee/*' --table | less""",
        more="""\
A column for each run, a row for each argument, recorded value and fact of the
run in which they differ. `diff` tells all that differs between two, with the
patch of their code.""",
    )
    parser.add_argument("names", nargs="+", metavar="RUN", help="names, groups, patterns")
    add_roots(parser)
    parser.add_argument("--all", action="store_true", help="also what is the same in all of them")
    rows.add_output(parser)


COMPARED = ("status", "started", "duration", "exception", "commit", "code_id", "branch", "host", "python", "tag")


def compare_runs(args: argparse.Namespace) -> int:
    """`footsteps compare`: a table of what differs; 1 if nothing does."""
    from footsteps.reader import table

    found = chosen_several(args.names, args.root)
    if len(found) < 2:
        raise FootstepsError(f"there is only {found[0].name!r} to compare", "footsteps compare RUN RUN ...")
    names = {name: [table.run_value(run, name) for run in found] for name in compared_names(found)}
    differing = {n: values for n, values in names.items() if args.all or len(set(map(repr, values))) > 1}
    groups = {run.name.rpartition("/")[0] for run in found}
    prefix = f"{next(iter(groups))}/" if len(groups) == 1 and groups != {""} else ""
    printed = [{"": name, **dict(zip(map(str, range(len(found))), shown_values(name, v), strict=True))}
               for name, v in differing.items()]  # fmt: skip
    columns = [render.Column("", prefix or "run", color=lambda _: "cyan")]
    columns += [render.Column(str(n), run.name[len(prefix) :], right=True) for n, run in enumerate(found)]
    objects = [
        {"name": name, "values": dict(zip((r.name for r in found), values, strict=True))}
        for name, values in differing.items()
    ]
    rows.print_rows(args, objects, columns, printed)
    if not differing:
        render.message("footsteps: no difference was found in these values; `footsteps diff` compares code and files")
    return DONE if differing else NO


def compared_names(found: Sequence[Run]) -> list[str]:
    """What runs are compared by: arguments, recorded values, facts, packages."""
    from footsteps.reader import expressions

    values = dict.fromkeys(name for run in found for name in expressions.parameters(run))
    return [name for name in dict.fromkeys([*values, *COMPARED]) if name != "name"]


def shown_values(name: str, values: Sequence[Any]) -> list[str]:
    """Values of one name as a person reads them; in a pipe as they are."""
    how: dict[str, Callable[[Any], str]] = {
        "started": rows.when,
        "duration": render.span,
        "commit": rows.short_commit,
        "code_id": rows.short_commit,
    }
    return [how.get(name, render.figure)(value) if value is not None else "" for value in values]
