"""Curves in a terminal: braille dots, two by four in a cell; stars where the encoding has no braille."""

from __future__ import annotations

import math
import os

from footsteps.cli import render

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    Curve = tuple[str, Sequence[float], Sequence[float]]  # title, steps, values

CURVE_COLORS = ("cyan", "yellow", "green", "red", "blue", "bold", "dim")
MARKS = "*+xo#@%"  # of each curve, where there are no colours to tell them apart
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, by row and column
BLANK = 0x2800


class Chart:
    """A field of cells on which curves are drawn.

    width, height: in cells; the least and greatest values of all curves reach its edges.
    """

    def __init__(
        self, curves: Sequence[Curve], width: int, height: int, *, log: bool = False, braille: bool = True
    ) -> None:
        self.width, self.height, self.log, self.braille = width, height, log, braille
        steps = [x for _, xs, _ in curves for x in xs if math.isfinite(x)]
        values = [v for _, _, ys in curves for v in map(self.scaled, ys) if math.isfinite(v)]
        self.left, self.right = spread(min(steps, default=0.0), max(steps, default=0.0))
        self.low, self.high = spread(min(values, default=0.0), max(values, default=0.0))
        self.cells: list[list[tuple[int, int]]] = [[(0, -1)] * width for _ in range(height)]

    def scaled(self, value: float) -> float:
        """A value as it is drawn: its logarithm on a logarithmic axis, nan where it has none."""
        if not self.log:
            return value
        return math.log10(value) if value > 0 else math.nan

    def draw(self, number: int, steps: Sequence[float], values: Sequence[float]) -> None:
        """Draw one curve: a line from point to point, broken at nan."""
        across, down = (2, 4) if self.braille else (1, 1)
        before: tuple[int, int] | None = None
        for x, y in zip(steps, map(self.scaled, values), strict=True):
            if not (math.isfinite(x) and math.isfinite(y)):
                before = None
                continue
            column = round((x - self.left) / (self.right - self.left) * (self.width * across - 1))
            row = round((self.high - y) / (self.high - self.low) * (self.height * down - 1))
            for point in line_between(before or (column, row), (column, row)):
                self.dot(number, *point)
            before = (column, row)

    def dot(self, number: int, column: int, row: int) -> None:
        """Set one dot of a curve; a cell has the colour of the curve that came last."""
        if not self.braille:
            self.cells[row][column] = (1, number)
            return
        line, at = row // 4, column // 2
        self.cells[line][at] = (self.cells[line][at][0] | DOTS[row % 4][column % 2], number)

    def lines(self, screen: render.Screen, several: bool) -> list[str]:
        """The field's lines, with the values at its left."""
        labels = {
            0: self.said(self.high),
            self.height - 1: self.said(self.low),
            self.height // 2: self.said((self.high + self.low) / 2),
        }
        margin = max(map(len, labels.values()))
        side = "\N{BOX DRAWINGS LIGHT VERTICAL}" if self.braille else "|"
        found = []
        for number, row in enumerate(self.cells):
            words = "".join(self.cell(screen, *cell, several) for cell in row)
            found.append(f"{labels.get(number, ''):>{margin}} {side}{words}".rstrip())
        left, right = f"{self.left:.6g}", f"{self.right:.6g}"
        pad = max(1, self.width - len(left) - len(right))
        return [*found, " " * (margin + 2) + left + " " * pad + right]

    def said(self, value: float) -> str:
        """A value at the left edge."""
        return f"{10**value if self.log else value:.4g}"

    def cell(self, screen: render.Screen, dots: int, number: int, several: bool) -> str:
        """One cell as text."""
        if number < 0:
            return " "
        if not self.braille:
            return screen.paint(MARKS[number % len(MARKS)], CURVE_COLORS[number % len(CURVE_COLORS)] if several else "")
        return screen.paint(chr(BLANK + dots), CURVE_COLORS[number % len(CURVE_COLORS)] if several else "cyan")


def spread(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis; around a single value there is some room."""
    if high > low:
        return low, high
    half = abs(low) / 10 or 0.5
    return low - half, low + half


def line_between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The points of a straight line, both ends among them."""
    (x0, y0), (x1, y1) = start, end
    count = max(abs(x1 - x0), abs(y1 - y0)) or 1
    return [(x0 + round((x1 - x0) * n / count), y0 + round((y1 - y0) * n / count)) for n in range(count + 1)]


def print_chart(title: str, curves: Sequence[Curve], *, log: bool = False, x_title: str = "step") -> None:
    """Print the curves as wide as the terminal, with a line for each of several below."""
    screen = render.Screen()
    braille = render.can_say(screen.stream, "\u2801\u2502")
    height = max(6, min(15, lines_of(screen.stream) - 5 - len(curves)))
    chart = Chart(curves, max(20, min(screen.width, 120) - 12), height, log=log, braille=braille)
    for number, (_, steps, values) in enumerate(curves):
        chart.draw(number, steps, values)
    screen.say(screen.paint(render.terminal_text(title), "bold") + ("  (logarithmic)" if log else ""))
    for line in chart.lines(screen, len(curves) > 1):
        screen.say(line)
    screen.say(f"{x_title:>{screen.width // 2}}")
    for number, (name, _, values) in enumerate(curves):
        mark = ("\u2501\u2501" if braille else MARKS[number % len(MARKS)]) if len(curves) > 1 else ""
        painted = screen.paint(mark, CURVE_COLORS[number % len(CURVE_COLORS)])
        screen.say(f"{painted} {render.terminal_text(name)}  {summary(values)}".lstrip())


def lines_of(stream: TextIO) -> int:
    """The height of a terminal in lines; 24 where it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or 24
    except (OSError, ValueError, AttributeError):
        return 24


def summary(values: Sequence[float]) -> str:
    """A series in words: `0.0203 (50 steps, least 0.0198)`."""
    finite = [value for value in values if value == value]  # noqa: PLR0124 - nan is not itself
    least, most = (min(finite), max(finite)) if finite else (math.nan, math.nan)
    return f"{values[-1]:.4g} ({len(values)} steps, least {least:.4g}, greatest {most:.4g})"
