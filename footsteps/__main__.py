"""The command line as `python -m footsteps`."""

from __future__ import annotations

import sys

# `-m` has put the working directory first, which may be somebody else's: nothing is imported from there.
if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

from footsteps.cli import main

raise SystemExit(main())
