"""What files note about their making is no difference, and differences are explained where that is possible."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile

import pytest

from footsteps.reader import measure


@pytest.fixture
def compared(tmp_path):
    """A function that compares two contents as files."""

    def compared(a, b):
        paths = [tmp_path / "a", tmp_path / "b"]
        for path, content in zip(paths, (a, b), strict=True):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return measure.measure(*map(str, paths))

    return compared


SVG = '<svg><dc:date>{date}</dc:date><clipPath id="p{id}"/><g clip-path="url(#p{id})"><use href="#p{id}"/>{y}</g></svg>'


def test_ids_and_dates_of_svg_are_no_difference(compared):
    """matplotlib draws ids by lot; what is drawn counts."""
    one = SVG.format(date="2026-01-01", id="ab12", y=5)
    assert compared(one, SVG.format(date="2026-02-02", id="cd34", y=5))["verdict"] == "same"
    assert compared(one, SVG.format(date="2026-02-02", id="cd34", y=6))["verdict"] == "different"


PDF = "%PDF-1.4\n1 0 obj\n(D:20260101{0}+01'00')\n{1}\ntrailer\n/ID [<{0}AB> <{0}CD>]\n"


def test_dates_and_ids_of_pdf_are_no_difference(compared):
    """Wherever they stand."""
    assert compared(PDF.format("111111", "draw"), PDF.format("222222", "draw"))["verdict"] == "same"
    assert compared(PDF.format("111111", "draw"), PDF.format("222222", "drew"))["verdict"] == "different"


def test_the_id_of_a_checkpoint_is_no_difference(compared, tmp_path):
    """torch writes one into each file."""
    contents = []
    for number, weights in ((1, b"w"), (2, b"w"), (3, b"v")):
        with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
            archive.writestr("model/data.pkl", weights)
            archive.writestr("model/.data/serialization_id", str(number))
        contents.append((tmp_path / "model.pt").read_bytes())
    assert [compared(contents[0], other)["verdict"] for other in contents[1:]] == ["same", "different"]


def event(time, data):
    """One event as TensorBoard's files have it."""
    body = b"\x09" + struct.pack("<d", time) + data
    return struct.pack("<Q", len(body)) + b"crc1" + body + b"crc2"


def test_wall_times_of_tensorboard_are_no_difference(compared):
    """The values count."""
    files = [event(t, b"\x1a\x0dbrain.Event:2") + event(t, value) for t, value in ((1, b"5"), (2, b"5"), (3, b"6"))]
    assert [compared(files[0], other)["verdict"] for other in files[1:]] == ["same", "different"]


def test_times_of_hdf5_are_no_difference(compared, tmp_path):
    """The datasets and attributes are compared, where h5py is installed."""
    h5py = pytest.importorskip("h5py")
    contents = []
    for number, value in enumerate((1.0, 1.0, 2.0)):
        with h5py.File(tmp_path / "x.h5", "w", userblock_size=0, libver=("earliest", "latest")[number % 2]) as file:
            file.create_dataset("x", data=[value, 3.0], track_times=True).attrs["unit"] = "m"
        contents.append((tmp_path / "x.h5").read_bytes())
    assert compared(contents[0], contents[1])["verdict"] == "same"
    assert "x: 1 of 2 numbers differ, by 1 at most" in compared(contents[0], contents[2])["note"]


def test_times_and_owners_in_a_tar_file_are_no_difference(compared, tmp_path):
    """Packed with gzip too; what its members hold is measured."""
    contents = []
    for when, word in ((1, b"1,2\n"), (2, b"1,2\n"), (2, b"1,3\n")):
        with tarfile.open(tmp_path / "x.tgz", "w:gz") as file:
            row = tarfile.TarInfo("out/a.csv")
            row.mtime, row.uid, row.size = when, when, len(word)
            file.addfile(row, io.BytesIO(word))
        contents.append((tmp_path / "x.tgz").read_bytes())
    assert compared(contents[0], contents[1])["verdict"] == "same"
    assert "out/a.csv: 1 of 2 numbers differ" in compared(contents[0], contents[2])["note"]


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        ('{"loss": 1, "elapsed": 2.5}', '{"loss": 1, "elapsed": 3.5}', "only times differ: 1 of 2"),
        ("epoch 1 loss 0.5 took 3.1 s\n", "epoch 1 loss 0.5 took 3.2 s\n", "only times differ: 1 of 7"),
        ('{"loss": 1, "elapsed": 2.5}', '{"loss": 2, "elapsed": 3.5}', "2 of 2 numbers differ"),
        ("epoch,loss,time\n1,0.5,3.1\n", "epoch,loss,time\n1,0.5,3.2\n", "only times differ: 1 of 6"),
        ("epoch,loss,time\n1,0.5,3.1\n", "epoch,loss,time\n1,0.6,3.1\n", "by 0.1 at most at line 2, loss"),
        ("<Model at 0x7f0c2a11>\n", "<Model at 0x7f0c2b22>\n", "only addresses in memory differ: 1 of 3"),
        ("0.1\n0.3\n", "0.1\n0.30000000000000004\n", ": last digits (2e-16)"),
        ("a\nb\nc\n", "c\nb\na\n", "the same values in another order"),
    ],
)
def test_a_difference_is_explained(compared, a, b, note):
    """By what the values themselves tell; it stays one."""
    found = compared(a, b)
    assert found["verdict"] == "different"
    assert note in found["note"]
