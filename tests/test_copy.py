"""The single-file law: the heart works alone, and beside the installed package it is one run."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys

import pytest
from conftest import surroundings

from footsteps import footsteps as heart

LOADED = (
    "import sys\n"
    "ours = [m for m in sys.modules if m.split('.')[0] in ('footsteps', 'lite_tracer', 'prompt_toolkit', 'psutil')]\n"
    "print(ours)\n"
)
A_FACT = '("cwd", _working_directory),'
NO_COMPANIONS = "COMPANIONS: list[Callable[[Run], object] | str] = []"


def edited_copy(repo, *changes):
    """Write the heart as steps.py into a project, with some of its lines changed."""
    with open(heart.__file__, encoding="utf-8") as file:
        text = file.read()
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    repo.write("steps.py", text)


@pytest.fixture
def copy_to(repo):
    """A function that copies the heart into the project under a name, committed."""

    def copy(name):
        shutil.copy(heart.__file__, repo / name)
        repo.commit(f"Copy {name}")

    return copy


def test_the_heart_alone_makes_a_run_and_imports_nothing_of_ours(repo, copy_to, run_script):
    """Copied under another name, `python -S`: name, directory, info.txt, packages, exact code."""
    copy_to("steps.py")
    repo.write("train.py", "import steps\nopen(steps.output_dir + 'w.csv', 'w').close()\n" + LOADED)
    done = run_script("train.py", cwd=repo, stdin="alone\n", options=("-S",), env={"PYTHONPATH": None})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Saving results to results/alone/\n[]\n"
    run = json.loads((repo / "results/alone/.footsteps/run.json").read_bytes())
    assert run["outcome_expected"] is False
    assert [f["path"] for f in run["repositories"][0]["files"]] == ["train.py"]
    kept = run["repositories"][0]["files"][0]["stored"]
    assert (repo / "results/alone/.footsteps" / kept).read_bytes() == repo.read("train.py")
    assert {p.name for p in (repo / "results/alone").iterdir()} >= {"info.txt", "package_versions.txt", "train.py"}


def test_the_heart_imports_only_the_standard_library():
    """At import time, and of its own package nothing ever."""
    with open(heart.__file__, "rb") as file:
        tree = ast.parse(file.read())
    imported = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
    late = {"prompt_toolkit", "psutil", "matplotlib"}
    assert imported - late <= set(sys.stdlib_module_names)
    at_import = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    assert not at_import & late


def test_importing_a_copy_does_nothing_that_can_be_seen(repo, copy_to, run_script):
    """No directory, no output, no thread, no process; and few modules."""
    copy_to("steps.py")
    program = (
        "import steps, sys, os\n"
        "print('threading' in sys.modules, 'subprocess' in sys.modules, 'json' in sys.modules, os.listdir('.'))\n"
    )
    before = sorted([*(p.name for p in repo.path.iterdir()), "script.py"])
    done = run_script(program, cwd=repo, options=("-S", "-B"), stdin="x\n")
    assert (done.stderr, done.returncode) == ("", 0)
    said = done.stdout.split(" ", 3)
    assert said[:3] == ["False"] * 3
    assert sorted(ast.literal_eval(said[3])) == before


def test_settings_of_a_copy_are_edited_at_its_top(repo, run_script):
    """Another root, another fact, a function of one's own: what a copy is for."""
    edited_copy(
        repo,
        ('OUTPUT_ROOT = "results/"', 'OUTPUT_ROOT = "out/"'),
        (A_FACT, A_FACT + '("moon", lambda: "full"),'),
        (NO_COMPANIONS, 'COMPANIONS = [lambda run: print("companion of", run.name)]'),
    )
    done = run_script("import steps\nsteps.initialize('a')\n", cwd=repo)
    assert (done.stderr, done.stdout) == ("", "Saving results to out/a/\ncompanion of a\n")
    run = json.loads((repo / "out/a/.footsteps/run.json").read_bytes())
    assert run["moon"] == "full"
    assert run["outcome_expected"] is True


def test_a_failing_fact_or_companion_hurts_nobody(repo, run_script):
    """A row that raises is a line under "Not recorded:", a companion that raises a line on stderr."""
    edited_copy(
        repo,
        (A_FACT, A_FACT + '("moon", lambda: 1 / 0),'),
        (NO_COMPANIONS, 'COMPANIONS = ["no_such_module:begin"]'),
    )
    done = run_script("import steps\nsteps.initialize('a')\n", cwd=repo)
    assert done.returncode == 0
    assert "no_such_module" in done.stderr
    assert "Not recorded:\nmoon: ZeroDivisionError" in (repo / "results/a/info.txt").read_text()


