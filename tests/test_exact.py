"""Whatever state a project is in when it runs, its tree comes back from run directory and remote.

Each state is a function that brings a project into it. The project then runs for real, its clone
is deleted, and what is restored must be what was there: bytes, executable bits, links, no more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from conftest import Repo, snapshot
from hypothesis import given
from hypothesis import strategies as st

from footsteps.reader import runs
from footsteps.recorder import repository
from footsteps.recorder.bundle import make_bundles
from footsteps.recorder.code import capture_code
from footsteps.reproduce import restore

SCRIPT = "import footsteps\nfootsteps.initialize('x')\n"
TEXT = "".join(f"line {n}\n" for n in range(40))
ROT13 = f"{sys.executable} -c \"import sys, codecs; sys.stdout.write(codecs.encode(sys.stdin.read(), 'rot13'))\""


class State:
    """A project that can be brought into some state, and how it runs then.

    repo: its clone; remote: the bare repository that it was pushed to; base: a folder for more;
    cwd, script: where and what runs; tree: the folder that must come back, at `again` below the
    restored directory; doomed: what is deleted before the restore; env: more environment;
    exact: whether all is recorded; options: before the script.
    """

    def __init__(self, base: Path, repo: Repo, remote: Repo):
        self.base, self.repo, self.remote = base, repo, remote
        self.cwd = self.tree = repo.path
        self.script, self.again = "train.py", "."
        self.doomed = [repo.path]
        self.env: dict[str, str] = {}
        self.exact = True

    def move_to(self, repo: Repo) -> Repo:
        """Have another clone run."""
        self.cwd = self.tree = repo.path
        self.doomed.append(repo.path)
        return repo


STATES: dict[str, object] = {}


def state(function):
    """Add a function to the states that are tested."""
    STATES[function.__name__] = function
    return function


@pytest.fixture
def started(tmp_path, monkeypatch) -> State:
    """A project with files of all kinds, pushed to its remote."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    repo = Repo(tmp_path / "project").init()
    repo.write("train.py", SCRIPT)
    for name in ("a.txt", "b.txt", "lib/deep/a.txt", "folder/one.txt", "folder/two.txt"):
        repo.write(name, f"{name}\n{TEXT}")
    repo.write("tool.sh", "#!/bin/sh\n", executable=True)
    repo.write("image.bin", bytes(range(256)) * 8)
    repo.write(".gitignore", "ignored*\n")
    (repo / "link").symlink_to("a.txt")
    (repo / "folder link").symlink_to("folder")
    repo.commit("Begin")
    return State(tmp_path, repo, repo.add_remote())


def run(state: State, run_script) -> runs.Run:
    """Run the program; its record, moved out of the project."""
    done = run_script(str(state.script), cwd=state.cwd, env=state.env)
    assert done.returncode == 0, done.stderr
    found = runs.load(state.cwd / "results/x")
    for tree in restore.Plan(found).trees("a", "b"):
        tree.bundles()  # waits for them
    return runs.load(shutil.move(found.directory, state.base / "kept"))


def files(tree) -> dict:
    """The snapshot of a project without its runs."""
    return {path: what for path, what in snapshot(tree).items() if b"results" not in path.split(b"/")[:-1]}


def shown(rows) -> list:
    """Rows of a Restored without what the tests' own package adds."""
    return [row for row in rows if "project" in json.dumps(row) or "main" in json.dumps(row)]


# --- the states ---


@state
def clean(_):
    """Nothing differs from the pushed commit."""


@state
def edited(s):
    """Not staged."""
    s.repo.write("a.txt", "edited\n")
    s.repo.write("lib/deep/a.txt", "")


@state
def staged(s):
    """An edit and a new file in the index."""
    s.repo.write("a.txt", "staged\n")
    s.repo.write("new.txt", "new\n")
    s.repo("add", "--all")


@state
def staged_then_edited(s):
    """The index holds one version, the disk another."""
    s.repo.write("a.txt", "staged\n")
    s.repo("add", "a.txt")
    s.repo.write("a.txt", "edited\n")


@state
def staged_then_put_back(s):
    """The index differs, the disk is the commit's."""
    before = s.repo.read("a.txt")
    s.repo.write("a.txt", "staged\n")
    s.repo("add", "a.txt")
    s.repo.write("a.txt", before)


@state
def staged_new_then_edited(s):
    """A new file, staged, then edited; another staged, then deleted."""
    s.repo.write("new.txt", "staged\n")
    s.repo.write("brief.txt", "staged\n")
    s.repo("add", "--all")
    s.repo.write("new.txt", "edited\n")
    (s.repo / "brief.txt").unlink()


@state
def deleted(s):
    """From the disk; from the index too; a whole folder."""
    (s.repo / "a.txt").unlink()
    s.repo("rm", "--quiet", "b.txt")
    shutil.rmtree(s.repo / "folder")


@state
def removed_from_the_index_but_on_disk(s):
    """git rm --cached: the file runs, untracked."""
    s.repo("rm", "--quiet", "--cached", "a.txt", "tool.sh")
    s.repo.write("tool.sh", "edited\n", executable=True)


@state
def removed_from_the_index_and_ignored(s):
    """git rm --cached of a file that git ignores from then on."""
    s.repo.write("ignored.txt", "tracked all the same\n")
    s.repo("add", "--force", "ignored.txt")
    s.repo.commit("Ignored", everything=False)
    s.repo("push", "--quiet")
    s.repo("rm", "--quiet", "--cached", "ignored.txt")


@state
def renamed(s):
    """With git, and without."""
    s.repo("mv", "a.txt", "lib/moved.txt")
    (s.repo / "b.txt").rename(s.repo / "c.txt")


@state
def mode_changed(s):
    """A file became executable, another is no more."""
    (s.repo / "a.txt").chmod(0o755)
    (s.repo / "tool.sh").chmod(0o644)


@state
def binary(s):
    """A binary file edited, another new."""
    s.repo.write("image.bin", bytes(range(255, -1, -1)) * 8)
    s.repo.write("new.bin", b"\0\r\n\n\xff" * 99)


@state
def not_utf_8(s):
    """Latin-1, UTF-16, no newline at the end."""
    s.repo.write("a.txt", "caf\u00e9".encode("latin-1"))
    s.repo.write("b.txt", "caf\u00e9\r\n".encode("utf-16"))
    s.repo.write("new.txt", b"\xff\xfe\x80")


