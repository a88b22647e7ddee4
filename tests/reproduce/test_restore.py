"""A run's code comes back, from whatever still has it, and no record makes it do anything else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Repo, snapshot
from hypothesis import given
from hypothesis import strategies as st

from footsteps import FootstepsError
from footsteps.cli import main
from footsteps.reader import commits, repositories, runs
from footsteps.reproduce import restore

SCRIPT = "import footsteps\nfootsteps.initialize('x')\n"


@pytest.fixture
def project(repo, remote) -> Repo:
    """A project with a remote, a commit that only it has, and changes of every simple kind."""
    repo.write("train.py", SCRIPT)
    repo.write("lib/model.py", "one\n")
    repo.write("gone.txt", "gone\n")
    repo.write(".gitignore", "results/\n__pycache__/\n")
    repo.commit("Only here")
    repo.write("lib/model.py", "two\n")
    repo.write("new dir/run.sh", "#!/bin/sh\n", executable=True)
    (repo / "gone.txt").unlink()
    (repo / "latest").symlink_to("/somewhere/else")
    return repo


def record(repo: Repo, run_script, *arguments) -> runs.Run:
    """The run that the project's script makes, moved out of the clone, its bundle finished."""
    done = run_script("train.py", *arguments, cwd=repo.path)
    assert done.returncode == 0, done.stderr
    run = runs.load(repo / "results/x")
    restore.Plan(run).trees("a", "b")[0].bundles()  # waits for them
    return runs.load(shutil.move(run.directory, repo.path.parent / "kept"))


def wanted(repo: Repo) -> dict:
    """The project's files, the runs aside."""
    return {path: what for path, what in snapshot(repo.path).items() if not path.startswith(b"results/")}


def changed(run: runs.Run, change) -> runs.Run:
    """The run after somebody has changed its run.json."""
    path = Path(run.record) / "run.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    return runs.load(run.directory)


def main_row(facts) -> dict:
    """The project's repository in a run.json."""
    return next(r for r in facts["repositories"] if r["name"] == "main")


# --- where the commit comes from ---


@pytest.mark.parametrize("left", ["clone", "remote", "bundle"])
def test_a_tree_comes_back_from_whatever_is_left(project, remote, run_script, left):
    """The clone, else the remote, else the run's directory alone is enough."""
    if left == "remote":
        project("push", "--quiet")
    run, before = record(project, run_script), wanted(project)
    if left != "clone":
        shutil.rmtree(project.path)
    if left == "bundle":
        shutil.rmtree(remote.path)
    done = restore.restore(run, "again")
    assert snapshot("again") == before
    assert done.exact
    named = {"clone": project.path, "remote": remote.path, "bundle": "bundle"}[left]
    assert str(named) in done.trees[0]["source"]


def test_a_tree_comes_back_from_a_remote_that_has_moved(project, remote, run_script):
    """`--from` takes the place of the recorded address."""
    project("push", "--quiet")
    run, before = record(project, run_script), wanted(project)
    shutil.rmtree(project.path)
    moved = shutil.move(remote.path, remote.path.parent / "moved.git")
    (Path(run.record) / "commits.bundle").unlink(missing_ok=True)
    with pytest.raises(FootstepsError, match=r"not to be had(.|\n)*--from"):
        restore.restore(run, "again")
    assert not os.path.lexists("again")
    assert restore.restore(run, "again", sources=[str(moved)]).exact
    assert snapshot("again") == before


def test_a_rewritten_remote_does_not_matter(project, remote, run_script):
    """The bundle has what a force-push took from the remote."""
    run, before = record(project, run_script), wanted(project)
    project("push", "--quiet")
    project("checkout", "--quiet", "--force", "--orphan", "fresh")
    project.commit("Another history")
    project("push", "--quiet", "--force", "origin", "fresh:main")
    shutil.rmtree(project.path)
    remote("gc", "--quiet", "--prune=now")
    assert restore.restore(run, "again").exact
    assert snapshot("again") == before


def test_the_restored_tree_is_a_clone_to_work_in(project, remote, run_script):
    """Its changes are changes, its remote is the recorded one, its attributes are the project's."""
    run = record(project, run_script)
    restore.restore(run, "again")
    again = Repo("again")
    changes = [line[:2] + line[3:] for line in again("status", "--porcelain").splitlines()]
    assert changes == [" Dgone.txt", " Mlib/model.py", "??latest", '??"new dir/"']
    assert again("rev-parse", "HEAD") == project("rev-parse", "HEAD")
    assert again("remote", "get-url", "origin") == str(remote.path)
    assert again("for-each-ref", "refs/footsteps") == ""
    assert not (again / ".git/info/attributes").exists()


