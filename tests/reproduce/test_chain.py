"""The chain of runs that leads to a file: found, and told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from made_runs import at, make_run
from pipelines import run_pipeline, write_project

from footsteps.reader import formats, runs
from footsteps.reproduce import chain


@pytest.fixture
def project(repo):
    """A project with three pipelines, whose data are ignored by git."""
    write_project(repo)
    return repo


def command(where, *words):
    """The finished `footsteps trace` in a folder."""
    asked = [sys.executable, "-m", "footsteps", "trace", *map(os.fspath, words)]
    return subprocess.run(asked, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")


def sha256(words):
    """The hash of a text."""
    return hashlib.sha256(words.encode()).hexdigest()


def made(path, words, **facts):
    """An artifact's or an input's row in a record."""
    return {"path": path, "size": len(words), "mtime_ns": 1, "sha256": sha256(words), **facts}


def record(root, name, hour, *, artifacts=(), inputs=(), elsewhere=(), parents=()):
    """Write a run by hand that began at an hour and took half of one."""
    began = formats.seconds(at(0)) + 3600 * hour
    facts = {"id": f"20261122T000000Z-{sha256(name)[:8]}", "started": formats.iso_time(began)}
    outcome = {
        "status": "finished", "ended": formats.iso_time(began + 1800), "artifacts": list(artifacts),
        "written_elsewhere": list(elsewhere), "inputs_complete": True,
    }  # fmt: skip
    parents = [("parent", parent) for parent in parents]
    directory = make_run(root / name, outcome=outcome, recorded=parents, **facts)
    (directory / ".footsteps/inputs-a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in inputs))
    return runs.load(directory)


def names(found):
    """The runs of a chain, makers first."""
    return [stage.run.name for stage in found.stages]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "stages"),
    [
        ("figure", ["train", "evaluate", "figure"]),
        ("fit", ["generate", "fit"]),
        ("table", ["preprocess", "slow", "fast", "table"]),
    ],
)
def test_a_copied_figure_tells_every_run_down_to_raw_data(project, run_script, which, stages):
    """Of three real pipelines, also where a stage hands on a file outside of its directory."""
    figure = run_pipeline(project, run_script, which)
    done = command(project.path, figure, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["chain"]
    assert [run["name"] for run in told["runs"]] == stages
    raw = {os.path.relpath(file["path"], project.path): (file["state"], file["sha256"]) for file in told["raw"]}
    data = {name: project.read(name) for name in raw}
    assert raw == {name: ("unchanged", hashlib.sha256(words).hexdigest()) for name, words in data.items()}
    assert set(raw) == {"figure": {"data/raw.csv", "data/test.csv"}, "fit": set(), "table": {"data/raw.csv"}}[which]
    assert not any(read["guessed"] for run in told["runs"] for read in run["reads"])


@pytest.mark.slow
def test_a_tree_is_shown_on_a_terminal_and_on_request(project, run_script, terminal):
    """In a pipe the rows stay what they were."""
    figure = run_pipeline(project, run_script, "figure")
    shown = command(project.path, figure, "--tree").stdout.splitlines()
    assert shown[0] == "paper/fig3.svg"
    assert shown[1].startswith("\u2514\u2500 made by figure  ")
    assert shown[2].startswith("   \u2514\u2500 scores.json, made by evaluate  ")
    assert shown[3].startswith("      \u251c\u2500 weight.txt, made by train  ")
    assert shown[4].startswith("      \u2502  \u2514\u2500 data/raw.csv  18 B  sha256 ")
    assert shown[5].startswith("      \u2514\u2500 data/test.csv  8 B  sha256 ")
    assert shown[5].endswith("  is there as it was")
    assert "\u2514" not in command(project.path, figure).stdout
    child = terminal([sys.executable, "-m", "footsteps", "trace", figure], cwd=project.path)
    child.expect("scores.json, made by evaluate")
    child.expect("weight.txt, made by train")


def test_moved_runs_are_known_by_content_and_gone_data_are_named(project, run_script, tmp_path):
    """The clone is gone; the figure lies in a paper's folder, the runs in an archive."""
    figure = shutil.copy(run_pipeline(project, run_script, "figure"), tmp_path / "fig.svg")
    shutil.move(project / "results", tmp_path / "kept")
    shutil.rmtree(project.path)
    found = chain.of_file(figure, [str(tmp_path / "kept")])
    assert names(found) == ["train", "evaluate", "figure"]
    assert {use.how for stage in found.stages for use in stage.uses if use.maker} == {"content"}
    assert {use.state for use in found.raw} == {"beside"}
    shutil.rmtree(tmp_path / "kept/.footsteps-inputs")
    found = chain.of_file(figure, [str(tmp_path / "kept")])
    assert {use.state for use in found.raw} == {"gone"}


def test_data_that_the_record_holds_is_said_to_be_kept(project, run_script):
    """An untracked file that is not ignored was copied with the code."""
    project.write(".gitignore", "results/\n")
    project.commit("Data are not ignored", everything=False)
    figure = run_pipeline(project, run_script, "figure")
    shutil.rmtree(project / "data")
    found = chain.of_file(figure, [str(project / "results")])
    assert {os.path.basename(use.path): use.state for use in found.raw} == {"raw.csv": "kept", "test.csv": "kept"}


