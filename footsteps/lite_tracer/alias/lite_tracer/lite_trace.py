"""``python -m lite_tracer.lite_trace``: see footsteps.lite_tracer.lite_trace."""

from __future__ import annotations

from footsteps.lite_tracer.lite_trace import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
