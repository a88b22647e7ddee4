"""git: the one place that starts it, what the plain files in .git tell without it, and its diffs in short."""

from __future__ import annotations

import os
import time

from footsteps.recorder.format import FootstepsError, decoded, encoded, printable, text_of
from footsteps.recorder.secrets import mask, mask_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any


GIT_TIMEOUT = 20.0  # seconds; git is slow on a cold network disk
LONGEST_COMMAND = 600.0  # seconds for a command of which nothing else is said


class GitError(FootstepsError):
    """git said no, took too long (``returncode`` is None) or is not there (None too)."""

    def __init__(self, argv: Sequence[str], returncode: int | None, stderr: str, hint: str = "") -> None:
        super().__init__(stderr or f"git {argv[0]} ended with {returncode}", hint)
        self.argv = mask_arguments(argv)
        self.returncode = returncode
        self.stderr = stderr

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.argv, self.returncode, self.stderr, self.hint)


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
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}


def git(
    *args: str,
    cwd: str | os.PathLike[str],
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = LONGEST_COMMAND,
    most: int | None = None,
) -> bytes:
    """What ``git ARGS`` prints, run in ``cwd``.

    Args:
        stdin: what it reads; None: nothing.
        env: environment variables to add.
        timeout: seconds.
        most: bytes that it may print.

    Raises:
        GitError: it ended with another status than 0, took too long, printed too much, or is not there.
    """
    started = start_git(*args, cwd=cwd, stdin=stdin, env=env)
    out, whole = started.result_within(most, timeout)
    if not whole:
        raise GitError(started.args, None, f"git {started.args[0]} printed more than {most} bytes")
    return out


