"""Expressions find runs by anything that was recorded, whatever wrote the record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from made_runs import at, make_run, this_process

from footsteps.reader import expressions, formats, index, runs, search
from footsteps.recorder.format import FootstepsError

RECORDS = Path(__file__).parents[1] / "records"


@pytest.fixture(params=["directories", "index", "warm index"])
def way(request, monkeypatch):
    """How answers are found: from the directories alone, by a new index, by one that was there."""
    if request.param != "directories":
        monkeypatch.setattr(index, "INDEX_FROM", 0)
    return request.param


@pytest.fixture
def roots(tmp_path, way):
    """Three runs with arguments, recorded values and packages."""
    make_run(
        tmp_path / "results/exp/one",
        started=at(1),
        host="lab-7",
        code_id="c0ffee" + "0" * 58,
        arguments={"lr": 0.1, "optimizer": {"name": "sgd"}, "batch-size": 12, "layers": [64, 32]},
        packages=[{"name": "numpy", "version": "1.26.4"}],
        python={"version": "3.9.1"},
        outcome={"status": "finished", "duration": 2.0},
        recorded=[("recorded", {"accuracy": 0.5}), ("recorded", {"accuracy": 0.9})],
    )
    make_run(
        tmp_path / "results/two",
        started="2026-11-23T01:00:00+00:00",
        arguments={"lr": 1e-3, "optimizer": {"name": "Adam"}, "nesterov": True, "shift": -0.5},
        packages=[{"name": "numpy", "version": "2.1.0"}],
        python={"version": "3.11.7"},
        outcome={"status": "failed", "exception": {"type": "ValueError", "message": "no data"}},
        repositories=[{"name": "main", "role": "cwd", "commit": "f6afeb8" + "0" * 33}],
    )
    make_run(tmp_path / "results/three", started=at(3), arguments={"note": None, "lr": "auto"})
    if way == "warm index":
        list(search.known(["results"]))
    return ["results"]


def found(roots, *include, exclude=()):
    """The names of the runs that match, newest first."""
    return [run.name for run in search.search(roots, include, exclude)]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("lr:0.1", ["exp/one"]),
        ("lr==0.10", ["exp/one"]),
        ("lr=0.1", ["exp/one"]),
        ("name:exp/", ["exp/one"]),
        ("name:t*", ["two", "three"]),
        ("lr:1e-3", ["two"]),
        ("lr<0.1", ["two"]),
        ("lr<=0.1", ["two", "exp/one"]),
        ("lr>0.001", ["exp/one"]),
        ("lr>=.001", ["two", "exp/one"]),
        ("lr:auto", ["three"]),
        ("shift<-0.25", ["two"]),
        ("shift>-0.25", []),
        ("optimizer.name:sgd", ["exp/one"]),
        ("name:sgd", ["exp/one"]),
        ("--batch-size:12", ["exp/one"]),
        ("batch_size<13", ["exp/one"]),
        ("layers:64", ["exp/one"]),
        ("layers:64 32", ["exp/one"]),
        ("layers:[64,32]", ["exp/one"]),
        ("layers==[64, 32]", ["exp/one"]),
        ("layers:(64, 32)", ["exp/one"]),
        ("layers:[32,64]", []),
        ("layers<40", ["exp/one"]),
        ("nesterov:true", ["two"]),
        ("nesterov==True", ["two"]),
        ("note:None", ["three"]),
        ("accuracy>0.8", ["exp/one"]),
        ("accuracy:0.5", []),
        ("package.numpy<2", ["exp/one"]),
        ("package.numpy>=1.26", ["two", "exp/one"]),
        ("package.numpy:1.26", ["exp/one"]),
        ("package.numpy==1.26", []),
        ("python<3.10", ["exp/one"]),
        ("python:3", ["two", "exp/one"]),
        ("code:c0ffee", ["exp/one"]),
        ("commit:f6afeb8", ["two"]),
        ("host:lab-7", ["exp/one"]),
        ("status:failed", ["two"]),
        ("status:unknown", ["three"]),
        ("duration<3", ["exp/one"]),
        ("started>2026-11-22", ["two"]),
        ("started<=2026-11-22T02", ["exp/one"]),
        ("exception:ValueError: no data", ["two"]),
        ("valueerror", ["two"]),
        ("ADAM", ["two"]),
        ("optimizer", ["two", "exp/one"]),
        ("numpy", []),
        ("exp/", ["exp/one"]),
        ("lr<99999999999999999999", ["two", "exp/one"]),
        ("lr>nan", []),
        ("exception:none", ["three", "exp/one"]),
        ("commit:none", ["three", "exp/one"]),
    ],
)
def test_an_expression_finds_what_it_says(roots, expression, names):
    """Operators the right way round, numbers as numbers, versions as versions, words anywhere."""
    assert found(roots, expression) == names


def test_all_of_include_and_none_of_exclude_must_hold(roots):
    """Conditions are joined by and; one excluded is enough to be out."""
    assert found(roots, "lr<=0.1", "package.numpy>=1") == ["two", "exp/one"]
    assert found(roots, "lr<=0.1", exclude=["optimizer.name:sgd", "lr:auto"]) == ["two"]
    assert found(roots, exclude=["lr:auto"]) == ["two", "exp/one"]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("host!=lab-7", "`!=` is no comparison; --exclude host:lab-7 is"),
        ("host!==lab-7", "`!==` is no comparison; --exclude host:lab-7 is"),
        (":0.1", "no name before the operator"),
        ("lr<", "no value after the operator"),
        ("lr!=0.1", "--exclude lr:0.1 is"),
        ("lr=<3", "`=<` is no comparison; lr<=3 is"),
        ("lr:<3", "`:<` is none"),
        ("lr<>3", "`<>` is none"),
        ("lr===3", "`===` is none"),
        ("", "empty"),
    ],
)
def test_an_expression_that_cannot_be_read_says_what_would_do(expression, said):
    """One sentence with the reason and a hint with examples."""
    with pytest.raises(FootstepsError) as caught:
        expressions.parse(expression)
    assert said in str(caught.value)
    assert "hint: lr:0.1" in str(caught.value)


@pytest.mark.parametrize(
    ("include", "exclude", "count"),
    [
        (["sgd"], ["bsz:12", "git_label:f6afeb8"], 0),
        (["sgd"], ["bsz:12"], 1),
        (["git_label:f6afeb8"], ["sgd"], 1),
        (["layers>=64", "lr<0.1"], [], 1),
        (["finnicky-command-line-argument:true"], [], 1),
        (["commit:288b9ca"], [], 2),
        (["package.prompt_toolkit:3.0"], [], 1),
    ],
)
def test_the_history_of_both_older_tools_can_be_searched(way, include, exclude, count):
    """Records of LiteTracer and footsteps 0.1 answer on the first day, the seed's call too."""
    folders = [str(RECORDS / f) for f in ("LiteTracer/lt_records", "footsteps 0.1/results")]
    assert len(search.search(folders, include, exclude)) == count


