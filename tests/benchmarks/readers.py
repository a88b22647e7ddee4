"""How long the readers take among many runs, in pairs with an empty Python of the same minute.

    python tests/benchmarks/readers.py                  starting a command, 10,000 runs
    python tests/benchmarks/readers.py --runs 100000    the goals for a lifetime; takes minutes

Prints each goal, what was measured, and whether it holds; exits with 1 if one does not. The runs,
of ten artifacts each, are generated below a temporary directory (`--at`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from pairs import in_turns, seconds

HERE = Path(__file__).resolve().parent
ARTIFACTS = 10
COMMON = {
    "format": 1,
    "footsteps": "1.0.0",
    "output_root": "results/",
    "outcome_expected": True,
    "orig_argv": ["python", "train.py"],
    "cwd": "/home/ada/project",
    "host": "lab-7",
    "user": "ada",
    "python": {"version": "3.11.7", "executable": "/usr/bin/python"},
    "packages": [{"name": f"package-{n}", "version": f"1.{n}.0"} for n in range(20)],
    "problems": [],
}


def make_run(root: Path, number: int) -> None:
    """One finished run."""
    record = root / f"run-{number}" / ".footsteps"
    record.mkdir(parents=True)
    facts = {
        "id": f"20261122T000000Z-{number:08x}",
        "name": f"run-{number}",
        "started": f"2026-11-22T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}+00:00",
        "command": f"train.py --lr {number / 1e5}",
        "arguments": {"lr": number / 1e5, "epochs": number % 7, "model": ["unet", "resnet"][number % 2]},
        "code_id": f"{number // 10:064x}",
        "repositories": [{"name": "main", "role": "cwd", "commit": f"{number // 10:040x}", "files": []}],
    }
    artifacts = [
        {"path": f"weights-{n}.pt", "size": 10, "mtime_ns": 1, "sha256": f"{number * ARTIFACTS + n:064x}"}
        for n in range(ARTIFACTS)
    ]
    outcome = {"format": 1, "status": "finished", "exit_status": 0, "duration": 1.5, "artifacts": artifacts}
    (record / "run.json").write_text(json.dumps({**COMMON, **facts}))
    (record / "outcome.json").write_text(json.dumps(outcome))


def make_runs(root: Path, count: int) -> None:
    """So many runs, and times as long ago as those of most runs."""
    print(f"making {count:,} runs ...", file=sys.stderr)
    for number in range(count):
        make_run(root, number)
    os.utime(root, (1e9, 1e9))


class Goals:
    """What is measured, one line each; variables: of the commands' environment."""

    def __init__(self, rounds: int, **variables: str) -> None:
        self.rounds, self.variables, self.missed = rounds, variables, 0

    def footsteps(self, *words: str) -> list[str]:
        """The argv of a command."""
        return [sys.executable, "-m", "footsteps", *words]

    def environment(self) -> dict[str, str]:
        """Nobody's command compiles itself each time."""
        return {**os.environ, **self.variables, "PYTHONDONTWRITEBYTECODE": ""}

    def once(self, label: str, *words: str) -> None:
        """What is done only once has no goal."""
        print(f"{label:44} {seconds(self.footsteps(*words), HERE, self.environment()):6.2f} s")

    def within(self, label: str, limit: float, *words: str, times: bool = False) -> None:
        """One goal: at most so many seconds, or so many times an empty Python in the same rounds."""
        commands = {"empty": [sys.executable, "-c", "pass"], label: self.footsteps(*words)}
        medians = in_turns(commands, HERE, self.rounds, self.environment())
        measured = medians[label] / medians["empty"] if times else medians[label]
        self.missed += measured > limit
        unit = "x python -c pass" if times else "s"
        verdict = "holds" if measured <= limit else "MISSED"
        print(f"{label:44} {measured:6.2f} {unit:17} (goal {limit:g})  {verdict}", flush=True)


def measure_start(goals: Goals, root: Path) -> None:
    """The start of any command."""
    at = ("-r", str(root))
    for words in (["--help"], ["list", str(root)], ["path", "run-1", *at], ["show", "@", *at], ["search", "lr<1", *at]):
        goals.within(f"start of footsteps {words[0]}", 3, *words, times=True)


def measure_many(goals: Goals, root: Path, count: int, scratch: Path) -> None:
    """Questions to many runs, with the index."""
    at = ("-r", str(root))
    question = ("search", f"lr<{10 / 1e5}", *at)
    artifact = scratch / "weights.pt"
    artifact.write_bytes(b"0123456789")
    let_a_run_have_made(artifact, root)
    goals.once(f"first indexing of {count:,} runs", *question)
    many = count > 10_000
    goals.within(f"search over {count:,} runs", 0.3 if many else 10, *question, times=not many)
    goals.within(f"list of the newest 20 among {count:,}", 0.3, "list", "-n", "20", str(root))
    goals.within(f"trace among {count * ARTIFACTS:,} artifacts", 0.5, "trace", str(artifact), *at)


def let_a_run_have_made(artifact: Path, root: Path) -> None:
    """Write a file's hash into a manifest."""
    outcome = root / "run-7/.footsteps/outcome.json"
    facts = json.loads(outcome.read_text())
    facts["artifacts"][0]["sha256"] = sha256(artifact.read_bytes()).hexdigest()
    outcome.write_text(json.dumps(facts))


def main() -> int:
    """Measure; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at", help="where to generate the runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.at) as scratch:
        goals = Goals(args.rounds, PYTHONPATH=str(HERE.parents[1]), XDG_CACHE_HOME=f"{scratch}/cache")
        make_runs(Path(scratch, "few"), 3)
        make_runs(Path(scratch, "many"), args.runs)
        measure_start(goals, Path(scratch, "few"))
        measure_many(goals, Path(scratch, "many"), args.runs, Path(scratch))
    return int(goals.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
