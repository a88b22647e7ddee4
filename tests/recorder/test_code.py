"""What is code of a run and what is not, and what is said of code that changed under it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = "import footsteps\nfootsteps.initialize('r')\n"
RUN = Path("results/r")


@pytest.fixture
def project(repo, monkeypatch):
    """A repository to work in, with results/ ignored."""
    repo.write(".gitignore", "results/\n__pycache__/\nignored*\n")
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return repo


def run(repo, run_script, program, **options):
    """Commit the program and run it in the project."""
    repo.write("t.py", program)
    repo.commit()
    done = run_script("t.py", cwd=repo, **options)
    assert done.returncode == 0, done.stderr
    return done


def facts(directory=RUN) -> dict:
    """Its run.json."""
    return json.loads((directory / ".footsteps/run.json").read_bytes())


def kept(directory=RUN) -> list[str]:
    """The paths of the files that are kept, with what the end has added; not those of footsteps' own clone."""
    from footsteps.reader.runs import Run

    own = [row for row in Run(str(directory)).repositories if row["role"] != "editable"]
    return sorted(file["path"] for row in own for file in row["files"])


def verified(capsys, name="r") -> tuple[int, str]:
    """Exit status and words of `footsteps verify`."""
    from footsteps import cli

    status = cli.main(["verify", name])
    said = capsys.readouterr()
    return status, said.out + said.err


def came_back():
    """What a restore says of the run (where footsteps is a clone, the whole is never `exact`)."""
    from footsteps.reader.runs import Run
    from footsteps.reproduce import restore

    return restore.verify(Run(str(RUN)))


# --- code that changed under the run ---

LATE = {
    "imported after the edit": "open('model.py', 'w').write('W = 2')\nimport model\nassert model.W == 2",
    "reloaded": "import importlib, os, model\nopen('model.py', 'w').write('W = 2')\nimportlib.reload(model)",
    "run by runpy": "open('model.py', 'w').write('W = 2')\nimport runpy; runpy.run_path('model.py')",
}


@pytest.mark.parametrize("how", LATE)
def test_code_that_was_edited_and_then_executed_is_told(project, run_script, capsys, how):
    """The bytes that ran are kept, verify does not say "exactly", and show names the file."""
    from footsteps import cli

    project.write("model.py", "W = 1\n")
    run(project, run_script, BEGIN + LATE[how])
    status, said = verified(capsys)
    assert status == 1
    assert "exactly" not in said
    assert "model.py" in said
    assert "executed" in said
    assert (RUN / ".footsteps/edited/main/model.py").read_text() == "W = 2"
    assert cli.main(["show", "r"]) == 0
    assert any("edited during the run" in line and "model.py" in line for line in capsys.readouterr().out.splitlines())


def test_code_that_was_edited_after_it_had_run_comes_back_as_it_ran(project, run_script, capsys):
    """An edit while a long run goes on is the usual case: it is said, and no false alarm is raised."""
    project.write("model.py", "W = 1\n")
    run(project, run_script, "import model\n" + BEGIN + "open('model.py', 'w').write('W = 2')\n")
    assert not came_back().differing
    assert "model.py: edited during the run, after it was loaded" in verified(capsys)[1]
    assert (RUN / ".footsteps/edited/main/model.py").read_text() == "W = 2"


def test_code_that_was_only_touched_is_what_it_was(project, run_script):
    """Another time, the same bytes: of a committed file, of a changed one."""
    project.write("a.py", "A = 1\n")
    project.write("b.py", "B = 1\n")
    project.commit()
    project.write("b.py", "B = 2\n")
    program = BEGIN + "import os\nfor n in 'ab': os.utime(n + '.py')\nimport a, b\n"
    project.write("t.py", program)
    assert run_script("t.py", cwd=project).returncode == 0
    assert not (RUN / ".footsteps/late.json").exists()
    assert not came_back().differing


# --- what is code ---


