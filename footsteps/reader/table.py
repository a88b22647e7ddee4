"""Runs as rows: one value of each name, for tables, sorting, groups, and `pandas.DataFrame`.

>>> from footsteps.reader import table
>>> table.run_value(run, "lr"), table.run_value(run, "loss", "min"), table.run_value(run, "status")
(0.1, 0.0198, 'finished')
"""

from __future__ import annotations

from footsteps.reader.expressions import ALIASES, FACTS, comparable_name, parameters
from footsteps.reader.formats import flat, is_number
from footsteps.reader.runs import guess
from footsteps.reader.series import STEPS
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

LAST, LEAST, GREATEST = "last", "min", "max"  # which value of a series stands for it
ROW = ("name", "status", "started", "duration", "commit", "tags", "path")  # what a row of `rows` begins with


def fact_name(name: str) -> str:
    """The fact of a run that is meant by a name (`took` is `duration`), or ""."""
    known = comparable_name(name)
    known = ALIASES.get(known, known)
    return known if known in FACTS else ""


def run_value(run: Run, name: str, which: str = LAST, values: Mapping[str, Any] | None = None) -> Any:
    """A run's value of a name: a fact of the run, a recorded value, an argument; None where it has none.

    The last part of a dotted name will do. which: of a series "last", "min" or "max". values: the run's parameters,
    where they are known already.
    """
    fact = fact_name(name)
    if fact:
        return FACTS[fact](run)
    values = parameters(run) if values is None else values
    full = full_name(values, name)
    if which != LAST and full in run.all_series:
        series = run.all_series[full]
        return series.least if which == LEAST else series.greatest
    return values.get(full)


def full_name(names: Iterable[str], name: str) -> str:
    """The name among some that is meant: itself, spelled with - or _, or one that ends in `.name`."""
    if name in names:
        return name
    wanted = comparable_name(name)
    fits = [each for each in names if comparable_name(each) == wanted or comparable_name(each).endswith("." + wanted)]
    return fits[0] if fits else name


def require_known(names: Iterable[str], runs: Sequence[Run]) -> None:
    """Raises FootstepsError for a name of which no run has a value, with what may have been meant."""
    known: dict[str, None] = {}
    for run in runs:
        known.update(dict.fromkeys(parameters(run)))
    for name in names:
        if runs and not fact_name(name) and full_name(known, name) not in known:
            there = quote([",".join(list(known)[:6]) or "name,status"])
            near = guess(name, [*known, *FACTS, *ALIASES])
            raise FootstepsError(f"none of these runs has a value {name!r}{near}", f"footsteps list -c {there}")


def results(runs: Iterable[Run]) -> list[str]:
    """The names of recorded values that are numbers, arguments and steps aside, in the order in which they came."""
    names: dict[str, None] = {}
    given: set[str] = set()
    for run in runs:
        given.update(flat(run.arguments))
        names.update(dict.fromkeys(n for n, v in flat(run.recorded).items() if is_number(v) and n not in STEPS))
    return [name for name in names if name not in given]


def sorted_by(runs: Sequence[Run], name: str, which: str = LAST) -> list[Run]:
    """The runs by a value, the least first, with a dash before the name the greatest; those without it last."""
    descending, name = name.startswith("-"), name.lstrip("-+")
    keyed = [(order_of(run_value(run, name, which)), run) for run in runs]
    there = [pair for pair in keyed if pair[0] is not None]
    there.sort(key=lambda pair: pair[0] or (), reverse=descending)
    return [run for _, run in there] + [run for key, run in keyed if key is None]


def order_of(value: Any) -> tuple[int, Any] | None:
    """What a value is sorted by: numbers before text; None for none, and for nan."""
    if is_number(value) or isinstance(value, bool):
        return None if value != value else (0, value)  # noqa: PLR0124 - nan is not itself
    return None if value in (None, "", []) else (1, str(value))


class Group:
    """Runs that have the same values of some names.

    key: those values by name; runs; `spread(name)`: mean and standard deviation over the runs.
    """

    def __init__(self, key: dict[str, Any], runs: list[Run]) -> None:
        self.key, self.runs = key, runs

    def spread(self, name: str, which: str = LAST) -> dict[str, Any]:
        """{"mean", "std", "min", "max", "count"} of a value over the runs that have it as a number.

        std is that of a sample (n - 1), None for one value alone; mean None where there is no value.
        """
        every = [run_value(run, name, which) for run in self.runs]
        values = [float(v) for v in every if is_number(v) and v - v == 0]
        if not values:
            return {"mean": None, "std": None, "min": None, "max": None, "count": 0}
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        std = (squares / (len(values) - 1)) ** 0.5 if len(values) > 1 else None
        return {"mean": mean, "std": std, "min": min(values), "max": max(values), "count": len(values)}


def grouped(runs: Iterable[Run], names: Sequence[str]) -> list[Group]:
    """The runs in groups that have the same values of these names, in the order of those values."""
    groups: dict[str, Group] = {}
    for run in runs:
        key = {name: run_value(run, name) for name in names}
        groups.setdefault(repr([*key.values()]), Group(key, [])).runs.append(run)
    return sorted(groups.values(), key=lambda group: [order_of(value) or (2, "") for value in group.key.values()])


def rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """A dict for each run: name, status, started, duration, commit, tags, path, then its arguments and values.

    A value of the program's that is called as one of those stands under `arguments.name` or `recorded.name`.
    """
    return [table_row(run) for run in runs]


def table_row(run: Run) -> dict[str, Any]:
    """One row of `rows`."""
    row = {name: getattr(run, name) for name in ROW}
    for part in ("arguments", "recorded"):
        for name, value in flat(getattr(run, part)).items():
            row[f"{part}.{name}" if name in ROW else name] = value
    return row
