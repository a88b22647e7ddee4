"""How a program ends: by an exception, with which exit status.

Python tells nobody of the status of a SystemExit. It is known where sys.exit was called, which is followed from the
import on; else the instruction at which the program's module-level code was left may tell it: `raise SystemExit(3)`,
`exit(3)`, `sys.exit(main())` where main ended by returning a constant or a variable. What is not known is unknown.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_UNKNOWN = object()


# --- frames -----------------------------------------------------------------------------------------------------------


def main_thread() -> int:
    """The main thread's id."""
    threading = sys.modules.get("threading")  # never imported, there is no thread but this one
    return int(threading.main_thread().ident or 0) if threading is not None else get_ident()


def frames_of_main_thread() -> list[FrameType]:
    """Its frames, the innermost first."""
    frame, found = sys._current_frames().get(main_thread()), []  # noqa: SLF001
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def is_program(frame: FrameType, main: dict[str, Any]) -> bool:
    """Whether it is the module-level code of the file that runs as ``__main__``; no cell of a notebook, no tool.

    Args:
        frame: any.
        main: the names of the module ``__main__``, which a tool that runs a script replaces or fills.
    """
    code, file = frame.f_code, main.get("__file__")
    if code.co_name != "<module>" or frame.f_globals is not main or not isinstance(file, str):
        return False
    return os.path.basename(code.co_filename) == os.path.basename(file)


def execution(of: CodeType | None = None) -> CodeType | None:
    """The module-level code object of the program that calls us; None in cells, other threads and exit handlers.

    Each execution of a file has a code object of its own. A program that another one executes is the program, unless
    the outer one is `of`.
    """
    module, found = sys.modules.get("__main__"), None
    main, frame = vars(module) if module is not None else {}, sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        if frame.f_code is of:
            return of
        if found is None and is_program(frame, main):
            found = frame.f_code
        frame = frame.f_back  # type: ignore[assignment]
    return found


def is_another(now: Any, before: Any) -> bool:
    """Whether it is known that something else goes on now than before."""
    return now is not None and before is not None and now is not before


# --- the end ----------------------------------------------------------------------------------------------------------


