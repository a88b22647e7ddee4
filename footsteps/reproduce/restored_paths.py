"""Where what was recorded lies in a restored tree, and the words of the command to run there."""

from __future__ import annotations

import os

from footsteps.reader.formats import mapping, text
from footsteps.reader.repositories import link_on, why_unsafe

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Mapping

    from footsteps.reader.runs import Run


def beside(place: str) -> str:
    """Where the repositories go that did not lie in the main one."""
    return place.rstrip(os.sep) + ".beside"


def moved_to(folder: bytes, own: str, place: str) -> str:
    """Where a folder that is being made will lie."""
    path = os.fsdecode(folder)
    for name, target in (("beside", beside(place)), ("tree", place)):
        made = os.path.join(own, name)
        if path == made or path.startswith(made + os.sep):
            return target + path[len(made) :]
    return path


def made_at(path: str, own: str, place: str) -> str:
    """Where what will lie at a path is being made."""
    for name, target in (("beside", beside(place)), ("tree", place)):
        if path == target or path.startswith(target + os.sep):
            return os.path.join(own, name) + path[len(target) :]
    return path


def new_place(path: str, moved: Mapping[str, str]) -> str:
    """Where a recorded path lies now, "" if it is in none of the trees."""
    if not os.path.isabs(path) or ".." in path.split(os.sep) or "\0" in path:
        return ""
    within = [old for old in moved if path == old or path.startswith(os.path.join(old, ""))]
    best = max(within, key=len, default="")
    return moved[best] + path[len(best) :] if best else ""


def real_place(path: str, moved: Mapping[str, str], real: str = "") -> str:
    """The same of a path that may lead there by a link, as that of a home often does; real: where it led then."""
    here = os.path.realpath(path) if path and "\0" not in path else ""
    return next(filter(None, (new_place(each, moved) for each in (path, real, here))), "")


def make_folder(top: str, path: str) -> None:
    """Make a folder that git, which keeps no empty ones, did not bring; not through a link."""
    if path != "." and not why_unsafe(path) and not link_on(os.fsencode(top), os.fsencode(path), last=True):
        os.makedirs(os.path.join(top, path), exist_ok=True)


def command_words(run: Run, moved: Mapping[str, str], *, stays: bool) -> list[str]:
    """The words after `python`: the recorded ones, with the script's new place where its path no longer leads there."""
    facts = run.facts
    found, argv = program_words(run), facts.get("argv")
    if not isinstance(argv, list):
        return []
    script = text(mapping(facts.get("main")).get("path")) or text(mapping(facts.get("script")).get("path"))
    place = real_place(script, moved, text(mapping(facts.get("script")).get("real")))
    given = str(argv[0]) if argv else ""
    inside = stays and not os.path.isabs(given) and not given.startswith("..")
    return [os.path.abspath(place) if place and not inside and word == given else word for word in found]


def program_that_starts_it(run: Run, moved: Mapping[str, str]) -> str:
    """What stands before those words: `python`, or the executable of a frozen program, absolute."""
    main, script = mapping(run.facts.get("main")), mapping(run.facts.get("script"))
    path = text(main.get("path"))
    if main.get("kind") != "frozen" or not path:
        return "python"
    return os.path.abspath(real_place(path, moved, text(script.get("real"))) or path)


NOT_REPEATABLE = {
    "stdin": "its program came from stdin, which was not recorded",
    "interactive": "it ran at a prompt; there is no program",
    "notebook": "it ran in a notebook; its cells are in executed_cells.py",
}


def why_not_repeatable(run: Run) -> str:
    """Why no command of a Python's starts the program of a run again, "" if one does."""
    main = mapping(run.facts.get("main"))
    return text(main.get("not_repeatable")) or NOT_REPEATABLE.get(text(main.get("kind")), "")


def program_words(run: Run) -> list[str]:
    """The recorded words after `python`: as the interpreter was given them, or, of a script in IPython, as it was."""
    own, given = mapping(run.facts.get("main")).get("words"), run.facts.get("orig_argv")
    words = own if isinstance(own, list) else given[1:] if isinstance(given, list) else []
    return [str(word) for word in words]
