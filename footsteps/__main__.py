"""The command line as `python -m footsteps`."""

from __future__ import annotations

from footsteps.cli import main

raise SystemExit(main())
