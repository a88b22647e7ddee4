"""One experiment, one directory, however many processes it is: with the real launchers where they are there."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import plain, surroundings

from footsteps.recorder import ranks as jobs
from footsteps.recorder import rendezvous as meeting_place
from footsteps.recorder.format import Locked

HAS_TORCH = importlib.util.find_spec("torch") is not None
SAVE = """
import footsteps

def save(name):
    with open(footsteps.output_dir + name, "w") as file:
        file.write(footsteps.output_dir)
"""
POOL = f"""
import multiprocessing, sys
{SAVE}
footsteps.footsteps.START_WAIT = 0.3
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    if "parent-first" in sys.argv:
        save("parent")
    workers = [multiprocessing.Process(target=save, args=(f"worker-{{n}}",)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    save("parent")
    sys.exit(max(worker.exitcode for worker in workers))
"""
# At its top, where spawned workers come along again.
UNGUARDED = f"""
import multiprocessing, os
{SAVE}
save(f"top-{{os.getpid()}}")
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(save, ["worker-0", "worker-1"])
"""
EXECUTOR = f"""
import concurrent.futures, multiprocessing
{SAVE}
if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        list(pool.map(save, ["worker-0", "worker-1", "worker-2"]))
"""
LOKY = f"""
import joblib
{SAVE}
if __name__ == "__main__":
    joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(save)(f"worker-{{n}}") for n in range(3))
"""
DATA_LOADER = f"""
import torch
{SAVE}
class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, n):
        save(f"worker-{{n}}")
        return n
if __name__ == "__main__":
    loader = torch.utils.data.DataLoader(Numbers(), num_workers=2, multiprocessing_context="spawn")
    assert sorted(int(n) for n in loader) == [0, 1, 2, 3]
"""
# Every rank saves a file, or only those that are named as arguments.
RANKS = f"""
import os, sys
NAMES = "RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"
rank = next(os.environ[name] for name in NAMES if name in os.environ)
{SAVE}
footsteps.footsteps.START_WAIT = 0.3
if rank in (sys.argv[1:] or [rank]):
    save(f"rank-{{rank}}")
"""
RANK_0_LAST = RANKS.replace(
    "if rank in",
    """
import glob, time
while rank == "0" and len(glob.glob("results/*/rank-*")) < 3:
    time.sleep(0.01)
if rank in""",
)
# Its workers come to output_dir before it does.
RANKS_WITH_WORKERS = RANKS.replace("\nrank = ", "\nimport multiprocessing\nrank = ").replace(
    "if rank in",
    """
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(save, [f"worker-of-{rank}"])
if rank in""",
)
# Rank 0 is in its first program until rank 1 is through with its second.
RANK_1_AHEAD = RANKS.replace(
    "if rank in",
    """
import time
first = not os.path.exists(f"first-{rank}")
open(f"first-{rank}" if first else f"second-{rank}", "w").close()
while rank == "0" and "ahead" in sys.argv and not os.path.exists("second-1"):
    time.sleep(0.01)
if "ahead" in sys.argv or rank in""",
)
# Only the innermost workers ever ask.
NESTED = f"""
import concurrent.futures, multiprocessing, sys
{SAVE}
def pool(method):
    return concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))

def hand_on(method, outer):
    with pool(method) as inner:
        list(inner.map(save, [outer + "-0", outer + "-1"]))

if __name__ == "__main__":
    with pool(sys.argv[1]) as outer:
        list(outer.map(hand_on, sys.argv[1:] * 2, ["0", "1"]))
"""
SWEEP = """
import multiprocessing, footsteps

def save(name):
    open(footsteps.output_dir + name, "w").close()

if __name__ == "__main__":
    for name in ("one", "two", "three"):
        footsteps.initialize(name)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.map(save, ["of-" + name])
        footsteps.finish()
