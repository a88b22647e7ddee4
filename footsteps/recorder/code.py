"""The code of a run: which repositories and files it is made of, what differs from their commits, what was executed."""

from __future__ import annotations

import os
import sys
import time

from footsteps.recorder.format import (
    CODE,
    EDITED,
    append,
    as_name,
    bytes_of,
    content_of,
    decoded,
    from_json,
    imported_at,
    is_full,
    json_text,
    sha256,
    write,
)
from footsteps.recorder.git import GIT_TIMEOUT, default_branch_refs, repository_root
from footsteps.recorder.hooks import executed, source_files, source_of
from footsteps.recorder.inputs import inputs_file
from footsteps.recorder.machine import editable_locations
from footsteps.recorder.places import birth_of, generated_folders
from footsteps.recorder.processes import created_at, process_facts
from footsteps.recorder.program import is_installed, script_folder, start_directory, unpacked_folder
from footsteps.recorder.repository import DATA_ENDINGS, MAX_FILE, Budget, Repository, TreeCapture, is_below, stored_name
from footsteps.recorder.secrets import looks_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any


# What executes an edited source by itself, piece by piece and not as import does.
RELOADERS = frozenset(("IPython.extensions.autoreload", "jurigged", "limeade", "reloadium", "reloading"))
SHARED_FROM = 256 << 10  # bytes of a kept file from which one copy on disk serves several runs


