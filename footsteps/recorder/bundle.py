"""Commits that no remote has for ever, as git bundles, made by a child of low priority.

It is started only where there is something to make: clean code whose commit is pushed starts no child at all.
"""

from __future__ import annotations

import os
import sys
from itertools import islice

from footsteps.recorder.format import (
    BUNDLE_REF,
    BUNDLES_JSON,
    FORMAT,
    INFO,
    MIB,
    RECORD,
    append,
    as_json,
    bytes_of,
    encoded,
    from_json,
    printable,
    remove,
    replace,
    sha256,
    text_of,
    warn,
    write,
)
from footsteps.recorder.git import OFFLINE, Child, GitError, alternates_line, git, parse_rev, read_ref
from footsteps.recorder.keep import linked, runs_near
from footsteps.recorder.secrets import PEM, looks_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

MAX_BUNDLE = 100 * MIB
MAX_NAMES = 100  # files among the commits that are looked at, as their names are those of secrets
MAX_UNPACKED = 3  # earlier bundles that are looked into
NOT_KEPT = "Commits that are not kept"  # a section of info.txt, added when it is known
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHILD = (
    f"import sys; sys.path.append({PACKAGE_PARENT!r}); from footsteps.recorder import bundle; bundle.finish_bundles()"
)


def make_in_background(record: str, root: str, bundles: Sequence[Mapping[str, Any]]) -> None:
    """Have bundles made by a child that outlives us if need be, or here where no Python can be started.

    Args:
        record: the folder ``.footsteps`` that they belong in.
        root: the output root, where earlier runs may hold the same bundle.
        bundles: rows of `Code.bundles`.
    """
    if not bundles:
        return
    job = {"record": record, "root": os.path.abspath(root), "bundles": bundles}
    try:
        if not _can_start_python():
            raise OSError
        _start_child(job)
    except OSError:  # no /bin/sh, or no more processes
        make_bundles(job)


def _start_child(job: Mapping[str, Any]) -> None:
    """Start it by a shell that is gone at once, so that neither Ctrl-C nor the program's os.wait() reaches it."""
    argv = [sys.executable, "-I", "-S", "-c", CHILD]
    if os.name == "posix":  # its working directory goes with a directory that is moved
        script = 'cd "$0" && exec 3<&0 && { "$@" <&3 >/dev/null 2>&1 & }'
        shell = Child(["/bin/sh", "-c", script, job["record"], *argv], os.environ, as_json({**job, "record": "."}))
        shell.wait()
        shell.close()
        return
    import subprocess

    flags = 0x00000008 | 0x00000200 | 0x00004000  # DETACHED_PROCESS, NEW_PROCESS_GROUP, BELOW_NORMAL_PRIORITY
    null = subprocess.DEVNULL
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=null, stderr=null, creationflags=flags)
    if child.stdin is not None:
        child.stdin.write(as_json(job))
        child.stdin.close()


def _can_start_python() -> bool:
    """Whether sys.executable is a Python (frozen or embedded, it is the program itself)."""
    program = os.path.basename(sys.executable or "").lower()
    return not getattr(sys, "frozen", False) and program.startswith(("python", "pypy"))


def finish_bundles() -> None:
    """What the child does: read the job from stdin."""
    if hasattr(os, "nice"):
        os.nice(10)
    make_bundles(from_json(sys.stdin.read()))


def make_bundles(job: Mapping[str, Any]) -> None:
    """Make the bundles of a job {record, root, bundles}."""
    rows = [_bundled(job, row) for row in job["bundles"]]
    replace(os.path.join(job["record"], BUNDLES_JSON), as_json({"format": FORMAT, "bundles": rows}))
    told = "".join(printable(f"{row['repository']}: {row['left_out']}") + "\n" for row in rows if row.get("left_out"))
    if told and os.path.exists(os.path.join(job["record"], os.pardir, INFO)):  # a record of arguments has none
        append(os.path.join(job["record"], os.pardir, INFO), encoded(f"{NOT_KEPT}:\n{told}"), new=False)


