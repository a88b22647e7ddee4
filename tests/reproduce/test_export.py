"""One file for a stranger: all that it takes to repeat a chain, nothing that was left out, the same bytes each time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from made_runs import make_run
from pipelines import run_pipeline, write_project

from footsteps.reader import runs
from footsteps.recorder.format import FootstepsError
from footsteps.reproduce import chain, export


@pytest.fixture
def project(repo):
    """A project with three pipelines, whose data are ignored by git."""
    write_project(repo)
    return repo


def command(where, *words, env=None):
    """A finished footsteps command."""
    asked = [sys.executable, "-m", "footsteps", *map(os.fspath, words)]
    surroundings = {**os.environ, **(env or {})}
    return subprocess.run(
        asked, cwd=where, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
    )


def facts_of(path):
    """What an archive says of itself."""
    with zipfile.ZipFile(path) as opened:
        return json.loads(opened.read("footsteps.json"))


@pytest.mark.slow
def test_a_stranger_repeats_a_chain_from_the_file_alone(project, run_script, tmp_path):
    """The project, its runs and its data are gone; the archive is all there is."""
    figure = run_pipeline(project, run_script, "figure")
    expected = figure.read_bytes()
    away = tmp_path / "away"
    away.mkdir()
    done = command(project.path, "export", figure, "-o", away / "study.zip")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{away}/study.zip\n", "")
    shutil.rmtree(project.path)
    assert command(away, "show", "study.zip").stdout.startswith("run\tfigure\n")
    again = command(away, "rerun", "--chain", "study.zip", "again", "--yes", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert [(row["run"], row["verdict"]) for row in told["stages"]] == [
        ("train", "same"), ("evaluate", "same"), ("figure", "same"),
    ]  # fmt: skip
    assert (Path(told["stages"][-1]["rerun"]) / "fig3.svg").read_bytes() == expected


@pytest.mark.slow
def test_the_last_run_alone_is_repeated_with_the_files_of_the_others(project, run_script, tmp_path):
    """What it read comes out of the archive."""
    figure = run_pipeline(project, run_script, "figure")
    assert command(project.path, "export", figure, "-o", tmp_path / "study.zip").returncode == 0
    shutil.rmtree(project.path)
    done = command(tmp_path, "rerun", "study.zip", "again", "--yes")
    assert done.returncode == 0, done.stderr
    restored = command(tmp_path, "restore", "study.zip/train", "code")
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "code/train.py").exists()
    assert sorted(path.name for path in tmp_path.glob(".foot*")) == []


@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(project, run_script, tmp_path, monkeypatch):
    """At another time, from another directory, after git has packed its objects anew."""
    figure = run_pipeline(project, run_script, "table")
    found = chain.of_file(str(figure), [str(project / "results")])
    one = export.export(found, str(tmp_path / "one.zip"))
    project("gc", "--quiet", "--prune=now")
    monkeypatch.chdir(project.path)
    again = chain.of_file("paper/" + figure.name, ["results"])
    two = export.export(again, str(tmp_path / "two.zip"))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert one.runs == two.runs == ["preprocess", "slow", "fast", "table"]


@pytest.mark.slow
def test_it_holds_the_source_as_plain_files_and_works_without_footsteps(project, run_script, tmp_path):
    """Unzipped, with the files put where they were read, the last command runs."""
    figure = run_pipeline(project, run_script, "fit")
    assert command(project.path, "export", figure, "-o", tmp_path / "study.zip").returncode == 0
    shutil.rmtree(project.path)
    shutil.unpack_archive(tmp_path / "study.zip", tmp_path / "there")
    there, facts = tmp_path / "there", facts_of(tmp_path / "study.zip")
    last = facts["runs"][-1]
    code = there / last["code"]
    for read in last["reads"]:
        target = code / os.path.relpath(read["path"], project.path)
        target.parent.mkdir(parents=True)
        shutil.copy(there / read["file"], target)
    done = run_script(code / "fit.py", "results/generate/samples.csv", cwd=code, env={"FOOTSTEPS_NAME": "mine"})
    assert done.returncode == 0, done.stderr
    assert (code / "results/mine/slope.txt").read_text() == (there / "runs/fit/slope.txt").read_text()
    assert (there / "requirements/fit.txt").read_text().startswith("# Python 3.")
    assert len((there / "README.md").read_text().splitlines()) <= 14
    assert "python fit.py results/generate/samples.csv" in (there / "README.md").read_text()


@pytest.mark.slow
def test_the_chain_can_be_left_out(project, run_script, tmp_path):
    """What others made is an input then."""
    figure = run_pipeline(project, run_script, "figure")
    done = command(project.path, "export", figure, "-o", tmp_path / "one.zip", "--no-chain")
    assert done.returncode == 0, done.stderr
    facts = facts_of(tmp_path / "one.zip")
    assert [run["name"] for run in facts["runs"]] == ["figure"]
    assert [read["file"].startswith("inputs/") for read in facts["runs"][0]["reads"]] == [True]


@pytest.mark.slow
def test_large_inputs_come_along_only_if_they_are_asked_for(project, run_script, tmp_path):
    """Else they are listed as missing, with the option that takes them, and the exit status says so."""
    project.write("data/raw.csv", "1,2.1\n" * 200_000)
    run_pipeline(project, run_script, "figure")
    done = command(project.path, "export", "train", "-o", tmp_path / "small.zip")
    assert done.returncode == 1
    assert f"not in it: {project.path}/data/raw.csv: an input of 1200000 bytes (--inputs takes more)" in done.stderr
    missing = facts_of(tmp_path / "small.zip")["missing"]
    assert [row["path"] for row in missing] == [f"{project.path}/data/raw.csv"]
    done = command(project.path, "export", "train", "-o", tmp_path / "large.zip", "--inputs", "2M")
    assert done.returncode == 0, done.stderr
    assert command(project.path, "export", "train", "--inputs", "lots").returncode == 2


@pytest.mark.slow
def test_an_input_that_is_only_kept_beside_the_runs_comes_along(repo, run_script, tmp_path):
    """Its file is gone since; `trace` tells where it is, and a stranger has it."""
    data = tmp_path / "raw.csv"
    data.write_text("1,2\n")
    repo.write(".gitignore", "results/\n")
    repo.write(
        "sum.py", "import sys, footsteps\nopen(footsteps.output_dir + 'sum', 'w').write(open(sys.argv[1]).read())\n"
    )
    repo.commit("Sum")
    run_script("sum.py", data, cwd=repo.path, env={"FOOTSTEPS_NAME": "one"})
    data.unlink()
    assert "is kept beside the runs" in command(repo.path, "trace", "results/one/sum", "--tree").stdout
    done = command(repo.path, "export", "one", "-o", tmp_path / "study.zip")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(repo.path)
    done = command(tmp_path, "rerun", "study.zip", "again", "--yes")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="files with holes")
def test_a_file_of_holes_is_named_and_not_packed(tmp_path):
    """A stranger's record may hold 4 TB that take no room, and hours to pack."""
    run = make_run(tmp_path / "results/r")
    with open(run / "huge.bin", "wb") as file:
        file.truncate(1 << 42)
    made = export.export(chain.of_run(runs.load(run)), str(tmp_path / "study.zip"))
    assert any(row["path"] == "runs/r/huge.bin" and "holes" in row["reason"] for row in made.missing)


