"""Footsteps: an output directory for each experiment that knows which code made it.

    import footsteps

    with open(footsteps.output_dir + "weights.csv", "w") as f:
        f.write("6, 9, 42")

The first look at ``output_dir`` asks for a name, makes ``results/<name>[-N]/`` (an earlier one is
never overwritten) and fills it:

    info.txt               the run, for people: command, machine, git hash, uncommitted changes
    package_versions.txt   what ``pip list`` says
    train.py               the script as it ran
    .footsteps/run.json    the same facts, for programs
    .footsteps/code/       every file that differs from the commit, whole
    .footsteps/commits.bundle    the commits that no remote has, for ``git fetch``

``footsteps.initialize("name")`` or the environment variable FOOTSTEPS_NAME skips the question;
``footsteps.plot("loss")`` saves matplotlib's current figure there.

This one file is all of it: copy it into a project and change what you like. Begin with the
settings below; to record another fact, add a function and its row to FACTS. It needs nothing but
Python >= 3.10; with prompt_toolkit the question has completion, with psutil more is known of
processes on systems other than Linux.

Licence: MIT, (c) 2026 the footsteps authors.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import time
from types import ModuleType, SimpleNamespace

try:
    from _json import encode_basestring_ascii as _json_string
except ImportError:  # PyPy
    from json import dumps as _json_string

TYPE_CHECKING = False  # typing's own costs 4 ms to import
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import Any

    Entry = tuple[bytes, int, bytes, bool]

__version__ = "1.0.0"
__all__ = ["FootstepsError", "GitError", "Run", "__version__", "current", "finish", "initialize", "plot"]


# ---------------------------------------------------------------------------
# Settings: what someone who copied this file came to change
# ---------------------------------------------------------------------------

OUTPUT_ROOT = "results/"
NAME_VARIABLE = "FOOTSTEPS_NAME"

# Functions called with the Run once its directory is filled; "module:function" is imported then.
COMPANIONS: list[Callable[[Run], object] | str] = []

GIT_TIMEOUT = 20.0  # seconds; git is slow on a cold network disk
PIP_DELAY = 1.0  # seconds after which a run that still lives has pip asked for its list
START_WAIT = 5.0  # seconds in which rank 0 may announce that it is going to ask for the name

MIB = 2**20
MAX_FILE = 10 * MIB  # a changed or untracked file above this is listed, not kept
MAX_TOTAL = 100 * MIB  # and so is what comes after this much
MAX_FILES = 5_000
MAX_SECRET = 1 * MIB  # what is left out enters the code id by its hash up to this size, by its size above
MAX_DIFF = 1 * MIB  # the diff shown in info.txt; the files themselves are in .footsteps/code
MAX_BUNDLE = 100 * MIB

# Never copied. A leading or a trailing * stands for anything.
SECRET_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".pypirc", ".npmrc",
    ".htpasswd", ".git-credentials", ".dockercfg", "credentials", "credentials.*", ".credentials*",
    "secrets.*", ".secrets*", "secret.*", "kaggle.json", "service-account*.json", "service_account*.json",
)  # fmt: skip
NO_SECRETS = ("*.example", "*.sample", "*.template", "*.dist", "*.pub", "*.py")

# Environment variables that are recorded; all others stay unread.
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUBLAS_WORKSPACE_CONFIG", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "TF_CPP_MIN_LOG_LEVEL",
    "XLA_FLAGS", "JAX_PLATFORMS", "PYTORCH_CUDA_ALLOC_CONF", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONOPTIMIZE",
    "LANG", "LC_ALL", "TZ", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "WORLD_SIZE", "RANK", "LOCAL_RANK",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NNODES",
    "SLURM_JOB_PARTITION", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PBS_JOBID", "LSB_JOBID", "JOB_ID",
)  # fmt: skip


# ---------------------------------------------------------------------------
# Names of what is written
# ---------------------------------------------------------------------------

FORMAT = 1
INFO = "info.txt"
PACKAGES = "package_versions.txt"
RECORD = ".footsteps"
RUN_JSON = "run.json"
CODE = "code"
BUNDLE = "commits.bundle"
BUNDLES_JSON = "bundles.json"
OUTCOME_JSON = "outcome.json"
RECORDED = "recorded.jsonl"
LATE_JSON = "late.json"
SECTIONS = ("Command:", "System:", "Python:", "Git Hash:", "Uncommitted changes:", "Current working dir:")
BUNDLE_REF = "refs/footsteps/commit"
RUN_VARIABLE = "FOOTSTEPS_RUN"


# ---------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------


class FootstepsError(Exception):
    """The user's trouble: what is the matter, and below it the command that mends it.

    Attributes:
        message: one sentence.
        hint: what to type, or "".
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class NameRefused(FootstepsError, ValueError):
    """A run name (or root) that can't be a directory below the output root."""


class DirectoryRefused(FootstepsError, OSError):
    """The run's directory can't be made or written; said before the experiment starts. It has the cause's errno."""

    def __init__(self, message: str, hint: str = "", cause: OSError | None = None) -> None:
        FootstepsError.__init__(self, message, hint)
        self.errno, self.strerror = (cause.errno if cause else None), message

    __str__ = FootstepsError.__str__


class GitError(FootstepsError):
    """git said no, took too long (``returncode`` is None) or is not there (None too)."""

    def __init__(self, argv: Sequence[str], returncode: int | None, stderr: str, hint: str = "") -> None:
        super().__init__(stderr or f"git {argv[0]} ended with {returncode}", hint)
        self.argv = list(argv)
        self.returncode = returncode
        self.stderr = stderr

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.argv, self.returncode, self.stderr, self.hint)


# ---------------------------------------------------------------------------
# The public face
# ---------------------------------------------------------------------------


def initialize(
    run_name: str | None = None,
    output_root: str | os.PathLike[str] = OUTPUT_ROOT,
    *,
    console: bool | None = None,
) -> None:
    """Begin the run now, with this name, instead of asking when ``output_dir`` is first used.

    Args:
        run_name: directory below the root; groups are made with a slash (``"exp/OAI"``).
            None: FOOTSTEPS_NAME, else the question.
        output_root: where the runs lie.
        console: keep stdout and stderr in ``console.txt`` too (the installed package does; None:
            as FOOTSTEPS_CONSOLE says).

    Raises:
        NameRefused: (a ValueError) the name can't be a directory below the root.
        DirectoryRefused: (an OSError) the directory can't be made or written.
        FootstepsError: this process already has a run; ``finish()`` ends it.
    """
    with _lock():
        run = current()
        if run is not None and run.process == os.getpid():
            raise FootstepsError(
                f"this run already writes to {run.shown!r} (begun at {run.begun_at})",
                "footsteps.finish() ends it, then initialize() may begin another",
            )
        if run is None:
            _begin(run_name, output_root, {} if console is None else {"console": console})


def finish() -> None:
    """End the run as the program's end would; the next ``initialize`` or ``output_dir`` begins another."""
    with _lock():
        run = _shared.run
        if run is not None:
            run.end()
        _shared.run, _shared.initialized, _shared.output_dir_impl = None, False, None
        _tell_children(_shared.inherited)


def plot(name: str = "") -> None:
    """Save matplotlib's current figure as ``NNN_name.png`` in the run's directory, and clear it.

    Raises:
        FootstepsError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise FootstepsError("footsteps.plot needs matplotlib", "pip install matplotlib") from error
    directory = run_directory()
    run = current()
    metadata = run.figure_metadata() if run else {}
    number = run.next_figure() if run else _next_figure(directory, 0)
    plt.savefig(os.path.join(directory, _figure_name(number, name)), metadata=metadata)
    plt.clf()


def current() -> Run | None:
    """The run that this process writes to, if it has begun; never makes one."""
    if not _shared.initialized:
        return None
    run: Run | None = _shared.run
    return run


def note_arguments(values: Mapping[str, object], **facts: object) -> None:
    """Tell the run which arguments were parsed (``facts``: their hash_code and the like).

    Before a run has begun they wait for it and enter run.json; afterwards they are appended.
    """
    _shared.arguments = dict(values), dict(facts)
    run = current()
    if run is not None:
        run.append("arguments", {"arguments": dict(values), **facts})


def note_secrets(words: Iterable[str]) -> None:
    """Mask these words of the command line wherever it is recorded from now on: a parser knows what ``-p`` means."""
    _shared.secrets.update(filter(None, words))


def _figure_name(number: int, name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_.+=, " else "_" for c in str(name)).strip()
    safe = safe.encode()[:150].decode("utf-8", "ignore")  # a file's name has room for 255 bytes
    return f"{number:03d}_{safe}.png" if safe else f"{number:03d}.png"


def _next_figure(directory: str, least: int) -> int:
    starts = (name.partition(".")[0].partition("_")[0] for name in os.listdir(directory) if name.endswith(".png"))
    return max([least, *(int(start) + 1 for start in starts if _is_number(start))])


def run_directory() -> str:
    """The run's directory as the program shall use it; begins the run if there is none yet."""
    assigned: str | None = _shared.output_dir_impl
    run: Run | None = _shared.run
    if assigned is not None and (run is None or assigned != run.shown or _shared.initialized):
        return run.reachable(assigned) if run is not None else assigned
    with _lock():
        if _shared.output_dir_impl is None or not _shared.initialized:
            _begin(None, OUTPUT_ROOT, {})
        return run_directory()


def _begin(name: str | None, root: str | os.PathLike[str], options: dict[str, object]) -> None:
    """Join or make the run of this process; afterwards ``output_dir`` is known."""
    if _shared.beginning == os.getpid():  # not that of a parent, forked in this moment
        raise FootstepsError("output_dir was asked for while the run's directory was being made")
    _shared.beginning = os.getpid()
    try:
        if _shared.run is not None:  # begun afresh by `footsteps.initialized = False`
            _shared.run.end()
        run = parents_run() or _jobs_run(name, _checked_root(root), options)
        _shared.run, _shared.initialized, _shared.output_dir_impl = run, True, run.shown
    except (KeyboardInterrupt, FootstepsError) as error:  # the person's doing: where it arose in here tells nothing
        _hide_our_frames(error)
        raise
    finally:
        _shared.beginning = None
    _tell_children(run.ticket())
    run.begin_companions()


class Run:
    """The run that this process writes to.

    Attributes:
        directory: absolute, ends in "/".
        shown: the same as ``output_dir`` gives it, relative where the root is.
        record: the folder ``.footsteps`` in it.
        name: below the output root, with its number.
        id: unique for ever, sorts by time.
        pid: of the process that made the directory.
        process: pid of the process that this object was made in.
        made_here: this process made the directory (else it joined).
        facts: what run.json holds (of a joined run: nothing).
        options: further words of ``initialize``.
        figure_metadata: gives the text for the figures that ``plot`` saves; set by a companion.
        beside: the child that finishes the record; None if another process made it.
    """

    def __init__(self, shown: str, name: str, run_id: str, *, pid: int, made_here: bool) -> None:
        self.shown = shown
        self.made_in = _working_directory()
        self.directory = os.path.join(os.path.abspath(shown), "")
        self.record = os.path.join(self.directory, RECORD)
        self.name = name
        self.id = run_id
        self.pid = pid
        self.process = os.getpid()
        self.made_here = made_here
        self.begun_at = _caller()
        self.facts: dict[str, Any] = {}
        self.options: dict[str, object] = {}
        self.figure_metadata: Callable[[], dict[str, str]] = dict
        self.beside: Beside | None = None
        self._figures = 0
        self._endings: list[Callable[[], object]] = []

    def ticket(self) -> str:
        """What another process needs to join; JSON."""
        facts = {"pid": os.getpid(), "maker": self.pid, "id": self.id, "name": self.name}
        return json_text({**facts, "directory": self.directory, "shown": self.shown, "made_in": self.made_in})

    def reachable(self, path: str) -> str:
        """``path`` as given while the working directory is the run's, absolute once it is another."""
        if path == self.shown or path.startswith(self.shown):
            if os.path.isabs(path) or _working_directory() == self.made_in:
                return path
            return self.directory + path[len(self.shown) :]
        return path

    def append(self, kind: str, values: Mapping[str, object]) -> None:
        """Add a line to recorded.jsonl; what can't be written is lost with a line on stderr."""
        line = {"time": iso(time.time()), "kind": kind, "pid": os.getpid(), "values": dict(values)}
        try:
            append(os.path.join(self.record, RECORDED), (json_text(line) + "\n").encode("ascii"))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            say(f"not recorded ({kind}): {error}")

    def at_end(self, function: Callable[[], object]) -> None:
        """Have ``function`` called when the run ends, last come first, in the process that made it."""
        self._endings.append(function)

    def end(self) -> None:
        """Call what waits for the end, once, and only in the process that this object was made in."""
        endings, self._endings = self._endings, []
        if os.getpid() == self.process:
            for function in reversed(endings):
                quietly(function)

    def undo(self) -> None:
        """Leave nothing behind of a run that could not be made."""
        if self.beside is not None:
            self.beside.leave()
        remove(self.directory)

    def next_figure(self) -> int:
        """The number of the next figure: one above all that were made or are there."""
        number = _next_figure(self.directory, self._figures)
        self._figures = number + 1
        return number

    def begin_companions(self) -> None:
        """Hand the run to the package's companions and to COMPANIONS; none of them can hurt it."""
        for companion in (*_shared.companions, *COMPANIONS):
            quietly(_begin_companion, companion, self)


def _begin_companion(companion: Callable[[Run], object] | str, run: Run) -> None:
    if isinstance(companion, str):
        import importlib

        module, _, function = companion.partition(":")
        companion = getattr(importlib.import_module(module), function)
    companion(run)  # type: ignore[operator]


def quietly(function: Callable[..., object], *arguments: object) -> None:
    """Call it; law 1: an observer's trouble is a line on stderr, never an exception."""
    try:
        function(*arguments)
    except Exception as error:
        say(f"not recorded: {type(error).__name__}: {error}")


# ---------------------------------------------------------------------------
# State: one object for all copies of this file in a process, and one lock
# ---------------------------------------------------------------------------


def _shared_state() -> Any:
    """What a copied heart and the installed package share: found in sys.modules, so that it is one.

    The installed package may have laid its companions there before us.
    """
    new = ModuleType("_footsteps_shared", "The run of this process, shared by every copy of footsteps.")
    state: Any = sys.modules.setdefault("_footsteps_shared", new)
    if not hasattr(state, "companions"):
        state.companions, state.facts, state.doors = [], [], []
        state.open, state.imported_at = open, time.time()
    if not hasattr(state, "locks"):
        state.run, state.initialized, state.output_dir_impl = None, False, None
        state.beginning, state.arguments, state.packages = None, None, None
        state.inherited = os.environ.get(RUN_VARIABLE)  # the run of the program that launched this one
        atexit.register(lambda: state.run is not None and state.run.end())
        state.secrets = set()
        state.locks = {}
    return state


_shared = _shared_state()
if not TYPE_CHECKING:
    open = _shared.open  # noqa: A001 - the one that notes nothing: what we open is no input of the program's


def _lock() -> Any:
    """The lock around begin and end; one for each pid, as a fork may copy it while another thread holds it."""
    return _shared.locks.setdefault(os.getpid(), _thread.RLock())


class _Face(ModuleType):
    """A module whose ``output_dir`` makes the run, and whose state is the shared one.

    Properties of the class are not listed by dir(), so help(), inspect.getmembers, doctest and
    test collectors never make a run; and assignment works (``footsteps.output_dir_impl = ...``,
    ``footsteps.initialized = False``, which programs do), which module ``__getattr__`` lacks.
    """

    _ELSEWHERE = frozenset({"LTParser", "record", "reads", "path", "metadata"})

    @property
    def output_dir(self) -> str:
        """The run's directory, ending in a slash; the first look makes it."""
        try:
            return run_directory()
        except AttributeError as error:  # would be taken for "there is no output_dir"
            raise RuntimeError(f"footsteps could not make the run's directory: {error}") from error

    @output_dir.setter
    def output_dir(self, value: str) -> None:
        _shared.output_dir_impl, _shared.initialized = value, True

    @output_dir.deleter
    def output_dir(self) -> None:  # unittest.mock takes away what it has set: back to what the run says
        del self.output_dir_impl, self.initialized

    @property
    def initialized(self) -> bool:
        """Whether this process has a run."""
        return bool(_shared.initialized)

    @initialized.setter
    def initialized(self, value: bool) -> None:
        _shared.initialized = value

    @initialized.deleter
    def initialized(self) -> None:
        _shared.initialized = _shared.run is not None

    @property
    def output_dir_impl(self) -> str | None:
        """What ``output_dir`` gives, None before the run; programs assign it."""
        value: str | None = _shared.output_dir_impl
        return value

    @output_dir_impl.setter
    def output_dir_impl(self, value: str | None) -> None:
        _shared.output_dir_impl = value

    @output_dir_impl.deleter
    def output_dir_impl(self) -> None:
        _shared.output_dir_impl = _shared.run.shown if _shared.run is not None else None

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, as cloudpickle (loky, dask, ray) sends any module; it only knows ModuleType itself."""
        from importlib import import_module

        return import_module, (self.__name__,)

    def __getattr__(self, name: str) -> Any:
        if name in self._ELSEWHERE:
            # Of ImportError, `from footsteps import LTParser` shows the text; for hasattr it must be the other.
            kind = ImportError if name == "LTParser" else AttributeError
            raise kind(f"{name} is in the installed package, and {self.__file__} is a copy of its heart before it")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


# ---------------------------------------------------------------------------
# The name
# ---------------------------------------------------------------------------


def _chosen_name(given: str | None, root: str) -> str:
    """Argument, FOOTSTEPS_NAME, the terminal, a line of stdin, the script's name: the first there is."""
    for name, source in ((given, "run_name"), (os.environ.get(NAME_VARIABLE), NAME_VARIABLE)):
        if name is not None and (name != "" or source == "run_name"):
            return _checked_name(name, root, source)
    asked = _asked_name(root)
    if asked is not None:
        return _checked_name(asked.strip() or _script_name(), root, "standard input")
    name = _checked_name(_script_name(), root, "the script's name")
    say(f"no name for this run; taking {name!r} (set {NAME_VARIABLE}=<name> or call footsteps.initialize)")
    return name


def _asked_name(root: str) -> str | None:
    """What the person (or the pipe) at stdin answers; None if there is nobody to ask."""
    if _in_notebook():
        try:
            return _asked_by_input(root)
        except NotImplementedError:  # nbconvert, papermill: a kernel whose front end has no input box
            return None
    stdin = sys.stdin
    try:
        if stdin is None or stdin.closed or _program_comes_from_stdin():
            return None
        if stdin.isatty():
            return _asked_at_terminal(root)
        return _line_of(stdin)
    except (OSError, ValueError, AttributeError, RuntimeError):
        return None  # pytest's captured stdin, a pipe that broke, a stand-in without the methods


def _line_of(stdin: Any) -> str | None:
    """One line, and not a byte more: the rest is the program's. None at the end of the file."""
    _say_if_silent(stdin)
    chunk = getattr(stdin, "_CHUNK_SIZE", None)
    if chunk is None:
        line = stdin.readline()
    else:  # with chunks of one byte TextIOWrapper asks the pipe for no more than the line
        stdin._CHUNK_SIZE = 1
        try:
            line = stdin.readline()
        finally:
            stdin._CHUNK_SIZE = chunk
    return str(line) if line else None


