"""Which program a run is of, how it was started, what it parsed, and whose standard input that is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest
from conftest import package_environment, surroundings

import footsteps

SAVE = "import footsteps, sys\nopen(footsteps.output_dir + 'o.txt', 'w').write(repr(sys.argv[1:]))\n"
NO_TESTS = sys.version_info >= (3, 12)  # in which unittest that finds no test ends with status 5
HERE = os.path.dirname(os.path.dirname(footsteps.__file__))


@pytest.fixture
def sh(repo):
    """A function that runs a line of bash in the project and gives what it says; `python` is this one."""
    folder = repo.path.parent / "bin"
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    path = f"{folder}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"

    def run(line, *, status=0, env=None, **options):
        settings = surroundings({**package_environment(), "PATH": path, **(env or {})})
        options = {"stdin": subprocess.DEVNULL, **options}
        if "input" in options:
            del options["stdin"]
        done = subprocess.run(["bash", "-c", line], cwd=repo, env=settings, capture_output=True, text=True, **options)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    repo.write("train.py", SAVE)
    repo.write(".gitignore", "results/\n")
    repo.commit()
    return run


def facts(repo, name, root="results") -> dict:
    """What run.json says."""
    return json.loads((repo / root / name / ".footsteps/run.json").read_text())


def said(repo) -> dict[str, str]:
    """Each run's name -> what it wrote."""
    return {path.parent.name: path.read_text() for path in (repo / "results").glob("*/o.txt")}


def roots(row) -> set[str]:
    """Where its repositories lie, that of footsteps aside."""
    return {repository["path"] for repository in row["repositories"]} - {HERE}


# --- a tool is not the program ---


@pytest.mark.parametrize(
    "way",
    [
        "-m cProfile -o /dev/null train.py --lr 1",
        pytest.param(
            "-m pdb -c continue train.py --lr 1",
            marks=pytest.mark.skipif(sys.version_info[:3] == (3, 13, 0), reason="its pdb refuses a script's options"),
        ),
        "-m trace --count -C /dev/shm/none --ignore-dir=/ train.py --lr 1",
        "runner/run.py train.py --lr 1",
    ],
)
def test_what_a_tool_runs_is_the_program(repo, sh, way):
    """Its script, name, arguments and repository; also of a tool that lies in a repository of its own."""
    repo.write("runner/.git/HEAD", "ref: refs/heads/main\n")
    text = "import runpy, sys\ndel sys.argv[0]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    repo.write("runner/run.py", text)
    sh(f"python {way}")
    row = facts(repo, "train")
    assert row["main"] == {"kind": "script", "path": os.fspath(repo / "train.py"), "module": None}
    assert (row["command"], row["parsed_argv"], roots(row)) == ("train.py --lr 1", {"lr": 1}, {os.fspath(repo)})
    assert (repo / "results/train/train.py").read_text() == SAVE


def test_a_module_that_a_tool_runs_is_the_program(repo, sh):
    """Two tools one behind the other."""
    sh("python -m cProfile -o /dev/null -m train --lr 1")
    assert facts(repo, "train")["main"] == {"kind": "module", "path": os.fspath(repo / "train.py"), "module": "train"}


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isfile(os.path.join(sys.base_prefix, "bin/python3")), reason="no Python to copy")
@pytest.mark.parametrize("way", ["-m cProfile -o /dev/null train.py", "-m unittest train", "train.py"])
def test_the_repository_of_a_python_inside_a_clone_is_none_of_the_runs(repo, sh, tmp_path, way):
    """pyenv is a clone of a repository with Pythons in it."""
    home, name = tmp_path / "pyenv/versions/3", f"python{sys.version_info[0]}.{sys.version_info[1]}"
    ignored = shutil.ignore_patterns("test", "site-packages", "__pycache__", "*.a", "idlelib", "tkinter", "config-*")
    shutil.copytree(os.path.join(sys.base_prefix, "lib", name), home / "lib" / name, ignore=ignored)
    (home / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), home / "bin/python3")
    where = os.path.dirname(os.path.dirname(psutil.__file__))
    line = "git init -q && echo x > README && git add README && git commit -qm pyenv"
    sh(f"cd {tmp_path / 'pyenv'} && {line}")
    library = os.path.join(sys.base_prefix, "lib")  # of a Python that is built as a shared library
    env = {"PYTHONPATH": os.pathsep.join([HERE, where]), "PYTHONHOME": os.fspath(home), "LD_LIBRARY_PATH": library}
    sh(f"{home}/bin/python3 {way}", env={**env, "FOOTSTEPS_NAME": "r"}, status=5 * (way[:5] == "-m un" and NO_TESTS))
    row = facts(repo, "r")
    assert row["python"]["executable"].startswith(os.fspath(home))
    assert row["main"]["path"] == os.fspath(repo / "train.py")
    assert roots(row) == {os.fspath(repo)}


