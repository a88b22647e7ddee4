"""Runs are read back from every format ever written, found, ordered, and selected by a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import at, make_run, this_process

from footsteps.reader import formats, runs
from footsteps.recorder.format import FootstepsError

RECORDS = Path(__file__).parents[1] / "records"
FORMATS = sorted(path.name for path in RECORDS.iterdir() if path.is_dir())


def names(found):
    """The names of some runs, sorted."""
    return sorted(run.name for run in found)


@pytest.mark.parametrize("folder", FORMATS)
def test_every_format_ever_written_reads_as_it_did_when_it_was_new(folder):
    """The sample records, never edited once released, read as the JSON beside them says."""
    roots = runs.default_roots(str(RECORDS / folder))
    expected = json.loads((RECORDS / folder / "expected.json").read_text())
    found = {run.name: {**run.everything(), "diff": run.diff.decode()} for run in runs.find(roots)}
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert {key: found[name].get(key) for key in wanted} == wanted


def test_older_formats_take_their_time_from_the_file():
    """A record that does not say when it began is dated by its own file."""
    folder = RECORDS / "LiteTracer" / "lt_records"
    run = next(runs.find([str(folder)]))
    settings = folder / run.name / f"settings_{run.name}.txt"
    assert run.start == pytest.approx(settings.stat().st_mtime, abs=1)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_truncated_record_is_a_problem_and_not_an_exception(tmp_path, cut):
    """What run.json no longer tells, info.txt does, and the damage is said."""
    run = make_run(tmp_path / "results/a", command="train.py")
    path = run / ".footsteps/run.json"
    path.write_bytes(path.read_bytes()[: min(cut, path.stat().st_size - 1)])
    (run / "info.txt").write_text("Command:\ntrain.py\nSystem:\nhere\n")
    read = runs.load(run)
    assert (read.command, read.facts["host"]) == ("train.py", "here")
    assert {problem.kind for problem in read.damage} == {formats.DAMAGED}


@pytest.mark.parametrize("content", ["[]", "7", '"x"', "null", "[" * 100000, "\0", ""])
def test_foreign_json_is_tolerated_wherever_it_stands(tmp_path, content):
    """No file of a record can make reading it raise."""
    run = make_run(tmp_path / "a")
    for name in ("run", "outcome", "late", "bundles"):
        (run / f".footsteps/{name}.json").write_text(content)
    for name in ("recorded.jsonl", "inputs-x-1.jsonl"):
        (run / ".footsteps" / name).write_text(content + "\n")
    everything = runs.load(run).everything()
    assert everything["status"] == "unknown"
    assert everything["damage"]


def test_facts_of_the_wrong_type_read_as_missing(tmp_path):
    """A list where an object was, a number where a text was: no exception, no nonsense."""
    wrong = dict.fromkeys(
        ("arguments", "packages", "repositories", "process", "started", "id", "code_id", "parent"),
        7,
    )
    run = runs.load(make_run(tmp_path / "a", outcome={"artifacts": 3, "duration": "x"}, **wrong))
    assert (run.arguments, run.packages, run.repositories, run.parents) == ({}, {}, [], [])
    assert (run.start, run.id, run.artifacts, run.duration, run.commit) == (0.0, "", [], None, "")


def test_a_newer_format_is_shown_as_far_as_it_is_understood(tmp_path):
    """A record from the future is a problem of its own kind, and its known facts are there."""
    run = runs.load(make_run(tmp_path / "a", format=99, command="train.py"))
    assert run.command == "train.py"
    assert [problem.kind for problem in run.damage] == [formats.NEWER]


@pytest.mark.parametrize("name", ["run.json", "outcome.json", "bundles.json"])
def test_a_pipe_or_a_device_in_a_record_is_not_waited_for(tmp_path, name):
    """One file of a stranger's record can't hold up, or fill the memory of, whoever lists runs."""
    record = tmp_path / "x/.footsteps"
    record.mkdir(parents=True)
    (record / "run.json").write_text('{"format": 1, "name": "x", "repositories": []}')
    for make in (lambda path: path.symlink_to("/dev/null"), os.mkfifo):
        (record / name).unlink(missing_ok=True)
        make(record / name)
        run = runs.load(record.parent)
        assert run.status
        assert run.repositories == []
        assert {problem.detail for problem in run.damage} & {"no plain file", "a link, which is not followed"}


def test_a_running_process_is_running_and_its_number_taken_by_another_is_not(tmp_path):
    """The pid counts only together with the process's creation time."""
    alive = runs.load(make_run(tmp_path / "a", **this_process()))
    reused = runs.load(make_run(tmp_path / "b", **this_process(ticks=1)))
    assert (alive.status, reused.status) == ("running", "died")


