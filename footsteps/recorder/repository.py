"""One repository as it is found: its commit, and the files that differ from it, on their way into the record."""

from __future__ import annotations

import os

from footsteps.recorder.format import (
    BUNDLE,
    CODE,
    INFO,
    MIB,
    RECORD,
    RUN_JSON,
    bytes_of,
    decoded,
    encoded,
    hasher,
    is_bytecode,
    pieces_of,
    remove,
    seconds_left,
    sha256,
    text_of,
    working_directory,
)
from footsteps.recorder.git import (
    GIT_TIMEOUT,
    OFFLINE,
    GitError,
    GitProcess,
    alternates_line,
    common_dir_of,
    config_of,
    default_branch_refs,
    git_dir_of,
    has_refs,
    may_have_tags,
    read_ref,
    remotes_listed,
    remotes_of,
    repository_root,
    start_git,
)
from footsteps.recorder.git_index import GitIndex, OddIndex
from footsteps.recorder.secrets import looks_secret, why_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from footsteps.recorder.git_index import Entry


MAX_FILE = 10 * MIB  # a changed or untracked file above this is listed, not kept


MAX_DATA = 2 * MIB  # the same of a file that git does not know, if its name says that it is data
DATA_ENDINGS = (
    ".arrow", ".bin", ".bmp", ".bz2", ".ckpt", ".csv", ".dat", ".db", ".feather", ".gif", ".gz", ".h5", ".hdf5",
    ".jpeg", ".jpg", ".json", ".jsonl", ".mat", ".mp3", ".mp4", ".nc", ".nii", ".npy", ".npz", ".onnx", ".parquet",
    ".pickle", ".pkl", ".png", ".pt", ".pth", ".safetensors", ".sqlite", ".tar", ".tif", ".tiff", ".tsv", ".wav", ".xz",
    ".zip", ".zst",
)  # fmt: skip


MAX_TOTAL = 100 * MIB  # and so is what comes after this much


MAX_FILES = 5_000


MAX_SECRET = 1 * MIB  # what is left out enters the code id by its hash up to this size, by its size above


MAX_DIFF = 1 * MIB  # the diff shown in info.txt; the files themselves are in .footsteps/code


def _commit_url(remote: str, commit: str) -> str | None:
    """The page of a commit on the forge that the remote is, None if it is none that we know."""
    text = remote.partition("://")[2] if "://" in remote else remote.replace(":", "/", 1)
    host, _, path = text.rpartition("@")[2].partition("/")
    host, path = host.partition(":")[0].lower(), path.strip("/").removesuffix(".git")
    if not path or not all(c.isalnum() or c in "-._~/" for c in host + path):
        return None
    if "gitlab" in host:
        return f"https://{host}/{path}/-/commit/{commit}"
    if host == "bitbucket.org":
        return f"https://{host}/{path}/commits/{commit}"
    if host == "github.com" or host.startswith(("github.", "gitea.", "forgejo.")) or host == "codeberg.org":
        return f"https://{host}/{path}/commit/{commit}"
    if host == "git.sr.ht":
        return f"https://{host}/{path}/commit/{commit}"
    return None


class Budget:
    """How much may still be kept, over all repositories of a record."""

    def __init__(self) -> None:
        self.bytes, self.files = MAX_TOTAL, MAX_FILES
        self.streams = _files_of_streams()

    def refusal(self, path: str, size: int, data: bytes | None, *, known: bool) -> str:
        """Why a file of this name, size and content is not kept; "" if it is (and then it counts). known: to git."""
        if why := why_secret(path, data):
            return why
        if not known and size > MAX_DATA and path.lower().endswith(DATA_ENDINGS):
            return f"data larger than {MAX_DATA // MIB} MiB"
        if size > MAX_FILE:
            return f"larger than {MAX_FILE // MIB} MiB"
        if size > self.bytes:
            return f"more than {MAX_TOTAL // MIB} MiB in all"
        if not self.files:
            return f"more than {MAX_FILES} files"
        self.bytes -= size
        self.files -= 1
        return ""


def _files_of_streams() -> set[tuple[int, int]]:
    """Device and inode of the files that a shell has this program's stdout and stderr go to."""
    found = set()
    for descriptor in (1, 2):
        try:
            status = os.fstat(descriptor)
        except OSError:
            continue
        if status.st_mode & 0o170000 == 0o100000:
            found.add((status.st_dev, status.st_ino))
    return found


