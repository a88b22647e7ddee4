"""Modules: those that are loaded, and a word to whoever waits for one to come.

`when_imported(name, function)` imports nothing and costs nothing until the program imports that module. Used by
libraries.py; for any part of the recorder that has to be there as soon as a library is.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from footsteps.recorder.format import quietly
from footsteps.recorder.wrappers import without_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Listener = Callable[[ModuleType], object]

executed: list[str] = []  # sources and bytecode that Python has read by io.open_code, and sources that the program read
watchers: list[Callable[[str], object]] = []  # who is told of each as it is read; must not raise
_listeners: dict[str, list[Listener]] = {}  # module -> who waits for it
_sought: set[str] = set()  # modules that are being looked for at the moment


def when_imported(name: str, function: Listener) -> None:
    """Call `function(module)` now if the module is loaded, and whenever it has run: at its import, at a reload.

    What the function raises is a line on stderr.
    """
    _listeners.setdefault(name, []).append(function)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    if module is not None:
        quietly(function, module)


def names_of(module: object) -> dict[str, Any]:
    """What a module holds, without waking a lazy one; nothing of what only pretends to be a module."""
    try:
        return ModuleType.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]
    except Exception:  # a TypeError, of a mock too; whatever else an odd one raises costs it alone
        return {}


def source_files() -> Iterator[tuple[str, str, str | None]]:
    """Name, file, and bytecode file or None, of each loaded module that tells its file."""
    for name, module in list(sys.modules.items()):
        names = names_of(module)
        file = names.get("__file__")
        if type(file) is str:
            cached = names.get("__cached__")
            yield name, file, cached if type(cached) is str else None


def source_of(path: str) -> str:
    """The source that bytecode was made of; the path itself of any other file."""
    folder, cache, name = path.rpartition(_CACHE)
    return os.path.join(folder, name.split(".")[0] + ".py") if cache and name.endswith(".pyc") else path


_CACHE = f"{os.sep}__pycache__{os.sep}"


class Finder:
    """Stands first in sys.meta_path; finds a module that is waited for as the others do, and sees it run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the next finder has for it; None for all that nobody waits for."""
        if name not in _listeners or name in _sought:  # there may be two of us
            return None
        _sought.add(name)
        try:
            finders = (getattr(finder, "find_spec", None) for finder in list(sys.meta_path) if finder is not self)
            specs = (find(name, path, target) for find in finders if find is not None)
            spec = next((spec for spec in specs if spec is not None), None)
        finally:
            _sought.discard(name)
        if spec is not None:
            quietly(_watch, name, spec.loader)
        return spec

    def invalidate_caches(self) -> None:
        """Nothing is kept."""


_finder = Finder()


def _watch(name: str, loader: Any) -> None:
    """See the module run: for once, this loader's exec_module is followed by a word to those who wait."""
    if isinstance(loader, type) or not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__"):
        return  # built in, or a namespace: none that is waited for
    original = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        try:
            loader.__dict__.pop("exec_module", None)
            original(module)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise
        told = _listeners.get(name, ()) if module.__name__ == name else ()  # a zip's loader is that of several
        for function in told:
            quietly(function, sys.modules.get(name, module))

    loader.exec_module = exec_module