def test_the_clock_may_jump_where_there_are_no_ticks(tmp_path):
    """Without Linux's ticks the creation time by psutil decides."""
    import psutil

    created = psutil.Process().create_time()
    alive = runs.load(make_run(tmp_path / "a", **this_process(ticks=None, created=created)))
    reused = runs.load(make_run(tmp_path / "b", **this_process(ticks=None, created=created - 99)))
    assert (alive.status, reused.status) == ("running", "died")


def test_a_killed_run_died(tmp_path):
    """A process killed without a chance to say so is not running for ever."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    facts = this_process(pid=child.pid, ticks=runs.start_ticks(child.pid))
    directory = make_run(tmp_path / "a", **facts)
    assert runs.load(directory).status == "running"
    child.kill()
    child.wait()
    child.stdin.close()
    assert runs.load(directory).status == "died"


def test_a_run_before_a_reboot_died_and_one_of_another_host_is_unknown(tmp_path):
    """Another boot of this host ended it; another host's processes can't be seen from here."""
    rebooted = this_process(boot_id="another")
    elsewhere = {**rebooted, "host": "another"}
    assert runs.load(make_run(tmp_path / "a", **rebooted)).status == "died"
    assert runs.load(make_run(tmp_path / "b", **elsewhere)).status == "unknown"


def test_no_outcome_is_asked_of_a_copied_heart(tmp_path):
    """A record that was never to have an outcome is unknown, not died."""
    facts = this_process(boot_id="another")
    run = runs.load(make_run(tmp_path / "a", outcome_expected=False, **facts))
    assert run.status == "unknown"


def test_late_values_go_over_earlier_ones(tmp_path):
    """Arguments parsed after the run began and values recorded twice read as the last."""
    lines = [
        ("arguments", {"lr": 0.2}),
        ("recorded", {"accuracy": 0.5, "loss": 1}),
        ("recorded", {"accuracy": 0.9}),
    ]
    run = runs.load(make_run(tmp_path / "a", arguments={"lr": 0.1, "seed": 1}, recorded=lines))
    assert run.arguments == {"lr": 0.2, "seed": 1}
    assert run.recorded == {"accuracy": 0.9, "loss": 1}


def test_a_command_line_tells_its_arguments():
    """Options, flags, several values, Hydra's settings, and negative numbers."""
    words = [
        "model.name=unet",
        "--lr",
        "-0.1",
        "--size=3",
        "-v",
        "--files",
        "a=1",
        "b",
        "--dry-run",
    ]
    assert formats.arguments_in(words) == {
        "lr": "-0.1",
        "size": "3",
        "v": True,
        "model.name": "unet",
        "files": ["a=1", "b"],
        "dry-run": True,
    }


def test_runs_are_found_in_groups_in_links_and_inside_of_runs(tmp_path):
    """Any depth of groups, a run named below another, a root that is a link; each once."""
    root = tmp_path / "results"
    for name in ("a", "group/deep/er/b", "a/inner"):
        make_run(root / name)
    make_run(tmp_path / "elsewhere/old")
    (root / "archive").symlink_to(tmp_path / "elsewhere")
    (root / "latest").symlink_to("a")
    (tmp_path / "link").symlink_to(root)
    wanted = ["a", "a/inner", "archive/old", "group/deep/er/b"]
    assert names(runs.find([str(root)])) == wanted
    assert names(runs.find([str(tmp_path / "link")])) == wanted
    assert names(runs.find([str(root), str(tmp_path / "link")])) == wanted


def test_loops_of_links_end(tmp_path):
    """Links to folders above, and to each other, are walked no further and said."""
    root = tmp_path / "results"
    make_run(root / "a")
    make_run(tmp_path / "not-mine/b")
    (root / "up").symlink_to("..")
    (root / "here").symlink_to(".")
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    problems = []
    assert names(runs.find([str(root)], problems)) == ["a"]
    assert {problem.kind for problem in problems} == {runs.LOOP}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_directory_is_a_problem(tmp_path):
    """What can't be opened is named; the rest is found."""
    make_run(tmp_path / "results/a")
    closed = tmp_path / "results/closed"
    closed.mkdir(mode=0)
    record = make_run(tmp_path / "results/b") / ".footsteps"
    record.chmod(0)
    problems = []
    found = {run.name: run for run in runs.find([str(tmp_path / "results")], problems)}
    assert sorted(found) == ["a", "b"]
    assert [problem.path for problem in problems] == [str(closed)]
    assert found["b"].status == "unknown"
    assert {problem.kind for problem in found["b"].damage} == {formats.CLOSED}
    record.chmod(0o700)


