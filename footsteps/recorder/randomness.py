"""Random state as the program found it: read, never touched, so that a rerun can begin from the same.

Kept are the states of `random` and of numpy's global generator, and torch's seed: as footsteps is imported (or as they
are, later), and as the run begins. In a rerun, which RANDOM_VARIABLE tells, each is put back at the same moment.
What numpy's other generators ask the system for when they have no seed is kept, and given again: a library may make one
unseen. Processes that the program forks have their own.
"""

from __future__ import annotations

import os
import sys

from footsteps.recorder.format import append, from_json, json_text, text_of, warn
from footsteps.recorder.hooks import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    State = Any  # what JSON can say

__all__ = ["seed"]

RANDOM = "random.jsonl"
RANDOM_VARIABLE = "FOOTSTEPS_RANDOM"  # such a file of the run that is repeated
LOADED, BEGUN, SEED, DRAWN = "loaded", "begun", "seed", "drawn"
# Values in the order in which they were asked for: moment and generator.
GIVEN_SEED, NUMPY_ENTROPY = (SEED, "footsteps"), (DRAWN, "numpy")
MOST_DRAWN = 1000  # values of entropy that are kept

_seen: list[tuple[str, str, Any]] = []  # moment, generator, state as it was read; not yet in a record
# Of the run that is repeated: (moment, generator) -> states in order.
_states_to_restore: dict[tuple[str, str], list[State]] = {}
_record_folder: list[str] = []  # where a begun run keeps them
_seeds: list[int] = []  # that this run has had
_drawn: list[int] = []  # entropy that this process was given, as far as it is kept


def seed() -> int:
    """A fresh seed from 0 to 2**32 - 1, recorded as the run's `seed` (`seed_2`, ...); the same one again in a rerun.

    For what brings its own entropy: `numpy.random.default_rng(footsteps.seed())`.
    """
    from footsteps.recorder.values import record

    value = _next_value(GIVEN_SEED)
    number = value if isinstance(value, int) else int.from_bytes(os.urandom(4), "little")
    _seeds.append(number)
    record(**{"seed" if len(_seeds) == 1 else f"seed_{len(_seeds)}": number})
    _note(*GIVEN_SEED, number)
    return number


def _next_value(which: tuple[str, str]) -> State:
    """The next of the values that the run that is repeated was given; None if there is none."""
    known = _states_to_restore.get(which)
    return known.pop(0) if known else None


# --- the generators: how a state is read, said in JSON, and put back ---


def _random_state(module: Any) -> Any:
    return module.getstate()


def _random_said(state: Any) -> State:
    version, words, gauss = state
    return {"version": version, "words": _hex(words), "gauss": gauss}


def _random_put_back(module: Any, said: State) -> None:
    module.setstate((said["version"], tuple(_state_words(said["words"])), said["gauss"]))


def _numpy_state(module: Any) -> Any:
    return module.get_state(legacy=False)


def _numpy_said(state: Any) -> State:
    if state["bit_generator"] != "MT19937":
        return None  # the program has put one of its own there
    inner = state["state"]
    gauss = float(state["gauss"]) if state["has_gauss"] else None
    return {"words": _hex(inner["key"].tolist()), "pos": int(inner["pos"]), "gauss": gauss}


def _numpy_put_back(module: Any, said: State) -> None:
    key = sys.modules["numpy"].array(_state_words(said["words"]), "uint32")
    module.set_state(("MT19937", key, said["pos"], int(said["gauss"] is not None), said["gauss"] or 0.0))


def _torch_state(module: Any) -> Any:
    return int(module.initial_seed()) if hasattr(module, "initial_seed") else None


def _torch_put_back(module: Any, said: State) -> None:
    if int(said) != module.initial_seed():
        module.manual_seed(int(said))


# Its name; the module in which it is; three functions.
GENERATORS: tuple[tuple[str, str, Callable[[Any], Any], Callable[[Any], State], Callable[[Any, State], None]], ...] = (
    ("random", "random", _random_state, _random_said, _random_put_back),
    ("numpy", "numpy.random.mtrand", _numpy_state, _numpy_said, _numpy_put_back),
    ("torch", "torch", _torch_state, int, _torch_put_back),
)


def _hex(words: Any) -> str:
    import struct

    return struct.pack(f"<{len(words)}I", *words).hex()


