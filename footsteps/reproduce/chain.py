"""The chain of runs to a file: the run that made it, the runs whose files that one read, down to raw data.

    >>> from footsteps.reproduce import chain
    >>> found = chain.of_file("paper/fig3.pdf")
    >>> [stage.run.name for stage in found.stages]      # in the order in which they can be repeated
    ['train', 'evaluate', 'figure']
    >>> [(use.path, use.state) for use in found.raw]
    [('/data/raw.csv', 'unchanged')]

A file that a run read is known as another run's by its content (the hashes in both records), else by
its path and the time at which it was last written, else by its path alone: that is a guess, and marked.
"""

from __future__ import annotations

import os

from footsteps.reader import compare, search
from footsteps.reader import trace as tracing
from footsteps.reader.formats import objects, seconds, text
from footsteps.reproduce.inputs import Places, input_state

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.reader.trace import Trace

__all__ = ["Chain", "Stage", "Use", "graphviz", "mermaid", "of_file", "of_run", "of_trace", "tree"]

CONTENT, TIME, PATH = "content", "path and time", "path"  # how the maker of an input is known
MOST_RAW_FILES = 10  # raw files of one run that a tree lists


class Use:
    """A file that a run read.

    path: absolute, as it was; size: bytes; sha256: hex, or ""; maker: the stage that made it, or None for raw data;
    made_as: its path below the maker's directory, or its absolute path if it was written elsewhere; how: "content",
    "path and time", "path" or ""; state: of raw data, "unchanged", "changed", "gone", "unknown", "kept" in code, or
    "beside" the runs, where it is not as it was; here: where it lies now, if it is there.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.entry = entry
        self.path, self.sha256 = text(entry.get("path")), text(entry.get("sha256")).lower()
        size = entry.get("size")
        self.size: int | None = size if isinstance(size, int) else None
        self.maker: Stage | None = None
        self.made_as = self.how = self.state = ""
        self.here = self.path

    @property
    def guessed(self) -> bool:
        """Whether only its path speaks for its maker, and its content is not known to be what that made."""
        return self.how == PATH

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        maker = self.maker.run if self.maker else None
        made_by = {"name": maker.name, "id": maker.id, "directory": maker.directory} if maker else None
        return {
            "path": self.path, "size": self.size, "sha256": self.sha256 or None, "state": self.state or None,
            "made_by": made_by, "made_as": self.made_as or None, "how": self.how or None, "guessed": self.guessed,
        }  # fmt: skip


class Stage:
    """One run of a chain: `run`, what it read (`uses`), and `folders`, rows {directory, count} of more files read."""

    def __init__(self, run: Run) -> None:
        self.run = run
        entries = [entry for entry in run.inputs if text(entry.get("path"))]
        self.uses = [Use(entry) for entry in entries]
        self.folders = [entry for entry in run.inputs if not text(entry.get("path"))]

    @property
    def complete(self) -> bool:
        """Whether the record holds every file that the run read."""
        return self.run.outcome.get("inputs_complete") is True and not self.folders

    @property
    def makers(self) -> list[Stage]:
        """The stages whose files this one read, each once, in the order of the files."""
        return list(dict.fromkeys(use.maker for use in self.uses if use.maker))

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        run = self.run
        known = {"name": run.name, "id": run.id, "directory": run.directory, "started": run.started}
        reads = [use.row() for use in self.uses]
        return {
            **known, "status": run.status, "command": run.command, "reads": reads,
            "more_read": self.folders, "reads_complete": self.complete,
        }  # fmt: skip


class Chain:
    """The runs that lead to a file, or to a run.

    path: of the file, or ""; head: the last stage, None if nobody made the file; made_as: what the head calls it;
    stages: all of them, makers first; cycle: those that read each other's files, so that no order is right.
    """

    def __init__(self, head: Stage | None, path: str = "", made_as: str = "") -> None:
        self.head, self.path, self.made_as = head, path, made_as
        self.stages: list[Stage] = []
        self.cycle: list[Stage] = []

    @property
    def raw(self) -> list[Use]:
        """The files that no run made, each once."""
        found = {use.path + use.sha256: use for stage in self.stages for use in stage.uses if not use.maker}
        return list(found.values())

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        names = [stage.run.name for stage in self.cycle]
        return {"runs": [stage.row() for stage in self.stages], "raw": [u.row() for u in self.raw], "cycle": names}


# ---------------------------------------------------------------------------------------------
# The chain is found
# ---------------------------------------------------------------------------------------------


def of_file(path: str, roots: Sequence[str] | None = None, *, watch: search.Watch = search.unwatched) -> Chain:
    """The chain to a file, as far as its runs lie below the roots. Raises FootstepsError if there is no such file."""
    return of_trace(tracing.trace(path, roots, watch=watch), roots, watch=watch)


def of_trace(found: Trace, roots: Sequence[str] | None, *, watch: search.Watch = search.unwatched) -> Chain:
    """The chain to a file whose makers are known already."""
    here = [origin for origin in found.made if origin.run is not None]
    best = min(here, key=lambda origin: not {"place", "metadata"} & set(origin.how), default=None)
    if best is None or best.run is None:
        return Chain(None, found.path)
    chain = of_run(best.run, roots, watch=watch)
    chain.path, chain.made_as = found.path, best.path
    return chain


def of_run(run: Run, roots: Sequence[str] | None = None, *, watch: search.Watch = search.unwatched) -> Chain:
    """The chain to a run, as far as its runs lie below the roots."""
    chain = Chain(Stage(run))
    makers = Makers(roots, watch)
    met = {os.path.realpath(run.directory): chain.head}
    waiting = [chain.head]
    while waiting:  # not by recursion: a chain may be thousands of runs long
        stage = waiting.pop()
        for use in stage.uses if stage else ():
            maker, use.made_as, use.how = makers.of(use, stage.run) if stage else (None, "", "")
            if maker is None:
                if stage:
                    note_state(stage.run, use)
                continue
            place = os.path.realpath(maker.directory)
            if place not in met:
                met[place] = Stage(maker)
                waiting.append(met[place])
            use.maker = met[place]
    chain.stages, chain.cycle = in_order([stage for stage in met.values() if stage])
    return chain


def alone(chain: Chain) -> Chain:
    """The last run of a chain without those before it: what they made is raw data to it."""
    if chain.head is None:
        return chain
    short = Chain(Stage(chain.head.run), chain.path, chain.made_as)
    for use in short.head.uses if short.head else ():
        note_state(chain.head.run, use)
    short.stages = [short.head] if short.head else []
    return short


def in_order(stages: Iterable[Stage]) -> tuple[list[Stage], list[Stage]]:
    """The stages, makers first and else by their start; and those that wait for each other, which come last."""
    left = sorted(stages, key=lambda stage: (stage.run.start, stage.run.directory))
    placed: dict[Stage, None] = {}
    missing = {stage: len(stage.makers) for stage in left}
    readers: dict[Stage, list[Stage]] = {stage: [] for stage in left}
    for stage in left:
        for maker in stage.makers:
            readers[maker].append(stage)
    free = [stage for stage in left if not missing[stage]]
    while free:
        stage = free.pop(0)
        placed[stage] = None
        for reader in readers[stage]:
            missing[reader] -= 1
            if not missing[reader]:
                free.append(reader)
    waiting = [stage for stage in left if stage not in placed]
    return [*placed, *waiting], waiting


def note_state(run: Run, use: Use) -> None:
    """Note of a raw file whether it is kept in the record, lies where it was, as it was, or is kept beside the runs."""
    use.state = state_in(run, use)
    if use.state not in ("kept", "unchanged"):
        kept = (place for place in Places(run).kept(use.entry) if input_state(place, use.entry) == "unchanged")
        use.here = next(kept, use.path)
        use.state = "beside" if use.here != use.path else use.state


def state_in(run: Run, use: Use) -> str:
    """Whether a raw file is kept in the record, or else lies where it was, as it was."""
    for repository in run.repositories:
        top = text(repository.get("path"))
        for file in objects(repository.get("files")):
            same = use.sha256 and file.get("sha256") == use.sha256
            if same and use.path == os.path.join(top, text(file.get("path"))):
                return "kept"
    return input_state(use.path, use.entry)


class Makers:
    """Who made which file, of all runs below some roots; they are looked at when the first file is asked for."""

    def __init__(self, roots: Sequence[str] | None, watch: search.Watch) -> None:
        self.roots, self.watch = roots, watch
        self.by_hash: dict[str, list[tuple[Run, str]]] = {}
        self.by_size: dict[int, list[tuple[Run, str, int]]] = {}  # files that nobody has hashed
        self.by_path: dict[str, list[Run]] = {}  # what was written outside of the run's directory
        self.by_id: dict[str, Run] = {}
        self.looked = False

    def look(self) -> None:
        """Read what each run made."""
        self.looked = True
        for run in self.watch(search.known(self.roots), "looking at runs"):
            self.by_id.setdefault(run.id, run)
            listed = run.artifacts if "artifacts" in run.outcome else compare.recorded_artifacts(run).values()
            for entry in listed:
                self.add(run, entry)
            elsewhere = run.outcome.get("written_elsewhere")
            for path in elsewhere if isinstance(elsewhere, list) else ():
                self.by_path.setdefault(text(path), []).append(run)

    def add(self, run: Run, entry: Mapping[str, Any]) -> None:
        """One file that a run made."""
        name, sha256, size = text(entry.get("path")), text(entry.get("sha256")).lower(), entry.get("size")
        written = entry.get("mtime_ns")
        if sha256:
            self.by_hash.setdefault(sha256, []).append((run, name))
        elif isinstance(size, int) and isinstance(written, int):
            self.by_size.setdefault(size, []).append((run, name, written))

    def of(self, use: Use, reader: Run) -> tuple[Run | None, str, str]:
        """The run that made a file which another one read: run, the file's path there, how that is known."""
        if not self.looked:
            self.look()
        same = [each for each in self.with_content(use) if could_make(each[0], reader)]
        if same:
            return (*min(same, key=lambda each: unlikely(each[0], each[1], use, reader)), CONTENT)
        wrote = [run for run in self.by_path.get(use.path, ()) if could_make(run, reader)]
        in_time = [run for run in wrote if wrote_at(run, use.entry.get("mtime_ns"))]
        for runs, how in ((in_time, TIME), (wrote, PATH)):
            if runs:
                return max(runs, key=lambda run: (run.start <= reader.start, run.start)), use.path, how
        return self.by_place(use, reader)

    def with_content(self, use: Use) -> Iterator[tuple[Run, str]]:
        """The runs that made a file of this content; one that was not hashed at its run's end is hashed now."""
        if not use.sha256:
            return
        yield from self.by_hash.get(use.sha256, ())
        for run, name, written in self.by_size.get(use.size or 0, ()):
            if search.unchanged_hash(os.path.join(run.directory, name), use.size, written) == use.sha256:
                yield run, name

    def by_place(self, use: Use, reader: Run) -> tuple[Run | None, str, str]:
        """The run in whose directory the file lay when it was read."""
        for parent in reader.parents:
            run, top = self.by_id.get(text(parent.get("id"))), os.path.join(text(parent.get("directory")), "")
            if run is not None and parent.get("by") == "input" and use.path.startswith(top) and run != reader:
                return run, use.path[len(top) :].replace(os.sep, "/"), PATH
        return None, "", ""


