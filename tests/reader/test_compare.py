"""What differs between two runs, and how much two files differ."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib

import pytest

from footsteps.reader import compare, measure, runs

PROGRAM = """\
import sys
import footsteps

footsteps.record(loss=float(sys.argv[2]) * 2)
with open("data.csv") as data, open(footsteps.output_dir + "weights.csv", "w") as f:
    f.write(data.read() + sys.argv[2])
"""


@pytest.fixture
def project(repo):
    """A project whose program reads data.csv and writes weights.csv."""
    repo.write("train.py", PROGRAM)
    repo.write("data.csv", "6, 9, 42\n")
    repo.write("results/.gitignore", "*")
    repo.commit("Train")
    return repo


@pytest.fixture
def train(project, run_script):
    """A function that runs the program under a name and gives the recorded run."""

    def train(name, *arguments, **words):
        words = {"cwd": project.path, "env": {"FOOTSTEPS_NAME": name}, **words}
        done = run_script(project / "train.py", *arguments, **words)
        assert done.returncode == 0, done.stderr
        return settled(project / "results" / name)

    return train


def settled(directory):
    """The run in a directory, once the child that bundles its commits has ended."""
    deadline = time.monotonic() + 30
    while not (directory / ".footsteps" / "bundles.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return runs.load(directory)


def told(found):
    """The differences as a dict: (about, name) -> (a, b)."""
    return {(each.about, each.name): (each.a, each.b) for each in found.differences}


def test_two_runs_of_the_same_do_not_differ(train):
    """Names, times and ids are no difference."""
    found = compare.compare(train("one", "--lr", "0.1"), train("two", "--lr", "0.1"))
    assert told(found) == {}
    assert found.patch == b""


def test_arguments_artifacts_and_recorded_values_are_told_in_this_order(train):
    """What was asked for comes before what came of it."""
    found = compare.compare(train("one", "--lr", "0.1"), train("two", "--lr", "0.2"))
    assert [(each.about, each.name) for each in found.differences] == [
        ("arguments", "lr"), ("artifacts", "weights.csv"), ("recorded", "loss"),
    ]  # fmt: skip
    assert told(found)["arguments", "lr"] == (0.1, 0.2)
    assert "by 0.1 at most" in found.differences[1].note


def edited(project):
    """Edit, add, delete, rename and make executable."""
    project.write("train.py", PROGRAM + "# the end\n")
    project.write('odd "name"\n\\.txt', b"\xff\x00 no text", executable=True)
    project.write("helper.py", "one\ntwo\n")
    os.symlink("helper.py", project / "link")
    os.unlink(project / "gone.py")


def test_the_patch_turns_one_tree_into_the_other(project, train, tmp_path):
    """Applied with git on the first tree, it gives the second, byte for byte."""
    project.write("gone.py", "gone = 1\n")
    commit = project.commit("Add")
    one = train("one", "--lr", "1")
    edited(project)
    two = train("two", "--lr", "1")
    patch = compare.compare(one, two).patch
    other = project.clone(tmp_path / "other")
    other("checkout", "--quiet", commit)
    listed = {each.name for each in compare.compare(one, two).differences if each.about == "code"}
    assert listed == {"train.py", 'odd "name"\n\\.txt', "helper.py", "link", "gone.py"}
    other("apply", "-", stdin=patch)
    for name in ("train.py", 'odd "name"\n\\.txt'):
        assert other.read(name) == project.read(name)
    assert os.readlink(other / "link") == "helper.py"
    assert not (other / "gone.py").exists()


def test_a_patch_for_eyes_only_tells_that_binary_files_differ(project, train):
    """What they hold would fill a terminal with letters that say nothing."""
    one = train("one", "--lr", "1")
    project.write("b.bin", bytes(range(256)))
    two = train("two", "--lr", "1")
    assert b"GIT binary patch" in compare.compare(one, two).patch
    assert compare.compare(one, two, binary=False).patch.endswith(b"Binary files /dev/null and b/b.bin differ\n")


def test_the_code_is_compared_when_the_repository_is_gone(project, train):
    """The record's own bundle has the commits."""
    one = train("one", "--lr", "1")
    project.write("train.py", PROGRAM.replace("* 2", "* 3"))
    project.commit("Triple")
    project.write("train.py", PROGRAM.replace("* 2", "* 4"))
    two = train("two", "--lr", "1")
    moved = project.path.parent / "archive"
    shutil.move(project / "results", moved)
    shutil.rmtree(project.path)
    found = compare.compare(*(runs.load(moved / run.name) for run in (one, two)))
    assert b"-footsteps.record(loss=float(sys.argv[2]) * 2)" in found.patch
    assert b"+footsteps.record(loss=float(sys.argv[2]) * 4)" in found.patch
    assert found.problems == []


