"""Our own run trusts nothing that lies beside it, nor what its own files have become meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest

from footsteps.recorder import bundle
from footsteps.recorder.code import CodeCapture
from footsteps.recorder.format import sha256

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and links")
KEY = "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nAAAA\n"


def job_in(repo, name):
    """The job of the finishing child for a new record in the project, as the recorder makes it."""
    record = repo / "results" / name / ".footsteps"
    record.mkdir(parents=True)
    code = CodeCapture([str(repo.path)], exclude=[str(repo / "results")]).code()
    rows = [row for row in code.bundles() if row["repository"] == "main"]
    assert rows
    return {"record": str(record), "root": str(repo / "results"), "bundles": rows}


def sparse(path):
    """3 GB that take no room."""
    with open(path, "wb") as file:
        file.truncate(3 << 30)


def claim(record, row, data):
    """A bundle that says of itself that it is ours."""
    (record / "commits.bundle").write_bytes(data)
    claimed = {**row, "size": len(data), "sha256": sha256(data)}
    (record / "bundles.json").write_text(json.dumps({"format": 1, "bundles": [claimed]}))


def claim_link(record, row):
    """One that is a link to a private key."""
    key = record.parent.parent / "id"
    key.write_text(KEY)
    claim(record, row, KEY.encode())
    (record / "commits.bundle").unlink()
    (record / "commits.bundle").symlink_to(key)


def claim_a_part(record, row):
    """One of our commit, that is intact, but in which a file's content is missing."""
    project = record.parents[2]

    def git(*args, **options):
        return subprocess.run(["git", *args], cwd=project, check=True, capture_output=True, **options).stdout

    objects = [line.split()[0] for line in git("rev-list", "--objects", "HEAD").splitlines()]
    blobs = [one for one in objects if git("cat-file", "-t", one) == b"blob\n"]
    pack = git("pack-objects", "--stdout", "--quiet", input=b"\n".join(set(objects) - {blobs[-1]}) + b"\n")
    claim(record, row, b"# v2 git bundle\n" + row["commit"].encode() + b" refs/footsteps/commit\n\n" + pack)


def claim_another_commit(record, row):
    """A whole one, of a commit that is not ours but was made from it."""
    project = record.parents[2]
    tree = ["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "theirs"]
    commit = subprocess.run(["git", *tree], cwd=project, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "update-ref", "refs/footsteps/commit", commit], cwd=project, check=True)
    create = ["git", "bundle", "create", "--quiet", "../made", "refs/footsteps/commit"]
    subprocess.run(create, cwd=project, check=True)
    claim(record, row, (project.parent / "made").read_bytes())