def could_make(run: Run, reader: Run) -> bool:
    """Whether a run began early enough to have made what another one read."""
    end = seconds(text(reader.outcome.get("ended")))
    return run != reader and (not end or run.start <= end)


def unlikely(run: Run, name: str, use: Use, reader: Run) -> tuple[bool, bool, float]:
    """An order among runs that made the same content: the one whose path was read, then the last before the reader."""
    places = {text(run.facts.get("directory")), run.directory}
    same = use.path in [os.path.normpath(os.path.join(place, name)) for place in places]
    return not same, run.start > reader.start, -run.start


def wrote_at(run: Run, mtime_ns: object) -> bool:
    """Whether a file's time lies within a run's own."""
    end = seconds(text(run.outcome.get("ended")))
    return isinstance(mtime_ns, int) and bool(end) and run.start - 1 <= mtime_ns / 1e9 <= end + 1


# ---------------------------------------------------------------------------------------------
# The chain is told: as a tree for people, as texts for programs that draw
# ---------------------------------------------------------------------------------------------

STAGE_STATES = {
    "unchanged": "is there as it was", "changed": "is not as it was", "kept": "is kept in the record",
    "beside": "is kept beside the runs",
    "gone": "is gone", "unknown": "content unknown",
}  # fmt: skip


def tree(
    chain: Chain,
    ago: Callable[[str], str] = str,
    size: Callable[[object], str] = str,
    place: Callable[[str], str] | None = None,
) -> Iterator[str]:
    """The lines of a tree, raw data as its leaves.

    ago, size, place: how to show a time (ISO 8601), a number of bytes and a path to people; paths: from here.
    """
    if chain.head is None:
        return
    place = place or shown_path
    yield place(chain.path or chain.head.run.directory)
    told: set[Stage] = set()
    first = ("made by " if chain.path else "") + told_of(chain.head, ago)
    todo: list[tuple[str, str, str, Stage | None]] = [("", "\u2514\u2500 ", first, chain.head)]
    while todo:
        margin, branch, words, stage = todo.pop()
        again = stage is not None and stage in told and stage.uses
        yield margin + branch + words + (" (whose own chain: see above)" if again else "")
        if stage is None or stage in told:
            continue
        told.add(stage)
        below = margin + ("\u2502  " if branch.startswith("\u251c") else "   ")
        lines = [*makers_of(stage, ago), *((line, None) for line in data_of(stage, size, place))]
        marks = ["\u251c\u2500 "] * (len(lines) - 1) + ["\u2514\u2500 "]
        todo += reversed([(below, mark, *line) for mark, line in zip(marks, lines, strict=bool(lines))])


