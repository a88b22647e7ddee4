"""Values become a table, TSV or JSON; knows the terminal, its width, and colour.

On a terminal a table that fits it, with times as people tell them; in a pipe the same rows as
TSV, nothing cut off, times in ISO 8601; JSON where it is asked for, one object a line. Whatever
a value holds, no control character of it reaches the screen.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TextIO, TypeVar

    Item = TypeVar("Item")

__all__ = [
    "Column",
    "Screen",
    "ago",
    "are_numbers",
    "brief",
    "figure",
    "let_go",
    "message",
    "open_closed_streams",
    "print_document",
    "print_json",
    "print_patch",
    "print_path",
    "print_sections",
    "print_table",
    "print_text",
    "progress",
    "size_text",
    "span",
    "terminal_text",
]  # fmt: skip

COLORS = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36",
}  # fmt: skip
STATUS_COLORS = {
    "finished": "green", "failed": "red", "died": "red", "interrupted": "yellow",
    "exited": "yellow", "running": "cyan", "unknown": "dim", "did not start": "red",
}  # fmt: skip
MOST_CHARACTERS = 8  # for a cell: some have no width of their own
GAP = 2  # blanks between two columns
SHORT, LONG, LEAST = 12, 30, 6  # cells to which columns give way, see `fitting`
PATIENCE = 0.7  # seconds of work before a progress bar is worth its import


class Screen:
    """What a stream is: a terminal or not, how wide, with colours or not.

    NO_COLOR (not empty) takes colours away, else FORCE_COLOR brings them, into a pipe those of
    patches: TSV has none; COLUMNS is the width.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.terminal = is_terminal(self.stream)
        self.color = wants_color(self.terminal)
        self.width = terminal_width(self.stream)
        self.dots = "\N{HORIZONTAL ELLIPSIS}" if can_say(self.stream, "\u2026") else "~"

    def paint(self, words: str, color: str) -> str:
        """The words in a colour of COLORS, if there are colours here."""
        if not self.color or not color or not words:
            return words
        return f"\x1b[{COLORS[color]}m{words}\x1b[0m"

    def say(self, line: str = "") -> None:
        """One line."""
        print(line, file=self.stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def wants_color(terminal: bool) -> bool:
    """Whether to colour, by NO_COLOR, FORCE_COLOR, and what the terminal is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def terminal_width(stream: TextIO) -> int:
    """The width in cells: COLUMNS, the terminal's, or 80."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def can_say(stream: TextIO, words: str) -> bool:
    """Whether the stream's encoding has these characters."""
    try:
        words.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


# ---------------------------------------------------------------------------------------------
# Text that is safe, and as wide as it looks
# ---------------------------------------------------------------------------------------------


def terminal_text(words: object) -> str:
    r"""The text on one line, what would act on a terminal, or is no text, as \x1b or \u202e."""
    words = str(words)
    if words.isascii() and words.isprintable():
        return words
    return "".join(c if c.isprintable() else escape(c) for c in words)


def escape(character: str) -> str:
    """One character as Python would write it; a byte that was no UTF-8 as the byte it was."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def cells(words: str) -> int:
    """How many cells of a terminal the text takes."""
    if words.isascii():
        return len(words)
    try:
        import wcwidth  # comes with prompt_toolkit, and takes a quarter of its time
    except ImportError:
        from prompt_toolkit.utils import get_cwidth

        return int(get_cwidth(words))
    return int(max(0, wcwidth.wcswidth(words)))


def cut(words: str, room: int, dots: str) -> str:
    """The text in at most `room` cells, with dots where something was taken away."""
    if len(words) <= room and cells(words) <= room:
        return words
    short = beginning(words, max(0, room))
    if len(short) == len(words):
        return words
    return beginning(short, room - 1) + dots if room > 0 else ""


def beginning(words: str, room: int) -> str:
    """As many characters as fit into so many cells, counted one by one: a character without a width may follow."""
    if words.isascii():
        return words[: max(0, room)]
    taken_cells = 0
    for at, character in enumerate(words):
        taken_cells += cells(character)
        if taken_cells > room or at > MOST_CHARACTERS * (room + 1):
            return words[:at]
    return words


def ago(iso: str, now: float | None = None) -> str:
    """A time as people tell it: `5 min ago`, `3 h ago`, `2 days ago`, else the local date."""
    import time
    from datetime import datetime

    try:
        when = datetime.fromisoformat(iso.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return iso
    past = (time.time() if now is None else now) - when.timestamp()
    for limit, seconds, unit in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if 0 <= past < limit:
            return f"{past // seconds:.0f} {unit} ago"
    days = int(past // 86400)
    if 0 <= days < 14:
        return f"{days} day{'s' if days > 1 else ''} ago"
    return when.strftime("%Y-%m-%d %H:%M")


def span(seconds: float | None) -> str:
    """A duration as people tell it: `0.2 s`, `1 min 2 s`, `3 h 5 min`, `2 d 4 h`."""
    import math

    if seconds is None or not math.isfinite(seconds):
        return "" if seconds is None else str(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for large, name, small, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= large:
            return f"{whole // large} {name} {whole % large // small} {below}"
    return f"{whole // 60} min {whole % 60} s"


def size_text(count: object) -> str:
    """A number of bytes as people tell it, in info.txt's units: `12 B`, `3.4 KiB`, `5.6 GiB`."""
    if isinstance(count, bool) or not isinstance(count, (int, float)):
        return ""
    value = float(count) if abs(count) < 2**1000 else float("inf")
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def brief(value: object) -> str:
    """Any value as short text: strings as they are, numbers in full, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return "" if value is None else str(value)
    import json

    return json.dumps(value)


def figure(value: object) -> str:
    """A value for a table: floats with five significant digits, all else as `brief` has it."""
    return f"{value:.5g}" if isinstance(value, float) else brief(value)


def are_numbers(values: Iterable[object]) -> bool:
    """Whether all values that are there are numbers, which are told by their last digits: right-aligned."""
    there = [value for value in values if value not in (None, "")]
    return bool(there) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there)


# ---------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------


class Column:
    """A column: the key of its values, its title, how a terminal shows a value, and its colour.

    show and color are functions of a value; in a pipe a value is written as `brief` has it.
    A column that is `extra` is the first to go where a terminal is narrow.
    """

    def __init__(
        self,
        key: str,
        title: str = "",
        show: Callable[[Any], str] = brief,
        color: Callable[[Any], str] | None = None,
        *,
        extra: bool = False,
        right: bool = False,
    ) -> None:
        self.key, self.title, self.show, self.color = key, title or key, show, color
        self.extra, self.right = extra, right


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    header: bool = True,
    *,
    table: bool = False,
    more: str = "",
) -> None:
    """The rows for whoever reads: a table on a terminal, TSV with a header line in a pipe.

    table: a table in a pipe too; more: how to see what there is no room for.
    """
    screen = Screen()
    if table and not screen.terminal:
        screen.width = terminal_width(sys.stderr)  # `| less`: the terminal is still there
    if not screen.terminal and not table:
        lines: list[Sequence[str]] = [[terminal_text(brief(row.get(c.key))) for c in columns] for row in rows]
        for line in [[terminal_text(c.title) for c in columns], *lines] if header else lines:
            screen.say("\t".join(line))
        return
    shown = [[terminal_text(c.show(row.get(c.key))) for c in columns] for row in rows]
    widths = fitting(columns, shown, screen.width)
    if header:
        titles = [(c.title, "bold") for c in columns]
        screen.say(table_line(columns, titles, widths, screen))
    gone = [column.title for column, width in zip(columns, widths, strict=True) if not width]
    for row, words in zip(rows, shown, strict=True):
        colors = [c.color(row.get(c.key)) if c.color else "" for c in columns]
        screen.say(table_line(columns, list(zip(words, colors, strict=True)), widths, screen))
    if gone:
        room = screen.width - len(more)
        message(hint=cut(terminal_text(f"no room for: {', '.join(gone)}"), room, screen.dots) + more)


def fitting(columns: Sequence[Column], shown: list[list[str]], room: int) -> list[int]:
    """The widths with which the columns fit into the room; 0 for an extra one left out.

    Long extra columns give way first, then long others; then extra ones go, the last one first.
    """
    # Nothing is wider than the room: what is longer is measured by its beginning.
    titles = [terminal_text(column.title) for column in columns]
    widths = [max(cells(words[: room + 1]) for words in (t, *(row[i] for row in shown))) for i, t in enumerate(titles)]
    extras = [i for i, column in enumerate(columns) if column.extra]
    narrow(widths, extras, SHORT, room)
    narrow(widths, range(len(widths)), LONG, room)
    over = taken(widths) - room
    while over > 0 and extras:
        over -= widths[extras[-1]] + GAP
        widths[extras.pop()] = 0
    narrow(widths, range(len(widths)), LEAST, room)
    return widths


def narrow(widths: list[int], which: Sequence[int], least: int, room: int) -> None:
    """Make the widest of some columns narrower, none below `least`, until all of them fit."""
    over = taken(widths) - room
    while which and over > 0:
        widest = max(widths[i] for i in which)
        if widest <= least:
            return
        wide = [i for i in which if widths[i] == widest]
        next_widest = max((widths[i] for i in which if widths[i] < widest), default=0)
        step = min(widest - max(least, next_widest), -(-over // len(wide)))
        for i in wide:
            less = min(step, over)
            widths[i] -= less
            over -= less


def taken(widths: Sequence[int]) -> int:
    """The cells of a line with columns of these widths."""
    there = [width for width in widths if width]
    return sum(there) + GAP * (len(there) - 1)


def table_line(columns: Sequence[Column], words: Sequence[tuple[str, str]], widths: list[int], screen: Screen) -> str:
    """One line of a table: texts with their colours, cut and padded."""
    parts = []
    for column, (text, color), width in zip(columns, words, widths, strict=True):
        if width:
            fits = cut(terminal_text(text), width, screen.dots)
            pad = " " * (width - cells(fits))
            painted = screen.paint(fits, color)
            parts.append(pad + painted if column.right else painted + pad)
    return (" " * GAP).join(parts).rstrip()


def print_sections(sections: Sequence[tuple[str, Sequence[tuple[str, Any]]]]) -> None:
    """Titled blocks of key and value; in a pipe one line each: `section.key <tab> value`."""
    screen = Screen()
    sections = [(title, [(k, v) for k, v in pairs if v not in (None, "")]) for title, pairs in sections]
    if not screen.terminal:
        for title, pairs in sections:
            for key, value in pairs:
                name = ".".join(str(part) for part in (title, key) if part)
                screen.say(f"{terminal_text(name)}\t{terminal_text(brief(value))}")
        return
    for number, (title, pairs) in enumerate(section for section in sections if section[1]):
        if number:
            screen.say()
        if title:
            screen.say(screen.paint(terminal_text(title), "bold"))
        print_pairs(screen, [(terminal_text(k), terminal_text(brief(v))) for k, v in pairs], bool(title))


def print_pairs(screen: Screen, pairs: Sequence[tuple[str, str]], indented: bool) -> None:
    """Keys in one column, values in another, long values wrapped below their beginning."""
    margin = "  " if indented else ""
    column = min(24, max(cells(key) for key, _ in pairs))
    room = max(20, screen.width - len(margin) - column - GAP)
    for key, value in pairs:
        lines = list(wrapped(value, room))
        head = margin + screen.paint(key, "cyan") + " " * max(0, column - cells(key))
        for number, line in enumerate(lines or [""]):
            lead = head if not number else " " * (len(margin) + column)
            screen.say((lead + " " * GAP + line).rstrip())


def wrapped(words: str, room: int) -> Iterator[str]:
    """The text in lines of at most `room` cells, broken at blanks where there are some."""
    start = 0
    while len(short := beginning(words[start : start + MOST_CHARACTERS * (room + 1)], room)) < len(words) - start:
        end = start + max(1, len(short))
        at = words.rfind(" ", start + room // 2, end + 1)
        yield words[start : at if at > start else end]
        start = at + 1 if at > start else end
    yield words[start:]


# ---------------------------------------------------------------------------------------------
# JSON, patches, messages
# ---------------------------------------------------------------------------------------------


def print_document(values: Iterable[object]) -> None:
    """One JSON document: an array, a line for each of its values."""
    print("[", end="")
    for number, value in enumerate(values):
        print("\n" if not number else ",\n", end="")
        print(ascii_json(value), end="")
    print("\n]")


def print_json(values: Iterable[object]) -> None:
    """One JSON value a line, in ASCII, so that it is the same in every locale; nan and inf as "nan" and "inf"."""
    for value in values:
        print(ascii_json(value))


def ascii_json(value: object) -> str:
    """A value as JSON in ASCII on one line; see `sayable`."""
    import json

    try:
        return json.dumps(value, default=repr, allow_nan=False)
    except ValueError:
        return json.dumps(sayable(value), default=repr)


def sayable(value: object) -> object:
    """The value with numbers that JSON can't say as strings, from which float() has them back."""
    if isinstance(value, dict):
        return {key: sayable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [sayable(one) for one in value]
    return repr(value) if isinstance(value, float) and value - value != 0 else value


def print_path(path: str) -> None:
    """A path: as the system spells it, byte for byte, in a pipe; escaped on a terminal."""
    screen = Screen()
    if screen.terminal:
        screen.say(terminal_text(path))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")


def print_text(words: str) -> None:
    """A text of our own, as it is."""
    print(words, end="")


def print_patch(patch: bytes) -> None:
    """A patch: coloured and escaped on a terminal, byte for byte in a pipe."""
    screen = Screen()
    if not screen.terminal and not screen.color:
        sys.stdout.flush()
        sys.stdout.buffer.write(patch)
        return
    for line in patch.decode("utf-8", "surrogateescape").split("\n")[: -1 if patch else None]:
        screen.say(screen.paint(terminal_text(line.replace("\t", "    ")), patch_color(line)))


def patch_color(line: str) -> str:
    """The colour of a line of a patch."""
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def message(*lines: str, hint: str = "") -> None:
    """Lines for the person, on stderr; a hint only if it is a person who reads."""
    if held_lines:
        held_lines[-1].append((lines, hint))
        return
    screen = Screen(sys.stderr)
    try:
        for line in lines:
            screen.say(line)
        if hint and screen.terminal:
            screen.say(screen.paint(hint, "dim"))
    except OSError:  # nobody hears it: the answer and the exit status are as they would be
        let_go(sys.stderr)


held_lines: list[list[tuple[tuple[str, ...], str]]] = []  # messages that wait until a pager has ended; see `pager`


def open_closed_streams() -> None:
    """Put something in the place of streams that were closed before the start: a file would get their number.

    What is said into a closed stdout is an OSError, as it is for every program; stderr's is lost.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flags), mode, closefd=False))  # noqa: SIM115 - to the end


def let_go(stream: TextIO) -> None:
    """Write what a stream still holds, nowhere if it can't be written: the interpreter would complain at its end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar on a terminal's stderr once the work has taken a while."""
    import time

    items, begun = iter(items), time.monotonic()
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield from items
        return
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - begun > PATIENCE:
            yield from bar(items, label, done, total)


def bar(items: Iterator[Item], label: str, done: int, total: int | None) -> Iterator[Item]:
    """The rest of the items with prompt_toolkit's progress bar, which removes itself at the end."""
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import create_output
    from prompt_toolkit.output.vt100 import Vt100_Output
    from prompt_toolkit.shortcuts import ProgressBar
    from prompt_toolkit.shortcuts.progress_bar import formatters

    class Count(formatters.Formatter):
        """How many have been done, where nobody knows of how many."""

        def format(self, progress_bar: object, progress: Any, width: int) -> str:  # noqa: ARG002
            return f"{progress.items_completed:,}"

    counting = [formatters.Label(), formatters.Text(" "), formatters.SpinningWheel(), formatters.Text(" "), Count()]
    output = create_output(sys.stderr)
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False  # nobody would read the terminal's answer
    # what stdin holds is not for us: in `while read` loops it is the names of the next files
    with (
        create_pipe_input() as nothing,
        ProgressBar(formatters=None if total else counting, input=nothing, output=output) as shown,
    ):
        counter: Any = shown(items, label=label, total=total, remove_when_done=True)
        counter.items_completed = done
        yield from counter
