"""A run's exact source tree again, in a new place, and the proof that it is the one.

    >>> from footsteps.reproduce import restore
    >>> from footsteps.reader import runs
    >>> done = restore.restore(runs.select("unet-3"), "again")
    >>> done.exact, done.command
    (True, 'cd again && python train.py --lr 0.1')

A tree is a commit, which a clone, the remote or the record's bundle brings, and the record's own
files over it. It is made in a folder beside the destination and moved there when it is whole: what
is refused, or fails, leaves nothing behind. The record may come from anybody: every path is checked
before anything is written, nothing is written through a link, git gets no configuration, hook,
filter or transport from it, and what was made is compared with the commit's id and the recorded
hashes by reading it all again.
"""

from __future__ import annotations

import os

from footsteps.reader import formats
from footsteps.reader.commits import (
    ALL_BRANCHES,
    PROTOCOLS,
    SAFE,
    CommitFetcher,
    Unobtainable,
    blocks_of,
)
from footsteps.reader.formats import is_hollow, mapping, sha256_of, text, what_became_of
from footsteps.reader.repositories import (
    GONE,
    OLDER,
    Repositories,
    as_bytes,
    code_id_of,
    holder_of,
    link_on,
    refuse,
    urls_of,
    why_unsafe,
)
from footsteps.recorder.children import STRANGERS
from footsteps.recorder.format import LATE_JSON, MIB, RECORD, RUN_JSON, FootstepsError, content_of, quote
from footsteps.recorder.git import LONGEST_COMMAND, GitError, start_git
from footsteps.reproduce.restored_paths import (
    beside,
    command_words,
    made_at,
    make_folder,
    moved_to,
    new_place,
    program_that_starts_it,
    why_not_repeatable,
)

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from footsteps.reader.runs import Run

    Entries = dict[bytes, tuple[str, str]]  # a commit's: path -> (mode, id)
    Say = Callable[[str], object]


MAKING = ".footsteps-restore-"  # begins the name of the folder in which a tree is made
MOVING = "moving"  # a file there that tells which folder is being put beside the destination
YOUNG = 5.0  # seconds in which another restore may have made such a folder and not yet locked it
MAX_PARTS = 200  # of a patch that are tried one by one, a git for each
LARGEST_LISTING = 128 * MIB  # bytes of git's list of a commit's files


class Restored:
    """What a restore made, and how it compares with what ran.

    Attributes:
        directory: the tree, as the destination was given; "" when it was made to verify only.
        trees: rows {name, role, was, directory, commit, source} of the repositories; the directory
            is where each lies now ("" when it was made to verify only).
        left_out: rows of the record {repository, path, size, reason}: these files are not there.
        missing: rows {path, reason}: recorded, but could not be brought back.
        differing: rows {path, reason}: there, but not as they were.
        extra: paths that are there and were not.
        notes: sentences for a person.
        unkept: inputs that neither a commit, nor a record, nor another run here has (of `verify`).
        cwd: the directory that the command ran in, at its new place; "" if it is in no tree.
        command: the shell line that runs it again; "" if there is none.
        proven: False for formats that hold nothing to compare with.
        ended: False where no end of the run is recorded, or none of its workers: what else it executed is not known.
        all_shown: False where git was told to show no untracked files: only those that were imported are there.
        needs_clone: the clone without which it can't be brought back (of `verify`), else "".
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.trees: list[dict[str, Any]] = []
        self.left_out: list[dict[str, Any]] = []
        self.missing: list[dict[str, str]] = []
        self.differing: list[dict[str, str]] = []
        self.extra: list[str] = []
        self.notes: list[str] = []
        self.unkept: list[str] = []
        self.cwd = self.command = self.needs_clone = ""
        self.proven = self.ended = self.all_shown = True

    @property
    def complete(self) -> bool:
        """Whether all that ran came back, as far as the record's format can tell."""
        return not (self.left_out or self.missing or self.differing or self.extra or self.needs_clone)

    @property
    def exact(self) -> bool:
        """Whether it is proven to be what ran, byte for byte, nothing more and nothing less."""
        return self.proven and self.complete and self.ended and self.all_shown

    def as_dict(self) -> dict[str, Any]:
        """All of it as one JSON-able object."""
        return {"exact": self.exact, "complete": self.complete, **vars(self)}


# ---------------------------------------------------------------------------------------------
# The two questions
# ---------------------------------------------------------------------------------------------


