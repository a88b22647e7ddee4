"""What every test stands on: an isolated home, real repositories, real programs, real terminals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
SEED_SCRIPT = """\
import footsteps

with open(footsteps.output_dir + "network_weights.csv", "w") as f:
    f.write("6, 9, 42")
"""
GIT_CONFIG = """\
[user]
\tname = Ada
\temail = ada@example.org
[init]
\tdefaultBranch = main
[protocol "file"]
\tallow = always
"""
# A suite that is itself started by a launcher, a hook or a coloured CI tests the same thing.
FOREIGN = re.compile(
    r"(FOOTSTEPS|GIT|SLURM|SBATCH|SRUN|PMI|PMIX|OMPI|MPI|HYDRA|TORCHELASTIC|XDG|LC)_.*"
    r"|(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE|NAME)|MASTER_(ADDR|PORT)|COLUMNS|LINES|(NO|FORCE)_COLOR"
)

settings.register_profile(
    "quick",
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("quick"), max_examples=1000)
settings.load_profile("quick")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that starts a suite in the background has it ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """Twice the processors, unless that is said: most tests wait for programs."""
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") or 2 * (os.cpu_count() or 1))


def package_environment() -> dict[str, str]:
    """The variable with which a program anywhere can import footsteps; none if it is installed."""
    asked = [sys.executable, "-c", "import footsteps.footsteps"]
    installed = subprocess.run(asked, cwd="/", capture_output=True).returncode == 0
    return {} if installed else {"PYTHONPATH": str(HERE.parent)}


PACKAGE_ENVIRONMENT = package_environment()


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Every test has its own home, temporary and working directory, and no settings of ours."""
    for name in filter(FOREIGN.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)
    home, scratch = tmp_path / "home", Path(tempfile.mkdtemp(prefix="f"))  # sockets in it need a short path
    home.mkdir()
    (tmp_path / "tmp").symlink_to(scratch)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    for name, value in {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "TMPDIR": str(scratch),
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "MPLBACKEND": "Agg",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",  # Open MPI refuses root, and more ranks than cores, unless it is told
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
        **PACKAGE_ENVIRONMENT,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)
    # What is parsed in a test is not pytest's own command line, which may be as empty as a test's.
    monkeypatch.setattr(sys, "argv", ["pytest", "--not-a-program"])
    # Nor is the directory that pytest was started in that of a program that a test is.
    monkeypatch.setattr("footsteps.recorder.format.started_in", None)
    time.tzset()
    monkeypatch.chdir(tmp_path)
    yield
    shutil.rmtree(scratch, ignore_errors=True)


class Repo:
    """A git repository on disk; `repo("status", "--short")` is that command's output in it."""

    def __init__(self, path):
        """Stand for the repository at `path`, which need not be there yet."""
        self.path = Path(path)

    def __call__(self, *arguments, stdin=None) -> str:
        """The output of a git command that must succeed, as text without its last newline."""
        return os.fsdecode(self.raw(*arguments, stdin=stdin)).rstrip("\n")

    def __fspath__(self) -> str:
        """The folder, for open() and the like."""
        return str(self.path)

    def __truediv__(self, name) -> Path:
        """The path of a file in it."""
        return self.path / os.fsdecode(name)

    def raw(self, *arguments, stdin=None) -> bytes:
        """The output of a git command that must succeed, as bytes."""
        command = ["git", *map(os.fspath, arguments)]
        done = subprocess.run(command, cwd=self.path, input=stdin, capture_output=True)
        assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
        return done.stdout

    def init(self, *arguments) -> Repo:
        """Make it: an empty repository without a commit."""
        self.path.mkdir(parents=True, exist_ok=True)
        self("init", "--quiet", *arguments)
        return self

    def write(self, name, content="", *, executable=False) -> Path:
        """Write a file, and the folders above it, byte for byte."""
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if executable:
            path.chmod(0o755)
        return path

    def read(self, name) -> bytes:
        """A file's bytes."""
        return (self / name).read_bytes()

    def commit(self, message="a change", *, everything=True) -> str:
        """Commit all that is there (or only what is staged); the commit's full id."""
        if everything:
            self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", message)
        return self("rev-parse", "HEAD")

    def clone(self, to, *arguments) -> Repo:
        """A clone of it, beside it if `to` is relative."""
        other = Repo(self.path.parent / to)
        self("clone", "--quiet", *arguments, self.path, other.path)
        return other

    def add_remote(self, name="origin") -> Repo:
        """A bare repository beside it to which its branch is pushed, with the remote's HEAD set."""
        branch = self("symbolic-ref", "--short", "HEAD")
        remote = Repo(self.path.parent / f"{name}.git").init("--bare", f"--initial-branch={branch}")
        self("remote", "add", name, remote.path)
        self("push", "--quiet", "--set-upstream", name, branch)
        self("remote", "set-head", name, branch)
        return remote