def test_the_users_repository_is_not_touched(project, run_script):
    """A restore reads the clone and leaves every byte of it, git's own too."""
    run = record(project, run_script)

    def everything():
        return {p: p.read_bytes() for p in project.path.rglob("*") if p.is_file() and not p.is_symlink()}

    before = everything()
    assert restore.restore(run, "again").exact
    assert everything() == before


def test_a_thin_bundle_is_completed_by_the_remote(repo, remote, run_script):
    """A bundle may build on commits that the remote's default branch has."""
    repo.write("train.py", SCRIPT)
    repo.write(".env", "no secret at all\n")  # a bundle with this file in it is not kept
    repo.commit("Pushed")
    repo("push", "--quiet")
    repo.write("a.txt", "a\n")
    repo.commit("Only here")
    run, before = record(repo, run_script), wanted(repo)
    assert json.loads((Path(run.record) / "bundles.json").read_text())["bundles"][0]["kind"] == "thin"
    shutil.rmtree(repo.path)
    assert restore.verify(run).exact
    assert restore.restore(run, "again").exact
    assert snapshot("again") == before


def test_a_partial_clone_is_not_asked_to_fetch(repo, remote, run_script, tmp_path):
    """What a partial clone lacks comes from the remote, without a byte of the clone changing."""
    repo.write("train.py", SCRIPT)
    repo.write("history.txt", "one\n")
    repo.commit("One")
    repo.write("history.txt", "two\n")
    repo.commit("Two")
    repo("push", "--quiet")
    remote("config", "uploadpack.allowFilter", "true")
    clone = Repo(tmp_path / "partial")
    repo("clone", "--quiet", "--filter=blob:none", f"file://{remote.path}", clone.path)
    clone.write("history.txt", "three\n")
    run, before = record(clone, run_script), wanted(clone)
    objects = {path: path.read_bytes() for path in clone.path.rglob("*") if path.is_file()}
    assert restore.restore(run, "again").exact
    assert snapshot("again") == before
    shutil.rmtree(remote.path)
    done = restore.restore(run, "as far as it goes")
    assert snapshot("as far as it goes") == before
    assert done.exact
    assert {path: path.read_bytes() for path in clone.path.rglob("*") if path.is_file()} == objects


def test_an_editable_install_that_is_gone_does_not_end_a_restore(project, run_script):
    """The project comes back, and the repository that is nowhere to be had is named."""

    def lose(facts):
        row = {**main_row(facts), "name": "editable-lib", "role": "editable", "path": "/nowhere", "commit": "1" * 40}
        facts["repositories"].append({**row, "remote": None, "remotes": [], "files": [], "bundle": None})

    run, before = changed(record(project, run_script), lose), wanted(project)
    done = restore.restore(run, "again")
    assert snapshot("again") == before
    assert [row["path"] for row in done.missing] == ["editable-lib/"]
    assert not done.exact


# --- the destination ---


def test_nothing_is_restored_over_somebodys_work(project, run_script):
    """A destination that holds something is refused and stays as it is."""
    run = record(project, run_script)
    Path("again").mkdir()
    Path("again/work.txt").write_text("mine")
    with pytest.raises(FootstepsError, match="not empty"):
        restore.restore(run, "again")
    assert os.listdir("again") == ["work.txt"]


def test_an_empty_directory_is_taken(project, run_script):
    """The destination may be there, if nothing is in it."""
    run = record(project, run_script)
    Path("again").mkdir()
    assert restore.restore(run, "again").exact


def test_trees_go_to_one_place_that_git_passes_over_unless_told_otherwise(project, run_script, monkeypatch, tmp_path):
    """The default destination is named after the run; a variable moves the place."""
    run = record(project, run_script)
    monkeypatch.chdir(project.path)
    assert restore.restore(run).directory == "again/kept-restored"
    assert (project.path / "again/kept-restored/train.py").is_file()
    assert "again" not in project("status", "--short")
    monkeypatch.setenv("FOOTSTEPS_AGAIN", str(tmp_path / "trees"))
    assert restore.restore(run).directory == str(tmp_path / "trees/kept-restored")


