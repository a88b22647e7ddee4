"""What a run has read: noted by itself, at no cost that is felt, behind an open() that is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

BEGIN = 'import os, sys, footsteps\nfootsteps.initialize("unet")\n'
RUN = Path("results/unet")


def noted(directory=RUN) -> list[dict]:
    """The inputs as the readers put them together."""
    from footsteps.reader.runs import Run

    return Run(str(directory)).inputs


def names(directory=RUN) -> list[str]:
    """The paths that were read, below the working directory."""
    return sorted(os.path.relpath(entry["path"]) for entry in noted(directory) if "path" in entry)


def complete(directory=RUN) -> bool:
    """Whether the outcome says that every input is listed."""
    return json.loads((directory / ".footsteps" / "outcome.json").read_bytes())["inputs_complete"]


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder of five small files."""
    (tmp_path / "data").mkdir()
    for name in "abcde":
        (tmp_path / "data" / name).write_text(name * 100)
    return tmp_path / "data"


# --- what is noted ---


def test_files_read_are_noted_with_size_time_and_hash(run_script, data):
    """Before the run began and after, by whatever way Python opens a file; each once."""
    program = """
import io, os, pathlib, footsteps
open("data/a").read()
footsteps.initialize("unet")
for _ in range(3): io.open(b"data/b", "rb").read()
pathlib.Path("data/c").read_text()
os.close(os.open("data/d", os.O_RDONLY))
os.chdir("data")
with open("e", "r+") as file: file.read()
open("a").read()
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert names() == [f"data/{name}" for name in "abcde"]
    first = next(entry for entry in noted() if entry["path"] == str(data / "a"))
    assert first["sha256"] == hashlib.sha256(b"a" * 100).hexdigest()
    assert (first["size"], first["mtime_ns"]) == (100, (data / "a").stat().st_mtime_ns)
    assert complete()


def test_what_a_program_hands_to_its_workers_in_temporary_files_is_no_input(run_script, tmp_path):
    """joblib's large arrays: made by the experiment itself, whichever of its processes reads them."""
    pytest.importorskip("joblib")
    pytest.importorskip("numpy")
    (tmp_path / "scratch").mkdir()
    Path("w.py").write_text(
        "def work(i, array):\n    import footsteps\n    footsteps.output_dir\n    return array.sum()\n"
    )
    program = """
import footsteps, numpy, w
from joblib import Parallel, delayed
footsteps.initialize("unet")
print(Parallel(n_jobs=1 + 1, max_nbytes=1000)(delayed(w.work)(i, numpy.ones(1000)) for i in range(6)))
"""
    scratch = str(tmp_path / "scratch")
    done = run_script(program, env={"TMPDIR": scratch, "JOBLIB_TEMP_FOLDER": scratch})
    assert done.returncode == 0, done.stderr
    assert names() == []


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no RAM disk at /dev/shm")
def test_data_on_a_ram_disk_is_noted(run_script):
    """Where data is laid for speed; the devices beside it are none."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        Path(folder, "train.csv").write_text("1,2\n")
        program = f"{BEGIN}open({folder + '/train.csv'!r}).read(); open('/dev/null').read()"
        assert run_script(program).returncode == 0
        assert [entry["path"] for entry in noted()] == [folder + "/train.csv"]


def test_what_is_no_data_is_not_noted(run_script, repo):
    """Not the interpreter's files, the code, the run's own, the system's, what it made, or what failed."""
    program = """
import encodings, importlib.metadata, os, tempfile, footsteps, helper, json
open(encodings.__file__).read()
footsteps.initialize("unet")
open(helper.__file__).read(); open("helper.py").read(); open(__file__).read()
with open(footsteps.path("x"), "w+") as file: file.read()
open(footsteps.path("x")).read()
open("/proc/self/status").read(); open(os.devnull).read(); open("/etc/hosts").read()
with tempfile.NamedTemporaryFile() as file: open(file.name).read()
os.system("echo 1 > $TMPDIR/made_by_a_child"); open(os.environ["TMPDIR"] + "/made_by_a_child").read()
open("made", "w").close(); open("made").read()
open(os.pipe()[0], closefd=False)
open(".git/HEAD").read()
try: open("not there")
except OSError: pass
try: open(".")
except OSError: pass
"""
    repo.write("helper.py", "")
    done = run_script(program, cwd=repo)
    assert done.returncode == 0, done.stderr
    assert noted(repo / RUN) == []


