"""Which runs match, which are the newest, which made or read a file.

    >>> from footsteps.reader import search
    >>> search.search(["results"], ["lr<0.1", "optimizer:sgd", "package.numpy<2"], exclude=["test"])
    [<Run 'unet-3' in ...>, ...]

Each question is asked of the root's index where there is one, else of the directories themselves.
"""

from __future__ import annotations

import os

from footsteps.reader.expressions import FACTS, PACKAGE_PREFIX, matches, parameters, parse
from footsteps.reader.formats import Problem, digest_of, open_plain_file
from footsteps.reader.index import (
    ARTIFACT,
    BYPASSED,
    INPUT,
    RunIndex,
    cache_directory,
    forget,
    indexed_files,
    is_damage,
)
from footsteps.reader.runs import OUTCOMES, default_roots, find, guess, newest_first
from footsteps.recorder.format import hasher

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import FileIO
    from typing import TypeVar

    from footsteps.reader.expressions import Expression
    from footsteps.reader.runs import Run

    Item = TypeVar("Item")
    Watch = Callable[[Iterable[Run], str], Iterator[Run]]


# ---------------------------------------------------------------------------------------------
# Asking: through the index where there is one, from the directories where not
# ---------------------------------------------------------------------------------------------


def unwatched(items: Iterable[Run], label: str) -> Iterator[Run]:  # noqa: ARG001
    """The items: how long work is watched where nobody does. See `render.progress`."""
    return iter(items)


def search(
    roots: Iterable[str] | None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    problems: list[Problem] | None = None,
    watch: Watch = unwatched,
) -> list[Run]:
    """The runs below the roots for which all of `include` and none of `exclude` hold, newest first.

    Arguments that LTParser recorded for a run below the roots are that run's, and no hit of their own.

    problems: where to note what stood in the way; watch: is given what takes long, and a label.
    Raises FootstepsError for an expression that can't be read.
    """
    wanted, unwanted = [*map(parse, include)], [*map(parse, exclude)]
    met = [] if problems is None else problems
    places, found = separate(roots), []  # type: tuple[list[str], list[Run]]
    for root in places:
        found += answers(
            root,
            lambda index: index.matching(wanted, unwanted),
            lambda runs: (run for run in runs if run_fits(run, wanted, unwanted)),
            met=met,
            watch=watch,
        )
    return newest_first(without_records_of_runs(found, places))


def without_records_of_runs(found: list[Run], roots: Iterable[str]) -> list[Run]:
    """What was found but for LTParser's records whose arguments a run below the roots has, be it found or not."""
    records = {run.hash_code for run in found if run.hash_code and run.kind == "arguments"}
    if not records:
        return found
    told = {run.hash_code for run in known(roots) if run.hash_code in records and run.kind == "run"}
    return [run for run in found if run.hash_code not in told or run.kind != "arguments"]


def unheard_of(roots: Iterable[str] | None, include: Iterable[str]) -> str:
    """What an expression names that no run below the roots has, and what may have been meant; "" if there is none.

    Every run is looked at: to be asked where nothing was found.
    """
    asked = [each for each in map(parse, include) if each.operator and not any(map(each.concerns, FACTS))]
    names = names_below(roots) if asked else set()
    for each in asked:
        if not any(map(each.concerns, names)):
            known = sorted({*FACTS, *names, *(name.rpartition(".")[2] for name in names)})
            return repr(each.name) + guess(each.name, known)
    return ""


def names_below(roots: Iterable[str] | None) -> set[str]:
    """The names of the arguments, recorded values and packages of all runs below the roots."""
    found: set[str] = set()
    for root in separate(roots):
        found.update(
            answers(
                root,
                lambda index: index.names(),
                lambda runs: (
                    name for run in runs for name in (*parameters(run), *map(PACKAGE_PREFIX.__add__, run.packages))
                ),
                met=[],
                watch=unwatched,
            )
        )
    return found


def answers(
    root: str,
    ask: Callable[[RunIndex], Iterable[Item]],
    look: Callable[[Iterable[Run]], Iterable[Item]],
    *,
    met: list[Problem],
    watch: Watch,
) -> list[Item]:
    """What an index answers, or what a look at each run says where there is none."""
    index = None if os.path.isfile(root) else RunIndex.of(root, met, watch)  # an archive has none
    if index:
        try:
            return list(ask(index))
        except Exception as error:  # whatever the file has come to hold: a cache ends no command
            met.append(Problem(BYPASSED, index.path, str(error)))
            if is_damage(error):
                forget(index.path)
        finally:
            index.close()
    return list(look(find([root], met)))


def run_fits(run: Run, wanted: Sequence[Expression], unwanted: Sequence[Expression]) -> bool:
    """Whether all of some expressions hold for a run and none of the others."""
    return matches(run, *wanted) and not any(matches(run, each) for each in unwanted)


