"""What importing costs, and how fast a command starts, against `python -c pass` (goals: 1.3x and 3x).

python tests/benchmarks/imports.py [--rounds 40]
"""

from __future__ import annotations

import argparse
import sys
import tempfile

from pairs import in_turns, show


def main() -> None:
    """Measure the Python that runs this."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    python = sys.executable
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "import footsteps": [python, "-c", "import footsteps"],
        "footsteps list": [python, "-m", "footsteps", "list", "--json"],
        "footsteps --help": [python, "-m", "footsteps", "--help"],
    }
    with tempfile.TemporaryDirectory() as folder:
        made = [python, "-c", "import footsteps; footsteps.initialize('one')"]
        took = in_turns({"a run to list": made}, folder, 1) and in_turns(commands, folder, rounds)
    show("start", took)
    for name, goal in (("import footsteps", 1.3), ("footsteps list", 3), ("footsteps --help", 3)):
        print(f"  {name}: {took[name] / took['python -c pass']:.2f}x python -c pass (goal {goal}x)")


if __name__ == "__main__":
    main()
