"""Runs that are not wanted any more: who still needs them, how big they are, and the trash below the root.

results/.trash/unet-3/          a run that was removed; `mv` brings it back

Nothing is deleted but by `empty_trash`.
"""

from __future__ import annotations

import os

from footsteps.reader.formats import text
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from footsteps.reader.runs import Run

TRASH = ".trash"  # hidden: no walk looks inside


def size_of_folder(
    directory: str, seen: dict[tuple[int, int], int] | None = None, *, freed: bool = False
) -> tuple[int, int]:
    """Bytes on disk and number of files below a directory.

    A file with several names counts once among all calls with the same `seen`: at the first of its names, or, where
    it is asked what would be freed, at the last of all that it has.
    """
    seen = {} if seen is None else seen
    total = files = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                info = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            files += 1
            key = (info.st_dev, info.st_ino)
            seen[key] = seen.get(key, 0) + 1
            if info.st_nlink < 2 or seen[key] == (info.st_nlink if freed else 1):
                total += getattr(info, "st_blocks", 0) * 512 or info.st_size
    return total, files


def readers_of(runs: Iterable[Run], known: Iterable[Run]) -> dict[str, list[str]]:
    """The names of the runs that read files of some runs (those themselves aside), by the latter's directory."""
    removed = {os.path.realpath(run.directory): run for run in runs}
    found: dict[str, list[str]] = {}
    for other in known:
        if os.path.realpath(other.directory) in removed:
            continue
        for directory in read_by(other):
            for path, run in removed.items():
                if directory == path or directory.startswith(path + os.sep):
                    found.setdefault(run.directory, []).append(other.name)
    return {directory: list(dict.fromkeys(names)) for directory, names in found.items()}


def read_by(run: Run) -> Iterator[str]:
    """The directories of runs, and the files, that a run read."""
    for parent in run.parents:
        if text(parent.get("directory")):
            yield os.path.realpath(parent["directory"])
    for file in run.inputs:
        if text(file.get("path")):
            yield os.path.realpath(file["path"])


def runs_inside(run: Run, known: Iterable[Run]) -> list[Run]:
    """The runs that lie in another one's directory, which would go with it."""
    return [other for other in known if other.directory.startswith(run.directory + os.sep)]


def throw_away(run: Run) -> str:
    """Move a run's directory into the trash of its root, and give its new path. Raises FootstepsError."""
    trash = os.path.join(run.root, TRASH)
    goal = os.path.join(trash, *run.name.split("/"))
    number = 1
    while os.path.lexists(goal):
        goal, number = os.path.join(trash, *f"{run.name}.{number}".split("/")), number + 1
    try:
        os.makedirs(os.path.dirname(goal), exist_ok=True)
        os.rename(run.directory, goal)
    except OSError as error:
        raise FootstepsError(f"can't move {run.directory!r} to {trash!r}: {error.strerror or error}",
                             f"rm -r {quote([run.directory])}") from None  # fmt: skip
    remove_empty_groups(os.path.dirname(run.directory), run.root)
    return goal


def remove_empty_groups(folder: str, root: str) -> None:
    """Remove a group from which the last run went, and those above it, but not the root."""
    while folder.startswith(root + os.sep):
        try:
            os.rmdir(folder)
        except OSError:  # there is something in it
            return
        folder = os.path.dirname(folder)


def empty_trash(root: str) -> tuple[int, int]:
    """Delete what is in a root's trash: bytes and files that were there. Raises OSError if that can't be done."""
    import shutil

    trash = os.path.join(root, TRASH)
    freed = size_of_folder(trash)
    if os.path.isdir(trash) and not os.path.islink(trash):
        shutil.rmtree(trash)
    return freed
