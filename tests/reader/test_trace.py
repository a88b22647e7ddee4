"""Which run made a file, and which runs read it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_compare import png

from footsteps.cli import main
from footsteps.reader import runs, trace

RECORDS = Path(__file__).parents[1] / "records"

PROGRAM = """\
import sys
import footsteps

with open(footsteps.output_dir + sys.argv[1], "w") as f:
    f.write(" ".join(sys.argv[2:]))
"""


@pytest.fixture
def project(repo, remote):
    """A project whose program writes its arguments into a file of its run."""
    repo.write("write.py", PROGRAM)
    repo.commit("Write")
    repo("push", "--quiet")
    return repo


@pytest.fixture
def run(project, run_script):
    """A function that runs a program in the project, under a name."""

    def run(name, *arguments, script="write.py"):
        done = run_script(project / script, *arguments, cwd=project.path, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
        return project / "results" / name

    return run


def found_in(project, path):
    """The names of the runs that made it with how that is known, and of those that read it."""
    found = trace.trace(os.fspath(path), [os.fspath(project / "results")])
    return {each.name: each.how for each in found.made}, [each.name for each in found.read]


def test_a_copied_and_renamed_file_is_known_by_its_content(project, run, tmp_path):
    """In a paper's folder, under another name."""
    made = run("one", "a.txt", "first")
    run("two", "a.txt", "second")
    figure = tmp_path / "figure3.dat"
    shutil.copyfile(made / "a.txt", figure)
    assert found_in(project, figure) == ({"one": ["content"]}, [])


def test_several_makers_are_all_listed_newest_first(project, run):
    """Which of them it was, nobody can tell from the content."""
    made = [run(name, "a.txt", "same") for name in ("one", "two", "three")]
    copy = project.write("copy", (made[0] / "a.txt").read_bytes())
    assert list(found_in(project, copy)[0]) == ["three", "two", "one"]


def test_nobody_made_a_strangers_file(project, run, tmp_path):
    """Of the same size, with other bytes."""
    run("one", "a.txt", "first")
    (tmp_path / "other").write_text("worst")
    assert found_in(project, tmp_path / "other") == ({}, [])


def test_runs_that_read_a_file_are_told(project, run):
    """By the inputs that they noted."""
    made = run("one", "a.txt", "first")
    project.write("read.py", "import sys, footsteps\nopen(sys.argv[1]).read(), footsteps.output_dir\n")
    run("reader", made / "a.txt", script="read.py")
    assert found_in(project, made / "a.txt") == ({"one": ["content", "place"]}, ["reader"])


def test_an_artifact_that_was_not_hashed_is_hashed_once_into_the_cache(project, run, tmp_path):
    """The record stays as it is; the next look asks the cache."""
    made = run("one", "a.txt", "first")
    outcome = made / ".footsteps" / "outcome.json"
    facts = json.loads(outcome.read_text())
    facts["artifacts"][0]["sha256"] = None
    outcome.write_text(json.dumps(facts))
    before = outcome.read_bytes()
    copy = project.write("copy", "first")
    assert found_in(project, copy) == ({"one": ["content"]}, [])
    assert outcome.read_bytes() == before
    kept = list((tmp_path / "home" / ".cache" / "footsteps" / "hashes").iterdir())
    assert len(kept) == 1
    kept[0].write_text("0" * 64)
    assert found_in(project, copy) == ({}, [])  # the cache was asked, not the file


def test_a_cache_that_can_not_be_written_is_done_without(project, run, tmp_path, monkeypatch):
    """A file stands where its folder should be."""
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = run("one", "a.txt", "first")
    (made / ".footsteps" / "outcome.json").unlink()
    copy = project.write("copy", "first")
    assert found_in(project, copy) == ({"one": ["content"]}, [])


def test_a_run_that_was_killed_is_known_by_what_lies_there(project, run):
    """Without a manifest, by the files in its directory."""
    made = run("one", "a.txt", "first")
    (made / ".footsteps" / "outcome.json").unlink()
    copy = project.write("copy", "first")
    assert found_in(project, copy) == ({"one": ["content"]}, [])