def test_a_shared_stage_is_told_once(tmp_path):
    """Two trainings read what one run cleaned, one table reads both."""
    root = tmp_path / "results"
    clean = made(f"{root}/clean/rows", "rows")
    record(root, "clean", 1, artifacts=[made("rows", "rows")], inputs=[made("/data/raw", "raw")])
    record(root, "a", 2, artifacts=[made("w", "wa")], inputs=[clean])
    record(root, "b", 3, artifacts=[made("w", "wb")], inputs=[clean])
    table = record(root, "table", 4, inputs=[made(f"{root}/{name}/w", f"w{name}") for name in "ab"])
    found = chain.of_run(table, [str(root)])
    assert names(found) == ["clean", "a", "b", "table"]
    lines = list(chain.tree(found))
    assert sum("/data/raw" in line for line in lines) == 1
    assert sum("rows, made by clean" in line for line in lines) == 2
    assert sum("see above" in line for line in lines) == 1


@pytest.mark.slow
def test_a_chain_of_thousands_of_runs_ends(tmp_path):
    """Neither recursion nor time that grows with its square."""
    root = tmp_path / "results"
    last = None
    for n in range(1200):
        inputs = [made(f"{root}/{n - 1}/w", f"w{n - 1}")] if n else []
        last = record(root, str(n), n, artifacts=[made("w", f"w{n}")], inputs=inputs)
    found = chain.of_run(last, [str(root)])
    assert len(found.stages) == 1200
    assert sum(1 for _ in chain.tree(found)) >= len(found.stages)
    assert chain.mermaid(found).count("-->") >= len(found.stages)


def test_a_file_that_is_overwritten_again_and_again_ends_at_its_first_writer(tmp_path):
    """Each run reads state.txt and writes it anew; only its path and time are known of the earlier ones."""
    root, state = tmp_path / "results", str(tmp_path / "state.txt")
    for hour in (1, 2, 3):
        noon = int(formats.seconds(at(hour - 1)) * 1e9) + 10**9
        inputs = [{"path": state, "size": 1, "mtime_ns": noon, "sha256": None}]
        last = record(root, f"n{hour}", hour, inputs=inputs, elsewhere=[state])
    found = chain.of_run(last, [str(root)])
    assert names(found) == ["n1", "n2", "n3"]
    assert [use.how for stage in found.stages for use in stage.uses] == ["", "path and time", "path and time"]
    assert not found.cycle


def test_runs_that_read_each_other_are_named(tmp_path):
    """Two runs that lived at the same time: no order is right, and the tree ends."""
    root = tmp_path / "results"
    one = record(root, "one", 1, artifacts=[made("a", "a")], inputs=[made(f"{root}/two/b", "b")])
    record(root, "two", 1, artifacts=[made("b", "b")], inputs=[made(f"{root}/one/a", "a")])
    found = chain.of_run(one, [str(root)])
    assert sorted(stage.run.name for stage in found.cycle) == ["one", "two"]
    assert len(list(chain.tree(found))) < 6


def test_what_only_a_path_says_is_marked_as_a_guess(tmp_path):
    """The file was not hashed, and its time is not that of the run that is said to have written it."""
    root, data = tmp_path / "results", str(tmp_path / "clean.csv")
    record(root, "clean", 1, elsewhere=[data])
    train = record(root, "train", 2, inputs=[{"path": data, "size": 1, "mtime_ns": 1, "sha256": None}])
    found = chain.of_run(train, [str(root)])
    assert names(found) == ["clean", "train"]
    assert "perhaps made by (same path, content unknown) clean" in "\n".join(chain.tree(found))
    assert found.row()["runs"][1]["reads"][0]["guessed"] is True
    assert "-.->" in chain.mermaid(found)
    assert "style=dashed" in chain.graphviz(found)


def test_of_several_makers_the_one_whose_path_was_read_is_taken(tmp_path):
    """The same bytes were made three times, once too late."""
    root = tmp_path / "results"
    for name, hour in (("first", 1), ("second", 2), ("late", 9)):
        record(root, name, hour, artifacts=[made("w", "same")])
    by_path = record(root, "by_path", 5, inputs=[made(f"{root}/first/w", "same")])
    copied = record(root, "copied", 5, inputs=[made("/elsewhere/w", "same")])
    assert names(chain.of_run(by_path, [str(root)])) == ["first", "by_path"]
    assert names(chain.of_run(copied, [str(root)])) == ["second", "copied"]


def test_names_can_not_break_a_drawing_or_a_terminal(tmp_path):
    """Quotes, brackets, markup, line ends, escape sequences."""
    root = tmp_path / "results"
    evil = 'a"];\n x --> y\x1b[31m<b>`#'
    last = record(root, "run", 1, inputs=[made(f"/data/{evil}", "x")])
    found = chain.of_run(last, [str(root)])
    for drawn, lines in ((chain.mermaid(found), 4), (chain.graphviz(found), 6)):
        assert len(drawn.splitlines()) == lines
        assert "\x1b" not in drawn
    assert '"]' not in chain.mermaid(found).splitlines()[2][:-2]


def test_graphviz_and_mermaid_are_printed_alone(project, run_script):
    """So that they can be piped into what draws them."""
    figure = run_pipeline(project, run_script, "fit")
    assert command(project.path, figure, "--mermaid").stdout.startswith("flowchart LR\n")
    drawn = command(project.path, figure, "--graphviz").stdout
    assert drawn.startswith("digraph chain {\n")
    assert drawn.endswith("}\n")
