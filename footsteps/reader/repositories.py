"""The repositories of a recorded run, each checked before anything is done with it.

A record may come from anybody: every path, id and address in it is checked here, before anything is
written or git is given one. `Refused` says what is wrong.
"""

from __future__ import annotations

import os

from footsteps.reader import formats
from footsteps.reader.formats import mapping, objects, text
from footsteps.recorder.format import CODE, INFO, RECORD, RUN_JSON, FootstepsError, is_bytecode, quote, sha256

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from footsteps.reader.runs import Run

MAX_REPOSITORIES = 1000
MAX_DEPTH = 300  # folders above a file; removing deeper ones again would end in a RecursionError


class Refused(FootstepsError):
    """A record that would write where it must not, or is made to mislead; nothing was made."""


# ---------------------------------------------------------------------------------------------
# What a record may say: all of it is checked here, before anything is written
# ---------------------------------------------------------------------------------------------


def refuse(run: Run, what: str) -> Refused:
    """The refusal of a run's record, with its reason."""
    return Refused(f"the record of {run.name!r} is refused: {what}", hint=f"footsteps show {quote([run.directory])}")


def why_unsafe(path: str) -> str:
    """Why a recorded path must not be written below the destination; "" if it may."""
    if not path or "\0" in path or not is_encodable(path):
        return "is no path"
    if path.startswith("/") or os.path.isabs(path):
        return "is absolute"
    if path.count("/") > MAX_DEPTH:
        return "is deeper than any file"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "leads elsewhere"
        if os.name == "nt" and set(part) & set('\\:*?"<>|'):
            return "can't be a file's name here"
        if acts_as_git(part):
            return "would act as git's own"
    return ""


def acts_as_git(part: str) -> bool:
    """Whether some file system takes this name for .git: by case, git~1, ignored characters, streams."""
    ignored = "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
    name = "".join(c for c in part if c not in ignored).partition(":")[0].rstrip(". ").lower()
    pieces = [piece.rstrip(". ") for piece in name.split("\\")]
    return any(p == ".git" or (p.startswith("git~") and p[4:].isdigit()) for p in pieces)


def why_no_url(url: str) -> str:
    """Why git must not be given this address; "" if it may."""
    if url.startswith("-"):
        return "is an option to git"
    if transport(url) in ("ext", "fd"):
        return "names a program"
    return "is no address" if not url or any(c < " " for c in url) or not is_encodable(url) else ""


def transport(url: str) -> str:
    """What git takes before :// or :: for a transport, "" where it is a path or a host (which may be [fe80::1])."""
    word = url.partition(":")[0]
    plain = all(c.isalnum() or c in "+-." for c in word)
    return word.lower() if plain and url[len(word) :].startswith(("://", "::")) else ""


def is_id(value: object, length: int = 0) -> bool:
    """Whether a value is the full hexadecimal id of an object."""
    lengths = (length,) if length else (40, 64)
    return isinstance(value, str) and len(value) in lengths and not set(value) - set("0123456789abcdef")


def as_bytes(path: str) -> bytes:
    """A recorded path as the bytes of the file's name."""
    return path.encode("utf-8", "surrogateescape" if is_encodable(path) else "surrogatepass")