def _say_if_silent(stdin: Any) -> None:
    """While an open pipe brings nothing, a line on stderr tells what the program waits for."""
    try:
        import select

        ready = select.select([stdin.fileno()], [], [], 1.0)[0] if os.name == "posix" else []
    except (OSError, ValueError, AttributeError):
        return  # a StringIO: nothing to wait for
    if not ready:
        say(f"waiting for a line with the experiment's name on stdin (or set {NAME_VARIABLE}=<name>)")


def _program_comes_from_stdin() -> bool:
    return sys.argv[:1] in (["-"], [""]) and _main_program()["kind"] == "stdin"


def _script_name() -> str:
    """A name for the run from what is running: stem of the script, last part of the module."""
    main = _main_program()
    kind, path = main["kind"], main["path"] or ""
    if kind == "module":
        parts = [part for part in (main["module"] or "").split(".") if part != "__main__"]
        return _as_name(parts[-1] if parts else "run")
    if kind in ("script", "zipapp", "notebook") and path:
        stem = os.path.splitext(os.path.basename(os.path.normpath(path)))[0]
        return _as_name(os.path.basename(os.path.dirname(path)) if stem == "__main__" else stem)
    return str(kind)


def _as_name(text: str) -> str:
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text).strip(". ")
    return kept[:100] or "run"


def _checked_name(name: str, root: str, source: str) -> str:
    """The name, cleaned of doubled slashes.

    Raises:
        NameRefused: why it can't be a directory here, and what would do.
    """
    why = why_refused(name, root)
    if why:
        raise NameRefused(f"run name {name!r} (from {source}) {why[0]}", why[1])
    return "/".join(part for part in name.strip().split("/") if part)


def _checked_root(root: str | os.PathLike[str]) -> str:
    """The output root as text.

    Raises:
        NameRefused: no directory can be called so.
        DirectoryRefused: it is relative, and the working directory has been deleted.
    """
    if not isinstance(root, (str, bytes, os.PathLike)):
        raise NameRefused(f"output_root {root!r} is no path", f'use one such as "{OUTPUT_ROOT}"')
    text = os.fsdecode(root)
    text = text if isinstance(root, str) else os.path.join(text, "")  # nobody took a Path for the name
    if any(not c.isprintable() and not "\udc80" <= c <= "\udcff" for c in text):
        raise NameRefused(f"output_root {text!r} holds a control character", f'use one such as "{OUTPUT_ROOT}"')
    if not os.path.isabs(text) and _working_directory() is None:
        hint = 'footsteps.initialize("<name>", output_root="<absolute path>"), or start from another directory'
        raise DirectoryRefused(f"the working directory, and {text!r} in it, has been deleted", hint)
    return text


def why_refused(name: str, root: str = OUTPUT_ROOT) -> tuple[str, str] | None:
    """Why this can't be a run's name below ``root``, and what would do; None if it can."""
    if not isinstance(name, str):
        return "is no text", 'use a name such as "unet"'
    parts = [part for part in name.strip().split("/") if part]
    better = "use a name such as " + repr("-".join(_as_name(p) for p in parts if set(p) - {"."}) or "unet")
    if any(not c.isprintable() and not "\udc80" <= c <= "\udcff" for c in name.strip()):
        return "holds a control character", better
    if not parts or all(set(part) <= {"."} for part in parts):
        return "is empty" if not parts else "is only dots", better
    if name.strip().startswith(("/", "~/")) or (os.name == "nt" and (":" in name or "\\" in name)):
        return "leaves the output root", f"{better}, and output_root= for the directory it lies in"
    if name.strip().endswith("/") and not os.fspath(root).endswith("/"):
        return "looks like an output root", f"initialize({os.fspath(root)!r}, output_root={name!r})"
    if any(set(part) <= {"."} for part in parts):
        return "leaves the output root", better
    if any(part.lower() == RECORD or part != part.strip() for part in parts):
        return "has a part that can't be a run's name", better
    return _why_not_on_disk(parts) or _why_in_the_way(os.fspath(root), parts)


def _why_not_on_disk(parts: list[str]) -> tuple[str, str] | None:
    try:
        if any(len(os.fsencode(part)) > 250 for part in parts):  # 255, less the room for -1234
            return "is too long for a directory", "use a name of at most 250 bytes"
    except UnicodeEncodeError:  # an ASCII or Latin-1 locale
        return f"can't be written in this locale's {sys.getfilesystemencoding()}", "set PYTHONUTF8=1, or use ASCII"
    if os.name == "nt" and any(_is_reserved(part) for part in parts):
        return "is reserved by Windows", "use another name"
    return None


def _why_in_the_way(root: str, parts: list[str]) -> tuple[str, str] | None:
    path = root
    for part in parts[:-1]:
        path = os.path.join(path, part)
        if os.path.lexists(path) and not os.path.isdir(path):
            return f"needs the group {path!r}, which is a file", "use another group, or move that file away"
    return None


_RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}


def _is_reserved(part: str) -> bool:
    """Whether Windows can't have a file of this name."""
    return part.split(".", maxsplit=1)[0].strip().lower() in _RESERVED or part[-1:] in (".", " ")


# ---------------------------------------------------------------------------
# The prompt
# ---------------------------------------------------------------------------

QUESTION = "Input name of experiment:"


def _asked_at_terminal(root: str) -> str:
    """Ask the person; Ctrl-C and Ctrl-D end the program as they would anywhere, without our frames."""
    try:
        if os.environ.get("TERM", "").lower() not in ("dumb", "unknown", ""):
            try:
                import prompt_toolkit  # noqa: F401 - only whether it is there

                if not _is_typed_ahead():
                    return _asked_by_prompt_toolkit(root)
            except ImportError:
                pass
        return _asked_by_input(root)
    except EOFError:
        _end_program()
        raise SystemExit(f"footsteps: {_NO_NAME}") from None
    except KeyboardInterrupt:
        _end_program()
        raise


_NO_NAME = "no name given, nothing was made"


def _end_program() -> None:
    """Asked from a second thread: what we raise would end that alone, so the first gets the Ctrl-C that it is."""
    import signal
    import threading

    first = threading.main_thread()
    if threading.current_thread() is not first and hasattr(signal, "pthread_kill"):
        say(_NO_NAME)  # of a thread's SystemExit nothing is shown
        signal.pthread_kill(first.ident or 0, signal.SIGINT)
        raise SystemExit from None


def _is_typed_ahead() -> bool:
    """Whether the answer is there before the question: prompt_toolkit would swallow the lines after it too."""
    import select

    return os.name == "posix" and bool(select.select([sys.stdin.fileno()], [], [], 0.0)[0])


def _asked_by_input(root: str) -> str:
    """The plain question: a dumb terminal, a notebook's input box, no prompt_toolkit, an answer that is there."""
    note = ""
    while True:
        answer = _input(f"{note}{QUESTION}\n")
        why = why_refused(answer, root) if answer.strip() else None
        if why is None:
            return answer
        note = f"{answer.strip()!r} {why[0]}; {why[1]}\n"


def _input(question: str) -> str:
    """input(), whose question is seen on the terminal also when stdout is sent to a file."""
    whole = None not in (sys.stdout, sys.stderr)  # without a stderr input() raises
    if _in_notebook() or (whole and sys.stdout.isatty()):
        return input(question)
    _put(_terminal(), question)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _terminal() -> Any:
    """Where the person looks: stdout, stderr, or with both sent to files the terminal itself."""
    stream = next((s for s in (sys.stdout, sys.stderr) if s is not None and s.isatty()), None)
    return stream or open("/dev/tty" if os.name == "posix" else "CONOUT$", "w", encoding="utf-8")


def _asked_by_prompt_toolkit(root: str) -> str:
    """The question with completion, in a thread of its own.

    asyncio.run, which prompt_toolkit uses, would leave the main thread without its event loop and
    sets signal handlers there; a thread leaves both as they were, and works inside a running loop.
    """
    import threading

    changes, sessions, outcome = _Changes(root), [], []

    def ask() -> None:
        try:
            sessions.append(_prompt_session(root, changes))
            outcome.append(sessions[0].prompt(handle_sigint=False))
        except BaseException as error:
            outcome.append(error)
        done.set()

    done = threading.Event()  # an interrupted Thread.join() takes the thread for ended (Python < 3.13)
    threading.Thread(target=ask, name="footsteps-prompt", daemon=True).start()
    try:
        done.wait()
    except BaseException:  # `kill -INT`: the terminal is given back before we go
        _leave_prompt(sessions, done)
        raise
    finally:
        changes.stop()
    if isinstance(outcome[0], BaseException):
        raise type(outcome[0])(*outcome[0].args) from None
    return str(outcome[0])


def _leave_prompt(sessions: Sequence[Any], done: threading.Event) -> None:
    """Have the question end as by Ctrl-D, also if it is only about to begin."""
    for _ in range(50):
        try:
            sessions[0].app.loop.call_soon_threadsafe(lambda: sessions[0].app.exit(exception=EOFError()))
        except (IndexError, AttributeError, RuntimeError):
            pass
        if done.wait(0.1):
            return


def _prompt_session(root: str, changes: _Changes) -> Any:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.filters import to_filter
    from prompt_toolkit.output import create_output
    from prompt_toolkit.validation import ValidationError, Validator

    class Runs(Completer):
        def get_completions(self, document: Any, _: object) -> Iterator[Any]:
            for name in completions(document.text_before_cursor, root):
                yield Completion(name, start_position=-len(document.text_before_cursor))

    class Names(Validator):
        def validate(self, document: Any) -> None:
            why = why_refused(document.text, root) if document.text.strip() else None
            if why:
                raise ValidationError(len(document.text), f"this name {why[0]}")  # below() has what would do

    def below() -> str:
        buffer = session.default_buffer
        why = why_refused(buffer.text, root) if buffer.validation_error else None
        return f" {why[1] if why else _live_line(buffer.text, root)}{changes.text}"

    session: Any = PromptSession(
        f"{QUESTION}\n",
        completer=Runs(),
        complete_while_typing=False,
        validator=Names(),
        validate_while_typing=False,
        bottom_toolbar=below,
        refresh_interval=0.5,
        reserve_space_for_menu=6,
        output=create_output(stdout=_terminal()),
    )
    for window in session.layout.find_all_windows():
        if window.style == "class:bottom-toolbar":
            window.wrap_lines = to_filter(True)  # a long path, or why a name is refused, is read to its end
    return session


def completions(text: str, root: str) -> list[str]:
    """Runs and groups (with a slash) whose path begins so, newest first, whatever their case."""
    group, _, start = text.rpartition("/")
    if text.startswith("/") or ".." in group.split("/"):  # not below the root
        return []
    try:
        with os.scandir(os.path.join(root, group)) as found:
            entries = [(e.stat().st_mtime, e.name) for e in found if e.is_dir() and not e.name.startswith(".")]
    except (OSError, ValueError):
        return []
    names = [n for _, n in sorted(entries, reverse=True) if n.lower().startswith(start.lower())]
    start = f"{group}/" if group else ""
    return [start + _with_slash(root, group, name) for name in names]


def _with_slash(root: str, group: str, name: str) -> str:
    """A group is completed with its slash; a run is not."""
    return name if os.path.exists(os.path.join(root, group, name, INFO)) else name + "/"


def _live_line(text: str, root: str) -> str:
    """What the name would become, or why it can't: the line under the prompt."""
    name = text.strip() or _script_name()
    why = why_refused(name, root)
    if why:
        return f"this name {why[0]}; {why[1]}"
    path, n = _next_free(os.path.join(root, *[part for part in name.split("/") if part]))
    return f"{path if n is None else f'{path}-{n}'}/"


class _Changes:
    """How many files differ from the commit: `text` tells it once git has, while the person types."""

    def __init__(self, root: str) -> None:
        self.text = ""
        self.status: GitProcess | None = None
        top = _repository_root(_working_directory())
        try:
            self.status = start_git("status", *_COUNT, cwd=top) if top else None
        except GitError:
            pass
        if top and self.status:
            import threading

            real, below = os.path.realpath(top), os.path.realpath(root)
            runs = os.path.relpath(below, real) + "/" if below.startswith(os.path.join(real, "")) else "/"
            self.counter = threading.Thread(target=self.count, args=(os.fsencode(runs),), daemon=True)
            self.counter.start()

    def count(self, runs: bytes) -> None:
        """Read what git says; what lies in the output root is no code."""
        try:
            lines = self.status.result(GIT_TIMEOUT).split(b"\0") if self.status else []
        except GitError:
            return
        number = sum(bool(line) and not line[3:].startswith(runs) for line in lines)
        self.text = f"   {number} uncommitted file{'s'[: number != 1]}" if number else ""

    def stop(self) -> None:
        """Nobody looks any more."""
        if self.status:
            self.status.strike()
            self.counter.join(1.0)


