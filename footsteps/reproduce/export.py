"""One file to hand over: a run, its chain, their code, inputs and packages in a zip that tells how to repeat it.

    >>> from footsteps.reproduce import chain, export
    >>> made = export.export(chain.of_file("paper/fig3.pdf"), "study.zip", inputs=10 << 20)
    >>> made.path, made.missing
    ('study.zip', [{'path': '/data/raw.csv', 'reason': 'larger than 10.0 MiB'}])

The same runs give the same bytes. What a record masked or left out is not in it, nor files whose names
look like those of secrets; all that is missing is listed in `footsteps.json`, with the reason.

    runs/<name>/        the directory of each run, with its record, and a bundle of its commit
    code/<name>/        its exact source tree as plain files; code/<name>.beside/ what lay elsewhere
    inputs/<hash>/      files that the runs read and no run made
    requirements/       the packages of each run, for pip
    footsteps.json      what is what: read by footsteps; ro-crate-metadata.json: the same for other programs
    index.html          to look at; README.md: how to repeat it
"""

from __future__ import annotations

import os

from footsteps.reader import formats
from footsteps.reader.archive import ARCHIVE_JSON, why_unsafe_entry
from footsteps.reader.commits import is_hollow
from footsteps.reader.formats import kind_of_record, mapping, objects, text
from footsteps.recorder.format import BUNDLES_JSON, RECORD, VERSION, FootstepsError, quote
from footsteps.recorder.git import GitError
from footsteps.recorder.secrets import looks_secret
from footsteps.reproduce import restore
from footsteps.reproduce.environment import address_of, is_word
from footsteps.reproduce.restored_paths import beside

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, BinaryIO

    from footsteps.reader.runs import Run
    from footsteps.reproduce.chain import Chain, Stage, Use

    Say = Callable[[str], object]

__all__ = ["Exported", "export"]

ARCHIVE_FORMAT = 1
EXPORTED_BLOCK = 1 << 20
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can tell
SMALL_INPUT = 1 << 20  # bytes; larger inputs come along only if they are asked for


class Exported:
    """What became of an export: `path`, `size` in bytes, `runs` (their names), `missing`, rows {path, reason}."""

    def __init__(self, path: str, size: int, runs: list[str], missing: list[dict[str, str]]) -> None:
        self.path, self.size, self.runs, self.missing = path, size, runs, missing

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        return dict(vars(self))


def export(
    chain: Chain,
    destination: str | None = None,
    *,
    sources: Iterable[str] = (),
    inputs: int = SMALL_INPUT,
    agent: bool = False,
    say: Say = lambda _: None,
) -> Exported:
    """Write the runs of a chain into one zip file.

    Args:
        destination: the file, which must not be there; None: ``<the run's name>.zip`` in the working directory.
        sources: clones, bundles or URLs to take commits from, as for `restore`.
        inputs: bytes up to which a file that a run read, and no run made, is taken along.
        agent: whether the metadata name who ran it.

    Raises FootstepsError if the chain is empty or the file is there; then nothing is made.
    """
    import tempfile

    if chain.head is None:
        raise FootstepsError(
            f"no run is known to have made {chain.path!r}", hint=f"footsteps trace {quote([chain.path])}"
        )
    path = destination or archive_name(chain.head.run.name).replace("/", "-") + ".zip"
    if os.path.lexists(path):
        raise FootstepsError(f"{path!r} is there already", hint="-o <a new file>")
    with tempfile.TemporaryDirectory(prefix="footsteps-") as scratch:
        study = Study(chain, scratch, say)
        study.collect(sources, inputs)
        size = write_whole(path, lambda file: study.write(file, agent=agent))
    return Exported(path, size, [stage.run.name for stage in chain.stages], study.missing)


def write_whole(path: str, write: Callable[[BinaryIO], None]) -> int:
    """Have a file written beside its place and put there when it is whole; its size in bytes."""
    import tempfile

    umask = os.umask(0o022)
    os.umask(umask)
    handle, part = tempfile.mkstemp(prefix=".footsteps-", dir=os.path.dirname(os.path.abspath(path)))
    try:
        with open(handle, "w+b") as file:
            write(file)
            size = file.tell()
        os.chmod(part, 0o666 & ~umask)
        os.rename(part, path)
    except BaseException:
        os.unlink(part)
        raise
    return size


class Entry:
    """One file of an archive: from `path` on disk, or `data`; executable; sha256: what it should be, or ""."""

    def __init__(self, path: str = "", data: bytes = b"", *, executable: bool = False, sha256: str = "") -> None:
        self.path, self.data, self.executable, self.sha256 = path, data, executable, sha256


