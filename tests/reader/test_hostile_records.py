"""A stranger's record can do nothing: each line here is a record that once hung, crashed or misled a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from made_runs import make_run

from footsteps.reader import formats, repositories, runs
from footsteps.recorder import format as recorded

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and links")


def command(*words, timeout=60):
    """`footsteps WORDS` as a person runs it, with 1 GB of memory and a time limit."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
    program = f"{limited} from footsteps.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, errors="surrogateescape")


def sparse(path, size):
    """Make a file of that size that takes no room."""
    with open(path, "wb") as file:
        file.truncate(size)


FILES = ["run.json", "outcome.json", "recorded.jsonl", "bundles.json", "late.json"]


@posix
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["pipe", "device", "link", "2 GB"])
def test_a_file_of_a_record_that_is_none_is_damage_and_no_more(tmp_path, name, what):
    """A pipe is not waited for, /dev/zero not read, a link out of the record not followed, 2 GB not read."""
    run = make_run(tmp_path / "results/r", outcome={"status": "finished"})
    make_run(tmp_path / "results/other")
    path = run / ".footsteps" / name
    path.unlink(missing_ok=True)
    secret = tmp_path / "secret.json"
    secret.write_text('{"status": "failed", "name": "of the user"}')
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "link": lambda: path.symlink_to(secret),
        "2 GB": lambda: sparse(path, 2 << 30),
    }[what]()
    read = runs.Run(str(run))
    everything = read.everything()
    told = [problem for problem in read.damage if problem.path == str(path)]
    assert told, read.damage
    assert "of the user" not in json.dumps(everything, default=repr)
    if what == "2 GB":
        assert told[0].detail == "larger than 64 MiB"


@posix
def test_a_list_with_damaged_runs_shows_all_of_them(tmp_path, monkeypatch):
    """A damaged run is a row, not the end."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "results/good", started="2026-11-22T01:00:00+00:00")
    here = {"host": os.uname().nodename}
    for name, facts in BAD.items():
        make_run(tmp_path / "results" / name, **{**here, **facts})
    sparse(make_run(tmp_path / "results/large") / ".footsteps/run.json", 2 << 30)
    done = command("list", "--json")
    assert done.returncode == 0, done.stderr
    listed = {row["name"] for row in json.loads(done.stdout)}
    assert listed == {"good", "large", *BAD}
    assert "mistake" not in done.stderr


@pytest.mark.slow
@posix
def test_a_record_that_takes_all_memory_is_a_row_too(tmp_path, monkeypatch):
    """45 MB of JSON that are a gigabyte of lists."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "results/good")
    path = make_run(tmp_path / "results/hungry") / ".footsteps/run.json"
    path.write_text('{"a": [' + "[]," * 16_000_000 + "[]]}")
    done = command("list", "--json")
    assert done.returncode == 0, done.stderr
    assert {row["name"] for row in json.loads(done.stdout)} == {"good", "hungry"}


def test_too_little_memory_is_the_users_trouble(monkeypatch, capsys):
    """Exit status 2, and a sentence."""
    from footsteps import cli

    def hungry(_):
        raise MemoryError

    monkeypatch.setattr(cli, "run_command", hungry)
    assert cli.main(["list"]) == 2
    assert "memory" in capsys.readouterr().err


def deep(depth):
    """A list within a list, and so on."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


BAD = {
    "nan": {"process": {"pid": 1, "ticks": float("nan")}},
    "infinite": {"process": {"pid": 1, "ticks": float("inf")}},
    "deep": {"arguments": {"a": deep(330)}},
    "digits": {"packages": [{"name": "a", "version": "1" * 5000}]},
    "surrogate": {"repositories": [{"name": "main", "remotes": [{"name": "o", "url": "https://h/\ud800"}]}]},
    "no objects": {"process": [1], "repositories": [None, {"name": {}}], "arguments": ["x"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deep", "digits", "surrogate", "nan"])
def test_no_command_on_such_a_run_is_a_mistake_of_ours(tmp_path, monkeypatch, name):
    """Each ends with a status that says so, in a sentence."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "results" / name, **BAD[name])
    make_run(tmp_path / "results/good")
    for words in (["show", name], ["compare", name, "good"], ["restore", name, "there"], ["search", "package.a>=2"]):
        done = command(*words)
        assert done.returncode in (0, 1, 2), (words, done.stderr)