"""
# Starts ranks as torchrun does, but lets them end by themselves.
STAND_IN = """
import os, subprocess, sys
ranks = int(sys.argv[1])
shared = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "none"}
started = [
    subprocess.Popen(sys.argv[2:], env={**shared, **os.environ, "RANK": str(rank)})
    for rank in range(ranks)
]
sys.exit(max(abs(one.wait()) for one in started))
"""


def made(project) -> dict[str, list[str]]:
    """The runs below results/: name -> what their programs saved, by name without what is ours."""
    root = Path(project) / "results"
    runs = sorted(path.parent.parent for path in root.glob("**/.footsteps/run.json"))
    ours = {".footsteps", "info.txt", "package_versions.txt"}
    return {
        run.relative_to(root).as_posix(): sorted(
            p.name for p in run.iterdir() if p.name not in ours and p.suffix != ".py"
        )
        for run in runs
    }


def record(project, name: str) -> dict:
    """A run's run.json."""
    return json.loads((Path(project) / "results" / name / ".footsteps" / "run.json").read_text())


def ranks(count: int) -> list[str]:
    """The files that so many ranks save."""
    return [f"rank-{rank}" for rank in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_join_the_run_of_their_parent(repo, run_script, method):
    """One directory, one question."""
    done = run_script(POOL, method, "parent-first", cwd=repo, stdin="pool\n")
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"pool": ["parent", *(f"worker-{n}" for n in range(4))]}
    assert done.stdout.count("Saving results to results/pool/") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["given", None])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_parent_joins_the_run_that_its_workers_had_to_begin(repo, run_script, method, name):
    """It comes to output_dir after they have ended, and nobody is asked."""
    done = run_script(POOL, method, cwd=repo, stdin="unread\n", env={"FOOTSTEPS_NAME": name})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {name or "script": ["parent", *(f"worker-{n}" for n in range(4))]}


def test_a_script_that_saves_at_its_top_makes_one_run_though_its_workers_run_the_top_again(repo, run_script):
    """A spawned worker imports the script, which asks for output_dir once more."""
    done = run_script(UNGUARDED, cwd=repo, stdin="top\n")
    assert done.returncode == 0, done.stderr
    assert list(made(repo)) == ["top"]
    assert {"worker-0", "worker-1"} < set(made(repo)["top"])


@pytest.mark.slow
@pytest.mark.parametrize("program", [EXECUTOR, LOKY], ids=["ProcessPoolExecutor", "loky"])
def test_pools_join_the_run_though_only_their_workers_ever_ask_for_it(repo, run_script, program):
    """The parent need not look at output_dir."""
    done = run_script(program, cwd=repo, env={"FOOTSTEPS_NAME": "pool"})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"pool": ["worker-0", "worker-1", "worker-2"]}


@pytest.mark.launcher
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_the_workers_of_a_data_loader_join_the_run(repo, run_script):
    """Torch's own start method spawn, with workers that save."""
    done = run_script(DATA_LOADER, cwd=repo, env={"FOOTSTEPS_NAME": "loader"})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"loader": [f"worker-{n}" for n in range(4)]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_that_workers_start_join_the_same_run(repo, run_script, method):
    """A pool of trainings whose data loaders have workers of their own is one experiment."""
    done = run_script(NESTED, method, cwd=repo, env={"FOOTSTEPS_NAME": "nested"})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"nested": ["0-0", "0-1", "1-0", "1-1"]}


def test_a_lock_is_given_back_though_a_child_was_forked_under_it(tmp_path):
    """A worker that another thread forks has a copy of the descriptor, and would wait for itself."""
    reader, writer = os.pipe()
    with Locked(str(tmp_path / "lock")):
        child = os.fork()
        if child == 0:
            os.close(writer)  # so that a test that fails leaves nobody waiting
            os.read(reader, 1)
            os._exit(0)
    with open(tmp_path / "lock") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(writer, b"x")
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)


def test_who_comes_while_the_last_one_takes_the_meeting_away_finds_another(tmp_path, monkeypatch):
    """A rank's second program may begin in the moment in which the first ends."""
    job = jobs.Job("mpi", "mpi-1-1", {"pid": 1, "start": 1}, 0, 2, worker_of=None)
    folders, append = [], meeting_place.append

    def append_and_lose(path, data):
        append(path, data)
        if not folders:
            folders.append(os.path.dirname(path))
            os.rename(folders[0], tmp_path / "gone")

    monkeypatch.setattr(meeting_place, "append", append_and_lose)
    meeting = meeting_place.Rendezvous(job, str(tmp_path))
    assert folders == [meeting.folder]
    assert {os.path.basename(meeting.here), meeting.came} <= set(os.listdir(meeting.folder))


