"""Runs to look at, and a real browser to look with."""

from __future__ import annotations

import shutil
import urllib.parse
from pathlib import Path

import pytest
from view_pages import footsteps

PROGRAM = """\
import sys
import footsteps

name, lr, last = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
footsteps.initialize(name, console=True)
footsteps.record(lr=lr, optimizer="sgd")
for step in range(last):
    footsteps.record(step=step, loss=1 / (step + 1) + lr, accuracy=step / 100)
print("trained", name)
with open(footsteps.path("table.csv"), "w") as f:
    f.write("a,b\\n1,2\\n")
with open(footsteps.path("loss.svg"), "w") as f:
    f.write('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><circle cx="9" cy="9" r="5"/></svg>')
"""


@pytest.fixture
def project(repo, run_script):
    """A project with three runs, of which the last two have a change that is not committed."""
    repo.write("train.py", PROGRAM)
    repo.write(".gitignore", "results/\n")
    repo.commit("Train")
    runs = [("knee/a", 0.1, 30), ("knee/b", 0.01, 40), ("other", 0.2, 1)]
    for number, (name, lr, last) in enumerate(runs):
        if number:
            repo.write("train.py", PROGRAM.replace("/ 100", f"/ {100 + number}"))
        done = run_script("train.py", name, str(lr), str(last), cwd=repo)
        assert done.returncode == 0, done.stderr
    return repo


@pytest.fixture
def page(tmp_path):
    """A function that writes the page of some runs with the command line, and gives its path."""

    def write(*words, cwd, output="page.html"):
        path = tmp_path / output
        done = footsteps("view", "-o", path, *words, cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{path}\n"
        return path

    return write


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A running Chromium, or the reason why there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1200,800",
        f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(60)
    yield browser
    browser.quit()


class Browser:
    """A page in a real browser."""

    def __init__(self, driver):
        """Stand for a running browser."""
        self.driver = driver

    def open(self, page, address="", *, width=1200, dark=False):
        """Open a file or an URL, with a state, and wait until it is drawn."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        url = page if isinstance(page, str) else Path(page).as_uri()
        words = urllib.parse.urlencode(address, doseq=True) if isinstance(address, dict) else address
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url + (f"#{words}" if words else ""))
        self.wait("document.getElementById('main').children.length && !document.querySelector('noscript')")
        return self

    def ask(self, script, *arguments):
        """What an expression of JavaScript gives, awaited if it is a promise."""
        return self.driver.execute_script(f"return ({script})", *arguments)

    def wait(self, script, *arguments):
        """Wait until an expression is true; what it gave."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 60, poll_frequency=0.02).until(lambda _: self.ask(script, *arguments))

    def texts(self, selector):
        """The text of each element that a selector finds."""
        return self.ask("[...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def count(self, selector):
        """How many elements a selector finds."""
        return self.ask("document.querySelectorAll(arguments[0]).length", selector)

    def click(self, selector, number=0):
        """Click an element."""
        self.driver.find_elements("css selector", selector)[number].click()

    def press(self, *keys):
        """Press keys."""
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def complaints(self):
        """What the browser said was wrong since the page was opened."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def browser(chromium):
    """A browser of which the page has nothing to complain about in the end."""
    browser = Browser(chromium)
    yield browser
    assert browser.complaints() == []
