"""The core module is one file: alone it does what footsteps 0.1 did; a copy of any name has what the package adds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import surroundings

from footsteps import footsteps as core

FROZEN = Path(__file__).parent / "copies"
TITLES = ["Command:", "System:", "Python:", "Git Hash:", "Uncommitted changes:", "Current working dir:"]
OURS = (
    "import sys\nprint([m for m in sys.modules if m.split('.')[0] in ('footsteps', 'lite_tracer', 'prompt_toolkit')])\n"
)


def edited(*changes) -> str:
    """The text of the core module with some of its lines changed."""
    text = Path(core.__file__).read_text(encoding="utf-8")
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@pytest.fixture
def alone(repo):
    """A function that runs a program beside a copy called steps.py where no package is installed."""
    repo.write("steps.py", edited())
    repo.write(".gitignore", "results/\n")
    repo.commit("Copy")

    def run(program, *, stdin="", env=None):
        repo.write("script.py", f"import sys\nsys.path.insert(0, {os.fspath(repo)!r})\n{program}")
        argv = [sys.executable, "-I", "-S", "script.py", "--lr", "1"]
        return subprocess.run(argv, cwd=repo, input=stdin, env=surroundings(env), capture_output=True, text=True)

    return run


# --- without the package ---


def test_alone_it_makes_a_described_run(alone, repo):
    """A name from stdin, a directory, info.txt with the six sections, the packages; nothing of ours is imported."""
    repo.write("train.py", "changed = True\n")
    done = alone("import steps\nopen(steps.output_dir + 'w.csv', 'w').close()\n" + OURS, stdin="alone\n")
    assert (done.returncode, done.stdout) == (0, "Saving results to results/alone/\n[]\n")
    assert done.stderr == "footsteps: the run's name was read from standard input: 'alone'\n"
    info = (repo / "results/alone/info.txt").read_text()
    assert [line for line in info.splitlines() if line in TITLES] == TITLES
    assert "\nscript.py --lr 1\n" in "\n" + info
    assert f"\n{repo('rev-parse', '--short', 'HEAD')}\n" in info
    assert "+changed = True" in info
    assert info.splitlines()[-2:] == [
        "Not recorded:",
        "untracked files, the exact code, how the run ended (pip install footsteps records them)",
    ]
    assert (repo / "results/alone/package_versions.txt").read_text().startswith("Package")
    assert not (repo / "results/alone/.footsteps").exists()


def test_alone_the_patch_applies(alone, repo):
    """What stands under "Uncommitted changes:" is what git apply takes."""
    repo.write("train.py", "changed = 'é'\n")
    alone("import steps\nsteps.initialize('a')\n")
    info = (repo / "results/a/info.txt").read_bytes()
    patch = info.partition(b"Uncommitted changes:\n")[2].partition(b"Current working dir:\n")[0]
    repo.clone("fresh")("apply", stdin=patch)
    assert (repo.path.parent / "fresh/train.py").read_text() == "changed = 'é'\n"


@pytest.mark.slow
def test_alone_an_earlier_run_is_never_overwritten(alone, repo):
    """Forty starts at once: as many directories."""
    repo.write(
        "script.py", f"import sys\nsys.path.insert(0, {os.fspath(repo)!r})\nimport steps\nsteps.initialize('a')\n"
    )
    argv = [sys.executable, "-I", "-S", "script.py"]
    children = [subprocess.Popen(argv, cwd=repo, stdout=subprocess.DEVNULL) for _ in range(40)]
    assert [child.wait() for child in children] == [0] * 40
    assert {path.name for path in (repo / "results").glob("a*")} == {"a", *(f"a-{n}" for n in range(1, 40))}


@pytest.mark.slow
def test_alone_the_variable_names_finish_begins_anew_and_output_dir_can_be_assigned(alone, repo):
    """FOOTSTEPS_NAME, finish(), initialized and output_dir_impl."""
    program = (
        "import steps\nprint(steps.output_dir)\nsteps.finish()\nsteps.initialize('b', output_root='out')\n"
        "steps.output_dir_impl = steps.output_dir + '2nd/'\nprint(steps.output_dir)\n"
        "steps.initialized = False\nsteps.output_dir_impl = None\nprint(steps.output_dir)\n"
    )
    done = alone(program, env={"FOOTSTEPS_NAME": "v"})
    assert done.stdout.splitlines()[1::2] == ["results/v/", "out/b/2nd/", "results/v-1/"]


@pytest.mark.slow
def test_alone_workers_of_multiprocessing_join(alone, repo):
    """One question, one directory; a program that the script starts has a run of its own."""
    program = (
        "import steps, multiprocessing, subprocess, os\n"
        "def work(n):\n    open(steps.output_dir + f'w{n}', 'w').close()\n"
        "if __name__ == '__main__':\n    steps.output_dir\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n        pool.map(work, range(3))\n"
    )
    done = alone(program, stdin="pool\nother\n")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (repo / "results").iterdir()] == ["pool"]
    assert {f"w{n}" for n in range(3)} <= {path.name for path in (repo / "results/pool").iterdir()}


def test_alone_a_secret_in_the_command_is_masked(alone, repo):
    """`--token X` and `--api-key=X`, and passwords in URLs."""
    words = ["--token", "S3CRET", "--api-key=S3CRET", "--db", "https://ada:S3CRET@host:80/x"]
    alone(f"sys.argv += {words}\nimport steps\nsteps.initialize('a')\n")
    info = (repo / "results/a/info.txt").read_text()
    assert "--token '***' '--api-key=***' --db https://ada:***@host:80/x" in info
    assert "S3CRET" not in info


def test_alone_without_pip_and_git_there_is_a_record_too(alone, repo, tmp_path):
    """What can't be found out is a line; the packages come from their metadata."""
    fake = "import sys, subprocess\ntrue = subprocess.run\n"
    fake += "def run(words, **more):\n    return true(['no pip'] if 'pip' in words else words, **more)\n"
    fake += "subprocess.run = run\n"
    done = alone(fake + "import steps\nsteps.initialize('a')\n", env={"PATH": os.fspath(tmp_path / "home")})
    assert (done.returncode, done.stderr) == (0, "")
    assert "Git Hash:\nnot recorded: FileNotFoundError" in (repo / "results/a/info.txt").read_text()
    assert (repo / "results/a/package_versions.txt").read_text().startswith("Package Version\n")


