"""Why a rerun may have made something else: what is known of the two runs, and what the program's code shows."""

from __future__ import annotations

import os
import re
from itertools import islice

from footsteps.reader.formats import content_in, mapping, objects, open_plain_file, text
from footsteps.reproduce.restored_paths import real_place

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.reproduce.rerun import Rerun
    from footsteps.reproduce.result import Result

__all__ = ["reasons"]

MOST_FILES, LARGEST_CODE = 500, 1 << 20  # files of the code that are looked at, bytes of one
HASHES = "PYTHONHASHSEED was not set, so that sets and hash() were others"
BY_LOT = (
    (re.compile(rb"\bdefault_rng\(\s{0,9}\)"), "unseeded default_rng"),
    (re.compile(rb"\bRandomState\(\s{0,9}\)"), "unseeded RandomState"),
    (re.compile(rb"\bRandom\(\s{0,9}\)"), "unseeded random.Random"),
    (re.compile(rb"\bseed\(\s{0,9}(?:None)?\s{0,9}\)"), "a seed drawn by lot"),
    (re.compile(rb"\b(?:os\.urandom|SystemRandom|uuid4|uuid1|secrets\.token_\w{1,9})\("), "randomness of the system"),
    (re.compile(rb"\bseed\(\s{0,9}(?:int\(\s{0,9})?time\b"), "a seed that is the time"),
    (
        re.compile(rb"\b(?:Process|Pool|ProcessPoolExecutor|os\.fork)\("),
        "processes, each with random numbers of its own",
    ),
    (re.compile(rb"\b(?:Thread|ThreadPool|ThreadPoolExecutor)\("), "threads, which end in any order"),
    (re.compile(rb"\b(?:time\.time|perf_counter|datetime\.now|strftime|monotonic)\("), "the time"),
)
OF_WORKERS = re.compile(rb"\b(?:Thread|Process|\w{0,20}Pool|\w{0,20}PoolExecutor)\(")
OF_SETS = re.compile(rb"\b(?:set|frozenset|hash)\(")
IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]{0,9999}\)|[^#\n]*)|import[ \t]+([^#\n]+))", re.MULTILINE
)


def reasons(result: Result) -> Iterator[str]:
    """What may be why, most likely first, one sentence each."""
    again, new = result.again, result.new
    apart = [row for row in result.artifacts if row["verdict"] not in ("identical", "same")]
    if new is None or not apart:
        return
    yield from places_told(again, new, apart)
    files = program_files(again)
    if hash_was_random(again.run) and is_of_hashes(files, apart):
        yield HASHES
    yield from drawn_by_lot(files, again.directory)
    then, now = threads_of(again.run), threads_of(new)
    if then and now and then != now:
        yield f"another number of threads: {then} then, {now} now"
    if again.restored is not None and not (again.restored.proven and again.restored.complete):
        yield "the code is not all as it was"
    if again.gone:
        yield f"inputs that are not as they were: {', '.join(again.gone[:3])}"
    yield from other_packages(again.run, new)


