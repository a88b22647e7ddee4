"""Whether a rerun made the same, and why not.

    >>> result = again.result()             # of a `rerun.Rerun` that was executed
    >>> result.same, [(row["path"], row["verdict"], row["note"]) for row in result.artifacts]
    (True, [('weights.csv', 'identical', 'identical')])

"The same" is said only where something was compared: `nothing_compared` tells why there was nothing.
"""

from __future__ import annotations

import os
import re

from footsteps.reader import compare, measure, runs
from footsteps.reader.formats import flat, mapping, seconds, text
from footsteps.reader.making import name_without_host
from footsteps.recorder.format import from_json
from footsteps.reproduce import explain
from footsteps.reproduce.environment import ran
from footsteps.reproduce.restored_paths import new_place

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.reproduce.rerun import Rerun

__all__ = ["Result"]

SAME = ("identical", "same")


class Result:
    """Whether a rerun made the same.

    again: the rerun; new: the run that it made, or None; artifacts: rows {path, verdict, note, largest}, verdict
    "identical", "same" (but for what is written about the making), "different", "missing" or "new"; the last of them
    are of recorded values, their path is `recorded NAME`.
    """

    def __init__(self, again: Rerun, new: Run | None) -> None:
        self.again, self.new = again, new
        self.artifacts = []
        if new is not None:
            self.artifacts = [*compared(again, new), *compared_elsewhere(again), *compared_values(again.run, new)]

    @property
    def same(self) -> bool:
        """Whether something was compared, all of it is the same, and the program ended as it did then."""
        return bool(self.artifacts) and self.alike

    @property
    def alike(self) -> bool:
        """Whether nothing differs of what was compared, the exit status included."""
        good = all(row["verdict"] in SAME for row in self.artifacts)
        return good and self.new is not None and self.ended_alike and not self.other_id

    @property
    def ended_alike(self) -> bool:
        """Whether the exit status is the recorded one; 0 where none was recorded."""
        return self.again.status == self.expected_status

    @property
    def expected_status(self) -> int:
        """The exit status that the recorded run had; 0 if it is not known."""
        outcome = self.again.run.outcome
        status = outcome.get("exit_status")
        if isinstance(status, int) and not isinstance(status, bool):
            return 128 - status if status < 0 else status
        return 1 if outcome.get("status") == "failed" else 0

    @property
    def nothing_compared(self) -> str:
        """Why there was nothing to compare, in words; "" if there was something."""
        if self.artifacts or self.new is None:
            return ""
        if self.new.kind == "arguments":
            return "a record of arguments has no artifacts, and no run here names it: nothing to compare"
        return "no artifacts were recorded, then or now: nothing to compare"

    @property
    def other_id(self) -> str:
        """The id of the new arguments if it is another one: all that a record of arguments can be compared by."""
        if self.new is None or self.new.kind != "arguments" or self.new.hash_code == self.again.run.hash_code:
            return ""
        return self.new.hash_code

    @property
    def reasons(self) -> list[str]:
        """What may be why something else was made, one sentence each; [] where the same was."""
        return [] if self.same else list(explain.reasons(self))

    def row(self) -> dict[str, Any]:
        """The same as an object for JSON."""
        restored = self.again.restored
        return {
            "run": self.again.run.name, "same": self.same, "exit_status": self.again.status,
            "compared": len(self.artifacts), "directory": self.again.directory,
            "rerun": self.new.directory if self.new else None,
            "restored_exactly": restored.exact if restored else None,
            "command": self.again.command, "missing": self.again.missing, "inputs": self.again.inputs,
            "artifacts": self.artifacts, "reasons": self.reasons,
        }  # fmt: skip


def new_run(again: Rerun) -> Run | None:
    """The run that the command has made: the one most like the old in its name, the first of several.

    It names the old one as its parent, or, if it is a worker's, the main program's run, which does.
    """
    old = again.run
    root = os.path.join(again.cwd, text(old.facts.get("output_root")) or "results")
    for place in dict.fromkeys((root, again.cwd, again.directory)):
        if os.path.isdir(place) and not is_above_all(place):
            found = list(runs.find([place]))
            made = [run for run in found if is_child(run, old, again.began)]
            made += [run for run in found if run not in made and any(is_child(run, one, again.began) for one in made)]
            if made:
                return min(made, key=lambda run: (unlike_name(run, old), run.hash_code != old.hash_code, run.start))
    return None


def unlike_name(run: Run, old: Run) -> int:
    """How far a run's name is from another one's: 1 if only by the number that a second run of a name gets."""
    plain = [re.sub(r"-\d+$", "", name) for name in (run.name, old.name)]
    return 0 if run.name == old.name else 1 if plain[0] == plain[1] else 2


def is_above_all(place: str) -> bool:
    """Whether a recorded output root is the whole disk or a home: runs are not looked for in all of that."""
    home = os.path.join(os.path.realpath(os.path.expanduser("~")), "")
    return home.startswith(os.path.join(os.path.realpath(place), ""))


def is_child(run: Run, parent: Run, began: float) -> bool:
    """Whether a run began after the command did, as a repetition of its parent."""
    if run == parent or run.start < began - 1:
        return False
    if parent.kind == "arguments":  # which names no parent; its id is another one where the code is
        return run.kind == parent.kind
    named = mapping(run.facts.get("parent")).get("id") == parent.id  # which started it, not whose files it has read
    return run.kind == "run" and (named or not parent.id)


