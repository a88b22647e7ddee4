"""What a rerun is given: inputs that have moved, code, threads, folders; and what it tells where something differs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from test_rerun import archive, command, offered, project, run, with_packages  # noqa: F401 - fixtures

from footsteps.reader import compare, runs
from footsteps.recorder.format import FootstepsError
from footsteps.reproduce import rerun
from footsteps.reproduce.environment import kernels_in

# ruff: noqa: F811 - fixtures are asked for by their names


READ = "import sys, footsteps\nopen(footsteps.output_dir + 'o', 'w').write(open(sys.argv[1]).read())\n"


def test_an_input_below_the_old_root_is_read_below_the_root_that_it_has_now(project, run, tmp_path):
    """Whoever moves results/ moves the weights with it."""
    project.write("read.py", READ)
    run("first")
    weights = project / "results/first/weights.csv"
    run("one", weights, script="read.py")
    shutil.move(project / "results", tmp_path / "archive")
    again = rerun.Rerun(runs.load(tmp_path / "archive/one"), str(tmp_path / "again"))
    assert again.missing == []
    assert again.words[-1] == str(tmp_path / "archive/first/weights.csv")


def test_an_input_that_was_moved_is_found_by_its_hash_among_all_runs(project, run, tmp_path):
    """A run that was renamed still has the weights."""
    project.write("read.py", READ)
    run("first")
    old = run("one", "results/first/weights.csv", script="read.py")
    (project / "results/first").rename(project / "results/renamed")
    again = rerun.Rerun(old, str(tmp_path / "again"), roots=[str(project / "results")])
    assert again.gone == []
    again.bring()
    laid = tmp_path / "again/results/first/weights.csv"
    assert laid.read_text() == (project / "results/renamed/weights.csv").read_text()


@pytest.mark.slow
def test_map_says_where_data_lie_now(project, run, tmp_path):
    """A folder in the command, or a file in it; data that are not as they were are named."""
    project.write("read.py", READ.replace("sys.argv[1]", "sys.argv[1] + '/a.csv'"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a.csv").write_text("1, 2")
    run("one", tmp_path / "old", script="read.py")
    (tmp_path / "old").rename(tmp_path / "new")
    told = f"{tmp_path}/old={tmp_path}/new"
    done = command(project.path, "one", tmp_path / "again", "--yes", "--map", told)
    assert done.returncode == 0, done.stderr
    (tmp_path / "new/a.csv").write_text("1, 3")
    done = command(project.path, "one", tmp_path / "more", "--yes", "--map", told)
    assert f"{tmp_path}/new/a.csv, which --map gives, is not as it was" in done.stderr
    for wrong in ("nothing", f"/old={tmp_path}/nowhere"):
        done = command(project.path, "one", tmp_path / "none", "--yes", "--map", wrong)
        assert (done.returncode, (tmp_path / "none").exists()) == (2, False)


@pytest.mark.slow
def test_with_data_put_where_the_advice_says_the_same_command_goes_on(project, run, tmp_path):
    """Before the code is restored, and after it; anything else in that place stops it, and stays as it was."""
    data = project.write("big/data.csv", "1, 2")
    project.write("read.py", READ.replace(".read())", ".read() + '.')"))
    old = run("one", "big/data.csv", script="read.py")
    data.unlink()
    again = rerun.Rerun(old, str(tmp_path / "again"))
    again.bring()
    place = tmp_path / "again/big/data.csv"
    assert again.missing == [f"{data}: this input is gone; put it at {place}"]
    place.parent.mkdir()
    place.write_text("1, 2")
    (tmp_path / "again/mine").write_text("")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert (done.returncode, "'mine' is no input" in done.stderr) == (2, True), done.stderr
    assert (place.read_text(), (tmp_path / "again/mine").exists()) == ("1, 2", True)
    (tmp_path / "again/mine").unlink()
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr


def test_a_relative_path_in_the_program_that_leads_out_is_named_before_anything_is_made(project, run, tmp_path):
    """`../data` from another place is another folder."""
    (project.path.parent / "data").mkdir()
    (project.path.parent / "data/a.csv").write_text("1")
    project.write("read.py", "import footsteps\nopen('../data/a.csv').read()\nfootsteps.output_dir\n")
    old = run("one", script="read.py")
    found = rerun.Rerun(old, str(tmp_path / "other/place")).missing
    place = f"{tmp_path}/other/data/a.csv"
    assert found == [
        f"{project.path.parent}/data/a.csv: if the program names it ../data/a.csv, that leads to {place} here"
    ]
    assert not (tmp_path / "other").exists()


def test_a_stdin_that_is_gone_is_named_before_anything_is_made(project, tmp_path, monkeypatch):
    """As a file; of a pipe, that what came through it was not recorded."""
    project.write("read.py", "import footsteps, sys\nfootsteps.initialize('one')\nsys.stdin.read()\n")
    (tmp_path / "words").write_text("a")
    words = [sys.executable, "read.py"]
    monkeypatch.setenv("FOOTSTEPS_KEEP_INPUTS", "0")
    with open(tmp_path / "words") as source:
        subprocess.run(words, cwd=project.path, stdin=source, check=True)
    subprocess.run(words, cwd=project.path, input=b"a", check=True)
    (tmp_path / "words").unlink()
    found = rerun.Rerun(runs.load(project / "results/one"), str(tmp_path / "again")).missing
    assert found == [f"{tmp_path}/words: this input is gone; put it back there"]
    piped = rerun.Rerun(runs.load(project / "results/one-1"), str(tmp_path / "again")).missing
    assert piped == ["stdin: it was a pipe, and what came through it was not recorded"]


def test_no_environment_is_made_for_a_run_whose_inputs_are_gone(project, run, tmp_path, offered):
    """Unless that is asked for."""
    project.write("read.py", "import sys, footsteps\nopen(sys.argv[1]).read()\nfootsteps.output_dir\n")
    (tmp_path / "a.csv").write_text("1")
    with_packages(run("one", tmp_path / "a.csv", script="read.py"), {"name": "tool", "version": "1.0"})
    (tmp_path / "a.csv").unlink()
    done = command(project.path, "one", tmp_path / "again", "--yes", "--env")
    assert (done.returncode, "no environment was made (--anyway makes it)" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "again.env").exists()


@pytest.mark.slow
def test_an_editable_install_does_not_lead_to_the_live_clone(project, tmp_path, run_script):
    """The restored tree comes first, also where its modules lie in a folder of an odd name."""
    project.write("lib/python/mylib.py", "def which(): return 'OLD'\n")
    project.write("t.py", "import footsteps, mylib\nopen(footsteps.output_dir + 'o', 'w').write(mylib.which())\n")
    project.commit()
    site = tmp_path / "site"
    info = site / "mylib-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mylib\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("mylib\n")
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{project.path}", "dir_info": {"editable": True}}))
    (site / "mylib.pth").write_text(f"{project.path}/lib/python\n")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    own = next((venv / "lib").glob("python*/site-packages"))
    import footsteps

    outside = os.path.dirname(os.path.dirname(footsteps.__file__))
    (own / "all.pth").write_text(f"import site; site.addsitedir({str(site)!r})\n{outside}\n")
    python = os.fspath(venv / "bin/python")
    done = subprocess.run([python, "t.py"], cwd=project.path, env={**os.environ, "FOOTSTEPS_NAME": "one"})
    assert done.returncode == 0
    project.write("lib/python/mylib.py", "def which(): return 'NEW'\n")
    done = command(project.path, "one", tmp_path / "again", "--yes", "--python", python)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/results/one/o").read_text() == "OLD"


def test_what_no_python_here_can_start_is_refused_with_a_reason(run, tmp_path):
    """A frozen program, and paths of another system."""
    old = run("one")
    for facts, why in (
        ({"cwd": "C:\\study", "argv": ["train.py"]}, "on Windows"),
        ({"argv": ["/opt/tool"], "orig_argv": ["/opt/tool"], "python": {"executable": "/opt/tool"}}, "frozen"),
    ):
        old.facts.update(facts)
        with pytest.raises(FootstepsError, match=why):
            rerun.Rerun(old, str(tmp_path / "again"))
        old = runs.load(old.directory)


def test_an_argument_that_the_launcher_adds_for_each_rank_is_not_repeated(run, tmp_path):
    """Every rank would get that of one, beside its own."""
    old = run("one")
    said = "python -m torch.distributed.launch --nproc_per_node 2 train.py --lr 1"
    old.facts["process"] = {"launcher": {"kind": "torchrun", "command": said}, "world_size": 2}
    old.facts["argv"] = ["train.py", "--local_rank=1", "--lr", "1"]
    old.facts["orig_argv"] = ["python", "-u", "train.py", "--local_rank=1", "--lr", "1"]
    words = rerun.Rerun(old, str(tmp_path / "again")).words
    assert words[1:] == ["-m", "torch.distributed.launch", "--nproc_per_node", "2", "train.py", "--lr", "1"]


def test_threads_are_those_of_then(run, tmp_path, monkeypatch):
    """A variable of the shell is not handed on; another number of cores is said, and the old one set."""
    old = run("one", env={"OMP_NUM_THREADS": None, "MKL_NUM_THREADS": None})
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    assert "MKL_NUM_THREADS" in rerun.Rerun(old, str(tmp_path / "again")).unset
    cores = old.facts["hardware"]["usable_cores"]
    old.facts["hardware"].update(usable_cores=cores + 1, cpu="Abacus 1")
    again = rerun.Rerun(old, str(tmp_path / "again"))
    assert f"OMP_NUM_THREADS={cores + 1}" in again.command
    assert again.missing[0] == f"{cores + 1} cores: {cores} are here; OMP_NUM_THREADS={cores + 1} is set"
    assert "the processor Abacus 1" in again.missing[1]


@pytest.mark.libraries
def test_other_instructions_of_linear_algebra_are_said_beforehand(project, run, tmp_path):
    """Where the record has them, and the interpreter that is used can tell."""
    pytest.importorskip("numpy")
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    old, path = run("one"), project / "results/one/.footsteps/outcome.json"
    here = kernels_in(sys.executable)["openblas"]
    for kernel, told in (("Prescott", True), (here, False)):
        pools = [{"internal_api": "openblas", "num_threads": 2, "architecture": kernel}]
        path.write_text(json.dumps({**json.loads(path.read_text()), "thread_pools": pools}))
        missing = rerun.Rerun(runs.load(old.directory), str(tmp_path / "again")).missing
        assert any("openblas with instructions of Prescott" in sentence for sentence in missing) == told


def test_folders_that_the_program_expects_are_laid(project, run, tmp_path):
    """git keeps no empty ones."""
    project.write("w.py", "import footsteps\nfootsteps.output_dir\nopen('out/table.csv', 'w').write('1')\n")
    project.write(".gitignore", "results/\nout/\n")
    (project / "out").mkdir()
    run("one", script="w.py")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr


def test_a_run_and_its_rerun_that_are_the_same_have_no_difference(project, run, tmp_path):
    """As `footsteps diff` tells."""
    old = run("one")
    command(project.path, "one", tmp_path / "again", "--yes")
    found = compare.compare(old, runs.load(tmp_path / "again/results/one"))
    assert [(each.about, each.name) for each in found.differences] == []


@pytest.mark.slow
def test_why_something_else_was_made_is_told(project, run, tmp_path):
    """By what the code shows; where the same was made, nothing."""
    project.write(
        "draw.py",
        "import footsteps, os\n\ndef default_rng():\n    return os.environ.get('NUMBER', '1')\n\n"
        "open(footsteps.output_dir + 'o', 'w').write(default_rng())\n",
    )
    run("one", script="draw.py")
    done = command(project.path, "one", tmp_path / "more", "--yes", env={"NUMBER": "2"})
    assert "it may be why: unseeded default_rng in draw.py, line 3" in done.stderr
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert (done.returncode, "may be why" in done.stderr) == (0, False)


def test_only_what_the_program_imports_is_suspected(project, run, tmp_path):
    """Not the other scripts of its project; a path of the project in a result is told as such."""
    project.write("other.py", "import numpy\nnumpy.random.default_rng()\n")
    project.write("lib/__init__.py", "")
    project.write("lib/late.py", "import uuid\n\n\ndef name():\n    return uuid.uuid4().hex\n")
    project.write("lib/here.py", "import os\n\n\ndef place():\n    return os.getcwd()\n")
    project.write(
        "draw.py",
        "import footsteps\nfrom lib import (\n    late,\n)\nfrom lib.here import place\n"
        "open(footsteps.output_dir + 'o', 'w').write(late.name())\n"
        "open(footsteps.output_dir + 'place', 'w').write(place())\n",
    )
    run("one", script="draw.py")
    said = command(project.path, "one", tmp_path / "more", "--yes").stderr
    assert "it may be why: randomness of the system in lib/late.py, line 5" in said
    assert "it may be why: place tells where the project lies" in said
    assert "default_rng" not in said


@pytest.mark.slow
def test_what_is_not_installed_here_is_measured_with_the_packages_of_the_program(project, run, tmp_path, monkeypatch):
    """Its environment has what its files were made with; ours may lack it."""
    pytest.importorskip("numpy")
    project.write(
        "save.py",
        "import footsteps, os, numpy\nnumpy.save(footsteps.output_dir + 'a.npy', [1.5, float(os.environ['NUMBER'])])\n",
    )
    old = run("one", script="save.py", env={"NUMBER": "2"})
    monkeypatch.setenv("NUMBER", "2.5")
    again = rerun.Rerun(old, os.fspath(tmp_path / "again"))
    again.bring()
    assert again.execute() == 0
    monkeypatch.setitem(sys.modules, "numpy", None)  # as where it can't be imported
    assert "1 of 2 numbers differ, by 0.5 at most" in again.result().artifacts[0]["note"]
    again.python = "/no/python"
    assert "numpy is needed to compare the numbers" in again.result().artifacts[0]["note"]


def test_processes_of_their_own_random_numbers_are_told(project, run, tmp_path):
    """Also those of joblib; and a time that a library measures."""
    project.write("joblib.py", "def Parallel(n_jobs):\n    import os\n    return os.environ.get('NUMBER', '1')\n")
    project.write(
        "fit.py",
        "import footsteps, joblib\nopen(footsteps.output_dir + 'o', 'w').write(joblib.Parallel(2))\nfit_times = 1\n",
    )
    run("one", script="fit.py")
    done = command(project.path, "one", tmp_path / "more", "--yes", env={"NUMBER": "2"})
    assert "it may be why: processes, each with random numbers of its own in fit.py, line 2" in done.stderr
    assert "it may be why: how long something took in fit.py, line 3" in done.stderr


@pytest.mark.slow
def test_generators_of_numpy_that_began_alike_are_not_called_the_reason(project, run, tmp_path):
    """What has come back can't be why."""
    pytest.importorskip("numpy")
    project.write(
        "draw.py",
        "import footsteps, os, numpy\nx = numpy.random.default_rng().random()\n"
        "open(footsteps.output_dir + 'o', 'w').write(f'{x} {os.environ.get(\"NUMBER\")}')\n",
    )
    run("one", script="draw.py")
    done = command(project.path, "one", tmp_path / "more", "--yes", env={"NUMBER": "2"})
    assert (done.returncode, "default_rng" in done.stderr) == (1, False)