class Code:
    """The code of a run as it was found, not yet kept.

    Attributes:
        repositories: rows of run.json.
        code_id: 32 hex digits over the commits and all that differs from them.
        untracked: untracked files of the working directory's repository.
        seconds: what the look cost; looked: when it began, as time.time().
    """

    def __init__(
        self, trees: list[TreeCapture], began: float, deadline: float = 0.0, problems: Sequence[str] = ()
    ) -> None:
        self._trees, self._deadline = trees, deadline
        first = next((t for t in trees if isinstance(t, Repository) and t.role in ("cwd", "script")), None)
        self._main = self._not_shown = first
        self._problems = problems
        self.untracked: list[str] = [decoded(p) for p in first.untracked] if first else []
        self.repositories: list[dict[str, Any]] = [tree.described() for tree in trees]
        self.code_id: str = _code_id(trees)
        self.seconds = time.monotonic() - began if began else 0.0
        self.looked = time.time() - (time.monotonic() - began)
        self.read_again: dict[str, bytes] = {}  # sources read since they were touched after the look at them

    @property
    def problems(self) -> list[str]:
        """What could not be found out."""
        return [*self._problems, *(problem for tree in self._trees for problem in tree.problems)]

    @property
    def diff(self) -> bytes:
        """The patch of the working directory's repository, as git gave it; known once the code is kept."""
        return self._main.patch.diff if self._main and self._main.patch else b""

    @property
    def not_in_diff(self) -> list[str]:
        """Names of changed files that the patch does not hold, each with its reason."""
        return self._main.patch.not_in_diff if self._main and self._main.patch else []

    def keep(self, record: str, root: str) -> None:
        """Write the files that differ below ``record``/code, while git makes the patch.

        Large ones share one copy on disk with those of earlier runs below the output root.

        A file that can't be written there becomes one that is left out.

        Raises:
            OSError: the disk is full.
        """
        tree, self._not_shown = self._not_shown, None  # once: what is kept at the end is in no patch
        try:
            if tree is not None:
                tree.begin_patch(self._deadline)
            self._write_copies(record, root)
            if tree is not None:
                tree.end_patch()
        finally:
            if tree is not None and tree.patch is not None:
                tree.patch.stop()

    def _write_copies(self, record: str, root: str) -> None:
        earlier: Sequence[str] = []
        if any(len(data) >= SHARED_FROM for tree in self._trees for _, data in tree.kept):
            from footsteps.recorder.keep import runs_near

            earlier = runs_near(record, root)
        for tree in self._trees:
            kept, tree.kept = tree.kept, []
            for stored, data in kept:
                try:
                    _write_copy(os.path.join(record, *stored.split("/")), stored, data, earlier)
                except OSError as error:
                    if is_full(error):
                        raise
                    tree.give_up(stored, error)

    def bundles(self) -> list[dict[str, Any]]:
        """What the finishing child is told of each repository whose commits a remote may not have."""
        return [
            {
                "repository": tree.name,
                "file": tree.facts["bundle"],
                "commit": tree.facts["commit"],
                "object_format": tree.facts["object_format"],
                "git_dir": tree.git_dir,
                "common": tree.common,
                "defaults": default_branch_refs(tree.git_dir, tree.common, tree.facts["remotes"]),
            }
            for tree in self._trees
            if isinstance(tree, Repository) and tree.facts.get("bundle")
        ]

    def watch(self, path: str) -> None:
        """Keep the bytes of a source that Python reads now and that was touched after the look at the code.

        It raises nothing.
        """
        try:
            source = self.source_read(path)
            if source and source not in self.read_again and self.is_touched(source):
                self.read_again[source] = bytes_of(source)
        except Exception:  # it is gone again, which Python tells
            return

    def source_read(self, path: str) -> str:
        """The program's source that Python reads with this file, itself or its bytecode; "" if it is none."""
        return "" if _is_pythons(path) else _real(source_of(path))

    def is_touched(self, path: str) -> bool:
        """Whether a file of the program's code was changed after the look at it."""
        return self.tree_of(path) is not None and not _is_pythons(path) and _was_touched_after(path, self.looked)

    def tree_of(self, path: str) -> TreeCapture | None:
        """The innermost of the trees that a file lies in."""
        return max(
            (tree for tree in self._trees if path.startswith(tree.real)), key=lambda t: len(t.real), default=None
        )

    def capture_late(self) -> list[dict[str, Any]]:
        """What the end adds: rows of late.json (and their copies to be kept).

        These are modules that git ignores and that were imported since the look at the code, and files of the program
        that are no longer what they were then: `executed` says whether Python has read them again since.
        """
        modules, rows = project_modules(own_modules()), []
        edited = {path: bytes_of(path) for path in modules if path not in self.read_again and self.is_touched(path)}
        if RELOADERS & sys.modules.keys():
            self.read_again.update(edited)
            edited = {}
        for tree in self._trees:
            known = {row["path"]: row for row in tree.files + tree.left_out}
            files, left_out = len(tree.files), len(tree.left_out)
            apart = [
                row
                for found, executed in ((self.read_again, True), (edited, False))
                for path, data in found.items()
                if self.tree_of(path) is tree
                for row in self.edited_row(tree, path, data, known, executed=executed)
            ]
            add_ignored_modules(tree, modules, {*known, *(row["path"] for row in apart)})
            if apart or len(tree.files) > files or len(tree.left_out) > left_out:
                late = {"name": tree.name, "files": tree.files[files:], "left_out": tree.left_out[left_out:]}
                rows.append({**late, "edited": apart})
        return rows

    def edited_row(
        self, tree: TreeCapture, path: str, data: bytes, known: Mapping[str, Any], *, executed: bool
    ) -> Iterator[dict[str, Any]]:
        """The row of a file whose bytes are not those that were captured; none if they are, or none were."""
        name = path[len(tree.real) :].replace(os.sep, "/")
        if name in known:
            same = known[name].get("sha256") == sha256(data)
        else:
            blob = tree.blob_in_commit(name) if isinstance(tree, Repository) else None
            if blob is None:  # imported since, and in no commit: one of the other rows
                return
            same = blob == tree.blob_id(data)
        if not same:
            stored = EDITED + stored_name(tree.name, name).removeprefix(CODE)
            kept = len(data) <= MAX_FILE and not looks_secret(name)
            if kept:
                tree.kept.append((stored, data))
            row = {"path": name, "executed": executed, "size": len(data), "sha256": sha256(data)}
            yield {**row, "stored": stored if kept else None}


def capture_code(start: Sequence[str] | None = None, exclude: Sequence[str] = (), patience: int = 1) -> Code:
    """The code that runs now: of the working directory, of the script, of all that belongs to them.

    Args:
        start: directories to begin at; None: the working directory's and the script's.
        exclude: directories that are no code (output roots).
        patience: how many times GIT_TIMEOUT git may take.
    """
    return CodeCapture(start, exclude).code(patience)


def _write_copy(place: str, stored: str, data: bytes, earlier: Sequence[str]) -> None:
    """Write a copy, or link it to the same one of an earlier run."""
    if len(data) >= SHARED_FROM:
        from footsteps.recorder.keep import linked

        os.makedirs(os.path.dirname(place), exist_ok=True)
        if linked(place, stored, earlier, len(data), lambda found: found == data):
            return
    write(place, data)