@pytest.mark.parametrize("url", ["codecommit::eu://model", "gcrypt::rsync://host/x", "git@[::1]:model.git"])
def test_a_remote_that_cannot_be_asked_hinders_no_other_source(project, remote, run_script, url):
    """Of a helper's address, or of a host with colons, the record is as good as its bundle and --from."""
    project("remote", "set-url", "origin", url)
    run, before = record(project, run_script), wanted(project)
    shutil.rmtree(project.path)
    assert restore.restore(run, "again").exact
    assert snapshot("again") == before
    Path(run.record, "commits.bundle").unlink()
    if not url.startswith("git@"):
        with pytest.raises(FootstepsError, match=f"{url}: not asked, it needs the program git-remote-"):
            restore.restore(run, "elsewhere")


# --- what is not as it was is named ---


def test_a_damaged_copy_is_named(project, run_script, capsys):
    """A kept file whose bytes have changed since is told, and the answer is no."""
    run = record(project, run_script)
    (Path(run.record) / "code/main/lib/model.py").write_text("TWO\n")
    assert main(["restore", run.directory, "again"]) == 1
    assert "lib/model.py" in capsys.readouterr().out
    assert not runs.load(run.directory).damage


@pytest.mark.parametrize("damage", ["", "{", "[" * 100_000, "7"])
def test_a_damaged_run_json_is_named(project, run_script, damage):
    """A restore does not go by what info.txt tells in its place, and says which file is to blame."""
    run = record(project, run_script)
    (Path(run.record) / "run.json").write_text(damage)
    with pytest.raises(FootstepsError, match=r"run\.json' could not be read whole"):
        restore.restore(runs.load(run.directory), "again")


def test_what_the_recorder_was_not_sure_of_is_repeated(project, run_script):
    """A look at the code that broke off is no exact tree; a module that had changed since it was loaded is told."""
    run = record(project, run_script)
    loaded = "/project/lib/model.py has changed since it was loaded"
    changed(run, lambda facts: facts.update(problems=[loaded, "memory: unknown"]))
    done = restore.restore(runs.load(run.directory), "again")
    assert not done.exact
    assert not done.complete
    assert [(row["path"], "what ran may be another" in row["reason"]) for row in done.differing] == [
        ("/project/lib/model.py", True)
    ]
    changed(run, lambda facts: facts.update(problems=["code: MemoryError: "]))
    done = restore.restore(runs.load(run.directory), "elsewhere")
    assert done.missing == [{"path": "", "reason": "not recorded: code: MemoryError: "}]


def test_a_missing_copy_is_named(project, run_script, capsys):
    """A kept file that is gone from the record is told, and the rest is there."""
    run = record(project, run_script)
    (Path(run.record) / "code/main/new dir/run.sh").unlink()
    assert main(["restore", run.directory, "again", "--json"]) == 1
    done = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in done["missing"]] == ["main: new dir/run.sh"]
    assert Path("again/lib/model.py").read_text() == "two\n"


def test_what_the_record_leaves_out_is_repeated(project, run_script, capsys):
    """A file that was not kept is listed with its reason, and the answer is no."""
    project.write("key.pem", "secret")
    run = record(project, run_script)
    assert main(["restore", run.directory, "again"]) == 1
    out = capsys.readouterr().out
    assert "key.pem" in out
    assert "secret" in out
    assert "incompletely" in out


def test_an_exact_tree_is_called_so_with_the_command_to_run(project, run_script, capsys):
    """The last word of a restore is what to type next, and that works."""
    run = record(project, run_script, "--lr", "0.1", "two words")
    before = wanted(project)
    shutil.rmtree(project.path)
    assert main(["restore", run.directory, "again"]) == 0
    out = capsys.readouterr().out
    assert "restored exactly: again\n" in out
    command = out.partition("run it again: ")[2]
    assert command == "cd again && python train.py --lr 0.1 'two words'\n"
    assert subprocess.run(["sh", "-c", command]).returncode == 0  # conftest puts this Python first on PATH
    assert wanted(Repo("again")) == before


# --- verify ---


def test_verify_knows_what_needs_the_clone(project, run_script, capsys):
    """A commit that neither the remote nor a bundle has is bound to the clone, and that is a no."""
    run = record(project, run_script)
    assert main(["verify", run.directory]) == 0
    (Path(run.record) / "commits.bundle").unlink()
    assert main(["verify", run.directory]) == 1
    assert str(project.path) in capsys.readouterr().out
    assert not list(project.path.parent.glob("*restored*"))
    assert not list(Path(os.environ["TMPDIR"]).iterdir())


# --- hostile records ---