def told_of(stage: Stage, ago: Callable[[str], str]) -> str:
    """A run in a line: name, when, command."""
    return "  ".join(filter(None, [stage.run.name, ago(stage.run.started), stage.run.command]))


def makers_of(stage: Stage, ago: Callable[[str], str]) -> Iterator[tuple[str, Stage | None]]:
    """A line for each run whose files a run read."""
    for maker in stage.makers:
        uses = [use for use in stage.uses if use.maker is maker]
        names = ", ".join(os.path.basename(use.made_as) for use in uses[:3])
        more = f" and {len(uses) - 3} more" if len(uses) > 3 else ""
        sure = "perhaps made by (same path, content unknown)" if any(use.guessed for use in uses) else "made by"
        yield f"{names}{more}, {sure} {told_of(maker, ago)}", maker


def data_of(stage: Stage, size: Callable[[object], str], place: Callable[[str], str]) -> Iterator[str]:
    """A line for each file that a run read and that nobody made."""
    raw = [use for use in stage.uses if not use.maker]
    for use in raw[:MOST_RAW_FILES]:
        sha256 = f"sha256 {use.sha256[:8]}" if use.sha256 else ""
        yield "  ".join(filter(None, [place(use.path), size(use.size), sha256, STAGE_STATES.get(use.state, "")]))
    if len(raw) > MOST_RAW_FILES:
        yield f"and {len(raw) - MOST_RAW_FILES} more files"
    for folder in stage.folders:
        yield f"{folder.get('count')} more files below {place(text(folder.get('directory')))}"


