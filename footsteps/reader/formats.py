"""How each file of a record is read: every format ever written, file by file.

`kind_of_record` tells what wrote a directory, and READERS[kind] gives what it recorded under run.json's keys.
Nothing here raises for what a record holds: what is damaged is a `Problem` in the list that the caller
gives, the rest is returned. Nothing writes, prints, or starts a process.
"""

from __future__ import annotations

import os
from io import FileIO

from footsteps.recorder import format as recorded
from footsteps.recorder.format import (
    FORMAT,
    INFO,
    LARGEST,
    PACKAGES,
    RECORD,
    RUN_JSON,
    SECTION_TITLES,
    TOO_LARGE,
    content_of,
    from_json,
    hasher,
)

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

DEEPEST = 100  # lists and objects within each other in a record's JSON
DEEPEST_FOLDER = 1000  # folders within each other; deeper ones could not be removed again
LONGEST_LINE = 1 << 20  # characters of a command that are read as a shell does
LONGEST_NUMBER = 1000  # digits
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".avif", ".bmp")
LT_FACTS = ("hash_code", "base_hash_code", "git_label")  # added to the arguments by LTParser
# kinds of problems, worded so that "<kind>: <path>" reads well
DAMAGED = "could not be read whole"
NEWER = "written by a newer footsteps, shown as far as it is understood"
CLOSED = "could not be opened"
NOT_COPIED = "the hidden folder .footsteps of this run is missing (copied without hidden files?)"


class Problem:
    """Something that kept a record from being read whole.

    kind: one of the module's constants (few, so that a reader can count them);
    path: the file or directory; detail: what the system or the parser said.
    """

    __slots__ = ("detail", "kind", "path")

    def __init__(self, kind: str, path: str, detail: str = "") -> None:
        self.kind, self.path, self.detail = kind, path, detail

    def __repr__(self) -> str:
        return f"Problem({self.kind!r}, {self.path!r}, {self.detail!r})"


# ---------------------------------------------------------------------------------------------
# Values from records: whatever they hold, these give what was asked for
# ---------------------------------------------------------------------------------------------


def text(value: object) -> str:
    """The value if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def is_number(value: object) -> bool:
    """Whether the value is a number (true is none) that fits into a float, as an int of JSON need not."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**1023)


def mapping(value: object) -> dict[str, Any]:
    """The value if it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in the value if it is a list, else []."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def unique(items: Iterable[object], key: str) -> list[dict[str, Any]]:
    """The objects among the items, the first of each value of `key`."""
    first: dict[str, dict[str, Any]] = {}
    for item in objects(list(items)):
        first.setdefault(repr(item.get(key)), item)
    return list(first.values())


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted names: {"a": {"b": 1}} is {"a.b": 1}; lists stay lists."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            out.update(flat(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """An order for version numbers that needs no library: 1.9 < 1.10, 2.0rc1 < 2.0 < 2.0.post1."""
    import re

    ranks = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "post": 1}
    words = re.findall(r"\d+|[a-z]+", version.partition("+")[0].lower().lstrip("v"))
    parts = [(2, int(w[:LONGEST_NUMBER]), "") if w.isdigit() else (ranks.get(w, 0), 0, w) for w in words]
    while parts and parts[-1] == (2, 0, ""):
        parts.pop()
    return (*parts, (0, 0, ""))


def seconds(iso: str) -> float:
    """Seconds since 1970 of an ISO 8601 time (no zone: UTC), or 0.0 if it is none."""
    try:
        # datetime itself takes 1 ms more until Python 3.12
        from _datetime import datetime, timezone  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from datetime import datetime, timezone

    try:
        when = datetime.fromisoformat(iso.replace("Z", "+00:00"))
        return float((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError, OSError):
        return 0.0


def iso_time(epoch: float) -> str:
    """ISO 8601 with zone of seconds since 1970."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(epoch, timezone.utc).isoformat()


# ---------------------------------------------------------------------------------------------
# Files of records
# ---------------------------------------------------------------------------------------------


def read_bytes(path: str, damage: list[Problem]) -> bytes:
    """The file's bytes; b"" if it is not there, b"" and a problem if it can't be read."""
    try:
        return content_in(path)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        kind = DAMAGED if error.errno == TOO_LARGE else CLOSED
        damage.append(Problem(kind, path, error.strerror or str(error)))
        return b""