def say_what_is_left_out(record: str) -> None:
    """One line on stderr for commits that could not be kept, where that is known by now."""
    for row in from_json(text_of(os.path.join(record, BUNDLES_JSON)) or "{}").get("bundles", []):
        if row.get("left_out"):
            warn(f"the commits of {row['repository']} are not kept: {row['left_out']}; see {INFO}")


def _bundled(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What became of one repository's commits: a row of bundles.json."""
    try:
        return Bundle(job["record"], job["root"], row).made()
    except (OSError, GitError, ValueError) as error:
        return {"repository": row["repository"], "commit": row["commit"], "left_out": printable(str(error))}


def _rows_of(run: str) -> list[dict[str, Any]]:
    """The rows of another run's bundles.json; [] where it has none that can be read."""
    try:
        rows = from_json(text_of(os.path.join(run, RECORD, BUNDLES_JSON)))["bundles"]
        return [row for row in rows if isinstance(row["size"], int) and 0 < row["size"] <= MAX_BUNDLE]
    except (ValueError, LookupError, TypeError):
        return []


def _is_here(run: str, record: str) -> bool:
    """Whether a record is this run's."""
    return os.path.realpath(os.path.join(run, RECORD)) == os.path.realpath(record)


class Bundle:
    """The commits of one repository that its remote may not have for ever, as a git bundle.

    They are packed from a bare repository in the temporary directory that borrows the user's objects
    (objects/info/alternates), so that nothing is written into the user's own. The oldest of the
    commits are named in its ``shallow`` file: git then takes them for roots, and the bundle
    holds whole trees without the history that the remote has.
    """

    def __init__(self, record: str, root: str, row: Mapping[str, Any]) -> None:
        self.record, self.root = record, root
        self.row, self.commit = row, row["commit"]

    def made(self) -> dict[str, Any]:
        """A row of bundles.json."""
        import tempfile

        # Not in the record: a `git add` in the project at this moment would stumble over it.
        self.bare = tempfile.mkdtemp(prefix="footsteps-")
        try:
            objects = os.path.abspath(os.path.join(self.row["common"], "objects"))
            ours = {"objects/info/alternates": alternates_line(objects), BUNDLE_REF: f"{self.commit}\n"}
            self.fill_repository(self.bare, text_of(os.path.join(self.row["common"], "shallow")), ours)
            return self.packed()
        finally:
            remove(self.bare)

    def git(self, *args: str, bare: str | None = None, timeout: float = 600) -> bytes:
        """What git prints in the bare repository (or another one), which it is not to look for itself."""
        folder = bare or self.bare
        named = {**OFFLINE, "GIT_DIR": folder}  # safe.bareRepository=explicit forbids git to find it by itself
        return git("-c", "protocol.allow=never", *args, cwd=folder, env=named, timeout=timeout)

    def fill_repository(self, bare: str, shallow: str, files: Mapping[str, str]) -> None:
        """Write the files of a bare repository."""
        sha256 = self.row["object_format"] == "sha256"
        config = f"[core]\n\trepositoryformatversion = {int(sha256)}\n\tbare = true\n"
        config += "[extensions]\n\tobjectformat = sha256\n" if sha256 else ""
        for folder in ("objects", "refs"):
            os.makedirs(os.path.join(bare, folder))
        for name, text in {"HEAD": f"ref: {BUNDLE_REF}\n", "config": config, "shallow": shallow, **files}.items():
            if text:
                write(os.path.join(bare, *name.split("/")), encoded(text))

    def packed(self) -> dict[str, Any]:
        """A row of bundles.json, once the bare repository is there."""
        bases = self.bases()
        if bases is None:
            return {"repository": self.row["repository"], "commit": self.commit, "pushed": True}
        oldest = self.oldest(bases)
        shallow = os.path.join(self.bare, "shallow")
        before = text_of(shallow)
        replace(shallow, encoded(before + "".join(f"{commit}\n" for commit in oldest)))
        whole = [*before.split(), *oldest]
        if self.is_shared(whole):
            return self.told("whole", (), whole, bytes_of(os.path.join(self.record, self.row["file"])))
        why = self.refusal(())
        if not why:
            return self.bundle("whole", (), whole)
        if bases and before:
            replace(shallow, encoded(before))
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
            tip = read_ref(self.row["git_dir"], self.row["common"], ref) or parse_rev(self.row["git_dir"], ref)
            if tip:
                if self.holds(tip):
                    return None
                found.append(tip)
        return found

    def holds(self, tip: str) -> bool:
        """Whether a commit at the tip of a remote's branch has ours among its ancestors."""
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
        secret = self.secret_among(self.git("rev-list", *wanted))
        if secret:
            return f"its commits hold {printable(secret)}, whose name looks like a secret's"
        try:
            size = int(self.git("rev-list", "--disk-usage", *wanted))
        except (GitError, ValueError):  # git < 2.31
            size = 0
        return f"larger than {MAX_BUNDLE // MIB} MiB" if size > MAX_BUNDLE else ""

    def secret_among(self, objects: bytes) -> str | None:
        """The name of a file that looks like a secret, among lines of `rev-list --objects`."""
        lines = objects.decode("utf-8", "surrogateescape").splitlines()
        named = [(line[: line.find(" ")], line.partition(" ")[2]) for line in lines if " " in line]
        suspects = [row for row in named if looks_secret(row[1])]
        return next((name for at, (blob, name) in enumerate(suspects) if self.is_secret(blob, name, at)), None)

    def is_secret(self, blob: str, name: str, at: int) -> bool:
        """Whether a file among the commits is a secret: of certificates and public keys the content tells."""
        if not name.lower().endswith(PEM) or at >= MAX_NAMES:
            return True
        return looks_secret(name, self.git("cat-file", "blob", blob)[:MIB])

    def bundle(self, kind: str, bases: Sequence[str], shallow: Sequence[str]) -> dict[str, Any]:
        """Write the bundle; its row of bundles.json."""
        one_thread = ("-c", "pack.threads=1")  # the other processors are the program's
        wanted = (BUNDLE_REF, *(f"^{base}" for base in bases))
        self.git(*one_thread, "bundle", "create", "--quiet", "made.bundle", *wanted)
        data = bytes_of(os.path.join(self.bare, "made.bundle"))
        replace(os.path.join(self.record, self.row["file"]), data)
        return self.told(kind, bases, shallow, data)

    def told(self, kind: str, bases: Sequence[str], shallow: Sequence[str], data: bytes) -> dict[str, Any]:
        """The row of bundles.json for a bundle that is there, of this content."""
        return {
            "repository": self.row["repository"],
            "commit": self.commit,
            "file": self.row["file"],
            "kind": kind,
            "size": len(data),
            "sha256": sha256(data),
            "prerequisites": list(bases),
            "shallow": list(shallow),
        }

    def is_shared(self, shallow: Sequence[str]) -> bool:
        """Whether an earlier run's bundle of the same commits is ours now, as a link: to pack them takes longest."""
        place = os.path.join(self.record, self.row["file"])
        part = f"{place}.{os.getpid()}"
        wanted = {"commit": self.commit, "file": self.row["file"], "kind": "whole", "shallow": list(shallow)}
        runs = (run for run in runs_near(self.record, self.root) if not _is_here(run, self.record))
        rows = ((run, row) for run in runs for row in _rows_of(run))
        same = ((run, row["size"]) for run, row in rows if {name: row.get(name) for name in wanted} == wanted)
        for run, size in islice(same, MAX_UNPACKED):
            if linked(part, self.row["file"], [run], size, lambda _: self.is_whole(part, shallow)):
                os.replace(part, place)
                return True
        return False

    def is_whole(self, bundle: str, shallow: Sequence[str]) -> bool:
        """Whether a bundle holds our commit, all that it needs, and no secret: git unpacks it in an empty repository.

        That is no matter of trust: git knows objects by their hashes, and the commit is ours.
        """
        empty = os.path.join(self.bare, "empty")
        try:
            self.fill_repository(empty, "".join(f"{commit}\n" for commit in shallow), {})
            heads = self.git("bundle", "unbundle", os.path.abspath(bundle), bare=empty, timeout=60)
            objects = self.git("rev-list", "--objects", self.commit, bare=empty, timeout=60)
            return heads == encoded(f"{self.commit} {BUNDLE_REF}\n") and not self.secret_among(objects)
        except (OSError, GitError):
            return False
        finally:
            remove(empty)