def test_a_pushed_commit_is_fetched_from_the_remote(project, remote, train):
    """Where the clone is gone and nothing was bundled, the recorded remote is asked."""
    project("push", "--quiet", "origin", "HEAD")
    project("remote", "set-head", "origin", "main")
    one = train_pushed(project, train, "one")
    project.write("train.py", PROGRAM.replace("* 2", "* 3"))
    two = train_pushed(project, train, "two")
    assert not list((project / "results").glob("*/.footsteps/commits.bundle"))
    shutil.move(project / "results", project.path.parent / "archive")
    shutil.rmtree(project.path)
    found = compare.compare(*(runs.load(project.path.parent / "archive" / run.name) for run in (one, two)))
    assert b"+footsteps.record(loss=float(sys.argv[2]) * 3)" in found.patch


def train_pushed(project, train, name):
    """A run of a commit that the remote has, so that no child bundles it."""
    done = subprocess.run(
        [sys.executable, "train.py", "--lr", "1"],
        cwd=project.path, env={**os.environ, "FOOTSTEPS_NAME": name}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0
    return runs.load(project / "results" / name)


def test_a_commit_that_can_not_be_had_is_said(project, train):
    """Then the files that differed from the commits are compared, and a sentence says so."""
    one = train("one", "--lr", "1")
    project.write("train.py", PROGRAM.replace("* 2", "* 3"))
    two = train("two", "--lr", "1")
    moved = project.path.parent / "archive"
    shutil.move(project / "results", moved)
    shutil.rmtree(project.path)
    for bundle in moved.glob("*/.footsteps/*.bundle"):
        bundle.unlink()
    found = compare.compare(*(runs.load(moved / run.name) for run in (one, two)))
    assert any("not to be had" in problem for problem in found.problems)
    assert b"* 3" in found.patch


def test_a_commit_in_between_without_a_change_is_no_patch(project, train):
    """Committing what was there changes the commit and not the code."""
    project.write("train.py", PROGRAM + "# the end\n")
    one = train("one", "--lr", "1")
    project.commit("The end")
    two = train("two", "--lr", "1")
    found = compare.compare(one, two)
    assert list(told(found)) == [("code", "commit")]
    assert found.patch == b""


def test_a_repository_that_only_one_of_them_had_is_one_line(project, train):
    """A clone within the project is not listed file by file."""
    one = train("one", "--lr", "1")
    project.clone(project / "vendor")
    found = compare.compare(one, train("two", "--lr", "1"))
    assert [(about, name.split(": ")[-1]) for about, name in told(found)] == [
        ("code", "commit"),
        ("code", "repository"),
    ]
    assert found.patch == b""


def test_what_every_launch_has_of_its_own_is_no_difference(train):
    """The job's number, unlike the threads that it was given."""
    one, two = train("one", "--lr", "1"), train("two", "--lr", "1")
    for run, job in ((one, "7"), (two, "8")):
        run.facts["environment"] = {"SLURM_JOB_ID": job, "OMP_NUM_THREADS": job}
    found = [each.name for each in compare.compare(one, two).differences if each.about == "environment"]
    assert found == ["OMP_NUM_THREADS"]


def test_packages_python_machine_and_environment_are_compared(train):
    """Each of them by the name under which it was recorded."""
    one, two = train("one", "--lr", "1"), train("two", "--lr", "1")
    two.facts["packages"] = [{"name": "NumPy", "version": "2.0"}]
    one.facts["packages"] = [{"name": "numpy", "version": "1.26"}]
    two.facts["python"] = {**two.facts["python"], "version": "3.99.0"}
    two.facts["hardware"] = {**two.facts["hardware"], "cpu": "abacus"}
    two.facts["environment"] = {**two.facts["environment"], "OMP_NUM_THREADS": "3"}
    found = told(compare.compare(one, two))
    assert found.pop(("packages", "numpy")) == ("1.26", "2.0")
    assert sorted(found) == [("environment", "OMP_NUM_THREADS"), ("machine", "cpu"), ("python", "version")]


def test_an_input_with_other_content_is_told(project, train):
    """By its path in the project."""
    one = train("one", "--lr", "1")
    project.write("data.csv", "6, 9, 43\n")
    two = train("two", "--lr", "1")
    assert ("inputs", "data.csv") in told(compare.compare(one, two))


def test_runs_of_footsteps_0_1_are_compared_by_commit_and_patch(project, train, tmp_path):
    """Their records have a patch and no whole files."""
    one = train("one", "--lr", "1")
    old = tmp_path / "results" / "old"
    old.mkdir(parents=True)
    project.write("train.py", PROGRAM.replace("* 2", "* 3"))
    diff = project("diff")
    lines = ["Command:", "train.py --lr 1", "System:", "host", "Python:", "/usr/bin/python", "Git Hash:"]
    lines += [project("describe", "--always"), "Uncommitted changes:", diff, "Current working dir:", str(project.path)]
    (old / "info.txt").write_text("\n".join(lines) + "\n")
    found = compare.compare(one, runs.load(old))
    assert b"+footsteps.record(loss=float(sys.argv[2]) * 3)" in found.patch


def test_a_hostile_record_shows_no_file_outside_of_it(project, train, tmp_path):
    """Neither a path with .. nor a link in the record leads out."""
    secret = tmp_path / "secret"
    secret.write_text("the crown jewels")
    one = train("one", "--lr", "1")
    project.write("train.py", PROGRAM + "#\n")
    two = train("two", "--lr", "1")
    record = project / "results" / "two" / ".footsteps"
    facts = json.loads((record / "run.json").read_text())
    row = facts["repositories"][0]["files"][0]
    (record / "link").symlink_to(secret)
    import hashlib

    row["sha256"] = hashlib.sha256(secret.read_bytes()).hexdigest()
    for stored in ("../../../../secret", str(secret), "link"):
        row["stored"] = stored
        (record / "run.json").write_text(json.dumps({**facts, "code_id": stored}))
        found = compare.compare(one, runs.load(two.directory))
        assert b"jewels" not in found.patch
        assert any("is refused" in problem for problem in found.problems)


def test_the_command_answers_with_one_if_they_differ(project, train):
    """0 for the same, 1 for different; rows between tabs in a pipe, an object with --json."""
    train("one", "--lr", "0.1")
    train("same", "--lr", "0.1")
    train("two", "--lr", "0.2")

    def diff(*words):
        command = [sys.executable, "-m", "footsteps", "diff", *words]
        return subprocess.run(command, cwd=project.path, capture_output=True, text=True)

    assert diff("one", "same").returncode == 0
    different = diff("one", "two")
    assert different.returncode == 1
    assert "arguments\tlr\t0.1\t0.2" in different.stdout
    answer = json.loads(diff("one", "two", "--json").stdout)
    assert answer["differ"]
    assert answer["differences"][0] == {"about": "arguments", "name": "lr", "a": 0.1, "b": 0.2, "note": ""}
    patch = diff("one", "two", "--patch")
    assert (patch.returncode, patch.stdout) == (0, "")


# how much two files differ


@pytest.fixture
def measured(tmp_path):
    """A function that measures two contents."""

    def measured(a, b):
        for name, data in (("a", a), ("b", b)):
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return measure.measure(str(tmp_path / "a"), str(tmp_path / "b"))

    return measured


def test_numbers_in_a_table_are_measured(measured):
    """The largest difference, and where."""
    found = measured("step,loss\n1,0.5\n2,0.25\n", "step,loss\n1,0.5\n2,0.375\n")
    assert (found["verdict"], found["largest"]) == ("different", 0.125)
    assert found["note"] == "1 of 6 numbers differ, by 0.125 at most at line 3, loss"


def test_the_same_numbers_in_other_words_are_the_same(measured):
    """1.50 is 1.5, in tables as in JSON, whatever the order of keys."""
    assert measured("1.50 2\n", "1.5 2.0\n")["verdict"] == "same"
    assert measured('{"a": [1.0], "b": 2}', '{"b": 2, "a": [1]}')["verdict"] == "same"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1,,2\n", "1,2,\n"),
        ("a:\n  b: 1\n  c: 2\n", "a:\n  b: 1\nc: 2\n"),
        ("1_0\n", "10\n"),
        ('{"a": [], "b": 1}', '{"a": {}, "b": 1}'),
        ('{"a": [], "b": 1}', '{"b": 1}'),
        ('{"a.b": 1}', '{"a": {"b": 1}}'),
    ],
)
def test_what_stands_elsewhere_is_not_the_same(measured, a, b):
    """An empty cell, an indentation, an empty list are values too."""
    assert measured(a, b)["verdict"] == "different"


