"""The question, asked in a real pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import SEED_SCRIPT, plain

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
pytest.importorskip("pexpect")

QUESTION = "Input name of experiment:"
TAB, ENTER, CTRL_C, CTRL_D, BACKSPACE = "\t", "\r", "\x03", "\x04", "\x7f"


@pytest.fixture
def ask(repo, terminal):
    """A function that starts a program (its text, or arguments of python) and waits for the question."""

    def start(*arguments, program=None, seen=QUESTION, **options):
        if program is not None:
            repo.write("asks.py", program)
            repo.commit("The program")
            arguments = ("asks.py",)
        child = terminal([sys.executable, *(arguments or ("train.py",))], cwd=repo, **options)
        child.expect_exact(seen)
        return child

    return start


class Screen:
    """A terminal that draws: tmux, with a shell in the project's folder."""

    def __init__(self, socket, folder):
        """Start it; `close` ends it."""
        self.socket = os.fspath(socket)
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", os.fspath(folder), "env", "PS1=$ ", "sh")
        self.shows("$")

    def tmux(self, *arguments) -> str:
        """Output of a tmux command."""
        command = ["tmux", "-S", self.socket, "-f", os.devnull, *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8").stdout

    def run(self, script):
        """Have the shell run a script with this Python, and say "done"."""
        self.type(f"clear; {sys.executable} {script}; echo done", "Enter")

    def type(self, *keys):
        """Type text, or a key of that name."""
        named = ("Enter", "Tab", "BSpace", "Up", "C-c", "C-r", "C-u")
        for key in keys:
            self.tmux("send-keys", *([] if key in named else ["-l"]), key)

    def shows(self, text) -> str:
        """The screen, once the text is on it."""
        until = time.monotonic() + 60
        while text not in (shown := self.tmux("capture-pane", "-p")):
            assert time.monotonic() < until, shown
            time.sleep(0.05)
        return shown

    def close(self):
        """End it with all that runs in it."""
        self.tmux("kill-server")


@pytest.fixture
def screen(repo, tmp_path):
    """A Screen in the project."""
    if not shutil.which("tmux"):
        pytest.skip("no tmux")
    it = Screen(tmp_path / "tmux", repo)
    yield it
    it.close()


@pytest.fixture
def ask_in_shell(repo, terminal):
    """A function that has a shell start train.py, waits for the question, and tells of status and terminal later."""

    def start(**options):
        script = f"trap : INT; {sys.executable} train.py; echo status $?; stty -a"
        child = terminal(["sh", "-c", script], cwd=repo, **options)
        child.expect_exact(QUESTION)
        return child

    return start


@pytest.fixture
def past(repo):
    """Runs and groups that were made before, each a second younger than the one before it."""
    for n, name in enumerate(["unet-old", "Unet-big", "exp/OAI", "resnet", "unet-new"]):
        path = repo / "results" / name
        path.mkdir(parents=True)
        (path / "info.txt").write_text("Command:\n")
        for folder in (path, path.parent) if "/" in name else (path,):
            os.utime(folder, (1_700_000_000 + n,) * 2)
    (repo / "results/notes.txt").write_text("no run")
    (repo / "results/.hidden").mkdir()


def ended(child) -> str:
    """All that it prints to its end, as seen on the screen."""
    import pexpect

    child.expect(pexpect.EOF)
    child.close()
    return plain(child.before)


def names(repo) -> list[str]:
    """What lies in results/."""
    return sorted(p.name for p in (repo / "results").iterdir() if p.is_dir()) if (repo / "results").exists() else []


# --- the seed's way ---


def test_the_seeds_dialogue(ask, repo):
    """Question, name, `Saving results to results/<name>/`: nothing else stays on the screen."""
    child = ask()
    child.send("manually_entered_experiment_name" + ENTER)
    child.expect_exact("Saving results to results/manually_entered_experiment_name/\r\n")
    ended(child)
    assert child.exitstatus == 0
    assert (repo / "results/manually_entered_experiment_name/network_weights.csv").exists()


def test_what_stays_on_the_screen_is_the_seeds(screen):
    """After the answer there are the seed's lines: no live line, no menu."""
    screen.run("train.py")
    screen.shows(QUESTION)
    screen.type("unet")
    screen.shows("results/unet/")
    screen.type("Enter")
    shown = [line for line in screen.shows("\ndone").split("\n") if line.strip()]
    at = shown.index(QUESTION)
    assert shown[at : at + 4] == [QUESTION, "unet", "Saving results to results/unet/", "done"]


def test_enter_on_nothing_takes_the_scripts_name(ask, repo):
    """As little motivation as possible."""
    child = ask()
    child.send(ENTER)
    child.expect_exact("Saving results to results/train/")
    ended(child)


def test_odd_names_are_told_or_refused(screen, repo, past):
    """Below the question, before they are taken."""
    screen.run("train.py")
    screen.shows(" Enter takes results/train/")
    screen.type("knee/-dash")
    screen.shows("begins with a dash")
    screen.type("C-u")
    screen.type(".hidden")
    screen.shows("this name can't be a run's name")
    screen.type("C-c")


def test_up_brings_the_name_of_the_latest_run(screen, repo, past):
    """And of those before it, in groups too."""
    screen.run("train.py")
    screen.shows(" Enter takes results/train/")
    screen.type("Up")
    screen.shows(" results/unet-new-1/")
    screen.type("Up")
    screen.shows(" results/resnet-1/")
    screen.type("Up")
    screen.shows(" results/exp/OAI-1/")
    screen.type("C-c")


def test_the_live_line_shows_the_directory_and_the_changes(screen, repo, past):
    """results/unet-3/ and how many files have uncommitted changes."""
    repo.write("train.py", SEED_SCRIPT + "# changed\n")
    screen.run("train.py")
    screen.shows("results/train/   1 uncommitted file\n")
    screen.type("resnet")
    screen.shows("results/resnet-1/   1 uncommitted file\n")
    screen.type("x")
    screen.shows("results/resnetx/ ")
    screen.type("Enter")
    screen.shows("Saving results to results/resnetx/")


@pytest.mark.slow
def test_thousands_of_changes_are_counted(screen, repo):
    """More than a pipe holds."""
    for n in range(3000):
        repo.write(f"a-folder-with-a-long-name/untracked-{n}.txt")
    screen.run("train.py")
    screen.shows("results/train/   3000 uncommitted files")
    screen.type("Enter")
    screen.shows("Saving results to results/train/")


def test_refused_names_are_explained_as_one_types(screen, repo):
    """Before Enter, and after it the question still stands."""
    screen.run("train.py")
    screen.shows(QUESTION)
    screen.type("a/../b")
    screen.shows("leaves the output root; use a name such as 'a-b'")
    screen.type("Enter")
    assert screen.shows("leaves the output root").count("leaves") == 1
    screen.type(*["BSpace"] * 6, "fine")
    screen.shows("results/fine/")
    screen.type("Enter")
    screen.shows("Saving results to results/fine/")
    assert names(repo) == ["fine"]


@pytest.mark.parametrize(("typed", "end"), [("/abs", "or output_root="), ("x" * 260, "at most 250 bytes")])
def test_why_a_name_is_refused_is_read_to_its_end(screen, typed, end):
    """On 80 columns, however long the reason or the name, before Enter and after it."""
    screen.run("train.py")
    screen.shows("results/train/")
    screen.type(typed)
    assert "this name" in screen.shows(end)
    screen.type("Enter")
    screen.shows("no name")
    assert end in screen.shows("this name")


# --- completion ---


def test_completion_is_newest_first_and_whatever_the_case(repo, past):
    """Runs and groups that begin so; files and hidden folders are none."""
    from footsteps import footsteps as core

    root = os.fspath(repo / "results")
    assert core.completions("", root) == ["unet-new", "resnet", "exp/", "Unet-big", "unet-old"]
    assert core.completions("UNET", root) == ["unet-new", "Unet-big", "unet-old"]
    assert core.completions("exp/o", root) == ["exp/OAI"]
    assert core.completions("nothing/", root) == []
    assert core.completions("../", root) == []


def test_tab_completes_a_name(screen, past):
    """One candidate is filled in at once, whatever the case."""
    screen.run("train.py")
    screen.shows(QUESTION)
    screen.type("RES", "Tab")
    screen.shows("results/resnet-1/")
    screen.type("2", "Enter")
    screen.shows("Saving results to results/resnet2/")


def test_a_completed_name_is_taken_by_an_enter_that_came_with_the_tab(ask, past):
    """In one piece, as by a quick typist: not what was typed before it was completed."""
    child = ask("train.py")
    child.send("RES" + TAB + ENTER)
    child.expect_exact("Saving results to results/resnet-1/")
    ended(child)


def test_tab_offers_the_newest_first(screen, past):
    """Of several, the menu has the newest on top, and TAB goes to it."""
    screen.run("train.py")
    screen.shows(QUESTION)
    screen.type("u", "Tab")
    shown = screen.shows("unet-old")
    assert shown.index("unet-new") < shown.index("Unet-big") < shown.index("unet-old")
    screen.type("Tab")
    screen.shows("results/unet-new-1/")
    screen.type("Enter")
    screen.type("Enter")
    screen.shows("Saving results to results/unet-new-1/")


def test_tab_goes_into_groups(screen, past):
    """exp/ first, then what is in it."""
    screen.run("train.py")
    screen.shows(QUESTION)
    screen.type("ex", "Tab")
    screen.shows("exp/")
    screen.type("O", "Tab")
    screen.shows("results/exp/OAI-1/")
    screen.type("Enter")
    screen.shows("Saving results to results/exp/OAI-1/")


@pytest.mark.slow
def test_completion_among_many_is_quick(repo):
    """Ten thousand runs: a moment."""
    from footsteps import footsteps as core

    for n in range(10_000):
        os.makedirs(repo / f"results/run-{n}")
    began = time.monotonic()
    assert len(core.completions("run-99", os.fspath(repo / "results"))) == 111
    assert time.monotonic() - began < 2


# --- going away ---


@pytest.mark.parametrize("typed", ["", "unet"])
def test_ctrl_c_ends_the_program_and_leaves_nothing(ask_in_shell, repo, typed):
    """KeyboardInterrupt: no directory, an echoing terminal, few frames of ours, the status of any Ctrl-C."""
    child = ask_in_shell()
    child.send(typed + CTRL_C)
    said = ended_echoing(child)
    assert "KeyboardInterrupt" in said
    assert "train.py" in said
    assert said.count("  File ") <= 7
    assert said.count("  File ") <= 7
    assert "status 130" in said
    assert not (repo / "results").exists()


def test_ctrl_d_ends_the_program_and_leaves_nothing(ask_in_shell, repo):
    """SystemExit with one line; no directory, an echoing terminal, no traceback."""
    child = ask_in_shell()
    child.send(CTRL_D)
    said = ended_echoing(child)
    assert "Traceback" not in said
    assert "no name given" in said
    assert "status 1\n" in said
    assert not (repo / "results").exists()


def ended_echoing(child) -> str:
    """What it prints to its end; its terminal must echo then, and read line by line."""
    said = ended(child)
    modes = said.partition("status")[2].split()
    assert "echo" in modes
    assert "icanon" in modes
    assert "isig" in modes
    return said


def test_an_interrupt_from_elsewhere_leaves_an_echoing_terminal(screen, repo):
    """`kill -INT`, a scheduler, an IDE's stop button: not typed, but it ends the question too."""
    screen.type("trap : INT", "Enter")
    screen.run("train.py")
    screen.shows("results/train/")
    shell = screen.tmux("display-message", "-p", "#{pane_pid}").strip()
    (pid,) = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True).stdout.split()
    os.kill(int(pid), signal.SIGINT)
    said = screen.shows("\ndone")
    assert "KeyboardInterrupt" in said
    assert said.count("  File ") <= 7
    assert "threading.py" not in said
    assert "results/train/" not in said
    screen.type("clear; stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon; echo modes", "Enter")
    assert {"echo", "icanon"} <= set(screen.shows("\nmodes").split("\n"))
    assert not (repo / "results").exists()