@pytest.mark.parametrize(
    ("include", "said"),
    [
        (["LR:0.1"], "'LR' (did you mean 'lr'?)"),
        (["pakage.numpy<2"], "'pakage.numpy' (did you mean 'package.numpy'?)"),
        (["optimiser.name:sgd"], "'optimiser.name' (did you mean 'optimizer.name'?)"),
        (["lr:0.1", "xyz<3"], "'xyz'"),
        (["lr:7"], ""),
        (["numpy<1", "status:lost", "word"], ""),
    ],
)
def test_a_name_that_no_run_has_is_told_with_what_is_like_it(roots, include, said):
    """A misspelt one is no reason to believe that no such run was made."""
    assert search.unheard_of(roots, include) == said


def test_a_name_that_only_a_removed_run_had_is_one_that_no_run_has(tmp_path, roots):
    """Though the index has not forgotten it."""
    shutil.rmtree(tmp_path / "results/two")
    assert search.unheard_of(roots, ["nesterov:True"]).startswith("'nesterov'")


def test_a_run_and_the_record_of_its_arguments_are_one_hit(tmp_path, way):
    """Also where the run is none, as for what it recorded later; a record without a run here is a hit itself."""
    told = {"arguments": {"lr": 0.1}, "argument_facts": {"hash_code": "LT_delta-00_base-11_LT"}}
    make_run(tmp_path / "results/unet", started=at(2), recorded=[("recorded", {"loss": 9})], **told)
    record = make_run(tmp_path / "lt_records/LT_delta-00_base-11_LT", started=at(1), kind="arguments", **told)
    told["argument_facts"] = {"hash_code": "LT_delta-00_base-22_LT"}
    alone = make_run(tmp_path / "lt_records/LT_delta-00_base-22_LT", started=at(1), kind="arguments", **told)
    roots = [str(tmp_path / "lt_records"), str(tmp_path / "results")]
    assert [run.name for run in search.search(iter(roots), ["lr:0.1"])] == ["unet", alone.name]
    assert [run.name for run in search.search(roots, ["lr:0.1"], ["loss>5"])] == [alone.name]
    assert {run.name for run in search.search(roots[:1], ["lr:0.1"])} == {record.name, alone.name}