def test_what_a_figure_is_made_with_is_not_noted(run_script, tmp_path):
    """Installed fonts and what tools keep for themselves: none is the user's; a font in the project may be."""
    home = Path(os.environ["HOME"])
    kept = [home / ".fonts/a.ttf", home / ".local/share/fonts/b/c.ttf", tmp_path / "__pycache__/kernel.nbi"]
    kept += [home / ".cache/matplotlib" / name for name in ("fontlist-v390.json", "tex.cache/1.dvi")]
    for path in (*kept, tmp_path / "fonts/mine.ttf"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    system = next(Path("/usr/share/fonts").rglob("*.ttf"), kept[0])
    opened = [*map(str, (*kept, system)), "fonts/mine.ttf"]
    done = run_script(f"{BEGIN}for name in {opened!r}: open(name, 'rb').read()\n")
    assert done.returncode == 0, done.stderr
    assert names() == ["fonts/mine.ttf"]


@pytest.mark.slow
def test_matplotlibs_first_figure_has_no_inputs(run_script):
    """When it has no list of fonts yet, it opens all that it finds."""
    pytest.importorskip("matplotlib")
    run_script(f"{BEGIN}from matplotlib import pyplot\npyplot.plot([1, 2])\nfootsteps.plot('loss')\n")
    assert (RUN / "000_loss.png").exists()
    assert noted() == []


def test_archives_are_noted_whenever_they_were_imported(run_script):
    """bz2 and tarfile keep the `open` that they find at their import."""
    program = """
import bz2, tarfile
for made in (bz2.open("a.bz2", "wb"), tarfile.open("b.tar", "w")): made.close()
import footsteps
footsteps.initialize("unet")
bz2.open("a.bz2").read(); tarfile.open("b.tar").getnames()
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert {"a.bz2", "b.tar"} <= set(names())


def test_a_project_that_is_an_environment_has_inputs(run_script, data, tmp_path):
    """After `python -m venv .` the prefix is the project's folder, and its data is none of Python's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "."], check=True)
    (tmp_path / "script.py").write_text(BEGIN + "open('data/a').close()\n")
    packages = os.pathsep.join([str(Path(__file__).parents[2]), *filter(os.path.isdir, sys.path)])
    environment = {**os.environ, "PYTHONPATH": packages}
    done = subprocess.run(["bin/python", "script.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert names() == ["data/a"]


def test_a_file_that_changes_after_it_was_read_has_no_hash(run_script, data):
    """Size and time are those of the moment when it was read."""
    program = (
        BEGIN
        + """
open("data/a").read()
with open("data/a", "w") as file: file.write("other")
"""
    )
    run_script(program)
    (told,) = noted()
    assert (told["size"], told["sha256"]) == (100, None)


@pytest.mark.parametrize("done_with", ["os.rename(name, 'done/' + name[-2:])", "os.unlink(name)"])
def test_a_file_that_is_moved_or_removed_once_it_was_read_is_told(run_script, tmp_path, done_with):
    """Listed if it was moved by the program; else at least counted, and the outcome says that not all is listed."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "done").mkdir()
    for i in range(10, 90):
        (tmp_path / "inbox" / str(i)).touch()
    program = "note = footsteps.recorder.inputs\nnote.temporary_folders, note.CREDIT, note.SHARE = tuple, 0, 0\n"
    program += "for i in range(10, 90):\n"
    run_script(f"{BEGIN}{program}  name = f'inbox/{{i}}'; open(name).close(); {done_with}\n")
    counts = [entry["count"] for entry in noted() if "directory" in entry]
    assert len(names()) + sum(counts) == 80
    assert complete() == (not counts)
    assert complete() == ("rename" in done_with)


def test_a_relative_name_is_another_file_elsewhere(run_script, tmp_path):
    """Programs that go from case to case read `input.txt` in each of them."""
    for case in "12":
        (tmp_path / case).mkdir()
        (tmp_path / case / "input.txt").write_text(case)
    program = "import os, footsteps\nfor case in '12':\n    os.chdir(case); open('input.txt').read(); os.chdir('..')\n"
    run_script(program + "footsteps.initialize('unet')\n")
    assert names() == ["1/input.txt", "2/input.txt"]


def test_what_was_read_before_a_kill_is_noted(run_script, data):
    """A record does not wait for an end that may not come."""
    run_script(BEGIN + "open('data/a').read(); open('data/b').read()\nos.kill(os.getpid(), 9)\n")
    assert names() == ["data/a", "data/b"]


def test_beyond_a_number_of_files_opens_are_counted_per_directory(run_script, data, tmp_path):
    """Each of the first is listed; how often others were opened is told, and that not all is listed."""
    program = """
import footsteps
footsteps.recorder.inputs.INPUTS_LISTED = 3
for name in "abcde": open(f"data/{name}").read()
footsteps.initialize("unet")
for _ in range(1000): open("data/d").read()
open("elsewhere/x").read()
"""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").touch()
    run_script(program)
    counts = {os.path.relpath(e["directory"]): e["count"] for e in noted() if "directory" in e}
    assert names() == ["data/a", "data/b", "data/c"]
    assert counts == {"data": 1002, "elsewhere": 1}
    assert not complete()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_note_what_they_read(run_script, data, method):
    """Pools that read for us, also those whose workers never ask for output_dir: a file for each process."""
    program = f"""
import multiprocessing, footsteps
def read(name):
    return len(open(name).read())
if __name__ == "__main__":
    footsteps.initialize("unet")
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(read, [f"data/{{n}}" for n in "abcd"], chunksize=1))
        pool.close(); pool.join()
    open("data/e").read()
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert names() == [f"data/{name}" for name in "abcde"]
    assert all(entry["sha256"] for entry in noted())
    assert len([n for n in os.listdir(RUN / ".footsteps") if n.startswith("inputs-")]) >= 2
    assert [name for name in os.listdir("results") if name[0] != "."] == ["unet"]


@pytest.mark.launcher
def test_a_data_loaders_workers_note_what_they_read(run_script, data):
    """torch's own workers, and its seed, which is told without a look at the random state."""
    pytest.importorskip("torch")
    program = """
import torch, footsteps
class Lengths(torch.utils.data.Dataset):
    def __len__(self): return 5
    def __getitem__(self, i): return len(open("data/" + "abcde"[i]).read())
if __name__ == "__main__":
    torch.manual_seed(42)
    footsteps.initialize("unet")
    print(sum(batch.sum().item() for batch in torch.utils.data.DataLoader(Lengths(), num_workers=2)))
    footsteps.record(loss=torch.tensor(0.5))
"""
    done = run_script(program)
    assert done.stdout.split()[-1] == "500", done.stderr
    assert names() == [f"data/{name}" for name in "abcde"]
    assert json.loads((RUN / ".footsteps" / "outcome.json").read_bytes())["seeds"]["torch"] == 42


def test_odd_names_and_places_disturb_nobody(run_script, data, tmp_path):
    """A PathLike that answers once, a working directory that is gone: the program reads on, the rest is noted."""
    program = (
        BEGIN
        + """
class Once:
    def __init__(self, name): self.names = [name]
    def __fspath__(self): return self.names.pop()
open(Once("data/a")).read()
for write in (lambda name: open(name, "w"), lambda name: os.open(name, os.O_CREAT), lambda name: os.replace(name, "e")):
    write(Once("data/e"))
open("data/b").read()
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
open(sys.argv[1] + "/data/c").read()
try: open("nothing")
except FileNotFoundError: pass
"""
    )
    done = run_script(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert names() == ["data/b", "data/c"]


def test_an_object_that_names_a_file_lives_no_longer_than_without_us(run_script, data):
    """One that removes its file when it goes must not wait until the note of inputs is gone through."""
    program = (
        "inputs = footsteps.recorder.inputs\ninputs.CREDIT = inputs.SHARE = inputs.AT_ONCE = 0\n"
        + BEGIN
        + """
class Temporary:
    gone = 0
    def __fspath__(self): return "data/a"
    def __del__(self): Temporary.gone += 1
for n in range(1, 100):
    open(Temporary()).close(); os.close(os.open(Temporary(), os.O_RDONLY))
    assert Temporary.gone == 2 * n
"""
    )
    done = run_script("import footsteps\n" + program)
    assert done.returncode == 0, done.stderr
    assert names() == ["data/a"]


def test_a_later_run_of_the_process_has_the_data_that_was_loaded_first(run_script, data):
    """Loaded once, then a loop over settings: the input of each run; what one run reads is its own."""
    program = """
import footsteps
open("data/a").read()
for n in "bc":
    footsteps.initialize(n)
    open(f"data/{n}").read(); open("data/d").read()
    footsteps.finish()
"""
    run_script(program)
    for n in "bc":
        assert names(Path("results") / n) == ["data/a", f"data/{n}", "data/d"]


def test_reads_adds_what_footsteps_cannot_see(run_script, data):
    """A file or a whole folder by hand; the path is given back; what is not there is said, not raised."""
    program = (
        BEGIN
        + """
assert footsteps.reads("data/a") == "data/a"
assert footsteps.reads(sys.argv[0]) == sys.argv[0]
footsteps.reads("data"); footsteps.reads("not there"); footsteps.reads(None)
"""
    )
    done = run_script(program)
    assert (done.returncode, done.stderr.count("not noted as read")) == (0, 2)
    assert names() == [*(f"data/{name}" for name in "abcde"), "script.py"]


def test_a_runs_own_files_are_its_own_by_whatever_way(run_script, tmp_path):
    """`results` is a link to a larger disk: what lies there is not an input, and it is no parent of itself."""
    from footsteps.reader.runs import Run

    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to("disk")
    program = "name = os.path.realpath(footsteps.path('a'))\nopen(name, 'w').close()\nos.utime(name, (0, 0))\n"
    program += "footsteps.recorder.inputs.tracker.wrote.clear()\nopen(name).close()\nopen(name, 'a').close()\n"
    run_script(BEGIN + program)
    told = json.loads((RUN / ".footsteps" / "outcome.json").read_bytes())
    assert (noted(), Run(str(RUN)).parents, told["written_elsewhere"]) == ([], [], [])


def test_reading_another_runs_artifact_makes_it_a_parent(run_script):
    """Once for each such run, be it of an earlier program or of this one; never the run itself."""
    from footsteps.reader.runs import Run

    run_script("import footsteps\nfootsteps.initialize('one')\nopen(footsteps.path('deep/w'), 'w').close()\n")
    program = (
        BEGIN
        + """
for _ in range(2): open("results/one/deep/w").read()
open("results/one/info.txt").read(); open("results/one/.footsteps/run.json").read()
open(footsteps.path("x"), "w").close(); open(footsteps.path("x")).read()
footsteps.finish()
footsteps.initialize("next")
open("results/unet/x").read()
"""
    )
    run_script(program)
    one = Run("results/one")
    (parent,) = Run("results/unet").parents
    assert (parent["id"], parent["name"]) == (one.id, "one")
    assert [parent["name"] for parent in Run("results/next").parents] == ["unet"]


def test_reading_another_runs_artifact_by_a_link_makes_it_a_parent(run_script):
    """`latest.pt` or `data/` is a link to what a run made."""
    from footsteps.reader.runs import Run

    for name in "ab":
        run_script(f"import footsteps\nfootsteps.initialize('{name}')\nopen(footsteps.path('in/w'), 'w').close()\n")
    os.symlink("results/a/in/w", "latest")
    os.symlink("results/b/in", "data")
    run_script(BEGIN + "open('latest').close(); open('data/w').close(); open('script.py').close()\n")
    assert [parent["name"] for parent in Run(str(RUN)).parents] == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_named_by_hand_is_not_waited_for(run_script):
    """`reads` of what is no file notes its path, and the program ends."""
    assert run_script(BEGIN + "os.mkfifo('pipe'); footsteps.reads('pipe')\n", timeout=20).returncode == 0
    assert [(os.path.basename(entry["path"]), entry["sha256"]) for entry in noted()] == [("pipe", None)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_among_another_runs_records_holds_up_nobody(run_script, tmp_path):
    """A program that reads an artifact does not wait for somebody to write to that run's run.json."""
    (tmp_path / "old" / ".footsteps").mkdir(parents=True)
    (tmp_path / "old" / "weights").write_text("1")
    os.mkfifo(tmp_path / "old" / ".footsteps" / "run.json")
    assert run_script(BEGIN + "open('old/weights').close()\n", timeout=20).returncode == 0
    assert names() == ["old/weights"]


def test_the_note_can_be_turned_off(run_script, data):
    """FOOTSTEPS_INPUTS=0: open is not touched, nothing is noted, and the outcome says so."""
    program = (
        "import io\nbefore = open\n" + BEGIN + "open('data/a').read()\nassert open is io.open is before\n"
        "assert type(os.open) is type(os.chdir) is type(len)\n"
    )
    done = run_script(program, env={"FOOTSTEPS_INPUTS": "0"})
    assert done.returncode == 0, done.stderr
    assert (noted(), complete()) == ([], False)


def test_what_a_signal_raises_reaches_the_program(run_script, data):
    """A time limit that runs out while footsteps looks at files: it is raised, with no frame or context of ours."""
    program = """
import ctypes, functools, os, signal, sys, threading, footsteps
footsteps.initialize("unet", console=True)
class Late(Exception): pass
def late(*_): raise kind("late")
signal.signal(signal.SIGALRM, late)
told = functools.partial(signal.raise_signal, signal.SIGALRM)
thrown = ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Late)
actions = [lambda: open("data/a"), lambda: open("b", "w"), lambda: os.open("data/a", 0)]
for kind, comes in ((TimeoutError, told), (Late, told), (Late, functools.partial(*thrown))):
    for action in [*actions, lambda: print("a line")]:
        footsteps.recorder.inputs.monotonic = comes
        footsteps.recorder.outcome.ConsoleFile.identity_now = staticmethod(comes)
        try: action()
        except kind as error:
            trace, files = error.__traceback__, set()
            while trace: trace, files = trace.tb_next, files | {trace.tb_frame.f_code.co_filename}
            if sys.version_info < (3, 11): files = {__file__}  # it keeps a traceback apart from its exception
            if files != {__file__} or error.__context__: os._exit(2)
        else: os._exit(3)
os._exit(0)
"""
    assert run_script(program).returncode == 0


def test_what_a_fake_of_the_system_raises_does_not(run_script, data):
    """A test of the program's may let os.stat fail in its own way: open() is not where it wants that."""
    program = """
import os, footsteps
footsteps.initialize("unet")
class Fake(Exception): pass
def fails(*_): raise kind("fake")
for kind in (OSError, Fake):
    os.stat = os.getcwd = fails
    open("data/a").close(); open("b", "w").close(); os.close(os.open("data/b", 0))
os._exit(0)
"""
    assert run_script(program).returncode == 0


def test_a_full_disk_does_not_hurt_who_reads(run_script, data):
    """A line that can't be written is no exception in somebody's open()."""
    program = (
        BEGIN
        + """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for name in "abcde": assert open(f"data/{name}").read()
"""
    )
    done = run_script(program)
    assert (done.returncode, done.stderr.count("\\n")) == (0, 0), done.stderr


# --- open is as it was ---

IDENTITY = """
import _io, builtins, copy, inspect, io, os, pickle, shutil, sys, pathlib, typing
from unittest import mock
kept = io.open, os.open, os.chdir, os.rename, sys.exit  # names of a module are reached
signatures = {f: inspect.signature(f) for f in kept[:3]}
import footsteps
plain, plain_os, plain_chdir, plain_rename, plain_exit = kept
assert open is io.open is builtins.open is not plain
def refused(function, *args, **named):
    try: function(*args, **named)
    except TypeError as error: return str(error)
for f, bare, *args in ((os.chdir, plain_chdir), (os.rename, plain_rename, "a"), (sys.exit, plain_exit, 1, 2)):
    assert refused(f, *args) == refused(bare, *args) != None
    assert refused(f, *args, no=1) == refused(bare, *args, no=1) != None
assert refused(open).startswith("open() missing 1") and refused(os.open, "x").startswith("open() missing 1")
here = os.open(path=".", flags=os.O_RDONLY)
os.fchdir(fd=here); os.chdir(path="."); os.close(here)
open(file="a", mode="w").close(); os.rename(src="a", dst="b"); os.replace("b", dst="c")
assert _io.open is plain
for f, bare in ((open, plain), (os.open, plain_os), (os.chdir, plain_chdir)):
    assert inspect.signature(f) == signatures[bare] and typing.get_type_hints(f) == {}
    assert inspect.isbuiltin(f) and not inspect.ismethod(f) and repr(f) == repr(bare)
    assert (f.__name__, f.__doc__) == (bare.__name__, bare.__doc__)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(f, protocol)) is f
    assert copy.copy(f) is f is copy.deepcopy(f)
    assert callable(f) and inspect.isroutine(f)
class Reader:
    opener = open
    low = os.open
assert Reader().opener(__file__).read() and Reader.opener(__file__).read()
os.close(Reader().low(__file__, os.O_RDONLY))
assert os.open in os.supports_dir_fd and os.chdir in os.supports_fd
assert shutil.rmtree.avoids_symlink_attacks
ours = open
with mock.patch("builtins.open", mock.mock_open(read_data="mocked")):
    assert open("anything").read() == "mocked"
assert open is ours
with mock.patch.object(io, "open", autospec=True) as fake:
    io.open("x")
    fake.assert_called_once()
assert io.open is ours
def builtin(name, *args):
    try: return ours(name, *args)
    except Exception as error: return type(error), str(error), getattr(error, "filename", None)
def bare(name, *args):
    try: return plain(name, *args)
    except Exception as error: return type(error), str(error), getattr(error, "filename", None)
for args in (("not there",), ("",), ("a\\0b",), (1.5,), ("x", "rw"), ("x", []), ([],), (None,), (10**6,), (".",),
             (pathlib.Path("not there"), "rb"), (b"not there",), (__file__, "r", 0), (__file__, "rb", -1, "utf-8")):
    assert builtin(*args) == bare(*args), (args, builtin(*args), bare(*args))
class Unhashable(str):
    __hash__ = None
assert open(Unhashable(__file__)).read()
"""


def test_open_is_what_it_was_to_whoever_looks(run_script):
    """Identity, signatures, pickles, copies, class attributes, mocks, errors: as those of the builtin."""
    done = run_script(IDENTITY)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 keeps a traceback apart from its exception")
def test_tracebacks_are_those_of_the_program(run_script):
    """Printed by Python, by the traceback module, with a cause: no frame of ours, and the same context."""
    program = """
import {module}, os, traceback
def load(name):
    try: {{}}[name]
    except KeyError: return open(name)
for attempt in (lambda: load("nothing"), lambda: os.open("nothing", 0), lambda: os.chdir("nothing"),
                lambda: os.rename("nothing", "x"), lambda: open("nothing", "r+"),
                lambda: open("x", opener=lambda *_: 1 / 0)):
    try: attempt()
    except Exception: traceback.print_exc()
load("nothing")
"""
    ours = run_script(program.format(module="footsteps"))
    bare = run_script(program.format(module="sys"))
    assert ours.stderr == bare.stderr
    assert ours.stderr.count("Traceback") == 9


def test_two_imports_of_the_package_put_one_stand_in_there(run_script):
    """A test suite that forgets modules and imports them again does not stack them."""
    program = """
import io, sys
plain = (io.open,)
for _ in range(3):
    import footsteps
    assert footsteps.recorder.inputs.original_of(open) is plain[0]
    for name in [name for name in sys.modules if name.startswith("footsteps")]: del sys.modules[name]
open(__file__).read()
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr


def test_a_fake_file_system_is_the_only_one_that_is_touched(run_script):
    """pyfakefs patches whatever is a builtin and called open, and finds ours: nothing reaches the disk."""
    pytest.importorskip("pyfakefs")
    program = (
        BEGIN
        + """
from pyfakefs.fake_filesystem_unittest import Patcher
with Patcher():
    with open("/fake", "w") as file: file.write("fake")
    os.close(os.open("/fake", os.O_RDONLY))
    assert open("/fake").read() == "fake"
assert not os.path.exists("/fake") and open("script.py").read()
"""
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_joblib_and_cloudpickle_take_open_along(run_script, data):
    """A function that is handed `open` itself runs in loky's workers."""
    pytest.importorskip("joblib")
    program = """
import footsteps, joblib
if __name__ == "__main__":
    footsteps.initialize("unet")
    def size(opener, name):
        with opener(name) as file: return len(file.read())
    print(joblib.Parallel(n_jobs=2)(joblib.delayed(size)(open, f"data/{n}") for n in "abcd"))
"""
    done = run_script(program)
    assert done.stdout.strip().endswith("[100, 100, 100, 100]"), done.stderr


def test_threads_that_open_together_are_all_noted(run_script, tmp_path):
    """Eight threads, forks in between: no lock is held over a fork, nothing is lost."""
    (tmp_path / "many").mkdir()
    for i in range(400):
        (tmp_path / "many" / str(i)).touch()
    program = (
        BEGIN
        + """
import threading
def read(start):
    for i in range(start, 400, 8): open(f"many/{i}").close()
threads = [threading.Thread(target=read, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for _ in range(5):
    pid = os.fork()
    if not pid:
        open("many/0").close(); os._exit(0)
    os.waitpid(pid, 0)
for thread in threads: thread.join()
"""
    )
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert len(names()) == 400


@pytest.mark.slow
def test_the_cost_of_a_small_file_is_small(data):
    """A coarse guard against a slip; tests/benchmarks/observe.py measures in earnest."""
    program = """
import io, time, footsteps
plain = footsteps.recorder.inputs._open
def seconds(open):
    start = time.process_time()
    for _ in range(2000):
        with open("data/a", "rb") as file: file.read()
    return time.process_time() - start
print(min(seconds(io.open) for _ in range(9)) / min(seconds(plain) for _ in range(9)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.3


def test_the_setting_turns_it_off_before_the_run_begins(run_script, data):
    """recorder.inputs.FOLLOWS_INPUTS = False: what was noted so far is forgotten, and open is Python's again."""
    program = """
plain = open
import footsteps, io, os
open("data/a").read()
footsteps.recorder.inputs.FOLLOWS_INPUTS = False
footsteps.initialize("unet")
open("data/b").read()
assert open is io.open is plain
"""
    done = run_script(program)
    assert done.returncode == 0, done.stderr
    assert (noted(), complete()) == ([], False)


def test_code_that_is_data_is_an_input(run_script, tmp_path):
    """A program that studies a thousand sources reads them, be they called .py; modules it runs are no input."""
    (tmp_path / "corpus").mkdir()
    for i in range(1000):
        (tmp_path / "corpus" / f"{i}.py").touch()
    done = run_script(BEGIN + "for i in range(1000): open(f'corpus/{i}.py').close()\nopen(__file__).close()\n")
    assert done.returncode == 0, done.stderr
    assert len(names()) == 1000


def test_a_file_at_stdin_is_an_input_and_a_pipe_is_said_to_be_one(run_script, repo, data, capsys, monkeypatch):
    """`python t.py < ../data/a`: a rerun gives it the same; of a pipe nobody can say what came through."""
    from footsteps import cli
    from footsteps.reader.runs import Run

    monkeypatch.chdir(repo)
    repo.write(".gitignore", "results/\n")
    repo.write("t.py", BEGIN + "with open(footsteps.output_dir + 'o', 'w') as f: f.write(sys.stdin.read())")
    repo.commit()
    with open(data / "a") as source:
        assert run_script("t.py", cwd=repo, stdin=source).returncode == 0
    assert names() == ["../data/a"]
    assert Run(str(RUN)).facts["stdin"] == {"kind": "file", "path": str(data / "a")}
    words = [sys.executable, "-m", "footsteps", "rerun", "unet", "../again", "--yes"]
    again = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"< {data / 'a'}" in again.stderr
    assert run_script("t.py", cwd=repo, stdin="through a pipe").returncode == 0
    assert Run("results/unet-1").facts["stdin"] == {"kind": "pipe"}
    assert cli.main(["show", "unet-1"]) == 0
    assert "a pipe; what came through it is not recorded" in capsys.readouterr().out


def test_where_not_all_is_known_show_and_rerun_say_so(run_script, data, capsys, tmp_path):
    """A library with functions that we don't know: both name it."""
    from footsteps import cli

    (tmp_path / "soundfile.py").write_text("def read(name): return open(name).read()\n")
    assert run_script(BEGIN + "import soundfile").returncode == 0
    assert cli.main(["show", "unet"]) == 0
    assert "soundfile may have opened more, unseen" in capsys.readouterr().out
    cli.main(["rerun", "unet", "again", "--yes"])
    assert "soundfile may have opened more, unseen" in capsys.readouterr().err


REACHED = {
    "an object": "class Reader: pass\nreader = Reader()\nreader.open = open\ndef read(name): reader.open(name)",
    "a class": "class Reader:\n    open = open\nreader = Reader()\nreader.open\ndef read(name): reader.open(name)",
    "a static method": "class Reader:\n    open = staticmethod(open)\ndef read(name): Reader().open(name)",
    "a closure": "def maker():\n    kept = open\n    return lambda name: kept(name).read()\nread = maker()",
    "a table": "kept = {'r': open, None: 1}\ndef read(name): kept['r'](name)",
    "a keyword's default": "def read(name, *, open=open): return open(name).read()",
    "a module of nobody": "import sys\nkept = type(sys)('kept')\nkept.other = open\ndef read(name): kept.other(name)",
}


@pytest.mark.parametrize("how", REACHED)
def test_an_open_that_was_captured_before_us_is_followed(run_script, data, how):
    """Whoever holds it, before footsteps was imported."""
    done = run_script(f"{REACHED[how]}\n{BEGIN}read('data/a')\n")
    assert done.returncode == 0, done.stderr
    assert "data/a" in names()
    assert complete()


UNREACHED = {
    "a default argument": "def read(name, open=open): return open(name).read()",
    "a list": "kept = [open]\ndef read(name): kept[0](name)",
    "a partial": "import functools\nread = functools.partial(open)",
    "who knows": "import gc\nread = open\ngc.freeze()",
}


@pytest.mark.parametrize("how", UNREACHED)
def test_an_open_that_is_out_of_our_reach_is_told(run_script, data, how):
    """Somebody had captured it before footsteps was imported: no record says then that its inputs are complete."""
    done = run_script(f"{UNREACHED[how]}\n{BEGIN}read('data/a')\n")
    assert done.returncode == 0, done.stderr
    assert not complete()


@pytest.mark.slow
@pytest.mark.parametrize(
    "early", ["", "import logging; logging.basicConfig(filename='x.log')", "import IPython", "import matplotlib.pyplot"]
)
def test_nobody_is_suspected_without_reason(run_script, data, early):
    """What Python and usual libraries have of open() is reached, or only writes."""
    pytest.importorskip(early.partition(" ")[2].partition(";")[0].partition(".")[0] or "os")
    done = run_script(f"{early}\n{BEGIN}open('data/a').read()\n")
    assert done.returncode == 0, done.stderr
    assert complete()
    assert "data/a" in names()


STARTS = {
    "a tool without a file": ("import subprocess; subprocess.run(['./tool'])", [], ["tool"]),
    "a tool with a file": ("import subprocess; subprocess.run(['./tool', '-i', 'data/a'])", ["data/a"], ["tool"]),
    "a shell's line": ("import os; os.system('./tool --in=data/a')", ["data/a"], ["tool"]),
    "another script": (
        "import subprocess, sys; subprocess.run([sys.executable, 'other.py'])",
        [],
        [f"{os.path.basename(sys.executable)} other.py"],
    ),
    "cat": ("import os; os.system('cat data/a')", ["data/a"], []),
    "git": ("import subprocess; subprocess.run(['git', 'status'])", [], []),
}


@pytest.mark.parametrize("how", STARTS)
def test_another_program_that_is_started_may_have_read_more(run_script, data, tmp_path, how):
    """The files that its words name are inputs, and no record of it claims to be complete; but what is harmless."""
    program, files, programs = STARTS[how]
    (tmp_path / "tool").write_text("#!/bin/sh\ncat data/b\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "other.py").write_text("open('data/b').read()\n")
    done = run_script(f"import footsteps\nfootsteps.initialize('unet')\n{program}\n")
    assert done.returncode == 0, done.stderr
    assert [name for name in names() if name.startswith("data")] == files
    told = json.loads((RUN / ".footsteps" / "outcome.json").read_bytes())
    assert (told["inputs_complete"], told["inputs_not_followed"]) == (not programs, programs)


def test_what_a_library_or_footsteps_itself_starts_is_no_suspect(run_script, tmp_path):
    """As joblib asks lscpu, and we git: only with a file in its words."""
    library = tmp_path / "lib" / "site-packages"
    library.mkdir(parents=True)
    (library / "odd.py").write_text("import subprocess\nsubprocess.run(['sh', '-c', 'exit'])\n")
    program = "import sys, footsteps\nsys.path.append('lib/site-packages')\nfootsteps.initialize('unet')\nimport odd\n"
    assert run_script(program).returncode == 0
    assert complete()