def restore(
    run: Run,
    destination: str | None = None,
    *,
    sources: Iterable[str] = (),
    say: Say = lambda _: None,
) -> Restored:
    """Make the code of a run again in a new or empty directory.

    Args:
        destination: None: ``<last part of the run's name>-restored`` beside the working directory.
        sources: clones, bundles or URLs to take commits from instead of the recorded ones;
            ``NAME=URL`` for the repository of that name, else for the main one.
        say: is told each step that may take long.

    Raises:
        Refused: the record can't be trusted; nothing was made.
        FootstepsError: the destination is not empty, or a commit is nowhere to be had.
    """
    place = destination or default_destination(run)
    clear_after_killed(os.path.dirname(os.path.abspath(place)), place)
    for path in (place, beside(place)):
        require_free(path, run)
    return built(Plan(run, sources), place, keep=True, say=say)


def verify(run: Run, *, sources: Iterable[str] = (), say: Say = lambda _: None) -> Restored:
    """Whether the record would bring its code back, also where this machine's clones are gone.

    Restores into a temporary place, from the remotes and the run's directory alone; only where
    that fails, from the recorded clone too (``needs_clone`` of the answer names it then).

    Raises:
        Refused: the record can't be trusted.
        FootstepsError: a commit is nowhere to be had.
    """
    place = default_destination(run)
    try:
        return built(Plan(run, sources), place, keep=False, say=say, clones=False)
    except Unobtainable as error:
        done = built(Plan(run, sources), place, keep=False, say=say)
        done.needs_clone = error.clone if done.complete else ""
        done.notes.append(f"without the clone in {error.clone!r}: {error.message}")
        return done


def default_destination(run: Run) -> str:
    """``again/RUN-restored``: restored and rerun trees are in one place, that can be cleaned in one go."""
    return os.path.join(again_root(), f"{os.path.basename(run.directory)}-restored")


AGAIN, AGAIN_VARIABLE = "again", "FOOTSTEPS_AGAIN"


def again_root() -> str:
    """The folder for restored and rerun trees: FOOTSTEPS_AGAIN, else `again` in the working directory."""
    return os.path.expanduser(os.environ.get(AGAIN_VARIABLE) or AGAIN)


def require_free(place: str, run: Run, command: str = "restore") -> None:
    """Raises FootstepsError unless nothing, or an empty directory, is at the place."""
    hint = f"footsteps {command} {quote([run.name])} <a new directory>"
    if os.path.islink(place) or (os.path.lexists(place) and not os.path.isdir(place)):
        raise FootstepsError(f"{place!r} is there already", hint)
    if os.path.isdir(place) and os.listdir(place):
        raise FootstepsError(f"{place!r} is not empty", hint)


def built(plan: Plan, place: str, *, keep: bool, say: Say, clones: bool = True) -> Restored:
    """Make a plan's trees in a folder of our own, compare, and move them to the place."""
    import shutil
    import tempfile

    parent = os.path.dirname(os.path.abspath(place)) if keep else tempfile.gettempdir()
    plan.require_room(parent)
    if not keep:
        clear_after_killed(parent, "")
    new = missing_folders(parent)
    os.makedirs(parent, exist_ok=True)
    own = tempfile.mkdtemp(prefix=MAKING, dir=parent)
    held = lock_of(own)
    try:
        done = made_in(own, plan, place, keep=keep, say=say, clones=clones)
        if keep:
            move(own, place)
            hide_from_git(parent)
        new = []
        return done
    finally:
        shutil.rmtree(own, ignore_errors=True)
        if held is not None:
            os.close(held)
        for folder in new:
            os.rmdir(folder)


