"""Where a recorded run's inputs lie now, and what a person has already put at the place of its rerun.

>>> places = inputs.Places(run, roots=["results/"], maps={"/data/imagenet": "/mnt/imagenet"})
>>> places.find("/home/ada/study/results/prepare/x.npy", entry)
'/archive/results/prepare/x.npy'
"""

from __future__ import annotations

import os

from footsteps.reader import formats, runs
from footsteps.reader.formats import text
from footsteps.recorder.format import FootstepsError, quote
from footsteps.recorder.keep import FOLDER

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

SHA256 = 64  # hexadecimal digits

__all__ = ["Places", "input_state", "maps_of", "set_aside"]


class Places:
    """Where the inputs of a run lie now.

    run: the recorded one; roots: where runs are that may have made an input (default: the usual ones), beside the
    run's own root; maps: {recorded file or folder: where it is now}, as a person said.
    """

    def __init__(self, run: Run, roots: Sequence[str] | None = None, maps: Mapping[str, str] | None = None) -> None:
        self.run, self.maps = run, dict(maps or {})
        self.roots = None if roots is None else list(roots)
        self.old_root = old_root_of(run)

    def mapped(self, path: str) -> str:
        """Where a person said that a recorded path is now; "" if nothing was said of it."""
        within = [old for old in self.maps if path == old or path.startswith(os.path.join(old, ""))]
        best = max(within, key=len, default="")
        return self.maps[best] + path[len(best) :] if best else ""

    def find(self, path: str, entry: Mapping[str, Any]) -> str:
        """A file with the recorded content, where the recorded one is not as it was; "" if none is known.

        First below the root that the run lies in now, then what is kept of it, then by its hash among all runs' files.
        """
        for place in (*self.below_root(path), *self.kept(entry)):
            if input_state(place, entry) == "unchanged":
                return place
        return self.by_hash(entry)

    def below_root(self, path: str) -> Iterator[str]:
        """The place below the output root that is read now of what lay below the recorded one."""
        if self.old_root and path.startswith(os.path.join(self.old_root, "")):
            yield self.run.root + path[len(self.old_root) :]

    def kept(self, entry: Mapping[str, Any]) -> Iterator[str]:
        """Where a small input is kept beside the runs, by its hash."""
        sha256, folder = text(entry.get("sha256")), os.path.join(self.run.root, FOLDER)
        for name in os.listdir(folder) if len(sha256) == SHA256 and os.path.isdir(folder) else ():
            if name.startswith(sha256):
                yield os.path.join(folder, name)

    def has(self, entry: Mapping[str, Any]) -> bool:
        """Whether its content is kept beside the runs, or a run has made it and still has it."""
        return any(map(os.path.isfile, self.kept(entry))) or bool(self.by_hash(entry))

    def by_hash(self, entry: Mapping[str, Any]) -> str:
        """A file of a run with the recorded hash that still has it, the newest run's first."""
        from footsteps.reader import search

        sha256, size = text(entry.get("sha256")), entry.get("size")
        if not sha256:
            return ""
        roots = [self.run.root, *(runs.default_roots() if self.roots is None else self.roots)]
        made = search.runs_with_artifact(sha256, roots, size if isinstance(size, int) else None)
        for place in (os.path.join(run.directory, *name.split("/")) for run, name in made):
            if input_state(place, entry) == "unchanged":
                return place
        return ""


def old_root_of(run: Run) -> str:
    """The output root that the run had when it was recorded, absolute; "" if it is not known."""
    recorded = os.path.normpath(text(run.facts.get("directory")) or ".")
    tail = os.path.join(os.sep, *run.name.split("/"))
    return recorded[: -len(tail)] if os.path.isabs(recorded) and recorded.endswith(tail) else ""


