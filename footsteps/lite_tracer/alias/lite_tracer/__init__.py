"""LiteTracer's name for ``footsteps.lite_tracer``: ``from lite_tracer import LTParser``.

Installed as ``lite_tracer``. Only the name is here, so that there is one class LTParser.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footsteps import LTParser

__all__ = ["LTParser"]


def __getattr__(name: str) -> object:
    """LTParser, which the search need not wait for."""
    if name == "LTParser":
        from footsteps import LTParser  # by the package, where a copy of footsteps.py in its place says so

        return LTParser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
