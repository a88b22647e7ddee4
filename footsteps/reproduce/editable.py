"""Editable installs in the Python of a rerun: without help they lead to the live clone and its code of today."""

from __future__ import annotations

import os

from footsteps.reader.formats import mapping, objects, text
from footsteps.reproduce.environment import OWN, is_word, ran
from footsteps.reproduce.restored_paths import new_place

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from footsteps.reader.runs import Run

__all__ = ["import_folders"]

# Prints the folders that the modules of some packages are imported from.
ASKED = """\
import sys
del sys.path[0]
import importlib.util, os
from importlib import metadata
for name in sys.argv[1:]:
    try:
        tops = (metadata.distribution(name).read_text("top_level.txt") or name.replace("-", "_")).split()
    except Exception:
        continue
    for top in tops:
        try:
            spec = importlib.util.find_spec(top)
            places = list(spec.submodule_search_locations or ()) or [spec.origin]
        except Exception:
            continue
        for place in places:
            if isinstance(place, str):
                print(os.path.dirname(os.path.abspath(place)))
"""


def import_folders(run: Run, python: str, moved: Mapping[str, str]) -> list[str]:
    """The folders of the restored trees from which what was installed editable is to be imported, without doubles.

    python: the interpreter that will run, which says where its editable installs lead to; of a package that it does
    not have, the folder of the install and `src` in it. moved: recorded directories and where they will be.
    """
    names = [name for name, _ in editable_in(run, moved)]
    if not names:
        return []
    status, said = ran([python, "-E", "-c", ASKED, *names])
    live = [new_place(line, moved) for line in said.splitlines()] if not status else []
    found = list(dict.fromkeys(filter(None, live)))
    tops = [top for _, top in editable_in(run, moved) if not any(each.startswith(top) for each in found)]
    return [*found, *(place for top in tops for place in (os.path.join(top, "src"), top))]


def editable_in(run: Run, moved: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The editable installs whose code is restored, but our own: name, and the folder where it will be."""
    for package in objects(run.facts.get("packages")):
        name, url = text(package.get("name")), text(mapping(package.get("direct_url")).get("url"))
        place = new_place(text(package.get("location")) or url.removeprefix("file://"), moved)
        plain = is_word(name) and name.lower() not in OWN and os.pathsep not in place
        if package.get("editable") and place and plain:
            yield name, place
