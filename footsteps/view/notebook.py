"""What a notebook shows of a run and of a list of runs: HTML that needs no script.

A run shows its name, status, arguments, results, small curves and figures; runs are a table. What
a record holds is escaped, figures are images, whose scripts never run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from footsteps.reader import expressions
from footsteps.reader.formats import flat
from footsteps.reader.series import STEPS
from footsteps.view import data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

__all__ = ["run_html", "table_html"]

CURVES, FIGURES, ROWS, COLUMNS = 6, 4, 100, 12  # shown at most
FIGURE = 500_000  # bytes of the largest figure
SIGNS = {"finished": "\u2713", "running": "\u25b6", "interrupted": "!", "unknown": "?"}
CELL = "text-align: left; vertical-align: top; padding: 2px 12px 2px 0"
WIDTH, HEIGHT = 180, 60  # of a curve


def run_html(run: Run) -> str:
    """A run as HTML."""
    head = f"<b>{html_text(run.name)}</b> &nbsp; {html_text(signed_status(run))} &nbsp; {html_text(run.started)}"
    values = [("arguments", flat(run.arguments)), ("results", flat(run.recorded))]
    tables = "".join(pairs_html(title, pairs) for title, pairs in values if pairs)
    curves = [curve_html(name, each) for name, each in list(data.series_of(run).items())[:CURVES]]
    figures = [figure_html(run, path) for path in data.figures_of(run)[:FIGURES]]
    return (
        f"<div>{head}<br><code>{html_text(run.directory)}</code>"
        f'<div style="display: flex; flex-wrap: wrap; gap: 24px">{tables}</div>'
        f'<div style="display: flex; flex-wrap: wrap; gap: 12px">{"".join(curves)}{"".join(figures)}</div></div>'
    )


def table_html(runs: Sequence[Run]) -> str:
    """Runs as a table: name, status, start, and the arguments and results in which they differ."""
    shown = list(runs[:ROWS])
    each = [expressions.parameters(run) for run in shown]
    names = [name for name in differing_names(each) if name not in STEPS][:COLUMNS]
    head = row_html("th", ["name", "status", "started", *names])
    rows = [
        row_html(
            "td", [run.name, signed_status(run), run.started[:19], *(cell_text(values.get(name)) for name in names)]
        )
        for run, values in zip(shown, each, strict=True)
    ]
    more = f"<p>and {len(runs) - ROWS} more</p>" if len(runs) > ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


def differing_names(each: Sequence[dict[str, Any]]) -> list[str]:
    """The names whose values are not the same in all; all names of a single one."""
    names = dict.fromkeys(name for values in each for name in values)
    return [name for name in names if len(each) == 1 or len({repr(v.get(name, Ellipsis)) for v in each}) > 1]


def row_html(tag: str, cells: Iterable[str]) -> str:
    """One row of a table."""
    return "<tr>" + "".join(f'<{tag} style="{CELL}">{html_text(cell)}</{tag}>' for cell in cells) + "</tr>"


def pairs_html(title: str, pairs: dict[str, Any]) -> str:
    """Names and values under a title."""
    rows = "".join(row_html("td", [name, cell_text(value)]) for name, value in pairs.items())
    return f"<div><b>{title}</b><table>{rows}</table></div>"


def curve_html(name: str, series: dict[str, Any]) -> str:
    """A series as a small drawing, with its last value."""
    words = f"{name} {cell_text(series['last'])}"
    return (
        f'<figure style="margin: 4px 0"><svg width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"<title>{html_text(words)}</title>"
        f'<polyline fill="none" stroke="currentColor" points="{polyline_points(series)}"/></svg>'
        f"<figcaption>{html_text(words)}</figcaption></figure>"
    )


def polyline_points(series: dict[str, Any]) -> str:
    """The points of a series in the drawing; what is not finite is left out."""
    known = [(x, y) for x, y in zip(series["x"], series["y"], strict=True) if x is not None and y is not None]
    if not known:
        return ""
    (left, right), (low, high) = ((min(part), max(part)) for part in zip(*known, strict=True))
    wide, tall = (right - left) or 1, (high - low) or 1
    at = [((x - left) / wide * (WIDTH - 4) + 2, HEIGHT - 2 - (y - low) / tall * (HEIGHT - 4)) for x, y in known]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in at)


def figure_html(run: Run, path: str) -> str:
    """A figure as an image that the notebook keeps, or its name where it is large."""
    from base64 import b64encode

    from footsteps.view.page import IMAGE_TYPES

    content = data.read_inside(run.directory, path, FIGURE)
    if content is None or len(content) > FIGURE:
        return f"<figure><figcaption>{html_text(path)} (not shown here: large)</figcaption></figure>"
    kind = IMAGE_TYPES[os.path.splitext(path)[1].lower()]
    source = f"data:image/{kind};base64,{b64encode(content).decode()}"
    return (
        f'<figure style="margin: 4px 0"><img src="{source}" alt="{html_text(path)}" style="max-width: 320px">'
        f"<figcaption>{html_text(path)}</figcaption></figure>"
    )


def signed_status(run: Run) -> str:
    """A status with its sign."""
    good = run.status == "exited" and run.outcome.get("exit_status") == 0
    return f"{SIGNS['finished'] if good else SIGNS.get(run.status, chr(0x2717))} {run.status}"


def cell_text(value: Any) -> str:
    """A value in a cell: numbers with six digits, long ones cut."""
    words = f"{value:.6g}" if isinstance(value, float) else expressions.typed_form(value)
    return words if len(words) <= 200 else words[:200] + "..."


def html_text(words: str) -> str:
    """Text that no browser takes for markup, what would act on the reader spelled out."""
    from html import escape

    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in words)
    return escape(shown)