def crlf_files(s):
    """Tracked files with every kind of line end, committed as git then likes, and edited ones."""
    for name, content in (
        ("crlf.txt", b"one\r\ntwo\r\n"), ("lf.txt", b"one\ntwo\n"), ("mixed.txt", b"one\r\ntwo\n"),
        ("cr.txt", b"a\rb\r\r\n"),
    ):  # fmt: skip
        s.repo.write(name, content)
        s.repo.write(f"edited-{name}", content)
    s.repo.commit("Line ends")
    s.repo("push", "--quiet")
    for name in ("crlf.txt", "lf.txt", "mixed.txt", "cr.txt"):
        s.repo.write(f"edited-{name}", s.repo.read(name).replace(b"one", b"three"))
        s.repo.write(f"new-{name}", s.repo.read(name))


def autocrlf(value, *, checked_out_afresh):
    """The state under a value of core.autocrlf."""

    def enter(s):
        s.repo("config", "core.autocrlf", value)
        s.repo("config", "core.safecrlf", "false")
        crlf_files(s)
        if checked_out_afresh:
            for name in s.repo("ls-files", "*lf.txt", "a.txt", "mixed.txt").split():
                (s.repo / name).unlink()
            s.repo("checkout", "--quiet", ".")

    return enter


for value in ("true", "input", "false"):
    STATES[f"autocrlf_{value}"] = autocrlf(value, checked_out_afresh=False)
    STATES[f"autocrlf_{value}_checked_out"] = autocrlf(value, checked_out_afresh=True)


def attributes(lines, *, uncommitted=False):
    """The state under lines of .gitattributes."""

    def enter(s):
        s.repo.write(".gitattributes", lines)
        s.repo("config", "core.safecrlf", "false")
        if not uncommitted:
            s.repo.commit("Attributes")
        crlf_files(s)
        for name in ("crlf.txt", "lf.txt", "mixed.txt"):
            (s.repo / name).unlink()
        s.repo("checkout", "--quiet", ".")
        s.repo.write("lf.txt", s.repo.read("lf.txt").replace(b"\r\n", b"\n"))

    return enter


for name, lines in {
    "eol_crlf": "*.txt text eol=crlf\n",
    "eol_lf": "*.txt text eol=lf\n",
    "text_auto": "* text=auto\n",
    "text_auto_eol_crlf": "* text=auto eol=crlf\n",
    "crlf_of_old": "*.txt crlf\n",
}.items():
    STATES[f"attribute_{name}"] = attributes(lines)


@state
def attribute_of_the_user(s):
    """eol in the user's own attributes file."""
    (s.base / "attributes").write_text("*.txt text eol=crlf\n")
    s.repo("config", "--global", "core.attributesFile", s.base / "attributes")
    attributes("", uncommitted=True)(s)


@state
def attribute_in_the_clone(s):
    """eol in .git/info/attributes."""
    (s.repo / ".git/info").mkdir(exist_ok=True)
    (s.repo / ".git/info/attributes").write_text("*.txt text eol=crlf\n")
    attributes("", uncommitted=True)(s)


@state
def ident(s):
    """$Id$ is written at checkout."""
    s.repo.write(".gitattributes", "*.txt ident\n")
    s.repo.write("id.txt", "$Id$\n")
    s.repo.commit("Ident")
    s.repo("push", "--quiet")
    (s.repo / "id.txt").unlink()
    s.repo("checkout", "--quiet", "id.txt")
    assert b"$Id: " in s.repo.read("id.txt")


@state
def encoding(s):
    """working-tree-encoding: UTF-16 on disk, UTF-8 in the commit."""
    s.repo.write(".gitattributes", "*.txt16 working-tree-encoding=UTF-16LE-BOM eol=crlf\n")
    s.repo.write("a.txt16", "\ufeffcaf\u00e9\r\n".encode("utf-16-le"))
    s.repo.write("b.txt16", "\ufeffcaf\u00e9\r\n".encode("utf-16-le"))
    s.repo.commit("Encoding")
    s.repo("push", "--quiet")
    s.repo.write("b.txt16", "\ufefftea\r\n".encode("utf-16-le"))


@state
def filters(s):
    """clean and smudge: what is on disk is nowhere in the commit."""
    for side in ("clean", "smudge"):
        s.repo("config", f"filter.rot.{side}", ROT13)
    s.repo.write(".gitattributes", "*.rot filter=rot\n")
    s.repo.write("a.rot", "hello\n")
    s.repo.write("b.rot", "hello\n")
    s.repo.commit("Filters")
    s.repo("push", "--quiet")
    assert s.repo("show", "HEAD:a.rot") == "uryyb"
    s.repo.write("b.rot", "edited\n")
    s.repo.write("c.rot", "new\n")


@state
def links(s):
    """Changed, new, dangling, to a folder, absolute, empty of sense."""
    for name, target in (
        ("link", "b.txt"), ("new", "a.txt"), ("dangling", "no/where"), ("to folder", "folder"), ("out", "/etc"),
        ("up", "../../.."), ("lib/self", "self"), ("odd", "tab\tnewline\nend"),
    ):  # fmt: skip
        (s.repo / name).unlink(missing_ok=True)
        (s.repo / name).symlink_to(target)


@state
def link_with_bytes(s):
    """A link whose target is no text."""
    os.symlink(b"\xff\xfe", os.fsencode(s.repo / "bytes"))


@state
def file_turned_link(s):
    """A tracked file is a link now, and a link a file."""
    (s.repo / "a.txt").unlink()
    (s.repo / "a.txt").symlink_to("b.txt")
    (s.repo / "link").unlink()
    s.repo.write("link", "a.txt")


@state
def file_turned_folder(s):
    """And a link turned folder."""
    for name in ("a.txt", "link", "folder link"):
        (s.repo / name).unlink()
        s.repo.write(f"{name}/inside.txt", "inside\n")


@state
def folder_turned_file(s):
    """A tracked folder is a file now."""
    shutil.rmtree(s.repo / "folder")
    s.repo.write("folder", "file\n")
    shutil.rmtree(s.repo / "lib")
    s.repo.write("lib", "file\n", executable=True)
    s.repo("add", "lib")


