"""Footsteps: an output directory for each experiment, and a description of the run that made it.

    import footsteps

    with open(footsteps.output_dir + "weights.csv", "w") as f:
        f.write("6, 9, 42")

The first use of ``output_dir`` asks for a name and makes ``results/<name>[-N]/``; an earlier run is never overwritten.
In it are info.txt (command, machine, Python, git hash, uncommitted changes, working directory) and
package_versions.txt (what ``pip list`` prints). ``footsteps.initialize("name")``, or the environment variable
FOOTSTEPS_NAME, skips the question. ``footsteps.plot("loss")`` saves matplotlib's current figure there.

To change any of this, copy this file into your project under any name, edit it, and import the copy. It needs nothing
but Python 3.10 or newer; with prompt_toolkit the question has completion. Begin with the settings, and with SECTIONS,
the table of what info.txt says: a title, and the function that gives the text below it. Where the footsteps package is
installed, a copy has what that adds: the exact code, one directory for all ranks of a job, how the run ended, what it
read and wrote. See EXTENSIONS and `Run.call` for how to add your own.
Licence: MIT, (c) 2026 the footsteps authors.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import time
from types import ModuleType

TYPE_CHECKING = False  # importing typing takes 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__version__ = "1.1.0"
__all__ = ["FootstepsError", "Run", "__version__", "current", "finish", "initialize", "plot"]

# --- settings ---------------------------------------------------------------------------------------------------------

OUTPUT_ROOT = "results/"
NAME_VARIABLE = "FOOTSTEPS_NAME"
INFO, PACKAGES = "info.txt", "package_versions.txt"
QUESTION = "Input name of experiment:"
MAX_DIFF = 2**20  # bytes of the uncommitted changes that info.txt shows
TIMEOUT = 20.0  # seconds that git or pip may take

# What takes part in a run: names of modules, or objects; a module that is not installed is passed over.
EXTENSIONS: list[Any] = ["footsteps.recorder"]
SECRETS = ("token", "password", "passwd", "secret", "key", "credentials")  # options whose values become ***
RUN_VARIABLE = "FOOTSTEPS_RUN"  # by it, processes that this one starts know its run; see `Run.handle`
# Where the package is installed, its errors and ours are caught by one `except footsteps.FootstepsError`.
_Base: Any = getattr(sys.modules.get("footsteps.recorder.format"), "FootstepsError", Exception)


class FootstepsError(_Base):  # type: ignore[misc]
    """A mistake of the caller's, or something that stands in the way: one sentence, and a hint what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class InvalidName(FootstepsError, ValueError):
    """The name (or the output root) can't be a directory."""


class DirectoryError(FootstepsError, OSError):
    """The run's directory can't be made or written."""

    def __init__(self, message: str, hint: str = "", errno: int | None = None) -> None:
        FootstepsError.__init__(self, message, hint)
        self.errno, self.strerror = errno, message


# --- what programs call -----------------------------------------------------------------------------------------------


def initialize(
    run_name: str | None = None, output_root: str | os.PathLike[str] = OUTPUT_ROOT, **options: bool | None
) -> None:
    """Begin the run now, with this name, instead of asking when ``output_dir`` is first used.
    With the installed package console=True keeps the output in console.txt, resume=True goes on in a run that died.
    Raises InvalidName (a ValueError), DirectoryError (an OSError), or FootstepsError where this process has a run.
    """
    with _lock():
        if (run := current()) is None or run.over(run_name):
            finish()
            _begin(run_name, output_root, {name: value for name, value in options.items() if value is not None})
        elif run.process == os.getpid() and not run.again(run_name):
            said = f"this run already writes to {run.shown!r}{run.begun_at}"
            raise FootstepsError(said, "footsteps.finish() ends it, then initialize() may begin another")


