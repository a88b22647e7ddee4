"""The program at the head of workers: it can be started again, which the command that starts a worker can not.

What a run says of its program (PROGRAM_FACTS) is, in a worker that was started anew, said of its head. The head tells
it to each process that multiprocessing or loky starts for it (processes.FactsOfHead). Of one that has not imported
footsteps, and of Ray's driver, its command line is read. A worker that was forked is the program itself.
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
PROGRAM_FACTS: dict[str, Callable[[], Any]] = {
    "argv": lambda: mask_arguments(start_argv()),
    "orig_argv": lambda: mask_arguments(sys.orig_argv),
    "masked": lambda: mask_arguments(sys.orig_argv) != list(sys.orig_argv),
    "command": lambda: quote(mask_arguments(start_command())),
    "main": _main,
    "cwd": start_directory,
    "parsed_argv": _given_arguments,
}


def program_fact(name: str) -> Any:
    """A fact of PROGRAM_FACTS: this process's own, or in a worker its head's as far as that is known."""
    known = _facts_of_head()
    return known[name] if name in known else PROGRAM_FACTS[name]()


def facts_for_workers() -> dict[str, Any]:
    """What workers are told: this process's PROGRAM_FACTS and arguments, the run's name if nobody gives one."""
    from footsteps.recorder.arguments import told

    ways = {**PROGRAM_FACTS, "name": program_name, "arguments": told}
    facts = {name: collected(name, function, []) for name, function in ways.items()}
    return {name: value for name, value in facts.items() if value is not None}


def default_name() -> str:
    """What the run is called when nobody gives a name: after the program, in a worker after that of its head."""
    told, main = told_by_head().get("name"), _facts_of_head().get("main")
    if told or not main:
        return told or program_name()
    folder, stem = os.path.split(os.path.splitext(main["path"])[0])
    return as_name(os.path.basename(folder) if stem == "__main__" else stem)


def _facts_of_head() -> dict[str, Any]:
    """Those of PROGRAM_FACTS that are known of this worker's head; {} in a fork, and in a process that is no worker."""
    if (head := head_of_worker()) is None:
        return {}
    return told_by_head() or (_facts_of_process(head) if is_started_anew() else {})


def _facts_of_process(pid: int) -> dict[str, Any]:
    """Those that the command line of a process tells; workers of multiprocessing and loky have its sys.argv, too."""
    command = command_of(pid)
    if not command:
        return {}
    facts: dict[str, Any] = {"orig_argv": mask_arguments(command), "masked": mask_arguments(command) != command}
    said = script_of_process(pid) or ""
    argv = _words_from(said, command, folder_of(pid)) if ray_driver() is not None else start_argv()
    path = said if os.path.isfile(said) else os.path.abspath(argv[0]) if argv else ""
    if os.path.isfile(path) and not is_library(path):
        facts["main"] = _row_of_file(path, said)
        facts.update(_facts_of_words(argv, pid))
    return facts


def _row_of_file(path: str, said: str) -> dict[str, Any]:
    """The row of a program's file; said: the script, or the module (a tool's, too) that the Python was started with."""
    is_module = said.rpartition(".")[2] == os.path.splitext(os.path.basename(path))[0]
    is_module |= said != path and os.path.basename(path) == "__main__.py"
    return {"kind": "module" if is_module else "script", "path": path, "module": said if is_module else None}


def _words_from(script: str, command: list[str], folder: str) -> list[str]:
    """The words of a command from a script on: what its sys.argv is."""
    paths = [os.path.normpath(os.path.join(folder, word)) for word in command]
    return command[paths.index(script, 1) :] if script in paths[1:] else []


def _facts_of_words(argv: list[str], pid: int) -> dict[str, Any]:
    """What sys.argv tells; of Ray's driver also its working directory, as a worker has another one."""
    from footsteps.recorder.values import arguments_of

    words = mask_arguments(argv)
    place = {"cwd": folder_of(pid)} if ray_driver() is not None else {}
    return {"argv": words, "command": quote(words), "parsed_argv": arguments_of(words), **place}
