"""What the page shows of some runs, as values that JSON can say; no HTML.

The index has for each run what an expression can ask for, in columns: it is read when the page
opens. What only a look at one run needs is packed in chunks of CHUNK runs (gzip, base64) of three
kinds: "about" (facts, files, inputs), "series" (thinned) and "texts" (patch, kept code, console,
beginnings of files). A page is to stay below BUDGET: of the oldest runs the texts, then the series
are left out, and the page says so.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from footsteps.reader import expressions
from footsteps.reader.compare import path_inside, recorded_artifacts
from footsteps.reader.formats import flat, is_number, is_picture, mapping, seconds, text
from footsteps.reader.series import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

    Sections = Sequence[tuple[str, Sequence[tuple[str, Any]]]]
    Point = tuple[float | None, float, float]  # step, seconds since the start, value

__all__ = ["BUDGET", "Pages", "document", "figures_of", "is_picture", "series_of"]

RUNS_AT_ONCE = 32  # runs that are packed, and unpacked, together
BUDGET = 9_500_000  # bytes of a page without pictures
KINDS = ("about", "series", "texts")
MOST_POINTS, LEAST_POINTS, ALL_POINTS = 500, 60, 200_000  # of one series; of all runs' series together
MOST_FILES = 500  # files and inputs listed of one run
TEXT_LIMIT = 200_000  # characters of a patch or a file of code
CONSOLE_TAIL = 40_000  # characters of a console
PREVIEW, PREVIEWS = 4_000, 12  # characters of a file's beginning, and files of a run
PREVIEWED = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".log", ".md", ".yaml", ".yml", ".toml")
ARGUMENT, RESULT = "argument", "result"
OWN_SECTIONS = ("inputs", "artifacts")  # of `show`: the page has lists of its own


class Pages:
    """How one page is to be made.

    describe: all that `show` prints of a run, as titled pairs; base: the URL of a run's directory,
    seen from the page, with a slash at the end; budget: bytes.
    """

    def __init__(self, describe: Callable[[Run], Sections], base: Callable[[Run], str], budget: int = BUDGET) -> None:
        self.describe, self.base, self.budget = describe, base, budget


def document(runs: Sequence[Run], how: Pages, **head: Any) -> dict[str, Any]:
    """All that the page of some runs holds, in the order given; head: further keys at its top."""
    packed = Packed(how.budget)
    points = max(LEAST_POINTS, min(MOST_POINTS, ALL_POINTS // max(1, len(runs))))
    facts = [page_facts(run) for run in runs]
    links = Links()
    for number, run in enumerate(runs):
        files = shown_files(run)
        links.add(number, run, files)
        parts = {"about": lambda: about(run, files, how), "series": lambda: series_of(run, points)}  # noqa: B023
        packed.add({**parts, "texts": lambda: texts_of(run, files)})  # noqa: B023
    index = {
        **head,
        "count": len(runs),
        "keys": keys_of(runs),
        "columns": page_columns(facts, {name for run in runs for name in flat(run.recorded)}),
        "packages": packages_of(runs),
        "links": links.found(),
        "chunk": RUNS_AT_ONCE,
    }
    return {**index, "chunks": packed.chunks(len(dumped(index)))}


def dumped(value: object) -> str:
    """The value as JSON in ASCII, without blanks."""
    import json

    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# ---------------------------------------------------------------------------------------------
# The index: what can be searched
# ---------------------------------------------------------------------------------------------


def keys_of(runs: Sequence[Run]) -> list[str]:
    """What names each run in an address: its name, with its root or its id where two have the same."""
    seen: dict[str, int] = {}
    for run in runs:
        seen[run.name] = seen.get(run.name, 0) + 1
    return [run.name if seen[run.name] == 1 else f"{run.name}@{run.id or run.root}" for run in runs]


def page_facts(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts by name, and arguments and recorded values by name, each as the page can compare and say it."""
    facts = {name: comparable(expressions.plain_value(fact(run))) for name, fact in expressions.FACTS.items()}
    return facts, {name: comparable(value) for name, value in expressions.parameters(run).items()}