def finish() -> None:
    """End the run as the program's end would; the next ``initialize`` or ``output_dir`` begins another."""
    with _lock():
        if _shared.run is not None:
            _shared.run.end()
        _shared.run, _shared.initialized, _shared.output_dir_impl = None, False, None
        os.environ.pop(RUN_VARIABLE, None)
        os.environ.update({RUN_VARIABLE: _shared.inherited} if _shared.inherited else {})


def current() -> Run | None:
    """The run of this process, if there is one yet; never begins one. It ends one that is over."""
    if _shared.initialized and _shared.run is not None and _shared.run.over(None):
        finish()
    return _shared.run if _shared.initialized else None


def plot(name: str = "", figure: Any = None, **options: Any) -> str:
    """Save matplotlib's current figure, or the given one, as ``NNN_name.png`` in the run's directory; its path.
    It is cleared then (not in notebooks, which show it). ``"loss.pdf"`` is saved as PDF; options are savefig's: dpi.
    """
    from matplotlib import pyplot as plt

    if figure is None and not plt.get_fignums():
        warn("plot() found no figure: nothing was saved")
        return ""
    figure, folder, run = figure or plt.gcf(), run_directory(), current()
    ending = os.path.splitext(str(name))[1][1:]
    kind = options.setdefault("format", ending if ending in figure.canvas.get_supported_filetypes() else "png")
    starts = [f.partition(".")[0].partition("_")[0] for f in os.listdir(folder) if f.endswith((".png", f".{kind}"))]
    number = max([0, *(int(start) + 1 for start in starts if start.isascii() and start.isdigit())])
    safe = "".join(c if c.isalnum() or c in "-_.+=, " else "_" for c in str(name).removesuffix(f".{kind}")).strip()[:50]
    path = os.path.join(folder, f"{number:03d}{'_' * bool(safe)}{safe}.{kind}")
    figure.savefig(path, metadata=(run.figure_metadata(kind) or None) if run else None, **options)
    if not _in_notebook():
        figure.clear()
    return path


def run_directory() -> str:
    """What ``output_dir`` gives: the run's directory, ending in a slash; begins the run if there is none."""
    current()
    path, run = _shared.output_dir_impl, _shared.run
    if path is None or (not _shared.initialized and run is not None and path == run.shown):
        with _lock():
            if _shared.output_dir_impl is None or not _shared.initialized:
                _begin(None, OUTPUT_ROOT, {})
            return run_directory()
    if run is None or not path.startswith(run.shown) or os.path.isabs(path) or _cwd() == run.cwd:
        return str(path)
    return str(run.directory + path[len(run.shown) :])  # the program has changed its working directory


def _begin(name: str | None, root: str | os.PathLike[str], options: dict[str, Any]) -> None:
    if _shared.beginning == os.getpid():  # not that of a parent which was forked in this moment
        raise FootstepsError("output_dir was used while the run's directory was being made")
    _shared.beginning = os.getpid()
    try:
        if _shared.run is not None:  # the program has set initialized to False
            _shared.run.end()
        run = Run(name, _checked_root(root), options)
        run.call("meet")
        if not run.directory:
            run.meet()
        _shared.run, _shared.initialized, _shared.output_dir_impl = run, True, run.shown
    except (KeyboardInterrupt, FootstepsError) as error:  # where it arose in here tells the program nothing
        raise error.with_traceback(None) from None
    finally:
        _shared.beginning = None
    os.environ[RUN_VARIABLE] = run.handle()
    run.call("begin")


# --- a run ------------------------------------------------------------------------------------------------------------