@pytest.mark.slow
def test_alone_the_question_completes_where_prompt_toolkit_is(repo, terminal):
    """A copy in a project without footsteps, with prompt_toolkit: TAB gives the earlier run."""
    site = os.path.dirname(os.path.dirname(pytest.importorskip("prompt_toolkit").__file__))
    repo.write("steps.py", edited())
    repo.write("results/unet/info.txt")
    repo.write(
        "script.py",
        f"import sys\nsys.path[:0] = ['.']\nsys.path.append({site!r})\nimport steps\nprint(steps.output_dir)",
    )
    # Only prompt_toolkit is taken from there: the installed package must not help.
    repo.write("steps.py", edited(('EXTENSIONS: list[Any] = ["footsteps.recorder"]', "EXTENSIONS: list[Any] = []")))
    child = terminal([sys.executable, "-I", "-S", "script.py"], cwd=repo)
    child.expect("Input name of experiment:")
    child.send("un\t")
    child.expect("unet")
    child.send("\r")
    child.expect("Saving results to results/unet-1/")


def test_importing_a_copy_does_nothing_that_can_be_seen(alone, repo):
    """No directory, no output, no thread, no process; and few modules."""
    done = alone("import steps, os\nprint(*(m in sys.modules for m in ('threading', 'subprocess', 'json')))\n")
    assert (done.stdout, done.stderr) == ("False False False\n", "")
    assert not (repo / "results").exists()