def test_nothing_that_was_left_out_or_looks_like_a_secret_gets_in(project, run_script, tmp_path):
    """Neither from the working tree, nor from the commit, nor from what the run made or read."""
    mark = str(123456789**5)  # no text of this file, which an archive holds where footsteps is installed from here
    project.write(".env", f"TOKEN=tracked-{mark}")
    project.commit("A mistake")
    project.write("id_rsa", f"untracked-{mark}")
    project.write("credentials.json", f"read-{mark}")
    project.write(
        "leak.py",
        "import footsteps, sys\nsecret = open('credentials.json').read()\n"
        "open(footsteps.output_dir + '.netrc', 'w').write(secret)\n",
    )
    words = [project / "leak.py", "--password", f"masked-{mark}"]
    done = run_script(*words, cwd=project.path, env={"FOOTSTEPS_NAME": "leak", "API_TOKEN": f"set-{mark}"})
    assert done.returncode == 0, done.stderr
    done = command(project.path, "export", "leak", "-o", tmp_path / "study.zip", "--inputs", "1G")
    assert done.returncode == 1
    with zipfile.ZipFile(tmp_path / "study.zip") as opened:
        assert [name for name in opened.namelist() if mark.encode() in opened.read(name)] == []
    told = {os.path.basename(row["path"].rpartition(": ")[2]) for row in facts_of(tmp_path / "study.zip")["missing"]}
    assert {"id_rsa", "credentials.json", ".netrc", ".env"} <= told