def test_git_is_gone_with_the_question(ask, repo, tmp_path):
    """The look at the changes does not outlive the prompt."""
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin/git"
    stub.write_text('#!/bin/sh\ncase "$*" in *status*) exec sleep 611;; esac\nexit 1\n')
    stub.chmod(0o755)
    child = ask(env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    child.send("une" + CTRL_C)
    ended(child)
    assert subprocess.run(["pgrep", "-f", "sleep 611"], capture_output=True, text=True).stdout == ""


CATCHING = """\
import footsteps
try:
    footsteps.output_dir
except {kind} as error:
    print("caught", type(error).__name__, footsteps.current())
print(footsteps.output_dir)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("key", "kind"), [(CTRL_C, "KeyboardInterrupt"), (CTRL_D, "SystemExit")])
def test_the_program_can_catch_it_and_ask_again(ask, repo, key, kind):
    """A start that failed can be tried again."""
    child = ask(program=CATCHING.format(kind=kind))
    child.send(key)
    child.expect_exact(f"caught {kind} None")
    child.expect_exact(QUESTION)
    child.send("again" + ENTER)
    child.expect_exact("Saving results to results/again/")
    ended(child)
    assert child.exitstatus == 0
    assert names(repo) == ["again"]


def test_an_exception_after_a_caught_one_is_shown_whole(ask):
    """What hid our frames hides nothing of the program's own later trouble."""
    program = (
        "import footsteps, sys\nbefore = sys.excepthook\ntry:\n    footsteps.output_dir\nexcept KeyboardInterrupt:\n"
        "    pass\ndef own():\n    raise ValueError('mine')\nown()\n"
    )
    child = ask(program=program)
    child.send(CTRL_C)
    said = ended(child)
    assert "ValueError: mine" in said
    assert said.count("asks.py") == 2


# --- terminals of other kinds ---


@pytest.mark.parametrize("term", ["dumb", "unknown", None])
def test_a_dumb_terminal_gets_a_plain_question(ask, repo, term):
    """TERM=dumb (Emacs, some CI): input(), no escape sequences; refused names are explained there too."""
    child = ask(env={"TERM": term})
    child.sendline("../x")
    child.expect("leaves the output root")
    child.expect_exact(QUESTION)
    child.sendline("plain")
    child.expect_exact("Saving results to results/plain/")
    ended(child)
    assert "\x1b" not in (child.before or "")


@pytest.mark.slow
@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_a_dumb_terminal_is_left_as_any_other(ask_in_shell, repo, key):
    """No directory, few frames."""
    import pexpect

    child = ask_in_shell(env={"TERM": "dumb"})
    child.send(key)
    while child.expect_exact(["status", pexpect.TIMEOUT], timeout=5):
        child.send(key)  # between the question and the read(), Python's own input() misses a signal
    said = plain(child.before)
    assert {"echo", "icanon", "isig"} <= set(ended(child).split())
    assert said.count("  File ") <= 7
    assert not (repo / "results").exists()


NO_TOOLKIT = "import sys\nsys.modules['prompt_toolkit'] = None\n"


def test_without_prompt_toolkit(ask, repo):
    """As in a copied core's project: the plain question."""
    child = ask(program=NO_TOOLKIT + SEED_SCRIPT)
    child.sendline("plain")
    child.expect_exact("Saving results to results/plain/")
    ended(child)


@pytest.mark.parametrize("start", ["", NO_TOOLKIT])
def test_with_stdout_sent_to_a_file_the_question_is_still_seen(repo, terminal, start):
    """`python train.py > log`: asked on the terminal, and the file has only what the program printed."""
    repo.write("asks.py", start + SEED_SCRIPT)
    child = terminal(["sh", "-c", f"{sys.executable} asks.py > log; echo done"], cwd=repo)
    child.expect_exact(QUESTION)
    child.send("unet" + ENTER)
    child.expect_exact("done")
    assert (repo / "log").read_text() == "Saving results to results/unet/\n"


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_with_stdout_and_stderr_sent_to_files(repo, terminal, term):
    """The terminal itself is there still."""
    script = f"TERM={term} {sys.executable} train.py > log 2> errors; echo done"
    child = terminal(["sh", "-c", script], cwd=repo)
    child.expect_exact(QUESTION)
    child.send("unet" + ENTER)
    child.expect_exact("done")
    assert (repo / "errors").read_text() == ""
    assert names(repo) == ["unet"]


def test_with_stderr_closed_a_dumb_terminal_is_asked_too(repo, terminal):
    """input() would raise "lost sys.stderr", and the name would silently be the script's."""
    child = terminal(["sh", "-c", f"TERM=dumb {sys.executable} train.py 2>&-; echo done"], cwd=repo)
    child.expect_exact(QUESTION)
    child.sendline("unet")
    child.expect_exact("Saving results to results/unet/")
    child.expect_exact("done")


def test_a_narrow_terminal(ask, repo):
    """Twenty columns: it still asks."""
    child = ask(env={"COLUMNS": "20"})
    child.setwinsize(5, 20)
    child.send("unet" + ENTER)
    child.expect("results/unet/")
    ended(child)


def test_a_name_pasted_with_its_newline(ask, repo):
    """Brackets of a paste are no part of the name."""
    child = ask()
    child.send("\x1b[200~pasted\x1b[201~" + ENTER)
    child.expect_exact("Saving results to results/pasted/")
    ended(child)


def test_what_is_typed_ahead_is_taken_line_by_line(screen, repo):
    """The name typed while the program starts is its answer, and the lines after it are the program's own."""
    asks = "import footsteps, os, time\nwhile not os.path.exists('typed'):\n    time.sleep(0.01)\n"
    repo.write("asks.py", asks + "print(footsteps.output_dir)\nprint('epochs', input())\n")
    screen.run("asks.py")
    screen.type("unet", "Enter", "12", "Enter")
    screen.shows("12")
    repo.write("typed")
    shown = screen.shows("\ndone")
    assert "Saving results to results/unet/" in shown
    assert "epochs 12" in shown


def test_letters_of_any_script(ask, repo):
    """Typed as they come."""
    child = ask()
    child.send("größe-日本" + ENTER)
    child.expect_exact("Saving results to results/größe-日本/")
    ended(child)


# --- programs of other kinds ---


def test_from_a_second_thread(ask, repo):
    """The question may come from wherever the first look is."""
    child = ask(
        program="import threading, footsteps\n"
        "t = threading.Thread(target=lambda: print('in thread', footsteps.output_dir))\nt.start()\nt.join()\n"
    )
    child.send("unet" + ENTER)
    child.expect_exact("in thread results/unet/")
    ended(child)


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_ctrl_c_and_ctrl_d_in_a_second_thread_end_the_program(ask, repo, key):
    """Not that thread alone, with the question asked again by the first: no directory, few frames of ours."""
    program = (
        "import queue, threading, footsteps\nfound = queue.Queue()\n"
        "threading.Thread(target=lambda: found.put(footsteps.output_dir), daemon=True).start()\nprint(found.get())\n"
    )
    child = ask(program=program)
    child.send(key)
    said = ended(child)
    assert "no name given" in said
    assert "KeyboardInterrupt" in said
    assert said.count("  File ") <= 7
    assert not (repo / "results").exists()


def test_inside_a_running_event_loop(ask, repo):
    """asyncio.run(main()): prompt_toolkit's own loop is elsewhere, and the program's goes on."""
    child = ask(
        program="import asyncio, footsteps\nasync def main():\n    print('in loop', footsteps.output_dir)\n"
        "    await asyncio.sleep(0)\n    print('goes on')\nasyncio.run(main())\n"
    )
    child.send("unet" + ENTER)
    child.expect_exact("in loop results/unet/")
    child.expect_exact("goes on")
    ended(child)
    assert child.exitstatus == 0


def test_signal_handlers_and_the_event_loop_stay_the_programs(ask, repo):
    """Law 1, after a question."""
    child = ask(
        program="import signal, sys, asyncio, threading\nasyncio.set_event_loop(loop := asyncio.new_event_loop())\n"
        "look = lambda: ([signal.getsignal(s) for s in signal.valid_signals()], signal.set_wakeup_fd(-1),\n"
        "    asyncio.get_event_loop_policy().get_event_loop() is loop, sys.excepthook, threading.active_count())\n"
        "before = look()\nimport footsteps\nfootsteps.output_dir\nprint('same', look() == before)\nloop.close()\n"
    )
    child.send("unet" + ENTER)
    child.expect_exact("same True")
    ended(child)


def test_python_i_keeps_its_own_completion(ask, repo):
    """After the question the shell's TAB is as it was."""
    child = ask("-i", "train.py")
    child.send("unet" + ENTER)
    child.expect_exact(">>> ")
    child.sendline("import rlcompleter, readline; readline.parse_and_bind('tab: complete')")
    child.expect_exact(">>> ")
    child.send("footsteps.initi" + TAB)
    child.expect("footsteps.initi\x07?alize")
    child.send(CTRL_C)
    child.expect_exact(">>> ")
    child.sendline("exit()")
    ended(child)


def test_the_interactive_interpreter_asks(repo, terminal):
    """`python`, then `import footsteps`: there is somebody to ask."""
    child = terminal([sys.executable, "-q"], cwd=repo, env={"PYTHON_BASIC_REPL": "1"})
    child.expect_exact(">>> ")
    child.sendline("import footsteps; d = footsteps.output_dir")
    child.expect_exact(QUESTION)
    child.send("unet" + ENTER)
    child.expect_exact("Saving results to results/unet/")
    child.expect_exact(">>> ")
    child.sendline("print('still', 'here')")
    child.expect_exact("still here")
    child.sendline("exit()")
    ended(child)


def test_ctrl_c_in_the_interactive_interpreter_goes_back_to_it(repo, terminal):
    """KeyboardInterrupt with few of our frames, and another prompt."""
    child = terminal([sys.executable, "-q"], cwd=repo, env={"PYTHON_BASIC_REPL": "1"})
    child.expect_exact(">>> ")
    child.sendline("import footsteps; d = footsteps.output_dir")
    child.expect_exact(QUESTION)
    child.send(CTRL_C)
    child.expect_exact("KeyboardInterrupt")
    assert child.before.count("  File ") <= 7
    child.expect_exact(">>> ")
    child.sendline("print('still', 'here')")
    child.expect_exact("still here")
    child.sendline("exit()")
    ended(child)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("-c", "import footsteps; footsteps.output_dir"), ("-m", "pkg.mod")])
