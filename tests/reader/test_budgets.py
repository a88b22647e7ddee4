"""What a stranger's files may take when they are compared, traced or shown: bounded, whatever they hold."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys

import pytest

from footsteps.cli import render
from footsteps.reader import measure, trace

LIMITED = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory} << 20, {memory} << 20))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
"""


def limited(program, *arguments, seconds=20, memory=2000):
    """What a program prints that may use so many seconds of a processor and MiB of memory; it must not fail."""
    argv = [sys.executable, "-c", LIMITED.format(seconds=seconds, memory=memory) + program, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    return done.stdout


def svg(times):
    """Titles that are never closed: a backtracking pattern tries each to the end."""
    return b"<svg>" + b"<title>" * times


HOSTILE = {
    "svg": lambda: svg(20_000),
    "many more titles": lambda: svg(300_000),
    "svgz": lambda: gzip.compress(svg(20_000)),
    "pdf": lambda: b"%PDF-" + b"xref " * 40_000,
    "pdf of brackets": lambda: b"%PDF-" + b"<<" * 500_000,
    "pdf of makers": lambda: b"%PDF-" + b"<</Producer " * 90_000,
    "pdf that names runs": lambda: b"%PDF-" + b"footsteps run " * 1_000_000,
    "cells": lambda: b"1," * 10_000_000,
    "csv of 30 MB": lambda: b"1.5,2.5,3.5\n" * 2_500_000,
    "gzip in gzip": lambda: packed(b"1", 50),
    "a gzip of a gigabyte": lambda: gzip.compress(b"\0" * (1 << 30), 1),
}


def packed(data, times):
    """Packed again and again."""
    for _ in range(times):
        data = gzip.compress(data)
    return data


COMPARE = "from footsteps.reader import measure; print(measure.measure(*sys.argv[1:]))"
TRACE = "from footsteps.reader import trace; print(trace.run_from_metadata(sys.argv[1]))"


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_files_are_compared_and_traced_within_bounds(tmp_path, name):
    """In seconds and in 2 GB, and they are told to be different."""
    data = HOSTILE[name]()
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(packed(b"2", 50) if name == "gzip in gzip" else data + b" 2")
    assert "'different'" in limited(COMPARE, tmp_path / "a", tmp_path / "b")
    limited(TRACE, tmp_path / "a", memory=4000)


def image(kind, size, color, **more):
    """An image of one colour."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", size, color).save(out, kind, **more)
    return out.getvalue()


def film(count, color):
    """A GIF of so many frames."""
    from PIL import Image

    out = io.BytesIO()
    frames = [Image.new("L", (2, 2), (color + n) % 256) for n in range(count)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.slow
def test_images_have_budgets_for_pixels_and_frames():
    """Above them they are not compared, and that is said."""
    pytest.importorskip("PIL")
    for a, b in (
        (image("PNG", (13_000, 13_000), 0), image("PNG", (13_000, 13_000), 1)),
        (film(1100, 0), film(1100, 1)),
    ):
        said = measure.measured(measure.kind_of_bytes(a), a, b)
        assert said["verdict"] == "different"
        assert "not compared: too large" in said["note"]


@pytest.mark.slow
def test_an_archive_of_too_much_is_not_unpacked():
    """Members that say how large they are in all."""
    numpy = pytest.importorskip("numpy")
    out = io.BytesIO()
    numpy.savez_compressed(out, a=numpy.zeros(1 << 25))
    said = measure.measured("zip", out.getvalue(), out.getvalue() + b" ")
    assert "not compared: too large" in said["note"]


def test_what_is_said_of_the_making_is_left_out_in_linear_time():
    """The same words as a pattern would leave out."""
    about = [(b"<title>", b"</title>"), (b"<!--", b"-->")]
    assert measure.without(b"a<title>b</title>c<!-- <title> -->d<title>e", about) == b"acd<title>e"
    making = b"<< /Producer (x) /CreationDate <ff> >>"
    assert measure.without(b"1 << /A 2 >> " + making + b" 3", [(b"<<", b">>")]) == b"1 << /A 2 >>  3"
    assert (
        measure.without(b"%!PS\n%%Title: a\n%%For: b\nx", [(b"\n%%Title:", b"\n"), (b"\n%%For:", b"\n")]) == b"%!PS\nx"
    )


SHOW = """
import io
from footsteps.cli import render
class Terminal(io.StringIO):
    isatty = lambda self: True
sys.stdout, out = Terminal(), sys.stdout
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "render.print_sections([('recorded', [('prompt', '\\u00e9' * 200_000)])])",
        "render.print_table([render.Column('a'), render.Column('b')], [{'a': '\\u00e9' * 200_000, 'b': 'x'}] * 20)",
        "render.print_table([render.Column(f'n{i}', extra=True) for i in range(3000)], [{'n1': 1}] * 20)",
    ],
    ids=["a long value", "long cells", "many columns"],
)
def test_tables_are_cut_before_they_are_measured(program):
    """Accented characters by the hundred thousand, and thousands of columns, in seconds."""
    limited(SHOW + program, seconds=15)


def test_a_cut_text_is_as_wide_as_its_room():
    """Characters of two cells and of none are counted as such."""
    wide, none = "\u4e2d" * 50, "e\u0301" * 50
    for words in (wide, none, "a" * 100):
        for room in (1, 2, 7, 30):
            assert render.cells(render.cut(words, room, "~")) <= room
            assert all(render.cells(line) <= max(room, 2) for line in render.wrapped(words, room))
    assert "".join(render.wrapped(none, 7)) == none
    assert render.cut("abc", 3, "~") == "abc"


def test_a_png_with_thousands_of_texts_is_traced_by_ours(tmp_path):
    """Each may unpack to a mebibyte; only those that begin as ours do are looked at."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bomb = chunk(b"zTXt", b"x\0\0" + zlib.compress(b"\0" * (1 << 20)))
    ours = [(b"run", b"r"), (b"id", b"20261122T000000Z-0123abcd"), (b"code_id", b"ab")]
    texts = b"".join(chunk(b"tEXt", b"footsteps:" + key + b"\0" + value) for key, value in ours)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bomb * 5000 + texts + chunk(b"IEND", b""))
    assert trace.run_from_metadata(str(path))["name"] == "r"
    limited(TRACE, path, memory=500)