def test_what_varies_between_runs_is_told_in_order(roots):
    """Only names whose values differ, a missing one being a difference, in recorded order."""
    some = runs.newest_first(runs.find(roots))[:2]
    assert expressions.varying(some) == ["lr", "optimizer.name", "nesterov", "shift", "note"]
    assert expressions.varying(some[:1]) == []


def test_few_runs_need_no_index(tmp_path):
    """The cache stays empty until an index is worth its file."""
    make_run(tmp_path / "results/a")
    assert len(search.search(["results"], ["a"])) == 1
    assert not Path(index.cache_directory()).exists()


def test_many_folders_that_are_no_runs_are_worth_an_index(tmp_path, monkeypatch):
    """To look into each of them takes longest, and nothing of them is told."""
    monkeypatch.setattr(index, "INDEX_FROM", 20)
    make_run(tmp_path / "results/a")
    for number in range(20):
        (tmp_path / f"results/data{number}").mkdir()
    assert [run.name for run in search.known(["results"])] == ["a"]
    assert Path(index.index_file("results")).exists()
    make_run(tmp_path / "results/data7")
    assert {run.name for run in search.known(["results"])} == {"a", "data7"}


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """A function that names the runs found by an index, which is there from the first call on."""
    monkeypatch.setattr(index, "INDEX_FROM", 0)

    def ask(*include, problems=None):
        found = {run.name for run in search.search(["results"], include, problems=problems)}
        assert found <= {run.name for run in search.known(["results"])}
        assert Path(index.index_file("results")).exists()
        return sorted(found)

    make_run(tmp_path / "results/a", started=at(1), arguments={"lr": 1})
    assert ask() == ["a"]
    return ask


def settle(*directories):
    """Make directories look as if they had been changed long ago, as most have."""
    for directory in directories:
        os.utime(directory, (1e9, 1e9))


@pytest.mark.parametrize("fresh", [True, False])
def test_the_index_follows_what_happens_to_directories(tmp_path, indexed, fresh):
    """Runs and groups that come, go, or take another's name are seen at the next question."""
    root = tmp_path / "results"
    if not fresh:
        settle(root)
        assert indexed() == ["a"]
    make_run(root / "group/b", arguments={"lr": 2})
    assert indexed() == ["a", "group/b"]
    make_run(root / "group/c", arguments={"lr": 3})
    assert indexed("lr>=2") == ["group/b", "group/c"]
    shutil.rmtree(root / "group/b")
    assert indexed() == ["a", "group/c"]
    shutil.move(root / "a", tmp_path / "elsewhere")
    make_run(root / "a", arguments={"lr": 9})
    assert indexed("lr:1") == []
    assert indexed("lr:9") == ["a"]
    (root / "group").rename(root / "renamed")
    assert indexed() == ["a", "renamed/c"]
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    assert indexed("lr:1") == ["linked"]
    make_run(root / "a/inside")
    assert indexed() == ["a", "a/inside", "linked", "renamed/c"]
    shutil.rmtree(root)
    root.mkdir()
    assert indexed() == []


