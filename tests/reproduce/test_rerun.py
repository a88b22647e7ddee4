"""A run's command again: with the clone deleted, in a new place, compared with the old."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from footsteps.reader import runs
from footsteps.recorder.machine import ENVIRONMENT
from footsteps.reproduce import environment, rerun
from footsteps.reproduce.inputs import input_state

PROGRAM = """\
import os, sys
import footsteps

with open("data.csv") as data, open(footsteps.output_dir + "weights.csv", "w") as f:
    f.write(data.read().strip() + "," + os.environ.get("NUMBER", "1"))
print("trained with", *sys.argv[1:])
"""


KEPT = {"FOOTSTEPS_KEEP_INPUTS": "0"}  # else what is gone here would be found beside the runs


@pytest.fixture
def project(repo, remote):
    """A project that its remote has, with a program that reads data.csv and writes weights.csv."""
    repo.write("train.py", PROGRAM)
    repo.write("data.csv", "6, 9, 42\n")
    repo.write(".gitignore", "results/\nbig/\n")
    repo.commit("Train")
    repo("push", "--quiet")
    return repo


@pytest.fixture
def run(project, run_script):
    """A function that runs a program in the project, under a name; the recorded run."""

    def run(name, *arguments, script="train.py", **words):
        words = {"cwd": project.path, "env": {"FOOTSTEPS_NAME": name, **KEPT, **words.pop("env", {})}, **words}
        done = run_script(project / script, *arguments, **words)
        assert done.returncode == 0, done.stderr
        recorded = runs.load(project / "results" / name)
        assert recorded.facts["id"] == recorded.id  # read now, as the test may move it away
        return recorded

    return run


@pytest.fixture
def archive(project, tmp_path):
    """A function that keeps the runs, deletes the clone, and gives the folder of the runs."""

    def archive():
        kept = tmp_path / "archive"
        kept.mkdir()
        shutil.move(project / "results", kept / "results")
        shutil.rmtree(project.path)
        return kept

    return archive


def command(where, *words, env=None, stdin=subprocess.DEVNULL):
    """The finished `footsteps rerun` in a folder."""
    asked = [sys.executable, "-m", "footsteps", "rerun", *map(os.fspath, words)]
    surroundings = {**os.environ, **(env or {})}
    return subprocess.run(asked, cwd=where, env=surroundings, stdin=stdin, capture_output=True, text=True)


def test_a_rerun_makes_the_same_with_the_clone_deleted(project, run, archive, tmp_path):
    """In a new place, by a new run that names the old one as its parent."""
    project.write("helper.txt", "not committed")
    old = run("exp/one", "--lr", "0.1")
    kept = archive()
    done = command(kept, "exp/one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["verdict\tartifact\tnote", "identical\tweights.csv\tidentical"]
    assert "restored exactly" in done.stderr
    assert "trained with --lr 0.1" in done.stderr
    new = runs.load(tmp_path / "again" / "results" / "exp" / "one")
    assert [parent["id"] for parent in new.parents] == [old.id]
    assert new.code_id == old.code_id
    assert (tmp_path / "again" / "helper.txt").read_text() == "not committed"


def test_a_rerun_that_makes_something_else_says_how_much(run, archive, tmp_path):
    """Exit status 1, and the largest difference in JSON."""
    run("one")
    done = command(archive(), "one", tmp_path / "again", "--yes", "--json", env={"NUMBER": "1.5"})
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["same"], answer["exit_status"]) == (False, 0)
    assert [(row["path"], row["verdict"], row["largest"]) for row in answer["artifacts"]] == [
        ("weights.csv", "different", 0.5)
    ]


def test_a_program_that_fails_is_not_the_same(project, run, archive, tmp_path):
    """Its own status is printed, and told in JSON."""
    project.write("fail.py", PROGRAM + "sys.exit(int(os.environ.get('STATUS', 0)))\n")
    run("one", script="fail.py")
    done = command(archive(), "one", tmp_path / "again", "--yes", "--json", env={"STATUS": "7"})
    assert done.returncode == 1
    assert "exit status 7" in done.stderr
    assert json.loads(done.stdout)["exit_status"] == 7


def test_artifacts_that_are_not_made_again_are_named(project, run, archive, tmp_path):
    """And those that were not there before."""
    project.write("other.py", "import os, footsteps\nopen(footsteps.output_dir + os.environ['NAMED'], 'w').close()\n")
    run("one", script="other.py", env={"NAMED": "old.txt"})
    done = command(archive(), "one", tmp_path / "again", "--yes", env={"NAMED": "new.txt"})
    assert done.returncode == 1
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()[1:]] == [
        ["missing", "old.txt"], ["new", "new.txt"],
    ]  # fmt: skip


@pytest.mark.slow
def test_figures_are_the_same_whatever_run_they_name(project, run, archive, tmp_path):
    """What footsteps itself writes into them does not count."""
    pytest.importorskip("matplotlib")
    project.write(
        "figure.py", "import footsteps, matplotlib.pyplot as plt\nplt.plot([1, 2, 4])\nfootsteps.plot('loss')\n"
    )
    old = run("one", script="figure.py")
    done = command(archive(), "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    new = tmp_path / "again" / "results" / "one" / "000_loss.png"
    assert old.id.encode() not in new.read_bytes()
    assert done.stdout.splitlines()[1].startswith("same\t000_loss.png")


def test_inputs_that_are_gone_or_changed_are_named_before_anything_starts(project, run, tmp_path):
    """Nothing is written, and nothing is run, before somebody has agreed."""
    project.write("read.py", "import sys, footsteps\n[open(p).read() for p in sys.argv[1:]]\nfootsteps.output_dir\n")
    paths = [tmp_path / "data" / name for name in ("gone.csv", "changed.csv", "kept.csv")]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text("1, 2")
    run("one", *paths, script="read.py")
    paths[0].unlink()
    paths[1].write_text("1, 3")
    done = command(project.path, "one", tmp_path / "again")
    assert done.returncode == 2
    assert f"{paths[0]}: this input is gone; put it back there\n" in done.stderr
    assert f"{paths[1]}: this input is not as it was; put it back there as it was\n" in done.stderr
    assert str(paths[2]) not in done.stderr.partition("would run")[0]
    assert "would run: cd" in done.stderr
    assert "hint: the same command with --yes" in done.stderr
    assert not (tmp_path / "again").exists()


def test_a_pipe_where_an_input_was_is_not_that_input(tmp_path):
    """Not even of an empty one, whose size it has."""
    os.mkfifo(tmp_path / "empty.csv")
    changed = os.stat(tmp_path / "empty.csv").st_mtime_ns
    for noted in ({"mtime_ns": changed}, {"mtime_ns": 1, "sha256": "e3b0" * 16}):
        assert input_state(os.fspath(tmp_path / "empty.csv"), {"size": 0, **noted}) == "changed"


def test_ignored_data_in_the_project_is_copied_to_where_the_program_looks_for_it(project, run, tmp_path):
    """It is no part of the code; as long as it is as it was, it comes along."""
    project.write("big/data.csv", "1, 2")
    project.write(
        "read.py", "import footsteps\nopen(footsteps.output_dir + 'sum', 'w').write(open('big/data.csv').read())\n"
    )
    run("one", script="read.py")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "big" / "data.csv").read_text() == "1, 2"
    assert (tmp_path / "again/results/one/sum").read_text() == "1, 2"


def test_ignored_data_that_is_gone_is_asked_for_where_the_program_looks_for_it(project, run, tmp_path):
    """Put back where it was, it would come too late: the code has been restored."""
    data = project.write("big/data.csv", "1, 2")
    project.write("read.py", "import footsteps\nopen('big/data.csv').read()\nfootsteps.output_dir\n")
    old = run("one", script="read.py")
    data.unlink()
    again = rerun.Rerun(old, str(tmp_path / "again"))
    again.bring()
    place = tmp_path / "again/big/data.csv"
    assert again.missing[0] == f"{data}: this input is gone; put it at {place}"


def test_no_input_is_copied_through_a_link_out_of_the_code(project, run, tmp_path):
    """A record may hold links to anywhere."""
    (tmp_path / "elsewhere").mkdir()
    project.write("big/data.csv", "1, 2")
    project.write("read.py", "import footsteps\nopen('big/data.csv').read(); print(footsteps.output_dir)\n")
    old = run("one", script="read.py")
    again = rerun.Rerun(old, os.fspath(tmp_path / "again"))
    (tmp_path / "again").mkdir()
    (tmp_path / "again/big").symlink_to(tmp_path / "elsewhere")
    data = next(row for row in again.inputs if row["path"].endswith("data.csv"))
    again.copy_input(data, os.fspath(tmp_path / "again/big/data.csv"))
    assert os.listdir(tmp_path / "elsewhere") == []


def test_large_data_is_linked_not_copied(project, run, tmp_path, monkeypatch):
    """Nobody has twice the room for it."""
    monkeypatch.setattr(rerun, "COPIED", 3)
    project.write("big/data.csv", "1, 2")
    project.write("read.py", "import footsteps\nopen('big/data.csv').read()\nfootsteps.output_dir\n")
    again = rerun.Rerun(run("one", script="read.py"), str(tmp_path / "again"))
    again.bring()
    laid = tmp_path / "again/big/data.csv"
    assert (laid.is_symlink(), laid.resolve()) == (True, project / "big/data.csv")


def test_a_variable_that_was_not_set_is_not_set_again(project, run, tmp_path):
    """One that changes what a program computes would else come from whoever reruns it."""
    project.write(
        "seed.py",
        "import os, footsteps\n"
        "print(os.environ.get('PYTHONHASHSEED'), file=open(footsteps.output_dir + 'seed', 'w'))\n",
    )
    run("one", script="seed.py", env={"PYTHONHASHSEED": None})
    done = command(project.path, "one", tmp_path / "again", "--yes", env={"PYTHONHASHSEED": "5"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/results/one/seed").read_text() == "None\n"


@pytest.mark.slow
def test_ignored_data_comes_to_no_place_outside_of_the_code(project, run, tmp_path):
    """Not over what the code has there, and not through a link of the code to somewhere else."""
    project.write("big/data.csv", "1, 2")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.csv").write_text("3, 4")
    (project / "away").symlink_to(elsewhere)
    names = ["train.py", "big/data.csv", "away/more.csv"]
    project.write(
        "read.py",
        f"import footsteps, os\n[open(n).read() for n in {names} if os.path.exists(n)]\n"
        "open(footsteps.output_dir + 'o', 'w').close()\n",
    )
    run("one", script="read.py")
    (project / "away").unlink()
    shutil.move(elsewhere, project / "away")
    elsewhere.mkdir()
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/big/data.csv").read_text() == "1, 2"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_what_was_left_out_of_the_record_is_repeated(project, run, tmp_path):
    """Before the question: its name and the reason."""
    project.write(".env", "TOKEN=x")
    run("one")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    told, _, _ = done.stderr.partition("will run")
    assert "would run" not in done.stderr
    assert "restored incompletely" in told
    assert "left out: .env" in told
    assert not (tmp_path / "again" / ".env").exists()


SECRETIVE = """\
import footsteps, sys, hashlib
with open(footsteps.output_dir + "seen", "w") as f:
    f.write(hashlib.sha256(repr(sys.argv[1:]).encode()).hexdigest())
