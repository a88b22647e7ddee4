"""No secret reaches a record, whatever way it takes: planted ones are looked for in every file of a run's directory."""

from __future__ import annotations

import os

import pytest

SECRET = "hunter2Zq9xWv"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY = "-----BEGIN " + f"PRIVATE KEY-----\nMIIEvQ{SECRET}\n-----END PRIVATE KEY-----\n"
BEGIN = "import argparse, sys, threading\nimport footsteps\nfootsteps.initialize('r')\nfootsteps.output_dir\n"
WAYS = {
    "a namespace": "footsteps.record(args=argparse.Namespace(db=argparse.Namespace(password={secret!r})))",
    "a header": "footsteps.record(headers={{'Authorization': 'Bearer ' + {secret!r}}})",
    "a list": "footsteps.record(password=[{secret!r}])",
    "a dictionary": "footsteps.record(credentials={{'value': {secret!r}}})",
    "a set": "footsteps.record(tokens_seen={{'https://u:' + {secret!r} + '@host/x'}})",
    "a key": "footsteps.record(seen={{'https://u:' + {secret!r} + '@host/x': 1}})",
    "a command line": "footsteps.record(argv=['run', '--password', {secret!r}])",
    "an object": "class A:\n"
    "    def __repr__(self): return 'A(password=' + repr({secret!r}) + ')'\n"
    "footsteps.record(a=A())",
    "a token in a text": "footsteps.record(note='see ' + {token!r} + ', and go on')",
    "a mapping": "footsteps.record({{'outer': {{'api_key': {secret!r}}}}})",
    "an exception": "raise ValueError('no login at postgres://u:' + {secret!r} + '@host/db')",
    "an exception of a thread": "t = threading.Thread(target=lambda: open('/no?token=' + {secret!r}))\n"
    "t.start()\nt.join()",
    "the console": "print('password:', end=' '); print({secret!r})",
    "an argument of a parser": "from footsteps.recorder.steps import note_arguments\n"
    "note_arguments({{'login': {{'password': {secret!r}}}, 'pin': 1}}, more={{'api_key': {secret!r}}})",
}


def texts_below(directory) -> str:
    """All that the files of a directory say, their names too."""
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(folder, name), errors="replace") as file:
                found += [name, file.read()]
    return "\n".join(found)


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_reaches_the_record(run_script, repo, way):
    """Recorded values of any type and depth, exceptions, the console, arguments; and stderr's line about them."""
    program = BEGIN + WAYS[way].format(secret=SECRET, token=TOKEN)
    repo.write("way.py", program)
    repo("add", "way.py")
    repo.commit()
    (repo / ".git/info/exclude").write_text("way.py\n")
    done = run_script(repo / "way.py", cwd=repo, env={"FOOTSTEPS_CONSOLE": "1"})
    (repo / "results/r/way.py").unlink(missing_ok=True)  # the script itself holds it, which is the user's to see
    found = texts_below(repo / "results/r")
    assert "***" in found, done.stderr
    assert SECRET not in found
    assert TOKEN not in found


def test_a_remote_and_the_place_of_a_package_have_no_login(run_script, repo):
    """git's configuration and direct_url.json hold them as they were typed."""
    repo("remote", "add", "origin", f"https://u:{SECRET}@host/x.git")
    repo.write("tool-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n")
    url = f'{{"url": "https://u:{SECRET}@host/t.git", "vcs_info": {{"vcs": "git", "password": "{SECRET}"}}}}'
    repo.write("tool-1.0.dist-info/direct_url.json", url)
    repo.write(".git/info/exclude", "tool*\nresults\n")
    done = run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    assert done.returncode == 0, done.stderr
    found = texts_below(repo / "results/r")
    assert "host/x.git" in found
    assert "host/t.git" in found
    assert SECRET not in found


@pytest.mark.parametrize("content", [f"x = 1\ntoken = '{TOKEN}'\n", f"a\n{KEY}"], ids=["token", "private key"])
def test_a_file_that_holds_a_token_is_left_out_and_named_with_its_line(run_script, repo, content):
    """Also the diff of such a file; and a line on stderr says so."""
    repo.write("settings_of_mine.py", content)
    repo.write("tracked.py", "y = 1\n")
    repo("add", "tracked.py")
    repo("commit", "--quiet", "--message", "x")
    repo.write("tracked.py", content)
    done = run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    found = texts_below(repo / "results/r")
    assert "line 2 holds a token or a private key" in found
    assert "files left out" in done.stderr
    assert TOKEN not in found
    assert SECRET not in found


def test_a_token_that_is_taken_out_is_not_shown_in_the_diff(run_script, repo):
    """The file is clean now, and kept; what was in it is in the commit, but not in info.txt, which people show."""
    repo.write("tracked.py", f"y = '{TOKEN}'\n")
    repo.commit()
    repo.write("tracked.py", "y = ''\n")
    run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    info = (repo / "results/r/info.txt").read_text()
    assert TOKEN not in info
    assert "not in this diff: tracked.py" in info
    assert (repo / "results/r/.footsteps/code/main/tracked.py").exists()


def test_a_setting_keeps_such_a_file(run_script, repo):
    """A test's data may look like a token."""
    repo.write("data.txt", TOKEN)
    run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r", "FOOTSTEPS_KEEP_SECRETS": "1"})
    assert (repo / "results/r/.footsteps/code/main/data.txt").read_text() == TOKEN


def test_a_script_that_holds_a_token_is_not_copied(run_script, repo):
    """It says so on stderr and in info.txt."""
    repo.write("train.py", f"import footsteps\nkey = '{TOKEN}'\nfootsteps.output_dir\n")
    repo.commit()
    done = run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    assert not (repo / "results/r/train.py").exists()
    assert "train.py is not copied: line 2 holds" in (repo / "results/r/info.txt").read_text()
    assert "is not copied" in done.stderr


def test_a_file_beside_a_key_may_be_a_certificate(run_script, repo):
    """A .pem is no secret by its name where its content says that it is public."""
    repo.write("ca.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    repo.write("own.pem", KEY)
    run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    assert (repo / "results/r/.footsteps/code/main/ca.pem").exists()
    assert not (repo / "results/r/.footsteps/code/main/own.pem").exists()


def wait_for(path) -> bytes:
    """The content of a file that a process in the background makes: it has a pipe's end open until it is done."""
    import time

    until = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.05)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "kept"), [("-----BEGIN CERTIFICATE-----\nMIIB\n", True), (KEY, False)], ids=["certificate", "key"]
)
def test_commits_with_a_secret_are_not_kept_and_that_is_said(run_script, repo, content, kept):
    """A certificate among them is none; what is refused is in info.txt on the day of the run."""
    repo.write("host.pem", content)
    repo.commit()
    run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": "r"})
    wait_for(repo / "results/r/.footsteps/bundles.json")
    assert (repo / "results/r/.footsteps/commits.bundle").exists() is kept
    if not kept:
        until_said(repo / "results/r/info.txt", "host.pem, whose name looks like a secret's")


def until_said(path, words) -> None:
    """The words are written into the file, soon."""
    import time

    until = time.monotonic() + 60
    while words not in path.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert words in path.read_text()
