"""The core module: a name, a directory that is never shared or overwritten, and a true account of what ran."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SEED_SCRIPT, surroundings
from hypothesis import example, given
from hypothesis import strategies as st

from footsteps import footsteps as core
from footsteps.recorder import bundle
from footsteps.recorder import format as record_format
from footsteps.recorder.git import GitError

SECRET = "hun" + "ter2"  # in one piece it would stand in the record of an editable install of ours
NAMED = 'import footsteps\nfootsteps.initialize("unet")\n'


def sections(directory) -> dict[str, str]:
    """The six seed sections of info.txt, title -> text below it."""
    text = (Path(directory) / "info.txt").read_bytes().decode("utf-8", "surrogateescape")
    found, title = {}, None
    for line in text.split("\n"):
        if line.endswith(":") and (line in record_format.SECTION_TITLES or title == record_format.SECTION_TITLES[-1]):
            title = line
            found[title] = []
        elif title is not None:
            found[title].append(line)
    return {title: "\n".join(lines) for title, lines in found.items()}


def facts(directory) -> dict:
    """What run.json says."""
    return json.loads((Path(directory) / ".footsteps" / "run.json").read_bytes())


@pytest.fixture
def run_in(run_script, repo):
    """A function that runs a program in the repository, which must succeed, and gives its stdout."""

    def run(program=SEED_SCRIPT, *arguments, name="unet", **options):
        environment = {"FOOTSTEPS_NAME": name, **options.pop("env", {})}
        done = run_script(program, *arguments, **{"cwd": repo, "env": environment, **options})
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


# --- the record ---


def test_info_is_the_seeds_to_the_letter(repo, run_in):
    """Six titles on lines of their own, in the seed's order, each with what the seed shows below it."""
    run_in("train.py", "--finnicky-command-line-argument")
    lines = (repo / "results/unet/info.txt").read_text().split("\n")
    short = repo("describe", "--always")
    assert lines[:11] == [
        *("Command:", "train.py --finnicky-command-line-argument"),
        *("System:", socket.gethostname()),
        *("Python:", sys.executable),
        *("Git Hash:", short),
        "Uncommitted changes:",
        *("Current working dir:", os.fspath(repo)),
    ]


def test_the_git_hash_is_followed_by_a_link_to_the_forge(repo, run_in):
    """A remote on a web forge gives the commit's page, without the credentials of the remote's URL."""
    repo("remote", "add", "origin", f"https://ada:{SECRET}@github.com/ada/knee.git")
    run_in("train.py")
    commit = repo("rev-parse", "HEAD")
    link = f"https://github.com/ada/knee/commit/{commit}"
    assert sections(repo / "results/unet")["Git Hash:"].split("\n")[1] == link
    everything = b"".join(p.read_bytes() for p in (repo / "results/unet").rglob("*") if p.is_file())
    assert SECRET.encode() not in everything


def test_a_tag_does_not_stand_alone_for_the_commit(repo, run_in):
    """`git describe` gives the tag's name; the full hash is in the record too."""
    repo("tag", "--annotate", "--message", "first", "v1")
    run_in("train.py")
    assert sections(repo / "results/unet")["Git Hash:"] == "v1"
    assert repo("rev-parse", "HEAD") in (repo / "results/unet/info.txt").read_text()
    assert facts(repo / "results/unet")["repositories"][0]["commit"] == repo("rev-parse", "HEAD")


def test_the_recorded_patch_applies_to_the_recorded_commit(repo, run_in):
    """What stands under the title goes through plain `git apply` and gives the program's bytes."""
    repo.write("train.py", SEED_SCRIPT + "# more\n")
    repo.write("new.py", "staged = 1\n")
    repo.write("blank at end.txt", "no newline")
    repo("add", "new.py", "blank at end.txt")
    run_in("train.py")
    patch = sections(repo / "results/unet")["Uncommitted changes:"] + "\n"
    other = repo.clone("other")
    other("apply", stdin=patch.encode("utf-8", "surrogateescape"))
    for name in ("train.py", "new.py", "blank at end.txt"):
        assert other.read(name) == repo.read(name)


def test_binary_changes_are_named_after_the_patch(repo, run_in):
    """A changed binary file is a line of ours, so that what is there applies."""
    repo.write("weights.bin", bytes(range(256)))
    repo.commit()
    repo.write("weights.bin", bytes(range(255)))
    repo.write("train.py", SEED_SCRIPT + "# more\n")
    run_in("train.py")
    text = sections(repo / "results/unet")["Uncommitted changes:"]
    assert "(not in this diff: weights.bin (binary))" in text.split("\n")
    repo.clone("other")("apply", stdin=(text + "\n").encode())


