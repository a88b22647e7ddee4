"""Who joins a run and who does not: workers, forks, ranks of any launcher, reloaders, daemons."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import surroundings

from footsteps.reader.runs import Run

SAVE = """
import footsteps, os, sys, time

def save(name):
    with open(footsteps.output_dir + name, "w") as file:
        file.write(footsteps.output_dir)
"""


def made(project) -> dict[str, list[str]]:
    """The runs below results/: name -> what their programs saved."""
    ours = {".footsteps", "info.txt", "package_versions.txt"}
    runs = sorted(path.parent for path in (Path(project) / "results").rglob("info.txt"))
    return {run.name: sorted(p.name for p in run.iterdir() if p.name not in ours and p.suffix != ".py") for run in runs}


def record(project, name, file="run.json") -> dict:
    """What a file of a run's record says."""
    return json.loads((Path(project) / "results" / name / ".footsteps" / file).read_bytes())


@pytest.fixture(autouse=True)
def short(tmp_path_factory, monkeypatch):
    """A temporary folder with a short name: a fork server's socket lies in it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))


def needs(*modules) -> None:
    """Skip where a library is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


# --- workers with a name of their own ---

WAYS = {
    "Process": """
        for x in (1, 2, 3):
            worker = multiprocessing.get_context(method).Process(target=train, args=(x,))
            worker.start(); worker.join(); assert worker.exitcode == 0""",
    "ProcessPoolExecutor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            list(pool.map(train, (1, 2, 3)))""",
    "Pool": """
        with multiprocessing.get_context(method).Pool(2) as pool:
            pool.map(train, (1, 2, 3), chunksize=1)""",
    "joblib": """
        import joblib
        joblib.Parallel(2)(joblib.delayed(train)(x) for x in (1, 2, 3))""",
    "os.fork": """
        for x in (1, 2, 3):
            if not os.fork():
                train(x); sys.exit()
            os.wait()""",
    "dask": """
        from dask.distributed import Client, LocalCluster
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            client.gather(client.map(train, (1, 2, 3)))""",
    "luigi": """
        import luigi
        class Train(luigi.Task):
            x = luigi.IntParameter()
            done = False
            def run(self): train(self.x)
            def complete(self): return False
        luigi.build([Train(x) for x in (1, 2, 3)], workers=2, local_scheduler=True, log_level="ERROR")""",
}
LIBRARIES = {"joblib": "joblib", "dask": "distributed", "luigi": "luigi"}
SWEEP = (
    SAVE
    + """
import multiprocessing
method = sys.argv[1]

def train(lr):
    {name}
    save(f"w{{lr}}")
    {finish}

if __name__ == "__main__":
    {early}
    if True:{way}
    {late}
"""
)
BOTH = [(way, method) for way in ("Process", "ProcessPoolExecutor") for method in ("fork", "spawn", "forkserver")]
ALL = [*BOTH, ("Pool", "fork"), ("joblib", "-"), ("os.fork", "-"), ("dask", "-"), ("luigi", "-")]


def sweep(run_script, repo, way, method, *, name="", finish="pass", early="pass", late="pass", env=None):
    """Run a sweep of three, which must succeed."""
    if way in LIBRARIES:
        needs(LIBRARIES[way])
    repo.write("sweep.py", SWEEP.format(name=name or "pass", finish=finish, early=early, late=late, way=WAYS[way]))
    repo.commit()
    done = run_script(repo / "sweep.py", method, cwd=repo, env=env, timeout=180)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize(("way", "method"), ALL)
def test_a_worker_that_gives_a_name_has_a_run_of_its_own(repo, run_script, way, method):
    """Three jobs of a sweep, three directories, each with its outcome; no fourth for the main program."""
    sweep(run_script, repo, way, method, name='footsteps.initialize(f"lr{lr}")', finish="footsteps.finish()")
    assert made(repo) == {f"lr{x}": [f"w{x}"] for x in (1, 2, 3)}
    assert {record(repo, f"lr{x}", "outcome.json")["status"] for x in (1, 2, 3)} == {"finished"}


