"""Which run a process belongs to.

A run belongs to one execution of one program, and to the process at its head.

- A worker is a process that was forked, or that multiprocessing's protocol started (pools, loky, dask), by a process of
  the program, or that the program's ray.init() started on this machine; the head is the process above all of them. A
  rank is a process with an agreed pair of variables (LAUNCHERS) whose launcher, the nearest process that was started
  without that number, is no shell and no script that a rank has started. A program that numbers itself (Lightning) is
  launcher and rank 0 of those that run its script.
- Workers and ranks join the run of the process that started them. Whoever comes first makes it in the name of the
  head: its name, command and outcome are the head's. Only the head, or rank 0, is asked for a name.
- Who gives another name has a run of its own, which names that of the process that started it as its parent.
- What can be started again is the main program: script, command and parsed arguments of each worker's run are its.
- finish() ends what this process is in; what it begins then is new, in a worker too.
- The module-level code of the program is another code object, or Hydra's job another one: the program is executed
  again. The run of the last execution is ended, and a new one begins. The same call with the same name gives the run
  that is there.
- Every other process has a run of its own, whose parent is the run of the program that started it.
"""

from __future__ import annotations

import os
import sys

from footsteps.recorder import ending, processes
from footsteps.recorder.format import as_name, collected, from_json, json_text, quote, sha256, shared, warn
from footsteps.recorder.processes import (
    environment_of,
    has_ended,
    head_of_worker,
    is_called,
    is_multiprocessing_child,
    join,
    may_share_a_run,
    parents_run,
    process_facts,
    program_of,
    script_of_process,
)
from footsteps.recorder.program import (
    is_library,
    main_program,
    program_name,
    start_argv,
    start_command,
    start_directory,
)
from footsteps.recorder.secrets import mask_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


# --- whose run --------------------------------------------------------------------------------------------------------


def meet_run(run: Any) -> None:
    """The run of this process: that of the process that started it, of its job, or one of its own.

    Sets: `job`; `worker`: whether this process is one; `of_head`: whether the run is the head's, which ends it;
    `above`: the handle of the run of the process that started this one; `others`: how many others are at work in it.
    """
    run.job, run.of_head, run.asked, run.others = None, False, run.name, int
    if (driver := processes.ray_driver()) is not None:  # with a working_dir, a worker's own folder is Ray's
        run.root = os.path.join(processes.folder_of(driver), run.root)
    run.worker = head_of_worker() is not None
    run.above = parents_run() if run.worker else None
    run.execution, run.hydra = ending.execution(), ending.hydra_job()
    run.over, run.again, run.site = (lambda name: over(run, name)), (lambda name: again(run, name)), caller()
    if run.above is not None and has_ended(run.above["directory"]):
        run.above = None
    if "run" in processes.forks:  # it was inherited, so it has been left
        processes.left.add(processes.forks["run"].id)
    left = run.above is not None and run.above["id"] in processes.left
    if run.worker and run.name is None and (left or run.hydra is not None):
        run.make()
    elif run.above is not None and not left and (run.name is None or is_called(run.above, run.name)):
        join(run, run.above, of_head=True)
    elif may_share_a_run():
        meet_others(run)
    else:
        run.make()


def over(run: Any, name: str | None) -> bool:
    """Whether the next use of footsteps (initialize with this name; None: output_dir) is no longer the run's.

    It never raises: it is called at each use.
    """
    try:
        job = ending.hydra_job() if run.hydra is not None else None
        if job is not None and job is not run.hydra:
            return True
        forked = run.process != os.getpid()
        if forked or run.worker:
            if name is not None and not is_called({"name": run.name}, name) and name != run.asked:
                return True
            return bool((forked or run.of_head) and has_ended(run.directory) and head_of_worker() is not None)
        now = ending.execution(run.execution)
        return now is not None and now is not run.execution
    except Exception:  # a main module that is no module, a job's configuration that was taken away
        return False


def again(run: Any, name: str | None) -> bool:
    """Whether initialize() is called as it was when the run began: then that is the run."""
    return bool(name == run.asked and (run.worker or caller() == run.site))


def leave_run(run: Any) -> None:
    """A worker has ended its run, or its part in one: what it begins next is new."""
    if run.worker and hasattr(run, "id"):
        processes.left.add(run.id)