def test_nan_and_infinity_on_one_side_have_no_measure(measured):
    """They are told, whatever stands beside them, and JSON has no word for them."""
    found = measured("loss\n1\nnan\n2\n", "loss\n1\n4\n2.5\n")
    assert found["note"] == "2 of 4 numbers differ, by 0.5 at most at line 4, 1 of them by nan or infinity"
    assert found["largest"] == 0.5
    assert measured("inf", "1")["largest"] is None
    assert measured(npy([1.0, float("nan")]), npy([1.0, 2.0]))["largest"] is None


def test_other_words_and_other_shapes_are_different(measured):
    """What is no number differs without a measure."""
    assert measured("a 1", "b 1")["largest"] is None
    assert "not the same values" in measured("[1, 2]", "[1, 2, 3]")["note"]
    assert measured(b"\x00\x01\x02", b"\x00\x01\x03")["note"] == "other bytes from 2 on"


def test_json_tells_where(measured):
    """The path of the value that differs most."""
    found = measured('{"a": [1, {"b": 2.0}]}', '{"a": [1, {"b": 2.5}]}')
    assert (found["largest"], "a[1].b" in found["note"]) == (0.5, True)


def npy(values, letter="d", descr="<f8"):
    """A .npy file by hand."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(values)},), }}\n".encode()
    body = struct.pack(f"<{len(values)}{letter}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def test_arrays_are_measured_by_their_numbers(measured):
    """Whatever type they have; integers of 64 bits are not taken for floats."""
    pytest.importorskip("numpy")
    found = measured(npy([1, 2, float("nan")]), npy([1, 2.5, float("nan")]))
    assert (found["verdict"], found["largest"]) == ("different", 0.5)
    assert measured(npy([1, 2]), npy([1, 2], "f", "<f4"))["verdict"] == "same"
    assert measured(npy([1, 2]), npy([1, 2, 3]))["largest"] is None
    long = [npy([2**62 + more], "q", "<i8") for more in (0, 1)]
    assert measured(*long)["largest"] == 1


def png(colors, text=b"", depth=8):
    """A PNG file of one line, with a text in it."""
    line = zlib.compress(b"\0" + b"".join(bytes(color) for color in colors))
    head = struct.pack(">IIBBBBB", len(colors), 1, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"tEXt", text), (b"IDAT", line), (b"IEND", b""))
    )


def test_figures_are_measured_by_their_pixels(measured):
    """What is written about the figure does not count."""
    pytest.importorskip("PIL")
    white, gray = (255, 255, 255), (250, 255, 255)
    assert measured(png([white], b"footsteps:id\0one"), png([white], b"footsteps:id\0two"))["verdict"] == "same"
    found = measured(png([white, white]), png([white, gray]))
    assert (found["verdict"], found["largest"]) == ("different", 5)
    assert found["note"].startswith("1 of 2 pixels differ (50 %)")


@pytest.mark.parametrize(("module", "package"), [("PIL", "Pillow"), ("numpy", "numpy")])
def test_a_package_that_is_missing_is_named(measured, monkeypatch, module, package):
    """The files differ, and the note says what would tell how much."""
    pytest.importorskip(module)
    monkeypatch.setitem(sys.modules, module, None)
    found = measured(png([(1, 2, 3)]), png([(1, 2, 4)]))
    told = f"other content; {package} is needed to compare the pixels: pip install {package}"
    assert (found["verdict"], found["note"]) == ("different", told)


def test_what_is_written_about_a_figure_needs_no_package(measured, monkeypatch):
    """The picture itself is the same, byte for byte."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    one, two = (png([(1, 2, 3)], b"footsteps:id\0" + name) for name in (b"one", b"two"))
    assert measured(one, two)["verdict"] == "same"