@pytest.mark.slow
@pytest.mark.parametrize(("way", "method"), [*BOTH, ("os.fork", "-"), ("joblib", "-")])
def test_the_run_of_such_a_worker_names_the_main_programs_as_its_parent(repo, run_script, way, method):
    """The main program has a run, which the workers' do not touch."""
    named = {"name": 'footsteps.initialize(f"lr{lr}")', "finish": "footsteps.finish()"}
    sweep(run_script, repo, way, method, early='footsteps.initialize("main"); save("m")', **named)
    assert made(repo) == {"main": ["m"], **{f"lr{x}": [f"w{x}"] for x in (1, 2, 3)}}
    main = record(repo, "main")["id"]
    assert [record(repo, f"lr{x}")["parent"]["id"] for x in (1, 2, 3)] == [main] * 3
    assert record(repo, "main", "outcome.json")["status"] == "finished"


@pytest.mark.slow
@pytest.mark.parametrize(("way", "method"), [("ProcessPoolExecutor", "spawn"), ("ProcessPoolExecutor", "fork")])
def test_a_worker_need_not_finish_before_it_takes_the_next_name(repo, run_script, way, method):
    """A task that failed never comes to its finish(); the next one is another run all the same."""
    sweep(run_script, repo, way, method, name='footsteps.initialize(f"lr{lr}")')
    assert made(repo) == {f"lr{x}": [f"w{x}"] for x in (1, 2, 3)}


