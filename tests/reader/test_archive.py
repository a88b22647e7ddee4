"""Archives of strangers: read where they are, and nothing that leads out, links, bursts or misleads."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import pytest

from footsteps.reader import archive, runs
from footsteps.recorder.format import FootstepsError

RUN = {"format": 1, "id": "20261122T120000Z-00000000", "name": "one", "started": "2026-11-22T12:00:00+00:00",
       "command": "train.py", "arguments": {"lr": 0.1}}  # fmt: skip
BASE = {
    "runs/one/.footsteps/run.json": json.dumps(RUN),
    "runs/one/.footsteps/outcome.json": json.dumps({"status": "finished", "artifacts": []}),
    "runs/one/weights.txt": "6, 9, 42",
}


def facts(**changes):
    """What an archive says of itself, with changes."""
    listed = [{"name": "one", "directory": "runs/one", "reads": []}]
    files = {name: {"sha256": hashlib.sha256(text.encode()).hexdigest()} for name, text in BASE.items()}
    return {"format": 1, "kind": "footsteps archive", "head": "runs/one", "runs": listed, "files": files, **changes}


def pack(path, entries=(), **changes):
    """Write an archive: the base, what it says of itself, and more entries (ZipInfo or name, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, words in BASE.items():
            made.writestr(name, words)
        made.writestr("footsteps.json", json.dumps(facts(**changes)))
        for info, data in entries:
            made.writestr(info, data)
    return path


def link(name):
    """An entry that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def fifo(name):
    """An entry that is a pipe."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o010644 << 16
    return info


def command(where, *words):
    """A finished footsteps command."""
    asked = [sys.executable, "-m", "footsteps", *map(os.fspath, words)]
    return subprocess.run(asked, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")


def refusal(path):
    """Why an archive is refused: said in one sentence by show, list and restore, which leave nothing."""
    where = path.parent
    before = sorted(os.listdir(where))
    said = set()
    for words in (["show", path], ["restore", path, where / "dest"], ["rerun", path, where / "dest", "--yes"]):
        done = command(where, *words)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert "Traceback" not in done.stderr
        said.add(done.stderr.splitlines()[0])
    assert sorted(os.listdir(where)) == before
    assert len(said) == 1
    return said.pop().partition("is refused: ")[2]


def test_every_reader_takes_an_archive_in_the_place_of_a_run(tmp_path):
    """By its path alone, and a run of it by its name."""
    path = pack(tmp_path / "study.zip")
    assert command(tmp_path, "show", "study.zip").stdout.startswith("run\tone\n")
    assert command(tmp_path, "show", "study.zip/one").stdout.startswith("run\tone\n")
    assert command(tmp_path, "show", "study.zip/runs/one").stdout.startswith("run\tone\n")
    assert command(tmp_path, "list", "study.zip", "--no-header").stdout.startswith("one\tfinished\t2026-11-22T12:00:00")
    assert command(tmp_path, "search", "-r", "study.zip", "lr:0.1", "--no-header").stdout.startswith("one\t")
    assert command(tmp_path, "diff", "study.zip", "study.zip").returncode == 0
    (tmp_path / "copy").write_text("6, 9, 42")
    run = runs.select(str(path))
    assert [(name, found.st_size) for name, found in run.files()] == [("weights.txt", 8)]
    assert (run.arguments, run.status, run.name) == ({"lr": 0.1}, "finished", "one")
    assert sorted(os.listdir(tmp_path)) == ["copy", "home", "study.zip", "tmp"]


def test_a_run_that_is_not_in_it_is_named(tmp_path):
    """With those that are."""
    pack(tmp_path / "study.zip")
    done = command(tmp_path, "show", "study.zip/two")
    assert done.returncode == 2
    assert "no run 'two' in" in done.stderr
    assert "which has 'one'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "leads elsewhere"),
        ("runs/one/../../evil", "leads elsewhere"),
        ("/etc/evil", "is absolute"),
        ("runs\\one\\evil", "leads elsewhere on another system"),
        ("C:evil", "leads elsewhere on another system"),
        ("runs/one/.git/config", "would act as git's own"),
        ("runs/one/.GIT /hooks/x", "would act as git's own"),
        ("runs/one/\x1b[31mred", "holds characters that a terminal or a page would act on"),
        ("runs/one/\u202egnp.exe", "holds characters that a terminal or a page would act on"),
        ("runs/one/two\nlines", "holds characters that a terminal or a page would act on"),
        ("runs/one/" + "a" * 300, "is longer than a file's name may be"),
        ("runs//one", "leads elsewhere"),
        ("runs/one/weights.txt/inner", "lies below 'runs/one/weights.txt', which is no folder"),
    ],
)
def test_an_entry_that_leads_out_or_acts_is_refused(tmp_path, name, why):
    """Before anything is read or written."""
    pack(tmp_path / "evil.zip", [(name, "x")])
    said = refusal(tmp_path / "evil.zip")
    assert said.startswith("its entry ")
    assert said.endswith(why)
    assert said.isprintable()


def test_links_and_pipes_are_refused(tmp_path):
    """No archive of ours holds one."""
    pack(tmp_path / "link.zip", [(link("runs/one/key"), "/etc/passwd")])
    assert refusal(tmp_path / "link.zip") == "its entry 'runs/one/key' is a link"
    pack(tmp_path / "pipe.zip", [(fifo("runs/one/pipe"), "")])
    assert refusal(tmp_path / "pipe.zip") == "its entry 'runs/one/pipe' is no plain file"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path):
    """Which of them is it?"""
    pack(tmp_path / "twice.zip", [("runs/one/weights.txt", "others")])
    assert refusal(tmp_path / "twice.zip") == "two of its entries are called 'runs/one/weights.txt'"