def test_runs_of_a_program_with_workers_have_a_directory_each(repo, run_script):
    """What finish() has ended is not joined again by the next initialize()."""
    done = run_script(SWEEP, cwd=repo)
    assert done.returncode == 0, done.stderr
    assert made(repo) == {name: ["of-" + name] for name in ("one", "two", "three")}


# ---------------------------------------------------------------------------
# Launchers
# ---------------------------------------------------------------------------


def stand_in(count: int, folder: Path) -> list[str]:
    """The command before a script that starts it as so many ranks, without any launcher installed."""
    (folder / "launcher.py").write_text(STAND_IN)
    return [sys.executable, str(folder / "launcher.py"), str(count), sys.executable]


def torchrun(count: int, _: Path) -> list[str]:
    """The same, by torch."""
    if not HAS_TORCH:
        pytest.skip("torch is not installed")
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]


def mpiexec(count: int, _: Path) -> list[str]:
    """The same, by an MPI."""
    if not shutil.which("mpiexec"):
        pytest.skip("there is no mpiexec")
    return ["mpiexec", "-n", str(count), sys.executable]


def srun(count: int, _: Path) -> list[str]:
    """The same, by Slurm."""
    return ["srun", "-n", str(count), sys.executable]


class Launch:
    """Starts a script of a project as the ranks of one job."""

    def __init__(self, prefix, folder, environment):
        """Take the launcher's command and what must be in the environment for it."""
        self.prefix, self.folder, self.environment = prefix, folder, environment

    def start(self, project, program, *arguments, count=4, env=None, stdin=subprocess.DEVNULL):
        """Begin a launch, as a Popen."""
        project.write("train.py", program)
        return subprocess.Popen(
            [*self.prefix(count, self.folder), "train.py", *arguments],
            cwd=project,
            env=surroundings({**self.environment, **(env or {})}),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, project, program, *arguments, typed=None, **options) -> str:
        """A whole launch, which must succeed: what it says."""
        stdin = subprocess.DEVNULL if typed is None else subprocess.PIPE
        started = self.start(project, program, *arguments, stdin=stdin, **options)
        said, _ = started.communicate(typed, timeout=120)
        assert started.returncode == 0, said
        return said


@pytest.fixture(
    params=[
        stand_in,
        pytest.param(torchrun, marks=pytest.mark.launcher),
        pytest.param(mpiexec, marks=pytest.mark.launcher),
        pytest.param(srun, marks=pytest.mark.slurm),
    ],
    ids=lambda prefix: prefix.__name__,
)
def launch(request, tmp_path) -> Launch:
    """One of the launchers."""
    environment = request.getfixturevalue("slurm") if request.param is srun else {}
    return Launch(request.param, tmp_path, environment)


def test_the_ranks_of_a_job_share_one_directory(repo, launch):
    """Named beforehand, nobody waits for anybody, and the seed's line is said once."""
    said = launch(repo, RANKS, env={"FOOTSTEPS_NAME": "job"})
    assert made(repo) == {"job": ranks(4)}
    assert said.count("Saving results to results/job/") == 1
    assert record(repo, "job")["process"]["world_size"] == 4


def test_a_name_that_is_piped_to_a_job_is_read_once(repo, launch):
    """Rank 0 reads it, whatever the launcher makes of the others' stdin: shared, copied, or silent for ever."""
    launch(repo, RANKS, typed="piped\n")
    assert made(repo) == {"piped": ranks(4)}


def test_without_a_name_and_without_stdin_a_job_takes_the_scripts_name(repo, launch):
    """As under cron or nohup."""
    launch(repo, RANKS)
    assert made(repo) == {"train": ranks(4)}


@pytest.mark.slow
@pytest.mark.parametrize("only", ["0", "3"])
@pytest.mark.parametrize("name", ["given", None])
def test_a_job_does_not_hang_if_only_one_rank_ever_asks(repo, launch, only, name):
    """Most programs save from rank 0 alone, some from the first of each node."""
    launch(repo, RANKS, only, env={"FOOTSTEPS_NAME": name})
    assert made(repo) == {name or "train": [f"rank-{only}"]}


