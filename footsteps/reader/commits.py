"""A run's commit, brought into a folder of the caller's: from a clone, a remote, or the record's bundle.

git gets no configuration, hook, filter or transport from a record.
"""

from __future__ import annotations

import os

from footsteps.reader import runs
from footsteps.reader.formats import is_hollow, open_plain_file, sha256_of, text
from footsteps.reader.repositories import as_bytes, link_on, transport, urls_of
from footsteps.recorder import format as recorded
from footsteps.recorder.format import BUNDLE_REF, RECORD, TOO_LARGE, FootstepsError, quote
from footsteps.recorder.git import LONGEST_COMMAND, OFFLINE, GitError, git
from footsteps.recorder.secrets import mask

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from footsteps.reader.runs import Run

    Say = Callable[[str], object]

FIRST_ANSWER = 30.0  # seconds in which a clone or remote says anything at all
FETCHED = 3600.0  # seconds in which it has sent a history
MAX_REMOTES = 5  # of a record's that are asked
MOST_PRINTED = 1 << 27  # bytes of what git says of commits that may come from anybody
BUNDLE_IN_MAKING = 60.0  # seconds after a run's start in which its bundle may still be in the making
GIT_BLOCK = 2**20  # bytes read at once
ALL_BRANCHES = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
PROTOCOLS = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "GIT_NO_LAZY_FETCH": "1"}  # no ext::
TRANSPORTS = ("", "file", "git", "http", "https", "ssh", "git+ssh", "ssh+git")
# The bytes on disk are the commit's, whatever attributes say. (!, since git dies of -w-t-encoding.)
RAW_ATTRIBUTES = "* -text -crlf !eol -filter -ident !working-tree-encoding\n"
SAFE = tuple(
    word
    for setting in (
        f"core.hooksPath={os.devnull}",
        "core.autocrlf=false",
        "core.symlinks=true",
        "core.fileMode=true",
        "core.protectHFS=true",
        "core.protectNTFS=true",
        "core.sparseCheckout=false",
        "core.longPaths=true",
        "protocol.version=2",  # an older one only gives what a branch or tag names
        "fetch.fsckObjects=false",  # what GitHub took years ago, a strict reader refuses
        "transfer.fsckObjects=false",
        "fetch.recurseSubmodules=no",
        "fetch.prune=false",
        "fetch.writeCommitGraph=false",
        "gc.auto=0",
        "maintenance.auto=false",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=60",
    )
    for word in ("-c", setting)
)


class Unobtainable(FootstepsError):
    """A commit that no source has.

    Attributes:
        clone: the recorded clone that was not asked, or "".
    """

    clone = ""


