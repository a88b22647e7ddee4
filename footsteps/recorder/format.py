"""What all of a record's files have in common: their names, JSON, text on one line, writing once, hashes, time.

Of our modules this imports secrets.py alone, which every text passes on its way into a record, and nothing that costs
milliseconds: it is on the way to ``output_dir``.

`plain_file` opens what may come from anybody, and `write`, `append` and `replace` are what writes into a record: none
follows a link there, waits for a pipe, or reads a device.
"""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

from footsteps.recorder.secrets import mask, masked

try:
    from _json import encode_basestring_ascii as _json_string
except ImportError:  # PyPy
    from json import dumps as _json_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any


VERSION = "1.1.0"  # of the package; footsteps.py, which is copied, has its own
FORMAT = 1
INFO = "info.txt"
PACKAGES = "package_versions.txt"
RECORD = ".footsteps"
RUN_JSON = "run.json"
CODE = "code"
DIFF = "uncommitted.diff"  # where info.txt has only the beginning of it
EDITED = "edited"  # what was edited while the run went on, laid out as in CODE
BUNDLE = "commits.bundle"
BUNDLES_JSON = "bundles.json"
OUTCOME_JSON = "outcome.json"
RECORDED = "recorded.jsonl"
LATE_JSON = "late.json"
NOTES = "notes.jsonl"
SECTION_TITLES = ("Command:", "System:", "Python:", "Git Hash:", "Uncommitted changes:", "Current working dir:")
BUNDLE_REF = "refs/footsteps/commit"
RUN_VARIABLE = "FOOTSTEPS_RUN"
OUTPUT_ROOT = "results/"
NAME_VARIABLE = "FOOTSTEPS_NAME"
MIB = 2**20
LARGEST = 64 * MIB  # a file of a record, or of a repository's .git, that is read whole is no larger

imported_at = time.time()
started_argv = [str(word) for word in getattr(sys, "argv", [])]  # the program may change both before a run begins
try:
    started_in: str | None = os.getcwd()
except OSError:  # deleted
    started_in = None
open = open  # noqa: A001, PLW0127 - as it is before `inputs` wraps it: what we open is no input of the program's


