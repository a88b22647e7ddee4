"""Restoring a stranger's record: no word that is not so, nothing that acts, an end with us, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import make_run

from footsteps.reader import commits, compare, formats, repositories, runs
from footsteps.recorder.format import sha256
from footsteps.reproduce import restore
from footsteps.reproduce.inputs import input_state

FILE = b"print(1)\n"
posix = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and links")


def loose_run(directory, paths=("a.py",), **facts):
    """A run whose code is files of no repository, with the right code id."""
    rows = [
        {"path": path, "state": "untracked", "kind": "file", "executable": False, "size": len(FILE),
         "sha256": sha256(FILE), "stored": f"code/loose/{path}"}
        for path in paths
    ]  # fmt: skip
    repository = {"name": "loose", "role": "loose", "path": "/was", "commit": None, "files": rows, "left_out": []}
    told = {"repositories": [repository], "code_id": "?"}
    told["code_id"] = repositories.code_id_of(told)
    run = make_run(directory, **{"outcome": {"status": "finished"}, **told, **facts})
    for path in paths:
        copy = run / ".footsteps/code/loose" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(FILE)
    return run


def changed(run, change):
    """Change run.json."""
    path = run / ".footsteps/run.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_a_record_that_lacks_a_file_is_not_exact(tmp_path):
    """One row less, and its copy gone: the code id is that of another set of files."""
    run = loose_run(tmp_path / "results/r", ("a.py", "b.py"))
    assert restore.restore(runs.load(run), "whole").exact
    changed(run, lambda facts: facts["repositories"][0]["files"].pop())
    done = restore.restore(runs.load(run), "less")
    assert not done.exact
    assert "code id" in done.differing[0]["reason"]


def test_a_damaged_late_json_is_not_exact(tmp_path):
    """It names files that were imported later."""
    run = loose_run(tmp_path / "results/r")
    (run / ".footsteps/late.json").write_text("{")
    assert not restore.restore(runs.load(run), "again").exact


def test_two_records_that_claim_one_code_id_are_compared(tmp_path):
    """The claim alone makes no code the same."""
    from footsteps.reader.compare import compare

    one, two = (loose_run(tmp_path / "results" / name, paths) for name, paths in (("r", ["a.py"]), ("s", ["b.py"])))
    changed(two, lambda facts: facts.update(code_id=json.loads((one / ".footsteps/run.json").read_text())["code_id"]))
    found = compare(runs.load(one), runs.load(two))
    assert b"b.py" in found.patch


@pytest.mark.parametrize("folder", ["", "inner/"], ids=["top", "below"])
def test_files_that_git_takes_for_a_repository_are_refused(tmp_path, folder):
    """Its config names programs that `git status` there would run."""
    names = ("HEAD", "config", "objects/x", "refs/x")
    run = loose_run(tmp_path / "results/r", [folder + name for name in names])
    with pytest.raises(repositories.Refused, match="for a repository"):
        restore.restore(runs.load(run), "again")
    assert not os.path.lexists("again")
    fine = loose_run(tmp_path / "results/s", [folder + name for name in names[:3]])
    assert restore.restore(runs.load(fine), "fine").exact


@posix
def test_a_copy_without_a_size_is_not_written_out(tmp_path):
    """A sparse file of 20 GB would fill the disk."""
    run = loose_run(tmp_path / "results/r")
    with open(run / ".footsteps/code/loose/a.py", "wb") as file:
        file.truncate(20 << 30)
    changed(run, lambda facts: facts["repositories"][0]["files"][0].update(size=None))
    done = restore.restore(runs.load(run), "again")
    assert not done.exact
    assert not os.path.exists("again/a.py")


@posix
def test_a_copy_that_is_holes_is_named_and_not_written_out(tmp_path):
    """Also where the record tells its size: 8 TB that take no room here would take all of it there."""
    run = loose_run(tmp_path / "results/r", ("a.py", "b.py"))
    with open(run / ".footsteps/code/loose/a.py", "wb") as file:
        file.truncate(1 << 33)
    changed(run, lambda facts: facts["repositories"][0]["files"][0].update(size=1 << 33))
    done = restore.restore(runs.load(run), "again")
    assert [row["path"] for row in done.missing] == ["loose: a.py"]
    assert "holes" in done.missing[0]["reason"]
    assert sorted(os.listdir("again")) == ["b.py"]


@posix
def test_a_hollow_untracked_file_of_litetracer_is_named_and_takes_no_memory(repo, tmp_path):
    """Neither restore nor diff writes out or reads 8 TB; what else there is comes back."""
    repo.write("train.py", "print(1)\n")
    repo.commit("Train")
    records = []
    for name in ("LT_delta-1_base-2_LT", "LT_delta-3_base-2_LT"):
        record = repo / "lt_records" / name
        (record / "untracked").mkdir(parents=True)
        (record / f"settings_{name}.txt").write_text(f"--git_label {repo('describe', '--always')} --lr 0.1")
        (record / "untracked/small.py").write_text(name)
        with open(record / "untracked/huge.bin", "wb") as file:
            file.truncate(1 << 43)
        records.append(record)
    done = restore.restore(runs.load(records[0]), str(tmp_path / "again"))
    assert [row["path"] for row in done.missing] == ["huge.bin"]
    there = set(os.listdir(tmp_path / "again"))
    assert {"small.py", "train.py"} <= there
    assert "huge.bin" not in there
    found = compare.compare(*map(runs.load, records))
    assert b"small.py" in found.patch
    assert any("huge.bin" in problem and "larger than" in problem for problem in found.problems)


@posix
def test_no_file_of_holes_is_hashed(tmp_path):
    """8 TB would take hours: of an input nothing is known then, and to trace such a file is refused with the reason."""
    with open(tmp_path / "huge.bin", "wb") as file:
        file.truncate(1 << 43)
    entry = {"path": str(tmp_path / "huge.bin"), "size": 1 << 43, "sha256": "0" * 64}
    assert input_state(entry["path"], entry) == "unknown"
    done = subprocess.run(
        [sys.executable, "-m", "footsteps", "trace", "huge.bin"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, "bytes of holes" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@posix
def test_untracked_files_behind_a_link_are_not_copied(tmp_path):
    """`untracked` of a LiteTracer record may be a link to ~/.ssh itself."""
    (tmp_path / "ssh").mkdir()
    (tmp_path / "ssh/id").write_text("a key")
    record = tmp_path / "LT_delta-1_base-2_LT"
    record.mkdir()
    (record / "untracked").symlink_to(tmp_path / "ssh")
    assert not list(formats.untracked_in(str(record)))
    (record / "untracked").unlink()
    (record / "untracked").mkdir()
    (record / "untracked/a.py").write_text("1")
    assert [path for path, _ in formats.untracked_in(str(record))] == ["a.py"]


# --- time, and the end ---------------------------------------------------------------------------


@pytest.fixture
def silent():
    """The address of a remote that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}/x.git"