def is_encodable(path: str) -> bool:
    """Whether some file could be called so: JSON can hold halves of characters that nothing can."""
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class Repositories:
    """The repositories of a run, each checked; those that hold others first.

    Attributes:
        run: the recorded one; rows: what the record says of each repository; names: theirs;
        main: the row of the one that a restore's destination becomes; sources: see `sources_for`.

    Raises Refused for a record that can't be trusted, FootstepsError for one that holds no code.
    """

    def __init__(self, run: Run, sources: Iterable[str] = ()) -> None:
        self.run = run
        rows = older_repositories(run) if run.kind in OLDER else [*map(without_own_words, run.repositories)]
        self.require_readable()
        self.add_program(rows)
        if not rows:
            hint = f"cat {quote([os.path.join(run.directory, INFO)])}"
            raise FootstepsError(f"the record of {run.name!r} holds no code", hint=hint)
        self.names = [text(row.get("name")) for row in rows]
        self.main = main_of(rows)
        self.sources = list(sources)
        self.check_names()
        self.rows = self.in_order(rows)
        self.check_copies()
        for row in self.rows:
            self.check(row)

    def require_readable(self) -> None:
        """Raises FootstepsError where run.json is damaged: what info.txt tells in its place is for people."""
        path = os.path.join(self.run.record, RUN_JSON)
        damage = [p for p in self.run.damage if p.path == path and p.kind in (formats.DAMAGED, formats.CLOSED)]
        if damage:
            hint = f"ls -R {quote([os.path.join(self.run.record, CODE)])} shows what was kept"
            raise FootstepsError(f"{path!r} {damage[0].kind}: {damage[0].detail}", hint=hint)

    def require(self, holds: object, what: str) -> None:
        """Refuse the record unless something holds."""
        if not holds:
            raise refuse(self.run, what)

    def add_program(self, rows: list[dict[str, Any]]) -> None:
        """Give the repository in which a program that is one file lay (else one of its own) that file as `program`."""
        file, path = program_file(self.run)
        if file is None:
            return
        tops = [row for row in rows if path.startswith(os.path.join(text(row.get("path")) or "\0", ""))]
        row = max(tops, key=lambda row: len(text(row["path"])), default=None)
        if row is None:
            row = {"name": "program", "role": "loose", "path": os.path.dirname(path), "commit": None}
            row.update(files=[], left_out=[])
            while row["name"] in [other.get("name") for other in rows]:
                row["name"] += "_"
            rows.append(row)
        file["path"] = os.path.relpath(path, text(row["path"])).replace(os.sep, "/")
        row["program"] = file
        self.require(not why_unsafe(file["path"]), f"its program {path!r}")

    def check_names(self) -> None:
        """Each repository has one name, which can be a folder's."""
        self.require(len(self.names) <= MAX_REPOSITORIES, f"it names {len(self.names)} repositories")
        for name in self.names:
            self.require(not why_unsafe(name) and "/" not in name, f"the repository name {name!r}")
            self.require(self.names.count(name) == 1, f"two repositories are called {name!r}")

    def in_order(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The repositories, those that hold others first."""
        placed: list[dict[str, Any]] = []
        left, waiting = list(rows), set(self.names)
        for _ in range(MAX_DEPTH):
            free = [row for row in left if holder_of(row) not in waiting]
            left = [row for row in left if holder_of(row) in waiting]
            waiting -= {text(row.get("name")) for row in free}
            placed += free
        self.require(not left, "its repositories lie in each other")
        return placed

    def check(self, row: dict[str, Any]) -> None:
        """One repository: its place, commit, addresses, files."""
        if holder_of(row):
            path = text(mapping(row.get("inside")).get("path"))
            self.require(not why_unsafe(path), f"{path!r} {why_unsafe(path)}")
        wanted = row.get("commit")
        length = {"sha1": 40, "sha256": 64}.get(text(row.get("object_format") or "sha1"), -1)
        self.require(length > 0, f"the object format {row.get('object_format')!r}")
        self.require(wanted is None or row.get("revision") or is_id(wanted, length), f"the commit {wanted!r}")
        for url in urls_of(row):
            self.require(not why_no_url(url), f"the remote {url!r} {why_no_url(url)}")
        for bundle in objects(row.get("bundles")):
            self.check_bundle(bundle, length)
        self.check_files(row)

    def check_bundle(self, bundle: dict[str, Any], length: int) -> None:
        """A bundle lies in the record under a plain name; the ids that belong to it are ids."""
        name = text(bundle.get("file"))
        self.require(not name or ("/" not in name and not why_unsafe(name)), f"the bundle {name!r}")
        for key in ("prerequisites", "shallow"):
            ids = bundle.get(key) or []
            self.require(isinstance(ids, list) and all(is_id(i, length) for i in ids), f"the {key} of {name!r}")

    def check_files(self, row: dict[str, Any]) -> None:
        """No path leads out, none lies below a file or a link, and every copy lies in the record."""
        kinds: dict[str, str] = {}
        for file in row["files"]:
            path, kind = text(file.get("path")), text(file.get("kind"))
            why = why_unsafe(path)
            self.require(not why, f"{path!r} {why}")
            self.require(kind in LAYERS, f"{path!r} is of the kind {kind!r}")
            kinds[path] = kind
            if kind == "file":
                self.check_stored(path, file)
            target = file.get("target")
            leads = text(target) and "\0" not in text(target) and is_encodable(text(target))
            self.require(kind != "link" or leads, f"the link {path!r}")
        for path in (p for p, kind in kinds.items() if kind not in GONE):
            for above in parents_of(path):
                self.require(kinds.get(above, "deleted") in GONE, f"{path!r} lies below {above!r}, which is no folder")

    def check_stored(self, path: str, file: dict[str, Any]) -> None:
        """A copy lies in the record's code folder, reached through no link."""
        stored = text(file.get("stored"))
        why = why_unsafe(stored)
        self.require(not why, f"the copy {stored!r} of {path!r} {why}")
        self.require(stored.startswith(CODE + "/"), f"the copy {stored!r} of {path!r} leads elsewhere")
        record = os.path.relpath(self.run.record, self.run.directory)  # of a later session: .footsteps/session-2
        link = link_on(os.fsencode(self.run.directory), as_bytes(f"{record}/{stored}"), last=True)
        self.require(not link, f"the copy {stored!r} of {path!r} is behind a link")

    def check_copies(self) -> None:
        """Nothing among the copies is named so that git would take it for its own."""
        for folder, names in formats.folders_below(os.path.join(self.run.record, CODE)):
            for name in (os.path.basename(folder), *names):
                self.require(not acts_as_git(name), f"{os.path.join(folder, name)!r} would act as git's own")

    def sources_for(self, row: dict[str, Any]) -> list[str]:
        """The sources that the user names for a repository."""
        found = []
        for source in self.sources:
            name, equals, url = source.partition("=")
            if equals and name in self.names:
                found += [url] if name == row.get("name") else []
            elif row is self.main:
                found.append(source)
        return [os.path.abspath(s) if os.path.exists(s) else s for s in found]


def identity_of(facts: Mapping[str, Any]) -> list[str]:
    """The lines of which a record's code id is the hash (see recorder/code.py), from what its run.json names."""
    lines = []
    for row in sorted(objects(facts.get("repositories")), key=lambda row: str(row.get("name"))):
        files = [file_line(file) for file in objects(row.get("files")) if not is_bytecode(text(file.get("path")))]
        left_out = [f"{file.get('path')}\0left out\0{file.get('size')}" for file in objects(row.get("left_out"))]
        lines += [f"{row.get('name')}\0{row.get('commit')}", *sorted([*files, *left_out])]
    return lines


def file_line(file: Mapping[str, Any]) -> str:
    """The line of a file that differs from the commit."""
    what = file.get("sha256") or file.get("target") or ""
    return f"{file.get('path')}\0{file.get('kind')}\0{int(bool(file.get('executable')))}\0{what}"


def code_id_of(facts: Mapping[str, Any]) -> str:
    """The code id computed again; "" where it can't be, as files were left out, of which it holds unrecorded hashes."""
    rows = objects(facts.get("repositories"))
    if not text(facts.get("code_id")) or any(row.get("left_out") for row in rows):
        return ""
    lines = "\n".join(identity_of(facts))
    try:
        return sha256(lines.encode("utf-8", "surrogateescape"))[:32]  # as the recorder does
    except UnicodeEncodeError:  # no name that a file has
        return sha256(lines.encode("utf-8", "surrogatepass"))[:32]


GONE = ("deleted", "absent")
LAYERS = ("deleted", "absent", "file", "link", "crlf")


def main_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The repository that the destination becomes: the working directory's, else the script's."""
    ranks = {"cwd": 0, "script": 1, "loose": 2}
    return min(rows, key=lambda row: ranks.get(text(row.get("role")), 3))


def without_own_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded repository without the words that only `older_repositories` may say."""
    return {key: value for key, value in row.items() if key not in ("revision", "clones", "program")}


def program_file(run: Run) -> tuple[dict[str, Any] | None, str]:
    """(the copy of a program that is one file as the row of a file, where the file was); (None, "") of other programs.

    Git may ignore it (a pex, a zipapp, a frozen program), and it may lie anywhere. `stored` is None where no copy is.
    """
    script = mapping(run.facts.get("script"))
    path, name = text(script.get("real")), text(script.get("stored"))
    if text(mapping(run.facts.get("main")).get("kind")) not in ("zipapp", "frozen") or not os.path.isabs(path):
        return None, ""
    beside = run.record if os.path.basename(run.record) != RECORD else run.directory  # of a later session: in it
    copy = os.path.join(beside, name)
    plain = name and "/" not in name and not why_unsafe(name) and os.path.isfile(copy) and not os.path.islink(copy)
    row = {"kind": "file", "sha256": script.get("sha256"), "executable": script.get("executable") is not False}
    row["stored"] = os.path.relpath(copy, run.record) if plain else None
    row["size"] = os.path.getsize(copy) if plain else None
    return row, path


def holder_of(row: Mapping[str, Any]) -> str:
    """The name of the repository that a repository lies in, or ""."""
    return text(mapping(row.get("inside")).get("repository"))


def urls_of(row: Mapping[str, Any]) -> list[str]:
    """The recorded addresses of a repository, without masks, each once."""
    said = [row.get("remote"), *(remote.get("url") for remote in objects(row.get("remotes")))]
    return list(dict.fromkeys(without_mask(url) for url in map(text, said) if url))


def without_mask(url: str) -> str:
    """The address as a person without those credentials would use it."""
    return url.replace("://***@", "://", 1)


def parents_of(path: str) -> list[str]:
    """The folders above a path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def link_on(folder: bytes, path: bytes, *, last: bool = False) -> bytes:
    """The first part of a path below a folder that is a link (``last``: the path itself too); b"" if none is."""
    parts = path.split(b"/")
    for n in range(1, len(parts) + last):
        above = os.path.join(folder, *parts[:n])
        if os.path.islink(above):
            return above
    return b""


# ---------------------------------------------------------------------------------------------
# Older formats: a commit that is abbreviated or described, a patch, and LiteTracer's untracked/
# ---------------------------------------------------------------------------------------------


OLDER = {
    "footsteps 0.1": [
        "footsteps 0.1 recorded no untracked files, and no hashes: there is nothing to compare with",
    ],
    "lite_tracer": [
        "LiteTracer recorded no hashes: there is nothing to compare with",
        "it kept untracked files by the last part of their names only, and none whose name begins with a dot",
    ],
}


def older_repositories(run: Run) -> list[dict[str, Any]]:
    """The one repository of an older record, with the revision to look for and where."""
    import re

    described = formats.info_sections(os.path.join(run.directory, INFO), [])[3].decode("utf-8", "replace")
    said = run.repository.get("describe") or described.strip().partition("\n")[0]
    revision = text(said).strip().removesuffix("-dirty")
    if not revision:
        return []
    if not re.fullmatch(r"[A-Za-z0-9_][\w.+/-]*", revision) or ".." in revision:
        raise refuse(run, f"the revision {revision!r}")
    link = re.fullmatch(r"(https?://.+?)(/-)?/commits?/[0-9a-f]+", text(run.repository.get("commit_url")))
    row = {"name": "main", "role": "cwd", "path": text(run.facts.get("cwd")), "files": [], "left_out": []}
    return [{**row, "revision": revision, "clones": clones_near(run), "remote": link[1] if link else None}]


def clones_near(run: Run) -> list[str]:
    """Repositories that an older record may belong to: those above its working directory, itself, and us."""
    found: list[str] = []
    for start in (text(run.facts.get("cwd")), run.directory, os.getcwd()):
        above = start
        while above != os.path.dirname(above) and not os.path.exists(os.path.join(above, ".git")):
            above = os.path.dirname(above)
        found += [above] if above and above not in found else []
    return found