def lock_of(folder: str) -> int | None:
    """A lock on a folder that is held until its descriptor is closed; None if another process holds it, or none can."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def clear_after_killed(parent: str, place: str) -> None:
    """Remove what a restore that was killed has left here: its folder, and what it had put beside this place."""
    import shutil
    import time

    for name in os.listdir(parent) if os.path.isdir(parent) else ():
        folder = os.path.join(parent, name)
        if not name.startswith(MAKING) or os.path.islink(folder) or time.time() - os.lstat(folder).st_mtime < YOUNG:
            continue
        held = lock_of(folder)
        if held is not None:
            put = identity(beside(place)) if place and not os.path.lexists(place) else ""
            if put and told_in(folder) == put:
                shutil.rmtree(beside(place))
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def identity(path: str) -> str:
    """What a folder is known by under another name, "" if it is not there."""
    try:
        found = os.lstat(path)
    except OSError:
        return ""
    return f"{found.st_dev} {found.st_ino}"


def told_in(folder: str) -> str:
    """The identity of the folder that `move` was about to put beside the destination; one that nothing has if none."""
    try:
        return content_of(os.path.join(folder, MOVING), 100).decode("ascii", "replace")
    except OSError:
        return "none"


def hide_from_git(folder: str) -> None:
    """Have git, and so later runs, pass over the folder of all restored trees, if it is new, by a .gitignore in it."""
    ignore = os.path.join(folder, ".gitignore")
    if folder == os.path.abspath(again_root()) and not os.path.lexists(ignore):
        with open(ignore, "x", encoding="utf-8") as file:
            file.write("*\n")


def missing_folders(path: str) -> list[str]:
    """The folders that have to be made for a path to be one, the innermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def made_in(own: str, plan: Plan, place: str, *, keep: bool, say: Say, clones: bool) -> Restored:
    """Make a plan's trees in a folder of our own, and compare them with what ran."""
    done = Restored(place if keep else "")
    trees = plan.trees(os.path.join(own, "tree"), os.path.join(own, "beside"))
    for tree in trees:
        tree.depth = [] if keep else ["--depth=1"]
        tree.make(done, say, clones=clones)
    compare_trees(trees, done, own)
    for tree in trees:
        tree.leave_usable()
        done.trees.append(tree.described(moved_to(tree.folder, own, place) if keep else ""))
    if not keep:
        done.unkept = list(unkept_inputs(plan.run, trees))
    plan.describe(trees, done, own, place)
    plan.leave_note(trees, own)
    return done


def unkept_inputs(run: Run, trees: list[NewTree]) -> Iterator[str]:
    """The inputs that only lie where they were read: on the day of the run it can still be mended."""
    from footsteps.reproduce.inputs import Places

    kept = {
        os.path.join(text(tree.row.get("path")), os.fsdecode(name))
        for tree in trees
        for name in (*tree.entries, *(as_bytes(text(file.get("path"))) for file in tree.row["files"]))
    }
    places = Places(run)
    for entry in run.inputs:
        path = text(entry.get("path"))
        if path and path not in kept and not places.has(entry):
            yield path


def move(own: str, place: str) -> None:
    """Put what was made where it was wanted."""
    umask = os.umask(0o022)
    os.umask(umask)
    os.makedirs(os.path.join(own, "tree"), exist_ok=True)  # of a run that had no code at all
    write_new(os.fsencode(os.path.join(own, MOVING)), [identity(os.path.join(own, "beside")).encode("ascii")])
    for name, target in (("beside", beside(place)), ("tree", place)):
        made = os.path.join(own, name)
        if os.path.isdir(made):
            if os.path.isdir(target):
                os.rmdir(target)
            os.rename(made, target)
            os.chmod(target, 0o777 & ~umask)


