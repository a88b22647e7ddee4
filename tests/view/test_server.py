"""`footsteps view --follow`: what it serves, to whom, and what the page does with it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from urllib.parse import quote, urlsplit

import pytest
from made_runs import at, make_run, this_process
from view_pages import document_in, strangers_run, unpacked

from footsteps.cli.showing import report
from footsteps.reader import runs
from footsteps.view.server import PageServer


@pytest.fixture
def served(tmp_path):
    """A server of the runs below results/ that answers while the test goes on."""
    (tmp_path / "results").mkdir()
    with PageServer(lambda: runs.newest_first(runs.find(["results"])), report) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield server
        server.http.shutdown()
        thread.join()


def got(server, path="", **headers):
    """Status, headers and content of what is asked below the page's address; `path` may be absolute."""
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    connection.request("GET", path if path.startswith("/") else where.path + path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def files_of(server, number=0):
    """Where the files of a run are served, and their names."""
    found = unpacked(document_in(got(server)[2].decode()), "about")[number]
    return found["base"], [name for name, *_ in found["files"]]


def test_only_who_knows_the_token_and_the_name_is_answered(served, tmp_path):
    """Not a page of another site whose name leads here, and nobody who guesses."""
    make_run(tmp_path / "results/a")
    port = urlsplit(served.url).port
    assert got(served)[0] == 200
    assert got(served, Host=f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "", f"127.0.0.1:{port}.evil.example"):
        assert got(served, Host=host)[0] == 403
    for path in ("/", "/data.json", f"/{served.token[:-1]}/", "/x/data.json", f"/{served.token}x/"):
        assert got(served, path)[0] == 403
    assert got(served, "nothing")[0] == 404
    assert served.http.server_address[0] == "127.0.0.1"
    assert len(served.token) >= 32


def test_it_serves_files_of_the_runs_shown_and_nothing_else(served, tmp_path):
    """No link is followed, no path leads out, no record is given, and no browser executes what comes."""
    strangers_run(tmp_path / "results/run")
    (tmp_path / "results/secret.txt").write_text("secret")
    base, _ = files_of(served)
    for name in ("evil.svg", "page.html", "t.csv", "<img src=x onerror=window.pwned=1>.txt"):
        status, headers, content = got(served, base + quote(name))
        assert (status, content) == (200, (tmp_path / "results/run" / name).read_bytes())
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "script-src" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Type"].split(";")[0] in ("image/svg+xml", "text/plain")
    for name in (
        "link.txt", "linked.png", "../outside.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", ".footsteps/run.json",
        "/etc/passwd", "%2fetc%2fpasswd", "x%00.txt", "", ".", "nothing", "inner/../t.csv",
    ):  # fmt: skip
        assert got(served, base + name)[0] == 404, name
    assert got(served, "files/0000/t.csv")[0] == 404


def test_a_page_that_is_up_to_date_is_told_so(served, tmp_path):
    """Else it gets the whole document."""
    make_run(tmp_path / "results/a", outcome={"status": "finished"})
    version = json.loads(got(served, "data.json?since=0")[2])["version"]
    assert got(served, f"data.json?since={version}")[0] == 204
    make_run(tmp_path / "results/b", outcome={"status": "finished"})
    assert json.loads(got(served, f"data.json?since={version}")[2])["count"] == 2


def test_ctrl_c_ends_it(tmp_path):
    """With exit status 0; the address is the first line of stdout."""
    make_run(tmp_path / "results/a", outcome={"status": "finished"})
    command = [sys.executable, "-m", "footsteps", "view", "--follow"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        server.send_signal(signal.SIGINT)
        _, complaints = server.communicate(timeout=60)
        assert server.returncode == 0
        assert "Traceback" not in complaints


@pytest.mark.browser
def test_a_running_run_grows_under_the_readers_eyes(served, browser, tmp_path):
    """New values and new runs come by themselves; what is ticked stays ticked; pictures are served."""
    run = make_run(tmp_path / "results/a", started=at(1), recorded=[("recorded", {"loss": 0.5})], **this_process())
    (run / "loss.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>')
    browser.open(served.url)
    assert browser.texts("tr[data-run] .status") == ["\u25b6 running"]
    browser.click("tr[data-run] input")
    with (run / ".footsteps/recorded.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "recorded", "values": {"loss": 0.25}}) + "\n")
    browser.wait("[...document.querySelectorAll('tr[data-run] td')].some((cell) => cell.textContent === '0.25')")
    make_run(tmp_path / "results/b", started=at(2), outcome={"status": "finished"})
    browser.wait("document.getElementById('said').textContent.startsWith('2 of 2 runs, 1 ticked')")
    browser.open(served.url, {"view": "figures", "tick": "a"})
    browser.wait("document.querySelector('.gallery img').naturalWidth === 40")
    browser.open(served.url, {"view": "curves", "tick": "a"})
    assert browser.count("path.curve") >= 1