class TreeCapture:
    """Files below one folder on their way into the record; the part that needs no git."""

    def __init__(self, root: str, role: str, name: str, inside: dict[str, str] | None, budget: Budget) -> None:
        self.root, self.role, self.name, self.inside, self.budget = root, role, name, inside, budget
        self.real = os.path.join(os.path.realpath(root), "")
        self.files: list[dict[str, Any]] = []
        self.left_out: list[dict[str, Any]] = []
        self.not_kept: set[str] = set()  # the paths of left_out, which `group_left_out` shortens
        self.problems: list[str] = []
        self.kept: list[tuple[str, bytes]] = []  # (stored name, bytes), written by Code.keep
        self.identity: list[str] = []  # what enters the code id
        self.facts: dict[str, Any] = {}

    def add_if_changed(
        self, path: bytes, state: str, head: tuple[int, bytes] | None = None, gone: bool = False
    ) -> None:
        """Note what lies at ``path`` if it is not what the commit (``head``: mode, blob id) has there."""
        full = os.path.join(os.fsencode(self.root), path)
        try:
            found = None if gone else os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError as error:
            self.leave_out(path, 0, f"unreadable: {error.strerror}")
            return
        if found is not None and (found.st_dev, found.st_ino) in self.budget.streams:
            return  # the program's own log
        if found is None or (found.st_mode & 0o170000) == 0o040000:
            if head is not None:
                self.note(path, state, "absent" if state == "hidden" else "deleted")
        elif (found.st_mode & 0o170000) == 0o120000:
            self.add_link(path, state, head, full)
        elif (found.st_mode & 0o170000) == 0o100000:
            self.add_file(path, state, head, full, found)
        else:
            self.leave_out(path, 0, "not a plain file")

    def add_link(self, path: bytes, state: str, head: tuple[int, bytes] | None, full: bytes) -> None:
        """A link is its target; it is never followed."""
        target = os.readlink(full)
        if head is None or head[0] != 0o120000 or self.blob_id(target) != head[1]:
            self.note(path, state, "link", target=decoded(target))

    def add_file(
        self, path: bytes, state: str, head: tuple[int, bytes] | None, full: bytes, found: os.stat_result
    ) -> None:
        """A plain file: kept whole, unless it is the commit's after all."""
        size, name = found.st_size, decoded(path)
        executable = bool(found.st_mode & 0o100) if os.name == "posix" else bool(head and head[0] == 0o100755)
        try:
            if head is not None and self.is_blob(full, size, head[1]) and head[0] == _file_mode(executable):
                return
            if state == "converted" and head is not None and size <= MAX_FILE:
                data = bytes_of(full)
                if self.is_crlf_of(data, head[1]):
                    self.note(path, state, "crlf", executable=executable, size=size, sha256=sha256(data))
                    return
            found_data = bytes_of(full) if size <= MAX_FILE else None
            refusal = self.budget.refusal(name, size, found_data, known=state != "untracked")
            if refusal or found_data is None:
                self.leave_out(path, size, refusal, found_data if size <= MAX_SECRET else None)
                return
            data = found_data
        except FileNotFoundError:  # since the look at it: Python's bytecode in the making, another program's file
            self.add_if_changed(path, state, head, gone=True)
            return
        except OSError as error:
            self.leave_out(path, size, f"unreadable: {error.strerror}")
            return
        stored = stored_name(self.name, name)
        self.kept.append((stored, data))
        self.note(path, state, "file", executable=executable, size=len(data), sha256=sha256(data), stored=stored)

    def is_blob(self, full: bytes, size: int, blob: bytes) -> bool:
        """Whether the file's bytes are that blob's; read in pieces, as it may be of any size."""
        digest = self.new_hash(b"blob %d\0" % size)
        for piece in pieces_of(full):
            digest.update(piece)
        return bool(digest.digest() == blob)

    def is_crlf_of(self, data: bytes, blob: bytes) -> bool:
        """Whether these bytes are the blob with CRLF at its line ends."""
        plain = data.replace(b"\r\n", b"\n")
        return self.blob_id(plain) == blob and plain.replace(b"\n", b"\r\n") == data

    def blob_id(self, data: bytes) -> bytes:
        """Git's id of a blob of these bytes, as raw bytes."""
        blob: bytes = self.new_hash(b"blob %d\0" % len(data) + data).digest()
        return blob

    def new_hash(self, start: bytes) -> Any:
        """The hash that names this repository's objects."""
        return hasher("sha256" if self.facts.get("object_format") == "sha256" else "sha1")(start)

    def note(self, path: bytes, state: str, kind: str, **facts: Any) -> None:
        """A row of ``files``, and a line of the code id."""
        name = decoded(path)
        self.files.append({"path": name, "state": state, "kind": kind, **facts})
        what = facts.get("sha256") or facts.get("target") or ""
        if not is_bytecode(name):
            self.identity.append(f"{name}\0{kind}\0{int(bool(facts.get('executable')))}\0{what}")

    def leave_out(self, path: bytes, size: int, reason: str, data: bytes | None = None) -> None:
        """A row of ``left_out``; enters the code id by its hash if it was read, else by its size."""
        name = decoded(path)
        self.left_out.append({"path": name, "size": size, "reason": reason})
        self.not_kept.add(name)
        self.identity.append(f"{name}\0left out\0{sha256(data) if data is not None else size}")

    def give_up(self, stored: str, error: OSError) -> None:
        """A copy that could not be written: its row moves to those left out."""
        row = next(row for row in self.files if row.get("stored") == stored)
        self.files.remove(row)
        reason = f"the copy can't be written: {error.strerror}"
        self.left_out.append({"path": row["path"], "size": row["size"], "reason": reason})

    def described(self) -> dict[str, Any]:
        """This repository's row in run.json."""
        return {
            "name": self.name, "role": self.role, "path": decoded(os.fsencode(self.root)), "inside": self.inside,
            "commit": None, "tree": None, "describe": None, "branch": None, "object_format": "sha1", "remotes": [],
            "remote": None, "commit_url": None, "pushed": None, "bundle": None, "config": {}, "converted": False,
            "clean_bytes": None, "untracked_shown": True, **self.facts,
            "files": self.files, "left_out": self.left_out, "problems": self.problems,
        }  # fmt: skip