def _state_words(text: str) -> list[int]:
    import struct

    data = bytes.fromhex(text)
    return list(struct.unpack(f"<{len(data) // 4}I", data))


# --- entropy, which a generator without a seed asks for ---


def _follow_entropy(module: Any) -> None:
    """Have numpy's generators begin with the recorded entropy, and keep what they begin with."""
    original = getattr(module, "randbits", None)
    if original is None or hasattr(original, "asks_the_system"):
        return

    def randbits(bits: int) -> int:
        value = _next_value(NUMPY_ENTROPY)
        number = int(value, 16) if _is_hex(value, bits) else int(original(bits))
        if len(_drawn) < MOST_DRAWN:
            _drawn.append(number)
            _note(*NUMPY_ENTROPY, f"{number:x}")
        return number

    randbits.asks_the_system = original  # type: ignore[attr-defined]
    module.randbits = randbits


def _is_hex(value: State, bits: int) -> bool:
    """Whether it is a number of so many bits: a record is a stranger's."""
    try:
        return isinstance(value, str) and len(value) <= bits // 4 and int(value, 16) >= 0
    except ValueError:
        return False


def _forget_in_child() -> None:
    """In a forked child: all children would begin with the same values, and note them as the program's."""
    for which in (GIVEN_SEED, NUMPY_ENTROPY):
        _states_to_restore.pop(which, None)
    _record_folder.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


# --- the moments ---


def keep_states() -> None:
    """Keep the states that there are, and those of modules that come later; at the import of the package."""
    path = os.environ.pop(RANDOM_VARIABLE, None)  # programs that this one starts are no repetitions
    if path is not None:
        _read(path)
    for row in GENERATORS:
        when_imported(row[1], lambda module, row=row: _at(LOADED, row, module))  # type: ignore[misc]
    when_imported("numpy.random.bit_generator", _follow_entropy)


def keep_begin(record: str) -> None:
    """A run has begun: keep the states of this moment, and what was kept before, in the folder of its record."""
    for row in GENERATORS:
        module = sys.modules.get(row[1])
        if module is not None:
            _at(BEGUN, row, module)
    _record_folder[:] = [record]
    kept, _seen[:] = list(_seen), []
    early = [each for each in kept if each[0] != BEGUN]
    _write(kept)
    _seen[:] = early  # those of before a run are that run's too: the program is repeated from its start


def keep_end() -> None:
    """The run has ended."""
    _record_folder.clear()
    _seeds.clear()


def _at(moment: str, row: Any, module: Any) -> None:
    """Put a generator's state back if this is a repetition, and keep it as it is now."""
    name, _, read, _, put_back = row
    known = _states_to_restore.get((moment, name))
    if known:
        try:
            put_back(module, known.pop(0))
        except Exception as error:
            warn(f"the random state of {name} could not be put back: {type(error).__name__}: {error}")
    try:
        _note(moment, name, read(module))
    except Exception:  # a module of that name that is another one
        return


def _note(moment: str, name: str, state: Any) -> None:
    in_order = moment in (SEED, DRAWN)
    if _record_folder:
        _write([(moment, name, state)])
    if in_order or not (_record_folder or any(each[:2] == (moment, name) for each in _seen)):
        _seen.append((moment, name, state))


def _write(kept: list[tuple[str, str, Any]]) -> None:
    """Add lines to the record; what can't be written is a line on stderr."""
    said = {row[0]: row[3] for row in GENERATORS}
    lines = []
    for moment, name, state in kept:
        value = said[name](state) if moment in (LOADED, BEGUN) and state is not None else state
        if value is not None:
            lines.append(json_text({"at": moment, "generator": name, "state": value}) + "\n")
    try:
        append(os.path.join(_record_folder[0], RANDOM), "".join(lines).encode("ascii"))
    except OSError as error:
        _record_folder.clear()  # said once
        warn(f"the random state could not be recorded: {error}")


def _read(path: str) -> None:
    """The states of the run that is repeated. A record may come from anybody: what is no state can't be put back."""
    for line in text_of(path).splitlines():
        try:
            said = from_json(line)
            _states_to_restore.setdefault((said["at"], said["generator"]), []).append(said["state"])
        except (ValueError, TypeError, KeyError, RecursionError):
            warn(f"{path}: a line that is no random state")
