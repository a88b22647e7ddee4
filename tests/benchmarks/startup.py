"""What footsteps adds to the smallest script, against `git diff HEAD` and another footsteps, in the same rounds.

    python tests/benchmarks/startup.py [--rounds 15] [--files 20 2000 50000] [--untracked 20]
        [--against footsteps==0.1.9] [--first numpy matplotlib.pyplot] [--pushed]

Both footsteps are installed into virtual environments of their own, with the same 20 packages beside them. `--against`
is what pip installs: a version, or the path of a checkout. `--first` imports modules first in each script. `--pushed`:
nothing is uncommitted, and a remote has the commit, so that nothing is left to do when the program has ended.

As measured with 1.1.0 on two cores, in medians of the whole program's time: 49 ms with clean, pushed code, 57 to 62 ms
with changes among 20 to 2,000 files (footsteps 0.1.9: 56 ms). Commits that no remote has are packed meanwhile, once for
all runs of the same commit; the end of the program waits for that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from pairs import show, wall_and_cpu

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = "open('weights.csv', 'w').write('6, 9, 42')\n"
WITH = "import footsteps\nopen(footsteps.output_dir + 'weights.csv', 'w').write('6, 9, 42')\n"
GOALS = {20: 0.6, 2000: 0.7, 50000: 1.5}


def environment(folder: Path, package: str, packages: int = 20) -> Path:
    """The Python of a new virtual environment with a footsteps, and so many packages in all."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    for number in range(packages - len(list(site.glob("*.dist-info")))):
        info = site / f"filler{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: filler{number}\nVersion: 1.0\n")
        (info / "RECORD").touch()
    return python


def repository(folder: Path, files: int, args: argparse.Namespace) -> Path:
    """A repository with so many tracked files; unless it is pushed, two are changed, and some are untracked."""
    for number in range(files):
        path = folder / f"package{number // 100}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {number}\n" * 20)
    (folder / ".gitignore").write_text("results/\nweights.csv\n")
    imports = "".join(f"import {name}\n" for name in args.first)
    (folder / "without.py").write_text(imports + WITHOUT)
    (folder / "with.py").write_text(imports + WITH)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m x"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
    time.sleep(1.1)  # files as new as the index are read once more by every git status
    subprocess.run(["git", "status", "--short"], cwd=folder, check=True)
    if args.pushed:
        subprocess.run(["git", "clone", "-q", "--bare", folder, f"{folder}.git"], check=True)
        for command in (f"remote add origin {folder}.git", "fetch -q"):
            subprocess.run(["git", *command.split()], cwd=folder, check=True)
        return folder
    for number in range(2):
        with open(folder / "package0" / f"module{number}.py", "a") as file:
            file.write("changed = True\n")
    for number in range(args.untracked):
        (folder / f"untracked{number}.txt").write_text("new\n" * 20)
    return folder


def main() -> None:
    """Measure, and say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--files", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--untracked", type=int, default=20)
    parser.add_argument("--against", default="footsteps==0.1.9")
    parser.add_argument("--first", nargs="*", default=[])
    parser.add_argument("--pushed", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        new = environment(Path(folder, "new"), str(ROOT))
        old = environment(Path(folder, "old"), args.against)
        for python in (new, old) if args.first else ():
            packages = {name.partition(".")[0] for name in args.first}
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        for files in args.files:
            project = repository(Path(folder, f"project{files}"), files, args)
            compare(project, files, args, new, old)


def compare(project: Path, files: int, args, new: Path, old: Path) -> None:
    """One size of repository."""
    commands = {
        "without footsteps": [new, "without.py"],
        "with footsteps": [new, "with.py"],
        "without the other": [old, "without.py"],
        "with the other": [old, "with.py"],
        "git diff HEAD": ["git", "diff", "HEAD"],
    }
    environment = {**os.environ, "FOOTSTEPS_NAME": "run", "FOOTSTEPS_BUNDLE_WAIT": "0"}
    took = wall_and_cpu(commands, project, args.rounds, environment)
    show(f"{files} files, {args.untracked} untracked", {name: wall for name, (wall, _) in took.items()})
    for at, kind in enumerate(("wall", "CPU, with what is left running")):
        added = took["with footsteps"][at] - took["without footsteps"][at]
        before = took["with the other"][at] - took["without the other"][at]
        diff = f"{added / took['git diff HEAD'][at]:.1f}x git diff HEAD"
        goal = f" (goal {GOALS[files]}x)" if files in GOALS and not at else ""
        print(f"  footsteps adds {added * 1000:.1f} ms, the other {before * 1000:.1f} ms", end="")
        print(f": {added / before:.2f}x{goal}, {diff} ({kind})")


if __name__ == "__main__":
    sys.exit(main())
