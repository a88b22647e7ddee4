"""Three pipelines as people have them, run for real in a repository: the runs of each, by name."""

from __future__ import annotations

import json

TRAIN = """\
import argparse
import footsteps

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
rate = parser.parse_args().lr
x, y = zip(*[map(float, line.split(",")) for line in open("data/raw.csv")])
weight = 0.0
for step in range(20):
    slope = sum(2 * (weight * a - b) * a for a, b in zip(x, y)) / len(x)
    weight -= rate * slope
    footsteps.record(loss=sum((weight * a - b) ** 2 for a, b in zip(x, y)), step=step)
with open(footsteps.output_dir + "weight.txt", "w") as f:
    f.write(f"{weight:.12f}\\n")
"""
EVALUATE = """\
import json, sys
import footsteps

weight = float(open(sys.argv[1]).read())
rows = [tuple(map(float, line.split(","))) for line in open("data/test.csv")]
error = sum((weight * a - b) ** 2 for a, b in rows) / len(rows)
with open(footsteps.output_dir + "scores.json", "w") as f:
    json.dump({"error": round(error, 9), "n": len(rows)}, f)
"""
FIGURE = """\
import json, sys
import footsteps

error = json.load(open(sys.argv[1]))["error"]
with open(footsteps.output_dir + "fig3.svg", "w") as f:
    f.write(f'<svg xmlns="http://www.w3.org/2000/svg"><rect width="20" height="{error * 1000:.3f}"/></svg>')
"""
GENERATE = """\
import random
import footsteps

random.seed(7)
with open(footsteps.output_dir + "samples.csv", "w") as f:
    for n in range(50):
        f.write(f"{n},{3 * n + random.gauss(0, 1):.6f}\\n")
"""
FIT = """\
import sys
import footsteps

rows = [tuple(map(float, line.split(","))) for line in open(sys.argv[1])]
slope = sum(a * b for a, b in rows) / sum(a * a for a, _ in rows)
with open(footsteps.output_dir + "slope.txt", "w") as f:
    f.write(f"{slope:.6f}\\n")
"""
PREPROCESS = """\
import os
import footsteps

rows = [line.split(",") for line in open("data/raw.csv")]
os.makedirs("data/clean", exist_ok=True)
with open("data/clean/rows.csv", "w") as f:
    f.writelines(f"{float(a):.2f},{float(b):.2f}\\n" for a, b in rows)
open(footsteps.output_dir + "count.txt", "w").write(str(len(rows)))
"""
TRAIN_CLEAN = TRAIN.replace("data/raw.csv", "data/clean/rows.csv")
TABLE = """\
import sys
import footsteps

with open(footsteps.output_dir + "table.tsv", "w") as f:
    for path in sys.argv[1:]:
        f.write(f"{path.split('/')[-2]}\\t{open(path).read()}")
"""
PROGRAMS = {
    "train.py": TRAIN, "evaluate.py": EVALUATE, "figure.py": FIGURE, "generate.py": GENERATE, "fit.py": FIT,
    "preprocess.py": PREPROCESS, "train_clean.py": TRAIN_CLEAN, "table.py": TABLE,
}  # fmt: skip
PIPELINES = {
    "figure": [
        ("train", "train.py", "--lr", "0.05"),
        ("evaluate", "evaluate.py", "results/train/weight.txt"),
        ("figure", "figure.py", "results/evaluate/scores.json"),
    ],
    "fit": [("generate", "generate.py"), ("fit", "fit.py", "results/generate/samples.csv")],
    "table": [
        ("preprocess", "preprocess.py"),
        ("slow", "train_clean.py", "--lr", "0.01"),
        ("fast", "train_clean.py", "--lr", "0.05"),
        ("table", "table.py", "results/slow/weight.txt", "results/fast/weight.txt"),
    ],
}
LAST = {"figure": "figure/fig3.svg", "fit": "fit/slope.txt", "table": "table/table.tsv"}


def write_project(repo):
    """The programs committed, the data in the project but not in git."""
    for name, program in PROGRAMS.items():
        repo.write(name, program)
    repo.write(".gitignore", "results/\ndata/\n")
    repo.commit("Pipelines")
    repo.write("data/raw.csv", "1,2.1\n2,3.9\n3,6.2\n")
    repo.write("data/test.csv", "1,2\n2,4\n")


def run_pipeline(repo, run_script, which):
    """Run the steps of a pipeline; the path of what it is for, copied to where a paper would have it."""
    for name, script, *words in PIPELINES[which]:
        done = run_script(repo / script, *words, cwd=repo.path, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
    made = repo / "results" / LAST[which]
    return repo.write("paper/" + made.name, made.read_bytes())


def answer_of(done):
    """What a command answered in JSON."""
    return json.loads(done.stdout)
