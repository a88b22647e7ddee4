"""Never the reason an experiment died: surroundings that would have stopped a lesser recorder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest
from conftest import Repo, surroundings

from footsteps import footsteps as core
from footsteps.recorder.format import SECTION_TITLES
from footsteps.recorder.git import git
from footsteps.recorder.repository import MAX_DIFF

UNET = "import footsteps\nfootsteps.initialize('unet')\nopen(footsteps.output_dir + 'weights', 'w').close()\n"

# What a program that becomes another user must have imported before: nobody else may read root's modules.
ALL_IMPORTED = (
    "import footsteps.recorder, hashlib, importlib, json, os, pkgutil, shutil, tempfile, prompt_toolkit\n"
    "for module in pkgutil.iter_modules(footsteps.recorder.__path__, 'footsteps.recorder.'):\n"
    "    importlib.import_module(module.name)\n"
    "footsteps.current()  # the core module\n"
)


def facts(directory) -> dict:
    """What run.json says."""
    return json.loads((directory / ".footsteps/run.json").read_bytes())


def info(directory) -> bytes:
    """info.txt."""
    return (directory / "info.txt").read_bytes()


def arrived(path):
    """The path, once the finishing child has written it."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)
    return path


def patch_in(directory) -> bytes:
    """What stands under "Uncommitted changes:" in info.txt, our lines after the diff included."""
    return info(directory).partition(b"Uncommitted changes:\n")[2].partition(b"Current working dir:\n")[0]


@pytest.fixture
def survives(repo, run_script):
    """A function that runs a program that must not suffer, and gives its run's directory and stderr."""

    def run(program=UNET, *arguments, cwd=repo, lines=1, **options):
        done = run_script(program, *arguments, cwd=cwd, **options)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("\n") <= lines, done.stderr
        directory = next((p for p in (cwd / "results").rglob("info.txt")), None)
        assert directory is not None, (done.stdout, done.stderr)
        assert facts(directory.parent)["format"] == 1
        assert (directory.parent / "package_versions.txt").stat().st_size
        return directory.parent, done.stderr

    return run


def stub(folder, text) -> str:
    """PATH with a program called git in front, a shell script of that text."""
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return os.fspath(folder) + os.pathsep + os.environ["PATH"]


@pytest.fixture
def impatient(repo, monkeypatch):
    """A project whose sitecustomize gives git a second."""
    repo.write("sitecustomize.py", "import footsteps.recorder.code as code\ncode.GIT_TIMEOUT = 1.0\n")
    repo.commit("Have little patience")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.fspath(repo), os.environ.get("PYTHONPATH")])))
    return repo


# --- git itself ---


def test_no_git(survives, tmp_path):
    """Said in the record and in one line; the script is kept all the same."""
    directory, said = survives(env={"PATH": os.fspath(tmp_path)})
    assert "git was not found on PATH" in said
    assert b"git was not found on PATH" in info(directory).partition(b"Not recorded:")[2]
    kept = [f["path"] for row in facts(directory)["repositories"] for f in row["files"]]
    assert any(path.endswith("script.py") for path in kept)


def test_what_is_missing_everywhere_is_said_once(survives, repo, tmp_path):
    """Without git: not for the project and again for the repository of the script."""
    elsewhere = tmp_path / "elsewhere"
    os.makedirs(elsewhere / ".git")
    (elsewhere / "script.py").write_text(UNET)
    directory, said = survives(elsewhere / "script.py", env={"PATH": os.fspath(tmp_path)})
    assert [row["role"] for row in facts(directory)["repositories"]][:2] == ["cwd", "script"]
    assert facts(directory)["problems"] == ["git was not found on PATH"]
    assert "more)" not in said


def test_git_that_cannot_be_executed(survives, tmp_path):
    """A program called git that is no program."""
    path = stub(tmp_path / "bin", "")
    (tmp_path / "bin/git").write_bytes(b"\x7fELF nonsense")
    survives(env={"PATH": path.partition(os.pathsep)[0]})


def test_git_that_only_complains(survives, tmp_path):
    """Its own first line is recorded, the rest never reaches the screen."""
    path = stub(tmp_path / "bin", "echo 'fatal: the moon is full' >&2; echo more >&2; exit 128")
    directory, said = survives(env={"PATH": path})
    assert said.count("moon") == 1
    assert "more\n" not in said
    assert b"the moon is full" in info(directory)


def test_git_that_talks_nonsense(survives, tmp_path):
    """Exit status 0 and an answer that is none."""
    survives(env={"PATH": stub(tmp_path / "bin", "head -c 300000 /dev/urandom; echo warning >&2")})