def test_an_order_of_sets_is_told(project, run, tmp_path):
    """Where the code makes sets, or takes hashes, and no PYTHONHASHSEED was recorded."""
    project.write("sets.py", "import footsteps\nopen(footsteps.output_dir + 'o', 'w').write(str(hash('a')))\n")
    run("one", script="sets.py")
    assert (
        "it may be why: PYTHONHASHSEED was not set" in command(project.path, "one", tmp_path / "more", "--yes").stderr
    )


def test_a_small_input_is_kept_once_and_comes_back(project, run, tmp_path):
    """Text that git does not have, beside the runs; secrets and large ones are not, and verify names those."""
    data, other = tmp_path / "data.csv", tmp_path / "large.csv"
    data.write_text("1, 2\n")
    other.write_text("x" * 2000)
    (tmp_path / ".env").write_text("TOKEN=x")
    project.write(
        "read.py",
        "import sys, footsteps\nfor p in sys.argv[1:]: print(len(open(p).read()))\n"
        "open(footsteps.output_dir + 'o', 'w').write('1')\n",
    )
    for name in ("one", "two"):
        run(name, data, other, tmp_path / ".env", "train.py", script="read.py", env={"FOOTSTEPS_KEEP_INPUTS": "1000"})
    kept = project / "results/.footsteps-inputs"
    assert [path.read_text() for path in kept.iterdir()] == ["1, 2\n"]
    told = "inputs that git does not have: 1 kept, 5 bytes, beside the runs in .footsteps-inputs/"
    assert told in (project / "results/two/info.txt").read_text()
    verify = subprocess.run(
        [sys.executable, "-m", "footsteps", "verify", "one"], cwd=project.path, capture_output=True, text=True
    )
    nowhere = verify.stdout.partition("kept nowhere")[2]
    assert (str(other) in nowhere, str(tmp_path / ".env") in nowhere, str(data) in nowhere) == (True, True, False)
    data.unlink()
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"{data}: this input is gone" not in done.stderr


def test_no_input_is_kept_where_that_is_turned_off(project, run, tmp_path):
    """By a size of 0."""
    (tmp_path / "data.csv").write_text("1, 2\n")
    project.write("read.py", READ)
    run("one", tmp_path / "data.csv", script="read.py", env={"FOOTSTEPS_KEEP_INPUTS": "0"})
    assert not (project / "results/.footsteps-inputs").exists()
    assert "inputs that git" not in (project / "results/one/info.txt").read_text()
