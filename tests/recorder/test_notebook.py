"""Runs in notebooks: a real kernel runs the cells."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

CELLS = [
    "import footsteps, os",
    "footsteps.initialize('first')\nopen('data.csv').read()",
    "footsteps.record(accuracy=0.9)\nopen(footsteps.path('a.txt'), 'w').close()\n1 / 0",
    "footsteps.finish()",
    "%time footsteps.initialize('second')",
]


@pytest.fixture
def executed(tmp_path):
    """The notebook after nbclient has run it in a kernel of its own, errors allowed."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    Path("data.csv").write_text("1,2\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(notebook, allow_errors=True, kernel_name="python3", timeout=120)
    os.environ["JPY_SESSION_NAME"] = str(tmp_path / "figures.ipynb")
    try:
        return client.execute()
    finally:
        del os.environ["JPY_SESSION_NAME"]


def outcome(name: str) -> dict:
    """What outcome.json of a run says."""
    return json.loads(Path(f"results/{name}/.footsteps/outcome.json").read_bytes())


@pytest.mark.filterwarnings("ignore")
def test_a_notebook_keeps_its_cells_inputs_and_outcome(executed, tmp_path):
    """At each finish() and at the kernel's shutdown: the cells so far, in order, as Python that compiles."""
    from footsteps.reader.runs import Run

    assert executed.cells[2].outputs[0].ename == "ZeroDivisionError"
    first, second = (Path(f"results/{name}/executed_cells.py").read_text() for name in ("first", "second"))
    assert [cell in first for cell in CELLS] == [True, True, True, True, False]
    assert first.index("accuracy") < first.index("finish()")
    assert second.startswith(first)
    compile(second, "executed_cells.py", "exec")
    told = outcome("first")
    assert (told["status"], told["notebook"]) == ("finished", str(tmp_path / "figures.ipynb"))
    assert "executed_cells.py" in [entry["path"] for entry in told["artifacts"]]
    assert [entry["path"] for entry in Run("results/first").inputs] == [str(tmp_path / "data.csv")]
    assert outcome("second")["status"] == "finished"


@pytest.mark.filterwarnings("ignore")
def test_the_kernels_own_arguments_are_none_of_the_notebooks(executed):
    """Its connection file would be a column of every list, and a difference between any two notebooks."""
    from footsteps.reader.runs import Run

    assert [Run(f"results/{name}").arguments for name in ("first", "second")] == [{}, {}]
