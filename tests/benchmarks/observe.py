"""What observing a run costs: loops that open, and code that opens nothing, with the note and without.

The opens take turns in one process, 5000 with the note and 5000 without, for two processes differ by more.

python tests/benchmarks/observe.py [--files 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from statistics import median

OPENING = """
import os, sys, time
import footsteps
if {begun}: footsteps.initialize("loop")
ours, plain = open, open.original
def seconds(open, names):
    start = time.process_time()
    for name in names:
        with open(name, {mode!r}) as file:
            file.read()
    return time.process_time() - start
names = [os.path.join(sys.argv[1], str(i)) for i in range(int(sys.argv[2]))]
took = {{ours: 0.0, plain: 0.0}}
for start in range(0, len(names), 5000):
    for opens in (plain, ours, ours, plain):
        took[opens] += seconds(opens, names[start : start + 5000])
print(took[ours] / took[plain])
"""
NOTHING = """
import copy, time
import footsteps
footsteps.initialize("nothing")
thing = {n: [n, str(n), (n,)] for n in range(20_000)}
start = time.process_time()
for _ in range(4):
    copy.deepcopy(thing)
print(time.process_time() - start)
"""
PRINTING = """
import sys, time
import footsteps
footsteps.initialize("printing", console=sys.argv[1] == "1")
start = time.process_time()
for i in range(100_000):
    print("epoch", i)
took = time.process_time() - start
print()
print(took)
"""
ARTIFACTS = """
import os, time
import footsteps
footsteps.initialize("artifacts")
for i in range(int(__import__("sys").argv[1])):
    with open(footsteps.path(f"{i % 100}/{i}"), "wb") as file:
        file.write(b"x" * 1000)
with open(footsteps.path("large"), "wb") as file:
    file.truncate(5 * 2**30)
start = time.perf_counter()
footsteps.finish()
print(time.perf_counter() - start)
"""


def seconds(program: str, *arguments: str, inputs: bool = True) -> float:
    """What the program says that it took, or the ratio."""
    environment = {**os.environ, "FOOTSTEPS_INPUTS": str(int(inputs))}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def ratio(program: str, rounds: int, *arguments: str) -> float:
    """CPU time with the note against without: the best of some rounds in turns, for others disturb."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * rounds):
        inputs = turn % 4 in (1, 2)
        taken[inputs].append(seconds(program, *arguments, inputs=inputs))
    return min(taken[True]) / min(taken[False])


def main() -> None:
    """A line for each program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        for i in range(options.files):
            with open(os.path.join(data, str(i)), "wb") as file:
                file.write(b"x" * 100)
        for mode in ("r", "rb"):
            for begun in (False, True):
                program = OPENING.format(mode=mode, begun=begun)
                ratios = [seconds(program, data, str(options.files)) for _ in range(options.rounds)]
                when = "in a run" if begun else "before it"
                what = f"{options.files} small files opened and read, {mode!r}, {when}"
                print(f"  {median(ratios):.3f}x  {what} (goal 1.05x)")
    print(f"  {ratio(NOTHING, options.rounds):.3f}x  deepcopy, which opens nothing (goal 1x)")
    copied = min(seconds(PRINTING, "1") for _ in range(options.rounds))
    plain = min(seconds(PRINTING, "0") for _ in range(options.rounds))
    print(f"  {(copied - plain) * 10:.1f} us  each print() more with console.txt")
    for count in (0, 10_000):
        print(f"  {seconds(ARTIFACTS, str(count)):.2f} s  finish() with {count} artifacts and one of 5 GB (sparse)")


if __name__ == "__main__":
    main()