@pytest.mark.slow
def test_rank_0_joins_a_run_that_the_others_had_to_begin(repo, launch):
    """It comes last, and is not asked any more."""
    launch(repo, RANK_0_LAST)
    assert made(repo) == {"train": ranks(4)}


def test_two_launches_at_once_never_share_a_directory(repo, launch):
    """Not with one name, one script, and the launcher's default ids and ports."""
    started = [launch.start(repo, RANKS, env={"FOOTSTEPS_NAME": "twice"}, count=2) for _ in range(2)]
    said = [one.communicate(timeout=120)[0] for one in started]
    assert [one.returncode for one in started] == [0, 0], said
    assert made(repo) == {"twice": ranks(2), "twice-1": ranks(2)}


def test_runs_that_the_ranks_begin_one_after_the_other_have_a_directory_each(repo, launch):
    """Each rank ends one with finish() and goes on to the next, at its own pace."""
    program = RANKS + "\nfor name in 'next', 'last':\n    footsteps.finish()\n    footsteps.initialize(name)\n"
    launch(repo, program + "    save(f'rank-{rank}')\n", env={"FOOTSTEPS_NAME": "job"})
    assert made(repo) == {"job": ranks(4), "next": ranks(4), "last": ranks(4)}


@pytest.mark.slow
@pytest.mark.parametrize("program", [["0"], ["ahead"]], ids=["only rank 0 saves", "one is ahead of the other"])
@pytest.mark.parametrize(
    "launch",
    [stand_in, pytest.param(mpiexec, marks=pytest.mark.launcher), pytest.param(srun, marks=pytest.mark.slurm)],
    ids=lambda prefix: prefix.__name__,
    indirect=True,
)
def test_a_script_that_a_rank_starts_twice_by_a_shell_has_two_directories(repo, launch, tmp_path, program):
    """A loop over seeds in the launched shell script: the ranks of each turn share one."""
    loop = ["sh", "-c", f'for turn in 1 2; do {sys.executable} "$0" "$@"; done']
    looped = Launch(lambda *words: [*launch.prefix(*words)[:-1], *loop], tmp_path, launch.environment)
    looped(repo, RANK_1_AHEAD, *program, count=2, env={"FOOTSTEPS_NAME": "seed"})
    each = ["rank-0"] if program == ["0"] else ranks(2)
    assert made(repo) == {"seed": each, "seed-1": each}


def test_workers_of_a_ranks_pool_join_the_run_of_the_job(repo, launch):
    """Though they come before it: one directory, not one for each rank's pool."""
    launch(repo, RANKS_WITH_WORKERS, count=2, env={"FOOTSTEPS_NAME": "job"})
    assert made(repo) == {"job": [*ranks(2), "worker-of-0", "worker-of-1"]}


def test_what_a_job_uses_for_meeting_is_removed(repo, launch):
    """Nothing stays in the temporary folder or below the root."""
    launch(repo, RANKS, env={"FOOTSTEPS_NAME": "job"})
    assert list(Path(os.environ["TMPDIR"]).glob(f"footsteps-{os.getuid()}/*")) == []
    assert sorted(os.listdir(repo / "results")) == [".gitignore", "job"]


def test_a_program_that_a_rank_starts_is_no_rank(repo, launch):
    """It inherits the rank's variables, has a run of its own, and names the rank's run as its parent."""
    repo.write("evaluate.py", RANKS)
    program = RANKS + "\nimport subprocess\nsubprocess.run([sys.executable, 'evaluate.py'], check=True)\n"
    launch(repo, program, count=2, env={"FOOTSTEPS_NAME": "job"})
    assert made(repo) == {"job": ranks(2), "job-1": made(repo)["job-1"], "job-2": made(repo)["job-2"]}
    assert [record(repo, f"job-{n}")["process"]["rank"] for n in (1, 2)] == [None, None]
    assert {record(repo, f"job-{n}")["parent"]["name"] for n in (1, 2)} == {"job"}


