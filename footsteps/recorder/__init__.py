"""What a run records beyond its name and info.txt: an extension of footsteps.py, which finds it by this name.

The steps of an extension (`meet`, `start`, `fill`, `begin`, `end`) are in steps.py, and imported when a run begins.
Importing this package begins the list of files that the program reads, has its argument parser heard, nothing else.
"""

from __future__ import annotations

from importlib import import_module

from footsteps.recorder import arguments, inputs, processes, randomness  # noqa: F401 - inputs see all from now on

TYPE_CHECKING = False
if TYPE_CHECKING:
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
arguments.listen()
randomness.keep_states()
OFFERED.update(dict.fromkeys(("outputdir", "out_dir", "outdir", "output_directory", "output_path"), __name__))
_STEPS = ("meet", "start", "fill", "begin", "end")


def __getattr__(name: str) -> Any:
    module = "footsteps.recorder.steps" if name in _STEPS else OFFERED.get(name)
    if module == __name__:
        raise AttributeError(f"footsteps has no {name!r}; did you mean output_dir?")
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