def test_the_script_is_copied_as_it_ran(repo, run_in):
    """The file beside info.txt has the script's bytes, also if it lies in a folder and changed since the commit."""
    repo.write("jobs/fit.py", SEED_SCRIPT + "# \xff, as latin-1\n".encode("latin-1").decode("latin-1"))
    run_in("jobs/fit.py")
    assert (repo / "results/unet/fit.py").read_bytes() == repo.read("jobs/fit.py")
    assert facts(repo / "results/unet")["script"]["stored"] == "fit.py"


def test_run_json_tells_what_ran_where(repo, run_in):
    """The documented keys of format 1 are there, with their types."""
    run_in("train.py", "--lr", "0.1", env={"OMP_NUM_THREADS": "3", "MY_TOKEN": SECRET})
    said = facts(repo / "results/unet")
    assert said["format"] == 1
    assert said["name"] == "unet"
    assert said["directory"] == os.path.join(repo, "results", "unet", "")
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", said["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d", said["started"])
    assert said["argv"] == ["train.py", "--lr", "0.1"]
    assert said["orig_argv"] == [sys.executable, "train.py", "--lr", "0.1"]
    assert said["masked"] is False
    assert said["main"] == {"kind": "script", "path": os.path.join(repo, "train.py"), "module": None}
    assert said["cwd"] == os.fspath(repo)
    assert said["environment"]["OMP_NUM_THREADS"] == "3"
    assert "MY_TOKEN" not in said["environment"]
    assert said["python"]["executable"] == sys.executable
    assert said["hardware"]["cores"] == os.cpu_count()
    assert said["process"]["parent_pid"] == os.getpid()
    assert said["process"]["launcher"] is None
    assert said["parent"] is None
    assert re.fullmatch("[0-9a-f]{32}", said["code_id"])
    assert said["problems"] == []


def test_run_json_and_packages_are_there_before_output_dir_is(repo, run_in):
    """A machine switched off in the next moment keeps a complete record."""
    run_in(
        "import footsteps, os\n"
        "files = ['info.txt', 'package_versions.txt', '.footsteps/run.json', 'script.py']\n"
        "print([os.path.getsize(footsteps.output_dir + f) > 0 for f in files])\n"
        "os._exit(0)\n"
    )
    assert all((repo / "results/unet" / f).stat().st_size for f in ("info.txt", "package_versions.txt"))


def test_untracked_files_are_listed(repo, run_in):
    """info.txt names the files that git does not know, runs of before not among them."""
    run_in("train.py")
    repo.write("notes about x.md", "a")
    run_in("train.py")
    text = (repo / "results/unet-1/info.txt").read_text()
    assert "Untracked files:\nnotes about x.md\n" in text
    assert "results/" not in text.partition("Untracked files:")[2]


def test_an_argument_cannot_forge_a_section(repo, run_in):
    """Newlines, carriage returns and Unicode's line ends stay on the command's own line."""
    nasty = "a\nGit Hash:\nbadc0de\r\nPython:\u2028System:\x85evil\x0b\x0c\x1c"
    run_in("train.py", nasty)
    text = (repo / "results/unet/info.txt").read_text()
    assert [line for line in text.splitlines() if line in record_format.SECTION_TITLES] == list(
        record_format.SECTION_TITLES
    )
    assert facts(repo / "results/unet")["argv"][1] == nasty


