"""A run that died goes on in its directory; one that lives, or has finished, is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from footsteps.reader import runs

PROGRAM = """
import os, sys, footsteps
footsteps.initialize("unet", resume=True)
start = len(open(footsteps.output_dir + "steps").readlines()) if os.path.exists(footsteps.output_dir + "steps") else 0
for step in range(start, start + 2):
    footsteps.record(step=step, loss=1.0 / (step + 1))
    print(step, file=open(footsteps.output_dir + "steps", "a"))
print("ready", flush=True)
if sys.argv[1] == "wait":
    sys.stdin.readline()
"""


def started(folder):
    """A process that has recorded two steps and waits."""
    process = subprocess.Popen(
        [sys.executable, "script.py", "wait"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while "ready" not in process.stdout.readline():
        pass
    return process


def test_a_run_that_was_killed_goes_on_as_one_run_with_two_sessions(tmp_path, run_script):
    """A record of its own for each; what the first has written stays; refused while it lives; over when finished."""
    (tmp_path / "script.py").write_text(PROGRAM)
    first = started(tmp_path)
    refused = run_script(tmp_path / "script.py", "go")
    assert refused.returncode == 1
    assert f"process {first.pid} still writes to it" in refused.stderr
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = (tmp_path / "results/unet/.footsteps/run.json").read_bytes()
    done = run_script(tmp_path / "script.py", "go")
    assert (done.returncode, "going on in results/unet/ (session-2)" in done.stderr) == (0, True), done.stderr
    assert os.listdir(tmp_path / "results") == ["unet"]
    assert (tmp_path / "results/unet/.footsteps/run.json").read_bytes() == before
    second = json.loads((tmp_path / "results/unet/.footsteps/session-2/run.json").read_text())
    assert second["id"] != json.loads(before)["id"]
    run = runs.load(tmp_path / "results/unet")
    assert (run.status, len(run.sessions)) == ("finished", 2)
    assert run.series("loss").steps == [0, 1, 2, 3]
    info = (tmp_path / "results/unet/info.txt").read_text()
    assert info.index("Resumed (session-2):") < info.index("Outcome:")
    assert run_script(tmp_path / "script.py", "go").returncode == 0
    assert sorted(os.listdir(tmp_path / "results")) == ["unet", "unet-1"]


def test_the_variable_wants_it_too_and_a_failure_may_be_resumed(tmp_path, run_script):
    """For programs that don't say so themselves; without it a new run begins."""
    program = "import footsteps\nfootsteps.initialize('a')\n1 / 0\n"
    run_script(program)
    run_script(program, env={"FOOTSTEPS_RESUME": "1"})
    assert os.listdir(tmp_path / "results") == ["a"]
    run_script(program)
    assert sorted(os.listdir(tmp_path / "results")) == ["a", "a-1"]


def test_an_option_that_there_is_not_is_refused(run_script):
    """As Python does."""
    done = run_script("import footsteps\nfootsteps.initialize('a', consle=True)\n")
    assert done.returncode == 1
    assert "unexpected keyword argument 'consle'" in done.stderr


@pytest.mark.slow
def test_each_session_of_a_resumed_run_is_restored_with_its_own_code(repo, run_script):
    """The first where none is named, and it is said that there are others; also when the clone is gone."""
    for version, commit in ((1, True), (2, False), (3, True)):
        program = f"import footsteps\nfootsteps.initialize('unet', resume=True)\nversion = {version}\n"
        (repo / "script.py").write_text(program + "1 / (version // 3)\n")
        if commit:
            repo("add", "script.py")
            repo("commit", "-qm", f"version {version}")
        run_script(repo / "script.py", cwd=repo)

    def restored(*words):
        command = [sys.executable, "-m", "footsteps", *words]
        return subprocess.run(command, cwd=repo, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    first = restored("restore", "unet", "again/first")
    assert first.returncode == 0, first.stderr
    assert "has 3 sessions; this is the code of the first" in first.stderr
    os.rename(repo / ".git", repo / "gone")
    for number in (1, 2, 3):
        done = restored("restore", "unet", f"again/{number}", "--session", str(number))
        assert (done.returncode, "sessions" in done.stderr) == (0, False), done.stderr
        assert f"version = {number}\n" in (repo / f"again/{number}/script.py").read_text()
    assert "version = 1\n" in (repo / "again/first/script.py").read_text()
    none = restored("restore", "unet", "again/4", "--session", "4")
    assert (none.returncode, "has no session 4: there are 3" in none.stderr) == (2, True), none.stderr
    assert not (repo / "again/4").exists()


RESUMED = """import sys
import footsteps
footsteps.initialize('unet', resume=True)
with open(footsteps.output_dir + 'made.txt', 'w') as file:
    print(VERSION, *sys.argv[1:], file=file)
sys.exit(VERSION - 2)
"""


@pytest.mark.slow
def test_each_session_of_a_resumed_run_is_run_again_with_its_own_code_and_arguments(repo, run_script):
    """The first where none is named, and it is said so; of a later one also that its beginning can't be had."""
    for version, argument in ((1, "one"), (2, "two")):
        (repo / "script.py").write_text(RESUMED.replace("VERSION", str(version)))
        run_script(repo / "script.py", argument, cwd=repo, env={"LANG": f"C.UTF-{version}"})

    def rerun(place, *words):
        command = [sys.executable, "-m", "footsteps", "rerun", "unet", place, "--yes", *words]
        return subprocess.run(command, cwd=repo, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    second = rerun("second", "--session", "2")
    assert (second.returncode, "footsteps: the same\n" in second.stderr) == (0, True), second.stderr
    assert (repo / "second/results/unet/made.txt").read_text() == "2 two\n"
    assert " LANG=C.UTF-2 " in second.stderr
    assert "unet as the earlier sessions left it" in second.stderr
    first = rerun("first")
    assert "has 2 sessions; the first is repeated (--session 2: the last)" in first.stderr
    assert (repo / "first/results/unet/made.txt").read_text() == "1 one\n"
    assert (first.returncode, "as the earlier sessions left it" in first.stderr) == (1, False), first.stderr
    none = rerun("third", "--session", "3")
    assert (none.returncode, "has no session 3: there are 2" in none.stderr) == (2, True), none.stderr
    assert not (repo / "third").exists()
    chain = rerun("third", "--chain", "--session", "2")
    assert (chain.returncode, "--session is for one run" in chain.stderr) == (2, True), chain.stderr