class Repository(TreeCapture):
    """One repository: git starts to look at it when this is made, and is collected later."""

    def __init__(self, root: str, role: str, name: str, inside: dict[str, str] | None, budget: Budget) -> None:
        super().__init__(root, role, name, inside, budget)
        self.git_dir = git_dir_of(root)
        self.common = common_dir_of(self.git_dir)
        self.config = config_of(os.path.join(self.common, "config"))
        self.config_text: str | None = None  # of all config files, once one of them was asked for
        self.facts["object_format"] = dict(self.config).get("extensions.objectformat", "sha1")
        self.here = _settings_for_here(self.common, dict(self.config))
        self.tracked: set[bytes] = set()
        self.nested: list[tuple[str, bytes]] = []  # (role, path) of repositories within
        self.changed: list[bytes] = []
        self.submodules: list[bytes] = []  # those that are there; the patch tells which are at another commit
        self.patch: _Patch | None = None
        self.untracked: list[bytes] = []
        self.started: list[GitProcess] = []
        self.has_own_log = False  # one of its files is where the program's stdout goes
        self.symlink_parents: dict[bytes, bool] = {}  # folder -> whether it, or one above it, is a link
        self.scratch = ""
        self.facts["untracked_shown"] = _shows_untracked(self.config)
        shown = () if self.facts["untracked_shown"] else ("--untracked-files=no",)
        try:
            self.started.append(self.start("status", *_STATUS, *shown))
            self.started.append(self.start("log", *_LOG, f"--format={self.head_format()}", "HEAD"))
        except GitError as error:
            self.problems.append(error.message)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> GitProcess:
        """Git on this repository, without the network."""
        objects = os.path.abspath(os.path.join(self.common, "objects"))
        elsewhere = {
            "GIT_OBJECT_DIRECTORY": self.scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_line(objects).rstrip("\n"),
        }
        more = {**(elsewhere if self.scratch else {}), **(env or {})}
        return start_git(*self.here, *args, cwd=self.root, env={**OFFLINE, **more})

    def blob_in_commit(self, path: str) -> bytes | None:
        """The id of what the recorded commit has at a path; None if it has nothing there. Raises GitError."""
        if not self.facts.get("commit"):
            return None
        out = self.start("ls-tree", "-z", "--full-tree", self.facts["commit"], "--", path).result(GIT_TIMEOUT)
        words = out.partition(b"\t")[0].split()
        return bytes.fromhex(words[2].decode()) if len(words) == 3 and words[1] == b"blob" else None

    def head_format(self) -> str:
        """What git log shall tell of the commit."""
        return "%H%x00%T%x00%h%x00" + ("%(describe)" if may_have_tags(self.common) else "")

    def collect(
        self, deadline: float, skipped: Callable[[bytes], bool], first: Callable[[], object], *, patch: bool
    ) -> bool:
        """Read what git says, and have it make the patch; False (and a problem) if it would not answer.

        skipped: whether an untracked path is no code; first: adds what is to be kept before untracked files.
        """
        try:
            return self.collected(deadline, skipped, first, patch=patch)
        finally:
            if self.scratch and self.patch is None:
                remove(self.scratch)

    def collected(
        self, deadline: float, skipped: Callable[[bytes], bool], first: Callable[[], object], *, patch: bool
    ) -> bool:
        """What `collect` does, while the scratch folder is there."""
        try:
            index = self.index(deadline)  # read while git is at work
            status, head = self.started
            rows = _status_rows(status.result(seconds_left(deadline)) + self.in_bare_submodules(index.odd, deadline))
            self.note_head(rows, head, deadline)
        except (GitError, ValueError) as error:
            for process in self.started:
                process.kill()
            self.note_head_from_files()
            if not self.problems:
                self.problems.append(f"{self.root}: {error}")
            return False
        self.note_closed_folders(status.warnings)
        self.add_changed_rows(rows, skipped)
        if patch:
            self.begin_patch(deadline)  # git is at work on it while we read on
        self.add_untracked(first)
        self.add_unseen(rows, index, deadline)
        return True

    def index(self, deadline: float) -> GitIndex:
        """The index: tracked paths, submodules, and the files that git does not look at."""
        try:
            length = 32 if self.facts["object_format"] == "sha256" else 20
            found = GitIndex.of(os.path.join(self.git_dir, "index"), length)
        except (OddIndex, OSError):
            import tempfile

            self.scratch = tempfile.mkdtemp(prefix="footsteps-")  # git expands a sparse index with new tree objects
            found = GitIndex.listed(self.start("ls-files", "-v", "--stage", "-z").result(seconds_left(deadline)))
        self.tracked = set(found.paths)
        submodules = (path for path, mode, _, _ in found.odd if mode == 0o160000)
        self.submodules = [path for path in submodules if self.is_repository(path)]
        self.nested += [("submodule", path) for path in self.submodules]
        return found

    def is_repository(self, path: bytes) -> bool:
        """Whether the folder has a .git, and is in this work tree."""
        there = os.path.lexists(os.path.join(os.fsencode(self.root), path, b".git"))
        return there and not self.has_symlink_parent(path + b"/")

    def in_bare_submodules(self, entries: Sequence[Entry], deadline: float) -> bytes:
        """Untracked files where a submodule belongs but no repository is, as status would list them: it is silent."""
        bare = [os.fsdecode(e[0]) for e in entries if e[1] == 0o160000 and self.holds_plain_files(e[0])]
        if not bare:
            return b""
        listed = ("ls-files", "-z", "--others", "--exclude-standard", "--", *bare)
        none = {"GIT_INDEX_FILE": os.path.join(self.git_dir, "no index")}
        out = self.start(*listed, env=none).result(seconds_left(deadline))
        return b"".join(b"? %s\0" % path for path in out.split(b"\0") if path)

    def holds_plain_files(self, path: bytes) -> bool:
        """Whether a submodule's folder holds files but no repository."""
        full = os.path.join(os.fsencode(self.root), path)
        real = os.path.isdir(full) and not self.has_symlink_parent(path + b"/")
        return real and not os.path.lexists(os.path.join(full, b".git")) and bool(os.listdir(full))

    def note_head(self, rows: list[list[bytes]], head: GitProcess, deadline: float) -> None:
        """Commit, branch, remotes: of the two answers and of plain files."""
        said = {row[1]: row[2].decode("utf-8", "surrogateescape") for row in rows if row[0] == b"#" and len(row) > 2}
        if b"branch.oid" not in said:
            raise ValueError("git status gave no answer")
        remotes = self.remotes(deadline)
        branch = said.get(b"branch.head", "(detached)")
        self.facts.update(
            branch=None if branch == "(detached)" else branch, remotes=remotes, remote=(remotes or [{}])[0].get("url")
        )
        if said[b"branch.oid"] == "(initial)":
            head.kill()
            return
        commit, tree, short, described = head.result(seconds_left(deadline)).decode().strip("\n").split("\0")
        defaults = [
            read_ref(self.git_dir, self.common, r) for r in default_branch_refs(self.git_dir, self.common, remotes)
        ]
        pushed = True if commit in defaults else (None if remotes else False)
        self.facts.update(
            commit=commit,
            tree=tree,
            describe=short if not described or described.startswith("%") else described,  # git < 2.32
            pushed=pushed,
            bundle=None if pushed else _bundle_name(self.name),
            commit_url=_commit_url(self.facts["remote"] or "", commit),
        )

    def remotes(self, deadline: float) -> list[dict[str, str]]:
        """Name and URL of each remote: of the plain file, or of git where other lines may make another URL of it."""
        asks = self.config_says("insteadof", "worktreeconfig")
        lines = (line for line in (self.config_text or "").splitlines() if "url" in line)
        if not asks and not any(set('"\\#;') & set(line) for line in lines):  # quotes, comments
            return remotes_of(self.common)
        try:
            return remotes_listed(self.start("remote", "-v").result(seconds_left(deadline)))
        except GitError:
            return remotes_of(self.common)

    def note_head_from_files(self) -> None:
        """Without an answer of git's, the commit that .git/HEAD leads to."""
        commit, remotes = read_ref(self.git_dir, self.common, "HEAD"), remotes_of(self.common)
        self.facts.update(remotes=remotes, remote=(remotes or [{}])[0].get("url"))
        if commit and all(c in "0123456789abcdef" for c in commit):
            self.facts.update(
                commit=commit, describe=commit[:7], commit_url=_commit_url(self.facts["remote"] or "", commit)
            )

    def note_closed_folders(self, warnings: bytes) -> None:
        """Folders that git could not look into: it lists nothing there, and only warns."""
        for line in warnings.splitlines():
            path, found, why = line.partition(b"could not open directory '")[2].rpartition(b"': ")
            if found:
                self.leave_out(path, 0, f"unreadable: {decoded(why)}")

    def add_changed_rows(self, rows: list[list[bytes]], skipped: Callable[[bytes], bool]) -> None:
        """Every path that differs from the commit, staged or not."""
        untracked = [row[1] for row in rows if row[0] == b"?"]
        apart = _run_directories(self.root, untracked) | _environments(self.root, untracked)
        left = [p for p in untracked if not skipped(p) and not (apart and (p in apart or is_below(p, apart)))]
        self.untracked = [path for path in left if not self.is_own_log(path)]
        changed = {row[-1]: row for row in rows if row[0] in (b"1", b"u") and not self.is_own_log(row[-1])}
        self.changed, both = list(changed), changed.keys() & {*self.untracked}
        for path, row in changed.items():
            self.add_changed(path, row, path in both)

    def is_own_log(self, path: bytes) -> bool:
        """Whether what the program prints goes to this file."""
        if not self.budget.streams:
            return False
        try:
            found = os.stat(os.path.join(os.fsencode(self.root), path))
        except (OSError, ValueError):
            return False
        own = (found.st_dev, found.st_ino) in self.budget.streams
        self.has_own_log = self.has_own_log or own
        return own

    def add_untracked(self, first: Callable[[], object]) -> None:
        """Every path that git does not know."""
        self.nested += [("nested", path.rstrip(b"/")) for path in self.untracked if path.endswith(b"/")]
        first()
        known = {*self.changed, *(encoded(row["path"]) for row in (*self.files, *self.left_out))}
        for path in sorted(self.untracked, key=lambda p: not p.endswith(b".py")):  # data may use up the room, not code
            if not path.endswith(b"/") and path not in known:
                self.add_if_changed(path, "untracked")
        self.group_left_out()

    def begin_patch(self, deadline: float) -> None:
        """Have git make what people read in info.txt; if that fails, it is a line in the record."""
        if self.patch is None and (self.changed or self.submodules) and self.facts.get("commit"):
            self.patch = self.attempted(lambda: _Patch(self, deadline))

    def end_patch(self) -> None:
        """Read what git has made."""
        if self.patch is not None:
            self.attempted(self.patch.collect)

    def attempted(self, step: Callable[[], Any]) -> Any:
        """The step's value; what fails is a line in the record, and None."""
        try:
            return step()
        except Exception as error:
            what = error.message if isinstance(error, GitError) else f"{type(error).__name__}: {error}"
            self.problems.append(f"the diff: {what}")
            return None

    def add_changed(self, path: bytes, row: list[bytes], also_untracked: bool) -> None:
        """A row "1 XY sub mH mI mW hH hI path" or "u XY sub m1 m2 m3 mW h1 h2 h3 path" of git status."""
        mode, blob = (row[3], row[6]) if row[0] == b"1" else (row[4], row[8])
        head = (int(mode, 8), bytes.fromhex(blob.decode())) if int(mode, 8) else None
        if head is not None and head[0] == 0o160000:
            head = None if self.is_repository(path) else head
        elif row[0] == b"u":  # its second stage may be the commit's file of another name: a rename that conflicts
            head = (0, b"")
        deleted = row[0] == b"1" and row[1].endswith(b"D") and not also_untracked
        forgotten = row[1] == b"D." and not also_untracked  # rm --cached, and ignored since
        self.add_if_changed(path, "changed", head, gone=deleted or (forgotten and self.has_symlink_parent(path)))

    def has_symlink_parent(self, path: bytes) -> bool:
        """Whether a folder of this path is a link now: what lies there is another file."""
        folder = path.rpartition(b"/")[0]
        if folder and folder not in self.symlink_parents:
            linked = os.path.islink(os.path.join(os.fsencode(self.root), folder)) or self.has_symlink_parent(folder)
            self.symlink_parents[folder] = linked
        return bool(folder) and self.symlink_parents[folder]

    def group_left_out(self) -> None:
        """Beyond a hundred, what is left out is told by directory."""
        if len(self.left_out) <= 100:
            return
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.left_out:
            folder = row["path"].rpartition("/")[0].partition("/")[0] + "/" if "/" in row["path"] else row["path"]
            sum_ = rows.setdefault(
                (folder, row["reason"]), {"path": folder, "size": 0, "reason": row["reason"], "count": 0}
            )
            sum_["size"] += row["size"]
            sum_["count"] += 1
        self.left_out = list(rows.values())

    def add_unseen(self, rows: list[list[bytes]], index: GitIndex, deadline: float) -> None:
        """Files that git shows as clean without their bytes being the commit's: hidden ones, converted ones."""
        seen = {row[-1] for row in rows if row[0] in (b"1", b"u")}
        converting = self.is_converting(seen, deadline)
        links = {encoded(row["path"]) for row in self.files if row["kind"] == "link"}
        for path, mode, blob, hidden in index.entries() if links or converting else index.odd:
            if path in seen:
                continue
            if mode == 0o160000:  # a file where a submodule belongs is hidden by --ignore-submodules
                if self.is_no_folder(path):
                    self.add_if_changed(path, "changed", (mode, blob))
            elif links and is_below(path, links):  # git is silent where these lead nowhere for ever
                self.add_if_changed(path, "changed", (mode, blob), gone=True)
            elif hidden or converting:
                gone = self.has_symlink_parent(path)
                self.add_if_changed(path, "hidden" if hidden else "converted", (mode, blob), gone)
        self.facts.update(converted=converting, clean_bytes=None if converting else self.clean_bytes(seen, index))

    def clean_bytes(self, seen: set[bytes], index: GitIndex) -> int | None:
        """The size of all plain files that are the commit's, each modulo 2**32; None where it is not known.

        It tells a restore of files that git calls clean though an eol setting, gone since, had made them other ones.
        """
        sizes = index.sizes
        if sizes is None or self.has_own_log or any("count" in row for row in self.left_out):
            return None
        noted = {encoded(row["path"]) for row in (*self.files, *self.left_out)}
        unsure = {*seen, *(entry[0] for entry in index.odd)} - noted  # their size there may be another one's
        if 0 in sizes.values():  # git writes that where it is not sure itself
            unsure.update(path for path, size in sizes.items() if size == 0 and path not in noted)
        apart = sum(sizes.get(path, 0) for path in noted | unsure)
        return sum(sizes.values()) - apart + sum(map(self.size_of, unsure))

    def size_of(self, path: bytes) -> int:
        """A plain file's size modulo 2**32; 0 of what is none."""
        try:
            found = os.lstat(os.path.join(os.fsencode(self.root), path))
        except OSError:
            return 0
        return found.st_size & 0xFFFFFFFF if found.st_mode & 0o170000 == 0o100000 else 0

    def is_no_folder(self, path: bytes) -> bool:
        """Whether a file or a link is where a submodule belongs."""
        full = os.path.join(os.fsencode(self.root), path)
        return os.path.islink(full) or (os.path.exists(full) and not os.path.isdir(full))

    def is_converting(self, changed: set[bytes], deadline: float) -> bool:
        """Whether a filter, eol, ident or encoding may stand between git's view of a file and its bytes."""
        config = self.converting_config(deadline)
        self.facts["config"] = config
        if config.get("core.autocrlf", "false") not in _OFF or has_refs(self.common, "replace"):
            return True
        named = _ending(b".gitattributes", self.tracked) | _ending(b".gitattributes", self.untracked)
        if any(p in changed or self.is_in_index_only(p) for p in named):
            return True  # files that were checked out under other lines, or lines that git reads and we can't
        home = os.path.expanduser("~")
        xdg = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        paths = [os.path.join(self.root, os.fsdecode(p)) for p in (b".gitattributes", *named)]  # it may be ignored
        paths += [os.path.join(self.common, "info", "attributes"), os.path.join(xdg, "git", "attributes")]
        paths += ["/etc/gitattributes", os.path.expanduser(config.get("core.attributesfile", ""))]
        return any(_may_convert(text_of(path)) for path in paths if path)

    def is_in_index_only(self, path: bytes) -> bool:
        """Whether git takes this .gitattributes from the index, for files that are on disk beside it."""
        full = os.path.join(os.fsencode(self.root), path)
        return not os.path.lexists(full) and os.path.isdir(os.path.dirname(full))

    def config_says(self, *words: str) -> bool:
        """Whether some config file of git's has one of these (lower case), or may have it by what it includes."""
        if self.config_text is None:
            files = [os.path.join(self.common, "config"), os.path.join(self.git_dir, "config.worktree")]
            self.config_text = "".join(text_of(file) for file in (*files, *_own_configs(), *_system_configs())).lower()
        said_elsewhere = os.name == "nt" or any(name.startswith("GIT_CONFIG") for name in os.environ)
        return said_elsewhere or any(word in self.config_text for word in (*words, "[include"))

    def converting_config(self, deadline: float) -> dict[str, str]:
        """core.autocrlf, core.eol, core.attributesfile; git is asked only if some config file speaks of them."""
        if not self.config_says("autocrlf", "attributesfile"):
            return {}
        wanted = r"^core\.(autocrlf|eol|attributesfile)$"
        try:
            out = self.start("config", "-z", "--get-regexp", wanted).result(seconds_left(deadline))
        except GitError:
            return {}
        pairs = (line.partition("\n") for line in decoded(out).split("\0") if line)
        return {key: value.lower() if key != "core.attributesfile" else value for key, _, value in pairs}