def newest(
    roots: Iterable[str] | None,
    most: int | None = None,
    since: float = float("-inf"),
    keep: Callable[[Run], bool] | None = None,
    *,
    problems: list[Problem] | None = None,
    watch: Watch = unwatched,
) -> list[Run]:
    """The newest runs below the roots: at most so many, begun at or after `since`, that `keep`.

    since: seconds since 1970; keep: a test that a run must pass; the rest as in `search`.
    """
    found: list[Run] = []
    for run in known(roots, problems, watch, None if keep else most):
        if (most is not None and len(found) >= most) or run.start < since:
            break
        if keep is None or keep(run):
            found.append(run)
    return found


def known(
    roots: Iterable[str] | None,
    problems: list[Problem] | None = None,
    watch: Watch = unwatched,
    most: int | None = None,
) -> Iterator[Run]:
    """Every run below the roots (or the newest), newest first, name, start and ids at hand."""
    import heapq

    met = [] if problems is None else problems
    each = [
        answers(root, lambda index: index.newest(most), newest_first, met=met, watch=watch) for root in separate(roots)
    ]
    yield from heapq.merge(*each, key=lambda run: run.start, reverse=True)


def runs_without_end(roots: Iterable[str] | None) -> list[Run]:
    """The runs below the roots that have not said how they ended, newest first."""
    found: list[Run] = []
    for root in separate(roots):
        found += answers(
            root,
            lambda index: index.without_end(),
            lambda runs: (run for run in runs if run.status not in OUTCOMES),
            met=[],
            watch=unwatched,
        )
    return newest_first(found)


def runs_with_artifact(
    sha256: str,
    roots: Iterable[str] | None = None,
    size: int | None = None,
    *,
    problems: list[Problem] | None = None,
    watch: Watch = unwatched,
) -> list[tuple[Run, str]]:
    """The runs that made a file of this hash, newest first, each with its path below the run.

    size: the file's, in bytes; with it, artifacts whose hash was not taken at the end are looked
    at as well: their hash is taken now (and kept), if they still are as the manifest says.
    """
    return runs_with_file(ARTIFACT, sha256, roots, size, problems=problems, watch=watch)


def runs_with_input(
    sha256: str,
    roots: Iterable[str] | None = None,
    size: int | None = None,
    *,
    problems: list[Problem] | None = None,
    watch: Watch = unwatched,
) -> list[tuple[Run, str]]:
    """The runs that read a file of this hash, newest first, each with the path that it had."""
    return runs_with_file(INPUT, sha256, roots, size, problems=problems, watch=watch)


def runs_with_file(
    role: str,
    sha256: str,
    roots: Iterable[str] | None,
    size: int | None,
    *,
    problems: list[Problem] | None,
    watch: Watch,
) -> list[tuple[Run, str]]:
    """The runs with a file of this hash in this role, newest first."""
    met = [] if problems is None else problems
    found: list[tuple[Run, str]] = []
    for root in separate(roots):
        near = answers(
            root,
            lambda index: index.holders(sha256, size, role),
            lambda runs: files_in_role(runs, size, role),
            met=met,
            watch=watch,
        )
        for run, path, kept, written in near:
            where = os.path.join(run.directory, path)
            if sha256 == (kept or unchanged_hash(where, size, written)):
                found.append((run, path))
    return sorted(found, key=lambda pair: (pair[0].start, pair[0].id, pair[0].directory, pair[1]), reverse=True)


def files_in_role(runs: Iterable[Run], size: int | None, role: str) -> Iterator[tuple[Run, str, str, int]]:
    """Files of runs in a role: run, path, hash, or "" and the time of one that has this size."""
    for run in runs:
        for path, kept, of_size, written in indexed_files(run, role):
            if kept or (size is not None and of_size == size):
                yield run, path, kept, written


def unchanged_hash(path: str, size: int | None, written: int) -> str:
    """The SHA-256 of a file if it still has the size and time (ns) that were recorded, else ""."""
    try:
        with open_plain_file(path) as stream:
            info = os.fstat(stream.fileno())
            if (info.st_size, info.st_mtime_ns) != (size, written):
                return ""
            return kept_hash(f"{info.st_dev}:{info.st_ino}:{size}:{written}", stream)
    except (OSError, ValueError):  # also a name with NUL in it
        return ""


def kept_hash(key: str, stream: FileIO) -> str:
    """The SHA-256 of an open file, from the cache if it was taken before."""
    note = os.path.join(cache_directory(), "hashes", hasher("sha256")(key.encode()).hexdigest())
    try:
        with open(note) as known_hash:
            kept = known_hash.read()
        if len(kept) == 64:
            return kept
    except OSError:
        pass
    digest = digest_of(stream)
    try:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        with open(note, "w") as fresh:
            fresh.write(digest)
    except OSError:
        pass
    return digest


def separate(roots: Iterable[str] | None) -> list[str]:
    """The roots (default: the usual ones) without those that lie in another one."""
    given = default_roots() if roots is None else list(dict.fromkeys(map(os.fspath, roots)))
    real = [os.path.realpath(root) + os.sep for root in given]
    return [
        root
        for i, root in enumerate(given)
        if not any(real[i].startswith(o) and (real[i] != o or j < i) for j, o in enumerate(real) if j != i)
    ]