def test_the_index_follows_a_run_until_it_is_over(tmp_path, indexed):
    """A directory becomes a run, records a value, and ends; each is seen at the next question."""
    root = tmp_path / "results"
    (root / "b").mkdir()
    assert indexed() == ["a"]
    shutil.rmtree(root / "b")
    record = make_run(root / "b", **this_process()) / ".footsteps"
    assert indexed("status:running") == ["b"]
    settle(root, root / "b", record)
    assert indexed("accuracy>0.5") == []
    with open(record / "recorded.jsonl", "a") as file:
        file.write(json.dumps({"kind": "recorded", "values": {"accuracy": 0.9}}) + "\n")
    assert indexed("accuracy>0.5") == ["b"]
    (record / "outcome.json").write_text(json.dumps({"status": "finished", "duration": 5}))
    assert indexed("status:finished") == ["b"]
    assert indexed("duration<6") == ["b"]


@pytest.mark.parametrize("lasted", ["a moment", "days"])
def test_the_index_sees_what_other_ranks_add_to_a_run_that_the_first_has_ended(tmp_path, indexed, lasted):
    """Whoever ends last may record after the outcome was written; a run of three days is as fresh as its end."""
    now = formats.iso_time(time.time())
    ended = {"started": at(1), "outcome": {"status": "finished", "ended": now}}
    started = {"started": now, "outcome": {"status": "finished"}}
    run = make_run(tmp_path / "results/b", **(ended if lasted == "days" else started))
    (run / ".footsteps/recorded.jsonl").write_text("{}\n")
    settle(tmp_path / "results", run, run / ".footsteps")
    assert indexed("accuracy>0.5") == []
    with open(run / ".footsteps/recorded.jsonl", "a") as file:
        file.write(json.dumps({"kind": "recorded", "values": {"accuracy": 0.9}}) + "\n")
    assert indexed("accuracy>0.5") == ["b"]


def test_the_index_sees_a_file_that_comes_into_an_old_record(tmp_path, indexed):
    """As where an outcome was lost and is put back, or another rank's files are copied beside it."""
    run = make_run(tmp_path / "results/b", started=at(1), outcome={"status": "finished"})
    settle(tmp_path / "results", run, run / ".footsteps")
    assert indexed("accuracy>0.5") == []
    line = json.dumps({"kind": "recorded", "values": {"accuracy": 0.9}})
    (run / ".footsteps/recorded.jsonl").write_text(line + "\n")
    assert indexed("accuracy>0.5") == ["b"]
    (run / ".footsteps/outcome.json").unlink()
    assert indexed("status:finished") == []


@pytest.mark.parametrize("known", [False, True])
def test_the_index_finds_what_could_not_be_opened_for_a_while(tmp_path, indexed, monkeypatch, known):
    """Opening a group, or mounting it again, does not change its time; until then it is said each time."""
    make_run(tmp_path / "results/group/b")
    settle(tmp_path / "results/group", tmp_path / "results")
    assert not known or indexed() == ["a", "group/b"]
    with monkeypatch.context() as closed:
        for name in ("scandir", "stat", "lstat"):
            closed.setattr(os, name, closed_below(tmp_path / "results/group", getattr(os, name)))
        for _ in range(2):
            problems = []
            assert indexed(problems=problems) == ["a"]
            assert [problem.kind for problem in problems] == [formats.CLOSED]
    assert indexed() == ["a", "group/b"]