def test_json_is_deep_by_its_lists_not_by_its_texts():
    """Brackets in a text count for nothing, and many lists beside each other are not deep."""
    for value, fits in ((["[" * 500] * 3, True), ([[]] * 500, True), (deep(98), True), (deep(200), False)):
        data = json.dumps(value).encode()
        if fits:
            assert formats.json_value(data) == value
        else:
            with pytest.raises(ValueError, match="deeper"):
                formats.json_value(data)


@pytest.mark.slow
def test_folders_within_folders_end_no_command(tmp_path, monkeypatch):
    """1,400 of them below code/, more than Python has frames."""
    monkeypatch.chdir(tmp_path)
    code = make_run(tmp_path / "results/r", repositories=[{"name": "main", "role": "cwd"}]) / ".footsteps/code"
    code.mkdir()
    there = os.open(code, os.O_RDONLY)
    for _ in range(1400):
        os.mkdir("d", dir_fd=there)
        inner = os.open("d", os.O_RDONLY, dir_fd=there)
        os.close(there)
        there = inner
    os.close(there)
    try:
        for words in (["list"], ["show", "r"], ["restore", "r", "again"]):
            assert command(*words).returncode in (0, 1, 2)
    finally:
        subprocess.run(["rm", "-rf", str(code)], check=True)


@pytest.mark.slow
def test_forty_thousand_repositories_are_read_in_linear_time(tmp_path):
    """Twice as many take about twice as long, not four times: counted in steps, not in seconds."""
    rows = [{"name": f"r{n}", "role": "nested"} for n in range(40_000)]
    merged = formats.merged_repositories({"repositories": rows}, {"repositories": rows}, {"bundles": []})
    assert len(merged) == 40_000
    run = runs.Run(str(make_run(tmp_path / "results/r", repositories=rows)))
    with pytest.raises(repositories.Refused, match="40000 repositories"):
        repositories.Repositories(run)


@posix
@pytest.mark.parametrize("what", ["pipe", "device", "link"])
def test_nothing_is_written_through_what_a_file_of_a_record_has_become(tmp_path, what):
    """A link to ~/.bashrc gets no line, a pipe is not waited for, a device not written to."""
    path, own = tmp_path / "recorded.jsonl", tmp_path / "bashrc"
    own.write_text("mine\n")
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/full"),
        "link": lambda: path.symlink_to(own),
    }[what]()
    for write in (recorded.append, recorded.write):
        with pytest.raises(OSError, match=r"link|plain|exists|such device"):
            write(str(path), b"x\n")
    assert own.read_text() == "mine\n"


@posix
def test_a_record_folder_that_became_a_link_is_not_written_into(tmp_path):
    """Neither new files nor lines."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".footsteps").symlink_to("elsewhere")
    for write in (recorded.append, recorded.write, recorded.replace):
        with pytest.raises(OSError, match="link"):
            write(str(tmp_path / ".footsteps/x"), b"x")
    assert not os.listdir(tmp_path / "elsewhere")


@posix
def test_a_pipe_in_place_of_a_file_in_git_is_not_waited_for(tmp_path):
    """config, HEAD and packed-refs of a recorded clone."""
    os.mkfifo(tmp_path / "config")
    assert recorded.text_of(str(tmp_path / "config")) == ""
    sparse(tmp_path / "HEAD", 2 << 30)
    assert recorded.text_of(str(tmp_path / "HEAD")) == ""