"""
SECRETS = ["--token", "s3cret it's", "--url", "https://ada:pass@example.org/?api_key=k3y&n=1"]


@pytest.mark.slow
def test_credentials_are_asked_for_by_name(project, run, tmp_path):
    """The record has *** in their place; without a value nothing starts."""
    project.write("secretive.py", SECRETIVE)
    old = run("one", *SECRETS, script="secretive.py")
    again = rerun.Rerun(old, os.fspath(tmp_path / "again"))
    assert again.needed() == ["token", "url", "api_key"]
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert (done.returncode, "hint: --set token=VALUE" in done.stderr) == (2, True)
    given = ["--set", "token=s3cret it's", "--set", "url=ada:pass", "--set", "api_key=k3y"]
    done = command(project.path, "one", tmp_path / "again", "--yes", *given)
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_somebody_at_a_terminal_is_asked(project, run, terminal, tmp_path):
    """What would be run is shown; whoever does not say yes gets the code and no run."""
    pexpect = pytest.importorskip("pexpect")
    run("one")
    for place, answer, status in (("no", "", 1), ("yes", "y", 0)):
        child = terminal([sys.executable, "-m", "footsteps", "rerun", "one", tmp_path / place], cwd=project.path)
        child.expect("would run: cd")
        child.expect_exact("[y/N] ")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == status
        assert (tmp_path / place / "results" / "one").exists() == (answer == "y")


@pytest.mark.slow
def test_recorded_variables_that_matter_are_set_and_no_others(project, run, tmp_path):
    """A record can't bring LD_PRELOAD along, and the ranks of another job are not handed on."""
    project.write(
        "env.py",
        "import json, os, footsteps\njson.dump(dict(os.environ), open(footsteps.output_dir + 'env', 'w'))\n",
    )
    old = run("one", script="env.py", env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3", "KERAS_BACKEND": "jax"})
    facts = json.loads((project / "results/one/.footsteps/run.json").read_text())
    facts["environment"].update(LD_PRELOAD="/evil.so", EVIL="1")
    (project / "results/one/.footsteps/run.json").write_text(json.dumps(facts))
    command(project.path, "one", tmp_path / "again", "--yes", env={"PYTHONHASHSEED": "8", "RANK": "1"})
    seen = json.loads((tmp_path / "again" / "results" / "one" / "env").read_text())
    assert (seen["PYTHONHASHSEED"], seen["OMP_NUM_THREADS"], seen["KERAS_BACKEND"]) == ("7", "3", "jax")
    assert set(rerun.REPEATED) <= set(ENVIRONMENT)  # what was not recorded can't be set again
    assert not {"LD_PRELOAD", "EVIL", "RANK"} & set(seen)
    shown = rerun.Rerun(runs.load(old.directory), os.fspath(tmp_path / "shown")).command
    assert "PYTHONHASHSEED=7" in shown


def test_a_program_that_came_from_stdin_can_not_be_run_again(project, tmp_path):
    """What was not recorded is said, before anything is done."""
    subprocess.run(
        [sys.executable, "-"], input=b"import footsteps\nfootsteps.initialize('one')\n", cwd=project.path, check=True
    )
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 2
    assert "came from stdin" in done.stderr


def test_a_run_of_footsteps_0_1_is_run_again(project, tmp_path):
    """By its commit, its patch and its command, as far as they were recorded."""
    old = project / "results" / "old"
    old.mkdir(parents=True)
    lines = ["Command:", "train.py --lr 0.1", "System:", "host", "Python:", "/usr/bin/python", "Git Hash:"]
    lines += [project("describe", "--always"), "Uncommitted changes:", "Current working dir:", str(project.path)]
    (old / "info.txt").write_text("\n".join(lines) + "\n")
    (old / "weights.csv").write_text("6, 9, 42,1")
    done = command(project.path, "old", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert "identical\tweights.csv" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "words", "expected"),
    [
        (
            {"kind": "torchrun", "command": "/v/bin/python /v/bin/torchrun --nproc-per-node 2 train.py --lr 1"},
            ["-u", "train.py", "--lr", "1"],
            "PYTHON -m torch.distributed.run --nproc-per-node 2 train.py --lr 1",
        ),
        (
            {"kind": "torchrun", "command": "/v/bin/python -m torch.distributed.run --standalone train.py --lr 1"},
            ["-u", "train.py", "--lr", "1"],
            "PYTHON -m torch.distributed.run --standalone train.py --lr 1",
        ),
        (
            {"kind": "mpi", "command": "/usr/bin/mpiexec --bind-to core -n 2 /v/bin/python3 train.py --lr 1"},
            ["train.py", "--lr", "1"],
            "mpiexec --bind-to core -n 2 PYTHON train.py --lr 1",
        ),
        (
            {"kind": "mpi", "command": "mpirun -np 2 python -m mpi4py train.py --lr 1"},
            ["-m", "mpi4py", "train.py", "--lr", "1"],
            "mpirun -np 2 PYTHON -m mpi4py train.py --lr 1",
        ),
        (
            {"kind": "mpi", "command": "mpiexec -n 2 --bind-to none python -u -m train --lr :"},
            ["-u", "-m", "train", "--lr", ":"],
            "mpiexec -n 2 --bind-to none PYTHON -u -m train --lr :",
        ),
        (
            {"kind": "torchrun", "command": "/v/bin/python /v/bin/torchrun --nproc-per-node 2 -m train --lr 1"},
            ["-u", "-m", "train", "--lr", "1"],
            "PYTHON -m torch.distributed.run --nproc-per-node 2 -m train --lr 1",
        ),
        (
            {"kind": "mpi", "command": "mpiexec -n 1 python -u train.py --lr 1 : -n 1 --x 2 python3 train.py --lr 2"},
            ["-u", "train.py", "--lr", "1"],
            "mpiexec -n 1 PYTHON -u train.py --lr 1 : -n 1 --x 2 PYTHON train.py --lr 2",
        ),
        (
            {"kind": "mpi", "command": "mpiexec -n 1 python serve.py : -n 1 python train.py --lr 1"},
            ["train.py", "--lr", "1"],
            "mpiexec -n 1 PYTHON serve.py : -n 1 PYTHON train.py --lr 1",
        ),
        (
            {"kind": "mpi", "command": "/usr/bin/hydra_pmi_proxy --control-port a:1"},
            ["train.py", "--lr", "1"],
            "mpiexec -n 2 PYTHON train.py --lr 1",
        ),
        (
            {"kind": "slurm", "command": "'slurmstepd: [7.0]'"},
            ["train.py", "--lr", "1"],
            "srun --nodes 3 --ntasks 2 PYTHON train.py --lr 1",
        ),
    ],
)
def test_the_launchers_command_is_run_again_not_one_ranks(run, tmp_path, launcher, words, expected):
    """Options as they were, the program and the Python at their new places."""
    old = run("one", "--lr", "1")
    script = "train.py" if "train.py" in words else os.path.join(old.repository["path"], "train.py")
    old.facts.update(argv=[script, "--lr", "1"], orig_argv=["/v/bin/python", *words])
    old.facts["main"] = {"kind": "script", "path": os.path.join(old.repository["path"], "train.py")}
    old.facts["process"].update(launcher=launcher, world_size=2)
    old.facts["environment"]["SLURM_NNODES"] = "3"
    again = rerun.Rerun(old, os.fspath(tmp_path / "again"))
    assert any("the options of srun" in sentence for sentence in again.missing) == (launcher["kind"] == "slurm")
    assert " ".join(again.words).replace(sys.executable, "PYTHON") == expected


