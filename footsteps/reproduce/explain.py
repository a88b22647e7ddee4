"""Why a rerun may have made something else: what is known of the two runs, and what the program's code shows."""

from __future__ import annotations

import os
import re

from footsteps.reader.formats import mapping, objects, text

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.reproduce.result import Result

__all__ = ["reasons"]

MOST_FILES, LARGEST = 500, 1 << 20  # files of the code that are looked at, bytes of one
UNSEEDED = (
    (re.compile(rb"\bdefault_rng\(\s{0,9}\)"), "unseeded default_rng"),
    (re.compile(rb"\bRandomState\(\s{0,9}\)"), "unseeded RandomState"),
    (re.compile(rb"\b(?:os\.urandom|SystemRandom|uuid4|uuid1|secrets\.token_\w{1,9})\("), "randomness of the system"),
    (re.compile(rb"\bseed\(\s{0,9}(?:int\(\s{0,9})?time\b"), "a seed that is the time"),
)


def reasons(result: Result) -> Iterator[str]:
    """What may be why, most likely first, one sentence each."""
    again, new = result.again, result.new
    if new is None or not any(row["verdict"] not in ("identical", "same") for row in result.artifacts):
        return
    if any("another order" in row["note"] for row in result.artifacts) and hash_was_random(again.run):
        yield "PYTHONHASHSEED was not set, so that sets had another order"
    yield from unseeded(again.directory)
    then, now = threads_of(again.run), threads_of(new)
    if then and now and then != now:
        yield f"another number of threads: {then} then, {now} now"
    if again.restored is not None and not again.restored.exact:
        yield "the code is not all as it was"
    if again.gone:
        yield f"inputs that are not as they were: {', '.join(again.gone[:3])}"
    yield from other_packages(again.run, new)


def hash_was_random(run: Run) -> bool:
    """Whether the hashes of texts were drawn by lot, and not from a recorded seed."""
    seed = text(mapping(run.facts.get("environment")).get("PYTHONHASHSEED"))
    return seed in ("", "random") and mapping(mapping(run.facts.get("python")).get("flags")).get("hash") != 0


def unseeded(directory: str) -> Iterator[str]:
    """Where the restored code draws numbers that no recorded state brings back: the first place of each kind."""
    met: dict[str, str] = {}
    for number, path in enumerate(python_files(directory)):
        if number == MOST_FILES or len(met) == len(UNSEEDED):
            break
        with open(path, "rb") as file:
            code = file.read(LARGEST)
        for pattern, what in UNSEEDED:
            found = pattern.search(code)
            if found and what not in met:
                line = code.count(b"\n", 0, found.start()) + 1
                met[what] = f"{os.path.relpath(path, directory)}, line {line}"
    yield from (f"{what} in {where}" for what, where in met.items())


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
