"""Which run a process belongs to: workers and ranks of one launch, and how they agree on a directory.

Imported only where a process may be one of several.
"""

from __future__ import annotations

import atexit
import os
import sys
import time

from footsteps.recorder.format import (
    NAME_VARIABLE,
    FootstepsError,
    Locked,
    append,
    as_name,
    encoded,
    paths_in,
    remove,
    say,
    sha256,
    text_of,
)
from footsteps.recorder.machine import user_name
from footsteps.recorder.processes import (
    environment_of,
    handle_lines,
    is_multiprocessing_child,
    is_running,
    join,
    multiprocessing_parents,
    process_facts,
    program_of,
    read_handle,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


START_WAIT = 5.0  # seconds in which rank 0 may announce that it is going to ask for the name


class Job:
    """The launch that this process is a part of.

    Attributes:
        kind: torchrun, mpi, slurm or multiprocessing.
        key: the same in all its processes, and in no other launch.
        head: {pid, start} of the launcher on this machine.
        rank, size: ints; of a pool worker, its parent's; a pool without a launcher has no size.
        worker_of: {pid, start} of the process whose pool worker this one is, else None.
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
        self.nodes, self.wrapped = 1, False
        spent, most = (os.environ.get(f"TORCHELASTIC_{n}", "0") for n in ("RESTART_COUNT", "MAX_RESTARTS"))
        self.elastic = kind == "torchrun" and spent != most
        self.attempt = spent if kind == "torchrun" else "0"


# kind, variable of the rank, of the size, of the ranks on this node, programs that launch it
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", ("python", "pypy", "torchrun", "accelerate")),
    ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", ("mpi", "orte", "prte")),
    ("mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", ("hydra", "mpi", "slurmstepd")),
    ("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", ("slurmstepd",)),
)  # fmt: skip


def current_job() -> Job | None:
    """The launch that this process is a rank (or a pool worker, or the head of pool workers) of."""
    worker = is_multiprocessing_child()
    member = process_facts(multiprocessing_parents()[-1] if worker else os.getpid())
    if member is None:
        return None
    for row in _LAUNCHERS:
        job = _launched_job(row, member, worker)
        if job is not None:
            return job
    if worker or _has_pool():
        key = f"pool-{member['pid']}-{member['start']}"
        return Job("multiprocessing", key, member, 0, None, worker_of=member if worker else None)
    return None


def _has_pool() -> bool:
    """Whether this process has started workers, which may have come to output_dir before it."""
    module = sys.modules.get("multiprocessing.process")
    # _children forgets those that have ended, the counter of names does not
    counter = repr(getattr(module, "_process_counter", "count(1)")).strip("'")
    return counter != "count(1)" or "joblib.externals.loky" in sys.modules


def _launched_job(
    row: tuple[str, str, str, str, tuple[str, ...]], member: Mapping[str, Any], worker: bool
) -> Job | None:
    """The job of such a launcher, if one started ``member`` (us, or whose worker we are) and more than one rank."""
    kind, rank, size, local, programs = row
    environment = os.environ
    if not _is_number(environment.get(rank)) or not _is_number(environment.get(size)) or environment[size] == "1":
        return None
    if kind == "torchrun" and "TORCHELASTIC_RUN_ID" not in environment:
        return None
    if kind == "slurm" and "SLURM_STEP_ID" not in environment:
        return None  # the batch script itself: its PROCID is no rank
    if worker and environment_of(member["pid"]).get(rank) != environment[rank]:
        return None  # torch.multiprocessing's programs number their workers so
    launcher, wrapped = _launcher(rank, programs, member["parent"])
    if launcher is None:
        return None
    nodes = _nodes(kind, environment.get(local), environment[size])
    key = _unique_job_id(kind) if nodes > 1 else None
    if key is None:
        key = f"{kind}-{launcher['pid']}-{launcher['start']}"
        if nodes > 1:
            say("ranks on other nodes can't be found without a job id: each node has a directory of its own")
            nodes = 1
    if wrapped:  # its programs are told by their scripts, and those of one script by Rendezvous.number
        key += "-" + sha256(os.fsencode(os.path.abspath(sys.argv[0])))[:8]
    worker_of = member if worker else None
    job = Job(kind, key, launcher, int(environment[rank]), int(environment[size]), worker_of=worker_of)
    job.nodes, job.wrapped = nodes, wrapped
    return job


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()


def _launcher(rank: str, programs: tuple[str, ...], parent: int) -> tuple[dict[str, Any] | None, bool]:
    """(the process that gave a child of ``parent`` its rank, whether a shell stands between); None if there is none.

    It is the first above it without that rank in its environment. A Python between them is a rank
    itself, which has started it as a program of its own.
    """
    wrapped, facts = False, process_facts(parent)
    while facts is not None and facts["pid"] > 1:
        program = program_of(facts["pid"]) or facts["name"]
        if environment_of(facts["pid"]).get(rank) != os.environ[rank]:
            return facts if _is_one_of(facts, program, programs) else None, wrapped
        if program.startswith(("python", "pypy")):
            return None, wrapped
        wrapped, facts = True, process_facts(facts["parent"])
    return None, wrapped


def _is_one_of(facts: Mapping[str, Any], program: str, names: tuple[str, ...]) -> bool:
    return program.startswith(names) or facts["name"].startswith(names)


def _nodes(kind: str, local: str | None, size: str) -> int:
    if kind == "slurm":
        return int(os.environ.get("SLURM_STEP_NUM_NODES") or os.environ.get("SLURM_NNODES") or 1)
    return 2 if _is_number(local) and local != size else 1


def _unique_job_id(kind: str) -> str | None:
    """A name that all nodes of a launch know, and no other launch has."""
    environment = os.environ
    if environment.get("SLURM_JOB_ID") and environment.get("SLURM_STEP_ID"):
        parts = [environment[n] for n in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
        return as_name("slurm-" + "-".join([*parts, environment.get("SLURM_RESTART_COUNT", "0")]))
    torch = environment.get("TORCHELASTIC_RUN_ID", "none")
    if kind == "torchrun" and torch not in ("none", ""):
        return as_name(f"torchrun-{torch}")
    if kind == "mpi" and environment.get("PMIX_NAMESPACE"):
        return as_name(f"pmix-{environment['PMIX_NAMESPACE']}")
    return None


def meet_others(run: Any) -> None:
    """The run of this process's job: made by the first that may, joined by all others."""
    run.job = job = current_job()
    if job is None:
        run.make()
        return
    try:
        rendezvous = Rendezvous(job, run.root)
    except OSError as error:
        say(f"the processes of this job can't meet ({error}); this one has a directory of its own")
        if not job.asks:  # its stdin is nobody's: mpiexec leaves it open and silent
            run.name = run.name or os.environ.get(NAME_VARIABLE) or run.default_name()
        run.make()
        return
    rendezvous.settle(run)


class Rendezvous:
    """Where the processes of one job agree on a directory: a folder with a lock in it."""

    def __init__(self, job: Job, root: str) -> None:
        self.job = job
        place = os.path.join(root, ".footsteps-meetings") if job.nodes > 1 else _private_folder()
        os.makedirs(place, mode=0o700, exist_ok=True)
        _sweep_meetings(place)
        self.place, self.folder = place, os.path.join(place, job.key)
        start = (process_facts(os.getpid()) or {"start": 0})["start"]
        self.own = f"{os.getpid()}-{start}"
        self.here = os.path.join(self.folder, f"here-{self.own}")
        self.member = f"{job.worker_of['pid']}-{job.worker_of['start']}" if job.worker_of else self.own
        self.came = f"came-{job.attempt}-{job.rank}-{self.member}"
        self.join_in()
        atexit.register(self.leave, os.getpid())

    def join_in(self) -> None:
        """Leave our marks, also if another one takes the folder away in this moment."""
        for _ in range(1000):
            try:
                os.makedirs(self.place, mode=0o700, exist_ok=True)
                os.makedirs(self.folder, exist_ok=True)
                append(self.here, b"")
                if not self.job.worker_of:
                    append(os.path.join(self.folder, self.came), b"")
                with self.door():
                    if os.path.exists(self.here):
                        return
            except FileNotFoundError:
                continue
        raise FileNotFoundError(2, "the folder of the meeting does not stay", self.folder)

    def door(self) -> Locked:
        """The lock under which one comes or goes; the other one is held while a question is asked."""
        return Locked(os.path.join(self.folder, "door"))

    def number(self) -> str:
        """Which of the job's runs it is: a shell may start the script again, finish() ends one run before another."""
        names, job = os.listdir(self.folder), self.job
        before = [n for n in names if n.startswith(f"came-{job.attempt}-{job.rank}-") and n != self.came]
        ended = sum(name.startswith(f"ended-{self.member}-") for name in names)
        return f"{len(before) if job.wrapped else 0}-{ended}"

    def settle(self, run: Any) -> None:
        """Make the job's run here, or join it.

        Raises:
            FootstepsError: the process that was asking for the name has ended without one.
        """
        number = self.number()
        self.made = os.path.join(self.folder, f"made-{number}")
        self.make_or_join(run)
        run.endings.append(lambda: self.note_end(number))

    def note_end(self, number: str) -> None:
        """Leave a mark, so that what this process and its workers begin next is another run."""
        try:
            append(os.path.join(self.folder, f"ended-{self.own}-{number}"), b"")
        except OSError:
            pass  # at the end of the program the others may have taken the folder away

    def make_or_join(self, run: Any) -> None:
        """The run of this number."""
        named = run.name is not None or bool(os.environ.get(NAME_VARIABLE))
        if not named and not self.job.asks:
            self.wait_for_word()
        if not named and self.job.asks:
            append(os.path.join(self.folder, f"asking-{self.own}"), b"")
        while True:
            with Locked(os.path.join(self.folder, "lock")):
                made = read_handle(text_of(self.made))
                if made is not None:
                    join(run, made)
                    return
                if named or self.job.asks or not self.askers():
                    if not named and not self.job.asks:
                        run.name = run.default_name()
                        who = "rank 0" if self.job.size else "the main process"
                        say(f"{who} gave no name in {START_WAIT:g} s; taking {run.name!r} (or set {NAME_VARIABLE})")
                    run.make()
                    self.publish(run)
                    return
            self.wait_for_asker()

    def publish(self, run: Any) -> None:
        """Let the others know the directory: complete, or not at all."""
        part = f"{self.made}.{os.getpid()}"
        lines = (str(os.getpid()), run.directory, run.shown, run.cwd, *handle_lines(run.id, run.name, run.maker))
        append(part, encoded("\n".join(lines)))
        os.replace(part, self.made)
        if self.own in self.askers():  # the next run is another question
            os.unlink(os.path.join(self.folder, f"asking-{self.own}"))

    def wait_for_word(self) -> None:
        """Until rank 0 says that it asks, or a run is made, or START_WAIT is over."""
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until and not self.askers() and not os.path.exists(self.made):
            time.sleep(0.02)

    def askers(self) -> list[str]:
        """Processes (pid-start) that have said that they ask for the name."""
        return [n[len("asking-") :] for n in os.listdir(self.folder) if n.startswith("asking-")]

    def wait_for_asker(self) -> None:
        """As long as the one that asks lives."""
        marks = [f"here-{asker}" for asker in self.askers()]
        alive = any(os.path.exists(os.path.join(self.folder, mark)) and self.may_live(mark) for mark in marks)
        if marks and not alive and not os.path.exists(self.made):
            raise FootstepsError(
                "the process that was asking for the experiment's name has ended without one",
                f"{NAME_VARIABLE}=<name> in front of the command gives it without a question",
            )
        time.sleep(0.05)

    def leave(self, pid: int) -> None:
        """Take this process's mark away, and the meeting if nobody can come any more."""
        if os.getpid() != pid:
            return
        gone = f"{self.folder}-gone-{pid}"
        try:
            with self.door():
                os.unlink(self.here)
                names = os.listdir(self.folder)
                alone = not any(n.startswith("here-") and self.may_live(n) for n in names)
                if alone and self.all_came(names) and not self.job.elastic:
                    os.rename(self.folder, gone)  # at once: whoever comes now finds all of it or nothing
            remove(gone)
            os.rmdir(self.place)
        except OSError:
            pass  # another one is leaving too; what stays is swept by the next job

    def may_live(self, mark: str) -> bool:
        """Whether the process of a here-pid-start is at work; one of another node, until it has left."""
        return self.job.nodes > 1 or is_running(*map(int, mark.split("-")[1:]))

    def all_came(self, names: Iterable[str]) -> bool:
        """Whether every rank has come, and, where a shell starts the script again, as often as the others."""
        if self.job.worker_of or not self.job.size:
            return not self.job.worker_of
        ranks = [name.split("-")[2] for name in names if name.startswith(f"came-{self.job.attempt}-")]
        return {ranks.count(rank) for rank in set(ranks)} == {len(ranks) // self.job.size}


def _private_folder() -> str:
    """A folder of this user's in the temporary directory; nobody else can have laid it there."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else as_name(user_name() or "user")
    folder = os.path.join(tempfile.gettempdir(), f"footsteps-{user}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        found = os.lstat(folder)
        if found.st_uid != os.getuid() or (found.st_mode & 0o170077) != 0o040000:
            raise OSError(f"{folder} is not this user's alone")
    return folder


def _sweep_meetings(place: str) -> None:
    """Remove what jobs have left whose launcher is gone (below a root: what is a month old)."""
    for folder in paths_in(place):
        parts = os.path.basename(folder).split("-")
        try:
            if len(parts) >= 3 and parts[0] in ("pool", "mpi", "slurm", "torchrun") and place == _private_folder():
                stale = not is_running(int(parts[1]), int(parts[2]))
            else:
                stale = time.time() - os.stat(folder).st_mtime > 30 * 86400
            if stale:
                remove(folder)
        except (OSError, ValueError):
            continue