def hostile(path=None, **facts):
    """A change of a run.json: one more file, or facts of the first file that is kept."""

    def change(run):
        files = main_row(run)["files"]
        if path is not None:
            stored = next(row["stored"] for row in files if row["kind"] == "file")
            files.append({"path": path, "state": "untracked", "kind": "file", "stored": stored, **facts})
        else:
            next(row for row in files if row["kind"] == "file").update(facts)

    return change


def repository(**facts):
    """A change of the repository's row in a run.json."""
    return lambda run: main_row(run).update(facts)


def through_a_link(run):
    """A link that leads out, and a file below it."""
    main_row(run)["files"].append({"path": "evil", "state": "untracked", "kind": "link", "target": "../.."})
    hostile("evil/pwned")(run)


def nested_in(path):
    """A second repository that would lie at a path."""

    def change(run):
        row = {**main_row(run), "name": "second", "role": "nested", "inside": {"repository": "main", "path": path}}
        run["repositories"].append({**row, "files": []})

    return change


def many_nested(run):
    """Each repository lies in the one before it."""
    row = {**main_row(run), "role": "nested", "files": []}
    for number in range(1000):
        holder = f"n{number - 1}" if number else "main"
        run["repositories"].append({**row, "name": f"n{number}", "inside": {"repository": holder, "path": "x"}})


HOSTILE = {
    "dots": (hostile("../pwned"), "'../pwned' leads elsewhere"),
    "dots within": (hostile("lib/../../pwned"), "leads elsewhere"),
    "absolute": (hostile("/tmp/pwned"), "'/tmp/pwned' is absolute"),
    "empty": (hostile(""), "is no path"),
    "no text": (hostile("a\0b"), "is no path"),
    "a number": (hostile(7), "is no path"),
    "half a character": (hostile("\ud800"), "is no path"),
    "a link to half a character": (hostile("l", kind="link", target="\ud800"), "the link 'l'"),
    "a word of ours": (repository(revision="HEAD", commit="--output=pwned"), "the commit '--output=pwned'"),
    "twice a slash": (hostile("lib//a"), "leads elsewhere"),
    "a dot": (hostile("./a"), "leads elsewhere"),
    "hooks": (hostile(".git/hooks/post-checkout"), "'.git/hooks/post-checkout' would act as git's own"),
    "hooks in another case": (hostile("lib/.GiT/config"), "would act"),
    "hooks of NTFS": (hostile("GIT~1/config"), "would act"),
    "hooks with a dot": (hostile(".git. /config"), "would act"),
    "hooks as a stream": (hostile(".git::$INDEX_ALLOCATION/config"), "would act"),
    "hooks with a backslash": (hostile("lib\\.git\\config"), "would act"),
    "hooks of HFS": (hostile(".g\u200cit/config"), "would act"),
    "a link named .git": (hostile(".git", kind="link", target="/tmp"), "would act"),
    "deleting git": (hostile(".git/HEAD", kind="deleted"), "would act"),
    "deleting outside": (hostile("../kept/info.txt", kind="deleted"), "leads elsewhere"),
    "too deep": (hostile("d/" * 1500 + "x"), "is deeper than any file"),
    "through a link": (through_a_link, "'evil/pwned' lies below 'evil'"),
    "through the commit's link": (hostile("out/pwned"), "'out/pwned' would be written through a link"),
    "deleting through the commit's link": (hostile("out/kept", kind="deleted"), "through a link"),
    "crlf through the commit's link": (hostile("out/victim", kind="crlf"), "through a link"),
    "below a file": (hostile("lib/model.py/x"), "lies below 'lib/model.py'"),
    "over a folder": (hostile("folder"), "'folder' is to be a file where there is a folder"),
    "a kind": (hostile(kind="device"), "of the kind 'device'"),
    "a link to nothing": (hostile("l", kind="link", target=""), "the link 'l'"),
    "a copy elsewhere": (hostile(stored="../../../victim"), "leads elsewhere"),
    "a copy beside the code": (hostile(stored="run.json"), "'run.json' of 'lib/model.py' leads elsewhere"),
    "an absolute copy": (hostile(stored="/etc/passwd"), "is absolute"),
    "a copy behind a link": (hostile(stored="code/main/away/victim"), "is behind a link"),
    "a copy that is a link": (hostile(stored="code/main/away"), "is behind a link"),
    "no copy": (hostile(stored=None), "is no path"),
    "a commit that is an option": (repository(commit="--upload-pack=touch pwned"), "the commit '--upload-pack"),
    "a commit that is a name": (repository(commit="HEAD"), "the commit 'HEAD'"),
    "a commit that is a list": (repository(commit=["HEAD"]), "the commit"),
    "a format of objects": (repository(object_format="--bare"), "the object format '--bare'"),
    "a program as remote": (repository(remote="ext::touch pwned"), "'ext::touch pwned' names a program"),
    "a remote that is an option": (repository(remotes=[{"url": "--upload-pack=touch pwned"}]), "is an option to git"),
    "a strange transport": (repository(remote="fd://17/x"), "names a program"),
    "a name that is a path": (lambda run: main_row(run).update(name="../main"), "the repository name '../main'"),
    "no name": (repository(name=None), "the repository name ''"),
    "two names": (lambda run: run["repositories"].append(main_row(run)), "two repositories are called 'main'"),
    "a nested one outside": (nested_in("../second"), "'../second' leads elsewhere"),
    "a nested one in git": (nested_in(".git/modules"), "would act"),
    "a nested one in a file": (nested_in("lib/model.py/x"), "would lie where a file is"),
    "a nested one behind a link": (nested_in("out"), "would lie behind a link"),
    "a thousand in each other": (many_nested, "names 1001 repositories"),
    "one in itself": (repository(inside={"repository": "main", "path": "x"}), "lie in each other"),
}


