"""The runs of a chain again, in order, each fed with what the one before it made now.

    >>> from footsteps.reproduce import chain, stages
    >>> again = stages.ChainRerun(chain.of_file("paper/fig3.pdf"), "again")
    >>> [step.again.command for step in again.steps]         # what would be run
    >>> for step in again.steps:
    ...     again.bring(step), again.execute(step)
    >>> again.same, again.first_difference
    (False, 'evaluate: scores.json: 1 of 2 numbers differ, by 0.01 at most')

Nothing that a record names is run before `execute` is called, as in `rerun`.
"""

from __future__ import annotations

import os

from footsteps.reader import runs
from footsteps.reader.compare import path_inside
from footsteps.reader.formats import mapping, objects, sha256_of, text
from footsteps.recorder.format import FootstepsError, quote
from footsteps.reproduce import rerun, restore
from footsteps.reproduce.restored_paths import beside, new_place
from footsteps.reproduce.result import SAME, Result

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from footsteps.reproduce.chain import Chain, Stage, Use
    from footsteps.reproduce.environment import Environment

    Say = Callable[[str], object]

__all__ = ["ChainRerun", "Step"]


class Step:
    """One stage of a chain to be run again.

    stage: of the chain; directory: where its code will be; again: its rerun, None for one that is not run; wanted: the
    files that others read of it; made: {name: where the new one lies}; verdict: "same", "different", "failed",
    "reused", "not needed", "not run" or "" before it has run; note: why, or what differs first.
    """

    def __init__(self, stage: Stage, directory: str) -> None:
        self.stage, self.directory = stage, directory
        self.again: rerun.Rerun | None = None
        self.result: Result | None = None
        self.wanted: dict[str, Use] = {}
        self.made: dict[str, str] = {}
        self.verdict = self.note = ""

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.stage.run.name

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        new = self.result.new if self.result else None
        return {
            "run": self.name, "verdict": self.verdict, "note": self.note, "directory": self.directory,
            "command": self.again.command if self.again else None, "rerun": new.directory if new else None,
            "exit_status": self.again.status if self.again else None,
            "artifacts": self.result.artifacts if self.result else [], "reasons": self.reasons,
        }  # fmt: skip

    @property
    def reasons(self) -> list[str]:
        """What may be why something else was made, one sentence each; [] where the same was, or nothing was run."""
        return self.result.reasons if self.result and self.verdict in ("different", "failed") else []


