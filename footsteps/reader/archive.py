"""An exported archive in the place of a run: read where it is, and unpacked only where somebody said.

    >>> from footsteps.reader import archive
    >>> archive.run_named("study.zip").command               # the run that it was made for
    'figure.py results/evaluate/scores.json'
    >>> [run.name for run in archive.runs_of("study.zip")]
    ['train', 'evaluate', 'figure']

The directory of such a run is `study.zip/runs/<name>`, which is no directory: `formats.open_plain_file` asks
`member_at` for the files below it. An archive may come from anybody: all entries are checked before one is read, a
file is read up to a limit, and nothing is unpacked that leads out, links, or is more than it says.
"""

from __future__ import annotations

import io
import os

from footsteps.reader.formats import Problem, objects, text
from footsteps.reader.repositories import why_unsafe
from footsteps.recorder.format import RECORD, FootstepsError, from_json, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from typing import Any

    from footsteps.reader.runs import Run

__all__ = [
    "Archive", "archive_at", "archived_files", "is_archive", "member_at", "run_named", "runs_of",
    "why_unsafe_entry",
]  # fmt: skip

ARCHIVE_JSON = "footsteps.json"
RUNS = "runs"
ENTRIES = 200_000  # an archive with more of them is refused
LISTING = 64 << 20  # bytes of the list of entries
MOST_READ = 64 << 20  # bytes that are read of one file where the archive lies
RATIO = 200  # what unpacks to so many times its size, and to more than SMALL, is refused
SMALL = 1 << 30  # bytes
ARCHIVE_BLOCK = 1 << 20