def test_code_that_no_module_stands_for_is_code(project, run_script):
    """spec_from_file_location, exec(open(...)), runpy: code, ignored or not, if it is in the project; else an input."""
    from footsteps.reader.runs import Run

    for name in ("ignored_a.py", "ignored_b.py", "ignored_c.py", "ignored_d.py", "../far.py"):
        project.write(name, "X = 1\n")
    load = "spec = u.spec_from_file_location('x', {!r}); spec.loader.exec_module(u.module_from_spec(spec))\n"
    program = (
        "import footsteps, runpy, importlib.util as u\n"
        + load.format("ignored_a.py")
        + BEGIN
        + load.format("ignored_b.py")
    )
    program += "exec(open('ignored_c.py').read())\nrunpy.run_path('ignored_d.py')\n" + load.format("../far.py")
    run(project, run_script, program)
    assert kept() == [f"ignored_{letter}.py" for letter in "abcd"]
    assert [os.path.basename(entry["path"]) for entry in Run(str(RUN)).inputs] == ["far.py"]


ODD = """
import sys
from types import ModuleType
from unittest.mock import MagicMock
class Lazy(ModuleType):
    def __getattribute__(self, name): raise RuntimeError(name)
class Lib: __file__ = property(lambda self: 1 / 0)
sys.modules.update(a_mock=MagicMock(spec=ModuleType("m")), a_lazy=Lazy("lazy"), a_lib=Lib(), a_none=None, a_number=1)
"""


def test_an_odd_module_costs_itself_alone(project, run_script):
    """A mock, a lazy proxy, a C library's object: the program's own modules are kept all the same."""
    project.write("ignored.py", "X = 1\n")
    done = run(project, run_script, ODD + "import ignored\n" + BEGIN)
    assert kept() == ["ignored.py"]
    assert not facts()["problems"]
    assert "footsteps:" not in done.stderr


@pytest.mark.parametrize("inside", [False, True], ids=["elsewhere", "in the project"])
def test_generated_modules_are_no_code(project, run_script, tmp_path, inside):
    """What a library writes into a temporary or cache folder and imports: two runs of one commit have one code id."""
    scratch = project / "ignored" if inside else tmp_path / "scratch"
    scratch.mkdir()
    program = """
import os, sys, tempfile
folder = tempfile.mkdtemp()
open(folder + "/made.py", "w").write(f"X = {os.getpid()}")
sys.path.insert(0, folder)
import made, footsteps
footsteps.initialize(sys.argv[1])
"""
    project.write("t.py", program)
    project.commit()
    for name in "ab":
        done = run_script("t.py", name, cwd=project, env={"TMPDIR": str(scratch)})
        assert done.returncode == 0, done.stderr
    first, second = (facts(Path("results") / name) for name in "ab")
    assert first["code_id"] == second["code_id"]
    assert "loose" not in [row["role"] for row in first["repositories"]]
    assert not kept(Path("results/a"))


@pytest.mark.parametrize("where", ["env", "."], ids=["un-ignored", "the project itself"])
def test_an_environment_in_the_tree_is_no_code(project, run_script, where, monkeypatch):
    """pyvenv.cfg tells: neither its files nor those that look like code are kept, and the program's own are."""
    import sysconfig

    project.write("ignored_model.py", "X = 1\n")
    project.write("t.py", "import ignored_model\n" + BEGIN)
    project.write("lib/own.py", "Y = 1\n")
    project.commit()
    made = [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", where]
    subprocess.run(made, check=True, cwd=project)
    if sys.version_info >= (3, 13) and where == ".":  # its venv writes a .gitignore: here over a committed one
        subprocess.run(["git", "checkout", "-q", ".gitignore"], check=True, cwd=project)
    python = str(project.path / where / "bin" / "python")
    paths = [os.environ.get("PYTHONPATH", ""), sysconfig.get_path("purelib"), str(Path(__file__).parents[2])]
    done = subprocess.run([python, "t.py"], env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))})
    assert done.returncode == 0
    assert [file["path"] for row in facts()["repositories"] for file in row["files"] if row["name"] == "main"] == [
        "ignored_model.py"
    ]