@state
def folder_turned_link(s):
    """A tracked folder is a link to another that holds files of the same names."""
    (s.repo / "folder").rename(s.repo / "other")
    (s.repo / "folder").symlink_to("other")


@state
def folder_turned_link_out(s):
    """A tracked folder is a link to data elsewhere, which is no part of the tree."""
    shutil.move(s.repo / "folder", s.base / "elsewhere")
    (s.repo / "folder").symlink_to(s.base / "elsewhere")


@state
def untracked(s):
    """Nested, the same name twice, executable, empty, dotfiles."""
    for name in ("x/y/z/deep.txt", "same.txt", "x/same.txt", ".hidden", "x/.hidden/.file", "empty"):
        s.repo.write(name, b"" if name == "empty" else f"{name}\n")
    s.repo.write("run", "#!/bin/sh\n", executable=True)
    s.repo.write("empty too", "", executable=True)


@state
def intent_to_add(s):
    """git add --intent-to-add, of a file and of an empty one."""
    s.repo.write("new.txt", "new\n")
    s.repo.write("empty.txt", "")
    s.repo("add", "--intent-to-add", "new.txt", "empty.txt")


@state
def git_files(s):
    """Files that act where they lie: .gitignore, .gitattributes, .mailmap, .gitmodules."""
    s.repo.write(".gitignore", "ignored*\nmore\n")
    s.repo.write("sub/.gitignore", "*.tmp\n")
    s.repo.write("sub/.gitattributes", "*.dat -text\n")
    s.repo.write(".mailmap", "A <a@b>\n")
    s.repo.write(".github/workflows/x.yml", "on: push\n")
    s.repo.write("sub/GIT~x/.gitkeep", "")


ODD_NAMES = (
    "a space", "a'quote", 'a"quote', "a\ttab", "a\nnewline", "caf\u00e9", "cafe\u0301", "\u65e5\u672c",
    "-dash", "--option", "*", "?", "[a]", "back\\slash", "$(HOME)", "trailing.", "trailing ", " leading",
    "con", "nul.txt", "aux.py", "a:b", "a|b", ":(top)x", "#hash", "!bang", "~tilde", "%s", "\x01\x7f",
    "\u202eevil", "x" * 255, "deep/" * 60 + "file",
)  # fmt: skip


def odd_names(*, tracked):
    """The state with files of odd names, tracked and edited, or not tracked."""

    def enter(s):
        for number, name in enumerate(ODD_NAMES):
            s.repo.write(name, f"{number}\n")
            s.repo.write(f"in {number}/{name}", f"{number} in a folder\n")
        if tracked:
            s.repo.commit("Odd names")
            s.repo("push", "--quiet")
            for name in ODD_NAMES:
                s.repo.write(name, "edited\n")
            (s.repo / "in 0" / ODD_NAMES[0]).unlink()
            s.repo("rm", "--quiet", "--", f":(literal)in {ODD_NAMES.index('?')}/?")

    return enter


STATES["odd_names_tracked"] = odd_names(tracked=True)
STATES["odd_names_untracked"] = odd_names(tracked=False)


def byte_names(*, tracked):
    """The state with names that are no UTF-8."""

    def enter(s):
        for name in (b"\xff\xfe.txt", b"caf\xe9", b"\x80/\x81"):
            s.repo.write(name, b"bytes\n")
        if tracked:
            s.repo.commit("Names of bytes")
            s.repo("push", "--quiet")
            s.repo.write(b"caf\xe9", b"edited\n")

    return enter


STATES["byte_names_tracked"] = byte_names(tracked=True)
STATES["byte_names_untracked"] = byte_names(tracked=False)


@state
def ignored_but_imported(s):
    """A module that git ignores runs, so it is code; what nobody imports is not."""
    s.repo.write("ignored_module.py", "x = 1\n")
    s.repo.write("ignoredpackage/__init__.py", "from . import part\n")
    s.repo.write("ignoredpackage/part.py", "y = 1\n")
    s.repo.write("train.py", f"import ignored_module, ignoredpackage\n{SCRIPT}")


@state
def ignored_and_imported_late(s):
    """A module that git ignores and that is imported after the run has begun."""
    s.repo.write("ignored_module.py", "x = 1\n")
    s.repo.write("train.py", f"{SCRIPT}import ignored_module\n")


@state
def imported_through_a_link(s):
    """A module imported through a link to a folder of the project."""
    s.repo.write("real/ignored_inner.py", "x = 1\n")
    s.repo.write("real/__init__.py", "")
    (s.repo / "alias").symlink_to("real")
    s.repo.write("train.py", f"import alias.ignored_inner\n{SCRIPT}")


@state
def assume_unchanged(s):
    """git is told not to look; edited, deleted and as it was."""
    s.repo("update-index", "--assume-unchanged", "a.txt", "b.txt", "tool.sh", "link")
    s.repo.write("a.txt", "edited\n")
    (s.repo / "b.txt").unlink()
    (s.repo / "link").unlink()
    (s.repo / "link").symlink_to("b.txt")


@state
def hidden_behind_a_link(s):
    """Of a folder that git is told not to look at, which is a link to a copy of it now."""
    s.repo("update-index", "--assume-unchanged", "folder/one.txt")
    folder_turned_link(s)


@state
def link_to_itself(s):
    """A tracked folder is a link that leads nowhere for ever."""
    (s.repo / "folder").rename(s.repo / "other")
    (s.repo / "folder").symlink_to("self")
    (s.repo / "self").symlink_to("self")


@state
def skip_worktree(s):
    """As for a local configuration: edited, deleted, and as it was."""
    s.repo("update-index", "--skip-worktree", "a.txt", "b.txt", "tool.sh")
    s.repo.write("a.txt", "edited\n")
    (s.repo / "b.txt").unlink()


def crlf_by_attributes(s):
    """Files were checked out with CRLF, which git calls clean."""
    s.repo.write(".gitattributes", "*.txt eol=crlf\n")
    s.repo.commit("Attributes")
    s.repo("push", "--quiet")
    (s.repo / "a.txt").unlink()
    s.repo("checkout", "--quiet", "a.txt")
    os.utime(s.repo / "a.txt", (1e9, 1e9))
    s.repo("status")
    assert b"\r\n" in s.repo.read("a.txt")