def test_what_can_not_be_kept_in_an_archive_is_listed(project, run_script, tmp_path):
    """Links, names that act on a terminal, files that are gone or changed."""
    project.write(
        "odd.py",
        "import os, footsteps\nout = footsteps.output_dir\n"
        "for name in ('gone', 'changed', 'esc\\x1b[31m'):\n    open(out + name, 'w').write('x')\n"
        "os.symlink('/etc/hostname', out + 'link')\n",
    )
    done = run_script(project / "odd.py", cwd=project.path, env={"FOOTSTEPS_NAME": "odd"})
    assert done.returncode == 0, done.stderr
    (project / "results/odd/gone").unlink()
    (project / "results/odd/changed").write_text("y")
    done = command(project.path, "export", "odd", "-o", tmp_path / "study.zip")
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    said = {row["path"]: row["reason"] for row in facts_of(tmp_path / "study.zip")["missing"]}
    assert said == {
        "runs/odd/gone": "the run made it, and it is not there any more",
        "runs/odd/changed": "it is not as the run left it: its hash is another one",
        "runs/odd/esc\x1b[31m": "its name holds characters that a terminal or a page would act on",
        "runs/odd/link": "a link to '/etc/hostname', which an archive does not hold",
    }


def test_the_page_holds_no_markup_of_a_record(project, run_script, tmp_path):
    """Names and values are text; pictures are relative."""
    project.write(
        "page.py",
        "import footsteps\nfootsteps.record(note='</script><img src=x onerror=alert(1)>')\n"
        "open(footsteps.output_dir + 'a\"><b>.svg', 'w').write('<svg/>')\n",
    )
    done = run_script(project / "page.py", "<i>&", cwd=project.path, env={"FOOTSTEPS_NAME": "page"})
    assert done.returncode == 0, done.stderr
    assert command(project.path, "export", "page", "-o", tmp_path / "study.zip").returncode == 0
    with zipfile.ZipFile(tmp_path / "study.zip") as opened:
        page = opened.read("index.html").decode()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert '<img src="runs/page/a%22%3E%3Cb%3E.svg"' in page
    assert "&lt;/script&gt;" in page


@pytest.mark.slow
def test_an_existing_file_is_never_overwritten_and_a_failure_leaves_nothing(project, run_script, tmp_path):
    """Whole or not at all."""
    figure = run_pipeline(project, run_script, "fit")
    (tmp_path / "there.zip").write_text("mine")
    done = command(project.path, "export", figure, "-o", tmp_path / "there.zip")
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "there.zip").read_text() == "mine"
    done = command(project.path, "export", figure, "-o", tmp_path / "no such folder/study.zip")
    assert done.returncode == 2
    with pytest.raises(FootstepsError, match="no run is known"):
        export.export(chain.of_file(str(project / "data/raw.csv"), ["results"]))
    found = chain.of_run(runs.load(project / "results/fit"), [str(project / "results")])

    def broken(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        export.write_whole(str(tmp_path / "half.zip"), broken)
    assert found.stages
    assert sorted(os.listdir(tmp_path)) == ["home", "project", "there.zip", "tmp"]


def test_code_that_can_not_be_had_is_listed_and_the_rest_comes_along(project, run_script, remote, tmp_path):
    """The clone and the remote are gone; the record did not keep what was pushed."""
    run_pipeline(project, run_script, "fit")
    shutil.move(project / "results", tmp_path / "kept")
    shutil.rmtree(project.path)
    shutil.rmtree(remote.path)
    done = command(tmp_path, "export", "generate", "-r", "kept", "-o", "study.zip")
    facts = facts_of(tmp_path / "study.zip")
    if done.returncode == 1:
        assert any("is not to be had" in row["reason"] for row in facts["missing"])
        assert facts["runs"][0]["code"] is None
        refused = command(tmp_path, "restore", "study.zip", "code")
        assert refused.returncode == 2
        assert "study.zip/runs/generate --from <a clone" in refused.stderr  # not what was unpacked, and is gone
        assert ".footsteps-archive" not in refused.stderr
    assert command(tmp_path, "show", "study.zip").returncode == 0
