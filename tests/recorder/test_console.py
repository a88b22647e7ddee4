"""console.txt: what a program says is kept, and the program can't tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import plain

BEGIN = 'import os, sys, footsteps\nfootsteps.initialize("unet", console=True)\n'
CONSOLE = Path("results/unet/console.txt")


def kept() -> str:
    """What console.txt holds."""
    return CONSOLE.read_bytes().decode("utf-8")


def test_it_is_off_unless_asked_for(run_script):
    """No file and no change to the streams; FOOTSTEPS_CONSOLE=1 asks for it, console=False is stronger."""
    program = "import footsteps\nfootsteps.initialize('unet'{})\nprint('said')\n"
    run_script(program.format(""))
    run_script(program.format(", console=False"), env={"FOOTSTEPS_CONSOLE": "1"})
    assert not any(Path("results").glob("*/console.txt"))
    run_script(program.format(""), env={"FOOTSTEPS_CONSOLE": "1"})
    assert Path("results/unet-2/console.txt").read_text() == "said\n"


def test_all_that_is_said_is_kept_in_order(run_script):
    """print, write, writelines, stderr, warnings, a logging handler that held the stream, the traceback."""
    program = """
import logging, os, sys, warnings
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import footsteps
footsteps.initialize("unet", console=True)
print("printed", 1, sep="-")
sys.stderr.write("to stderr\\n")
sys.stdout.writelines(["line\\n", "after\\n"])
logging.error("logged")
warnings.warn("warned")
print("caf\\u00e9 \\udc80")
raise ValueError("in the end")
"""
    done = run_script(program, env={"PYTHONIOENCODING": "utf-8:surrogateescape"})
    said = kept().split("\n")
    assert said[:5] == ["printed-1", "to stderr", "line", "after", "logged"]
    assert "warned" in said[5]
    assert "caf\N{LATIN SMALL LETTER E WITH ACUTE} \\udc80" in said
    assert said[-2] == "ValueError: in the end"
    assert done.stderr.endswith("\n".join(said[said.index("Traceback (most recent call last):") :]))


SAYING = """
import codecs, io, os, sys
{begin}
def facts(s):
    return (type(s).__name__, s.encoding, s.errors, s.isatty(), s.fileno(), s.line_buffering, s.newlines, s.mode,
            s.closed, s.writable(), repr(s), type(s.buffer).__name__, s in (sys.__stdout__, sys.__stderr__))
print(facts(sys.stdout)); print(facts(sys.stderr), file=sys.stderr)
for wrong in (b"bytes", 3, None, "\\ud800"):
    try: print(sys.stdout.write(wrong))
    except Exception as error:
        import traceback; traceback.print_exc() if sys.version_info > (3, 11) else print(repr(error))
sys.stdout.buffer.write(b"raw\\n"); sys.stdout.flush()
print(sys.stdout.write("count") == 5, end="\\r")
sys.stdout.reconfigure(encoding="latin-1"); print("caf\\u00e9")
from contextlib import redirect_stdout
with redirect_stdout(io.StringIO()) as other: print("elsewhere")
print(other.getvalue() == "elsewhere\\n")
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii:backslashreplace", "latin-1"])
def test_streams_look_and_behave_as_without_it(tmp_path, encoding):
    """Their type, encoding, isatty, descriptor, errors and tracebacks; byte for byte what is said."""
    said = []
    for begin in ("", BEGIN.split("\n", 1)[1].strip()):
        (tmp_path / "script.py").write_text(SAYING.format(begin=f"import footsteps; {begin}" if begin else "#"))
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        said.append(subprocess.run([sys.executable, "script.py"], env=environment, capture_output=True))
    bare, ours = said
    assert (ours.returncode, ours.stderr) == (bare.returncode, bare.stderr)
    assert ours.stdout == b"Saving results to results/unet/\n" + bare.stdout
    assert "raw" not in kept()
    assert "elsewhere" not in kept()


