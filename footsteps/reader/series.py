"""Values that a run recorded again and again: a loss for each step.

>>> loss = run.series("loss")
>>> len(loss), loss.last, loss.least
(50, 0.0203, 0.0198)
>>> plt.plot(loss.steps, loss.values)
"""

from __future__ import annotations

from footsteps.reader.formats import flat, is_number, mapping

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# A value of one of these names, recorded with others, numbers them.
STEPS = (
    "step",
    "global_step",
    "iteration",
    "epoch",
    "iter",
    "batch",
)


class Series(list):  # type: ignore[type-arg]
    """Pairs (step, value) of one recorded name, in the order in which they were recorded.

    A step is what the program recorded with the value as `step`, `global_step`, `iteration` or `epoch`, else
    0, 1, 2 ...; values are numbers; `nan` and `inf` too.
    """

    @property
    def steps(self) -> list[float]:
        """The first of each pair."""
        return [step for step, _ in self]

    @property
    def values(self) -> list[float]:
        """The second of each pair."""
        return [value for _, value in self]

    @property
    def finite(self) -> list[float]:
        """The values without `nan`."""
        return [value for value in self.values if value == value]  # noqa: PLR0124 - nan is not itself

    @property
    def last(self) -> float | None:
        """The last value; None if there is none."""
        return self[-1][1] if self else None

    @property
    def least(self) -> float | None:
        """The least value, `nan` aside; None if there is none."""
        return min(self.finite, default=None)

    @property
    def greatest(self) -> float | None:
        """The greatest value, `nan` aside; None if there is none."""
        return max(self.finite, default=None)


def all_series(log: Iterable[Mapping[str, Any]]) -> dict[str, Series]:
    """Every name that has been recorded as a number more than once, from the lines of recorded.jsonl."""
    found: dict[str, Series] = {}
    for line in log:
        if line.get("kind") != "recorded":
            continue
        values = flat(mapping(line.get("values")))
        step = next((values[name] for name in STEPS if is_number(values.get(name))), None)
        for name, value in values.items():
            number = recorded_number(value)
            if number is not None and name not in STEPS:
                series = found.setdefault(name, Series())
                series.append((len(series) if step is None else step, number))
    return found


def recorded_number(value: Any) -> float | None:
    """A recorded value if it is a number; "nan" and "inf" are, as JSON has no others."""
    if is_number(value):
        return float(value) if isinstance(value, float) else value
    return float(value) if value in ("nan", "inf", "-inf") else None
