"""A whole chain of runs again: each stage fed with what the one before it made now."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from pipelines import run_pipeline, write_project

from footsteps import FootstepsError
from footsteps.reader import runs
from footsteps.reproduce import chain, stages


@pytest.fixture
def project(repo):
    """A project with three pipelines, whose data are ignored by git."""
    write_project(repo)
    return repo


def command(where, *words, env=None):
    """The finished `footsteps rerun --chain` in a folder."""
    asked = [sys.executable, "-m", "footsteps", "rerun", "--chain", *map(os.fspath, words)]
    surroundings = {**os.environ, **(env or {})}
    return subprocess.run(
        asked, cwd=where, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
    )


def verdicts(done):
    """The verdict on each stage, of an answer in JSON."""
    return {row["run"]: row["verdict"] for row in json.loads(done.stdout)["stages"]}


@pytest.mark.slow
@pytest.mark.parametrize("which", ["figure", "fit", "table"])
def test_a_chain_is_repeated_to_the_same_bytes(project, run_script, tmp_path, which):
    """Three real pipelines; the runs and what they made are somewhere else by then."""
    figure = shutil.copy(run_pipeline(project, run_script, which), tmp_path)
    shutil.move(project / "results", tmp_path / "kept")
    done = command(tmp_path, figure, "again", "--yes", "-r", "kept", "--json")
    assert done.returncode == 0, done.stderr
    assert set(verdicts(done).values()) == {"same"}
    assert "footsteps: the same" in done.stderr
    last = json.loads(done.stdout)["stages"][-1]
    made = os.path.join(last["rerun"], os.path.basename(figure))
    with open(made, "rb") as new, open(figure, "rb") as old:
        assert new.read() == old.read()


NOISE = """\
import os, sys
import footsteps

text = open(sys.argv[1]).read() if sys.argv[1:] else "0"
if footsteps.footsteps.os.environ.get("FAIL") == os.path.basename(__file__):
    sys.exit(3)
with open(footsteps.output_dir + "out.txt", "w") as f:
    f.write(f"{float(text) + float(os.environ.get('NOISE_' + os.path.basename(__file__)[0], '1')):.1f}")