@pytest.mark.parametrize(
    "argument",
    [
        "plain",
        "two words",
        "",
        "it's",
        '"$HOME" `id` \\',
        "a\nb\tc",
        "naïve.txt",
        "*?[a]{b,c}~#!",
        "\udcff\udc80",
        "'\n\\",
    ],
)
def test_the_command_can_be_pasted_into_a_shell(repo, run_in, argument):
    """What info.txt says goes through bash to the same arguments, byte for byte."""
    run_in("train.py", argument, "last")
    command = sections(repo / "results/unet")["Command:"]
    show = [
        sys.executable,
        "-c",
        "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))",
    ]
    done = subprocess.run(["bash", "-c", f"{shlex.join(show)} {command}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0") == [os.fsencode(a) for a in ("train.py", argument, "last")]
    assert facts(repo / "results/unet")["argv"][1] == argument


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token", SECRET),
        (f"--hf-token={SECRET}",),
        ("--password", SECRET),
        (f"api_key={SECRET}",),
        ("--apiKey", SECRET),
        ("--data", f"https://ada:{SECRET}@example.org/x"),
        ("--data", f"s3://bucket/x?token={SECRET}&y=1"),
        (f"--data=https://{SECRET}@example.org/x",),
        ("--aws-secret-access-key", SECRET),
        ("--x", f"ghp_{SECRET * 3}"),
        (f"--x=ghp_{SECRET * 3}",),
        (f"model.x=hf_{SECRET * 3}",),
        ("--header", f"Authorization: Bearer {SECRET}"),
        (f"--header=X-Api-Key: {SECRET}",),
        ("--config", f"{{api_key: {SECRET}, seed=3}}"),
        ("--config", f'{{"user": {{"token": "{SECRET} {SECRET}"}}, "seed": 3}}'),
        (f"+db={{password:{SECRET},port:1}}",),
    ],
)
def test_credentials_in_the_command_are_masked(repo, run_in, arguments):
    """`***` stands in their place, in every file of the record."""
    run_in("train.py", *arguments)
    said = facts(repo / "results/unet")
    assert "***" in said["command"]
    assert said["masked"] is True
    assert all(SECRET.encode() not in p.read_bytes() for p in (repo / "results").rglob("*") if p.is_file())


