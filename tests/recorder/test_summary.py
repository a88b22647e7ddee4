"""info.txt can be read from top to bottom; results do not get into git's way."""

from __future__ import annotations

from footsteps.reader import runs

PROGRAM = """
import argparse
import footsteps
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
args = parser.parse_args()
footsteps.initialize("unet")
for step in range(3):
    footsteps.record(step=step, loss=1 / (step + 1), note="x\\nOutcome:")
"""


def test_a_long_diff_is_told_in_short_and_is_whole_in_the_record(repo, run_script):
    """Its stat, its first lines, where the rest is; the reader gives all of it."""
    repo.write("long.py", "".join(f"a = {number}\n" for number in range(2000)))
    repo.commit()
    repo.write("long.py", "".join(f"b = {number}\n" for number in range(2000)))
    assert run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "unet"}).returncode == 0
    text = (repo / "results/unet/info.txt").read_text()
    assert text.count("\n") < 400
    assert " long.py | +2000 -2000\n 1 file changed, +2000 -2000\n" in text
    assert "(it goes on in .footsteps/uncommitted.diff)" in text
    whole = runs.load(repo / "results/unet").diff
    assert (repo / "results/unet/.footsteps/uncommitted.diff").read_bytes() == whole
    repo("checkout", "--", "long.py")
    repo("apply", "--check", "-", stdin=whole)


def test_the_end_of_info_begins_with_outcome_arguments_and_results(tmp_path, run_script):
    """A line each, whatever a value holds."""
    assert run_script(PROGRAM, "--lr", "0.1").returncode == 0
    lines = (tmp_path / "results/unet/info.txt").read_text().splitlines()
    closing = lines[lines.index("Outcome:") :]
    assert closing[1:3] == ["finished", "arguments: lr=0.1"]
    assert closing[3].startswith("results: step=2 loss=0.333333 note=x\\")
    assert closing[4].startswith("ended ")
    assert lines.count("Outcome:") == 1


def test_a_new_root_in_a_repository_is_ignored_by_git(repo, run_script):
    """Once: what is there already is not touched, and a line in pyproject.toml says no."""
    assert run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "unet"}).returncode == 0
    assert repo("status", "--short") == ""
    (repo / "results/.gitignore").unlink()
    assert run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "unet"}).returncode == 0
    assert not (repo / "results/.gitignore").exists()
    repo.write("pyproject.toml", "[tool.footsteps]\ngitignore = false\n")
    other = "import footsteps\nfootsteps.initialize('a', 'other/')\n"
    assert run_script(other, cwd=repo).returncode == 0
    assert not (repo / "other/.gitignore").exists()


def test_a_root_outside_of_repositories_has_no_gitignore(tmp_path, run_script):
    """Nobody asked for one."""
    assert run_script("import footsteps\nfootsteps.initialize('a')\n").returncode == 0
    assert not (tmp_path / "results/.gitignore").exists()