class Study:
    """What goes into an archive.

    names: {stage: its folder in the archive}; entries: {name in the archive: Entry}; files: {name: {size, sha256}} once
    written; code: {stage: the folder of its code, or ""}; inputs: {use: its name in the archive}; missing: rows.
    """

    def __init__(self, chain: Chain, scratch: str, say: Say) -> None:
        self.chain, self.scratch, self.say = chain, scratch, say
        self.names = dict(zip(chain.stages, unique_names(stage.run.name for stage in chain.stages), strict=True))
        self.entries: dict[str, Entry] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.code: dict[Stage, str] = {}
        self.inputs: dict[tuple[str, str], str] = {}
        self.missing: list[dict[str, str]] = []

    def miss(self, path: str, reason: str) -> None:
        """Note what does not come along, once."""
        row = {"path": path, "reason": reason}
        if row not in self.missing:
            self.missing.append(row)

    def collect(self, sources: Iterable[str], inputs: int) -> None:
        """Find all that goes in: runs, code, inputs, requirements."""
        for stage in self.chain.stages:
            self.say(f"collecting {stage.run.name}")
            self.add_run(stage)
            self.add_code(stage, list(sources))
            lines = "".join(f"{line}\n" for line in requirements_of(stage.run))
            self.entries[f"requirements/{self.names[stage]}.txt"] = Entry(data=as_utf8(lines))
            for use in stage.uses:
                if not use.maker or os.path.isabs(use.made_as):
                    self.add_input(use, inputs)
            for folder in stage.folders:
                self.miss(
                    text(folder.get("directory")), f"{folder.get('count')} files read there were not noted one by one"
                )

    # the run's own directory

    def add_run(self, stage: Stage) -> None:
        """The files of a run's directory, as they are."""
        run, top = stage.run, f"runs/{self.names[stage]}"
        expected = {text(entry.get("path")): text(entry.get("sha256")) for entry in run.artifacts}
        if run.status == "running":
            self.miss(top, "the run was still running")
        found = set()
        for name, path in files_of_run(run.directory, self.misses(top)):
            kept = name.startswith(f"{RECORD}/")
            if not kept and looks_secret(name):
                self.miss(f"{top}/{name}", "its name looks like that of a secret")
            elif self.add(
                f"{top}/{name}", Entry(path, executable=os.access(path, os.X_OK), sha256=expected.get(name, ""))
            ):
                found.add(name)
        missed = {row["path"] for row in self.missing}
        for name in sorted(name for name in expected.keys() - found if f"{top}/{name}" not in missed):
            self.miss(f"{top}/{name}", "the run made it, and it is not there any more")

    def misses(self, top: str) -> Callable[[str, str], None]:
        """What notes a file below a folder of the archive that does not come along."""
        return lambda name, reason: self.miss(f"{top}/{name}", reason)

    def add(self, name: str, entry: Entry) -> bool:
        """Add one file, unless no archive can hold its name, or it is next to nothing but holes."""
        why = why_unsafe_entry(name)
        if why:
            self.miss(name, f"its name {why}")
        elif entry.path and is_hollow(os.lstat(entry.path)):
            why = "hollow"
            self.miss(name, "it has next to nothing but holes, and would be terabytes when it is packed")
        else:
            self.entries[name] = entry
        return not why

    # its code

    def add_code(self, stage: Stage, sources: list[str]) -> None:
        """The exact source tree of a run, once for all runs that had the same."""
        run = stage.run
        same = [other for other in self.code if run.code_id and other.run.code_id == run.code_id and self.code[other]]
        self.code[stage] = self.code[same[0]] if same else f"code/{self.names[stage]}"
        place = os.path.join(self.scratch, str(len(self.code)), "tree")
        try:
            os.makedirs(os.path.dirname(place))
            done = restore.restore(run, place, sources=sources, say=self.say)
        except FootstepsError as error:
            self.miss(self.code[stage], error.message)
            self.code[stage] = self.code[stage] if same else ""
            return
        for row in (*done.left_out, *done.missing, *done.differing):
            self.miss(f"{self.code[stage]}: {text(row.get('path'))}", text(row.get("reason")))
        if not same:
            left_out = {text(row.get("path")) for row in done.left_out}
            self.add_tree(place, self.code[stage], done, left_out)
            self.add_tree(beside(place), f"{self.code[stage]}.beside", done, left_out)
        self.add_bundles(stage, done)

    def add_tree(self, place: str, top: str, done: restore.Restored, left_out: set[str]) -> None:
        """The files of a restored tree; git's own stay out, and what was left out of the record."""
        trees = [text(tree.get("directory")) for tree in done.trees]
        for name, path in files_of_tree(place, self.misses(top)):
            near = [os.path.relpath(path, tree).replace(os.sep, "/") for tree in trees]
            if left_out & set(near):
                continue
            if looks_secret(name):
                self.miss(f"{top}/{name}", "its name looks like that of a secret")
            else:
                self.add(f"{top}/{name}", Entry(path, executable=os.access(path, os.X_OK)))

    def add_bundles(self, stage: Stage, done: restore.Restored) -> None:
        """A bundle of each commit in the archived record, so that it needs no remote."""
        from footsteps.reproduce.bundles import bundle_of

        top = f"runs/{self.names[stage]}/{RECORD}"
        rows = {text(row.get("name")): row for row in stage.run.repositories}
        listed = [dict(bundle) for row in rows.values() for bundle in row.get("bundles") or ()]
        for tree in done.trees:
            name, commit = text(tree.get("name")), text(tree.get("commit"))
            own = rows.get(name, {}).get("bundles") or []
            if not commit or any(row.get("kind") == "whole" and row.get("commit") == commit for row in own):
                continue
            try:
                data = bundle_of(tree["directory"], commit)
            except (GitError, OSError) as error:
                why = error.message if isinstance(error, GitError) else str(error)
                self.miss(f"{top}: a bundle of commit {commit[:12]} of {name}", why)
                continue
            file = f"commits-archive-{archive_name(name)}.bundle"
            listed = [row for row in listed if row.get("repository") != name]
            listed.append(bundle_row(name, commit, file, data))
            self.entries[f"{top}/{file}"] = Entry(data=data)
            self.entries[f"{top}/{BUNDLES_JSON}"] = Entry(data=stable_json({"format": 1, "bundles": listed}))

    # what it read

    def add_input(self, use: Use, most: int) -> None:
        """A file that a run read and that is no artifact of another one."""
        if use.state == "kept" or (use.path, use.sha256) in self.inputs:
            return
        why = why_not_taken(use, most)
        if why:
            made = f"; {use.maker.run.name} makes it" if use.maker else ""
            self.miss(use.path, why + made)
            return
        name = f"inputs/{use.sha256[:16]}/{os.path.basename(use.path)}"
        if self.add(name, Entry(use.here, sha256=use.sha256)):
            self.inputs[use.path, use.sha256] = name

    # the archive

    def write(self, file: BinaryIO, *, agent: bool) -> None:
        """Write the zip file: the same input gives the same bytes."""
        import zipfile

        from footsteps.reproduce import rocrate
        from footsteps.reproduce.export_page import page, readme

        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(self.entries):
                self.write_entry(archive, name, self.entries[name])
            for name, data in (
                (ARCHIVE_JSON, stable_json(self.described())),
                ("index.html", as_utf8(page(self))),
                ("README.md", as_utf8(readme(self))),
            ):
                self.write_entry(archive, name, Entry(data=data))
            for name in rocrate.folders(self):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), b"")
            self.write_entry(archive, rocrate.METADATA, Entry(data=stable_json(rocrate.crate(self, agent=agent))))

    def write_entry(self, archive: Any, name: str, entry: Entry) -> None:
        """One entry, without times, and its hash."""
        import hashlib
        import zipfile

        info = zipfile.ZipInfo(name, EPOCH)
        info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
        info.external_attr = (0o100755 if entry.executable else 0o100644) << 16
        info.file_size = os.path.getsize(entry.path) if entry.path else len(entry.data)
        digest, size = hashlib.sha256(), 0
        with archive.open(info, "w", force_zip64=info.file_size > 1 << 30) as out:
            for block in blocks(entry):
                digest.update(block)
                size += len(block)
                out.write(block)
        self.files[name] = {"size": size, "sha256": digest.hexdigest()}
        if entry.sha256 and entry.sha256 != digest.hexdigest():
            self.miss(name, "it is not as the run left it: its hash is another one")

    def described(self) -> dict[str, Any]:
        """What is what in the archive, for footsteps."""
        head = self.chain.head
        asked = {"name": os.path.basename(self.chain.path), "made_as": self.chain.made_as} if self.chain.path else None
        return {
            "format": ARCHIVE_FORMAT, "kind": "footsteps archive", "footsteps": VERSION,
            "head": f"runs/{self.names[head]}" if head else None, "file": asked,
            "runs": [self.described_run(stage) for stage in self.chain.stages],
            "missing": sorted(self.missing, key=lambda row: (row["path"], row["reason"])), "files": dict(self.files),
        }  # fmt: skip

    def described_run(self, stage: Stage) -> dict[str, Any]:
        """One run, and what it read."""
        return {
            "name": stage.run.name, "id": stage.run.id, "directory": f"runs/{self.names[stage]}",
            "code": self.code.get(stage) or None, "requirements": f"requirements/{self.names[stage]}.txt",
            "reads": [self.described_use(use) for use in stage.uses],
        }  # fmt: skip

    def described_use(self, use: Use) -> dict[str, Any]:
        """One file that a run read, and where it is in the archive."""
        made_by = f"runs/{self.names[use.maker]}" if use.maker else None
        inside = f"{made_by}/{use.made_as}" if made_by and not os.path.isabs(use.made_as) else None
        file = inside if inside in self.entries else self.inputs.get((use.path, use.sha256))
        known = {"path": use.path, "size": use.size, "sha256": use.sha256 or None, "file": file}
        return {**known, "made_by": made_by, "made_as": use.made_as or None, "guessed": use.guessed}


