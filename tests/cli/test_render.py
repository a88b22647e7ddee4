"""Values reach a terminal as a table that fits, a pipe as TSV, and no screen as control."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, redirect_stdout

import pytest

from footsteps.cli import render


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    encoding = "utf-8"

    def isatty(self):
        """Yes."""
        return True


def on_terminal(show, *values, width=40):
    """What is shown on a terminal so wide, without colours."""
    surroundings = variables_set(COLUMNS=str(width), NO_COLOR="1")
    with redirect_stdout(Terminal()) as stream, surroundings:
        show(*values)
    return stream.getvalue()


@contextmanager
def variables_set(**variables):
    """These environment variables for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


COLUMNS = [
    render.Column("name"),
    render.Column("size", show=render.size_text, right=True),
    *(render.Column(key, extra=True) for key in ("lr", "seed", "model")),
]
ROWS = [
    {"name": "unet-3", "size": 1234, "lr": 0.1, "seed": 3, "model": "resnet-152-pretrained"},
    {"name": "a-name-that-is-longer-than-the-terminal-is-wide", "size": 5, "lr": 1e-05},
]


def test_a_pipe_gets_every_row_whole(capsys):
    """TSV with a header, nothing cut off, values and not their short forms."""
    render.print_table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name\tsize\tlr\tseed\tmodel"
    assert lines[1] == "unet-3\t1234\t0.1\t3\tresnet-152-pretrained"
    assert lines[2].split("\t") == [ROWS[1]["name"], "5", "1e-05", "", ""]


@pytest.mark.parametrize("width", [20, 40, 79, 80, 200])
def test_a_table_fits_the_terminal(width):
    """No line is wider than the terminal, and the name is never left out."""
    lines = on_terminal(render.print_table, COLUMNS, ROWS, width=width).splitlines()
    assert all(render.cells(line) <= width for line in lines)
    assert lines[0].startswith("name")


def test_a_wide_terminal_shows_everything():
    """Nothing is cut where there is room."""
    shown = on_terminal(render.print_table, COLUMNS, ROWS, width=200)
    assert "\u2026" not in shown
    assert "1.2 KiB" in shown


def test_wide_characters_take_two_cells():
    """Columns stay below each other for scripts of double width."""
    rows = [{"name": "\u6b65\u6b65", "size": 1}, {"name": "abcd", "size": 1}]
    columns = [render.Column("name"), render.Column("size")]
    _, wide, narrow = on_terminal(render.print_table, columns, rows).splitlines()
    assert (wide, narrow) == ("\u6b65\u6b65  1", "abcd  1")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("plain", "plain"),
        ("na\xefve \u6b65", "na\xefve \u6b65"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("two\nlines\tand\rmore", r"two\nlines\tand\rmore"),
        ("\u202eevil", r"\u202eevil"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)
def test_nothing_in_a_value_acts_on_the_screen(words, shown):
    """Control characters, bidirectional overrides, line breaks and stray bytes are spelled out."""
    assert render.terminal_text(words) == shown


@pytest.mark.parametrize(
    ("variables", "colored"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colours_follow_the_conventions(variables, colored):
    """NO_COLOR first, then FORCE_COLOR, then the terminal."""
    with variables_set(**variables):
        assert ("\x1b[31m" in render.Screen(Terminal()).paint("red", "red")) is colored


def test_a_pipe_is_coloured_only_by_force(monkeypatch):
    """No colours in a pipe, unless FORCE_COLOR."""
    assert render.Screen(io.StringIO()).paint("x", "red") == "x"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert render.Screen(io.StringIO()).paint("x", "red") != "x"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (62.5, "1 min 2 s"),
        (3600, "1 h 0 min"),
        (11111, "3 h 5 min"),
        (200000, "2 d 7 h"),
    ],
)
def test_a_duration_is_told_as_people_do(seconds, told):
    """Two units at most."""
    assert render.span(seconds) == told


@pytest.mark.parametrize(
    ("past", "told"),
    [
        (5, "5 s ago"),
        (300, "5 min ago"),
        (7200, "2 h ago"),
        (86400, "1 day ago"),
        (5 * 86400, "5 days ago"),
        (400 * 86400, "2025-10-18 12:00"),
        (-500, "2026-11-22 12:08"),
    ],
)
def test_a_time_is_told_as_people_do(past, told):
    """So long ago, then the date; a clock that was wrong gives a date."""
    when = 1795348800.0  # 2026-11-22 12:00 UTC
    begun = "2026-11-22T12:00:00Z"
    if past in (400 * 86400, -500):
        assert render.ago(render_iso(when - past), when) == told
    else:
        assert render.ago(begun, when + past) == told


def render_iso(epoch):
    """ISO 8601 of seconds since 1970."""
    from footsteps.reader.formats import iso_time

    return iso_time(epoch)


def test_what_is_no_time_is_shown_as_it_is():
    """A record may hold anything."""
    assert render.ago("yesterday-ish") == "yesterday-ish"


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (3400, "3.3 KiB"), (23.5 * 2**30, "23.5 GiB"), (7e12, "6.4 TiB"), ("x", "")],
)
def test_a_size_is_told_as_people_do(count, told):
    """Powers of 1024, in which info.txt tells memory and limits."""
    assert render.size_text(count) == told


def test_json_has_no_number_that_json_cannot_say(capsys):
    """What is no number, or has no end, is a string, which float() reads and jq bears."""
    render.print_json([{"loss": float("nan"), "best": [1.5, float("-inf")]}, {"loss": 0.5}])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ['{"loss": "nan", "best": [1.5, "-inf"]}', '{"loss": 0.5}']


def test_sections_are_blocks_on_a_terminal_and_lines_in_a_pipe(capsys):
    """Long values are wrapped below their beginning; empty ones and empty blocks are not shown."""
    sections = [("", [("run", "a")]), ("empty", []), ("code", [("x", "word " * 20), ("y", None)])]
    lines = on_terminal(render.print_sections, sections).splitlines()
    assert lines[:3] == ["run  a", "", "code"]
    assert all(len(line) <= 40 for line in lines)
    assert lines[3].startswith("  x  word word")
    assert lines[4].startswith("     word")
    render.print_sections(sections)
    assert capsys.readouterr().out == "run\ta\ncode.x\t" + "word " * 20 + "\n"


def test_json_is_one_ascii_object_a_line(capsys):
    """Also for bytes that were no text and values that are no JSON."""
    render.print_json([{"a": "\u6b65\udce9"}, {"b": {1}}])
    assert capsys.readouterr().out == '{"a": "\\u6b65\\udce9"}\n{"b": "{1}"}\n'


def test_progress_is_nothing_in_a_pipe(capsys):
    """The items come through, and not a character besides."""
    assert list(render.progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_rendering_does_not_import_prompt_toolkit_for_plain_text():
    """Its import takes longer than a whole command may."""
    program = (
        "import sys; from footsteps.cli import render;render.cells('plain'); assert 'prompt_toolkit' not in sys.modules"
    )
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", program) == 0


def test_progress_leaves_stdin_to_whoever_reads_it(terminal):
    """In a `while read` loop stdin holds the names of the next files, not keys for a progress bar."""
    work = "import footsteps.cli.render as r; r.PATIENCE = -1; print(sum(1 for _ in r.progress(range(9999), 'w')))"
    loop = f'printf "next\\n" | ("{sys.executable}" -c "{work}"; printf "left: "; cat)'
    screen = terminal(["sh", "-c", loop])
    screen.expect_exact("left: next")
    assert "9999" in screen.before
    assert "Warning" not in screen.before
