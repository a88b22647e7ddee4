"""Runs in notebooks: a real kernel runs the cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import surroundings

from footsteps.reader.runs import Run

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
    assert [Run(f"results/{name}").arguments for name in ("first", "second")] == [{}, {}]


def execute(tool: str, *cells: str, metadata: dict | None = None) -> int:
    """Have a tool execute a notebook of these cells, the run's name being its own; the tool's exit status."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip(tool)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells[1].metadata.update(metadata or {})
    nbformat.write(notebook, "n.ipynb")
    options = {"papermill": ["n.ipynb", "o.ipynb"], "nbconvert": ["--to", "notebook", "--execute", "n.ipynb"]}
    words = [sys.executable, "-m", tool, *options[tool]]
    done = subprocess.run(words, env=surroundings({}), capture_output=True, timeout=120, check=False)
    return done.returncode


BEGIN, BOOM = "import footsteps\nfootsteps.output_dir", "lr = 1\nraise ValueError('boom')"


@pytest.mark.parametrize("tool", ["papermill", "nbconvert"])
def test_a_notebook_that_a_tool_gives_up_has_failed_by_what_its_cell_raised(tool):
    """As a script would have; the place is the line of the cell."""
    assert execute(tool, BEGIN, BOOM, "lr = 2") == 1
    told = outcome("n")
    assert (told["status"], told["exit_status"]) == ("failed", 1)
    assert told["exception"] == {"type": "ValueError", "message": "boom", "file": "In[2]", "line": 2}
    words = [sys.executable, "-m", "footsteps", "list", "--failed", "--no-header", "-c", "status"]
    listed = subprocess.run(words, env=surroundings({}), capture_output=True, text=True, check=True)
    assert listed.stdout == "n\tfailed\n"


@pytest.mark.slow
def test_a_cell_that_may_raise_is_no_failure_of_a_notebook_that_goes_on():
    """It has that tag, so its tool executes the next ones, and these go well."""
    assert execute("nbconvert", BEGIN, BOOM, "lr = 2", metadata={"tags": ["raises-exception"]}) == 0
    assert (outcome("n")["status"], outcome("n")["exception"]) == ("finished", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "status", "raised"),
    [
        ("x = (", "failed", ("SyntaxError", 1)),
        ("%%time\n1 / 0", "failed", ("ZeroDivisionError", 1)),
        ("import sys\nsys.exit(3)", "exited", None),
        ("import sys\nsys.exit(0)", "finished", None),
    ],
)
def test_how_the_last_cell_ended_is_how_the_notebook_did(cell, status, raised):
    """Whether it could not be compiled, ended the program, or ran below a magic."""
    execute("papermill", BEGIN, cell)
    told = outcome("n")
    error = told["exception"]
    assert (told["status"], (error["type"], error["line"]) if error else None) == (status, raised)
