"""What differs between two runs, most telling first; and how much two files differ.

    >>> from footsteps.reader import compare, runs
    >>> found = compare.compare(runs.select("unet-2"), runs.select("unet-3"))
    >>> [(each.about, each.name, each.a, each.b) for each in found.differences]
    [('arguments', 'lr', 0.1, 0.01), ('code', 'train.py', 'there', 'changed')]
    >>> print(found.patch.decode())
    diff --git a/train.py b/train.py

The patch is of the two trees as they ran, whole files that a record keeps over those of its
commit; git makes it in a store of its own, so neither run's repository is needed or touched.
"""

from __future__ import annotations

import os

from footsteps.reader.formats import (
    flat,
    mapping,
    objects,
    open_plain_file,
    shell_words,
    text,
    untracked_in,
    what_became_of,
    why_incomplete,
)
from footsteps.reader.measure import LARGEST_COMPARED, measure
from footsteps.reader.repositories import identity_of
from footsteps.recorder.format import TOO_LARGE, FootstepsError
from footsteps.recorder.git import GitError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from typing_extensions import Self

    from footsteps.reader.runs import Run


class Difference:
    """One thing that differs.

    about: a key of GROUPS; name: what it is, within that; a, b: what the one and the
    other run has, JSON-able, None where it has none; note: how much, or why it can't be told.
    """

    __slots__ = ("a", "about", "b", "name", "note")

    def __init__(self, about: str, name: str, a: Any, b: Any, note: str = "") -> None:
        self.about, self.name, self.a, self.b, self.note = about, name, a, b, note

    def __repr__(self) -> str:
        return f"Difference({self.about!r}, {self.name!r}, {self.a!r}, {self.b!r}, {self.note!r})"

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON and tables."""
        return {name: getattr(self, name) for name in ("about", "name", "a", "b", "note")}


class Comparison:
    """Two runs side by side.

    differences: most telling first; patch: from the code of `a` to that of `b`, as git gives it,
    with what binary files hold if `binary`; problems: what could not be compared, one sentence each.
    """

    def __init__(self, a: Run, b: Run, *, binary: bool = True) -> None:
        self.a, self.b, self.binary = a, b, binary
        self.differences: list[Difference] = []
        self.patch = b""
        self.problems: list[str] = []

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        return {
            "a": self.a.name, "b": self.b.name, "differ": bool(self.differences),
            "differences": [each.row() for each in self.differences],
            "patch": self.patch.decode("utf-8", "surrogateescape"), "problems": self.problems,
        }  # fmt: skip


def compare(a: Run, b: Run, sources: Sequence[str] = (), *, binary: bool = True) -> Comparison:
    """All that differs between two runs, with the patch between their codes.

    sources: repositories (paths or URLs) that may have the commits, where those recorded do not.
    binary: whether the patch is to be applied; else, for eyes, it only tells that binary files differ.
    Raises GitError if git is not there.
    """
    found = Comparison(a, b, binary=binary)
    for about, function in GROUPS.items():
        if about == "code":
            compare_code(found, sources)
        else:
            found.differences += [Difference(about, *each) for each in function(a, b)]
    found.problems = list(dict.fromkeys([*found.problems, *not_all_known(a), *not_all_known(b)]))
    return found


def not_all_known(run: Run) -> Iterator[str]:
    """Why files that a run read or made may be in no list, one sentence each."""
    if run.kind == "run" and not run.outcome:
        yield f"{run.name}: no end of it is recorded, so what it read and made may be more than is compared"
    elif run.outcome.get("inputs_complete") is False:
        yield f"{run.name}: {why_incomplete(run.outcome)}"
    if run.kind != "run":
        yield f"{run.name}: its format ({run.kind}) does not record what was read"
    for file in (each for row in run.repositories for each in objects(row.get("edited")) if each.get("executed")):
        yield f"{run.name}: {text(file.get('path'))} was {what_became_of(file)}"


# ---------------------------------------------------------------------------------------------
# Values: each function yields (name, a, b) or (name, a, b, note)
# ---------------------------------------------------------------------------------------------


def arguments(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Parsed arguments, the command if they do not tell all, and how many ranks ran it."""
    parsed = list(unequal(flat(a.arguments), flat(b.arguments)))
    yield from parsed
    if (not parsed or not (a.arguments and b.arguments)) and not (is_rerun(a, b) and same_words(a, b)):
        yield from unequal({"command": a.command}, {"command": b.command})
    yield from unequal(launch(a), launch(b))