def shown_path(path: str) -> str:
    """A path as a person here would write it."""
    near = os.path.relpath(path) if path else ""
    return path if near.startswith(os.pardir + os.sep) else near


class Drawing:
    """The nodes and edges of a chain: `runs` {stage: id}, `files` {(maker, path): id}, `edges` {ids: guessed}."""

    def __init__(self, chain: Chain) -> None:
        self.runs = {stage: f"r{number}" for number, stage in enumerate(chain.stages)}
        self.files: dict[tuple[Stage | None, str], str] = {}
        self.edges: dict[tuple[str, str], bool] = {}
        for stage in chain.stages:
            for use in stage.uses:
                file = self.file(use.maker, use.made_as if use.maker else use.path, guessed=use.guessed)
                self.edges[file, self.runs[stage]] = False
        if chain.path and chain.head:
            self.file(chain.head, chain.made_as or chain.path)

    def file(self, maker: Stage | None, path: str, *, guessed: bool = False) -> str:
        """The id of a file's node, which is drawn after its maker."""
        name = self.files.setdefault((maker, path), f"f{len(self.files)}")
        if maker:
            edge = self.runs[maker], name
            self.edges[edge] = guessed and self.edges.get(edge, True)
        return name


def mermaid(chain: Chain) -> str:
    """A Mermaid flow chart of the chain: runs are round, files are boxes, a guess is a dashed arrow."""
    drawing = Drawing(chain)
    lines = ["flowchart LR"]
    lines += [f'  {name}(["{mermaid_label(stage.run.name)}"])' for stage, name in drawing.runs.items()]
    lines += [f'  {name}["{mermaid_label(file_label(maker, path))}"]' for (maker, path), name in drawing.files.items()]
    lines += [f"  {a} {'-.->' if guess else '-->'} {b}" for (a, b), guess in drawing.edges.items()]
    return "\n".join(lines) + "\n"


def graphviz(chain: Chain) -> str:
    """The same for Graphviz' dot."""
    drawing = Drawing(chain)
    lines = ["digraph chain {", "  rankdir=LR;"]
    lines += [f"  {name} [shape=ellipse, label={dot_label(s.run.name)}];" for s, name in drawing.runs.items()]
    lines += [
        f"  {name} [shape=box, label={dot_label(file_label(maker, path))}];"
        for (maker, path), name in drawing.files.items()
    ]
    lines += [f"  {a} -> {b}{' [style=dashed]' if guess else ''};" for (a, b), guess in drawing.edges.items()]
    return "\n".join([*lines, "}"]) + "\n"


def file_label(maker: Stage | None, path: str) -> str:
    """A file's name in a drawing."""
    return os.path.basename(path) if maker else shown_path(path)


def mermaid_label(words: str) -> str:
    """A text within quotes of Mermaid: everything that it would act on as a number."""
    plain = set(" ._-/@:=+,")
    return "".join(c if c in plain or c.isalnum() else f"#{ord(c)};" for c in question_marked(words))


def dot_label(words: str) -> str:
    """A text as a string of the dot language."""
    return '"' + question_marked(words).replace("\\", "\\\\").replace('"', '\\"') + '"'


def question_marked(words: str) -> str:
    """The text with a question mark for what would act on a terminal or is no text."""
    return "".join(c if c.isprintable() else "?" for c in words)