@pytest.mark.launcher
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_workers_that_torchrun_starts_again_join_the_same_run(repo, tmp_path):
    """The restart is part of the launch."""
    program = RANKS + "\nsave(f'try-{os.environ[\"TORCHELASTIC_RESTART_COUNT\"]}-{rank}')\n"
    program += "sys.exit(rank == '1' and os.environ['TORCHELASTIC_RESTART_COUNT'] == '0')\n"
    again = Launch(lambda count, folder: [*torchrun(count, folder), "--max-restarts", "1"], tmp_path, {})
    again(repo, program, count=2, env={"FOOTSTEPS_NAME": "elastic"})
    assert list(made(repo)) == ["elastic"]
    assert {"try-0-1", "try-1-0", "try-1-1"} <= set(made(repo)["elastic"])


@pytest.mark.launcher
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_two_launches_with_torchruns_older_rendezvous_do_not_share(repo, tmp_path):
    """With --master-port every launch has the run id `none` and the same port."""
    static = Launch(lambda count, folder: [*torchrun(count, folder), "--master-port", "29511"], tmp_path, {})
    for _ in range(2):
        static(repo, RANKS, count=2, env={"FOOTSTEPS_NAME": "static"})
    assert made(repo) == {"static": ranks(2), "static-1": ranks(2)}