class Archive:
    """One archive, whose entries have been checked: `path`, `entries` {name: ZipInfo}, `facts` (its footsteps.json).

    Raises FootstepsError if it is none, or holds what no archive of ours does.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.entries = self.checked()
        self.facts = self.read_facts()

    def checked(self) -> dict[str, zipfile.ZipInfo]:
        """The entries by name, each fit to be read."""
        import zipfile

        try:
            with open_plain(self.path) as file:
                require_listing(self.path, file)
                with zipfile.ZipFile(file) as opened:
                    infos = opened.infolist()
        except damages() as error:
            raise self.refused(f"it can't be read as a zip file ({error})") from error
        if len(infos) > ENTRIES:
            raise self.refused(f"it has {len(infos)} entries, more than {ENTRIES}")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            why = why_no_entry(info)
            if why:
                raise self.refused(f"its entry {info.orig_filename!r} {why}")
            if info.filename in found:
                raise self.refused(f"two of its entries are called {info.filename!r}")
            found[info.filename] = info
        self.require_places(found)
        return {name: info for name, info in found.items() if not info.is_dir()}

    def require_places(self, found: dict[str, zipfile.ZipInfo]) -> None:
        """Refuse entries that share bytes, that lie below a file, and more than any disk is meant to take."""
        end, before = 0, ""
        for info in sorted(found.values(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise self.refused(f"its entries {before!r} and {info.filename!r} share bytes")
            end, before = info.header_offset + 30 + info.compress_size, info.filename
        files = {name for name, info in found.items() if not info.is_dir()}
        for name in found:
            parts = name.rstrip("/").split("/")
            above = next((a for a in ("/".join(parts[:n]) for n in range(1, len(parts))) if a in files), "")
            if above:
                raise self.refused(f"its entry {name!r} lies below {above!r}, which is no folder")
        size = sum(info.file_size for info in found.values())
        if size > SMALL and size > RATIO * os.path.getsize(self.path):
            raise self.refused(f"it would unpack to {size} bytes, more than {RATIO} times its own size")

    def read_facts(self) -> dict[str, Any]:
        """What it says of itself."""
        if ARCHIVE_JSON not in self.entries:
            raise self.refused(f"it holds no {ARCHIVE_JSON}, and was not made by footsteps export")
        try:
            value = from_json(self.read(ARCHIVE_JSON).decode("utf-8"))
        except (ValueError, RecursionError, OSError) as error:
            raise self.refused(f"its {ARCHIVE_JSON} can't be read ({error})") from error
        if not isinstance(value, dict) or text(value.get("kind")) != "footsteps archive":
            raise self.refused(f"its {ARCHIVE_JSON} is not one of footsteps export")
        return value

    def refused(self, why: str) -> FootstepsError:
        """The error for an archive that is not read."""
        return FootstepsError(f"the archive {self.path!r} is refused: {why}", hint=f"unzip -l {quote([self.path])}")

    # its runs

    @property
    def folders(self) -> list[str]:
        """The folders of its runs, in the order in which they can be repeated."""
        listed = [text(row.get("directory")) for row in objects(self.facts.get("runs"))]
        return [folder for folder in listed if folder.startswith(f"{RUNS}/") and not why_unsafe(folder)]

    @property
    def head(self) -> str:
        """The folder of the run that it was made for."""
        head = text(self.facts.get("head"))
        return head if head in self.folders else next(reversed(self.folders), "")

    def run(self, folder: str) -> Run:
        """The run in a folder of it."""
        from footsteps.reader.runs import Run

        kind = "run" if f"{folder}/{RECORD}/run.json" in self.entries else "footsteps 0.1"
        return Run(os.path.join(self.path, folder), os.path.join(self.path, RUNS), kind)

    def row_of(self, folder: str) -> dict[str, Any]:
        """What it says of the run in a folder."""
        rows = objects(self.facts.get("runs"))
        return next((row for row in rows if text(row.get("directory")) == folder), {})

    def inputs_of(self, folder: str) -> dict[str, str]:
        """The files that a run read, as far as they are in it: {recorded path: name in the archive}."""
        reads = objects(self.row_of(folder).get("reads"))
        inputs = {text(row.get("path")): text(row.get("file")) for row in reads}
        return {path: file for path, file in inputs.items() if path and file in self.entries}

    # its files

    def read(self, name: str) -> bytes:
        """The bytes of an entry. Raises OSError if there is none, if it is damaged, or larger than READ."""
        import zipfile

        info = self.entries.get(name)
        if info is None:
            raise FileNotFoundError(2, "no such entry", f"{self.path}/{name}")
        if info.file_size > MOST_READ:
            raise OSError(27, f"larger than {MOST_READ} bytes")
        try:
            with zipfile.ZipFile(self.path) as opened, opened.open(info) as file:
                data = file.read(info.file_size + 1)
        except damages() as error:
            raise OSError(5, f"damaged: {error}") from error
        if len(data) != info.file_size:
            raise OSError(5, "damaged: not as long as it says")
        return data

    def below(self, *folders: str) -> Iterator[str]:
        """The names of the entries below some folders."""
        tops = tuple(f"{folder}/" for folder in folders)
        return (name for name in self.entries if name.startswith(tops))


def damages() -> tuple[type[Exception], ...]:
    """What zipfile raises for a file that is none, or damaged."""
    import zipfile
    import zlib

    return zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OverflowError


def open_plain(path: str) -> io.FileIO:
    """The file, if it is a plain one: a FIFO would be waited for."""
    from footsteps.reader.formats import open_plain_file

    return open_plain_file(path)


def require_listing(path: str, file: io.FileIO) -> None:
    """Raises FootstepsError for a list of entries that is larger than any of ours: it is read as a whole."""
    import struct

    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at >= 0 and len(tail) >= at + 22:
        listing = struct.unpack_from("<L", tail, at + 12)[0]
        wide = tail.rfind(b"PK\6\6", 0, at)
        if wide >= 0 and len(tail) >= wide + 56:
            listing = max(listing if listing != 0xFFFFFFFF else 0, struct.unpack_from("<Q", tail, wide + 40)[0])
        if listing > LISTING:
            message = f"the archive {path!r} is refused: its list of entries has {listing} bytes, more than {LISTING}"
            raise FootstepsError(message, hint=f"unzip -l {quote([path])}")
    file.seek(0)


def why_no_entry(info: zipfile.ZipInfo) -> str:
    """Why an entry is not read, "" if it is."""
    import stat
    import zipfile

    name = info.filename.rstrip("/") if info.is_dir() else info.filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.orig_filename != info.filename:
        return "has a name that another system would take for another one"
    if why_unsafe_entry(name):
        return why_unsafe_entry(name)
    if info.flag_bits & 0x41:
        return "is encrypted"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is no plain file"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that is not read"
    return ""


def why_unsafe_entry(name: str) -> str:
    """Why no archive may hold an entry of this name, "" if one may."""
    if not name.isprintable():
        return "holds characters that a terminal or a page would act on"
    if "\\" in name or (len(name) > 1 and name[1] == ":"):
        return "leads elsewhere on another system"
    if any(len(part.encode("utf-8", "replace")) > 255 for part in name.split("/")) or len(name) > 4000:
        return "is longer than a file's name may be"
    return why_unsafe(name)


# ---------------------------------------------------------------------------------------------
# In the place of a directory
# ---------------------------------------------------------------------------------------------

_opened: dict[str, tuple[tuple[int, int, int], Archive]] = {}


def archive_at(path: str) -> Archive:
    """The archive in a file, which is checked once. Raises FootstepsError if it is none."""
    path = os.path.abspath(path)
    found = os.stat(path)
    stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
    if path not in _opened or _opened[path][0] != stamp:
        _opened[path] = stamp, Archive(path)
    return _opened[path][1]


def is_archive(path: str) -> bool:
    """Whether a path names a file that begins as a zip file does."""
    from footsteps.reader.formats import open_plain_file

    try:
        with open_plain_file(path) as file:
            return file.read(4) in (b"PK\3\4", b"PK\5\6")
    except (OSError, ValueError):
        return False


def was_exported(path: str) -> bool:
    """Whether a file is an archive of ours, and not another zip file, such as numpy's and torch's."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as opened:
            return ARCHIVE_JSON in opened.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def split(path: str) -> tuple[str, str]:
    """A path below an archive as the archive's and the entry's name; ("", "") if it lies below none."""
    above, names = os.path.abspath(path), []
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above, name = os.path.split(above)
        names.append(name)
        if is_archive(above):
            return above, "/".join(reversed(names))
    return "", ""


