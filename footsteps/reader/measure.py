"""How much two files differ: numbers, pixels and members, whatever is written about their making.

>>> from footsteps.reader import measure
>>> measure.measure("results/unet-2/loss.csv", "results/unet-3/loss.csv")
{'verdict': 'different', 'note': '2 of 100 numbers differ, by 1e-05 at most at line 7', 'largest': 1e-05}
"""

from __future__ import annotations

import os

from footsteps.reader.formats import open_plain_file
from footsteps.reader.making import is_noise, without_making

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    Frame = tuple[tuple[int, int], Any, object]  # width and height, pixels, milliseconds of a film's frame
    Members = dict[str, Callable[[], bytes]]  # what reads each member of an archive, by name


# ---------------------------------------------------------------------------------------------
# How much two files differ
# ---------------------------------------------------------------------------------------------


LARGEST_COMPARED = 1 << 28  # bytes; above, files are only told to be different
LARGEST_TEXT = 1 << 23
LARGEST_UNPACKED = 1 << 27  # bytes of all members of an archive that is compared, or of one array
LARGEST_IMAGE = 1 << 24  # pixels of a frame
LARGEST_FILM = 1 << 27  # pixels of all frames
MOST_VALUES = 1 << 20  # cells and words of a text
MOST_FRAMES = 1000
MOST_PARTS = 100_000  # of a drawing that may tell of its making
MOST_TEXTS = 1000  # of a PNG file
LONGEST_NAME = 40  # characters of a column's name
DEEPEST_ARCHIVE = 3  # archives within each other


def measure(a: str, b: str) -> dict[str, Any]:
    """How much the content of two files differs.

    verdict: "identical", "same" (other bytes, but only in what footsteps or the file's format notes
    about the making), or "different"; note: that, in words; largest: the largest difference between
    two numbers, or of a pixel's channel in 0..255, else None.

    Raises OSError if one can't be read.
    """
    if same_bytes(a, b):
        return {"verdict": "identical", "note": "identical", "largest": 0}
    if max(os.path.getsize(a), os.path.getsize(b)) > LARGEST_COMPARED:
        return verdict("different", "other content")
    data = [bytes_or_error(path) for path in (a, b)]
    kind = kind_of_bytes(data[0])
    if kind != kind_of_bytes(data[1]):
        return verdict("different", "not the same kind of file")
    return measured(kind, *data)


class TooLarge(Exception):
    """Content that is not compared, as it would take too long or too much memory; says what is too large."""


_within: list[str] = []  # the kinds of the archives in which content is compared


def measured(kind: str, a: bytes, b: bytes) -> dict[str, Any]:
    """How much two contents of a kind differ; that they do, and why no more is known, if they can't be read."""
    import re

    _within.append(kind)
    try:
        if len(_within) > DEEPEST_ARCHIVE:
            raise TooLarge("archives in archives")
        left, right = (without_making(kind, data) for data in (a, b))
        if left == right:
            return verdict("same", "the same but for what is written about its making", 0)
        return MEASURES[kind](left, right)
    except TooLarge as error:
        return verdict("different", f"other content; not compared: too large ({error})")
    except MemoryError:
        return verdict("different", "other content; not compared: too large for the memory here")
    except PackageMissing as error:
        return verdict("different", f"other content; {error}")
    except Exception as error:  # whatever a file holds: decoders raise what they like
        why = re.sub(r" <\S+ object at 0x[0-9a-f]+>", "", f"{type(error).__name__}: {error}")
        return verdict("different", f"other content ({why})"[:200])
    finally:
        _within.pop()


class PackageMissing(Exception):
    """A package without which content can't be measured; says which, what for, and how to get it."""