FIGURES = """\
import sys
import footsteps
import matplotlib.pyplot as plt

for kind in ("png", "pdf", "svg"):
    plt.plot([1, 2, 4])
    plt.savefig(f"figure.{kind}", metadata=footsteps.metadata(kind))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "g\u00f6del (1)"])
def test_figures_know_their_run(project, run, name):
    """By their metadata, as no run has them in its directory."""
    pytest.importorskip("matplotlib")
    project.write("figures.py", FIGURES)
    run(name, script="figures.py")
    for kind in ("png", "pdf", "svg"):
        made, _ = found_in(project, project / f"figure.{kind}")
        assert made == {name: ["metadata"]}, kind


@pytest.mark.parametrize("told", ["=1", "<3", "2026", ""])
def test_a_figure_whose_id_is_none_tells_of_no_run(project, run, told):
    """It is not read as an expression, and the beginning of an id is not every run that began so."""
    run("one", "a.txt")
    figure = project.write("figure.png", png([(0, 0, 0)], b"footsteps:id\0" + told.encode()))
    assert trace.run_from_metadata(os.fspath(figure)) == {}
    assert found_in(project, figure) == ({}, [])


@pytest.mark.slow
def test_a_figure_whose_run_is_not_here_still_tells_its_name(project, run):
    """The run was moved away; its name and id stand in the figure."""
    pytest.importorskip("matplotlib")
    project.write("figures.py", FIGURES)
    run_id = runs.load(run("one", script="figures.py")).id
    shutil.rmtree(project / "results")
    for kind in ("png", "pdf", "svg"):
        found = trace.trace(os.fspath(project / f"figure.{kind}"), [])
        assert [(each.run, each.name, each.id) for each in found.made] == [(None, "one", run_id)]


def test_a_litetracer_hash_in_a_name_leads_to_its_record(project, tmp_path):
    """Also in the name of a folder above the file, and in records of LiteTracer's own."""
    code = "LT_delta-5f2a9c_base-c41d07_LT"
    record = project / "lt_records" / code
    record.mkdir(parents=True)
    (record / f"settings_{code}.txt").write_text("--lr 0.1")
    for path in (tmp_path / f"loss_{code}.png", tmp_path / code / "loss.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("figure")
        found = trace.trace(os.fspath(path), [os.fspath(project / "lt_records")])
        assert [(each.name, each.how) for each in found.made] == [(code, ["name"])]


def test_the_command_answers_with_one_if_nobody_made_it(project, run):
    """0 and rows for a file of a run, 1 and a sentence for another, 2 for none."""
    run("one", "a.txt", "first")
    project.write("copy", "first")

    def trace_command(*words):
        command = [sys.executable, "-m", "footsteps", "trace", *words]
        return subprocess.run(command, cwd=project.path, capture_output=True, text=True)

    known = trace_command("copy")
    assert (known.returncode, known.stdout.splitlines()[1].split("\t")[:2]) == (0, ["made by", "one"])
    answer = json.loads(trace_command("copy", "--json").stdout)
    assert [(each["name"], each["path"]) for each in answer["made"]] == [("one", "a.txt")]
    stranger = trace_command("write.py")
    assert stranger.returncode == 1
    assert "no run in 'results/'" in stranger.stderr
    assert trace_command("nothing").returncode == 2


@pytest.mark.parametrize(
    ("record", "own"),
    [
        ("footsteps 0.1/results/fixed_experiment_name", "sample_project.py"),
        ("LiteTracer/lt_records/LT_delta-5f2a9c_base-c41d07_LT", "untracked/models/wide.py"),
        ("LiteTracer/lt_records/LT_delta-5f2a9c_base-c41d07_LT", "diff.patch"),
        (
            "LiteTracer/lt_records/LT_delta-5f2a9c_base-c41d07_LT",
            "settings_LT_delta-5f2a9c_base-c41d07_LT.txt",
        ),
    ],
)
def test_what_an_older_recorder_kept_is_nothing_that_the_run_made(tmp_path, record, own):
    """The script and the untracked files were there before; a copy of one traces to no run."""
    kept = tmp_path / "runs" / os.path.basename(record)
    shutil.copytree(RECORDS / record, kept)
    copy = tmp_path / "copy"
    copy.write_bytes((kept / own).read_bytes() if (kept / own).exists() else b"import footsteps")
    (kept / own).write_bytes(copy.read_bytes())
    (kept / "made.csv").write_text("made")
    (tmp_path / "made").write_text("made")
    assert trace.trace(os.fspath(copy), [os.fspath(tmp_path / "runs")]).made == []
    assert len(trace.trace(os.fspath(tmp_path / "made"), [os.fspath(tmp_path / "runs")]).made) == 1


def test_of_raw_data_it_is_told_which_runs_do_not_know_all_that_they_read(project, run, tmp_path, capsys):
    """A library that opens files unseen: "nobody read it" would be a false word."""
    project.write("soundfile.py", "def read(name): return open(name).read()\n")  # another one than is followed
    project.write("unsure.py", PROGRAM + "import soundfile\n")
    data = tmp_path / "data.csv"
    data.write_text("1,2\n")
    words = ["trace", str(data), "--root", str(project / "results")]
    run("sure", "a.txt", "first")
    assert main(words) == 1
    assert "may have read it" not in capsys.readouterr().err
    run("unsure", "a.txt", "first", script="unsure.py")
    assert main(words) == 1
    assert "'unsure' may have read it too: not all that it read" in capsys.readouterr().err
