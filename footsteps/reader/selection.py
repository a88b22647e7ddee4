"""Several runs at once: by a group (`knee`, `knee/`), by a pattern (`knee/*`), by names, paths and the like.

>>> from footsteps.reader import selection
>>> selection.runs(["knee/*", "@"])
"""

from __future__ import annotations

import os

from footsteps.reader import runs as single
from footsteps.reader import search
from footsteps.reader.expressions import fits_glob, is_glob

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from footsteps.reader.runs import Run


def several(words: Iterable[str], roots: Sequence[str], known: Sequence[Run], *, wide: bool = False) -> list[Run]:
    """The runs that the words name, each once, in the order of the words, those of a group newest first.

    known: all runs below the roots, newest first. wide: a name means the runs that were numbered after it as
    well (`unet`: unet, unet-1, unet-2), unless one of those is among the words, and a prefix all that begin so.
    Raises FootstepsError for a word that names none.
    """
    found: dict[str, Run] = {}
    words = list(words)
    for word in words:
        alone = any(is_numbered(other, word) for other in words)
        for run in runs_of_word(word, roots, known, wide=wide and not alone):
            found.setdefault(run.directory, run)
    return list(found.values())


def runs_of_word(word: str, roots: Sequence[str], known: Sequence[Run], *, wide: bool = False) -> list[Run]:
    """The runs that one word names. Raises FootstepsError if there is none."""
    if is_glob(word) and not single.named_directly(word, roots):
        pattern = os.path.abspath(word)  # as in `results/knee/*`
        fits = [run for run in known if fits_glob(run.name, word) or fits_glob(run.directory, pattern)]
        if fits:
            return fits
        raise single.unknown(word, list(known), roots)
    group = word.strip("/")
    members = [run for run in known if group and run.name.startswith(group + "/")]
    if wide and not word.endswith("/") and not word.startswith("@"):
        members = [run for run in known if group and belongs(run.name, group)]
        members = members or [run for run in known if group and run.name.startswith(group)]
    if members and (wide or not single.named_directly(word, roots)):
        return members
    inside = [run for run in known if run.directory.startswith(os.path.abspath(word) + os.sep)] if group else []
    if inside and not single.named_directly(word, roots):
        return inside
    return [single.select(word, roots, known)]


def belongs(name: str, base: str) -> bool:
    """Whether a run is called so, was numbered after it, or lies in that group."""
    return name == base or name.startswith(base + "/") or is_numbered(name, base)


def is_numbered(name: str, base: str) -> bool:
    """Whether a name is another one with a number: `unet-3` for `unet`."""
    return name.startswith(base + "-") and name[len(base) + 1 :].isdecimal()


class Runs(list["Run"]):
    """Several runs; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        """The table: asked for by name, as the view stands on the readers and only notebooks ask."""
        from importlib import import_module

        return str(import_module("footsteps.view.notebook").table_html(self))


def runs(selector: str | Iterable[str] = (), root: str | os.PathLike[str] | None = None) -> Runs:
    """The recorded runs, newest first: all, or those that a name, group, pattern or several of them name.

    selector: as on the command line: "unet-3", "knee/*", "@", or a list of such. root: where they are
    (default: results/, or what is set for the project). An expression as for `search` ("lr<0.1") is none: use
    `footsteps.reader.search`. Raises FootstepsError for a name that no run has.
    """
    roots = [os.fspath(root)] if root is not None else single.default_roots()[:1]
    known = list(search.known(roots))
    words = [selector] if isinstance(selector, str) else list(selector)
    if not any(words):
        return Runs(known)
    return Runs(several(words, roots, known, wide=True))


def table(selector: str | Iterable[str] = (), root: str | os.PathLike[str] | None = None) -> list[dict[str, object]]:
    """A dict for each run that `runs` would give, for `pandas.DataFrame(footsteps.table())`.

    Keys: name, status, started, duration (seconds), commit, tags, path, and the run's arguments and recorded values
    (their last ones) by name.
    """
    from footsteps.reader.table import rows

    return rows(runs(selector, root))
