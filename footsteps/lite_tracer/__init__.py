"""LiteTracer's ``LTParser``, and its search ``lite_trace.py``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parser import LTParser

__all__ = ["LTParser"]


def __getattr__(name: str) -> object:
    """LTParser, which the search need not wait for."""
    if name == "LTParser":
        from .parser import LTParser

        return LTParser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