def test_what_unittest_tests_is_the_program(repo, sh):
    """Code of the standard library is nobody's program."""
    repo.write("test_net.py", f"import unittest\nclass T(unittest.TestCase):\n  def test(self):\n    exec({SAVE!r})\n")
    sh("python -m unittest test_net")
    row = facts(repo, "test_net")
    assert row["main"]["path"] == os.fspath(repo / "test_net.py")
    assert roots(row) == {os.fspath(repo)}
    assert row["command"] == f"{sys.executable} -m unittest test_net"  # unittest has changed sys.argv[0]
    sh(row["command"])
    assert facts(repo, "test_net-1")["command"] == row["command"]


@pytest.mark.parametrize("start", ["env/bin/tool", "env/bin/python -m tool"])
def test_an_installed_program_is_named_by_its_package(repo, sh, start):
    """Its virtual environment lies in a repository that is none of its own."""
    from venv import create

    create(repo / "env")
    site = next((repo / "env").glob("lib/python*/site-packages"))
    (site / "tool.py").write_text(f"def main():\n    exec({SAVE!r})\nif __name__ == '__main__':\n    main()\n")
    (site / "ours.pth").write_text("".join(f"{path}\n" for path in (HERE, *package_environment().values()) if path))
    info = site / "my_tool-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-tool\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[console_scripts]\ntool = tool:main\n")
    (info / "top_level.txt").write_text("tool\n")
    (info / "direct_url.json").write_text('{"url": "https://example.org/tool.zip", "archive_info": {}}')
    (repo / "env/bin/tool").write_text(f"#!{repo.path}/env/bin/python\nfrom tool import main\nmain()\n")
    (repo / "env/bin/tool").chmod(0o755)
    elsewhere = repo.path.parent / "data"
    elsewhere.mkdir()
    sh(f"cd {elsewhere} && {repo.path}/{start}", env={"PYTHONPATH": None})
    row = json.loads((elsewhere / "results/tool/.footsteps/run.json").read_text())
    url = {"url": "https://example.org/tool.zip", "archive_info": {}}
    assert row["main"]["distribution"] == {"name": "my-tool", "version": "1.2", "direct_url": url}
    assert (row["main"]["path"], roots(row)) == (None, set())


def test_a_copy_that_a_runner_starts_is_the_script_that_it_is_of(repo, sh):
    """Snakemake's `script:` does as this: lines of its own, then `__file__` as it should be."""
    copy = repo.path.parent / "tmp123.train.py"
    copy.write_text(f"__file__ = {os.fspath(repo / 'train.py')!r}\n{SAVE}")
    sh(f"python {copy}")
    row = facts(repo, "train")["main"]
    assert row["path"] == os.fspath(repo / "train.py")
    assert "a runner started a copy" in sh("footsteps rerun --yes train", status=2)


def test_a_worker_is_named_after_the_script_that_started_it(repo, sh):
    """execnet does as this: the program comes over stdin."""
    worker = "import sys; exec(sys.stdin.read())"
    text = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {worker!r}], input={SAVE!r}, text=True)\n"
    repo.write("sweep.py", text)
    sh("python sweep.py")
    assert facts(repo, "sweep")["main"]["kind"] == "worker"
    assert "can't be run again: it ran in a worker" in sh("footsteps rerun --yes sweep", status=2)


