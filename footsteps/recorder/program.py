"""Which program is this, and how is it started again.

The program is what the person started: a script, a module, a notebook, a console script. It is found among the frames
of the main thread (then of this one), and a tool that runs it is known by where its code lies, not by its name:

1. the code run as ``__main__`` that sys.argv[0] names (who runs a script for somebody sets both: python, pdb, %run);
2. else the outermost code run as ``__main__`` that is no library: neither of Python nor where packages are installed;
3. else, of a library's program (pytest, a console script, a runner's worker), the library's own name, and as its
   script the outermost code that is no library: what it was made to run. No repository is looked for around a library.

A function that came from another process, or a program that only its runner can start, says so (`not_repeatable`).
The command and the working directory are those at the import of footsteps, as long as the same program runs.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from footsteps.recorder import format as at_import
from footsteps.recorder.ending import execution, first_execution, main_thread
from footsteps.recorder.format import as_name, paths_in, printable, quote, start_of, text_of, working_directory
from footsteps.recorder.processes import is_started_anew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any


# --- what runs --------------------------------------------------------------------------------------------------------


def main_program() -> dict[str, Any]:
    """What runs: {kind, path, module}, and where they apply: distribution, words, not_repeatable.

    kind: script, module, notebook, zipapp, frozen, console (script of an installed package), worker (code that a
    runner was sent), command (-c), interactive, stdin.
    path: the script's file, or None; for a notebook the .ipynb.
    distribution: {name, version, ...} of the installed package whose program it is.
    words: what follows `python` in the command that starts it, where that is not sys.orig_argv.
    not_repeatable: why no command starts it again by itself.
    """
    if getattr(sys, "frozen", False):
        why = "it is a frozen program, which no Python runs; start its executable"
        return {"kind": "frozen", "path": _absolute(sys.executable), "module": None, "not_repeatable": why}
    frame = main_frame()
    if frame is not None:
        return _of_frame(frame)
    if in_notebook():
        return _notebook()
    return _of_library() or _of_main_module()


def main_frame() -> FrameType | None:
    """The frame of the program's module-level code, None if it runs no longer or is a library's or a notebook's."""
    modules = [frame for frame in _frames() if frame.f_code.co_name == "<module>"]
    own = [frame for frame in modules if _is_main(frame) and not is_library(_file_of(frame))]
    if len(own) < 2:
        return own[0] if own else None
    argv = getattr(sys, "argv", None) or [""]
    named = os.path.realpath(_absolute(str(argv[0]))) if argv[0] else ""
    return next((frame for frame in own if os.path.realpath(_file_of(frame)) == named), own[0])


def _is_main(frame: FrameType) -> bool:
    """Whether module-level code is a file's, run as ``__main__``; a notebook's cell is not."""
    return frame.f_globals.get("__name__") == "__main__" and bool(_file_of(frame)) and not _is_cell(frame)


def _is_cell(frame: FrameType) -> bool:
    """Whether IPython runs it as a cell: in the person's own names, from a file that is only there for debuggers."""
    here = shell()
    folder = os.path.dirname(frame.f_code.co_filename)
    return here is not None and frame.f_globals is here.user_ns and os.path.basename(folder).startswith("ipykernel_")


def _of_frame(frame: FrameType) -> dict[str, Any]:
    """The row of a program whose module-level code runs: as it was when this execution was first asked for."""
    if not _execution or _execution[0] is not frame.f_code:  # an equal one is another execution of the same file
        _execution[:] = frame.f_code, _row_of_frame(frame)
    return dict(_execution[1])


_execution: list[Any] = []  # the code object of the last one, and its row


def _row_of_frame(frame: FrameType) -> dict[str, Any]:
    spec, file, own = frame.f_globals.get("__spec__"), _file_of(frame), frame.f_globals.get("__file__")
    given, archive = _absolute(str((getattr(sys, "argv", None) or [""])[0])), archive_that_started_us()
    if archive is not None:
        return {"kind": "zipapp", "path": archive, "module": None, "words": [archive, *map(str, sys.argv[1:])]}
    if spec is not None and spec.name != "__main__":
        return {"kind": "module", "path": file, "module": spec.name}
    if given != file and file.startswith(os.path.join(given, "")):  # a folder with a __main__.py
        return {"kind": "zipapp", "path": given, "module": None}
    if not frame.f_code.co_filename.endswith(os.path.basename(file)):  # it lies in this archive
        return {"kind": "zipapp", "path": file, "module": None}
    if given != file and _is_archive(given):  # which has unpacked itself
        return {"kind": "zipapp", "path": given, "module": None}
    row: dict[str, Any] = {"kind": "script", "path": file, "module": None}
    if isinstance(own, str) and os.path.isfile(own) and os.path.realpath(own) != os.path.realpath(file):
        row["path"] = _absolute(own)  # a copy with a runner's lines before it, gone when it has run
        row["not_repeatable"] = "a runner started a copy of it, with what only the runner knows"
    elif shell() is not None and sys.argv and given == file:  # %run, runfile
        row["words"] = list(sys.argv)
    return row