class CodeCapture:
    """git at work on the repositories of a run; ``code`` collects.

    Args:
        shown: whether the code is kept for certain, so that git may begin with the patch at once.
        made: absolute paths of files that the program itself has made, which are no code unless it imports them.
    """

    def __init__(
        self,
        start: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        *,
        shown: bool = False,
        made: Iterable[str] = (),
    ) -> None:
        self.began, self.shown = time.monotonic(), shown
        self.budget = Budget()
        self.exclude = [os.path.realpath(path) for path in exclude]
        self.made = [os.path.realpath(path) for path in made]
        self.queue: list[Repository] = []
        self.trees: list[TreeCapture] = []
        self.failed: list[str] = []
        self.problems: list[str] = []
        self.own: list[tuple[str, str, str | None]] = []
        self.modules: list[str] = []
        self.attempt(lambda: self.begin(start))

    def attempt(self, function: Callable[[], object]) -> None:
        """Recording never raises: what fails here is a line in the record, and the rest is captured all the same."""
        try:
            function()
        except Exception as error:
            self.problems.append(f"code: {type(error).__name__}: {error}")

    def begin(self, start: Sequence[str] | None) -> None:
        """Have git look at the repositories that we know of from the start."""
        cwd, script = (start_directory(), script_folder()) if start is None else (start[0], None)
        self.add(repository_root(cwd), "cwd", "main")
        self.add(repository_root(script), "script", "script")

    def add(self, root: str | None, role: str, name: str, inside: dict[str, str] | None = None) -> None:
        """Have git look at this repository too, unless it does already."""
        known = self.all()
        if root is None or any(tree.real == os.path.join(os.path.realpath(root), "") for tree in known):
            return
        taken = {tree.name for tree in known}
        if name in taken:
            name = next(n for n in (f"{name}-{i}" for i in range(1, len(taken) + 1)) if n not in taken)
        self.queue.append(Repository(root, role, name, inside, self.budget))

    def add_imported(self, root: str) -> None:
        """A repository that a module comes from: inside one that we know, or elsewhere on sys.path."""
        outer = next((tree for tree in self.all() if root.startswith(tree.real)), None)
        if outer is None:
            return self.add(root, "editable", "editable-" + as_name(os.path.basename(root)))
        path = root[len(outer.real) :].replace(os.sep, "/")
        where = {"repository": outer.name, "path": path}
        return self.add(root, "nested", f"{outer.name}.{as_name(path.replace('/', '.'))}", where)

    def stop(self) -> None:
        """Nobody will ask for the answer."""
        for tree in self.queue:
            for process in tree.started:
                process.kill()

    def all(self) -> list[TreeCapture]:
        """Those collected, and those that git is looking at."""
        return [*self.trees, *self.queue]

    def code(self, patience: int = 1) -> Code:
        """All of it, within GIT_TIMEOUT (or so many times that)."""
        deadline = self.began + GIT_TIMEOUT * patience
        self.attempt(self.capture_modules)
        self.collect(deadline)
        for step in (self.add_modules, self.add_installs):
            self.attempt(step)
        self.collect(deadline)
        for step in (self.add_ignored_modules, self.add_loose):
            self.attempt(step)
        return Code(self.trees, self.began, deadline, self.problems)

    def capture_modules(self) -> None:
        """The program's modules: what is imported is kept first."""
        self.own = own_modules()
        self.modules = project_modules(self.own)

    def add_modules(self) -> None:
        """The repositories that the program's modules come from."""
        for path in self.modules:
            root = repository_root(os.path.dirname(path))
            if root is not None and root not in self.failed:
                self.add_imported(root)

    def add_installs(self) -> None:
        """Those of editable installs."""
        for location in editable_locations():
            self.add(repository_root(location), "editable", "editable-" + as_name(os.path.basename(location)))

    def add_ignored_modules(self) -> None:
        """The modules that git ignores."""
        for tree in self.trees:
            self.add_ignored_modules_of(tree)

    def add_ignored_modules_of(self, tree: TreeCapture) -> None:
        """Those in one tree."""
        add_ignored_modules(tree, self.modules, {row["path"] for row in tree.files + tree.left_out})

    def collect(self, deadline: float) -> None:
        """Read what git says of each repository, and begin with those that lie in it."""
        while self.queue:
            tree = self.queue.pop(0)
            self.trees.append(tree)
            self.failed.append(tree.root)  # until it has answered
            self.attempt(lambda tree=tree: self.collect_one(tree, deadline))  # type: ignore[misc]

    def collect_one(self, tree: Repository, deadline: float) -> None:
        """Read what git says of this one."""
        patch, first = self.shown and tree is self.trees[0], lambda: self.add_ignored_modules_of(tree)
        if tree.collect(deadline, self.skipper(tree.real), first, patch=patch):
            self.failed.remove(tree.root)
        for role, path in tree.nested:
            where = {"repository": tree.name, "path": decoded(path)}
            name = f"{tree.name}.{as_name(decoded(path).replace('/', '.'))}"
            self.add(os.path.join(tree.root, os.fsdecode(path)), role, name, where)

    def skipper(self, root: str) -> Callable[[bytes], bool]:
        """Whether a path is in an output root that lies strictly inside this repository, or one the program made."""
        outputs, made = (
            [path[len(root) :] for path in of if path.startswith(root)] for of in (self.exclude, self.made)
        )
        starts = tuple(os.fsencode(path.replace(os.sep, "/")) + b"/" for path in outputs)
        names = {os.fsencode(path.replace(os.sep, "/")) for path in made}
        began = _process_start()
        return lambda path: (
            path in names
            or (bool(starts) and path.startswith(starts))
            or (path.endswith(_DATA) and was_made_before_import(root + os.fsdecode(path), began))
        )

    def add_loose(self) -> None:
        """Script and modules that no readable repository holds, whole."""
        roots = tuple(tree.real for tree in self.trees if tree.root not in self.failed)
        left = [path for path in self.modules if not path.startswith(roots)]
        if not left:
            return
        try:
            root = os.path.commonpath([os.path.dirname(path) for path in left])
        except ValueError:  # on several drives
            root = os.path.dirname(left[0])
        tree = TreeCapture(root, "loose", "loose", None, self.budget)
        for path in left:
            tree.add_if_changed(os.fsencode(os.path.relpath(path, root)), "untracked")
        self.trees.append(tree)