def comparable(value: Any) -> Any:
    """A value with which the page's search does what Python's does.

    Numbers that JavaScript would write differently, and what it does not know, are {"s": as Python
    says it}, with "n" where they are numbers.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value] if depth(value) < 20 else {"s": "..."}
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else {"s": str(value), "n": 1}
    if isinstance(value, float):
        plain = value == value and abs(value) < 1e15 and value != int(value)  # noqa: PLR0124 - nan
        return value if plain else {"s": str(value), "n": 1}
    return {"s": shown(value)}


def depth(value: Any) -> int:
    """How deep lists lie in lists, up to 20."""
    level, inner = 0, [value]
    while inner and level < 20:
        inner = [item for each in inner for item in each if isinstance(item, (list, tuple))]
        level += 1
    return level


def page_columns(each: Sequence[tuple[dict[str, Any], dict[str, Any]]], results: set[str]) -> list[dict[str, Any]]:
    """Each name's values over all runs: `of` are those that occur, `at` their number for each of `rows` (or all).

    results: the names that a run has recorded; a recorded value stands for an argument of the same name.
    """
    facts: dict[str, PageColumn] = {}
    parameters: dict[str, PageColumn] = {}
    for row, said in enumerate(each):
        for columns, values in zip((facts, parameters), said, strict=True):
            for name, value in values.items():
                columns.setdefault(name, PageColumn()).add(row, value)
    return [
        *({"name": name, "kind": "fact", **column.packed(len(each))} for name, column in facts.items()),
        *(
            {"name": name, "kind": RESULT if name in results else ARGUMENT, **column.packed(len(each))}
            for name, column in parameters.items()
        ),
    ]


class PageColumn:
    """One name's values, each kept once."""

    def __init__(self) -> None:
        self.of: list[Any] = []
        self.at: list[int] = []
        self.rows: list[int] = []
        self.known: dict[Any, int] = {}

    def add(self, row: int, value: Any) -> None:
        """The value of one more run."""
        key = (type(value), value if isinstance(value, (str, int, float)) else repr(value))
        place = self.known.get(key)
        if place is None:
            place = self.known[key] = len(self.of)
            self.of.append(value)
        self.at.append(place)
        self.rows.append(row)

    def packed(self, count: int) -> dict[str, Any]:
        """As the page reads it."""
        return {"of": self.of, "at": self.at, **({} if len(self.rows) == count else {"rows": self.rows})}


def packages_of(runs: Sequence[Run]) -> dict[str, Any]:
    """The sets of packages that occur, and which of them each run has."""
    sets: dict[str, int] = {}
    of: list[dict[str, str]] = []
    at = []
    for run in runs:
        key = repr(run.packages)
        if key not in sets:
            sets[key] = len(of)
            of.append(run.packages)
        at.append(sets[key])
    return {"of": of, "at": at}


class Links:
    """Which runs read what others made, and which started which."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[int, str]] = {}
        self.place: dict[str, int] = {}
        self.read: list[tuple[int, list[dict[str, Any]]]] = []
        self.started: list[tuple[int, dict[str, Any]]] = []

    def add(self, number: int, run: Run, files: Sequence[dict[str, Any]]) -> None:
        """One more run; a file that several runs made is the oldest's, which comes last."""
        for file in files:
            if file.get("sha256") and not file.get("own"):
                self.made[file["sha256"]] = (number, file["path"])
        self.place[run.directory] = number
        self.read.append((number, run.inputs))
        self.started += [(number, parent) for parent in run.parents]

    def found(self) -> list[list[Any]]:
        """Each as [run, the earlier run, what leads there, how it is known: content, path or start]."""
        out: dict[tuple[int, int, str], str] = {}
        for number, inputs in self.read:
            for file in inputs:
                other, path, how = self.maker(file)
                if other not in (-1, number):
                    out.setdefault((number, other, path), how)
        for number, parent in self.started:
            other = self.place.get(text(parent.get("directory")).rstrip(os.sep), -1)
            if other not in (-1, number) and not any((number, other) == key[:2] for key in out):
                out[number, other, ""] = "start"
        return [[*key, how] for key, how in out.items()]

    def maker(self, file: Mapping[str, Any]) -> tuple[int, str, str]:
        """The run that made an input, the file's path there, and how that is known; -1 if none did."""
        known = self.made.get(text(file.get("sha256")))
        if known:
            return (*known, "content")
        folder = path = text(file.get("path"))
        while len(folder) > 1 and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
            if folder in self.place:
                return self.place[folder], os.path.relpath(path, folder).replace(os.sep, "/"), "path"
        return -1, "", ""


# ---------------------------------------------------------------------------------------------
# Chunks: what one run is asked for
# ---------------------------------------------------------------------------------------------