class Plan(Repositories):
    """What has to be made for a run: its repositories, and where each belongs.

    Raises Refused for a record that can't be trusted, FootstepsError for one that holds no code.
    """

    def require_room(self, folder: str) -> None:
        """Raises FootstepsError if the kept files can't fit on the disk of a folder."""
        import shutil

        sizes = [f.get("size") for row in self.rows for f in row["files"] if f.get("kind") == "file"]
        if self.run.kind == "lite_tracer":
            found = (os.lstat(copy) for _, copy in formats.untracked_in(self.run.directory))
            sizes += [status.st_size for status in found if not is_hollow(status)]
        needed = sum(size for size in sizes if isinstance(size, int) and size > 0)
        there = os.path.dirname((missing_folders(folder) or [os.path.join(folder, "")])[-1])
        free = shutil.disk_usage(there).free
        if needed > free:
            raise FootstepsError(f"the kept files need {needed} bytes, and {folder!r} has {free}", hint="df -h")

    def trees(self, place: str, outside: str) -> list[NewTree]:
        """The trees to make: the main one at the place, those within it there, the others outside."""
        made: dict[str, NewTree] = {}
        for row in self.rows:
            name, holder = text(row.get("name")), made.get(holder_of(row))
            inside = text(mapping(row.get("inside")).get("path"))
            if row is self.main:
                folder = os.fsencode(place)
            elif holder:
                folder = os.path.join(holder.folder, as_bytes(inside))
            else:
                folder = os.path.join(os.fsencode(outside), as_bytes(name))
            self.require(folder not in [tree.folder for tree in made.values()], f"two repositories at {inside!r}")
            made[name] = NewTree(self.run, row, folder, holder, self.sources_for(row))
            made[name].required = row is self.main
        return list(made.values())

    def describe(self, trees: list[NewTree], done: Restored, own: str, place: str) -> None:
        """Add the command, where to run it, and what a person should know."""
        if not any(problem.kind == formats.NOT_COPIED for problem in self.run.damage):
            done.notes += OLDER.get(self.run.kind, [])
        self.doubt_the_record(done)
        done.proven = self.run.kind not in OLDER
        apart = self.run.outcome.get("inputs_not_followed")
        strangers = [STRANGERS] if isinstance(apart, list) and STRANGERS in apart else []
        expected = not self.run.outcome and self.run.facts.get("outcome_expected") is True
        done.ended = not expected and not strangers
        if expected:
            done.notes.append("no end of it is recorded: what it imported or edited after its beginning is not known")
        done.notes += [f"it had {name}: what these alone imported is not known" for name in strangers]
        self.repeat_problems(done)
        folders = {text(tree.row.get("path")): tree.folder for tree in trees}
        moved = {path: moved_to(folder, own, place) for path, folder in folders.items() if path}
        was = text(self.run.facts.get("cwd"))
        done.cwd = new_place(was, moved)
        if done.cwd:
            make_folder(own, os.path.relpath(made_at(done.cwd, own, place), own))
        start = program_that_starts_it(self.run, moved)
        command = [start, *command_words(self.run, moved, stays=bool(done.cwd))]
        shown = quote(command if len(command) > 1 or start != "python" else ["python", *self.run.command.split()])
        why = why_not_repeatable(self.run) if start == "python" else ""
        if why:
            shown = ""
            done.notes.append(f"no command runs it again: {why}")
        if "***" in shown:
            done.notes.append("*** stands for what was not recorded, for it looked like a secret")
        done.command = f"cd {quote([done.cwd])} && {shown}" if done.cwd and shown else shown
        if not done.cwd and was:
            done.notes.append(f"it ran in {was!r}, which is part of no recorded repository")

    def doubt_the_record(self, done: Restored) -> None:
        """Name what speaks against run.json itself: its code id is not that of its files, or late.json is no use."""
        told, found = text(self.run.facts.get("code_id")), code_id_of(self.run.facts)
        if found and told != found:
            reason = f"its commits and files have the code id {found}, and it says {told or 'none'}"
            done.differing.append({"path": RUN_JSON, "reason": reason})
        late = os.path.join(self.run.record, LATE_JSON)
        done.missing += [{"path": LATE_JSON, "reason": p.detail or p.kind} for p in self.run.damage if p.path == late]
        done.missing += [{"path": RECORD, "reason": p.kind} for p in self.run.damage if p.kind == formats.NOT_COPIED]

    def repeat_problems(self, done: Restored) -> None:
        """What the recorder said of the code as a whole: not looked at to the end, or not what had been loaded."""
        said = self.run.facts.get("problems")
        problems = [str(problem) for problem in said] if isinstance(said, list) else []
        done.missing += [{"path": "", "reason": f"not recorded: {p}"} for p in problems if p.startswith("code:")]
        end = " has changed since it was loaded"
        done.differing += [
            {"path": p.removesuffix(end), "reason": "it had been changed since it was loaded: what ran may be another"}
            for p in problems
            if p.endswith(end)
        ]

    def leave_note(self, trees: list[NewTree], own: str) -> None:
        """WHERE.txt, which says where the repositories beside the tree belong."""
        folder = os.path.join(own, "beside")
        lines = []
        for tree in trees:
            if os.path.dirname(tree.folder) == os.fsencode(folder):
                lines.append(f"{tree.name} ({tree.row.get('role')}): was at {text(tree.row.get('path'))!r}")
                if tree.row.get("role") == "editable":
                    lines.append(f"    pip install -e {quote([tree.name])}")
        if lines:
            write_new(os.fsencode(os.path.join(folder, "WHERE.txt")), [as_bytes(f"{line}\n") for line in lines])


