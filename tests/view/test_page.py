"""The page as a file, and what data it has; no browser."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from made_runs import at, make_run
from view_pages import document_of, footsteps, strangers_run, unpacked

import footsteps as package
from footsteps.cli.showing import report
from footsteps.reader import runs
from footsteps.view import data
from footsteps.view import page as joined


def some_runs(root, count=3):
    """Runs with an argument each, newest last."""
    for number in range(count):
        make_run(root / f"knee/run-{number}", started=at(number), arguments={"lr": number / 10})


def test_the_path_of_the_page_is_printed_and_it_lies_in_the_cache(tmp_path):
    """Only its owner may look there; the same question has the same page."""
    some_runs(tmp_path / "results")
    done = [footsteps("view", cwd=tmp_path) for _ in range(2)]
    path = Path(done[0].stdout.strip())
    assert done[0].stdout == done[1].stdout
    assert str(path).startswith(os.environ["XDG_CACHE_HOME"])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], [2, 1, 0]),
        (["knee"], [2, 1, 0]),
        (["knee/run-1"], [1]),
        (["knee/run-1", "knee/run-0"], [1, 0]),
        (["knee/*"], [2, 1, 0]),
        (["@"], [2]),
        (["lr>=0.1"], [2, 1]),
        (["knee", "lr<0.2", "lr>0"], [1]),
        (["lr<0.1", "OR", "lr>0.1"], [2, 0]),
        (["run-2"], [2]),
    ],
)
def test_runs_groups_patterns_and_expressions_choose_what_is_looked_at(tmp_path, words, numbers):
    """Names add up, expressions narrow down."""
    some_runs(tmp_path / "results")
    done = footsteps("view", "-o", "page.html", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert document_of(tmp_path / "page.html")["keys"] == [f"knee/run-{number}" for number in numbers]


@pytest.mark.parametrize("words", [["lr>7"], ["nothing-like-this"]])
def test_where_there_is_no_run_nothing_is_written_and_it_is_said(tmp_path, words):
    """Exit status 1, one sentence."""
    some_runs(tmp_path / "results")
    done = footsteps("view", "-o", "page.html", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout, os.path.exists(tmp_path / "page.html")) == (1, "", False)
    assert done.stderr.startswith("footsteps: no run in")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--embed", "much"], "cannot read 'much' as a size"),
        (["lr=<3"], "cannot read 'lr=<3'"),
        (["-o", "no/such/folder/page.html"], "there is no folder 'no/such/folder'"),
    ],
)
def test_wrong_use_is_answered_with_a_sentence(tmp_path, words, sentence):
    """Exit status 2, nothing half-made."""
    some_runs(tmp_path / "results")
    done = footsteps("view", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_no_character_of_a_record_can_end_the_script_that_holds_it(tmp_path):
    """The page has its own three script elements, all is ASCII, the policy names what may run."""
    strangers_run(tmp_path / "results" / "<script>")
    footsteps("view", "-o", "page.html", cwd=tmp_path)
    words = (tmp_path / "page.html").read_text("ascii")
    assert len(re.findall("<script", words, re.IGNORECASE)) == len(re.findall("</script", words, re.IGNORECASE)) == 3
    values = words.partition('id="data">')[2].partition("</script>")[0]
    assert not set("<>&") & set(values)
    code = words.rpartition("<script>")[2].partition("</script>")[0]
    style = words.partition("<style>")[2].partition("</style>")[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', words)[1]
    for part in (code, style):
        assert f"'sha256-{b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", words)


def test_only_files_that_lie_in_the_run_are_linked_or_embedded(tmp_path):
    """Not what a manifest names elsewhere, nor what a link leads to."""
    run = strangers_run(tmp_path / "results" / "run")
    document = data.document([runs.load(run)], data.Pages(report, lambda _: "./"))
    there = {path for path, _, _, there, _ in unpacked(document, "about")[0]["files"] if there}
    assert there >= {"evil.svg", "t.csv"}
    assert not [path for path in there if ".." in path or path.startswith("/") or "link" in path]
    assert "secret" not in json.dumps([unpacked(document, kind) for kind in data.KINDS])
    assert [name for name in joined.embedded([runs.load(run)]) if "link" in name] == []


def test_a_page_stays_below_its_budget_by_leaving_out_the_texts_of_the_oldest_runs(tmp_path):
    """The index is whole; what is left out is null."""
    for number in range(2 * data.RUNS_AT_ONCE):
        run = make_run(tmp_path / f"run-{number:02d}", started=at(number // 3), arguments={"n": number})
        noise = hashlib.sha256(b"%d" % number).hexdigest() * 40
        (run / "notes.txt").write_text("".join(hashlib.sha256(f"{n}{noise}".encode()).hexdigest() for n in range(50)))
    listed = runs.newest_first(runs.find([str(tmp_path)]))
    whole = data.document(listed, data.Pages(report, lambda _: "./"))
    size = len(data.dumped(whole)) * 3 // 4
    small = data.document(listed, data.Pages(report, lambda _: "./", budget=size))
    assert len(data.dumped(small)) <= size
    assert small["columns"] == whole["columns"]
    assert [chunk is None for chunk in small["chunks"]["texts"]] == [False, True]
    assert None not in small["chunks"]["about"]


def test_the_same_runs_give_the_same_page(tmp_path):
    """Byte for byte."""
    some_runs(tmp_path / "results")
    for name in ("a.html", "b.html"):
        footsteps("view", "-o", name, cwd=tmp_path)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_thinned_series_keeps_its_peaks_and_its_ends(tmp_path):
    """And tells how long it was, and its least and greatest value."""
    values = [0.5] * 3000
    values[1234], values[2000] = 9.0, -7.0
    lines = [("recorded", {"step": step, "loss": value}) for step, value in enumerate(values)]
    series = data.series_of(runs.load(make_run(tmp_path / "run", recorded=lines)), 100)["loss"]
    assert len(series["x"]) <= 100
    assert {(1234, 9), (2000, -7), (0, 0.5), (2999, 0.5)} <= set(zip(series["x"], series["y"], strict=True))
    assert (series["n"], series["least"], series["greatest"], series["counted"]) == (3000, -7, 9, False)


def test_a_series_without_steps_is_counted_and_what_is_not_finite_is_a_gap(tmp_path):
    """NaN and infinities are no JSON."""
    values = [1.0, float("nan"), float("inf"), 2.0]
    run = make_run(
        tmp_path / "run", recorded=[("recorded", {"loss": value, "name": "x", "ok": True}) for value in values]
    )
    series = data.series_of(runs.load(run))
    assert list(series) == ["loss"]
    assert (series["loss"]["counted"], series["loss"]["x"]) == (True, [0, 1, 2, 3])
    assert series["loss"]["y"] == [1, None, None, 2]


def test_an_installed_wheel_has_the_files_of_the_page(tmp_path):
    """They are no Python, and would be forgotten."""
    top = Path(package.__file__).parent.parent
    if not (top / "setup.py").is_file():
        pytest.skip("no source tree")
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    for name in ("footsteps", "setup.py", "setup.cfg", "README.md", "LICENSE"):
        copy = shutil.copytree if (top / name).is_dir() else shutil.copy
        copy(top / name, source / name) if source.mkdir(exist_ok=True) is None else None
    built = [sys.executable, "setup.py", "-q", "build_py", "-d", tmp_path / "built"]
    done = subprocess.run(built, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"page.html", "page.css", *joined.SCRIPTS} <= set(os.listdir(tmp_path / "built/footsteps/view"))


def test_the_script_never_makes_markup_from_a_string():
    """Each of these could put a record's words into the page as markup or program."""
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|setTimeout\(['\"]"
    assert re.findall(forbidden, joined.script()) == []


def test_node_can_read_the_script(tmp_path):
    """And eslint, where ESLINT names it, has nothing to say."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    (tmp_path / "page.js").write_text(joined.script())
    done = subprocess.run([node, "--check", "page.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if os.environ.get("ESLINT"):
        shutil.copy(Path(__file__).parent / "eslint.config.mjs", tmp_path)
        linted = subprocess.run([os.environ["ESLINT"], "page.js"], cwd=tmp_path, capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout + linted.stderr
