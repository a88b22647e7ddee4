"""README.md says nothing that is not so: each block shown is executed, and gives what is shown.

``python tests/test_docs.py`` writes the real output of every console block into README.md.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pexpect
import pytest

import footsteps
from footsteps.cli import parsers

PACKAGE = Path(footsteps.__file__).parent
README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUESTION = "Input name of experiment:"
TABLES = re.compile(r"(^|&& )(footsteps|lite_trace\.py) ")  # told as a terminal shows them
# What differs from one machine and day to the next, and what stands for it in the comparison.
VOLATILE = [
    (re.compile(r"^(editable-\S+ |taking ).*\n", re.MULTILINE), ""),  # how it was installed, how git gets on
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)?"), "TIME"),
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}"), "RUN"),
    (re.compile(r"\b(in )?(\d+(\.\d+)? ?(ms|s|m|h|min|d)( ago)?|just now|now|\d+ \w+ ago)\b"), "WHEN"),
    (re.compile(r"(?<![0-9a-z])[0-9a-f]{7,64}(?![0-9a-z])\+?"), "HASH"),
    (re.compile(r"(?<=System:\n).*"), "HOST"),
    (re.compile(r"(?<=Python:\n).*"), "PYTHON"),
    (re.compile(r"\bpython3?(\.\d+)?(?= )"), "python"),
    (re.compile(r"(?<=&& env ).*(?=FOOTSTEPS_NAME=)"), ""),
    (re.compile(r" +"), " "),
    (re.compile(r"-{3,}|─+"), "RULE"),
]


def blocks(kind: str) -> list[str]:
    """The fenced blocks of README.md in that language."""
    return [text for found, text in BLOCK.findall(README.read_text(encoding="utf-8")) if found == kind]


def commands(block: str) -> list[tuple[str, str]]:
    """(command with its continuation lines, output shown) of a console block."""
    found: list[tuple[str, str]] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith(">") and not found[-1][1]:
            found[-1] = (found[-1][0] + line[2:].rjust(1, "\n"), "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


class Shell:
    """A shell whose directory and variables last from command to command, as a reader's do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / ".state"
        self.state.write_text(f"cd {folder}\n")

    def run(self, command: str, shown: str) -> str:
        """What the command prints; where the output shown holds the question, it is answered at a terminal."""
        save = f"{{ pwd | sed 's/^/cd /'; }} > {self.state}"
        script = f". {self.state}\n{command.rstrip()}\n{save}\n"
        if QUESTION in shown:
            return QUESTION + self.at_terminal(script, shown.partition(QUESTION)[2].split("\n")[1])
        if TABLES.search(command):
            return self.at_terminal(script)
        done = subprocess.run(["bash", "-c", script], capture_output=True, stdin=subprocess.DEVNULL)
        return (done.stdout + done.stderr).decode()

    def at_terminal(self, script: str, answer: str | None = None) -> str:
        """What a wide terminal shows; the answer is typed when the question is asked."""
        env = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
        child = pexpect.spawn("bash", ["-c", script], env=env, encoding="utf-8", timeout=120, dimensions=(60, 400))
        if answer is not None:
            child.expect_exact(QUESTION)
            child.sendline(answer)
        child.expect(pexpect.EOF)
        return child.before.replace("\r\n", "\n")


def executed(text: str, folder: Path) -> str:
    """README's text with the real output in every console block."""
    shell = Shell(folder)

    def real(match: re.Match[str]) -> str:
        if match[1] != "console":
            return match[0]
        parts = []
        for command, shown in commands(match[2]):
            lines = command.splitlines()
            told = "".join(f"> {line}\n" if line else ">\n" for line in lines[1:])
            parts.append(f"$ {lines[0]}\n{told}{shell.run(command, shown)}")
        return f"```console\n{''.join(parts)}```"

    return BLOCK.sub(real, text)


def at_home(text: str, folder: Path) -> str:
    """The text as it would stand at a reader's home, on a machine of theirs."""
    homes = {str(folder): "/home/ada", os.path.normpath(sys.prefix): "/home/ada/.venv", socket.gethostname(): "lab-7"}
    for here, shown_as in homes.items():
        text = re.sub(rf"(?<!\w){re.escape(here)}\b", shown_as, text)
    return text


