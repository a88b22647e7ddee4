"""What the tests of the view share: the command, the data of a page, a stranger's run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from base64 import b64decode
from pathlib import Path

from made_runs import make_run

SCRIPT = "<script>window.pwned=1</script>"
HOSTILE = [
    SCRIPT,
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "javascript:window.pwned=1",
    "<!--<script>",
    "]]>&lt;b&gt;\u2028\u2029",
    "\u202egnp.exe\u2066\u200f",
    "__proto__",
    "constructor",
]
DRAWING = f"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="window.top.pwned=1">
{SCRIPT}
<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="javascript:window.top.pwned=1"/></foreignObject>
<image href="x" onerror="window.top.pwned=1"/><rect width="40" height="30"/></svg>"""


def footsteps(*words, cwd=None, env=None):
    """A finished `footsteps` command."""
    command = [sys.executable, "-m", "footsteps", *map(os.fspath, words)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)


def document_in(words) -> dict:
    """The data of a page."""
    return json.loads(words.partition('id="data">')[2].partition("</script>")[0])


def document_of(path) -> dict:
    """The data of a written page."""
    return document_in(Path(path).read_text("ascii"))


def unpacked(document, kind, number=0) -> list:
    """The values of a chunk."""
    return json.loads(zlib.decompress(b64decode(document["chunks"][kind][number]), 31))


def strangers_run(directory):
    """A run whose every name and value would act on a page that does not take care."""
    values = {f"{words}{number}": words for number, words in enumerate(HOSTILE)}
    steps = [("recorded", {"step": step, **dict.fromkeys(HOSTILE, step * 0.5)}) for step in range(5)]
    raised = {"type": SCRIPT, "message": HOSTILE[1], "file": HOSTILE[2], "line": HOSTILE[3]}
    names = ["javascript:alert(1)", "a<b>.png", "<img src=x onerror=window.pwned=1>.txt", "evil.svg", "page.html"]
    listed = [*names, "../../outside.txt", "/etc/passwd", "link.txt", "inner/../../../outside.txt"]
    file = {"path": HOSTILE[1], "state": "untracked", "kind": "file", "sha256": "0" * 64, "stored": "code/main/x.py"}
    run = make_run(
        directory,
        id="20261122T000000Z-0badc0de",
        started=HOSTILE[3],
        command=" ".join(HOSTILE),
        cwd=SCRIPT,
        host=HOSTILE[7],
        user=SCRIPT,
        arguments={**values, "nested": {SCRIPT: {HOSTILE[1]: [HOSTILE[2], {"a": SCRIPT}]}}},
        packages=[{"name": words, "version": words} for words in HOSTILE],
        repositories=[{"name": "main", "role": "cwd", "commit": SCRIPT, "branch": HOSTILE[1], "files": [file]}],
        parent={"id": SCRIPT, "name": HOSTILE[1], "directory": HOSTILE[4]},
        outcome={
            "status": "failed", "exception": raised, "seeds": values,
            "artifacts": [{"path": path, "size": SCRIPT, "sha256": HOSTILE[1]} for path in listed],
        },
        recorded=[*steps, ("recorded", {"unequal": SCRIPT})],
    )  # fmt: skip
    (run / "info.txt").write_text(
        "Command:\n\nSystem:\n\nPython:\n\nGit Hash:\n\nUncommitted changes:\n"
        f"diff --git a/{SCRIPT} b/{SCRIPT}\n--- a/x\n+++ b/{SCRIPT}\n@@ -1 +1 @@\n-{HOSTILE[1]}\n+{HOSTILE[2]}\n"
        "Current working dir:\n/\n"
    )
    (run / ".footsteps/code/main").mkdir(parents=True)
    (run / ".footsteps/code/main/x.py").write_text("\n".join(HOSTILE))
    for name in names:
        (run / name).write_text(DRAWING)
    (run / "t.csv").write_text(",".join(HOSTILE) + "\n")
    (run / "console.txt").write_text("\n".join(HOSTILE))
    (run.parent / "outside.txt").write_text("secret")
    (run / "link.txt").symlink_to(run.parent / "outside.txt")
    (run / "linked.png").symlink_to(run.parent / "outside.txt")
    (run / ".footsteps/inputs-1.jsonl").write_text(
        "\n".join(json.dumps({"path": words, "sha256": words, "size": 1}) for words in HOSTILE)
    )
    return run