@pytest.mark.launcher
@pytest.mark.parametrize("tasks", [1, 2])
def test_a_job_of_submitit_is_named_after_the_script_that_submitted_it(repo, sh, tasks):
    """One run for each job, however many tasks it has; its folder is no place for runs."""
    pytest.importorskip("submitit")
    repo.write(
        "sub.py",
        "import submitit\ndef train(lr):\n    import footsteps\n    return footsteps.output_dir\n"
        "if __name__ == '__main__':\n    executor = submitit.AutoExecutor('jobs', cluster='local')\n"
        f"    executor.update_parameters(timeout_min=2, tasks_per_node={tasks})\n"
        "    jobs = [executor.submit(train, lr) for lr in (1, 2)]\n    [job.results() for job in jobs]\n",
    )
    sh("python sub.py", timeout=120)
    assert sorted(os.listdir(repo / "results")) == [".gitignore", "sub", "sub-1"]
    row = facts(repo, "sub")
    assert row["main"]["path"] == os.fspath(repo / "sub.py")
    assert row["parsed_argv"]["lr"] in (1, 2)
    assert "the script that submitted it" in row["main"]["not_repeatable"]


def test_a_frozen_program_is_its_executable(repo, sh, monkeypatch):
    """It is the command, is kept, and what it has unpacked is no code."""
    unpacked = repo / "unpacked"
    repo.write("unpacked/library.py", "x = 1\n")
    repo.write("app", "an executable")
    text = f"import sys\nsys.path.append({os.fspath(unpacked)!r})\nimport library\n"
    text += f"sys.frozen, sys._MEIPASS, sys.executable = True, {os.fspath(unpacked)!r}, {os.fspath(repo / 'app')!r}\n"
    repo.write("boot.py", text + SAVE)
    repo.write(".gitignore", "*\n")
    sh("python boot.py")
    row = facts(repo, "app")
    assert row["main"]["kind"] == "frozen"
    assert (repo / "results/app/app").read_text() == "an executable"
    assert not [file for part in row["repositories"] for file in part["files"] if file["path"].startswith("unpacked")]
    (repo / "app").unlink()
    assert f"&& {repo.path}/again/app-restored/app " in sh("footsteps restore app")
    assert (repo / "again/app-restored/app").read_text() == "an executable"


ARCHIVED = "import footsteps\nopen(footsteps.output_dir + 'o.txt', 'w').write('1')\n"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["app.pyz", "../app.pyz"])
def test_a_program_that_git_does_not_know_comes_back_from_its_copy(repo, sh, place):
    """A zipapp that is ignored, or lies beside the project, is laid where the command of a rerun looks for it."""
    repo.write(".gitignore", "*.pyz\nresults/\nboot/\nagain/\n")
    repo.commit()
    repo.write("boot/__main__.py", ARCHIVED)
    sh(f"python -m zipapp boot -o {place} && rm -r boot && python {place} --lr 1 && rm {place}")
    assert "footsteps: the same" in sh("footsteps rerun --yes app")
    (repo / "results/app/app.pyz").unlink()
    told = sh("footsteps restore app", status=1)
    assert "exactly" not in told
    assert "it is the program, git does not know it, and no copy of it is here" in told


def test_an_archive_outside_git_is_code_enough(repo, sh):
    """All code that such a run has lies in the archive, of which a copy is kept."""
    repo.write("boot/__main__.py", ARCHIVED)
    folder = repo.path.parent / "plain"
    folder.mkdir()
    sh(f"python -m zipapp boot -o {folder}/app.pyz && cd {folder} && python app.pyz && rm app.pyz")
    assert "footsteps: the same" in sh(f"cd {folder} && footsteps rerun --yes app")


@pytest.mark.launcher
def test_a_real_pex_is_its_archive(repo, sh):
    """It is the command, is kept, gives the name, and what it has unpacked is no code."""
    pex = pytest.importorskip("pex")
    repo.write(".gitignore", "*.pex\nresults/\n.pex/\n")
    repo.commit()
    build = "python -m pex -D . --exe train.py --inherit-path=fallback --pex-root=.pex --runtime-pex-root=.pex"
    paths = os.pathsep.join([HERE, os.path.dirname(os.path.dirname(pex.__file__))])
    sh(f"{build} --python={sys.executable} -o app.pex && ./app.pex --lr 1", env={"PYTHONPATH": paths})
    row = facts(repo, "app")
    assert (row["main"]["kind"], row["main"]["path"]) == ("zipapp", os.fspath(repo / "app.pex"))
    assert row["command"] == f"{repo / 'app.pex'} --lr 1"
    assert (repo / "results/app/app.pex").exists()
    assert roots(row) == {os.fspath(repo)}
    assert not [file for part in row["repositories"] for file in part["files"]]
    sh("python train.py", env={"PEX": os.fspath(repo / "app.pex")})  # a program that it starts is no archive
    assert facts(repo, "train")["main"]["kind"] == "script"


