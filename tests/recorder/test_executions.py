"""A run belongs to one execution of one program: a script that runs again in the same process makes another one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import surroundings

from footsteps.reader.runs import Run

TRAIN = """
import footsteps, sys
with open(footsteps.output_dir + "o.txt", "x") as file:
    file.write(repr(sys.argv[1:]))
"""


def results(project, name="o.txt") -> dict[str, str]:
    """What each run's program has saved."""
    found = sorted((Path(project) / "results").rglob(name))
    return {path.parent.name: path.read_text() for path in found}


def outcome(project, name) -> dict:
    """How a run ended."""
    return json.loads((Path(project) / "results" / name / ".footsteps" / "outcome.json").read_bytes())


def needs(module) -> None:
    """Skip where a library is not installed."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # of the package that it would be in
        found = None
    if found is None:
        pytest.skip(f"{module} is not installed")


def run(project, *command, stdin=None, env=None) -> subprocess.CompletedProcess:
    """Run a Python command in the project."""
    words, environment = [sys.executable, *command], surroundings({"FOOTSTEPS_NAME": "r", **(env or {})})
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=180, **given)


@pytest.mark.kernel
def test_a_script_run_twice_in_ipython_has_two_runs(repo):
    """%run: the edited script is the second run's, and the first one's record and results stay as they were."""
    needs("IPython")
    repo.write("train.py", TRAIN)
    edit = "open('train.py', 'a').write('# edited\\n')"
    repo.write("cells.ipy", f"%run train.py --lr 1\n{edit}\n%run train.py --lr 2\n")
    done = run(repo, "-m", "IPython", "cells.ipy")
    assert results(repo) == {"r": "['--lr', '1']", "r-1": "['--lr', '2']"}, done.stdout + done.stderr
    first, second = (repo / "results" / name / "train.py" for name in ("r", "r-1"))
    assert ("# edited" in first.read_text(), "# edited" in second.read_text()) == (False, True)
    assert [outcome(repo, name)["status"] for name in ("r", "r-1")] == ["finished", "finished"]


@pytest.mark.kernel
def test_a_script_that_names_its_run_can_be_run_twice_in_ipython(repo):
    """The same name in another execution is no error but the next number; a cell afterwards is in the last run."""
    needs("IPython")
    repo.write("train.py", TRAIN.replace("import footsteps, sys", "import footsteps, sys\nfootsteps.initialize('n')"))
    repo.write(
        "cells.ipy", "%run train.py 1\n%run train.py 2\nimport footsteps\nopen(footsteps.output_dir + 'late', 'x')\n"
    )
    done = run(repo, "-m", "IPython", "cells.ipy")
    assert results(repo) == {"n": "['1']", "n-1": "['2']"}, done.stdout + done.stderr
    assert list(results(repo, "late")) == ["n-1"]


@pytest.mark.kernel
def test_a_cell_that_is_executed_twice_gives_the_run_that_is_there(repo):
    """initialize() with the same name; another name stays the error."""
    needs("IPython")
    cell = "import footsteps; footsteps.initialize('cell')"
    ask = f"get_ipython().run_cell({cell!r})\n"
    other = "footsteps.initialize('other')\n"
    repo.write("cells.ipy", ask * 3 + "open(footsteps.output_dir + 'o.txt', 'x').close()\n" + other)
    done = run(repo, "-m", "IPython", "cells.ipy")
    assert results(repo) == {"cell": ""}
    assert "already writes to 'results/cell/'" in done.stdout + done.stderr


def test_a_script_that_the_debugger_restarts_has_two_runs(repo):
    """pdb's restart executes it again in the same process."""
    repo.write("train.py", TRAIN)
    done = run(repo, "-m", "pdb", "train.py", stdin="continue\nrestart again\ncontinue\nquit\n")
    assert list(results(repo)) == ["r", "r-1"], done.stdout + done.stderr


def test_a_program_that_runs_a_script_again_and_again_has_a_run_for_each(repo):
    """By runpy; one that failed has failed, and what the outer program saves later is in none of them."""
    repo.write("train.py", TRAIN + "if sys.argv[1] == '1': raise SystemExit(3)\n")
    repo.write(
        "driver.py",
        "import runpy, sys\nfor n in range(3):\n    sys.argv[1:] = [str(n)]\n    try:\n"
        "        runpy.run_path('train.py', run_name='__main__')\n    except SystemExit: pass\n",
    )
    done = run(repo, "driver.py")
    assert done.returncode == 0, done.stderr
    assert results(repo) == {"r": "['0']", "r-1": "['1']", "r-2": "['2']"}