class Ending:
    """What is followed of a program so that its end can be told.

    Attributes:
        main: the frame of the program's module-level code, else the outermost one; it holds nothing more than the
            program does.
        inner: the frame that it had called, if that is the argument of a call: `sys.exit(main())`.
        exit: at the last sys.exit: where main was, the status, what had failed.
        job: what Hydra will tell of the job of a multirun that runs now, else None.
        of_cells: whether no file is the program: a notebook's cells, if IPython is there.
    """

    def __init__(self) -> None:
        frames = frames_of_main_thread()
        names = vars(sys.modules["__main__"]) if "__main__" in sys.modules else {}
        at = next((n for n, frame in enumerate(frames) if is_program(frame, names)), len(frames) - 1)
        self.main = frames[at] if frames else None
        self.of_cells = bool(frames) and not is_program(frames[at], names)
        self.called_at = self.main.f_lasti if self.main is not None else -1
        self.inner = frames[at - 1] if at > 0 and self.is_argument() else None
        self.exit: tuple[int, Any, int] | None = None
        self.job = hydra_job_return(frames)

    def is_argument(self) -> bool:
        """Whether what main calls now is handed to another call: only then the call's frame is kept."""
        code: bytes = self.main.f_code.co_code  # type: ignore[union-attr]
        at = self.called_at + 2 * bool(code[self.called_at])  # Python 3.11 and later: it stands at the call's cache
        return pairs(code[at:])[:1] in [[after_inner_call(one)] for one in (_PLAIN, _METHOD)]

    def exiting(self, status: Any) -> None:
        """Note a sys.exit: main's, or that of an excepthook, which is called once `last_value` is set."""
        if self.main is not None and get_ident() == main_thread():
            self.exit = (self.main.f_lasti, status, id(getattr(sys, "last_value", None)))

    def is_running(self) -> bool:
        """Whether the program's code, or its job of a Hydra multirun, has not come to its end."""
        if job_status(self.job) is not None:
            return False
        return self.main is None or any(frame is self.main for frame in frames_of_main_thread())

    def status(self) -> tuple[str, int | None, BaseException | None]:
        """How the program ended, once it runs no longer, as `status_of_exception`; or ("unknown", None, None)."""
        main, of_job = self.main, job_status(self.job)
        if of_job is not None:
            return of_job
        if self.of_cells and (raised := raised_by_last_cell()) is not None:
            return status_of_exception(raised)
        if main is None or returned(main):
            return status_of_exception(None)
        error = getattr(sys, "last_value", None)
        if error is not None and is_in(main, error):
            status, number, _ = status_of_exception(error)
            if self.exit is not None and self.exit[2] == id(error):  # the excepthook has chosen another status
                number = exit_number(self.exit[1])
            return status, number, error
        # Python tells nobody of a SystemExit: what else ends a program leaves its last_value.
        if self.exit is not None and self.exit[0] == main.f_lasti:
            return status_of_number(exit_number(self.exit[1]))
        value = self.value_at_end()
        return ("unknown", None, None) if value is _UNKNOWN else status_of_number(exit_number(value))

    def value_at_end(self) -> Any:
        """What main has given to SystemExit or exit where it was left, as far as its code tells."""
        main: Any = self.main
        rows = instructions(main.f_code)
        at = index_of(rows, main.f_lasti)
        at -= rows[at][1] == "RAISE_VARARGS"
        name, before = rows[at][1], rows[max(0, at - 6) : at]
        if not name.startswith("CALL") or not any(row[2] in ("exit", "quit", "SystemExit") for row in before):
            return None if name.startswith("LOAD") and rows[at][2] == "SystemExit" else _UNKNOWN
        if before[-1][2] in ("exit", "quit", "SystemExit"):
            return None
        if before[-1][1].startswith("CALL"):
            called = self.inner is not None and index_of(rows, self.called_at) == at - 1
            return returned_value(self.inner) if called else _UNKNOWN
        return loaded_value(before[-1], main)


_PLAIN, _METHOD = ((lambda f: f(f())).__code__.co_code, (lambda f: f.f(f())).__code__.co_code)


def pairs(code: bytes) -> list[bytes]:
    """The instructions of bytecode, without caches; dis would cost 5 ms."""
    return [code[n : n + 2] for n in range(0, len(code), 2) if code[n]]


def after_inner_call(code: bytes) -> bytes:
    """The instruction that follows the inner of two calls in each other, which end this code."""
    *_, before, call, _ = pairs(code)
    return before if before[1] == 1 else call  # Python 3.11 prepares a call by an instruction of its own


def instructions(code: CodeType) -> list[tuple[int, str, Any]]:
    """(offset, name, argument) of what does something."""
    import dis

    silent = ("CACHE", "PRECALL", "PUSH_NULL", "NOP", "RESUME", "EXTENDED_ARG", "KW_NAMES", "NOT_TAKEN")
    return [(i.offset, i.opname, i.argval) for i in dis.get_instructions(code) if i.opname not in silent]


def index_of(rows: list[tuple[int, str, Any]], offset: int) -> int:
    """Which instruction is there, or has its cache there."""
    return max(n for n, row in enumerate(rows) if row[0] <= offset)


def loaded_value(row: tuple[int, str, Any], frame: FrameType) -> Any:
    """What an instruction has loaded: a constant, or a variable that has not changed since."""
    _, name, argument = row
    if name.startswith(("LOAD_CONST", "LOAD_SMALL_INT", "RETURN_CONST")):
        return argument
    if name.startswith(("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL")) and isinstance(argument, str):
        return frame.f_locals.get(argument, frame.f_globals.get(argument, _UNKNOWN))
    return _UNKNOWN


