"""What a run was told, as JSON can say it: recorded values, arguments, the metadata of figures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from footsteps.recorder.values import arguments_of

BEGIN = 'import os, sys, footsteps\nfootsteps.initialize("unet")\n'
RUN = Path("results/unet")


def recorded(kind="recorded", directory=RUN) -> list[dict]:
    """The values of the lines of recorded.jsonl that are of this kind."""
    lines = (Path(directory) / ".footsteps" / "recorded.jsonl").read_text().splitlines()
    return [line["values"] for line in map(json.loads, lines) if line["kind"] == kind]


# --- what it was told ---


def test_record_takes_whatever_holds_values(run_script):
    """Mappings, namespaces, dataclasses and keywords; what JSON can't say is kept as its repr."""
    program = """
import argparse, dataclasses, pathlib, footsteps
@dataclasses.dataclass
class Sizes:
    width: int
    deep: dict
class Odd:
    def __repr__(self): raise ValueError
    __slots__ = ()
footsteps.record({"lr": 0.1, 1: None}, argparse.Namespace(epochs=3, verbose=True))
footsteps.record(Sizes(4, {"a": (1, 2)}), best=float("nan"), where=pathlib.Path("a/b"), what=object)
footsteps.initialize("unet")
footsteps.record(odd=Odd(), loop=(loop := []) or loop.append(loop) or loop)
footsteps.record(lr=0.2)
footsteps.record(7)
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    lines = recorded()
    assert lines[0] == {"lr": 0.1, "1": None, "epochs": 3, "verbose": True}
    assert lines[1] == {
        "width": 4, "deep": {"a": [1, 2]}, "best": "nan", "where": "a/b", "what": "<class 'object'>",
    }  # fmt: skip
    assert lines[2]["odd"] == "<Odd without a repr>"
    assert lines[3:] == [{"lr": 0.2}, {"value": 7}]


def test_a_record_holds_no_secret(run_script):
    """record(vars(args)) must not tell what is masked in the command line beside it; a number is none."""
    said = "footsteps.record({'token': 'T0P', 'on': {'api_key': 'T0P'}}, password='T0P', url='https://a:T0P@h/x'"
    run_script(BEGIN + said + ", loss_per_token=0.5, token='')")
    whole = (RUN / ".footsteps" / "recorded.jsonl").read_text()
    (told,) = recorded()
    assert "T0P" not in whole
    assert (told["on"], told["url"], told["loss_per_token"]) == ({"api_key": "***"}, "https://***@h/x", 0.5)


def test_a_number_too_long_to_write_costs_no_other_value(run_script):
    """Python refuses to write integers of more than 4300 digits: it is kept in hexadecimal."""
    run_script(BEGIN + "footsteps.record(lr=1, big=16**5000)")
    assert recorded() == [{"lr": 1, "big": hex(16**5000)}]


def test_scalars_of_arrays_are_numbers(run_script):
    """numpy's 0.93 is 0.93, and an array is its repr."""
    pytest.importorskip("numpy")
    run_script(
        BEGIN + "import numpy as np\nfootsteps.record(a=np.float32(0.5), b=np.int64(3), c=np.array(2), d=np.ones(2))\n"
    )
    assert recorded() == [{"a": 0.5, "b": 3, "c": 2, "d": "array([1., 1.])"}]


def test_what_is_called_like_a_method_is_a_value(run_script):
    """`--keys 3` and `--_fields`: the namespace's own, not what makes a mapping or a named tuple."""
    run_script(BEGIN + "import argparse\nfootsteps.record(argparse.Namespace(keys=3, shape=2, _fields=None))\n")
    assert recorded() == [{"keys": 3, "shape": 2}]


def test_cycles_and_tables_are_recorded_in_no_time(run_script):
    """A configuration whose parts know each other, a table with a label twice or with many rows: their repr ends it."""
    program = (
        BEGIN
        + """
class Table:
    shape = (2, 1)
    def __init__(self, labels): self.labels, self.columns = labels, 1
    def keys(self): return self.labels
    def __getitem__(self, label): return Table(self.labels) if self.labels.count(label) > 1 else 0.5
    def __repr__(self): return "the table"
whole = {"lr": 1}
whole.update(a={"up": whole, "of": 1}, b={"up": whole}, c=[whole])
footsteps.record(whole)
footsteps.record(Table("xx"), twice=Table("xx"), small=Table("xy"), large=Table(list(range(2000))))
"""
    )
    done = run_script(program, timeout=30)
    assert done.returncode == 0, done.stderr
    cycle, tables = recorded()
    assert (cycle["lr"], cycle["a"]["of"], cycle["a"]["up"]["b"]["up"][:8]) == (1, 1, "...")
    told = {"value": "the table", "twice": "the table", "small": {"x": 0.5, "y": 0.5}, "large": "the table"}
    assert tables == told