class ChainRerun:
    """A chain to be run again below one directory, a folder for each stage: what is needed is known beforehand.

    steps: in order; directory: absolute. The arguments are those of `rerun.Rerun`, and reuse: a stage whose files are
    still there with the recorded hash, here or from an earlier attempt in the same directory, is not run again; given:
    {recorded path: file} of data that lie elsewhere now.

    Raises FootstepsError if the chain has no order or one of its runs can't be run again.
    """

    def __init__(
        self,
        chain: Chain,
        destination: str | None = None,
        *,
        sources: Iterable[str] = (),
        values: Mapping[str, str] | None = None,
        python: str | None = None,
        environment: bool = False,
        reuse: bool = False,
        given: Mapping[str, str] | None = None,
        roots: Iterable[str] | None = None,
        maps: Mapping[str, str] | None = None,
    ) -> None:
        require_order(chain)
        self.given, self.maps = dict(given or {}), dict(maps or {})
        self.roots = None if roots is None else list(roots)
        self.chain, self.sources, self.values, self.python = chain, list(sources), dict(values or {}), python
        head = chain.stages[-1].run if chain.head is None else chain.head.run
        self.directory = os.path.abspath(destination or rerun.free_destination(head))
        if not reuse:
            restore.require_free(self.directory, head, "rerun --chain")
        self.environments: dict[str, Environment] | None = {} if environment else None
        self.steps = [Step(stage, self.place(n, stage)) for n, stage in enumerate(chain.stages, 1)]
        self.by_stage = {step.stage: step for step in self.steps}
        for step in self.steps:
            for use in step.stage.uses:
                if use.maker:
                    self.by_stage[use.maker].wanted.setdefault(use.made_as, use)
        self.choose(reuse=reuse)
        for step in self.steps:
            if not step.verdict:
                self.prepare(step)

    def place(self, number: int, stage: Stage) -> str:
        """Where a stage's code will be: the number keeps the order, the name tells which."""
        return os.path.join(self.directory, f"{number}-{folder_name(stage.run.name)}")

    # which stages are run

    def choose(self, *, reuse: bool) -> None:
        """Mark the stages that need not run: those whose files are there, and those that only such ones read."""
        needed = {self.chain.head}
        for step in reversed(self.steps):
            if step.stage not in needed:
                step.verdict = "not needed"
            elif reuse and self.is_there(step):
                step.verdict = "reused"
            else:
                needed |= set(step.stage.makers)

    def is_there(self, step: Step) -> bool:
        """Whether all that is wanted of a stage is there with the recorded hash; of the last one, all that it made."""
        run = step.stage.run
        wanted = {name: use.sha256 for name, use in step.wanted.items()}
        places = [step.directory] if step.stage is self.chain.head else [run.directory, step.directory]
        if step.stage is self.chain.head:
            wanted = {text(row["path"]): text(row.get("sha256")) for row in run.artifacts}
        for place in places:
            found = {name: found_below(place, run, name, sha256) for name, sha256 in wanted.items()}
            if found and all(found.values()):
                step.made = found
                step.note = f"its files are in {place}, as they were"
                return True
        return False

    def prepare(self, step: Step) -> None:
        """The rerun of a stage, fed with what will lie where the others are going to be."""
        for path in (step.directory, beside(step.directory)):
            if os.path.lexists(path):  # from an earlier attempt
                message = f"{path!r} is there, and what {step.name!r} made is not there as it was"
                raise FootstepsError(message, hint=f"rm -r {quote([path])}")
        step.again = again = rerun.Rerun(
            step.stage.run, step.directory, sources=self.sources, values=self.values, python=self.python,
            environment=self.environment_for(step), roots=self.roots, maps=self.maps,
        )  # fmt: skip
        if self.environments is not None and again.environment:
            self.environments.setdefault(environment_key(step), again.environment)
        for name in step.wanted:
            step.made[name] = self.expected(again, name)
        again.feed(self.files_for(step))

    def environment_for(self, step: Step) -> bool | Environment:
        """Whether a stage gets an environment of its own: one with the same packages is made once."""
        if self.environments is None:
            return False
        return self.environments.get(environment_key(step)) or True

    def expected(self, again: rerun.Rerun, name: str) -> str:
        """Where a stage will put a file, as far as can be told before it has run."""
        if os.path.isabs(name):
            return again.at_new_place(name)
        recorded = text(again.run.facts.get("directory"))
        root = os.path.join(text(again.run.facts.get("output_root")) or "results", again.run.name)
        top = new_place(os.path.normpath(recorded), again.moved) or os.path.join(again.cwd, root)
        return os.path.join(top, *name.split("/"))

    def files_for(self, step: Step) -> dict[str, str]:
        """What a stage is to read in the place of each input that another one made."""
        made = {use.path: self.by_stage[use.maker].made[use.made_as] for use in step.stage.uses if use.maker}
        given = {use.path: self.given[use.path] for use in step.stage.uses if use.path in self.given}
        return {**given, **made}

    # the steps

    @property
    def missing(self) -> list[str]:
        """What can't be had, one sentence each, and what is only guessed."""
        found = [sentence for step in self.steps if step.again for sentence in step.again.missing]
        guessed = [use for step in self.steps for use in step.stage.uses if use.guessed]
        doubts = [f"{use.path}: that {use.maker.run.name} made it is a guess" for use in guessed if use.maker]
        return list(dict.fromkeys([*found, *doubts]))

    @property
    def gone(self) -> list[str]:
        """The inputs that are not there, or not as they were, each once."""
        return list(dict.fromkeys(path for step in self.steps if step.again for path in step.again.gone))

    def needed(self) -> list[str]:
        """The names of credentials that no value is known for."""
        return list(dict.fromkeys(name for step in self.steps if step.again for name in step.again.needed()))

    def bring(self, step: Step, say: Say = lambda _: None) -> restore.Restored | None:
        """Restore a stage's code and lay its inputs; None, with the reason in `note`, if it can't run.

        What can't be had of the inputs is known now, in `step.again.missing`.
        """
        if step.again is None:
            return None
        gone = [name for name, file in self.files_for(step).items() if not os.path.isfile(file)]
        if gone:
            makers = sorted({use.maker.run.name for use in step.stage.uses if use.maker and use.path in gone})
            step.verdict = "not run"
            step.note = f"{', '.join(makers)} made no {', '.join(map(os.path.basename, gone))} this time"
            return None
        step.again.feed(self.files_for(step))
        step.again.values.update(self.values)
        return step.again.bring(say)

    def execute(self, step: Step, say: Say = lambda _: None) -> None:
        """Make a stage's environment, run its command, and compare what it made. To be called after `bring`."""
        if step.again is None:
            return
        step.again.make_environment(say)
        status = step.again.execute()
        step.result = step.again.result()
        self.note_files(step)
        handed_on = [*self.other_files(step), *self.unread(step)]
        first = next((row for row in step.result.artifacts if row["verdict"] not in SAME), None)
        notes = [*([f"{first['path']}: {first['note'] or first['verdict']}"] if first else []), *handed_on]
        checked = step.result.artifacts or any(os.path.isabs(name) and use.sha256 for name, use in step.wanted.items())
        if not checked:
            notes.append(step.result.nothing_compared)
        same = checked and step.result.alike and not handed_on
        step.verdict = "same" if same else "failed" if status else "different"
        step.note = f"exit status {status}" if status else next(iter(notes), "")

    def note_files(self, step: Step) -> None:
        """Where the files lie that a stage has made for others."""
        new = step.result.new if step.result else None
        for name in step.made:
            if new is not None and not os.path.isabs(name):
                step.made[name] = path_inside(new.directory, name)

    def other_files(self, step: Step) -> Iterator[str]:
        """What is another file now, of those that were written outside of the run's directory."""
        for name, use in step.wanted.items():
            if os.path.isabs(name) and use.sha256:
                file = step.made[name]
                if not os.path.isfile(file):
                    yield f"{name}: it was not made now"
                elif sha256_of(os.fsencode(file)) != use.sha256:
                    yield f"{name}: other bytes"

    def unread(self, step: Step) -> Iterator[str]:
        """The files that a stage was to read in the place of the recorded ones, and did not."""
        new, again = step.result.new if step.result else None, step.again
        if new is None or again is None or new.outcome.get("inputs_complete") is not True:
            return
        read = {os.path.realpath(text(entry.get("path"))) for entry in new.inputs}
        for path, file in self.files_for(step).items():
            places = [file, new_place(path, again.moved) or file]
            if not read & set(map(os.path.realpath, places)):
                yield f"{path}: it did not read what was made now"

    # the result

    @property
    def same(self) -> bool:
        """Whether every stage that was run made the same, and all were run that had to be."""
        return all(step.verdict in ("same", "reused", "not needed") for step in self.steps)

    @property
    def first_unlike(self) -> Step | None:
        """The first stage that did not make the same, None without one."""
        return next((step for step in self.steps if step.verdict in ("different", "failed", "not run")), None)

    @property
    def first_difference(self) -> str:
        """Where the first difference arose, in words; "" without one."""
        step = self.first_unlike
        return f"{step.name}: {step.note or step.verdict}" if step else ""

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        return {
            "same": self.same, "first_difference": self.first_difference or None, "directory": self.directory,
            "missing": self.missing, "stages": [step.row() for step in self.steps],
        }  # fmt: skip

    def script(self) -> str:
        """A shell script that does the same with the Python that is here, each stage in a shell of its own.

        Raises FootstepsError for a credential that no value is known for.
        """
        bodies = [line for step in self.steps if step.again for line in stage_script(step.again)]
        bash = any("$'" in line for line in bodies)  # a word that sh has no quotes for
        lines = ["#!/usr/bin/env bash" if bash else "#!/bin/sh", "set -eu", LAY, *bodies]
        head = self.by_stage[self.chain.head] if self.chain.head else self.steps[-1]
        if head.again and self.chain.made_as:
            lines.append(f"echo {quote(['made: ' + self.expected(head.again, self.chain.made_as)])}")
        return "\n".join(lines) + "\n"


