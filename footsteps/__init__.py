"""An output directory for each experiment that knows which code made it.

    import footsteps

    torch.save(weights, footsteps.output_dir + "weights.pt")

``output_dir`` is not listed, so that no tool makes a run by looking; see `footsteps.footsteps`.
Importing this begins the list of files that the program reads, and nothing else: libraries import
footsteps in programs that never ask for a directory.
"""

from __future__ import annotations

import sys
from types import ModuleType

from footsteps.recorder import OFFERED, loaded
from footsteps.recorder.format import FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from typing import Any

    from .footsteps import Run, __version__, current, finish, initialize, plot
    from .lite_tracer.parser import LTParser
    from .reader.selection import runs, table
    from .recorder.git import GitError
    from .recorder.inputs import reads
    from .recorder.outcome import path
    from .recorder.randomness import seed
    from .recorder.values import metadata, record

__all__ = [
    "FootstepsError",
    "GitError",
    "LTParser",
    "Run",
    "__version__",
    "current",
    "finish",
    "initialize",
    "metadata",
    "path",
    "plot",
    "reads",
    "record",
    "runs",
    "seed",
    "table",
]


class _Package(ModuleType):
    """The class of this module until the core module is imported, which gives it one with variables."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "output_dir":  # assigned by mistake: the core module says so
            loaded("footsteps.footsteps")
        ModuleType.__setattr__(self, name, value)  # by its class of now

    def __reduce__(self) -> tuple[Any, ...]:  # cloudpickle sends by name only modules of the class ModuleType
        from importlib import import_module

        return import_module, (self.__name__,)


_here = sys.modules[__name__]
_here.__class__ = _Package
_shared: Any = sys.modules.setdefault("_footsteps_shared", ModuleType("_footsteps_shared"))
_shared.packages = [_here]  # the core module makes output_dir and the like variables of this module too


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    """A name of the core module's, which is imported now; from then on this module has its variables."""
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in OFFERED:
        return getattr(loaded(OFFERED[name]), name)
    early = {each: vars(_here).pop(each) for each in ("output_dir_impl", "initialized") if each in vars(_here)}
    core = loaded("footsteps.footsteps")
    for each, value in early.items():  # what the program has assigned before
        setattr(_here, each, value)
    if name in __all__:
        return getattr(core, name)
    if name in vars(_here) or hasattr(type(_here), name):  # a module of ours; output_dir, and what programs assign
        return getattr(_here, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