def saved(picture, kind, *more):
    """A Pillow image as a file's bytes, with more frames behind it."""
    import io

    out = io.BytesIO()
    picture.save(out, kind, **({"save_all": True, "append_images": more} if more else {}))
    return out.getvalue()


def test_pixels_deeper_than_a_byte_are_not_the_same_when_they_differ(measured):
    """Microscopes write 16 bits and floats, of which a conversion to bytes leaves 255 everywhere."""
    image = pytest.importorskip("PIL.Image")
    found = measured(*(saved(image.new("I;16", (2, 2), value), "PNG") for value in (1000, 2000)))
    assert (found["verdict"], found["largest"]) == ("different", 1000)
    found = measured(*(saved(image.new("F", (2, 2), value), "TIFF") for value in (300.5, 301.0)))
    assert (found["verdict"], found["largest"]) == ("different", 0.5)
    deep = [png([(3, value) * 3], depth=16) for value in (1, 2)]
    assert measured(*deep)["verdict"] == "different"


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_every_frame_of_an_image_counts(measured, kind):
    """An animation that only begins alike is another one; so is one that goes on."""
    image = pytest.importorskip("PIL.Image")
    red, green, blue = (image.new("RGB", (2, 2), color) for color in ("red", "green", "blue"))
    assert measured(saved(red, kind, green), saved(red, kind, blue))["note"].startswith("1 of 2 frames differ")
    assert measured(saved(red, kind, green), saved(red, kind, green, blue))["verdict"] == "different"