def blocks(entry: Entry) -> Iterator[bytes]:
    """An entry's bytes."""
    if not entry.path:
        yield entry.data
        return
    with formats.open_plain_file(entry.path) as file:
        while block := file.read(EXPORTED_BLOCK):
            yield block


def why_not_taken(use: Use, most: int) -> str:
    """Why a file that was read does not come along, "" if it does: only what is surely that file does."""
    from footsteps.reader.formats import sha256_of

    if not use.sha256:
        return "an input of which no hash was recorded"
    if looks_secret(use.path):
        return "its name looks like that of a secret"
    if (use.size or 0) > most:
        return f"an input of {use.size} bytes (--inputs takes more)"
    try:
        same = os.path.isfile(use.here) and sha256_of(os.fsencode(use.here)) == use.sha256
    except OSError as error:
        return f"an input that can't be read: {error.strerror}"
    return "" if same else "an input that is not there any more as it was"


def files_of_run(directory: str, miss: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
    """The regular files of a run's directory, its record's too: name below it and path; runs inside are their own."""
    for name, path in files_of_tree(directory, miss, apart=lambda folder: bool(kind_of_record(folder))):
        if not name.endswith(f".{os.getpid()}"):
            yield name, path


def files_of_tree(
    top: str, miss: Callable[[str, str], None], apart: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, str]]:
    """The regular files below a folder, in order, without those of .git; links and other things are missed."""
    import stat

    for folder, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(n for n in folders if n not in links and n != ".git" and not apart(os.path.join(folder, n)))
        for name in sorted([*names, *links]):
            path = os.path.join(folder, name)
            below = os.path.relpath(path, top).replace(os.sep, "/")
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                yield below, path
            elif stat.S_ISLNK(mode):
                miss(below, f"a link to {os.readlink(path)!r}, which an archive does not hold")
            else:
                miss(below, "no plain file")


