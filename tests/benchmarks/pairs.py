"""Timing in pairs: commands take turns, so that what slows the machine slows them all."""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make what a command leaves running our own child (Linux), so that it can be waited for."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def wait_for_orphans() -> None:
    """Until nothing runs any more: it would be counted in the next command's time."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def seconds(command, cwd, env=None) -> float:
    """The wall time of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True)
    took = time.perf_counter() - start
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
    return took


def cpu_of_children() -> float:
    """The CPU seconds of all that we have started and waited for, and of what that has left running."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wall_and_cpu(commands, cwd, rounds, env=None) -> dict[str, tuple[float, float]]:
    """The median seconds of each command {name: argv}, wall and CPU, after one round that only warms the caches."""
    adopt_orphans()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            before = cpu_of_children()
            wall = seconds(command, cwd, env)
            wait_for_orphans()
            times[name].append((wall, cpu_of_children() - before))
    return {name: tuple(map(statistics.median, zip(*taken[1:], strict=True))) for name, taken in times.items()}


def in_turns(commands, cwd, rounds, env=None) -> dict[str, float]:
    """The median wall seconds of each command {name: argv}."""
    return {name: wall for name, (wall, _) in wall_and_cpu(commands, cwd, rounds, env).items()}


def show(title: str, medians: dict[str, float]) -> None:
    """A line for each command: milliseconds."""
    print(title)
    for name, median in medians.items():
        print(f"  {median * 1000:8.1f} ms  {name}")