def is_of_hashes(files: Sequence[str], apart: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the code asks for sets or hashes, or values came in another order where no workers can be why."""
    reordered = any("another order" in row["note"] for row in apart)
    return bool(first_of(files, OF_SETS) or (reordered and not first_of(files, OF_WORKERS)))


def places_told(again: Rerun, new: Run, apart: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The files that hold a path of the project, which is another one now, and differ by nothing else."""
    for row in apart:
        try:
            then, now = (content_in(os.path.join(run.directory, row["path"])) for run in (again.run, new))
        except (OSError, ValueError):
            continue
        for old, here in again.moved.items():
            then = then.replace(os.fsencode(old), os.fsencode(here))
        if then == now:
            yield f"{row['path']} tells where the project lies, which is another place now; all else is the same"


def hash_was_random(run: Run) -> bool:
    """Whether the hashes of texts were drawn by lot, and not from a recorded seed."""
    seed = text(mapping(run.facts.get("environment")).get("PYTHONHASHSEED"))
    return seed in ("", "random") and mapping(mapping(run.facts.get("python")).get("flags")).get("hash") != 0


def drawn_by_lot(files: Iterable[str], directory: str) -> Iterator[str]:
    """Where a program's files draw what no recorded state brings back: the first place of each kind."""
    for pattern, what in BY_LOT:
        path, line = first_of(files, pattern) or ("", 0)
        if path:
            yield f"{what} in {os.path.relpath(path, directory)}, line {line}"


def first_of(files: Iterable[str], pattern: re.Pattern[bytes]) -> tuple[str, int] | None:
    """The first file and line in which a pattern is found."""
    for path in files:
        code = code_of(path)
        found = pattern.search(code)
        if found:
            return path, code.count(b"\n", 0, found.start()) + 1
    return None


def code_of(path: str) -> bytes:
    """The beginning of a plain file; b"" if it can't be read."""
    try:
        with open_plain_file(path) as file:
            return bytes(file.read(LARGEST_CODE))
    except OSError:
        return b""


def program_files(again: Rerun) -> list[str]:
    """The script of a rerun and what it imports of the restored code; all Python files where the script is not known.

    Found by the words of the code alone, so that nothing of it is run.
    """
    script = text(mapping(again.run.facts.get("main")).get("path"))
    start = real_place(script, again.moved) if script.endswith(".py") else ""
    if not start or not is_plain_below(start, again.directory):
        return list(islice(python_files(again.directory), MOST_FILES))
    folders = [os.path.dirname(start), again.directory, os.path.join(again.directory, "src")]
    found = [start]
    for path in found:  # which grows meanwhile
        found += [each for each in dict.fromkeys(imported_by(path, folders)) if each not in found][
            : MOST_FILES - len(found)
        ]
    return found


def imported_by(path: str, folders: Sequence[str]) -> Iterator[str]:
    """The files below some folders that a file's import statements may mean."""
    for package, names, modules in IMPORT.findall(code_of(path)):
        dots = len(package) - len(package.lstrip(b"."))
        near = os.path.join(os.path.dirname(path), *[os.pardir] * (dots - 1)) if dots else ""
        said = [name.split()[0] for name in (names or modules).strip(b"()").split(b",") if name.split()]
        stem = package.decode("utf-8", "replace").strip(".")
        for name in (each.decode("utf-8", "replace").strip(".") for each in said):
            parts = [part for part in f"{stem}.{name}".split(".") if part]
            for folder in [near] if dots else folders:
                yield from modules_at(os.path.normpath(folder), parts)


def modules_at(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """The files of a dotted name below a folder: its packages' and its own."""
    for count in range(1, len(parts) + 1):
        stem = os.path.join(folder, *parts[:count])
        for path in (f"{stem}.py", os.path.join(stem, "__init__.py")):
            if is_plain_below(path, folder):
                yield path


def is_plain_below(path: str, folder: str) -> bool:
    """Whether a path is a plain file in a folder, reached through no link out of it."""
    real = os.path.realpath(path)
    return os.path.isfile(path) and real.startswith(os.path.join(os.path.realpath(folder), ""))


def python_files(directory: str) -> Iterator[str]:
    """The plain Python files below a directory, in order; none of hidden folders."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")):
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def threads_of(run: Run) -> int:
    """The largest number of threads that a numeric library had at the run's end, 0 if it is not known."""
    pools = [pool.get("num_threads") for pool in objects(run.outcome.get("thread_pools"))]
    return max((number for number in pools if isinstance(number, int)), default=0)


def other_packages(old: Run, new: Run) -> Iterator[str]:
    """The packages that had another version, some of them by name."""
    here: dict[str, Any] = new.packages
    apart = [
        f"{name} {version} ({here[name]} now)"
        for name, version in old.packages.items()
        if here.get(name, version) != version
    ]
    if apart:
        yield "other packages: " + ", ".join(apart[:5]) + (f" and {len(apart) - 5} more" if len(apart) > 5 else "")