def test_a_terminal_is_a_terminal(terminal, tmp_path):
    """Progress bars and rich's colours are drawn as ever, and kept as they were written."""
    pytest.importorskip("tqdm")
    pytest.importorskip("rich")
    (tmp_path / "script.py").write_text(
        BEGIN
        + """
from tqdm import tqdm
from rich.console import Console
assert sys.stdout.isatty() and sys.stderr.isatty()
for _ in tqdm(range(3), desc="epochs", mininterval=0): pass
console = Console()
assert console.is_terminal and console.size.width == 80
console.print("[red]coloured[/red]")
print("typed:", input("question? "))
"""
    )
    child = terminal([sys.executable, "script.py"])
    child.expect("question\\? ")
    child.sendline("answer")
    child.expect("typed: answer")
    child.expect_exact("\r\n")
    child.wait()
    assert child.exitstatus == 0
    assert "epochs: 100%" in plain(kept())
    assert "\x1b[31mcoloured\x1b[0m" in kept()
    assert "typed: answer" in kept()


def test_a_kill_loses_at_most_the_last_line(run_script):
    """Kept is also what the pipe's buffer still held: a line is on its way to the disk when print returns."""
    done = run_script(
        BEGIN + "print('last words')\nprint('and a half line', end='')\nos.kill(os.getpid(), 9)\n",
        env={"PYTHONUNBUFFERED": None},
    )
    assert done.stdout == "Saving results to results/unet/\n"
    assert kept() == "last words\n"


def test_a_stream_that_is_both_is_kept_once(run_script):
    """sys.stderr = sys.stdout, as programs under a scheduler set it: each line stands there once."""
    run_script("import sys\nsys.stderr = sys.stdout\n" + BEGIN + "print('once')\nprint('and', file=sys.stderr)\n")
    assert kept() == "once\nand\n"


def test_it_ends_with_the_run(run_script):
    """After finish() nothing is kept, the streams' own write is back, and the next run has its own file."""
    program = (
        BEGIN
        + """
print("first"); footsteps.finish(); print("between")
assert "write" not in vars(sys.stdout)
footsteps.initialize("next", console=True); print("second")
mine = sys.stdout.write
def on_top(text): return mine(text)
sys.stdout.write = on_top
footsteps.finish(); print("after")
assert sys.stdout.write is on_top
"""
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert kept() == "first\n"
    assert Path("results/next/console.txt").read_text() == "second\n"


@pytest.mark.parametrize(
    "trouble",
    [
        "sys.stdout = None",
        "sys.stdout.close()",
        "os.close(1)",
        "os.closerange(3, 256); kept = open('another', 'w')",
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))",
        "import io; sys.stdout = io.StringIO()",
    ],
)
def test_trouble_with_a_stream_is_the_programs_alone(run_script, trouble):
    """Closed streams, closed descriptors, a full disk: what happens is what happens without a copy."""
    rest = "\ntry: print('a longer line')\nexcept Exception as error: sys.stderr.write(f'{error!r}\\n')\n"
    ours = run_script(BEGIN + trouble + rest)
    bare = run_script("import os, sys\n" + trouble + rest)
    mine = [line for line in ours.stderr.splitlines(keepends=True) if not line.startswith("footsteps: ")]
    assert (ours.returncode, "".join(mine)) == (bare.returncode, bare.stderr)
    if os.path.exists("another"):
        assert Path("another").read_text() == ""


def test_children_say_it_to_the_same_file(run_script):
    """A forked child's words are kept too; those of another program are not."""
    program = (
        BEGIN
        + """
print("half a line, ", end="", flush=True)
pid = os.fork()
if not pid:
    print("from the child", flush=True); os._exit(0)
os.waitpid(pid, 0)
os.system("echo from another program")
print("from the parent")
"""
    )
    run_script(program)
    assert kept() == "from the child\nhalf a line, from the parent\n"