def plain(text: str) -> str:
    """The text without what differs from one machine and day to the next."""
    for pattern, stands_for in VOLATILE:
        text = pattern.sub(stands_for, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.slow
def test_every_console_block_of_the_readme_gives_what_it_shows(tmp_path):
    """A reader who types the README's commands in order sees the README's output."""
    folder = tmp_path / "reader"
    folder.mkdir()
    text = README.read_text(encoding="utf-8")
    assert plain(at_home(executed(text, folder), folder)) == plain(text)


def test_the_screen_at_the_top_of_the_readme_is_an_excerpt_of_what_is_executed_below():
    """Its lines stand in the console blocks, in that order."""
    (screen,) = blocks("text")
    rest = iter(plain("".join(blocks("console"))).splitlines())
    for line in plain(screen).splitlines():
        assert line in rest, f"{line!r} is not below, or not there"


@pytest.mark.parametrize("source", blocks("python"))
def test_every_python_block_of_the_readme_runs(run_script, tmp_path, source):
    """A reader who pastes one of the README's Python blocks into a script can run it."""
    done = run_script(source, cwd=tmp_path, env={"FOOTSTEPS_NAME": "readme"})
    assert done.returncode == 0, done.stderr


def test_the_readmes_first_command_runs_a_first_experiment(tmp_path, run_script):
    """The script that the README runs is there, and makes the directory that it speaks of."""
    script = next(word for block in blocks("sh") for word in block.split() if word.endswith(".py"))
    done = run_script(README.parent / script, cwd=tmp_path, stdin="first\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "first" / "network_weights.csv").read_text() == "6, 9, 42"


@pytest.mark.heavy
def test_the_readmes_first_command_installs_on_a_fresh_machine_what_it_needs(tmp_path):
    """As it stands there, in a fresh copy of this tree."""
    copy = tmp_path / "copy"
    built = shutil.ignore_patterns(".*", "build", "dist", "venv", "*.egg-info", "results", "__pycache__")
    shutil.copytree(README.parent, copy, ignore=built)
    first = "".join(blocks("sh")).splitlines()[0]
    done = subprocess.run(["bash", "-c", first], cwd=copy, input="first\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Saving results to results/first/\n" in done.stdout


@pytest.mark.slow
def test_a_source_distribution_holds_all_of_the_tests(tmp_path):
    """Whoever packages footsteps from it can run them: fixtures, examples and recorded runs are there."""
    pytest.importorskip("setuptools")
    copy = tmp_path / "copy"
    shutil.copytree(README.parent, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "results"))
    subprocess.run([sys.executable, "setup.py", "-q", "sdist", "--formats=tar"], cwd=copy, check=True)
    with tarfile.open(next(copy.glob("dist/*.tar"))) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    tests = [path for path in (copy / "tests").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(copy).as_posix() for path in tests} <= held
    assert not [name for name in held if name.endswith(".pyc")]


def test_every_block_of_the_readme_is_of_a_kind_that_is_run():
    """A new kind needs a test of its own; ci takes the line with pytest from the sh blocks."""
    kinds = {kind for kind, _ in BLOCK.findall(README.read_text(encoding="utf-8"))}
    assert kinds <= {"sh", "console", "python", "text"}
    assert "".join(blocks("sh")).splitlines()[1].endswith("pytest")


def test_the_readme_lists_every_file_of_the_package():
    """The listing is the architecture's diagram."""
    listing = re.search(r"^```\n(footsteps/\n.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    files = [path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and "alias" not in path.parts]
    assert not set(files) - set(listing[1].split())


@pytest.mark.parametrize("command", [name for name in parsers.COMMANDS if name != "complete"])
def test_the_readme_tells_of_every_command(command):
    """What is not told is not found."""
    assert re.search(rf"`?(footsteps )?{command}\b", README.read_text(encoding="utf-8"))


def test_the_readme_tells_of_every_variable_that_the_package_reads():
    """FOOTSTEPS_* in the environment is part of what users type."""
    names = re.compile(r"\bFOOTSTEPS_[A-Z]+\b")
    read = {name for path in PACKAGE.rglob("*.py") for name in names.findall(path.read_text(encoding="utf-8"))}
    assert read <= set(names.findall(README.read_text(encoding="utf-8")))


if __name__ == "__main__":
    home = Path(tempfile.mkdtemp())
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n")
    os.environ.update(HOME=str(home), PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"], TZ="UTC")
    work = home / "work"
    work.mkdir()
    README.write_text(at_home(executed(README.read_text(encoding="utf-8"), work), work), encoding="utf-8")
