"""An output directory for each experiment that knows which code made it.

    import footsteps

    torch.save(weights, footsteps.output_dir + "weights.pt")

``output_dir`` is not listed, so that no tool makes a run by looking; see `footsteps.footsteps`.
Importing this begins the note of what the program reads, and nothing else: libraries import
footsteps in programs that never ask for a directory.
"""

from __future__ import annotations

import sys

from .recorder.inputs import reads

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from .footsteps import FootstepsError, GitError, Run, __version__, current, finish, initialize, plot
    from .lite_tracer.parser import LTParser
    from .recorder.outcome import path
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
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    """A name of the heart's, which is imported now; from then on this module's state is the heart's."""
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "LTParser":
        from .lite_tracer.parser import LTParser

        return LTParser
    if name in ("metadata", "record"):
        from .recorder import values

        return getattr(values, name)
    if name == "path":
        from .recorder.outcome import path

        return path
    from .footsteps import current  # `from . import footsteps` would ask here for it again

    here, heart = sys.modules[__name__], sys.modules[current.__module__]
    if name in __all__:
        return getattr(heart, name)
    if name in vars(here) or hasattr(type(here), name):  # a module of ours; output_dir, and what programs assign
        return getattr(here, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