@pytest.mark.launcher
@pytest.mark.slow
def test_a_program_that_pyinstaller_froze_is_its_executable(repo, sh):
    """In one file, with footsteps inside."""
    pytest.importorskip("PyInstaller")
    repo.write(".gitignore", "results/\nbuild/\ndist/\n*.spec\n")
    repo.commit()
    sh(f"python -m PyInstaller -F --log-level ERROR --paths {HERE} --collect-all footsteps train.py", timeout=300)
    assert "dist/train is not copied: it is larger than" in sh("dist/train --lr 1")
    row = facts(repo, "train")
    assert (row["main"]["kind"], row["main"]["path"]) == ("frozen", os.fspath(repo / "dist/train"))
    assert row["command"] == "dist/train --lr 1"
    assert roots(row) == {os.fspath(repo)}
    assert not [file for part in row["repositories"] for file in part["files"]]
    sh("rm -r dist")
    assert "no copy of it is here" in sh("footsteps restore train", status=1)  # it is too large for one


def test_an_archive_that_unpacks_itself_is_the_program(repo, sh):
    """pex does as this: what it has unpacked is no code, and the archive is kept."""
    unpacked = repo.path.parent / "cache/unpacked"
    unpacked.mkdir(parents=True)
    main = "import library, os, sys\nsys.argv[0] = os.environ['again']\n"
    (unpacked / "__main__.py").write_text(main + SAVE)
    (unpacked / "library.py").write_text("x = 1\n")
    text = f"import os, runpy, sys\nsys.path.insert(0, {os.fspath(unpacked)!r})\n"
    text += "if 'again' not in os.environ:\n    os.environ['again'] = sys.argv[0]\n"
    text += f"    os.execv(sys.executable, [sys.executable, {os.fspath(unpacked)!r}, *sys.argv[1:]])\n"
    repo.write("boot/__main__.py", text)
    sh("python -m zipapp boot -o app && rm -r boot && python app --lr 1")
    row = facts(repo, "app")
    assert row["main"] == {"kind": "zipapp", "path": os.fspath(repo / "app"), "module": None}
    assert (repo / "results/app/app").read_bytes() == (repo / "app").read_bytes()
    assert not [part for part in row["repositories"] if part["path"].startswith(os.fspath(unpacked.parent))]


# --- as it was started ---


def test_command_and_directory_are_those_of_the_start(repo, sh):
    """A program that changes both before it asks for its directory; from there `cd` and the command repeat it."""
    scratch = repo.path.parent / "scratch"
    scratch.mkdir()
    repo.write("train.py", "import footsteps, os, sys\nos.chdir(sys.argv.pop())\nfootsteps.output_dir\n")
    out = sh(f"python train.py {scratch}")
    row = json.loads((scratch / "results/train/.footsteps/run.json").read_text())
    assert (row["cwd"], row["command"]) == (os.fspath(repo), f"train.py {scratch}")
    assert roots(row) == {os.fspath(repo)}
    assert f"Saving results to {scratch}/results/train/\n" in out
    (repo / "sub").mkdir()
    assert "Saving results to sub/results/train/\n" in sh("python train.py sub")


# --- what it parsed ---

