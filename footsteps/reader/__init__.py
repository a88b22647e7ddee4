"""Recorded runs: found, read, searched, compared. Nothing in here changes a record."""

from __future__ import annotations
