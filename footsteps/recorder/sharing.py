"""One copy on disk of what several runs of one root keep alike: a hard link to an earlier run's file.

Nothing is believed of what lies there: a file is linked and read first, and stays only if it is plain, of our user, as
large as ours, and has our bytes. A run that is deleted takes nothing from the others.
"""

from __future__ import annotations

import os

from footsteps.recorder.format import RECORD, content_of, paths_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