def needed(name: str, things: str) -> Any:
    """The module of this name, with which things are compared. Raises PackageMissing where it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        package = {"PIL": "Pillow"}.get(name, name)
        raise PackageMissing(f"{package} is needed to compare the {things}: pip install {package}") from None


def verdict(said: str, note: str, largest: float | None = None) -> dict[str, Any]:
    """What `measure` returns."""
    return {"verdict": said, "note": note, "largest": largest}


def same_bytes(a: str, b: str) -> bool:
    """Whether two files hold the same bytes."""
    if os.path.getsize(a) != os.path.getsize(b):
        return False
    with open_plain_file(a) as left, open_plain_file(b) as right:
        while one := left.read(1 << 20):
            if one != right.read(1 << 20):
                return False
    return True


def bytes_or_error(path: str) -> bytes:
    """The bytes of a file, which a record may name: an OSError where it is no plain one."""
    with open_plain_file(path) as file:
        return file.readall()


STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"), (b"\x1f\x8b", "gzip"),
    (b"%PDF-", "pdf"), (b"%!PS", "ps"), (b"\xff\xd8\xff", "image"), (b"GIF8", "image"), (b"BM", "image"),
    (b"II*\x00", "image"), (b"MM\x00*", "image"), (b"RIFF", "image"),
)  # fmt: skip


def kind_of_bytes(data: bytes) -> str:
    """What a file's bytes are: a key of MEASURES."""
    for start, kind in STARTS:
        if data.startswith(start) and (start != b"RIFF" or data[8:12] == b"WEBP"):  # sounds are RIFF too
            return kind
    if data[257:262] == b"ustar":
        return "tar"
    if b"<svg" in data[:4096]:
        return "svg"
    if b"brain.Event:" in data[12:64]:
        return "events"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "bytes" if b"\0" in data else "text"


def measure_bytes(a: bytes, b: bytes) -> dict[str, Any]:
    """Of bytes without a meaning to us, where they begin to differ."""
    first = first_unequal(a, b)
    sizes = f"; {len(a)} and {len(b)} bytes" if len(a) != len(b) else ""
    return verdict("different", f"other bytes from {first} on{sizes}")


def first_unequal(a: bytes, b: bytes) -> int:
    """Where two contents begin to differ: whole pieces first, then the one that does byte by byte."""
    piece, most = 1 << 16, min(len(a), len(b))
    at = next((n for n in range(0, most, piece) if a[n : n + piece] != b[n : n + piece]), most)
    return next((n for n in range(at, min(at + piece, most)) if a[n] != b[n]), most)


# numbers in text
def measure_text(a: bytes, b: bytes) -> dict[str, Any]:
    """JSON by its values, else tables and logs word by word."""
    import json

    if len(a) + len(b) > 2 * LARGEST_TEXT:
        return verdict("different", measure_bytes(a, b)["note"] + "; numbers not compared: too large")
    of_words = False
    try:
        values = [list(leaves(json.loads(data, object_pairs_hook=each_key_once))) for data in (a, b)]
    except (ValueError, RecursionError):
        if any(sum(map(data.count, (b" ", b",", b"\t", b"\n", b";", b"|"))) > MOST_VALUES for data in (a, b)):
            raise TooLarge(f"more than {MOST_VALUES} values") from None
        header = names_of_columns(a.decode())
        values = [list(placed_words(data.decode(), header)) for data in (a, b)]
        of_words = True
    found = measure_leaves(*values)
    if found["verdict"] == "different":
        explained = why_texts_differ(values[0], values[1], of_words=of_words)
        found["note"] = f"{explained}: {found['note']}" if explained else found["note"]
    return found


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a key comes twice: then only one of its values would be compared."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that comes twice")
    return found


