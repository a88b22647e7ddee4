"""Random state: kept without being touched, and put back by a rerun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from footsteps import cli
from footsteps.reader import runs
from footsteps.reproduce import rerun

RUN = Path("results/r")
FIRST = "import footsteps\n"
DRAWS = {
    "random before us": ("random", "import random\n" + FIRST, "random.random(), random.gauss(0, 1)"),
    "random after us": ("random", FIRST + "import random\n", "random.random()"),
    "random with half of a gauss": ("random", "import random\nrandom.gauss(0, 1)\n" + FIRST, "random.gauss(0, 1)"),
    "numpy before us": ("numpy", "import numpy as n\n" + FIRST, "n.random.rand(), n.random.randn()"),
    "numpy with half of a gauss": (
        "numpy",
        "import numpy as n\nn.random.randn()\n" + FIRST,
        "n.random.randn(3).tolist()",
    ),
    "numpy after us": ("numpy", FIRST + "import numpy as n\n", "n.random.rand()"),
    "drawn before the run begins": ("random", FIRST + "import random\nX = random.random()\n", "X"),
    "loaded once the run has begun": ("random", FIRST + "footsteps.output_dir\nimport random\n", "random.random()"),
    "seeded by the time": ("random", FIRST + "import random, time\nrandom.seed(time.time())\n", "random.random()"),
    "numpy's generators without a seed": (
        "numpy",
        FIRST + "import numpy as n\nX = n.random.default_rng().random()\n",
        "X, n.random.default_rng().random(), n.random.RandomState().rand(), n.random.SeedSequence().entropy",
    ),
    "numpy's generators without a seed, loaded before us": (
        "numpy",
        "import numpy as n\nn.random.default_rng()\n" + FIRST,
        "n.random.default_rng().random()",
    ),
    "another run in the same program before": (
        "numpy",
        FIRST
        + "import numpy as n\nfootsteps.initialize('first')\nX = n.random.default_rng(footsteps.seed()).random()\n"
        + "n.random.default_rng()\nfootsteps.finish()\nfootsteps.initialize('r')\n",
        "X, footsteps.seed(), n.random.default_rng().random()",
    ),
    "a seed of ours": (
        "numpy",
        FIRST + "import numpy as n\n",
        "[n.random.default_rng(footsteps.seed()).random() for _ in 'ab']",
    ),
}


@pytest.fixture
def project(repo, monkeypatch):
    """A repository to work in, with results/ ignored."""
    repo.write(".gitignore", "results/\n__pycache__/\n")
    monkeypatch.chdir(repo)
    monkeypatch.setenv("FOOTSTEPS_NAME", "r")
    return repo


def run_twice(project, run_script, program):
    """Record a program and run it again; both times it must end well."""
    project.write("t.py", program)
    project.commit()
    assert run_script("t.py", cwd=project).returncode == 0
    again = rerun.Rerun(runs.load(str(RUN)), "again")
    again.bring()
    assert again.execute() == 0
    return again


@pytest.mark.slow
@pytest.mark.parametrize("how", DRAWS)
def test_a_rerun_draws_the_same_numbers(project, run_script, how):
    """Nobody had seeded: the state is put back where it was read, at the import and as the run begins."""
    library, head, drawn = DRAWS[how]
    pytest.importorskip(library)
    project.write("t.py", f"{head}with open(footsteps.output_dir + 'o', 'w') as f: print({drawn}, file=f)\n")
    project.commit()
    for _ in range(2):  # another run is another run
        assert run_script("t.py", cwd=project).returncode == 0
    texts = [path.read_text() for path in sorted(Path("results").glob("r*/o"))]
    assert texts[0] != texts[1]
    again = rerun.Rerun(runs.load("results/r-1"), "again")
    again.bring()
    assert again.execute() == 0
    assert again.result().same
    assert (Path(again.result().new.directory) / "o").read_text() == texts[1]


@pytest.mark.slow
def test_workers_of_a_rerun_do_not_all_draw_the_same(project, run_script):
    """What is put back is the state of the program; processes that it starts begin afresh, as they did."""
    program = """
import footsteps, multiprocessing, random, subprocess, sys
def draw(_): return random.random()
if __name__ == "__main__":
    footsteps.output_dir
    with multiprocessing.get_context("spawn").Pool(2) as pool: drawn = set(pool.map(draw, range(40), chunksize=1))
    other = [sys.executable, "-c", "import footsteps, random; print(random.random())"]
    for _ in "ab": drawn.add(subprocess.check_output(other))
    assert len(drawn) == 42
"""
    run_twice(project, run_script, program)


@pytest.mark.slow
def test_forked_workers_of_a_rerun_do_not_all_draw_the_same(project, run_script):
    """Seeds of ours and of numpy are given again to the program itself: each child would get the first."""
    pytest.importorskip("numpy")
    program = """
