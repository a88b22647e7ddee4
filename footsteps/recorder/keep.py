"""What the runs of one output root keep once for all of them.

Small inputs that git does not have, one file per content beside the runs: `.footsteps-inputs/HASH-NAME`.
FOOTSTEPS_KEEP_INPUTS is the largest size of one, in bytes (default: 1 MiB; 0 keeps none); of a run ten times as much
is kept at most. Only text is, without what looks like a secret.

Large files of records that are alike, as hard links to one copy on disk.
"""

from __future__ import annotations

import os

from footsteps.recorder.format import MIB, RECORD, bytes_of, content_of, paths_in, sha256, write
from footsteps.recorder.hooks import own_errors_dropped
from footsteps.recorder.secrets import looks_secret, secret_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

VARIABLE, FOLDER = "FOOTSTEPS_KEEP_INPUTS", ".footsteps-inputs"
RUN_FACTOR = 10  # as much of all inputs of a run as of one


def largest_kept() -> int:
    """The largest input that is kept, in bytes; 0: none."""
    said = os.environ.get(VARIABLE, "")
    return int(said) if said.isascii() and said.isdecimal() else MIB


def keep_small(run: Any, entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Keep those of a run's inputs that are small, text, still as they were read, and in no commit or record.

    How many are kept now, and their bytes: {files, bytes}.
    """
    most = largest_kept()
    kept = {"files": 0, "bytes": 0}
    left = most * RUN_FACTOR
    for entry in sorted(entries, key=lambda entry: entry.get("size") or 0):
        size = entry.get("size")
        if not entry.get("sha256") or not isinstance(size, int) or not 0 < size <= min(most, left):
            continue
        with own_errors_dropped:  # what can't be kept is named by `footsteps verify`
            if not is_in_code(run, entry["path"]) and keep(run, entry):
                left -= size
                kept["files"] += 1
                kept["bytes"] += size
    return kept


def is_in_code(run: Any, path: str) -> bool:
    """Whether a file is tracked by git, or among the files that the record keeps."""
    code = getattr(run, "code", None)
    tree = code.tree_of(os.path.realpath(path)) if code is not None else None
    if tree is None:
        return False
    name = os.path.realpath(path)[len(tree.real) :].replace(os.sep, "/")
    kept = any(row["path"] == name and row.get("stored") for row in tree.files)
    return kept or os.fsencode(name) in getattr(tree, "tracked", ())


def root_of(run: Any) -> str:
    """The output root of a run, absolute, also where the program has changed its directory."""
    top = str(run.directory).rstrip(os.sep)
    for _ in str(run.name).split("/"):
        top = os.path.dirname(top)
    return top


def is_kept(folder: str, hash_of_input: str) -> bool:
    """Whether a file of that name and content is there; others may have put one of another content there."""
    for name in os.listdir(folder):
        if name.startswith(hash_of_input):
            with own_errors_dropped:
                if sha256(content_of(os.path.join(folder, name))) == hash_of_input:
                    return True
    return False


def keep(run: Any, entry: Mapping[str, Any]) -> bool:
    """Keep one file, unless it is there or must not be; whether it is there now."""
    folder = os.path.join(root_of(run), FOLDER)
    if os.path.islink(folder):  # in results/ that came from somebody else, it may lead anywhere
        return False
    if os.path.isdir(folder) and is_kept(folder, entry["sha256"]):
        return True
    if os.stat(entry["path"]).st_size != entry["size"]:
        return False
    data = bytes_of(entry["path"])
    if sha256(data) != entry["sha256"] or b"\0" in data or looks_secret(entry["path"], data) or secret_line(data):
        return False
    data.decode()  # a UnicodeDecodeError is dropped, and so is the file
    os.makedirs(folder, exist_ok=True)
    place = os.path.join(folder, f"{entry['sha256']}-{os.path.basename(entry['path'])}"[:250])
    making = os.path.join(folder, f".{entry['sha256']}.{os.getpid()}")
    write(making, data)
    os.replace(making, place)
    return True


# --- one copy on disk of what several runs of one root keep alike -----------------------------------------------------

# Nothing is believed of what lies there: a file is linked and looked into first, and stays only if it is plain, of our
# user, as large as ours, and right. A run that is deleted takes nothing from the others.
MAX_RUNS = 200  # of those near, the newest
MAX_COMPARED = 20  # files that are read for one


def runs_near(record: str, root: str) -> list[str]:
    """The newest runs beside the one of this record and below the output root, two levels deep: their directories."""
    beside = os.path.join(record, os.pardir, os.pardir)
    folders = [path for top in (beside, root) for path in paths_in(top)]
    folders += [path for top in folders if not os.path.exists(os.path.join(top, RECORD)) for path in paths_in(top)]
    runs = [path for path in folders if os.path.isdir(os.path.join(path, RECORD))]
    return sorted(runs, key=lambda path: -os.stat(path).st_mtime)[:MAX_RUNS]


def linked(place: str, name: str, runs: Iterable[str], size: int, is_ours: Callable[[bytes], bool]) -> bool:
    """Whether `place` is now a link to a run's file of this name in its record, whose bytes are ours.

    Raises:
        OSError: there is something at `place`, or its folder can't be written.
    """
    compared = 0
    for run in runs:
        theirs = os.path.join(run, RECORD, *name.split("/"))
        try:
            if not _may_be_ours(os.lstat(theirs), size):
                continue
            os.link(theirs, place, follow_symlinks=False)
        except (OSError, NotImplementedError):
            continue
        if is_ours(content_of(place, size)):
            return True
        os.unlink(place)
        compared += 1
        if compared >= MAX_COMPARED:
            break
    return False


def _may_be_ours(theirs: os.stat_result, size: int) -> bool:
    """Whether another run's file may have our bytes: plain, as large, of the same user."""
    own = not hasattr(os, "geteuid") or theirs.st_uid == os.geteuid()
    return theirs.st_mode & 0o170000 == 0o100000 and theirs.st_size == size and own
