"""The code of a run: which repositories and files it is made of, and what differs from their commits."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType

from footsteps.recorder.format import (
    as_name,
    decoded,
    imported_at,
    is_full,
    open,  # noqa: A004 - the one that notes nothing
    sha256,
    write,
)
from footsteps.recorder.git import GIT_TIMEOUT, default_branch_refs, repository_root
from footsteps.recorder.machine import editable_locations
from footsteps.recorder.processes import created_at, process_facts
from footsteps.recorder.program import is_installed, script_folder, start_directory, unpacked_folder
from footsteps.recorder.repository import Budget, Repository, Tree, is_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any


class Code:
    """The code of a run as it was found, not yet kept.

    Attributes:
        repositories: rows of run.json.
        code_id: 32 hex digits over the commits and all that differs from them.
        untracked: untracked files of the working directory's repository.
        seconds: what the look cost.
    """

    def __init__(self, trees: list[Tree], seconds: float, deadline: float = 0.0, problems: Sequence[str] = ()) -> None:
        self._trees, self._deadline = trees, deadline
        first = next((t for t in trees if isinstance(t, Repository) and t.role in ("cwd", "script")), None)
        self._main = self._not_shown = first
        self._problems = problems
        self.untracked: list[str] = [decoded(p) for p in first.untracked] if first else []
        self.repositories: list[dict[str, Any]] = [tree.described() for tree in trees]
        self.code_id: str = _code_id(trees)
        self.seconds = seconds

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

    def keep(self, record: str) -> None:
        """Write the files that differ below ``record``/code, while git makes the patch.

        A file that can't be written there becomes one that is left out.

        Raises:
            OSError: the disk is full.
        """
        tree, self._not_shown = self._not_shown, None  # once: what is kept at the end is in no patch
        try:
            if tree is not None:
                tree.begin_patch(self._deadline)
            self._write_copies(record)
            if tree is not None:
                tree.end_patch()
        finally:
            if tree is not None and tree.patch is not None:
                tree.patch.stop()

    def _write_copies(self, record: str) -> None:
        for tree in self._trees:
            kept, tree.kept = tree.kept, []
            for stored, data in kept:
                try:
                    write(os.path.join(record, *stored.split("/")), data)
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

    def capture_late_imports(self) -> list[dict[str, Any]]:
        """Modules imported since then that git ignores: rows of late.json (and their copies to be kept)."""
        modules, rows = _project_modules(), []
        for tree in self._trees:
            files, left_out = len(tree.files), len(tree.left_out)
            add_ignored_modules(tree, modules, {row["path"] for row in tree.files + tree.left_out})
            if len(tree.files) > files or len(tree.left_out) > left_out:
                rows.append({"name": tree.name, "files": tree.files[files:], "left_out": tree.left_out[left_out:]})
        return rows


def capture_code(start: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> Code:
    """The code that runs now: of the working directory, of the script, of all that belongs to them.

    Args:
        start: directories to begin at; None: the working directory's and the script's.
        exclude: directories that are no code (output roots).
    """
    return CodeCapture(start, exclude).code()


class CodeCapture:
    """git at work on the repositories of a run; ``code`` collects.

    Args:
        shown: whether the code is kept for certain, so that git may begin with the patch at once.
    """

    def __init__(self, start: Sequence[str] | None = None, exclude: Sequence[str] = (), *, shown: bool = False) -> None:
        self.began, self.shown = time.monotonic(), shown
        self.budget = Budget()
        self.exclude = [os.path.realpath(path) for path in exclude]
        self.queue: list[Repository] = []
        self.trees: list[Tree] = []
        self.failed: list[str] = []
        self.problems: list[str] = []
        self.modules: list[str] = []
        self.attempt(lambda: self.begin(start))

    def attempt(self, function: Callable[[], object]) -> None:
        """Law 1: what fails while we look is a line in the record, and the rest is looked at all the same."""
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

    def all(self) -> list[Tree]:
        """Those collected, and those that git is looking at."""
        return [*self.trees, *self.queue]

    def code(self) -> Code:
        """All of it, within GIT_TIMEOUT."""
        deadline = self.began + GIT_TIMEOUT
        self.collect(deadline)
        for step in (self.add_modules, self.add_installs):
            self.attempt(step)
        self.collect(deadline)
        for step in (self.add_ignored_modules, self.add_loose):
            self.attempt(step)
        return Code(self.trees, time.monotonic() - self.began, deadline, self.problems)

    def add_modules(self) -> None:
        """The repositories that the program's modules come from."""
        self.modules = _project_modules()
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
        if tree.collect(deadline, self.skipper(tree.real), patch=self.shown and tree is self.trees[0]):
            self.failed.remove(tree.root)
        for role, path in tree.nested:
            where = {"repository": tree.name, "path": decoded(path)}
            name = f"{tree.name}.{as_name(decoded(path).replace('/', '.'))}"
            self.add(os.path.join(tree.root, os.fsdecode(path)), role, name, where)

    def skipper(self, root: str) -> Callable[[bytes], bool]:
        """Whether a path is in an output root that lies strictly inside this repository."""
        below = [path[len(root) :] for path in self.exclude if path.startswith(root)]
        starts = tuple(os.fsencode(path.replace(os.sep, "/")) + b"/" for path in below)
        return lambda path: bool(starts) and path.startswith(starts)

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
        tree = Tree(root, "loose", "loose", None, self.budget)
        for path in left:
            tree.add_if_changed(os.fsencode(os.path.relpath(path, root)), "untracked")
        self.trees.append(tree)