def unique_names(names: Iterable[str]) -> Iterator[str]:
    """The names as paths in an archive, each another one."""
    given: set[str] = set()
    for name in map(archive_name, names):
        number, found = 1, name
        while any(found == other or found.startswith(other + "/") or other.startswith(found + "/") for other in given):
            number += 1
            found = f"{name}-{number}"
        given.add(found)
        yield found


def archive_name(name: str) -> str:
    """A run's name as a path of letters, digits and what is harmless everywhere."""
    parts = ["".join(c if c.isalnum() or c in "._-+=@ " else "_" for c in part) for part in name.split("/")]
    return "/".join(part if part.strip(". ") else "_" for part in parts)


def requirements_of(run: Run) -> Iterator[str]:
    """Lines for pip that name the packages of a run with their versions."""
    python = text(mapping(run.facts.get("python")).get("version"))
    yield f"# Python {python if is_word(python) else 'of an unknown version'}"
    for package in sorted(objects(run.facts.get("packages")), key=lambda p: text(p.get("name")).lower()):
        name, version = text(package.get("name")), text(package.get("version"))
        origin = mapping(package.get("direct_url"))
        if not is_word(name) or not is_word(version):
            continue
        if package.get("editable") or mapping(origin.get("dir_info")).get("editable"):
            yield f"# {name} {version} was installed from its source, see code/"
        else:
            yield address_of(origin, name) or f"{name}=={version}"


def bundle_row(repository: str, commit: str, file: str, data: bytes) -> dict[str, Any]:
    """A row of bundles.json for a bundle that holds one commit whole."""
    import hashlib

    return {
        "repository": repository, "commit": commit, "file": file, "kind": "whole", "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(), "prerequisites": [], "shallow": [commit],
    }  # fmt: skip


def stable_json(value: Mapping[str, Any]) -> bytes:
    """JSON that is the same for the same value, in ASCII."""
    import json

    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")


def as_utf8(words: str) -> bytes:
    """A text as UTF-8, what is none of it spelled out."""
    return words.encode("utf-8", "backslashreplace")
