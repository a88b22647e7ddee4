"""Names of runs as people meet them: earlier ones at the prompt, and those that a shell or Windows would trip over."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
DEEP = 3  # levels of groups in which earlier names are looked for
MOST_EARLIER = 200  # earlier names


def oddity(name: str) -> str:
    """What would go wrong with a name that can be a directory here: in a shell, on Windows; "" if nothing."""
    parts = [part for part in name.split("/") if part]
    dashed = next((part for part in parts if part.startswith("-")), "")
    acting = next((c for c in "$`*?!&;|<>'\"\\()" if c in name), "")
    if dashed:
        return "begins with a dash: commands take it for an option"
    if acting:
        return f"holds {acting} as it is: in a shell it needs quotes"
    if any(part.split(".")[0].lower() in RESERVED for part in parts):
        return "can't be a directory on Windows"
    return ""


def earlier_names(root: str) -> list[str]:
    """The names that runs below the root were given, the latest last: `unet` of unet-3, where there is a unet."""
    found = sorted(runs_below(root, "", DEEP))[-MOST_EARLIER:]
    known = {name for _, name in found}
    named: dict[str, None] = {}
    for _, name in reversed(found):
        base, _, number = name.rpartition("-")
        named.setdefault(base if number.isdecimal() and base in known else name)
    return list(named)[::-1]


def runs_below(root: str, group: str, levels: int) -> Iterator[tuple[float, str]]:
    """When each run of a group was last changed, and its name; of groups inside of it too."""
    try:
        with os.scandir(os.path.join(root, group)) as entries:
            found = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
            times = [entry.stat().st_mtime for entry in found]
    except OSError:
        return
    for entry, time in zip(found, times, strict=True):
        name = f"{group}/{entry.name}" if group else entry.name
        if os.path.exists(os.path.join(entry.path, "info.txt")):
            yield time, name
        elif levels > 1:
            yield from runs_below(root, name, levels - 1)