def closed_below(folder, function):
    """A function of os to which a directory, save its own stat, is closed, as it is never to root."""

    def call(path, **words):
        inside = os.fspath(path).startswith(f"{folder}{os.sep}")
        if inside or (os.fspath(path) == str(folder) and function is os.scandir):
            raise PermissionError(13, "Permission denied", path)
        return function(path, **words)

    return call


def test_a_link_that_leads_back_is_said_again_by_the_index(tmp_path, indexed):
    """As long as it is there, like damage."""
    (tmp_path / "results/up").symlink_to(tmp_path)
    settle(tmp_path / "results")
    for _ in range(2):
        problems = []
        assert indexed(problems=problems) == ["a"]
        assert [problem.kind for problem in problems] == [runs.LOOP]


def test_an_index_and_the_directories_give_one_answer(tmp_path, indexed, monkeypatch):
    """Whatever a record holds: names of facts, lists for texts, no numbers, nothing at all, other bytes."""
    odd = {"job": "x", "status": "odd", "empty": "", "\u00dc": 1}
    name = os.fsdecode(b"caf\xe9")
    outcome = {"status": "exited", "exit_status": [1, 2], "duration": float("nan"), "ended": 10**400}
    make_run(tmp_path / "results" / name, arguments=odd, host=["h", "g"], user={"x": 1}, cwd=5, outcome=outcome)
    asked = ["job", "status", "odd", "host", "host:h", "host:h g", "user:x", "cwd:5", "empty:none", "exit_status:1"]
    asked += ["exit_status>1", "duration:nan", "duration>0", f"name:{name}", name, "branch:none", "\u00fc"]
    from_index = [indexed(word) for word in asked]
    monkeypatch.setattr(index.RunIndex, "of", lambda *_: None)
    assert from_index == [sorted(run.name for run in search.search(["results"], [word])) for word in asked]


def test_an_artifact_that_no_file_here_can_be_called_is_in_the_index(tmp_path, indexed):
    """JSON can hold half a character, as a name from Windows may have."""
    file = {"path": "\ud800.png", "size": 3, "mtime_ns": 1, "sha256": "ab" * 32}
    make_run(tmp_path / "results/b", outcome={"status": "finished", "artifacts": [file]})
    assert indexed() == ["a", "b"]
    found = search.runs_with_artifact("ab" * 32, ["results"])
    assert [(run.name, path) for run, path in found] == [("b", "\\ud800.png")]


def test_the_index_sees_a_second_run_in_a_group_below_a_run(tmp_path, indexed):
    """`exp` may be a run, and `exp/lr/1` and `exp/lr/2` others."""
    first = make_run(tmp_path / "results/exp/lr/1")
    outer = make_run(tmp_path / "results/exp")
    settle(tmp_path / "results", outer, outer / ".footsteps", outer / "lr", first, first / ".footsteps")
    assert indexed() == ["a", "exp", "exp/lr/1"]
    make_run(tmp_path / "results/exp/lr/2")
    assert indexed() == ["a", "exp", "exp/lr/1", "exp/lr/2"]


def test_a_list_under_a_name_that_is_also_a_fact_is_found_by_the_index(tmp_path, indexed):
    """`--id 5 6` and `--started 3`, whatever the index narrows down before a close look."""
    make_run(tmp_path / "results/b", arguments={"started": [3], "name": [5, 6]})
    assert indexed("started<4", "name:6") == ["b"]


def test_damage_is_said_again_by_the_index(tmp_path, indexed):
    """What could not be read is a problem on every call, not on the first alone."""
    (make_run(tmp_path / "results/b") / ".footsteps/run.json").write_text("{")
    for _ in range(2):
        problems = []
        indexed(problems=problems)
        assert {(problem.kind, os.path.relpath(problem.path)) for problem in problems} == {
            (formats.DAMAGED, os.path.join("results", "b", ".footsteps", "run.json"))
        }