PARSERS = {
    "argparse": """
        import argparse
        p = argparse.ArgumentParser()
        p.add_argument("--lr", type=float, default=0.1); p.add_argument("--verbose", action="store_true")
        p.add_argument("data")
        p.parse_args()
    """,
    "jsonargparse": """
        from jsonargparse import ArgumentParser
        p = ArgumentParser()
        p.add_argument("--lr", type=float, default=0.1); p.add_argument("--verbose", action="store_true")
        p.add_argument("data")
        p.parse_args()
    """,
    "click": """
        import click
        @click.command()
        @click.option("--lr", default=0.1)
        @click.option("--verbose", is_flag=True)
        @click.argument("data")
        def main(lr, verbose, data): pass
        main(standalone_mode=False)
    """,
    "typer": """
        import typer
        def main(data: str, lr: float = 0.1, verbose: bool = False): pass
        typer.Typer().command()(main)
        app = typer.Typer(); app.command()(main); app(standalone_mode=False)
    """,
    "absl": """
        from absl import flags
        flags.DEFINE_float("lr", 0.1, ""); flags.DEFINE_bool("verbose", False, "")
        flags.FLAGS(sys.argv)
    """,
    "fire": """
        import fire
        def main(data, lr=0.1, verbose=False): pass
        fire.Fire(main)
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("library", PARSERS)
def test_arguments_are_what_the_program_parsed(repo, sh, library, when):
    """Defaults too, and a flag takes no positional away; whether footsteps is imported before the parser or after."""
    from textwrap import dedent

    pytest.importorskip(library)
    first = {"before": "import footsteps, sys", "after": f"import {library}, sys, footsteps"}[when]
    repo.write("train.py", f"{first}\n{dedent(PARSERS[library])}\nfootsteps.initialize('r')\n")
    repo.write("d.csv", "1")
    sh("python train.py d.csv --verbose" if library in ("fire", "absl") else "python train.py --verbose d.csv")
    found = facts(repo, "r")["arguments"]
    assert {name: found[name] for name in ("lr", "verbose")} == {"lr": 0.1, "verbose": True}
    assert library == "absl" or found["data"] == "d.csv"
    assert "r\t" in sh("footsteps search lr:0.1 verbose:true")


def test_what_is_parsed_once_the_run_has_begun_is_found_too(repo, sh):
    """And the function that a subcommand stands for has no address in it, which would be another one each time."""
    text = """
import footsteps, argparse
footsteps.initialize("r")
p = argparse.ArgumentParser(); p.add_argument("--lr", default=0.1)
s = p.add_subparsers().add_parser("fit"); s.add_argument("--epochs", default=5); s.set_defaults(run=lambda: None)
p.parse_args()
"""
    repo.write("train.py", text)
    sh("python train.py fit")
    assert "r\t" in sh("footsteps search lr:0.1 epochs:5")
    assert "0x" not in (repo / "results/r/.footsteps/recorded.jsonl").read_text()


def test_a_parser_of_the_programs_own_words_is_not_heard(repo, sh):
    """What a library or a test parses is not what this program was given; secrets stay out."""
    text = """
import footsteps, argparse
p = argparse.ArgumentParser(); p.add_argument("--lr", default=0.1); p.add_argument("--api-token")
p.parse_args(["--lr", "7"])
p.parse_known_args()
footsteps.initialize("r")
"""
    repo.write("train.py", text)
    sh("python train.py --api-token hunter2")
    assert facts(repo, "r")["arguments"] == {"lr": 0.1, "api_token": "***"}
    assert "hunter2" not in (repo / "results/r/info.txt").read_text()


def test_nothing_is_imported_to_hear_it(run_script):
    """The program that parses nothing pays nothing."""
    code = f"import sys; sys.path.append({HERE!r}); import footsteps; print('argparse' in sys.modules)"
    assert run_script(f"{code}\n", options=("-I", "-S")).stdout == "False\n"


def test_words_that_nobody_parses_are_guessed_and_none_is_lost(repo, sh):
    """A file behind an option may be the program's own argument: the option may be a flag."""
    repo.write("d.csv", "1")
    sh("python train.py --lr 0.5 --verbose d.csv")
    assert facts(repo, "train")["parsed_argv"] == {"lr": 0.5, "verbose": "d.csv", "_": ["d.csv"]}


# --- standard input ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "loop",
    [
        "while read lr; do python train.py $lr; done < lrs.txt",
        "cat lrs.txt | while read lr; do python train.py $lr; done",
        "exec < lrs.txt; while read lr; do python train.py $lr; done",
        "bash loop.sh < lrs.txt",
        "cat lrs.txt | sh loop.sh",
    ],
)
def test_a_loop_over_lines_keeps_them(repo, sh, loop):
    """As many runs as lines, each with its own."""
    repo.write("lrs.txt", "0.1\n0.2\n0.3\n")
    repo.write("loop.sh", "while read lr; do python train.py $lr; done\n")
    sh(loop)
    assert sorted(said(repo).values()) == ["['0.1']", "['0.2']", "['0.3']"]


def test_a_shell_that_reads_its_commands_keeps_them(repo, sh):
    """A %%bash cell, ssh host bash -s, curl | sh."""
    assert "after" in sh("bash", input="python train.py\necho after\n")
    assert list(said(repo)) == ["train"]