def add_ignored_modules(tree: Tree, modules: list[str], known: set[str]) -> None:
    """Modules that git ignores but the program has imported: kept like untracked files."""
    if isinstance(tree, Repository) and not tree.tracked and not tree.untracked:
        return  # git did not answer
    tracked, inner = (tree.tracked, {p for _, p in tree.nested}) if isinstance(tree, Repository) else (set(), set())
    for path in modules:
        name = os.fsencode(path[len(tree.real) :].replace(os.sep, "/"))
        if (
            path.startswith(tree.real)
            and name not in tracked
            and decoded(name) not in known
            and not is_below(name, inner)
        ):
            tree.add_if_changed(name, "imported")


def _project_modules() -> list[str]:
    """Source files of the modules loaded now that are no part of Python or of what pip installs."""
    folders = [os.path.dirname(os.__file__), *([sys.prefix] if sys.prefix != sys.base_prefix else [])]
    folders += [folder] if (folder := unpacked_folder()) else []
    python = tuple(os.path.join(f, "") for folder in folders for f in {folder, os.path.realpath(folder)})
    found = set()
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):  # its attribute, without waking a lazy one
            file = ModuleType.__getattribute__(module, "__dict__").get("__file__")
            if isinstance(file, str) and not file.startswith(python):
                real = _real(file)
                if not real.startswith(python) and not is_installed(real) and os.path.isfile(real):
                    found.add(real)
    return sorted(found)


def _real(path: str) -> str:
    """The path without links, "" if there is none: relative to a deleted directory, or with a NUL."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return ""


def changed_since_loaded() -> list[str]:
    """Loaded project modules whose source is no longer what was loaded."""
    facts = process_facts(os.getpid())
    born = (created_at(facts["start"]) if facts else None) or imported_at
    changed = []
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):
            continue
        names = ModuleType.__getattribute__(module, "__dict__")
        file, cached = names.get("__file__"), names.get("__cached__")
        if not isinstance(file, str) or is_installed(file):
            continue
        if isinstance(cached, str) and _was_touched_after(file, born) and not _is_compiled_from(cached, file):
            changed.append(file)
        elif module is sys.modules.get("__main__") and _was_touched_after(file, imported_at):
            changed.append(file)  # the script has no bytecode, but it was read before it imported us
    return changed


def _was_touched_after(path: str, seconds: float) -> bool:
    """Whether the file was changed after that time; ctime, as no program can set it."""
    try:
        return os.stat(path).st_ctime > seconds
    except (OSError, ValueError):
        return False


def _is_compiled_from(cached: str, source: str) -> bool:
    """Whether the .pyc (its header keeps mtime and size of the source; PEP 552) is of this source."""
    try:
        with open(cached, "rb") as file:
            header = file.read(16)
        found = os.stat(source)
    except OSError:
        return True  # nothing to compare with
    if header[4:8] != b"\0\0\0\0":  # by hash, not by time
        return True
    times = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:16], "little")
    return times == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)


def _code_id(trees: Iterable[Tree]) -> str:
    """Hash of commits and differing files; the same wherever the clone lies and in whatever order git lists."""
    lines = []
    for tree in sorted(trees, key=lambda t: t.name):
        lines += [f"{tree.name}\0{tree.facts.get('commit')}", *sorted(tree.identity)]
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape"))[:32]