LAY = """\
lay() { # TOP FILE PLACE: copy unless something is there, or a link of the code leads the place out of it
    if [ -e "$3" ] || [ -L "$3" ]; then return; fi
    above=$3
    until [ -e "$above" ] || [ -L "$above" ]; do above=$(dirname "$above"); done
    case $(cd "$above" && pwd -P)/ in "$(cd "$1" && pwd -P)"/*) mkdir -p "$(dirname "$3")" && cp -p "$2" "$3" ;; esac
}"""


def stage_script(again: rerun.Rerun) -> list[str]:
    """The lines of a script for one stage: restore, inputs, command."""
    comment = "".join(c if c.isprintable() else "?" for c in f"{again.run.name}: {again.run.command}")
    sources = [word for source in again.sources for word in ("--from", source)]
    restored = quote(["footsteps", "restore", again.run.directory, again.directory, *sources])
    places = [(row["here"], new_place(row["path"], again.moved)) for row in again.inputs if row["here"]]
    return [
        f"\n# {comment}", "(",
        f"{restored} || [ $? = 1 ] # which is: not all of it came back, as it has said",
        f"mkdir -p {quote([again.cwd])}",
        *(quote(["lay", again.directory, here, place]) for here, place in places if place),
        again.command.removesuffix(quote(again.words)) + quote(again.filled()), ")",
    ]  # fmt: skip