class FootstepsError(Exception):
    """A mistake of the caller's, or something that stands in the way.

    Attributes:
        message: one sentence.
        hint: what to type, or "".
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def plain_file(path: str | bytes, flags: int = os.O_RDONLY, *, links: bool = False) -> int:
    """The descriptor of a plain file; nothing else is waited for, read for ever, or written through.

    Args:
        flags: as of os.open.
        links: whether the last part of the path may be a link.

    Raises:
        OSError: it is no plain file, or can't be opened.
    """
    if not links and not _NO_LINK and os.path.islink(path):  # Windows
        raise OSError(40, LINKED)
    try:
        descriptor = os.open(path, flags | _NO_WAITING | (0 if links else _NO_LINK), 0o666)
    except FileNotFoundError:
        raise
    except OSError as error:
        if not links and os.path.islink(path):
            raise OSError(error.errno, LINKED) from None
        raise
    if os.fstat(descriptor).st_mode & 0o170000 != 0o100000:
        os.close(descriptor)
        raise OSError(22, "no plain file")
    return descriptor


LINKED = "a link, which is not followed"
TOO_LARGE = 27  # EFBIG, of which errno would be imported


def content_of(path: str | bytes, most: int = LARGEST, *, links: bool = False) -> bytes:
    """The bytes of a plain file. Raises OSError: it is none, can't be read, or holds more than ``most`` bytes."""
    pieces: list[bytes] = []
    descriptor, left = plain_file(path, links=links), most + 1
    try:
        while left > 0 and (piece := os.read(descriptor, min(left, MIB if pieces else 1 << 15))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise OSError(TOO_LARGE, f"larger than {most // MIB} MiB" if most >= MIB else f"larger than {most} bytes")
    return b"".join(pieces)


def is_bytecode(path: str) -> bool:
    """Whether Python made this file of another: kept like any other, but no part of a code's identity.

    Its header holds the source's mtime, and it appears with the first run; while it is written, with a number behind
    its name.
    """
    return path.endswith((".pyc", ".pyo")) or path.rstrip("0123456789").endswith(".pyc.")


def text_of(path: str) -> str:
    """The file as text, "" if it is no plain file, can't be read, or is too large."""
    try:
        text = content_of(path, links=True).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def bytes_of(path: str | bytes) -> bytes:
    """The whole file. Raises OSError."""
    with open(path, "rb") as file:
        return file.read()


def pieces_of(path: str | bytes) -> Iterator[bytes]:
    """A file's bytes, a mebibyte at a time."""
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            yield piece


def seconds_left(deadline: float) -> float:
    """Seconds until then, but never none: what is there already can still be read."""
    return max(0.05, deadline - time.monotonic())


def decoded(path: bytes) -> str:
    """A path as text; bytes that are no UTF-8 come back from it."""
    return path.decode("utf-8", "surrogateescape")


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    digest: str = hasher("sha256")(data).hexdigest()
    return digest


_hashers: dict[str, Callable[[bytes], Any]] = {}


def hasher(name: str) -> Callable[[bytes], Any]:
    """The hash of that name: Python's own, as loading OpenSSL's (which is faster) costs 3 ms, unless it is loaded."""
    if "_hashlib" not in sys.modules:
        if name in _hashers:
            return _hashers[name]
        module = "_sha1" if name == "sha1" else "_sha2" if sys.version_info >= (3, 12) else f"_{name}"
        try:
            return _hashers.setdefault(name, getattr(__import__(module), name))
        except ImportError:  # a Python that was built without
            pass
    import hashlib

    return getattr(hashlib, name)  # type: ignore[no-any-return]


def quote(argv: Sequence[str]) -> str:
    """The arguments as one line that a shell (POSIX; $'..' of bash, zsh, ksh) reads back as they are."""
    return " ".join(map(_quoted, argv))


def _quoted(argument: str) -> str:
    if argument and all(c.isascii() and (c.isalnum() or c in "%+,-./:=@_") for c in argument):
        return argument
    if argument.isprintable():
        return "'" + argument.replace("'", "'\"'\"'") + "'"
    inner = "".join(c if c.isprintable() and c not in "\\'" else _escaped(c) for c in argument)
    return f"$'{inner}'"


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def printable(text: str) -> str:
    """The text on one line: what can't be printed, or breaks a line, is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def write(path: str, data: bytes) -> None:
    """Create a file that is not there yet, under its final name, with the folders above it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    _refuse_linked_record(path)
    try:
        descriptor = plain_file(path, flags)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = plain_file(path, flags)
    _write_all(descriptor, data)


def append(path: str, data: bytes, *, new: bool = True) -> None:
    """Add to the end in one write, as other processes do; ``new``: also to a file that is not there yet."""
    _refuse_linked_record(path)
    _write_all(plain_file(path, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if new else 0)), data)


def replace(path: str, data: bytes) -> None:
    """Put the bytes there, complete or not at all."""
    part = f"{path}.{os.getpid()}"
    try:
        write(part, data)
        os.replace(part, path)
    except BaseException:
        try:
            os.unlink(part)
        except OSError:
            pass
        raise


def _refuse_linked_record(path: str) -> None:
    """Raises OSError where the folder .footsteps has become a link to somewhere else."""
    folder = os.path.dirname(path)
    if folder.endswith(RECORD) and os.path.islink(folder):
        raise OSError(40, f"{folder} is {LINKED}")


def append_line(record: str, kind: str, values: Mapping[str, object]) -> None:
    """Add a line to recorded.jsonl in this record; what can't be written is lost with a line on stderr."""
    line = {"time": iso(time.time()), "kind": kind, "pid": os.getpid(), "values": masked(dict(values))}
    try:
        append(os.path.join(record, RECORDED), (json_text(line) + "\n").encode("ascii"))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        warn(f"not recorded ({kind}): {error}")


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def warn(line: str) -> None:
    """One line on stderr, if there is one; without secrets, as it may tell what an exception says."""
    _put(sys.stderr, f"footsteps: {printable(mask(line))}\n")


def _put(stream: Any, text: str) -> None:
    """Write it at once, if it can be: the stream may be closed, None, ASCII, or lack half the methods."""
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()
    except Exception:
        pass