"""


@pytest.fixture
def noisy(project, run_script):
    """Three runs, a to b to c, whose programs add what their environment says; the last one's file."""
    words = []
    for name in "abc":
        project.write(f"{name}.py", NOISE)
        done = run_script(project / f"{name}.py", *words, cwd=project.path, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
        words = [f"results/{name}/out.txt"]
    return project / "results/c/out.txt"


@pytest.mark.slow
def test_each_stage_is_fed_with_what_was_made_now_and_the_first_difference_is_named(project, noisy, tmp_path):
    """The second program adds another number: the third one shows it, though it is the same."""
    done = command(project.path, noisy, tmp_path / "again", "--yes", "--json", env={"NOISE_b": "5"})
    assert done.returncode == 1
    assert verdicts(done) == {"a": "same", "b": "different", "c": "different"}
    assert (tmp_path / "again/3-c/results/c/out.txt").read_text() == "7.0"
    assert "the first difference arose in b: out.txt: 1 of 1 numbers differ, by 4 at most" in done.stderr


@pytest.mark.slow
def test_why_a_stage_may_have_made_something_else_is_told(project, run_script, tmp_path):
    """By what its code shows, of the first that did."""
    project.write("a.py", "import footsteps, uuid\nopen(footsteps.output_dir + 'o', 'w').write(str(uuid.uuid4()))\n")
    project.write("b.py", "import footsteps\nopen(footsteps.output_dir + 'o', 'w').write(open('results/a/o').read())\n")
    for name in "ab":
        assert run_script(project / f"{name}.py", cwd=project.path, env={"FOOTSTEPS_NAME": name}).returncode == 0
    done = command(project.path, project / "results/b/o", tmp_path / "again", "--yes", "--json")
    assert done.returncode == 1
    (reason,) = json.loads(done.stdout)["stages"][0]["reasons"]
    assert reason == "randomness of the system in a.py, line 2"
    assert f"it may be why: {reason}" in done.stderr


def test_what_follows_a_stage_that_failed_is_not_run(project, noisy, tmp_path):
    """It would read a file that is not there; it is never given the old one."""
    done = command(project.path, noisy, tmp_path / "again", "--yes", "--json", env={"FAIL": "b.py"})
    assert done.returncode == 1
    assert verdicts(done) == {"a": "same", "b": "failed", "c": "not run"}
    assert "the first difference arose in b: exit status 3" in done.stderr
    assert "b made no out.txt this time" in done.stderr
    assert not (tmp_path / "again/3-c").exists()


def test_no_environment_is_made_for_a_chain_whose_inputs_are_gone(project, run_script, tmp_path):
    """Nor is anything restored; with `--anyway` it goes on."""
    data, record = tmp_path / "data.csv", project / "results/r/.footsteps/run.json"
    data.write_text("one, two")
    project.write(
        "read.py", "import sys, footsteps\nopen(footsteps.output_dir + 'o', 'w').write(open(sys.argv[1]).name)\n"
    )
    surroundings = {"FOOTSTEPS_NAME": "r", "FOOTSTEPS_KEEP_INPUTS": "0"}
    run_script(project / "read.py", data, cwd=project.path, env=surroundings)
    record.write_text(json.dumps({**json.loads(record.read_text()), "packages": []}))
    data.unlink()
    chosen = ("results/r/o", tmp_path / "again", "--yes", "--env")
    done = command(project.path, *chosen)
    said = "1 of the inputs can't be had: no environment was made (--anyway makes them)"
    assert (done.returncode, said in done.stderr, os.path.exists(tmp_path / "again")) == (1, True, False), done.stderr
    done = command(project.path, *chosen, "--anyway")
    assert (done.returncode, said in done.stderr, os.path.exists(tmp_path / "again/1-r.env")) == (1, False, True)


@pytest.mark.slow
def test_reuse_runs_only_what_has_to_run(project, noisy, tmp_path):
    """What the last stage reads is still there with its hash; once it is not, its maker is run."""
    done = command(project.path, noisy, tmp_path / "one", "--yes", "--json", "--reuse")
    assert done.returncode == 0, done.stderr
    assert verdicts(done) == {"a": "not needed", "b": "reused", "c": "same"}
    (project / "results/b/out.txt").write_text("changed")
    done = command(project.path, noisy, tmp_path / "two", "--yes", "--json", "--reuse")
    assert done.returncode == 0, done.stderr
    assert verdicts(done) == {"a": "reused", "b": "same", "c": "same"}


@pytest.mark.slow
def test_reuse_goes_on_where_an_earlier_attempt_ended(project, noisy, tmp_path):
    """The files of the first attempt are used, though the recorded ones are gone."""
    done = command(project.path, noisy, tmp_path / "again", "--yes", env={"FAIL": "c.py"})
    assert done.returncode == 1
    for name in "ab":
        (project / f"results/{name}/out.txt").unlink()
    refused = command(project.path, noisy, tmp_path / "again", "--yes", "--reuse")
    assert (refused.returncode, "hint: rm -r " in refused.stderr) == (2, True)
    for path in (tmp_path / "again").glob("3-c*"):
        shutil.rmtree(path)
    done = command(project.path, noisy, tmp_path / "again", "--yes", "--json", "--reuse")
    assert done.returncode == 0, done.stderr
    assert verdicts(done) == {"a": "not needed", "b": "reused", "c": "same"}


@pytest.mark.slow
def test_a_script_of_the_chain_does_the_same(project, noisy, tmp_path):
    """By sh alone, with footsteps for the code."""
    done = command(project.path, noisy, tmp_path / "again", "--script")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "again").exists()
    ran = subprocess.run(["sh"], input=done.stdout, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    made = tmp_path / "again/3-c/results/c/out.txt"
    assert made.read_text() == "3.0"
    assert ran.stdout.splitlines()[-1] == f"made: {made}"


def test_nothing_is_written_or_run_before_somebody_agreed(project, noisy, tmp_path):
    """All that would be run is shown."""
    done = command(project.path, noisy, tmp_path / "again")
    assert done.returncode == 2
    assert done.stderr.count("would run: cd ") == 3
    assert "hint: the same command with --yes" in done.stderr
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_an_absolute_path_in_the_command_leads_to_what_was_made_now(project, run_script, tmp_path):
    """And so does a relative one that led out of the code."""
    outside = tmp_path / "runs"
    program = NOISE.replace(
        "import footsteps\n", f"import footsteps\nfootsteps.initialize(output_root={str(outside)!r})\n"
    )
    words = []
    for name in "ab":
        project.write(f"{name}.py", program)
        done = run_script(project / f"{name}.py", *words, cwd=project.path, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
        words = [os.path.relpath(outside / "a/out.txt", project.path)]
    again = stages.ChainRerun(chain.of_file(str(outside / "b/out.txt"), [str(outside)]), str(tmp_path / "again"))
    for step in again.steps:
        assert again.bring(step), step.note
        again.execute(step)
    assert [step.verdict for step in again.steps] == ["same", "same"]
    read = again.steps[1].result.new.inputs
    assert [entry["path"] for entry in read] == [str(outside / "a-1/out.txt")]


@pytest.mark.slow
def test_a_stage_that_did_not_read_what_was_made_now_is_not_the_same(project, run_script, tmp_path):
    """Its program has the old path in it."""
    project.write("a.py", NOISE)
    project.write(
        "b.py", NOISE.replace("sys.argv[1:]", "1").replace("sys.argv[1]", f"'{project.path}/results/a/out.txt'")
    )
    for name in "ab":
        done = run_script(project / f"{name}.py", cwd=project.path, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
    done = command(project.path, "b", tmp_path / "again", "--yes", "--json")
    assert verdicts(done) == {"a": "same", "b": "different"}
    assert "it did not read what was made now" in done.stderr


@pytest.mark.slow
def test_data_that_are_gone_are_named_before_their_stage_is_run(project, run_script, tmp_path, monkeypatch):
    """Of the first stage too, when the last one is asked for."""
    monkeypatch.setenv("FOOTSTEPS_KEEP_INPUTS", "0")  # else they are found beside the runs
    figure = run_pipeline(project, run_script, "figure")
    (project / "data/raw.csv").unlink()
    done = command(project.path, figure, tmp_path / "again", "--yes", "--json")
    gone = f"can't be had: {project.path}/data/raw.csv: this input is gone"
    assert 0 < done.stderr.index(gone) < done.stderr.index("train: failed")
    assert verdicts(done) == {"train": "failed", "evaluate": "not run", "figure": "not run"}


def test_runs_that_read_each_other_are_refused(project, noisy, tmp_path):
    """No order would be right."""
    one = project / "results/a"
    (one / ".footsteps/inputs-x.jsonl").write_text(
        json.dumps({**runs.load(project / "results/c").artifacts[0], "path": str(project / "results/c/out.txt")}) + "\n"
    )
    outcome = json.loads((one / ".footsteps/outcome.json").read_text())
    outcome["ended"] = "2100-01-01T00:00:00+00:00"
    (one / ".footsteps/outcome.json").write_text(json.dumps(outcome))
    found = chain.of_file(str(noisy), [str(project / "results")])
    with pytest.raises(FootstepsError, match="they read each other's files"):
        stages.ChainRerun(found, str(tmp_path / "again"))


def test_a_file_that_nobody_made_has_no_chain(project, tmp_path):
    """Exit status 2, and what to ask."""
    done = command(project.path, project / "data/raw.csv", tmp_path / "again")
    assert done.returncode == 2
    assert "no run is known to have made" in done.stderr