@pytest.mark.launcher
def test_ranks_are_run_again_by_mpiexec(project, tmp_path):
    """By as many as there were, into one new run."""
    if not shutil.which("mpiexec"):
        pytest.skip("needs mpiexec")
    rank = "os.environ.get('PMI_RANK') or os.environ['OMPI_COMM_WORLD_RANK']"
    project.write("ranks.py", f"import os, footsteps\nopen(footsteps.output_dir + ({rank}), 'w').close()\n")
    launch = ["mpiexec", "-n", "2", sys.executable, "ranks.py"]
    subprocess.run(launch, cwd=project.path, env={**os.environ, "FOOTSTEPS_NAME": "one"}, check=True)
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert [n for n in os.listdir(tmp_path / "again" / "results") if n[0] != "."] == ["one"]
    assert done.stdout.count("identical") == 4


@pytest.mark.launcher
def test_ranks_are_run_again_by_torchrun(project, tmp_path):
    """Two ranks share the new run as they shared the old."""
    pytest.importorskip("torch")
    project.write("ranks.py", "import os, footsteps\nopen(footsteps.output_dir + os.environ['RANK'], 'w').close()\n")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "ranks.py"]
    subprocess.run(launch, cwd=project.path, env={**os.environ, "FOOTSTEPS_NAME": "one"}, check=True)
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert [n for n in os.listdir(tmp_path / "again" / "results") if n[0] != "."] == ["one"]