@state
def attributes_deleted(s):
    """Git goes on with the .gitattributes of its index."""
    crlf_by_attributes(s)
    (s.repo / ".gitattributes").unlink()


@state
def attributes_edited(s):
    """Git does not look again at the files that were checked out under other attributes."""
    crlf_by_attributes(s)
    s.repo.write(".gitattributes", "")
    assert s.repo("status", "--short") == " M .gitattributes"


@state
def attributes_not_on_disk(s):
    """A sparse checkout without its .gitattributes, which git reads from the index."""
    crlf_by_attributes(s)
    s.repo("sparse-checkout", "set", "--no-cone", "/*.txt", "/train.py")
    assert not (s.repo / ".gitattributes").exists()


@state
def sparse_checkout(s):
    """Most of the commit is not on disk."""
    s.repo("sparse-checkout", "set", "lib")
    s.repo.write("lib/deep/a.txt", "edited\n")
    assert not (s.repo / "folder").exists()


@state
def sparse_index(s):
    """The index itself is sparse."""
    s.repo("sparse-checkout", "set", "--cone", "--sparse-index", "lib")
    s.repo.write("lib/deep/a.txt", "staged\n")
    s.repo.write("lib/new.txt", "staged\n")
    s.repo("add", "lib")
    s.repo.write("lib/deep/a.txt", "edited\n")


@state
def sparse_file_on_disk(s):
    """A file outside of the sparse checkout is on disk all the same, and differs."""
    s.repo("sparse-checkout", "set", "lib")
    s.repo.write("folder/one.txt", "on disk\n")


@state
def split_index(s):
    """The index is in two files."""
    s.repo("config", "core.splitIndex", "true")
    s.repo("update-index", "--split-index")
    s.repo.write("a.txt", "edited\n")
    s.repo.write("new.txt", "new\n")
    s.repo("add", "new.txt")
    assert list((s.repo / ".git").glob("sharedindex.*"))


@state
def index_version_4(s):
    """Paths in the index are compressed."""
    s.repo("update-index", "--index-version", "4")
    edited(s)
    assume_unchanged(s)


@state
def untracked_cache(s):
    """git remembers what is untracked, wrongly."""
    s.repo("update-index", "--force-untracked-cache")
    s.repo("status")
    s.repo.write("new.txt", "new\n")
    s.repo.write("lib/new.txt", "new\n")


@state
def fsmonitor(s):
    """A hook says that nothing has changed; it is not asked."""
    hook = s.repo.write("../monitor", '#!/bin/sh\ntouch "$0.asked"\nprintf "token\\0"\n', executable=True)
    s.repo("config", "core.fsmonitor", hook)
    s.repo("update-index", "--fsmonitor")
    s.repo("status")
    (s.base / "monitor.asked").unlink()
    s.repo.write("a.txt", "edited\n")
    s.repo.write("new.txt", "new\n")


def assert_fsmonitor(s):
    """The hook was not run."""
    assert not (s.base / "monitor.asked").exists()