def caller() -> str:
    """The line of the program that uses footsteps: "train.py:12"; a cell that runs again has the same."""
    ours = ("footsteps", getattr(getattr(shared(), "core", None), "__name__", ""))
    frame: Any = sys._getframe(1)  # noqa: SLF001
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        frame = frame.f_back
    file = frame.f_code.co_filename
    if file.startswith("<ipython-input-"):  # its number goes up, the hash of its text stays
        file = "<ipython-input-" + file.rpartition("-")[2]
    return f"{file}:{frame.f_lineno}"


# --- jobs -------------------------------------------------------------------------------------------------------------


class Job:
    """The launch that this process is a part of.

    Attributes:
        kind: torchrun, mpi, slurm or the like, or multiprocessing.
        key: the same in all its processes, and in no other launch.
        head: {pid, start} of the launcher on this machine.
        rank, size: ints; of a pool worker, its parent's; None where the launcher does not tell.
        worker_of: {pid, start} of the process whose worker this one is, else None.
        forked: whether it is a worker that was forked without multiprocessing.
        is_head: whether it is a process with workers, and none itself.
        asks: whether this process may ask for the name: a worker's stdin is nobody's.
        wrapped: a shell stands between the launcher and us, which may start one program after another.
        elastic: whether workers that ended may be started again.
        attempt: how often they have been, as text.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        head: Mapping[str, Any],
        rank: int,
        size: int | None,
        *,
        worker_of: Mapping[str, Any] | None,
    ) -> None:
        self.kind, self.key, self.head, self.rank, self.size, self.worker_of = kind, key, head, rank, size, worker_of
        self.asks = rank == 0 and worker_of is None
        self.is_head = kind == "multiprocessing" and worker_of is None
        self.forked = worker_of is not None and not (is_multiprocessing_child() or processes.ray_driver())
        self.nodes, self.wrapped = 1, False
        spent, most = (os.environ.get(f"TORCHELASTIC_{n}", "0") for n in ("RESTART_COUNT", "MAX_RESTARTS"))
        self.elastic = kind == "torchrun" and spent != most
        self.attempt = spent if kind == "torchrun" else "0"


_TORCH = ("MASTER_ADDR", "TORCHELASTIC_RUN_ID")
# kind; variables of the rank, of how many there are (none: not told), of those on this node, of a name that all nodes
# of a launch know and no other launch has; one of which must be there too
LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", _TORCH),
    ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE", ()),
    ("jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_SIZE", "PMIX_NAMESPACE", ()),
    ("flux", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", "", "FLUX_JOB_ID", ()),
    ("mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", "PALS_APID", ()),
    ("mpi", "PMIX_RANK", "", "", "PMIX_NAMESPACE", ("PMIX_NAMESPACE",)),
    ("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "", "SLURM_JOB_ID", ("SLURM_STEP_ID",)),
    ("submitit", "SUBMITIT_LOCAL_GLOBALID", "SUBMITIT_LOCAL_NTASKS", "", "SUBMITIT_LOCAL_JOB_ID", ()),
    ("ddp", "LOCAL_RANK", "WORLD_SIZE", "", "", ("MASTER_ADDR",)),
)  # fmt: skip
SHELLS = ("bash", "dash", "sh", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox")  # hand on what was exported


def current_job() -> Job | None:
    """The launch that this process is a rank (or a pool worker, or the head of pool workers) of."""
    head = head_of_worker()
    member = process_facts(head if head is not None else os.getpid())
    if member is None:
        return None
    for row in LAUNCHERS:
        job = _launched_job(row, member, head is not None)
        if job is not None:
            return job
    if head is not None or processes.has_workers():
        worker_of = member if head is not None else None
        return Job("multiprocessing", pool_key(member), member, 0, None, worker_of=worker_of)
    return None


def pool_key(member: Mapping[str, Any]) -> str:
    """Where the workers of a process meet."""
    return f"pool-{member['pid']}-{member['start']}"


def _launched_job(
    row: tuple[str, str, str, str, str, tuple[str, ...]], member: Mapping[str, Any], worker: bool
) -> Job | None:
    """The job of such a launcher, if one started ``member`` (us, or whose worker we are) and more than one rank."""
    kind, rank, size, local, name, needed = row
    environment = os.environ
    count = environment.get(size) if size else None
    if not _is_digits(environment.get(rank)) or (size and not _is_digits(count)) or count == "1":
        return None
    if needed and not any(one in environment for one in needed):
        return None
    if kind == "ddp" and "RANK" in environment:
        return None
    if worker and environment_of(member["pid"]).get(rank) != environment[rank]:
        return None  # torch.multiprocessing's programs number their workers so
    launcher, wrapped = _launcher(rank, member, kind == "ddp")
    if launcher is None:
        return None
    nodes = _nodes(kind, environment.get(local), count)
    key = _unique_job_id(kind, name) if nodes > 1 else None
    if key is None:
        key = f"{kind}-{launcher['pid']}-{launcher['start']}"
        if nodes > 1:
            warn("ranks on other nodes can't be found without a job id: each node has a directory of its own")
            nodes = 1
    if wrapped:  # its programs are told by their scripts, and those of one script by Rendezvous.number
        key += "-" + sha256(os.fsencode(os.path.abspath(sys.argv[0])))[:8]
    worker_of = member if worker else None
    job = Job(kind, key, launcher, int(environment[rank]), int(count) if count else None, worker_of=worker_of)
    job.nodes, job.wrapped = nodes, wrapped
    return job


def _is_digits(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()


def _launcher(rank: str, member: Mapping[str, Any], itself: bool) -> tuple[dict[str, Any] | None, bool]:
    """(the process that gave ``member`` its rank, whether a shell stands between); None if there is none.

    It is the first above it that was started without that rank, or, of a program that numbers itself, this very one. A
    Python between them is a rank itself, which has started ``member`` as a program of its own.
    """
    wrapped = False
    facts: dict[str, Any] | None = dict(member) if itself else process_facts(member["parent"])
    while facts is not None and facts["pid"] > 1:
        if environment_of(facts["pid"]).get(rank) != os.environ[rank]:
            other = itself and script_of_process(facts["pid"]) != script_of_process(member["pid"])
            return (None if other or program_of(facts["pid"]) in SHELLS else facts), wrapped
        program = program_of(facts["pid"]) or facts["name"]
        if program.startswith(("python", "pypy")) and facts["pid"] != member["pid"]:
            return None, wrapped
        wrapped, facts = facts["pid"] != member["pid"], process_facts(facts["parent"])
    return None, wrapped


def _nodes(kind: str, local: str | None, size: str | None) -> int:
    if kind == "slurm":
        return int(os.environ.get("SLURM_STEP_NUM_NODES") or os.environ.get("SLURM_NNODES") or 1)
    if kind == "flux":
        return int(os.environ.get("FLUX_JOB_NNODES") or 1)
    return 2 if _is_digits(local) and local != size else 1


def _unique_job_id(kind: str, name: str) -> str | None:
    """A name that all nodes of a launch know, and no other launch has."""
    environment = os.environ
    if environment.get("SLURM_JOB_ID") and environment.get("SLURM_STEP_ID"):
        parts = [environment[n] for n in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
        return as_name("slurm-" + "-".join([*parts, environment.get("SLURM_RESTART_COUNT", "0")]))
    said = environment.get(name, "")
    return as_name(f"{kind}-{said}") if said not in ("none", "") else None


def meet_others(run: Any) -> None:
    """The run of this process's job: made by the first that may, joined by all others."""
    run.job = job = current_job()
    if job is None:
        run.make()
        return
    handle = processes.handle_of(job.head["pid"]) if job.kind == "ddp" else None
    if handle is not None and (run.name is None or is_called(handle, run.name)):  # begun before it had started us
        join(run, handle, of_head=False)
        return
    from footsteps.recorder.rendezvous import Rendezvous

    try:
        rendezvous = Rendezvous(job, run.root)
    except OSError as error:
        warn(f"the processes of this job can't meet ({error}); this one has a directory of its own")
        if not job.asks:  # its stdin is nobody's: mpiexec leaves it open and silent
            run.name = run.name or os.environ.get("FOOTSTEPS_NAME") or run.default_name()
        run.make()
        return
    rendezvous.settle(run)