def require_order(chain: Chain) -> None:
    """Raises FootstepsError for a chain without runs, or with runs that wait for each other."""
    if chain.head is None:
        hint = f"footsteps trace {quote([chain.path])}"
        raise FootstepsError(f"no run is known to have made {chain.path!r}", hint=hint)
    if chain.cycle:
        names = ", ".join(repr(stage.run.name) for stage in chain.cycle)
        raise FootstepsError(f"there is no order in which to repeat {names}: they read each other's files")


def environment_key(step: Step) -> str:
    """What two stages have alike that can share an environment; the stage's own where code is installed into it."""
    facts = step.stage.run.facts
    packages = objects(facts.get("packages"))
    if any(package.get("editable") or package.get("direct_url") for package in packages):
        return step.directory
    listed = sorted((text(package.get("name")), text(package.get("version"))) for package in packages)
    return repr((mapping(facts.get("python")).get("version"), listed))


def found_below(place: str, run: runs.Run, name: str, sha256: str) -> str:
    """Where a file of a run lies with a hash: in the run's directory, or in a run that was made of it; else ""."""
    tops = [place] if place == run.directory else [found.directory for found in runs.find([place])]
    for path in [name] if os.path.isabs(name) else [path_inside(top, name) for top in tops]:
        try:
            if sha256 and path and sha256_of(os.fsencode(path)) == sha256:
                return path
        except (OSError, ValueError):
            continue
    return ""


def folder_name(name: str) -> str:
    """A run's name as that of one folder."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:100]