@pytest.mark.parametrize("order", ["import steps, footsteps", "import footsteps, steps"])
def test_a_copied_heart_and_the_installed_package_share_one_run(repo, copy_to, run_script, order):
    """A library may import the installed one, the program its own copy: one question, one directory."""
    copy_to("steps.py")
    program = (
        f"{order}\nassert steps is not footsteps\n"
        "print(steps.output_dir, footsteps.output_dir, footsteps.current().id == steps.current().id)\n"
        "footsteps.output_dir_impl = steps.output_dir + '2nd/'\nprint(steps.output_dir)\n"
    )
    done = run_script(program, cwd=repo, stdin="one\n")
    assert done.stderr == ""
    assert done.stdout.split("\n")[1:3] == ["results/one/ results/one/ True", "results/one/2nd/"]
    assert [p.name for p in (repo / "results").iterdir()] == ["one"]


@pytest.mark.parametrize(
    "line",
    [
        "from lite_tracer import LTParser",
        "from footsteps import LTParser",
        "import footsteps; footsteps.LTParser()",
    ],
)
def test_a_copy_called_footsteps_says_what_is_not_to_be_had(repo, copy_to, run_script, line):
    """It shadows the package for the whole program: LTParser says so in one line, and no run is made."""
    if "lite_tracer" in line:
        pytest.importorskip("lite_tracer", reason="footsteps is not installed")
    copy_to("footsteps.py")
    done = run_script(f"{line}\n", cwd=repo, stdin="a\n")
    assert done.returncode == 1
    last = done.stderr.rstrip("\n").split("\n")[-1]
    assert "copy" in last
    assert str(repo / "footsteps.py") in last
    assert not (repo / "results").exists()


def test_rooms_of_the_package_are_not_behind_a_copy(repo, copy_to, run_script):
    """`from footsteps.lite_tracer import LTParser`: Python itself says that this footsteps is one file."""
    copy_to("footsteps.py")
    done = run_script("from footsteps.lite_tracer import LTParser\n", cwd=repo, stdin="a\n")
    assert "'footsteps' is not a package" in done.stderr.rstrip("\n").split("\n")[-1]
    assert not (repo / "results").exists()


def test_the_command_line_in_front_of_a_copy_says_so(repo, copy_to):
    """`python -m footsteps list` beside a copy: one line, exit status 2, no run."""
    copy_to("footsteps.py")
    done = subprocess.run([sys.executable, "-m", "footsteps", "list"], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "copy" in done.stderr
    assert not (repo / "results").exists()


def test_a_copy_called_footsteps_makes_runs(repo, copy_to, run_script):
    """The seed's recommended way: copy footsteps/footsteps.py into your codebase and import that."""
    copy_to("footsteps.py")
    done = run_script("train.py", cwd=repo, stdin="mine\n")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "Saving results to results/mine/\n")


def test_probing_a_copy_for_an_attribute_is_no_error(repo, copy_to, run_script):
    """hasattr and getattr with a default get their answer for any name."""
    copy_to("footsteps.py")
    program = (
        "import footsteps\n"
        "print([hasattr(footsteps, n) for n in ('path', 'metadata', 'record', '__wrapped__', '__path__', 'zip')])\n"
    )
    done = run_script(program, cwd=repo)
    assert (done.stderr, done.stdout) == ("", f"{[False] * 6}\n")


def test_bytecode_of_a_copy_survives_being_moved(repo, copy_to, tmp_path, run_script):
    """A heart in a zip has no file to start a child with; the run is made all the same."""
    import zipfile

    with zipfile.ZipFile(repo / "lib.zip", "w") as archive:
        archive.write(heart.__file__, "steps.py")
    program = "import sys\nsys.path.insert(0, 'lib.zip')\nimport steps\nsteps.initialize('a')\n"
    done = run_script(program, cwd=repo, env=surroundings({"PYTHONPATH": None}))
    assert (done.returncode, done.stderr) == (0, "")
    assert (repo / "results/a/package_versions.txt").stat().st_size