@pytest.mark.slow
def test_matplotlibs_figures_are_the_same_but_for_their_metadata(tmp_path):
    """PNG, PDF and SVG with the metadata of two runs in them."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.rcParams["svg.hashsalt"] = "salt"
    plt.plot([1, 2, 4])
    words = {
        "png": lambda name: {"footsteps:run": name, "footsteps:command": f"train.py {name}"},
        "pdf": lambda name: {"Title": name, "Subject": f"footsteps run {name}", "Keywords": f"train.py {name}"},
        "svg": lambda name: {"Title": name, "Source": f"footsteps run {name}"},
    }
    for kind, metadata in words.items():
        for name in ("one", "another"):
            plt.savefig(tmp_path / f"{name}.{kind}", metadata=metadata(name))
        found = measure.measure(str(tmp_path / f"one.{kind}"), str(tmp_path / f"another.{kind}"))
        assert found["verdict"] == "same", (kind, found)
    plt.plot([1, 2, 5])
    for kind in words:
        plt.savefig(tmp_path / f"other.{kind}")
        found = measure.measure(str(tmp_path / f"one.{kind}"), str(tmp_path / f"other.{kind}"))
        assert found["verdict"] == "different", (kind, found)
    plt.close("all")


def test_packed_files_are_measured_by_what_they_hold(measured):
    """The time in a gzip header or a zip entry is no difference."""
    import gzip
    import io
    import zipfile

    def zipped(content, year):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.csv", (year, 1, 1, 0, 0, 0)), content)
        return out.getvalue()

    assert measured(gzip.compress(b"1", mtime=1), gzip.compress(b"1", mtime=2))["verdict"] == "same"
    assert measured(zipped("1", 1999), zipped("1", 2020))["verdict"] == "same"
    assert measured(zipped("1", 1999), zipped("3", 1999))["largest"] == 2


def test_a_note_says_nothing_of_how_we_read(measured):
    """A damaged picture is one; a sound, which begins like WebP, is bytes, damaged or not."""
    pytest.importorskip("PIL.Image")
    broken = measured(b"\xff\xd8\xff" + b"abc", b"\xff\xd8\xff" + b"abd")
    assert broken["note"] == "other content (ValueError: damaged, or no image that Pillow knows)"
    sound = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"
    assert measured(sound + b"\1\0", sound)["note"] == "other bytes from 20 on; 22 and 20 bytes"
    picture = b"RIFF\x24\0\0\0WEBPVP8 "
    assert "BytesIO" not in measured(picture, picture + b"\0")["note"]


def test_what_can_not_be_decoded_is_different_and_no_error(measured):
    """Truncated files of every kind."""
    for start, _ in measure.STARTS:
        assert measured(start + b"abc", start + b"abd")["verdict"] == "different"


def test_a_member_that_can_not_be_read_leaves_the_others_their_measure(tmp_path):
    """Objects in an .npz are never unpickled; the largest difference is that of the other arrays."""
    np = pytest.importorskip("numpy")
    for name, number in (("a", 1.0), ("b", 1.5)):
        np.savez(tmp_path / name, x=np.array([number]), y=np.array([{"number": number}], dtype=object))
    found = measure.measure(str(tmp_path / "a.npz"), str(tmp_path / "b.npz"))
    assert (found["largest"], found["note"].partition(";")[0]) == (0.5, "2 of 2 members differ")


def test_why_an_image_can_not_be_read_is_told_without_an_address(tmp_path):
    """The same files have the same note, whenever they are compared."""
    pytest.importorskip("PIL")
    for name in "ab":
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    assert " at 0x" not in measure.measure(str(tmp_path / "a"), str(tmp_path / "b"))["note"]
