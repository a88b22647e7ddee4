"""The Python and the installers that a run's environment is made with; whole ones are made in test_rerun."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from footsteps.reader.runs import Run
from footsteps.reproduce import environment


def test_a_python_of_pyenv_is_found_though_it_is_on_no_path(tmp_path, monkeypatch):
    """The very version before one that is as near; its shim on the path answers only where it was switched on."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    for version in ("3.99.1", "3.99.12", "3.99.2"):
        python = tmp_path / "pyenv/versions" / version / "bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
    assert environment.best_python("3.99.2") == str(tmp_path / "pyenv/versions/3.99.2/bin/python")
    assert environment.best_python("3.99.4").startswith(str(tmp_path / "pyenv/versions/3.99."))


def test_a_package_is_known_by_any_spelling_of_its_name():
    """As uv writes it, who has one spelling for all; but no other version, and no longer name."""
    said = "Because foo-bar-baz was not found and you require foo-bar-baz==1.0, we can conclude"
    assert environment.names(said, "Foo_Bar.Baz==1.0")
    assert not any(environment.names(said, other) for other in ("bar.baz==1.0", "foo-bar-baz==1", "foo-bar-baz==1.0.1"))


PLANTED = """\
import os
with open(os.environ["PLANTED"], "a") as file:
    file.write(__file__ + "\\n")
"""


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """The working directory, with modules that note that they were run, and settings of uv; the note's path."""
    folder = tmp_path / "a stranger's"
    (folder / "pip").mkdir(parents=True)
    for name in ("csv.py", "email.py", "zipfile.py", "platform.py", "sysconfig.py", "venv.py", "pip/__main__.py"):
        (folder / name).write_text(PLANTED)
    (folder / "pip/__init__.py").write_text(PLANTED)
    (folder / "uv.toml").write_text('[[index]]\nurl = "https://index.invalid/simple"\ndefault = true\n')
    monkeypatch.setenv("PLANTED", str(tmp_path / "planted"))
    monkeypatch.chdir(folder)
    return tmp_path / "planted"


@pytest.mark.parametrize("words", [["-m", "pip", "--version"], ["-c", "import csv, email"]], ids=" ".join)
def test_a_module_planted_where_we_are_would_run(hostile_folder, words):
    """Without this the tests below would hold whatever is done."""
    subprocess.run([sys.executable, *words], capture_output=True)
    assert hostile_folder.exists()


def test_what_an_interpreter_is_asked_runs_nothing_of_the_working_directory(hostile_folder):
    """Its version, those of its packages, and where footsteps would be put."""
    python = os.path.realpath(sys.executable)  # of which ours is a virtual environment: another one
    assert environment.version_of(python) == ".".join(map(str, sys.version_info[:3]))
    assert environment.versions_in(python, ["no such package"]) == {"no such package": ""}
    assert environment.ran([python, "-I", "-c", environment.SITE])[0] == 0
    assert not hostile_folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("uv", ["", "uv"], ids=["pip", "uv"])
def test_what_makes_an_environment_runs_and_reads_nothing_of_the_working_directory(hostile_folder, uv):
    """Each command that is given to pip, venv and uv is isolated, and started in an empty folder."""
    made = environment.Environment.__new__(environment.Environment)
    made.uv, made.base, made.path, made.python = uv, sys.executable, "/x/e", "/x/e/bin/python"
    made.requirements = ["numpy==1.0"]
    for words in [*made.commands(), environment.dry_run(made, "list.txt", "/x")]:
        assert "--no-config" in words if uv else words[1] == "-I"
    status, seen = environment.ran([sys.executable, "-c", "import os; print(os.getcwd(), os.listdir())"])
    assert status == 0
    assert seen.split()[-1] == "[]"
    environment.ran([sys.executable, "-I", "-m", "pip", "--version"])
    assert not hostile_folder.exists()


def test_a_helper_that_does_not_answer_is_not_waited_for():
    """An interpreter of a stranger's may sleep for ever."""
    status, said = environment.ran([sys.executable, "-c", "import time; time.sleep(600)"], timeout=0.5)
    assert status
    assert "did not answer" in said


def test_the_command_runs_nothing_of_the_working_directory(hostile_folder):
    """`python -m footsteps` has it first on sys.path, until we take it away."""
    done = subprocess.run([sys.executable, "-m", "footsteps", "list", "--json"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert not hostile_folder.exists()


def local_wheel(folder, name, version, code):
    """A wheel of one module."""
    import zipfile

    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


@pytest.mark.slow
def test_uv_looks_where_pip_is_told_to_look(tmp_path, monkeypatch):
    """Else what pip has from an index of its own, as torch's builds are, would be called not to be had."""
    if not shutil.which("uv"):
        pytest.skip("needs uv")
    local_wheel(tmp_path / "wheels", "own", "1.0+cpu", "")
    local_wheel(tmp_path / "more", "other", "1.0", "")
    for name, value in {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/wheels {tmp_path}/more")
    environment.indexes_of_pip.cache_clear()
    run = Run(str(tmp_path / "run"), "", "run")
    run.__dict__["facts"] = {"packages": [{"name": "own", "version": "1.0+cpu"}, {"name": "other", "version": "1.0"}]}
    made = environment.Environment(run, str(tmp_path / "again"), {})
    environment.indexes_of_pip.cache_clear()
    assert (made.requirements, made.missing) == (["own==1.0+cpu", "other==1.0"], [])


@pytest.mark.slow
def test_a_local_version_is_asked_for_exactly_first(tmp_path, monkeypatch):
    """Else the public one, if it can be imported; footsteps is there with its metadata."""
    wheels = tmp_path / "wheels"
    for name, version, code in (
        ("exact", "1.0+cpu", ""), ("exact", "1.0", ""), ("public", "1.0", ""), ("broken", "1.0", "import nvidia_none"),
    ):  # fmt: skip
        local_wheel(wheels, name, version, code)
    for name, value in {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    run = Run(str(tmp_path / "run"), "", "run")
    packages = [{"name": name, "version": "1.0+cpu"} for name in ("exact", "public", "broken", "none")]
    run.__dict__["facts"] = {"packages": packages, "python": {}}
    made = environment.Environment(run, str(tmp_path / "again"), {})
    assert made.requirements == ["exact==1.0+cpu", "public==1.0", "broken==1.0", "none==1.0+cpu"]
    assert made.missing == [
        "public 1.0+cpu: 1.0 of the index takes its place",
        "broken 1.0+cpu: 1.0 of the index takes its place",
        "none==1.0+cpu: the index offers no wheel of it for this Python",
    ]
    made.make(lambda _: None)
    names = ["exact", "public", "broken", "footsteps"]
    from footsteps.recorder.format import VERSION

    assert environment.versions_in(made.python, names) == dict(zip(names, ["1.0+cpu", "1.0", "", VERSION], strict=True))
    assert any(sentence.startswith("broken: the public version can't be imported") for sentence in made.missing)