def with_bundle(repo, tmp_path, url):
    """A run of the project, by hand: its commit in a bundle, and a remote."""
    commit, tree = repo("rev-parse", "HEAD"), repo("rev-parse", "HEAD^{tree}")
    repo("update-ref", "refs/footsteps/commit", commit)
    remotes = [{"name": f"r{n}", "url": f"{url}{n}"} for n in range(5000)]
    row = {"name": "main", "role": "cwd", "path": "/was", "commit": commit, "tree": tree, "remotes": remotes,
           "remote": url, "bundle": "commits.bundle", "files": [], "left_out": []}  # fmt: skip
    told = {"repositories": [row], "code_id": "?"}
    told["code_id"] = repositories.code_id_of(told)
    run = make_run(tmp_path / "results/r", **told, outcome={"status": "finished"})
    repo("bundle", "create", "--quiet", run / ".footsteps/commits.bundle", "refs/footsteps/commit")
    made = {"repository": "main", "commit": commit, "file": "commits.bundle", "kind": "whole"}
    (run / ".footsteps/bundles.json").write_text(json.dumps({"bundles": [made]}))
    return run


@pytest.mark.slow
def test_a_silent_remote_is_not_asked_where_the_bundle_has_the_commit(repo, tmp_path, silent, monkeypatch):
    """And of 5,000 remotes a few are, each for a while only."""
    run = with_bundle(repo, tmp_path, silent)
    assert restore.restore(runs.load(run), "again").exact
    monkeypatch.setattr(commits, "FIRST_ANSWER", 0.5)
    (run / ".footsteps/commits.bundle").unlink()
    with pytest.raises(commits.Unobtainable, match="took") as met:
        restore.restore(runs.load(run), "elsewhere")
    assert "4996 more remotes: not asked" in str(met.value)