@pytest.mark.parametrize("way", ["echo piped | python train.py", "python train.py <<< piped", "python train.py < name"])
def test_a_name_that_is_piped_is_taken_and_said(repo, sh, way):
    """One line, on stderr."""
    repo.write("name", "piped\n")
    assert "footsteps: the run's name was read from standard input: 'piped'\n" in sh(way)
    assert list(said(repo)) == ["piped"]


def test_nobody_is_asked_in_a_terminal_that_nobody_sees(repo, sh, terminal):
    """`!python train.py` in a notebook runs in a terminal that the kernel has made."""
    child = terminal([sys.executable, "train.py"], cwd=repo, env={**package_environment(), "JPY_PARENT_PID": "1"})
    child.expect_exact("taking 'train' (set FOOTSTEPS_NAME=<name>")
    child.expect_exact("Saving results to results/train/")


@pytest.fixture
def shell(repo, sh, terminal):
    """An interactive bash in the project, at its prompt."""
    settings = {**package_environment(), "PS1": "ready> ", "PROMPT_TOOLKIT_NO_CPR": ""}
    child = terminal(["bash", "--norc", "--noprofile", "-i"], cwd=repo, env=settings)
    child.expect_exact("ready> ")
    return child


def test_a_job_in_the_background_is_not_asked(shell):
    """It would be stopped."""
    shell.sendline(f"{sys.executable} train.py & wait")
    shell.expect_exact("taking 'train' (set FOOTSTEPS_NAME=<name>")
    shell.expect_exact("Saving results to results/train/")


@pytest.mark.slow
def test_ctrl_z_suspends_and_fg_goes_on(shell):
    """As in every other program."""
    shell.sendline(f"{sys.executable} train.py")
    shell.expect_exact("Input name of experiment:")
    shell.send("\x1a")
    shell.expect_exact("Stopped")
    shell.expect_exact("ready> ")
    shell.sendline("fg")
    shell.expect_exact("train.py")
    shell.expect_exact("Input name of experiment:")
    shell.send("unet\r")
    shell.expect_exact("Saving results to results/unet/")


@pytest.mark.slow
def test_a_terminal_that_tells_no_cursor_position_gets_no_warning(shell):
    """prompt_toolkit waits for it two seconds."""
    import pexpect

    shell.sendline(f"{sys.executable} train.py")
    shell.expect_exact("Input name of experiment:")
    assert shell.expect_exact(["WARNING", pexpect.TIMEOUT], timeout=4) == 1
    shell.send("unet\r")
    shell.expect_exact("Saving results to results/unet/")


@pytest.mark.parametrize("call", ["footsteps.output_dir", "footsteps.initialize('r')"])
def test_completing_the_programs_options_makes_no_run(repo, sh, call):
    """argcomplete runs the program for it."""
    repo.write("train.py", f"import footsteps\n{call}\n")
    sh("python train.py", env={"_ARGCOMPLETE": "1", "COMP_LINE": "train.py ", "COMP_POINT": "9"})
    assert not (repo / "results").exists()


# --- kernels ---


def notebook(repo, name, *cells):
    """Write a notebook."""
    nbformat = pytest.importorskip("nbformat")
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    written.cells[0].metadata["tags"] = ["parameters"]
    written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(written, repo / name)


EXECUTE = "python -m nbconvert --to notebook --execute --output out.ipynb "


@pytest.mark.kernel
def test_a_notebook_that_is_executed_is_the_program(repo, sh):
    """Its path and name, and a sentence instead of a kernel's command."""
    pytest.importorskip("nbconvert")
    notebook(repo, "explore.ipynb", "lr = 0.1", SAVE)
    sh(EXECUTE + "explore.ipynb")
    row = facts(repo, "explore")
    assert row["main"]["path"] == row["command"] == os.fspath(repo / "explore.ipynb")
    assert "can't be rerun by itself: jupyter nbconvert --to notebook --execute explore.ipynb" in sh(
        "footsteps rerun --yes explore", status=2
    )


KERNEL = """
import json, os, sys
from jupyter_client import KernelManager

manager = KernelManager()
manager.kernel_spec.argv = [sys.executable, "-m", *sys.argv[1].split(), "-f", "{connection_file}"]
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(60)
for cell in sys.argv[2:]:
    said = client.execute_interactive(cell, timeout=60, allow_stdin=False)["content"]
    assert said["status"] == "ok", said
client.stop_channels()
manager.shutdown_kernel()
"""


