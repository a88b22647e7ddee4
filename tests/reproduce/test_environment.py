"""The Python and the installers that a run's environment is made with; whole ones are made in test_rerun."""

from __future__ import annotations

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


def test_a_local_version_is_asked_for_exactly_first(tmp_path, monkeypatch):
    """Else the public one, if it can be imported; footsteps is there with its metadata."""
    from footsteps.reader.runs import Run
    from footsteps.reproduce import environment

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