NEIGHBOURS = {
    "a part": claim_a_part,
    "another commit": claim_another_commit,
    "pipes": lambda record, _: [os.mkfifo(record / name) for name in ("bundles.json", "commits.bundle")],
    "devices": lambda record, _: [
        (record / name).symlink_to("/dev/zero") for name in ("bundles.json", "commits.bundle")
    ],
    "3 GB": lambda record, _: [sparse(record / name) for name in ("bundles.json", "commits.bundle")],
    "junk": lambda record, row: claim(record, row, b"junk"),
    "junk of our size": lambda record, row: claim(record, row, b"x" * row["size"]),
    "a link to a key": claim_link,
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_a_neighbours_record_hinders_no_bundle_of_ours(repo, neighbour):
    """Ours is made, holds the commit, and is a file of our own."""
    first = job_in(repo, "first")
    bundle.make_bundles(first)
    (row,) = json.loads((repo / "results/first/.footsteps/bundles.json").read_text())["bundles"]
    shutil.rmtree(repo / "results/first")
    hostile = repo / "results/hostile/.footsteps"
    hostile.mkdir(parents=True)
    NEIGHBOURS[neighbour](hostile, row)
    bundle.make_bundles(job_in(repo, "ours"))
    made = repo / "results/ours/.footsteps/commits.bundle"
    assert not made.is_symlink()
    assert made.read_bytes().startswith(b"# v")
    repo("bundle", "verify", "--quiet", made)
    (told,) = json.loads((made.parent / "bundles.json").read_text())["bundles"]
    assert told["sha256"] == sha256(made.read_bytes())
    assert sorted(os.listdir(made.parent)) == ["bundles.json", "commits.bundle"]
    assert made.stat().st_nlink == 1


def of_sha256(repo, base):
    """A repository whose objects have longer names."""
    other = type(repo)(base / "modern").init("--object-format=sha256")
    other.write("train.py", "print(1)\n")
    other.commit("Begin")
    return other


def ahead_of_its_remote(repo, _):
    """One of which a remote has the beginning."""
    repo.add_remote()
    for number in range(3):
        repo.write("train.py", f"print({number})\n")
        repo.commit(f"Change {number}")
    return repo


def shallow_clone(repo, base):
    """One that has not all of its history, with a commit of its own."""
    for number in range(3):
        repo.write("train.py", f"print({number})\n")
        repo.commit(f"Change {number}")
    repo("clone", "--quiet", "--depth=1", f"file://{repo.path}", base / "shallow")
    clone = type(repo)(base / "shallow")
    clone.write("train.py", "print(4)\n")
    clone.commit("Change more")
    return clone


@pytest.mark.parametrize("kind", [lambda repo, _: repo, of_sha256, ahead_of_its_remote, shallow_clone])
def test_runs_of_the_same_commit_share_one_bundle_on_disk(repo, tmp_path, kind):
    """Which git has unpacked and found whole."""
    project = kind(repo, tmp_path)
    for name in ("one", "two"):
        bundle.make_bundles(job_in(project, name))
    one, two = (project / "results" / name / ".footsteps" for name in ("one", "two"))
    assert (one / "commits.bundle").stat().st_ino == (two / "commits.bundle").stat().st_ino
    assert (one / "bundles.json").read_text() == (two / "bundles.json").read_text()


KEPT = "results/{}/.footsteps/code/main/big.py"
BIG = "X = 1  # and so on\\n" * 50_000


def begun(repo, run_script, *names):
    """Runs of these names, one after the other, with a large untracked file."""
    repo.write("t.py", "import sys, footsteps\nfootsteps.initialize(sys.argv[1])\n")
    repo.write("big.py", BIG)
    for name in names:
        done = run_script("t.py", name, cwd=repo)
        assert done.returncode == 0, done.stderr
    return [os.stat(repo / KEPT.format(name)) for name in names]


def test_runs_share_one_copy_on_disk_of_a_large_file_and_each_can_go(repo, run_script):
    """Untracked files are kept whole in each run: a link takes no room, and outlives the first run."""
    one, two = begun(repo, run_script, "one", "two")
    assert one.st_ino == two.st_ino
    shutil.rmtree(repo / "results/one")
    assert (repo / KEPT.format("two")).read_text() == BIG


FILES = {
    "a link": lambda path, own: path.symlink_to(own),
    "a pipe": lambda path, _: os.mkfifo(path),
    "other bytes": lambda path, _: path.write_text(BIG.replace("1", "2")),
    "a folder": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("what", FILES)
def test_nothing_that_lies_in_a_neighbours_record_becomes_our_copy(repo, run_script, tmp_path, what):
    """Whatever has the place and the size of our file there: ours has our bytes."""
    begun(repo, run_script, "one")
    own = tmp_path / "own"
    own.write_text(BIG)
    theirs = repo / KEPT.format("one")
    theirs.unlink()
    FILES[what](theirs, own)
    begun(repo, run_script, "two")
    ours = repo / KEPT.format("two")
    assert (ours.is_symlink(), ours.read_text(), ours.stat().st_nlink) == (False, BIG, 1)


def test_many_megabytes_that_are_kept_are_told_with_the_largest_file(repo, run_script):
    """And how to stop it; data that git does not know is not kept from 2 MiB on."""
    repo.write("t.py", "import footsteps\nfootsteps.initialize('r')\n")
    for name, size in {"weights.npy": 3 << 20, "a.own": 8 << 20, "b.own": 9 << 20, "c.own": 7 << 20}.items():
        (repo / name).write_bytes(bytes(size))
    done = run_script("t.py", cwd=repo)
    assert "kept 25 MB of uncommitted files (b.own ...); .gitignore them to stop this" in done.stderr
    (row,) = json.loads((repo / "results/r/.footsteps/run.json").read_bytes())["repositories"][0]["left_out"]
    assert (row["path"], row["reason"]) == ("weights.npy", "data larger than 2 MiB")


@pytest.mark.parametrize("what", ["link", "other content", "pipe"])
def test_nothing_that_lies_beside_us_takes_the_place_of_a_kept_input(run_script, repo, tmp_path, what):
    """No input is written through a link in a stranger's results/, and each is kept as it was read."""
    data, kept, away = tmp_path / "data.csv", repo / "results/.footsteps-inputs", tmp_path / "away"
    data.write_text("1,2\n")
    place = kept / f"{sha256(data.read_bytes())}-data.csv"
    (repo / "results").mkdir()
    away.mkdir()
    (kept.symlink_to(away) if what == "link" else kept.mkdir())
    if what == "other content":
        place.write_text("no")
    elif what == "pipe":
        os.mkfifo(place)
    repo.write("read.py", "import sys, footsteps\nfootsteps.initialize('r')\nopen(sys.argv[1]).read()\n")
    assert run_script(repo / "read.py", data, cwd=repo.path).returncode == 0
    assert os.listdir(away) == []
    assert what == "link" or (place.is_file() and place.read_text() == "1,2\n")


PROGRAM = """\
import os, footsteps
footsteps.initialize("r")
record, info = footsteps.output_dir + ".footsteps", footsteps.output_dir + "info.txt"
{change}
footsteps.record(loss=1)
print("done")
"""
CHANGES = {
    "info.txt is a link": "os.unlink(info); os.symlink('/{own}', info)",
    "info.txt is a pipe": "os.unlink(info); os.mkfifo(info)",
    "recorded.jsonl is a pipe": "os.mkfifo(record + '/recorded.jsonl')",
    "recorded.jsonl is a link": "os.symlink('/{own}', record + '/recorded.jsonl')",
    "outcome.json is a pipe": "os.mkfifo(record + '/outcome.json')",
    "console.txt is a link": "os.symlink('/{own}', footsteps.output_dir + 'console.txt')",
    "the record is a link": "os.rename(record, 'kept'); os.symlink('/{folder}', record)",
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_file_of_our_own_has_become_is_not_written_through(run_script, repo, tmp_path, change):
    """The program ends with its own status, in time, and nothing elsewhere was changed."""
    own, folder = tmp_path / "bashrc", tmp_path / "elsewhere"
    own.write_text("mine\n")
    folder.mkdir()
    said = CHANGES[change].format(own=str(own).lstrip("/"), folder=str(folder).lstrip("/"))
    done = run_script(PROGRAM.format(change=said), cwd=repo)
    assert done.returncode == 0, done.stderr
    assert "done" in done.stdout
    assert own.read_text() == "mine\n"
    assert not os.listdir(folder)


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_a_parser_appends_to_no_stranger_s_file(run_script, repo, tmp_path, what):
    """recorded.jsonl in an LTParser record that is a link to ~/.bashrc, or a pipe."""
    program = (
        "import footsteps\nfrom lite_tracer import LTParser\np = LTParser()\np.add_argument('--lr')\n"
        "print(p.parse_args(['--lr', '1']).hash_code)\nfootsteps.initialize('r')\nfootsteps.output_dir\n"
    )
    repo.write("p.py", program)
    first = run_script(repo / "p.py", cwd=repo)
    assert first.returncode == 0, first.stderr
    own = tmp_path / "bashrc"
    own.write_text("mine\n")
    log = next((repo / "lt_records").glob("LT_*/.footsteps/recorded.jsonl"))
    log.unlink()
    log.symlink_to(own) if what == "link" else os.mkfifo(log)
    done = run_script(repo / "p.py", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert own.read_text() == "mine\n"


def test_an_artifact_beside_a_huge_run_json_is_opened_at_once(run_script, tmp_path):
    """Of a run.json of 2 GB nothing is read: the process does not grow by it."""
    record = tmp_path / "results/other/.footsteps"
    record.mkdir(parents=True)
    with open(record / "run.json", "wb") as file:
        file.truncate(2 << 30)
    (tmp_path / "results/other/a.csv").write_text("1")
    program = (
        "import resource, footsteps\nfootsteps.initialize('r')\nfootsteps.output_dir\n"
        "open('results/other/a.csv').read()\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 400_000, "kilobytes"


def test_a_clock_behind_makes_no_script_changed(repo):
    """A file's time may be later than now, on another machine's disk: that tells nothing."""
    from footsteps.recorder import code

    assert not code._was_touched_after(str(repo / "train.py"), time.time())
    assert code._was_touched_after(str(repo / "train.py"), 0.0)
    later, now = os.stat(repo / "train.py").st_ctime - 100, time.time
    try:
        code.time.time = lambda: later
        assert not code._was_touched_after(str(repo / "train.py"), later - 1)
    finally:
        code.time.time = now
