"""A run's code, environment and command again. Writes only where it was told to."""

from __future__ import annotations