def returned_value(frame: FrameType | None) -> Any:
    """What a function's frame has returned, as far as its code tells."""
    if frame is None or not returned(frame):
        return _UNKNOWN
    rows = instructions(frame.f_code)
    at = index_of(rows, frame.f_lasti)
    return loaded_value(rows[at - (rows[at][1] == "RETURN_VALUE")], frame)


def returned(frame: FrameType) -> bool:
    """Whether a frame that no longer runs came to its end, rather than was left by an exception."""
    returns = {function.__code__.co_code[-2] for function in (lambda: None, lambda x: x)}  # opcode takes 0.5 ms
    return frame.f_code.co_code[frame.f_lasti] in returns


def is_in(frame: FrameType, error: BaseException) -> bool:
    """Whether an exception came through a frame."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame is frame:
            return True
        trace = trace.tb_next
    return False


def status_of_exception(error: BaseException | None) -> tuple[str, int | None, BaseException | None]:
    """The status that an exception (or none) stands for: the word, the exit status, the exception if it says why."""
    if error is None:
        return "finished", 0, None
    if isinstance(error, SystemExit):
        return status_of_number(exit_number(error.code))
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130, error
    return "failed", 1, error


def raised_by_last_cell() -> BaseException | None:
    """What the last cell that IPython executed has raised; None if it went well, or there is none.

    The earlier ones don't count: whoever went on after a failure, a person or a tool, has seen it.
    """
    from footsteps.recorder.program import shell

    result = getattr(shell(), "last_execution_result", None)
    return getattr(result, "error_before_exec", None) or getattr(result, "error_in_exec", None)


def status_of_number(number: int) -> tuple[str, int | None, None]:
    """The status that an exit status stands for: 0 is success, however the program came to it."""
    return ("exited" if number else "finished"), number, None


def hydra_config() -> Any:
    """The configuration of the job that Hydra executes now, by itself or in a multirun; None outside of its jobs."""
    module: Any = sys.modules.get("hydra.core.hydra_config")
    return module.HydraConfig.instance().cfg if module is not None else None


def hydra_job() -> Any:
    """The configuration of the job of a Hydra multirun that is executed now; each job has one of its own."""
    config = hydra_config()
    several = config is not None and str(config.hydra.mode).endswith("MULTIRUN") and "num" in config.hydra.job
    return config if several else None


def hydra_job_return(frames: list[FrameType]) -> Any:
    """What Hydra notes of the job that these frames run, if it is one of a multirun: a failure ends that job alone.

    Hydra catches it, runs the other jobs, and raises it when all have come to their end.
    """
    if "hydra.core.utils" not in sys.modules:
        return None
    run_job = ("hydra.core.utils", "run_job")
    job = next((f for f in frames if (f.f_globals.get("__name__"), f.f_code.co_name) == run_job), None)
    noted = job.f_locals.get("ret") if job is not None else None
    several = "MULTIRUN" in str(getattr(getattr(getattr(noted, "hydra_cfg", None), "hydra", None), "mode", ""))
    return noted if several else None


def job_status(job: Any) -> tuple[str, int | None, BaseException | None] | None:
    """How a job that `hydra_job_return` gave has ended, as `status_of_exception`; None while it runs."""
    word = getattr(getattr(job, "status", None), "name", "UNKNOWN")
    if word == "COMPLETED":
        return status_of_exception(None)
    return status_of_exception(vars(job).get("_return_value")) if word == "FAILED" else None


def exit_number(status: Any) -> int:
    """What the caller of the program sees for sys.exit(status)."""
    if status is None:
        return 0
    if not isinstance(status, int):
        return 1
    number = int(status) if abs(status) < 1 << 63 else -1  # to C such a number is -1
    return number & 0xFF if os.name == "posix" else number


# Of this process, from the import on; when a run begins, of that run.
program_ending = Ending()
first_execution = execution()  # the one that has imported us