def why_texts_differ(a: Sequence[tuple[str, Any]], b: Sequence[tuple[str, Any]], *, of_words: bool) -> str:
    """A reason that the values themselves tell; "" without one. of_words: they stand in lines, not in JSON."""
    if [where for where, _ in a] == [where for where, _ in b]:
        apart = [n for n, ((_, x), (_, y)) in enumerate(zip(a, b, strict=True)) if not same_leaf(x, y)]
        if all(is_time(a, n, of_words=of_words) for n in apart):
            return "only times differ"
        if all(differ_by_address(a, b, n, of_words=of_words) for n in apart):
            return "only addresses in memory differ"
    if len(a) == len(b) and sorted(repr(value) for _, value in a) == sorted(repr(value) for _, value in b):
        return "the same values in another order"
    return ""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside a JSON value, with where it stands; an empty list or object is one itself."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            name = repr(key) if not key or set(key) & set(".[]'") else key
            yield from leaves(value[key], f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]")
    else:
        yield path, value


def cells_of(line: str) -> list[str]:
    """The cells of a line of a table; a line of words is one."""
    import re

    return re.split(r"[,;\t|]", line.rstrip()) if line.strip() else []


def names_of_columns(words: str) -> list[str]:
    """The names of a table's columns in its first line, where that has several and no number."""
    names = [name.strip()[:LONGEST_NAME] for name in cells_of(words.partition("\n")[0])]
    return names if len(names) > 1 and all(isinstance(number_or_word(name), str) for name in names) else []