def test_values_that_a_database_cannot_hold_are_found_all_the_same(tmp_path, indexed):
    """Bytes that are no text, numbers beyond 64 bits, not-a-number, lists and objects."""
    arguments = {"big": 2**70, "nan": float("nan"), "list": [1, [2]], "path": "caf\udce9", "no": {}}
    make_run(tmp_path / "results" / os.fsdecode(b"caf\xe9"), arguments=arguments, command="\ud800")
    assert indexed("big>1e20", "list:1", "caf") == [os.fsdecode(b"caf\xe9")]


def test_a_damaged_index_is_made_anew(indexed):
    """Garbage in the cache is not an answer, and not an error."""
    Path(index.index_file("results")).write_bytes(b"garbage" * 1000)
    problems = []
    assert indexed("lr:1", problems=problems) == ["a"]
    assert problems == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET stamp = CAST(x'ff' AS TEXT)",
        "UPDATE parameters SET value = '{', json = 1",
        "UPDATE parameters SET value = CAST(x'ff' AS TEXT)",
        "UPDATE packages SET versions = '['",
        "DROP TABLE groups",
        "DROP TABLE names",
    ],
)
def test_an_index_with_damaged_rows_ends_no_search_and_is_made_anew(indexed, damage):
    """A flipped bit is found wherever it lies, and costs one look at the directories."""
    with closing(sqlite3.connect(index.index_file("results"))) as db, db:
        db.execute(damage)
    for asked in ("lr:1", "package.numpy:1", "lr:1"):
        problems = []
        found = search.search(["results"], [asked], problems=problems)
        assert [run.name for run in found] == (["a"] if asked == "lr:1" else [])
    assert problems == []


def test_a_full_disk_below_the_index_is_told_as_such(indexed, monkeypatch):
    """Not that a transaction can't be undone, which the full disk has ended."""
    make_run("results/b", arguments={f"p{n}": "x" * 1000 for n in range(100)})
    connect = sqlite3.connect

    def full(*words, **more):
        db = connect(*words, **more)
        db.execute("PRAGMA max_page_count = 1")
        return db

    monkeypatch.setattr(sqlite3, "connect", full)
    problems = []
    assert [run.name for run in search.search(["results"], ["p1"], problems=problems)] == ["b"]
    assert [problem.detail for problem in problems] == ["database or disk is full"]


def test_an_index_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    """The answer comes from the directories, with one note."""
    monkeypatch.setattr(index, "INDEX_FROM", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    make_run(tmp_path / "results/a", arguments={"lr": 1})
    problems = []
    found = search.search(["results"], ["lr:1"], problems=problems)
    assert [run.name for run in found] == ["a"]
    assert [problem.kind for problem in problems] == [index.BYPASSED]


ASK = """
import sys
from footsteps.reader import search
from footsteps.reader import index
index.INDEX_FROM, index.STORED_AT_ONCE = 0, 5
print(len(search.search(["results"], sys.argv[1:])))
"""


def test_several_readers_may_index_at_once(tmp_path):
    """Eight processes that meet at a new index all get the whole answer, and no error."""
    for number in range(60):
        make_run(tmp_path / f"results/{number}", arguments={"lr": number})
    command = [sys.executable, "-c", ASK, "lr<50"]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate()[0] for process in asking] == ["50\n"] * 8
    assert len(search.search(["results"], ["lr<50"])) == 50


KILLED = """
import os, signal
from footsteps.reader import search
from footsteps.reader import index
index.INDEX_FROM, index.STORED_AT_ONCE = 0, 5
search.search(["results"], ["lr<50"], watch=lambda runs, label: (
    run if number < 32 else os.kill(os.getpid(), signal.SIGKILL) for number, run in enumerate(runs)
))
"""


def test_a_killed_writer_leaves_an_index_that_goes_on(tmp_path):
    """SIGKILL in the middle: the next question is answered, also for what has gone meanwhile."""
    for number in range(60):
        make_run(tmp_path / f"results/{number}", arguments={"lr": number})
    done = subprocess.run([sys.executable, "-c", KILLED])
    assert done.returncode == -signal.SIGKILL
    assert Path(index.index_file("results")).exists()
    for number in range(25):
        shutil.rmtree(tmp_path / f"results/{number}")
    assert len(search.search(["results"], ["lr<50"])) == 25