class NewTree(CommitFetcher):
    """One repository (or the loose files of none) in the making.

    Attributes:
        holder: the tree that it lies in; source: where its commit came from, for people;
        entries: what its commit holds; required: nothing is made if its commit is not to be had.
    """

    def __init__(
        self, run: Run, row: dict[str, Any], folder: bytes, holder: NewTree | None, sources: list[str]
    ) -> None:
        super().__init__(run, row, folder, sources)
        self.holder = holder
        self.source = "the record"
        self.entries: Entries = {}
        self.required = False

    def make(self, done: Restored, say: Say, *, clones: bool) -> None:
        """Bring the commit, put its files there, and the recorded ones over them."""
        if self.holder and link_on(self.holder.folder, os.path.relpath(self.folder, self.holder.folder), last=True):
            raise refuse(self.run, f"the repository {self.name!r} would lie behind a link")
        try:
            os.makedirs(self.folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise refuse(self.run, f"the repository {self.name!r} would lie where a file is") from error
        if self.commit or self.row.get("revision"):
            self.bring(done, say, clones=clones)
        self.take_program(done)
        Overlay(self, done).apply()
        if self.row.get("revision"):
            apply_older(self, done)
        self.note_doubts(done)

    def bring(self, done: Restored, say: Say, *, clones: bool) -> None:
        """Get the commit and put its files there; one that is beside the main matter may be missing."""
        self.begin()
        try:
            self.source = self.brought(say, clones=clones)
        except Unobtainable as error:
            if self.required or not clones:
                raise
            done.missing.append({"path": f"{self.name}/", "reason": error.message})
        else:
            self.check_out(done)

    def take_program(self, done: Restored) -> None:
        """Lay the program's own file where its command looks for it, if neither the commit nor the record has it so."""
        file = self.row.get("program")
        known = {text(row.get("path")) for key in ("files", "left_out") for row in self.row[key]}
        if file is None or file["path"] in known or as_bytes(file["path"]) in self.entries:
            return
        if file["stored"] is None:
            reason = "it is the program, git does not know it, and no copy of it is here"
            done.missing.append({"path": f"{self.name}: {file['path']}", "reason": reason})
        else:
            self.row["files"] = [*self.row["files"], file]

    def note_doubts(self, done: Restored) -> None:
        """Repeat what was left out, and what the recorder itself was not sure of."""
        for row in self.row["left_out"]:
            stands = " (the commit's version stands there)" if as_bytes(text(row.get("path"))) in self.entries else ""
            done.left_out.append({"repository": self.name, **row, "reason": text(row.get("reason")) + stands})
        self.note_edits(done)
        if self.row.get("untracked_shown") is False:
            done.all_shown = False
            words = "untracked files that were not imported were not kept: status.showUntrackedFiles was no"
            done.notes.append(f"{self.name}: {words}")
        problems = self.row.get("problems")
        for problem in problems if isinstance(problems, list) else []:
            if not str(problem).startswith("the diff:"):  # which people read, and nothing is made of
                done.missing.append({"path": f"{self.name}/", "reason": f"not recorded: {problem}"})

    def note_edits(self, done: Restored) -> None:
        """Say which files were edited while the run went on: what it executed then is not what is restored."""
        for file in self.row.get("edited", []):
            path, words = f"{self.name}/{text(file.get('path'))}", what_became_of(file)
            copy = f"; as it was then: {os.path.join(RECORD, text(file['stored']))}" if file.get("stored") else ""
            if file.get("executed"):
                done.differing.append({"path": path, "reason": words + copy})
            else:
                done.notes.append(f"{path}: {words}, which is what comes back{copy}")

    def check_out(self, done: Restored) -> None:
        """The commit's files, byte for byte, and nothing else; the commit proven by its id."""
        self.git("update-ref", "--no-deref", "HEAD", self.commit)
        self.entries = self.listed()
        self.prove(done)
        self.git("read-tree", self.commit)
        try:
            self.git("checkout-index", "--all", "--force", "--index", "--quiet")
        except GitError as error:  # of a partial clone, what is there
            done.notes.append(f"{self.name}: {error.message}")

    def listed(self) -> Entries:
        """The commit's files, links and submodules; refuses names that git itself would refuse."""
        found: Entries = {}
        words = (*SAFE, "ls-tree", "-r", "-z", "--full-tree", self.commit)
        listed = start_git(*words, cwd=os.fsdecode(self.folder), env=PROTOCOLS)
        out, whole = listed.result_within(LARGEST_LISTING, LONGEST_COMMAND)
        if not whole:  # a bundle of a kilobyte can hold a tree of trees with more files than there are disks
            raise refuse(self.run, "its commit lists more files than any project has")
        for line in out.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            if facts:
                mode, _, name = facts.decode("ascii").split(" ")
                found[path] = (mode, name)
                shown = path.decode("utf-8", "surrogateescape")
                if why_unsafe(shown):
                    raise refuse(self.run, f"its commit holds {shown!r}, which {why_unsafe(shown)}")
        return found

    def prove(self, done: Restored) -> None:
        """The commit's id is the hash of its text, which names its tree, which is the hash of its entries."""
        body = self.git("cat-file", "commit", self.commit)
        tree = body.split(b"\n", 1)[0].partition(b" ")[2].decode("ascii", "replace")
        recorded = self.row.get("tree")
        for holds, reason in (
            (object_id(b"commit", body, self.commit) == self.commit, "its text is not what its id says"),
            (recorded in (None, "", tree), f"the record says that its tree is {recorded}"),
            (tree_id(self.entries, self.commit) == tree, "its entries are not what its tree's id says"),
        ):
            if not holds:
                done.differing.append({"path": f"{self.name}: commit {self.commit}", "reason": reason})

    def leave_usable(self) -> None:
        """A clone that a person can work in: line ends as recorded, the remote, no marks of ours."""
        if not os.path.isdir(self.path_in_git("objects")):
            return
        for name in ("info/attributes", "FETCH_HEAD"):
            if os.path.exists(self.path_in_git(name)):
                os.unlink(self.path_in_git(name))
        for line in self.git("for-each-ref", "--format=%(refname)", "refs/footsteps/").decode().split():
            self.git("update-ref", "-d", line)
        for key, value in self.settings().items():
            self.git("config", key, value)

    def settings(self) -> dict[str, str]:
        """What .git/config gets."""
        recorded = mapping(self.row.get("config"))
        autocrlf, eol = text(recorded.get("core.autocrlf")), text(recorded.get("core.eol"))
        wanted = {"core.autocrlf": autocrlf if autocrlf in ("true", "input") else "false"}
        if eol in ("lf", "crlf", "native"):
            wanted["core.eol"] = eol
        url = next(map(self.absolute, urls_of(self.row)), "")
        if url:
            wanted.update({"remote.origin.url": url, "remote.origin.fetch": ALL_BRANCHES[0]})
        return wanted

    def described(self, directory: str) -> dict[str, Any]:
        """A row of Restored.trees."""
        return {
            "name": self.name, "role": self.row.get("role"), "was": self.row.get("path"),
            "directory": directory, "commit": self.commit or None, "source": self.source,
        }  # fmt: skip


# ---------------------------------------------------------------------------------------------
# The record's own files, over the commit's
# ---------------------------------------------------------------------------------------------


class Overlay:
    """What differed from the commit, put into a tree: first what goes, then what comes."""

    def __init__(self, tree: NewTree, done: Restored) -> None:
        self.tree, self.done = tree, done

    def apply(self) -> None:
        """All of it; what this machine's file system can't hold is named as missing."""
        rows = self.tree.row["files"]
        self.refuse_repository_of_files([text(row.get("path")) for row in rows if row["kind"] not in GONE])
        for row in [r for r in rows if r["kind"] in GONE] + [r for r in rows if r["kind"] not in GONE]:
            try:
                self.put(row, self.place(row["path"]))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                self.done.missing.append({"path": f"{self.tree.name}: {row['path']}", "reason": reason})

    def refuse_repository_of_files(self, paths: list[str]) -> None:
        """Files that git would take for a repository, whose configuration names programs, are not laid out."""
        there = {*paths, *(path.decode("utf-8", "surrogateescape") for path in self.tree.entries)}
        folders = {folder_with("HEAD", path) for path in there} & {folder_with("objects", path) for path in there}
        for folder in folders & {folder_with("refs", path) for path in there} - {None}:
            if any(path.startswith(folder or "") for path in paths):
                raise refuse(self.tree.run, f"git would take its files in {folder or './'!r} for a repository")

    def place(self, path: str) -> bytes:
        """Where a recorded path lies, reached through folders only."""
        name = as_bytes(path)
        if link_on(self.tree.folder, name):
            raise refuse(self.tree.run, f"{path!r} would be written through a link")
        return os.path.join(self.tree.folder, name)

    def put(self, row: dict[str, Any], path: bytes) -> None:
        """One row."""
        if row["kind"] in GONE:
            return self.remove(path)
        data = None
        if row["kind"] == "crlf":
            if os.path.islink(path):  # of the commit, to anywhere
                raise OSError(22, "the commit has a link there")
            data = b"".join(blocks_of(path)).replace(b"\n", b"\r\n")
        self.clear(path, row["path"])
        if row["kind"] == "link":
            os.symlink(as_bytes(row["target"]), path)
        elif data is not None:
            write_new(path, [data], executable=row.get("executable") is True)
        else:
            if type(row.get("size")) is not int:
                raise OSError(22, "the record does not say how large its copy is")
            stored = os.path.join(os.fsencode(self.tree.run.record), as_bytes(row["stored"]))
            write_new(path, blocks_of(stored, row.get("size")), executable=row.get("executable") is True)
        return None

    def clear(self, path: bytes, name: str) -> None:
        """Make room for a file: folders above it, nothing at it."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path) and not os.path.islink(path):
            if os.listdir(path):
                raise refuse(self.tree.run, f"{name!r} is to be a file where there is a folder")
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def remove(self, path: bytes) -> None:
        """Remove a file or link, and the folders that are empty then; git has no others."""
        if os.path.isdir(path) and not os.path.islink(path):
            folder = path
        else:
            if os.path.lexists(path):
                os.unlink(path)
            folder = os.path.dirname(path)
        while folder != self.tree.folder and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def folder_with(name: str, path: str) -> str | None:
    """Of a path with a part of that name (as a folder, HEAD as a file), what stands before it; else None."""
    parts = path.lower().split("/")
    at = parts.index(name.lower()) if name.lower() in parts else -1
    fits = at >= 0 and (at == len(parts) - 1) == (name == "HEAD")
    return "".join(part + "/" for part in path.split("/")[:at]) if fits else None


def write_new(path: bytes, blocks: Iterable[bytes], *, executable: bool = False) -> None:
    """Write a file that is not there yet; nothing of it is left where it can't be written whole."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o777 if executable else 0o666), "wb") as file:
        try:
            file.writelines(blocks)
        except OSError:
            os.unlink(path)
            raise


# ---------------------------------------------------------------------------------------------
# The proof
# ---------------------------------------------------------------------------------------------


def compare_trees(trees: list[NewTree], done: Restored, own: str) -> None:
    """Read all that was made, and name what is missing, differs, or should not be there."""
    expected: dict[bytes, Callable[[bytes], str]] = {}
    for tree in trees:
        expected.update(expectations(tree))
        if reason := other_size(tree):
            done.differing.append({"path": tree.name, "reason": reason})
    named = {row["path"] for row in done.missing}
    tops = {tree.folder for tree in trees}
    found = set(restored_files(os.fsencode(own), tops))
    shown = {path: shown_as(path, trees) for path in (*found, *expected)}
    for path in sorted(expected):
        if path not in found:
            if shown[path] not in named:
                done.missing.append({"path": shown[path], "reason": "it was not brought back"})
        elif reason := expected[path](path):
            done.differing.append({"path": shown[path], "reason": reason})
    done.extra += sorted(shown[path] for path in found - set(expected) - left_out_in(trees))


def expectations(tree: NewTree) -> dict[bytes, Callable[[bytes], str]]:
    """For every file of a tree, what tells why it is not as it was, "" if it is."""
    from functools import partial

    if tree.row.get("revision"):
        return {path: lambda _: "" for path in restored_files(tree.folder, {tree.folder})}
    wanted: dict[bytes, Callable[[bytes], str]] = {}
    for path, (mode, name) in tree.entries.items():
        if mode != "160000":
            wanted[path] = partial(blob_differs, mode=mode, name=name)
    for row in tree.row["files"]:
        path = as_bytes(row["path"])
        wanted.pop(path, None)
        if row["kind"] not in GONE:
            wanted[path] = partial(row_differs, row=row)
    for row in tree.row["left_out"]:
        wanted.pop(as_bytes(text(row.get("path"))), None)
    return {os.path.join(tree.folder, path): check for path, check in wanted.items()}


def other_size(tree: NewTree) -> str:
    """Why files that git called clean can't all be as they were, "" if nothing speaks against it."""
    recorded = tree.row.get("clean_bytes")
    if not isinstance(recorded, int):
        return ""
    apart = {as_bytes(text(row.get("path"))) for key in ("files", "left_out") for row in tree.row[key]}
    plain = (path for path, (mode, _) in tree.entries.items() if mode.startswith("100") and path not in apart)
    try:
        size = sum(os.lstat(os.path.join(tree.folder, path)).st_size & 0xFFFFFFFF for path in plain)
    except OSError:  # one is missing, which is told
        return ""
    said = f"the files that git called clean had {recorded} bytes in all, and have {size} here"
    return "" if size == recorded else f"{said}: some had line ends of an eol setting that was switched off"


def left_out_in(trees: list[NewTree]) -> set[bytes]:
    """Files that were left out; of these the commit's version may stand there."""
    return {os.path.join(t.folder, as_bytes(text(row.get("path")))) for t in trees for row in t.row["left_out"]}


def shown_as(path: bytes, trees: list[NewTree]) -> str:
    """A file's name for people: its repository's and its own."""
    tree = max((t for t in trees if path.startswith(t.folder + b"/")), key=lambda t: len(t.folder), default=None)
    base = tree.folder if tree else b"/"
    name = os.path.relpath(path, base).decode("utf-8", "surrogateescape")
    return f"{tree.name}: {name}" if tree else name


def restored_files(folder: bytes, tops: set[bytes]) -> Iterator[bytes]:
    """Every file and link below a folder, git's own aside."""
    for at, folders, names in os.walk(folder):
        if at in tops:
            folders[:] = [name for name in folders if name != b".git"]
        for name in (*names, *(n for n in folders if os.path.islink(os.path.join(at, n)))):
            yield os.path.join(at, name)


def blob_differs(path: bytes, mode: str, name: str) -> str:
    """Why a file is not the commit's, "" if it is."""
    if os.path.islink(path):
        same = mode == "120000" and object_id(b"blob", os.readlink(path), name) == name
        return "" if same else "it is a link, or another one"
    if mode == "120000":
        return "it is no link"
    if os.name == "posix" and bool(os.stat(path).st_mode & 0o100) != (mode == "100755"):
        return "its executable bit"
    return "" if blob_of(path, name) == name else "its bytes"


def row_differs(path: bytes, row: Mapping[str, Any]) -> str:
    """Why a file is not as the record says, "" if it is."""
    if os.path.islink(path) or row["kind"] == "link":
        same = row["kind"] == "link" and os.path.islink(path) and os.readlink(path) == as_bytes(row["target"])
        return "" if same else "it is no link, or another one"
    if os.name == "posix" and bool(os.stat(path).st_mode & 0o100) != (row.get("executable") is True):
        return "its executable bit"
    return "" if sha256_of(path) == row.get("sha256") else "its bytes are not those whose hash was recorded"


def new_hash(like: str) -> Any:
    """A fresh hash of the kind that made an id of this length."""
    import hashlib

    return hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)


