"""A run out of an archive as a directory, for what reads files by their path: git, programs, comparing.

    >>> there = unpack.Unpacked(run, "again.archive")
    >>> there.run.directory, there.inputs
    ('again.archive/runs/figure', {'/data/raw.csv': 'again.archive/inputs/9f86d081884c7d65/raw.csv'})
    >>> there.close()                                   # removes the folder, unless there.keep is set

What is unpacked is compared with the hashes that the archive tells; of a failure nothing is left.
"""

from __future__ import annotations

import os

from footsteps.reader import archive
from footsteps.reader.formats import mapping, text
from footsteps.recorder.format import FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable

    from footsteps.reader.archive import Archive
    from footsteps.reader.runs import Run

__all__ = ["Unpacked", "unpack"]

UNPACKED_BLOCK = 1 << 20
FOLDERS = (archive.RUNS, "inputs")  # of an archive, that are needed to repeat a run


class Unpacked:
    """A run as a directory: itself, or what an archive holds of it, unpacked below a folder.

    run: the one on disk; roots: where the runs of the archive lie, [] for a run that lay in none; inputs: {recorded
    path: file} of what the archive's runs read.

    Raises FootstepsError for an archive that is refused, FileExistsError if the folder is there.
    """

    def __init__(self, run: Run, folder: str) -> None:
        self.run, self.folder, self.keep = run, "", False
        self.roots: list[str] = []
        self.inputs: dict[str, str] = {}
        top, below = ("", "") if os.path.isdir(run.directory) else archive.split(run.directory)
        if top:
            self.fill(archive.archive_at(top), below, folder)

    def fill(self, found: Archive, below: str, folder: str) -> None:
        """Unpack what is needed."""
        from footsteps.reader.runs import Run

        unpack(found, folder, found.below(*FOLDERS))
        self.folder, self.roots = folder, [os.path.join(folder, archive.RUNS)]
        self.run = Run(place_in(folder, below), self.roots[0], self.run.kind)
        named = {path: name for each in (*found.folders, below) for path, name in found.inputs_of(each).items()}
        there = {path: name for path, name in named.items() if name.partition("/")[0] in FOLDERS}
        self.inputs = {path: place_in(folder, name) for path, name in there.items()}

    def close(self) -> None:
        """Remove what was unpacked, unless `keep` is set."""
        import shutil

        if self.folder and not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def unpack(found: Archive, folder: str, names: Iterable[str]) -> None:
    """Write some entries below a folder, which is made and must not be there; nothing is left of a failure.

    Raises FootstepsError for one that is damaged, more than it says, or not of the hash that the archive tells.
    """
    import shutil

    wanted = [found.entries[name] for name in names]
    os.makedirs(folder)
    try:
        free, needed = shutil.disk_usage(folder).free, sum(info.file_size for info in wanted)
        if needed > free:
            raise FootstepsError(f"{found.path!r} needs {needed} bytes, and {folder!r} has {free}", hint="df -h")
        for info in wanted:
            unpack_entry(found, info, place_in(folder, info.filename))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def unpack_entry(found: Archive, info: zipfile.ZipInfo, path: str) -> None:
    """Write one entry to a new file, and compare it with what the archive says of it."""
    import hashlib
    import zipfile

    os.makedirs(os.path.dirname(path), exist_ok=True)
    digest, left = hashlib.sha256(), info.file_size
    try:
        with zipfile.ZipFile(found.path) as opened, opened.open(info) as file, open(new_file(path, info), "wb") as out:
            while block := file.read(min(UNPACKED_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                digest.update(block)
                out.write(block)
    except archive.damages() as error:
        raise found.refused(f"its entry {info.filename!r} is damaged ({error})") from error
    if left:
        raise found.refused(f"its entry {info.filename!r} is not as long as it says")
    said = text(mapping(mapping(found.facts.get("files")).get(info.filename)).get("sha256"))
    if said != digest.hexdigest():
        raise found.refused(f"its entry {info.filename!r} is not the one that was exported: its hash is another one")


def new_file(path: str, info: zipfile.ZipInfo) -> int:
    """A file that was not there, open for writing, and executable if its entry is."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags, 0o777 if info.external_attr >> 22 & 1 else 0o666)


def place_in(folder: str, name: str) -> str:
    """Where an entry is put."""
    return os.path.join(folder, *name.split("/"))