@pytest.mark.slow
def test_package_versions_are_what_pip_lists(repo, tmp_path):
    """The list that is there before output_dir is returned is that of `pip list`, letter for letter."""
    repo.write(
        "train.py",
        "import footsteps\n" + NAMED,
    )
    subprocess.run([sys.executable, "train.py"], cwd=repo, check=True, capture_output=True)
    environment = surroundings({"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    pip = subprocess.run([sys.executable, "-m", "pip", "list"], cwd="/", env=environment, capture_output=True)
    if pip.returncode:
        pytest.skip("no pip here")
    assert (repo / "results/unet/package_versions.txt").read_text() == pip.stdout.decode()


def test_an_editable_install_is_told_from_its_leftover_metadata(repo, tmp_path, run_in):
    """A script beside the project's own .egg-info still gets the install that pip lists, with its location."""
    site = tmp_path / "site"
    origin = {"url": (repo.path).as_uri(), "dir_info": {"editable": True}}
    for name, text in (("METADATA", "Name: knee\nVersion: 2\n"), ("direct_url.json", json.dumps(origin))):
        path = site / "knee-2.dist-info" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    repo.write("knee.egg-info/PKG-INFO", "Metadata-Version: 2.1\nName: knee\nVersion: 1\n")
    repo.write(".gitignore", "*.egg-info\n")
    before = os.environ.get("PYTHONPATH")
    run_in("train.py", env={"PYTHONPATH": os.pathsep.join(filter(None, [os.fspath(site), before]))})
    row = next(p for p in facts(repo / "results/unet")["packages"] if p["name"] == "knee")
    assert (row["version"], row["editable"], row["location"]) == ("2", True, os.fspath(repo))


@pytest.mark.slow
def test_without_pip_there_is_a_list_too(repo, run_in):
    """`python -S -I` without site-packages: the list is not empty, only short."""
    core_path = shutil.copy(core.__file__, repo / "steps.py")
    run_in("import sys; sys.path.insert(0, '.')\nimport steps\nprint(steps.output_dir)\n", options=("-S",))
    assert core_path
    assert (repo / "results/unet/package_versions.txt").read_text().startswith("Package")


def test_a_frozen_or_embedding_program_is_never_started_again(monkeypatch):
    """Its sys.executable is the program itself, not a Python that could run pip."""
    assert bundle._can_start_python()
    monkeypatch.setattr(sys, "executable", "/opt/app/TrainApp")
    assert not bundle._can_start_python()
    monkeypatch.undo()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not bundle._can_start_python()


@pytest.mark.parametrize("bytecode", [None, "1"])
def test_a_source_changed_since_it_was_loaded_is_told(repo, run_in, bytecode):
    """What ran is not what lies there: a module by its bytecode, the script by the time."""
    repo.write("helper.py", "x = 1\n")
    program = (
        "import helper, footsteps, os, time\nopen('helper.py', 'w').write('x = 222\\n')\n"
        "open(__file__, 'a').write('# edited')\nfootsteps.output_dir\n"
    )
    run_in(program, env={"PYTHONDONTWRITEBYTECODE": bytecode})
    changed = [p for p in facts(repo / "results/unet")["problems"] if "has changed since it was loaded" in p]
    assert any(p.startswith(os.fspath(repo / "script.py")) for p in changed)
    assert bytecode or any(p.startswith(os.fspath(repo / "helper.py")) for p in changed)


# --- states of a repository ---


def test_outside_of_git_the_script_and_its_modules_are_kept(tmp_path, run_script):
    """No repository: said in info.txt, nothing on stderr, and the program's files are kept whole."""
    (tmp_path / "helper.py").write_text("x = 1\n")
    done = run_script("import helper, footsteps\nfootsteps.initialize('a')\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert sections(tmp_path / "results/a")["Git Hash:"] == "not a git repository"
    assert "\n  2 files, whole in .footsteps/code\n" in (tmp_path / "results/a/info.txt").read_text()
    rows = facts(tmp_path / "results/a")["repositories"]
    loose = next(row for row in rows if row["role"] == "loose")
    assert {f["path"] for f in loose["files"]} == {"helper.py", "script.py"}


def test_info_counts_what_is_kept_in_words(repo, run_in):
    """One file differs, two differ; where there is no commit nothing differs from it."""
    kept = "from the commit, whole in .footsteps/code"
    run_in()
    assert f"\n  1 file differs {kept}\n" in (repo / "results/unet/info.txt").read_text()
    repo.write("new.py")
    run_in()
    assert f"\n  2 files differ {kept}\n" in (repo / "results/unet-1/info.txt").read_text()


def test_before_the_first_commit_everything_is_kept(tmp_path, run_script, repo):
    """An unborn branch: said so, nothing on stderr."""
    fresh = type(repo)(tmp_path / "fresh").init()
    fresh.write("train.py", SEED_SCRIPT)
    done = run_script("train.py", cwd=fresh, env={"FOOTSTEPS_NAME": "a"})
    assert (done.returncode, done.stderr) == (0, "")
    assert sections(fresh / "results/a")["Git Hash:"] == "no commits yet"
    row = facts(fresh / "results/a")["repositories"][0]
    assert row["commit"] is None
    assert [f["path"] for f in row["files"]] == ["train.py"]


def test_a_detached_head_a_worktree_and_a_subfolder_are_understood(repo, run_in, tmp_path):
    """Wherever in a repository the program runs, its commit is told."""
    commit = repo("rev-parse", "HEAD")
    repo("worktree", "add", "--quiet", "--detach", tmp_path / "tree")
    (tmp_path / "tree/deep/er").mkdir(parents=True)
    run_in("../../train.py", cwd=tmp_path / "tree/deep/er")
    row = facts(tmp_path / "tree/deep/er/results/unet")["repositories"][0]
    assert (row["commit"], row["branch"], row["path"]) == (commit, None, os.fspath(tmp_path / "tree"))


# --- the name ---


def test_the_seeds_demonstration(repo, run_script):
    """A five-line script and a name on stdin give the seed's line and the directory."""
    done = run_script("train.py", cwd=repo, stdin="manually_entered_experiment_name\n")
    assert done.stdout == "Saving results to results/manually_entered_experiment_name/\n"
    assert (repo / "results/manually_entered_experiment_name/network_weights.csv").read_text() == "6, 9, 42"


def test_a_used_name_gets_a_number(repo, run_in):
    """fixed, fixed-1, fixed-2: nothing is overwritten."""
    said = [run_in(NAMED) for _ in range(3)]
    assert said == [f"Saving results to results/{n}/\n" for n in ("unet", "unet-1", "unet-2")]


def test_a_second_run_never_takes_a_deleted_runs_number(repo, run_in):
    """The number is one above the highest there, so a figure of unet-1 is never one of another run."""
    for _ in range(3):
        run_in(NAMED)
    (repo / "results/unet-1").rename(repo / "deleted")
    assert run_in(NAMED) == "Saving results to results/unet-3/\n"


def test_the_argument_comes_before_the_variable(run_in, repo):
    """initialize(name), then FOOTSTEPS_NAME, then stdin."""
    assert "results/mine/" in run_in("import footsteps\nfootsteps.initialize('mine')\n", name="theirs", stdin="pipe\n")
    assert "results/theirs/" in run_in("train.py", name="theirs", stdin="pipe\n")
    assert "results/pipe/" in run_in("train.py", name=None, stdin="pipe\n")


def test_the_variable_may_be_set_after_the_import(run_in):
    """os.environ is read when the run begins, not when the module is imported."""
    program = "import footsteps, os\nos.environ['FOOTSTEPS_NAME'] = 'late'\nfootsteps.output_dir\n"
    assert "results/late/" in run_in(program, name=None)


@pytest.mark.parametrize("line", ["unet", "unet\n", "unet\r\n", "  unet \n"])
def test_a_piped_name_may_lack_its_newline(run_in, line):
    """`printf unet |`, `echo unet |`, and a file from Windows."""
    assert run_in("train.py", name=None, stdin=line) == "Saving results to results/unet/\n"


def test_an_empty_line_takes_the_scripts_name(run_in):
    """Enter on nothing."""
    assert "results/train/" in run_in("train.py", name=None, stdin="\n")


def test_the_rest_of_stdin_is_the_programs(run_in):
    """One line is read and not a byte more: sys.stdin, its descriptor and child processes get the rest."""
    program = (
        "import footsteps, subprocess, sys\n"
        "footsteps.output_dir\n"
        "print(ascii(sys.stdin.readline()), flush=True)\n"
        "subprocess.run(['head', '-c', '4'])\n"
    )
    said = run_in(program, name=None, stdin="unet\nnaïve\nrest\n").split("\n")[1:]
    assert said[0] == r"'na\xefve\n'"


def test_a_child_process_gets_the_rest_of_stdin(run_in):
    """Nothing of it sits in a buffer of this process."""
    program = "import footsteps, subprocess\nfootsteps.output_dir\nsubprocess.run(['cat'])\n"
    assert run_in(program, name=None, stdin="unet\none\ntwo\n").endswith("unet/\none\ntwo\n")


def test_a_closed_stdin_takes_the_scripts_name_and_says_how_to_choose(run_script, repo):
    """As under cron, nohup and sbatch."""
    done = run_script("train.py", cwd=repo)
    assert done.stdout == "Saving results to results/train/\n"
    assert "FOOTSTEPS_NAME=<name>" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closing", ["<&-", "</dev/null"])
def test_stdin_may_not_be_there_at_all(repo, closing):
    """`<&-`: sys.stdin is None."""
    done = subprocess.run(f"{sys.executable} train.py {closing}", shell=True, cwd=repo, capture_output=True, text=True)
    assert done.stdout == "Saving results to results/train/\n"


@pytest.mark.slow
def test_a_script_from_stdin_is_not_eaten(repo):
    """`python - < script`: the lines after the import are the program, not the name."""
    program = b"import footsteps\nprint(footsteps.output_dir)\nprint('and on')\n"
    for arguments in ([], ["-"]):
        done = subprocess.run([sys.executable, *arguments], input=program, cwd=repo, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(b"and on\n")
    assert sorted(p.name for p in (repo / "results").iterdir() if p.is_dir()) == ["stdin", "stdin-1"]


@pytest.mark.slow
def test_a_silent_pipe_is_told_about(repo):
    """While an open pipe brings nothing, stderr says what is waited for, and for how to do without."""
    child = subprocess.Popen(
        [sys.executable, "train.py"], cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said = child.stderr.readline()
    assert b"waiting for" in said
    assert b"FOOTSTEPS_NAME" in said
    out, rest = child.communicate(b"late\n")
    assert out == b"Saving results to results/late/\n"
    assert rest == b"footsteps: the run's name was read from standard input: 'late'\n"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("-c", "import footsteps; footsteps.output_dir"), "command"),
        (("-m", "pkg.mod"), "mod"),
        (("-m", "pkg"), "pkg"),
        (("pkg",), "pkg"),
        (("app.pyz",), "app"),
        (("train.py",), "train"),
    ],
)
def test_without_a_name_it_is_what_runs(repo, arguments, name):
    """`python -c`, `-m pkg.mod`, `-m pkg`, a folder, a zipapp, a script."""
    for file in ("pkg/__init__.py", "pkg/mod.py", "pkg/__main__.py"):
        repo.write(file, "" if "init" in file else SEED_SCRIPT)
    subprocess.run([sys.executable, "-m", "zipapp", "pkg", "-o", "app.pyz"], cwd=repo, check=True)
    done = subprocess.run([sys.executable, *arguments], cwd=repo, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stdout == f"Saving results to results/{name}/\n".encode(), done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/../b",
        "../x",
        "/etc/x",
        "~/x",
        "a\nb",
        "a\0b",
        "\x1b[2J",
        "a/./b",
        ".footsteps",
        "x" * 300,
        "\u2028",
        "/",
        "  ",
        "a/ b",
        "x/.FootSteps/y",
    ],
)
def test_a_bad_name_is_refused_before_the_experiment_starts(run_in, repo, name):
    """A ValueError with a hint, and no directory."""
    program = (
        f"import footsteps\ntry:\n    footsteps.initialize({name!r})\nexcept ValueError as error:\n    print(error)\n"
    )
    said = run_in(program)
    assert "\nhint: " in said
    assert not (repo / "results").exists()


@pytest.mark.parametrize("root", [None, 5, "a\0b"])
def test_a_bad_root_is_refused_before_the_experiment_starts(run_in, root):
    """A ValueError that names it, with a hint."""
    call = f"footsteps.initialize('a', {root!r})"
    said = run_in(f"import footsteps\ntry:\n    {call}\nexcept ValueError as error:\n    print(error)\n")
    assert said.startswith(f"output_root {root!r} ")
    assert "\nhint: " in said


def test_a_refused_name_can_be_tried_again(run_in):
    """The program may catch the error and give another one."""
    program = (
        "import footsteps\ntry:\n    footsteps.initialize('..')\nexcept ValueError:\n    footsteps.initialize('b')\n"
    )
    assert run_in(program) == "Saving results to results/b/\n"


def test_root_and_name_the_wrong_way_round_get_a_hint(run_in):
    """initialize("results/", "unet") is answered with the call that was meant."""
    program = "import footsteps\ntry:\n    footsteps.initialize({}, 'unet')\nexcept ValueError as e:\n    print(e)\n"
    assert "hint: initialize('unet', output_root='out/')" in run_in(program.format("'out/'"))
    assert "output_root=" in run_in(program.format("'/data/results'"))
    assert "output_root=" in run_in(program.format("'../results/'"))


names = st.text(max_size=40) | st.lists(
    st.sampled_from(["..", ".", "/", "a", "-1", " ", "\\", "~", "\0", "é", "\udcff", "\ud800", "con"]), max_size=6
).map("".join)


@pytest.mark.slow
@given(names)
@example("a/..")
@example("a//b")
@example("\udcff")
def test_any_name_is_refused_or_stays_inside_the_root(tmp_path_factory, name):
    """Whatever the text, it is refused with a reason and a hint, or becomes a directory below the root."""
    root = os.path.join(tmp_path_factory.mktemp("any"), "root")
    problem = core.name_problem(name, root)
    if problem:
        assert all(problem.partition("; "))
        with pytest.raises(core.InvalidName):
            core._chosen_name(core.Run(name, root, {}))
        return
    shown, full = core._made_directory(root, core._chosen_name(core.Run(name, root, {})))
    assert os.path.isdir(shown)
    assert os.path.realpath(shown).startswith(os.path.realpath(root) + os.sep)
    assert os.path.join(root, full, "") == shown


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.heavy)])
def test_many_starts_with_one_name_lose_nothing(repo, count):
    """Processes behind a barrier: as many directories, no error."""
    program = "import footsteps, sys\nsys.stdin.readline()\nfootsteps.initialize('same')\n"
    repo.write("same.py", program)
    children = [
        subprocess.Popen([sys.executable, "same.py"], cwd=repo, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(count)
    ]
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    errors = b"".join(child.communicate()[1] for child in children)
    assert [child.returncode for child in children] == [0] * count, errors
    assert b"Traceback" not in errors
    assert {p.name for p in (repo / "results").iterdir() if p.is_dir()} == {
        "same",
        *(f"same-{n}" for n in range(1, count)),
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(values, st.dictionaries(st.text(), values))
def test_what_is_written_is_read_back(value, facts_):
    """Any text, any number: the writer that spares the json module writes what json reads."""
    assert json.loads(record_format.json_text(value)) == value
    assert json.loads(record_format.as_json(facts_)) == facts_


def read_as(reader, text):
    """What a reader of JSON gives for a text, or that it refuses it."""
    try:
        return repr(reader(text))
    except ValueError:
        return "refused"


@given(st.text('{}[]",:0123456789.eE+- \\u\nNaInfty') | values.map(json.dumps))
@example("[NaN, -Infinity, 1e400]")
@example('{"a": 1} x')
@example('{"a" 1}')
@example("")
def test_what_is_read_without_the_json_module_is_what_it_reads(text):
    """Any text: the same value, and what is no JSON is refused by both."""
    assert read_as(record_format.from_json, text) == read_as(json.loads, text)


def test_numbers_of_libraries_are_numbers(tmp_path):
    """An IntEnum's and numpy's own kinds of float; what JSON has no word for is its repr."""
    import enum

    numpy = pytest.importorskip("numpy")

    class Size(enum.IntEnum):
        BIG = 3

    assert json.loads(record_format.json_text([Size.BIG, numpy.float64(0.5), True])) == [3, 0.5, True]
    assert json.loads(record_format.json_text({1: {2}, "x": tmp_path})) == {"1": "{2}", "x": repr(tmp_path)}


# --- output_dir, finish, plot ---


def test_output_dir_is_relative_until_the_program_moves(run_in, repo):
    """As the seed shows; absolute once the working directory is another, so that it names the same place."""
    program = (
        "import footsteps, os\nprint(footsteps.output_dir)\nos.chdir('/')\nprint(footsteps.output_dir)\n"
        "os.chdir(os.path.dirname(os.path.abspath(__file__)))\nprint(footsteps.output_dir)\n"
    )
    said = run_in(program).split("\n")[1:4]
    assert said == ["results/unet/", os.path.join(repo, "results/unet/"), "results/unet/"]


def test_initialize_twice_says_where_the_first_was(run_in):
    """A program that names its run twice learns which line did it first."""
    program = (
        "import footsteps\nfootsteps.initialize('a')\n"
        "try:\n    footsteps.initialize('b')\nexcept footsteps.FootstepsError as e:\n    print(e)\n"
    )
    said = run_in(program)
    assert "'results/a/'" in said
    assert "script.py:2" in said


def test_finish_lets_another_run_begin(run_in, repo):
    """finish() ends a run as the program's end would; each run has a record of its own."""
    program = (
        "import footsteps\nfootsteps.initialize('a')\nfirst = footsteps.current()\n"
        "from types import SimpleNamespace as Extension\n"
        "footsteps.footsteps.EXTENSIONS.append(Extension(end=lambda run: print('ended', run.name)))\n"
        "footsteps.finish()\nprint(footsteps.current())\n"
        "footsteps.initialize('a')\nprint(footsteps.output_dir)\nfootsteps.finish()\nfootsteps.finish()\n"
    )
    assert run_in(program).split("\n")[1:] == [
        "None",
        "Saving results to results/a-1/",
        "results/a-1/",
        "ended a-1",
        "",
    ]
    assert facts(repo / "results/a-1")["name"] == "a-1"


def test_a_failing_start_can_be_tried_again(run_in, repo):
    """After a directory that could not be made, the same process may begin a run."""
    repo.write("taken", "a file in the way")
    program = (
        "import footsteps\ntry:\n    footsteps.initialize('a', 'taken/')\nexcept OSError as e:\n    print(e)\n"
        "footsteps.initialize('a')\n"
    )
    said = run_in(program)
    assert "hint:" in said
    assert said.endswith("Saving results to results/a/\n")


@pytest.mark.slow
def test_plot_saves_numbered_figures_and_clears(run_in, repo):
    """NNN_name.png, one number after another; what can't be in a file's name becomes a `_`."""
    pytest.importorskip("matplotlib")
    program = (
        "import footsteps\nfrom matplotlib import pyplot as plt\n"
        "for name in ('loss', '', 'a/../b', 'x' * 400, '\\u5b57' * 200, '\\u00b2\\u00b2\\u00b2'):\n"
        "    plt.plot([1, 2])\n    footsteps.plot(name)\n    assert not plt.gcf().axes\n"
        "open(footsteps.output_dir + '\\u00b2\\u00b2\\u00b2.png', 'w').close()\nfootsteps.plot('last')\n"
    )
    run_in(program)
    figures = sorted(p.name for p in (repo / "results/unet").glob("0*.png"))
    assert [f[:3] for f in figures] == [f"{n:03d}" for n in range(7)]
    assert figures[0] == "000_loss.png"
    assert figures[1] == "001.png"
    assert figures[2] == "002_a_.._b.png"
    assert figures[6] == "006_last.png"


@pytest.mark.slow
def test_plot_goes_on_above_a_thousand(tmp_path, run_script):
    """Figure 1000 does not come twice."""
    pytest.importorskip("matplotlib")
    for name in ("999_a.png", "1000_a.png", "1001.png", "²²²_x.png", "12a.png"):
        (tmp_path / name).write_text("")
    begin = f"import footsteps\nfootsteps.output_dir_impl = {os.fspath(tmp_path) + '/'!r}\n"
    figure = "from matplotlib import pyplot as plt\nplt.plot([1])\n"
    assert run_script(begin + figure + "footsteps.plot('b')").returncode == 0
    assert (tmp_path / "1002_b.png").exists()


def test_plot_without_matplotlib_says_what_to_install(run_in, repo):
    """`except ImportError` catches it, and it names the package."""
    program = (
        "import sys\nsys.modules['matplotlib'] = None\nimport footsteps\n"
        "try:\n    footsteps.plot('x')\nexcept ImportError as e:\n    print(e.name)\n"
    )
    assert run_in(program).startswith("matplotlib")


# --- what ends before the experiment starts ---


def refused(run_script, repo, program, **options):
    """stderr of a program that must end with our error before it prints "experiment"."""
    done = run_script(program + "\nprint('experiment')\n", cwd=repo, **options)
    assert done.returncode == 1
    assert "experiment" not in done.stdout
    assert "\nhint: " in done.stderr
    return done.stderr


def test_a_root_that_cannot_be_made_ends_the_program_early(run_script, repo):
    """One sentence and a hint, an OSError, nothing left behind."""
    said = refused(run_script, repo, "import footsteps\nfootsteps.initialize('a', '/proc/no/')")
    assert "DirectoryError: can't make the run's directory '/proc/no/a'" in said


def test_a_file_in_the_way_ends_the_program_early(run_script, repo):
    """`results` is a file; a group is a file."""
    repo.write("results", "")
    said = refused(run_script, repo, "import footsteps\nfootsteps.initialize('a')")
    assert "can't make the run's directory 'results/a': 'results' is no directory\nhint: " in said
    said = refused(run_script, repo, "import footsteps\nfootsteps.initialize('a', 'results/b')")
    assert "'results' is no directory" in said
    repo.write("out/exp", "")
    said = refused(run_script, repo, "import footsteps\nfootsteps.initialize('exp/a', 'out/')")
    assert "needs the group 'out/exp', which is a file" in said


def test_a_start_that_is_refused_shows_the_programs_own_line(run_script, repo):
    """One sentence and a hint; the line that asked is there, and the system's own error is not."""
    repo.write("results", "")
    said = refused(run_script, repo, "import footsteps\nprint(footsteps.output_dir)", env={"FOOTSTEPS_NAME": "a"})
    assert "print(footsteps.output_dir)" in said
    assert said.count("Traceback") == 1
    assert "FileExistsError" not in said


def test_starts_refused_a_thousand_times_leave_the_programs_own_hook(run_script, repo):
    """What shortens one traceback hides nothing of a later error, and does not pile up."""
    program = (
        "import footsteps, sys\nseen = sys.excepthook = lambda *_: print('mine')\nfor n in range(2000):\n    try:\n"
        "        footsteps.initialize('..')\n    except ValueError:\n        pass\n1 / 0\n"
    )
    done = run_script(program, cwd=repo)
    assert (done.stdout, done.stderr, done.returncode) == ("mine\n", "", 1)


def test_a_root_with_a_nul_ends_the_program_early(run_script, repo):
    """No bare `embedded null byte`."""
    refused(run_script, repo, "import footsteps\nfootsteps.initialize('a', 'res\\0ults/')")


def test_a_deleted_working_directory_and_a_relative_root_end_the_program_early(run_script, repo):
    """There is nothing that a relative root could be relative to."""
    program = "import footsteps, os\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
    refused(run_script, repo, program + "footsteps.initialize('a')")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    where = tmp_path / "disk"
    where.mkdir()
    if os.name != "posix" or os.getuid() or not shutil.which("mount"):
        pytest.skip("only root mounts")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("can't mount here")
    yield where
    subprocess.run(["umount", where], check=True)


def test_a_full_disk_ends_the_program_early(run_script, repo, small_disk):
    """One sentence and a hint, and the half-written directory is gone."""
    (small_disk / "ballast").write_bytes(b"x" * 60_000)
    said = refused(run_script, repo, f"import footsteps\nfootsteps.initialize('a', {os.fspath(small_disk)!r})")
    assert "No space left on device" in said
    assert sorted(p.name for p in small_disk.iterdir()) == ["ballast"]


def test_a_read_only_disk_ends_the_program_early(run_script, repo, small_disk):
    """As a mounted snapshot is."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    said = refused(run_script, repo, f"import footsteps\nfootsteps.initialize('a', {os.fspath(small_disk)!r})")
    assert "Read-only file system" in said


def test_errors_keep_what_a_caller_catches():
    """They are a ValueError and an OSError, with errno, and survive pickling."""
    import pickle

    name = core.InvalidName("no", "yes")
    assert isinstance(name, ValueError)
    again = pickle.loads(pickle.dumps(name))
    assert (again.message, again.hint, str(again)) == ("no", "yes", "no\nhint: yes")
    with pytest.raises(OSError, match="can't make") as caught:
        core._made_directory("/proc/no", "a")
    assert caught.value.errno == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    git = pickle.loads(pickle.dumps(GitError(["x"], 3, "said")))
    assert (git.argv, git.returncode, git.stderr) == (["x"], 3, "said")