def start_git(
    *args: str,
    cwd: str | os.PathLike[str],
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> GitProcess:
    """Start ``git ARGS`` in ``cwd``; ``result`` collects it. Raises GitError if there is no git."""
    return GitProcess(args, cwd, stdin or b"", env or {})


class Child:
    """A program that has been started; its output goes to files in memory, so nothing has to be read while it runs.

    It has a session of its own: the terminal's Ctrl-C is not for it. (subprocess takes 8 ms to import, and could not
    hide git from a program that waits for all of its children with threads of its own.)
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], stdin: bytes = b"") -> None:
        self.code: int | None = None
        self.files: list[int] = []
        self.opened: Any = None
        try:
            for data in (b"", b"", stdin):
                self.files.append(_memory_file(data))
            self.start(list(argv), dict(env))
        except BaseException:
            self.close()
            raise

    def start(self, argv: list[str], env: dict[str, str]) -> None:
        """Start it with the files as its stdout, stderr and stdin. Raises OSError."""
        if not hasattr(os, "posix_spawnp"):
            import subprocess

            out, err, source = self.files
            self.opened = subprocess.Popen(argv, env=env, stdin=source, stdout=out, stderr=err)
            return
        import _signal  # type: ignore[import-not-found]  # signal itself makes enums

        moves = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in zip((1, 2, 0), self.files, strict=True)]
        usual = (_signal.SIGPIPE, _signal.SIGCHLD)  # what the program ignores, its children would ignore too
        try:
            self.pid = os.posix_spawnp(argv[0], argv, env, file_actions=moves, setsigdef=usual, setsid=True)
        except NotImplementedError:  # before macOS 10.15
            self.pid = os.posix_spawnp(argv[0], argv, env, file_actions=moves, setsigdef=usual, setpgroup=0)

    def ended(self) -> bool:
        """Whether it has ended; then `code` is its exit status, negative for a signal."""
        if self.code is None and self.opened is not None:
            self.code = self.opened.poll()
        elif self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.code = os.waitstatus_to_exitcode(status) if pid else None
            except ChildProcessError:  # the program's own os.wait() had it, or SIGCHLD is ignored
                self.code = 0
        return self.code is not None

    def wait(self, timeout: float | None = None, most: int | None = None) -> bool:
        """Until it has ended (True), or has printed more than ``most`` bytes (False). Raises TimeoutError."""
        until, pause, sleep = time.monotonic() + (timeout or 0.0), 0.0002, self.waiter()
        while not self.ended():
            if most is not None and os.fstat(self.files[0]).st_size > most:
                return False
            if timeout is not None and time.monotonic() > until:
                raise TimeoutError
            sleep(pause)
            pause = min(2 * pause, 0.05)
        return True

    def waiter(self) -> Callable[[float], object]:
        """A function that waits for so many seconds, or until the process has ended."""
        try:
            import select

            poll, end = select.poll(), os.pidfd_open(self.pid)
        except (OSError, AttributeError):  # not Linux; or eventlet has taken select.poll away
            return time.sleep
        self.files.append(end)
        poll.register(end, select.POLLIN)
        return lambda seconds: poll.poll(max(1, seconds * 1000))

    def printed(self) -> tuple[bytes, bytes]:
        """(stdout, stderr) so far."""
        return _content(self.files[0]), _content(self.files[1])

    def terminate(self) -> None:
        """End it with all that it started, if it still runs."""
        if not self.ended():
            try:
                if self.opened is not None:
                    self.opened.kill()
                else:
                    os.killpg(self.pid, 9)
                    os.waitpid(self.pid, 0)
                self.code = -9
            except OSError:
                pass
        self.close()

    def close(self) -> None:
        """Give the files back."""
        while self.files:
            os.close(self.files.pop())


def _memory_file(data: bytes) -> int:
    """A file in memory with these bytes, read from its beginning; above 2, as the program may have closed those."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("footsteps")
    else:
        import tempfile

        with tempfile.TemporaryFile() as opened:
            file = os.dup(opened.fileno())
    if file <= 2:
        import fcntl

        low, file = file, fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(low)
    while data:
        data = data[os.write(file, data) :]
    os.lseek(file, 0, 0)
    return file


def _content(file: int) -> bytes:
    """All that is in it."""
    size, pieces = os.fstat(file).st_size, []
    os.lseek(file, 0, 0)
    while size > 0 and (piece := os.read(file, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class GitProcess:
    """A git command that has been started."""

    warnings = b""  # what it said on stderr, once it is collected

    def __init__(self, args: Sequence[str], cwd: str | os.PathLike[str], stdin: bytes, env: Mapping[str, str]) -> None:
        self.args = _without_settings(args)
        if not os.path.isdir(cwd):
            raise GitError(args, None, f"{os.fspath(cwd)!r} is not there")
        argv = ["git", "-C", os.fspath(cwd), *_GIT, *args]
        try:
            self.child = Child(argv, {**_git_environment(), **env}, stdin)
        except FileNotFoundError as error:
            raise GitError(args, None, "git was not found on PATH") from error
        except OSError as error:
            raise GitError(args, None, f"git could not be started: {error.strerror}") from error

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.child.ended()

    def result(self, timeout: float | None = None) -> bytes:
        """What it printed.

        Raises:
            GitError: status other than 0, or not done within ``timeout`` seconds (it is killed then).
        """
        return self.result_within(None, timeout)[0]

    def result_within(self, size: int | None, timeout: float | None) -> tuple[bytes, bool]:
        """(the first ``size`` bytes of what it prints, whether that is all); raises as ``result`` does."""
        try:
            ended = self.child.wait(timeout, size)
            out, self.warnings = self.child.printed()
        except TimeoutError:
            spent = f"more than {timeout:.0f} s" if timeout and timeout >= 0.5 else "too long"
            raise GitError(self.args, None, f"git {self.args[0]} took {spent}") from None
        finally:  # also after the terminal's Ctrl-C, which it does not hear itself
            self.child.terminate()
        if ended and self.child.code:
            first = self.warnings.decode("utf-8", "replace").strip().split("\n")[0][:500]
            raise GitError(self.args, self.child.code, printable(mask(first)))
        return out[:size], ended and (size is None or len(out) <= size)

    def kill(self) -> None:
        """End it: nobody will ask for its answer."""
        self.child.terminate()


def _without_settings(args: Sequence[str]) -> Sequence[str]:
    """The command itself, for messages."""
    return _without_settings(args[2:]) if args[0] == "-c" else args


def _git_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_GIT_KEPT)}
    return {**kept, "LC_ALL": "C.UTF-8", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def repository_root(path: str | None) -> str | None:
    """The folder above (or at) ``path`` that holds a .git, None outside of repositories."""
    while path:
        if os.path.lexists(os.path.join(path, ".git")):
            return path
        parent = os.path.dirname(path)
        if parent == path:
            return None
        path = parent
    return None


def git_dir_of(root: str) -> str:
    """The git directory of a work tree: .git itself, or where the file .git says (submodule, worktree)."""
    dot_git = os.path.join(root, ".git")
    said = text_of(dot_git) if os.path.isfile(dot_git) else ""
    return os.path.join(root, said[len("gitdir:") :].strip()) if said.startswith("gitdir:") else dot_git


def common_dir_of(git_dir: str) -> str:
    """Where refs, objects and config are: of a linked worktree, the main repository's."""
    said = text_of(os.path.join(git_dir, "commondir")).strip()
    return os.path.normpath(os.path.join(git_dir, said)) if said else git_dir


def read_ref(git_dir: str, common: str, name: str, depth: int = 5) -> str:
    """The commit that a ref names, "" if plain files don't tell (reftable)."""
    text = (text_of(os.path.join(git_dir, name)) or text_of(os.path.join(common, name))).strip()
    if text.startswith("ref:"):
        return read_ref(git_dir, common, text[4:].strip(), depth - 1) if depth else ""
    if text:
        return text
    for line in text_of(os.path.join(common, "packed-refs")).splitlines():
        if line.endswith(" " + name):
            return line.split(" ", 1)[0]
    return ""


def config_of(path: str) -> list[tuple[str, str]]:
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


def remotes_of(common: str) -> list[dict[str, str]]:
    """Name and URL of each remote, without credentials; origin first."""
    config = config_of(os.path.join(common, "config"))
    return _origin_first(
        (key[len("remote.") : -len(".url")], value)
        for key, value in config
        if key.startswith("remote.") and key.endswith(".url")
    )


def remotes_listed(printed: bytes) -> list[dict[str, str]]:
    """The same of what `git remote -v` prints: a name, a tab, the URL that is fetched from, ``(fetch)``."""
    rows = [line.partition("\t") for line in printed.decode("utf-8", "surrogateescape").splitlines()]
    return _origin_first((name, said.removesuffix(" (fetch)")) for name, _, said in rows if said.endswith(" (fetch)"))


def _origin_first(remotes: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    found = [{"name": mask(name), "url": mask(url)} for name, url in remotes]
    return sorted(found, key=lambda remote: remote["name"] != "origin")


def default_branch_refs(git_dir: str, common: str, remotes: Iterable[Mapping[str, str]]) -> list[str]:
    """The refs that stand for the remotes' default branches, as this clone last saw them."""
    refs = []
    for remote in remotes:
        base = f"refs/remotes/{remote['name']}/"
        said = text_of(os.path.join(common, base + "HEAD")).strip()
        if said.startswith("ref:"):
            refs.append(said[4:].strip())
        else:
            refs += [base + n for n in ("main", "master") if read_ref(git_dir, common, base + n)][:1]
    return refs


def may_have_tags(common: str) -> bool:
    """Whether `git describe` could name a tag; without any it is the short hash, one process less."""
    return has_refs(common, "tags") or os.path.isdir(os.path.join(common, "reftable"))


def has_refs(common: str, kind: str) -> bool:
    """Whether plain files tell of a ref below ``refs/<kind>/``."""
    try:
        loose = any(True for _ in os.scandir(os.path.join(common, "refs", kind)))
    except OSError:
        loose = False
    return loose or f" refs/{kind}/" in text_of(os.path.join(common, "packed-refs"))


def alternates_line(objects: str) -> str:
    """A line of objects/info/alternates; quoted as git's C strings are, for a path may begin with a quote or #."""
    plain = objects.isprintable() and not objects.startswith(('"', "#")) and os.pathsep not in objects
    return (objects if plain else '"' + "".join(f"\\{byte:03o}" for byte in os.fsencode(objects)) + '"') + "\n"


def parse_rev(git_dir: str, ref: str) -> str:
    """The commit of a ref that plain files don't tell (reftable)."""
    try:
        return git("rev-parse", "--verify", "--quiet", ref, cwd=git_dir, env=OFFLINE, timeout=60).decode().strip()
    except GitError:
        return ""


# --- a long diff in short ---------------------------------------------------------------------------------------------

LONG = 500  # lines of a diff that info.txt shows whole
MOST_LINES = 200  # lines that it shows of a longer one


def is_long(diff: bytes) -> bool:
    """Whether a diff would bury what follows it in info.txt."""
    return diff.count(b"\n") > LONG


def short_form(diff: bytes, where: str) -> bytes:
    """The stat of a diff, its first lines, and where all of it is."""
    lines = diff.split(b"\n")
    head = f"({len(lines) - 1} lines, of which the first {MOST_LINES} stand here; all of them: {where})\n"
    return encoded(head) + stat_of(diff) + b"\n".join(lines[:MOST_LINES]) + encoded(f"\n(it goes on in {where})\n")


def stat_of(diff: bytes) -> bytes:
    """A line for each file of a diff, with how many lines were added and removed, as git's --stat has it."""
    rows = []
    for part in (b"\n" + diff).split(b"\ndiff --git ")[1:]:
        name, *body = part.split(b"\n")
        added = sum(line.startswith(b"+") and not line.startswith(b"+++ ") for line in body)
        removed = sum(line.startswith(b"-") and not line.startswith(b"--- ") for line in body)
        rows.append((printable(decoded(name.rpartition(b" b/")[2])), added, removed))
    width = min(60, max((len(name) for name, _, _ in rows), default=0))
    told = [f" {name:<{width}} | +{added} -{removed}\n" for name, added, removed in rows]
    total = f" {len(rows)} file{'s'[: len(rows) != 1]} changed, +{sum(r[1] for r in rows)} -{sum(r[2] for r in rows)}\n"
    return encoded("".join(told) + total)