@pytest.mark.parametrize("line", ["from footsteps import LTParser", "import footsteps; footsteps.LTParser()"])
def test_alone_a_copy_called_footsteps_says_what_is_not_to_be_had(repo, line):
    """Python's own words for a name that is not there; no run is made."""
    repo.write("footsteps.py", edited())
    repo.write("script.py", f"import sys\nsys.path.insert(0, '.')\n{line}\n")
    done = subprocess.run([sys.executable, "-I", "-S", "script.py"], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 1
    assert "LTParser" in done.stderr.splitlines()[-1]
    assert not (repo / "results").exists()


def test_alone_the_commands_of_a_copy_say_where_they_are(repo):
    """`python -m footsteps list` in front of a copy, no package there: one line."""
    repo.write("footsteps.py", edited())
    done = subprocess.run([sys.executable, "-S", "footsteps.py", "list"], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "installed package" in done.stderr


def test_a_copy_in_a_zip_makes_runs(repo, run_script):
    """It has no file of its own that could be read again."""
    import zipfile

    with zipfile.ZipFile(repo / "lib.zip", "w") as archive:
        archive.write(core.__file__, "steps.py")
    program = "import sys\nsys.path.insert(0, 'lib.zip')\nimport steps\nsteps.initialize('a')\n"
    done = run_script(program, cwd=repo)
    assert (done.returncode, done.stderr) == (0, "")
    assert (repo / "results/a/package_versions.txt").stat().st_size


# --- beside the installed package ---

COPIES = {"package": None, "mylib/runs.py": "mylib.runs", "footsteps.py": "footsteps"}
RUN = """\
import {module} as runs
data = open("data.csv").read()
with open(runs.output_dir + "w.csv", "w") as f:
    f.write(data)
runs.record(loss=0.5)
"""


def project(repo, name, text=None) -> str:
    """Write a copy under this name; the module that programs import."""
    if COPIES[name] is None:
        return "footsteps"
    repo.write(name, edited() if text is None else text)
    return COPIES[name]


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_any_name_records_what_the_package_does(repo, run_script, name):
    """Exact code, inputs, outcome, what it was told, and the commands."""
    repo.write("data.csv", "1,2\n")
    module = project(repo, name)
    repo.write("train.py", RUN.format(module=module))
    repo.write(".gitignore", "results/\n__pycache__/\ndata.csv\n")
    done = run_script("train.py", cwd=repo, env={"FOOTSTEPS_NAME": "a"})
    assert (done.returncode, done.stderr) == (0, "")
    record = repo / "results/a/.footsteps"
    facts, outcome = (json.loads((record / file).read_bytes()) for file in ("run.json", "outcome.json"))
    assert facts["repositories"][0]["commit"] == repo("rev-parse", "HEAD")
    assert "train.py" in [file["path"] for file in facts["repositories"][0]["files"]]
    assert outcome["status"] == "finished"
    assert [file["path"] for file in outcome["artifacts"]] == ["w.csv"]
    assert "data.csv" in "".join(path.read_text() for path in record.glob("inputs-*.jsonl"))
    assert json.loads((record / "recorded.jsonl").read_text())["values"] == {"loss": 0.5}
    listed = subprocess.run([sys.executable, "-m", "footsteps", "list"], cwd=repo, capture_output=True, text=True)
    assert "\na\t" in listed.stdout, listed.stderr


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("line", ["from {module} import LTParser", "from lite_tracer import LTParser"])
def test_ltparser_comes_with_a_copy_of_any_name(repo, run_script, name, line):
    """It is the package's, whatever is called footsteps in the project."""
    pytest.importorskip("lite_tracer", reason="footsteps is not installed")
    module = project(repo, name)
    program = line.format(module=module) + "\nparser = LTParser()\nprint(parser.parse_args([]).hash_code[:9])\n"
    done = run_script(program, cwd=repo)
    assert done.stdout == "LT_delta-\n", done.stderr


@pytest.mark.parametrize("name", [name for name in COPIES if COPIES[name]])
def test_what_a_researcher_changes_in_a_copy_works(repo, run_script, name):
    """The tour: another root, another question, a row in info.txt, an extension of one's own."""
    text = edited(
        ('OUTPUT_ROOT = "results/"', 'OUTPUT_ROOT = "out/"'),
        ('NAME_VARIABLE = "FOOTSTEPS_NAME"', 'NAME_VARIABLE = "MY_NAME"'),
        ('    "Git Hash:": git_hash,\n', '    "Git Hash:": git_hash,\n    "Moon:": lambda: "full",\n'),
        ('EXTENSIONS: list[Any] = ["footsteps.recorder"]', 'EXTENSIONS: list[Any] = ["footsteps.recorder", "ours"]'),
    )
    module = project(repo, name, text)
    repo.write("ours.py", "def begin(run): print('begun', run.name)\ndef end(run): print('ended', run.name)\n")
    repo.write("train.py", f"import {module} as runs\nopen(runs.output_dir + 'w', 'w').close()\n")
    done = run_script("train.py", cwd=repo, env={"MY_NAME": "a"})
    assert (done.stderr, done.stdout) == ("", "Saving results to out/a/\nbegun a\nended a\n")
    assert "\nMoon:\nfull\n" in (repo / "out/a/info.txt").read_text()
    assert json.loads((repo / "out/a/.footsteps/outcome.json").read_bytes())["status"] == "finished"


def test_a_failing_row_or_extension_hurts_nobody(repo, run_script):
    """A row that raises is a line in info.txt, an extension that raises or is not there a line on stderr."""
    text = edited(
        ('    "Git Hash:": git_hash,\n', '    "Git Hash:": git_hash,\n    "Moon:": lambda: 1 / 0,\n'),
        (
            'EXTENSIONS: list[Any] = ["footsteps.recorder"]',
            'EXTENSIONS: list[Any] = ["footsteps.recorder", "no_such", "ours"]',
        ),
    )
    repo.write("steps.py", text)
    repo.write("ours.py", "def begin(run): 1 / 0\n")
    done = run_script("import steps\nsteps.initialize('a')\n", cwd=repo)
    assert done.returncode == 0
    assert "no_such takes no part in this run" in done.stderr
    assert "not recorded: ZeroDivisionError" in done.stderr
    assert "Moon:\nnot recorded: ZeroDivisionError" in (repo / "results/a/info.txt").read_text()


@pytest.mark.parametrize("order", ["import steps, footsteps", "import footsteps, steps"])
def test_a_copy_and_the_installed_package_share_one_run(repo, run_script, order):
    """A library may import the installed one, the program its own copy: one question, one directory."""
    repo.write("steps.py", edited())
    program = (
        f"{order}\nassert steps is not footsteps\n"
        "print(steps.output_dir, footsteps.output_dir, footsteps.current().id == steps.current().id)\n"
        "footsteps.output_dir_impl = steps.output_dir + '2nd/'\nprint(steps.output_dir)\n"
    )
    done = run_script(program, cwd=repo, stdin="one\n")
    assert done.stdout.split("\n")[1:3] == ["results/one/ results/one/ True", "results/one/2nd/"]
    assert [p.name for p in (repo / "results").iterdir() if p.is_dir()] == ["one"]


def test_probing_a_copy_for_an_attribute_is_no_error(repo, run_script):
    """hasattr and getattr with a default get their answer for any name."""
    repo.write("steps.py", edited())
    program = "import steps\nprint([hasattr(steps, n) for n in ('path', 'record', '__wrapped__', '__path__', 'zip')])\n"
    done = run_script(program, cwd=repo)
    assert (done.stderr, done.stdout) == ("", "[True, True, False, False, False]\n")


@pytest.mark.parametrize("file", sorted(FROZEN.glob("*.py")), ids=lambda file: file.stem)
def test_a_copy_of_every_release_is_served_by_this_package(repo, run_script, file):
    """The extension point is a contract: a frozen copy still records code, inputs and outcome."""
    shutil.copy(file, repo / "steps.py")
    repo.write("data.csv", "1\n")
    repo.write("train.py", RUN.format(module="steps"))
    done = run_script("train.py", cwd=repo, env={"FOOTSTEPS_NAME": "a"})
    assert (done.returncode, done.stderr) == (0, "")
    record = repo / "results/a/.footsteps"
    assert json.loads((record / "outcome.json").read_bytes())["status"] == "finished"
    assert json.loads((record / "run.json").read_bytes())["repositories"]


def test_there_is_a_frozen_copy():
    """Without one the test above would hold nothing."""
    assert list(FROZEN.glob("*.py"))