import footsteps, os, numpy
footsteps.output_dir
def draw(): return footsteps.seed(), numpy.random.default_rng().random()
drawn = [draw()]
for _ in "abc":
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr(draw()).encode())
        os._exit(0)
    drawn.append(eval(os.read(read, 999)))
    os.wait()
assert len({n for pair in drawn for n in pair}) == 8, drawn
with open(footsteps.output_dir + "o", "w") as f: print(drawn[0], draw(), file=f)
"""
    again = run_twice(project, run_script, program)
    found = {row["path"]: row["verdict"] for row in again.result().artifacts}
    assert found["o"] == "identical"  # the children's own seeds, which are recorded, can't be


def test_entropy_that_is_none_is_not_taken(project, run_script):
    """A record is a stranger's: numpy gets the system's then, and a line is all that can come of it."""
    pytest.importorskip("numpy")
    project.write("t.py", "import footsteps, numpy\nfootsteps.output_dir\nprint(numpy.random.SeedSequence().entropy)\n")
    bad = [{"at": "drawn", "generator": "numpy", "state": s} for s in (5, None, "zz", "-1", "f" * 33, {"a": 1})]
    project.write("bad", "".join(json.dumps(row) + "\n" for row in bad))
    done = run_script("t.py", cwd=project, env={"FOOTSTEPS_RANDOM": "bad"})
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout.split()[-1]) < 1 << 128


def test_the_state_is_not_touched(project, run_script):
    """A seeded program draws what it draws without us, wherever footsteps is imported and the run begins."""
    pytest.importorskip("numpy")
    program = """
import random, sys
import numpy as n
random.seed(1); n.random.seed(1)
drawn = []
for step in range(3):
    drawn += [random.random(), random.gauss(0, 1), n.random.rand(), n.random.randn()]
    if step == 0 and "with" in sys.argv: import footsteps
    if step == 1 and "with" in sys.argv: footsteps.initialize("x", "../out")
print(drawn)
"""
    project.write("t.py", program)
    bare, ours = (run_script("t.py", word, cwd=project).stdout.splitlines()[-1] for word in ("without", "with"))
    assert bare == ours


def test_a_seed_is_recorded(project, run_script, capsys):
    """As `seed`, which show tells and search finds; before the run begins it waits for it."""
    project.write(
        "t.py", "import footsteps\na = footsteps.seed()\nfootsteps.output_dir\nb = footsteps.seed()\nprint(a, b)"
    )
    done = run_script("t.py", cwd=project)
    first, second = map(int, done.stdout.split()[-2:])
    recorded = runs.load(str(RUN)).recorded
    assert (recorded["seed"], recorded["seed_2"]) == (first, second)
    assert first != second
    assert 0 <= first < 2**32
    assert cli.main(["show", "r"]) == 0
    assert str(first) in capsys.readouterr().out


def test_a_record_that_holds_no_state_is_refused_in_a_line(project, run_script):
    """A record is a stranger's: whatever stands there, the program runs."""
    project.write("t.py", "import random, footsteps\nfootsteps.output_dir\n")
    bad = [{"at": "loaded", "generator": "random", "state": s} for s in (5, {"version": 3, "words": "zz", "gauss": 0})]
    project.write("bad", "".join(json.dumps(row) + "\n" for row in bad) + "[]\nno json\n")
    done = run_script("t.py", cwd=project, env={"FOOTSTEPS_RANDOM": "bad"})
    assert done.returncode == 0
    assert "could not be put back" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_that_move_bytes_are_recorded(project, run_script):
    """Those of BLAS, of dates and plots, and of launchers."""
    project.write("t.py", "import footsteps\nfootsteps.output_dir\n")
    told = {"OPENBLAS_CORETYPE": "Haswell", "SOURCE_DATE_EPOCH": "1", "MPLBACKEND": "svg", "NCCL_P2P_DISABLE": "1"}
    assert run_script("t.py", cwd=project, env=told).returncode == 0
    environment = runs.load(str(RUN)).facts["environment"]
    assert {name: environment[name] for name in told} == told


def test_threads_in_effect_are_recorded_where_threadpoolctl_is_loaded(project, run_script):
    """With the BLAS and the processor that its kernels are for."""
    pytest.importorskip("threadpoolctl")
    pytest.importorskip("numpy")
    project.write("t.py", "import numpy, threadpoolctl, footsteps\nfootsteps.output_dir\n")
    assert run_script("t.py", cwd=project, env={"OPENBLAS_NUM_THREADS": "1"}).returncode == 0
    pools = json.loads((RUN / ".footsteps/outcome.json").read_bytes())["thread_pools"]
    assert any(pool["user_api"] == "blas" and pool["num_threads"] == 1 and "filepath" not in pool for pool in pools)