@pytest.fixture
def victim(project, run_script) -> runs.Run:
    """A record whose commit holds a link that leads out, and a file outside that nothing may touch."""
    (project / "out").symlink_to("..")
    project.write("folder/file.txt", "file\n")
    project.commit("A link")
    project.write("lib/model.py", "three\n")
    run = record(project, run_script)
    Path("victim").write_text("untouched\n")
    (Path(run.record) / "code/main/away").symlink_to(Path.cwd())
    return run


def outside(base: Path) -> dict:
    """All there is around a destination."""
    return {path: what for path, what in snapshot(base).items() if not path.startswith((b"tmp/", b"project/"))}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_refused_by_name(victim, tmp_path, name):
    """Nothing is written anywhere, nothing that is recorded runs, and the reason is told."""
    change, reason = HOSTILE[name]
    run = changed(victim, change)
    before = outside(tmp_path)
    for attempt in (lambda: restore.restore(run, "new/folders/again"), lambda: restore.verify(run)):
        with pytest.raises(repositories.Refused) as refused:
            attempt()
        assert refused.value.hint
        assert reason in refused.value.message
    assert outside(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == ["home", "kept", "origin.git", "project", "tmp", "victim"]
    assert os.listdir("tmp") == []


def test_no_link_of_the_commit_is_read(project, run_script, tmp_path):
    """A record that calls a link a file with CRLF does not get what the link leads to: a device, a pipe, a secret."""
    (project / "leak").symlink_to("../secret")
    project.commit("A link")
    (tmp_path / "secret").write_text("secret\n")
    row = {"path": "leak", "state": "converted", "kind": "crlf", "sha256": "0" * 64}
    run = changed(record(project, run_script), lambda facts: main_row(facts)["files"].append(row))
    done = restore.restore(run, "again")
    assert {"path": "main: leak", "reason": "the commit has a link there"} in done.missing
    assert os.readlink("again/leak") == "../secret"


parts = st.sampled_from(
    ["a", "out", "folder", "lib", "model.py", "..", ".", "", ".git", ".GIT", "git~1", "-x", "\\", "C:", "pwned"]
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
rows = st.fixed_dictionaries(
    {
        "path": paths,
        "kind": st.sampled_from(["file", "link", "deleted", "absent", "crlf"]),
        "executable": st.booleans(),
    },
    optional={"target": paths, "stored": st.one_of(paths, st.just("code/main/lib/model.py"))},
)


@pytest.mark.slow
@given(more=st.lists(rows, min_size=1, max_size=5), inside=paths)
def test_whatever_a_record_says_nothing_outside_is_touched(victim, tmp_path, more, inside):
    """It is refused or restored; the world around the destination stays as it is."""

    def change(facts):
        main_row(facts)["files"] = more
        nested = {**main_row(facts), "name": "second", "role": "nested", "files": more[:1]}
        facts["repositories"][1:] = [{**nested, "inside": {"repository": "main", "path": inside}}]

    original = (Path(victim.record) / "run.json").read_text()
    run = changed(victim, change)
    before = outside(tmp_path)
    try:
        restore.restore(run, "tmp/again")
    except FootstepsError:
        assert os.listdir("tmp") == []
    assert outside(tmp_path) == before
    shutil.rmtree(os.environ["TMPDIR"])
    os.mkdir(os.environ["TMPDIR"])
    (Path(victim.record) / "run.json").write_text(original)


def test_a_repository_among_the_copies_is_refused(victim):
    """code/.git/hooks/ is nothing that a recorder writes."""
    hook = Path(victim.record) / "code/.git/hooks/post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\ntouch pwned\n")
    with pytest.raises(repositories.Refused, match=r"code/\.git/\.git' would act as git's own"):
        restore.restore(victim, "again")
    assert not os.path.lexists("again")


def test_hooks_and_filters_of_the_commit_do_not_run(repo, remote, run_script):
    """What the recorded tree asks git to run is not run: its filters, its submodules' commands."""
    repo.write("train.py", SCRIPT)
    repo.write("data.bin", "data\n")
    repo.write(".gitattributes", "* filter=evil\n")
    repo.write(".gitmodules", '[submodule "x"]\n\tpath = x\n\turl = ext::touch pwned\n\tupdate = !touch ../pwned\n')
    repo.commit("Evil")
    run = record(repo, run_script)
    repo("config", "--global", "filter.evil.smudge", "touch ../pwned; cat")
    assert restore.restore(run, "again").exact
    assert not list(Path().rglob("pwned"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a bundle", "no git bundle"),
        (b"gitdir: ../../project/.git\n", "no git bundle"),
        (b"# v2 git bundle\n\n", ""),
    ],
)
def test_a_bundle_that_is_none_is_told(project, remote, run_script, content, reason):
    """It brings nothing, and the error says which file it was."""
    run = record(project, run_script)
    shutil.rmtree(project.path)
    shutil.rmtree(remote.path)
    (Path(run.record) / "commits.bundle").unlink()
    (Path(run.record) / "commits.bundle").write_bytes(content)
    bundles = Path(run.record) / "bundles.json"
    facts = json.loads(bundles.read_text())
    facts["bundles"][0]["sha256"] = None
    bundles.write_text(json.dumps(facts))
    with pytest.raises(FootstepsError, match=f"commits.bundle: .*{reason}"):
        restore.restore(run, "again")
    assert not os.path.lexists("again")


@pytest.mark.parametrize("name", ["../kept2/x", "/etc/passwd", ".git", "code/x"])
def test_a_bundle_elsewhere_is_refused(victim, name):
    """The name of a bundle is a file of the record."""
    bundles = Path(victim.record) / "bundles.json"
    facts = json.loads(bundles.read_text())
    facts["bundles"][0]["file"] = name
    bundles.write_text(json.dumps(facts))
    with pytest.raises(repositories.Refused, match="the bundle"):
        restore.restore(runs.load(victim.directory), "again")


def test_a_bundle_that_is_a_link_is_not_followed(project, remote, run_script):
    """A bundle lies in the record itself."""
    run = record(project, run_script)
    shutil.rmtree(project.path)
    shutil.move(Path(run.record) / "commits.bundle", "elsewhere")
    (Path(run.record) / "commits.bundle").symlink_to(Path("elsewhere").resolve())
    with pytest.raises(FootstepsError, match="the bundle is behind a link"):
        restore.restore(run, "again")


def test_a_tree_that_git_would_not_write_is_refused(victim, remote, tmp_path):
    """A commit may hold paths that no recorder and no git would write."""
    other = Repo(tmp_path / "other").init()
    blob = other("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\ntouch pwned\n")
    inner = other("mktree", stdin=f"100755 blob {blob}\tpost-checkout\n".encode())
    hooks = other("mktree", stdin=f"040000 tree {inner}\thooks\n".encode())
    tree = other("mktree", stdin=f"040000 tree {hooks}\t.git\n".encode())
    commit = other("commit-tree", tree, "-m", "Evil")
    other("update-ref", "refs/heads/main", commit)
    run = changed(victim, repository(commit=commit, files=[], tree=None))
    with pytest.raises(repositories.Refused, match=r"'\.git/hooks/post-checkout', which would act"):
        restore.restore(run, "again", sources=[str(other.path)])
    assert not os.path.lexists("again")


def test_huge_sizes_are_refused(victim):
    """What can't fit is not begun."""
    run = changed(victim, hostile(size=10**18))
    with pytest.raises(FootstepsError, match=r"the kept files need 10{12}"):
        restore.restore(run, "again")
    assert not os.path.lexists("again")


def test_odd_values_in_a_record_do_not_matter(victim):
    """What is no list, no text and no number where one is expected is passed over."""

    def spoil(facts):
        main_row(facts).update(problems=7, remotes={"url": 1}, config=[], branch=["x"], left_out=[7, {"path": 7}, {}])
        facts.update(cwd={}, argv="x", orig_argv={"a": 1}, main=3, script=[], started=[], packages="none")

    done = restore.restore(changed(victim, spoil), "again")
    assert (done.missing, done.differing, done.extra) == ([], [], [])


def test_a_time_in_the_future_is_not_waited_for(victim, monkeypatch):
    """A bundle that never comes is waited for only for so long."""
    monkeypatch.setattr(commits, "BUNDLE_IN_MAKING", 0.2)
    (Path(victim.record) / "bundles.json").unlink()
    run = changed(victim, lambda facts: facts.update(started="2999-01-01T00:00:00+00:00"))
    with pytest.raises(FootstepsError, match="not to be had"):
        restore.restore(run, "again", sources=["/nowhere"])


def test_a_working_directory_behind_a_link_is_not_made(victim, tmp_path):
    """The folder that the command ran in is made only where it is in the tree."""
    run = changed(victim, lambda facts: facts.update(cwd=main_row(facts)["path"] + "/out/pwned/deep"))
    assert restore.restore(run, "again").exact
    assert not (tmp_path / "pwned").exists()


def test_the_working_directory_is_made(project, run_script):
    """git keeps no empty folder, but a command may have run in one."""
    (project / "runs/today").mkdir(parents=True)
    done = run_script("../../train.py", cwd=project / "runs/today")
    assert done.returncode == 0
    found = restore.restore(runs.load(project / "runs/today/results/x"), "again")
    assert found.exact
    script = Path("again/train.py").resolve()
    assert found.command == f"cd again/runs/today && python {script}"
    assert Path("again/runs/today").is_dir()


def test_a_copy_that_is_no_file_is_named(project, run_script):
    """A pipe in the record neither blocks nor ends a restore."""
    run = record(project, run_script)
    (Path(run.record) / "code/main/lib/model.py").unlink()
    os.mkfifo(Path(run.record) / "code/main/lib/model.py")
    done = restore.restore(run, "again")
    assert [row["path"] for row in done.missing] == ["main: lib/model.py"]


def test_a_record_that_lies_about_its_tree_is_found_out(project, run_script):
    """The commit's id covers its tree, whatever the record says of it."""
    run = changed(record(project, run_script), repository(tree="1" * 40))
    done = restore.restore(run, "again")
    assert not done.exact
    assert "the record says that its tree is 1111" in done.differing[0]["reason"]


def test_a_recorded_option_is_a_name(project, run_script):
    """A repository's files may be called like options, and are files."""
    project.write("--help", "help\n")
    project.write("-f", "f\n")
    run, before = record(project, run_script), wanted(project)
    assert restore.restore(run, "again").exact
    assert snapshot("again") == before


# --- LTParser's records ---


def test_a_record_of_ltparser_comes_back_by_its_hash(repo, remote, run_script, capsys, monkeypatch):
    """`footsteps restore <hash_code>` in the project, and the clone's commits from the record."""
    repo.write(
        "train.py",
        "from footsteps import LTParser\np = LTParser()\np.add_argument('--lr')\nprint(p.parse_args().hash_code)\n",
    )
    repo.commit("LTParser")
    repo.write("lib/model.py", "new\n")
    done = run_script("train.py", "--lr", "0.1", cwd=repo.path)
    assert done.returncode == 0, done.stderr
    before = {path: what for path, what in snapshot(repo.path).items() if not path.startswith(b"lt_records/")}
    monkeypatch.chdir(repo.path)
    assert main(["restore", done.stdout.strip(), "../again"]) == 0
    assert "restored exactly: ../again" in capsys.readouterr().out
    assert snapshot("../again") == before


# --- older records ---


def test_a_record_of_footsteps_0_1_comes_back_as_far_as_it_goes(repo, remote, capsys):
    """Commit and diff out of info.txt; that untracked files are not in it is said."""
    repo.write("a b.txt", "one\n")
    repo.commit("More")
    repo("push", "--quiet")
    repo.write("a b.txt", "two\n")
    old = repo.path.parent / "old"
    old.mkdir()
    diff = repo("diff", "HEAD")
    parts = ("Command:", "train.py --lr 1", "System:", "host", "Python:", "/usr/bin/python", "Git Hash:")
    more = (repo("describe", "--always"), "Uncommitted changes:", diff, "Current working dir:", str(repo.path), "")
    (old / "info.txt").write_text("\n".join((*parts, *more)))
    assert main(["restore", str(old), "again"]) == 0
    said = capsys.readouterr()
    assert "restored as recorded, with nothing to check it by: again" in said.out
    assert "cd again && python train.py --lr 1" in said.out
    assert "recorded no untracked files" in said.err
    assert Path("again/a b.txt").read_text() == "two\n"
    shutil.rmtree(repo.path)
    assert main(["restore", str(old), "more", "--from", str(remote.path)]) == 0
    assert snapshot("more") == snapshot("again")


def litetracer(repo: Repo) -> Path:
    """A record as LiteTracer itself wrote them, in the project."""
    name = "LT_delta-0x1_base-0x2_LT"
    directory = repo / "lt_records" / name
    (directory / "untracked").mkdir(parents=True)
    (directory / f"settings_{name}.txt").write_text(f"--git_label {repo('describe', '--always')} --lr 0.1")
    (directory / "diff.patch").write_text(repo("diff"))
    (directory / "untracked/new.txt").write_text("new\n")
    return directory


def test_a_record_of_litetracer_comes_back(repo):
    """Commit, diff.patch and untracked/, found in the clone around the record."""
    repo.write("a.txt", "one\n")
    repo.commit("More")
    repo.write("a.txt", "two\n")
    done = restore.restore(runs.load(litetracer(repo)), "again")
    assert done.complete
    assert not done.proven
    assert Path("again/a.txt").read_text() == "two\n"
    assert Path("again/new.txt").read_text() == "new\n"


def test_a_patch_that_does_not_apply_is_named(repo):
    """What does not apply is told by its file, what does is there."""
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "one\n")
    repo.commit("More")
    repo.write("a.txt", "two\n")
    repo.write("b.txt", "two\n")
    directory = litetracer(repo)
    patch = directory / "diff.patch"
    patch.write_text(patch.read_text().replace("-one", "-won", 1))
    done = restore.restore(runs.load(directory), "again")
    assert [row["path"] for row in done.missing] == ["a/a.txt b/a.txt"]
    assert Path("again/b.txt").read_text() == "two\n"


