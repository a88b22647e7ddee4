"""Which run made this file, and which runs read it: also when it was renamed and copied away.

    >>> from footsteps.reader import trace
    >>> found = trace.trace("paper/figure3.png")
    >>> [(each.name, each.how) for each in found.made]
    [('unet-3', ['content', 'metadata'])]

A file tells its run by its content (the manifests of all runs hold hashes), by what footsteps
wrote into a figure, by a LiteTracer hash in its name, and by the run's directory that it lies in.
Artifacts that no run had the time to hash are hashed when their size fits, and the hash is kept in
the user's cache directory, never in the run.
"""

from __future__ import annotations

import os

from footsteps.reader import search
from footsteps.reader.compare import recorded_artifacts
from footsteps.reader.formats import kind_of_record, open_plain_file, sha256_of
from footsteps.reader.runs import Run
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.formats import Problem

__all__ = ["Origin", "Trace", "hash_codes_in", "run_from_metadata", "trace"]

LARGEST_FIGURE = 64 << 20  # bytes of a figure in which its run is looked for


class Origin:
    """A run that made or read the file.

    run: None if only the file tells of it and it is not among the runs looked at; name, id: of the
    run; path: what it was called there; how: "content", "metadata", "name", "place".
    """

    def __init__(self, run: Run | None, name: str, run_id: str) -> None:
        self.run, self.name, self.id = run, name, run_id
        self.path = ""
        self.how: list[str] = []

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON and tables."""
        run = self.run
        known = {"directory": run.directory, "started": run.started, "command": run.command} if run else {}
        return {"name": self.name, "id": self.id, "path": self.path, "how": self.how, **known}


class Trace:
    """What is known of a file: `made` and `read`, newest first, `path`, `size` and `sha256`."""

    def __init__(self, path: str, size: int, sha256: str) -> None:
        self.path, self.size, self.sha256 = path, size, sha256
        self.made: list[Origin] = []
        self.read: list[Origin] = []

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        made, read = ([each.row() for each in listed] for listed in (self.made, self.read))
        return {"path": self.path, "size": self.size, "sha256": self.sha256, "made": made, "read": read}


def trace(
    path: str,
    roots: Sequence[str] | None = None,
    *,
    problems: list[Problem] | None = None,
    watch: search.Watch = search.unwatched,
) -> Trace:
    """The runs that made a file and those that read it, as far as they lie below the roots.

    problems: gets what stood in the way; watch: shows a person how far the first look has come.
    Raises FootstepsError if there is no such file.
    """
    if not os.path.isfile(path):
        if kind_of_record(path):
            raise FootstepsError(f"{path!r} is the directory of a run, no file", f"footsteps show {quote([path])}")
        raise FootstepsError(f"no file {path!r}", hint="footsteps trace FILE")
    found = Trace(path, os.path.getsize(path), sha256_of(path))
    made, read = Evidence(), Evidence()
    for run, name in search.runs_with_artifact(found.sha256, roots, found.size, problems=problems, watch=watch):
        made.add(run, "content", name)
    for run, name in without_manifest(found, roots):
        made.add(run, "content", name)
    told = run_from_metadata(path)
    for run in search.search(roots, [f"id=={told['id']}"]) if told else ():
        made.add(run, "metadata")
    made.add_unknown(told)
    for code in hash_codes_in(os.path.abspath(path)):
        for run in search.search(roots, [f"hash_code=={code}"]):
            made.add(run, "name")
    for run in lies_in(path):
        made.add(run, "place", os.path.relpath(os.path.realpath(path), os.path.realpath(run.directory)))
    for run, name in search.runs_with_input(found.sha256, roots, found.size):
        read.add(run, "content", name)
    found.made, found.read = made.newest_first(), read.newest_first()
    return found


class Evidence:
    """What speaks for each run."""

    def __init__(self) -> None:
        self.origins: dict[str, Origin] = {}

    def add(self, run: Run, how: str, path: str = "") -> None:
        """One more reason to name a run."""
        origin = self.origins.setdefault(os.path.realpath(run.directory), Origin(run, run.name, run.id))
        origin.path = origin.path or path
        if how not in origin.how:
            origin.how.append(how)

    def add_unknown(self, told: Mapping[str, str]) -> None:
        """The run that a figure tells of, if it was not among those looked at."""
        if told and not any(origin.id == told["id"] for origin in self.origins.values()):
            self.origins[told["id"]] = Origin(None, told["name"], told["id"])
            self.origins[told["id"]].how.append("metadata")

    def newest_first(self) -> list[Origin]:
        """All of them; a run that is not here by what its id tells of its time."""
        return sorted(self.origins.values(), key=begun, reverse=True)


def begun(origin: Origin) -> tuple[float, str]:
    """When an origin's run began: seconds since 1970."""
    if origin.run is not None:
        return origin.run.start, origin.id
    import calendar
    import time

    try:
        return float(calendar.timegm(time.strptime(origin.id[:16], "%Y%m%dT%H%M%SZ"))), origin.id
    except ValueError:
        return 0.0, origin.id