def test_roots_within_each_other_are_one(tmp_path, way):
    """A run is listed once however many of the roots hold it."""
    make_run(tmp_path / "results/exp/a")
    roots = ["results", "results/exp", str(tmp_path / "results"), "results"]
    assert [run.name for run in search.known(roots)] == ["exp/a"]


def test_a_file_is_found_by_its_hash(tmp_path, way):
    """By the hashes of the manifests, newest first; by looking where there was no time to hash."""
    content = b"6, 9, 42"
    digest = sha256(content).hexdigest()
    known = {"path": "weights.csv", "size": 8, "mtime_ns": 1, "sha256": digest}
    for name, hour in (("a", 1), ("b", 2)):
        outcome = {"status": "finished", "artifacts": [known]}
        make_run(tmp_path / "results" / name, started=at(hour), outcome=outcome)
    unhashed = make_run(tmp_path / "results/c", started=at(3))
    (unhashed / "late.csv").write_bytes(content)
    times = (unhashed / "late.csv").stat()
    late = {"path": "late.csv", "size": 8, "mtime_ns": times.st_mtime_ns, "sha256": None}
    changed = {**late, "path": "changed.csv", "mtime_ns": 5}
    outcome = {"status": "finished", "artifacts": [late, changed]}
    (unhashed / ".footsteps/outcome.json").write_text(json.dumps(outcome))
    for _ in range(2):
        found = search.runs_with_artifact(digest, ["results"], size=8)
        pairs = [(run.name, path) for run, path in found]
        assert pairs == [("c", "late.csv"), ("b", "weights.csv"), ("a", "weights.csv")]
    assert len(search.runs_with_artifact(digest, ["results"])) == 2
    assert search.runs_with_artifact("00" * 32, ["results"], size=8) == []


def test_who_read_a_file_is_found_by_its_hash(tmp_path, way):
    """Inputs are found as artifacts are."""
    make_run(tmp_path / "results/a", outcome={"status": "finished"})
    line = {"path": "/data/x.csv", "size": 1, "mtime_ns": 1, "sha256": "ab" * 32}
    (tmp_path / "results/a/.footsteps/inputs-h-1.jsonl").write_text(json.dumps(line) + "\n")
    found = search.runs_with_input("ab" * 32, ["results"])
    assert [(run.name, path) for run, path in found] == [("a", "/data/x.csv")]


def test_a_parameter_is_found_wherever_and_however_it_was_recorded(tmp_path, way):
    """Names with dashes, nested, late, escaped, damaged and newer records are not passed over."""
    make_run(tmp_path / "results/dashed", arguments={"batch-size": 3})
    make_run(tmp_path / "results/nested", arguments={"a": {"batch_size": 3}})
    make_run(tmp_path / "results/listed", arguments={"batch_size": [1, 3]})
    make_run(tmp_path / "results/quoted", arguments={"batch_size": "3", "x": 'batch_size": 4'})
    make_run(tmp_path / "results/late", recorded=[("arguments", {"arguments": {"batch_size": 3}})])
    make_run(tmp_path / "results/other", arguments={"batch_size": 4}, command="batch_size: 3")
    damaged = make_run(tmp_path / "results/damaged", arguments={"batch_size": 4})
    (damaged / ".footsteps/run.json").write_text('{"format": 1, "arguments": {"batch_')
    (damaged / "info.txt").write_text("Command:\nx --batch_size 3\nSystem:\n")
    make_run(tmp_path / "results/newer", format=2, arguments={"batch_size": 3})
    found = [run.name for run in search.search(["results"], ["batch_size:3"])]
    assert sorted(found) == ["damaged", "dashed", "late", "listed", "nested", "newer", "quoted"]
