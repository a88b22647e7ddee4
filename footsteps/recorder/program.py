"""Which program is this, and what would it be called."""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import as_name, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def script_folder() -> str | None:
    """Where the script is, None without one."""
    path = main_program()["path"]
    return os.path.dirname(os.path.realpath(path)) if path else None


def main_program() -> dict[str, Any]:
    """What runs: {kind, path, module}."""
    main = sys.modules.get("__main__")
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if in_notebook():
        return {"kind": "notebook", "path": notebook_path(), "module": None}
    file = None if file == "<stdin>" else file
    if spec is not None and file and spec.name != "__main__" and not hasattr(sys, "frozen"):
        return {"kind": "module", "path": os.path.abspath(file), "module": spec.name}
    if spec is not None and os.path.exists(sys.argv[0]):  # a folder or zip with a __main__.py
        return {"kind": "zipapp", "path": os.path.abspath(sys.argv[0]), "module": None}
    if file:
        return {"kind": "script", "path": os.path.abspath(file), "module": None}
    if sys.argv and os.path.isfile(sys.argv[0]):  # a multiprocessing child that still imports the script
        return {"kind": "script", "path": os.path.abspath(sys.argv[0]), "module": None}
    if sys.argv[:1] == ["-c"]:
        return {"kind": "command", "path": None, "module": None}
    if hasattr(sys, "ps1") or sys.flags.interactive or "IPython" in sys.modules:
        return {"kind": "interactive", "path": None, "module": None}
    return {"kind": "stdin", "path": None, "module": None}


def notebook_path() -> str | None:
    """Where the front end tells it: VS Code in the shell's namespace, Jupyter in the environment."""
    said = os.environ.get("JPY_SESSION_NAME") or getattr(sys.modules.get("__main__"), "__vsc_ipynb_file__", None)
    return os.path.abspath(said) if isinstance(said, str) and said.endswith(".ipynb") else None


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs us."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


def show_link(run: Any) -> None:
    """Below the announcement in a notebook, a link to the run's directory; elsewhere nothing."""
    if not in_notebook():
        return
    from html import escape
    from urllib.parse import quote

    notebook = notebook_path()
    here = os.path.dirname(notebook) if notebook else os.getcwd()
    parts = os.path.relpath(run.directory, here).split(os.sep)
    address = "/".join(quote(os.fsencode(part), safe="") for part in parts)
    link = f'<a href="{escape("./" + address)}/">{escape(printable(run.shown))}</a>'
    ipython: Any = sys.modules["IPython"]
    ipython.get_ipython().display_pub.publish({"text/html": link, "text/plain": printable(run.shown)})


def program_name() -> str:
    """A name for the run from what is running: stem of the script, last part of the module."""
    main = main_program()
    kind, path = main["kind"], main["path"] or ""
    if kind == "module":
        parts = [part for part in (main["module"] or "").split(".") if part != "__main__"]
        return as_name(parts[-1] if parts else "run")
    if kind in ("script", "zipapp", "notebook") and path:
        stem = os.path.splitext(os.path.basename(os.path.normpath(path)))[0]
        return as_name(os.path.basename(os.path.dirname(path)) if stem == "__main__" else stem)
    return str(kind)
