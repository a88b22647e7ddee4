"""Where runs go and what they are called, as the project says and as people meet it.

A project says it by variables, or by a line under `[tool.footsteps]` in pyproject.toml or setup.cfg:

    [tool.footsteps]
    root = "results"        # where the runs are, from this file's folder
    gitignore = false       # a new root inside a repository gets no .gitignore

On the way to ``output_dir``: no parser of TOML is loaded for two lines.
"""

from __future__ import annotations

import os

from footsteps.recorder.format import OUTPUT_ROOT, text_of, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

ROOT_VARIABLE = "FOOTSTEPS_ROOT"
RESUME_VARIABLE = "FOOTSTEPS_RESUME"
FILES = ("pyproject.toml", "setup.cfg")
TITLES = ("[tool.footsteps]", "[tool:footsteps]", "[footsteps]")


def folders_up(folder: str) -> Iterator[str]:
    """A folder and those above it, as far as its git repository reaches, or to the top where it is in none."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder or os.path.lexists(os.path.join(folder, ".git")):
            return
        folder = above


def in_repository(folder: str) -> bool:
    """Whether a folder lies in the working tree of a git repository."""
    return any(os.path.lexists(os.path.join(each, ".git")) for each in folders_up(os.path.abspath(folder)))


def setting(name: str) -> tuple[str, str]:
    """What the nearest file above the working directory sets a name to, and that file's folder; "" and "" if none."""
    for folder in folders_up(working_directory() or os.sep):
        for file in FILES:
            value = settings_in(os.path.join(folder, file)).get(name)
            if value is not None:
                return value, folder
    return "", ""


def settings_in(path: str) -> dict[str, str]:
    """Names and values in a file's part for footsteps, as text without quotes; {} where there is none."""
    text = text_of(path)
    found: dict[str, str] = {}
    if "footsteps]" not in text:
        return found
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line.partition("#")[0].strip() in TITLES
        elif inside and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found[name.strip()] = value.partition(" #")[0].strip().strip("\"'")
    return found


def configured_root() -> str:
    """The output root that is set for this project, ending in a slash, absolute if not below here; "" if none is."""
    asked = os.environ.get(ROOT_VARIABLE)
    if asked:
        return os.path.join(os.path.expanduser(asked), "")
    value, folder = setting("root")
    if not value:
        return ""
    path, here = os.path.join(folder, os.path.expanduser(value)), working_directory() or ""
    inside = os.path.normpath(path).startswith(os.path.join(here, "")) and here
    return os.path.join(os.path.relpath(path, here) if inside else os.path.normpath(path), "")


def root_or_configured(root: str) -> str:
    """The output root that a program gave, or, where it gave none, the one that is set."""
    return configured_root() or root if root == OUTPUT_ROOT else root


def wants_gitignore() -> bool:
    """Whether a new root inside a repository may have a .gitignore of ours."""
    return setting("gitignore")[0].lower() not in ("false", "no", "off", "0")


def wants_to_resume(options: Mapping[str, Any]) -> bool:
    """Whether the program, or the variable where it says nothing, wants to go on in an earlier run."""
    asked = options.get("resume")
    if asked is not None:
        return bool(asked)
    return os.environ.get(RESUME_VARIABLE, "").lower() not in ("", "0", "no", "false")


# --- names: earlier ones at the prompt, and those that a shell or Windows would trip over -----------------------------

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