def placed_words(words: str, header: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Every word of a text, cells of a table as well as of a log, numbers as such; an empty cell is one too.

    header: the names of columns, with which a cell is placed in a line of as many.
    """
    import re

    for number, line in enumerate(words.splitlines(), 1):
        cells = cells_of(line)
        named = number > 1 and len(cells) == len(header)
        for column, cell in enumerate(cells):
            # before a name, or a dash of YAML's, blanks may have a meaning
            for word in re.findall(r"^\s+(?:[^\s\d.+-]\S*|-(?=\s))|\S+", cell) or [""]:
                yield f"line {number}" + (f", {header[column]}" if named else ""), number_or_word(word)


def number_or_word(word: str) -> int | float | str:
    """The word as a number if it is one; one that begins with zeros (`007`) is a name."""
    if word[:1] == "0" and word[1:2].isdigit():
        return word
    for kind in (int, float):
        try:
            return kind(word) if "_" not in word else word
        except ValueError:
            continue
    return word


def measure_leaves(a: Sequence[tuple[str, Any]], b: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """How much two lists of placed values differ: the largest difference of numbers, and where."""
    if [path for path, _ in a] != [path for path, _ in b]:
        return verdict("different", f"not the same values: {len(a)} and {len(b)} of them")
    apart = [(where, x, y) for (where, x), (_, y) in zip(a, b, strict=True) if not same_leaf(x, y)]
    if not apart:
        return verdict("same", "the same values, written in another way", 0)
    numbers = [(abs(x - y), where) for where, x, y in apart if is_plain_number(x) and is_plain_number(y)]
    if len(numbers) < len(apart):
        where = next(where for where, x, y in apart if not (is_plain_number(x) and is_plain_number(y)))
        return verdict("different", f"{len(apart)} of {len(a)} values differ, the first text at {where}")
    finite = [(gap, where) for gap, where in numbers if gap - gap == 0]
    largest, where = max(finite, default=(None, ""))
    said = differing_numbers(len(apart), len(a), len(finite), largest, where)
    relative = max((abs(x - y) / max(abs(x), abs(y)) for _, x, y in apart), default=1.0) if finite else 1.0
    return verdict("different", said + last_digits(relative, len(finite) == len(apart)), largest)


LAST_DIGITS = 1e-12  # relative


def last_digits(relative: float, finite: bool) -> str:
    """What is added where numbers only differ in their last digits, as sums in another order do."""
    return f": last digits ({relative:.0e})" if finite and relative <= LAST_DIGITS else ""


def neighbour(values: Sequence[tuple[str, Any]], at: int, step: int) -> str:
    """The word before (-1) or behind (1) another one in its line, "" without one."""
    other = at + step
    same = 0 <= other < len(values) and values[other][0] == values[at][0]
    return str(values[other][1]).strip() if same else ""


def differ_by_address(a: Sequence[tuple[str, Any]], b: Sequence[tuple[str, Any]], at: int, *, of_words: bool) -> bool:
    """Whether two values are the same but for where an object lay in memory: `<Model object at 0x7f0c2a>`."""
    import re

    said = [f"{neighbour(v, at, -1) if of_words else ''} {v[at][1]}" for v in (a, b) if isinstance(v[at][1], str)]
    found = [re.sub(r"\bat 0x[\da-f]{6,16}(?![\da-z])", "at", words) for words in said]
    return len(found) == 2 and found[0] == found[1]


def is_time(values: Sequence[tuple[str, Any]], at: int, *, of_words: bool) -> bool:
    """Whether a value is how long something took, or when: by its form, its name, or the words beside it in a line."""
    import re

    where, value = values[at]
    column = where.partition(", ")[2]
    name = (column or neighbour(values, at, -1)) if of_words else re.sub(r"\[\d+\]", "", where).rpartition(".")[2]
    unit = neighbour(values, at, 1) if of_words and not column else ""
    label, _, rest = str(value).rpartition("=")
    return bool(
        named_as_time(label or name)
        or re.search(TIME_FORM, rest, re.IGNORECASE)
        or re.match(TIME_UNIT, unit, re.IGNORECASE)
    )


def named_as_time(name: str) -> bool:
    """Whether a value of this name is how long something took, or when: `elapsed`, `train_time_s`, `took:`."""
    import re

    return bool(re.search(TIME_NAME, name[-LONGEST_NAME:], re.IGNORECASE))


TIME_NAME = (
    r"(?:^|[^a-z])(?:elapsed|duration|took|eta|wall(?:_?time)?|time(?:stamp)?s?|date|secs?|seconds|ms|runtime|throughput)"
    r"(?:_(?:s|ms|us|ns|min|secs?|seconds|total|per_[a-z]{1,20}))?[^a-z0-9]*$"
)
TIME_UNIT = r"(?:s|ms|us|ns|secs?|seconds?|minutes?|hours?|(?:it|samples|img|images|steps|tokens)/s|s/it)\W*$"
TIME_FORM = (
    r"^\W*\d[\d.]{0,30}(?:s|ms|us|ns|min|h|secs?|seconds?)\W*$"
    r"|\d(?:it|samples|img|images|steps|tokens)/s|s/it\b|\d\d:\d\d"
)


def same_leaf(a: Any, b: Any) -> bool:
    """Whether two values are the same, nan and nan also."""
    return bool(a == b and isinstance(a, bool) is isinstance(b, bool)) or (a != a and b != b)  # noqa: PLR0124


def is_plain_number(value: Any) -> bool:
    """Whether it is a number (and not true or false)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def differing_numbers(count: int, of: int, finite: int, largest: float | None, where: str = "") -> str:
    """How many numbers differ, and how much, in words; those with nan or an infinity on one side have no measure."""
    said = f"{count} of {of} numbers differ"
    if largest is not None:
        said += f", by {largest:.6g} at most" + (f" at {where}" if where else "")
    return said + (f", {count - finite} of them by nan or infinity" if finite < count else "")


# arrays
def measure_npy(a: bytes, b: bytes) -> dict[str, Any]:
    """Two numpy arrays; objects in them are never unpickled."""
    left, right = array_of(a), array_of(b)
    if left[0] != right[0]:
        return verdict("different", f"other shapes: {left[0]} and {right[0]}")
    return measure_numbers(left[1], right[1])


def array_of(data: bytes) -> tuple[tuple[int, ...], Any]:
    """The shape and the numbers in C order. Raises ValueError for an array of something else than numbers."""
    import io

    np = needed("numpy", "numbers")
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.nbytes > LARGEST_UNPACKED:
        raise TooLarge(f"{array.nbytes} bytes")
    if array.dtype.kind not in "biufc":
        raise ValueError(f"an array of {array.dtype}")
    return array.shape, array.ravel()


def measure_numbers(a: Any, b: Any) -> dict[str, Any]:
    """Two numpy arrays of one dimension and as many numbers."""
    import numpy as np

    wide = "clongdouble" if "c" in a.dtype.kind + b.dtype.kind else "longdouble"  # 64-bit integers fit
    apart = ~((a == b) | ((a != a) & (b != b)))  # noqa: PLR0124 - nan is not nan
    if not apart.any():
        return verdict("same", "the same values, written in another way", 0)
    with np.errstate(all="ignore"):
        gaps = np.abs(a[apart].astype(wide) - b[apart].astype(wide))
    finite = gaps[np.isfinite(gaps)]
    largest = float(finite.max()) if finite.size else None
    said = differing_numbers(gaps.size, a.size, finite.size, largest)
    sizes = np.maximum(np.abs(a[apart].astype(wide)), np.abs(b[apart].astype(wide)))
    relative = float((gaps / sizes).max()) if finite.size == gaps.size else 1.0
    return verdict("different", said + last_digits(relative, finite.size == gaps.size), largest)


# containers
def measure_gzip(a: bytes, b: bytes) -> dict[str, Any]:
    """What two gzip files hold; their header has a time in it."""
    return measure_inner(*(unzipped(data) for data in (a, b)))


def unzipped(data: bytes) -> bytes:
    """What a gzip file holds. Raises ValueError if it is too much."""
    import gzip
    import io

    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        inner = file.read(LARGEST_UNPACKED + 1)
    if len(inner) > LARGEST_UNPACKED:
        raise TooLarge("when unpacked")
    return inner


def measure_inner(a: bytes, b: bytes) -> dict[str, Any]:
    """How much contents without a file of their own differ."""
    if a == b:
        return verdict("same", "the same content, packed at another time", 0)
    kind = kind_of_bytes(a)
    return measured(kind, a, b) if kind == kind_of_bytes(b) else measure_bytes(a, b)


def measure_zip(a: bytes, b: bytes) -> dict[str, Any]:
    """Two zip files, .npz and torch's among them: member by member, times aside."""
    return measure_members(members(a), members(b))


def measure_tar(a: bytes, b: bytes) -> dict[str, Any]:
    """Two tar files: member by member, times and owners aside."""
    return measure_members(tar_members(a), tar_members(b))


def measure_members(a: Members, b: Members) -> dict[str, Any]:
    """Two archives, by what reads each of their members."""
    left, right = ({name: each for name, each in found.items() if not is_noise(name)} for found in (a, b))
    if list(left) != list(right):
        return verdict("different", "not the same members")
    seen = {name: measure_inner(left[name](), right[name]()) for name in left}
    apart = {name: each for name, each in seen.items() if each["verdict"] == "different"}
    if not apart:
        return verdict("same", "the same content, packed at another time", 0)
    name = max(apart, key=lambda name: apart[name]["largest"] or 0)
    note = f"{len(apart)} of {len(left)} members differ; {name}: {apart[name]['note']}"
    return verdict("different", note, apart[name]["largest"])


def tar_members(data: bytes) -> Members:
    """What reads each member of a tar file, by name; links and folders are what they say."""
    import io
    import tarfile
    from functools import partial

    archive = tarfile.TarFile(fileobj=io.BytesIO(data))
    rows = sorted(archive, key=lambda row: row.name)
    if sum(row.size for row in rows) > LARGEST_UNPACKED:  # of sparse members too
        raise TooLarge("when unpacked")
    return {row.name: partial(tar_member, archive, row) for row in rows}


def tar_member(archive: Any, row: Any) -> bytes:
    """What a member of a tar file holds; of a program, a link or a folder also that it is one, and where it leads."""
    about = b"" if row.isreg() else row.type + row.linkname.encode("utf-8", "surrogateescape")
    file = archive.extractfile(row) if row.isreg() else None
    return about + (b"#!" if row.mode & 0o100 else b"") + (file.read() if file else b"")


def members(data: bytes) -> Members:
    """What reads each member of a zip file, by name; torch's folder, named after the file, left out."""
    import io
    import zipfile
    from functools import partial

    archive = zipfile.ZipFile(io.BytesIO(data))
    rows = archive.infolist()
    if sum(row.file_size for row in rows) > LARGEST_UNPACKED:
        raise TooLarge("when unpacked")
    tops = {row.filename.partition("/")[0] for row in rows}
    own = len(tops) == 1 and f"{next(iter(tops))}/data.pkl" in archive.namelist()
    cut = len(tops.pop()) + 1 if own and all("/" in row.filename for row in rows) else 0
    return {row.filename[cut:]: partial(zip_member, archive, row) for row in sorted(rows, key=lambda row: row.filename)}


def zip_member(archive: Any, row: Any) -> bytes:
    """A member of a zip file, no larger than it says that it is."""
    with archive.open(row) as file:
        return bytes(file.read(row.file_size))


def measure_hdf5(a: bytes, b: bytes) -> dict[str, Any]:
    """Two HDF5 files: their datasets and attributes, whatever times and layout they have."""
    left, right = datasets(a), datasets(b)
    if list(left) != list(right):
        return verdict("different", "not the same datasets and attributes")
    seen = {name: measure_values(left[name], right[name]) for name in left}
    apart = {name: each for name, each in seen.items() if each["verdict"] == "different"}
    if not apart:
        return verdict("same", "the same values, written at another time", 0)
    name = max(apart, key=lambda name: apart[name]["largest"] or 0)
    note = f"{len(apart)} of {len(left)} datasets and attributes differ; {name}: {apart[name]['note']}"
    return verdict("different", note, apart[name]["largest"])


def measure_values(left: Any, right: Any) -> dict[str, Any]:
    """Two arrays of numbers, or of anything else, out of files."""
    if left.shape != right.shape:
        return verdict("different", f"other shapes: {left.shape} and {right.shape}")
    if left.dtype.kind in "biufc" and right.dtype.kind in "biufc":
        return measure_numbers(left.ravel(), right.ravel())
    alike = left.dtype == right.dtype and left.tolist() == right.tolist()
    return verdict("same" if alike else "different", "the same values" if alike else "other values")


def datasets(data: bytes) -> dict[str, Any]:
    """The arrays and attributes of an HDF5 file by name, in order. Raises ValueError for what leads out of it."""
    import io

    h5py, np = needed("h5py", "datasets"), needed("numpy", "datasets")
    found: dict[str, Any] = {}
    with h5py.File(io.BytesIO(data), "r") as file:

        def take(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ValueError(f"{name} lies in another file")
                if item.nbytes > LARGEST_COMPARED:
                    raise ValueError(f"{name} is too large when unpacked")
                found[name] = np.asarray(item[()])
            else:  # a folder, or a type
                found[f"{name}/"] = np.asarray(str(getattr(item, "dtype", "")))
            found.update({f"{name}@{key}": np.asarray(value) for key, value in item.attrs.items()})
            visited[h5py.h5o.get_info(item.id).addr] = name

        visited: dict[int, str] = {}
        take("", file)
        file.visititems(take)
        for name in visited.values():
            found.update({f"{name}/{key} ->": np.asarray(words) for key, words in links_in(file[name or "/"], visited)})
    return dict(sorted(found.items()))


def links_in(group: Any, visited: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """The names in a group of an HDF5 file, and what each leads to: of one thing with two names, h5py visits one.

    visited: the names of what was visited, by address.
    """
    h5py = needed("h5py", "datasets")
    for name in list(group) if isinstance(group, h5py.Group) else ():
        link = group.get(name, getlink=True)
        if isinstance(link, (h5py.SoftLink, h5py.ExternalLink)):
            yield name, f"{getattr(link, 'filename', '')}:{link.path}"
        else:
            yield name, visited.get(h5py.h5o.get_info(group[name].id).addr, "")


# figures
PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"tIME")


def measure_png(a: bytes, b: bytes) -> dict[str, Any]:
    """Two PNG files: their pixels, whatever is written about them."""
    if any(sum(kind in PNG_TEXT for kind, _ in chunks(data)) > MOST_TEXTS for data in (a, b)):
        raise TooLarge(f"more than {MOST_TEXTS} texts")
    left, right = ([chunk for chunk in chunks(data) if chunk[0] not in PNG_TEXT] for data in (a, b))
    if left == right and left[-1:] == [(b"IEND", b"")]:
        return verdict("same", "the same but for what is written about the figure", 0)
    return measure_image(a, b)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file: kind and content."""
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12


def measure_image(a: bytes, b: bytes) -> dict[str, Any]:
    """Two images by their pixels, frame by frame."""
    from itertools import zip_longest

    seen = [measure_frame(left, right) for left, right in zip_longest(frames(a), frames(b))]
    apart = [each for each in seen if each["verdict"] == "different"]
    if not apart:
        return verdict("same", "the same pixels", 0)
    most = max(apart, key=lambda each: each["largest"] or 0)
    note = f"{len(apart)} of {len(seen)} frames differ; {most['note']}" if len(seen) > 1 else most["note"]
    return verdict("different", note, most["largest"])


def measure_frame(left: Frame | None, right: Frame | None) -> dict[str, Any]:
    """One frame of two images; None stands for one that is not there."""
    if not left or not right:
        return verdict("different", "only one of them has it")
    if left[0] != right[0]:
        return verdict("different", "other sizes: {}x{} and {}x{}".format(*left[0], *right[0]))
    if left[2] != right[2]:
        return verdict("different", f"shown for another time: {left[2]} and {right[2]} ms")
    if not isinstance(left[1], bytes) or not isinstance(right[1], bytes):
        return measure_numbers(left[1], right[1])
    if left[1] == right[1]:
        return verdict("same", "the same pixels", 0)
    total = left[0][0] * left[0][1]
    apart, largest = unequal_pixels(left[1], right[1], len(left[1]) // total)
    note = f"{apart} of {total} pixels differ ({100 * apart / total:.3g} %), by {largest} of 255 at most"
    return verdict("different", note, largest)


def unequal_pixels(a: bytes, b: bytes, channels: int) -> tuple[int, int]:
    """How many pixels differ, and by how much in one channel at most."""
    np = needed("numpy", "pixels")
    left, right = (np.frombuffer(data, np.uint8).astype(np.int16) for data in (a, b))
    apart = np.abs(left - right).reshape(-1, channels).max(axis=1)
    return int((apart > 0).sum()), int(apart.max())


def frames(data: bytes) -> Iterator[Frame]:
    """Each frame; its pixels are a byte for each channel, or numbers where a byte can't hold them.

    Raises ValueError where Pillow can't read all of it.
    """
    import io
    import warnings

    needed("PIL", "pixels")
    from PIL import Image, ImageSequence, UnidentifiedImageError

    left = LARGEST_FILM
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooLarge(f"more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except UnidentifiedImageError:  # whose message is the address of our BytesIO
        raise ValueError("damaged, or no image that Pillow knows") from None
    with opened as image:
        for number, frame in enumerate(ImageSequence.Iterator(image), 1):
            left -= frame.size[0] * frame.size[1]
            if left < 0 or number > MOST_FRAMES or frame.size[0] * frame.size[1] > LARGEST_IMAGE:
                raise TooLarge(f"frame {number} has {frame.size[0]}x{frame.size[1]} pixels")
            yield frame.size, pixels(frame), frame.info.get("duration")


def pixels(image: Any) -> Any:
    """The pixels of a Pillow image. Raises ValueError where Pillow takes a part of them away."""
    if image.mode.startswith(("I", "F")):
        return deep_pixels(image)
    if any(";16" in str(tile[3]) for tile in image.tile):
        raise ValueError("colours of 16 bits, of which Pillow reads 8")
    return (image.convert("RGBA") if image.mode in ALIKE else image).tobytes()


def deep_pixels(image: Any) -> Any:
    """Pixels of more than a byte as numbers: converted to bytes, all above 255 would be the same."""
    from array import array

    mode, code = ("F", "f") if image.mode == "F" else ("I", "i")
    return needed("numpy", "pixels").asarray(array(code, image.convert(mode).tobytes()))


ALIKE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # modes of which RGBA loses nothing


def measure_svg(a: bytes, b: bytes) -> dict[str, Any]:
    """Two SVG files without their metadata, else as numbers in text."""
    return measure_drawing(a, b, [(b"<metadata>", b"</metadata>"), (b"<title>", b"</title>"), (b"<!--", b"-->")])


def measure_pdf(a: bytes, b: bytes) -> dict[str, Any]:
    """Two PDF files without what they say about their making."""
    return measure_drawing(a, b, [(b"<<", b">>"), (b"xref", b"%%EOF"), (b"startxref", b"\n%%")])


def measure_ps(a: bytes, b: bytes) -> dict[str, Any]:
    """Two PostScript files without their comments on title, maker and date."""
    about = (b"Title", b"Creator", b"CreationDate", b"For")
    return measure_drawing(a, b, [(b"\n%%" + name + b":", b"\n") for name in about])


def measure_drawing(a: bytes, b: bytes, about: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Two drawings, what stands between these beginnings and ends aside."""
    left, right = (without(data, about) for data in (a, b))
    if left == right:
        return verdict("same", "the same but for what is written about the figure", 0)
    kind = kind_of_bytes(a)
    return measure_text(left, right) if kind in ("svg", "ps") else measure_bytes(left, right)


def without(data: bytes, about: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The content without what begins and ends so, in time linear in its size: a pattern would try each beginning.

    Of the objects of a PDF file only those go that tell of its making.
    """
    import re

    kept: list[bytes] = []
    at, ends = 0, dict(about)
    beginnings = re.compile(b"|".join(re.escape(begin) for begin, _ in sorted(about, key=lambda pair: -len(pair[0]))))
    gone: set[bytes] = set()  # ends that do not come any more
    while found := beginnings.search(data, at):
        if len(kept) > MOST_PARTS:
            raise TooLarge(f"more than {MOST_PARTS} parts")
        end = ends[found[0]]
        looks = end not in gone and (found[0] != b"<<" or tells_of_making(data, found.end()))
        stop = data.find(end, found.end()) if looks else -1
        if looks and stop < 0:
            gone.add(end)
        kept.append(data[at : found.start() if stop >= 0 else found.end()])
        at = found.end() if stop < 0 else stop if end == b"\n" else stop + len(end)
    return b"".join([*kept, data[at:]])


def tells_of_making(data: bytes, at: int) -> bool:
    """Whether an object of a PDF file is the one that says when and with what it was made."""
    import re

    bracket = re.compile(rb"[<>]").search(data, at)
    words = data[at : bracket.start() if bracket else len(data)]
    return b"/CreationDate" in words or b"/Producer" in words


MEASURES: dict[str, Callable[[bytes, bytes], dict[str, Any]]] = {
    "bytes": measure_bytes, "text": measure_text, "npy": measure_npy, "gzip": measure_gzip, "zip": measure_zip,
    "tar": measure_tar,
    "png": measure_png, "image": measure_image, "svg": measure_svg, "pdf": measure_pdf, "ps": measure_ps,
    "hdf5": measure_hdf5, "events": measure_bytes,
}  # fmt: skip
