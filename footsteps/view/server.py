"""The page, served on this machine and kept new while runs go on: `footsteps view --follow`.

    with Server(find, describe) as server:
        print(server.url)
        server.serve()  # until KeyboardInterrupt

It listens on 127.0.0.1 only; each address begins with a random token, so that another user of the
machine, or a page of another site, can't ask; the Host header must name us, so that no other name
can be made to lead here (DNS rebinding). Of the disk it gives the files of the runs shown, read
without following links, and says of each that no browser may execute it.
"""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from footsteps.view import data, page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from typing_extensions import Self

    from footsteps.reader.runs import Run
    from footsteps.view.data import Sections

__all__ = ["PageServer"]

LARGEST_SERVED = 64 << 20  # bytes of a file that is served
SERVED_TYPES = {**{end: f"image/{kind}" for end, kind in page.IMAGE_TYPES.items()}, ".pdf": "application/pdf"}
NOTHING = "default-src 'none'; sandbox"


class PageServer:
    """find: the runs to show, newest first, asked again each time; describe: what `show` prints of one."""

    def __init__(self, find: Callable[[], Sequence[Run]], describe: Callable[[Run], Sections], **head: Any) -> None:
        import secrets

        self.find, self.describe, self.head = find, describe, head
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        self.runs: dict[str, Run] = {}
        self.seen: tuple[Any, ...] = ()
        self.document: dict[str, Any] = {}
        self.rest = 0.0  # until when what was made last is good enough
        handler = type("Handler", (Handler,), {"owner": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.hosts = {f"{name}:{self.http.server_address[1]}" for name in ("127.0.0.1", "localhost")}

    @property
    def url(self) -> str:
        """The page's address, with its token."""
        return f"http://127.0.0.1:{self.http.server_address[1]}/{self.token}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.server_close()

    def serve(self) -> None:
        """Answer until KeyboardInterrupt, or until `http.shutdown` is called."""
        self.http.serve_forever(poll_interval=0.2)

    def current(self) -> dict[str, Any]:
        """The document as of now; it is made again where something has changed."""
        import time

        with self.lock:
            if time.monotonic() < self.rest:
                return self.document
            began = time.monotonic()
            runs = list(self.find())
            seen = tuple(run_state(run) for run in runs)
            if seen != self.seen or not self.document:
                self.runs = {key_of(run): run for run in runs}
                how = data.Pages(self.describe, lambda run: f"files/{key_of(run)}/")
                version = f"{hash(seen) & 0xFFFFFFFFFFFF:x}"
                self.document = data.document(runs, how, follow=True, version=version, **self.head)
                self.seen = seen
                took = time.monotonic() - began
                self.rest = time.monotonic() + 4 * took if took > 1 else 0.0  # a fifth of a processor is enough
            return self.document


def key_of(run: Run) -> str:
    """What names a run in an address."""
    import hashlib

    return hashlib.sha256(os.fsencode(run.directory)).hexdigest()[:20]


def run_state(run: Run) -> tuple[Any, ...]:
    """What changes when a run has gone on: status, times and sizes of what is added to; while it runs, the second."""
    import time

    times = []
    for path in (
        run.directory,
        run.record,
        os.path.join(run.record, "recorded.jsonl"),
        os.path.join(run.directory, "console.txt"),
    ):
        try:
            info = os.stat(path)
            times += [info.st_mtime_ns, info.st_size]
        except OSError:
            times.append(0)
    now = int(time.time()) if run.status == "running" else 0
    return (run.directory, run.status, now, *times)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    owner: PageServer
    server_version = "footsteps"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, what is new, or a file of a run; nothing else is there."""
        path, _, asked = self.path.partition("?")
        token, _, rest = path.lstrip("/").partition("/")
        if self.headers.get("Host") not in self.owner.hosts or not same(token, self.owner.token):
            self.refuse(403)
        elif rest == "":
            self.give(
                page.html(self.owner.current(), connect="'self'").encode(),
                "text/html; charset=utf-8",
                "frame-ancestors 'none'",
            )
        elif rest == "data.json":
            self.give_data(asked)
        elif rest.startswith("files/"):
            self.give_file(rest[len("files/") :])
        else:
            self.refuse(404)

    def give_data(self, asked: str) -> None:
        """The document, if it is another one than the page has."""
        document = self.owner.current()
        if asked == f"since={document['version']}":
            self.send_response(204)
            self.end_headers()
        else:
            self.give(data.dumped(document).encode(), "application/json")

    def give_file(self, rest: str) -> None:
        """A plain file of a run that is shown."""
        from urllib.parse import unquote_to_bytes

        key, _, quoted = rest.partition("/")
        name = os.fsdecode(unquote_to_bytes(quoted))
        run = self.owner.runs.get(key)
        there = run is not None and any(path == name for path, _ in run.files())
        content = data.read_inside(run.directory, name, LARGEST_SERVED) if run is not None and there else None
        if content is None:
            self.refuse(404)
        else:
            self.give(content, served_type(name, content), NOTHING)

    def give(self, content: bytes, kind: str, policy: str = NOTHING) -> None:
        """An answer that no browser keeps, guesses at, or hands to another site."""
        self.send_response(200)
        for name, value in (
            ("Content-Type", kind), ("Content-Length", str(len(content))), ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", policy),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, code: int) -> None:
        """No answer but a number."""
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal is the user's."""


def same(one: str, other: str) -> bool:
    """Whether two words are the same, told in a time that does not depend on where they differ."""
    import hmac

    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


def served_type(name: str, content: bytes) -> str:
    """The type of a file as it is served: a picture, a PDF, else text or bytes, whatever its name says."""
    known = SERVED_TYPES.get(os.path.splitext(name)[1].lower())
    return known or ("text/plain; charset=utf-8" if b"\0" not in content[:4096] else "application/octet-stream")