class CommitFetcher:
    """Brings one repository's commit into a folder, which becomes a repository of its own.

    Attributes:
        run: the recorded one; row: what its record says of the repository; name: the repository's;
        folder: where to; sources: asked instead of the recorded ones; commit: the full id, known at
        the latest when it is here; failures: why each source did not have it; depth: git's option
        where the history before the commit is of no use.
    """

    def __init__(self, run: Run, row: dict[str, Any], folder: bytes, sources: list[str]) -> None:
        self.run, self.row, self.folder, self.sources = run, row, folder, sources
        self.name = text(row.get("name"))
        self.commit = text(row.get("commit"))
        self.failures: list[str] = []
        self.depth: list[str] = []
        self.answers: dict[str, GitError | None] = {}  # of the remotes that were asked

    def git(self, *args: str, stdin: bytes | None = None, timeout: float = LONGEST_COMMAND) -> bytes:
        """What git prints in the folder, with nothing of anybody's configuration that acts."""
        where = os.fsdecode(self.folder)
        return git(*SAFE, *args, cwd=where, stdin=stdin, env=PROTOCOLS, timeout=timeout, most=MOST_PRINTED)

    def path_in_git(self, name: str) -> str:
        """A file of the folder's .git."""
        return os.path.join(os.fsdecode(self.folder), ".git", *name.split("/"))

    def write_in_git(self, name: str, words: str) -> None:
        """Write a small file in .git."""
        os.makedirs(os.path.dirname(self.path_in_git(name)), exist_ok=True)
        with open(self.path_in_git(name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(words)

    def begin(self) -> None:
        """An empty repository whose files are what they are."""
        sha256 = ["--object-format=sha256"] if self.row.get("object_format") == "sha256" else []  # git >= 2.29
        self.git("init", "--quiet", "--template=", *sha256)
        self.write_in_git("info/attributes", RAW_ATTRIBUTES)

    def brought(self, say: Say, *, clones: bool) -> str:
        """Get the commit from the first source that has it; where that was, for people."""
        for shown, bring in self.ways(clones=clones):
            say(f"taking {self.commit[:10] or self.row.get('revision')} from {shown}")
            try:
                bring()
                if self.has_commit():
                    return shown
                self.failures.append(f"{shown}: does not have it")
            except (GitError, OSError) as error:
                why = error.message if isinstance(error, GitError) else str(error)
                self.failures.append(f"{shown}: {why.removeprefix('fatal: ')}")
        raise self.unobtainable(clones=clones)

    def unobtainable(self, *, clones: bool) -> Unobtainable:
        """The error that names every source that was tried."""
        wanted = self.commit or text(self.row.get("revision"))
        tried = "; ".join(self.failures) or "the record names neither clone nor remote nor bundle"
        error = Unobtainable(
            f"commit {wanted[:12]} of {self.run.name!r} ({self.name}) is not to be had: {tried}",
            hint=f"footsteps restore {quote([self.run.directory])} --from <a clone, bundle or URL that has it>",
        )
        error.clone = "" if clones else text(self.row.get("path"))
        return error

    def ways(self, *, clones: bool) -> Iterator[tuple[str, Callable[[], None]]]:
        """The sources in the order in which they are asked: (what it is, what asks it)."""
        from functools import partial

        own = self.clones() if clones and not self.sources else []
        partial_ones = [clone for clone in own if is_partial(clone)]
        near = self.sources or [clone for clone in own if clone not in partial_ones]
        far = [] if self.sources else [url for url in self.addresses() if url not in own]
        for url in near:
            yield mask(url), partial(self.fetch_by_id, url)
        there = self.bundles(wait=0.0)
        for bundle in there:  # before a remote, which may be silent
            file = text(bundle.get("file"))
            yield f"the record's {file}", partial(self.fetch_bundle, bundle, [*near, *far])
        for url in far:
            yield mask(url), partial(self.fetch_by_id, url)
        for url in [*near, *far]:
            yield f"all branches of {mask(url)}", partial(self.fetch_all, url)
        for bundle in self.bundles() if not there else ():
            yield f"the record's {bundle['file']}", partial(self.fetch_bundle, bundle, [*near, *far])
        for clone in partial_ones:
            yield f"{clone}, a partial clone", partial(self.borrow, clone)

    def addresses(self) -> list[str]:
        """The recorded remotes that may be asked; one of a helper of the user's (codecommit::) is told, not started."""
        urls = urls_of(self.row)
        helped = [url for url in urls if transport(url) not in TRANSPORTS]
        self.failures += [f"{mask(url)}: not asked, it needs the program git-remote-{transport(url)}" for url in helped]
        asked = [self.absolute(url) for url in urls if url not in helped]
        self.failures += [f"{len(asked) - MAX_REMOTES} more remotes: not asked"] * (len(asked) > MAX_REMOTES)
        return asked[:MAX_REMOTES]

    def clones(self) -> list[str]:
        """The recorded clones here that answer: a pipe in place of one's config is waited for by git."""
        found = []
        for clone in clones_of(self.row):
            try:
                require_sound(clone)
                found.append(clone)
            except GitError as error:
                self.failures.append(f"{clone}: {error.message}")
        return found

    def absolute(self, url: str) -> str:
        """A relative path among the remotes is relative to where the repository was."""
        if "://" in url or ":" in url.partition("/")[0] or os.path.isabs(url):
            return url
        return os.path.normpath(os.path.join(text(self.row.get("path")), url))

    def has_commit(self) -> bool:
        """Whether the commit is here now; an abbreviated or named one becomes its full id."""
        wanted = self.commit or text(self.row.get("revision"))
        try:
            found = self.git("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
        except GitError:
            return False
        self.commit = found.decode("ascii").strip()
        return True

    def fetch(self, url: str, *refspecs: str) -> None:
        """git fetch, from any kind of source, of a shallow one too."""
        how = ("--quiet", "--no-tags", "--no-recurse-submodules", "--update-shallow")
        if is_remote(url):
            self.require_answer(url)
        depth = self.depth if refspecs != ALL_BRANCHES else []
        self.git("fetch", *how, *depth, "--", url, *refspecs, timeout=FETCHED if is_remote(url) else LONGEST_COMMAND)

    def require_answer(self, url: str) -> None:
        """Raises GitError unless a remote says anything: a silent one would be waited for as long as a slow one."""
        if url not in self.answers:
            try:
                self.git("ls-remote", "--quiet", "--", url, "HEAD", timeout=FIRST_ANSWER)
                self.answers[url] = None
            except GitError as error:
                self.answers[url] = error
        if (met := self.answers[url]) is not None:
            raise met

    def fetch_by_id(self, url: str) -> None:
        """Exactly the commit and its history."""
        if not self.commit:
            self.commit = commit_named(url, text(self.row.get("revision")))
        self.fetch(url, f"+{self.commit}:{BUNDLE_REF}")

    def fetch_all(self, url: str) -> None:
        """All branches and tags: an old server gives nothing by its id."""
        self.fetch(url, *ALL_BRANCHES)

    def borrow(self, clone: str) -> None:
        """What a partial clone has. (Asked to send it, git would first get the rest, into the user's repository.)"""
        objects = git(*SAFE, "rev-parse", "--git-path", "objects", cwd=clone, env=OFFLINE).decode(
            "utf-8", "surrogateescape"
        )
        line = os.path.join(clone, objects.rstrip("\n")) + "\n"
        self.write_in_git("objects/info/alternates", line)

    def bundles(self, wait: float = BUNDLE_IN_MAKING) -> list[dict[str, Any]]:
        """The rows of bundles.json for this repository; those of a run that began ``wait`` seconds ago are waited for.

        Not of one that began in the future: a clock that was wrong.
        """
        import time

        expected = self.row.get("bundle")
        rows = self.row.get("bundles") or []
        until = self.run.start + wait if wait and self.run.start < time.time() + 1 else 0.0
        while expected and not rows and time.time() < until:
            time.sleep(0.05)
            again = [r for r in runs.load(self.run.directory).repositories if r.get("name") == self.name]
            rows = again[0]["bundles"] if again else []
        told = [f"no bundle: {row['left_out']}" for row in rows if row.get("left_out")]
        self.failures += [line for line in told if line not in self.failures]
        return [row for row in rows if row.get("file")]

    def fetch_bundle(self, bundle: dict[str, Any], urls: list[str]) -> None:
        """The commit from the record's bundle; what a thin one builds on comes from the remote."""
        path = os.path.join(self.run.record, text(bundle.get("file")))
        if link_on(os.fsencode(self.run.directory), as_bytes(f"{RECORD}/{text(bundle.get('file'))}"), last=True):
            raise GitError(["fetch"], None, "the bundle is behind a link")
        require_bundle(path, bundle)
        shallow = [text(i) for i in bundle.get("shallow") or []]
        bases = [text(i) for i in bundle.get("prerequisites") or []]
        for base in bases:
            self.fetch_base(base, urls)
        if shallow and not bases:
            self.write_in_git("shallow", "".join(f"{i}\n" for i in shallow))
        try:
            self.fetch(path, f"+{BUNDLE_REF}:{BUNDLE_REF}")
        except GitError:
            if os.path.exists(self.path_in_git("shallow")):  # what comes from elsewhere is not cut off there
                os.unlink(self.path_in_git("shallow"))
            raise

    def fetch_base(self, base: str, urls: list[str]) -> None:
        """A commit that a thin bundle builds on, from the first remote that has it."""
        error: GitError | None = None
        for url in urls:
            for refspecs in ((f"+{base}:refs/footsteps/{base}",), ALL_BRANCHES):
                try:
                    return self.fetch(url, *refspecs)
                except GitError as met:
                    error = met
        raise error or GitError(["fetch"], None, f"it builds on commit {base[:12]}, and no remote is recorded")


def is_remote(url: str) -> bool:
    """Whether git asks another machine for it."""
    return transport(url) not in ("", "file") or (":" in url.partition("/")[0] and not os.path.exists(url))


def clones_of(row: Mapping[str, Any]) -> list[str]:
    """The clones on this machine that may have a repository's commit."""
    paths = [text(row.get("path")), *map(text, row.get("clones") or [])]
    return [path for path in paths if os.path.isabs(path) and os.path.exists(os.path.join(path, ".git"))]


def require_sound(clone: str) -> None:
    """Raises GitError unless git can read what is in a clone: for a pipe in place of its config it would wait."""
    git(*SAFE, "for-each-ref", "--count=1", cwd=clone, env=OFFLINE, timeout=FIRST_ANSWER / 3)


def is_partial(clone: str) -> bool:
    """Whether a clone was made with --filter: some objects are at its remote only."""
    try:
        git(
            *SAFE,
            "config",
            "--get-regexp",
            r"^(extensions\.partialclone|remote\..*\.promisor)$",
            cwd=clone,
            env=OFFLINE,
        )
    except GitError:
        return False
    return True


def commit_named(clone: str, revision: str) -> str:
    """The full id of an abbreviated or described commit, asked of a clone on this machine."""
    if not os.path.isdir(clone):
        raise GitError(["rev-parse"], None, "it tells a full id only of branches and tags")
    wanted = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return git(*SAFE, *wanted, cwd=clone, env=OFFLINE).decode("ascii").strip()


def require_bundle(path: str, bundle: Mapping[str, Any]) -> None:
    """Raises GitError unless the file is the recorded bundle. (git would follow a file that names a folder.)"""
    if not os.path.isfile(path):
        raise GitError(["fetch"], None, "the bundle is not there")
    with open_plain_file(path) as file:
        if file.readline(64) not in (b"# v2 git bundle\n", b"# v3 git bundle\n"):
            raise GitError(["fetch"], None, "it is no git bundle")
    if bundle.get("sha256") and sha256_of(os.fsencode(path)) != bundle["sha256"]:
        raise GitError(["fetch"], None, "the bundle is not the one that was recorded")


def blocks_of(path: bytes, size: object = None) -> Iterator[bytes]:
    """A plain file's bytes; an OSError if it is none, not of the recorded size, or next to nothing but holes."""
    with open(recorded.plain_file(path), "rb") as file:
        found = os.fstat(file.fileno())
        if isinstance(size, int) and found.st_size != size:
            raise OSError(22, f"its copy has {found.st_size} bytes, not {size}")
        if is_hollow(found):
            raise OSError(TOO_LARGE, f"its copy is {found.st_size} bytes of holes, and is not written out")
        while block := file.read(GIT_BLOCK):
            yield block