_STATUS = (
    "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--ignored=no", "--no-renames", "--no-ahead-behind",
    "--ignore-submodules=all",  # each is a repository of its own here
)  # fmt: skip


_LOG = ("-1", "--no-show-signature", "--no-notes", "--no-color", "--no-patch")


_DIFF = (
    "--patch", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-relative",
    "--ignore-submodules=dirty", "--submodule=short", "--unified=3", "--inter-hunk-context=0",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def _settings_for_here(common: str, config: Mapping[str, str]) -> list[str]:
    """Options against settings of a clone that came from another file system, or are wrong: they hide what differs."""
    config_file, found = os.path.join(common, "config"), []
    if config.get("core.filemode", "").lower() in _OFF and not os.access(config_file, os.X_OK):
        found += ["-c", "core.fileMode=true"]  # git's own file has no x: the bits mean something here
    if config.get("core.ignorecase", "off").lower() in _ON and not os.path.exists(os.path.join(common, "CONFIG")):
        found += ["-c", "core.ignoreCase=false"]
    return found


_OFF, _ON = ("false", "0", "no", "off"), ("true", "1", "yes", "on", "")


def _ending(end: bytes, paths: Iterable[bytes]) -> set[bytes]:
    """The paths that end so; mostly none does, and that is seen at once."""
    return {path for path in paths if path.endswith(end)} if end in b"\0".join(paths) else set()


def _status_rows(out: bytes) -> list[list[bytes]]:
    """The records of ``git status --porcelain=v2 -z``, split into their fields; the path is the last."""
    fields = {b"#": 2, b"1": 8, b"u": 10, b"?": 1, b"!": 1}
    return [line.split(b" ", fields.get(line[:1], 1)) for line in out.split(b"\0") if line]


def _run_directories(root: str, untracked: Iterable[bytes]) -> set[bytes]:
    """The run and record directories among untracked files, by what lies in them."""
    mark = os.fsencode(f"/{RECORD}/{RUN_JSON}")
    found = {path[: -len(mark)] for path in untracked if path.endswith(mark)}
    beside = {path.rpartition(b"/")[0] for path in untracked if path.endswith(os.fsencode(f"/{INFO}"))}
    found |= {path for path in beside if os.path.exists(os.path.join(os.fsencode(root), path) + mark)}  # git ignores .*
    for path in untracked:  # LiteTracer's own have no .footsteps
        head, mark, tail = path.partition(b"LT_delta-")
        if mark and b"_base-" in tail and b"/" in tail:
            found.add(head + mark + tail.partition(b"/")[0])
    return found


def _environments(root: str, untracked: Iterable[bytes]) -> set[bytes]:
    """The folders of virtual environments among untracked files: all of one below the root, Python's of the root's."""
    folders = {path[:at] for path in untracked for at, byte in enumerate(path) if byte == ord("/")}
    top = os.fsencode(root)
    found = {folder for folder in folders if _is_environment(os.path.join(top, folder))}
    if _is_environment(top):
        own = {b"bin", b"Scripts", b"include", b"Include", b"Lib/site-packages", b"lib64", b"share/man", b"pyvenv.cfg"}
        found |= own | {folder for folder in folders if folder.startswith(b"lib/python") and folder.count(b"/") == 1}
    return found


def _is_environment(folder: bytes) -> bool:
    return any(os.path.lexists(os.path.join(folder, name)) for name in (b"pyvenv.cfg", b"conda-meta"))


def _shows_untracked(config: Iterable[tuple[str, str]]) -> bool:
    """Whether git is to list untracked files: of a home that is a repository it often is not."""
    name = "status.showuntrackedfiles"
    for pairs in (config, *(config_of(path) for path in _own_configs())):
        said = [value.lower() for key, value in pairs if key == name]
        if said:
            return said[-1] not in _OFF
    return True


def _own_configs() -> list[str]:
    """The user's own config files of git, the first that says something counts."""
    home = os.path.expanduser("~")
    xdg = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return [os.path.join(home, ".gitconfig"), os.path.join(xdg, "git", "config")]


def is_below(path: bytes, folders: set[bytes]) -> bool:
    """Whether a path is in one of these folders."""
    at = path.find(b"/")
    while at >= 0:
        if path[:at] in folders:
            return True
        at = path.find(b"/", at + 1)
    return False


def _may_convert(attributes: str) -> bool:
    """Whether such a .gitattributes can make a file's bytes differ from its blob."""
    words = (w for line in attributes.splitlines() if not line.lstrip().startswith("#") for w in line.split()[1:])
    names = ("text", "crlf", "eol", "filter", "ident", "working-tree-encoding")
    return any(word.partition("=")[0] in names for word in words)


def _system_configs() -> list[str]:
    """Where git's system-wide config may lie: beside each git on PATH, and in /etc."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    beside = [os.path.join(os.path.dirname(folder.rstrip(os.sep)), "etc", "gitconfig") for folder in folders if folder]
    return ["/etc/gitconfig", *beside]


class _Patch:
    """The changes of one repository as people read them: git makes it while the copies are written.

    Attributes:
        diff: what `git apply` takes, bytes as git gave them.
        not_in_diff: names of changed files that it does not hold (binary, left out), each with its reason.
    """

    def __init__(self, tree: Repository, deadline: float) -> None:
        self.shown = [p for p in tree.changed if decoded(p) not in tree.not_kept and not looks_secret(decoded(p))]
        self.not_in_diff = [f"{p} (left out)" for p in sorted(map(decoded, set(tree.changed) - set(self.shown)))]
        self.shown += tree.submodules
        self.diff, self.deadline, self.scratch = b"", deadline, tree.scratch
        self.few = [os.fsdecode(p) for p in self.shown] if sum(map(len, self.shown)) < 50_000 else []
        if tree.scratch:
            os.makedirs(tree.scratch, exist_ok=True)
        self.process = tree.start("diff-index", *_DIFF, "HEAD", "--", *self.few) if self.shown else None

    def collect(self) -> None:
        """Read what git has made of it. Raises GitError."""
        process, self.process = self.process, None
        if process is not None:
            text, whole = process.result_within(MAX_DIFF, seconds_left(self.deadline))
            wanted = set() if self.few else {decoded(p) for p in self.shown}
            self.diff, others = _plain_sections(text, whole, wanted)
            self.not_in_diff += others

    def stop(self) -> None:
        """Nobody will ask any more."""
        if self.process is not None:
            self.process.kill()
        if self.scratch:
            remove(self.scratch)


def _plain_sections(text: bytes, whole: bool, wanted: set[str]) -> tuple[bytes, list[str]]:
    """The sections of a diff that `git apply` takes, and a word on each that is not among them."""
    parts = (b"\n" + text).split(b"\ndiff --git ")[1:]
    kept, others = [], []
    for n, part in enumerate(parts):
        cut, secret = not whole and n == len(parts) - 1, why_secret("", part)
        lines = part.split(b"\n")
        name = next((decoded(p) for p in [lines[0].rpartition(b" b/")[2]]), "")
        binary = any(line.startswith((b"Binary files ", b"GIT binary patch")) for line in lines[1:8])
        if cut or binary:
            others.append(f"{name} ({'binary' if binary else 'the diff ends here, it is too long'})")
        elif secret:
            others.append(f"{name} ({secret.partition(' (')[0].replace('line', 'line of its changes', 1)})")
        elif not wanted or name in wanted:  # a name that git has quoted is not shown among very many
            body = [line for line in part.rstrip(b"\n").split(b"\n") if not line.startswith(b"* Unmerged path")]
            kept.append(b"diff --git " + b"\n".join(body) + b"\n")
    return b"".join(kept), others


def _file_mode(executable: bool) -> int:
    return 0o100755 if executable else 0o100644


def _bundle_name(repository: str) -> str:
    return BUNDLE if repository == "main" else f"commits-{repository}.bundle"


_ACTING = {".git", ".gitignore", ".gitattributes", ".gitmodules", ".mailmap"}


_RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}


def is_reserved(part: str) -> bool:
    """Whether Windows can't have a file of this name."""
    return part.split(".", maxsplit=1)[0].strip().lower() in _RESERVED or part[-1:] in (".", " ")


def stored_name(repository: str, path: str) -> str:
    """Where the copy lies below .footsteps; another name if this one would act there or can't be stored everywhere."""
    parts = path.split("/")
    plain = all(
        part.isprintable()
        and part.isascii()
        and part.lower() not in _ACTING
        and not is_reserved(part)
        and not set(part) & set('<>:"|?*\\')
        and len(part) < 200
        for part in parts
    )
    if plain and len(path) < 400:
        return f"{CODE}/{repository}/{path}"
    tail = "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "_" for c in parts[-1])[-60:].strip(".")
    return f"{CODE}/{repository}.renamed/{sha256(path.encode('utf-8', 'surrogateescape'))[:16]}-{tail}"


class UncommittedFiles:
    """How many files differ from the commit, told while a person types the run's name; git is started when asked."""

    def __init__(self, root: str) -> None:
        self.root, self.text = root, ""
        self.status: GitProcess | None = None
        self.started = False

    def told(self) -> str:
        """What to add to the line below the question: nothing until git has answered."""
        if not self.started:
            self.started, self.top = True, repository_root(working_directory())
            if self.top:
                self.status = start_git("status", *_COUNT, cwd=self.top)
        if self.status is not None and self.top and self.status.ended():
            status, self.status = self.status, None
            self.text = self.counted(status, self.top)
        return self.text

    def stop(self) -> None:
        """Nobody looks any more."""
        if self.status is not None:
            self.status.kill()

    def counted(self, status: GitProcess, top: str) -> str:
        """What git says, without what is in the output root: that is no code."""
        real, root = os.path.realpath(top), os.path.realpath(self.root)
        runs = os.fsencode(os.path.relpath(root, real)) + b"/" if root.startswith(os.path.join(real, "")) else b"/"
        try:
            lines = status.result().split(b"\0")
        except GitError:
            return ""
        number = sum(bool(line) and not line[3:].startswith(runs) for line in lines)
        return f"   {number} uncommitted file{'s'[: number != 1]}" if number else ""


_COUNT = ("--porcelain", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
