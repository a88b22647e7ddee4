"""LiteTracer's name for ``LTParser``: ``from lite_tracer import LTParser``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footsteps.arguments import LTParser

__all__ = ["LTParser"]


def __getattr__(name: str) -> object:
    """LTParser, which the search (``lite_trace.py``) need not wait for."""
    if name == "LTParser":
        from footsteps import LTParser  # by the package, where a copied core module before it says so

        return LTParser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