class Run:
    """One run of a program, and its directory.

    Attributes:
        name: below the output root, with its number; at first what ``initialize`` was given, or None.
        root, options: the output root, and the further arguments of ``initialize``.
        directory: absolute, ending in a slash; shown: as ``output_dir`` gives it from `cwd`; "" before it is made.
        sections: what info.txt will say: title -> text, bytes, or a function that gives them.
        default_name, unattended, remark, earlier, announced, figure_metadata: by them extensions change what is asked
            and said. over, again: whether ``initialize`` with a name (None: ``output_dir``) begins another; means it.
        process: pid of that which this object belongs to; made_here: it made the directory, else it joined a run.
        handle_lines: what extensions tell processes that this one starts, beyond `handle`.
    """

    def __init__(self, name: str | None, root: str, options: dict[str, Any]) -> None:
        self.name, self.root, self.options = name, root, options
        self.directory, self.shown, self.cwd = "", "", _cwd() or ""
        self.process, self.made_here, self.ended, self.begun_at, self.announced = os.getpid(), False, False, "", ""
        self.sections: dict[str, Any] = dict(SECTIONS)
        self.default_name, self.unattended, self.earlier, self.remark = script_name, bool, list, "".strip
        self.handle_lines: list[str] = []
        self.figure_metadata: Callable[[str], dict[str, str]] = lambda _: {}
        self.over: Callable[[str | None], bool] = lambda of: self.process != os.getpid() and of not in (None, name)
        self.again: Callable[[str | None], bool] = lambda _: False
        self._extensions = list(_extensions("meet"))

    def call(self, step: str) -> None:
        """Call each extension's function for a step with this run; the steps, in order, all optional:

            meet    decide whether this process has a run of its own: call `make`, or `join` that of another process
            start   the name is known; begin what takes long
            fill    the directory is there: write files, change `sections`; an OSError ends the start
            begin   info.txt is written; the program goes on after this
            end     the program ends, ``finish()`` was called, or the directory could not be made
        What `meet` raises is the program's to see; what else fails is a line on stderr, and the run goes on.
        """
        for extension in self._extensions:
            function = getattr(extension, step, None)
            if function is None or (step == "meet" and self.directory):
                continue
            try:
                function(self)
            except Exception as error:
                if step == "meet" or (step == "fill" and isinstance(error, OSError)):
                    raise
                warn(f"not recorded: {type(error).__name__}: {error}")

    def meet(self) -> None:
        """Without extensions: workers of multiprocessing join the run of their parent, all others make one."""
        parent = getattr(sys.modules.get("multiprocessing.process"), "parent_process", lambda: None)()
        said = os.environ.get(RUN_VARIABLE, "").split("\n")
        joins = parent is not None and len(said) >= 4 and said[0] == str(parent.pid) and os.path.isdir(said[1])
        if joins and (self.name is None or said[1].endswith(f"/{self.name.strip('/')}/")):
            self.join(said[1], said[2], said[3])
        else:
            self.make()

    def handle(self) -> str:
        """What processes that this one starts find in RUN_VARIABLE: pid, directory, output_dir, working directory."""
        return "\n".join((str(os.getpid()), self.directory, self.shown, self.cwd, *self.handle_lines))

    def join(self, directory: str, shown: str, cwd: str) -> None:
        """Take part in the run of another process, which has made this directory."""
        self.directory, self.cwd, self.name = directory, cwd, os.path.basename(directory.rstrip("/"))
        self.shown = shown if cwd == _cwd() else directory

    def make(self) -> None:
        """Choose the name, make the directory, describe the run in it, say where it is; or raise and leave nothing."""
        self.name = _chosen_name(self)
        self.call("start")
        try:
            self.shown, self.name = _made_directory(self.root, self.name)
            self.directory, self.made_here = os.path.join(os.path.abspath(self.shown), ""), True
            self.call("fill")
            files: dict[str, dict[str, Any]] = {PACKAGES: {"": package_list}, INFO: self.sections}
            for file, sections in files.items():
                if not os.path.exists(self.directory + file):
                    with open(self.directory + file, "xb") as opened:
                        opened.write(b"".join(map(_section, sections.items())))
        except BaseException as error:
            import shutil

            self.end()
            shutil.rmtree(self.directory, ignore_errors=True)
            if not isinstance(error, OSError) or isinstance(error, DirectoryError):
                raise
            hint = "make room there, or footsteps.initialize(..., output_root=<another place>)"
            reason = f"can't write the run's directory {self.shown!r}: {error.strerror or error}"
            raise DirectoryError(reason, hint, error.errno) from None
        _print(sys.stdout, f"Saving results to {printable(self.announced or self.shown)}\n")

    def end(self) -> None:
        """Tell the extensions that it is over; once, and not in a process forked from that of the run."""
        if os.getpid() == self.process and not self.ended:
            self.ended = True
            self.call("end")


