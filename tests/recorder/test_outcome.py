"""What a run tells of itself: how it ended and what it made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from footsteps.recorder.outcome import noted_by_others

BEGIN = 'import os, sys, footsteps\nfootsteps.initialize("unet")\n'
RUN = Path("results/unet")


def outcome(directory=RUN) -> dict:
    """What outcome.json says."""
    return json.loads((Path(directory) / ".footsteps" / "outcome.json").read_bytes())


def recorded(kind="recorded", directory=RUN) -> list[dict]:
    """The values of the lines of recorded.jsonl that are of this kind."""
    lines = (Path(directory) / ".footsteps" / "recorded.jsonl").read_text().splitlines()
    return [line["values"] for line in map(json.loads, lines) if line["kind"] == kind]


def artifacts(directory=RUN) -> dict[str, dict]:
    """The manifest, by path."""
    return {entry["path"]: entry for entry in outcome(directory)["artifacts"]}


def ended(directory=RUN) -> bool:
    """Whether there is an outcome."""
    return (Path(directory) / ".footsteps" / "outcome.json").exists()


# --- how it ended ---

ENDINGS = {
    "": (0, "finished", 0),
    "raise ValueError('no')": (1, "failed", 1),
    "raise KeyboardInterrupt": (-signal.SIGINT, "interrupted", 130),
    "sys.exit(3)": (3, "exited", 3),
    "sys.exit()": (0, "finished", 0),
    "sys.exit('told')": (1, "exited", 1),
    "sys.exit(2**70)": (255, "exited", 255),
    "sys.exit(True)": (1, "exited", 1),
    "sys.exit(0)": (0, "finished", 0),
    "raise SystemExit": (0, "finished", 0),
    "raise SystemExit(4)": (4, "exited", 4),
    "exit(5)": (5, "exited", 5),
    "try:\n sys.exit(2)\nexcept SystemExit: pass": (0, "finished", 0),
    "try:\n sys.exit(2)\nexcept SystemExit: pass\nraise SystemExit(6)": (6, "exited", 6),
    "try:\n int('x')\nexcept ValueError: pass\nsys.exit(7)": (7, "exited", 7),
    "try:\n int('x')\nfinally:\n sys.exit(8)": (8, "exited", 8),
    "sys.excepthook = lambda *_: None\nraise ValueError": (1, "failed", 1),
    "sys.last_value = ValueError()": (0, "finished", 0),
    "raise GeneratorExit": (1, "failed", 1),
    "sys.excepthook = lambda *_: sys.exit(4)\nraise ValueError": (4, "failed", 4),
    "def main():\n  raise SystemExit(5 + 5)\nmain()": (10, "unknown", None),
    "def main():\n  sys.exit(9)\nwith open(os.devnull):\n  main()": (9, "exited", 9),
}


@pytest.mark.parametrize(("ending", "told"), ENDINGS.items())
def test_the_way_a_program_ends_is_told_and_is_as_without_us(run_script, ending, told):
    """Finished, failed, interrupted or exited; exit status and stderr are those of the bare program."""
    done = run_script(BEGIN + ending)
    bare = run_script("import os, sys\n\n" + ending)
    assert (done.returncode, outcome()["status"], outcome()["exit_status"]) == told
    assert (bare.returncode, bare.stderr) == (told[0], without_notices(done.stderr))


def without_notices(stderr: str) -> str:
    """What stderr holds besides our own lines."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith("footsteps: "))


def test_the_status_of_a_run_that_begins_in_main_is_known(run_script):
    """`sys.exit(main())` looks sys.exit up before main begins the run."""
    done = run_script(
        "import sys, footsteps\ndef main():\n  footsteps.initialize('unet')\n  return 3\nsys.exit(main())\n"
    )
    assert (done.returncode, outcome()["status"], outcome()["exit_status"]) == (3, "exited", 3)


LATE = """
import sys
def main(argv=()):
    import footsteps
    footsteps.initialize("unet")
    status = 4
    %s
%s
"""


@pytest.mark.parametrize("leave", ["sys.exit(main())", "raise SystemExit(main([1]))", "exit(main())"])
@pytest.mark.parametrize("back", ["return 4", "return status"])
def test_a_console_scripts_number_is_known_though_footsteps_came_late(run_script, leave, back):
    """main() imports footsteps when sys.exit was looked up already; what it returns is the program's exit status."""
    done = run_script(LATE % (back, leave))
    assert (done.returncode, outcome()["status"], outcome()["exit_status"]) == (4, "exited", 4)