@pytest.mark.kernel
def test_a_notebook_of_a_server_is_known_by_its_session(repo, sh):
    """A Jupyter server starts the kernel in the notebook's folder and tells it the notebook's path."""
    pytest.importorskip("ipykernel")
    repo.write("kernel.py", KERNEL)
    path = os.fspath(repo / "explore.ipynb")
    notebook(repo, "explore.ipynb", SAVE)
    sh("python kernel.py ipykernel_launcher 'import footsteps; footsteps.output_dir'", env={"JPY_SESSION_NAME": path})
    row = facts(repo, "explore")
    assert (row["main"]["kind"], row["main"]["path"], row["command"]) == ("notebook", path, path)


@pytest.mark.kernel
def test_a_notebook_of_vs_code_is_known_by_the_name_in_its_kernel(repo, sh):
    """VS Code puts the notebook's path into the names of the cells."""
    pytest.importorskip("ipykernel")
    repo.write("kernel.py", KERNEL)
    path = os.fspath(repo / "explore.ipynb")
    notebook(repo, "explore.ipynb", SAVE)
    cell = f"__vsc_ipynb_file__ = {path!r}"
    sh(f'python kernel.py ipykernel_launcher "{cell}" "import footsteps; footsteps.output_dir"')
    row = facts(repo, "explore")
    assert (row["main"]["kind"], row["main"]["path"], row["command"]) == ("notebook", path, path)


@pytest.mark.kernel
def test_what_spyders_runfile_runs_is_the_program(repo, sh):
    """Each time a run of its own, of the script with its copy and arguments, not of a notebook."""
    pytest.importorskip("spyder_kernels")
    repo.write("kernel.py", KERNEL)
    cells = f"'%runfile {repo / 'train.py'}' '%runfile {repo / 'train.py'} --args \"--lr 2\"'"
    sh(f"python kernel.py spyder_kernels.console {cells}")
    assert said(repo) == {"train": "[]", "train-1": "['--lr', '2']"}
    row = facts(repo, "train-1")
    assert (row["main"]["kind"], row["main"]["path"]) == ("script", os.fspath(repo / "train.py"))
    assert (repo / "results/train-1/train.py").exists()
    assert row["command"].endswith("train.py --lr 2")


@pytest.mark.kernel
def test_papermills_parameters_are_arguments(repo, sh):
    """Of the notebook that it was given."""
    pytest.importorskip("papermill")
    notebook(repo, "explore.ipynb", "lr = 0.1", SAVE)
    sh("python -m papermill explore.ipynb out.ipynb -p lr 0.7 -p opt adam")
    assert facts(repo, "explore")["parsed_argv"] == {"lr": 0.7, "opt": "adam"}
    assert "explore\t" in sh("footsteps search lr:0.7")


@pytest.mark.kernel
def test_a_notebook_that_papermill_executes_in_another_folder_is_the_program(repo, sh):
    """Its path is seen from where papermill was started, which has left that folder for the one of --cwd."""
    pytest.importorskip("papermill")
    repo.write("elsewhere/data.csv", "1")
    notebook(repo, "explore.ipynb", "lr = 0.1", SAVE)
    sh("python -m papermill explore.ipynb out.ipynb --cwd elsewhere")
    assert facts(repo / "elsewhere", "explore")["main"]["path"] == os.fspath(repo / "explore.ipynb")


@pytest.mark.kernel
@pytest.mark.parametrize("cell", ["%run train.py --lr 1", "!python train.py --lr 1", "%%bash\npython train.py --lr 1"])
def test_a_script_that_a_cell_runs_is_the_program(repo, sh, cell):
    """Its name, its copy, a command that starts it again; nobody is waited for."""
    pytest.importorskip("nbconvert")
    notebook(repo, "explore.ipynb", cell)
    sh(EXECUTE + "explore.ipynb", timeout=120)
    row = facts(repo, "train")
    assert row["main"]["path"] == os.fspath(repo / "train.py")
    assert row["command"] == "train.py --lr 1"
    assert (repo / "results/train/train.py").exists()
    assert f"{os.path.basename(sys.executable)} train.py --lr 1\n" in sh("footsteps rerun train", status=2)