SAYS_FIRST = """
import argparse, footsteps
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("lr", type=float)
given = parser.parse_args()
open(given.data).read()
footsteps.reads(given.data + ".by-hand")
footsteps.record(loss=given.lr)
assert footsteps.current() is None
figure = footsteps.metadata("a.pdf")["Title"]
with open(footsteps.output_dir + "o.txt", "x") as file:
    file.write(figure)
"""
RUNS_TWICE_AND_ANOTHER = """
import runpy, sys
for words in (["says.py", "1.csv", "5"], ["says.py", "2.csv", "6"], ["silent.py"]):
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
"""
RESTARTS = "continue\nrestart 2.csv 6\ncontinue\nquit\n"


def told(project, name) -> dict:
    """What a run's record says of its command, arguments, values and inputs."""
    run = Run(str(Path(project) / "results" / name))
    return {
        "argv": run.facts["argv"][1:],
        "lr": run.arguments.get("lr"),
        "loss": run.recorded.get("loss"),
        "inputs": sorted(Path(row["path"]).name for row in run.inputs if ".csv" in row["path"]),
    }


@pytest.mark.parametrize("way", ["runpy", "pdb", pytest.param("%run", marks=pytest.mark.kernel)])
def test_what_an_execution_says_before_it_asks_for_its_directory_is_its_own(repo, way):
    """Arguments, values, inputs, a figure's metadata: the run of the execution before is over, and has its own."""
    repo.write("says.py", SAYS_FIRST)
    repo.write("silent.py", "import footsteps\nopen(footsteps.output_dir + 'o.txt', 'x').close()\n")
    for name in ("1.csv", "1.csv.by-hand", "2.csv", "2.csv.by-hand"):
        repo.write(name, name)
    repo.write("driver.py", RUNS_TWICE_AND_ANOTHER)
    if way == "%run":
        needs("IPython")
    words = {"runpy": ["driver.py"], "pdb": ["-m", "pdb", "says.py", "1.csv", "5"], "%run": ["-m", "IPython"]}
    given = {"pdb": RESTARTS, "%run": "%run says.py 1.csv 5\n%run says.py 2.csv 6\n%run silent.py\n"}
    done = run(repo, *words[way], stdin=given.get(way))
    others = {} if way == "pdb" else {"r-2": ""}
    assert results(repo) == {"r": "r", "r-1": "r-1", **others}, done.stdout + done.stderr
    first, second = told(repo, "r"), told(repo, "r-1")
    assert first == {
        "argv": ["1.csv", "5"], "lr": 5.0, "loss": 5.0, "inputs": ["1.csv", "1.csv.by-hand"],
    }  # fmt: skip
    assert second == {
        "argv": ["2.csv", "6"], "lr": 6.0, "loss": 6.0, "inputs": ["2.csv", "2.csv.by-hand"],
    }  # fmt: skip
    for name in others:
        assert told(repo, name) == {"argv": [], "lr": None, "loss": None, "inputs": []}


def test_a_program_with_a_run_keeps_it_while_it_executes_others(repo):
    """The outer execution is the program's."""
    repo.write("train.py", TRAIN.replace('"x"', '"w"'))
    repo.write(
        "driver.py",
        "import footsteps, runpy\nfootsteps.output_dir\n" + "runpy.run_path('train.py', run_name='__main__')\n" * 2,
    )
    assert run(repo, "driver.py").returncode == 0
    assert list(results(repo)) == ["r"]


def test_callbacks_threads_and_exit_handlers_are_the_same_execution(repo):
    """They have no module-level code on their stack, or more of it."""
    repo.write(
        "train.py",
        "import atexit, footsteps, threading\nsave = lambda name: open(footsteps.output_dir + name, 'x').close()\n"
        "atexit.register(save, 'at-exit')\nsave('top')\nexec('save(1 * \"exec\")')\nmap(save, ['map'])\n"
        "thread = threading.Thread(target=save, args=('thread',)); thread.start(); thread.join()\n",
    )
    assert run(repo, "train.py").returncode == 0
    assert [list(results(repo, name)) for name in ("at-exit", "top", "exec", "thread")] == [["r"]] * 4


def test_the_same_call_with_the_same_name_gives_the_run_and_another_is_an_error(repo):
    """As in a script that Streamlit runs again; a different call may mean another run, and is told so."""
    loop = "import footsteps\nfor name in %r:\n    footsteps.initialize(name)\n"
    loop += "open(footsteps.output_dir + 'o.txt', 'x').close()\n"
    repo.write("same.py", loop % (("a", "a"),))
    repo.write("other.py", loop % (("b", "c"),))
    assert run(repo, "same.py").returncode == 0
    done = run(repo, "other.py")
    assert (done.returncode, list(results(repo))) == (1, ["a"])
    assert "already writes to 'results/b/'" in done.stderr


