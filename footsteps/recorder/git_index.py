"""What git tracks, read from the index: git itself would take twice as long, and 7.6 ms at 50,000 files are ours."""

from __future__ import annotations

from footsteps.recorder.format import bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Entry = tuple[bytes, int, bytes, bool]


class OddIndex(Exception):
    """An index that git has to read: split, sparse, version 4, damaged."""


class GitIndex:
    """What git tracks; an entry is (path, mode, blob id, hidden).

    Hidden entries are those that git does not look at: assume-unchanged, skip-worktree. The others
    are taken apart only where somebody asks for them: fifty thousand cost as much as git itself.

    Attributes:
        paths: of all entries.
        odd: the hidden entries, and the submodules.
        entries: gives all of them.
        sizes: of the plain files on disk, modulo 2**32, when git last looked; None where git was asked instead of
            its file. Taken at once, for we wait for git anyway.
    """

    def __init__(
        self,
        paths: list[bytes],
        odd: list[Entry],
        entries: Callable[[], Iterable[Entry]],
        sizes: dict[bytes, int] | None,
    ) -> None:
        self.paths, self.odd, self.entries, self.sizes = paths, odd, entries, sizes

    @classmethod
    def of(cls, path: str, id_length: int) -> GitIndex:
        """An index file of version 2 or 3. Source of the format: git's Documentation/gitformat-index."""
        try:
            data = bytes_of(path)
        except FileNotFoundError:
            return cls([], [], list, {})
        if data[:4] != b"DIRC" or data[4:8] not in (b"\0\0\0\2", b"\0\0\0\3"):
            raise OddIndex
        try:
            paths, starts, odd, end = _index_layout(data, id_length)
        except (IndexError, ValueError) as error:
            raise OddIndex from error
        while end < len(data) - id_length:
            if data[end : end + 4] in (b"link", b"sdir"):  # split index, sparse index
                raise OddIndex
            end += 8 + int.from_bytes(data[end + 4 : end + 8], "big")
        return cls(
            paths,
            [_index_entry(data, id_length, at) for at in odd],
            lambda: (_index_entry(data, id_length, at) for at in starts),
            {
                path: int.from_bytes(data[at + 36 : at + 40], "big")
                for path, at in zip(paths, starts, strict=True)
                if data[at + 26] == 0x81
            },
        )

    @classmethod
    def listed(cls, out: bytes) -> GitIndex:
        """The same from ``git ls-files -v --stage -z``."""
        found: list[Entry] = []
        for line in out.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            if path:
                tag, mode, blob = facts.split(b" ")[:3]
                found.append((path, int(mode, 8), bytes.fromhex(blob.decode()), tag.islower() or tag == b"S"))
        odd = [entry for entry in found if entry[3] or entry[1] == 0o160000]
        return cls([entry[0] for entry in found], odd, lambda: found, None)


def _index_layout(data: bytes, id_length: int) -> tuple[list[bytes], list[int], list[int], int]:
    """(paths, where each entry begins, those of the odd ones, where the entries end) of an index file's bytes."""
    paths, starts, odd, at = [], [], [], 12
    flags, name = 40 + id_length, 42 + id_length
    for _ in range(int.from_bytes(data[8:12], "big")):
        begin = at + name
        if data[at + flags] & 0xC0 or data[at + 26] == 0xE0:  # assume-unchanged, more flags; a submodule
            odd.append(at)
            begin += 2 if data[at + flags] & 0x40 else 0
        end = data.index(b"\0", begin)
        paths.append(data[begin:end])
        starts.append(at)
        at += (end - at) // 8 * 8 + 8
    return paths, starts, odd, at


def _index_entry(data: bytes, id_length: int, at: int) -> Entry:
    """The entry that begins there."""
    flags, begin = data[at + 40 + id_length], at + 42 + id_length
    more = data[begin] if flags & 0x40 else 0
    begin += 2 if flags & 0x40 else 0
    blob, mode = data[at + 40 : at + 40 + id_length], int.from_bytes(data[at + 24 : at + 28], "big")
    return data[begin : data.index(b"\0", begin)], mode, blob, bool(flags & 0x80 or more & 0x40)
