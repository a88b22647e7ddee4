"""plot() saves the figure that was meant, in the format that was meant, and says where."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

PROGRAM = """
import footsteps
from matplotlib import pyplot as plt
footsteps.initialize("unet")
print(repr(footsteps.plot("nothing")))
plt.plot([1, 2])
print(footsteps.plot("loss"))
print(plt.gcf().axes)
figure, axes = plt.subplots()
axes.plot([3, 4])
plt.figure()
print(footsteps.plot("loss.pdf", figure), footsteps.plot("v1.5", figure, dpi=10), footsteps.plot("b", format="svg"))
plt.plot([1])
print(footsteps.plot("photo.jpg"))
"""


@pytest.mark.slow
def test_a_figure_is_saved_as_was_asked_for(tmp_path, run_script):
    """The current one or another, in the format of the name's ending, with savefig's options; its path is returned."""
    done = run_script(PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "''",
        "results/unet/000_loss.png",
        "[]",
        "results/unet/001_loss.pdf results/unet/001_v1.5.png results/unet/002_b.svg",
        "results/unet/002_photo.jpg",
    ]
    assert "no figure" in done.stderr
    assert (tmp_path / "results/unet/001_loss.pdf").read_bytes().startswith(b"%PDF")
    assert b"footsteps: run unet" in (tmp_path / "results/unet/001_loss.pdf").read_bytes()
    assert b"footsteps:id" in (tmp_path / "results/unet/000_loss.png").read_bytes()


def test_a_misspelled_output_dir_is_told(run_script):
    """`footsteps.outputdir` and the like."""
    program = """
import footsteps
for name in ("outputdir", "outputdir", "out_dir", "output_directory"):
    try:
        getattr(footsteps, name)
    except AttributeError as error:
        print(str(error).endswith("did you mean output_dir?"))
"""
    done = run_script(program)
    assert done.stdout.split() == ["True"] * 4


def test_names_that_a_shell_would_trip_over_are_told(tmp_path, run_script):
    """They are taken, with a line; hidden ones, which no list would show, are refused."""
    for name, said in (("-dash", "begins with a dash"), ("$HOME/x", "holds $"), ("CON", "on Windows")):
        done = run_script(f"import footsteps\nfootsteps.initialize({name!r})")
        assert (done.returncode, said in done.stderr) == (0, True), name
    done = run_script("import footsteps\nfootsteps.initialize('.hidden')")
    assert (done.returncode, "can't be a run's name" in done.stderr) == (1, True)