def test_runs_of_workers_that_a_pool_has_ended_do_not_stay_died(repo, run_script):
    """multiprocessing.Pool ends its workers by a signal: how such a run ended is unknown, and its files are listed."""
    sweep(run_script, repo, "Pool", "fork", name='footsteps.initialize(f"lr{lr}")')
    assert made(repo) == {f"lr{x}": [f"w{x}"] for x in (1, 2, 3)}
    assert {Run(str(repo / "results" / f"lr{x}")).status for x in (1, 2, 3)} <= {"unknown", "finished"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_give_the_name_of_the_main_programs_run_join_it(repo, run_script, method):
    """As a script does that initializes at its top, which spawned workers run again."""
    name = 'footsteps.initialize("main")'
    sweep(run_script, repo, "Process", method, early=f'{name}; save("m")', name=name)
    assert made(repo) == {"main": ["m", "w1", "w2", "w3"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_all_give_one_name_share_its_run(repo, run_script, method):
    """A training whose ranks multiprocessing starts, each of which initializes."""
    way = WAYS["ProcessPoolExecutor"].replace("(2, ", "(3, ")
    repo.write(
        "sweep.py",
        SWEEP.format(name="footsteps.initialize('ddp')", finish="time.sleep(1)", early="pass", late="pass", way=way),
    )
    assert run_script(repo / "sweep.py", method, cwd=repo).returncode == 0
    assert made(repo) == {"ddp": ["w1", "w2", "w3"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_a_worker_begins_after_finish_is_new(repo, run_script, method):
    """With no name, or with the one that it was in."""
    again = 'footsteps.finish(); footsteps.initialize("main"); save(f"again{lr}")'
    sweep(run_script, repo, "Process", method, early='footsteps.initialize("main"); save("m")', finish=again)
    assert made(repo)["main"] == ["m", "w1", "w2", "w3"]
    assert {name: files for name, files in made(repo).items() if name != "main"} == {
        f"main-{x}": [f"again{x}"] for x in (1, 2, 3)
    }


@pytest.mark.slow
def test_a_pool_that_lives_longer_than_a_run_goes_on_with_the_next(repo, run_script):
    """The workers of joblib are used again: what they save then is the new run's."""
    needs("joblib")
    program = SAVE + (
        "import joblib\nif __name__ == '__main__':\n  for name in 'ab':\n    footsteps.initialize(name)\n"
        "    joblib.Parallel(2)(joblib.delayed(save)(f'{name}{n}') for n in range(3))\n    footsteps.finish()\n"
    )
    done = run_script(program, cwd=repo)
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"a": ["a0", "a1", "a2"], "b": ["b0", "b1", "b2"]}


# --- sweeps in which only the workers look ---


@pytest.mark.slow
@pytest.mark.parametrize(("way", "method"), ALL)
def test_a_run_that_only_workers_ask_for_is_the_main_programs(repo, run_script, way, method):
    """One run, of its name, script and command; the main program tells how it ended, and nobody is waited for."""
    done = sweep(run_script, repo, way, method)
    assert made(repo) == {"sweep": ["w1", "w2", "w3"]}
    facts, outcome = record(repo, "sweep"), record(repo, "sweep", "outcome.json")
    assert facts["command"] == f"{repo / 'sweep.py'} {method}"
    assert facts["main"]["path"] == str(repo / "sweep.py")
    assert facts["orig_argv"][-2:] == [str(repo / "sweep.py"), method]
    assert (repo / "results" / "sweep" / "sweep.py").exists()
    assert outcome["status"] == "finished"
    assert {"w1", "w2", "w3"} <= {entry["path"] for entry in outcome["artifacts"]}
    assert done.stdout.count("Saving results to results/sweep/") == 1
    assert list(Path(os.environ["TMPDIR"]).glob(f"footsteps-{os.getuid()}/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_its_outcome_is_the_main_programs(repo, run_script, method):
    """A main program that exits with a number, or fails, tells so, though it never asked for the run."""
    for late, status in (("sys.exit(7)", ("exited", 7)), ("raise ValueError", ("failed", 1))):
        repo.write("sweep.py", SWEEP.format(name="pass", finish="pass", early="pass", late=late, way=WAYS["Process"]))
        run_script(repo / "sweep.py", method, cwd=repo, env={"FOOTSTEPS_NAME": status[0]})
        outcome = record(repo, status[0], "outcome.json")
        assert (outcome["status"], outcome["exit_status"]) == status


# --- what can be started again is the main program ---

PARSED = "import argparse; parser = argparse.ArgumentParser(); parser.add_argument('method'); "
PARSED += "parser.add_argument('--momentum', default=0.9); parser.parse_args()"
STARTED_ANEW = [
    ("Process", "spawn"),
    *(pytest.param(*row, marks=pytest.mark.slow) for row in (("Process", "forkserver"), ("joblib", "-"))),
]


def tell(repo, *words) -> str:
    """What the footsteps command prints."""
    command = [sys.executable, "-m", "footsteps", *words]
    return subprocess.run(command, cwd=repo, env=surroundings({}), capture_output=True, text=True).stdout


@pytest.mark.parametrize(("way", "method"), [*STARTED_ANEW, pytest.param("Process", "fork", marks=pytest.mark.slow)])
def test_a_workers_own_run_tells_what_starts_the_main_program(repo, run_script, way, method):
    """Its script, command and parsed arguments: nobody can start a worker by the command that has started it."""
    sweep(run_script, repo, way, method, name='footsteps.initialize(f"lr{lr}")', early=PARSED)
    row = record(repo, "lr1")
    assert row["main"] == {"kind": "script", "path": str(repo / "sweep.py"), "module": None}
    assert row["orig_argv"][1:] == [str(repo / "sweep.py"), method]
    assert row["arguments"]["momentum"] == 0.9
    assert row["arguments"].get("lr") == (1 if way == "joblib" else None)  # which was sent the call
    assert (repo / "results" / "lr1" / "sweep.py").exists()
    assert tell(repo, "restore", "lr1").endswith(f"sweep.py {method}\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "method", "early"),
    [
        ("Process", "spawn", "footsteps.output_dir"),
        ("Process", "spawn", "footsteps.initialize('all')"),
        ("Process", "fork", "footsteps.output_dir"),
        ("joblib", "-", "footsteps.initialize('all')"),
        ("joblib", "-", "pass"),
    ],
)
def test_a_workers_own_run_is_repeated_by_the_main_program(repo, run_script, way, method, early):
    """What is compared is what the worker of that name has made then, also below the run of the main program."""
    sweep(run_script, repo, way, method, name='footsteps.initialize(f"lr{lr}")', early=early)
    told = tell(repo, "rerun", "--yes", "lr2")
    assert "identical\tw2" in told
    assert made(repo / "again" / "lr2-rerun") == made(repo)  # the main program's run has its name, too


@pytest.mark.parametrize("late", ["pass", "save('m')"])
@pytest.mark.parametrize(("way", "method"), STARTED_ANEW)
def test_what_the_main_program_has_parsed_is_in_the_run_that_its_workers_make(repo, run_script, way, method, late):
    """Defaults, too; whether the main program asks for the run afterwards, or never."""
    sweep(run_script, repo, way, method, early=PARSED, late=late)
    run = Run(str(repo / "results" / "sweep"))
    assert run.arguments == {"method": method, "momentum": 0.9}


def test_what_an_ltparser_has_parsed_is_there_too_with_its_hash_code(repo, run_script):
    """As in a fork, which has it in its memory."""
    early = PARSED.replace("import argparse", "from lite_tracer import LTParser").replace("argparse.Argument", "LT")
    sweep(run_script, repo, "Process", "spawn", early=early)
    run = Run(str(repo / "results" / "sweep"))
    assert run.arguments == {"method": "spawn", "momentum": 0.9}
    assert run.hash_code.startswith("LT_")


def test_a_workers_run_was_started_where_the_main_program_was(repo, run_script):
    """A spawned worker begins in the folder that the program has changed to, and can't read where that began."""
    repo.write("work.py", "import footsteps\ndef train(lr):\n    footsteps.initialize(f'lr-{lr}', output_root='out')\n")
    repo.write(
        "sweep.py",
        "import footsteps, multiprocessing, os, work\nif __name__ == '__main__':\n    os.makedirs('deep')\n"
        "    os.chdir('deep')\n    child = multiprocessing.get_context('spawn').Process(target=work.train, args=(1,))\n"
        "    child.start()\n    child.join()\n",
    )
    done = run_script("sweep.py", cwd=repo)
    assert done.returncode == 0, done.stderr
    facts = Run(str(repo / "deep" / "out" / "lr-1")).facts
    assert (facts["cwd"], facts["command"]) == (str(repo.path), "sweep.py")


@pytest.mark.slow
@pytest.mark.parametrize(("start", "main"), [("sweep.py", None), ("-m sweep", "sweep"), ("-m cProfile sweep.py", None)])
@pytest.mark.parametrize("head", ["import footsteps", "pass"])
@pytest.mark.parametrize("name", ["lr", ""])
def test_a_program_whose_workers_run_a_module_is_named_not_joblib(repo, start, main, head, name):
    """However it was started, and whether or not it has imported footsteps itself."""
    needs("joblib")
    task = "def train(lr):\n    import footsteps\n"
    task += f"    if {name!r}: footsteps.initialize(f'{name}{{lr}}')\n    footsteps.output_dir\n"
    repo.write("task.py", task)
    program = f"{head}\nimport joblib, task\njoblib.Parallel(2)(joblib.delayed(task.train)(x) for x in (1, 2))\n"
    repo.write("sweep.py", program)
    subprocess.run([sys.executable, *start.split()], cwd=repo, env=surroundings({"FOOTSTEPS_NAME": None}), check=True)
    row = record(repo, f"{name}1" if name else "sweep")
    kind = {"kind": "module" if main else "script", "path": str(repo / "sweep.py"), "module": main}
    assert (row["main"], row["orig_argv"][1:]) == (kind, start.split())


def test_what_no_command_runs_again_is_restored_without_one(repo):
    """A program that came over stdin, a notebook's kernel: why is told instead."""
    command = [sys.executable, "-"]
    subprocess.run(
        command, input=SAVE + "save('it')", text=True, cwd=repo, env=surroundings({"FOOTSTEPS_NAME": "it"}), check=True
    )
    told = subprocess.run(
        [sys.executable, "-m", "footsteps", "restore", "it"], cwd=repo, capture_output=True, text=True
    )
    assert "run it again" not in told.stdout
    assert "no command runs it again: its program came from stdin" in told.stderr


# --- ranks ---

NUMBERED = """
import os, subprocess, sys
name, size, *more = sys.argv[1].split(",")
ranks = int(sys.argv[2])
shared = {**os.environ, **({size: str(ranks)} if size else {}), **dict(one.split("=") for one in more)}
started = [subprocess.Popen(sys.argv[3:], env={**shared, name: str(rank)}) for rank in range(ranks)]
sys.exit(max(abs(one.wait()) for one in started))
"""
SAVE_RANK = SAVE + "rank = os.environ[next(n for n in sys.argv[1:] if n in os.environ)]\nsave(f'rank-{rank}')\n"
PROTOCOLS = {
    "DeepSpeed": "RANK,WORLD_SIZE,MASTER_ADDR=127.0.0.1",
    "Flux": "FLUX_TASK_RANK,FLUX_JOB_SIZE,FLUX_JOB_ID=f1",
    "PALS": "PMI_RANK,PMI_SIZE,PALS_APID=a1",
    "jsrun": "JSM_NAMESPACE_RANK,JSM_NAMESPACE_SIZE",
    "PRRTE": "PMIX_RANK,,PMIX_NAMESPACE=prte-1",
    "submitit": "SUBMITIT_LOCAL_GLOBALID,SUBMITIT_LOCAL_NTASKS,SUBMITIT_LOCAL_JOB_ID=1",
}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", ["job", None])
def test_whoever_numbers_its_processes_is_a_launcher(repo, tmp_path, protocol, name):
    """Known by the variables that its processes agree on, whatever its program is called."""
    repo.write("train.py", SAVE_RANK)
    (tmp_path / "flux-shell").write_text(NUMBERED)
    command = [
        sys.executable,
        tmp_path / "flux-shell",
        protocol,
        "3",
        sys.executable,
        "train.py",
        protocol.split(",")[0],
    ]
    environment = surroundings({"FOOTSTEPS_NAME": name})
    done = subprocess.run(command, cwd=repo, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert made(repo) == {name or "train": ["rank-0", "rank-1", "rank-2"]}


LIGHTNING = (
    SAVE
    + """
import subprocess
{before}
child = None
if "LOCAL_RANK" not in os.environ:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29781", WORLD_SIZE="2", LOCAL_RANK="0", NODE_RANK="0")
    child = subprocess.Popen([sys.executable, *sys.argv], env={{**os.environ, "LOCAL_RANK": "1"}})
{after}
save("rank" + os.environ["LOCAL_RANK"])
sys.exit(child.wait() if child else 0)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["footsteps.initialize('ddp')", "pass"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_program_that_starts_itself_again_as_its_other_ranks_has_one_run(repo, run_script, name, when):
    """As Lightning's strategy ddp does: rank 0 is the launcher, whether its run began before or after."""
    repo.write(
        "train.py", LIGHTNING.format(**{"before": "pass", "after": "pass", when: f"{name}; footsteps.output_dir"})
    )
    done = run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": None if "initialize" in name else "ddp"})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"ddp": ["rank0", "rank1"]}


def test_a_rank_that_gives_another_name_has_a_run_of_its_own(repo, tmp_path):
    """The others share theirs."""
    repo.write(
        "train.py", SAVE + "rank = os.environ['RANK']\nif rank == '2': footsteps.initialize('other')\nsave(rank)\n"
    )
    (tmp_path / "launcher").write_text(NUMBERED)
    command = [sys.executable, tmp_path / "launcher", PROTOCOLS["DeepSpeed"], "3", sys.executable, "train.py"]
    subprocess.run(command, cwd=repo, env=surroundings({"FOOTSTEPS_NAME": "job"}), check=True, capture_output=True)
    assert made(repo)["other"] == ["2"]
    assert {"0", "1"} == {file for name, files in made(repo).items() if name != "other" for file in files}


def launched(repo, tmp_path, program, count=3) -> subprocess.CompletedProcess:
    """Run a program as so many ranks of one job."""
    repo.write("train.py", program)
    (tmp_path / "launcher").write_text(NUMBERED)
    command = [sys.executable, tmp_path / "launcher", PROTOCOLS["DeepSpeed"], str(count), sys.executable, "train.py"]
    return subprocess.run(command, cwd=repo, env=surroundings({"FOOTSTEPS_NAME": "job"}), capture_output=True)


AFTER_ALL = SAVE + "import glob\nrank = os.environ['RANK']\nsave(rank)\n"
AFTER_ALL += "while len(glob.glob('results/job/?')) < 3: time.sleep(0.02)\n"


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["0", "1", "2"])
def test_a_job_has_failed_if_one_of_its_ranks_has(repo, tmp_path, failing):
    """Whichever of them has made the record."""
    done = launched(repo, tmp_path, AFTER_ALL + f"if rank == '{failing}': sys.exit(5)\n")
    assert done.returncode == 5
    run = Run(str(repo / "results" / "job"))
    assert (list(made(repo)), run.status) == (["job"], "failed" if run.log else "exited")


def test_files_of_ranks_that_outlive_the_maker_of_the_record_may_be_missing_and_it_says_so(repo, tmp_path):
    """The maker ends first: its list of files is not said to be complete."""
    wait = "record = os.path.join(footsteps.output_dir, '.footsteps')\nimport json\n"
    wait += "maker = json.load(open(record + '/run.json'))['process']['pid']\n"
    wait += "while maker != os.getpid() and not os.path.exists(record + '/outcome.json'): time.sleep(0.02)\n"
    assert launched(repo, tmp_path, AFTER_ALL + wait + "save('late' + rank)\n").returncode == 0
    outcome = record(repo, "job", "outcome.json")
    assert (outcome["status"], outcome["artifacts_complete"], outcome["others_at_work"]) == ("finished", False, 2)
    assert "incomplete: 2 other processes" in (repo / "results" / "job" / "info.txt").read_text()


# --- Ray ---

RAY = """
import os, ray, sys, tempfile
if {head}:
    import footsteps
    footsteps.initialize("head")
with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a socket's path must be short
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder, runtime_env={environment})
    @ray.remote
    def train(lr, name=None):
        import footsteps
        footsteps.initialize(*[name] * bool(name))
        open(footsteps.output_dir + str(lr), "w").close()
    ray.get([train.remote(1), train.remote(2)])
    ray.get(train.remote(3, "own"))
    ray.shutdown()
"""


@pytest.mark.launcher
@pytest.mark.slow
@pytest.mark.parametrize(("head", "environment"), [(True, {}), (False, {"working_dir": "."})])
def test_rays_workers_make_the_run_of_the_program_that_started_ray(repo, run_script, head, environment):
    """Or one of another name, whose parent that is; none lies below Ray's folder, and all is told of the program."""
    pytest.importorskip("ray")
    repo.write("train.py", RAY.format(head=head, environment=environment))
    done = run_script(repo / "train.py", "--lr", "1", cwd=repo, env={"FOOTSTEPS_NAME": None}, timeout=180)
    if "timed out during startup" in done.stderr:  # Ray's own limit, on a machine with much else to do
        pytest.skip("Ray did not start in time")
    assert done.returncode == 0, done.stderr
    name = "head" if head else "train"
    made = {path.name: {file.name for file in path.iterdir()} for path in (repo / "results").iterdir() if path.is_dir()}
    assert {run: sorted(names & {"1", "2", "3"}) for run, names in made.items()} == {name: ["1", "2"], "own": ["3"]}
    row, own = record(repo, name), record(repo, "own")
    assert row["main"]["path"] == own["main"]["path"] == os.fspath(repo / "train.py")
    assert (row["parsed_argv"], row["cwd"]) == ({"lr": 1}, os.fspath(repo))
    assert own["parsed_argv"] == {"lr": 3, "name": "own"}
    assert own["parent"]["name"] == name


# --- reloaders and daemons ---


def test_a_program_that_a_reloader_starts_again_is_another_run(repo, run_script):
    """New code, new run, which names the one before as its parent: by a new process, or in the same one by exec."""
    restart = "open('train.py', 'a').write('# edited\\n')\nos.environ['AGAIN'] = '1'\n%s\n"
    ways = (
        "import subprocess\nsubprocess.run([sys.executable, *sys.argv])",
        "os.execv(sys.executable, [sys.executable, *sys.argv])",
    )
    for n, way in enumerate(ways):
        program = (
            SAVE
            + "save('it')\nif 'AGAIN' not in os.environ:\n"
            + "".join(f"    {line}\n" for line in (restart % way).splitlines())
        )
        repo.write("train.py", program)
        assert run_script(repo / "train.py", cwd=repo, env={"FOOTSTEPS_NAME": f"r{n}"}).returncode == 0
        assert record(repo, f"r{n}-1")["parent"]["name"] == f"r{n}"
        assert "# edited" in (repo / "results" / f"r{n}-1" / "train.py").read_text()


DAEMON = (
    SAVE
    + """
footsteps.initialize("served")
reader, writer = os.pipe()
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.close(0); os.close(1); os.close(2)
open("up.tmp", "w").write(str(os.getpid())); os.rename("up.tmp", "up")
while not os.path.exists("stop"):
    time.sleep(0.02)
save("late")
"""
)


def test_a_daemon_is_running_while_it_works_and_then_finished(repo, run_script):
    """The process that began the run is gone by then; the one that goes on tells how it ends."""
    import time

    run_script(DAEMON, cwd=repo)
    until = time.monotonic() + 60
    while not (repo / "up").exists():
        assert time.monotonic() < until
    run = repo / "results" / "served"
    assert Run(str(run)).status == "running"
    repo.write("stop")
    while not (run / ".footsteps" / "outcome.json").exists():
        assert time.monotonic() < until
    assert Run(str(run)).status == "finished"
    assert "late" in {entry["path"] for entry in record(repo, "served", "outcome.json")["artifacts"]}


# --- is it alive ---


def test_a_run_in_another_pid_namespace_is_unknown_not_died(repo, run_script):
    """A container's pids mean nothing outside of it."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    try:
        works = subprocess.run([*unshare, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("no pid namespaces here")
    repo.write("train.py", SAVE + "save('it')\nprint('up', flush=True)\nsys.stdin.read()\n")
    command = [*unshare, sys.executable, "train.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = surroundings({"FOOTSTEPS_NAME": "inside"})
    with subprocess.Popen(command, cwd=repo, env=environment, **pipes) as running:
        assert "up\n" in [running.stdout.readline() for _ in range(2)]
        assert Run(str(repo / "results" / "inside")).status == "unknown"
        running.stdin.close()
    assert Run(str(repo / "results" / "inside")).status == "finished"