def run_that_names(record: Run, among: list[str] | None = None) -> Run:
    """The run whose program parsed the arguments of an LTParser's record, which has the artifacts; else the record.

    among: the roots where it is looked for (default: those of `runs.default_roots`). Of several, the newest.
    """
    if record.kind != "arguments" or not record.hash_code:
        return record
    from footsteps.reader import search

    known = search.known(runs.default_roots() if among is None else among)
    naming = [run for run in known if run.kind == "run" and run.hash_code == record.hash_code]
    return max(naming, key=lambda run: run.start, default=record)


# ---------------------------------------------------------------------------------------------
# The artifacts
# ---------------------------------------------------------------------------------------------


def compared(again: Rerun, new: Run) -> Iterator[dict[str, Any]]:
    """A row for each artifact of either run."""
    old = again.run
    left, right = compare.recorded_artifacts(old), compare.recorded_artifacts(new)
    renamed = dict(pairs_by_plain_name(left, right))
    for path in dict.fromkeys([*left, *(path for path in right if path not in renamed.values())]):
        yield {"path": path, **artifact_verdict(again, new, left.get(path), right.get(renamed.get(path, path)))}


def pairs_by_plain_name(left: Iterable[str], right: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What is the same file under another name, with the time in it: name then, name now, in their order."""
    names, now = sorted(set(left) - set(right)), sorted(set(right) - set(left))
    for name in names:
        same = next(
            (other for other in now if other != name and name_without_host(other) == name_without_host(name)), ""
        )
        if same:
            now.remove(same)
            yield name, same


def artifact_verdict(
    again: Rerun, new: Run, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How one artifact came out the second time."""
    if before is None or after is None:
        word = "new" if before is None else "missing"
        return measure.verdict(word, "it was not made then" if before is None else "it was not made now")
    places = [compare.present(run, entry) for run, entry in ((again.run, before), (new, after))]
    if all(places) and compare.same_file(before, after) and before.get("target") is None:
        return measure.verdict("identical", "identical", 0)  # also if the old one was changed since
    if all(places):
        return how_unlike(again, *places)
    same = compare.same_file(before, after)
    if any(entry.get("target") is not None for entry in (before, after)):
        return measure.verdict("identical" if same else "different", "by where the link leads; it was not followed")
    if same is None:
        return measure.verdict("different", "the recorded one is gone, and has no hash")
    return measure.verdict("identical" if same else "different", "by its recorded hash; the file is gone")


def how_unlike(again: Rerun, old: str, new: str) -> dict[str, Any]:
    """How much two files differ, as far as our packages tell, or those that the program was run with."""
    found = measure.measure(old, new)
    if not measure.lacks_package(found):
        return found
    words = [again.python, "-I", "-c", MEASURED, OUR_SITE, os.path.abspath(old), os.path.abspath(new)]
    status, said = ran(words, SLOWEST_MEASURE, errors=False)
    try:
        return found if status else {**found, **mapping(from_json(said))}
    except ValueError:
        return found


# The packages of the program come first, and footsteps from where we have it if it is not among them.
OUR_SITE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOWEST_MEASURE = 600.0  # seconds
MEASURED = """\
import json, sys
sys.path.append(sys.argv[1])
from footsteps.reader.measure import measure
print(json.dumps(measure(*sys.argv[2:])))
"""


def compared_elsewhere(again: Rerun) -> Iterator[dict[str, Any]]:
    """A row for each file that the old run wrote into its project, outside of its directory, and nobody since."""
    listed = again.run.outcome.get("written_elsewhere")
    for old in map(text, listed if isinstance(listed, list) else ()):
        new = new_place(old, again.moved)
        if not new or not was_last_written_by(again.run, old):
            continue
        if not os.path.isfile(new):
            yield {"path": old, **measure.verdict("missing", "it was not made now")}
        elif os.path.realpath(new) != os.path.realpath(old):
            yield {"path": old, **how_unlike(again, old, new)}


def compared_values(old: Run, new: Run) -> Iterator[dict[str, Any]]:
    """A row for each value that either run recorded, all of a series; what is named as a time is about the making."""
    left, right = (values_of(run) for run in (old, new))
    for name in dict.fromkeys([*left, *right]):
        found = measure.measure_leaves(left.get(name, []), right.get(name, []))
        if found["verdict"] == "same":
            found = measure.verdict("identical", "identical", 0)
        elif left.get(name) and right.get(name) and measure.named_as_time(name):
            found = measure.verdict("same", f"a time, by its name; {found['note']}")
        elif name not in left or name not in right:
            word = "new" if name not in left else "missing"
            found = measure.verdict(word, f"it was not recorded {'then' if word == 'new' else 'now'}")
        yield {"path": f"recorded {name}", **found}


def values_of(run: Run) -> dict[str, list[tuple[str, Any]]]:
    """What a run recorded, by name: pairs of step and value of a series, else the one value."""
    values = flat(run.recorded)
    return {name: [("", value)] for name, value in values.items()} | {
        name: [(f"step {step:.6g}", value) for step, value in series] for name, series in run.all_series.items()
    }


def was_last_written_by(run: Run, path: str) -> bool:
    """Whether a file's time lies within the run's: else another one has written it since, or it is gone."""
    ended = seconds(text(run.outcome.get("ended")))
    try:
        written = os.stat(path).st_mtime
    except (OSError, ValueError):
        return False
    return os.path.isfile(path) and run.start - 2 < written < ended + 2