def unpacked_folder() -> str | None:
    """Where a program that is one file has put its libraries, which are no code of this run's."""
    frame = main_frame()
    if frame is None or hasattr(sys, "_MEIPASS"):
        return getattr(sys, "_MEIPASS", None)
    argv, file = getattr(sys, "argv", None) or [""], _file_of(frame)
    if archive_that_started_us() is not None:  # the program's files are links into a store beside its folder
        return os.path.commonpath([sys.orig_argv[1], os.path.realpath(file)])
    given = _absolute(str(argv[0]))
    return os.path.dirname(file) if given != file and _is_archive(given) else None


def archive_that_started_us() -> str | None:
    """The archive that has unpacked itself into a folder and started Python again with that (pex); it says so."""
    folder, said = "".join(sys.orig_argv[1:2]), os.environ.get("PEX", "")
    if not os.path.isabs(said) or not os.path.isabs(folder) or not os.path.isfile(os.path.join(folder, "PEX-INFO")):
        return None  # the last: it was inherited by another program
    return said if _is_archive(said) else None


def _is_archive(path: str) -> bool:
    """Whether a file is a program with a zip archive behind it (pex, shiv, zipapp): by the record at its end."""
    try:
        with at_import.open(path, "rb") as file:
            file.seek(-min(65_557, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return b"PK\5\6" in file.read()
    except (OSError, ValueError):
        return False


def _of_library() -> dict[str, Any] | None:
    """The row of a program whose main code is a library's: its name, and the code it was made to run."""
    module, spec, file = _main_module()
    if not file or not is_library(file):
        return None
    frame = next((frame for frame in _frames() if _file_of(frame) and not is_library(_file_of(frame))), None)
    path = _file_of(frame) if frame is not None else None
    name = spec.name if spec is not None and spec.name != "__main__" else None
    row: dict[str, Any] = {"kind": "module" if name else "console", "path": path, "module": name}
    if is_of_standard_library(file) and name:
        return row
    distribution = _package_of(name or os.path.basename(_absolute(sys.argv[0])))
    if distribution is not None:
        row["distribution"] = distribution
    private = any(part.startswith("_") and part != "__main__" for part in (name or "").split("."))
    sent = frame is not None and frame.f_globals.get("__name__") == "__main__" and frame.f_globals is not vars(module)
    private = private or (vars(module).get("__name__") == "__main__" and is_started_anew())  # loky
    if private or sent or _sent_function() is not None or (not name and not _is_command(file)):
        row.update({"path": path, **_row_of_sent(_submitter())})
    return row


def _row_of_sent(script: str | None) -> dict[str, Any]:
    """What a worker that was sent its code says of it; script: which has sent it, as far as that is known."""
    row = {"kind": "worker", "not_repeatable": f"{SENT}, {script}" if script else SENT}
    return {**row, "path": script} if script else row


SENT = "it ran in a worker, which was sent it; what starts that is the script that submitted it"


def _sent_function() -> FrameType | None:
    """The outermost frame of a function that the main module of another process has sent (submitit, Ray: cloudpickle).

    Its code is in no file, but the names of its module come with it.
    """
    own = vars(_main_module()[0] or sys)
    named = (frame for frame in _frames() if frame.f_globals.get("__name__") == "__main__")
    found = next((frame for frame in named if frame.f_globals is not own), None)
    return found if found is not None and found.f_code.co_name != "<module>" else None  # an example of a doctest is one


def sent_arguments() -> dict[str, Any] | None:
    """What the function that a worker was sent was called with, by the names of its parameters; None of others.

    Only values that read the same in another process: no objects, whose repr has an address.
    """
    if main_program()["kind"] != "worker":
        return None
    frame = _sent_function() or next((one for one in _frames() if not is_library(_file_of(one))), None)
    if frame is None:
        return {}
    code, plain = frame.f_code, (str, int, float, bool, list, tuple, dict, type(None))
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *a, **k
    given = {name: frame.f_locals.get(name, frame) for name in code.co_varnames[:count]}
    return {name: value for name, value in given.items() if isinstance(value, plain)}


def _submitter() -> str | None:
    """The script that has sent a worker what it runs: it came along, or started us or the run that is our parent."""
    frame = _sent_function()
    sent = frame.f_globals.get("__file__") if frame is not None else None
    if isinstance(sent, str) and os.path.isfile(sent):
        return _absolute(sent)
    return _script_above() or _script_of_parent()


def _script_of_parent() -> str | None:
    """The script of the run that our environment names as our parent; it may have been started on another machine."""
    from footsteps.recorder.inputs import facts_on_disk
    from footsteps.recorder.processes import started_by

    above = started_by(None)
    path = (facts_on_disk(above["directory"]).get("main") or {}).get("path") if above else None
    return path if isinstance(path, str) and path.endswith(".py") else None


def _script_above() -> str | None:
    """The script of the nearest process above us that runs one: who has started a worker on this machine."""
    from footsteps.recorder.processes import command_of, paths_of_word, process_facts

    facts = process_facts(os.getppid())
    for _ in range(8):
        if facts is None:
            break
        words = [word for word in command_of(facts["pid"])[1:] if word.endswith(".py")]
        paths = [path for word in words for path in paths_of_word(facts["pid"], word)]
        found = next((path for path in paths if os.path.isfile(path) and not is_library(path)), None)
        if found is not None:
            return found
        facts = process_facts(facts["parent"])
    return None


def _of_main_module() -> dict[str, Any]:
    """The row of a program whose code runs no longer (threads, exit handlers), or is in no file."""
    _, spec, file = _main_module()
    argv = [str(word) for word in getattr(sys, "argv", None) or [""]]
    if spec is not None and spec.name != "__main__" and file:
        return {"kind": "module", "path": file, "module": spec.name}
    given = _absolute(argv[0]) if argv[0] else ""
    if spec is not None and os.path.exists(given):  # a folder or zip with a __main__.py
        return {"kind": "zipapp", "path": given, "module": None}
    if file or os.path.isfile(given):  # the latter in a multiprocessing child that still imports the script
        return {"kind": "script", "path": file or given, "module": None}
    if argv[0] == "-c":
        return _command()
    interactive = hasattr(sys, "ps1") or sys.flags.interactive or shell() is not None
    return {"kind": "interactive" if interactive else "stdin", "path": None, "module": None}


def _command() -> dict[str, Any]:
    """The row of ``python -c``; a runner's worker (execnet) is one that is sent its program over stdin."""
    row: dict[str, Any] = {"kind": "command", "path": None, "module": None}
    words = sys.orig_argv
    if "-c" in words and "stdin" in "".join(words[words.index("-c") + 1 :][:1]):
        row.update(_row_of_sent(_submitter()))
    return row


def _main_module() -> tuple[Any, Any, str]:
    """(the module ``__main__``, its spec, its file or "")."""
    module: Any = sys.modules.get("__main__")
    file = getattr(module, "__file__", None)
    path = _absolute(file) if isinstance(file, str) and file != "<stdin>" else ""
    return module, getattr(module, "__spec__", None), path


# --- frames and files -------------------------------------------------------------------------------------------------


def _frames() -> Iterator[FrameType]:
    """Those of the main thread, then those of this one, each from the outermost on."""
    running = sys._current_frames()  # noqa: SLF001
    for thread in dict.fromkeys((main_thread(), get_ident())):
        frame, stack = running.get(thread), []
        while frame is not None:
            stack.append(frame)
            frame = frame.f_back
        yield from reversed(stack)


def _file_of(frame: FrameType) -> str:
    """The file of a frame's code, or the archive that holds it; "" if there is none: <string>, <stdin>, a cell."""
    file = frame.f_code.co_filename
    if file[:1] in ("<", ""):
        return ""
    path = _absolute(file)
    while not os.path.exists(path) and len(os.path.dirname(path)) < len(path):
        path = os.path.dirname(path)
    return path if os.path.isfile(path) else ""


def _absolute(path: str) -> str:
    """The path as it was meant: from the working directory at the start, or, if nothing is there, from this one."""
    try:
        early = os.path.normpath(os.path.join(at_import.started_in or "", path))
        return early if os.path.isabs(early) and os.path.lexists(early) else os.path.abspath(path)
    except (OSError, ValueError):  # a deleted working directory, a NUL
        return path


def is_library(path: str) -> bool:
    """Whether a file is Python's or lies where packages and their commands are installed."""
    if path not in _libraries:
        _libraries[path] = not path or is_installed(path) or is_of_standard_library(path) or _is_command(path)
    return _libraries[path]


_libraries: dict[str, bool] = {}  # answers of `is_library`, which is asked of the same few files again and again


def is_installed(path: str) -> bool:
    """Whether a file lies where installers put packages: an environment, or a wheel that was unpacked (pex)."""
    return _SITE in path or _DIST in path or _WHEEL in path  # asked of each loaded module


_SITE, _DIST, _WHEEL = (f"{part}{os.sep}" for part in (f"{os.sep}site-packages", f"{os.sep}dist-packages", ".whl"))


def is_of_standard_library(path: str) -> bool:
    """Whether a file is of the standard library, or of footsteps, which is no program of anybody's."""
    folders = (os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(__file__)))
    return path.startswith(tuple(os.path.join(way, "") for folder in folders for way in _ways(folder)))


def _is_command(path: str) -> bool:
    """Whether a file is where installers put commands."""
    name = "Scripts" if os.name == "nt" else "bin"
    base = getattr(sys.modules.get("site"), "USER_BASE", None)
    roots = [sys.prefix, sys.base_prefix, os.path.join(sys.prefix, "local"), *([base] if base else [])]
    folders = [os.path.join(root, name) for root in roots] + [os.path.dirname(sys.executable or "")]
    return any(os.path.dirname(p) in _ways(folder) for p in _ways(path) for folder in folders if folder)


def _ways(path: str) -> set[str]:
    """The path, and the path without links."""
    try:
        return {path, os.path.realpath(path)}
    except (OSError, ValueError):
        return {path}


def _package_of(name: str) -> dict[str, Any] | None:
    """The package of a module or console script, as the list of packages has it."""
    from footsteps.recorder.machine import package_at

    top = name.partition(".")[0]
    folders = [path for path in dict.fromkeys(sys.path) if path]
    infos = [path for folder in folders for path in paths_in(folder) if path.endswith((".dist-info", ".egg-info"))]
    same = [
        path for path in infos if _plain(os.path.basename(path).rpartition(".")[0].partition("-")[0]) == _plain(top)
    ]
    for path in dict.fromkeys([*same, *infos]):
        commands = [line.partition("=")[0].strip() for line in text_of(f"{path}/entry_points.txt").splitlines()]
        if path in same or name in commands or top in start_of(f"{path}/top_level.txt").split():
            return package_at(path)
    return None


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


# --- notebooks --------------------------------------------------------------------------------------------------------


def shell() -> Any:
    """IPython's shell, if the program runs in one."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs us."""
    return hasattr(shell(), "kernel")


def _notebook() -> dict[str, Any]:
    path = notebook_path()
    execute = quote(["jupyter", "nbconvert", "--to", "notebook", "--execute", os.path.basename(path or "NOTEBOOK")])
    why = f"this notebook can't be rerun by itself: {execute}"
    return {"kind": "notebook", "path": path, "module": None, "not_repeatable": why}


def notebook_path() -> str | None:
    """Where it is told: by VS Code in the shell's names, by Jupyter in the environment, by who executes it."""
    said = os.environ.get("JPY_SESSION_NAME") or getattr(sys.modules.get("__main__"), "__vsc_ipynb_file__", None)
    if isinstance(said, str) and said.endswith(".ipynb"):
        return _absolute(said)
    return _executed_notebook() if in_notebook() else None


def _executed_notebook() -> str | None:
    """The notebook in the command of the kernel's parent (nbconvert, papermill) that has the cell which runs."""
    from footsteps.recorder.processes import command_of, paths_of_word

    parent = os.getppid()
    cells = shell().user_ns.get("_ih", [""])
    first = next((line.strip() for line in cells[-1].splitlines() if line.strip()), "")
    said = quoted_in_json(first)
    words = [word for word in command_of(parent) if word.endswith(".ipynb")]
    paths = [path for word in words for path in paths_of_word(parent, word)]
    return next((path for path in paths if said in text_of(path)), None)


def quoted_in_json(line: str) -> str:
    """The line as a notebook's file has it, without the quotes."""
    return line.replace("\\", "\\\\").replace('"', '\\"')


def notebook_parameters() -> dict[str, Any]:
    """What papermill has set: the names in the cell that it puts in, which begins with this comment."""
    cells = [str(cell) for cell in shell().user_ns.get("_ih", [])] if in_notebook() else []
    cell = next((cell for cell in reversed(cells) if cell.lstrip().startswith("# Parameters\n")), "")
    found = {}
    if cell:
        import ast

        for line in ast.parse(cell).body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                found[line.targets[0].id] = ast.literal_eval(line.value)
    return found


# --- its name, command and folder -------------------------------------------------------------------------------------


def show_link(run: Any) -> None:
    """Below the announcement in a notebook, a link to the run's directory; elsewhere nothing."""
    if not in_notebook():
        return
    from html import escape
    from urllib.parse import quote as percent_encoded

    notebook = notebook_path()
    here = os.path.dirname(notebook) if notebook else os.getcwd()
    parts = os.path.relpath(run.directory, here).split(os.sep)
    address = "/".join(percent_encoded(os.fsencode(part), safe="") for part in parts)
    link = f'<a href="{escape("./" + address)}/">{escape(printable(run.shown))}</a>'
    shell().display_pub.publish({"text/html": link, "text/plain": printable(run.shown)})


def program_name() -> str:
    """A name for the run from what is running: stem of the script or notebook, last part of the module."""
    main = main_program()
    kind, path, module = main["kind"], main["path"] or "", main["module"]
    if kind == "module" and not (
        path and is_of_standard_library(_main_module()[2])
    ):  # python -m unittest: what it tests
        parts = [part for part in (module or "").split(".") if part != "__main__"]
        return as_name(parts[-1] if parts else "run")
    if kind == "console":
        path = _absolute(sys.argv[0])
    if path:
        stem = os.path.splitext(os.path.basename(os.path.normpath(path)))[0]
        return as_name(os.path.basename(os.path.dirname(path)) if stem == "__main__" else stem)
    return as_name((module or kind).partition(".")[0])


def script_folder() -> str | None:
    """The folder of the script's file, None where there is none."""
    path = main_program()["path"]
    return os.path.dirname(os.path.realpath(path)) if path else None


def is_the_first() -> bool:
    """Whether the execution that goes on is the one that imported footsteps: no notebook's next script, no restart."""
    now, first = execution(), first_execution
    return now is None or now is first or (first is None and shell() is None)


def start_directory() -> str | None:
    """The working directory that the program was started in."""
    return (is_the_first() and at_import.started_in) or working_directory()


def start_argv() -> list[str]:
    """sys.argv as it was at the start; of a notebook, its path."""
    now = [str(word) for word in getattr(sys, "argv", [])]
    early = at_import.started_argv
    if in_notebook() and main_frame() is None:
        return [notebook_path() or "notebook"]
    if (archive := archive_that_started_us()) is not None:
        return [archive, *now[1:]]
    return early if is_the_first() and early[:1] == now[:1] else now


def start_command() -> list[str]:
    """The command by which it was started; of a script without the word `python`, as sys.argv has it.

    A tool may have put how it is used in the place of sys.argv[0], as unittest does: "python -m unittest".
    """
    argv = start_argv()
    said = argv and not os.path.exists(_absolute(argv[0])) and argv[0].endswith(f" -m {_main_package()}")
    return list(sys.orig_argv) if said else argv


def _main_package() -> str:
    """The name behind `python -m`, "" where there is none."""
    return (getattr(_main_module()[1], "name", None) or "").removesuffix(".__main__")


def is_unattended() -> bool:
    """Whether stdin is not for this program: a terminal nobody looks at, or what the shell above reads itself.

    A job in the background, or what a notebook's cell starts with `!`, has nobody at its terminal. A shell whose own
    stdin is the same file reads its commands, or the lines of `while read`, from it.
    """
    stdin = sys.stdin
    try:
        if stdin.isatty():
            return "JPY_PARENT_PID" in os.environ or os.tcgetpgrp(stdin.fileno()) != os.getpgrp()
        parent = f"/proc/{os.getppid()}/"
        shell = text_of(parent + "comm").endswith("sh\n")
        return shell and os.path.samestat(os.stat(parent + "fd/0"), os.fstat(stdin.fileno()))
    except (OSError, ValueError, AttributeError):  # no job control, no /proc, or a stand-in
        return False


def announced(run: Any) -> str:
    """The run's directory as it is seen from where the program was started, if that is not the working directory."""
    start = at_import.started_in
    if os.path.isabs(run.shown) or working_directory() == start:
        return str(run.shown)
    return str(run.directory).removeprefix(os.path.join(start or "", ""))