@pytest.mark.launcher
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_each_job_of_a_hydra_multirun_is_a_run_with_its_overrides(repo, launcher):
    """Also where the jobs ask for output_dir lazily, in one process or in joblib's workers."""
    needs("hydra")
    if launcher == "joblib":
        needs("hydra_plugins.hydra_joblib_launcher")
    repo.write(
        "train.py",
        "import footsteps, hydra\nopen('all.csv').read()\n"
        "@hydra.main(config_path=None, version_base=None)\ndef main(cfg):\n"
        "    open(f'{cfg.lr}.csv').read()\n    footsteps.record(loss=cfg.lr)\n"
        "    open(footsteps.output_dir + 'o.txt', 'x').write(str(cfg.lr))\n"
        "    open(footsteps.output_dir + 'p.txt', 'x').close()\nif __name__ == '__main__':\n    main()\n",
    )
    for data in ("all", "0.1", "0.2", "0.3"):
        repo.write(f"{data}.csv", data)
    done = run(repo, "train.py", "-m", f"hydra/launcher={launcher}", "+lr=0.1,0.2,0.3", env={"FOOTSTEPS_NAME": "h"})
    assert done.returncode == 0, done.stderr
    assert sorted(results(repo).values()) == ["0.1", "0.2", "0.3"]
    for name, lr in results(repo).items():
        inputs = [f"{lr}.csv", "all.csv"] if launcher == "basic" else [f"{lr}.csv"]  # a worker has not read that one
        said = told(repo, name)
        assert (said["lr"], said["loss"], said["inputs"]) == (float(lr), float(lr), inputs)
        assert outcome(repo, name)["status"] == "finished"


@pytest.mark.launcher
@pytest.mark.parametrize("began", ["at the top", "in the job"])
def test_the_arguments_of_a_hydra_job_are_its_overrides_with_and_without_multirun(repo, began):
    """None of Hydra's own flags, nothing that is set for Hydra itself."""
    needs("hydra")
    use = {began: "footsteps.output_dir"}
    repo.write(
        "train.py",
        f"import footsteps, hydra\n{use.get('at the top', '')}\n@hydra.main(config_path=None, version_base=None)\n"
        f"def main(cfg):\n    {use.get('in the job', 'pass')}\nif __name__ == '__main__':\n    main()\n",
    )
    words = ["+lr=0.3", "++net.depth=2", "hydra.job.name=x", "hydra/job_logging=none"]
    for name, flags in {"one": [], "many": ["-m"]}.items():
        done = run(repo, "train.py", *flags, *words, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
        assert Run(str(repo / "results" / name)).arguments == {"lr": 0.3, "net.depth": 2}


@pytest.mark.launcher
def test_a_job_of_a_hydra_multirun_that_fails_has_failed_and_the_others_have_not(repo):
    """Hydra runs them all before it raises what one of them has raised, and the program exits with 1."""
    needs("hydra")
    repo.write(
        "train.py",
        "import footsteps, hydra\n@hydra.main(config_path=None, version_base=None)\ndef main(cfg):\n"
        "    open(footsteps.output_dir + 'o.txt', 'x').write(str(cfg.lr))\n"
        "    if cfg.lr == 2:\n        raise ValueError('bad lr')\nif __name__ == '__main__':\n    main()\n",
    )
    done = run(repo, "train.py", "-m", "+lr=1,2,3", env={"FOOTSTEPS_NAME": "h"})
    assert done.returncode == 1
    told = {lr: outcome(repo, name) for name, lr in results(repo).items()}
    assert {lr: (one["status"], one["exit_status"]) for lr, one in told.items()} == {
        "1": ("finished", 0),
        "2": ("failed", 1),
        "3": ("finished", 0),
    }
    assert "bad lr" in json.dumps(told["2"]["exception"])


@pytest.mark.launcher
def test_trials_that_call_finish_are_runs(repo):
    """An optuna study in one process."""
    needs("optuna")
    repo.write(
        "study.py",
        "import footsteps, optuna\ndef objective(trial):\n    x = trial.suggest_float('x', 0, 1)\n"
        "    open(footsteps.output_dir + 'o.txt', 'x').write(str(trial.number))\n    footsteps.finish()\n    return x\n"
        "optuna.create_study().optimize(objective, n_trials=3)\n",
    )
    assert run(repo, "study.py").returncode == 0
    assert results(repo) == {"r": "0", "r-1": "1", "r-2": "2"}
