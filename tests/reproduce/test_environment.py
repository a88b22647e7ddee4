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
