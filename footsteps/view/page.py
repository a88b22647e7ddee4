"""Joins the page: page.html with the style, the scripts and the data, and a policy that allows nothing else.

    >>> from footsteps.view import page
    >>> page.write_page("runs.html", runs, describe=describe)

The data are JSON in an element that no browser executes, and hold no character that could end it.
The policy (Content-Security-Policy) names the style and the script by their hashes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from footsteps.view import data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.view.data import Sections

__all__ = ["SCRIPTS", "embedded", "file_url", "html", "policy", "script", "url_of", "write_page"]

FOLDER = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = (
    "text.js",
    "expressions.js",
    "records.js",
    "charts.js",
    "differences.js",
    "table.js",
    "graph.js",
    "views.js",
    "page.js",
)
EMBED = 2_000_000  # bytes of the largest picture that is put in
EMBED_ALL = 40_000_000  # bytes of all of them
IMAGE_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml",
         ".avif": "avif", ".bmp": "bmp"}  # fmt: skip


def write_page(
    path: str, runs: Sequence[Run], *, describe: Callable[[Run], Sections], embed: int = 0, **head: Any
) -> int:
    """Write the page of some runs to a file, by rename; its size in bytes.

    describe: what `show` prints of a run; embed: the largest picture, in bytes, that is put into the
    file (0: pictures are links); head: `title`, `query`. Raises OSError if it can't be written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    how = data.Pages(describe, lambda run: url_of(run.directory, folder))
    pictures = embedded(runs, embed) if embed else {}
    content = html(data.document(runs, how, **head), pictures).encode("ascii")
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return len(content)


def url_of(directory: str, folder: str) -> str:
    """The relative URL of a directory, seen from another one, with a slash at the end."""
    from urllib.parse import quote

    try:
        relative = os.path.relpath(directory, folder)
    except ValueError:  # on another drive
        return "file:///" + quote(directory.replace(os.sep, "/")) + "/"
    return "/".join(quote(os.fsencode(part), safe="") for part in [".", *relative.split(os.sep)]) + "/"


def file_url(path: str) -> str:
    """The URL by which a browser opens a file."""
    from pathlib import Path

    return Path(os.path.abspath(path)).as_uri()


def html(document: dict[str, Any], pictures: dict[str, str] | None = None, *, connect: str = "'none'") -> str:
    """The page that shows a document; connect: where it may ask for more."""
    style, code = source("page.css"), script()
    parts = {
        "POLICY": policy(style, code, connect),
        "STYLE": style,
        "DATA": harmless(data.dumped(document)),
        "PICTURES": harmless(data.dumped(pictures or {})),
        "SCRIPT": code,
    }
    page = source("page.html")
    pieces = page.split("@@")  # between two of them stands a name
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def policy(style: str, code: str, connect: str = "'none'") -> str:
    """What the page may do: this style, this script, pictures; nothing of it can be put in by a record."""
    rules = {
        "default-src": "'none'",
        "script-src": policy_hash(code),
        "style-src": policy_hash(style),
        "img-src": "'self' data: file:",
        "connect-src": connect,
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def policy_hash(words: str) -> str:
    """A script or a style as a policy names it."""
    import hashlib
    from base64 import b64encode

    return f"'sha256-{b64encode(hashlib.sha256(words.encode()).digest()).decode()}'"


def script() -> str:
    """The page's program: all its files, one after the other."""
    return '"use strict";\n' + "\n".join(source(name) for name in SCRIPTS)


def source(name: str) -> str:
    """One of the page's files; ASCII, so that its hash is the same in every encoding."""
    with open(os.path.join(FOLDER, name), encoding="ascii", newline="") as file:
        return file.read().replace("\r\n", "\n")


def harmless(json: str) -> str:
    """JSON in ASCII without the characters that mean something to an HTML parser."""
    return json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def embedded(runs: Sequence[Run], limit: int = EMBED, most: int = EMBED_ALL) -> dict[str, str]:
    """Pictures as data URLs, by the number of the run, a slash and the path; the newest runs' first."""
    from base64 import b64encode

    found: dict[str, str] = {}
    for number, run in enumerate(runs):
        for path in data.figures_of(run):
            content = data.read_inside(run.directory, path, limit)
            if content is not None and len(content) <= min(limit, most):
                most -= len(content)
                kind = IMAGE_TYPES[os.path.splitext(path)[1].lower()]
                found[f"{number}/{path}"] = f"data:image/{kind};base64,{b64encode(content).decode()}"
    return found