# ---------------------------------------------------------------------------------------------
# By content
# ---------------------------------------------------------------------------------------------


def without_manifest(found: Trace, roots: Sequence[str] | None) -> Iterator[tuple[Run, str]]:
    """Runs that have left no manifest, in whose directory such a file lies, with its path there.

    They are of older formats, have died, or have not come to their end.
    """
    for run in search.runs_without_end(roots):
        listed = {} if "artifacts" in run.outcome else recorded_artifacts(run)
        for name, entry in listed.items():
            path = os.path.join(run.directory, name)
            if (
                entry["size"] == found.size
                and search.unchanged_hash(path, found.size, entry["mtime_ns"]) == found.sha256
            ):
                yield run, name


# ---------------------------------------------------------------------------------------------
# By what the file itself tells
# ---------------------------------------------------------------------------------------------

MOST_FOUND = 1000  # places in a file where a run may be named that are looked at
RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{8}"
FIGURE_ORIGIN = (
    rf"footsteps:? run (?P<name>[^\0\r\n]{{1,1000}}?), id (?P<id>{RUN_ID})"
    r"(?:, code(?:_id)? (?P<code_id>[0-9a-f]*))?"
)


def run_from_metadata(path: str) -> dict[str, str]:
    """The run that a figure names: {"name", "id", "code_id"}; {} if it names none."""
    with open_plain_file(path) as file:
        data = file.read(LARGEST_FIGURE)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return run_from_png(data)
    if data.startswith(b"\x1f\x8b"):
        data = gunzipped_start(data)
    if data.startswith((b"%PDF-", b"%!PS")) or b"<svg" in data[:4096]:
        return run_from_text(data)
    return {}


def run_from_png(data: bytes) -> dict[str, str]:
    """The same of a PNG file, out of its texts; an id that is none of ours is no word about a run."""
    import re
    from itertools import islice

    from footsteps.reader.measure import chunks

    ours = ((kind, content) for kind, content in chunks(data) if kind in TEXTS and content.startswith(b"footsteps:"))
    texts = dict(text_chunk(kind, content) for kind, content in islice(ours, MOST_FOUND))
    tags = {"name": "run", "id": "id", "code_id": "code_id"}
    told = {key: texts.get(f"footsteps:{tag}", "") for key, tag in tags.items()}
    return told if re.fullmatch(RUN_ID, told["id"]) else {}


TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def text_chunk(kind: bytes, content: bytes) -> tuple[str, str]:
    """Key and text of one of a PNG file's texts, however another program has packed it again."""
    key, _, rest = content.partition(b"\0")
    if kind == b"tEXt":
        return key.decode("latin-1"), rest.decode("latin-1")
    if kind == b"zTXt":
        return key.decode("latin-1"), inflated(rest[1:]).decode("latin-1")
    packed, words = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return key.decode("latin-1"), (inflated(words) if packed else words).decode("utf-8", "replace")


def inflated(data: bytes) -> bytes:
    """What was deflated, up to a mebibyte; b"" if it is broken."""
    import zlib

    try:
        return zlib.decompressobj().decompress(data, 1 << 20)
    except zlib.error:
        return b""


def gunzipped_start(data: bytes) -> bytes:
    """The beginning of what a gzip file (.svgz) holds; b"" if it is broken."""
    import zlib

    try:
        return zlib.decompressobj(31).decompress(data, LARGEST_FIGURE)
    except zlib.error:
        return b""


def run_from_text(data: bytes) -> dict[str, str]:
    """The same of PDF, SVG and PostScript, whose metadata are one sentence somewhere in the file.

    PDF says what is not ASCII in UTF-16, and puts a backslash before parentheses.
    """
    import re
    from html import unescape
    from itertools import islice

    for words in (data.decode("utf-8", "surrogateescape"), data.replace(b"\0", b"").decode("latin-1")):
        starts = islice(re.finditer("footsteps:? run ", words), MOST_FOUND)  # each is looked at for 1,000 characters
        found = next(filter(None, (re.compile(FIGURE_ORIGIN).match(words, start.start()) for start in starts)), None)
        if found:
            return {**found.groupdict(""), "name": unescape(re.sub(r"\\([()\\])", r"\1", found["name"]))}
    return {}


def hash_codes_in(path: str) -> set[str]:
    """The LiteTracer hashes in a path."""
    import re

    return set(re.findall(r"LT_delta-[0-9a-zA-Z]+_base-[0-9a-zA-Z]+_LT", path))


def lies_in(path: str) -> Iterator[Run]:
    """The run in whose directory the file lies, if there is one."""
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        kind = kind_of_record(folder)
        if kind:
            yield Run(folder, "", kind)
            return
        if os.path.dirname(folder) == folder:
            return
        folder = os.path.dirname(folder)