class Packed:
    """The chunks of each kind, newest runs first."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.done: dict[str, list[str | None]] = {kind: [] for kind in KINDS}
        self.open: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        self.size = dict.fromkeys(KINDS, 0)

    def add(self, parts: Mapping[str, Callable[[], Any]]) -> None:
        """One more run; what would not fit anyway is not asked for."""
        for kind, part in parts.items():
            full = kind != "about" and self.size[kind] > self.budget
            self.open[kind].append(None if full else part())
        if len(self.open["about"]) == RUNS_AT_ONCE:
            self.close()

    def close(self) -> None:
        """Pack what is open."""
        for kind, parts in self.open.items():
            chunk = pack(parts) if any(part is not None for part in parts) else None
            self.size[kind] += len(chunk or "")
            self.done[kind].append(chunk)
            self.open[kind] = []

    def chunks(self, taken: int) -> dict[str, list[str | None]]:
        """All chunks of the first kind, and of the others what fits into the budget, of which some is taken."""
        if self.open["about"]:
            self.close()
        left = self.budget - taken
        fitting: dict[str, list[str | None]] = {}
        for kind in KINDS:
            fitting[kind] = []
            for chunk in self.done[kind]:
                left -= len(chunk or "")
                fitting[kind].append(chunk if left >= 0 or kind == "about" else None)
        return fitting


def pack(parts: object) -> str:
    """The values as the page unpacks them; the same bytes for the same values."""
    import zlib
    from base64 import b64encode

    squeezer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return b64encode(squeezer.compress(dumped(parts).encode()) + squeezer.flush()).decode()


def about(run: Run, files: Sequence[dict[str, Any]], how: Pages) -> dict[str, Any]:
    """Facts, files and inputs of one run."""
    sections = [
        [title, [[str(key), shown(value)] for key, value in pairs if value not in (None, "")]]
        for title, pairs in how.describe(run)
        if title not in OWN_SECTIONS
    ]
    listed = [[f["path"], f.get("size"), text(f.get("sha256")), f["there"], f["own"]] for f in files]
    inputs = [
        [text(i.get("path") or i.get("directory")), i.get("size"), text(i.get("sha256")), i.get("count")]
        for i in run.inputs
    ]
    return {
        "base": how.base(run),
        "directory": run.directory,
        "sections": [section for section in sections if section[1]],
        "files": listed[:MOST_FILES],
        "inputs": inputs[:MOST_FILES],
        "more": [max(0, len(listed) - MOST_FILES), max(0, len(inputs) - MOST_FILES)],
        "repositories": [repository_of(each) for each in run.repositories],
    }


def shown(value: Any) -> str:
    """A value as a line of `show`."""
    if not isinstance(value, (list, tuple, dict)):
        return expressions.typed_form(value)
    try:
        return repr(value)
    except RecursionError:
        return "..."


def repository_of(repository: Mapping[str, Any]) -> dict[str, Any]:
    """What comparing the code of two runs needs to know of a repository."""
    files = {
        text(file.get("path")): [text(file.get("sha256")), text(file.get("kind")), text(file.get("state"))]
        for file in repository["files"][:MOST_FILES]
    }
    return {"name": text(repository.get("name")), "commit": text(repository.get("commit")), "files": files}


def shown_files(run: Run) -> list[dict[str, Any]]:
    """The files of a run: `path`, `size`, `sha256`, `there` (a plain file, no link on the way), `own` (ours)."""
    there = {path: info.st_size for path, info in run.files()}
    made = recorded_artifacts(run)
    files = [
        {
            "path": path,
            "size": recorded_size(entry),
            "sha256": entry.get("sha256"),
            "there": path in there,
            "own": False,
        }
        for path, entry in made.items()
    ]
    own = [path for path in there if path not in made]
    return files + [{"path": path, "size": there[path], "there": True, "own": True} for path in own]


def recorded_size(entry: Mapping[str, Any]) -> int | None:
    """A recorded size, None if there is none."""
    size = entry.get("size")
    return size if type(size) is int else None


def figures_of(run: Run) -> list[str]:
    """The paths, below the run, of its figures that are there."""
    return [file["path"] for file in shown_files(run) if file["there"] and is_picture(file["path"])]


# series


def series_of(run: Run, most: int = MOST_POINTS) -> dict[str, Any]:
    """Each name that was recorded more than once as numbers.

    By name: {"x": steps (or counted from 0: "counted"), "t": seconds since the start, "y": values
    (None: not finite), "n": how many there were, "last", "least", "greatest"}.
    """
    points: dict[str, list[Point]] = {}
    for line in run.log:
        if line.get("kind") == "recorded":
            values = flat(mapping(line.get("values")))
            step = next((values[name] for name in STEPS if is_finite(values.get(name))), None)
            after = after_start(run, line.get("time"))
            for name, value in values.items():
                if is_number(value) and name not in STEPS:
                    points.setdefault(name, []).append((step, after, float(value)))
    return {name: one_series(each, most) for name, each in points.items() if len(each) > 1}


def after_start(run: Run, when: object) -> float:
    """Seconds from the start of a run to a time that it recorded (seconds since 1970, or ISO 8601)."""
    at = seconds(when) if isinstance(when, str) else when
    return float(at) - run.start if at and run.start and is_finite(at) else 0.0  # type: ignore[arg-type]


def is_finite(value: object) -> bool:
    """Whether the value is a finite number, and no truth value."""
    return is_number(value) and abs(value) < float("inf")  # type: ignore[arg-type]


def one_series(points: list[Point], most: int) -> dict[str, Any]:
    """One series as the page draws it."""
    finite = [y for _, _, y in points if is_finite(y)]
    counted = any(x is None for x, _, _ in points)
    kept = thinned([(n, t, y) for n, (_, t, y) in enumerate(points)] if counted else points, most)
    return {
        "counted": counted,
        "x": [six_digits(x) for x, _, _ in kept],
        "t": [six_digits(t) for _, t, _ in kept],
        "y": [six_digits(y) for _, _, y in kept],
        "n": len(points),
        "last": six_digits(points[-1][2]),
        "least": six_digits(min(finite, default=None)),
        "greatest": six_digits(max(finite, default=None)),
    }


def six_digits(value: float | None) -> float | int | None:
    """A number with six digits, which no eye can tell from the whole one; None for what is not finite."""
    if value is None or not is_finite(value):
        return None
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded == int(rounded) else rounded


def thinned(points: list[Point], most: int) -> list[Point]:
    """At most so many of the points: of each stretch the least and the greatest, so that no peak is lost."""
    if len(points) <= most:
        return points
    stretches = max(1, (most - 2) // 2)
    kept = [points[0]]
    inner = points[1:-1]
    for n in range(stretches):
        stretch = inner[n * len(inner) // stretches : (n + 1) * len(inner) // stretches]
        least, greatest = min(stretch, key=height), max(stretch, key=height)
        kept += [p for p in stretch if p is least or p is greatest]
    return [*kept, points[-1]]


def height(point: Point) -> float:
    """A point's value, for an order in which what is not finite comes first."""
    return point[2] if is_finite(point[2]) else float("-inf")


