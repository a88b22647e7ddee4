"""What a page of many runs costs: to make, in bytes, and to open in a real browser.

    python tests/benchmarks/view.py --runs 10000

Prints each goal, what was measured, and whether it holds; exits with 1 if one does not. Making it is
measured in turns with `footsteps list --json` of the same runs, by the processor's time, which another
program on the machine does not add to. Without chromium, chromedriver and selenium it is not opened.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from readers import make_runs

HERE = Path(__file__).resolve().parent
STEPS = 40
WATCH_ROWS = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tr[data-run]")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now(); }, 0));
}).observe(document, { childList: true, subtree: true });
"""


def add_series(root: Path, count: int) -> None:
    """A few values over steps to each run."""
    for number in range(count):
        values = [{"step": s, "loss": (number % 97 + 1) / (s + 1), "accuracy": s / STEPS} for s in range(STEPS)]
        lines = [json.dumps({"time": "2026-11-22T00:00:00+00:00", "kind": "recorded", "values": v}) for v in values]
        (root / f"run-{number}/.footsteps/recorded.jsonl").write_text("\n".join(lines) + "\n")


def processor_seconds(command: list[str], cwd: Path, env: dict[str, str]) -> float:
    """User and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio_of_making(root: Path, page: Path, rounds: int, env: dict[str, str]) -> float:
    """How many times as long as `list --json` it takes to make the page: the median of pairs."""
    footsteps = [sys.executable, "-m", "footsteps"]
    ratios = []
    for _ in range(rounds + 1):
        listed = processor_seconds([*footsteps, "list", "--json", str(root)], root, env)
        made = processor_seconds([*footsteps, "view", "-r", str(root), "-o", str(page)], root, env)
        print(f"  list --json {listed:6.2f} s   view {made:6.2f} s", flush=True)
        ratios.append(made / listed)
    return statistics.median(ratios[1:])


def seconds_to_open(page: Path, rounds: int) -> float | None:
    """The median time until a browser shows the page's rows; None where there is no browser."""
    try:
        from selenium import webdriver
    except ImportError:
        return None
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = program
    with tempfile.TemporaryDirectory() as profile:
        for word in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-background-networking",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{word}")
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH_ROWS})
        times = [opened(browser, page) for _ in range(rounds + 1)]
        browser.quit()
    return statistics.median(times[1:])


def opened(browser, page: Path) -> float:
    """Seconds from the navigation to the frame after the table's first rows are in the document."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    while not browser.execute_script("return window.painted"):
        pass
    return browser.execute_script("return window.painted") / 1000


def told(label: str, measured: float, goal: float, unit: str) -> bool:
    """Print one goal; whether it holds."""
    print(
        f"{label:44} {measured:6.2f} {unit:17} (goal {goal:g})  {'holds' if measured <= goal else 'MISSED'}", flush=True
    )
    return measured <= goal


def main() -> int:
    """Measure; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at", help="where to generate the runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.at) as scratch:
        root, page = Path(scratch, "many"), Path(scratch, "page.html")
        make_runs(root, args.runs)
        add_series(root, args.runs)
        env = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XDG_CACHE_HOME": f"{scratch}/cache"}
        held = [told("making the page", ratio_of_making(root, page, args.rounds, env), 3, "x list --json")]
        held.append(told("size of the page", page.stat().st_size / 1e6, 10, "MB"))
        took = seconds_to_open(page, args.rounds)
        if took is None:
            print("the page was not opened: chromium, chromedriver or selenium is missing")
        else:
            held.append(told("opening it in chromium", took, 2, "s"))
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