def iso(seconds: float) -> str:
    """ISO 8601 with microseconds and the local zone; datetime would cost 2 ms to import."""
    whole, micro = divmod(round(seconds * 1e6), 10**6)
    local = time.localtime(whole)
    sign, zone = "-" if local.tm_gmtoff < 0 else "+", abs(local.tm_gmtoff) // 60
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{micro:06d}{sign}{zone // 60:02d}:{zone % 60:02d}"


def start_of(path: str) -> str:
    """The first 4 KiB: /proc/cpuinfo has a page for each core."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""


def after_colon(text: str, title: str) -> str | None:
    """What follows the colon on the first line with this title; None without one."""
    lines = (line for line in text.splitlines() if line.startswith(title))
    return next((line.partition(":")[2].strip() for line in lines), None)


def paths_in(folder: str) -> list[str]:
    """What is in a folder, sorted; nothing if it can't be read."""
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


class Locked:
    """An exclusive lock on a file, given back by the system when its holder dies."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            import fcntl

            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        except ImportError:
            self.lock_on_windows()

    def lock_on_windows(self) -> None:
        """The same where there is no flock."""
        import msvcrt

        while True:
            try:
                return msvcrt.locking(self.descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined, no-any-return, unused-ignore]
            except OSError:  # it gives up after ten seconds
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        try:
            import fcntl

            fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # a child forked meanwhile has a copy of the descriptor
        except (ImportError, OSError):
            pass
        os.close(self.descriptor)


def remove(folder: str) -> None:
    """The folder and all in it; only ever one that we have made."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def collected(name: str, function: Callable[[], Any], problems: list[str]) -> Any:
    """Its value; None and a line among the problems if it can't be had."""
    try:
        return function()
    except Exception as error:
        if is_full(error):
            raise
        problems.append(mask(f"{name}: {type(error).__name__}: {error}"))
        return None


def is_full(error: BaseException) -> bool:
    """Whether the disk has no room: the one thing that must be said before the experiment starts."""
    import errno

    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def as_json(facts: object) -> bytes:
    """JSON, a line for each member of the outer object; what JSON can't say as its repr.

    By the C function that the json module uses: json itself imports re, enum and more (10 ms).
    """
    if not isinstance(facts, dict):
        return (json_text(facts) + "\n").encode("ascii")
    rows = ",\n ".join(f"{json_text(str(key))}: {json_text(value)}" for key, value in facts.items())
    return f"{{\n {rows}\n}}\n".encode("ascii")


def json_text(value: object) -> str:
    """A value as JSON on one line; what JSON can't say as its repr."""
    if isinstance(value, str):
        return _json_string(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):  # also of an IntEnum
        return int.__repr__(value)
    if isinstance(value, float):  # also of a numpy.float64, whose own repr is no number
        plain = float.__repr__(value)
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(plain, plain)
    if isinstance(value, dict):
        return "{" + ", ".join([f"{json_text(str(key))}: {json_text(inner)}" for key, inner in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([json_text(inner) for inner in value]) + "]"
    return json_text(mask(repr(value)))


def from_json(text: str) -> Any:
    """What the JSON says, by the C function that the json module uses; see as_json. Raises ValueError."""
    words = text.strip()
    try:
        from _json import make_scanner

        hooks = {"strict": True, "object_hook": None, "object_pairs_hook": None}
        usual: Any = SimpleNamespace(**hooks, parse_int=int, parse_float=float, parse_constant=float)
        value, end = make_scanner(usual)(words, 0)
        if end == len(words):
            return value
    except (ImportError, SystemError, StopIteration, ValueError):  # no C here, or no JSON: json says which
        pass
    import json

    return json.loads(text)


def as_name(text: str) -> str:
    """The text without what can't stand in a file's name."""
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text).strip(". ")
    return kept[:100] or "run"


def shared() -> Any:
    """The state of this process that all copies of footsteps.py share: the run, what is assigned to output_dir."""
    return sys.modules.get("_footsteps_shared")


def current() -> Any:
    """The run of this process, if there is one yet; one that is over, as another execution goes on, is ended."""
    core = getattr(shared(), "core", None)
    return core.current() if core is not None else None


def run_directory() -> str:
    """What ``output_dir`` of the program's copy of footsteps.py gives, or of the package's: it begins the run."""
    from importlib import import_module

    core = getattr(shared(), "core", None) or import_module("footsteps.footsteps")
    return str(core.run_directory())


def quietly(function: Callable[..., object], *arguments: object) -> None:
    """Call it; recording never ends the program, so what it raises is a line on stderr."""
    try:
        function(*arguments)
    except Exception as error:
        warn(f"not recorded: {type(error).__name__}: {error}")


def working_directory() -> str | None:
    """None if it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def encoded(text: str) -> bytes:
    """Text as UTF-8; what `decoded` could not read comes back as it was."""
    return text.encode("utf-8", "surrogateescape")