def is_head_ending_it(run: Any) -> bool:
    """Whether this process writes how the run ended: who made it for itself, or whose workers have made it."""
    if run.made_here:
        return not run.of_head
    return run.of_head and not run.worker and run.job is not None and run.job.is_head


# --- the program at the head of workers -------------------------------------------------------------------------------

# It can be started again, which the command that starts a worker can not. So what a run says of its program is, in a
# worker that was started anew, said of its head, which tells it to each process that multiprocessing or loky starts for
# it (processes.FactsOfHead). Of one that has not imported footsteps, and of Ray's driver, its command line is read. A
# worker that was forked is the program itself.


def _main() -> dict[str, Any]:
    """What runs, its arguments without secrets."""
    main = main_program()
    return {**main, "words": mask_arguments(main["words"])} if "words" in main else main


def _given_arguments() -> dict[str, Any]:
    from footsteps.recorder.values import given_arguments

    return given_arguments()


# A fact of run.json about the program, and the function that collects it in the program's own process.
PROGRAM_FACTS: dict[str, Callable[[], Any]] = {
    "argv": lambda: mask_arguments(start_argv()),
    "orig_argv": lambda: mask_arguments(sys.orig_argv),
    "masked": lambda: mask_arguments(sys.orig_argv) != list(sys.orig_argv),
    "command": lambda: quote(mask_arguments(start_command())),
    "main": _main,
    "cwd": start_directory,
    "parsed_argv": _given_arguments,
}