def test_directories_that_are_no_runs_are_passed_by(tmp_path):
    """Strangers' folders, also ones with an info.txt of their own, are no runs."""
    (tmp_path / "results/cache").mkdir(parents=True)
    (tmp_path / "results/cache/info.txt").write_text("something else")
    (tmp_path / "results/file").write_text("")
    assert list(runs.find([str(tmp_path / "results")])) == []


def test_newest_first_goes_by_when_a_run_began(tmp_path):
    """The start that was recorded decides, in whatever zone it was written."""
    make_run(tmp_path / "r/early", started="2026-11-22T12:00:00+05:00")
    make_run(tmp_path / "r/late", started="2026-11-22T09:00:00Z")
    make_run(tmp_path / "r/never")
    ordered = runs.newest_first(runs.find([str(tmp_path / "r")]))
    assert [run.name for run in ordered] == ["late", "early", "never"]


@pytest.fixture
def roots(tmp_path):
    """A few runs below results/ and one in lt_records/."""
    facts = {"code_id": "c" * 64, "id": "20261122T100000Z-11111111"}
    make_run(tmp_path / "results/unet", started=at(1), **facts)
    make_run(tmp_path / "results/unet-1", started=at(2), code_id="d" * 64)
    make_run(tmp_path / "results/exp/knee", started=at(3), argument_facts={"hash_code": "LT_x_LT"})
    make_run(tmp_path / "lt_records/LT_delta-00_base-11_LT", started=at(0), kind="arguments")
    return runs.default_roots()


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("unet", "unet"),
        ("unet/", "unet"),
        ("results/unet-1", "unet-1"),
        ("./results/exp/knee/", "exp/knee"),
        ("unet-", "unet-1"),
        ("knee", "exp/knee"),
        ("kn", "exp/knee"),
        ("exp", "exp/knee"),
        ("@", "exp/knee"),
        ("@~1", "unet-1"),
        ("@~", "unet-1"),
        ("@~2", "unet"),
        ("dddd", "unet-1"),
        ("20261122T10", "unet"),
        ("LT_x_LT", "exp/knee"),
        ("LT_delta-00", "LT_delta-00_base-11_LT"),
    ],
)
def test_a_run_is_selected_as_a_person_names_it(roots, selector, name):
    """By name, path, unique prefix, @ and @~N, code id and hash code."""
    run = runs.select(selector, roots)
    assert (run.name, os.path.isdir(run.directory)) == (name, True)


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("une", ["'une' fits 2 runs: 'unet-1', 'unet'", "hint: footsteps show unet-1"]),
        ("umet", ["no run 'umet'", "did you mean 'unet'", "hint: footsteps list"]),
        ("@~9", ["no run '@~9': 4 recorded"]),
        ("@1", ["cannot read '@1'", "@~1 the one before"]),
        ("", ["no run ''"]),
    ],
)
def test_a_selector_that_fits_no_single_run_is_explained(roots, selector, said):
    """The candidates or the nearest names are listed, and the last line is a command."""
    with pytest.raises(FootstepsError) as caught:
        runs.select(selector, roots)
    for words in said:
        assert words in str(caught.value)


def test_a_run_keeps_its_name_when_it_is_read_by_path(tmp_path):
    """The recorded name tells the root; a moved run is named after where it lies now."""
    make_run(tmp_path / "results/exp/knee", name="exp/knee")
    make_run(tmp_path / "moved", name="exp/knee")
    assert runs.load(tmp_path / "results/exp/knee").name == "exp/knee"
    assert runs.load(tmp_path / "moved").name == "moved"


def test_versions_are_ordered_as_people_count():
    """Numbers by value, pre-releases before and post-releases after their version."""
    ordered = ["0.9", "1.9", "1.10.dev1", "1.10a2", "1.10rc1", "1.10", "1.10.post1", "1.10.1", "2"]
    assert sorted(set(ordered), key=formats.version_key) == ordered
    assert formats.version_key("2.0") == formats.version_key("2") == formats.version_key("v2.0.0+cu121")