class Member(io.BytesIO):
    """An entry's bytes, as `formats.open_plain_file` gives a file."""

    def readall(self) -> bytes:
        """What is left."""
        return self.read()


def member_at(path: str) -> Member:
    """A file below an archive. Raises OSError if there is none."""
    top, name = split(path)
    if not top:
        raise NotADirectoryError(20, os.strerror(20), path)
    try:
        return Member(archive_at(top).read(name))
    except FootstepsError as error:
        raise OSError(22, error.message) from error


def archived_files(folder: str) -> list[tuple[str, int]]:
    """The files below a folder of an archive, at any depth: path below it and size; [] if it is in none."""
    top, name = split(folder)
    if not top:
        return []
    try:
        found = archive_at(top)
    except (FootstepsError, OSError):
        return []
    return [(entry[len(name) + 1 :], found.entries[entry].file_size) for entry in sorted(found.below(name))]


def run_named(selector: str) -> Run | None:
    """The run that a path names: `study.zip`, `study.zip/runs/train` or `study.zip/train`; None if it names none.

    Raises FootstepsError for an archive that is refused, or has no such run.
    """
    top, name = (selector, "") if is_archive(selector) else split(selector)
    if not top:
        return None
    found = archive_at(top)
    folder = found.head if not name else name if name in found.folders else f"{RUNS}/{name}"
    if folder not in found.folders:
        names = ", ".join(repr(each[len(RUNS) + 1 :]) for each in found.folders[:8]) or "none"
        raise FootstepsError(f"no run {name!r} in {top!r}, which has {names}", hint=f"footsteps list {quote([top])}")
    return found.run(folder)


def runs_of(path: str, problems: list[Problem] | None = None) -> Iterator[Run]:
    """The runs of an archive; none, and a problem, if it is refused."""
    try:
        found = archive_at(path)
    except (FootstepsError, OSError) as error:
        if problems is not None:
            problems.append(Problem("not read", path, str(getattr(error, "message", error))))
        return
    for folder in found.folders:
        yield found.run(folder)