def program_fact(name: str) -> Any:
    """A fact of PROGRAM_FACTS: this process's own, or in a worker its head's as far as that is known."""
    known = _facts_of_head()
    return known[name] if name in known else PROGRAM_FACTS[name]()


def facts_for_workers() -> dict[str, Any]:
    """What workers are told: this process's PROGRAM_FACTS and arguments, the run's name if nobody gives one."""
    from footsteps.recorder import arguments

    told = {"name": program_name, "arguments": arguments.told, "argument_facts": arguments.facts_told}
    ways = {**PROGRAM_FACTS, **told}
    facts = {name: collected(name, function, []) for name, function in ways.items()}
    said = from_json(json_text({name: value for name, value in facts.items() if value is not None}))
    return dict(said)  # which can be pickled, whatever a parser has made of its words


def default_name() -> str:
    """What the run is called when nobody gives a name: after the program, in a worker after that of its head."""
    told, main = processes.told_by_head().get("name"), _facts_of_head().get("main")
    if told or not main:
        return told or program_name()
    folder, stem = os.path.split(os.path.splitext(main["path"])[0])
    return as_name(os.path.basename(folder) if stem == "__main__" else stem)


def _facts_of_head() -> dict[str, Any]:
    """Those of PROGRAM_FACTS that are known of this worker's head; {} in a fork, and in a process that is no worker."""
    if (head := head_of_worker()) is None:
        return {}
    if told := processes.told_by_head():
        return told
    asked = os.getpid(), head
    if asked not in _read_of_heads:
        _read_of_heads[asked] = _facts_of_process(head) if processes.is_started_anew() else {}
    return _read_of_heads[asked]


_read_of_heads: dict[tuple[int, int], dict[str, Any]] = {}  # a worker and its head: asked for each fact, always alike


def _facts_of_process(pid: int) -> dict[str, Any]:
    """Those that the command line of a process tells; workers of multiprocessing and loky have its sys.argv, too."""
    command = processes.command_of(pid)
    if not command:
        return {}
    facts: dict[str, Any] = {"orig_argv": mask_arguments(command), "masked": mask_arguments(command) != command}
    said = script_of_process(pid) or ""
    argv = _words_from(said, command, pid) if processes.ray_driver() is not None else start_argv()
    path = said if os.path.isfile(said) else os.path.abspath(argv[0]) if argv else ""
    if os.path.isfile(path) and not is_library(path):
        facts["main"] = _row_of_file(path, said)
        facts.update(_facts_of_words(argv, pid))
    return facts


def _row_of_file(path: str, said: str) -> dict[str, Any]:
    """The row of a program's file; said: the script, or the module (a tool's, too) that the Python was started with."""
    is_module = said.rpartition(".")[2] == os.path.splitext(os.path.basename(path))[0]
    is_module |= said != path and os.path.basename(path) == "__main__.py"
    return {"kind": "module" if is_module else "script", "path": path, "module": said if is_module else None}


def _words_from(script: str, command: list[str], pid: int) -> list[str]:
    """The words of the command of a process from its script on: what its sys.argv is."""
    at = next((n for n, word in enumerate(command) if n and script in processes.paths_of_word(pid, word)), None)
    return command[at:] if at else []


def _facts_of_words(argv: list[str], pid: int) -> dict[str, Any]:
    """What sys.argv tells; of Ray's driver also its working directory, as a worker has another one."""
    from footsteps.recorder.values import arguments_of

    words = mask_arguments(argv)
    place = {"cwd": processes.folder_of(pid)} if processes.ray_driver() is not None else {}
    return {"argv": words, "command": quote(words), "parsed_argv": arguments_of(words), **place}