# the environment


def wheel(folder, name, version):
    """A wheel of one module that tells its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A folder of wheels that is all that pip and uv can find."""
    folder = tmp_path / "wheels"
    wheel(folder, "tool", "1.0")
    wheel(folder, "tool", "2.0")
    for name, value in {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return folder


def with_packages(run, *packages):
    """The run, as if it had had these packages."""
    path = os.path.join(run.record, "run.json")
    with open(path) as file:
        facts = json.load(file)
    facts["packages"] = [dict(package) for package in packages]
    with open(path, "w") as file:
        json.dump(facts, file)
    return runs.load(run.directory)


@pytest.mark.slow
def test_the_environment_is_made_as_it_was_recorded(project, run, offered, tmp_path):
    """The recorded version of a package, though a newer one is offered; nothing of the environment around."""
    project.write("use.py", "import tool, footsteps\nopen(footsteps.output_dir + 'v', 'w').write(tool.version)\n")
    project.write("tool.py", "version = '1.0'\n")
    old = run("one", script="use.py")
    (project / "results/one/.footsteps/code/main/tool.py").unlink()
    facts = json.loads((project / "results/one/.footsteps/run.json").read_text())
    main = next(row for row in facts["repositories"] if row["name"] == "main")
    main["files"] = [row for row in main["files"] if row["path"] != "tool.py"]
    (project / "results/one/.footsteps/run.json").write_text(json.dumps(facts))
    with_packages(old, {"name": "tool", "version": "1.0"})
    done = command(project.path, "one", tmp_path / "again", "--env", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "results" / "one" / "v").read_text() == "1.0"
    new = runs.load(tmp_path / "again" / "results" / "one")
    assert new.facts["python"]["prefix"] == str(tmp_path / "again.env")
    assert new.packages["tool"] == "1.0"
    assert "numpy" not in new.packages


@pytest.mark.slow
def test_packages_that_can_not_be_had_are_named_before_anything_starts(run, offered, project, tmp_path):
    """Versions that nobody offers, local ones, names that are options; the rest is had."""
    run_of = with_packages(
        run("one"),
        {"name": "tool", "version": "3.0"},
        {"name": "torch", "version": "2.1+cu118"},
        {"name": "--index-url=http://evil", "version": "1"},
        {"name": "mine", "version": "1", "editable": True, "location": "/somewhere/mine"},
        {"name": "tool2", "version": "1", "direct_url": {"url": "ext::sh -c evil", "vcs_info": {"vcs": "git"}}},
    )
    missing = rerun.Rerun(run_of, os.fspath(tmp_path / "again"), environment=True).missing
    for words in (
        "tool==3.0: the index offers no wheel", "torch==2.1+cu118: the index offers no wheel",
        "this is no name and version",
        "mine: its editable install was in no recorded repository", "tool2 from ext::sh -c evil",
    ):  # fmt: skip
        assert any(words in sentence for sentence in missing), (words, missing)
    done = command(project.path, "one", tmp_path / "again", "--env")
    assert "can't be had: tool==3.0" in done.stderr
    assert not (tmp_path / "again.env").exists()


def test_packages_from_repositories_come_from_there(run, tmp_path, offered):
    """At their commit; an editable install at its restored place."""
    old = run("one")
    commit = "1a" * 20
    vcs = {"url": "https://example.org/tool.git", "vcs_info": {"vcs": "git", "commit_id": commit}}
    old.facts["packages"] = [
        {"name": "tool", "version": "1.0", "direct_url": vcs},
        {"name": "project", "version": "0", "editable": True, "location": old.repository["path"]},
    ]
    made = rerun.Rerun(old, os.fspath(tmp_path / "again"), environment=True).environment
    assert made.requirements == [
        f"tool @ git+https://example.org/tool.git@{commit}", f"-e file://{tmp_path}/again",
    ]  # fmt: skip


@pytest.mark.slow
def test_an_environment_is_made_by_uv_where_it_is_there(run, offered, project, tmp_path):
    """The same packages, faster."""
    if not shutil.which("uv"):
        pytest.skip("needs uv")
    with_packages(run("one"), {"name": "tool", "version": "1.0"})
    done = command(project.path, "one", tmp_path / "again", "--env", "--yes")
    assert done.returncode == 0, done.stderr
    assert "uv venv" in done.stderr
    assert runs.load(tmp_path / "again" / "results" / "one").packages["tool"] == "1.0"


@pytest.mark.slow
def test_what_can_not_be_installed_is_told_also_in_a_pipe(run, offered, project, tmp_path):
    """The list of what was wanted stays whole, and the rest is there."""
    commit = {"url": f"file://{tmp_path}/nowhere", "vcs_info": {"vcs": "git", "commit_id": "1a" * 20}}
    with_packages(
        run("one"), {"name": "mine", "version": "1", "direct_url": commit}, {"name": "tool", "version": "1.0"}
    )
    done = command(project.path, "one", tmp_path / "again", "--env", "--yes")
    assert done.returncode == 0, done.stderr
    assert "can't be had: " in done.stderr.partition("will run: cd")[2]
    assert f"git+file://{tmp_path}/nowhere" in done.stderr
    listed = (tmp_path / "again.env/requirements.txt").read_text()
    assert ["mine" in line or "tool" in line for line in listed.splitlines()] == [True, True]
    assert sorted(path.name for path in (tmp_path / "again.env").glob("*.one")) == []


@pytest.mark.slow
def test_a_wheel_that_lies_where_it_lay_is_installed_again(run, offered, tmp_path):
    """As a package of a local build was installed; by its hash, where that was recorded, the same one."""
    (path,) = offered.glob("tool-1.0-*.whl")
    old, url = run("one"), f"file://{path}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for archive, same in (({}, True), ({"hashes": {"sha256": digest}}, True), ({"hash": "sha256=12"}, False)):
        old.facts["packages"] = [
            {"name": "tool", "version": "1.0", "direct_url": {"url": url, "archive_info": archive}}
        ]
        made = rerun.Rerun(old, os.fspath(tmp_path / "again"), environment=True).environment
        assert made.requirements == [f"tool @ {url}" if same else "tool==1.0"]
        assert any("takes its place" in sentence for sentence in made.missing) == (not same)


@pytest.mark.slow
def test_a_program_that_lacks_a_package_is_told_so(run, offered, project, tmp_path):
    """At the end too, where it is looked for: it has made no run, and can't tell more."""
    project.write("use.py", "import tool3\nimport footsteps\nfootsteps.output_dir\n")
    project.write("tool3.py", "")
    old = run("one", script="use.py")
    (project / "results/one/.footsteps/code/main/tool3.py").unlink()
    with_packages(old, {"name": "tool3", "version": "3.0"})
    done = command(project.path, "one", tmp_path / "again", "--env", "--yes")
    assert done.returncode == 1
    said = done.stderr[done.stderr.index("ModuleNotFoundError") :]
    assert "the program made no run" in said
    assert "it may be why: tool3==3.0: the index offers no wheel" in said


def test_a_person_may_say_which_python_the_environment_is_made_from(run, offered, tmp_path):
    """Whatever version was recorded; that it is another one is told."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.99.1\n")
    python.chmod(0o755)
    again = rerun.Rerun(run("one"), str(tmp_path / "again"), environment=True, python=str(python))
    assert str(python) in again.preparations[0].split()
    assert any("3.99.1 takes its place" in sentence for sentence in again.missing)


def test_an_environment_is_never_made_over_another(run, offered, project, tmp_path):
    """Its packages would be among the recorded ones; without DEST the next free place is taken."""
    run("one")
    (tmp_path / "again.env").mkdir()
    done = command(project.path, "one", tmp_path / "again", "--env", "--yes")
    assert (done.returncode, "again.env' is there already" in done.stderr) == (2, True)
    assert not (tmp_path / "again").exists()
    (project / "again/one-rerun.env").mkdir(parents=True)
    assert "one-rerun-2 &&" in command(project.path, "one").stderr


@pytest.mark.slow
def test_of_an_environment_that_can_not_be_made_nothing_is_left(run, project, tmp_path, monkeypatch):
    """Half of one would look like one."""
    monkeypatch.setattr(environment, "found_on_path", lambda _: "")
    again = rerun.Rerun(with_packages(run("one")), str(tmp_path / "again"), environment=True, python=None)
    again.environment.base = str(
        project.write("python", "#!/bin/sh\nmkdir $3; echo full >&2; exit 1\n", executable=True)
    )
    with pytest.raises(rerun.FootstepsError, match="could not be made: full"):
        again.make_environment()
    assert not (tmp_path / "again.env").exists()


@pytest.mark.slow
def test_where_uv_can_not_get_the_recorded_python_the_nearest_takes_its_place(run, project, tmp_path):
    """It may only be known once it is tried; what became of it is told with its cause."""
    old = with_packages(run("one"))
    old.facts["python"]["version"] = "3.99.1"
    uv = tmp_path / "uv"
    uv.write_text(
        "#!/bin/sh\ncase \"$*\" in *3.99.1*) echo 'error: no' >&2; echo '  cause: offline' >&2; exit 1;; esac\n"
        f'exec {sys.executable} -m venv --without-pip "$4"\n'
    )
    uv.chmod(0o755)
    again = rerun.Rerun(old, str(tmp_path / "again"), environment=True)
    again.environment.uv, again.environment.base, again.environment.requirements = str(uv), "3.99.1", []
    again.make_environment()
    assert os.path.exists(tmp_path / "again.env/bin/python")
    assert again.missing[-2] == "error: no: offline: so not by uv"
    assert again.missing[-1].startswith("Python 3.99.1: ")


def test_nothing_that_is_recorded_is_built_before_somebody_agreed(run, project, tmp_path):
    """Whatever its address looks like: its build may do anything."""
    evil = type(project)(tmp_path / "evil==1").init()
    evil.write("setup.py", f"open({str(tmp_path / 'built')!r}, 'w').close()\n")
    vcs = {"vcs": "git", "commit_id": evil.commit()}
    with_packages(
        run("one"),
        {"name": "evil", "version": "1", "direct_url": {"url": f"file://localhost{evil.path}", "vcs_info": vcs}},
    )
    done = command(project.path, "one", tmp_path / "again", "--env")
    assert "hint: the same command with --yes" in done.stderr
    assert not (tmp_path / "built").exists()


def test_packages_come_from_where_they_came_or_it_is_told(run, tmp_path, offered):
    """A commit on this disk, a folder of a repository, the project itself; an index may have another of that name."""
    old = run("one")
    git = {"vcs": "git", "commit_id": "1a" * 20}
    old.facts["packages"] = [
        {"name": "near", "version": "1", "direct_url": {"url": "file:///srv/near", "vcs_info": git}},
        {
            "name": "part",
            "version": "1",
            "direct_url": {"url": "https://e.org/a", "vcs_info": git, "subdirectory": "b"},
        },
        {"name": "own", "version": "1", "direct_url": {"url": f"file://{old.repository['path']}", "dir_info": {}}},
        {"name": "tool", "version": "1.0", "direct_url": {"url": "file:///srv/tool", "dir_info": {}}},
        {"name": "setuptools", "version": "65.5.0"},
    ]
    made = rerun.Rerun(old, os.fspath(tmp_path / "again"), environment=True).environment
    assert made.requirements == [
        f"git+file:///srv/near@{'1a' * 20}#egg=near", f"part @ git+https://e.org/a@{'1a' * 20}#subdirectory=b",
        f"own @ file://{tmp_path}/again", "tool==1.0", "setuptools==65.5.0",
    ]  # fmt: skip
    told = [sentence.split(":", 1)[0] for sentence in made.missing]
    assert told[:2] == ["own as it was installed from file", "tool from file"]


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_commit_on_this_disk_is_installed(run, project, tmp_path, installer):
    """By pip, old or new, and by uv."""
    if installer == "uv" and not shutil.which("uv"):
        pytest.skip("needs uv")
    near = type(project)(tmp_path / "near").init()
    near.write("pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n')
    near.write("build.py", BACKEND)
    origin = {"url": f"file://{near.path}", "vcs_info": {"vcs": "git", "commit_id": near.commit()}}
    with_packages(run("one"), {"name": "near", "version": "1.0", "direct_url": origin})
    again = rerun.Rerun(runs.load(project / "results/one"), str(tmp_path / "again"), environment=True)
    again.environment.uv = again.environment.uv if installer == "uv" else ""
    again.make_environment()
    assert again.missing == []
    subprocess.run([again.python, "-c", "import near"], check=True, cwd="/")


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/near-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("near.py", "")
        archive.writestr("near-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: near\\nVersion: 1.0\\n")
        archive.writestr("near-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        archive.writestr("near-1.0.dist-info/RECORD", "")
    return "near-1.0-py3-none-any.whl"
"""


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_an_index_that_can_not_be_reached_is_not_one_that_lacks_a_package(run, tmp_path, monkeypatch, installer):
    """It is told before the question that nobody knows what will be had."""
    if installer == "uv" and not shutil.which("uv"):
        pytest.skip("needs uv")
    for name, value in {"INDEX_URL": "http://127.0.0.1:9", "RETRIES": "1", "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    if installer == "pip":
        monkeypatch.setattr(environment, "found_on_path", lambda _: "")
    old = run("one")
    old.facts["packages"] = [{"name": "no-such-package", "version": "1.0"}]
    missing = rerun.Rerun(old, str(tmp_path / "again"), environment=True).missing
    assert [sentence.partition(" (")[0] for sentence in missing] == [
        "packages, maybe: which of them can be had could not be asked"
    ]


@pytest.mark.slow
def test_packages_are_looked_for_in_the_python_that_is_used(run, offered, project, tmp_path):
    """An environment is a link to the same program as ours, and has other packages."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "tool==1.0"], check=True)
    old = with_packages(
        run("one"), {"name": "tool", "version": "1.0"}, {"name": "pytest", "version": pytest.__version__}
    )
    missing = rerun.Rerun(old, str(tmp_path / "again"), python=python).missing
    assert missing == [f"packages as they were: pytest {pytest.__version__} (none) here (--env makes an environment)"]
    assert "tool 1.0 (none)" in rerun.Rerun(old, str(tmp_path / "again")).missing[0]


@pytest.mark.slow
def test_what_would_be_built_is_shown_before_the_question(run, offered, project, tmp_path):
    """What an index has is installed as it is; what comes from an address of the record runs its own build."""
    origin = {"url": "https://example.org/x", "vcs_info": {"vcs": "git", "commit_id": "1a" * 20}}
    with_packages(
        run("one"), {"name": "mine", "version": "1", "direct_url": origin}, {"name": "tool", "version": "1.0"}
    )
    said = command(project.path, "one", tmp_path / "again", "--env").stderr.splitlines()
    assert f"would build and install: mine @ git+https://example.org/x@{'1a' * 20}" in said
    assert not any("tool" in line for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("inside", [True, False])
def test_a_console_script_is_the_one_of_the_environment_that_is_used(run, project, tmp_path, inside):
    """The recorded environment is gone in three years, and its folder was never part of the code."""
    venv = os.path.join(project.path if inside else "/srv", ".venv")
    old = run("one")
    old.facts["python"]["prefix"] = venv
    old.facts.update(argv=[f"{venv}/bin/train", "--lr", "1"], orig_argv=["/x", "-u", f"{venv}/bin/train", "--lr", "1"])
    old.facts["main"] = {"kind": "script", "path": f"{venv}/bin/train"}
    again = rerun.Rerun(old, str(tmp_path / "again"), environment=True)
    assert again.words[1:] == ["-u", str(tmp_path / "again.env/bin/train"), "--lr", "1"]
    without = rerun.Rerun(old, str(tmp_path / "again"))
    assert any("bin/train: it is not there" in sentence for sentence in without.missing)


@pytest.mark.parametrize("words", [["../data/a.csv"], ["--data=../data/a.csv"]])
def test_a_relative_argument_that_leads_elsewhere_now_is_named(run, project, tmp_path, words):
    """To data beside the project; a rerun beside the project finds it, one elsewhere does not."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1")
    project.write("read.py", "import sys, footsteps\nopen(sys.argv[1].split('=')[-1]).read()\nfootsteps.output_dir\n")
    old = run("one", *words, script="read.py")
    elsewhere = rerun.Rerun(old, str(tmp_path / "other/place"))
    assert elsewhere.missing == [
        f"../data/a.csv: it led to {tmp_path}/data/a.csv, and leads to {tmp_path}/other/data/a.csv here"
    ]
    assert rerun.Rerun(old, str(tmp_path / "again")).missing == []


PARSED = """\
import os
from footsteps import LTParser
if os.getcwd().endswith("changed"):
    open("lib.py", "a").write("#")
parser = LTParser("score")
parser.add_argument("--lr", type=float, default=0.1)
print(parser.parse_args().hash_code)
"""


@pytest.mark.slow
def test_a_record_of_arguments_is_compared_by_its_id(project, run_script, tmp_path):
    """It has no directory of results: of the same code there is nothing to compare, of other code the id is another."""
    project.write("parsed.py", PARSED)
    project.write("lib.py", "")
    project.commit("Parse")
    project("push", "--quiet")
    code = run_script(project / "parsed.py", "--lr", "0.3", cwd=project.path).stdout.strip()
    done = command(project.path, code, tmp_path / "again", "--yes")
    assert (done.returncode, "nothing to compare" in done.stderr) == (1, True)
    assert "the same" not in done.stderr
    assert "another id" not in done.stderr
    done = command(project.path, code, tmp_path / "changed", "--yes")
    assert done.returncode == 1
    assert "its code or arguments have another id: LT_" in done.stderr


@pytest.mark.slow
def test_a_record_of_arguments_is_compared_by_the_run_that_names_it(project, run_script, tmp_path):
    """Whose artifacts can be compared."""
    project.write(
        "both.py",
        "import footsteps\nargs = footsteps.LTParser().parse_args()\n"
        "open(footsteps.output_dir + 'o', 'w').write('1')\nprint(args.hash_code)\n",
    )
    project.commit("Parse and save")
    done = run_script(project / "both.py", cwd=project.path, env={"FOOTSTEPS_NAME": "one"})
    done = command(project.path, done.stdout.strip().splitlines()[-1], tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["identical\to\tidentical"]


def test_where_nothing_was_made_nothing_is_called_the_same(project, run, tmp_path):
    """A run without artifacts is not proven by having none again."""
    project.write("none.py", "import footsteps\nfootsteps.output_dir\n")
    run("one", script="none.py")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert (done.returncode, "nothing to compare" in done.stderr, "the same" in done.stderr) == (1, True, False)


def test_a_run_that_fails_as_it_did_then_with_the_same_files_is_the_same(project, run_script, tmp_path):
    """What is asked is whether it does again what it did."""
    project.write("fail.py", PROGRAM + "sys.exit(3)\n")
    done = run_script(project / "fail.py", cwd=project.path, env={"FOOTSTEPS_NAME": "one"})
    assert done.returncode == 3
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert (done.returncode, "exit status 3, as it did then" in done.stderr) == (0, True), done.stderr


@pytest.mark.slow
def test_files_in_the_project_outside_of_the_runs_directory_are_compared_too(project, run, tmp_path):
    """As long as nobody has written them since."""
    project.write(
        "elsewhere.py",
        "import footsteps, os\nfootsteps.output_dir\nopen('table.csv', 'w').write(os.environ.get('NUMBER', '1'))\n",
    )
    project.write(".gitignore", "results/\ntable.csv\n")
    run("one", script="elsewhere.py")
    for number, status in (("1", 0), ("2", 1)):
        done = command(project.path, "one", tmp_path / f"again{number}", "--yes", env={"NUMBER": number})
        assert done.returncode == status, done.stderr
        assert str(project / "table.csv") in done.stdout


def test_in_a_pipe_the_verdict_comes_after_its_table(project, run, tmp_path):
    """Where both go to one place, as in a log."""
    run("one")
    words = [sys.executable, "-m", "footsteps", "rerun", "one", os.fspath(tmp_path / "again"), "--yes"]
    done = subprocess.run(
        words, cwd=project.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.stdout.index("identical\tweights.csv") < done.stdout.index("footsteps: the same")


def test_whoever_interrupts_the_question_is_told_where_the_code_is(project, run, terminal, tmp_path):
    """As one who says no, on a line of its own."""
    pexpect = pytest.importorskip("pexpect")
    run("one")
    for key, status in (("c", 130), ("d", 1)):
        child = terminal([sys.executable, "-m", "footsteps", "rerun", "one", tmp_path / key], cwd=project.path)
        child.expect_exact("[y/N] ")
        child.sendcontrol(key)
        child.expect_exact("\r\nfootsteps: nothing was run; the code is in ")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == status


@pytest.mark.slow
def test_what_restore_would_note_is_told_as_well(project, run, tmp_path):
    """As that the working directory was in no repository."""
    old = run("one")
    path = project / "results/one/.footsteps/run.json"
    path.write_text(path.read_text().replace(f'"cwd": "{project.path}"', '"cwd": "/elsewhere"'))
    assert runs.load(old.directory).facts["cwd"] == "/elsewhere"
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert "it ran in '/elsewhere', which is part of no recorded repository" in done.stderr


@pytest.mark.slow
def test_a_program_that_starts_python_by_its_name_gets_the_same_one(project, run, tmp_path):
    """A driver that starts `python child.py` means that of its own environment, as under rerun."""
    project.write(
        "drive.py",
        "import shutil, footsteps\nopen(footsteps.output_dir + 'python', 'w').write(shutil.which('python'))\n",
    )
    run("one", script="drive.py")
    python = tmp_path / "it's $HOME" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = command(project.path, "one", tmp_path / "again", "--yes", "--python", python)
    assert done.returncode == 1, done.stderr  # the file names another Python
    assert (tmp_path / "again/results/one/python").read_text() == str(python)


def test_links_out_of_a_run_are_compared_by_where_they_lead(project, run, tmp_path):
    """Nothing is gone, though what lies there is no part of the run."""
    project.write(
        "link.py",
        "import os, footsteps\no = footsteps.output_dir\n"
        "os.symlink('/srv/data', o + 'a'); os.symlink('/srv/' + os.path.basename(os.getcwd()), o + 'b')\n",
    )
    run("one", script="link.py")
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.stdout.splitlines()[1:] == [
        "identical\ta\tby where the link leads; it was not followed",
        "different\tb\tby where the link leads; it was not followed",
    ]


@pytest.mark.slow
def test_a_script_behind_a_link_is_that_of_the_record(project, run_script, tmp_path):
    """A home that is a link, say: what runs again is the restored script, not the one that was edited since."""
    (tmp_path / "home link").symlink_to(project.path)
    script = "import footsteps\nopen(footsteps.output_dir + 'o', 'w').write('OLD')\n"
    project.write("linked.py", script)
    project.commit()
    done = run_script(tmp_path / "home link" / "linked.py", cwd=project, env={"FOOTSTEPS_NAME": "one"})
    assert done.returncode == 0, done.stderr
    project.write("linked.py", script.replace("OLD", "NEW"))
    done = command(project.path, "one", tmp_path / "again", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/results/one/o").read_text() == "OLD"
