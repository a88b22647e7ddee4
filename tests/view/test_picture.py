"""The README's picture of the page, made here: UPDATE_PICTURE=1 writes it anew."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path

import pytest
from made_runs import at, make_run

TOP = Path(__file__).resolve().parent.parent.parent
PICTURE = "tests/examples/view.png"
WIDTH, HEIGHT = 1000, 430


def trained(directory, number, lr):
    """A run whose loss falls, the faster the greater lr is."""
    dice = random.Random(number)
    losses = [2 * math.exp(-lr * step / 9) + 0.08 + abs(dice.gauss(0, 0.02)) for step in range(120)]
    steps = [{"step": n, "loss": loss, "accuracy": 1 - loss / 2.4} for n, loss in enumerate(losses)]
    ended = {"status": "finished", "exit_status": 0, "duration": 60 + 9.5 * number}
    lines = [*steps, {"final_loss": losses[-1]}]
    make_run(
        directory,
        started=at(number),
        arguments={"lr": lr, "optimizer": "sgd" if number % 2 else "adam"},
        outcome=ended,
        recorded=[("recorded", values) for values in lines],
    )


@pytest.mark.browser
def test_the_readmes_picture_can_be_made_and_is_small(browser, tmp_path, page):
    """Curves of four runs, as somebody sees them who has ticked these."""
    for number, lr in enumerate([0.1, 0.3, 0.5, 1.0]):
        trained(tmp_path / f"results/knee/unet-{number}", number, lr)
    keys = [f"knee/unet-{number}" for number in range(4)]
    browser.open(page(cwd=tmp_path), {"view": "curves", "log": "1", "smooth": "0.5", "tick": keys}, width=WIDTH)
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.wait("document.querySelectorAll('.chart path.curve').length === 16")
    picture = browser.driver.get_screenshot_as_png()
    assert len(picture) < 100_000
    if os.environ.get("UPDATE_PICTURE"):
        (TOP / PICTURE).write_bytes(picture)


def test_the_readme_shows_the_picture():
    """A small file where it says, of the size that is made here."""
    if not (TOP / "README.md").is_file():
        pytest.skip("no source tree")
    content = (TOP / PICTURE).read_bytes()
    assert f"]({PICTURE})" in (TOP / "README.md").read_text("utf-8")
    assert len(content) < 100_000
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (WIDTH, HEIGHT)