LEFT_OVER = {
    "torchrun": {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"},
    "a plain RANK": {"RANK": "1", "WORLD_SIZE": "4"},
    "mpich": {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "7"},
    "Open MPI": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"},
    "a Slurm step": {"SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_ID": "7"},
    "a batch script": {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},
}


@pytest.mark.parametrize("variables", LEFT_OVER.values(), ids=LEFT_OVER)
def test_variables_left_over_in_the_environment_make_no_rank(repo, variables):
    """A sequential program reads its name as ever."""
    repo.write("train.py", SAVE + "save('it')")
    exports = "".join(f"export {name}={value}; " for name, value in variables.items())
    shell = ["bash", "-c", f"{exports} echo alone | {sys.executable} train.py; exit $?"]
    done = subprocess.run(shell, cwd=repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"alone": ["it"]}
    assert record(repo, "alone")["process"]["rank"] is None


# ---------------------------------------------------------------------------
# A question for a job
# ---------------------------------------------------------------------------

ASKED = RANKS.replace("if rank in", "open(f'pid-{rank}', 'w').write(str(os.getpid()))\nif rank in", 1)


@pytest.fixture(params=[stand_in, pytest.param(torchrun, marks=pytest.mark.launcher)], ids=lambda p: p.__name__)
def asked(request, repo, terminal, tmp_path):
    """A job of three ranks whose rank 0 sits at the prompt in a terminal, while the others wait."""
    repo.write("train.py", ASKED)
    screen = terminal([*request.param(3, tmp_path), "train.py"], cwd=repo)
    screen.expect_exact("Input name of experiment:")
    deadline = time.monotonic() + 60
    while not all((repo / f"pid-{rank}").exists() for rank in range(3)):
        assert time.monotonic() < deadline
    return screen


@pytest.mark.slow
def test_the_others_wait_as_long_as_rank_0_sits_at_the_prompt(repo, asked):
    """Far longer than the start in which it may announce itself."""
    pexpect = pytest.importorskip("pexpect")
    asked.expect(pexpect.TIMEOUT, timeout=2)
    assert made(repo) == {}
    asked.send("asked\r")
    asked.expect(pexpect.EOF)
    assert made(repo) == {"asked": ranks(3)}
    assert plain(asked.before).count("Saving results to results/asked/") == 1


def test_the_others_end_with_an_error_if_rank_0_dies_at_the_prompt(repo, asked, request):
    """Rather than wait for ever; and no directory is left."""
    pexpect = pytest.importorskip("pexpect")
    os.kill(int(repo.read("pid-0")), signal.SIGKILL)
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus != 0
    assert made(repo) == {}
    if "stand_in" in request.node.name:  # torchrun ends them itself, maybe before they see it
        assert "has ended without one" in plain(asked.before)


def test_ranks_on_other_nodes_end_too_if_the_question_is_not_answered(repo, terminal, tmp_path):
    """They can't see whether a process of another machine lives, only whether it has left."""
    pexpect = pytest.importorskip("pexpect")
    repo.write("train.py", RANKS)
    wide = {"LOCAL_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "wide"}
    screen = terminal([*stand_in(3, tmp_path), "train.py"], cwd=repo, env=wide)
    screen.expect_exact("Input name of experiment:")
    screen.send("\x04")
    screen.expect(pexpect.EOF)
    assert plain(screen.before).count("has ended without one") >= 2
    assert made(repo) == {}


@pytest.mark.launcher
def test_a_name_typed_to_mpiexec_goes_to_rank_0_and_the_others_wait_for_it(repo, terminal, tmp_path):
    """Its ranks have no terminal, so what is waited for is said, and only rank 0 can be told."""
    pexpect = pytest.importorskip("pexpect")
    repo.write("train.py", RANKS)
    screen = terminal([*mpiexec(3, tmp_path), "train.py"], cwd=repo)
    screen.expect("name on stdin")
    screen.expect(pexpect.TIMEOUT, timeout=1)
    screen.sendline("typed")
    screen.expect(pexpect.EOF)
    assert made(repo) == {"typed": ranks(3)}


# ---------------------------------------------------------------------------
# Programs of their own, and crowds
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["subprocess.run([sys.executable, 'part.py'])", "os.system('python part.py')"])
def test_a_script_that_a_driver_starts_has_a_run_of_its_own_that_names_its_parent(repo, run_script, start):
    """Two parts, one after the other, are two runs more."""
    repo.write("part.py", SAVE + "save('part')")
    driver = f"import os, subprocess, sys\n{SAVE}\nsave('driver')\n{start}\n{start}\n"
    done = run_script(driver, cwd=repo, env={"FOOTSTEPS_NAME": "sweep"})
    assert done.returncode == 0, done.stderr
    assert made(repo) == {"sweep": ["driver"], "sweep-1": ["part"], "sweep-2": ["part"]}
    driver_id = record(repo, "sweep")["id"]
    assert record(repo, "sweep")["parent"] is None
    assert [record(repo, f"sweep-{n}")["parent"]["id"] for n in (1, 2)] == [driver_id, driver_id]


CROWD = f"""
import sys
{SAVE}
sys.executable = ""  # hundreds of pips beside them would prove nothing about directories
print("here", flush=True)
sys.stdin.read()
footsteps.initialize("crowd")
save("one")
"""


def crowd(project, count: int) -> list[str]:
    """Start so many programs, let all go on at once, and tell what they complained of."""
    project.write("crowd.py", CROWD)
    barrier, release = os.pipe()
    command = [sys.executable, "crowd.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=project, stdin=barrier, **pipes) for _ in range(count)]
    os.close(barrier)
    for one in started:
        assert one.stdout.readline() == "here\n"
    os.close(release)
    ended = [one.communicate(timeout=300) for one in started]
    return [stderr for (_, stderr), one in zip(ended, started, strict=True) if one.returncode or stderr]


def crowded(count: int) -> dict[str, list[str]]:
    """What a crowd leaves."""
    return {name: ["one"] for name in ["crowd", *(f"crowd-{n}" for n in range(1, count))]}


def test_twenty_at_once_with_one_name_get_twenty_directories(repo, remote):
    """Behind a barrier, so that all claim together."""
    assert crowd(repo, 20) == []
    assert made(repo) == crowded(20)


# The same without two hundred interpreters that start: so it can be had twenty times in two minutes.
CROWD_OF_FORKS = f"""
import os, sys
{SAVE}
sys.executable = ""
barrier, release = os.pipe()
children = []
for _ in range(int(sys.argv[1])):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(release)
        os.read(barrier, 1)
        footsteps.initialize("crowd")
        save("one")
        sys.exit()
os.close(release)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


@pytest.mark.heavy
@pytest.mark.parametrize("repeat", range(4))
def test_two_hundred_at_once_with_one_name_get_two_hundred_directories(repo, remote, run_script, repeat):
    """Four times over."""
    done = run_script(CROWD_OF_FORKS, "200", cwd=repo, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert made(repo) == crowded(200)


# ---------------------------------------------------------------------------
# Slurm
# ---------------------------------------------------------------------------

SLURM_CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge.socket
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/%n.pid
SlurmctldLogFile={here}/slurmctld.log
SlurmdLogFile={here}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=1
# More processors than there may be: these jobs wait more than they compute.
SlurmdParameters=config_overrides
NodeName=node[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=16 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory):
    """A cluster on loopback, two nodes that are both this machine, with its own munge: its slurm.conf."""
    programs = ("munged", "slurmctld", "slurmd", "sinfo", "srun", "sbatch")
    missing = [p for p in programs if not shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no {', '.join(missing)}" if missing else "bringing up Slurm needs root")
    here = tmp_path_factory.mktemp("slurm")
    for folder in ("state", "node1", "node2"):
        (here / folder).mkdir()
    (here / "munge.key").write_bytes(os.urandom(1024))
    (here / "munge.key").chmod(0o600)
    port = 20000 + os.getpid() % 20000
    facts = {
        "host": os.uname().nodename.split(".")[0],
        "port": port,
        "first": port + 1,
        "second": port + 2,
        "here": here,
    }
    conf = here / "slurm.conf"
    conf.write_text(SLURM_CONF.format(**facts))
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    munged = ["munged", *(f"--{kind}-file={here}/munge{end}" for kind, end in MUNGE_FILES)]
    # --force: the folder is below /tmp, which everybody may write to.
    munged += [f"--socket={here}/munge.socket", "--force"]
    for daemon in (munged, ["slurmctld", "-c"], ["slurmd", "-c", "-N", "node1"], ["slurmd", "-c", "-N", "node2"]):
        subprocess.run(daemon, env=environment, check=True, capture_output=True)
    yield wait_for_nodes(conf, environment)
    for name in ("node1", "node2", "slurmctld", "munge"):
        os.kill(int((here / f"{name}.pid").read_text()), signal.SIGTERM)


MUNGE_FILES = (("key", ".key"), ("pid", ".pid"), ("log", ".log"), ("seed", ".seed"))


def wait_for_nodes(conf: Path, environment) -> Path:
    """The cluster's configuration, once its nodes take jobs."""
    for _ in range(300):
        answer = subprocess.run(["sinfo", "-h", "-o", "%D %T"], env=environment, capture_output=True, text=True)
        if answer.stdout.strip() == "2 idle":
            return conf
        time.sleep(0.1)
    logs = "".join(path.read_text() for path in conf.parent.glob("slurm*.log"))
    raise AssertionError(f"the nodes do not come up: {answer}\n{logs}")


@pytest.fixture
def slurm(slurm_conf) -> dict[str, str]:
    """The variables with which Slurm's commands find the cluster."""
    return {"SLURM_CONF": str(slurm_conf)}


@pytest.fixture
def sbatch(repo, slurm):
    """A function that submits a batch script and waits for its end: (options, lines, env) -> what it said."""

    def submit(options, *lines, env=None):
        script = repo.write("job.sh", "\n".join(["#!/bin/bash", *lines, ""]))
        command = ["sbatch", "--parsable", "--output=said-%j.txt", *options, script]
        environment = surroundings({**slurm, **(env or {})})
        asked = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True)
        assert asked.returncode == 0, asked.stderr
        waiting = ["squeue", "--noheader", "--jobs", asked.stdout.strip()]
        deadline = time.monotonic() + 120
        while subprocess.run(waiting, env=environment, capture_output=True, text=True).stdout.strip():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return "".join(path.read_text() for path in sorted(repo.path.glob("said-*.txt")))

    return submit


@pytest.mark.slurm
def test_the_steps_of_a_batch_job_and_the_script_itself_have_a_directory_each(repo, sbatch):
    """The batch script's PROCID of 0 is no rank, and each srun is a launch of its own."""
    repo.write("train.py", RANKS)
    said = sbatch(
        ["--ntasks=2"],
        f"FOOTSTEPS_NAME=alone {sys.executable} train.py",
        f"FOOTSTEPS_NAME=step srun {sys.executable} train.py",
        f"FOOTSTEPS_NAME=step srun {sys.executable} train.py",
    )
    assert made(repo) == {"alone": ["rank-0"], "step": ranks(2), "step-1": ranks(2)}, said
    assert record(repo, "alone")["process"]["rank"] is None


@pytest.mark.slurm
def test_the_ranks_of_a_step_on_two_nodes_share_one_directory(repo, slurm, tmp_path):
    """They know each other by the job's id alone, and meet below the output root."""
    wide = Launch(lambda count, _: ["srun", "-N", "2", "-n", str(count), sys.executable], tmp_path, slurm)
    for _ in range(2):
        wide(repo, RANKS, env={"FOOTSTEPS_NAME": "wide"})
    assert made(repo) == {"wide": ranks(4), "wide-1": ranks(4)}
    assert sorted(set(os.listdir(repo / "results")) - {".gitignore"}) == ["wide", "wide-1"]


@pytest.mark.slurm
def test_the_tasks_of_a_job_array_have_directories_of_their_own(repo, sbatch):
    """With one name, or none, for all of them."""
    repo.write("train.py", SAVE + "save('it')")
    said = sbatch(["--array=0-3"], f"{sys.executable} train.py", env={"FOOTSTEPS_NAME": "array"})
    assert made(repo) == {name: ["it"] for name in ("array", "array-1", "array-2", "array-3")}, said
    sbatch(["--array=0-1"], f"{sys.executable} train.py")
    assert {"train", "train-1"} < set(made(repo))


@pytest.mark.slurm
def test_a_job_records_which_slurm_job_it_is(repo, sbatch):
    """Where its log is, is found by that."""
    repo.write("train.py", SAVE + "save('it')")
    sbatch([], f"{sys.executable} train.py", env={"FOOTSTEPS_NAME": "logged"})
    job = record(repo, "logged")["environment"]["SLURM_JOB_ID"]
    assert (repo / f"said-{job}.txt").exists()


@pytest.mark.slurm
@pytest.mark.launcher
@pytest.mark.parametrize("launcher", [mpiexec, torchrun], ids=lambda prefix: prefix.__name__)
def test_other_launchers_inside_a_slurm_job_say_which_rank_it_is(repo, sbatch, tmp_path, launcher):
    """All their ranks inherit, or are given by mpiexec's own srun, a SLURM_PROCID of 0."""
    repo.write("train.py", RANKS)
    said = sbatch(["--ntasks=2"], " ".join([*launcher(2, tmp_path), "train.py"]), env={"FOOTSTEPS_NAME": "inside"})
    assert list(made(repo)) == ["inside"], said
    assert len(made(repo)["inside"]) == 2


SUBMITS = """
import footsteps, subprocess, submitit
def train(lr, optimizer="adam"):
    import footsteps
    return footsteps.output_dir
if __name__ == "__main__":
    footsteps.initialize("head")
    executor = submitit.AutoExecutor("jobs", cluster="slurm")
    executor.update_parameters(timeout_min=2, tasks_per_node=2)
    job = executor.submit(train, 0.1)
    while subprocess.run(["squeue", "--noheader", "--jobs", job.job_id], capture_output=True).stdout.strip():
        pass
"""


@pytest.mark.slurm
def test_a_job_that_submitit_gave_to_slurm_is_named_after_its_script_and_names_its_parent(repo, slurm):
    """Its tasks are ranks of one run, whose arguments are those of the function that was sent."""
    pytest.importorskip("submitit")
    repo.write("sub.py", SUBMITS)
    done = subprocess.run(
        [sys.executable, "sub.py"], cwd=repo, env=surroundings(slurm), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    row = record(repo, "sub")
    assert sorted(os.listdir(repo / "results")) == [".gitignore", "head", "sub"]
    assert (row["main"]["kind"], row["main"]["path"]) == ("worker", os.fspath(repo / "sub.py"))
    assert (row["parsed_argv"], row["parent"]["name"]) == ({"lr": 0.1, "optimizer": "adam"}, "head")
    assert (row["process"]["launcher"]["kind"], row["process"]["world_size"]) == ("slurm", 2)