def _extensions(step: str = "") -> Iterator[Any]:
    """The extensions that are there, their functions for this step imported."""
    for extension in EXTENSIONS:
        try:
            module = (__import__(extension), sys.modules[extension])[1] if isinstance(extension, str) else extension
            getattr(module, step, 0)
            yield module
        except Exception as error:
            if extension != "footsteps.recorder" or getattr(error, "name", "") not in ("footsteps", extension):
                warn(f"{extension} takes no part in this run: {type(error).__name__}: {error}")


# --- info.txt and package_versions.txt --------------------------------------------------------------------------------


def _section(row: tuple[str, Any]) -> bytes:
    """A title, if there is one, and the text below it; what can't be found out is told by a line that says why."""
    try:
        text = row[1]() if callable(row[1]) else row[1]
    except Exception as error:
        text = printable(f"not recorded: {type(error).__name__}: {error}")
    data = text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape")
    return f"{row[0]}\n".lstrip("\n").encode() + data + (b"\n" if data and not data.endswith(b"\n") else b"")


def command() -> str:
    """The command line, so that a shell can read it back; values of options in SECRETS, passwords in URLs as ***."""
    import re
    import shlex

    words, hidden = [], False
    for word in sys.argv:
        option, equals, _ = word.partition("=")
        secret = option.startswith("-") and option.lower().replace("_", "-").split("-")[-1] in SECRETS
        words.append("***" if hidden and not word.startswith("-") else f"{option}=***" if secret and equals else word)
        hidden = secret and not equals
    return printable(re.sub(r"(://[^\s/:@]*:)[^\s/@]+@", r"\1***@", shlex.join(words)))


def git(*arguments: str) -> bytes:
    """What git prints, in the working directory; nothing where it ends with an error, as outside of repositories."""
    import subprocess

    words = ["git", "--no-optional-locks", *arguments]  # without, a commit at the same time may fail
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=TIMEOUT).stdout


def git_hash() -> str:
    """The commit, or the tag and the commits after it."""
    return printable(git("describe", "--always").decode().strip()) or "not a git repository, or no commits yet"