def test_what_was_imported_is_kept_first(project, run_script, monkeypatch):
    """Data, or code that was not imported, may use up the room; a module of the program never loses its place."""
    for number in range(5):
        project.write(f"a{number}.py", "X = 1\n")
    project.write("zebra.py", "X = 1\n")
    project.write("ignored_z.py", "X = 1\n")
    head = "import footsteps.recorder.repository as r\nr.MAX_FILES = 2\nimport zebra, ignored_z\n"
    project.write("t.py", head + BEGIN)
    project("add", "t.py", ".gitignore")
    project.commit(everything=False)
    assert run_script("t.py", cwd=project).returncode == 0
    assert kept() == ["ignored_z.py", "zebra.py"]


@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_a_repository_that_shows_no_untracked_files_is_asked_for_none(project, run_script, capsys, scope):
    """A home directory, say: what is imported is kept, what else lies there is not, and that is said."""
    project("config", scope, "status.showUntrackedFiles", "no")
    project.write("t.py", "import helper\n" + BEGIN)
    project.write("helper.py", "X = 1\n")
    project.write("letter.txt", "private")
    project("add", "t.py", ".gitignore")
    project.commit(everything=False)
    assert run_script("t.py", cwd=project).returncode == 0
    assert kept() == ["helper.py"]
    assert "status.showUntrackedFiles is no" in (RUN / "info.txt").read_text()
    status, said = verified(capsys)
    assert (status, "showUntrackedFiles" in said, "exactly" in said) == (0, True, False)
    assert "comes back but for untracked files that were not imported: r\n" in said


@pytest.mark.parametrize("tracked", [False, True], ids=["untracked", "tracked"])
def test_the_programs_own_log_is_no_change_of_its_code(project, tracked):
    """`python t.py >> train.log` in the repository: the run is of a clean commit."""
    project.write("t.py", BEGIN + "print('hello', flush=True)")
    project.write("train.log" if tracked else "other.log", "old\n")
    project.commit()
    with open("train.log", "a") as log:
        log.write("begun\n")
        log.flush()
        assert subprocess.run([sys.executable, "t.py"], stdout=log, stderr=log).returncode == 0
    (repository,) = (row for row in facts()["repositories"] if row["name"] == "main")
    assert (repository["files"], repository["left_out"]) == ([], [])
    assert "train.log" not in (RUN / "info.txt").read_text().partition("Current working dir")[0]


def test_what_the_program_made_before_its_run_began_is_no_code(project, run_script):
    """A file of data is not; one that it wrote and then imported is."""
    program = (
        "import footsteps\nopen('block_0.dat', 'w').write('x')\nopen('made.py', 'w').write('X = 1')\nimport made\n"
        + BEGIN
    )
    run(project, run_script, program)
    assert kept() == ["made.py"]


def test_data_that_it_made_before_it_imported_footsteps_is_no_code(project, run_script):
    """Where the file system tells when a file was made; one that was there before is code, edited or not."""
    from footsteps.recorder.places import birth_of

    project.write("old.dat", "x")
    project.write("settings.json", "{}")
    if birth_of(str(project / "old.dat")) is None:
        pytest.skip("no file here tells when it was made")
    program = "import time\n"
    program += "until = time.monotonic() + 0.2\nwhile time.monotonic() < until: pass\n"  # as a large library takes
    program += "for n in ('block_0.dat', 'old.dat', 'made.py', 'new.json'): open(n, 'w').write('X = 1')\n"
    project.write("t.py", program + BEGIN)
    project("add", "t.py", ".gitignore")
    project.commit(everything=False)
    done = run_script("t.py", cwd=project)
    assert done.returncode == 0, done.stderr
    assert kept() == ["made.py", "new.json", "old.dat", "settings.json"]


# --- the remote, as git reads it ---