def content_in(path: str) -> bytes:
    """The bytes of a record's file, in an archive too; an OSError if it is no plain file, a link, or too large."""
    try:
        return content_of(path)
    except NotADirectoryError:  # below a file: perhaps in an archive
        with open_plain_file(path) as file:
            data = bytes(file.read(LARGEST + 1))
    if len(data) > LARGEST:
        raise OSError(TOO_LARGE, f"larger than {LARGEST >> 20} MiB")
    return data


def open_plain_file(path: str | bytes) -> FileIO:
    """The file, or what it links to, opened for reading; an OSError where a pipe would be waited for, or a device."""
    try:
        return FileIO(recorded.plain_file(path, links=True))
    except NotADirectoryError:  # below a file: perhaps in an archive
        from footsteps.reader.archive import member_at

        return member_at(os.fsdecode(path))  # type: ignore[return-value]  # which reads like one


def sha256_of(path: str | bytes) -> str:
    """The SHA-256 of a plain file, hexadecimal. Raises OSError if it is none, or can't be read."""
    with open_plain_file(path) as file:
        return digest_of(file)


LARGEST_HOLLOW = 64 * recorded.MIB  # bytes of a file of which the disk may hold nothing
PRESSED = 100  # times as many bytes as the disk holds: so far a file system may press what is no hole


def is_hollow(status: os.stat_result) -> bool:
    """Whether a file is next to nothing but holes, which would be terabytes once they are written out."""
    held = 512 * getattr(status, "st_blocks", status.st_size)
    return status.st_size > LARGEST_HOLLOW + PRESSED * held


def digest_of(file: FileIO) -> str:
    """The SHA-256 of what an open file holds, hexadecimal. Raises OSError for one of holes: that would take hours."""
    status = os.fstat(file.fileno())
    if is_hollow(status):
        raise OSError(TOO_LARGE, f"{status.st_size} bytes of holes, which are not read")
    if status.st_size > 1 << 20:
        import hashlib  # noqa: F401 - for then `hasher` takes OpenSSL's, faster and slow to load
    digest = hasher("sha256")(b"")
    while block := file.read(1 << 20):
        digest.update(block)
    return str(digest.hexdigest())


def read_object(path: str, damage: list[Problem]) -> dict[str, Any] | None:
    """The JSON object in a file; None, and a problem unless it is missing, where it holds none."""
    data = read_bytes(path, damage)
    try:
        value = json_value(data) if data else None
    except (ValueError, RecursionError) as error:
        damage.append(Problem(DAMAGED, path, str(error)))
        return None
    if isinstance(value, dict):
        return value
    if data or (os.path.exists(path) and not any(p.path == path for p in damage)):
        damage.append(Problem(DAMAGED, path, "not a JSON object" if data else "empty"))
    return None


def is_picture(path: str) -> bool:
    """Whether a file is shown as a figure, by its name."""
    return path.lower().endswith(PICTURES)


def json_value(data: bytes) -> Any:
    """The value that JSON says. Raises ValueError: it says none, or one so deep that others would stumble over it."""
    value = from_json(data.decode("utf-8-sig", "surrogatepass"))
    if data.count(b"[") + data.count(b"{") > DEEPEST and is_deep(data, value):
        raise ValueError(f"deeper than {DEEPEST} lists and objects within each other")
    return value


def is_deep(data: bytes, value: Any) -> bool:
    """Whether a JSON value is deeper than DEEPEST, by its text where that is enough."""
    brackets = data.translate(None, NO_BRACKETS)
    for _ in range(DEEPEST // 2):  # each turn takes at least the innermost ones away
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not fewer:
            return False
        if len(fewer) == len(brackets):  # some stand in texts
            break
        brackets = fewer
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, (dict, list)) for inner in values_in(one)]
    return bool(level)


NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def values_in(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    """The values within an object or list."""
    return value.values() if isinstance(value, dict) else value


def read_lines(path: str, damage: list[Problem]) -> list[dict[str, Any]]:
    """The JSON objects of a file with one a line; a problem for the lines that are none."""
    found, bad = [], 0
    for line in read_bytes(path, damage).splitlines():
        try:
            value = json_value(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append(value)
        else:
            bad += bool(line.strip())
    if bad:
        damage.append(Problem(DAMAGED, path, f"{bad} broken line{'s' if bad > 1 else ''}"))
    return found


def merged_repositories(
    facts: Mapping[str, Any], late: Mapping[str, Any], bundles: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """run.json's repositories with the files found later and the bundles made later."""
    merged = []
    later, made = by_name(late.get("repositories"), "name"), by_name(bundles.get("bundles"), "repository")
    for repository in objects(facts.get("repositories")):
        name = repr(repository.get("name"))
        entry = {**repository}
        for key in ("files", "left_out"):
            listed = [item for part in [repository, *later.get(name, [])] for item in objects(part.get(key))]
            entry[key] = unique(listed, "path")
        edited = unique([item for part in later.get(name, []) for item in objects(part.get("edited"))], "path")
        entry.update({"edited": edited} if edited else {})
        entry["bundles"] = made.get(name, [])
        merged.append(entry)
    return merged


def by_name(rows: object, key: str) -> dict[str, list[dict[str, Any]]]:
    """The objects in a list, grouped by the repr of one of their values."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in objects(rows):
        groups.setdefault(repr(row.get(key)), []).append(row)
    return groups


def why_incomplete(outcome: Mapping[str, Any]) -> str:
    """What is said where an outcome tells that not all inputs are listed."""
    names = outcome.get("inputs_not_followed")
    libraries = ", ".join(map(str, names)) if isinstance(names, list) else ""
    why = f": {libraries} may have opened more, unseen" if libraries else ""
    return f"not all that it read is recorded one by one{why}"


def what_became_of(file: Mapping[str, Any]) -> str:
    """What is said of a file of the code that was edited while the run went on."""
    return (
        "edited during the run, and executed" if file.get("executed") else "edited during the run, after it was loaded"
    )


def merged_inputs(record: str, damage: list[Problem]) -> list[dict[str, Any]]:
    """What all processes of a run noted as read: one entry for each file and each directory."""
    try:
        names = sorted(os.listdir(record))
    except NotADirectoryError:
        names = [name for name, _ in archived(record)]
    except OSError:
        return []
    merged: dict[str, dict[str, Any]] = {}
    for name in names:
        if name.startswith("inputs-") and name.endswith(".jsonl"):
            for line in read_lines(os.path.join(record, name), damage):
                if "not_followed" not in line:  # which the outcome tells
                    merge_input(merged, line)
    return list(merged.values())


def merge_input(merged: dict[str, dict[str, Any]], line: dict[str, Any]) -> None:
    """Add one noted input: counts of a directory add up, a hash is not lost to a line without."""
    key = text(line.get("path")) or text(line.get("directory")) + os.sep
    known = merged.setdefault(key, line)
    if known is line:
        return
    if "directory" in line:
        known["count"] = sum(n for n in (known.get("count"), line.get("count")) if type(n) is int)
    elif line.get("sha256") or not known.get("sha256"):
        known.update(line)


def differs_from_commit(repository: Mapping[str, Any]) -> bool:
    """Whether a repository's files were not as its commit has them (git's line ends aside)."""
    files = objects(repository.get("files"))
    return bool(
        repository.get("differs") or repository.get("left_out") or any(f.get("state") != "converted" for f in files)
    )


def folders_below(top: str, skip: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each folder at and below another one, links not followed, with the names of what lies in it and is no folder.

    (os.walk recurses before Python 3.12, and folders may lie within each other any number of times.)
    """
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        folders: list[str] = []
        names: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
        except OSError:
            continue
        yield folder, sorted(names)
        inner = sorted(folders, reverse=True) if depth < DEEPEST_FOLDER else []
        waiting += [(os.path.join(folder, name), depth + 1) for name in inner if name != skip]


def record_files(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below a directory, no links followed, `.footsteps` folders left out."""
    for name, size in [] if os.path.isdir(directory) else archived(directory):
        if RECORD not in name.split("/"):
            yield name, os.stat_result((0o100644, 0, 0, 1, 0, 0, size, 0, 0, 0))
    for folder, names in folders_below(directory, skip=RECORD):
        for name in names:
            path = os.path.join(folder, name)
            try:
                info = os.lstat(path)
            except OSError:
                continue
            if info.st_mode & 0o170000 == 0o100000:
                yield os.path.relpath(path, directory).replace(os.sep, "/"), info


def archived(folder: str) -> list[tuple[str, int]]:
    """The files below a folder of an archive: path below it and size; [] if it is in none."""
    from footsteps.reader.archive import archived_files

    return archived_files(folder)


# ---------------------------------------------------------------------------------------------
# The formats: each reader gives the keys of run.json
# ---------------------------------------------------------------------------------------------


def read_run_json(directory: str, damage: list[Problem]) -> dict[str, Any]:
    """Format 1 and whatever comes after it; info.txt steps in for a run.json that is no use."""
    path = os.path.join(directory, RECORD, RUN_JSON)
    facts = read_object(path, damage)
    if facts is None:
        if not damage:
            damage.append(Problem(DAMAGED, path, "missing"))
        return read_info(directory, damage)
    if isinstance(facts.get("format"), int) and facts["format"] > FORMAT:
        damage.append(Problem(NEWER, path, f"format {facts['format']}, this reads {FORMAT}"))
    return facts


def read_info(directory: str, damage: list[Problem]) -> dict[str, Any]:
    """Footsteps 0.1: what info.txt and pip's list tell."""
    path = os.path.join(directory, INFO)
    if not os.path.exists(path):
        return {}
    parts = info_sections(path, damage)
    if names_a_record(path):
        damage.append(Problem(NOT_COPIED, os.path.join(directory, RECORD)))
    command, host, python, git, diff, cwd = (os.fsdecode(part.strip(b"\r\n")) for part in parts)
    describe, _, link = git.partition("\n")
    return {
        "command": command, "arguments": arguments_in(shell_words(command)[1:]),
        "host": host, "python": {"executable": python}, "cwd": cwd,
        "started": file_time(path), "started_from": INFO,
        "repositories": older_repository(cwd, describe, bool(diff.strip()), link),
        "packages": pip_list(os.path.join(directory, PACKAGES), damage),
    }  # fmt: skip


def names_a_record(info: str) -> bool:
    """Whether an info.txt tells, after the sections of footsteps 0.1, of a record that was written with it."""
    import re

    last = b"\n" + SECTION_TITLES[-1].encode() + b"\n"
    after = read_bytes(info, []).rpartition(last)[2]
    return bool(re.search(rb"\nRun:\n\S+ \(footsteps [^\n]*, format \d+\)\n", after))


def older_repository(cwd: str | None, describe: str, differs: bool, link: str = "") -> list[dict[str, Any]]:
    """The one repository that older formats knew, in run.json's form; [] without a commit."""
    commit = commit_in(describe)
    if not commit:
        return []
    repository: dict[str, Any] = {
        "name": "main", "role": "cwd", "path": cwd, "commit": commit, "describe": describe.strip(),
        "commit_url": link.strip() or None, "differs": differs, "files": [], "left_out": [],
    }  # fmt: skip
    return [repository]


def info_sections(path: str, damage: list[Problem]) -> list[bytes]:
    """The six sections of info.txt, as bytes, in the order of their titles; b"" for a missing one.

    No line of a patch is a bare title, so the first one after the patch's title ends it. The
    last section is one line: what footsteps adds after it is not its own.
    """
    from io import BytesIO  # its lines end at \n only; splitlines would also cut at a \r in a patch

    lines = BytesIO(read_bytes(path, damage)).readlines()
    bare = [line.strip(b"\r\n") for line in lines]
    starts: list[int | None] = []
    at = -1
    for title in (title.encode() for title in SECTION_TITLES):
        starts.append(bare.index(title, at + 1) if title in bare[at + 1 :] else None)
        at = at if starts[-1] is None else starts[-1]
    if None in starts:
        damage.append(Problem(DAMAGED, path, "sections are missing"))
    sections, end = [], len(lines) if starts[-1] is None else at + 2
    for start in reversed(starts):
        sections.append(b"" if start is None else b"".join(lines[start + 1 : end]))
        end = end if start is None else start
    return sections[::-1]


def commit_in(describe: str) -> str:
    """The (abbreviated) commit in what `git describe --always` says; "" in a bare tag."""
    import re

    found = re.fullmatch(r"(?:.*-\d+-g)?([0-9a-f]{4,64})(?:-dirty)?", describe.strip())
    return found[1] if found else ""


def pip_list(path: str, damage: list[Problem]) -> list[dict[str, str]]:
    """Names and versions in what `pip list` printed (columns, or the older `name (version)`)."""
    import re

    lines = read_bytes(path, damage).decode("utf-8", "replace").splitlines()
    rows = [re.match(r"([A-Za-z0-9][\w.\-]*)\s+\(?(\d[^\s()]*)", line) for line in lines]
    return [{"name": row[1], "version": row[2]} for row in rows if row]


def file_time(path: str) -> str:
    """When a file was last written, ISO 8601 with zone, or ""."""
    try:
        return iso_time(os.stat(path).st_mtime)
    except OSError:
        return ""


def read_settings(directory: str, damage: list[Problem]) -> dict[str, Any]:
    """LiteTracer: what settings_<hash_code>.txt and its neighbours tell."""
    path = settings_file(directory)
    arguments = lt_settings(os.fsdecode(read_bytes(path, damage)))
    code = os.path.basename(path)[len("settings_") : -len(".txt")]
    own = {key: arguments.pop(key) for key in LT_FACTS if key in arguments}
    label = text(own.get("git_label"))
    return {
        "arguments": arguments, "argument_facts": {**own, "hash_code": code},
        "started": file_time(path), "started_from": os.path.basename(path),
        "repositories": older_repository(None, label, has_changes(directory)),
    }  # fmt: skip


def settings_file(directory: str) -> str:
    """The path of a LiteTracer record's settings, or "" if the directory is no such record."""
    path = os.path.join(directory, f"settings_{os.path.basename(directory)}.txt")
    if os.path.isfile(path):
        return path
    try:  # renamed since: LiteTracer's name for the file still tells the hash
        names = [name for name in os.listdir(directory) if name.startswith("settings_LT_")]
    except OSError:
        return ""
    fits = len(names) == 1 and names[0].endswith(".txt")
    return os.path.join(directory, names[0]) if fits else ""


def lt_settings(line: str) -> dict[str, Any]:
    """The arguments in LiteTracer's line: `--name value ...`, a bare `--flag`, `--name=value`."""
    words = shell_words(line)
    values: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, given, value = word[2:].partition("=")
            values[name] = [value] if given else []
        elif name:
            values[name].append(word)
    return one_or_many(values)


def shell_words(line: str) -> list[str]:
    """The words of a line, quotes understood; cut at blanks where they do not pair up."""
    import shlex

    if len(line) > LONGEST_LINE:  # shlex looks at each character
        return line.split()
    try:
        return shlex.split(line)
    except ValueError:  # neither LiteTracer nor footsteps 0.1 quoted what it wrote
        return line.split()


def arguments_in(words: Sequence[str]) -> dict[str, Any]:
    """What a command line says by itself: `--lr 0.1`, `--lr=0.1`, `-v`, and Hydra's `a.b=c`."""
    import re

    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        pattern = r"\+*([A-Za-z_][\w.@/]*)(=)(.*)" if not name else r"$."
        named = re.fullmatch(r"--?([A-Za-z][\w.\-]*)(?:(=)(.*))?", word, re.DOTALL)
        named = named or re.fullmatch(pattern, word, re.DOTALL)
        if named:
            found[named[1]] = [named[3]] if named[2] else []
            name = "" if named[2] else named[1]
        elif name:
            found[name].append(word)
    return one_or_many(found)


def one_or_many(values: Mapping[str, list[str]]) -> dict[str, Any]:
    """No value is a flag that was given, one is itself, several are a list."""
    return {k: True if not v else v[0] if len(v) == 1 else v for k, v in values.items()}


def has_changes(directory: str) -> bool:
    """Whether a LiteTracer record holds a patch or untracked files."""
    try:
        patch = os.path.getsize(os.path.join(directory, "diff.patch")) > 0
    except OSError:
        patch = False
    return patch or any(True for _ in untracked_in(directory))


def untracked_in(directory: str) -> Iterator[tuple[str, str]]:
    """LiteTracer's copies of untracked files: the path of each, and where the copy is; none behind a link."""
    top = os.path.join(directory, "untracked")
    for path, _ in record_files(top) if not os.path.islink(top) else ():
        yield path, os.path.join(top, *path.split("/"))


READERS = {
    "run": read_run_json,
    "arguments": read_run_json,
    "footsteps 0.1": read_info,
    "lite_tracer": read_settings,
}


def kind_of_record(directory: str) -> str | None:
    """What wrote a directory: a key of READERS, or None if it is no run."""
    try:
        os.stat(os.path.join(directory, RECORD, RUN_JSON))
    except PermissionError:  # a run that nobody may read is none the less one
        if os.path.isdir(os.path.join(directory, RECORD)):
            return "run"
    except (OSError, ValueError):
        pass
    else:
        return "run"
    if os.path.isdir(os.path.join(directory, RECORD)):  # of a run that was killed while it started, maybe all there is
        return "run"
    if begins_like_info(os.path.join(directory, INFO)):
        return "footsteps 0.1"
    return "lite_tracer" if settings_file(directory) else None


def begins_like_info(path: str) -> bool:
    """Whether the file is an info.txt of ours and not somebody else's."""
    title = SECTION_TITLES[0].encode()
    try:
        with open_plain_file(path) as file:
            return file.read(len(title) + 2).rstrip(b"\r\n").startswith(title)
    except OSError:
        return False
