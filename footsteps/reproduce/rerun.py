"""A run's command again, in a new place, and whether it makes the same files.

    >>> from footsteps.reproduce import rerun
    >>> from footsteps.reader import runs
    >>> again = rerun.Rerun(runs.select("unet-3"), "again")
    >>> again.missing, again.command            # what can't be had, and what would be run
    ([], "cd again && env FOOTSTEPS_NAME=unet-3 python train.py --lr 0.1")
    >>> again.bring(), again.execute(), again.result().same
    (<Restored ...>, 0, True)

A record may come from anybody: nothing that it names is run before `execute` (and `make_environment`) is
called, which is for a caller who has shown `command` (and `preparations`) to somebody who agreed. Of
the recorded environment only the variables in REPEATED are set, and they are part of `command`.
"""

from __future__ import annotations

import os
import sys

from footsteps.reader import formats
from footsteps.reader.formats import mapping, objects, text, why_incomplete
from footsteps.reader.runs import Session
from footsteps.recorder.format import RUN_VARIABLE, FootstepsError, quote
from footsteps.recorder.machine import hardware_facts
from footsteps.recorder.processes import handle_lines
from footsteps.recorder.randomness import RANDOM, RANDOM_VARIABLE
from footsteps.recorder.secrets import MASK
from footsteps.reproduce import restore
from footsteps.reproduce.editable import import_folders
from footsteps.reproduce.environment import (
    Environment,
    environment_beside,
    found_on_path,
    is_word,
    kernels_in,
    own_environment,
    require_nothing,
    version_of,
    versions_in,
)
from footsteps.reproduce.inputs import Places, hint_for, input_state, may_go_on, set_aside
from footsteps.reproduce.restored_paths import (
    beside,
    command_words,
    new_place,
    program_words,
    real_place,
    why_not_repeatable,
)
from footsteps.reproduce.result import Result, new_run

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

    Say = Callable[[str], object]

__all__ = ["Placeholder", "Rerun", "Result"]

# Recorded variables that a program's results may hang on, and that fit another machine.
REPEATED = (
    "PYTHONHASHSEED", "PYTHONOPTIMIZE", "PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "JAX_PLATFORMS", "LANG", "LC_ALL", "TZ", "OPENBLAS_CORETYPE", "MKL_CBWR",
    "SOURCE_DATE_EPOCH", "MPLBACKEND", "KERAS_BACKEND", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION",
    "TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS",
)  # fmt: skip
THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "OPENBLAS_CORETYPE", "MKL_CBWR",
)  # fmt: skip
COPIED = 64 << 20  # bytes; larger inputs that lie in the project are linked, not copied


class Placeholder:
    """A place in the command where a credential was recorded as `***`.

    name: of the option, query parameter or host it belongs to, else the number of the word; word: which word of the
    command; at: which character of it.
    """

    __slots__ = ("at", "name", "word")

    def __init__(self, name: str, word: int, at: int) -> None:
        self.name, self.word, self.at = name, word, at


