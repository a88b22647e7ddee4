"""Programs in the wild: each idiom that somebody's code leans on, named after what it protects."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest
from conftest import surroundings

FORGET = "footsteps.initialized = False; footsteps.output_dir_impl = None\n"


@pytest.fixture
def said(repo, run_script):
    """A function that runs a program's text with a name piped in and gives the lines that it printed."""

    def run(program, *arguments, name="unet\n", **options):
        done = run_script(program, *arguments, cwd=options.pop("cwd", repo), stdin=name, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def runs(repo):
    """A function that gives the names of the runs that were made."""

    def names(root="results"):
        top = repo / root
        return sorted(os.path.relpath(p.parent, top) for p in top.rglob("info.txt")) if top.exists() else []

    return names


# --- output_dir is a string ---


def test_output_dir_plus_a_file_name(said, repo):
    """`footsteps.output_dir + "network_weights"`: a str that ends in a slash."""
    program = "import footsteps\nd = footsteps.output_dir\nprint(type(d).__name__, d[-1])\nopen(d + 'w', 'w').close()\n"
    assert said(program)[1] == "str /"
    assert (repo / "results/unet/w").exists()


def test_output_dir_plus_a_slash(said, repo):
    """`output_dir + "/logs/"`: a doubled slash is harmless."""
    said("import footsteps, os\nos.makedirs(footsteps.output_dir + '/logs/')\n")
    assert (repo / "results/unet/logs").is_dir()


def test_mkdir_below_output_dir(said, repo):
    """`os.mkdir(output_dir + "final/")`: nothing of ours is in the way."""
    said("import footsteps, os\nos.mkdir(footsteps.output_dir + 'final/')\n")
    assert (repo / "results/unet/final").is_dir()


def test_from_footsteps_import_output_dir(said, runs):
    """It asks at that line, once."""
    assert said("from footsteps import output_dir\nprint(output_dir)\n")[1] == "results/unet/"
    assert runs() == ["unet"]


def test_from_footsteps_import_star_makes_no_run(said, runs):
    """A star takes only what is listed."""
    assert said("from footsteps import *\ninitialize\n") == []
    assert runs() == []


# --- assigning ---


def test_assigning_output_dir_impl_goes_on_there(said):
    """uniGradICON's second step: `footsteps.output_dir_impl = footsteps.output_dir + "2nd_step/"`."""
    program = (
        "import footsteps, footsteps.footsteps as core\n"
        "footsteps.output_dir_impl = footsteps.output_dir + '2nd_step/'\n"
        "print(footsteps.output_dir, core.output_dir)\n"
        "from footsteps import output_dir\nprint(output_dir)\n"
        "footsteps.output_dir_impl = '/elsewhere/'\nprint(footsteps.output_dir)\n"
    )
    second = "results/unet/2nd_step/"
    assert said(program)[1:] == [f"{second} {second}", second, "/elsewhere/"]


def test_assigning_before_any_run_needs_no_name(said, runs):
    """A program that brings its own directory is not asked."""
    program = (
        "import footsteps\nfootsteps.initialized = True\nfootsteps.output_dir_impl = 'mine/'\n"
        "print(footsteps.output_dir)\n"
    )
    assert said(program) == ["mine/"]
    assert runs() == []


def test_assigning_output_dir_itself(said, runs):
    """`footsteps.output_dir = "mine/"` was possible with 0.1 and is obeyed."""
    program = "import footsteps, footsteps.footsteps as core\nfootsteps.output_dir = 'mine/'\nprint(core.output_dir)\n"
    assert said(program) == ["mine/"]
    assert runs() == []


def test_whoever_assigns_output_dir_by_mistake_gets_a_hint(run_script):
    """One line on stderr, with what makes a directory."""
    done = run_script("import footsteps\nfootsteps.output_dir = 'mine/'\n")
    assert (done.returncode, "set output_dir to 'mine/'; initialize(name" in done.stderr) == (0, True)


def test_forgetting_the_run_begins_another(said, runs):
    """Tests that start afresh with `initialized = False; output_dir_impl = None`."""
    program = (
        "import footsteps\nfor n in range(3):\n"
        "    footsteps.initialize('a')\n    print(footsteps.output_dir)\n    " + FORGET
    )
    assert [line for line in said(program) if not line.startswith("Saving")] == [
        "results/a/",
        "results/a-1/",
        "results/a-2/",
    ]
    assert runs() == ["a", "a-1", "a-2"]


def test_forgetting_only_the_flag_begins_another(said, runs):
    """`footsteps.initialized = False` alone was enough for 0.1."""
    said("import footsteps\nfootsteps.initialize('a')\nfootsteps.initialized = False\nfootsteps.initialize('a')\n")
    assert runs() == ["a", "a-1"]


def test_initialized_tells_whether_there_is_a_run(said):
    """An ordinary readable attribute, on the package and the core module alike."""
    program = (
        "import footsteps, footsteps.footsteps as core\nprint(footsteps.initialized, footsteps.output_dir_impl)\n"
        "footsteps.output_dir\nprint(footsteps.initialized, core.initialized, core.output_dir_impl)\n"
    )
    assert said(program) == ["False None", "Saving results to results/unet/", "True True results/unet/"]


@pytest.mark.parametrize("where", ["footsteps", "footsteps.footsteps"])
def test_monkeypatch_sets_deletes_and_restores(said, runs, where):
    """`monkeypatch.setattr(footsteps, "initialized", ...)` in somebody's tests leaves all as it was."""
    program = (
        f"import pytest, importlib\nfootsteps = importlib.import_module('{where}')\n"
        "footsteps.initialize('a')\n"
        "state = lambda: (footsteps.initialized, footsteps.output_dir_impl)\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    patch.setattr(footsteps, 'initialized', True)\n"
        "    patch.setattr(footsteps, 'output_dir_impl', 'tmp/')\n    print(footsteps.output_dir)\n"
        "print(state())\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    patch.delattr(footsteps, 'initialized')\n    patch.delattr(footsteps, 'output_dir_impl')\n"
        "    print(state())\n"
        "print(state())\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    patch.setattr(footsteps, 'output_dir', 'other/')\n    print(footsteps.output_dir)\n"
        "print(footsteps.output_dir)\n"
        "from unittest import mock\n"
        "patch = mock.patch.object\nwith patch(footsteps, 'initialized', True):\n"
        "    with patch(footsteps, 'output_dir_impl', 'm/'):\n        print(footsteps.output_dir)\n"
        "with mock.patch(footsteps.__name__ + '.output_dir', 'n/'):\n"
        "    print(footsteps.output_dir)\n"
        "print(state())\n"
    )
    before = "(True, 'results/a/')"
    assert said(program)[1:] == [
        *("tmp/", before),
        *(before, before),
        *("other/", "results/a/"),
        *("m/", "n/", before),
    ]
    assert runs() == ["a"]


# --- initialize ---


def test_a_path_as_output_root(said, runs):
    """`initialize(output_root=Path(...))`."""
    program = "import footsteps, pathlib\nfootsteps.initialize('a', output_root=pathlib.Path('out'))\n"
    assert said(program) == ["Saving results to out/a/"]
    assert runs("out") == ["a"]
    assert said(program.replace("'a'", "'exp/'")) == ["Saving results to out/exp/"]


@pytest.mark.parametrize(("root", "shown"), [("out", "out/a/"), ("../out/", "../out/a/"), ("./", "./a/"), ("", "a/")])
def test_an_output_root_of_any_spelling(said, root, shown, repo):
    """Without its slash, above here, here itself."""
    assert said(f"import footsteps\nfootsteps.initialize('a', {root!r})\n") == [f"Saving results to {shown}"]
    assert (repo / shown / "info.txt").exists()


def test_an_absolute_output_root(said, tmp_path):
    """The path is shown as it was given."""
    root = os.fspath(tmp_path / "far")
    assert said(f"import footsteps\nfootsteps.initialize('a', {root!r})\n") == [f"Saving results to {root}/a/"]


def test_groups_get_their_number_on_the_last_part(said, runs):
    """`initialize(run_name=f"{exp}/{kind}/OAI")`."""
    for _ in range(2):
        said("import footsteps\nfootsteps.initialize(run_name='exp/kind/OAI')\n")
    assert runs() == ["exp/kind/OAI", "exp/kind/OAI-1"]


@pytest.mark.parametrize("name", ["lr [0.1, 0.2]", "a (copy) #2", "naïve", "x=1,y=2", "-rf", "*.py", "a'b\"c"])
def test_brackets_and_blanks_in_names(said, runs, name):
    """A name is a directory's, not a pattern."""
    assert said(f"import footsteps\nfootsteps.initialize({name!r})\n") == [f"Saving results to results/{name}/"]
    assert runs() == [name]


def test_initialize_at_module_top_without_a_name(said):
    """`footsteps.initialize()` reads the piped name as output_dir would, with newline or without."""
    assert said("import footsteps\nfootsteps.initialize()\n", name="a\n") == ["Saving results to results/a/"]
    assert said("import footsteps\nfootsteps.initialize()\n", name="a") == ["Saving results to results/a-1/"]


def test_initialize_with_only_a_root_asks_for_the_name(said, runs):
    """`footsteps.initialize(output_root="out/")`."""
    assert said("import footsteps\nfootsteps.initialize(output_root='out/')\n") == ["Saving results to out/unet/"]


@pytest.mark.slow
def test_thirty_runs_of_one_name(said, runs):
    """The last is -29, also past -9."""
    program = "import footsteps\nfor _ in range(30):\n    footsteps.initialize('a')\n    footsteps.finish()\n"
    assert said(program)[-1] == "Saving results to results/a-29/"
    assert len(runs()) == 30


# --- libraries and tools ---


def test_a_library_that_imports_footsteps_in_its_own_init(said, repo, runs):
    """Merely importing creates nothing, prints nothing, asks nothing."""
    repo.write("lib/__init__.py", "import footsteps\nfrom footsteps import initialize, plot\n")
    assert said("import lib\n") == []
    assert runs() == []


def test_a_library_that_reads_output_dir_first(said, repo, runs):
    """Deep inside a call: the run is the program's, with the program's name."""
    repo.write("lib/__init__.py", "def save():\n    import footsteps\n    return footsteps.output_dir\n")
    lines = said("import lib\nprint((lambda: [lib.save() for _ in range(2)])())\n")
    assert lines[1] == "['results/unet/', 'results/unet/']"
    assert runs() == ["unet"]


@pytest.mark.parametrize(
    "look",
    [
        "help(footsteps)",
        "dir(footsteps)",
        "vars(footsteps)",
        "inspect.getmembers(footsteps)",
        "inspect.getmembers_static(footsteps)" if sys.version_info >= (3, 11) else "dir()",
        "inspect.getsource(footsteps)",
        "inspect.unwrap(footsteps)",
        "doctest.DocTestFinder().find(footsteps)",
        "doctest.testmod(footsteps)",
        "pydoc.render_doc(footsteps)",
        "repr(footsteps)",
        "copy.copy(footsteps.initialize)",
        "importlib.reload(footsteps)",
        "pickle.dumps(footsteps.initialize)",
        "[getattr(footsteps, n) for n in dir(footsteps)]",
        "rlcompleter.Completer({'footsteps': footsteps}).complete('footsteps.o', 0)",
        "getattr(footsteps, '__wrapped__', None)",
        "typing.get_type_hints(footsteps.initialize)",
        "warnings.warn('x')",
        "isinstance(footsteps, types.ModuleType)",
    ],
)
@pytest.mark.parametrize("module", ["footsteps", "footsteps.footsteps"])
def test_looking_makes_no_run(said, runs, look, module):
    """help(), dir(), inspect, doctest, completion: nobody's question."""
    program = (
        "import copy, doctest, importlib, inspect, pickle, pydoc, rlcompleter, sys, types, typing, warnings\n"
        f"footsteps = importlib.import_module('{module}')\ntry:\n    {look}\nexcept NameError as error:\n"
        "    print('hints need names:', error)\nprint('initialized', footsteps.initialized)\n"
    )
    assert said(program)[-1] == "initialized False"
    assert runs() == []


def test_looking_in_process_makes_no_run(tmp_path):
    """The same for a debugger in this very process."""
    import footsteps

    assert "output_dir" not in dir(footsteps)
    assert "output_dir" not in [name for name, _ in inspect.getmembers(footsteps)]
    assert "output_dir" not in footsteps.__all__
    assert footsteps.current() is None


@pytest.mark.slow
def test_pytest_collection_makes_no_run(repo, runs):
    """Of a test module that has `import footsteps` and `from footsteps import *` at its top."""
    repo.write("test_it.py", "import footsteps\nfrom footsteps import *\n\ndef test_a():\n    assert footsteps\n")
    command = [sys.executable, "-m", "pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout
    assert runs() == []


@pytest.mark.slow
def test_under_pytest_with_captured_stdin(repo, runs):
    """No question can be asked there: the run has a name and the test does not fail."""
    repo.write("test_it.py", "import footsteps\n\ndef test_a():\n    assert footsteps.output_dir.endswith('/')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, input="x\n")
    assert "1 passed" in done.stdout, done.stdout
    assert len(runs()) == 1


def test_a_stand_in_for_stdin(said, runs):
    """A StringIO, or an object with nothing but readline, gives the name."""
    program = (
        "import sys, io, footsteps\nsys.stdin = io.StringIO('held\\nrest')\nfootsteps.initialize()\n"
        "print(sys.stdin.read())\n"
    )
    assert said(program) == ["Saving results to results/held/", "rest"]


def test_a_tee_without_flush_or_isatty(said, runs):
    """A stand-in for stdout that can only write sees the seed's line, and hurts nobody."""
    program = (
        "import sys, footsteps\nclass Tee:\n    def write(self, text):\n        sys.__stdout__.write(text.upper())\n"
        "sys.stdout = sys.stderr = Tee()\nfootsteps.initialize('a')\n"
        "sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__\n"
    )
    assert said(program) == ["SAVING RESULTS TO RESULTS/A/"]


def test_a_child_program_is_a_run_of_its_own_and_names_its_parent(said, repo, runs):
    """A driver that launches scripts: own directories, `parent` in the child's record."""
    program = (
        "import footsteps, subprocess, sys\nfootsteps.initialize('driver')\n"
        "subprocess.run([sys.executable, 'train.py'], stdin=subprocess.DEVNULL, check=True)\n"
    )
    said(program)
    assert runs() == ["driver", "train"]
    child, parent = (
        json.loads((repo / "results" / n / ".footsteps/run.json").read_bytes()) for n in ("train", "driver")
    )
    assert child["parent"] == {"id": parent["id"], "name": "driver", "directory": parent["directory"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        "x",
        "{}",
        "[1]",
        "null",
        '{"pid": 1, "directory": 5}',
        '{"pid": "1", "directory": "/"}',
        "[" * 50_000,
        '{"pid": 1, "directory": "HERE", "id": 3, "name": ["\\n"]}',
        '{"pid": PARENT, "directory": "HERE"}',
        '{"pid": PARENT, "directory": "\\u0000"}',
    ],
)
@pytest.mark.parametrize("start", ["footsteps.initialize('a')", "pool()"])
def test_a_forged_run_variable_hurts_nobody(said, repo, runs, value, start):
    """FOOTSTEPS_RUN is somebody else's word: what does not fit is not believed."""
    (repo / "old/.footsteps").mkdir(parents=True)
    program = (
        "import footsteps, multiprocessing, os\nos.environ['FOOTSTEPS_RUN'] = os.environ.get('FOOTSTEPS_RUN', '')"
        ".replace('PARENT', str(os.getpid()))\n"
        "def work():\n    footsteps.initialize('a')\n"
        "def pool():\n    c = multiprocessing.get_context('fork').Process(target=work)\n    c.start()\n    c.join()\n"
        f"    assert c.exitcode == 0\nif __name__ == '__main__':\n    {start}\n"
    )
    forged = value.replace("HERE", os.fspath(repo / "old"))
    said(program, env={"FOOTSTEPS_RUN": forged})
    assert runs() == ["a"]
    assert json.loads((repo / "results/a/.footsteps/run.json").read_bytes())["parent"] is None


def test_threads_that_come_at_once_share_one_run(said, runs):
    """The first access wins, the others wait."""
    program = (
        "import footsteps, threading\nbarrier, found = threading.Barrier(8), set()\n"
        "def look():\n    barrier.wait()\n    found.add(footsteps.output_dir)\n"
        "threads = [threading.Thread(target=look) for _ in range(8)]\n"
        "[t.start() for t in threads]\n[t.join() for t in threads]\nprint(found)\n"
    )
    assert said(program)[-1] == "{'results/unet/'}"
    assert runs() == ["unet"]


@pytest.mark.slow
def test_a_fork_while_another_thread_begins(said, runs):
    """A child that was forked in that moment is not stuck in its parent's beginning."""
    program = (
        "import footsteps, threading, os, time\n"
        "from footsteps.recorder.steps import COLLECTORS\n"
        "inside, go = threading.Event(), threading.Event()\n"
        "COLLECTORS.append(('slow', lambda: (inside.set(), go.wait(30)) and None))\n"
        "t = threading.Thread(target=lambda: footsteps.initialize('a'))\nt.start()\ninside.wait()\n"
        "child = os.fork()\n"
        "if not child:\n    go.set()\n    print(footsteps.output_dir, flush=True)\n    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\ngo.set()\nt.join()\n"
    )
    assert "results/" in said(program)[0]


def test_random_state_signals_and_umask_stay_as_they_were(said):
    """Rule 1: nothing of the program's is touched."""
    program = (
        "import random, signal, os, sys, locale\n"
        "import numpy\n"
        "random.seed(1); numpy.random.seed(1)\n"
        "look = lambda: (random.getstate(), str(numpy.random.get_state()), "
        "[signal.getsignal(s) for s in signal.valid_signals()], os.umask(0o27), sys.getrecursionlimit(), "
        "sys.excepthook, sys.stdin._CHUNK_SIZE, locale.setlocale(locale.LC_ALL), os.getcwd(), sys.path[:])\n"
        "os.umask(0o27)\nbefore = look()\nimport footsteps\nfootsteps.output_dir\nafter = look()\n"
        "print([n for n, (a, b) in enumerate(zip(before, after)) if a != b])\n"
    )
    pytest.importorskip("numpy")
    lines = said(program, env=surroundings())
    assert lines[-1] == "[]"


def test_the_exit_status_is_the_programs(repo, run_script):
    """sys.exit(3), an exception, os._exit: as without us."""
    for end, status in (("raise SystemExit(3)", 3), ("1 / 0", 1), ("import os; os._exit(7)", 7)):
        done = run_script(f"import footsteps\nfootsteps.initialize('a')\n{end}\n", cwd=repo)
        assert done.returncode == status


def test_an_import_costs_no_module_that_a_start_does_without(repo):
    """`import footsteps` brings no argparse, subprocess, json, typing, prompt_toolkit or psutil."""
    program = "import sys; before = set(sys.modules); import footsteps; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], cwd=repo, capture_output=True, text=True, check=True)
    heavy = ("argparse", "subprocess", "json", "typing", "prompt_toolkit", "psutil", "dataclasses", "threading")
    assert not [name for name in heavy if f"'{name}'" in done.stdout], done.stdout


def test_hasattr_is_a_look_at_it(said, runs):
    """`hasattr(footsteps, "output_dir")` makes the run: unavoidable, and it is True."""
    assert said("import footsteps\nprint(hasattr(footsteps, 'output_dir'))\n")[-1] == "True"