def uncommitted_changes() -> bytes:
    """The difference between the files and the commit, as `git apply` takes it."""
    diff = git("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "HEAD")
    return diff if len(diff) <= MAX_DIFF else diff[:MAX_DIFF].rpartition(b"\n")[0] + b"\n(cut off here)\n"


def package_list() -> bytes:
    """What ``pip list`` prints; where there is no pip, the names and versions from the packages' metadata."""
    import subprocess

    words = [sys.executable, "-m", "pip", "list"]
    try:
        return subprocess.run(words, cwd=os.sep, capture_output=True, check=True, timeout=TIMEOUT).stdout
    except (OSError, subprocess.SubprocessError):  # no pip, or it takes too long
        from importlib.metadata import distributions

    rows = sorted({f"{d.metadata['Name']} {d.version}\n" for d in distributions()}, key=str.lower)
    return "".join(["Package Version\n------- -------\n", *rows]).encode()


# What info.txt says: a title, and the function that gives the text below it. To record more, add a row.
SECTIONS: dict[str, Callable[[], str | bytes]] = {
    "Command:": command,
    "System:": lambda: printable(os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")),
    "Python:": lambda: printable(sys.executable or ""),
    "Git Hash:": git_hash,
    "Uncommitted changes:": uncommitted_changes,
    "Current working dir:": lambda: printable(_cwd() or "(deleted)"),
    "Not recorded:": lambda: "untracked files, the exact code, how the run ended (pip install footsteps records them)",
}


# --- the name, the question for it, the directory --------------------------------------------------------------------


def _chosen_name(run: Run) -> str:
    """The first there is of: the argument, FOOTSTEPS_NAME, an answer, the script's name. Raises InvalidName."""
    name, source = run.name, "run_name"
    if name is None:
        name, source = os.environ.get(NAME_VARIABLE) or None, NAME_VARIABLE
    if name is None:
        name, source = _asked_name(run), "standard input"
    if name is None:
        name, source = run.default_name(), "the script's name"
        warn(f"no name for this run; taking {name!r} (set {NAME_VARIABLE}=<name> or call footsteps.initialize)")
    if not name.strip() and source == "standard input":
        name = run.default_name()
    problem, _, remedy = name_problem(name, run.root).partition("; ")
    if problem:
        raise InvalidName(f"run name {name!r} (from {source}) {problem}", remedy)
    return "/".join(part for part in name.strip().split("/") if part)


def _asked_name(run: Run) -> str | None:
    """What the person at the terminal, or the pipe at stdin, answers; None if there is nobody to ask."""
    stdin: Any = sys.stdin
    try:
        if _in_notebook():
            return _ask_plainly(run)
        if stdin.closed or (sys.argv[:1] in (["-"], [""]) and not hasattr(sys, "ps1")) or run.unattended():
            return None  # or the program itself comes from there
        return _ask_at_terminal(run) if stdin.isatty() else _one_line(stdin)
    except (OSError, ValueError, AttributeError, NotImplementedError, RuntimeError):
        return None  # pytest's stdin, a notebook without an input box, a stand-in that lacks a method


def _one_line(stdin: Any) -> str | None:
    """One line of a pipe, and not a byte more: the rest is the program's. None at its end."""
    import select

    try:
        if os.name == "posix" and not select.select([stdin.fileno()], [], [], 1.0)[0]:
            warn(f"waiting for a line with the experiment's name on stdin (or set {NAME_VARIABLE}=<name>)")
    except (OSError, ValueError, AttributeError):
        pass  # a stand-in: nothing to wait for
    size = getattr(stdin, "_CHUNK_SIZE", None)
    try:
        if size is not None:
            stdin._CHUNK_SIZE = 1
        line = str(stdin.readline())
        if line.strip():
            warn(f"the run's name was read from standard input: {line.strip()!r}")
        return line or None
    finally:
        if size is not None:
            stdin._CHUNK_SIZE = size


def script_name() -> str:
    """A name made of what runs: of the script's file, or of the module after ``python -m``."""
    command = (sys.argv or [""])[0]
    path = getattr(sys.modules.get("__main__"), "__file__", None) or {"-c": "command"}.get(command, "stdin")
    folder, stem = os.path.split(os.path.splitext(os.path.abspath(path))[0])
    return as_name(os.path.basename(folder) if stem == "__main__" else stem)


def name_problem(name: str, root: str = OUTPUT_ROOT) -> str:
    """Why this can't be a run's name below the root; after "; " what would do. "" if it can."""
    if not isinstance(name, str):
        return "is no text; use a name such as 'unet'"
    text, parts = name.strip(), [part for part in name.strip().split("/") if part]
    better = "use a name such as " + repr("-".join(as_name(part) for part in parts if set(part) - {"."}) or "unet")
    swapped = f"initialize({root!r}, output_root={name!r})"
    ways = [os.path.join(root, *parts[:n]) for n in range(len(parts))]
    file = next((way for way in ways if os.path.lexists(way) and not os.path.isdir(way)), None)
    windows = os.name == "nt" and any(set(part) & set('\\:*?"<>|') or part.endswith(".") for part in parts)
    try:
        sizes = [len(os.fsencode(part)) for part in parts]
    except UnicodeEncodeError:  # an ASCII or Latin-1 locale
        sizes = []
    table = (
        (not text.encode("utf-8", "replace").decode().isprintable(), "has a control character in it", better),
        (all(set(part) <= {"."} for part in parts), f"is {'only dots' if parts else 'empty'}", better),
        (text.startswith(("/", "~/")), "leaves the output root", f"{better}, or output_root="),
        (text.endswith("/") and not root.endswith("/"), "looks like an output root", swapped),
        (any(set(part) <= {"."} for part in parts), "leaves the output root", better),
        (any(part[0] == "." or part != part.strip() for part in parts), "can't be a run's name", better),
        (windows, "can't be a directory on Windows", "use letters, digits, - and _"),
        (not sizes, f"can't be written in {sys.getfilesystemencoding()}", "set PYTHONUTF8=1, or use ASCII"),
        (max(sizes, default=0) > 250, "is too long for a directory", "use a name of at most 250 bytes"),
        (file, f"needs the group {file!r}, which is a file", "use another group, or move that away"),
    )
    return next((f"{problem}; {remedy}" for wrong, problem, remedy in table if wrong), "")


def as_name(text: str) -> str:
    """The text without what can't stand in a directory's name."""
    return "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text).strip(". ")[:100] or "run"


def _checked_root(root: str | os.PathLike[str]) -> str:
    """The output root as text. Raises InvalidName."""
    path = isinstance(root, (bytes, os.PathLike))
    text = os.path.join(os.fsdecode(root), "") if path else root if isinstance(root, str) else "\0"
    if not text.encode("utf-8", "replace").decode().isprintable():
        raise InvalidName(f"output_root {root!r} can't be a directory", f"use one such as {OUTPUT_ROOT!r}")
    return text


def _ask_at_terminal(run: Run) -> str:
    """Ask with completion where prompt_toolkit is installed, else plainly. Ctrl-C and Ctrl-D end the program."""
    import select

    session = None
    typed_ahead = os.name == "posix" and select.select([sys.stdin.fileno()], [], [], 0.0)[0]
    if os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown") and not typed_ahead:
        try:  # prompt_toolkit would swallow the lines after an answer that was typed ahead
            session = _prompt_session(run)
        except Exception:  # not installed, or its import fails in whatever way: the plain question
            pass
    try:  # in a thread it leaves an event loop and signal handlers alone
        return str(session.prompt(in_thread=True)) if session is not None else _ask_plainly(run)
    except KeyboardInterrupt:
        if session is not None and session.app.is_running:  # `kill -INT`: the terminal is given back
            session.app.loop.call_soon_threadsafe(session.app.exit)
            while session.app.is_running:
                time.sleep(0.01)
        raise
    except EOFError:
        raise SystemExit("footsteps: no name given, nothing was made") from None


def _ask_plainly(run: Run) -> str:
    question, own = f"{QUESTION}\n", _in_notebook() or (None not in (sys.stdout, sys.stderr) and sys.stdout.isatty())
    while True:
        if not own:  # input() would ask in the file that stdout is sent to
            _print(_terminal(), question)
        answer = input(question) if own else sys.stdin.readline()
        if not own and not answer:
            raise EOFError
        if not answer.strip() or not (problem := name_problem(answer, run.root)):
            return answer
        question = f"{answer.strip()!r} {problem}\n{QUESTION}\n"


def _terminal() -> Any:
    """Where the person looks: stdout, stderr, or with both sent to files the terminal itself."""
    stream = next((s for s in (sys.stdout, sys.stderr) if s is not None and s.isatty()), None)
    return stream or open("/dev/tty" if os.name == "posix" else "CONOUT$", "w", encoding="utf-8")


def _prompt_session(run: Run) -> Any:
    from prompt_toolkit import PromptSession, completion, filters, history, key_binding, output, validation
    from prompt_toolkit.key_binding.bindings.named_commands import get_by_name

    def begun() -> list[str]:
        return completions(session.default_buffer.document.text_before_cursor, run.root)

    def below() -> str:
        name = (typed := session.default_buffer.text.strip()) or run.default_name()
        problem = name_problem(name, run.root)
        try:
            path = problem or _free(os.path.join(run.root, *filter(None, name.split("/"))))
        except OSError as error:
            problem = str(error)
        return f" this name {problem}" if problem else f"{'' if typed else ' Enter takes'} {path}/{run.remark(name)}"

    keys, one = key_binding.KeyBindings(), filters.Condition(lambda: len(begun()) == 1)
    keys.add("tab", filter=one & ~filters.has_completions)(get_by_name("complete"))  # at once: Enter may be there too
    session: Any = PromptSession(
        f"{QUESTION}\n",
        completer=completion.WordCompleter(begun, ignore_case=True, sentence=True),
        key_bindings=keys,
        complete_while_typing=False,
        history=history.InMemoryHistory(run.earlier()),
        validator=validation.Validator.from_callable(
            lambda text: not (text.strip() and name_problem(text, run.root)), "no name", move_cursor_to_end=True
        ),
        validate_while_typing=False,
        bottom_toolbar=below,
        refresh_interval=0.5,
        output=output.create_output(stdout=_terminal()),
        enable_suspend=True,
    )
    session.app.renderer.cpr_not_supported_callback = None  # no warning of a terminal that can't tell its cursor
    for window in session.layout.find_all_windows():
        window.wrap_lines = filters.to_filter(True)  # why a name is refused is read to its end
    return session


def completions(text: str, root: str) -> list[str]:
    """The runs, and groups of runs with a slash, whose path begins so, whatever their case; newest first."""
    group, slash, start = text.rpartition("/")
    if text.startswith("/") or ".." in group.split("/"):
        return []
    try:
        with os.scandir(os.path.join(root, group)) as found:
            entries = [(e.stat().st_mtime, e.name) for e in found if e.is_dir() and not e.name.startswith(".")]
    except (OSError, ValueError):
        return []
    names = [name for _, name in sorted(entries, reverse=True) if name.lower().startswith(start.lower())]
    paths = [group + slash + name for name in names]
    return [path if os.path.exists(os.path.join(root, path, INFO)) else path + "/" for path in paths]


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs us: its input() is a box in the notebook."""
    return hasattr(getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)(), "kernel")


def _made_directory(root: str, name: str) -> tuple[str, str]:
    """Make ``root/name``, or ``root/name-N`` with N above all: (its path, its name). Raises DirectoryError."""
    base = os.path.join(root, *name.split("/"))
    try:
        os.makedirs(os.path.dirname(base) or ".", exist_ok=True)
        while True:
            try:
                os.mkdir(path := _free(base))
            except FileExistsError:  # another process was faster
                continue
            return os.path.join(path, ""), name + path[len(base) :]
    except OSError as error:
        hint = 'footsteps.initialize("<name>", output_root="<a directory that you can write to>")'
        way = os.path.dirname(base)
        while way and not os.path.lexists(way):
            way = os.path.dirname(way)
        why = f"{way!r} is no directory" if way and not os.path.isdir(way) else error.strerror or error
        reason = f"can't make the run's directory {base!r}: {why}"
        raise DirectoryError(reason, hint, error.errno) from None


def _free(base: str) -> str:
    """The path if nothing is there, else with a number above all that are there."""
    if not os.path.lexists(base):
        return base
    folder, name = os.path.split(base)
    start = f"{name}-".lower()  # macOS and Windows don't tell unet-1 from UNet-1
    ends = [entry[len(start) :] for entry in os.listdir(folder or ".") if entry.lower().startswith(start)]
    return f"{base}-{max((int(end) for end in ends if end.isascii() and end.isdigit()), default=0) + 1}"


def warn(line: str) -> None:
    """One line on stderr."""
    _print(sys.stderr, f"footsteps: {printable(line)}\n")


def _print(stream: Any, text: str) -> None:
    """Write it if that can be done: the stream may be closed, None, ASCII, or a stand-in that lacks methods."""
    try:
        coding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(coding, "backslashreplace").decode(coding))
        stream.flush()
    except Exception:  # nobody to tell
        pass


def printable(text: str) -> str:
    """The text on one line, in quotes of Python's if it has characters that can't be printed."""
    return text if text.isprintable() else repr(text)[1:-1]


def _cwd() -> str | None:
    """The working directory, None if it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


# --- one run for a process, whatever copies of this file it has imported ----------------------------------------------

_shared: Any = sys.modules.setdefault("_footsteps_shared", ModuleType("_footsteps_shared"))
if not hasattr(_shared, "locks"):
    _shared.run, _shared.initialized, _shared.output_dir_impl = None, False, None
    _shared.beginning, _shared.locks = None, {}
    _shared.inherited = os.environ.get(RUN_VARIABLE)  # of the program that started this one
    atexit.register(lambda: _shared.run is not None and _shared.run.end())
if __name__ != "footsteps.footsteps" or not hasattr(_shared, "core"):
    _shared.core = sys.modules[__name__]  # by which extensions begin a run: a project's own copy rather than ours


def _lock() -> Any:
    """Held while a run begins or ends; one for each pid, as a fork may copy it while another thread holds it."""
    return _shared.locks.setdefault(os.getpid(), _thread.RLock())


def _variable(name: str, of_run: Callable[[Any], Any]) -> Any:
    """A variable of this module that all copies of it share; programs read, assign and (by a mock) delete it."""
    return property(
        lambda _: getattr(_shared, name),
        lambda _, value: setattr(_shared, name, value),
        lambda _: setattr(_shared, name, of_run(_shared.run)),
    )


class _Module(ModuleType):
    """The class of this module: ``output_dir`` is a property, which help() and test collectors do not look at."""

    initialized = _variable("initialized", lambda run: run is not None)
    output_dir_impl = _variable("output_dir_impl", lambda run: run.shown if run is not None else None)

    @property
    def output_dir(self) -> str:
        """The run's directory, ending in a slash; the first use makes it."""
        try:
            return run_directory()
        except AttributeError as error:  # would be taken for "there is no output_dir"
            raise RuntimeError(f"footsteps could not make the run's directory: {error}") from error

    @output_dir.setter
    def output_dir(self, value: str) -> None:
        warn(f"the program has set output_dir to {value!r}; initialize(name, output_root=...) would make a directory")
        _shared.output_dir_impl, _shared.initialized = value, True

    @output_dir.deleter
    def output_dir(self) -> None:
        del self.output_dir_impl, self.initialized

    def __reduce__(self) -> Any:  # cloudpickle sends modules by name, but only those of the class ModuleType
        return __import__("importlib").import_module, (self.__name__,)

    def __getattr__(self, name: str) -> Any:
        """What the installed package offers beyond this file: LTParser, record, path and the like."""
        for extension in _extensions() if not name.startswith("_") else ():
            if name in getattr(extension, "OFFERED", ()):
                return getattr(extension, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _installed_package() -> list[str]:
    """Where the installed footsteps is, which a copy of this file that is called footsteps.py hides."""
    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [path for path in sys.path if os.path.abspath(path) != here]
    specs = (f.find_spec("footsteps", elsewhere) for f in sys.meta_path if hasattr(f, "find_spec"))
    return next((list(s.submodule_search_locations) for s in specs if s and s.submodule_search_locations), [])


if __name__ == "footsteps":  # a copy called footsteps.py: let the installed package's modules be found all the same
    __path__ = _installed_package()
if __name__ == "__main__":  # `python -m footsteps` beside a copy
    try:
        commands = __import__("footsteps.cli", fromlist=["main"])
    except ImportError as error:
        sys.exit(f"footsteps: {__file__} is a copy; its commands come with the installed package ({error})")
    sys.exit(commands.main())
for _module in (*getattr(_shared, "packages", ()), sys.modules[__name__]):  # the installed package's too
    _module.__class__ = _Module
list(_extensions())  # from now on the installed package notes what the program reads