# texts


def texts_of(run: Run, files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What of one run is read as text: its patch, code that was kept, console, beginnings of files."""
    there = {file["path"] for file in files if file["there"]}
    found = {
        "diff": decoded_start(run.diff, TEXT_LIMIT) if there & {"info.txt", "diff.patch"} else "",
        "code": kept_texts(run),
        "console": tail_of(os.path.join(run.directory, "console.txt")) if "console.txt" in there else "",
        "previews": previews_of(run, files),
    }
    return {key: value for key, value in found.items() if value}


def decoded_start(data: bytes, limit: int) -> str:
    """Bytes as text, cut at a limit with a word about it."""
    words = data.decode("utf-8", "surrogateescape")
    return words if len(words) <= limit else words[:limit] + f"\n... {len(words) - limit} more characters\n"


def kept_texts(run: Run) -> dict[str, str]:
    """The text of each file of its code that the record keeps, by `repository/path`; no binary files."""
    kept: dict[str, str] = {}
    for repository in run.repositories:
        for file in repository["files"][:MOST_FILES]:
            content = read_inside(run.record, text(file.get("stored")), TEXT_LIMIT) if file.get("stored") else None
            if content is not None and b"\0" not in content:
                kept[f"{text(repository.get('name'))}/{text(file.get('path'))}"] = decoded_start(content, TEXT_LIMIT)
    return kept


def previews_of(run: Run, files: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The beginnings of files that are text, by path."""
    wanted = [f["path"] for f in files if f["there"] and not f["own"] and f["path"].lower().endswith(PREVIEWED)]
    read = {path: read_inside(run.directory, path, PREVIEW) for path in wanted[:PREVIEWS] if path != "console.txt"}
    return {path: decoded_start(data, PREVIEW) for path, data in read.items() if data and b"\0" not in data}


def read_inside(top: str, name: str, limit: int) -> bytes | None:
    """The first bytes of a plain file that really lies below a directory; None if there is none."""
    from footsteps.reader.formats import open_plain_file

    path = path_inside(top, name)
    try:
        with open_plain_file(path) as file:
            return file.read(limit + 1)
    except (OSError, ValueError):
        return None


def tail_of(path: str) -> str:
    """The end of a file that a program prints into."""
    from footsteps.reader.formats import open_plain_file

    try:
        with open_plain_file(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - CONSOLE_TAIL))
            return file.read(CONSOLE_TAIL).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
