"""How long the list of packages takes at 400 distributions, in-process (goal: 15 ms), against `pip list`.

python tests/benchmarks/packages.py [--count 400] [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pairs import seconds

from footsteps import footsteps


def distributions(folder: Path, count: int) -> None:
    """So many dist-info directories, every tenth installed from a folder (PEP 610)."""
    for number in range(count):
        info = folder / f"filler{number}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: filler{number}\nVersion: 1.{number}\n{'x' * 5000}"
        )
        if number % 10 == 0:
            (info / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')


def took() -> float:
    """Seconds for one list."""
    start = time.perf_counter()
    footsteps._package_table(footsteps._packages())
    return time.perf_counter() - start


def main() -> None:
    """Measure the first list, the later ones, and pip's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        distributions(Path(folder), args.count)
        sys.path[:] = [folder]  # what is needed from elsewhere is imported below, before the clock starts
        sys.path += [path for path in ORIGINAL if not path.endswith("site-packages")]
        first = took()
        later = statistics.median(took() for _ in range(args.rounds))
        pip = seconds([sys.executable, "-m", "pip", "list", "--path", folder], folder)
    print(f"{args.count} distributions: {first * 1000:.1f} ms (goal 15 ms), a second time {later * 1000:.1f} ms")
    print(f"  {first / pip:.3f}x pip list, which takes {pip * 1000:.0f} ms")


ORIGINAL = list(sys.path)

if __name__ == "__main__":
    main()
