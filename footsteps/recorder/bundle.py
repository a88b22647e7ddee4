"""Commits that no remote has for ever, as git bundles, made by a child of low priority.

It is started only where there is something to make: clean code whose commit is pushed starts no child at all.
"""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import (
    BUNDLE_REF,
    BUNDLES_JSON,
    FORMAT,
    MIB,
    RECORD,
    as_json,
    bytes_of,
    encoded,
    from_json,
    paths_in,
    printable,
    remove,
    sha256,
    text_of,
    write,
)
from footsteps.recorder.git import OFFLINE, Child, GitError, alternates_line, git, parse_rev, read_ref
from footsteps.recorder.secrets import looks_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

MAX_BUNDLE = 100 * MIB
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHILD = f"import sys; sys.path.append({PACKAGE!r}); from footsteps.recorder.bundle import main; main()"


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
        finish(job)


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


def main() -> None:
    """What the child does: read the job from stdin."""
    if hasattr(os, "nice"):
        os.nice(10)
    finish(from_json(sys.stdin.read()))


def finish(job: Mapping[str, Any]) -> None:
    """Make the bundles of a job {record, root, bundles}."""
    rows = [_bundled(job, row) for row in job["bundles"]]
    _replace(os.path.join(job["record"], BUNDLES_JSON), as_json({"format": FORMAT, "bundles": rows}))


def _replace(path: str, data: bytes) -> None:
    """Put the bytes there, complete or not at all."""
    part = f"{path}.{os.getpid()}"
    write(part, data)
    os.replace(part, path)


def _bundled(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What became of one repository's commits: a row of bundles.json."""
    try:
        return _linked_bundle(job, row) or Bundle(job["record"], row).made()
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
    folders = [path for top in (beside, job["root"]) for path in paths_in(top)]
    folders += [path for top in folders if not os.path.exists(os.path.join(top, RECORD)) for path in paths_in(top)]
    runs = [path for path in folders if os.path.exists(os.path.join(path, RECORD, BUNDLES_JSON))]
    return sorted(runs, key=lambda path: -os.stat(path).st_mtime)[:200]


class Bundle:
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
        """What git prints in the bare repository, which it is not to look for itself."""
        named = {**OFFLINE, "GIT_DIR": self.bare}  # safe.bareRepository=explicit forbids git to find it by itself
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
            ("objects/info/alternates", alternates_line(objects)),
            (BUNDLE_REF, f"{self.commit}\n"),
            ("shallow", text_of(os.path.join(self.row["common"], "shallow"))),
        ):
            if text:
                write(os.path.join(self.bare, *name.split("/")), encoded(text))

    def packed(self) -> dict[str, Any]:
        """A row of bundles.json, once the bare repository is there."""
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
        """Write the bundle; its row of bundles.json."""
        self.git("bundle", "create", "--quiet", "made.bundle", BUNDLE_REF, *(f"^{base}" for base in bases))
        data = bytes_of(os.path.join(self.bare, "made.bundle"))
        _replace(os.path.join(self.record, self.row["file"]), data)
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