def object_id(kind: bytes, data: bytes, like: str) -> str:
    """git's id of an object."""
    digest = new_hash(like)
    digest.update(b"%s %d\0" % (kind, len(data)) + data)
    return str(digest.hexdigest())


def blob_of(path: bytes, like: str) -> str:
    """git's id of a plain file's bytes as they are."""
    digest = new_hash(like)
    digest.update(b"blob %d\0" % os.stat(path).st_size)
    for block in blocks_of(path):
        digest.update(block)
    return str(digest.hexdigest())


def tree_id(entries: Entries, like: str) -> str:
    """git's id of the tree that holds these entries."""
    names: dict[bytes, tuple[str, str]] = {}
    folders: dict[bytes, Entries] = {}
    for path, entry in entries.items():
        first, slash, rest = path.partition(b"/")
        if slash:
            folders.setdefault(first, {})[rest] = entry
        else:
            names[first] = entry
    for name, inner in folders.items():
        names[name] = ("40000", tree_id(inner, like))
    order = sorted(names, key=lambda name: name + b"/" * (names[name][0] == "40000"))
    rows = (names[name][0].encode() + b" " + name + b"\0" + bytes.fromhex(names[name][1]) for name in order)
    return object_id(b"tree", b"".join(rows), like)


# ---------------------------------------------------------------------------------------------
# Older formats
# ---------------------------------------------------------------------------------------------


