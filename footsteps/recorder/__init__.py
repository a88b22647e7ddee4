"""What a run records beyond its name and info.txt: an extension of footsteps.py, which finds it by this name.

The steps of an extension (`meet`, `start`, `fill`, `begin`, `end`) are in steps.py, and imported when a run begins.
Importing this package begins the list of files that the program reads, has its argument parser heard, nothing else;
in the `footsteps` command, which is nobody's experiment and shall answer at once, not even that.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Names that programs find in footsteps, or in a copy of footsteps.py, beyond those of that file.
OFFERED = {
    "GitError": "footsteps.recorder.git",
    "LTParser": "footsteps.lite_tracer.parser",
    "metadata": "footsteps.recorder.values",
    "path": "footsteps.recorder.outcome",
    "reads": "footsteps.recorder.inputs",
    "record": "footsteps.recorder.values",
    "runs": "footsteps.reader.selection",
    "seed": "footsteps.recorder.randomness",
    "table": "footsteps.reader.selection",
}
OFFERED.update(dict.fromkeys(("outputdir", "out_dir", "outdir", "output_directory", "output_path"), __name__))
_STEPS = ("meet", "start", "fill", "begin", "end")


def __getattr__(name: str) -> Any:
    module = "footsteps.recorder.steps" if name in _STEPS else OFFERED.get(name)
    if module == __name__:
        raise AttributeError(f"footsteps has no {name!r}; did you mean output_dir?")
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(loaded(module), name)


def loaded(name: str) -> ModuleType:
    """A module, imported while the garbage collector waits: there is none to collect, and it would take a fifth more.

    importlib.import_module, imported with what it needs for this alone, takes as long as three of our modules.
    """
    import gc

    collects = gc.isenabled()
    gc.disable()
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        if collects:
            gc.enable()


def follow_program() -> None:
    """See from now on what the program reads and parses, and the state of its random generators."""
    loaded("footsteps.recorder.inputs")  # which follows by being imported, as does processes
    loaded("footsteps.recorder.processes")
    loaded("footsteps.recorder.arguments").listen()
    loaded("footsteps.recorder.randomness").keep_states()


if os.path.basename((getattr(sys, "argv", None) or [""])[0]) not in ("footsteps", "footsteps.exe"):
    follow_program()
