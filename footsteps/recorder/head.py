"""The program at the head of workers: it can be started again, which the command that starts a worker can not.

What a run says of its program (PROGRAM) is, in a worker that was started anew, said of its head. The head tells it to
each process that multiprocessing or loky starts for it (processes.FactsOfHead). Of one that has not imported footsteps,
and of Ray's driver, its command line is read. A worker that was forked is the program itself.
"""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import as_name, collected, quote
from footsteps.recorder.processes import (
    command_of,
    folder_of,
    head_of_worker,
    is_started_anew,
    ray_driver,
    script_of_process,
    told_by_head,
)
from footsteps.recorder.program import (
    is_library,
    main_program,
    program_name,
    start_argv,
    start_command,
    start_directory,
)
from footsteps.recorder.secrets import mask_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _main() -> dict[str, Any]:
    """What runs, its arguments without secrets."""
    main = main_program()
    return {**main, "words": mask_arguments(main["words"])} if "words" in main else main


def _given_arguments() -> dict[str, Any]:
    from footsteps.recorder.values import given_arguments

    return given_arguments()


# A fact of run.json about the program, and the function that collects it in the program's own process.
PROGRAM: dict[str, Callable[[], Any]] = {
    "argv": lambda: mask_arguments(start_argv()),
    "orig_argv": lambda: mask_arguments(sys.orig_argv),
    "masked": lambda: mask_arguments(sys.orig_argv) != list(sys.orig_argv),
    "command": lambda: quote(mask_arguments(start_command())),
    "main": _main,
    "cwd": start_directory,
    "parsed_argv": _given_arguments,
}


def program_fact(name: str) -> Any:
    """A fact of PROGRAM: this process's own, or in a worker its head's as far as that is known."""
    known = _facts_of_head()
    return known[name] if name in known else PROGRAM[name]()


def facts_for_workers() -> dict[str, Any]:
    """What the workers that this process starts are told: PROGRAM, the run's name if nobody gives one, arguments."""
    from footsteps.recorder.arguments import told

    ways = {**PROGRAM, "name": program_name, "arguments": told}
    facts = {name: collected(name, function, []) for name, function in ways.items()}
    return {name: value for name, value in facts.items() if value is not None}


def default_name() -> str:
    """What the run is called when nobody gives a name: after the program, in a worker after that of its head."""
    told, head = told_by_head().get("name"), head_of_worker()
    script = script_of_process(head) if head is not None and not told else None
    if script and os.path.isfile(script):
        return as_name(os.path.splitext(os.path.basename(script))[0])
    return told or program_name()


def _facts_of_head() -> dict[str, Any]:
    """Those of PROGRAM that are known of this worker's head; {} in a fork, and in a process that is no worker."""
    if (head := head_of_worker()) is None:
        return {}
    return told_by_head() or (_facts_of_process(head) if is_started_anew() else {})


def _facts_of_process(pid: int) -> dict[str, Any]:
    """Those that the command line of a process tells."""
    from footsteps.recorder.values import arguments_of

    command, script = command_of(pid), script_of_process(pid)
    if not command:
        return {}
    facts: dict[str, Any] = {"orig_argv": mask_arguments(command), "masked": mask_arguments(command) != command}
    if script and os.path.isfile(script) and not is_library(script):
        facts["main"] = {"kind": "script", "path": script, "module": None}
        of_ray = ray_driver() is not None  # others have their head's sys.argv
        argv = _facts_of_command(command, pid, script) if of_ray else {"argv": mask_arguments(start_argv())}
        facts.update(argv, parsed_argv=arguments_of(argv["argv"]))
    return facts


def _facts_of_command(command: list[str], pid: int, script: str) -> dict[str, Any]:
    """What sys.argv and the working directory tell, of the Python of a pid that was started by a command."""
    folder = folder_of(pid)
    at = next(n for n, word in enumerate(command) if n and os.path.normpath(os.path.join(folder, word)) == script)
    argv = mask_arguments(command[at:])
    return {"argv": argv, "command": quote(argv), "cwd": folder}