URL = "https://git.example/proj.git"
# What stands in which config file: those of the repository, and one in the home folder.
REMOTES = {
    "an abbreviation in the user's settings": {
        "~/.gitconfig": '[url "https://git.example/"]\n\tinsteadOf = lab:\n',
        ".git/config": '[remote "origin"]\n\turl = lab:proj.git\n',
    },
    "an abbreviation of its own": {
        ".git/config": '[url "https://git.example/"]\n\tinsteadOf = lab:\n[remote "origin"]\n\turl = lab:proj.git\n',
    },
    "in quotes, and a comment": {".git/config": f'[remote "origin"]\n\turl = "{URL}" ; the lab\n'},
    "with a comment": {".git/config": f'[remote "origin"]\n\turl = {URL} # the lab\n'},
    "in a file that is included": {
        "~/lab.config": f'[remote "origin"]\n\turl = {URL}\n',
        ".git/config": "[include]\n\tpath = ~/lab.config\n",
    },
    "of this work tree": {
        ".git/config": "[extensions]\n\tworktreeConfig = true\n",
        ".git/config.worktree": f'[remote "origin"]\n\turl = {URL}\n',
    },
}


@pytest.mark.parametrize("where", REMOTES)
def test_the_remote_is_the_one_that_git_fetches_from(project, run_script, where):
    """Whoever restores the run has no abbreviations of the recorder's."""
    for path, lines in REMOTES[where].items():
        with open(os.path.join(project.path, os.path.expanduser(path)), "a") as file:
            file.write(lines)
    run(project, run_script, BEGIN)
    [row] = [row for row in facts()["repositories"] if row["name"] == "main"]
    assert (row["remote"], [remote["url"] for remote in row["remotes"]]) == (URL, [URL])