@pytest.mark.parametrize(
    ("call", "form"),
    [('"lr", 0.1', "footsteps.record(lr=0.1)"), ('"val/loss", 2, step=3', "footsteps.record({'val/loss': 2})")],
)
def test_a_name_and_a_value_are_refused_with_the_right_form(run_script, call, form):
    """What W&B and MLflow take; nothing is recorded under a name that nobody gave."""
    done = run_script(f"import footsteps\nfootsteps.initialize('r')\nfootsteps.record({call})")
    assert done.returncode == 1
    assert f"TypeError: record() takes names as keywords: {form}" in done.stderr
    assert not Path("results/r/.footsteps/recorded.jsonl").exists()


def test_a_record_without_a_run_makes_none_and_says_so(run_script):
    """What was recorded is not kept anywhere; nothing is lost in silence."""
    done = run_script("import footsteps\nfootsteps.record(lr=1)\n")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "no run" in done.stderr
    assert not os.path.exists("results")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_a_pools_worker_records_is_its_parents(run_script, method):
    """Also where the worker has not asked for the run's directory."""
    program = f"""
import multiprocessing, footsteps
def tell(n):
    footsteps.record(n=n)
if __name__ == "__main__":
    footsteps.initialize("unet")
    with multiprocessing.get_context("{method}").Pool(2) as pool: pool.map(tell, range(4))
"""
    done = run_script(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(values["n"] for values in recorded()) == [0, 1, 2, 3]


def test_the_command_line_is_parsed_as_far_as_it_can_be(run_script):
    """Without a parser of ours: names and values of options, flags and Hydra's overrides."""
    run_script(
        BEGIN, "fit", "--lr", "0.1", "--bs=32", "-v", "--name", "a b", "model.size=big", "+x=1", "--shift", "-0.5",
        "--tag", "a", "--tag", "b", "--no-cuda", "--", "-rest",
    )  # fmt: skip
    from footsteps.reader.runs import Run

    assert Run(str(RUN)).arguments == {
        "_": ["fit", "-rest"], "lr": 0.1, "bs": 32, "v": True, "name": "a b", "model.size": "big", "x": 1,
        "shift": -0.5, "tag": ["a", "b"], "no_cuda": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("--layers 1 2 3", {"layers": [1, 2, 3]}),
        ("--layers 1 2 --lr 0.1", {"layers": [1, 2], "lr": 0.1}),
        ("--range -1 -0.5 data.csv", {"range": [-1, -0.5], "_": ["data.csv"]}),
        ("--lr 0.1 data.csv 3", {"lr": 0.1, "_": ["data.csv", 3]}),
        ("--files a b", {"files": "a", "_": ["b"]}),
        ("--name a 3", {"name": "a", "_": [3]}),
        ("--lr=0.1 3", {"lr": 0.1, "_": [3]}),
        ("--lr 0.1 -- 3", {"lr": 0.1, "_": [3]}),
    ],
)
def test_several_numbers_behind_an_option_are_its_list(line, arguments):
    """As argparse's nargs has them; what could as well be the program's own argument is left to it."""
    assert arguments_of(["train.py", *line.split()]) == arguments


# --- figures ---

FIGURES = """
import matplotlib, sys, footsteps
from matplotlib import pyplot as plt
footsteps.initialize("unet")
for name in ("a.png", "a.pdf", "a.svg", "a.ps"):
    plt.plot([1, 2]); plt.savefig(footsteps.path(name), metadata=footsteps.metadata(name)); plt.clf()
plt.plot([1, 2]); footsteps.plot("loss")
print(footsteps.metadata("jpg"), footsteps.current().id, footsteps.current().facts["code_id"])
"""


@pytest.mark.slow
def test_postscript_is_told_a_run_of_any_name(run_script):
    """It is written in Latin-1, and savefig would fail."""
    pytest.importorskip("matplotlib")
    name = "\N{CYRILLIC SMALL LETTER ZHE}"
    done = run_script(FIGURES.replace('"unet"', f'"{name}"'))
    assert done.returncode == 0, done.stderr
    assert b"footsteps: run \\u0436" in Path(f"results/{name}/a.ps").read_bytes()


@pytest.mark.slow
def test_figures_know_their_run_and_no_person(run_script, monkeypatch):
    """PNG, PDF, SVG and PS take the metadata, and hold name, id, code id and command; no user or host."""
    pytest.importorskip("matplotlib")
    home = os.path.expanduser("~")
    done = run_script(FIGURES, "--data", home + "/data", "--say", "caf\N{LATIN SMALL LETTER E WITH ACUTE}\n\x1b")
    assert done.returncode == 0, done.stderr
    empty, run, code = done.stdout.split()[-3:]
    assert empty == "{}"
    for name in ("a.png", "a.svg", "a.pdf", "a.ps", "000_loss.png"):
        content = (RUN / name).read_bytes()
        assert run.encode() in content
        assert code.encode() in content
        assert home.encode() not in content
    from PIL import Image

    text = Image.open(RUN / "000_loss.png").text
    assert text["footsteps:run"] == "unet"
    assert text["footsteps:command"].startswith("script.py --data ~/data --say")