@pytest.mark.parametrize("path", ["../pwned", ".git/hooks/pre-commit", "out/pwned"])
def test_a_hostile_patch_writes_nothing_outside(repo, tmp_path, path):
    """git apply keeps to the tree, and so do we."""
    (repo / "out").symlink_to("..")
    repo.commit("A link")
    directory = litetracer(repo)
    (directory / "diff.patch").write_text(
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+evil\n"
    )
    done = restore.restore(runs.load(directory), "again")
    assert len(done.missing) == 1
    assert not list(tmp_path.rglob("pwned")) + list(tmp_path.rglob("pre-commit"))


@pytest.mark.parametrize("label", ["--output=pwned", "HEAD..main", "v1^{/evil}", "$(touch pwned)"])
def test_a_hostile_label_is_refused(repo, label):
    """The commit of an older record is a name or an id, and no option."""
    old = Path("old")
    old.mkdir()
    (old / "info.txt").write_text(
        f"Command:\nx\nSystem:\nx\nPython:\nx\nGit Hash:\n{label}\nUncommitted changes:\n"
        f"Current working dir:\n{repo.path}\n"
    )
    with pytest.raises(repositories.Refused, match="the revision"):
        restore.restore(runs.load(old), "again")


def test_a_run_that_was_copied_without_its_hidden_folder_is_not_taken_for_an_older_one(project, run_script, tmp_path):
    """`cp -r results/fig4/* elsewhere/`: files that are not committed are gone, and it is said, with exit status 1."""
    project.write("model.py", "X = 1\n")
    project.write("t.py", "import footsteps, model\nfootsteps.initialize('fig4')\n")
    done = run_script("t.py", cwd=project.path)
    assert done.returncode == 0, done.stderr
    copied = tmp_path / "elsewhere/fig4"
    shutil.copytree(project / "results/fig4", copied, ignore=shutil.ignore_patterns(".*"))
    said = "the hidden folder .footsteps of this run is missing (copied without hidden files?)"
    done = restore.verify(runs.load(str(copied)))
    assert (done.complete, said in [row["reason"] for row in done.missing]) == (False, True)
    assert "hidden folder .footsteps" in (copied / "info.txt").read_text()
    for words in (["verify", str(copied)], ["restore", str(copied), str(tmp_path / "again")]):
        told = run_script("from footsteps.cli import main; import sys; sys.exit(main())", *words, cwd=tmp_path)
        assert (told.returncode, said in told.stdout) == (1, True)