@pytest.mark.slow
@pytest.mark.parametrize("staged", [False, True], ids=["not staged", "staged"])
@pytest.mark.parametrize("setting", [None, ("diff.submodule", "diff"), ("diff.ignoreSubmodules", "all")], ids=str)
def test_a_submodule_at_another_commit_is_an_uncommitted_change(project, run_script, tmp_path, setting, staged):
    """As `git diff HEAD` shows it; one that is where the commit has it is none."""
    library = type(project)(tmp_path / "library").init()
    library.write("lib.py", "X = 1\n")
    library.commit()
    project("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library.path, "lib")
    run(project, run_script, BEGIN)
    assert b"Subproject" not in (RUN / "info.txt").read_bytes()
    if setting:
        project("config", *setting)
    moved = type(project)(project.path / "lib")
    moved.write("lib.py", "X = 2\n")
    commit = moved.commit()
    if staged:
        project("add", "lib")
    done = run_script("t.py", cwd=project)
    assert done.returncode == 0, done.stderr
    assert f"+Subproject commit {commit}\n" in Path("results/r-1/info.txt").read_text()


# --- a patched standard library ---


@pytest.mark.libraries
@pytest.mark.parametrize(
    "patch",
    ["import eventlet\neventlet.monkey_patch()\n", "import gevent.monkey\ngevent.monkey.patch_all()\n"],
    ids=["eventlet", "gevent"],
)
def test_a_patched_standard_library_loses_nothing(project, run_script, remote, capsys, patch):
    """eventlet takes select.poll away, gevent has its own waitpid: code, input and artifact are there all the same."""
    pytest.importorskip(patch.split()[1].partition(".")[0])
    project.write("t.py", f"{patch}{BEGIN}open('data.csv').read()\nopen(footsteps.output_dir + 'o', 'w').write('x')\n")
    project.write("data.csv", "1\n")
    commit = project.commit()
    project("push", "--quiet", "origin", "HEAD")
    project.write("new.py", "X = 1\n")
    alone = run_script(patch, options=("-W", "ignore"))  # eventlet warns where many packages are installed
    done = run_script("t.py", cwd=project, options=("-W", "ignore"))
    assert (done.returncode, done.stderr) == (0, alone.stderr)
    assert (facts()["repositories"][0]["commit"], facts()["problems"]) == (commit, [])
    assert "new.py" in kept()
    assert "no commits yet" not in (RUN / "info.txt").read_text()
    outcome = json.loads((RUN / ".footsteps/outcome.json").read_bytes())
    assert ([row["path"] for row in outcome["artifacts"]], outcome["inputs_complete"]) == (["o"], True)
    assert "data.csv" in "".join(path.read_text() for path in (RUN / ".footsteps").glob("inputs-*.jsonl"))
    status, said = verified(capsys)
    assert status == 0, said


VANISHES = """
import os, sys
def remove(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and os.fsdecode(arguments[0]).endswith("scratch.tmp"):
        os.path.exists(arguments[0]) and os.unlink(arguments[0])
sys.addaudithook(remove)
"""


def test_a_file_that_is_gone_before_it_is_read_is_no_code(project, run_script):
    """What another program lays down for a moment: git lists it, and reading finds nothing."""
    project.write("scratch.tmp", "x")
    project.write("t.py", VANISHES + BEGIN)
    project("add", "t.py", ".gitignore")
    project("commit", "--quiet", "--message", "A program")
    done = run_script("t.py", cwd=project)
    assert not (project / "scratch.tmp").exists()
    assert "left out" not in done.stderr
    assert (kept(), facts()["repositories"][0]["left_out"]) == ([], [])


def test_bytecode_that_is_being_written_is_no_part_of_the_code_id(project, run_script):
    """Python writes it under its name and a number, beside the other starts of a sweep."""
    project.write(".gitignore", "results/\n")
    run(project, run_script, BEGIN)
    project.write("__pycache__/helper.cpython-311.pyc.139821", "half")
    run_script("t.py", cwd=project)
    assert facts()["code_id"] == facts(Path("results/r-1"))["code_id"]


@pytest.mark.kernel
def test_code_that_autoreload_executed_is_told(project, run_script, capsys):
    """IPython reads an edited module as text, and takes over what has changed."""
    pytest.importorskip("IPython")
    program = """
from IPython.core.interactiveshell import InteractiveShell
cells = "%load_ext autoreload", "%autoreload 2", "import model, footsteps; footsteps.initialize('r')"
edit = "import os; open('model.py', 'w').write('W = 22'); os.utime('model.py', (9e9, 9e9))"
for cell in (*cells, edit, "assert model.W == 22"):
    InteractiveShell.instance().run_cell(cell).raise_error()
"""
    project.write("model.py", "W = 1\n")
    run(project, run_script, program)
    status, said = verified(capsys)
    assert (status, "exactly" in said) == (1, False)
    assert "model.py\tedited during the run, and executed" in said


# --- code of other processes ---


@pytest.mark.parametrize("guarded", [False, True])
def test_exactly_is_not_said_where_workers_know_nothing_of_footsteps(project, run_script, capsys, guarded):
    """They are started anew, and import it only where the main module does so outside of its guard."""
    program = WORKER.format(method="spawn")
    if guarded:
        program = program.replace(", footsteps", "").replace(
            "    footsteps.init", "    import footsteps\n    footsteps.init"
        )
    program = program.replace('    open("model.py", "w").write("W = 2")\n', "").replace("[12]", "[11]")
    project.write("model.py", "W = 1\n")
    project.write("ignored_part.py", "W = 10\n")
    run(project, run_script, program)
    outcome = json.loads((RUN / ".footsteps/outcome.json").read_bytes())
    assert outcome["inputs_not_followed"] == ["worker processes without footsteps"] * guarded
    said = verified(capsys)[1]
    assert ("as it was when the run began" in said) is guarded
    assert ("what these alone imported is not known" in said) is guarded


WORKER = """
import multiprocessing, footsteps
def work(_):
    import ignored_part, model
    return ignored_part.W + model.W
if __name__ == "__main__":
    footsteps.initialize("r")
    open("model.py", "w").write("W = 2")
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        assert pool.map(work, [0]) == [12]
        pool.close(); pool.join()
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_code_that_only_a_worker_executed_is_kept_and_its_edits_are_told(project, run_script, capsys, method):
    """A module that git ignores; one that was edited before the worker imported it."""
    project.write("model.py", "W = 1\n")
    project.write("ignored_part.py", "W = 10\n")
    run(project, run_script, WORKER.format(method=method))
    assert "ignored_part.py" in kept()
    status, said = verified(capsys)
    assert (status, "exactly" in said) == (1, False)
    assert "model.py\tedited during the run, and executed" in said
    assert (RUN / ".footsteps/edited/main/model.py").read_text() == "W = 2"