def input_state(path: str, entry: Mapping[str, Any]) -> str:
    """Whether a recorded file is "unchanged", "changed", "gone", or that can't be told: "unknown"."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "gone"
    if status.st_mode & 0o170000 != 0o100000 or status.st_size != entry.get("size"):
        return "changed"
    by_itself = status.st_ctime_ns - status.st_mtime_ns < SOON or not entry.get("sha256")
    if entry.get("mtime_ns") is not None and status.st_mtime_ns == entry["mtime_ns"] and by_itself:
        return "unchanged"  # where a program has set the time, as `cp -p` does, it tells nothing of the content
    if not entry.get("sha256"):
        return "unknown"
    try:
        return "unchanged" if formats.sha256_of(os.fsencode(path)) == entry["sha256"] else "changed"
    except OSError:  # closed to us, or next to nothing but holes
        return "unknown"


SOON = 1_000_000_000  # nanoseconds between the last write of a file and the last change of what is known of it


def maps_of(pairs: Iterable[str]) -> dict[str, str]:
    """What `--map OLD=NEW` said: {recorded path: path now}, absolute. Raises FootstepsError for no such pair."""
    found: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise FootstepsError(f"cannot read --map {pair!r}", hint="--map /old/place=/new/place")
        place = os.path.abspath(os.path.expanduser(new))
        if not os.path.lexists(place):
            raise FootstepsError(f"nothing is at {place!r}, where --map says that {old!r} is now", hint="--map OLD=NEW")
        found[os.path.abspath(os.path.expanduser(old))] = place
    return found


# ---------------------------------------------------------------------------------------------
# What is at the place already
# ---------------------------------------------------------------------------------------------


class set_aside:  # noqa: N801 - it is used as a function
    """While the code is restored: moves a directory away, and then puts into the new one what it had of the inputs.

    A person puts data where a rerun says that it is looked for, and gives the same command again: what lies there
    may be inputs, and files as they are restored. With anything else all is put back as it was.

    Raises FootstepsError for anything else, at the end.
    """

    def __init__(self, directory: str, inputs: Iterable[str], hint: str) -> None:
        self.directory, self.inputs, self.hint = directory, set(inputs), hint
        self.away = directory.rstrip(os.sep) + ".before"
        self.moved = False

    def __enter__(self) -> None:
        if os.path.isdir(self.directory) and os.listdir(self.directory):
            if os.path.lexists(self.away):
                raise FootstepsError(f"{self.away!r} is there, from an attempt that was stopped", hint=self.hint)
            os.rename(self.directory, self.away)
            self.moved = True

    def __exit__(self, error: object, *_: object) -> None:
        import shutil

        if not self.moved:
            return
        other = "." if error or not os.path.isdir(self.directory) else ""
        other = other or next(filter(self.is_other, tree_files(self.away)), "")
        if other:
            if os.path.isdir(self.directory):
                shutil.rmtree(self.directory)
            os.rename(self.away, self.directory)
            if other != ".":
                raise FootstepsError(f"{self.directory!r} is not empty: {other!r} is no input", hint=self.hint)
            return
        for name in tree_files(self.away):
            self.put_back(name)
        shutil.rmtree(self.away)

    def is_other(self, name: str) -> bool:
        """Whether a file is neither an input nor one that is restored just so."""
        if os.path.join(self.directory, name) in self.inputs:
            return False
        old, new = os.path.join(self.away, name), os.path.join(self.directory, name)
        if os.path.islink(old) or os.path.islink(new):
            return not (os.path.islink(old) and os.path.islink(new) and os.readlink(old) == os.readlink(new))
        return not os.path.isfile(new) or formats.sha256_of(os.fsencode(old)) != formats.sha256_of(os.fsencode(new))

    def put_back(self, name: str) -> None:
        """Move an input to its place, unless the code has one there."""
        new = os.path.join(self.directory, name)
        if new in self.inputs and not os.path.lexists(new):
            os.makedirs(os.path.dirname(new), exist_ok=True)
            os.rename(os.path.join(self.away, name), new)


def tree_files(top: str) -> Iterator[str]:
    """The files below a directory, links as such, by their path below it; not those of git itself, which differ."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in [*names, *links]:
            yield os.path.relpath(os.path.join(folder, name), top)


def may_go_on(directory: str, inputs: Iterable[str]) -> bool:
    """Whether a directory holds one of the inputs: what else it holds is looked at when all is restored."""
    return os.path.isdir(directory) and not os.path.islink(directory) and any(map(os.path.lexists, inputs))


def hint_for(run: Run) -> str:
    """What to type where a place is taken."""
    return f"footsteps rerun {quote([run.name])} <a new directory>"