@pytest.fixture
def repo(tmp_path) -> Repo:
    """A project with one commit, the seed's script as train.py, and no remote."""
    project = Repo(tmp_path / "project").init()
    project.write("train.py", SEED_SCRIPT)
    project.commit("Begin")
    return project


@pytest.fixture
def remote(repo) -> Repo:
    """The bare origin to which `repo` was pushed."""
    return repo.add_remote()


def snapshot(tree) -> dict[bytes, tuple[str, bool, bytes]]:
    """Each file and link below a folder: path -> ("file" | "link", executable, bytes or target)."""
    found = {}
    top = os.fsencode(os.fspath(tree))
    for folder, directories, names in os.walk(top):
        directories[:] = [name for name in directories if name != b".git"]
        links = [n for n in directories if os.path.islink(os.path.join(folder, n))]
        for name in (*links, *(name for name in names if name != b".git")):
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = entry(path)
    return found


def entry(path: bytes) -> tuple[str, bool, bytes]:
    """What snapshot tells of one file or link."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return ("link", False, os.readlink(path))
    with open(path, "rb") as file:
        return ("file", bool(mode & stat.S_IXUSR), file.read())


def surroundings(changes=None) -> dict[str, str]:
    """This environment with some variables changed, or, where the value is None, taken out."""
    wanted = {**os.environ, **(changes or {})}
    return {name: value for name, value in wanted.items() if value is not None}


@pytest.fixture
def run_script(tmp_path):
    """A function that runs a program as a user would.

    It takes the program's text or path, its arguments, `cwd`, `stdin`, `env`, `timeout`, `options`.
    `stdin` is text or bytes to pipe in, a file, or None for a closed one; `options` go before the
    script (`-I`, `-O`). The CompletedProcess's stdout and stderr are text.
    """

    def run(program, *arguments, cwd=None, stdin=None, env=None, timeout=60, options=()):
        where = Path(cwd or tmp_path)
        script = script_path(program, where)
        piped = isinstance(stdin, (str, bytes))
        return subprocess.run(
            [sys.executable, *options, script, *map(os.fspath, arguments)],
            cwd=where,
            env=surroundings(env),
            **({"input": os.fsdecode(stdin)} if piped else {"stdin": stdin or subprocess.DEVNULL}),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
        )

    return run


def script_path(program, where: Path) -> str:
    """The path of a script: itself, or, for the text of a program, the file it was written to."""
    text = os.fspath(program)
    if not isinstance(program, str) or (text.endswith(".py") and "\n" not in text):
        return text
    path = where / "script.py"
    path.write_text(text)
    return path.name


ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_=>]")


def plain(text: str) -> str:
    """Terminal output without its escape sequences and carriage returns."""
    return ESCAPES.sub("", text).replace("\r", "")


@pytest.fixture
def terminal(tmp_path):
    """A function that starts a program (argv, cwd, env) in a pseudo-terminal of 24 by 80.

    What it returns is a pexpect.spawn. It waits for a minute at most, and what still runs after
    the test is ended.
    """
    pexpect = pytest.importorskip("pexpect")
    started = []

    def start(argv, cwd=None, env=None, *, timeout=60):
        # Nobody answers a cursor position request here, and prompt_toolkit would wait for it.
        quiet = {"PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})}
        child = pexpect.spawn(
            os.fspath(argv[0]),
            [os.fspath(argument) for argument in argv[1:]],
            cwd=os.fspath(cwd or tmp_path),
            env=surroundings(quiet),
            encoding="utf-8",
            codec_errors="surrogateescape",
            timeout=timeout,
            dimensions=(24, 80),
        )
        child.delaybeforesend = None
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)