_COUNT = ("--porcelain", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")


def _hide_our_frames(error: BaseException) -> None:
    """Have this one exception, if nobody catches it, shown without the frames of this file."""
    before = getattr(sys.excepthook, "before", sys.excepthook)  # a start may be tried a thousand times
    mark = vars(error)["hides"] = object()  # the exception itself would keep the program's frames alive
    if isinstance(error, KeyboardInterrupt):
        vars(error)["_render_traceback_"] = _shown_in_ipython

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        sys.excepthook = before
        if vars(value).get("hides") is mark:
            trace = _without_ours(trace)
            value = value.with_traceback(trace)  # what Python itself prints is this one
            value.__cause__ = None  # its message tells it
        before(kind, value, trace)

    vars(hook)["before"] = before
    sys.excepthook = hook


def _shown_in_ipython() -> list[str]:
    """What IPython, which asks the exception for its lines, prints after Ctrl-C; no lambda, as errors are pickled."""
    return ["KeyboardInterrupt"]


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The frames above the first of ours: what lies below it is what we have called."""
    from types import TracebackType

    if trace is None or _is_ours(trace.tb_frame):
        return None
    return TracebackType(_without_ours(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _is_ours(frame: FrameType) -> bool:
    here, file = os.path.dirname(__file__), frame.f_code.co_filename
    return file == __file__ or (__package__ == "footsteps" and os.path.dirname(file) == here)


def _caller() -> str:
    """Where the program is that made us do this, "train.py:12"."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (_is_ours(frame) or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs us: its input() is the notebook's own box."""
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


# ---------------------------------------------------------------------------
# The directory: claimed by mkdir alone
# ---------------------------------------------------------------------------


def _claim(root: str, name: str) -> tuple[str, str]:
    """Make ``root/name``, or ``root/name-N`` with N above all there are: (path shown, name).

    Raises:
        DirectoryRefused: nothing was made.
    """
    base = os.path.join(root, *name.split("/"))
    try:
        os.makedirs(os.path.dirname(base) or ".", exist_ok=True)
        path = _made_numbered(base)
    except OSError as error:
        raise DirectoryRefused(
            f"the run's directory {base!r} can't be made: {_in_the_way(base) or error.strerror or error}",
            'footsteps.initialize("<name>", output_root="<a directory that you can write>")',
            error,
        ) from error
    return os.path.join(path, ""), name + path[len(base) :]


def _in_the_way(path: str) -> str | None:
    """What lies on the way to this directory and is none: "'results' is a file"."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    if not path or os.path.isdir(path):
        return None
    return f"{path!r} is {'a file' if os.path.exists(path) else 'a link that leads nowhere'}"


def _made_numbered(base: str) -> str:
    """The directory that this process, and no other, has made."""
    for _ in range(10_000):
        path, n = _next_free(base)
        try:
            os.mkdir(path if n is None else f"{path}-{n}")
        except FileExistsError:
            continue
        return path if n is None else f"{path}-{n}"
    raise FileExistsError(17, "every number was taken")


def _next_free(base: str) -> tuple[str, int | None]:
    """(base, None) if it is free, else (base, one above the highest number there)."""
    if not os.path.lexists(base):
        return base, None
    parent, name = os.path.split(base)
    start = name.lower() + "-"  # macOS and Windows don't tell unet-1 from UNet-1
    try:
        found = [e[len(start) :] for e in os.listdir(parent or ".") if e.lower().startswith(start)]
    except OSError:
        found = []
    return base, max((int(n) for n in found if n.isascii() and n.isdigit()), default=0) + 1


# ---------------------------------------------------------------------------
# git: one function starts it
# ---------------------------------------------------------------------------

# Before every command, each with its reason.
_GIT = (
    "--no-optional-locks",  # a background `git status` took index.lock from people who were committing
    "--no-pager",
    "--literal-pathspecs",  # a file may be called *.py
    "--no-replace-objects",  # what `git replace` shows of a commit is not what its id says
    *("-c", "core.fsmonitor=false"),  # a hook, or a daemon that outlives us
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.trustctime=true"),  # an edit of the same size with the old mtime put back shows in ctime alone
    *("-c", "core.checkStat=default"),
    *("-c", "core.safecrlf=false"),  # a warning for each file
    *("-c", "submodule.recurse=false"),
    *("-c", "core.symlinks=true"),  # set to false, a file in place of a link is that link to git
    *("-c", "diff.orderFile=/dev/null"),  # set to a file that is gone, it makes git exit with 128
)
# Of GIT_*, only what says which configuration is read and how to connect: a script started from a
# hook inherits GIT_DIR and GIT_INDEX_FILE of another repository. (This forgoes a deliberate GIT_DIR.)
_GIT_KEPT = (
    "GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSL", "GIT_ASKPASS", "GIT_CEILING_DIRECTORIES",
    "GIT_HTTP_", "GIT_PROXY", "GIT_CURL", "GIT_TEMPLATE_DIR", "GIT_ATTR_NOSYSTEM",
)  # fmt: skip
# While recording, git must not reach for the network (a partial clone fetches what it misses).
_OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}


def git(
    *args: str,
    cwd: str | os.PathLike[str],
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> bytes:
    """What ``git ARGS`` prints, run in ``cwd``.

    Args:
        stdin: what it reads; None: nothing.
        env: environment variables to add.
        timeout: seconds; None: as long as it takes.

    Raises:
        GitError: it ended with another status than 0, took too long, or is not there.
    """
    return start_git(*args, cwd=cwd, stdin=stdin, env=env).result(timeout)


def start_git(
    *args: str,
    cwd: str | os.PathLike[str],
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> GitProcess:
    """Start ``git ARGS`` in ``cwd``; ``result`` collects it. Raises GitError if there is no git."""
    return GitProcess(args, cwd, stdin, env)


class GitProcess:
    """A git that runs beside us."""

    warnings = b""  # what it said on stderr, once it is collected

    def __init__(
        self, args: Sequence[str], cwd: str | os.PathLike[str], stdin: bytes | None, env: Mapping[str, str] | None
    ) -> None:
        self.args = _without_settings(args)
        if not os.path.isdir(cwd):
            raise GitError(args, None, f"{os.fspath(cwd)!r} is not there")
        argv = ["git", "-C", os.fspath(cwd), *_GIT, *args]
        try:
            self._child = _child()(argv, {**_git_environment(), **(env or {})}, stdin)
        except FileNotFoundError as error:
            raise GitError(args, None, "git was not found on PATH") from error
        except OSError as error:
            raise GitError(args, None, f"git could not be started: {error.strerror}") from error

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._child.status() is not None

    def result(self, timeout: float | None = None) -> bytes:
        """What it printed.

        Raises:
            GitError: status other than 0, or not done within ``timeout`` seconds (it is killed then).
        """
        return self.result_within(None, timeout)[0]

    def result_within(self, size: int | None, timeout: float | None) -> tuple[bytes, bool]:
        """(the first ``size`` bytes of what it prints, whether that is all); raises as ``result`` does."""
        try:
            out, err = self._child.read(size, timeout)
            self.warnings = err
        except TimeoutError as error:
            self.kill()
            raise self.too_late(timeout) from error
        except BaseException:  # the terminal's Ctrl-C, which it does not hear itself
            self.kill()
            raise
        if size is not None and len(out) > size:
            self.kill()
            return out[:size], False
        try:
            status = self._child.wait(timeout)
        except TimeoutError as error:
            self.kill()
            raise self.too_late(timeout) from error
        if status:
            first = err.decode("utf-8", "replace").strip().split("\n")[0][:500]
            raise GitError(self.args, status, printable(mask(first)))
        return out, True

    def too_late(self, timeout: float | None) -> GitError:
        """What to raise once it is killed; of several gits the last may have had no time left."""
        spent = f"more than {timeout:.0f} s" if timeout and timeout >= 0.5 else "too long"
        return GitError(self.args, None, f"git {self.args[0]} took {spent}")

    def kill(self) -> None:
        """End it and what it started (a stub's `sleep` would hold our pipe)."""
        self._child.kill()

    def strike(self) -> None:
        """The same for one whose result another thread is reading."""
        self._child.strike()


def _without_settings(args: Sequence[str]) -> Sequence[str]:
    """The command itself, for messages."""
    return _without_settings(args[2:]) if args[0] == "-c" else args


def _child() -> type[_Spawned | _Opened]:
    return _Spawned if hasattr(os, "posix_spawnp") else _Opened


class _Spawned:
    """A child process with two pipes, by posix_spawn: importing subprocess would cost more than git itself."""

    def __init__(self, argv: list[str], env: Mapping[str, str], stdin: bytes | int | None) -> None:
        self.pipes: dict[int, bytearray] = {}
        self.code: int | None = None
        ours, moves = [], []
        try:
            for number in (1, 2):
                end, theirs = _pipe()
                self.pipes[end] = bytearray()
                ours.append(theirs)
                moves.append((os.POSIX_SPAWN_DUP2, theirs, number))
            ours.append(_source(stdin))
            moves.append((os.POSIX_SPAWN_DUP2, _above_std(ours[-1], ours), 0))
            self.pid = _spawn(argv, env, moves)
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in set(ours):
                os.close(descriptor)

    def read(self, size: int | None, timeout: float | None) -> tuple[bytes, bytes]:
        """(stdout, stderr) until both end, or until more than ``size`` bytes came. Raises TimeoutError."""
        import select

        until = None if timeout is None else time.monotonic() + timeout
        poll, (out, err) = select.poll(), self.pipes
        left = {out, err}
        for descriptor in left:
            poll.register(descriptor, select.POLLIN)
        while left and (size is None or len(self.pipes[out]) <= size):
            ready = poll.poll(50)
            if not ready and self.status() is not None:
                break  # our end of the pipe was forked into a worker in the wrong moment, so it has no end
            if until is not None and time.monotonic() > until:
                raise TimeoutError
            for descriptor, _ in ready:
                piece = os.read(descriptor, 1 << 16)
                self.pipes[descriptor] += piece
                if not piece:
                    poll.unregister(descriptor)
                    left.discard(descriptor)
        said = bytes(self.pipes[out]), bytes(self.pipes[err])
        self.close()
        return said

    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.reaped(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended; negative for a signal. Raises TimeoutError."""
        until, pause = time.monotonic() + (timeout or 0.0), 0.00005
        while (status := self.reaped(0 if timeout is None else os.WNOHANG)) is None:
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        return status

    def reaped(self, flags: int) -> int | None:
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, flags)
                self.code = os.waitstatus_to_exitcode(status) if pid else None
            except ChildProcessError:  # the program's own os.wait() had it, or SIGCHLD is ignored
                self.code = 0
        return self.code

    def kill(self) -> None:
        """End it with all that it started."""
        if self.code is None:
            self.strike()
            self.reaped(0)
        self.close()

    def strike(self) -> None:
        """Send it and all that it started the signal that ends them."""
        if self.code is None:
            try:
                os.killpg(self.pid, 9)
            except OSError:
                pass

    def close(self) -> None:
        while self.pipes:
            os.close(self.pipes.popitem()[0])


def _spawn(argv: list[str], env: Mapping[str, str], moves: Sequence[tuple[int, int, int]]) -> int:
    """The pid of a program started in a session of its own: the terminal's Ctrl-C is not for it."""
    import _signal  # type: ignore[import-not-found]  # signal itself makes enums

    usual = (_signal.SIGPIPE, _signal.SIGCHLD)  # what the program ignores, its children would ignore too
    try:
        return os.posix_spawnp(argv[0], argv, env, file_actions=moves, setsigdef=usual, setsid=True)
    except NotImplementedError:  # before macOS 10.15
        return os.posix_spawnp(argv[0], argv, env, file_actions=moves, setsigdef=usual, setpgroup=0)


class _Opened:
    """The same by subprocess, where there is no posix_spawn."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], stdin: bytes | None) -> None:
        import subprocess

        self.stdin = stdin
        source, pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE, subprocess.PIPE
        self.process = subprocess.Popen(argv, env=dict(env), stdin=source, stdout=pipe, stderr=pipe)

    def read(self, size: int | None, timeout: float | None) -> tuple[bytes, bytes]:
        """(stdout, stderr) to their end; more than ``size`` is read and cut later. Raises TimeoutError."""
        import subprocess

        del size
        try:
            return self.process.communicate(self.stdin, timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. Raises TimeoutError."""
        import subprocess

        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def kill(self) -> None:
        """End it."""
        self.process.kill()

    strike = kill


def _pipe() -> tuple[int, int]:
    """Both ends above 2, so that a program which has closed its own 0, 1 and 2 can start a child too."""
    one, other = os.pipe()
    return _above_std(one, None), _above_std(other, None)


def _above_std(descriptor: int, owners: list[int] | None) -> int:
    """The descriptor, or (in its place among ``owners``) a copy of it above 2."""
    if descriptor > 2:
        return descriptor
    import fcntl

    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    if owners is None:
        os.close(descriptor)
    else:
        owners.append(copy)
    return copy


def _source(stdin: bytes | int | None) -> int:
    """A descriptor from which a child reads these bytes, whatever their number; nothing; or what it is given."""
    if isinstance(stdin, int):
        return stdin
    if stdin is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    import tempfile

    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    while stdin:
        stdin = stdin[os.write(descriptor, stdin) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _git_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_GIT_KEPT)}
    return {**kept, "LC_ALL": "C.UTF-8", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


# --- what plain files tell, without a process ---


def _repository_root(path: str | None) -> str | None:
    """The folder above (or at) ``path`` that holds a .git, None outside of repositories."""
    while path:
        if os.path.lexists(os.path.join(path, ".git")):
            return path
        parent = os.path.dirname(path)
        if parent == path:
            return None
        path = parent
    return None


def _git_dir(root: str) -> str:
    """The git directory of a work tree: .git itself, or where the file .git says (submodule, worktree)."""
    dot_git = os.path.join(root, ".git")
    said = text_of(dot_git) if os.path.isfile(dot_git) else ""
    return os.path.join(root, said[len("gitdir:") :].strip()) if said.startswith("gitdir:") else dot_git


def _common_dir(git_dir: str) -> str:
    """Where refs, objects and config are: of a linked worktree, the main repository's."""
    said = text_of(os.path.join(git_dir, "commondir")).strip()
    return os.path.normpath(os.path.join(git_dir, said)) if said else git_dir


def text_of(path: str) -> str:
    """The file as text, "" if it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _ref(git_dir: str, common: str, name: str, depth: int = 5) -> str:
    """The commit that a ref names, "" if plain files don't tell (reftable)."""
    text = (text_of(os.path.join(git_dir, name)) or text_of(os.path.join(common, name))).strip()
    if text.startswith("ref:"):
        return _ref(git_dir, common, text[4:].strip(), depth - 1) if depth else ""
    if text:
        return text
    for line in text_of(os.path.join(common, "packed-refs")).splitlines():
        if line.endswith(" " + name):
            return line.split(" ", 1)[0]
    return ""


def _config_of(path: str) -> list[tuple[str, str]]:
    """(section.key, value) of a git config file, in order; includes are not followed."""
    found, section = [], ""
    for line in text_of(path).replace("\\\n", "").splitlines():
        text = line.strip()
        if text.startswith("["):
            head, _, text = text[1:].partition("]")
            name, _, sub = head.partition(" ")
            section = name.lower() + (f".{sub.strip().strip(chr(34))}" if sub else "")
            text = text.strip()
        if text and text[0] not in "#;":
            key, _, value = text.partition("=")
            found.append((f"{section}.{key.strip().lower()}", value.strip().strip('"')))
    return found


def _remotes(common: str) -> list[dict[str, str]]:
    """Name and URL of each remote, without credentials; origin first."""
    found = [
        {"name": key[len("remote.") : -len(".url")], "url": mask(value)}
        for key, value in _config_of(os.path.join(common, "config"))
        if key.startswith("remote.") and key.endswith(".url")
    ]
    return sorted(found, key=lambda remote: remote["name"] != "origin")


def _default_branches(git_dir: str, common: str, remotes: Iterable[Mapping[str, str]]) -> list[str]:
    """The refs that stand for the remotes' default branches, as this clone last saw them."""
    refs = []
    for remote in remotes:
        base = f"refs/remotes/{remote['name']}/"
        said = text_of(os.path.join(common, base + "HEAD")).strip()
        if said.startswith("ref:"):
            refs.append(said[4:].strip())
        else:
            refs += [base + n for n in ("main", "master") if _ref(git_dir, common, base + n)][:1]
    return refs


def _may_have_tags(common: str) -> bool:
    """Whether `git describe` could name a tag; without any it is the short hash, one process less."""
    return _has_refs(common, "tags") or os.path.isdir(os.path.join(common, "reftable"))


def _has_refs(common: str, kind: str) -> bool:
    """Whether plain files tell of a ref below ``refs/<kind>/``."""
    try:
        loose = any(True for _ in os.scandir(os.path.join(common, "refs", kind)))
    except OSError:
        loose = False
    return loose or f" refs/{kind}/" in text_of(os.path.join(common, "packed-refs"))


def _commit_url(remote: str, commit: str) -> str | None:
    """The page of a commit on the forge that the remote is, None if it is none that we know."""
    text = remote.partition("://")[2] if "://" in remote else remote.replace(":", "/", 1)
    host, _, path = text.rpartition("@")[2].partition("/")
    host, path = host.partition(":")[0].lower(), path.strip("/").removesuffix(".git")
    if not path or not all(c.isalnum() or c in "-._~/" for c in host + path):
        return None
    if "gitlab" in host:
        return f"https://{host}/{path}/-/commit/{commit}"
    if host == "bitbucket.org":
        return f"https://{host}/{path}/commits/{commit}"
    if host == "github.com" or host.startswith(("github.", "gitea.", "forgejo.")) or host == "codeberg.org":
        return f"https://{host}/{path}/commit/{commit}"
    if host == "git.sr.ht":
        return f"https://{host}/{path}/commit/{commit}"
    return None


class _OddIndex(Exception):
    """An index that git has to read: split, sparse, version 4, damaged."""


class _Index:
    """What git tracks; an entry is (path, mode, blob id, hidden).

    Hidden entries are those that git does not look at: assume-unchanged, skip-worktree. The others
    are taken apart only where somebody asks for them: fifty thousand cost as much as git itself.

    Attributes:
        paths: of all entries.
        odd: the hidden entries, and the submodules.
        entries: gives all of them.
        sizes: of the plain files on disk, modulo 2**32, when git last looked; None where git was asked instead of
            its file. Taken at once, for we wait for git anyway.
    """

    def __init__(
        self,
        paths: list[bytes],
        odd: list[Entry],
        entries: Callable[[], Iterable[Entry]],
        sizes: dict[bytes, int] | None,
    ) -> None:
        self.paths, self.odd, self.entries, self.sizes = paths, odd, entries, sizes

    @classmethod
    def of(cls, path: str, id_length: int) -> _Index:
        """An index file of version 2 or 3. Source of the format: git's Documentation/gitformat-index."""
        try:
            data = _bytes_of(path)
        except FileNotFoundError:
            return cls([], [], list, {})
        if data[:4] != b"DIRC" or data[4:8] not in (b"\0\0\0\2", b"\0\0\0\3"):
            raise _OddIndex
        try:
            paths, starts, odd, end = _index_layout(data, id_length)
        except (IndexError, ValueError) as error:
            raise _OddIndex from error
        while end < len(data) - id_length:
            if data[end : end + 4] in (b"link", b"sdir"):  # split index, sparse index
                raise _OddIndex
            end += 8 + int.from_bytes(data[end + 4 : end + 8], "big")
        return cls(
            paths,
            [_index_entry(data, id_length, at) for at in odd],
            lambda: (_index_entry(data, id_length, at) for at in starts),
            {
                path: int.from_bytes(data[at + 36 : at + 40], "big")
                for path, at in zip(paths, starts, strict=True)
                if data[at + 26] == 0x81
            },
        )

    @classmethod
    def listed(cls, out: bytes) -> _Index:
        """The same from ``git ls-files -v --stage -z``."""
        found: list[Entry] = []
        for line in out.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            if path:
                tag, mode, blob = facts.split(b" ")[:3]
                found.append((path, int(mode, 8), bytes.fromhex(blob.decode()), tag.islower() or tag == b"S"))
        odd = [entry for entry in found if entry[3] or entry[1] == 0o160000]
        return cls([entry[0] for entry in found], odd, lambda: found, None)


def _index_layout(data: bytes, id_length: int) -> tuple[list[bytes], list[int], list[int], int]:
    """(paths, where each entry begins, those of the odd ones, where the entries end) of an index file's bytes."""
    paths, starts, odd, at = [], [], [], 12
    flags, name = 40 + id_length, 42 + id_length
    for _ in range(int.from_bytes(data[8:12], "big")):
        begin = at + name
        if data[at + flags] & 0xC0 or data[at + 26] == 0xE0:  # assume-unchanged, more flags; a submodule
            odd.append(at)
            begin += 2 if data[at + flags] & 0x40 else 0
        end = data.index(b"\0", begin)
        paths.append(data[begin:end])
        starts.append(at)
        at += (end - at) // 8 * 8 + 8
    return paths, starts, odd, at


def _index_entry(data: bytes, id_length: int, at: int) -> Entry:
    """The entry that begins there."""
    flags, begin = data[at + 40 + id_length], at + 42 + id_length
    more = data[begin] if flags & 0x40 else 0
    begin += 2 if flags & 0x40 else 0
    blob, mode = data[at + 40 : at + 40 + id_length], int.from_bytes(data[at + 24 : at + 28], "big")
    return data[begin : data.index(b"\0", begin)], mode, blob, bool(flags & 0x80 or more & 0x40)


# ---------------------------------------------------------------------------
# Code, exactly: a commit and the whole files that differ from it
# ---------------------------------------------------------------------------


class _Budget:
    """How much may still be kept, over all repositories of a record."""

    def __init__(self) -> None:
        self.bytes, self.files = MAX_TOTAL, MAX_FILES

    def refusal(self, path: str, size: int) -> str:
        """Why a file of this name and size is not kept; "" if it is (and then it counts)."""
        if looks_secret(path):
            return "its name looks like a secret's"
        if size > MAX_FILE:
            return f"larger than {MAX_FILE // MIB} MiB"
        if size > self.bytes:
            return f"more than {MAX_TOTAL // MIB} MiB in all"
        if not self.files:
            return f"more than {MAX_FILES} files"
        self.bytes -= size
        self.files -= 1
        return ""


def looks_secret(path: str) -> bool:
    """Whether a file of this name is never copied (SECRET_NAMES)."""
    name = path.rpartition("/")[2].lower()
    return any(_fits(name, p) for p in SECRET_NAMES) and not any(_fits(name, p) for p in NO_SECRETS)


def is_bytecode(path: str) -> bool:
    """Whether Python made this file of another: kept like any other, but no part of a code's identity.

    Its header holds the source's mtime, and it appears with the first run.
    """
    return path.endswith((".pyc", ".pyo"))


def _fits(name: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return name == pattern
    if "*" in end:
        return start in name
    return name.startswith(start) and name.endswith(end) and len(name) >= len(pattern) - 1


class _Tree:
    """Files below one folder on their way into the record; the part that needs no git."""

    def __init__(self, root: str, role: str, name: str, inside: dict[str, str] | None, budget: _Budget) -> None:
        self.root, self.role, self.name, self.inside, self.budget = root, role, name, inside, budget
        self.real = os.path.join(os.path.realpath(root), "")
        self.files: list[dict[str, Any]] = []
        self.left_out: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.kept: list[tuple[str, bytes]] = []  # (stored name, bytes), written by Code.keep
        self.identity: list[str] = []  # what enters the code id
        self.facts: dict[str, Any] = {}

    def look_at(self, path: bytes, state: str, head: tuple[int, bytes] | None = None, gone: bool = False) -> None:
        """Note what lies at ``path`` if it is not what the commit (``head``: mode, blob id) has there."""
        full = os.path.join(os.fsencode(self.root), path)
        try:
            found = None if gone else os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError as error:
            self.leave_out(path, 0, f"unreadable: {error.strerror}")
            return
        if found is None or (found.st_mode & 0o170000) == 0o040000:
            if head is not None:
                self.note(path, state, "absent" if state == "hidden" else "deleted")
        elif (found.st_mode & 0o170000) == 0o120000:
            self.look_at_link(path, state, head, full)
        elif (found.st_mode & 0o170000) == 0o100000:
            self.look_at_file(path, state, head, full, found)
        else:
            self.leave_out(path, 0, "not a plain file")

    def look_at_link(self, path: bytes, state: str, head: tuple[int, bytes] | None, full: bytes) -> None:
        """A link is its target; it is never followed."""
        target = os.readlink(full)
        if head is None or head[0] != 0o120000 or self.blob_id(target) != head[1]:
            self.note(path, state, "link", target=_decoded(target))

    def look_at_file(
        self, path: bytes, state: str, head: tuple[int, bytes] | None, full: bytes, found: os.stat_result
    ) -> None:
        """A plain file: kept whole, unless it is the commit's after all."""
        size, name = found.st_size, _decoded(path)
        executable = bool(found.st_mode & 0o100) if os.name == "posix" else bool(head and head[0] == 0o100755)
        try:
            if head is not None and self.is_blob(full, size, head[1]) and head[0] == _file_mode(executable):
                return
            if state == "converted" and head is not None and size <= MAX_FILE:
                data = _bytes_of(full)
                if self.is_crlf_of(data, head[1]):
                    self.note(path, state, "crlf", executable=executable, size=size, sha256=_sha256(data))
                    return
            refusal = self.budget.refusal(name, size)
            if refusal:
                self.leave_out(path, size, refusal, _bytes_of(full) if size <= MAX_SECRET else None)
                return
            data = _bytes_of(full)
        except OSError as error:
            self.leave_out(path, size, f"unreadable: {error.strerror}")
            return
        stored = _stored_name(self.name, name)
        self.kept.append((stored, data))
        self.note(path, state, "file", executable=executable, size=len(data), sha256=_sha256(data), stored=stored)

    def is_blob(self, full: bytes, size: int, blob: bytes) -> bool:
        """Whether the file's bytes are that blob's; read in pieces, as it may be of any size."""
        digest = self.new_hash(b"blob %d\0" % size)
        with open(full, "rb") as file:
            while piece := file.read(MIB):
                digest.update(piece)
        return bool(digest.digest() == blob)

    def is_crlf_of(self, data: bytes, blob: bytes) -> bool:
        """Whether these bytes are the blob with CRLF at its line ends."""
        plain = data.replace(b"\r\n", b"\n")
        return self.blob_id(plain) == blob and plain.replace(b"\n", b"\r\n") == data

    def blob_id(self, data: bytes) -> bytes:
        """Git's id of a blob of these bytes, as raw bytes."""
        blob: bytes = self.new_hash(b"blob %d\0" % len(data) + data).digest()
        return blob

    def new_hash(self, start: bytes) -> Any:
        """The hash that names this repository's objects."""
        return hasher("sha256" if self.facts.get("object_format") == "sha256" else "sha1")(start)

    def note(self, path: bytes, state: str, kind: str, **facts: Any) -> None:
        """A row of ``files``, and a line of the code id."""
        name = _decoded(path)
        self.files.append({"path": name, "state": state, "kind": kind, **facts})
        what = facts.get("sha256") or facts.get("target") or ""
        if not is_bytecode(name):
            self.identity.append(f"{name}\0{kind}\0{int(bool(facts.get('executable')))}\0{what}")

    def leave_out(self, path: bytes, size: int, reason: str, data: bytes | None = None) -> None:
        """A row of ``left_out``; enters the code id by its hash if it was read, else by its size."""
        name = _decoded(path)
        self.left_out.append({"path": name, "size": size, "reason": reason})
        self.identity.append(f"{name}\0left out\0{_sha256(data) if data is not None else size}")

    def give_up(self, stored: str, error: OSError) -> None:
        """A copy that could not be written: its row moves to those left out."""
        row = next(row for row in self.files if row.get("stored") == stored)
        self.files.remove(row)
        reason = f"the copy can't be written: {error.strerror}"
        self.left_out.append({"path": row["path"], "size": row["size"], "reason": reason})

    def described(self) -> dict[str, Any]:
        """This repository's row in run.json."""
        return {
            "name": self.name, "role": self.role, "path": _decoded(os.fsencode(self.root)), "inside": self.inside,
            "commit": None, "tree": None, "describe": None, "branch": None, "object_format": "sha1", "remotes": [],
            "remote": None, "commit_url": None, "pushed": None, "bundle": None, "config": {}, "converted": False,
            "clean_bytes": None, **self.facts,
            "files": self.files, "left_out": self.left_out, "problems": self.problems,
        }  # fmt: skip


class _Repository(_Tree):
    """One repository: git starts to look at it when this is made, and is collected later."""

    def __init__(self, root: str, role: str, name: str, inside: dict[str, str] | None, budget: _Budget) -> None:
        super().__init__(root, role, name, inside, budget)
        self.git_dir = _git_dir(root)
        self.common = _common_dir(self.git_dir)
        self.config = _config_of(os.path.join(self.common, "config"))
        self.facts["object_format"] = dict(self.config).get("extensions.objectformat", "sha1")
        self.here = _settings_for_here(self.common, dict(self.config))
        self.tracked: set[bytes] = set()
        self.nested: list[tuple[str, bytes]] = []  # (role, path) of repositories within
        self.changed: list[bytes] = []
        self.patch: _Patch | None = None
        self.untracked: list[bytes] = []
        self.started: list[GitProcess] = []
        self.beyond_link: dict[bytes, bool] = {}  # folder -> whether it, or one above it, is a link
        self.scratch = ""
        try:
            self.started.append(self.start("status", *_STATUS))
            self.started.append(self.start("log", *_LOG, f"--format={self.head_format()}", "HEAD"))
        except GitError as error:
            self.problems.append(error.message)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> GitProcess:
        """Git on this repository, without the network."""
        objects = os.path.abspath(os.path.join(self.common, "objects"))
        elsewhere = {
            "GIT_OBJECT_DIRECTORY": self.scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _alternate(objects).rstrip("\n"),
        }
        more = {**(elsewhere if self.scratch else {}), **(env or {})}
        return start_git(*self.here, *args, cwd=self.root, env={**_OFFLINE, **more})

    def head_format(self) -> str:
        return "%H%x00%T%x00%h%x00" + ("%(describe)" if _may_have_tags(self.common) else "")

    def collect(self, deadline: float, skipped: Callable[[bytes], bool], *, patch: bool) -> bool:
        """Read what git says, and have it make the patch; False (and a problem) if it would not answer."""
        try:
            return self.collected(deadline, skipped, patch=patch)
        finally:
            if self.scratch and self.patch is None:
                remove(self.scratch)

    def collected(self, deadline: float, skipped: Callable[[bytes], bool], *, patch: bool) -> bool:
        try:
            index = self.index(deadline)  # read while git is at work
            status, head = self.started
            rows = _status_rows(status.result(_left(deadline)) + self.in_bare_submodules(index.odd, deadline))
            self.note_head(rows, head, deadline)
        except (GitError, ValueError) as error:
            for process in self.started:
                process.kill()
            self.note_head_from_files()
            if not self.problems:
                self.problems.append(f"{self.root}: {error}")
            return False
        self.note_closed_folders(status.warnings)
        self.look_at_changed_rows(rows, skipped)
        if patch:
            self.begin_patch(deadline)  # git is at work on it while we read on
        self.look_at_untracked()
        self.look_at_unseen(rows, index, deadline)
        return True

    def index(self, deadline: float) -> _Index:
        """The index: tracked paths, submodules, and the files that git does not look at."""
        try:
            length = 32 if self.facts["object_format"] == "sha256" else 20
            found = _Index.of(os.path.join(self.git_dir, "index"), length)
        except (_OddIndex, OSError):
            import tempfile

            self.scratch = tempfile.mkdtemp(prefix="footsteps-")  # git expands a sparse index with new tree objects
            found = _Index.listed(self.start("ls-files", "-v", "--stage", "-z").result(_left(deadline)))
        self.tracked = set(found.paths)
        submodules = [path for path, mode, _, _ in found.odd if mode == 0o160000]
        self.nested += [("submodule", path) for path in submodules if self.is_repository(path)]
        return found

    def is_repository(self, path: bytes) -> bool:
        there = os.path.lexists(os.path.join(os.fsencode(self.root), path, b".git"))
        return there and not self.is_beyond_link(path + b"/")

    def in_bare_submodules(self, entries: Sequence[Entry], deadline: float) -> bytes:
        """Untracked files where a submodule belongs but no repository is, as status would list them: it is silent."""
        bare = [os.fsdecode(e[0]) for e in entries if e[1] == 0o160000 and self.holds_plain_files(e[0])]
        if not bare:
            return b""
        listed = ("ls-files", "-z", "--others", "--exclude-standard", "--", *bare)
        none = {"GIT_INDEX_FILE": os.path.join(self.git_dir, "no index")}
        out = self.start(*listed, env=none).result(_left(deadline))
        return b"".join(b"? %s\0" % path for path in out.split(b"\0") if path)

    def holds_plain_files(self, path: bytes) -> bool:
        full = os.path.join(os.fsencode(self.root), path)
        real = os.path.isdir(full) and not self.is_beyond_link(path + b"/")
        return real and not os.path.lexists(os.path.join(full, b".git")) and bool(os.listdir(full))

    def note_head(self, rows: list[list[bytes]], head: GitProcess, deadline: float) -> None:
        """Commit, branch, remotes: of the two answers and of plain files."""
        said = {row[1]: row[2].decode("utf-8", "surrogateescape") for row in rows if row[0] == b"#" and len(row) > 2}
        if b"branch.oid" not in said:
            raise ValueError("git status gave no answer")
        remotes = _remotes(self.common)
        branch = said.get(b"branch.head", "(detached)")
        self.facts.update(
            branch=None if branch == "(detached)" else branch, remotes=remotes, remote=(remotes or [{}])[0].get("url")
        )
        if said[b"branch.oid"] == "(initial)":
            head.kill()
            return
        commit, tree, short, described = head.result(_left(deadline)).decode().strip("\n").split("\0")
        defaults = [_ref(self.git_dir, self.common, r) for r in _default_branches(self.git_dir, self.common, remotes)]
        pushed = True if commit in defaults else (None if remotes else False)
        self.facts.update(
            commit=commit,
            tree=tree,
            describe=short if not described or described.startswith("%") else described,  # git < 2.32
            pushed=pushed,
            bundle=None if pushed else _bundle_name(self.name),
            commit_url=_commit_url(self.facts["remote"] or "", commit),
        )

    def note_head_from_files(self) -> None:
        """Without an answer of git's, the commit that .git/HEAD leads to."""
        commit, remotes = _ref(self.git_dir, self.common, "HEAD"), _remotes(self.common)
        self.facts.update(remotes=remotes, remote=(remotes or [{}])[0].get("url"))
        if commit and all(c in "0123456789abcdef" for c in commit):
            self.facts.update(
                commit=commit, describe=commit[:7], commit_url=_commit_url(self.facts["remote"] or "", commit)
            )

    def note_closed_folders(self, warnings: bytes) -> None:
        """Folders that git could not look into: it lists nothing there, and only warns."""
        for line in warnings.splitlines():
            path, found, why = line.partition(b"could not open directory '")[2].rpartition(b"': ")
            if found:
                self.leave_out(path, 0, f"unreadable: {_decoded(why)}")

    def look_at_changed_rows(self, rows: list[list[bytes]], skipped: Callable[[bytes], bool]) -> None:
        """Every path that differs from the commit, staged or not."""
        untracked = [row[1] for row in rows if row[0] == b"?"]
        runs = _run_directories(self.root, untracked)
        self.untracked = [p for p in untracked if not skipped(p) and not (runs and _below(p, runs))]
        changed = {row[-1]: row for row in rows if row[0] in (b"1", b"u")}
        self.changed, both = list(changed), changed.keys() & {*self.untracked}
        for path, row in changed.items():
            self.look_at_changed(path, row, path in both)

    def look_at_untracked(self) -> None:
        """Every path that git does not know."""
        changed = set(self.changed)
        for path in sorted(self.untracked, key=lambda p: not p.endswith(b".py")):  # data may use up the room, not code
            if path.endswith(b"/"):
                self.nested.append(("nested", path.rstrip(b"/")))
            elif path not in changed:
                self.look_at(path, "untracked")
        self.gather_left_out()

    def begin_patch(self, deadline: float) -> None:
        """Have git make what people read in info.txt; if that fails, it is a line in the record."""
        if self.patch is None and self.changed and self.facts.get("commit"):
            self.patch = self.attempted(lambda: _Patch(self, deadline))

    def end_patch(self) -> None:
        """Read what git has made."""
        if self.patch is not None:
            self.attempted(self.patch.collect)

    def attempted(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except Exception as error:
            what = error.message if isinstance(error, GitError) else f"{type(error).__name__}: {error}"
            self.problems.append(f"the diff: {what}")
            return None

    def look_at_changed(self, path: bytes, row: list[bytes], also_untracked: bool) -> None:
        """A row "1 XY sub mH mI mW hH hI path" or "u XY sub m1 m2 m3 mW h1 h2 h3 path" of git status."""
        mode, blob = (row[3], row[6]) if row[0] == b"1" else (row[4], row[8])
        head = (int(mode, 8), bytes.fromhex(blob.decode())) if int(mode, 8) else None
        if head is not None and head[0] == 0o160000:
            head = None if self.is_repository(path) else head
        elif row[0] == b"u":  # its second stage may be the commit's file of another name: a rename that conflicts
            head = (0, b"")
        deleted = row[0] == b"1" and row[1].endswith(b"D") and not also_untracked
        forgotten = row[1] == b"D." and not also_untracked  # rm --cached, and ignored since
        self.look_at(path, "changed", head, gone=deleted or (forgotten and self.is_beyond_link(path)))

    def is_beyond_link(self, path: bytes) -> bool:
        """Whether a folder of this path is a link now: what lies there is another file."""
        folder = path.rpartition(b"/")[0]
        if folder and folder not in self.beyond_link:
            linked = os.path.islink(os.path.join(os.fsencode(self.root), folder)) or self.is_beyond_link(folder)
            self.beyond_link[folder] = linked
        return bool(folder) and self.beyond_link[folder]

    def gather_left_out(self) -> None:
        """Beyond a hundred, what is left out is told by directory."""
        if len(self.left_out) <= 100:
            return
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.left_out:
            folder = row["path"].rpartition("/")[0].partition("/")[0] + "/" if "/" in row["path"] else row["path"]
            sum_ = rows.setdefault(
                (folder, row["reason"]), {"path": folder, "size": 0, "reason": row["reason"], "count": 0}
            )
            sum_["size"] += row["size"]
            sum_["count"] += 1
        self.left_out = list(rows.values())

    def look_at_unseen(self, rows: list[list[bytes]], index: _Index, deadline: float) -> None:
        """Files that git shows as clean without their bytes being the commit's: hidden ones, converted ones."""
        seen = {row[-1] for row in rows if row[0] in (b"1", b"u")}
        converting = self.is_converting(seen, deadline)
        links = {encoded(row["path"]) for row in self.files if row["kind"] == "link"}
        for path, mode, blob, hidden in index.entries() if links or converting else index.odd:
            if path in seen:
                continue
            if mode == 0o160000:  # a file where a submodule belongs is hidden by --ignore-submodules
                if self.is_no_folder(path):
                    self.look_at(path, "changed", (mode, blob))
            elif links and _below(path, links):  # git is silent where these lead nowhere for ever
                self.look_at(path, "changed", (mode, blob), gone=True)
            elif hidden or converting:
                gone = self.is_beyond_link(path)
                self.look_at(path, "hidden" if hidden else "converted", (mode, blob), gone)
        self.facts.update(converted=converting, clean_bytes=None if converting else self.clean_bytes(seen, index))

    def clean_bytes(self, seen: set[bytes], index: _Index) -> int | None:
        """The size of all plain files that are the commit's, each modulo 2**32; None where it is not known.

        It tells a restore of files that git calls clean though an eol setting, gone since, had made them other ones.
        """
        sizes = index.sizes
        if sizes is None or any("count" in row for row in self.left_out):
            return None
        noted = {encoded(row["path"]) for row in (*self.files, *self.left_out)}
        unsure = {*seen, *(entry[0] for entry in index.odd)} - noted  # their size there may be another one's
        if 0 in sizes.values():  # git writes that where it is not sure itself
            unsure.update(path for path, size in sizes.items() if size == 0 and path not in noted)
        apart = sum(sizes.get(path, 0) for path in noted | unsure)
        return sum(sizes.values()) - apart + sum(map(self.size_of, unsure))

    def size_of(self, path: bytes) -> int:
        """A plain file's size modulo 2**32; 0 of what is none."""
        try:
            found = os.lstat(os.path.join(os.fsencode(self.root), path))
        except OSError:
            return 0
        return found.st_size & 0xFFFFFFFF if found.st_mode & 0o170000 == 0o100000 else 0

    def is_no_folder(self, path: bytes) -> bool:
        full = os.path.join(os.fsencode(self.root), path)
        return os.path.islink(full) or (os.path.exists(full) and not os.path.isdir(full))

    def is_converting(self, changed: set[bytes], deadline: float) -> bool:
        """Whether a filter, eol, ident or encoding may stand between git's view of a file and its bytes."""
        config = self.converting_config(deadline)
        self.facts["config"] = config
        if config.get("core.autocrlf", "false") not in _OFF or _has_refs(self.common, "replace"):
            return True
        named = _ending(b".gitattributes", self.tracked) | _ending(b".gitattributes", self.untracked)
        if any(p in changed or self.is_in_index_only(p) for p in named):
            return True  # files that were checked out under other lines, or lines that git reads and we can't
        home = os.path.expanduser("~")
        xdg = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        paths = [os.path.join(self.root, os.fsdecode(p)) for p in (b".gitattributes", *named)]  # it may be ignored
        paths += [os.path.join(self.common, "info", "attributes"), os.path.join(xdg, "git", "attributes")]
        paths += ["/etc/gitattributes", os.path.expanduser(config.get("core.attributesfile", ""))]
        return any(_may_convert(text_of(path)) for path in paths if path)

    def is_in_index_only(self, path: bytes) -> bool:
        """Whether git takes this .gitattributes from the index, for files that are on disk beside it."""
        full = os.path.join(os.fsencode(self.root), path)
        return not os.path.lexists(full) and os.path.isdir(os.path.dirname(full))

    def converting_config(self, deadline: float) -> dict[str, str]:
        """core.autocrlf, core.eol, core.attributesfile; git is asked only if some config file speaks of them."""
        home = os.path.expanduser("~")
        xdg = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        files = [os.path.join(self.common, "config"), os.path.join(self.git_dir, "config.worktree")]
        files += [os.path.join(home, ".gitconfig"), os.path.join(xdg, "git", "config"), *_system_configs()]
        text = "".join(text_of(file) for file in files).lower()
        said_elsewhere = os.name == "nt" or any(name.startswith("GIT_CONFIG") for name in os.environ)
        if not said_elsewhere and not any(word in text for word in ("autocrlf", "attributesfile", "[include")):
            return {}
        wanted = r"^core\.(autocrlf|eol|attributesfile)$"
        try:
            out = self.start("config", "-z", "--get-regexp", wanted).result(_left(deadline))
        except GitError:
            return {}
        pairs = (line.partition("\n") for line in _decoded(out).split("\0") if line)
        return {key: value.lower() if key != "core.attributesfile" else value for key, _, value in pairs}


_STATUS = (
    "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--ignored=no", "--no-renames", "--no-ahead-behind",
    "--ignore-submodules=all",  # each is a repository of its own here
)  # fmt: skip
_LOG = ("-1", "--no-show-signature", "--no-notes", "--no-color", "--no-patch")
_DIFF = (
    "--patch", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-relative",
    "--ignore-submodules=all", "--unified=3", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def _settings_for_here(common: str, config: Mapping[str, str]) -> list[str]:
    """Options against settings of a clone that came from another file system, or are wrong: they hide what differs."""
    config_file, found = os.path.join(common, "config"), []
    if config.get("core.filemode", "").lower() in _OFF and not os.access(config_file, os.X_OK):
        found += ["-c", "core.fileMode=true"]  # git's own file has no x: the bits mean something here
    if config.get("core.ignorecase", "off").lower() in _ON and not os.path.exists(os.path.join(common, "CONFIG")):
        found += ["-c", "core.ignoreCase=false"]
    return found


_OFF, _ON = ("false", "0", "no", "off"), ("true", "1", "yes", "on", "")


def _ending(end: bytes, paths: Iterable[bytes]) -> set[bytes]:
    """The paths that end so; mostly none does, and that is seen at once."""
    return {path for path in paths if path.endswith(end)} if end in b"\0".join(paths) else set()


def _status_rows(out: bytes) -> list[list[bytes]]:
    """The records of ``git status --porcelain=v2 -z``, split into their fields; the path is the last."""
    fields = {b"#": 2, b"1": 8, b"u": 10, b"?": 1, b"!": 1}
    return [line.split(b" ", fields.get(line[:1], 1)) for line in out.split(b"\0") if line]


def _run_directories(root: str, untracked: Iterable[bytes]) -> set[bytes]:
    """The run and record directories among untracked files, by what lies in them."""
    mark = os.fsencode(f"/{RECORD}/{RUN_JSON}")
    found = {path[: -len(mark)] for path in untracked if path.endswith(mark)}
    beside = {path.rpartition(b"/")[0] for path in untracked if path.endswith(os.fsencode(f"/{INFO}"))}
    found |= {path for path in beside if os.path.exists(os.path.join(os.fsencode(root), path) + mark)}  # git ignores .*
    for path in untracked:  # LiteTracer's own have no .footsteps
        head, mark, tail = path.partition(b"LT_delta-")
        if mark and b"_base-" in tail and b"/" in tail:
            found.add(head + mark + tail.partition(b"/")[0])
    return found


def _below(path: bytes, folders: set[bytes]) -> bool:
    at = path.find(b"/")
    while at >= 0:
        if path[:at] in folders:
            return True
        at = path.find(b"/", at + 1)
    return False


def _may_convert(attributes: str) -> bool:
    """Whether such a .gitattributes can make a file's bytes differ from its blob."""
    words = (w for line in attributes.splitlines() if not line.lstrip().startswith("#") for w in line.split()[1:])
    names = ("text", "crlf", "eol", "filter", "ident", "working-tree-encoding")
    return any(word.partition("=")[0] in names for word in words)


def _system_configs() -> list[str]:
    """Where git's system-wide config may lie: beside each git on PATH, and in /etc."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    beside = [os.path.join(os.path.dirname(folder.rstrip(os.sep)), "etc", "gitconfig") for folder in folders if folder]
    return ["/etc/gitconfig", *beside]


class _Patch:
    """The changes of one repository as people read them: git makes it while the copies are written.

    Attributes:
        diff: what `git apply` takes, bytes as git gave them.
        not_in_diff: names of changed files that it does not hold (binary, left out), each with its reason.
    """

    def __init__(self, tree: _Repository, deadline: float) -> None:
        left = {row["path"] for row in tree.left_out}
        self.shown = [p for p in tree.changed if _decoded(p) not in left and not looks_secret(_decoded(p))]
        self.not_in_diff = [f"{p} (left out)" for p in sorted(map(_decoded, set(tree.changed) - set(self.shown)))]
        self.diff, self.deadline, self.scratch = b"", deadline, tree.scratch
        self.few = [os.fsdecode(p) for p in self.shown] if sum(map(len, self.shown)) < 50_000 else []
        if tree.scratch:
            os.makedirs(tree.scratch, exist_ok=True)
        self.process = tree.start("diff-index", *_DIFF, "HEAD", "--", *self.few) if self.shown else None

    def collect(self) -> None:
        """Read what git has made of it. Raises GitError."""
        process, self.process = self.process, None
        if process is not None:
            text, whole = process.result_within(MAX_DIFF, _left(self.deadline))
            wanted = set() if self.few else {_decoded(p) for p in self.shown}
            self.diff, others = _plain_sections(text, whole, wanted)
            self.not_in_diff += others

    def stop(self) -> None:
        """Nobody will ask any more."""
        if self.process is not None:
            self.process.kill()
        if self.scratch:
            remove(self.scratch)


def _plain_sections(text: bytes, whole: bool, wanted: set[str]) -> tuple[bytes, list[str]]:
    """The sections of a diff that `git apply` takes, and a word on each that is not among them."""
    parts = (b"\n" + text).split(b"\ndiff --git ")[1:]
    kept, others = [], []
    for n, part in enumerate(parts):
        cut = not whole and n == len(parts) - 1
        lines = part.split(b"\n")
        name = next((_decoded(p) for p in [lines[0].rpartition(b" b/")[2]]), "")
        binary = any(line.startswith((b"Binary files ", b"GIT binary patch")) for line in lines[1:8])
        if cut or binary:
            others.append(f"{name} ({'binary' if binary else 'the diff ends here, it is too long'})")
        elif not wanted or name in wanted:  # a name that git has quoted is not shown among very many
            body = [line for line in part.rstrip(b"\n").split(b"\n") if not line.startswith(b"* Unmerged path")]
            kept.append(b"diff --git " + b"\n".join(body) + b"\n")
    return b"".join(kept), others


def _file_mode(executable: bool) -> int:
    return 0o100755 if executable else 0o100644


def _bytes_of(path: str | bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _left(deadline: float) -> float:
    """Seconds until then, but never none: what is there already can still be read."""
    return max(0.05, deadline - time.monotonic())


def _bundle_name(repository: str) -> str:
    return BUNDLE if repository == "main" else f"commits-{repository}.bundle"


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _sha256(data: bytes) -> str:
    digest: str = hasher("sha256")(data).hexdigest()
    return digest


_hashers: dict[str, Callable[[bytes], Any]] = {}  # looking for a module that is not there costs 0.1 ms each time


def hasher(name: str) -> Callable[[bytes], Any]:
    """The hash of that name: Python's own, as loading OpenSSL's (which is faster) costs 3 ms, unless it is loaded."""
    if "_hashlib" not in sys.modules:
        if name in _hashers:
            return _hashers[name]
        for module in (f"_{name[:4]}" if name == "sha1" else "_sha2", f"_{name}"):  # 3.12 and later, earlier
            try:
                found: Callable[[bytes], Any] = getattr(__import__(module), name)
            except ImportError:
                continue
            return _hashers.setdefault(name, found)
    import hashlib

    return getattr(hashlib, name)  # type: ignore[no-any-return]


_ACTING = {".git", ".gitignore", ".gitattributes", ".gitmodules", ".mailmap"}


def _stored_name(repository: str, path: str) -> str:
    """Where the copy lies below .footsteps; another name if this one would act there or can't be stored everywhere."""
    parts = path.split("/")
    plain = all(
        part.isprintable()
        and part.isascii()
        and part.lower() not in _ACTING
        and not _is_reserved(part)
        and not set(part) & set('<>:"|?*\\')
        and len(part) < 200
        for part in parts
    )
    if plain and len(path) < 400:
        return f"{CODE}/{repository}/{path}"
    tail = "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "_" for c in parts[-1])[-60:].strip(".")
    return f"{CODE}/{repository}.renamed/{_sha256(path.encode('utf-8', 'surrogateescape'))[:16]}-{tail}"


class Code:
    """The code of a run as it was found, not yet kept.

    Attributes:
        repositories: rows of run.json.
        code_id: 32 hex digits over the commits and all that differs from them.
        untracked: untracked files of the working directory's repository.
        seconds: what the look cost.
    """

    def __init__(self, trees: list[_Tree], seconds: float, deadline: float = 0.0, problems: Sequence[str] = ()) -> None:
        self._trees, self._deadline = trees, deadline
        first = next((t for t in trees if isinstance(t, _Repository) and t.role in ("cwd", "script")), None)
        self._main = self._not_shown = first
        self._problems = problems
        self.untracked: list[str] = [_decoded(p) for p in first.untracked] if first else []
        self.repositories: list[dict[str, Any]] = [tree.described() for tree in trees]
        self.code_id: str = _code_id(trees)
        self.seconds = seconds

    @property
    def problems(self) -> list[str]:
        """What could not be found out."""
        return [*self._problems, *(problem for tree in self._trees for problem in tree.problems)]

    @property
    def diff(self) -> bytes:
        """The patch of the working directory's repository, as git gave it; known once the code is kept."""
        return self._main.patch.diff if self._main and self._main.patch else b""

    @property
    def not_in_diff(self) -> list[str]:
        """Names of changed files that the patch does not hold, each with its reason."""
        return self._main.patch.not_in_diff if self._main and self._main.patch else []

    def keep(self, record: str) -> None:
        """Write the files that differ below ``record``/code, while git makes the patch.

        A file that can't be written there becomes one that is left out.

        Raises:
            OSError: the disk is full.
        """
        tree, self._not_shown = self._not_shown, None  # once: what is kept at the end is in no patch
        try:
            if tree is not None:
                tree.begin_patch(self._deadline)
            self._write_copies(record)
            if tree is not None:
                tree.end_patch()
        finally:
            if tree is not None and tree.patch is not None:
                tree.patch.stop()

    def _write_copies(self, record: str) -> None:
        for tree in self._trees:
            kept, tree.kept = tree.kept, []
            for stored, data in kept:
                try:
                    write(os.path.join(record, *stored.split("/")), data)
                except OSError as error:
                    if _is_full(error):
                        raise
                    tree.give_up(stored, error)

    def bundles(self) -> list[dict[str, Any]]:
        """What the finishing child is told of each repository whose commits a remote may not have."""
        return [
            {
                "repository": tree.name,
                "file": tree.facts["bundle"],
                "commit": tree.facts["commit"],
                "object_format": tree.facts["object_format"],
                "git_dir": tree.git_dir,
                "common": tree.common,
                "defaults": _default_branches(tree.git_dir, tree.common, tree.facts["remotes"]),
            }
            for tree in self._trees
            if isinstance(tree, _Repository) and tree.facts.get("bundle")
        ]

    def look_again(self) -> list[dict[str, Any]]:
        """Modules imported since then that git ignores: rows of late.json (and their copies to be kept)."""
        modules, rows = _project_modules(), []
        for tree in self._trees:
            files, left_out = len(tree.files), len(tree.left_out)
            _look_at_modules(tree, modules, {row["path"] for row in tree.files + tree.left_out})
            if len(tree.files) > files or len(tree.left_out) > left_out:
                rows.append({"name": tree.name, "files": tree.files[files:], "left_out": tree.left_out[left_out:]})
        return rows


def look_at_code(start: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> Code:
    """The code that runs now: of the working directory, of the script, of all that belongs to them.

    Args:
        start: directories to begin at; None: the working directory's and the script's.
        exclude: directories that are no code (output roots).
    """
    return _Look(start, exclude).code()


class _Look:
    """git at work on the repositories of a run; ``code`` collects.

    Args:
        shown: whether the code is kept for certain, so that git may begin with the patch at once.
    """

    def __init__(self, start: Sequence[str] | None = None, exclude: Sequence[str] = (), *, shown: bool = False) -> None:
        self.began, self.shown = time.monotonic(), shown
        self.budget = _Budget()
        self.exclude = [os.path.realpath(path) for path in exclude]
        self.queue: list[_Repository] = []
        self.trees: list[_Tree] = []
        self.failed: list[str] = []
        self.problems: list[str] = []
        self.modules: list[str] = []
        self.attempt(lambda: self.begin(start))

    def attempt(self, function: Callable[[], object]) -> None:
        """Law 1: what fails while we look is a line in the record, and the rest is looked at all the same."""
        try:
            function()
        except Exception as error:
            self.problems.append(f"code: {type(error).__name__}: {error}")

    def begin(self, start: Sequence[str] | None) -> None:
        """Have git look at the repositories that we know of from the start."""
        cwd, script = (_working_directory(), _script_folder()) if start is None else (start[0], None)
        self.add(_repository_root(cwd), "cwd", "main")
        self.add(_repository_root(script), "script", "script")

    def add(self, root: str | None, role: str, name: str, inside: dict[str, str] | None = None) -> None:
        """Have git look at this repository too, unless it does already."""
        known = self.all()
        if root is None or any(tree.real == os.path.join(os.path.realpath(root), "") for tree in known):
            return
        taken = {tree.name for tree in known}
        if name in taken:
            name = next(n for n in (f"{name}-{i}" for i in range(1, len(taken) + 1)) if n not in taken)
        self.queue.append(_Repository(root, role, name, inside, self.budget))

    def add_imported(self, root: str) -> None:
        """A repository that a module comes from: inside one that we know, or elsewhere on sys.path."""
        outer = next((tree for tree in self.all() if root.startswith(tree.real)), None)
        if outer is None:
            return self.add(root, "editable", "editable-" + _as_name(os.path.basename(root)))
        path = root[len(outer.real) :].replace(os.sep, "/")
        where = {"repository": outer.name, "path": path}
        return self.add(root, "nested", f"{outer.name}.{_as_name(path.replace('/', '.'))}", where)

    def stop(self) -> None:
        """Nobody will ask for the answer."""
        for tree in self.queue:
            for process in tree.started:
                process.kill()

    def all(self) -> list[_Tree]:
        """Those collected, and those that git is looking at."""
        return [*self.trees, *self.queue]

    def code(self) -> Code:
        """All of it, within GIT_TIMEOUT."""
        deadline = self.began + GIT_TIMEOUT
        self.collect(deadline)
        for step in (self.add_modules, self.add_installs):
            self.attempt(step)
        self.collect(deadline)
        for step in (self.look_at_modules, self.add_loose):
            self.attempt(step)
        return Code(self.trees, time.monotonic() - self.began, deadline, self.problems)

    def add_modules(self) -> None:
        """The repositories that the program's modules come from."""
        self.modules = _project_modules()
        for path in self.modules:
            root = _repository_root(os.path.dirname(path))
            if root is not None and root not in self.failed:
                self.add_imported(root)

    def add_installs(self) -> None:
        """Those of editable installs."""
        for location in _editable_locations():
            self.add(_repository_root(location), "editable", "editable-" + _as_name(os.path.basename(location)))

    def look_at_modules(self) -> None:
        """The modules that git ignores."""
        for tree in self.trees:
            _look_at_modules(tree, self.modules, {row["path"] for row in tree.files + tree.left_out})

    def collect(self, deadline: float) -> None:
        """Read what git says of each repository, and begin with those that lie in it."""
        while self.queue:
            tree = self.queue.pop(0)
            self.trees.append(tree)
            self.failed.append(tree.root)  # until it has answered
            self.attempt(lambda tree=tree: self.collect_one(tree, deadline))  # type: ignore[misc]

    def collect_one(self, tree: _Repository, deadline: float) -> None:
        """Read what git says of this one."""
        if tree.collect(deadline, self.skipper(tree.real), patch=self.shown and tree is self.trees[0]):
            self.failed.remove(tree.root)
        for role, path in tree.nested:
            where = {"repository": tree.name, "path": _decoded(path)}
            name = f"{tree.name}.{_as_name(_decoded(path).replace('/', '.'))}"
            self.add(os.path.join(tree.root, os.fsdecode(path)), role, name, where)

    def skipper(self, root: str) -> Callable[[bytes], bool]:
        """Whether a path is in an output root that lies strictly inside this repository."""
        below = [path[len(root) :] for path in self.exclude if path.startswith(root)]
        starts = tuple(os.fsencode(path.replace(os.sep, "/")) + b"/" for path in below)
        return lambda path: bool(starts) and path.startswith(starts)

    def add_loose(self) -> None:
        """Script and modules that no readable repository holds, whole."""
        roots = tuple(tree.real for tree in self.trees if tree.root not in self.failed)
        left = [path for path in self.modules if not path.startswith(roots)]
        if not left:
            return
        try:
            root = os.path.commonpath([os.path.dirname(path) for path in left])
        except ValueError:  # on several drives
            root = os.path.dirname(left[0])
        tree = _Tree(root, "loose", "loose", None, self.budget)
        for path in left:
            tree.look_at(os.fsencode(os.path.relpath(path, root)), "untracked")
        self.trees.append(tree)


def _look_at_modules(tree: _Tree, modules: list[str], known: set[str]) -> None:
    """Modules that git ignores but the program has imported: kept like untracked files."""
    if isinstance(tree, _Repository) and not tree.tracked and not tree.untracked:
        return  # git did not answer
    tracked, inner = (tree.tracked, {p for _, p in tree.nested}) if isinstance(tree, _Repository) else (set(), set())
    for path in modules:
        name = os.fsencode(path[len(tree.real) :].replace(os.sep, "/"))
        if (
            path.startswith(tree.real)
            and name not in tracked
            and _decoded(name) not in known
            and not _below(name, inner)
        ):
            tree.look_at(name, "imported")


def _project_modules() -> list[str]:
    """Source files of the modules loaded now that are no part of Python or of what pip installs."""
    folders = [os.path.dirname(os.__file__), *([sys.prefix] if sys.prefix != sys.base_prefix else [])]
    python = tuple(os.path.join(f, "") for folder in folders for f in {folder, os.path.realpath(folder)})
    found = set()
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):  # its attribute, without waking a lazy one
            file = ModuleType.__getattribute__(module, "__dict__").get("__file__")
            if isinstance(file, str) and not file.startswith(python):
                real = _real(file)
                if not real.startswith(python) and not _is_installed(real) and os.path.isfile(real):
                    found.add(real)
    return sorted(found)


def _real(path: str) -> str:
    """The path without links, "" if there is none: relative to a deleted directory, or with a NUL."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return ""


def _is_installed(path: str) -> bool:
    """Whether the file lies where pip puts packages."""
    return f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path


def _changed_since_loaded() -> list[str]:
    """Loaded project modules whose source is no longer what was loaded."""
    facts = _process_facts(os.getpid())
    born = (_created(facts["start"]) if facts else None) or _shared.imported_at
    changed = []
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):
            continue
        names = ModuleType.__getattribute__(module, "__dict__")
        file, cached = names.get("__file__"), names.get("__cached__")
        if not isinstance(file, str) or _is_installed(file):
            continue
        if isinstance(cached, str) and _was_touched_after(file, born) and not _is_compiled_from(cached, file):
            changed.append(file)
        elif module is sys.modules.get("__main__") and _was_touched_after(file, _shared.imported_at):
            changed.append(file)  # the script has no bytecode, but it was read before it imported us
    return changed


def _was_touched_after(path: str, seconds: float) -> bool:
    """Whether the file was changed after that time; ctime, as no program can set it."""
    try:
        return os.stat(path).st_ctime > seconds
    except (OSError, ValueError):
        return False


def _is_compiled_from(cached: str, source: str) -> bool:
    """Whether the .pyc (its header keeps mtime and size of the source; PEP 552) is of this source."""
    try:
        with open(cached, "rb") as file:
            header = file.read(16)
        found = os.stat(source)
    except OSError:
        return True  # nothing to compare with
    if header[4:8] != b"\0\0\0\0":  # by hash, not by time
        return True
    times = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:16], "little")
    return times == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)


def _code_id(trees: Iterable[_Tree]) -> str:
    """Hash of commits and differing files; the same wherever the clone lies and in whatever order git lists."""
    lines = []
    for tree in sorted(trees, key=lambda t: t.name):
        lines += [f"{tree.name}\0{tree.facts.get('commit')}", *sorted(tree.identity)]
    return _sha256("\n".join(lines).encode("utf-8", "surrogateescape"))[:32]


def _working_directory() -> str | None:
    """None if it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _script_folder() -> str | None:
    path = _main_program()["path"]
    return os.path.dirname(os.path.realpath(path)) if path else None


def _main_program() -> dict[str, Any]:
    """What runs: {kind, path, module}."""
    main = sys.modules.get("__main__")
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if _in_notebook():
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


# ---------------------------------------------------------------------------
# Secrets in text, and text on one line
# ---------------------------------------------------------------------------

_SECRET_WORDS = {"token", "password", "passwd", "passphrase", "secret", "credential", "credentials", "apikey", "pat"}
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("auth", "key")}
_SECRET_HINTS = ("token", "passw", "passphrase", "secret", "credential", "key", "authorization")  # in a text
_SECRET_STARTS = (
    "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "hf_", "sk-", "xoxb-", "xoxp-", "AKIA", "ya29.", "pypi-AgE",
)  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Whether an option or variable of this name (``--hf-token``, ``apiKey``) holds a secret."""
    words = "".join(f" {c}" if c.isupper() and b.islower() else c for b, c in zip(" " + name, name, strict=False))
    parts = words.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()
    return bool(parts) and (parts[-1] in _SECRET_WORDS or tuple(parts[-2:]) in _SECRET_PAIRS)


def mask(text: str) -> str:
    """The text with ``***`` for credentials in URLs, after a secret's name, and for what looks like a known token."""
    if "://" in text:
        text = _masked_urls(text)
    if (":" in text or "=" in text) and any(word in text.lower() for word in _SECRET_HINTS):
        text = _masked_values(text)
    return "***" if text.startswith(_SECRET_STARTS) and len(text) >= 20 and text.isascii() else text


def _masked_urls(text: str) -> str:
    head, *rest = text.split("://")
    done = head
    for part in rest:
        authority = part[: min((part.find(c) for c in "/?# \"'\n" if c in part), default=len(part))]
        user, at, host = authority.rpartition("@")
        keep_user = head.endswith("ssh") and ":" not in user  # ssh://git@host: a login name, no secret
        shown = f"{user}@{host}" if at and keep_user else f"***@{host}" if at else host
        tail = part[len(authority) :]
        query = tail.partition("?")
        if query[1]:
            pairs = [f"{k}=***" if e and is_secret_name(k) else k + e + v for k, e, v in _pairs(query[2])]
            tail = query[0] + "?" + "&".join(pairs)
        done, head = f"{done}://{shown}{tail}", part
    return done


def _masked_values(text: str) -> str:
    """Masks `{api_key: X}`, `"token": "X"`, `Authorization: Bearer X`."""
    import re  # costs 2 ms, and few command lines need it

    value = r"""(?:(?:Bearer|Basic|Digest|Token)\s+)?(?:"[^"]*"|'[^']*'|[^\s"',;&}\])]+)"""
    named = rf"""(?i)([\w.-]+)(["']?\s*[:=]\s*){value}"""
    return re.sub(named, lambda found: f"{found[1]}{found[2]}***" if _is_secret_key(found[1]) else found[0], text)


def _is_secret_key(name: str) -> bool:
    return is_secret_name(name) or name.lower().endswith("authorization")


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in query.split("&")]


def mask_arguments(argv: Sequence[str]) -> list[str]:
    """The arguments with ``***`` for secrets: ``--token X``, ``--password=X``, ``{api_key: X}``, URLs, noted words."""
    masked, after = [], False
    for argument in argv:
        name, equals, value = argument.partition("=")
        if (after and not argument.startswith("--")) or argument in _shared.secrets:
            masked.append("***")
        elif equals and (is_secret_name(name.lstrip("-+")) or value in _shared.secrets):
            masked.append(f"{name}=***")
        else:
            masked.append(_without_noted(mask(name + equals + mask(value))))
        after = argument.startswith("-") and not equals and is_secret_name(argument.lstrip("-"))
    return masked


def _without_noted(argument: str) -> str:
    """``-pX`` with ``***`` for an X that was noted."""
    short = argument.startswith("-") and not argument.startswith("--")
    ends = [word for word in tuple(_shared.secrets) if short and argument.endswith(word)]
    return argument.removesuffix(max(ends, key=len)) + "***" if ends else argument


def quote(argv: Sequence[str]) -> str:
    """The arguments as one line that a shell (POSIX; $'..' of bash, zsh, ksh) reads back as they are."""
    return " ".join(map(_quoted, argv))


def _quoted(argument: str) -> str:
    if argument and all(c.isascii() and (c.isalnum() or c in "%+,-./:=@_") for c in argument):
        return argument
    if argument.isprintable():
        return "'" + argument.replace("'", "'\"'\"'") + "'"
    inner = "".join(c if c.isprintable() and c not in "\\'" else _escaped(c) for c in argument)
    return f"$'{inner}'"


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def printable(text: str) -> str:
    """The text on one line: what can't be printed, or breaks a line, is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


# ---------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------


def write(path: str, data: bytes) -> None:
    """Create a file that is not there yet, under its final name, with the folders above it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    _write_all(descriptor, data)


def append(path: str, data: bytes) -> None:
    """Add to the end in one write, as other processes do."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    _write_all(os.open(path, flags, 0o666), data)


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def say(line: str) -> None:
    """One line on stderr, if there is one."""
    _put(sys.stderr, f"footsteps: {printable(line)}\n")


def _announce(shown: str) -> None:
    """The seed's line on stdout."""
    _put(sys.stdout, f"Saving results to {printable(shown)}\n")


def _put(stream: Any, text: str) -> None:
    """Write it at once, if it can be: the stream may be closed, None, ASCII, or lack half the methods."""
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()
    except Exception:
        pass


def iso(seconds: float) -> str:
    """ISO 8601 with microseconds and the local zone; datetime would cost 2 ms to import."""
    whole, micro = divmod(round(seconds * 1e6), 10**6)
    local = time.localtime(whole)
    sign, zone = "-" if local.tm_gmtoff < 0 else "+", abs(local.tm_gmtoff) // 60
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{micro:06d}{sign}{zone // 60:02d}:{zone % 60:02d}"


# ---------------------------------------------------------------------------
# Facts of the machine and the interpreter, without starting a process
# ---------------------------------------------------------------------------


def host_name() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def _user() -> str | None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return None


def _python() -> dict[str, Any]:
    prefix, base = sys.prefix, sys.base_prefix
    environment = {"kind": "venv", "path": prefix} if prefix != base else None
    if os.path.isdir(os.path.join(prefix, "conda-meta")):
        environment = {"kind": "conda", "path": prefix}
    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "prefix": prefix,
        "base_prefix": base,
        "environment": environment,
        "flags": {"optimize": sys.flags.optimize, "isolated": sys.flags.isolated, "hash": sys.flags.hash_randomization},
    }


def _platform() -> dict[str, Any]:
    if hasattr(os, "uname"):
        system = os.uname()
        facts = {"system": system.sysname, "release": system.release, "version": system.version}
        return {**facts, "machine": system.machine, "distribution": _distribution()}
    import platform

    return {
        "system": platform.system(),
        "release": platform.release(),
        "version": platform.version(),
        "machine": platform.machine(),
    }


def _distribution() -> str | None:
    lines = text_of("/etc/os-release").splitlines()
    return next((line[13:].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), None)


def _hardware() -> dict[str, Any]:
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": _after_colon(_start_of("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count(),
        "usable_cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory": _memory(),
        "gpus": _gpus(),
        "gpu_driver": _gpu_driver(),
    }


def _start_of(path: str) -> str:
    """The first 4 KiB: /proc/cpuinfo has a page for each core."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""


def _after_colon(text: str, title: str) -> str | None:
    lines = (line for line in text.splitlines() if line.startswith(title))
    return next((line.partition(":")[2].strip() for line in lines), None)


def _memory() -> int | None:
    """Bytes of main memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """Models that the kernel tells of: NVIDIA's in /proc, AMD's in /sys."""
    found = [_after_colon(_start_of(f"{at}/information"), "Model") for at in _listed("/proc/driver/nvidia/gpus")]
    found += [_start_of(f"{at}/device/product_name").strip() for at in _listed("/sys/class/drm")]
    return [model for model in found if model]


def _gpu_driver() -> str | None:
    words = _start_of("/proc/driver/nvidia/version").split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


# ---------------------------------------------------------------------------
# Packages, as pip lists them, from their metadata
# ---------------------------------------------------------------------------


def _packages() -> list[dict[str, Any]]:
    """Each distribution on sys.path: {name, version, location? (editable), direct_url? (PEP 610)}."""
    found: dict[str, dict[str, Any]] = {}
    for folder in dict.fromkeys(path or "." for path in sys.path):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            row = _package_at(os.path.join(folder, name)) if name.endswith(_METADATA) else None
            if row is not None:
                key = _canonical(row["name"])
                if row.get("editable") and not found.get(key, row).get("editable"):
                    found[key] = row  # the .egg-info beside a script is what its `pip install -e .` has left
                found.setdefault(key, row)  # the first on the path is imported
    return [found[key] for key in sorted(found)]


_METADATA = (".dist-info", ".egg-info", ".egg-link")


def _package_at(path: str) -> dict[str, Any] | None:
    if path.endswith(".egg-link"):  # `setup.py develop`, before PEP 660
        location = text_of(path).split("\n")[0].strip()
        inner = next((p for p in _listed(location) if p.endswith(".egg-info")), None)
        row = _package_at(inner) if inner else None
        return {**row, "editable": True, "location": location} if row else None
    single = path.endswith(".egg-info") and os.path.isfile(path)
    text = _head_of(path if single else f"{path}/{'METADATA' if path.endswith('.dist-info') else 'PKG-INFO'}")
    name, version = _field(text, "Name"), _field(text, "Version")
    if not name or not version:
        return None
    return {"name": name, "version": version, **_origin(path)}


def _head_of(path: str) -> str:
    """The first 2 KiB: name and version stand at the top."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 2048).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _field(text: str, title: str) -> str:
    at = text.find(f"{title}: ") if text.startswith(f"{title}: ") else text.find(f"\n{title}: ") + 1
    if at == 0 and not text.startswith(f"{title}: "):
        return ""
    return text[at + len(title) + 2 :].partition("\n")[0].strip()


def _origin(path: str) -> dict[str, Any]:
    """Where a distribution came from, if not from an index (PEP 610's direct_url.json)."""
    text = text_of(f"{path}/direct_url.json") if path.endswith(".dist-info") else ""
    if not text:
        return {}
    try:
        origin = from_json(text)
        url = mask(str(origin["url"]))
        editable = bool(origin.get("dir_info", {}).get("editable")) and url.startswith("file://")
        place = {"editable": True, "location": _path_of_url(url)} if editable else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {"direct_url": {**origin, "url": url}, **place}


def _path_of_url(url: str) -> str:
    """The path in a file:// URL; importing urllib.request costs more than all the other packages."""
    path = url[len("file://") :]
    if os.name == "nt":
        from urllib.request import url2pathname

        return url2pathname(path)
    plain, *escaped = path.encode().split(b"%")
    return os.fsdecode(plain + b"".join(bytes.fromhex(part[:2].decode()) + part[2:] for part in escaped))


def _editable_locations() -> list[str]:
    return [row["location"] for row in _known_packages() if row.get("editable") and row.get("location")]


def _known_packages() -> list[dict[str, Any]]:
    """The packages, looked up once for a run."""
    if _shared.packages is None:
        _shared.packages = _packages()
    known: list[dict[str, Any]] = _shared.packages
    return known


def _canonical(name: str) -> str:
    """PEP 503."""
    return "-".join(name.lower().replace("_", "-").replace(".", "-").split("-"))


def _package_table(packages: Sequence[Mapping[str, Any]]) -> str:
    """The rows in the form that ``pip list`` prints."""
    titles = ["Package", "Version"] + (
        ["Editable project location"] if any(p.get("editable") for p in packages) else []
    )
    rows = [[p["name"], p["version"], p.get("location") or ""][: len(titles)] for p in packages]
    widths = [max(len(row[n]) for row in [titles, *rows]) for n in range(len(titles))]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "".join(
        " ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


# ---------------------------------------------------------------------------
# Processes: one experiment, one directory
# ---------------------------------------------------------------------------


def _tell_children(ticket: str | None) -> None:
    """Processes started from now on inherit it: pool workers join, other programs name us as parent."""
    if ticket is None:
        os.environ.pop(RUN_VARIABLE, None)
    else:
        os.environ[RUN_VARIABLE] = ticket


def _ticket(text: str | None) -> dict[str, Any] | None:
    """A ticket read back; None if it is none, or its directory is gone."""
    if not text:
        return None
    try:
        ticket = from_json(text)
        kinds = {"pid": int, "maker": int, "id": str, "name": str, "directory": str, "shown": str}
        known = "made_in" in ticket and all(isinstance(ticket[key], kind) for key, kind in kinds.items())
        known = known and os.path.isdir(os.path.join(ticket["directory"], RECORD))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return ticket if known else None


def _joined(ticket: Mapping[str, Any]) -> Run:
    """A run that another process has made."""
    near = ticket["made_in"] == _working_directory()
    shown = ticket["shown"] if near else ticket["directory"]
    return Run(shown, ticket["name"], ticket["id"], pid=ticket["maker"], made_here=False)


def is_multiprocessing_child() -> bool:
    """Whether multiprocessing (or loky, which does as it does) started this process, or is starting it."""
    module: Any = sys.modules.get("multiprocessing.process")
    if module is None:
        return False
    return module.parent_process() is not None or getattr(module.current_process(), "_inheriting", False)


def _multiprocessing_parents() -> list[int]:
    """Pid of this worker's parent; if that is a worker too, or a fork server, those above up to the main process."""
    parent = sys.modules["multiprocessing.process"].parent_process()
    pids = [parent.pid if parent is not None else os.getppid()]
    while (facts := _process_facts(pids[-1])) and _is_worker(facts):
        pids.append(facts["parent"])
    return pids


_WORKERS = ("multiprocessing.spawn", "multiprocessing.forkserver", "popen_loky")


def _is_worker(facts: Mapping[str, Any]) -> bool:
    """Whether another process is part of a pool: started so, or forked, which leaves command and environment alike."""
    pid, above = facts["pid"], facts["parent"]
    command = _command_of(pid)
    if any(name in word for name in _WORKERS for word in command):
        return True
    return bool(command) and command == _command_of(above) and _environment_of(pid) == _environment_of(above)


def parents_run() -> Run | None:
    """The run of the process that started this pool worker, if it has begun one."""
    if not is_multiprocessing_child():
        return None
    ticket = _ticket(os.environ.get(RUN_VARIABLE))
    return _joined(ticket) if ticket and ticket["pid"] in _multiprocessing_parents() else None


def _process_facts(pid: int) -> dict[str, Any] | None:
    """{pid, parent, name, start}; start tells a process from a later one of the same pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().decode("utf-8", "replace").rpartition(")")
        fields = tail.split()  # proc_pid_stat(5): field 3 is the first here, 22 the start in clock ticks
        return {"pid": pid, "parent": int(fields[1]), "name": head.partition("(")[2], "start": int(fields[19])}
    except (OSError, IndexError, ValueError):
        return _process_facts_by_psutil(pid)


def _process_facts_by_psutil(pid: int) -> dict[str, Any] | None:
    if os.path.exists("/proc/self/stat"):
        return None
    try:
        import psutil

        process = psutil.Process(pid)
        start = int(process.create_time() * 100)
        return {"pid": pid, "parent": process.ppid(), "name": process.name(), "start": start}
    except Exception:
        return None


def _lives(pid: int, start: int) -> bool:
    """Whether the very process of that pid and start is still there."""
    facts = _process_facts(pid)
    return facts is not None and facts["start"] == start


def _environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0")]
        return {os.fsdecode(k): os.fsdecode(v) for k, _, v in pairs if k}
    except OSError:
        pass
    try:
        import psutil

        return dict(psutil.Process(pid).environ())
    except Exception:
        return {}


def _program_of(pid: int) -> str:
    """Base name of the executable; a process can call itself anything (torch: pt_main_thread)."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except (OSError, AttributeError):
        facts = _process_facts(pid)
        return facts["name"] if facts else ""


class _Job:
    """The launch that this process is a part of.

    Attributes:
        kind: torchrun, mpi, slurm or multiprocessing.
        key: the same in all its processes, and in no other launch.
        head: {pid, start} of the launcher on this machine.
        rank, size: ints; of a pool worker, its parent's; a pool without a launcher has no size.
        worker_of: {pid, start} of the process whose pool worker this one is, else None.
        asks: whether this process may ask for the name: a worker's stdin is nobody's.
        wrapped: a shell stands between the launcher and us, which may start one program after another.
        elastic: whether workers that ended may be started again.
        attempt: how often they have been, as text.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        head: Mapping[str, Any],
        rank: int,
        size: int | None,
        *,
        worker_of: Mapping[str, Any] | None,
    ) -> None:
        self.kind, self.key, self.head, self.rank, self.size, self.worker_of = kind, key, head, rank, size, worker_of
        self.asks = rank == 0 and worker_of is None
        self.nodes, self.wrapped = 1, False
        spent, most = (os.environ.get(f"TORCHELASTIC_{n}", "0") for n in ("RESTART_COUNT", "MAX_RESTARTS"))
        self.elastic = kind == "torchrun" and spent != most
        self.attempt = spent if kind == "torchrun" else "0"


# kind, variable of the rank, of the size, of the ranks on this node, programs that launch it
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", ("python", "pypy", "torchrun", "accelerate")),
    ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", ("mpi", "orte", "prte")),
    ("mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", ("hydra", "mpi", "slurmstepd")),
    ("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", ("slurmstepd",)),
)  # fmt: skip


def current_job() -> _Job | None:
    """The launch that this process is a rank (or a pool worker, or the head of pool workers) of."""
    worker = is_multiprocessing_child()
    member = _process_facts(_multiprocessing_parents()[-1] if worker else os.getpid())
    if member is None:
        return None
    for row in _LAUNCHERS:
        job = _launched_job(row, member, worker)
        if job is not None:
            return job
    if worker or _has_pool():
        key = f"pool-{member['pid']}-{member['start']}"
        return _Job("multiprocessing", key, member, 0, None, worker_of=member if worker else None)
    return None


def _has_pool() -> bool:
    """Whether this process has started workers, which may have come to output_dir before it."""
    module = sys.modules.get("multiprocessing.process")
    # _children forgets those that have ended, the counter of names does not
    counter = repr(getattr(module, "_process_counter", "count(1)")).strip("'")
    return counter != "count(1)" or "joblib.externals.loky" in sys.modules


def _launched_job(
    row: tuple[str, str, str, str, tuple[str, ...]], member: Mapping[str, Any], worker: bool
) -> _Job | None:
    """The job of such a launcher, if one started ``member`` (us, or whose worker we are) and more than one rank."""
    kind, rank, size, local, programs = row
    environment = os.environ
    if not _is_number(environment.get(rank)) or not _is_number(environment.get(size)) or environment[size] == "1":
        return None
    if kind == "torchrun" and "TORCHELASTIC_RUN_ID" not in environment:
        return None
    if kind == "slurm" and "SLURM_STEP_ID" not in environment:
        return None  # the batch script itself: its PROCID is no rank
    if worker and _environment_of(member["pid"]).get(rank) != environment[rank]:
        return None  # torch.multiprocessing's programs number their workers so
    launcher, wrapped = _launcher(rank, programs, member["parent"])
    if launcher is None:
        return None
    nodes = _nodes(kind, environment.get(local), environment[size])
    key = _unique_job_id(kind) if nodes > 1 else None
    if key is None:
        key = f"{kind}-{launcher['pid']}-{launcher['start']}"
        if nodes > 1:
            say("ranks on other nodes can't be found without a job id: each node has a directory of its own")
            nodes = 1
    if wrapped:  # its programs are told by their scripts, and those of one script by Meeting.number
        key += "-" + _sha256(os.fsencode(os.path.abspath(sys.argv[0])))[:8]
    worker_of = member if worker else None
    job = _Job(kind, key, launcher, int(environment[rank]), int(environment[size]), worker_of=worker_of)
    job.nodes, job.wrapped = nodes, wrapped
    return job


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()


def _launcher(rank: str, programs: tuple[str, ...], parent: int) -> tuple[dict[str, Any] | None, bool]:
    """(the process that gave a child of ``parent`` its rank, whether a shell stands between); None if there is none.

    It is the first above it without that rank in its environment. A Python between them is a rank
    itself, which has started it as a program of its own.
    """
    wrapped, facts = False, _process_facts(parent)
    while facts is not None and facts["pid"] > 1:
        program = _program_of(facts["pid"]) or facts["name"]
        if _environment_of(facts["pid"]).get(rank) != os.environ[rank]:
            return facts if _is_one_of(facts, program, programs) else None, wrapped
        if program.startswith(("python", "pypy")):
            return None, wrapped
        wrapped, facts = True, _process_facts(facts["parent"])
    return None, wrapped


def _is_one_of(facts: Mapping[str, Any], program: str, names: tuple[str, ...]) -> bool:
    return program.startswith(names) or facts["name"].startswith(names)


def _nodes(kind: str, local: str | None, size: str) -> int:
    if kind == "slurm":
        return int(os.environ.get("SLURM_STEP_NUM_NODES") or os.environ.get("SLURM_NNODES") or 1)
    return 2 if _is_number(local) and local != size else 1


def _unique_job_id(kind: str) -> str | None:
    """A name that all nodes of a launch know, and no other launch has."""
    environment = os.environ
    if environment.get("SLURM_JOB_ID") and environment.get("SLURM_STEP_ID"):
        parts = [environment[n] for n in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
        return _as_name("slurm-" + "-".join([*parts, environment.get("SLURM_RESTART_COUNT", "0")]))
    torch = environment.get("TORCHELASTIC_RUN_ID", "none")
    if kind == "torchrun" and torch not in ("none", ""):
        return _as_name(f"torchrun-{torch}")
    if kind == "mpi" and environment.get("PMIX_NAMESPACE"):
        return _as_name(f"pmix-{environment['PMIX_NAMESPACE']}")
    return None


def _jobs_run(name: str | None, root: str | os.PathLike[str], options: dict[str, object]) -> Run:
    """The run of this process's job: made by the first that may, joined by all others."""
    job = current_job()
    if job is None:
        return _make_run(name, root, options, None)
    try:
        meeting = Meeting(job, os.fspath(root))
    except OSError as error:
        say(f"the processes of this job can't meet ({error}); this one has a directory of its own")
        if name is None and not job.asks:  # its stdin is nobody's: mpiexec leaves it open and silent
            name = os.environ.get(NAME_VARIABLE) or _script_name()
        return _make_run(name, root, options, job)
    return meeting.run(name, root, options)


class Meeting:
    """Where the processes of one job agree on a directory: a folder with a lock in it."""

    def __init__(self, job: _Job, root: str) -> None:
        self.job = job
        place = os.path.join(root, ".footsteps-meetings") if job.nodes > 1 else _private_folder()
        os.makedirs(place, mode=0o700, exist_ok=True)
        _sweep_meetings(place)
        self.place, self.folder = place, os.path.join(place, job.key)
        start = (_process_facts(os.getpid()) or {"start": 0})["start"]
        self.own = f"{os.getpid()}-{start}"
        self.here = os.path.join(self.folder, f"here-{self.own}")
        self.member = f"{job.worker_of['pid']}-{job.worker_of['start']}" if job.worker_of else self.own
        self.came = f"came-{job.attempt}-{job.rank}-{self.member}"
        self.come()
        atexit.register(self.leave, os.getpid())

    def come(self) -> None:
        """Leave our marks, also if another one takes the folder away in this moment."""
        for _ in range(1000):
            try:
                os.makedirs(self.place, mode=0o700, exist_ok=True)
                os.makedirs(self.folder, exist_ok=True)
                append(self.here, b"")
                if not self.job.worker_of:
                    append(os.path.join(self.folder, self.came), b"")
                with self.door():
                    if os.path.exists(self.here):
                        return
            except FileNotFoundError:
                continue
        raise FileNotFoundError(2, "the folder of the meeting does not stay", self.folder)

    def door(self) -> Locked:
        """The lock under which one comes or goes; the other one is held while a question is asked."""
        return Locked(os.path.join(self.folder, "door"))

    def number(self) -> str:
        """Which of the job's runs it is: a shell may start the script again, finish() ends one run before another."""
        names, job = os.listdir(self.folder), self.job
        before = [n for n in names if n.startswith(f"came-{job.attempt}-{job.rank}-") and n != self.came]
        ended = sum(name.startswith(f"ended-{self.member}-") for name in names)
        return f"{len(before) if job.wrapped else 0}-{ended}"

    def run(self, name: str | None, root: str | os.PathLike[str], options: dict[str, object]) -> Run:
        """The job's run, made here or joined.

        Raises:
            FootstepsError: the process that was asking for the name has ended without one.
        """
        number = self.number()
        self.made = os.path.join(self.folder, f"made-{number}")
        run = self.met(name, root, options)
        run.at_end(lambda: self.note_end(number))
        return run

    def note_end(self, number: str) -> None:
        """Leave a mark, so that what this process and its workers begin next is another run."""
        try:
            append(os.path.join(self.folder, f"ended-{self.own}-{number}"), b"")
        except OSError:
            pass  # at the end of the program the others may have taken the folder away

    def met(self, name: str | None, root: str | os.PathLike[str], options: dict[str, object]) -> Run:
        """The run of this number, made here or joined."""
        named = name is not None or bool(os.environ.get(NAME_VARIABLE))
        if not named and not self.job.asks:
            self.wait_for_word()
        if not named and self.job.asks:
            append(os.path.join(self.folder, f"asking-{self.own}"), b"")
        while True:
            with Locked(os.path.join(self.folder, "lock")):
                made = _ticket(text_of(self.made))
                if made is not None:
                    return _joined(made)
                if named or self.job.asks or not self.askers():
                    if not named and not self.job.asks:
                        name = _checked_name(_script_name(), os.fspath(root), "the script's name")
                        who = "rank 0" if self.job.size else "the main process"
                        say(f"{who} gave no name in {START_WAIT:g} s; taking {name!r} (or set {NAME_VARIABLE}=<name>)")
                    run = _make_run(name, root, options, self.job)
                    self.tell(run)
                    return run
            self.wait_for_asker()

    def tell(self, run: Run) -> None:
        """Let the others know the directory: complete, or not at all."""
        part = f"{self.made}.{os.getpid()}"
        append(part, run.ticket().encode("ascii"))
        os.replace(part, self.made)
        if self.own in self.askers():  # the next run is another question
            os.unlink(os.path.join(self.folder, f"asking-{self.own}"))

    def wait_for_word(self) -> None:
        """Until rank 0 says that it asks, or a run is made, or START_WAIT is over."""
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until and not self.askers() and not os.path.exists(self.made):
            time.sleep(0.02)

    def askers(self) -> list[str]:
        """Processes (pid-start) that have said that they ask for the name."""
        return [n[len("asking-") :] for n in os.listdir(self.folder) if n.startswith("asking-")]

    def wait_for_asker(self) -> None:
        """As long as the one that asks lives."""
        marks = [f"here-{asker}" for asker in self.askers()]
        alive = any(os.path.exists(os.path.join(self.folder, mark)) and self.may_live(mark) for mark in marks)
        if marks and not alive and not os.path.exists(self.made):
            raise FootstepsError(
                "the process that was asking for the experiment's name has ended without one",
                f"{NAME_VARIABLE}=<name> in front of the command gives it without a question",
            )
        time.sleep(0.05)

    def leave(self, pid: int) -> None:
        """Take this process's mark away, and the meeting if nobody can come any more."""
        if os.getpid() != pid:
            return
        gone = f"{self.folder}-gone-{pid}"
        try:
            with self.door():
                os.unlink(self.here)
                names = os.listdir(self.folder)
                alone = not any(n.startswith("here-") and self.may_live(n) for n in names)
                if alone and self.all_came(names) and not self.job.elastic:
                    os.rename(self.folder, gone)  # at once: whoever comes now finds all of it or nothing
            remove(gone)
            os.rmdir(self.place)
        except OSError:
            pass  # another one is leaving too; what stays is swept by the next job

    def may_live(self, mark: str) -> bool:
        """Whether the process of a here-pid-start is at work; one of another node, until it has left."""
        return self.job.nodes > 1 or _lives(*map(int, mark.split("-")[1:]))

    def all_came(self, names: Iterable[str]) -> bool:
        """Whether every rank has come, and, where a shell starts the script again, as often as the others."""
        if self.job.worker_of or not self.job.size:
            return not self.job.worker_of
        ranks = [name.split("-")[2] for name in names if name.startswith(f"came-{self.job.attempt}-")]
        return {ranks.count(rank) for rank in set(ranks)} == {len(ranks) // self.job.size}


def _private_folder() -> str:
    """A folder of this user's in the temporary directory; nobody else can have laid it there."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else _as_name(_user() or "user")
    folder = os.path.join(tempfile.gettempdir(), f"footsteps-{user}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        found = os.lstat(folder)
        if found.st_uid != os.getuid() or (found.st_mode & 0o170077) != 0o040000:
            raise OSError(f"{folder} is not this user's alone")
    return folder


def _sweep_meetings(place: str) -> None:
    """Remove what jobs have left whose launcher is gone (below a root: what is a month old)."""
    for folder in _listed(place):
        parts = os.path.basename(folder).split("-")
        try:
            if len(parts) >= 3 and parts[0] in ("pool", "mpi", "slurm", "torchrun") and place == _private_folder():
                stale = not _lives(int(parts[1]), int(parts[2]))
            else:
                stale = time.time() - os.stat(folder).st_mtime > 30 * 86400
            if stale:
                remove(folder)
        except (OSError, ValueError):
            continue


class Locked:
    """An exclusive lock on a file, given back by the system when its holder dies."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            import fcntl

            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        except ImportError:
            self.lock_on_windows()

    def lock_on_windows(self) -> None:
        import msvcrt

        while True:
            try:
                return msvcrt.locking(self.descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined, no-any-return, unused-ignore]
            except OSError:  # it gives up after ten seconds
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        try:
            import fcntl

            fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # a child forked meanwhile has a copy of the descriptor
        except (ImportError, OSError):
            pass
        os.close(self.descriptor)


def remove(folder: str) -> None:
    """The folder and all in it; only ever one that we have made."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------------
# The record
# ---------------------------------------------------------------------------

# A fact is a name and a function; what it raises becomes a line under "Not recorded:".
FACTS: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("argv", lambda: mask_arguments(getattr(sys, "argv", []))),
    ("orig_argv", lambda: mask_arguments(sys.orig_argv)),
    ("masked", lambda: mask_arguments(sys.orig_argv) != list(sys.orig_argv)),
    ("command", lambda: quote(mask_arguments(getattr(sys, "argv", [])))),
    ("main", _main_program),
    ("cwd", _working_directory),
    ("host", host_name),
    ("user", _user),
    ("python", _python),
    ("platform", _platform),
    ("hardware", _hardware),
    ("environment", lambda: {name: mask(os.environ[name]) for name in ENVIRONMENT if name in os.environ}),
    ("packages", _known_packages),
)


def _make_run(name: str | None, root: str | os.PathLike[str], options: dict[str, object], job: _Job | None) -> Run:
    """Choose the name, claim the directory, fill it, say so.

    Raises:
        NameRefused, DirectoryRefused: nothing is left behind.
    """
    root = os.fspath(root)
    chosen = _chosen_name(name, root)
    started = time.time()
    _shared.packages = None
    look = _Look(exclude=[root], shown=True)  # git works while we make the directory
    try:
        shown, full_name = _claim(root, chosen)
    except BaseException:
        look.stop()
        raise
    run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(started))}-{os.urandom(4).hex()}"
    run = Run(shown, full_name, run_id, pid=os.getpid(), made_here=True)
    run.options = options
    look.exclude.append(run.directory.rstrip("/"))  # also where the root is no folder of its own
    try:
        code = _fill(run, look, root, started, job)
    except OSError as error:
        run.undo()
        raise DirectoryRefused(
            f"the run's directory {shown!r} can't be written: {error.strerror or error}",
            "make room there, or footsteps.initialize(..., output_root=<another place>)",
            error,
        ) from error
    except BaseException:
        run.undo()
        raise
    run.at_end(lambda: _look_again(run, code))
    _announce(shown)
    _say_what_is_missing(run.facts)
    if run.beside is not None:
        quietly(run.beside.finish, code, root, True)
    return run


def _fill(run: Run, look: _Look, root: str, started: float, job: _Job | None) -> Code:
    """Write the record; only what can't be written at all raises (OSError)."""
    problems: list[str] = []
    facts: dict[str, Any] = {"format": FORMAT, "footsteps": __version__, "id": run.id, "name": run.name}
    facts.update(directory=run.directory, output_root=root, started=iso(started))
    for name, function in (*FACTS, *_shared.facts):
        facts[name] = fact(name, function, problems)
    os.mkdir(run.record)
    run.beside = Beside(run.record)  # begun while git is at work, for it takes a millisecond
    write(os.path.join(run.directory, PACKAGES), encoded(_package_table(facts["packages"] or [])))
    facts["process"] = fact("process", lambda: process_row(job), problems)
    facts["arguments"], facts["argument_facts"] = _shared.arguments or (None, None)
    facts["parent"] = fact("parent", _parent_run, problems)
    facts["outcome_expected"] = bool(COMPANIONS or _shared.companions) and not is_multiprocessing_child()
    facts["script"] = fact("script", lambda: _copied_script(run), problems)
    code: Code = fact("code", look.code, problems) or Code([], 0.0)
    code.keep(run.record)
    changed = fact("changed modules", _changed_since_loaded, problems) or []
    stale = [f"{path} has changed since it was loaded" for path in changed]
    facts.update(code_id=code.code_id, repositories=code.repositories)
    facts["cost"] = {"code": round(code.seconds, 4), "all": round(time.monotonic() - look.began, 4)}
    facts["problems"] = [printable(p) for p in dict.fromkeys([*problems, *code.problems, *stale])]  # said once
    run.facts = facts
    write(os.path.join(run.record, RUN_JSON), as_json(facts))
    write(os.path.join(run.directory, INFO), _info(facts, code))
    return code


def fact(name: str, function: Callable[[], Any], problems: list[str]) -> Any:
    """Its value; None and a line among the problems if it can't be had."""
    try:
        return function()
    except Exception as error:
        if _is_full(error):
            raise
        problems.append(f"{name}: {type(error).__name__}: {error}")
        return None


def _is_full(error: BaseException) -> bool:
    """Whether the disk has no room: the one thing that must be said before the experiment starts."""
    import errno

    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def as_json(facts: object) -> bytes:
    """JSON, a line for each member of the outer object; what JSON can't say as its repr.

    By the C function that the json module uses: json itself imports re, enum and more (10 ms).
    """
    if not isinstance(facts, dict):
        return (json_text(facts) + "\n").encode("ascii")
    rows = ",\n ".join(f"{json_text(str(key))}: {json_text(value)}" for key, value in facts.items())
    return f"{{\n {rows}\n}}\n".encode("ascii")


def json_text(value: object) -> str:
    if isinstance(value, str):
        return _json_string(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):  # also of an IntEnum
        return int.__repr__(value)
    if isinstance(value, float):  # also of a numpy.float64, whose own repr is no number
        plain = float.__repr__(value)
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(plain, plain)
    if isinstance(value, dict):
        return "{" + ", ".join([f"{json_text(str(key))}: {json_text(inner)}" for key, inner in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([json_text(inner) for inner in value]) + "]"
    return json_text(repr(value))


def from_json(text: str) -> Any:
    """What the JSON says, by the C function that the json module uses; see as_json. Raises ValueError."""
    words = text.strip()
    try:
        from _json import make_scanner

        hooks = {"strict": True, "object_hook": None, "object_pairs_hook": None}
        usual: Any = SimpleNamespace(**hooks, parse_int=int, parse_float=float, parse_constant=float)
        value, end = make_scanner(usual)(words, 0)
        if end == len(words):
            return value
    except (ImportError, SystemError, StopIteration, ValueError):  # no C here, or no JSON: json says which
        pass
    import json

    return json.loads(text)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def process_row(job: _Job | None) -> dict[str, Any]:
    """The process whose life is the run's: this one, or the head of the pool that made it."""
    pid = job.worker_of["pid"] if job and job.worker_of else os.getpid()
    facts = _process_facts(pid) or {"parent": os.getppid(), "start": None}
    boot = text_of("/proc/sys/kernel/random/boot_id").strip() or None
    row = {
        "pid": pid,
        "created": _created(facts["start"]),
        "ticks": facts["start"] if boot else None,
        "boot_id": boot,
    }
    row.update(parent_pid=facts["parent"], maker=os.getpid(), launcher=None, job=None, rank=None, world_size=None)
    if job is not None and job.kind != "multiprocessing":
        command = quote(mask_arguments(_command_of(job.head["pid"])))
        row["launcher"] = {"kind": job.kind, "pid": job.head["pid"], "command": command}
        row.update(job=job.key, rank=job.rank, world_size=job.size)
    return row


def _command_of(pid: int) -> list[str]:
    try:
        return [os.fsdecode(part) for part in _bytes_of(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]
    except OSError:
        pass
    try:
        import psutil

        return list(psutil.Process(pid).cmdline())
    except Exception:
        return []


def _created(ticks: int | None) -> float | None:
    """When a process was created, in seconds since the epoch, from its start as `_process_facts` tells it."""
    uptime = text_of("/proc/uptime").split()  # finer than btime in /proc/stat, which is whole seconds
    if ticks is None or not uptime:
        return ticks / 100 if ticks else None  # psutil's, see _process_facts_by_psutil
    return time.time() - float(uptime[0]) + ticks / os.sysconf("SC_CLK_TCK")


def _parent_run() -> dict[str, Any] | None:
    """The run of the program that launched this one."""
    ticket = _ticket(_shared.inherited)
    return {key: ticket[key] for key in ("id", "name", "directory")} if ticket else None


def _copied_script(run: Run) -> dict[str, Any] | None:
    """The script as it ran, beside info.txt."""
    main = _main_program()
    path = main["path"]
    if path is None or not os.path.isfile(path):
        if main["kind"] == "script" and not os.path.exists(path) and not hasattr(sys, "frozen"):
            raise FileNotFoundError(f"{path} is not there any more")
        return None
    if looks_secret(path) or os.path.getsize(path) > MAX_FILE:
        return {"path": path, "stored": None, "sha256": None}
    data, name = _bytes_of(path), os.path.basename(path)
    stored = f"script-{name}" if name.lower() in (INFO, PACKAGES, RECORD) else name
    write(os.path.join(run.directory, stored), data)
    return {"path": path, "stored": stored, "sha256": _sha256(data)}


def _say_what_is_missing(facts: Mapping[str, Any]) -> None:
    """At most one line on stderr for what could not be recorded, one for what was left out."""
    problems = facts["problems"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        say(f"not all could be recorded: {problems[0]}{more}; see {INFO}")
    left_out = [row for repository in facts["repositories"] for row in repository["left_out"]]
    if left_out:
        count = sum(row.get("count", 1) for row in left_out)
        why = "too large, unreadable, or named like a secret"
        say(f"{count} file{'s'[: count != 1]} left out of the record ({why}); see {INFO}")


def _look_again(run: Run, code: Code) -> None:
    """At the end: modules imported since that git ignores go into late.json."""
    rows = code.look_again()
    if rows and not os.path.exists(os.path.join(run.record, LATE_JSON)):
        code.keep(run.record)
        write(os.path.join(run.record, LATE_JSON), as_json({"format": FORMAT, "repositories": rows}))


# --- info.txt ---


def _info(facts: Mapping[str, Any], code: Code) -> bytes:
    """info.txt: the six sections of footsteps 0.1, then what we add. Bytes, as the diff's are git's."""
    head = (facts["command"] or "", facts["host"] or "", (facts["python"] or {}).get("executable") or "")
    lines = [line for title, text in zip(SECTIONS, map(printable, head), strict=False) for line in (title, text)]
    lines += [SECTIONS[3], *_hash_lines(facts["repositories"]), SECTIONS[4]]
    aside = [f"(not in this diff: {printable(name)})" for name in code.not_in_diff]
    after = [*aside, *_dirty_inside(facts["repositories"]), SECTIONS[5], printable(facts["cwd"] or "(deleted)")]
    for title, rows in INFO_SECTIONS:
        told = fact(title, lambda rows=rows: [printable(row) for row in rows(facts, code)], [])  # type: ignore[misc]
        after += [f"{title}:", *told] if told else []
    return encoded("\n".join(lines) + "\n") + code.diff + encoded("\n".join(after) + "\n")


def _hash_lines(repositories: Sequence[Mapping[str, Any]]) -> list[str]:
    main = next((row for row in repositories if row["role"] in ("cwd", "script")), None)
    if main is None:
        return ["not a git repository"]
    if main["commit"] is None:
        return ["not recorded" if main["problems"] else "no commits yet"]
    return [line for line in (main["describe"], main["commit_url"]) if line]


def _dirty_inside(repositories: Sequence[Mapping[str, Any]]) -> list[str]:
    """Submodules with changes of their own, which the diff of the outer repository does not show."""
    rows = [row for row in repositories if row["role"] == "submodule" and (row["files"] or row["left_out"])]
    return [f"(not in this diff: {printable(row['inside']['path'])}, a submodule with changes)" for row in rows]


def _code_lines(facts: Mapping[str, Any], code: Code) -> list[str]:
    lines = [f"code id {facts['code_id']}"]
    for row in facts["repositories"]:
        where = f"{row['role']} {row['path']}"
        lines.append(
            f"{where}: commit {row['commit'] or 'none'}" + (f", branch {row['branch']}" if row["branch"] else "")
        )
        lines += [f"  remote {remote['name']} {remote['url']}" for remote in row["remotes"]]
        if row["files"]:
            lines.append(f"  {_kept(row)}, whole in {RECORD}/{CODE}")
        if row["converted"]:
            lines.append(f"  eol or filter settings act here: each file was looked at, in {code.seconds:.2f} s")
    return lines


def _kept(row: Mapping[str, Any]) -> str:
    count = len(row["files"])
    told = f"{count} file{'s'[: count != 1]}"
    return f"{told} differ{'s'[: count == 1]} from the commit" if row["commit"] else told


def _left_out_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    return [
        f"{row['path']} ({row['size']} bytes"
        + (f" in {row['count']} files" if "count" in row else "")
        + f"): {row['reason']}"
        for repository in facts["repositories"]
        for row in repository["left_out"]
    ]


def _hardware_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    hardware = facts["hardware"] or {}
    memory = f"{hardware['memory'] / 2**30:.1f} GiB memory" if hardware.get("memory") else ""
    cores = f"{hardware.get('usable_cores')} of {hardware.get('cores')} cores"
    lines = [", ".join(part for part in (hardware.get("cpu") or "", cores, memory) if part)]
    driver = f", driver {hardware['gpu_driver']}" if hardware.get("gpu_driver") else ""
    return lines + [f"{model}{driver}" for model in hardware.get("gpus") or []]


def _python_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    python, platform = facts["python"] or {}, facts["platform"] or {}
    lines = [f"{python.get('implementation')} {python.get('version')}"]
    lines.append(
        " ".join(str(platform[k]) for k in ("system", "release", "machine", "distribution") if platform.get(k))
    )
    environment = python.get("environment")
    return lines + ([f"{environment['kind']} {environment['path']}"] if environment else [])


def _process_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    row = facts["process"] or {}
    lines = [f"pid {row.get('pid')}" + (f", user {facts['user']}" if facts["user"] else "")]
    if row.get("launcher"):
        lines.append(
            f"{row['launcher']['kind']}: rank {row['rank']} of {row['world_size']}, {row['launcher']['command']}"
        )
    if facts["parent"]:
        lines.append(f"launched by the run {facts['parent']['directory']}")
    return lines


def _argument_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    told = {**(facts["argument_facts"] or {}), **(facts["arguments"] or {})}
    return [f"{name} {value}" for name, value in told.items()]


# What follows the six sections: a title, and a function of (facts, code) that gives its lines.
INFO_SECTIONS: tuple[tuple[str, Callable[[Mapping[str, Any], Code], list[str]]], ...] = (
    ("Started", lambda facts, _: [facts["started"]]),
    ("Run", lambda facts, _: [f"{facts['id']} (footsteps {facts['footsteps']}, format {facts['format']})"]),
    ("Interpreter's command", lambda facts, _: [quote(facts["orig_argv"] or [])]),
    ("Python and platform", _python_lines),
    ("Hardware", _hardware_lines),
    ("Process", _process_lines),
    ("Environment", lambda facts, _: [f"{k}={v}" for k, v in (facts["environment"] or {}).items()]),
    ("Arguments", _argument_lines),
    ("Code", _code_lines),
    (
        "Untracked files",
        lambda _, code: code.untracked[:200] + [f"... {len(code.untracked)} in all"] * (len(code.untracked) > 200),
    ),
    ("Left out of the record", _left_out_lines),
    ("Not recorded", lambda facts, _: facts["problems"]),
)


# ---------------------------------------------------------------------------
# What a child of low priority finishes: pip's own list, and the bundles
# ---------------------------------------------------------------------------


class Beside:
    """A child of low priority that outlives us if need be; begun early, it waits to be told what there is to finish.

    Neither the terminal's Ctrl-C nor the program's os.wait() reaches it: only a shell is our child,
    and that is gone at once; what it starts is nobody's.

    Args:
        record: the folder ``.footsteps`` that is to be finished.
    """

    def __init__(self, record: str) -> None:
        self.record = record
        self.shell: _Spawned | None = None
        self.argv = [sys.executable, "-I", "-S", os.path.abspath(__file__), "--finish"]
        if os.name == "posix" and _can_start_python():
            try:
                self.begin()
            except OSError:
                pass  # no /bin/sh, or no more processes: then we do it ourselves

    def begin(self) -> None:
        """Start the shell, and by it the child, which waits for a line on its stdin."""
        source, self.pipe = _pipe()
        script = 'cd "$0" || exit; exec 3<&0; { read -r go <&3 && exec "$@" <&3; } >/dev/null 2>&1 &'
        try:
            self.shell = _Spawned(["/bin/sh", "-c", script, self.record, *self.argv], dict(os.environ), source)
        except OSError:
            os.close(self.pipe)
            raise

    def finish(self, code: Code, root: str, packages: bool = False) -> None:
        """Have the bundles made, and pip asked.

        Args:
            root: the output root, where earlier runs may hold the same bundle.
            packages: put pip's own list in place of ours.
        """
        own = _process_facts(os.getpid()) or {"start": 0}
        job = {"record": self.record, "root": os.path.abspath(root), "bundles": code.bundles(), "packages": packages}
        job.update(pid=os.getpid(), start=own["start"])
        try:
            if self.shell is None and (os.name == "posix" or not _can_start_python()):
                _finish({**job, "packages": False})  # here, and without pip: sys.executable may be the program itself
            elif packages or job["bundles"]:
                self.tell(job)
        finally:
            self.leave()

    def tell(self, job: Mapping[str, Any]) -> None:
        """Let it begin."""
        if self.shell is not None:  # its working directory goes with a directory that is moved
            os.write(self.pipe, b"go\n" + as_json({**job, "record": "."}))
            return
        import subprocess

        flags = 0x00000008 | 0x00000200 | 0x00004000  # DETACHED_PROCESS, NEW_PROCESS_GROUP, BELOW_NORMAL_PRIORITY
        null = subprocess.DEVNULL
        child = subprocess.Popen(  # type: ignore[call-arg, unused-ignore]
            self.argv, stdin=subprocess.PIPE, stdout=null, stderr=null, creationflags=flags, close_fds=True
        )
        if child.stdin is not None:
            child.stdin.write(as_json(job))
            child.stdin.close()

    def leave(self) -> None:
        """We have nothing more to say; if we said nothing, it ends."""
        shell, self.shell = self.shell, None
        if shell is not None:
            os.close(self.pipe)
            shell.wait()
            shell.close()


def _can_start_python() -> bool:
    """Whether sys.executable is a Python (frozen or embedded, it is the program itself) and we are a file."""
    program = os.path.basename(sys.executable or "").lower()
    return not getattr(sys, "frozen", False) and program.startswith(("python", "pypy")) and os.path.isfile(__file__)


def _finish(job: Mapping[str, Any]) -> None:
    """Make the bundles, then ask pip.

    Args:
        job: {record, root, bundles, packages (whether to ask), pid, start}.
    """
    if job["bundles"]:
        rows = [_bundled(job, row) for row in job["bundles"]]
        _replace(os.path.join(job["record"], BUNDLES_JSON), as_json({"format": FORMAT, "bundles": rows}))
    if job["packages"] and _still_lives(job, PIP_DELAY):
        _replace_packages(job)


def _still_lives(job: Mapping[str, Any], seconds: float) -> bool:
    """Whether the run lives for so long: a short one is over before pip could say anything."""
    until = time.monotonic() + seconds
    while _lives(job["pid"], job["start"]):
        if time.monotonic() > until:
            return True
        time.sleep(0.05)
    return False


def _replace(path: str, data: bytes) -> None:
    """Put the bytes there, complete or not at all."""
    part = f"{path}.{os.getpid()}"
    write(part, data)
    os.replace(part, path)


def _replace_packages(job: Mapping[str, Any]) -> None:
    """Pip's own list in place of ours, if it answers well, differs, and the run still lives."""
    import subprocess

    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_FORMAT": "columns", "PYTHONSAFEPATH": "1"}
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "pip", "list"],
            cwd=os.path.abspath(os.sep),  # not the project's folder: its logging.py is not pip's
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return
    text, path = answer.replace(b"\r\n", b"\n"), os.path.join(job["record"], os.pardir, PACKAGES)
    if text.startswith(b"Package") and text != _bytes_of(path) and _lives(job["pid"], job["start"]):
        _replace(path, text)


def _bundled(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What became of one repository's commits: a row of bundles.json."""
    try:
        return _linked_bundle(job, row) or _Bundle(job["record"], row).made()
    except (OSError, GitError, ValueError) as error:
        return {"repository": row["repository"], "commit": row["commit"], "left_out": printable(str(error))}


def _linked_bundle(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bundle of an earlier run beside this one that holds the same commit, as a hard link."""
    for folder in _runs_near(job):
        record = os.path.join(folder, RECORD)
        try:
            rows = from_json(text_of(os.path.join(record, BUNDLES_JSON)))["bundles"]
            same = next(r for r in rows if r.get("commit") == row["commit"] and r.get("file") == row["file"])
            os.link(os.path.join(record, row["file"]), os.path.join(job["record"], row["file"]))
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            continue
        return {**same, "repository": row["repository"]}
    return None


def _runs_near(job: Mapping[str, Any]) -> list[str]:
    """The newest run directories beside this one and below the output root, two levels deep."""
    beside = os.path.join(job["record"], os.pardir, os.pardir)
    folders = [path for top in (beside, job["root"]) for path in _listed(top)]
    folders += [path for top in folders if not os.path.exists(os.path.join(top, RECORD)) for path in _listed(top)]
    runs = [path for path in folders if os.path.exists(os.path.join(path, RECORD, BUNDLES_JSON))]
    return sorted(runs, key=lambda path: -os.stat(path).st_mtime)[:200]


class _Bundle:
    """The commits of one repository that its remote may not have for ever, as a git bundle.

    They are packed from a bare repository in the temporary directory that borrows the user's objects
    (objects/info/alternates), so that nothing is written into the user's own. The oldest of the
    commits are named in its ``shallow`` file: git then takes them for roots, and the bundle
    holds whole trees without the history that the remote has.
    """

    def __init__(self, record: str, row: Mapping[str, Any]) -> None:
        self.row, self.commit = row, row["commit"]
        self.record = record

    def made(self) -> dict[str, Any]:
        """A row of bundles.json."""
        import tempfile

        # Not in the record: a `git add` in the project at this moment would stumble over it.
        self.bare = tempfile.mkdtemp(prefix="footsteps-")
        try:
            self.lay_out()
            return self.packed()
        finally:
            remove(self.bare)

    def git(self, *args: str) -> bytes:
        named = {**_OFFLINE, "GIT_DIR": self.bare}  # safe.bareRepository=explicit forbids git to find it by itself
        return git("-c", "protocol.allow=never", *args, cwd=self.bare, env=named, timeout=600)

    def lay_out(self) -> None:
        """The bare repository."""
        sha256 = self.row["object_format"] == "sha256"
        config = f"[core]\n\trepositoryformatversion = {int(sha256)}\n\tbare = true\n"
        config += "[extensions]\n\tobjectformat = sha256\n" if sha256 else ""
        objects = os.path.abspath(os.path.join(self.row["common"], "objects"))
        for name, text in (
            ("HEAD", f"ref: {BUNDLE_REF}\n"),
            ("config", config),
            ("objects/info/alternates", _alternate(objects)),
            (BUNDLE_REF, f"{self.commit}\n"),
            ("shallow", text_of(os.path.join(self.row["common"], "shallow"))),
        ):
            if text:
                write(os.path.join(self.bare, *name.split("/")), encoded(text))

    def packed(self) -> dict[str, Any]:
        bases = self.bases()
        if bases is None:
            return {"repository": self.row["repository"], "commit": self.commit, "pushed": True}
        oldest = self.oldest(bases)
        shallow = os.path.join(self.bare, "shallow")
        before = text_of(shallow)
        _replace(shallow, encoded(before + "".join(f"{commit}\n" for commit in oldest)))
        why = self.refusal(())
        if not why:
            return self.bundle("whole", (), [*before.split(), *oldest])
        if bases and before:
            _replace(shallow, encoded(before))
        elif bases:
            os.unlink(shallow)
        why = self.refusal(bases) if bases else why
        if why:
            return {"repository": self.row["repository"], "commit": self.commit, "left_out": why}
        return self.bundle("thin", bases, before.split())

    def bases(self) -> list[str] | None:
        """Commits at the tips of the remotes' default branches; None if they hold ours."""
        found = []
        for ref in self.row["defaults"]:
            tip = _ref(self.row["git_dir"], self.row["common"], ref) or _rev(self.row["git_dir"], ref)
            if tip:
                if self.holds(tip):
                    return None
                found.append(tip)
        return found

    def holds(self, tip: str) -> bool:
        try:
            self.git("merge-base", "--is-ancestor", self.commit, tip)
        except GitError:
            return False
        return True

    def oldest(self, bases: Sequence[str]) -> list[str]:
        """Of the commits that no default branch has, those with a parent that one has; of too many, the last."""
        if not bases:
            return [self.commit]
        out = self.git("rev-list", "--parents", "--max-count=1001", self.commit, *(f"^{base}" for base in bases))
        lines = [line.split() for line in out.decode().splitlines()]
        ours = {line[0] for line in lines}
        if len(lines) > 1000:
            return [self.commit]
        return [line[0] for line in lines if not line[1:] or any(parent not in ours for parent in line[1:])]

    def refusal(self, bases: Sequence[str]) -> str:
        """Why such a bundle is not kept, "" if it is."""
        wanted = ["--objects", self.commit, *(f"^{base}" for base in bases)]
        lines = self.git("rev-list", *wanted).decode("utf-8", "surrogateescape").splitlines()
        names = (line.partition(" ")[2] for line in lines)
        secret = next((name for name in names if looks_secret(name)), None)
        if secret:
            return f"its commits hold {printable(secret)}, whose name looks like a secret's"
        try:
            size = int(self.git("rev-list", "--disk-usage", *wanted))
        except (GitError, ValueError):  # git < 2.31
            size = 0
        return f"larger than {MAX_BUNDLE // MIB} MiB" if size > MAX_BUNDLE else ""

    def bundle(self, kind: str, bases: Sequence[str], shallow: Sequence[str]) -> dict[str, Any]:
        self.git("bundle", "create", "--quiet", "made.bundle", BUNDLE_REF, *(f"^{base}" for base in bases))
        data = _bytes_of(os.path.join(self.bare, "made.bundle"))
        _replace(os.path.join(self.record, self.row["file"]), data)
        return {
            "repository": self.row["repository"],
            "commit": self.commit,
            "file": self.row["file"],
            "kind": kind,
            "size": len(data),
            "sha256": _sha256(data),
            "prerequisites": list(bases),
            "shallow": list(shallow),
        }


def _alternate(objects: str) -> str:
    """A line of objects/info/alternates; quoted as git's C strings are, for a path may begin with a quote or #."""
    plain = objects.isprintable() and not objects.startswith(('"', "#")) and os.pathsep not in objects
    return (objects if plain else '"' + "".join(f"\\{byte:03o}" for byte in os.fsencode(objects)) + '"') + "\n"


def _rev(git_dir: str, ref: str) -> str:
    """The commit of a ref that plain files don't tell (reftable)."""
    try:
        return git("rev-parse", "--verify", "--quiet", ref, cwd=git_dir, env=_OFFLINE, timeout=60).decode().strip()
    except GitError:
        return ""


# ---------------------------------------------------------------------------
# This module: its state is the shared one
# ---------------------------------------------------------------------------


def _main(argv: Sequence[str]) -> int:
    """The finishing child; anything else meant the installed package's command line."""
    if list(argv) == ["--finish"]:
        if hasattr(os, "nice"):
            os.nice(10)
        _finish(from_json(sys.stdin.read()))
        return 0
    say(f"{__file__} is a copy of the heart, without the commands: run them from another folder")
    return 2


def _give_face(module: ModuleType) -> None:
    """Have the module's state be the shared one, with what was assigned before we came."""
    names = ("output_dir", "output_dir_impl", "initialized")
    early = {name: vars(module).pop(name) for name in names if name in vars(module)}
    module.__class__ = _Face
    for name, value in early.items():
        setattr(module, name, value)


for _door in (*_shared.doors, sys.modules[__name__]):
    _give_face(_door)

if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