@pytest.mark.slow
@posix
@pytest.mark.parametrize("name", ["config", "HEAD", "packed-refs"])
def test_a_clone_with_a_pipe_in_its_git_is_passed_over(repo, tmp_path, silent, monkeypatch, name):
    """The recorded clone is a stranger's too."""
    clone = repo.clone("clone")
    run = with_bundle(repo, tmp_path, silent)
    changed(run, lambda facts: facts["repositories"][0].update(path=str(clone.path), remotes=[], remote=None))
    changed(run, lambda facts: facts.update(code_id=repositories.code_id_of(facts)))
    (clone / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(clone / ".git" / name)
    monkeypatch.setattr(commits, "FIRST_ANSWER", 3.0)
    assert restore.restore(runs.load(run), "again").exact


def test_a_start_in_the_future_is_not_waited_for(repo, tmp_path, silent):
    """A bundle that is expected of a run of the year 2999."""
    run = with_bundle(repo, tmp_path, silent)
    (run / ".footsteps/bundles.json").unlink()
    changed(run, lambda facts: facts.update(started="2999-01-01T00:00:00+00:00"))
    fetcher = restore.Plan(runs.load(run)).trees("a", "b")[0]
    began = time.monotonic()
    assert fetcher.bundles() == []
    assert time.monotonic() - began < commits.BUNDLE_IN_MAKING / 2


def test_a_tree_of_trees_is_refused(repo, tmp_path, silent, monkeypatch):
    """A kilobyte of trees lists more files than there are disks; git's list is stopped and not kept."""
    blob = repo("hash-object", "-w", "--stdin", stdin=b"x")
    tree = repo("mktree", stdin=f"100644 blob {blob}\ta\n".encode())
    for _ in range(12):
        tree = repo("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
    commit = repo("commit-tree", "-m", "x", tree)
    repo("update-ref", "refs/heads/main", commit)
    monkeypatch.setattr(restore, "LARGEST_LISTING", 1 << 20)
    run = with_bundle(repo, tmp_path, silent)
    with pytest.raises(repositories.Refused, match="more files than any"):
        restore.restore(runs.load(run), "again")


def started(*words, cwd):
    """A command that runs."""
    return subprocess.Popen([sys.executable, "-m", "footsteps", *words], cwd=cwd, stderr=subprocess.DEVNULL)


def processes_with(word):
    """The command lines that hold a word, of processes that live."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        found += [words] if word.encode() in words else []
    return found


def until(holds):
    """Wait until something holds."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@posix
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_a_restore_began_ends_with_it(repo, tmp_path, silent, number):
    """git does, and its folder goes: at once, or after a kill with the next restore there."""
    run = with_bundle(repo, tmp_path, silent)
    (run / ".footsteps/commits.bundle").unlink()
    place = tmp_path / "there"
    place.mkdir()
    heard = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who is run by nohup passes on that it is ignored
    restoring = started("restore", str(run), "again", cwd=place)
    signal.signal(signal.SIGHUP, heard)
    until(lambda: processes_with(silent))
    restoring.send_signal(number)
    status = restoring.wait()
    if number != signal.SIGKILL:
        assert status == 128 + number
        assert not processes_with(silent)
        assert not os.listdir(place)
        return
    for folder in place.iterdir():
        os.utime(folder, (0, 0))
    other = loose_run(tmp_path / "results/other")
    assert started("restore", str(other), "new", cwd=place).wait() == 0
    assert sorted(os.listdir(place)) == ["new"]


@posix
def test_what_a_killed_restore_put_beside_the_place_does_not_make_the_same_one_refuse(tmp_path):
    """But a folder of somebody's that is called so does."""
    run = loose_run(tmp_path / "results/r")
    (tmp_path / "again.beside").mkdir()
    left = tmp_path / (restore.MAKING + "x")
    left.mkdir()
    (left / restore.MOVING).write_text(restore.identity(str(tmp_path / "again.beside")))
    os.utime(left, (0, 0))
    assert restore.restore(runs.load(run), "again").exact
    assert not left.exists()
    (tmp_path / "mine.beside").mkdir()
    (tmp_path / "mine.beside/work").write_text("mine")
    left.mkdir()
    (left / restore.MOVING).write_text("1 2")
    os.utime(left, (0, 0))
    with pytest.raises(restore.FootstepsError, match="not empty"):
        restore.restore(runs.load(run), "mine")
    assert (tmp_path / "mine.beside/work").exists()


def test_a_run_that_was_killed_while_it_started_is_listed(tmp_path):
    """It did not start."""
    record = tmp_path / "results/r/.footsteps"
    record.mkdir(parents=True)
    assert [run.status for run in runs.find([str(tmp_path / "results")])] == ["unknown"]  # it may be starting now
    os.utime(record, (0, 0))
    assert [run.status for run in runs.find([str(tmp_path / "results")])] == ["did not start"]


def test_all_of_a_disk_is_not_walked_for_the_new_run(tmp_path):
    """`output_root` of a stranger's run may be "/"."""
    from footsteps.reproduce import result

    assert result.is_above_all("/")
    assert result.is_above_all(os.path.expanduser("~"))
    assert not result.is_above_all(str(tmp_path / "results"))