@state
def same_size_and_time(s):
    """An edit that keeps the size and puts the old time back."""
    s.repo("status")
    before = (s.repo / "a.txt").stat()
    content = s.repo.read("a.txt").replace(b"line 1\n", b"line X\n")
    s.repo.write("a.txt", content)
    os.utime(s.repo / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (s.repo / "a.txt").stat().st_size == before.st_size


@state
def edited_at_once(s):
    """Within the clock's tick of the commit, and of the same size."""
    s.repo.write("a.txt", "one\n")
    s.repo.commit("Now")
    s.repo.write("a.txt", "two\n")


@state
def index_locked(s):
    """Somebody is committing in another terminal."""
    edited(s)
    s.repo.write(".git/index.lock", "")


@state
def environment_of_a_hook(s):
    """Started by a hook of another repository: GIT_DIR and its like are not ours."""
    edited(s)
    s.env = {"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index", "GIT_PREFIX": "x/"}


@state
def replaced_objects(s):
    """git replace: what git shows of the commit is not what its id says, and only in this clone."""
    blob = s.repo("hash-object", "-w", "--stdin", stdin=b"replaced\n")
    s.repo("replace", s.repo("rev-parse", "HEAD:a.txt"), blob)
    (s.repo / "a.txt").unlink()
    s.repo("checkout", "--quiet", "a.txt")
    assert s.repo.read("a.txt") == b"replaced\n"
    be_sure_of_the_index(s)


def be_sure_of_the_index(s):
    """Have git not doubt what it knows of files: it looks again at those as young as the index."""
    later = (s.repo / "a.txt").stat().st_mtime + 10
    os.utime(s.repo / ".git/index", (later, later))
    assert s.repo("status", "--porcelain") == ""


@state
def through_an_alias(s):
    """The working directory is reached through a link."""
    edited(s)
    (s.base / "alias").symlink_to(s.repo.path)
    s.cwd = s.base / "alias"


def place(name):
    """The state in which the project's folder has an odd name, and a commit that only it has."""

    def enter(s):
        again = s.move_to(Repo(s.base / os.fsdecode(name)))
        s.repo("clone", "--quiet", s.remote.path, again.path)
        again.write("a.txt", "here\n")
        again.commit("Here")
        again.write("b.txt", "edited\n")

    return enter


STATES["place_of_odd_name"] = place(' #"a" $(b)\n: \u00e9\\')
STATES["place_of_bytes"] = place(b"\xff\xfe")


@state
def unpushed(s):
    """Commits that only the clone has, with edits over them."""
    for number in range(3):
        s.repo.write("a.txt", f"commit {number}\n")
        s.repo.commit(f"Local {number}")
    s.repo.write("b.txt", "edited\n")


@state
def amended_away(s):
    """The commit that ran is no longer on any branch when it is restored."""
    s.repo.write("a.txt", "first\n")
    s.repo.commit("First")
    amend = "['git', 'commit', '-q', '--amend', '-m', 'Amended', 'b.txt']"
    s.repo.write("train.py", f"{SCRIPT}import subprocess\nsubprocess.run({amend}, check=True)\n")
    s.repo.commit("Script")
    s.repo.write("b.txt", "amended\n")


@state
def rebased_away(s):
    """The branch was rebased and pushed after the run."""
    s.repo("checkout", "--quiet", "-b", "topic")
    s.repo.write("new.txt", "topic\n")
    s.repo.commit("Topic")
    s.repo("push", "--quiet", "origin", "topic")
    s.after = lambda: (
        s.repo("checkout", "--quiet", "main"),
        s.repo("commit", "--quiet", "--allow-empty", "-m", "Onward"),
        s.repo("rebase", "--quiet", "--force-rebase", "main", "topic"),
        s.repo("push", "--quiet", "--force", "origin", "main", "topic"),
        s.remote("reflog", "expire", "--all", "--expire=now"),
        s.remote("gc", "--quiet", "--prune=now"),
    )


@state
def detached(s):
    """HEAD is on no branch, with a commit on top."""
    s.repo("checkout", "--quiet", "--detach")
    s.repo.write("a.txt", "detached\n")
    s.repo.commit("Detached")


@state
def squashed_and_deleted(s):
    """A pushed branch, squashed into main and deleted afterwards."""
    s.repo("checkout", "--quiet", "-b", "topic")
    for number in range(3):
        s.repo.write("new.txt", f"topic {number}\n")
        s.repo.commit("Topic")
    s.repo("push", "--quiet", "-u", "origin", "topic")
    s.after = lambda: (
        s.repo("checkout", "--quiet", "main"),
        s.repo("merge", "--quiet", "--squash", "topic"),
        s.repo("commit", "--quiet", "-m", "Squashed"),
        s.repo("push", "--quiet", "origin", "main", ":topic"),
        s.remote("gc", "--quiet", "--prune=now"),
    )


@state
def merge_conflict(s):
    """In the middle of a merge, with every kind of conflict."""
    s.repo("checkout", "--quiet", "-b", "theirs")
    s.repo.write("a.txt", "theirs\n")
    s.repo.write("both.txt", "theirs\n")
    (s.repo / "b.txt").unlink()
    s.repo.write("lib/theirs.txt", "theirs\n")
    s.repo.commit("Theirs")
    s.repo("checkout", "--quiet", "main")
    s.repo.write("a.txt", "ours\n")
    s.repo.write("both.txt", "ours\n")
    s.repo.write("b.txt", "ours\n")
    s.repo.commit("Ours")
    assert subprocess.run(["git", "merge", "theirs"], cwd=s.repo.path, capture_output=True).returncode


@state
def rename_conflict(s):
    """In the middle of a merge in which a file that they renamed is in conflict; our version of it was chosen."""
    s.repo("checkout", "--quiet", "-b", "theirs")
    s.repo("mv", "a.txt", "renamed.txt")
    s.repo.write("renamed.txt", s.repo.read("renamed.txt").replace(b"line 5\n", b"theirs\n"))
    s.repo.commit("Theirs")
    s.repo("checkout", "--quiet", "main")
    s.repo.write("a.txt", s.repo.read("a.txt").replace(b"line 5\n", b"ours\n"))
    s.repo.commit("Ours")
    assert subprocess.run(["git", "merge", "theirs"], cwd=s.repo.path, capture_output=True).returncode
    s.repo("checkout", "--quiet", "--ours", "renamed.txt")


@state
def shallow(s):
    """A shallow clone, with a commit of its own."""
    s.repo("commit", "--quiet", "--allow-empty", "-m", "More")
    s.repo("push", "--quiet")
    again = s.move_to(s.repo.clone("shallow", "--depth=1", "--no-local"))
    again("remote", "set-url", "origin", s.remote.path)
    again.write("a.txt", "edited\n")
    again.commit("On top")
    again.write("b.txt", "edited\n")


@state
def shallow_and_clean(s):
    """A shallow clone as it was made."""
    s.repo("commit", "--quiet", "--allow-empty", "-m", "More")
    s.repo("push", "--quiet")
    again = s.move_to(Repo(s.base / "shallow"))
    s.repo("clone", "--quiet", "--depth=1", f"file://{s.remote.path}", again.path)


@state
def partial(s):
    """A partial clone, whose missing blobs the remote has."""
    s.remote("config", "uploadpack.allowFilter", "true")
    again = s.move_to(Repo(s.base / "partial"))
    s.repo("clone", "--quiet", "--filter=blob:none", f"file://{s.remote.path}", again.path)
    again.write("a.txt", "edited\n")


@state
def linked_worktree(s):
    """git worktree add: .git is a file."""
    other = s.move_to(Repo(s.base / "worktree"))
    s.repo("worktree", "add", "--quiet", other.path, "-b", "topic")
    other.write("a.txt", "edited in the worktree\n")
    other.write("new.txt", "new\n")
    other.commit("There")
    other.write("b.txt", "edited\n")


@state
def subdirectory(s):
    """It runs in a folder of the repository; what differs above it counts too."""
    s.repo.write("a.txt", "edited\n")
    s.repo.write("new.txt", "new\n")
    s.repo.write("lib/deep/new.txt", "new\n")
    s.cwd, s.script = s.repo / "lib", "../train.py"


@state
def script_elsewhere(s):
    """The working directory's repository is not the script's: the other one is beside."""
    data = Repo(s.base / "data").init()
    data.write("config.txt", "config\n")
    data.commit("Data")
    data.write("config.txt", "edited\n")
    s.repo.write("a.txt", "edited\n")
    s.cwd, s.script, s.again = data.path, "../project/train.py", "../again.beside/script"
    s.doomed.append(data.path)


@state
def remote_never_fetched(s):
    """A second clone with a remote that was only added."""
    s.repo("remote", "remove", "origin")
    s.repo("remote", "add", "origin", s.remote.path)
    s.repo.write("a.txt", "edited\n")
    s.repo.commit("Local")


@state
def several_remotes(s):
    """The commit is on the second remote only, and the first is gone."""
    s.repo("remote", "rename", "origin", "upstream")
    s.repo("remote", "add", "origin", s.base / "nowhere.git")
    s.repo.write("a.txt", "edited\n")
    s.repo.commit("Elsewhere")
    s.repo("push", "--quiet", "upstream", "main")


@state
def no_remote(s):
    """The run directory alone."""
    s.repo("remote", "remove", "origin")
    s.repo.write("a.txt", "edited\n")
    s.repo.commit("Local")
    s.repo.write("b.txt", "edited\n")
    s.doomed.append(s.remote.path)


@state
def no_commits(s):
    """git init, and nothing more."""
    again = s.move_to(Repo(s.base / "young").init())
    again.write("train.py", SCRIPT)
    again.write("lib/a.txt", "a\n")
    again.write("b.txt", "b\n")
    again("add", "b.txt")


@state
def no_git(s):
    """A folder with a script and a module: what ran is kept."""
    loose = s.base / "loose"
    (loose / "lib").mkdir(parents=True)
    (loose / "train.py").write_text(f"import lib.part\n{SCRIPT}")
    (loose / "lib/part.py").write_text("x = 1\n")
    s.cwd = s.tree = loose
    s.doomed.append(loose)


@state
def earlier_run(s):
    """results/ is not ignored, and an earlier run in it is large."""
    s.repo.write("results/old/.footsteps/run.json", "{}")
    s.repo.write("results/old/info.txt", "Command:\n")
    with open(s.repo / "results/old/weights.bin", "wb") as file:
        file.truncate(100 * 2**20)
    s.repo.write("new.txt", "new\n")


def assert_earlier_run(s):
    """Its bytes do not enter the record."""
    kept = [p for p in (s.base / "kept/.footsteps").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in kept) < 2**20


@state
def large_dataset(s):
    """300 MB beside the code: listed, not stored."""
    with open(s.repo / "data.bin", "wb") as file:
        file.truncate(300 * 2**20)
    s.repo.write("new.txt", "new\n")
    s.exact = False


@state
def sha256(s):
    """A repository of SHA-256."""
    again = s.move_to(Repo(s.base / "modern").init("--object-format=sha256"))
    again.write("train.py", SCRIPT)
    again.write("a.txt", "a\n")
    again.write("folder/b.txt", "b\n")
    again.commit("Modern")
    again.write("a.txt", "edited\n")
    again.write("new.txt", "new\n")


def with_submodule(s) -> Repo:
    """A submodule that holds another, both with remotes; the outer one's checkout."""
    inner = Repo(s.base / "inner").init()
    inner.write("inner.txt", "inner\n")
    inner.commit("Inner")
    outer = Repo(s.base / "outer").init()
    outer.write("outer.txt", "outer\n")
    outer("submodule", "--quiet", "add", inner.path, "deep/inner")
    outer.commit("Outer")
    s.repo("submodule", "--quiet", "add", outer.path, "libs/outer")
    s.repo("submodule", "--quiet", "update", "--init", "--recursive")
    s.repo.commit("Submodules")
    s.repo("push", "--quiet")
    return Repo(s.repo / "libs/outer")


@state
def submodules(s):
    """At any depth, clean."""
    with_submodule(s)


@state
def submodules_dirty(s):
    """Changes, untracked files and a commit of their own in submodules."""
    outer = with_submodule(s)
    outer.write("outer.txt", "edited\n")
    outer.write("new.txt", "new\n")
    inner = Repo(outer / "deep/inner")
    inner.write("inner.txt", "committed here\n")
    inner.commit("Only here")
    inner.write("inner.txt", "edited\n")
    inner.write("run.sh", "", executable=True)


@state
def submodule_not_there(s):
    """A submodule that was never checked out is an empty folder."""
    with_submodule(s)
    s.repo("submodule", "--quiet", "deinit", "--force", "--all")


@state
def submodule_deleted(s):
    """A submodule's folder is gone from the disk."""
    with_submodule(s)
    shutil.rmtree(s.repo / "libs")


@state
def submodule_turned_file(s):
    """A file lies where the commit has a submodule."""
    with_submodule(s)
    shutil.rmtree(s.repo / "libs/outer")
    s.repo.write("libs/outer", "a file\n")


@state
def submodule_turned_folder(s):
    """Plain files lie where the commit has a submodule: it was copied there without its .git."""
    with_submodule(s)
    shutil.rmtree(s.repo / "libs/outer")
    s.repo.write("libs/outer/outer.txt", "edited\n")
    s.repo.write("libs/outer/deep/new.txt", "new\n")


@state
def submodule_turned_link(s):
    """A link to another checkout lies where the commit has a submodule."""
    outer = with_submodule(s)
    shutil.move(outer, s.base / "elsewhere")
    (s.repo / "libs/outer").symlink_to(s.base / "elsewhere")


@state
def nested_repository(s):
    """A repository cloned inside the project, with changes; git shows one folder."""
    other = Repo(s.repo / "third party/other").init()
    other.write("other.txt", "other\n")
    other.commit("Other")
    other.write("other.txt", "edited\n")
    other.write("lib/new.txt", "new\n")


@state
def nested_repository_ignored_but_imported(s):
    """A repository inside the project that git ignores, of which a module runs."""
    other = Repo(s.repo / "ignored_other").init()
    other.write("__init__.py", "")
    other.write("part.py", "x = 1\n")
    other.commit("Other")
    other.write("part.py", "x = 2\n")
    s.repo.write("train.py", f"import ignored_other.part\n{SCRIPT}")


@state
def nested_repository_without_commits(s):
    """git init inside the project."""
    other = Repo(s.repo / "young").init()
    other.write("other.txt", "other\n")


@state
def editable(s):
    """The repository of an editable install comes back beside the tree."""
    library = Repo(s.base / "library").init()
    library.write("lib.py", "x = 1\n")
    library.commit("Library")
    library.write("lib.py", "x = 2\n")
    site = s.base / "site"
    info = site / "library-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: library\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": library.path.as_uri(), "dir_info": {"editable": True}}))
    s.env = {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
    s.tree, s.again = library.path, "../again.beside/editable-library"
    s.doomed.append(library.path)


def assert_editable(s):
    """A note says where it belongs."""
    assert str(s.base / "library") in Path("again.beside/WHERE.txt").read_text()


@state
def settings_of_another_system(s):
    """A clone that says of its file system that it has no modes and links, and takes a name's case for nothing."""
    for name, value in {"fileMode": "false", "symlinks": "false", "ignoreCase": "true"}.items():
        s.repo("config", f"core.{name}", value)
    (s.repo / "a.txt").chmod(0o755)
    (s.repo / "tool.sh").chmod(0o644)
    (s.repo / "b.txt").rename(s.repo / "B.txt")
    (s.repo / "folder").rename(s.repo / "Folder")
    (s.repo / "link").unlink()
    s.repo.write("link", "a.txt")


@state
def hostile_settings(s):
    """The settings of the user that change what git prints, looks at or runs."""
    unpushed(s)
    for key, value in {
        "diff.noprefix": "true", "diff.external": "false", "color.ui": "always", "core.quotePath": "false",
        "diff.ignoreSubmodules": "all", "status.renames": "copies",
        "core.hooksPath": s.base / "hooks", "core.untrackedCache": "true", "feature.manyFiles": "true",
        "status.relativePaths": "false", "diff.orderFile": "/nowhere", "core.pager": "false",
        "log.showSignature": "true",
        "core.excludesFile": s.base / "excludes", "fetch.prune": "true", "transfer.fsckObjects": "true",
        "protocol.file.allow": "never", "init.templateDir": s.base / "template", "checkout.workers": "4",
        "core.autocrlf": "true", "core.symlinks": "true", "push.default": "nothing", "core.fileMode": "true",
        "safe.bareRepository": "explicit",
    }.items():  # fmt: skip
        s.repo("config", "--global", key, value)
    for folder in ("hooks", "template/hooks"):
        for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
            Repo(s.base).write(f"{folder}/{hook}", f'#!/bin/sh\ntouch "{s.base}/hooked"\n', executable=True)
    s.repo.write("a.txt", "edited\n")
    s.repo.write("new.txt", "new\n")
    s.repo.write("crlf.txt", b"one\r\n")


def assert_hostile_settings(s):
    """None of the hooks has run."""
    assert not (s.base / "hooked").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_the_tree_comes_back(started, run_script, name):
    """What a run records, with the remote, is the tree that ran; the clone is gone by then."""
    STATES[name](started)
    before = files(started.tree)
    found = run(started, run_script)
    getattr(started, "after", lambda: None)()
    for folder in started.doomed:
        shutil.rmtree(folder)
    done = restore.restore(found, "again")
    back = files(Path("again") / started.again)
    left_out = {os.fsencode(row["path"]) for row in done.left_out}
    assert back == {path: what for path, what in before.items() if path not in left_out}
    assert (done.missing, done.differing, done.extra, done.left_out == []) == ([], [], [], started.exact)
    globals().get(f"assert_{name}", lambda _: None)(started)


def test_a_filter_that_is_gone_is_not_passed_over(started, run_script):
    """Where git itself can't look at the files, a restore says that they were not recorded."""
    filters(started)
    for side in ("clean", "smudge"):
        started.repo("config", f"filter.rot.{side}", "false")
    started.repo("config", "filter.rot.required", "true")
    os.utime(started.repo / "a.rot", (0, 0))  # git has to look
    done = restore.restore(run(started, run_script), "again")
    assert "filter 'false' failed" in done.missing[0]["reason"]


def switched_off(s):
    """core.autocrlf made CRLF of the line ends at checkout, and is switched off."""
    s.repo("config", "core.autocrlf", "true")
    for name in ("a.txt", "b.txt"):
        (s.repo / name).unlink()
    s.repo("checkout", "--quiet", ".")
    s.repo("config", "--unset", "core.autocrlf")


def removed_after_add(s):
    """A file with CRLF was added under `* text=auto`, whose .gitattributes is gone by the commit."""
    s.repo.write(".gitattributes", "* text=auto\n")
    s.repo.write("crlf.txt", b"one\r\ntwo\r\n")
    os.utime(s.repo / "crlf.txt", (0, 0))  # younger than the index, git would look at it again
    s.repo("add", "crlf.txt")
    (s.repo / ".gitattributes").unlink()
    s.repo("commit", "--quiet", "-m", "Added")
    s.repo("push", "--quiet")


@pytest.mark.parametrize("enter", [switched_off, removed_after_add])
def test_line_ends_of_a_setting_that_is_gone_are_not_called_exact(started, run_script, enter):
    """Git calls such files clean: their bytes are in no record, and a restore tells that they are other ones."""
    enter(started)
    be_sure_of_the_index(started)
    done = restore.restore(run(started, run_script), "again")
    assert [row["path"] for row in done.differing] == ["main"]
    assert "that was switched off" in done.differing[0]["reason"]
    assert not done.exact


def test_an_earlier_run_is_no_code_also_where_git_ignores_its_record(started):
    """The output root is the repository itself, and names with a dot are ignored: its files are still a run's."""
    started.repo.write(".gitignore", "ignored*\n.*\n")
    for name in ("old/.footsteps/run.json", "old/info.txt", "old/weights.bin", "new/info.txt"):
        started.repo.write(name, "{}")
    rows = capture_code([str(started.repo.path)]).repositories[0]["files"]
    assert [row["path"] for row in rows] == [".gitignore", "new/info.txt"]


def small_budget(monkeypatch, repo: Repo) -> list[dict]:
    """What is left out where only three files are kept."""
    monkeypatch.setattr(repository, "MAX_FILES", 3)
    return capture_code([str(repo.path)]).repositories[0]["left_out"]


def test_data_does_not_push_code_out(started, monkeypatch):
    """Untracked Python files are kept first, whatever else lies there and however it is called."""
    for number in range(5):
        started.repo.write(f"a/{number}.png", "pixels\n")
    started.repo.write("model.py", "x = 1\n")
    started.repo.write("z/layers.py", "y = 1\n")
    left_out = [row["path"] for row in small_budget(monkeypatch, started.repo)]
    assert left_out == ["a/1.png", "a/2.png", "a/3.png", "a/4.png"]


def test_what_is_left_out_is_told_once(started, monkeypatch):
    """Also a module that the program has imported."""
    for number in range(4):
        started.repo.write(f"module_{number}.py", "")
        monkeypatch.setitem(sys.modules, f"module_{number}", types.ModuleType(f"module_{number}"))
        sys.modules[f"module_{number}"].__file__ = str(started.repo / f"module_{number}.py")
    assert [row["path"] for row in small_budget(monkeypatch, started.repo)] == ["module_3.py"]


# --- the observer changes nothing ---


def everything(*folders) -> dict:
    """Each file and folder, git's own too: bytes, mode and time."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if "results" not in path.parts:
                facts = path.lstat()
                content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
                # git itself freshens the times of objects and of a shared index that it reads.
                read = path.is_dir() or "objects" in path.parts or path.name.startswith("sharedindex.")
                found[path] = (facts.st_mode, 0 if read else facts.st_mtime_ns, content)
    return found


UNTOUCHED = (
    "edited", "staged_then_edited", "intent_to_add", "merge_conflict", "split_index", "untracked_cache", "fsmonitor",
    "same_size_and_time", "unpushed", "filters", "autocrlf_true", "sparse_index", "linked_worktree", "submodules_dirty",
    "partial", "hostile_settings",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_capture_changes_nothing(started, run_script, name):
    """Index, objects, refs and working tree are byte for byte, and to the nanosecond, as before."""
    STATES[name](started)
    places = {started.repo.path, started.cwd, started.remote.path}
    for path in started.tree.rglob("*.txt"):
        os.utime(path, follow_symlinks=False)  # so that the index would have to be refreshed
    before = everything(*places)
    run(started, run_script)
    assert everything(*places) == before


@pytest.mark.parametrize("number", range(1, 5))
def test_a_capture_that_is_killed_changes_nothing(started, run_script, number):
    """Killed while the Nth git works, it leaves no lock, no temporary index, no object."""
    unpushed(started)
    real, counter = shutil.which("git"), started.base / "count"
    (started.base / "bin").mkdir()
    stub = started.base / "bin/git"
    killing = f'[ "$(wc -l < "{counter}")" -ge {number} ] && kill -9 $PPID'
    stub.write_text(f'#!/bin/sh\necho x >> "{counter}"\n{killing}\nexec "{real}" "$@"\n')
    stub.chmod(0o755)
    before = everything(started.repo.path)
    run_script("train.py", cwd=started.cwd, env={"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"})
    assert counter.exists()
    assert everything(started.repo.path) == before
    assert started.repo("status", "--porcelain", "--untracked-files=no") == " M b.txt"


# --- any sequence of edits ---

NAMES = ("a", "b", "d/a", "d/b", "d/e/f", "d", "e", "\u00e9 \n'", "-x")
names = st.sampled_from(NAMES)
contents = st.sampled_from([b"", b"one\n", b"two\n", b"one\r\n", b"\0\xff", b"one\r\ntwo\n"])
edits = st.one_of(
    st.tuples(st.just("write"), names, contents, st.booleans()),
    st.tuples(st.just("link"), names, st.sampled_from(["a", "d", "no where", "/etc", ".."])),
    st.tuples(st.sampled_from(["delete", "add", "forget", "intend", "hide", "skip", "ignore"]), names),
    st.tuples(st.sampled_from(["commit", "push", "branch", "amend", "stash", "attributes", "autocrlf", "nest"])),
)


def clear(repo: Repo, name: str) -> None:
    """Make room for a file of this name, whatever stands there or above it."""
    for above in (*reversed(Path(name).parents[:-1]), Path(name)):
        path = repo / above
        if path.is_symlink() or path.is_file():
            path.unlink()
    shutil.rmtree(repo / name, ignore_errors=True)
    (repo / name).parent.mkdir(parents=True, exist_ok=True)


def edit(repo: Repo, what: str, *more) -> None:
    """One edit; what git will not do in the present state is not done."""
    if what == "write":
        clear(repo, more[0])
        repo.write(more[0], more[1], executable=more[2])
    elif what == "link":
        clear(repo, more[0])
        (repo / more[0]).symlink_to(more[1])
    elif what == "delete":
        clear(repo, more[0])
    elif what == "attributes":
        (repo / ".gitattributes").write_bytes(b"* text=auto eol=crlf\n")
    elif what == "ignore":
        (repo / ".gitignore").write_bytes(os.fsencode(f"/{more[0]}\n") if "\n" not in more[0] else b"")
    elif what == "nest":
        clear(repo, "nested")
        Repo(repo / "nested").init().write("inner", "inner\n")
        Repo(repo / "nested").commit("Nested")
        repo.write("nested/more", "more\n")
    else:
        subprocess.run(["git", *GIT_EDITS[what], *(["--", *more] if more else [])], cwd=repo.path, capture_output=True)


GIT_EDITS = {
    "add": ["add"],
    "forget": ["rm", "-r", "--cached"],
    "intend": ["add", "--intent-to-add"],
    "hide": ["update-index", "--assume-unchanged"],
    "skip": ["update-index", "--skip-worktree"],
    "commit": ["commit", "--quiet", "--all", "--message", "More"],
    "push": ["push", "--quiet", "origin", "HEAD:main"],
    "branch": ["checkout", "--quiet", "--detach"],
    "amend": ["commit", "--quiet", "--amend", "--message", "Amended"],
    "stash": ["stash", "--include-untracked"],
    "autocrlf": ["config", "core.autocrlf", "true"],
}


def recorded(repo: Repo, directory: Path) -> runs.Run:
    """A record of the tree as it is, made in this process."""
    record = directory / ".footsteps"
    record.mkdir(parents=True)
    code = capture_code([str(repo.path)])
    assert code.problems == []
    code.keep(str(record), str(directory.parent))
    rows = [r for r in code.repositories if r["role"] in ("cwd", "nested") and r["path"].startswith(str(repo.path))]
    (record / "run.json").write_text(json.dumps({"format": 1, "name": "x", "repositories": rows}))
    bundles = [b for b in code.bundles() if b["repository"] in [row["name"] for row in rows]]
    make_bundles({"record": str(record), "bundles": bundles, "root": str(directory.parent)})
    return runs.load(directory)


@pytest.mark.slow
@given(sequence=st.lists(edits, max_size=14))
def test_any_sequence_of_edits_comes_back(tmp_path_factory, sequence):
    """restore(record(tree)) == tree: the promise of the package."""
    base = tmp_path_factory.mktemp("edits")
    repo = Repo(base / "project").init()
    repo.write("a", "begin\n")
    repo.write("d/a", "begin\n", executable=True)
    repo.commit("Begin")
    repo.add_remote()
    for each in sequence:
        edit(repo, *each)
    ignored = {
        os.fsencode(n) for n in repo("ls-files", "-z", "--others", "--ignored", "--exclude-standard").split("\0")
    }
    before = {path: what for path, what in snapshot(repo.path).items() if path not in ignored}
    found = recorded(repo, base / "x")
    shutil.rmtree(repo.path)
    done = restore.restore(found, str(base / "again"))
    assert snapshot(base / "again") == before
    assert done.exact
