"""Where the processes of one job agree on a directory: a folder with a lock in it.

Imported only where a process may be one of several; who they are is told by ranks.py.
"""

from __future__ import annotations

import atexit
import os
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
    sha256,
    text_of,
    warn,
)
from footsteps.recorder.machine import user_name
from footsteps.recorder.processes import (
    can_be_asked,
    handle_lines,
    has_ended,
    is_called,
    is_running,
    join,
    left,
    process_facts,
    read_handle,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from footsteps.recorder.ranks import Job

START_WAIT = 5.0  # seconds in which rank 0 may announce that it is going to ask for the name


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
                with self.locked():
                    if os.path.exists(self.here):
                        return
            except FileNotFoundError:
                continue
        raise FileNotFoundError(2, "the folder of the meeting does not stay", self.folder)

    def locked(self) -> Locked:
        """The lock under which one comes or goes; the other one is held while a question is asked."""
        return Locked(os.path.join(self.folder, "door"))

    def number(self) -> str:
        """Which of the job's runs it is: a shell may start the script again, finish() ends one run before another."""
        names, job = os.listdir(self.folder), self.job
        before = [n for n in names if n.startswith(f"came-{job.attempt}-{job.rank}-") and n != self.came]
        ended = sum(name.startswith(f"ended-{self.member}-") for name in names)
        return f"{len(before) if job.wrapped else 0}-{ended}"

    def settle(self, run: Any) -> None:
        """Make the run that this process belongs to here, or join it.

        Raises:
            FootstepsError: the process that was asking for the name has ended without one.
        """
        number = self.number()
        self.made = os.path.join(self.folder, f"made-{number}")
        own = f"{self.made}-{sha256(run.name.encode('utf-8', 'surrogateescape'))[:16]}" if run.name else ""
        made = self.made_in(self.made)
        leads = self.job.asks and (made is None or is_called(made, run.name or ""))
        run.above = run.above or (made if self.job.worker_of else None)
        if run.name is not None and not leads:
            self.make_or_join_named(run, own)
        else:
            self.make_or_join(run, own)
        run.endings.append(lambda: self.note_end(number))
        run.others = self.others

    def others(self) -> int:
        """How many other processes of the job are at work."""
        try:
            marks = [
                name for name in os.listdir(self.folder) if name.startswith("here-") and name != f"here-{self.own}"
            ]
        except OSError:  # the last one has taken it away
            return 0
        return sum(map(self.may_live, marks))

    def note_end(self, number: str) -> None:
        """Leave a mark, so that what this process and its workers begin next is another run."""
        try:
            append(os.path.join(self.folder, f"ended-{self.own}-{number}"), b"")
        except OSError:
            pass  # at the end of the program the others may have taken the folder away

    def made_in(self, slot: str) -> dict[str, Any] | None:
        """The handle of the run that was made; for workers, whose tasks end at their own pace, if it goes on."""
        made = read_handle(text_of(slot))
        return None if made is not None and self.job.worker_of and has_ended(made["directory"]) else made

    def make_or_join_named(self, run: Any, own: str) -> None:
        """A run of a name of its own: that of the head if it is called so, of others that say the same name, or new.

        Forked children without multiprocessing share no run that the head has not.
        """
        with Locked(os.path.join(self.folder, "lock")):
            slots = (self.made,) if self.job.forked else (self.made, own)
            for made in filter(None, map(self.made_in, slots)):
                if is_called(made, run.name) and made["id"] not in left:
                    join(run, made, of_head=False)
                    return
            run.make()
            self.publish(run, own)

    def make_or_join(self, run: Any, own: str) -> None:
        """The run of the head, or of all ranks: made by whoever comes first, in the head's name."""
        named = run.name is not None or bool(os.environ.get(NAME_VARIABLE))
        if not named and not self.job.asks and can_be_asked(self.job.worker_of):
            self.wait_for_word()
        if not named and self.job.asks:
            append(os.path.join(self.folder, f"asking-{self.own}"), b"")
        while True:
            with Locked(os.path.join(self.folder, "lock")):
                made = self.made_in(self.made) or (self.made_in(own) if own else None)
                if made is not None and made["id"] in left:  # by finish()
                    run.make()
                    return
                if made is not None:
                    join(run, made, of_head=os.path.exists(self.made))
                    self.publish(run, self.made)
                    return
                if named or self.job.asks or not self.askers():
                    run.of_head = self.job.worker_of is not None
                    if not named and not self.job.asks:
                        self.name_by_default(run)
                    run.make()
                    self.publish(run, self.made)
                    return
            self.wait_for_asker()

    def name_by_default(self, run: Any) -> None:
        """Nobody has given a name, and this process can't be asked."""
        run.name = run.default_name()
        who = "rank 0" if self.job.size else "the main process"
        warn(f"{who} gave no name; taking {run.name!r} (or set {NAME_VARIABLE})")

    def publish(self, run: Any, slot: str) -> None:
        """Let the others know the directory: complete, or not at all."""
        if os.path.exists(slot) and self.made_in(slot) is not None:
            return
        part = f"{slot}.{os.getpid()}"
        lines = (str(os.getpid()), run.directory, run.shown, run.cwd, *handle_lines(run.id, run.name, run.maker))
        append(part, encoded("\n".join(lines)))
        os.replace(part, slot)
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
        if self.job.is_head:
            end_of_workers(self.folder)
        try:
            with self.locked():
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


def end_of_workers(folder: str) -> None:
    """At the end of the head: how the runs ended that its workers have made and have not told of."""
    from footsteps.recorder.outcome import end_of_another

    for path in paths_in(folder):
        name = os.path.basename(path)
        made = read_handle(text_of(path)) if name.startswith("made-") and "." not in name else None
        if made is None or has_ended(made["directory"]):
            continue
        if name.count("-") == 2:  # made in the head's name
            end_of_another(made, known=True)
        elif process_facts(made["maker"]) is None:  # a worker that a pool has put an end to
            end_of_another(made, known=False)


def end_of_head(key: str) -> None:
    """At the end of a program that has not asked for its run: its workers may have made it."""
    folder = os.path.join(_private_folder(), key)
    if os.path.isdir(folder):
        end_of_workers(folder)
        remove(folder)
        try:
            os.rmdir(os.path.dirname(folder))
        except OSError:
            pass  # others meet there


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
            if len(parts) >= 3 and "".join(parts[1:3]).isdigit() and place == _private_folder():
                stale = not is_running(int(parts[1]), int(parts[2]))
            else:
                stale = time.time() - os.stat(folder).st_mtime > 30 * 86400
            if stale:
                remove(folder)
        except (OSError, ValueError):
            continue
