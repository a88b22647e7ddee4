"""The page in a real browser: what is seen, pressed and clicked."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from made_runs import make_run
from view_pages import HOSTILE, footsteps, strangers_run

from footsteps.cli.listing import split_at_or
from footsteps.reader import notes, runs, search

pytestmark = pytest.mark.browser

NEWEST = {"tick": ["knee/a", "knee/b"]}


def names_listed(browser):
    """The names in the table, as far as it is in sight."""
    return browser.texts("tr[data-run] a")


def test_the_page_shows_the_runs_newest_first_and_asks_no_network(browser, project, page):
    """All that it needs is in the one file."""
    browser.open(page(cwd=project))
    assert names_listed(browser) == ["other", "knee/b", "knee/a"]
    assert "3 of 3 runs" in browser.texts("#said")
    assert browser.texts("tr[data-run] .status") == ["\u2713 finished"] * 3
    asked = browser.ask("performance.getEntriesByType('resource').map((e) => e.name)")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_a_ticked_run_has_its_curves_with_values_under_the_pointer(browser, project, page):
    """A line for each ticked run, named by what differs; steps or time; a logarithmic scale; smoothing."""
    browser.open(page(cwd=project), {"view": "curves", **NEWEST})
    assert browser.texts(".chart figcaption") == ["loss", "accuracy"]
    assert browser.count(".charts figure:first-child path.curve") == 2
    assert [words.split()[0] for words in browser.texts(".legend a")] == ["knee/b", "knee/a"]
    browser.ask("document.querySelector('.chart svg').focus()")
    browser.press("\ue014", "\ue014")
    assert browser.texts(".tip b") == ["step 1", "0.51", "0.6"]
    browser.click("#log")
    browser.wait("location.hash.includes('log=1')")
    browser.ask("(e => { e.value = 0.5; e.dispatchEvent(new Event('change')); })(document.getElementById('smooth'))")
    browser.wait("document.querySelectorAll('.charts figure:first-child path.raw').length === 2")


def test_figures_of_the_ticked_runs_stand_side_by_side_and_grow_on_a_click(browser, project, page):
    """By name; text, tables and JSON as previews."""
    browser.open(page(cwd=project), {"view": "figures", **NEWEST})
    assert browser.texts(".gallery h2") == ["loss.svg", "table.csv"]
    browser.wait("[...document.querySelectorAll('.gallery img')].filter((i) => i.naturalWidth === 40).length === 2")
    assert browser.texts(".csv td")[:4] == ["a", "b", "1", "2"]
    browser.click(".picture")
    assert browser.wait("document.querySelector('dialog[open] img').naturalWidth") == 40


def test_embedded_pictures_are_seen_far_from_the_runs_and_others_are_said_to_be_missing(
    browser, project, page, tmp_path
):
    """A page that is mailed has what was put in."""
    away = tmp_path / "away"
    away.mkdir()
    for name, words in (("with.html", ["--embed"]), ("without.html", [])):
        shutil.move(page(*words, cwd=project, output=name), away / name)
    browser.open(away / "with.html", {"view": "figures", **NEWEST})
    browser.wait("[...document.querySelectorAll('.gallery img')].filter((i) => i.naturalWidth === 40).length === 2")
    browser.open(away / "without.html", {"view": "figures", **NEWEST})
    browser.wait("document.querySelectorAll('.picture .note').length === 2")
    assert all("ERR_FILE_NOT_FOUND" in line for line in browser.complaints())


def test_comparing_shows_what_differs_and_the_code_between_two_runs(browser, project, page):
    """Arguments, results, packages, and a patch from one to the other although no git is there."""
    browser.open(page(cwd=project), {"view": "compare", **NEWEST})
    rows = browser.texts("table.compare tbody tr")
    assert "lr0.010.1" in rows
    assert not [row for row in rows if row.startswith("optimizer")]
    added, removed = (browser.texts(f".patch .{kind}") for kind in ("added", "removed"))
    assert any("step / 100)" in line for line in added)
    assert any("step / 101)" in line for line in removed)
    browser.open(page(cwd=project), {"view": "compare", "tick": ["other", "knee/b"]})
    assert any("step / 101)" in line for line in browser.texts(".patch .added"))


def test_a_run_has_a_page_with_everything(browser, project, page):
    """What `show` prints, the patch with colours, console, and links to files in the run."""
    browser.open(page(cwd=project), {"view": "run", "run": "knee/b"})
    titles = browser.texts(".part h3")
    for title in ("curves", "figures", "run", "artifacts", "code that differed from the commit", "console", "packages"):
        assert title in titles
    assert any("step / 101)" in line for line in browser.texts(".patch .added"))
    assert "trained knee/b" in browser.texts("pre.console")[0]
    links = browser.ask("[...document.querySelectorAll('.files a')].map((a) => a.href)")
    assert (project / "results/knee/b/table.csv").as_uri() in links
    assert "loss.svg" not in " ".join(links)  # a browser would run what is in it


def test_the_chain_leads_to_the_runs_that_made_the_inputs(browser, tmp_path, page):
    """Drawn from raw data to the run; a box is a link."""
    root = tmp_path / "results"
    made = {"path": "clean.csv", "size": 1, "sha256": "ab" * 32}
    make_run(root / "prepare", started="2026-11-22T01:00:00+00:00", outcome={"status": "finished", "artifacts": [made]})
    figure = make_run(root / "figure", started="2026-11-22T02:00:00+00:00", outcome={"status": "finished"})
    (root / "prepare/.footsteps/inputs-1.jsonl").write_text('{"path": "/data/raw.csv", "sha256": "cd"}')
    (figure / ".footsteps/inputs-1.jsonl").write_text(f'{{"path": "/gone/clean.csv", "sha256": "{"ab" * 32}"}}')
    browser.open(page(cwd=tmp_path), {"view": "run", "run": "figure"})
    browser.wait("document.querySelectorAll('.graph .node').length === 3")
    assert browser.texts(".graph .node.data text") == ["raw.csv"]
    assert browser.count(".graph .edge") == 2
    browser.click(".graph a .node.other")
    browser.wait("document.querySelector('.run h2')?.textContent === 'prepare'")


HERO = "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2"  # Sisyphus: its last letter has two small forms
QUERIES = [
    "lr<0.1", "lr<=0.1", "lr>0.1", "lr>=0.1", "lr:0.1", "lr=0.1", "optimizer=sgd", "lr==0.1", "lr:.1", "lr:1e-1",
    "lr:1_0", "lr<inf",
    "lr>-Infinity",
    "lr:none", "lr:", "lr:nan", "optimizer:sgd", "optimizer:SGD", "name:sgd", "optimizer.name==sgd", "--optimizer:sgd",
    "layers:64", "layers:'64 32'", "layers:[64,32]", "layers:'(64, 32)'", "layers>100", "flag:true", "flag:True",
    "flag:1", "flag>0", "package.numpy<2", "package.numpy:1", "package.numpy==1.26", "package.numpy>=1.26.4",
    "package.torch:2.0",
    "python>=3.10", "python:3", "status:failed", "status:finished", "started>=2026-11-22T05", "started:2026-11-22",
    "date<2026-11-22T03", "when:2026-11-22T04", "duration>5", "duration<=5", "exit_status:0", "exit_status==1",
    "code:abcd", "code:abc", "commit:0123456", "commit:01234567890123456789", "describe:v1", "id:2026", "hash:LT_delta",
    "changed:true", "changed:none", "unet", "UNET", "stra\u00dfe", "STRASSE",
    HERO.lower(), "0.1", "1.0", "1e-05", "lr", "'two words'",
    "two words", "big>1e16", "big:12345678901234567890", "tiny<0.001", "tiny:0.00001", "tiny:1e-05",
    "empty:", "empty:none", "missing:none", "weight-decay:0.5", "weight_decay:0.5", "a.b:1", "b:1", "whole:1",
    "whole==1.0", "whole>0", "nested", "nan", "-e status:failed", "lr<1 -e optimizer:sgd",
    "unet --exclude lr<0.1 flag:true", "host:lab",
    "exception:ValueError", "exception:'ValueError: no data'", "kind:run", "job:7", "name<5", "optimizer<5",
    "pad:<pad>",
    "lr:0.1 OR lr:0.01", "'lr:0.1 OR lr:0.01'", "optimizer:sgd lr<1 OR flag:true", "lr<1 OR flag:true -e status:failed",
    "-e status:failed lr<1", "name:run-*", "name:run-?", "name:run-[13]", "name:run-[!13]", "name:run-[!]",
    "name:un", "group:unet",
    "name:run/", "name:unet*", "tag:paper", "tag:pap", "tags:paper", "tag:draft", "tag<3", "note:fig", "note:'Fig. 3'",
    "notes:two", "took>5", "duration>0.1m", "duration<10s", "duration>=5", "duration:5s", "duration<1h30m",
    "took<2 days", "took<1ms", "duration>fast", "started>2d", "started<2d", "started:3650d",
    "started>'2 days ago'", "started<today",
    "started>yesterday", "started>'last week'", "started:november", "started<march", "started>=monday", "ended<soon",
]  # fmt: skip


def found_by_command(words):
    """The names of the runs that `footsteps search` finds."""
    exclude = [words[n + 1] for n, word in enumerate(words) if word in ("-e", "--exclude")]
    after = [n + 1 for n, word in enumerate(words) if word in ("-e", "--exclude")]
    include = [word for n, word in enumerate(words) if word not in ("-e", "--exclude") and n not in after]
    return {run.name for wanted in split_at_or(include) for run in search.search(["results"], wanted, exclude)}


def asked_runs(tmp_path):
    """Runs with every kind of value that a question may be about."""
    each = [
        {"lr": 0.1, "optimizer": {"name": "sgd"}, "layers": [64, 32], "flag": True, "whole": 1.0, "big": 2**53 + 1},
        {"lr": 0.01, "optimizer": "sgd", "layers": ["64", "128"], "flag": False, "tiny": 1e-05, "empty": ""},
        {"lr": "0.1", "optimizer": "adam", "layers": [], "flag": "true", "tiny": 0.0005, "empty": None},
        {"lr": None, "note": "two words", "weight-decay": 0.5, "a": {"b": 1}, "place": "Stra\u00dfe", "whole": 1},
        {"lr": float("nan"), "big": 12345678901234567890, "hero": HERO, "deep": [[1, [2]], {"x": "nested"}]},
        {"lr": float("inf"), "optimizer.name": "sgd", "tiny": 123456789012345680000.0, "pad": "<pad>", "layers": [0.2]},
        {},
    ]  # fmt: skip
    main = {"name": "main", "role": "cwd", "commit": "0123456789" * 4, "describe": "v1.0-3-g0123456"}
    for number, arguments in enumerate(each):
        make_run(
            tmp_path / "results" / ("unet" if number == 3 else f"run-{number}"),
            id=f"20261122T0{number}0000Z-0000000{number}",
            started=(datetime(2026, 11, 22, tzinfo=timezone.utc) + timedelta(hours=number)).isoformat(),
            command=f"train.py {number}",
            host=f"lab-{number}",
            code_id=["abcdef0123", "", "ABCD", "abc"][number % 4],
            python={"version": f"3.{9 + number}.0"},
            process={"job": 7 if number == 2 else None},
            packages=[{"name": "numpy", "version": ["1.26.4", "2.0.1", "1.26"][number % 3]}] * (number > 0),
            repositories=[main] * (number % 2),
            arguments=arguments,
            outcome={
                "status": "failed" if number == 1 else "finished",
                "exit_status": int(number == 1),
                "duration": number * 2.5,
                **({"exception": {"type": "ValueError", "message": "no data"}} if number == 1 else {}),
            },
            recorded=[("recorded", {"lr": 0.1})] if number == 6 else (),
        )  # fmt: skip
    for name, kind, words in (
        ("run-0", "tag", "paper"),
        ("run-0", "tag", "draft"),
        ("unet", "tag", "paper"),
        ("run-2", "note", "used in paper, Fig. 3"),
        ("run-2", "note", "two\nlines"),
    ):
        notes.add(runs.load(tmp_path / "results" / name), kind, words)


def test_a_search_in_the_page_finds_what_the_command_finds(browser, tmp_path, page):
    """Each expression means the same in JavaScript and in Python."""
    asked_runs(tmp_path)
    browser.open(page(cwd=tmp_path))
    different = {}
    for query in QUERIES:
        wanted = sorted(found_by_command(browser.ask("shellWords(arguments[0]).map((e) => e.text)", query)))
        found = browser.ask("records.matching(parseQuery(arguments[0]))", query)
        found = sorted(browser.ask("arguments[0].map((run) => records.document.keys[run])", found))
        if found != wanted:
            different[query] = (found, wanted)
    assert different == {}


@pytest.mark.parametrize("words", ["lr=<3", "<3", "a<>b", "lr!=3", "lr<", " = "])
def test_what_no_expression_is_is_said_and_the_table_stays(browser, project, page, words):
    """As the command refuses it."""
    browser.open(page(cwd=project), {"q": words})
    assert "cannot read" in browser.texts(".problem")[0]
    assert len(names_listed(browser)) == 3
    assert footsteps("search", words, cwd=project).returncode == 2


def test_tags_have_a_column_where_there_are_any(browser, tmp_path, page):
    """Several of a run stand side by side."""
    asked_runs(tmp_path)
    browser.open(page(cwd=tmp_path))
    assert "tags" in browser.texts("thead button")
    assert "paper draft" in browser.texts("tr[data-run] td")
    browser.open(page("run-4", "run-5", cwd=tmp_path))
    assert "tags" not in browser.texts("thead button")


def test_typing_searches_and_keys_lead_everywhere(browser, project, page):
    """Nothing needs a mouse."""
    browser.open(page(cwd=project))
    browser.press("/")
    browser.wait("document.activeElement.id === 'search'")
    browser.press(*"lr<0.15")
    browser.wait("document.getElementById('said').textContent.startsWith('2 of')")
    assert browser.ask("document.activeElement.id") == "search"
    browser.press("\ue00c")
    browser.press("x", "j", "x")
    browser.wait("document.getElementById('said').textContent.endsWith('2 ticked')")
    browser.press("c")
    browser.wait("document.querySelector('table.compare')")
    browser.press("?")
    browser.wait("document.querySelector('dialog[open]')")
    browser.press("\ue00c")
    browser.wait("!document.querySelector('dialog[open]')")
    browser.press("r")
    browser.wait("document.querySelector('table.runs')")
    browser.press("k", "\ue007")
    browser.wait("document.querySelector('.run h2')?.textContent === 'knee/b'")


def test_an_address_opens_the_same_view_elsewhere(browser, project, page):
    """Search, order, groups, columns and ticked runs are in it."""
    path = page(cwd=project)
    browser.open(path, {"q": "lr<0.15"})
    browser.click("thead button", browser.texts("thead button").index("lr"))
    browser.wait("document.querySelector('th[aria-sort=ascending]')")
    browser.click("tr[data-run] input")
    browser.ask("((e) => { e.value = '=lr'; e.dispatchEvent(new Event('change')); })(document.querySelector('select'))")
    browser.wait("document.querySelectorAll('tr.group').length === 2")
    address, seen = browser.ask("location.hash.slice(1)"), browser.texts("table.runs tr")
    browser.open(path, address)
    assert browser.texts("table.runs tr") == seen
    assert browser.count("tr[data-run] input:checked") == 1


def test_of_many_runs_only_those_in_sight_are_elements(browser, tmp_path, page):
    """The table scrolls to its end all the same, and is printed whole."""
    for number in range(400):
        make_run(tmp_path / f"results/run-{number:03d}", id=f"20261122T000000Z-{number:08x}", arguments={"n": number})
    browser.open(page(cwd=tmp_path))
    assert browser.count("tr[data-run]") < 80
    browser.ask("void (document.getElementById('box').scrollTop = 1e6)")
    browser.wait("[...document.querySelectorAll('tr[data-run] a')].some((a) => a.textContent === 'run-000')")
    assert browser.count("tr[data-run]") < 80
    browser.ask("void dispatchEvent(new Event('beforeprint'))")
    assert browser.count("tr[data-run]") == 400


def test_groups_have_the_mean_and_spread_of_their_runs(browser, tmp_path, page):
    """Over seeds, for example."""
    for number, loss in enumerate([1.0, 2.0, 3.0]):
        make_run(tmp_path / f"results/{number}", arguments={"lr": 0.1}, recorded=[("recorded", {"loss": loss})])
    browser.open(page(cwd=tmp_path), {"group": "=lr"})
    assert browser.texts("tr.group th") == ["lr = 0.1 (3)"]
    assert "2 \u00b1 1" in browser.texts("tr.group td")


def test_a_column_is_hidden_and_shown(browser, project, page):
    """By the menu of columns."""
    browser.open(page(cwd=project))
    browser.click("#columns summary")
    labels = browser.texts("#columns label")
    browser.click("#columns input", labels.index(" started"))
    browser.wait("![...document.querySelectorAll('thead button')].some((b) => b.textContent === 'started')")
    browser.click("#columns input", labels.index(" optimizer"))
    browser.wait("[...document.querySelectorAll('thead button')].some((b) => b.textContent === 'optimizer')")


ACTIVE = "iframe, object, embed, form, base, main b[onclick], foreignObject, [onload], [onerror], [onclick]"
PLACES = """[...document.querySelectorAll("main a, main image, main use, main img, header a")].map(
    (e) => new URL(e.getAttribute("href") ?? e.getAttribute("src"), document.baseURI).href)"""
VIEWS = ["runs", "curves", "figures", "compare", "run"]


@pytest.fixture
def hostile_page(tmp_path, page):
    """The page of a stranger's run and its twin."""
    strangers_run(tmp_path / "results" / "<b onclick=window.pwned=1>")
    strangers_run(tmp_path / "results" / "x" / "\u202ejavascript:window.pwned=1")
    make_run(tmp_path / "results/plain", recorded=[("recorded", {"loss": number}) for number in range(3)])
    return page(cwd=tmp_path)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_of_a_strangers_record_acts(browser, hostile_page, tmp_path, view):
    """No script of it runs, no element of it is made, no link leads out of its run, no character turns the text."""
    keys = ["<b onclick=window.pwned=1>", "x/\u202ejavascript:window.pwned=1", "plain"]
    browser.open(hostile_page, {"view": view, "tick": keys, "run": keys[0], "group": "=__proto__"})
    if view == "run":
        browser.wait("document.querySelector('.part')")
        browser.ask("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    browser.ask("new Promise((done) => setTimeout(done, 300))")
    assert browser.ask("window.pwned") is None
    assert browser.ask("[...document.scripts].map((s) => s.type)") == ["application/json", "application/json", ""]
    assert browser.count(ACTIVE) == 0
    places = browser.ask(PLACES)
    ours = (f"{hostile_page.as_uri()}#", f"{(tmp_path / 'results').as_uri()}/")
    assert [url for url in places if not url.startswith(ours)] == []
    linked = browser.ask(PLACES.replace("main img, ", ""))
    assert not [url for url in linked if "outside" in url or "link" in url or url.endswith((".html", ".svg"))]
    assert "\u202e" not in browser.ask("document.getElementById('main').textContent")
    if view == "run":
        shown = " ".join(browser.texts("dd"))
        assert HOSTILE[1] in shown
        assert "\\u202egnp" in shown


def test_a_drawing_of_a_stranger_is_an_image_whose_script_is_dead(browser, hostile_page):
    """SVG is never put into the document."""
    key = "<b onclick=window.pwned=1>"
    browser.open(hostile_page, {"view": "figures", "tick": [key]})
    browser.wait("[...document.images].some((i) => i.src.endsWith('evil.svg') && i.naturalWidth)")
    assert browser.count("main svg script") == 0
    assert browser.ask("window.pwned") is None
    assert not [url for url in browser.ask("[...document.images].map((i) => i.src)") if "linked.png" in url]


def test_the_policy_forbids_what_code_of_ours_could_do_by_mistake(browser, project, page):
    """Markup from a string, a handler in an attribute, another script, a request: all are refused."""
    browser.open(page(cwd=project))
    refused = """
    (() => {
      const tried = {};
      try { document.body.innerHTML = "<b>x</b>"; tried.markup = true; } catch { }
      try {
        const button = document.createElement("button");
        button.setAttribute("onclick", "window.pwned = 1"); document.body.append(button); button.click();
      } catch { }
      tried.handler = window.pwned;
      return fetch("page.html").then(() => { tried.request = true; }, () => {}).then(() => tried);
    })()
    """
    assert browser.ask(refused) in ({}, {"handler": None})
    assert any("Content Security Policy" in line for line in browser.complaints())


AXE = "axe.run().then((done) => done.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html)]))"


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(browser, project, page, width, dark):
    """Contrast, names and roles, keyboard, in every view."""
    axe = os.environ.get("AXE_CORE", "")
    if not os.path.isfile(axe):
        pytest.skip("AXE_CORE does not name axe-core's axe.min.js")
    path = page(cwd=project)
    found = []
    for view in VIEWS:
        browser.open(path, {"view": view, "run": "knee/b", **NEWEST, "group": "folder"}, width=width, dark=dark)
        browser.driver.execute_script(Path(axe).read_text())
        done = browser.ask(AXE)
        found += [(view, *each) for each in done if each[0] in ("serious", "critical")]
        wide = browser.ask("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"{view} is wider than {width}"
    assert found == []


def test_what_is_left_out_to_keep_the_page_small_is_said(browser, project, tmp_path):
    """The table is whole, and the view of the run tells how to have the rest."""
    from footsteps.cli.showing import report
    from footsteps.reader import runs
    from footsteps.view import data
    from footsteps.view import page as joined

    os.chdir(project)
    listed = runs.newest_first(runs.find())
    how = data.Pages(report, lambda run: joined.url_of(run.directory, str(tmp_path)), budget=3000)
    (tmp_path / "small.html").write_text(joined.html(data.document(listed, how)))
    browser.open(tmp_path / "small.html", {"view": "run", "run": "knee/b"})
    assert "left out to keep the page small" in " ".join(browser.texts(".note"))