def test_other_ways_to_start_a_program(ask, repo, arguments):
    """`python -c`, `python -m pkg.mod`."""
    repo.write("pkg/__init__.py")
    repo.write("pkg/mod.py", SEED_SCRIPT)
    child = ask(*arguments)
    child.send("unet" + ENTER)
    child.expect_exact("Saving results to results/unet/")
    ended(child)


def test_initialize_without_a_name_asks(screen, repo):
    """`footsteps.initialize(output_root="out/")`: completion and live line are of that root."""
    (repo / "out/older").mkdir(parents=True)
    (repo / "out/older/info.txt").write_text("Command:\n")
    repo.write("asks.py", "import footsteps\nfootsteps.initialize(output_root='out/')\n")
    screen.run("asks.py")
    screen.shows("out/asks/")
    screen.type("o", "Tab")
    screen.shows("out/older-1/")
    screen.type("Enter")
    screen.shows("Saving results to out/older-1/")


def test_a_given_name_asks_nothing(repo, terminal):
    """FOOTSTEPS_NAME on a terminal."""
    child = terminal([sys.executable, "train.py"], cwd=repo, env={"FOOTSTEPS_NAME": "unet"})
    assert ended(child) == "Saving results to results/unet/\n"


def test_threads_wait_while_one_asks(ask, repo):
    """One question, one directory."""
    child = ask(
        program="import threading, footsteps\n"
        "ts = [threading.Thread(target=lambda: print(f'got {footsteps.output_dir}\\n', end='')) for _ in range(3)]\n"
        "[t.start() for t in ts]\n[t.join() for t in ts]\n"
    )
    child.send("unet" + ENTER)
    said = ended(child)
    assert said.count("got results/unet/") == 3
    assert names(repo) == ["unet"]