@pytest.mark.parametrize(
    ("back", "status"), [("return 0", "finished"), ("return", "finished"), ("return status - 4", "unknown")]
)
def test_what_a_late_main_returns_is_told_or_unknown(run_script, back, status):
    """Success by number and by None; what had to be computed is not guessed."""
    done = run_script(LATE % (back, "sys.exit(main())"))
    assert (done.returncode, outcome()["status"]) == (0, status)


@pytest.mark.slow
def test_a_passing_pytest_is_not_failed(tmp_path, run_script):
    """A run that a test begins ends with pytest, whose exit status is 0; a failing one has 1."""
    from footsteps.reader.runs import Run

    (tmp_path / "test_it.py").write_text(
        "import os\ndef test_it():\n    import footsteps\n    footsteps.initialize('unet')\n"
        "    assert 'NO' not in os.environ\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    for status, changes in (("finished", {}), ("exited", {"NO": "1"})):
        shutil.rmtree("results", ignore_errors=True)
        subprocess.run(command, env={**os.environ, **changes}, capture_output=True)
        assert Run(str(RUN)).status == status, outcome()


@pytest.mark.parametrize("how", [["-m", "script"], ["-c", BEGIN + "sys.exit(3)"], ["-"]])
def test_modules_commands_and_stdin_tell_their_end_too(tmp_path, how):
    """`python -m`, `-c` and a program on stdin exit with their status, and it is known."""
    (tmp_path / "script.py").write_text(BEGIN + "sys.exit(3)")
    with open("script.py") as program:
        done = subprocess.run([sys.executable, *how], stdin=program, capture_output=True)
    assert (done.returncode, outcome()["exit_status"]) == (3, 3)


def test_a_failure_is_told_with_its_place_in_the_program(run_script):
    """Type, message, file and line: where the program was, not where the library below it was."""
    done = run_script(BEGIN + "import json\ndef read():\n    json.loads('{')\nread()\n")
    told = outcome()["exception"]
    assert done.returncode == 1
    assert told["type"] == "json.decoder.JSONDecodeError"
    assert told["message"].startswith("Expecting property name")
    assert (os.path.basename(told["file"]), told["line"]) == ("script.py", 5)


def test_the_users_own_hooks_are_called_as_ever(run_script):
    """sys.excepthook and threading.excepthook set before and after the run begins see every exception."""
    program = """
import sys, threading
sys.excepthook = lambda kind, *_: print("main", kind.__name__)
threading.excepthook = lambda args: print("before", args.exc_type.__name__)
import footsteps
footsteps.initialize("unet")
def fail(): raise OSError("in a thread")
def in_thread():
    thread = threading.Thread(target=fail, name="loader"); thread.start(); thread.join()
in_thread()
ours = threading.excepthook
threading.excepthook = lambda args: (print("after"), ours(args))
in_thread()
raise ValueError
"""
    said = run_script(program).stdout.split("\n", 1)[1]
    assert said.split() == ["before", "OSError", "after", "before", "OSError", "main", "ValueError"]
    told = outcome()
    assert (told["status"], [e["type"] for e in told["thread_exceptions"]]) == ("failed", ["OSError"] * 2)


def test_a_failed_thread_does_not_make_the_run_fail(run_script):
    """The program went on and came to its end: finished, with the thread's exception listed."""
    run_script(BEGIN + "import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()\n")
    assert (outcome()["status"], outcome()["thread_exceptions"][0]["type"]) == ("finished", "ZeroDivisionError")


def test_an_exception_whose_message_raises_is_told_all_the_same(run_script):
    """Whatever its __str__ raises, be it a KeyboardInterrupt: the run has failed, and nothing else is on stderr."""
    failing = "\nclass E(Exception):\n  def __str__(self): raise KeyboardInterrupt\nraise E\n"
    done = run_script(BEGIN + failing)
    assert (outcome()["status"], outcome()["exception"]["type"]) == ("failed", "E")
    assert done.stderr.count("Traceback") == 1


def test_a_thread_may_end_by_sys_exit(run_script):
    """threading is silent about a SystemExit, which is no failure of a thread."""
    run_script(BEGIN + "import threading\nt = threading.Thread(target=sys.exit); t.start(); t.join()\n")
    assert (outcome()["status"], outcome()["thread_exceptions"]) == ("finished", [])


def test_what_could_not_be_written_is_named(run_script):
    """A program that has removed info.txt: the outcome is there, and the line on stderr names the other file."""
    done = run_script(BEGIN + "os.unlink(footsteps.output_dir + 'info.txt')\n")
    assert (outcome()["status"], "info.txt: No such file" in done.stderr) == ("finished", True)


def test_ctrl_c_is_an_interruption(tmp_path):
    """A real SIGINT in the middle of work: interrupted, and the shell sees the signal."""
    (tmp_path / "script.py").write_text(BEGIN + "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, "script.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert "ready" in [running.stdout.readline().strip() for _ in range(2)]
        running.send_signal(signal.SIGINT)
    assert (running.returncode, outcome()["status"]) == (-signal.SIGINT, "interrupted")


@pytest.mark.parametrize(
    "ending",
    [
        "os.kill(os.getpid(), 9)",
        "os._exit(0)",
        "os.abort()",
    ],
)
def test_a_program_that_is_cut_off_has_no_outcome(run_script, ending):
    """SIGKILL, os._exit and abort leave none, and the readers say that the run died."""
    from footsteps.reader.runs import Run

    run_script(BEGIN + ending)
    assert not ended()
    assert Run(str(RUN)).status == "died"


@pytest.mark.parametrize(
    "call",
    [
        "os.execv(sys.executable, [sys.executable, '-c', ''])",
        "os.execvpe('true', ['true'], os.environ)",
        "import posix; posix.execv(sys.executable, [sys.executable, '-c', ''])",
        "os.execve(os.open(sys.executable, os.O_RDONLY), [sys.executable, '-c', ''], os.environ)",
    ],
)
def test_a_program_that_gives_its_process_to_another_has_an_unknown_outcome(run_script, call):
    """It did not die, nor does anybody know how it ends; what it made is listed, and who took its place."""
    from footsteps.reader.runs import Run

    run_script(BEGIN + f"open(footsteps.output_dir + 'a.txt', 'w').close()\nsys.stdout.flush()\n{call}\n")
    assert (outcome()["status"], outcome()["exit_status"]) == ("unknown", None)
    names = {os.path.basename(path(sys.executable)) for path in (str, os.path.realpath)}  # of an open file: the latter
    assert os.path.basename(outcome()["replaced_by"]) in {*names, "true"}
    assert [file["path"] for file in outcome()["artifacts"]] == ["a.txt"]
    assert "unknown: the program gave its process to another one" in (RUN / "info.txt").read_text()
    assert Run(str(RUN)).status == "unknown"


@pytest.mark.parametrize(
    "call",
    [
        "os.execv('/no/such/program', ['x'])",
        "os.execvp('no-such-program', ['x'])",
        "os.execve(999, ['x'], os.environ)",
        "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', ''])",
    ],
)
def test_a_program_that_goes_on_after_an_exec_that_failed_or_a_childs_is_finished(run_script, call):
    """The run ends with the program."""
    run_script(BEGIN + f"try: {call}\nexcept OSError: pass\nopen(footsteps.output_dir + 'later.txt', 'w').close()\n")
    assert outcome()["status"] == "finished"
    assert "replaced_by" not in outcome()
    assert "later.txt" in [file["path"] for file in outcome()["artifacts"]]


@pytest.mark.parametrize(
    "children",
    [
        "pid = os.fork()\nif not pid: sys.exit(3)\nos.waitpid(pid, 0)",
        "pid = os.fork()\nif not pid: footsteps.finish(); sys.exit(3)\nos.waitpid(pid, 0)",
        "import multiprocessing as mp\nmp.get_context('fork').Pool(2).map(len, ['ab'])",
        "import multiprocessing as mp\nif __name__ == '__main__': mp.get_context('spawn').Pool(1).map(len, ['ab'])",
    ],
)
def test_children_never_write_their_parents_outcome(run_script, children):
    """Forked children and pool workers come to an end of their own; the run goes on."""
    program = (
        "import os, sys, footsteps\nif __name__ == '__main__': footsteps.initialize('unet')\n"
        f"{children}\nprint(os.path.exists('results/unet/.footsteps/outcome.json'))\n"
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"
    assert (outcome()["status"], os.listdir("results")) == ("finished", ["unet"])


def test_time_is_told_by_a_clock_that_does_not_jump(run_script):
    """The wall clock goes back by a year in the middle: the duration is what it was."""
    program = BEGIN + "import time\nreal = time.time\ntime.time = lambda: real() - 3e7\ntime.sleep(0.2)\n"
    run_script(program)
    assert 0.2 <= outcome()["duration"] < 10


def test_cost_is_told_of_the_process_and_its_children(run_script):
    """CPU seconds since the run began, peak memory in bytes of the process and of its largest child."""
    burn = "bytearray(60 << 20); [i for i in range(2_000_000)]"
    run_script(BEGIN + f"import subprocess\nx = {burn}\nsubprocess.run([sys.executable, '-c', 'x = {burn}'])\n")
    told = outcome()
    assert 0.02 < told["cpu"] < 20
    assert told["peak_memory"] > 60 << 20
    assert told["children_peak_memory"] > 60 << 20


def test_info_ends_with_the_outcome_on_lines_of_its_own(run_script):
    """An exception's message can neither break a line nor forge a title."""
    run_script(BEGIN + "raise ValueError('a\\nGit Hash:\\nb \\x1b[31m')")
    lines = (RUN / "info.txt").read_text().splitlines()
    closing = lines[lines.index("Outcome:") :]
    assert closing[1].startswith(r"failed: ValueError: a\x0aGit Hash:\x0ab \x1b[31m (")
    assert lines.count("Git Hash:") == 1


def test_seeds_are_told_where_they_can_be_had(run_script):
    """PYTHONHASHSEED, and no library is imported or asked for a random number."""
    run_script(BEGIN + "import random\nrandom.seed(1)\nbefore = random.getstate()\n", env={"PYTHONHASHSEED": "7"})
    assert outcome()["seeds"] == {"PYTHONHASHSEED": "7"}


# --- several runs in one process ---


def test_finish_lets_the_next_run_begin(run_script):
    """A loop over settings: each has its directory, its outcome, its artifacts and records."""
    program = """
import footsteps
for lr in (1, 2):
    footsteps.initialize(f"lr{lr}")
    footsteps.record(lr=lr)
    open(footsteps.path("loss.txt"), "w").write("x" * lr)
    footsteps.finish()
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    for lr in (1, 2):
        directory = f"results/lr{lr}"
        assert (outcome(directory)["status"], artifacts(directory)["loss.txt"]["size"]) == ("finished", lr)
        assert recorded(directory=directory) == [{"lr": lr}]


def test_a_run_finished_on_the_way_out_of_a_failure_has_failed(run_script):
    """`try: ... finally: finish()` tells the exception; one that is over, or older, is none of it."""
    program = """
import footsteps, sys
exit_before, hook = sys.exit, None
for name, error in (("failed", ValueError), ("exited", SystemExit), ("interrupted", KeyboardInterrupt)):
    footsteps.initialize(name)
    try:
        try:
            raise error(3)
        finally:
            footsteps.finish()
    except BaseException:
        pass
try:
    import nothing_of_that_name
except ImportError:
    footsteps.initialize("finished")
    footsteps.finish()
    footsteps.initialize("failed")
try:
    raise ImportError
except ImportError:
    footsteps.finish()
assert sys.exit is exit_before
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    for status in ("failed", "exited", "interrupted", "finished"):
        assert outcome(f"results/{status}")["status"] == status
    assert outcome("results/failed-1")["status"] == "failed"
    assert outcome("results/exited")["exit_status"] == 3


# --- what it made ---


def test_artifacts_are_listed_with_size_time_and_hash(run_script):
    """Everything that lies in the run's directory, but not the record itself nor another run's."""
    program = (
        BEGIN
        + """
open(footsteps.path("a/weights.bin"), "wb").write(b"w" * 1000)
os.symlink("a/weights.bin", footsteps.output_dir + "latest")
inner = footsteps.output_dir
footsteps.finish()
footsteps.initialize("inner", output_root=inner)
open(footsteps.path("of_inner"), "w").close()
"""
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    told, file = artifacts(), RUN / "a" / "weights.bin"
    assert list(told) == ["a/weights.bin", "latest"]
    assert told["a/weights.bin"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told["a/weights.bin"]["mtime_ns"] == file.stat().st_mtime_ns
    assert told["latest"]["target"] == "a/weights.bin"


@pytest.mark.slow
def test_ten_thousand_artifacts_are_listed(run_script):
    """All of them are in the manifest, hashed as far as the budget goes, and soon."""
    program = (
        BEGIN
        + """
import time
for i in range(10_000):
    with open(footsteps.path(f"{i % 100}/{i}"), "wb") as file: file.write(b"x")
start = time.monotonic()
footsteps.finish()
print(time.monotonic() - start)
"""
    )
    done = run_script(program)
    assert len(artifacts()) == 10_000
    assert sum(entry["sha256"] is not None for entry in artifacts().values()) > 100
    assert float(done.stdout.split()[-1]) < 10


def test_a_huge_artifact_does_not_hold_up_the_end(run_script):
    """5 GB (sparse): listed with its size, its hash left to whoever needs it."""
    program = (
        BEGIN
        + """
import time
open(footsteps.path("large"), "w").close(); os.truncate(footsteps.path("large"), 5 << 30)
open(footsteps.path("small"), "w").close()
start = time.monotonic()
footsteps.finish()
print(time.monotonic() - start)
"""
    )
    done = run_script(program)
    told = artifacts()
    assert (told["large"]["size"], told["large"]["sha256"]) == (5 << 30, None)
    assert told["small"]["sha256"] is not None
    assert float(done.stdout.split()[-1]) < 5  # hashing it would take longer on most machines


def test_files_written_elsewhere_are_named(run_script, tmp_path):
    """What the program saves outside the run's directory is listed; what it has removed is not."""
    program = (
        BEGIN
        + """
open("beside.csv", "w").close()
os.close(os.open("by_descriptor", os.O_WRONLY | os.O_CREAT))
open("gone", "w").close(); os.unlink("gone")
open(footsteps.path("inside"), "w").close()
"""
    )
    run_script(program)
    assert outcome()["written_elsewhere"] == [str(tmp_path / name) for name in ("beside.csv", "by_descriptor")]


@pytest.mark.parametrize("folder", [".", "results/unet"])
def test_files_written_elsewhere_are_named_or_said_not_to_be(run_script, tmp_path, folder):
    """Beyond a number the outcome says that these are not all; those in the run's directory don't count."""
    program = f"footsteps.recorder.inputs.INPUTS_LISTED = 5\nfor i in range(9): open(f'{folder}/{{i}}', 'w').close()\n"
    run_script(BEGIN + program + "open('last', 'w').close()\n")
    told = outcome()
    assert told["written_complete"] == (folder != ".")
    assert (str(tmp_path / "last") in told["written_elsewhere"]) == told["written_complete"]


def test_what_is_saved_under_a_name_of_its_own_is_named_as_it_is_called_then(run_script, tmp_path):
    """Programs write beside and rename: the file and the folder have their last names, and are no inputs."""
    program = (
        """
import pathlib
"""
        + BEGIN
        + """
open("a.part", "w").close(); os.replace("a.part", "a.csv"); open("a.csv").close()
open("b.part", "w").close(); pathlib.Path("b.part").rename("b.csv")
os.mkdir("saving"); open("saving/c", "w").close(); os.rename("saving", "saved")
"""
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert outcome()["written_elsewhere"] == [str(tmp_path / name) for name in ("a.csv", "b.csv", "saved/c")]
    assert not list((RUN / ".footsteps").glob("inputs-*"))


def test_a_run_whose_directory_was_renamed_tells_its_end_there(run_script):
    """`mv results/unet results/good` while it trains costs neither outcome nor artifacts."""
    done = run_script(BEGIN + "open(footsteps.path('a'), 'w').close()\nos.rename('results/unet', 'results/good')\n")
    assert (done.returncode, done.stderr, os.path.exists("results/unet")) == (0, "", False)
    assert outcome("results/good")["status"] == "finished"
    assert list(artifacts("results/good")) == ["a"]


@pytest.mark.slow
def test_a_run_writes_nothing_to_another_that_was_given_its_name(run_script):
    """`mv results/unet results/good`, and the next `unet` begins: what each of them tells stands in its own record."""
    next_one = "footsteps.initialize('unet'); footsteps.record(of=2); import time; time.sleep(2); 1 / 0"
    program = f"""
import subprocess, time
os.rename("results/unet", "results/good")
other = subprocess.Popen([sys.executable, "-c", "import footsteps; {next_one}"])
while not os.path.exists("results/unet/.footsteps/recorded.jsonl"): time.sleep(0.01)
open("data").close(); footsteps.record(of=1); footsteps.finish()
other.wait()
"""
    Path("data").touch()
    done = run_script(BEGIN + program)
    assert done.returncode == 0, done.stderr
    for directory, status, number in (("results/good", "finished", 1), ("results/unet", "failed", 2)):
        assert (outcome(directory)["status"], recorded(directory=directory)) == (status, [{"of": number}])
    assert not list((RUN / ".footsteps").glob("inputs-*"))
    assert list(Path("results/good/.footsteps").glob("inputs-*"))


def test_a_run_whose_directory_was_removed_ends_in_silence(run_script):
    """A test suite that cleans up after itself hears nothing of us."""
    done = run_script(BEGIN + "import shutil\nshutil.rmtree('results')\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.path.exists("results")


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="mounts a small tmpfs, which takes root")
@pytest.mark.parametrize("room", [0, 2])
def test_a_full_disk_costs_the_outcome_and_nothing_else(tmp_path, room):
    """No half outcome.json; a short one where there is room for it; the exit status is the program's."""
    program = (
        BEGIN
        + f"""
for i in range(300): open(footsteps.path("f" * 100 + str(i)), "w").close()
from pathlib import Path
stop = Path(footsteps.output_dir + "fill").open("wb", buffering=0)
try:
    while True: stop.write(b"x" * 4096)
except OSError:
    stop.truncate(stop.tell() - 4096 * {room})
sys.exit(3)
"""
    )
    (tmp_path / "script.py").write_text(program)
    (tmp_path / "results").mkdir()
    mounted = (
        f"mount -t tmpfs -o size=3m tmpfs results && {sys.executable} script.py; echo status $?;"
        "ls results/unet/.footsteps; cat results/unet/.footsteps/outcome.json"
    )
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(["unshare", "-m", "sh", "-c", mounted], capture_output=True, text=True)
    assert "status 3" in done.stdout
    assert "outcome.json." not in done.stdout
    if room:
        short = json.loads(done.stdout[done.stdout.index("{") :])
        assert (short["status"], short["exit_status"], "artifacts" in short) == ("exited", 3, False)
    else:
        assert "the outcome could not be written" in done.stderr
        assert "outcome.json" not in done.stdout


def test_a_file_size_limit_costs_the_outcome_and_nothing_else(run_script):
    """RLIMIT_FSIZE, the full disk that anybody can have."""
    program = BEGIN + "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\nsys.exit(3)\n"
    done = run_script(program)
    assert done.returncode == 3
    assert "the outcome could not be written" in done.stderr
    assert not [name for name in os.listdir(RUN / ".footsteps") if name.startswith("outcome")]


def test_what_other_processes_read_is_only_complete_if_there_was_time_to_look(tmp_path):
    """What a worker noted and the deadline cut off is not all."""
    (tmp_path / "inputs-host-1.jsonl").write_text('{"path": "/data/a", "size": 1, "mtime_ns": 1}\n')
    run = SimpleNamespace(record=str(tmp_path))
    entry = {"path": "/data/a", "size": 1, "mtime_ns": 1, "sha256": None}
    assert noted_by_others(run, time.monotonic() + 60) == ([entry], True, set())
    assert noted_by_others(run, time.monotonic() - 1) == ([], False, set())


# --- what programs ask ---


def test_path_makes_folders_and_stays_inside(run_script):
    """A str in the run's directory; names that leave it are refused with a ValueError."""
    program = (
        BEGIN
        + """
import pathlib
assert type(footsteps.path(pathlib.Path("a") / "b.txt")) is str
open(footsteps.path("checkpoints/step_1.pt"), "w").close()
os.chdir("/")
open(footsteps.path("later/x"), "w").close()
for name in ("", ".", "..", "../x", "a/../../x", "/etc/passwd", ".footsteps/run.json", "./.footsteps", "a\\0b"):
    try:
        print("made", footsteps.path(name))
    except ValueError as error:
        assert "give one such as" in str(error), error
"""
    )
    done = run_script(program)
    assert (done.returncode, "made" in done.stdout) == (0, False), done.stderr
    assert (RUN / "checkpoints" / "step_1.pt").exists()
    assert (RUN / "later" / "x").exists()


def test_path_begins_the_run(run_script):
    """The first thing that a program asks for may be a path."""
    done = run_script("import footsteps\nprint(footsteps.path('a'))\n", env={"FOOTSTEPS_NAME": "unet"})
    assert done.stdout.split()[-1] == "results/unet/a"


def test_imports_cannot_be_seen(run_script):
    """Importing starts no thread or process, makes nothing, prints nothing, sets no hook or handler."""
    program = """
import sys, os, signal, threading, random
def state():
    hooks = sys.excepthook, threading.excepthook, sys.stdout.write, sys.settrace, sys.displayhook
    return (*hooks, sys.gettrace(), [signal.getsignal(n) for n in (2, 15)], random.getstate(), threading.enumerate())
before, modules = state(), set(sys.modules)
import footsteps
assert state() == before
heavy = {"json", "subprocess", "typing", "inspect", "pathlib", "tempfile", "argparse", "hashlib", "psutil"}
assert not heavy & (set(sys.modules) - modules), heavy & set(sys.modules)
assert not os.path.exists("results")
"""
    done = run_script(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_that_was_moved_or_can_not_be_written_is_read_as_before(run_script, tmp_path):
    """The manifest's paths are the directory's own; nothing in the record is needed to be writable."""
    from footsteps.reader.runs import Run

    run_script(BEGIN + "open(footsteps.path('a'), 'w').close()\n")
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(RUN, tmp_path / "elsewhere" / "renamed")
    for folder, _, names in os.walk(moved):
        os.chmod(folder, 0o555)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)
    found = Run(str(moved))
    assert (found.status, [entry["path"] for entry in found.artifacts]) == ("finished", ["a"])
    for folder, _, _ in os.walk(moved):
        os.chmod(folder, 0o755)


LEFT_OPEN = {
    "a text file": "f = open(d + 'o.txt', 'w'); f.write('hello\\n')",
    "a csv.writer": "import csv; w = csv.writer(open(d + 'o.txt', 'w')); w.writerow([1, 2])",
    "a binary file": "f = open(d + 'o.txt', 'wb'); f.write(b'hello')",
    "gzip": "import gzip; f = gzip.open(d + 'o.txt', 'wt'); f.write('hello' * 100)",
    "zipfile": "import zipfile; f = zipfile.ZipFile(d + 'o.txt', 'w'); f.writestr('a', 'b')",
    "written late": "import atexit; f = open(d + 'o.txt', 'w'); f.write('a'); sys.f = f\n"
    "class Late:\n    def __del__(self): f.write('b'); f.close()\nsys.late = Late()",
}


@pytest.mark.parametrize("how", LEFT_OPEN)
def test_a_file_left_open_is_listed_and_traced_as_it_lies_there(run_script, how):
    """Size and hash are those of the bytes that the end of the program leaves, whoever wrote the last of them."""
    done = run_script(f"import sys, footsteps\nfootsteps.initialize('r')\nd = footsteps.output_dir\n{LEFT_OPEN[how]}\n")
    assert done.returncode == 0, done.stderr
    from footsteps.reader import search
    from footsteps.reader.runs import Run

    file = Path("results/r/o.txt")
    entry = next(entry for entry in Run("results/r").artifacts if entry["path"] == "o.txt")
    assert (entry["size"], entry["mtime_ns"]) == (file.stat().st_size, file.stat().st_mtime_ns)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry["sha256"] in (content, None)
    assert [name for _, name in search.runs_with_artifact(content, ["results"], file.stat().st_size)] == ["o.txt"]


def test_what_was_changed_after_the_end_is_no_artifact(run_script):
    """Only what the program itself wrote as it ended is taken for its own."""
    done = run_script(
        "import footsteps\nwith open(footsteps.output_dir + 'o.txt', 'w') as f: f.write('a')", stdin="r\n"
    )
    assert done.returncode == 0, done.stderr
    from footsteps.reader.runs import Run

    (found,) = Path("results").glob("*/o.txt")
    found.write_text("other")
    os.utime(found, (later := found.stat().st_mtime + 3600, later))
    assert [(entry["size"], bool(entry["sha256"])) for entry in Run(str(found.parent)).artifacts] == [(1, True)]