def test_encrypted_entries_are_refused(tmp_path):
    """Nobody is asked for a password."""
    data = bytearray(pack(tmp_path / "open.zip").read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.rfind(mark)
        data[at + offset] |= 1
    (tmp_path / "closed.zip").write_bytes(data)
    assert refusal(tmp_path / "closed.zip") == "its entry 'footsteps.json' is encrypted"


@pytest.mark.slow
def test_what_bursts_is_refused(tmp_path):
    """Gigabytes of zeros, which are told by the list of entries alone."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr("footsteps.json", json.dumps(facts()))
        with made.open("runs/one/zeros", "w", force_zip64=True) as out:
            for _ in range(1100):
                out.write(bytes(1 << 20))
    assert "more than 200 times its own size" in refusal(path)


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    """It says eight bytes and holds a mebibyte: reading ends with what it said."""
    path = pack(tmp_path / "liar.zip", [("runs/one/big", bytes(1 << 20))])
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, at + 24, 8)
    path.write_bytes(data)
    done = command(tmp_path, "restore", path, tmp_path / "dest")
    assert done.returncode == 2
    assert "its entry 'runs/one/big' is" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["home", "liar.zip", "tmp"]


def test_entries_that_share_bytes_are_refused(tmp_path):
    """A small file that unpacks to much: many names for one content."""
    path = pack(tmp_path / "overlap.zip", [("runs/one/a", "a" * 100), ("runs/one/b", "b" * 100)])
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\1\2")
    first = data.rfind(b"PK\1\2", 0, second)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    assert "share bytes" in refusal(path)


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    """A list of names can be a bomb as well."""
    path = pack(tmp_path / "many.zip", [(f"runs/one/{n}", "") for n in range(50)])
    monkeypatch.setattr(archive, "ENTRIES", 40)
    with pytest.raises(FootstepsError, match="has 54 entries, more than 40"):
        archive.Archive(str(path))
    monkeypatch.setattr(archive, "LISTING", 1000)
    with pytest.raises(FootstepsError, match="list of entries has"):
        archive.Archive(str(path))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\3\4 and nothing more", "it can't be read as a zip file"),
        (b"PK\5\6" + bytes(18), "it holds no footsteps.json"),
    ],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path, data, why):
    """A file that begins like one, and an empty one."""
    (tmp_path / "broken.zip").write_bytes(data)
    assert why in refusal(tmp_path / "broken.zip")


@pytest.mark.parametrize("said", ["[]", "{", '{"kind": "other"}', "[" * 100_000])
def test_a_strangers_word_about_an_archive_is_checked(tmp_path, said):
    """Whatever footsteps.json holds, it is a sentence."""
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as made:
        made.writestr("footsteps.json", said)
    assert "its footsteps.json " in refusal(tmp_path / "odd.zip")


@pytest.mark.parametrize("head", ["../../etc", "/etc", "runs/../..", 5, None, ["runs/one"]])
def test_a_head_that_leads_out_is_not_followed(tmp_path, head):
    """The last run of the list is taken; nothing outside of runs/ is one."""
    listed = [{"directory": "../up"}, {"directory": 7}, {"directory": "runs/one"}, "x"]
    path = pack(tmp_path / "odd.zip", head=head, runs=listed)
    assert archive.run_named(str(path)).name == "one"
    assert [run.name for run in archive.runs_of(str(path))] == ["one"]


def test_a_file_that_was_changed_after_the_export_is_refused(tmp_path):
    """Its hash is not what the archive tells."""
    files = {**facts()["files"], "runs/one/weights.txt": {"sha256": "0" * 64}}
    path = pack(tmp_path / "changed.zip", files=files)
    done = command(tmp_path, "restore", path, tmp_path / "dest")
    assert done.returncode == 2
    assert "its hash is another one" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["changed.zip", "home", "tmp"]


def test_inputs_that_lead_out_are_not_taken(tmp_path):
    """Nor anything of the archive that is not unpacked."""
    reads = [
        {"path": "/data/a", "file": "../../etc/passwd"}, {"path": "/data/b", "file": "footsteps.json"},
        {"path": "/data/c", "file": "runs/one/weights.txt"}, {"path": 4, "file": 5},
    ]  # fmt: skip
    path = pack(tmp_path / "odd.zip", runs=[{"directory": "runs/one", "reads": reads}])
    found = archive.archive_at(str(path)).inputs_of("runs/one")
    assert found == {"/data/b": "footsteps.json", "/data/c": "runs/one/weights.txt"}
    from footsteps.reproduce.unpack import Unpacked

    there = Unpacked(archive.run_named(str(path)), str(tmp_path / "there"))
    assert there.inputs == {"/data/c": str(tmp_path / "there/runs/one/weights.txt")}
    there.close()
    assert not (tmp_path / "there").exists()


def test_a_record_file_that_is_too_large_is_a_damaged_one(tmp_path, monkeypatch):
    """The rest of the run is shown."""
    monkeypatch.setattr(archive, "MOST_READ", 2000)
    path = pack(tmp_path / "large.zip", [("runs/one/.footsteps/recorded.jsonl", b'{"kind": "x"}\n' * 1000)])
    run = archive.run_named(str(path))
    assert (run.arguments, run.recorded) == ({"lr": 0.1}, {})
    assert "larger than 2000 bytes" in run.damage[0].detail


def test_a_damaged_entry_is_a_damaged_file(tmp_path):
    """Its checksum tells."""
    path = pack(tmp_path / "damaged.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as opened:
        at = opened.getinfo("runs/one/.footsteps/run.json").header_offset + 30 + len("runs/one/.footsteps/run.json")
    data[at + 5] ^= 0xFF
    path.write_bytes(data)
    run = archive.run_named(str(path))
    assert run.arguments == {}
    assert run.damage