# --- shells and notebooks ---


@pytest.mark.kernel
def test_ipython_asks(repo, terminal):
    """At its own prompt, which is prompt_toolkit's too; afterwards it goes on."""
    pytest.importorskip("IPython")
    child = terminal([sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"], cwd=repo)
    child.expect_exact("In [1]:")
    child.sendline("import footsteps; d = footsteps.output_dir")
    child.expect_exact(QUESTION)
    child.send("unet" + ENTER)
    child.expect_exact("Saving results to results/unet/")
    child.expect_exact("In [2]:")
    child.sendline("print('still', 'here')")
    child.expect_exact("still here")
    child.sendline("exit()")
    ended(child)


@pytest.mark.kernel
def test_ipython_with_its_full_prompt_asks(screen):
    """The same where IPython draws its prompt itself."""
    pytest.importorskip("IPython")
    screen.type(f"{sys.executable} -m IPython --no-banner --no-confirm-exit", "Enter")
    screen.shows("In [1]:")
    screen.type("import footsteps; d = footsteps.output_dir", "Enter")
    screen.shows("results/IPython/")
    screen.tmux("send-keys", "C-c")
    assert screen.shows("KeyboardInterrupt").count("footsteps.py") <= 4
    screen.shows("In [2]:")
    screen.type("d = footsteps.output_dir", "Enter")
    screen.shows("results/IPython/")
    screen.type("unet", "Enter")
    screen.shows("Saving results to results/unet/")
    screen.shows("In [3]:")


@pytest.mark.kernel
@pytest.mark.filterwarnings("default")
def test_a_jupyter_kernel_asks_in_the_notebooks_input_box(repo, monkeypatch):
    """The question is an input request of the kernel, and the run is the notebook's."""
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import KernelManager

    monkeypatch.setenv("JPY_SESSION_NAME", os.fspath(repo / "explore.ipynb"))
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(cwd=os.fspath(repo))
    client = manager.client()
    asked = []

    def answer(message):
        asked.append(message["content"]["prompt"])
        client.input("" if len(asked) == 1 else "x")

    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        said = []
        client.execute_interactive(
            "import footsteps\nprint(footsteps.output_dir)",
            stdin_hook=answer,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
            timeout=60,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert [prompt.strip() for prompt in asked] == [QUESTION]
    assert "results/explore/" in "".join(said)
    assert names(repo) == ["explore"]


@pytest.mark.kernel
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_that_nobody_watches_takes_its_own_name(repo, monkeypatch):
    """nbclient, papermill, `jupyter execute`: there is no input box, so it is as with stdin closed."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("JPY_SESSION_NAME", os.fspath(repo / "nightly.ipynb"))
    cell = nbformat.v4.new_code_cell("import footsteps\nprint(footsteps.output_dir)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    where = {"metadata": {"path": os.fspath(repo)}}
    done = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120, resources=where).execute()
    said = {output.name: output.text for output in done.cells[0].outputs if output.output_type == "stream"}
    assert said["stdout"].endswith("results/nightly/\n")
    assert "taking 'nightly' (set FOOTSTEPS_NAME=<name>" in said["stderr"]