def apply_older(tree: NewTree, done: Restored) -> None:
    """The recorded patch, file by file where it does not apply as a whole, and LiteTracer's untracked files."""
    patch = tree.run.diff
    if patch.strip() and not applies(tree, patch):
        parts = (b"\n" + patch).split(b"\ndiff --git ")[1:]
        if len(parts) > MAX_PARTS:
            reason = f"it does not apply as a whole, and has more than {MAX_PARTS} parts"
            done.missing.append({"path": "the recorded patch", "reason": reason})
        for part in parts if len(parts) <= MAX_PARTS else ():
            if not applies(tree, b"diff --git " + part + b"\n"):
                name = part.partition(b"\n")[0].decode("utf-8", "surrogateescape")
                done.missing.append({"path": name, "reason": "its recorded changes do not apply"})
    if tree.run.kind == "lite_tracer":
        for path, copy in formats.untracked_in(tree.run.directory):
            try:
                copy_untracked(tree, path, copy)
            except OSError as error:
                done.missing.append({"path": path, "reason": error.strerror or str(error)})


def applies(tree: NewTree, patch: bytes) -> bool:
    """Apply a patch (as git made it, or with diff.noprefix); False, and nothing done, if it can't be."""
    strip = "-p1" if patch.lstrip().startswith(b"diff --git a/") else "-p0"
    try:
        tree.git("apply", "--whitespace=nowarn", strip, "-", stdin=patch.rstrip(b"\n") + b"\n")
    except GitError:
        return False
    return True


def copy_untracked(tree: NewTree, path: str, copy: str) -> None:
    """One of LiteTracer's untracked files."""
    why = why_unsafe(path)
    if why or link_on(tree.folder, os.fsencode(path)):
        raise refuse(tree.run, f"{path!r} {why or 'would be written through a link'}")
    target = os.path.join(tree.folder, os.fsencode(path))
    if not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        write_new(target, blocks_of(os.fsencode(copy)), executable=os.access(copy, os.X_OK))