def same_words(a: Run, b: Run) -> bool:
    """Whether two commands are the same but for where the program lies."""
    left, right = ([str(word) for word in argv] if isinstance(argv, list) else [] for argv in argvs(a, b))
    programs = [os.path.basename(words[0]) for words in (left, right) if words]
    return len(set(programs)) == 1 and left[1:] == right[1:]


def argvs(*runs: Run) -> list[object]:
    """What each run was called with."""
    return [run.facts.get("argv") for run in runs]


def launch(run: Run) -> dict[str, Any]:
    """How many ranks ran, if a launcher started them."""
    process = mapping(run.facts.get("process"))
    return {"world size": process["world_size"]} if process.get("world_size") else {}


def code(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """The commits; what differed from them takes a look into the trees (`compare_code`)."""
    yield from unequal(commits(a), commits(b))


def commits(run: Run) -> dict[str, Any]:
    """Commit by repository; `commit` alone is the one of the working directory."""
    listed = [(text(r.get("name")), r.get("commit")) for r in run.repositories]
    return {"commit" if n == "main" else f"{n}: commit": c for n, c in listed if c}


def packages(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Versions, with the commit of those installed out of a repository."""
    left, right = versions(a), versions(b)
    for name, x, y in unequal_known(left, right):
        if name not in INSTALLERS or (x and y):  # an environment made by uv has none
            yield name, x, y


INSTALLERS = ("pip", "setuptools", "wheel", "uv")


def versions(run: Run) -> dict[str, str]:
    """Version by name in lower case with dashes; `1.0 @1a2b3c4d` if it came from a commit."""
    found = {}
    for package in objects(run.facts.get("packages")):
        name = text(package.get("name")).lower().replace("_", "-").replace(".", "-")
        vcs = mapping(mapping(package.get("direct_url")).get("vcs_info"))
        commit = text(vcs.get("commit_id"))[:12]
        found[name] = text(package.get("version")) + (f" @{commit}" if commit else "")
    return found


def python(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Version and implementation; where it was installed is no difference."""
    yield from unequal_known(*(chosen_values(run.facts.get("python"), "version", "implementation") for run in (a, b)))


def machine(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Host, system and hardware."""
    yield from unequal_known(recorded_machine(a), recorded_machine(b))


def recorded_machine(run: Run) -> dict[str, Any]:
    """What is known of the machine that a run had."""
    return {
        **chosen_values(run.facts, "host"),
        **chosen_values(run.facts.get("platform"), "system", "release", "machine", "version"),
        **chosen_values(run.facts.get("hardware"), "cpu", "cores", "usable_cores", "memory", "gpus", "gpu_driver"),
    }


OF_ONE_LAUNCH = (
    "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_ARRAY_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "VIRTUAL_ENV",
    "RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK",  # of the one that made the directory
)  # fmt: skip


def environment(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Recorded environment variables, without those that every launch has of its own."""
    again = is_rerun(a, b)
    kept = [
        {
            name: value
            for name, value in mapping(run.facts.get("environment")).items()
            if name not in OF_ONE_LAUNCH and not (again and name.startswith(NOT_REPEATED))
        }
        for run in (a, b)
    ]
    yield from unequal_known(*kept)


NOT_REPEATED = ("PYTHONPATH", "OMPI_", "PMI_", "PMIX_")  # where the code is now, and how a launcher was told


def is_rerun(a: Run, b: Run) -> bool:
    """Whether one of the runs repeats the other."""
    return any(row.get("id") == old.id for old, new in ((a, b), (b, a)) if old.id for row in new.parents)


def recorded(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """What the program recorded, and how it ended."""
    yield from unequal(ending(a), ending(b))
    yield from unequal(flat(a.recorded), flat(b.recorded))
    series = b.all_series
    for name, left in a.all_series.items():
        right = series.get(name, left[-1:])
        if left[-1:] == right[-1:] and repr(left) != repr(right):  # which the last value does not tell
            yield name, f"{len(left)} steps", f"{len(right)} steps", "the same last value, others before it"


def ending(run: Run) -> dict[str, Any]:
    """The status, with the exit status and the exception where there were some."""
    raised = mapping(run.outcome.get("exception"))
    exception = f"{text(raised.get('type'))}: {text(raised.get('message'))}" if raised else None
    return {"status": run.status, "exit status": run.outcome.get("exit_status"), "exception": exception}


def chosen_values(values: object, *names: str) -> dict[str, Any]:
    """The named values of an object, those that are there and say something."""
    known = mapping(values)
    return {name: known[name] for name in names if known.get(name) not in (None, "", [])}


def unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The names under which two objects do not hold the same, in the order of the first."""
    for name in dict.fromkeys([*a, *b]):
        if not same_value(a.get(name), b.get(name)):
            yield name, a.get(name), b.get(name)


def unequal_known(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The same, but nothing where one of them says nothing at all: older formats recorded less."""
    if a and b:
        yield from unequal(a, b)


def same_value(a: Any, b: Any) -> bool:
    """Whether two recorded values are the same; older formats know all values as text."""
    if isinstance(a, bool) is not isinstance(b, bool) and not isinstance(a, str) and not isinstance(b, str):
        return False
    if isinstance(a, str) is not isinstance(b, str) and a is not None and b is not None:
        return str(a) == str(b)
    return bool(a == b) or repr(a) == repr(b)  # nan is not nan


# ---------------------------------------------------------------------------------------------
# Files: inputs and artifacts
# ---------------------------------------------------------------------------------------------


def inputs(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Files that were read: only by one, or with other bytes."""
    if all(run.kind == "run" for run in (a, b)):  # no other kind notes what is read
        yield from unequal_files(recorded_inputs(a), recorded_inputs(b))


def recorded_inputs(run: Run) -> dict[str, dict[str, Any]]:
    """The files that a run read, by their path in the project where they lie in it."""
    files = [entry for entry in run.inputs if text(entry.get("path"))]
    return {in_project(run, text(entry["path"])): entry for entry in files}


def in_project(run: Run, path: str) -> str:
    """The path below the working directory's repository, or, of a file elsewhere, whole."""
    top = os.path.join(text(run.repository.get("path")) or text(run.facts.get("cwd")) or os.sep, "")
    return path[len(top) :] if len(top) > 1 and path.startswith(top) else path


def artifacts(a: Run, b: Run) -> Iterator[tuple[Any, ...]]:
    """Files that were made: only by one, or with other content; and how much it differs."""
    left, right = recorded_artifacts(a), recorded_artifacts(b)
    for name, old, new, note in unequal_files(left, right):
        paths = [present(run, files.get(name)) for run, files in ((a, left), (b, right))]
        if not all(paths):
            yield name, old, new, note
            continue
        seen = measure(*paths)
        if seen["verdict"] not in ("identical", "same"):
            yield name, old, new, seen["note"]


def recorded_artifacts(run: Run) -> dict[str, dict[str, Any]]:
    """What a run made, by path: its manifest, or, where it left none, what lies there now.

    Of several ranks the one that made the directory may have ended, and listed it, before the others had saved.
    """
    manifest = {text(entry["path"]): entry for entry in run.artifacts} if "artifacts" in run.outcome else None
    if manifest is not None and mapping(run.facts.get("process")).get("rank") is None:
        return manifest
    there = {
        path: {"path": path, "size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": None}
        for path, found in run.files()
        if not is_of_record(run, path)
    }
    return {**there, **(manifest or {})}


def is_of_record(run: Run, path: str) -> bool:
    """Whether a file in a run's directory was put there by the recorder, in whatever format."""
    if run.kind in ("arguments", "lite_tracer"):
        own_settings = path.startswith("settings_LT_") and path.endswith(".txt")
        return path == "diff.patch" or path.startswith("untracked/") or own_settings
    stored = text(mapping(run.facts.get("script")).get("stored"))
    if run.kind == "footsteps 0.1":
        stored = os.path.basename(next(iter(shell_words(run.command)), ""))
    return path in ("info.txt", "package_versions.txt", stored)


def present(run: Run, entry: Mapping[str, Any] | None) -> str:
    """Where an artifact lies if it is there, in the run's directory; "" if not."""
    path = path_inside(run.directory, text((entry or {}).get("path")))
    return path if path and os.path.isfile(path) else ""


def path_inside(top: str, name: str) -> str:
    """The path of a recorded name below a directory, "" if it leads out or through a link."""
    if not name or os.path.isabs(name) or os.path.splitdrive(name)[0]:
        return ""
    real = os.path.realpath(top)
    try:
        path = os.path.realpath(os.path.join(real, *name.split("/")))
    except ValueError:  # NUL, or half a character: no file's name
        return ""
    return path if path.startswith(real.rstrip(os.sep) + os.sep) else ""


def unequal_files(
    a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Any, Any, str]]:
    """Recorded files that are only in one, differ, or can't be told apart by what was recorded."""
    for name in dict.fromkeys([*a, *b]):
        left, right = a.get(name), b.get(name)
        if left is None or right is None:
            only = "only in the first" if right is None else "only in the second"
            yield name, shown_file(left), shown_file(right), only
        elif same_file(left, right) is False:
            yield name, shown_file(left), shown_file(right), "other content"
        elif same_file(left, right) is None:
            yield name, shown_file(left), shown_file(right), "of the same size, not compared: no hash"


def same_file(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool | None:
    """Whether two recorded files had the same content; None if the records can't tell."""
    if a.get("target") is not None or b.get("target") is not None:
        return bool(a.get("target") == b.get("target"))
    if a.get("size") != b.get("size"):
        return False
    if a.get("sha256") and b.get("sha256"):
        return bool(a["sha256"] == b["sha256"])
    if a.get("path") == b.get("path") and os.path.isabs(text(a.get("path"))):
        return True if a.get("mtime_ns") == b.get("mtime_ns") else None
    return None


def shown_file(entry: Mapping[str, Any] | None) -> str | None:
    """A recorded file as a word: the beginning of its hash, its link target, or its size."""
    if entry is None:
        return None
    known = text(entry.get("sha256"))[:12] or text(entry.get("target"))
    return known or f"{entry.get('size')} bytes"


# Most telling first; the order in which they are shown.
GROUPS: dict[str, Callable[[Run, Run], Iterator[tuple[Any, ...]]]] = {
    "arguments": arguments,
    "code": code,
    "packages": packages,
    "python": python,
    "machine": machine,
    "environment": environment,
    "inputs": inputs,
    "artifacts": artifacts,
    "recorded": recorded,
}


# ---------------------------------------------------------------------------------------------
# The code: two trees in a store of git's, and the patch between them
# ---------------------------------------------------------------------------------------------


PLAIN_GIT = {  # what the user's configuration says of diffs is not for us
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
PATCH_OPTIONS = ("--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--submodule=short")


def compare_code(found: Comparison, sources: Sequence[str]) -> None:
    """Add to a comparison what differs in the code, and the patch."""
    a, b = found.a, found.b
    found.differences += [Difference("code", *each) for each in code(a, b)]
    if a.code_id and a.code_id == b.code_id and identity_of(a.facts) == identity_of(b.facts):
        return
    left, right = (states(run, sources, found.problems) for run in (a, b))
    with Store() as store:
        for name in dict.fromkeys([*left, *right]):
            if name not in left or name not in right:
                before, after = repository_place(left.get(name)), repository_place(right.get(name))
                found.differences.append(Difference("code", f"{name}: repository", before, after))
            elif not same_code(left[name], right[name]):
                compare_repository(found, store, name, left[name], right[name])


class State:
    """One repository as a run had it: its row in the record, and where else its commit may be.

    trusted: False for a record that restore refuses; then no commit is looked for.
    """

    def __init__(self, run: Run, row: dict[str, Any], sources: Sequence[str], *, trusted: bool = True) -> None:
        self.run, self.row, self.sources, self.trusted = run, row, sources, trusted
        self.commit = text(row.get("commit")) or text(row.get("revision"))

    @property
    def exact(self) -> bool:
        """Whether the record keeps whole files; those of older formats keep a patch."""
        return self.run.kind in ("run", "arguments")


def states(run: Run, sources: Sequence[str], problems: list[str]) -> dict[str, State]:
    """The repositories of a run by name, as restore would bring them; of a record that it refuses, the files alone."""
    from footsteps.reader.repositories import Repositories

    try:
        plan = Repositories(run, sources)
    except FootstepsError as error:
        problems.append(error.message)
        return {text(row.get("name")): State(run, row, [], trusted=False) for row in run.repositories}
    return {text(row.get("name")): State(run, row, plan.sources_for(row)) for row in plan.rows}


def repository_place(state: State | None) -> str | None:
    """Where a repository was, None if there was none."""
    return text(state.row.get("path")) if state else None


def same_code(a: State, b: State) -> bool:
    """Whether the records alone tell that two repositories held the same code."""
    if not (a.exact and b.exact):
        return False
    return a.commit == b.commit and kept_files(a.row) == kept_files(b.row)


def kept_files(repository: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the commit, by path: what it is there."""
    keys = ("kind", "executable", "sha256", "target")
    listed = objects(repository.get("files"))
    return {text(f.get("path")): [f.get(key) for key in keys] for f in listed if f.get("kind") != "crlf"}


def compare_repository(found: Comparison, store: Store, name: str, a: State, b: State) -> None:
    """Add the patch between two states of one repository, and the files in it that differ."""
    (old, new), problems = store.trees(a, b)
    found.problems += [f"{name}: {problem}" for problem in [*problems, *left_out(a), *left_out(b)]]
    prefix = "" if name == "main" else f"{name}/"
    for letter, path in store.changes(old, new):
        words = LETTERS.get(letter[:1], ("there", "changed"))
        found.differences.append(Difference("code", prefix + path, *words))
    found.patch += store.patch(old, new, prefix, *(["--binary"] if found.binary else []))


LETTERS = {"A": (None, "added"), "D": ("there", None), "T": ("there", "of another kind")}


def left_out(state: State) -> Iterator[str]:
    """What a record does not hold, and so can't be compared."""
    for row in objects(state.row.get("left_out")):
        yield f"{text(row.get('path'))} was left out of {state.run.name}: {text(row.get('reason'))}"


class Store:
    """A bare repository of our own in a temporary folder, gone when the block ends.

    It borrows the objects of clones that are here, and of what restore fetches from elsewhere.
    """

    def __init__(self) -> None:
        self.at = ""
        self.count = 0

    def __enter__(self) -> Self:
        import tempfile

        self.folder = tempfile.TemporaryDirectory(prefix="footsteps-")
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def git(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        """The output of git in the store."""
        from footsteps.reader.commits import MOST_PRINTED
        from footsteps.recorder.git import git

        return git(*args, cwd=self.at, stdin=stdin, env={**PLAIN_GIT, **(env or {})}, most=MOST_PRINTED)

    def begin(self, row: Mapping[str, Any]) -> None:
        """Make the store for this kind of object ids, if it is not there yet."""
        from footsteps.recorder.git import git

        ids = "sha256" if row.get("object_format") == "sha256" else "sha1"
        self.at = os.path.join(self.folder.name, ids)
        if not os.path.isdir(self.at):
            git("init", "--quiet", "--bare", f"--object-format={ids}", "--template=", self.at, cwd=self.folder.name)

    def trees(self, a: State, b: State) -> tuple[tuple[str, str], list[str]]:
        """The ids of the trees of two states, and what keeps them from being whole.

        Where the commit of one can't be had, the kept files of both are all that is compared.
        """
        self.begin(a.row)
        problems: list[str] = []
        left, right = self.base(a, problems), self.base(b, problems)
        if any(state.commit and not base for state, base in ((a, left), (b, right))):
            left = right = ""
            problems.append("only the files that differed from the commits are compared")
        return (self.tree(a, left, problems), self.tree(b, right, problems)), problems

    def base(self, state: State, problems: list[str]) -> str:
        """The tree of the commit, its objects brought here if need be; "" without one."""
        if not state.commit or not state.trusted:
            return ""
        try:
            return self.borrowed(state) or self.fetched(state)
        except FootstepsError as error:
            problems.append(error.message)
            return ""

    def borrowed(self, state: State) -> str:
        """The tree of the commit out of a clone on this machine, nothing copied; "" if none has it."""
        from footsteps.reader.commits import clones_of

        for clone in (*clones_of(state.row), *filter(os.path.isdir, state.sources)):
            try:
                self.borrow(clone)
                return self.tree_of(state.commit)
            except (GitError, OSError):
                continue
        return ""

    def fetched(self, state: State) -> str:
        """The tree of the commit, brought by restore from the remote or the record's bundle.

        Raises FootstepsError if it is nowhere to be had.
        """
        from footsteps.reader.commits import CommitFetcher

        self.count += 1
        folder = os.path.join(self.folder.name, f"fetched-{self.count}")
        os.mkdir(folder)
        fetcher = CommitFetcher(state.run, state.row, os.fsencode(folder), list(state.sources))
        fetcher.begin()
        fetcher.brought(lambda _: None, clones=True)
        self.borrow(folder)
        return self.tree_of(fetcher.commit)

    def borrow(self, clone: str) -> None:
        """Let the store use the objects of a repository that lies here."""
        from footsteps.reader.commits import require_sound
        from footsteps.recorder.git import git

        require_sound(clone)

        found = os.fsdecode(git("rev-parse", "--git-common-dir", cwd=clone)).rstrip("\n")
        objects_at = os.path.join(os.path.realpath(os.path.join(clone, found)), "objects")
        with open(os.path.join(self.at, "objects", "info", "alternates"), "ab") as file:
            file.write(alternate(objects_at))

    def tree_of(self, revision: str) -> str:
        """The id of a commit's tree. Raises GitError if it is not here."""
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
        return self.git(*asked).decode().strip()

    def tree(self, state: State, base: str, problems: list[str]) -> str:
        """The id of the tree as it ran: the commit's with what differed from it."""
        if base and not state.exact:
            base = self.patched(base, state.run.diff, problems)
        self.count += 1
        ref = f"refs/footsteps/{self.count}"
        head = f"feature done\ncommit {ref}\ncommitter footsteps <> 0 +0000\ndata 0\n"
        head += f'M 040000 {base} ""\n' if base else ""
        rest = b"".join(overlay(state, problems))
        self.git("fast-import", "--quiet", stdin=head.encode() + rest + b"done\n")
        return self.tree_of(ref)

    def patched(self, base: str, patch: bytes, problems: list[str]) -> str:
        """A tree with a patch of an older format applied to it."""
        index = {"GIT_INDEX_FILE": os.path.join(self.at, "patched.index")}
        self.git("read-tree", base, env=index)
        try:
            if patch.strip():
                self.git("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch, env=index)
        except GitError as error:
            problems.append(f"the recorded patch does not apply: {error.stderr}")
        return self.git("write-tree", env=index).decode().strip()

    def changes(self, a: str, b: str) -> list[tuple[str, str]]:
        """The letter of each change between two trees, with the path."""
        out = self.git("diff", "--name-status", "-z", "--no-renames", a, b)
        words = out.decode("utf-8", "surrogateescape").split("\0")
        return list(zip(words[::2], words[1::2], strict=False))

    def patch(self, a: str, b: str, prefix: str, *options: str) -> bytes:
        """The patch between two trees."""
        return self.git("diff", *PATCH_OPTIONS, *options, f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}", a, b)


def alternate(path: str) -> bytes:
    """A line of objects/info/alternates, quoted as git's C strings are."""
    data = os.fsencode(path)
    plain = path.isprintable() and not path.startswith(('"', "#"))
    return (data if plain else b'"' + b"".join(b"\\%03o" % byte for byte in data) + b'"') + b"\n"


def overlay(state: State, problems: list[str]) -> Iterator[bytes]:
    """What differed from the commit as commands of git fast-import: what is gone, then what is there.

    Bytes that are no longer what the record says are left as the commit has them, and told.
    """
    listed = [row for row in objects(state.row.get("files")) if is_path(text(row.get("path")))]
    for row in listed:
        if row.get("kind") in ("deleted", "absent"):
            yield b"D " + quoted(text(row["path"])) + b"\n"
    for row in listed:
        data = content(state.run, row)
        if data is not None:
            mode = "120000" if row.get("kind") == "link" else "100755" if row.get("executable") else "100644"
            yield modified(mode, text(row["path"]), data)
        elif row.get("kind") in ("file", "link"):
            problems.append(f"{text(row['path'])}: its copy in {state.run.name} is gone or not as it was")
    if state.run.kind == "lite_tracer":
        yield from untracked_of(state.run, problems)


def modified(mode: str, path: str, data: bytes) -> bytes:
    """The command of git fast-import that puts a file into the tree."""
    return b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), quoted(path), len(data), data)


def content(run: Run, row: Mapping[str, Any]) -> bytes | None:
    """The bytes that a record keeps of a file, or a link's target; None if they are not as recorded."""
    import hashlib

    if row.get("kind") == "link":
        return text(row.get("target")).encode("utf-8", "surrogateescape")
    path = path_inside(run.record, text(row.get("stored"))) if row.get("kind") == "file" else ""
    try:
        data = copy_of(path)
    except (OSError, ValueError):
        return None
    return data if hashlib.sha256(data).hexdigest() == row.get("sha256") else None


def copy_of(path: str) -> bytes:
    """The bytes of a copy that a record keeps. Raises OSError: it is no plain file, or too large to be compared."""
    with open_plain_file(path) as file:
        data = bytes(file.read(LARGEST_COMPARED + 1))
    if len(data) > LARGEST_COMPARED:
        raise OSError(TOO_LARGE, f"larger than {LARGEST_COMPARED >> 20} MiB")
    return data


def untracked_of(run: Run, problems: list[str]) -> Iterator[bytes]:
    """LiteTracer's copies of untracked files, as commands of git fast-import; those that can't be read are told."""
    for path, copy in untracked_in(run.directory):
        try:
            yield modified("100644", path, copy_of(copy))
        except OSError as error:
            problems.append(f"{path}: its copy in {run.name} was not compared: {error.strerror}")


def is_path(path: str) -> bool:
    """Whether git takes it for a path in a tree."""
    parts = path.split("/")
    return "\0" not in path and all(p not in ("", ".", "..") and p.lower() != ".git" for p in parts)


def quoted(path: str) -> bytes:
    """A path as git fast-import reads it."""
    data = path.encode("utf-8", "surrogateescape")
    plain = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + plain + b'"'