class Rerun:
    """One run to be run again: what is needed is known before anything is written or started.

    Attributes:
        run: the recorded one; directory: where its code will be, absolute; cwd: where it will run.
        python: the interpreter, absolute; environment: what `make_environment` would make, or None.
        words: the command, program first, with `***` where `placeholders` says that something is missing.
        variables: environment variables that will be set; unset: those that will not be handed on.
        inputs: rows {path, state: "unchanged" | "changed" | "gone" | "unknown" | "fed" |
            "moved" | "replaced", here}; the last three are read from `here`, another place than the recorded.
        missing: what can't be had, one sentence each.

    roots: where runs are looked for that have made an input; maps: {recorded file or folder: where it is now}.

    Raises FootstepsError if the run can't be run again, Refused if its record can't be trusted.
    """

    def __init__(
        self,
        run: Run,
        destination: str | None = None,
        *,
        sources: Iterable[str] = (),
        values: Mapping[str, str] | None = None,
        python: str | None = None,
        environment: bool | Environment = False,
        roots: Sequence[str] | None = None,
        maps: Mapping[str, str] | None = None,
    ) -> None:
        self.run, self.sources, self.values = run, list(sources), dict(values or {})
        self.data = Places(run, roots, maps)
        self.directory = os.path.abspath(destination or free_destination(run))
        self.moved = self.places()
        was = text(run.facts.get("cwd"))
        self.cwd = new_place(was, self.moved) or self.directory
        self.require_room(environment=environment is True)
        self.environment = environment or None if environment is not True else self.own_environment(python)
        self.python = self.environment.python if self.environment else chosen_python(python)
        self.words = rerun_command(run, self.python, self.moved, stays=bool(new_place(was, self.moved)))
        self.unlike = [] if self.environment else list(self.other_python())
        self.placeholders = list(placeholders_in(self.words)) if run.facts.get("masked") else []
        self.variables, self.unset = self.repeated()
        require_words(run, [*self.words, *self.variables.values()])
        self.inputs = [self.input(entry) for entry in run.inputs]
        self.fed: dict[str, str] = {}
        self.feed({})
        self.restored: restore.Restored | None = None
        self.status: int | None = None
        self.began = 0.0

    def places(self) -> dict[str, str]:
        """Where each recorded repository will be, by where it was."""
        plan = restore.Plan(self.run, self.sources)
        trees = plan.trees(self.directory, beside(self.directory))
        return {text(tree.row.get("path")): os.fsdecode(tree.folder) for tree in trees if tree.row.get("path")}

    def require_room(self, *, environment: bool) -> None:
        """Raises FootstepsError unless all that will be made has a free place."""
        restore.clear_after_killed(os.path.dirname(os.path.abspath(self.directory)), self.directory)
        for path in (self.directory, beside(self.directory)):
            if not may_go_on(self.directory, self.input_places()):
                restore.require_free(path, self.run, "rerun")
        if environment:
            require_nothing(environment_beside(self.directory))

    def input_places(self) -> list[str]:
        """Where the inputs that lay in the code will be looked for."""
        places = (new_place(text(entry.get("path")), self.moved) for entry in self.run.inputs)
        return list(filter(None, places))

    def own_environment(self, python: str | None) -> Environment:
        """The environment that would be made beside the code, from the Python that was asked for."""
        return Environment(self.run, self.directory, self.moved, chosen_python(python) if python else "")

    def repeated(self) -> tuple[dict[str, str], list[str]]:
        """The variables to set as they were, and those of them to take out because they were not set."""
        recorded = mapping(self.run.facts.get("environment"))
        found = {name: text(recorded[name]) for name in REPEATED if text(recorded.get(name))}
        if "PYTHONPATH" in found:
            found["PYTHONPATH"] = os.pathsep.join(map(self.at_new_place, found["PYTHONPATH"].split(os.pathsep)))
        found.update(self.recorded_threads(found))
        ahead = [] if self.environment else import_folders(self.run, self.python, self.moved)
        if ahead and set(self.words) & {"-I", "-E"}:
            message = f"{self.run.name!r} ignores PYTHONPATH, so that its editable installs would lead to today's code"
            raise FootstepsError(message, hint=f"footsteps rerun {quote([self.run.name])} --env")
        if ahead:
            found["PYTHONPATH"] = os.pathsep.join([*ahead, *filter(None, [found.get("PYTHONPATH")])])
        unset = [name for name in (*REPEATED[:3], *THREADS) if name in os.environ and name not in found]
        return {**found, "FOOTSTEPS_NAME": name_of_main(self.run)}, unset if recorded else []

    def recorded_threads(self, found: Mapping[str, str]) -> dict[str, str]:
        """The number of threads that numeric libraries took then, if it was that of the cores, and there are others."""
        then = mapping(self.run.facts.get("hardware")).get("usable_cores")
        if not isinstance(then, int) or then == hardware_facts()["usable_cores"] or any(map(found.get, THREADS)):
            return {}
        return {"OMP_NUM_THREADS": str(then)}

    def at_new_place(self, path: str) -> str:
        """Where a recorded path is now, if it lay in the code."""
        return real_place(path, self.moved) or path

    # what can't be had

    @property
    def missing(self) -> list[str]:
        """What can't be had, or is not as it was, one sentence each."""
        gone = [f"{row['path']}: {self.why_amiss(row)}" for row in self.inputs if row["state"] in INPUT_STATES]
        return [
            *gone,
            *self.left_before(),
            *self.unknown_inputs(),
            *self.led_astray(),
            *self.unfed(),
            *self.stdin_missing(),
            *self.options_of_srun(),
            *self.other_machine(),
            *(self.environment.missing if self.environment else self.unlike),
        ]

    def left_before(self) -> Iterator[str]:
        """What a later session of a resumed run found in its directory, and has changed since."""
        if isinstance(self.run, Session):
            yield f"{self.run.directory} as the earlier sessions left it: this one may have gone on with files there"

    def unknown_inputs(self) -> Iterator[str]:
        """That it may have read more than its record knows, and why."""
        if self.run.outcome.get("inputs_complete") is False:
            yield why_incomplete(self.run.outcome)

    def led_astray(self) -> Iterator[str]:
        """The relative arguments that led to an input outside the code, and do not lead there from the new place."""
        was, inputs = text(self.run.facts.get("cwd")), {row["path"] for row in self.inputs}
        values = (word.partition("=")[2] if word.startswith("-") else word for word in self.words[1:])
        for word in filter(None, values):
            old, new = (os.path.normpath(os.path.join(at, word)) for at in (was, self.cwd))
            if old in inputs and not new_place(old, self.moved) and not os.path.isabs(word) and new != old:
                yield f"{word}: it led to {old}, and leads to {new} here"

    def unfed(self) -> Iterator[str]:
        """The inputs whose new place no word of the command tells, and that may be reached by a relative path."""
        told = [word.partition("=")[2] if word.startswith("-") else word for word in self.words[1:]]
        stdin, was = text(mapping(self.run.facts.get("stdin")).get("path")), text(self.run.facts.get("cwd"))
        project = next((os.path.dirname(top) for top in self.moved if new_place(was, {top: top})), "")
        for row in self.inputs:
            path, here = row["path"], row["here"]
            if row["state"] == "replaced":
                yield f"{path}: {here}, which --map gives, is not as it was"
            if not here or new_place(path, self.moved) or path == stdin:
                continue
            if row["state"] in FED and here != path and not any(is_within(here, word) for word in told):
                yield f"{path}: no argument names it, and it is {here} now; put it back there"
            near = len(project) > 1 and path.startswith(os.path.join(project, ""))
            relative = os.path.relpath(path, was) if near else ""
            new = os.path.normpath(os.path.join(self.cwd, relative))
            named = any(is_within(path, os.path.normpath(os.path.join(was, word))) for word in told)
            if relative and row["state"] not in FED and not named and new != path:
                yield f"{path}: if the program names it {relative}, that leads to {new} here"

    def stdin_missing(self) -> Iterator[str]:
        """That its stdin was a pipe."""
        if mapping(self.run.facts.get("stdin")).get("kind") == "pipe":
            yield "stdin: it was a pipe, and what came through it was not recorded"

    @property
    def gone(self) -> list[str]:
        """The inputs that are not there, or not as they were; known to the last when the code is there."""
        return [row["path"] for row in self.inputs if row["state"] in INPUT_STATES]

    def options_of_srun(self) -> Iterator[str]:
        """That srun, whose command no rank can see, was given more than is known."""
        if self.words[0] == "srun":
            yield "the options of srun, but for nodes and tasks: they were not recorded"

    def other_machine(self) -> Iterator[str]:
        """In which way the processor is another one, on which the last digits of sums may hang."""
        then, here = mapping(self.run.facts.get("hardware")), hardware_facts()
        if then.get("usable_cores") and then["usable_cores"] != here["usable_cores"]:
            threads = self.variables.get("OMP_NUM_THREADS")
            told = f"; OMP_NUM_THREADS={threads} is set" if threads else ""
            yield f"{then['usable_cores']} cores: {here['usable_cores']} are here{told}"
        if then.get("cpu") and here["cpu"] and then["cpu"] != here["cpu"]:
            yield f"the processor {then['cpu']}: {here['cpu']} is here, and last digits may differ"
        yield from self.other_kernels()

    def other_kernels(self) -> Iterator[str]:
        """The linear algebra libraries that take other processors' instructions here, as far as that was recorded."""
        then = kernels_of(self.run)
        here = kernels_in(self.python) if then and os.path.exists(self.python) else {}
        for name, kernel in then.items():
            if here.get(name, kernel) != kernel and not self.variables.get("OPENBLAS_CORETYPE"):
                force = f" (OPENBLAS_CORETYPE={kernel} asks for them)" if name == "openblas" else ""
                yield f"{name} with instructions of {kernel}: {here[name]} here, and last digits may differ{force}"

    def why_amiss(self, row: Mapping[str, Any]) -> str:
        """In which way an input is not there, and where the recorded one is to be put."""
        place = new_place(row["path"], self.moved)
        as_it_was = " as it was" if row["state"] == "changed" else ""
        where = f"at {place}" if place else "back there"
        return f"this input is {INPUT_STATES[row['state']]}; put it {where}{as_it_was}"

    def other_python(self) -> Iterator[str]:
        """In which way the Python that is used is another one than the recorded."""
        recorded = text(mapping(self.run.facts.get("python")).get("version"))
        version = version_of(self.python)
        if recorded and version != recorded:
            yield f"Python {recorded}: {self.python} is {version or 'none'} (--env makes an environment)"
        here = versions_in(self.python, [name for name in self.run.packages if is_word(name)])
        apart = [name for name in here if here[name] != self.run.packages[name]]
        if apart:
            shown = ", ".join(f"{name} {self.run.packages[name]} ({here[name] or 'none'})" for name in apart[:5])
            more = f" and {len(apart) - 5} more" if len(apart) > 5 else ""
            yield f"packages as they were: {shown} here{more} (--env makes an environment)"
        scripts = os.path.join(os.path.dirname(self.python), "")
        for word in self.words[1:]:
            if word.startswith(scripts) and not os.path.exists(word):
                yield f"{word}: it is not there (--env makes an environment)"

    def input(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """One recorded input: whether it is still as it was, and where; what lay in the code may come with it."""
        path = text(entry.get("path"))
        if not path:
            return {"path": text(entry.get("directory")), "state": "unknown", "here": ""}
        mapped = self.data.mapped(path)
        if mapped and os.path.isfile(mapped):
            as_it_was = input_state(mapped, {**entry, "mtime_ns": None}) != "changed"
            return {"path": path, "state": "moved" if as_it_was else "replaced", "here": mapped}
        state = input_state(path, entry)
        here = path if state == "unchanged" else ""
        laid = new_place(path, self.moved)
        if not here and laid and input_state(laid, {**entry, "mtime_ns": None}) == "unchanged":
            return {"path": path, "state": "unchanged", "here": laid}
        if not here and state != "unknown":
            here = self.data.find(path, entry)
        if here and here != path:
            state = "moved"
        return {"path": path, "state": "unknown" if laid and not here else state, "here": here}

    def feed(self, files: Mapping[str, str]) -> None:
        """Have it read other files: {an input's recorded path: the file to take, which may not be there yet}.

        What lay in the code is laid there by `bring`; elsewhere, the command's words are changed.
        """
        was = text(self.run.facts.get("cwd"))
        files = {**{row["path"]: row["here"] for row in self.inputs if row["state"] in ("moved", "replaced")}, **files}
        before = {file: path for path, file in self.fed.items()}
        for number, word in enumerate(self.words):
            option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
            path = before.get(value) or os.path.normpath(os.path.join(was, value))
            inside = new_place(path, self.moved) and not os.path.isabs(value)
            place = files.get(path) or self.data.mapped(path)
            if number and value and place and not inside:
                self.words[number] = option + equals + place
        self.fed = dict(files)
        for row in self.inputs:
            if row["path"] in files and row["here"] != files[row["path"]]:
                row.update(state="fed", here=files[row["path"]])

    # the steps

    @property
    def command(self) -> str:
        """The command as a line for a shell, credentials as `***`."""
        source = self.stdin()
        unset = [word for name in self.unset for word in ("-u", name)]
        variables = ["env", *unset, *(f"{name}={value}" for name, value in self.variables.items())]
        return (
            f"cd {quote([self.cwd])} && {quote([*variables, *self.words])}{f' < {quote([source])}' if source else ''}"
        )

    @property
    def preparations(self) -> list[str]:
        """The commands that make the environment, as lines for a shell."""
        return [quote(words) for words in self.environment.commands()] if self.environment else []

    @property
    def built(self) -> list[str]:
        """The requirements that are not the index's: from addresses of the record, whose builds may run anything."""
        return [line for line in (self.environment.requirements if self.environment else []) if "://" in line]

    def needed(self) -> list[str]:
        """The names of credentials that no value is known for."""
        return list(dict.fromkeys(place.name for place in self.placeholders if place.name not in self.values))

    def bring(self, say: Say = lambda _: None) -> restore.Restored:
        """Restore the code, and copy the inputs that lay in it, and are as they were, to their places.

        Raises FootstepsError if the code is not to be had.
        """
        laid, hint = self.input_places(), hint_for(self.run)
        with set_aside(beside(self.directory), laid, hint), set_aside(self.directory, laid, hint):
            self.restored = restore.restore(self.run, self.directory, sources=self.sources, say=say)
        os.makedirs(self.cwd, exist_ok=True)
        self.make_folders()
        entries = {entry["path"]: entry for entry in self.run.inputs if text(entry.get("path"))}
        for row in self.inputs:
            place = new_place(row["path"], self.moved)
            if place and row["path"] in entries:
                self.copy_input(row, place)
            if place and row["path"] in entries and row["state"] not in FED:
                row["state"] = input_state(place, {**entries[row["path"]], "mtime_ns": None})
                row["here"] = place if row["state"] == "unchanged" else ""
        return self.restored

    def make_folders(self) -> None:
        """Make the folders that it wrote files to outside of its directory: git keeps no empty ones."""
        listed = self.run.outcome.get("written_elsewhere")
        inside = os.path.join(os.path.realpath(self.directory), "")
        for path in map(text, listed if isinstance(listed, list) else ()):
            folder = os.path.dirname(new_place(path, self.moved))
            if folder and os.path.realpath(folder).startswith(inside) and not os.path.lexists(folder):
                os.makedirs(folder, exist_ok=True)

    def copy_input(self, row: Mapping[str, Any], place: str) -> None:
        """Copy, or link, an input that is no part of the code to where the program will look for it."""
        import shutil

        inside = os.path.join(os.path.realpath(self.directory), "")
        if not row["here"] or not os.path.realpath(place).startswith(inside):
            return
        if row["state"] in FED and os.path.isfile(place):
            os.unlink(place)  # the commit has one too: it is the maker's, as it was then
        if os.path.lexists(place):
            return
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.getsize(row["here"]) > COPIED:
            os.symlink(row["here"], place)
        else:
            shutil.copy2(row["here"], place)

    def make_environment(self, say: Say = lambda _: None) -> None:
        """Make the virtual environment. Raises FootstepsError if it can't be made."""
        if self.environment and not os.path.lexists(self.environment.path):
            self.environment.make(say)

    def filled(self) -> list[str]:
        """The command with the values of credentials in their places. Raises FootstepsError without one."""
        for name in self.needed():
            raise FootstepsError(f"{name!r} was recorded as {MASK}", hint=f"--set {quote([name + '=VALUE'])}")
        words = list(self.words)
        for place in sorted(self.placeholders, key=lambda place: -place.at):
            word = words[place.word]
            words[place.word] = word[: place.at] + self.values[place.name] + word[place.at + len(MASK) :]
        return words

    def execute(self) -> int:
        """Run the command and wait for it; its exit status (128 + N if signal N ended it).

        What it says goes to stderr. Raises FootstepsError if it can't be started.
        """
        import subprocess
        import time

        words, self.began = self.filled(), time.time()
        source = self.stdin()
        stdin = os.open(source, os.O_RDONLY) if source else None
        try:
            process = subprocess.Popen(
                words, cwd=self.cwd, env=self.surroundings(), stdin=stdin, stdout=sys.stderr.fileno()
            )
        except OSError as error:
            raise FootstepsError(f"{words[0]!r} could not be started: {error.strerror}") from error
        finally:
            if stdin is not None:
                os.close(stdin)
        try:
            status = process.wait()
        except KeyboardInterrupt:  # it has had the terminal's Ctrl-C too, and may want to end in order
            process.wait()
            raise
        except SystemExit:  # SIGTERM or SIGHUP, which it has not had
            process.terminate()
            process.wait()
            raise
        self.status = 128 - status if status < 0 else status
        return self.status

    def surroundings(self) -> dict[str, str]:
        """The environment of the new run: ours without what is another run's, and what is repeated."""
        kept = {name: value for name, value in own_environment().items() if name not in self.unset}
        if "PYTHONPATH" in self.variables or self.environment:
            kept.pop("PYTHONPATH", None)
        kept.update(self.variables)
        kept.update(self.random_state())
        kept[RUN_VARIABLE] = parent_handle(self.run)
        kept["PATH"] = os.path.dirname(self.python) + os.pathsep + kept.get("PATH", os.defpath)
        return kept

    def stdin(self) -> str:
        """The file that was the program's stdin, where it lies as it was; "" if none was, or it does not."""
        path = text(mapping(self.run.facts.get("stdin")).get("path"))
        return next((row["here"] for row in self.inputs if path and row["path"] == path), "")

    def random_state(self) -> dict[str, str]:
        """The variable by which the program begins with the recorded random state; ranks of a launch had their own."""
        kept = os.path.join(self.run.record, RANDOM)
        launched = mapping(self.run.facts.get("process")).get("launcher")
        return {RANDOM_VARIABLE: kept} if os.path.isfile(kept) and not launched else {}

    def result(self) -> Result:
        """How what the new run made compares with the old. To be called after `execute`."""
        return Result(self, new_run(self))


def name_of_main(run: Run) -> str:
    """What the main program's run was called: a worker's of another name has told that of its parent."""
    process, parent = mapping(run.facts.get("process")), mapping(run.facts.get("parent"))
    is_workers = process.get("head") not in (None, process.get("pid"))
    return (text(parent.get("name")) if is_workers else "") or run.name


def kernels_of(run: Run) -> dict[str, str]:
    """The processor for which each linear algebra library had its instructions, as threadpoolctl told at the end."""
    pools = objects(run.outcome.get("thread_pools"))
    return {
        text(pool.get("internal_api")): text(pool["architecture"]) for pool in pools if text(pool.get("architecture"))
    }


def chosen_python(given: str | None) -> str:
    """The interpreter that a person named, by path or by name; ours if none. Raises FootstepsError without it."""
    python = found_on_path(given) if given else sys.executable
    if not python:
        raise FootstepsError(f"no Python {given!r} is here", hint="--python /path/to/python, or --env")
    return os.path.abspath(python)


def require_words(run: Run, words: Iterable[str]) -> None:
    """Raises FootstepsError for words that no program can be given: with NUL in them, or half a surrogate pair."""
    try:
        plain = all(b"\0" not in os.fsencode(word) for word in words)
    except UnicodeError:
        plain = False
    if not plain:
        raise FootstepsError(f"{run.name!r} can't be run again: its recorded command is no command")


def is_within(path: str, top: str) -> bool:
    """Whether a path is another one, or lies below it."""
    return bool(top) and (path == top or path.startswith(os.path.join(top, "")))


FED = ("fed", "moved", "replaced")  # states of an input that is read from another place than the recorded
INPUT_STATES = {"changed": "not as it was", "gone": "gone"}


def free_destination(run: Run) -> str:
    """`again/RUN-rerun`, with a number if that is taken."""
    place = restore.default_destination(run).removesuffix("-restored") + "-rerun"
    number, found = 1, place
    while any(map(os.path.lexists, (found, beside(found), environment_beside(found)))):
        number += 1
        found = f"{place}-{number}"
    return found


def parent_handle(run: Run) -> str:
    """What tells the new run which one it repeats: the core module takes it for the one that launched it."""
    directory = os.path.join(run.directory, "")
    lines = (str(os.getpid()), directory, directory, os.getcwd(), *handle_lines(run.id, run.name, os.getpid()))
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------
# The command
# ---------------------------------------------------------------------------------------------


def rerun_command(run: Run, python: str, moved: Mapping[str, str], *, stays: bool) -> list[str]:
    """The words of the command, the launcher's for ranks of one. Raises FootstepsError if there is none."""
    why = why_not_repeatable(run)
    if is_of_windows(run) != (os.name == "nt"):
        why = f"it ran {'on' if os.name != 'nt' else 'elsewhere than on'} Windows, and its paths lead nowhere here"
    if is_frozen(run):
        why = "it was a frozen program, which has its code in itself: a Python can't start it"
    if run.kind == "lite_tracer":
        why = "LiteTracer recorded its arguments, but not its command"
    if why:
        raise FootstepsError(f"{run.name!r} can't be run again: {why}", hint=f"footsteps restore {quote([run.name])}")
    words = with_own_script(run, command_words(run, moved, stays=stays), python)
    words = words or [new_place(word, moved) or word for word in formats.shell_words(run.command)]
    if not words:
        raise FootstepsError(f"{run.name!r} can't be run again: no command was recorded")
    launcher = mapping(mapping(run.facts.get("process")).get("launcher"))
    return launched(run, launcher, python, words) if launcher else [python, *words]


def is_of_windows(run: Run) -> bool:
    """Whether a run's working directory is one of Windows; where none was recorded, whether we are there."""
    was = text(run.facts.get("cwd"))
    return was[1:3] in (":\\", ":/") or was.startswith("\\\\") or (not was and os.name == "nt")


def is_frozen(run: Run) -> bool:
    """Whether the program was no Python that ran a script: its own executable is what it was called by."""
    words, argv = run.facts.get("orig_argv"), run.facts.get("argv")
    executable = text(mapping(run.facts.get("python")).get("executable"))
    if run.facts.get("frozen") is True:
        return True
    if not (isinstance(words, list) and isinstance(argv, list) and words and words == argv):
        return False
    return os.path.basename(executable) == os.path.basename(str(argv[0])) and not is_interpreter(executable)


def without_rank(words: list[str], said: list[str]) -> list[str]:
    """The words without those that a launcher adds for each rank: `--local_rank=1`, unless it was given so itself."""
    return [word for word in words if not word.startswith(("--local_rank=", "--local-rank=")) or word in said]


def with_own_script(run: Run, words: list[str], python: str) -> list[str]:
    """The words with the program that an environment brought (a console script) as the new Python's own one."""
    own, script = recorded_words(run)
    prefix = text(mapping(run.facts.get("python")).get("prefix"))
    scripts = os.path.dirname(python)
    folder, name = os.path.split(os.path.normpath(script))
    if script not in own or not prefix or folder != os.path.join(prefix, os.path.basename(scripts)):
        return words
    at = own.index(script)
    return [*words[:at], os.path.join(scripts, name), *words[at + 1 :]]


def launched(run: Run, launcher: Mapping[str, Any], python: str, words: list[str]) -> list[str]:
    """The launcher's words with the program in it at its new place; its options as they were recorded."""
    ranks = str(mapping(run.facts.get("process")).get("world_size") or 1)
    said = formats.shell_words(text(launcher.get("command")))
    own, script = recorded_words(run)
    adds_rank = len(without_rank(own, said)) < len(own)
    own, words = without_rank(own, said), without_rank(words, said)
    before = before_program(said, own, script)
    if launcher.get("kind") == "torchrun" and adds_rank:  # which torchrun itself does not do
        options = torchrun_options(before) or ["--nproc-per-node", ranks]
        return [python, "-m", "torch.distributed.launch", *options, *words[words[:1] == ["-u"] :]]
    if launcher.get("kind") == "torchrun":
        options = torchrun_options(before) or ["--standalone", "--nproc-per-node", ranks]
        return [python, "-m", "torch.distributed.run", *options, *words[words[:1] == ["-u"] :]]
    if launcher.get("kind") == "slurm":
        return ["srun", *nodes_of(run), "--ntasks", ranks, python, *words]
    name = os.path.basename(before[0]) if before else ""
    if name not in ("mpiexec", "mpirun", "orterun", "prterun", "mpiexec.hydra"):
        return ["mpiexec", "-n", ranks, python, *words]
    if has_more_programs(before, said[len(before) :], own, script):
        return [name, *with_new_places(said[1:], own, python, words)]
    interpreters = [n for n, word in enumerate(before) if is_interpreter(word)]
    options = before[1 : interpreters[0] if interpreters else None]  # what follows is among our words
    return [name, *options, python, *words]


def nodes_of(run: Run) -> list[str]:
    """The option for srun that spreads the ranks over as many nodes as the job had, if it was on several."""
    nodes = text(mapping(run.facts.get("environment")).get("SLURM_NNODES"))
    return ["--nodes", nodes] if nodes.isdecimal() and nodes != "1" else []


def is_interpreter(word: str) -> bool:
    """Whether a word of a launcher's command is a Python."""
    return os.path.basename(word).startswith("python")


def recorded_words(run: Run) -> tuple[list[str], str]:
    """The words behind the recorded interpreter, and that of them which the program was called by."""
    argv = run.facts.get("argv")
    return program_words(run), str(argv[0]) if isinstance(argv, list) and argv else ""


def before_program(said: list[str], own: list[str], script: str) -> list[str]:
    """What stands in a launcher's command before the program's own words: by their end, else by the script's name."""
    for words in (own, own[own[:1] == ["-u"] :]):  # which torchrun adds
        if words and said[-len(words) :] == words:
            return said[: -len(words)]
    return said[: said.index(script)] if script in said else []


def has_more_programs(before: list[str], rest: list[str], own: list[str], script: str) -> bool:
    """Whether mpiexec started other programs too, which follow a colon; one may also be an argument of ours."""
    ours = own[own.index(script) :] if script in own else own
    return ":" in before or ":" in rest[len(ours) :]


def with_new_places(said: list[str], own: list[str], python: str, words: list[str]) -> list[str]:
    """A launcher's whole command with the new Python, and words of the program that have changed as they are now."""
    moved = {old: new for old, new in zip(own, words, strict=False) if old != new}
    return [python if is_interpreter(word) else moved.get(word, word) for word in said]


def torchrun_options(before: Sequence[str]) -> list[str]:
    """The options of torchrun in what stands before the script: behind the launcher's own name."""
    names = ("torchrun", "torch.distributed.run", "torch.distributed.launch")
    at = [n for n, word in enumerate(before) if os.path.basename(word) in names]
    return list(before[at[-1] + 1 :]) if at else []


def placeholders_in(words: Sequence[str]) -> Iterator[Placeholder]:
    """The credentials that are missing in a command, each with the name that `--set` knows it by."""
    for number, word in enumerate(words):
        at = word.find(MASK)
        while at >= 0:
            yield Placeholder(placeholder_name(words, number, at), number, at)
            at = word.find(MASK, at + len(MASK))


def placeholder_name(words: Sequence[str], number: int, at: int) -> str:
    """What a credential is called: by the query parameter or option before it, else by its word's number."""
    before = words[number][:at]
    if before.endswith("="):
        return before[:-1].replace("?", "&").rpartition("&")[2].lstrip("-+")
    option = words[number - 1] if number else ""
    if option.startswith("-") and "=" not in option:
        return option.lstrip("-")
    return before.rpartition("=")[0].lstrip("-") or str(number)
