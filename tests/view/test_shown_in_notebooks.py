"""What notebooks show."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from made_runs import at, make_run
from view_pages import HOSTILE, strangers_run

import footsteps
from footsteps.reader import runs
from footsteps.view.notebook import table_html


class Elements(HTMLParser):
    """The elements of some HTML, their attributes, and the text."""

    def __init__(self, html):
        """Read it."""
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        """Note an element."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        """Note text."""
        self.text += data


def test_a_run_shows_itself_with_values_curves_and_figures(tmp_path):
    """As the last value of a cell does."""
    losses = [("recorded", {"step": step, "loss": 1 / (step + 1)}) for step in range(9)]
    directory = make_run(
        tmp_path / "unet",
        started=at(3),
        arguments={"lr": 0.1},
        outcome={"status": "failed"},
        recorded=[*losses, ("recorded", {"best": 0.5})],
    )
    (directory / "loss.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    html = runs.load(directory)._repr_html_()
    shown = Elements(html)
    for words in ("unet", "\u2717 failed", "lr", "0.1", "best", "0.5", "loss 0.111111", "loss.png"):
        assert words in shown.text
    assert {"svg", "polyline", "img"} <= shown.tags
    assert 'src="data:image/png;base64,' in html


def test_runs_are_a_table_of_what_differs(tmp_path):
    """The same arguments take no column."""
    for number in range(3):
        make_run(tmp_path / f"run-{number}", started=at(number), arguments={"lr": number / 10, "epochs": 5})
    text = Elements(table_html(runs.newest_first(runs.find([str(tmp_path)])))).text
    assert "lr" in text
    assert "epochs" not in text
    assert text.index("run-2") < text.index("run-0")


def test_what_footsteps_runs_gives_is_a_list_that_shows_itself(tmp_path):
    """The last line of a cell."""
    for number in range(2):
        make_run(tmp_path / f"run-{number}", started=at(number), arguments={"lr": number / 10})
    found = footsteps.runs(root=tmp_path)
    assert (isinstance(found, list), [run.name for run in found]) == (True, ["run-1", "run-0"])
    assert "run-1" in Elements(found._repr_html_()).text


def test_a_strangers_record_puts_no_markup_into_a_notebook(tmp_path):
    """Neither elements nor attributes of its own, nor characters that turn the text."""
    run = runs.load(strangers_run(tmp_path / "<img src=x onerror=alert(1)>"))
    for html in (run._repr_html_(), table_html([run])):
        shown = Elements(html)
        allowed = {"div", "b", "br", "code", "table", "thead", "tbody", "tr", "td", "th", "figure", "figcaption", "svg"}
        assert shown.tags <= allowed | {"title", "polyline", "img"}
        assert not [name for name in shown.attributes if name.startswith("on") or name == "href"]
        assert HOSTILE[0] in shown.text
        assert "\u202e" not in html


CELLS = [
    "import footsteps\nfootsteps.initialize('a <b>/run')",
    "from footsteps.reader import runs\nruns.load('results/a <b>/run')",
]


@pytest.mark.kernel
@pytest.mark.filterwarnings("ignore")
def test_a_cell_that_begins_a_run_shows_a_link_to_its_directory(tmp_path):
    """Relative to the notebook; and a run as a cell's value shows itself."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    done = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    shown = [output.data["text/html"] for output in done.cells[0].outputs if output.output_type == "display_data"]
    assert shown == ['<a href="./results/a%20%3Cb%3E/run/">results/a &lt;b&gt;/run/</a>']
    assert "a &lt;b&gt;/run" in done.cells[1].outputs[0].data["text/html"]
