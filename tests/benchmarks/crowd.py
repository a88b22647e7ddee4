"""Two hundred programs that ask for one name at once, behind a barrier, against the same one after another.

python tests/benchmarks/crowd.py [--count 200]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = """
import sys, footsteps
print("here", flush=True)
sys.stdin.read()
footsteps.initialize("crowd")
"""


def crowd(folder: Path, count: int) -> tuple[float, int]:
    """Seconds from the opening of the barrier to the last end, and how many failed."""
    barrier, release = os.pipe()
    command = [sys.executable, "-c", PROGRAM]
    started = [
        subprocess.Popen(command, cwd=folder, stdin=barrier, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    os.close(barrier)
    for one in started:
        one.stdout.readline()
    start = time.perf_counter()
    os.close(release)
    for one in started:
        one.communicate()
    return time.perf_counter() - start, sum(one.returncode != 0 for one in started)


def main() -> None:
    """Measure, and count the directories."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        alone = sum(crowd(Path(folder), 1)[0] for _ in range(5)) / 5
        took, failed = crowd(Path(folder), count)
        made = len(os.listdir(Path(folder, "results"))) - 5
    print(f"{count} at once: {made} directories, {failed} errors, {took:.1f} s")
    print(f"  {took / (alone * count):.2f}x the time of {count} one after another ({alone * 1000:.0f} ms each)")


if __name__ == "__main__":
    main()