def add_ignored_modules(tree: TreeCapture, modules: list[str], known: set[str]) -> None:
    """Modules that git ignores but the program has imported: kept like untracked files."""
    if isinstance(tree, Repository) and not tree.tracked and not tree.untracked:
        return  # git did not answer
    tracked, inner = (tree.tracked, {p for _, p in tree.nested}) if isinstance(tree, Repository) else (set(), set())
    shown = set(tree.untracked) if isinstance(tree, Repository) else set()
    for path in modules:
        name = os.fsencode(path[len(tree.real) :].replace(os.sep, "/"))
        if (
            path.startswith(tree.real)
            and name not in tracked
            and decoded(name) not in known
            and not is_below(name, inner)
        ):
            tree.add_if_changed(name, "untracked" if name in shown else "imported")


def own_modules() -> list[tuple[str, str, str | None]]:
    """Name, file and bytecode file of loaded modules that are no part of Python or of what pip installs."""
    pythons = _python_folders()
    return [row for row in source_files() if not row[1].startswith(pythons) and not is_installed(row[1])]


def project_modules(own: Iterable[tuple[str, str, str | None]]) -> list[str]:
    """Source files of the program's own modules, and of other code that was executed."""
    files = {file for _, file, _ in own} | {source_of(path) for path in list(executed) if not _is_pythons(path)}
    found = set(map(_real, files))
    roots = [os.path.join(root, "") for root in map(os.path.realpath, filter(None, (script_folder(), _root_here())))]
    return sorted(path for path in found if not _is_pythons(path) and not is_generated(path, roots) and _is_file(path))


def _root_here() -> str | None:
    """The repository of the working directory, else that directory."""
    cwd = start_directory()
    return repository_root(cwd) or cwd


def is_generated(path: str, roots: Sequence[str]) -> bool:
    """Whether a file lies in a temporary or cache folder, deeper than the folder of the program (if that is in one)."""
    deepest = max((len(root) for root in roots if path.startswith(root)), default=0)
    return any(len(folder) > deepest and path.startswith(folder) for folder in generated_folders())


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:
        return False


def _is_pythons(path: str) -> bool:
    """Whether a source is the standard library's, or lies where pip or a virtual environment puts files."""
    return path.startswith(_python_folders()) or is_installed(path)


def _python_folders() -> tuple[str, ...]:
    """What Python's own sources begin with; of an environment, which may be the project's folder, certain folders."""
    if sys.prefix in _python_folders_of:
        return _python_folders_of[sys.prefix]
    names = ("bin", "Scripts", os.path.join("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}"))
    inside = [os.path.join(sys.prefix, name) for name in names] if sys.prefix != sys.base_prefix else []
    folders = [os.path.dirname(os.__file__), *inside, *filter(None, [unpacked_folder()])]
    real = (os.path.join(f, "") for folder in folders for f in {folder, os.path.realpath(folder)})
    _python_folders_of[sys.prefix] = ("<", *real)
    return _python_folders_of[sys.prefix]


_python_folders_of: dict[str, tuple[str, ...]] = {}  # what is asked for each file and does not change