def test_git_that_says_nothing(survives, tmp_path):
    """`true` for git."""
    survives(env={"PATH": stub(tmp_path / "bin", "exit 0")})


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "exec sleep 600",
        "sleep 600 & wait",
        "trap '' TERM INT; sleep 600",
        "exec >&- 2>&-; exec sleep 600",
        "while :; do echo x; done",
        "while :; do echo x >&2; done",
    ],
)
def test_git_that_hangs(impatient, survives, tmp_path, text):
    """After GIT_TIMEOUT output_dir is there, with the commit that .git/HEAD tells, and git is gone."""
    began = time.monotonic()
    directory, said = survives(env={"PATH": stub(tmp_path / "bin", text), "PYTHONDONTWRITEBYTECODE": "1"})
    assert time.monotonic() - began < 20
    assert re.search("took (more than 1 s|too long)", said)
    assert impatient("rev-parse", "HEAD").encode() in info(directory)
    left = subprocess.run(["pgrep", "-f", os.fspath(tmp_path / "bin/git")], capture_output=True, text=True).stdout
    assert left == ""


@pytest.mark.slow
def test_git_that_is_slow_makes_no_other_id(impatient, run_script, tmp_path):
    """On a machine with much else to do, LTParser waits longer for git than a run does: the id hangs on its answer."""
    program = "from footsteps import LTParser\nprint(LTParser('x', on_suspicion='ignore').parse_args().hash_code)\n"
    impatient.write("train.py", program)
    impatient.commit()
    slow = f'case "$*" in *status*) sleep 1.5;; esac; exec {shutil.which("git")} "$@"'
    ids = [
        run_script(impatient / "train.py", cwd=impatient, env={"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}).stdout
        for path in (os.environ["PATH"], stub(tmp_path / "bin", slow))
    ]
    assert ids[0] == ids[1] != ""


def test_git_that_hangs_late(impatient, survives, tmp_path):
    """Only the diff hangs: all else is recorded."""
    real = shutil.which("git")
    impatient.write("train.py", "changed = True\n")
    text = f'case "$*" in *diff-index*) exec sleep 600;; esac; exec {real} "$@"'
    directory, said = survives(env={"PATH": stub(tmp_path / "bin", text)})
    assert "the diff" in said
    assert b"train.py" in info(directory).partition(b"Not recorded:")[0] or b"the diff" in info(directory)
    kept = next(f for f in facts(directory)["repositories"][0]["files"] if f["path"] == "train.py")
    assert (directory / ".footsteps" / kept["stored"]).read_text() == "changed = True\n"


def test_not_a_repository(survives, tmp_path):
    """Told in info.txt; git's own complaints never reach the screen."""
    (tmp_path / "plain").mkdir()
    directory, said = survives(cwd=tmp_path / "plain")
    assert said == ""
    assert b"Git Hash:\nnot a git repository\n" in info(directory)


def test_no_commits(survives, tmp_path):
    """An unborn branch."""
    fresh = Repo(tmp_path / "fresh").init()
    directory, said = survives(cwd=fresh.path)
    assert said == ""
    assert b"Git Hash:\nno commits yet\n" in info(directory)


def test_no_remote_is_nothing_to_complain_about(survives, repo):
    """Neither is a remote without a URL, or one whose default branch nobody knows."""
    assert survives()[1] == ""
    shutil.rmtree(repo / "results")
    repo("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    assert survives()[1] == ""


def test_dubious_ownership(survives, repo):
    """Somebody else's repository: git's reason is recorded, the commit is told as far as files tell it."""
    if os.name != "posix" or os.getuid():
        pytest.skip("only root gives files away")
    for folder, names, files in os.walk(repo):
        for name in (".", *names, *files):
            os.chown(os.path.join(folder, name), 12345, 12345)
    directory, said = survives()
    assert "dubious ownership" in said
    assert b"dubious ownership" in info(directory)
    assert any(f["path"].endswith("script.py") for r in facts(directory)["repositories"] for f in r["files"])


@pytest.mark.parametrize("damage", ["HEAD", "index", "objects", "config", "refs"])
def test_a_damaged_repository(survives, repo, damage):
    """Whatever of .git is broken, the experiment runs and its script is kept."""
    target = repo / ".git" / damage
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.write_bytes(b"\0\xffDIRC nonsense\n[")
    directory, _ = survives()
    assert any(f["path"].endswith("script.py") for r in facts(directory)["repositories"] for f in r["files"])


@pytest.mark.parametrize("said", ["gitdir: /nowhere", "gitdir: ../loop", "", "\0\n"])
def test_a_dot_git_file_that_leads_nowhere(survives, repo, said):
    """A submodule or worktree whose repository is gone."""
    shutil.rmtree(repo / ".git")
    repo.write(".git", said)
    survives()


def test_poisoned_git_variables(survives, repo, tmp_path):
    """As inside a hook of another repository: GIT_DIR, GIT_INDEX_FILE and their like are not followed."""
    other = Repo(tmp_path / "other").init()
    other.commit("Other")
    poison = {
        "GIT_DIR": os.fspath(other / ".git"),
        "GIT_WORK_TREE": os.fspath(other),
        "GIT_INDEX_FILE": os.fspath(other / ".git/index"),
        "GIT_OBJECT_DIRECTORY": "/nowhere",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_DIFF_OPTS": "--unified=0",
        "GIT_PAGER": "false",
        "GIT_TRACE": "1",
        "GIT_TRACE2": "1",
        "GIT_NAMESPACE": "x",
        "GIT_LITERAL_PATHSPECS": "0",
    }
    repo.write("train.py", "changed = 1\n")
    directory, said = survives(env=poison)
    assert said == ""
    row = facts(directory)["repositories"][0]
    assert row["commit"] == repo("rev-parse", "HEAD")
    repo.clone("fresh")("apply", stdin=patch_in(directory))


def test_index_lock(survives, repo):
    """Somebody is committing, or a git has died: the index is only read, and the lock stays."""
    repo.write(".git/index.lock", "")
    repo.write("train.py", "changed = 1\n")
    before = repo.read(".git/index")
    directory, said = survives()
    assert said == ""
    assert (repo / ".git/index.lock").exists()
    assert repo.read(".git/index") == before
    assert b"+changed = 1" in patch_in(directory)


def test_the_repository_stays_as_it_was(survives, repo):
    """Index, refs, object store, configuration: byte for byte, also when a bundle is made of it."""

    def look():
        time_free = {}
        for folder, _, files in os.walk(repo / ".git"):
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    time_free[path] = (file.read(), os.stat(path).st_mtime_ns)
        return time_free

    repo.write("train.py", "changed = 1\n")
    os.utime(repo / "train.py", (1, 1))
    before = look()
    directory, _ = survives()
    arrived(directory / ".footsteps/bundles.json")
    assert look() == before


# --- the user's git settings ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"diff.external": "false"},
        {"color.ui": "always", "color.diff": "always", "color.status": "always"},
        {"diff.noprefix": "true"},
        {"diff.mnemonicPrefix": "true"},
        {"diff.srcPrefix": "x/", "diff.dstPrefix": "y/"},
        {"diff.orderFile": "/nowhere/order"},
        {"diff.txt.textconv": "tac"},
        {"core.pager": "false", "pager.diff": "true", "pager.status": "true", "pager.log": "true"},
        {"diff.renames": "copies", "status.renames": "copies"},
        {"diff.relative": "true"},
        {"diff.context": "0", "diff.interHunkContext": "50"},
        {"diff.algorithm": "histogram", "diff.indentHeuristic": "false"},
        {"diff.suppressBlankEmpty": "true"},
        {"diff.wsErrorHighlight": "all", "core.whitespace": "trailing-space"},
        {"diff.colorMoved": "zebra", "diff.submodule": "log", "diff.ignoreSubmodules": "all"},
        {"status.short": "true", "status.branch": "true"},
        {"core.quotePath": "true"},
        {"core.abbrev": "40"},
        {"log.showSignature": "true", "log.decorate": "full", "log.date": "relative", "format.pretty": "raw"},
        {"core.fsmonitor": "true", "core.untrackedCache": "true", "feature.manyFiles": "true"},
        {"apply.whitespace": "error-all"},
        {"core.safecrlf": "true", "core.autocrlf": "input"},
        {"alias.status": "!false", "alias.diff-index": "!false", "alias.log": "!false"},
        {"core.hooksPath": "/nowhere", "advice.detachedHead": "true", "gc.auto": "1"},
        {"core.attributesFile": "/nowhere", "core.excludesFile": "/nowhere"},
        {"i18n.logOutputEncoding": "latin1", "i18n.commitEncoding": "latin1"},
        {"core.editor": "false", "interactive.diffFilter": "false", "core.sshCommand": "false"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_git_settings_of_a_user(survives, repo, settings):
    """Whatever is set, the patch in info.txt applies with a plain `git apply` to the commit, and gives the files."""
    repo.write("deep/naïve name.txt", "one\ntwo\nthree\n" * 10)
    repo.write(".gitattributes", "*.txt diff=txt\n")
    repo.commit("More")
    changed = {
        "train.py": "changed = 1  \n\n\t \n",
        "deep/naïve name.txt": "one\ntwo\nthree\n" * 5 + "new\n" + "one\ntwo\nthree\n" * 5,
    }
    for name, text in changed.items():
        repo.write(name, text)
    repo.write("untracked.txt", "u")
    for key, value in settings.items():
        subprocess.run(["git", "config", "--global", key, value], check=True)
    directory, said = survives(cwd=repo.path)
    assert said == ""
    with open(os.environ["HOME"] + "/.gitconfig", "w") as file:
        file.write('[protocol "file"]\n\tallow = always\n')
    fresh = repo.clone("fresh")
    fresh("apply", stdin=patch_in(directory))
    for name, text in changed.items():
        assert fresh.read(name) == text.encode()
    assert "untracked.txt" in info(directory).decode()
    assert b"\x1b" not in info(directory)


def test_git_settings_of_the_repository_cannot_run_programs(survives, repo):
    """A fsmonitor hook, an external diff, a textconv, a pager of a hostile project: none of them is started."""
    trap = repo.write("trap.sh", "#!/bin/sh\ntouch sprung\n", executable=True)
    repo.write(".gitattributes", "*.py diff=trap\n")
    repo.commit("Traps")
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.trap.command", "diff.trap.textconv"):
        repo("config", key, os.fspath(trap))
    repo.write("train.py", "changed = 1\n")
    directory, _ = survives()
    assert not (repo / "sprung").exists()
    assert b"+changed = 1" in patch_in(directory)


# --- bytes ---


def test_a_latin_1_file_in_the_diff(survives, repo):
    """Upstream died of one such byte: the diff's bytes stand as git gave them."""
    repo.write("notes.txt", b"caf\xe9\n")
    repo.commit("Latin-1")
    repo.write("notes.txt", b"na\xefve caf\xe9\n")
    directory, said = survives()
    assert said == ""
    assert b"+na\xefve caf\xe9\n" in patch_in(directory)
    fresh = repo.clone("fresh")
    fresh("apply", stdin=patch_in(directory))
    assert fresh.read("notes.txt") == b"na\xefve caf\xe9\n"


def test_names_that_are_no_utf_8(survives, repo):
    """Tracked, changed, untracked: run.json keeps the bytes as surrogates, the copies lie under safe names."""
    names = [b"caf\xe9.py", b"new\nline.py", b'tab\tquote".py', b"-leading", b"back\\slash", b"\xff\xfe"]
    for name in names[:3]:
        repo.write(os.fsdecode(name), b"1\n")
    repo.commit("Odd names")
    for name in names:
        repo.write(os.fsdecode(name), b"2\n")
    directory, said = survives()
    assert said == ""
    rows = {f["path"]: f for f in facts(directory)["repositories"][0]["files"]}
    assert {name.decode("utf-8", "surrogateescape") for name in names} <= set(rows)
    for name in names:
        stored = rows[name.decode("utf-8", "surrogateescape")]["stored"]
        assert (directory / ".footsteps" / stored).read_bytes() == b"2\n"
    assert [line for line in info(directory).decode().splitlines() if line in SECTION_TITLES] == list(SECTION_TITLES)
    fresh = repo.clone("fresh")
    fresh("apply", stdin=patch_in(directory))
    for name in names[:3]:
        assert fresh.read(os.fsdecode(name)) == b"2\n"


def test_arguments_that_are_no_utf_8(survives):
    """The bytes survive in run.json, and in info.txt as an escape that bash reads."""
    directory, _ = survives(UNET, os.fsdecode(b"caf\xe9"))
    assert facts(directory)["argv"][1] == "caf\udce9"
    assert rb"$'caf\xe9'" in info(directory)


@pytest.mark.slow
def test_huge_arguments(survives):
    """A hundred thousand of them, and one that is as long as the system allows."""
    directory, said = survives(UNET, *map(str, range(20_000)), "x" * 100_000)
    assert said == ""
    assert len(facts(directory)["argv"]) == 20_002


def test_a_file_named_as_a_title(survives, repo):
    """Untracked "Git Hash:" and a branch's odd name stay on lines of their own kind."""
    for name in ("Git Hash:", "Current working dir:", "a\nPython:\nb"):
        repo.write(name, "x")
    repo("checkout", "--quiet", "-b", "System-ish/ü")
    directory, _ = survives()
    head = info(directory).decode().partition("Untracked files:")[0].splitlines()
    assert [line for line in head if line in SECTION_TITLES] == list(SECTION_TITLES)


def test_a_pipe_that_another_process_holds_open_is_not_waited_for(tmp_path, monkeypatch):
    """A worker that is forked while git starts has a copy of our pipe: once git has ended, it has said all."""
    monkeypatch.setenv("PATH", stub(tmp_path / "bin", "sleep 600 & echo $!"))
    said = git("status", cwd=tmp_path, timeout=60)
    os.kill(int(said), signal.SIGKILL)


@pytest.mark.slow
def test_a_diff_of_200_mb(survives, repo):
    """Listed with size and reason, not kept; the way to output_dir stays short."""
    with open(repo / "big.csv", "w") as file:
        file.write("a\n")
    repo.commit("Small yet")
    line = b"0.123456789," * 8 + b"\n"
    with open(repo / "big.csv", "wb") as file:
        file.writelines(line * (10**6 // len(line)) for _ in range(200))
    size = (repo / "big.csv").stat().st_size
    directory, said = survives()
    row = facts(directory)["repositories"][0]["left_out"][0]
    assert (row["path"], row["size"]) == ("big.csv", size)
    assert "MiB" in row["reason"]
    assert b"not in this diff: big.csv (left out)" in info(directory)
    assert "big.csv" in said or "1 file" in said
    assert sum(p.stat().st_size for p in directory.rglob("*") if p.is_file()) < 20 * 10**6


def test_a_long_diff_is_cut_between_files(survives, repo):
    """What is shown applies; what is cut is named; all of it is kept whole in code/."""
    for n in range(4):
        repo.write(f"{n}.txt", "x\n")
    repo.commit("Four")
    for n in range(4):
        repo.write(f"{n}.txt", f"{n}\n" * 200_000)
    directory, said = survives()
    assert said == ""
    assert b"too long" in patch_in(directory)
    text = (directory / ".footsteps/uncommitted.diff").read_bytes()
    assert len(text) < 2 * MAX_DIFF
    repo.clone("fresh")("apply", stdin=text)
    rows = {f["path"]: f for f in facts(directory)["repositories"][0]["files"]}
    for n in range(4):
        assert (directory / ".footsteps" / rows[f"{n}.txt"]["stored"]).stat().st_size == 400_000


def test_an_unreadable_file_is_listed(survives, repo):
    """A socket, a fifo, a loop of links: listed or recorded as what it is, never waited for."""
    import socket

    os.mkfifo(repo / "fifo")
    os.symlink("loop", repo / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(repo)
        server.bind("sock")
        os.chdir(here)
        directory, _ = survives()
    rows = facts(directory)["repositories"][0]["files"]
    assert [f["target"] for f in rows if f["path"] == "loop"] == ["loop"]


@pytest.mark.slow
def test_a_folder_that_git_cannot_look_into_is_listed(survives, repo):
    """Of what lies in a folder closed to this user git lists nothing: the folder is told as left out."""
    program = UNET
    repo.write("closed/code.py", "x = 1\n")
    if os.name == "posix" and os.getuid() == 0:  # to whom nothing is closed
        program = f"{ALL_IMPORTED}os.setgid(12345)\nos.setuid(12345)\n{UNET}"
        for path in [repo.path, *repo.path.rglob("*")]:
            os.chown(path, 12345, 12345, follow_symlinks=False)
        for folder in repo.path.parents:
            if folder != folder.parent and os.stat(folder).st_uid == 0:
                folder.chmod(folder.stat().st_mode | 0o55)
    (repo / "closed").chmod(0)
    directory, said = survives(program, lines=3)
    assert "1 file left out of the record" in said
    left_out = facts(directory)["repositories"][0]["left_out"]
    assert left_out == [{"path": "closed/", "size": 0, "reason": "unreadable: Permission denied"}]


# --- the interpreter and its surroundings ---


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": None},
        {"HOME": "/nowhere"},
        {"HOME": ""},
        {"LANG": "C"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "xx_YY.nonsense"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONDEVMODE": "1"},
        {"PYTHONWARNINGS": "error"},
        {"TERM": None},
        {"TZ": "Nowhere/Land"},
        {"TZ": "Asia/Kathmandu"},
        {"TMPDIR": "/nowhere"},
        {"PATH": None},
        {"PATH": ""},
        {"USER": None, "LOGNAME": None},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONSAFEPATH": "1"},
        {"PYTHONPYCACHEPREFIX": "/nowhere"},
        {"COLUMNS": "x"},
        {"XDG_CONFIG_HOME": "/nowhere"},
        {"GIT_CONFIG_GLOBAL": "/nowhere"},
        {"GIT_CONFIG_COUNT": "x"},
    ],
    ids=str,
)
def test_environments(survives, repo, environment):
    """A changed file with a non-ASCII name is recorded in each of them."""
    repo.write("naïve.txt", "1\n")
    repo.commit("Naive")
    repo.write("naïve.txt", "2\n")
    directory, _ = survives(env=environment)
    if environment.get("PATH", "x") and environment != {"GIT_CONFIG_COUNT": "x"}:
        assert "naïve.txt" in [f["path"] for f in facts(directory)["repositories"][0]["files"]]


def test_an_empty_environment(survives, repo):
    """`env -i python train.py`, as some schedulers start programs."""
    nothing = dict.fromkeys(os.environ)
    path = os.environ.get("PYTHONPATH")
    survives(env={**nothing, **({"PYTHONPATH": path} if path else {})})


@pytest.mark.parametrize("name", ["naïve", "日本語", "\udcff"])
@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {}], ids=str
)
def test_names_that_the_locale_cannot_write(repo, run_script, environment, name):
    """Made, or refused with a hint: no UnicodeEncodeError."""
    program = (
        f"import footsteps\ntry:\n    footsteps.initialize({name!a})\nexcept ValueError as error:\n"
        "    assert str(error).count('hint: '), repr(error)\n"
    )
    done = run_script(program, cwd=repo, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [("-I",), ("-O",), ("-OO",), ("-S", "-E"), ("-X", "dev"), ("-b", "-b"), ("-u",)])
def test_interpreter_options(survives, repo, options):
    """`python -I`, `-O`, `-OO` and others."""
    where = os.path.dirname(os.path.dirname(core.__file__))
    directory, said = survives(f"import sys\nsys.path.insert(0, {where!r})\n{UNET}", options=options)
    assert said == ""
    assert facts(directory)["orig_argv"][1] == options[0]


def test_a_deleted_working_directory(survives, repo, tmp_path):
    """With an absolute root there is a place to write; cwd is where the program was started."""
    program = (
        "import footsteps, os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"
        f"footsteps.initialize('unet', {os.fspath(repo / 'results')!r})\nfootsteps.output_dir\n"
    )
    directory, said = survives(program)
    assert said == ""
    assert b"Current working dir:\n" + os.fsencode(repo.path) + b"\n" in info(directory)


def test_a_working_directory_deleted_later(survives, repo):
    """output_dir was relative to it; it still names the run."""
    program = (
        "import footsteps, os, shutil\nos.makedirs('sub')\nos.chdir('sub')\nfootsteps.initialize('a', '../results')\n"
        "shutil.rmtree('../sub')\nopen(footsteps.output_dir + 'w', 'w').close()\n"
    )
    directory, _ = survives(program)
    assert (directory / "w").exists()


def test_a_deleted_script(survives, repo):
    """An editor or a sync has taken it away since the start: the record says that it has no copy."""
    directory, said = survives("import os\nos.remove(__file__)\n" + UNET)
    assert "script.py is not there any more" in said
    assert b"script.py is not there any more" in info(directory).partition(b"Not recorded:")[2]
    assert facts(directory)["script"] is None


def test_a_script_called_as_our_files(repo, run_script):
    """info.txt as a Python program does not stand in the way of ours."""
    for name in ("info.txt", "package_versions.txt", ".footsteps"):
        repo.write(name, UNET)
        done = subprocess.run([sys.executable, name], cwd=repo, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    assert (repo / "results/unet/script-info.txt").read_text() == UNET
    assert info(repo / "results/unet").startswith(b"Command:\ninfo.txt\n")


@pytest.mark.parametrize("inside", [True, False])
def test_results_on_a_symlink(survives, repo, tmp_path, inside):
    """The link is followed for the runs, and no run becomes part of the next one's code."""
    target = repo / "disk" if inside else tmp_path / "disk"
    target.mkdir()
    os.symlink(target, repo / "results")
    survives()
    shutil.copytree(target / "unet", target / "copied")
    (target / "loose.bin").write_bytes(b"x")
    done = subprocess.run([sys.executable, "script.py"], cwd=repo, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    files = [f["path"] for f in facts(target / "unet-1")["repositories"][0]["files"]]
    assert sorted(files) == ["results", "script.py"]


def test_a_dangling_link_for_results_is_an_error_before_the_experiment(repo, run_script):
    """It can't be made; nothing is made elsewhere."""
    os.symlink("/nowhere/at/all", repo / "results")
    done = run_script(UNET, cwd=repo)
    assert done.returncode == 1
    assert "'results' is no directory\nhint: " in done.stderr


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_closed_streams(repo, closing):
    """Nowhere to say it: the run is made all the same, and none of its files becomes descriptor 1."""
    repo.write("script.py", UNET + "print('mine', flush=False)\n" * (closing[0] != ">"))
    done = subprocess.run(f"{sys.executable} script.py {closing}", shell=True, cwd=repo, capture_output=True)
    assert done.returncode in (0, 120)
    assert facts(repo / "results/unet")["repositories"][0]["commit"]
    assert info(repo / "results/unet").startswith(b"Command:\n")
    assert b"mine" not in info(repo / "results/unet")


def test_streams_that_the_program_has_replaced_or_closed(survives):
    """sys.stdout = None, sys.stderr closed."""
    survives("import sys\nsys.stdout = None\nsys.stderr.close()\nsys.stdin.close()\n" + UNET)


def test_a_broken_pipe_behind_stdout(repo):
    """`python train.py | head -0`: the seed's line may be lost, the run is not."""
    repo.write("script.py", UNET)
    command = f"set -o pipefail; {{ sleep 0; {sys.executable} script.py; echo $? >status; }} | true"
    subprocess.run(["bash", "-c", command], cwd=repo, capture_output=True)
    assert (repo / "results/unet/weights").exists()


def test_the_programs_own_wait(survives):
    """os.wait() finds only the program's children, and ours do not steal theirs."""
    program = (
        "import os\n" + UNET + "child = os.fork()\nif not child:\n    os._exit(3)\n"
        "assert os.wait() == (child, 3 << 8)\n"
        "try:\n    os.wait()\nexcept ChildProcessError:\n    pass\nelse:\n    raise SystemExit('a child of ours')\n"
    )
    survives(program)


@pytest.mark.parametrize("how", ["SIG_IGN", "lambda *_: None"])
def test_sigchld(survives, repo, how):
    """Ignored, nobody can learn a child's exit status: the record is complete all the same, the bundle too."""
    how = how if how.startswith("lambda") else f"signal.{how}"
    repo.write("train.py", "changed = 1\n")
    program = f"import signal\nhandler = {how}\nsignal.signal(signal.SIGCHLD, handler)\n{UNET}"
    directory, said = survives(program + "assert signal.getsignal(signal.SIGCHLD) == handler\n")
    assert said == ""
    assert b"+changed = 1" in patch_in(directory)
    (row,) = json.loads(arrived(directory / ".footsteps/bundles.json").read_bytes())["bundles"][:1]
    assert row["kind"] == "whole"


def test_sigchld_inherited_as_ignored(survives, repo, remote):
    """A parent that ignores it hands that on through exec; git's answers in the finishing child still count."""
    repo.commit("Not pushed")
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignoring, sys.executable, "script.py"]
    repo.write("script.py", UNET)
    assert subprocess.run(command, cwd=repo, capture_output=True).returncode == 0
    bundles = arrived(repo / "results/unet/.footsteps/bundles.json")
    assert json.loads(bundles.read_bytes())["bundles"][0]["commit"] == repo("rev-parse", "HEAD")
    assert (repo / "results/unet/.footsteps/commits.bundle").exists()


def test_a_program_that_dies_at_once(survives, repo):
    """os._exit, a signal: the record is complete before output_dir is returned."""
    program = "import os, signal\n" + UNET + "os.kill(os.getpid(), signal.SIGKILL)\n"
    repo.write("script.py", program)
    assert subprocess.run([sys.executable, "script.py"], cwd=repo, capture_output=True).returncode == -9
    assert facts(repo / "results/unet")["name"] == "unet"
    assert (repo / "results/unet/package_versions.txt").stat().st_size


def test_a_start_that_is_killed_half_way(repo, run_script):
    """What it leaves is never taken for a run's directory by the next one, nor overwritten."""
    program = (
        "import footsteps, os\nfrom footsteps.recorder import steps\n"
        "steps._sections = lambda *_: os._exit(9)\nfootsteps.initialize('unet')\n"
    )
    assert run_script(program, cwd=repo).returncode == 9
    assert not (repo / "results/unet/info.txt").exists()
    assert run_script(UNET, cwd=repo).stdout == "Saving results to results/unet-1/\n"


@pytest.mark.parametrize("step", ["Repository.add_unseen", "_Patch.__init__", "_Patch.collect"])
def test_a_look_that_fails_is_a_line_in_the_record(survives, repo, step):
    """Law 1: an OSError while looking at the code is not one of the run's directory."""
    repo.write("train.py", "changed = True\n")
    program = (
        "import footsteps.recorder.repository as repository, os\n"
        "def broken(*_):\n    raise PermissionError(13, 'no', 'x')\n"
        f"repository.{step} = broken\n" + UNET
    )
    directory, said = survives(program)
    assert "PermissionError" in said
    assert b"PermissionError" in info(directory).partition(b"Not recorded:")[2]


@pytest.mark.parametrize("name", ["_project_modules", "editable_locations", "repository_root", "add_ignored_modules"])
def test_any_part_of_the_look_may_fail(survives, repo, name):
    """Whatever raises there, the run is made."""
    program = (
        f"import footsteps.recorder.code as code\ndef broken(*_):\n    raise OSError(5, 'x')\ncode.{name} = broken\n"
    )
    survives(program + UNET, lines=2)


def test_modules_with_odd_attributes(survives):
    """Lazy, half-made and lying modules are looked at without being woken."""
    program = (
        "import sys, types\nclass Lazy(types.ModuleType):\n    def __getattr__(self, name):\n"
        "        raise SystemExit('woken by ' + name)\n"
        "sys.modules['lazy'] = Lazy('lazy')\nsys.modules['none'] = None\nsys.modules['text'] = 'text'\n"
        "for n, file in enumerate([5, None, '', '\\0', '/nowhere/x.py', b'bytes', 'rel.py', '<string>']):\n"
        "    m = types.ModuleType(f'odd{n}')\n    m.__file__ = m.__cached__ = file\n    sys.modules[m.__name__] = m\n"
        "import footsteps\n"
        "sys.path[:0] = ['', '/nowhere', 'script.py']\nsys.argv = ['script.py', 'a\\0b']\n"
    )
    survives(program + UNET.partition("\n")[2])


def test_no_argv_and_no_main(survives):
    """An embedding program may have neither."""
    survives("import sys\ndel sys.argv\n" + UNET)
    survives("import sys\nsys.argv = []\ndel sys.modules['__main__']\n" + UNET.replace("unet", "other"))


def test_many_open_files(survives):
    """Descriptors above 1,024, which select() can't watch."""
    program = (
        "import os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(7)[1]))\n"
        "held = [os.open('/dev/null', 0) for _ in range(1500)]\nimport footsteps\n"
        "footsteps.initialize()\nopen(footsteps.output_dir + 'weights', 'w').close()\n"
    )
    survives(program, stdin="unet\n")


def test_no_more_open_files(survives):
    """Not one descriptor left for git's pipes: recorded without git."""
    program = (
        "import os, resource, footsteps\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\nheld = []\n"
        "try:\n    while True:\n        held.append(os.open('/dev/null', 0))\n"
        "except OSError:\n    for _ in range(4):\n        os.close(held.pop())\nfootsteps.initialize('unet')\n"
        "for h in held: os.close(h)\n"
    )
    survives(program, lines=3)


def test_no_new_processes(survives, repo):
    """A limit on processes that is used up: git can't be started, the run is made."""
    if os.name != "posix" or os.getuid():
        pytest.skip("only root becomes somebody else")
    program = (
        f"{ALL_IMPORTED}import resource\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\nos.setgid(12345)\nos.setuid(12345)\n"
    )
    for folder in (repo.path, *repo.path.parents):
        if folder != folder.parent and os.stat(folder).st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o55)
    repo.path.chmod(0o777)
    survives(program + UNET, lines=3)


def test_a_recorder_that_can_not_be_imported_costs_only_itself(repo, run_script):
    """As for a program that has become another user; nor is there pip, or the packages' metadata."""
    early = (
        "import sys, footsteps\n"
        "sys.modules.update({'footsteps.recorder.steps': None, 'importlib.metadata': None})\n"
        "sys.executable = '/no/python'\n"
    )
    done = run_script(early + UNET, cwd=repo)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert "footsteps.recorder takes no part in this run: ModuleNotFoundError" in done.stderr
    assert info(repo / "results/unet").startswith(b"Command:\nscript.py\nSystem:\n")
    listed = (repo / "results/unet/package_versions.txt").read_text()
    assert listed.startswith("not recorded: ModuleNotFoundError")
    assert (repo / "results/unet/weights").exists()


@pytest.mark.slow
def test_twenty_thousand_runs_of_one_name(repo, run_script):
    """The next number is found in a moment."""
    (repo / "results").mkdir()
    for n in range(20_000):
        os.mkdir(repo / f"results/unet{'-' * bool(n)}{n or ''}")
    began = time.monotonic()
    assert run_script(UNET, cwd=repo).stdout == "Saving results to results/unet-20000/\n"
    assert time.monotonic() - began < 10


def test_a_slow_pip_is_not_waited_for(survives, repo, tmp_path):
    """The list stands there before pip has said a word; the program ends when it ends."""
    (tmp_path / "slow/pip").mkdir(parents=True)
    (tmp_path / "slow/pip/__init__.py").write_text("")
    (tmp_path / "slow/pip/__main__.py").write_text("import time\ntime.sleep(60)\n")
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [os.fspath(tmp_path / "slow"), before]))
    began = time.monotonic()
    survives(env=surroundings({"PYTHONPATH": path}))
    assert time.monotonic() - began < 20
    mine = subprocess.run(["pgrep", "-f", "[-]m pip list"], capture_output=True, text=True).stdout.split()
    for pid in mine:  # only the one whose environment has this test's folder
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if os.fsencode(tmp_path) in file.read():
                    os.kill(int(pid), 9)
        except OSError:
            continue
