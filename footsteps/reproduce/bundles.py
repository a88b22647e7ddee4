"""A git bundle of one commit, the same bytes for the same commit."""

from __future__ import annotations

from footsteps.reader.commits import SAFE
from footsteps.recorder.format import BUNDLE_REF
from footsteps.recorder.git import OFFLINE, GitError, git
from footsteps.recorder.secrets import looks_secret

MOST_BYTES = 1 << 28  # bytes of a commit's files that a bundle may hold


def bundle_of(clone: str, commit: str) -> bytes:
    """A bundle of a commit's tree without its history, which git takes for a shallow one.

    Packed without deltas, in the order of the tree, so that a repacked clone gives the same.
    Raises GitError if the clone has not all of it, if it is too large, or holds what looks like a secret.
    """
    listed = ls_tree(clone, commit)
    size = sum(int(size) for _, size, _ in listed if size.isdecimal())
    if size > MOST_BYTES:
        raise GitError(["bundle"], None, f"its files have {size} bytes, too many for a bundle")
    secret = next((path for _, _, path in listed if looks_secret(path)), None)
    if secret is not None:
        raise GitError(["bundle"], None, f"it holds {secret!r}, whose name looks like that of a secret")
    root = run_git(clone, "rev-parse", f"{commit}^{{tree}}").decode().strip()
    names = list(dict.fromkeys([commit, root, *(name for name, _, _ in listed)]))
    how = ("--no-reuse-delta", "--no-reuse-object", "--window=0", "--threads=1", "--stdout", "--quiet")
    pack = run_git(clone, "pack-objects", *how, stdin="".join(f"{name}\n" for name in names).encode())
    head = b"# v2 git bundle\n" if len(commit) == 40 else b"# v3 git bundle\n@object-format=sha256\n"
    return head + f"{commit} {BUNDLE_REF}\n\n".encode() + pack


def ls_tree(clone: str, commit: str) -> list[tuple[str, str, str]]:
    """Id, size and path of the trees and files of a commit; submodules are none of its own."""
    rows = []
    for line in run_git(clone, "ls-tree", "-r", "-t", "-z", "-l", "--full-tree", commit).split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if facts and facts.split()[1] != b"commit":
            _, _, name, size = facts.decode("ascii").split()
            rows.append((name, size, path.decode("utf-8", "surrogateescape")))
    return rows


def run_git(clone: str, *words: str, stdin: bytes | None = None) -> bytes:
    """What git prints about a clone, with nothing of anybody's configuration that acts."""
    return git(*SAFE, *words, cwd=clone, stdin=stdin, env=OFFLINE)