def _real(path: str) -> str:
    """The path without links, "" if there is none: relative to a deleted directory, or with a NUL."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return ""


_DATA = tuple(os.fsencode(ending) for ending in DATA_ENDINGS if ending != ".json")  # which may be settings, too


def was_made_before_import(path: str, began: float) -> bool:
    """Whether a file was made since this script was started (`began`), and before footsteps could see it open one.

    Where that can't be known, it was not: in a notebook hours lie between the two, and data may come from anywhere.
    """
    if not _was_touched_after(path, began) or not hasattr(sys.modules.get("__main__"), "__file__"):
        return False
    born = birth_of(path)
    return born is not None and began + CLOCKS < born < imported_at


CLOCKS = 0.05  # seconds by which a process's start may be told too early; Python itself takes longer to begin


def _process_start() -> float:
    facts = process_facts(os.getpid())
    return (created_at(facts["start"]) if facts else None) or imported_at


def changed_since_loaded(own: Iterable[tuple[str, str, str | None]]) -> list[str]:
    """The program's own modules whose source is no longer what was loaded."""
    born = _process_start()
    changed = []
    for name, file, cached in own:
        if cached is not None and _was_touched_after(file, born) and not _is_compiled_from(cached, file):
            changed.append(file)
        elif name == "__main__" and _was_touched_after(file, imported_at):
            changed.append(file)  # the script has no bytecode, but it was read before it imported us
    return changed


def _was_touched_after(path: str, seconds: float) -> bool:
    """Whether the file was changed after that time; ctime, as no program can set it."""
    try:
        return seconds < os.stat(path).st_ctime <= time.time()  # later than now: the clock tells nothing
    except (OSError, ValueError):
        return False


def _is_compiled_from(cached: str, source: str) -> bool:
    """Whether the .pyc (its header keeps mtime and size of the source; PEP 552) is of this source."""
    try:
        header = bytes_of(cached)[:16]
        found = os.stat(source)
    except OSError:
        return True  # nothing to compare with
    if header[4:8] != b"\0\0\0\0":  # by hash, not by time
        return True
    times = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:16], "little")
    return times == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)


def _code_id(trees: Iterable[TreeCapture]) -> str:
    """Hash of commits and differing files; the same wherever the clone lies and in whatever order git lists."""
    lines = []
    for tree in sorted(trees, key=lambda t: t.name):
        lines += [f"{tree.name}\0{tree.facts.get('commit')}", *sorted(tree.identity)]
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape"))[:32]


# --- what the other processes of a run have executed ------------------------------------------------------------------

# `executed-HOST-PID.jsonl` in the record has a line for each source of the program that a worker or rank has read: its
# path, and whether it had been edited before. The head keeps these files at the end.
BEGINNING = "executed-"


def watch_for(run: Any) -> Callable[[str], None]:
    """Who is told of each source that Python reads: the run's code, or in a forked worker the worker's own file."""

    def watch(path: str) -> None:
        if os.getpid() == run.process:
            run.code.watch(path)
        else:
            note_one(run, path)

    return watch


def note_one(run: Any, path: str) -> None:
    """In a forked worker: note a source that it reads now. It raises nothing."""
    try:
        source = run.code.source_read(path)
        if source:
            write_lines(run, [(source, run.code.is_touched(source))])
    except Exception:  # a full disk: the outcome tells it
        return


def note_all(run: Any) -> None:
    """At the end of a process that joined the run: note the program's sources that it has loaded."""
    if not hasattr(run, "code"):  # a forked worker has noted each as it came
        facts = process_facts(os.getpid())
        born = (created_at(facts["start"]) if facts else None) or 0.0
        write_lines(run, [(path, os.stat(path).st_ctime <= born) for path in project_modules(own_modules())])


def write_lines(run: Any, rows: list[tuple[str, bool]]) -> None:
    """Add lines to this process's file."""
    lines = b"".join(json_text({"path": path, "edited_before": edited}).encode() + b"\n" for path, edited in rows)
    if lines:
        append(inputs_file(run, BEGINNING), lines)


def take_from_others(record: str, code: Code) -> None:
    """In the head: have what the others executed among the code of the run."""
    for row in noted(record):
        path = row.get("path")
        if isinstance(path, str):
            executed.append(path)
            if row.get("edited_before") is True and path not in code.read_again and code.is_touched(path):
                code.read_again[path] = bytes_of(path)


def noted(record: str) -> Iterator[dict[str, Any]]:
    """The lines of all such files of a record, those cut off aside."""
    for name in sorted(os.listdir(record)) if os.path.isdir(record) else ():
        if name.startswith(BEGINNING) and name.endswith(".jsonl"):
            for line in content_of(os.path.join(record, name)).splitlines():
                try:
                    row = from_json(line.decode())
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row
