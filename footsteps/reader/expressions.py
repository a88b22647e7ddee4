"""LiteTracer's expressions over everything that was recorded.

    >>> from footsteps.reader import expressions, runs
    >>> condition = expressions.parse("lr<0.1")
    >>> expressions.matches(runs.select("unet-3"), condition)
    True

An expression is `P:V`, `P=V` or `P==V` (equal), `P<V`, `P<=V`, `P>V`, `P>=V`, or a bare word, which is
looked for in all names and values, whatever its case. P is an argument, a recorded value, one of
FACTS, or `package.<name>`; the last part of a dotted name will do (`lr` for `optimizer.lr`), and
`-` is `_`. Names of runs may end in a slash (all of a group) or hold `*`; times and durations are as people say them.
"""

from __future__ import annotations

import re

from footsteps.reader import times
from footsteps.reader.formats import flat, mapping, text, version_key
from footsteps.recorder.format import FootstepsError

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

PACKAGE_PREFIX = "package."


# ---------------------------------------------------------------------------------------------
# What can be asked for
# ---------------------------------------------------------------------------------------------


IDS = ("id", "code_id", "commit", "hash_code", "base_hash_code", "git_label")
TIME_FACTS = ("started", "ended")
ALIASES = {
    "code": "code_id", "hash": "hash_code", "date": "started", "when": "started", "took": "duration",
    "tags": "tag", "notes": "note", "group": "name",
}  # fmt: skip
EQUAL = (":", "=", "==")


def exception_of(run: Run) -> str | None:
    """The exception that ended a run as its traceback's last line has it, or None."""
    raised = mapping(run.outcome.get("exception"))
    return f"{text(raised.get('type'))}: {text(raised.get('message'))}" if raised else None


FACTS: dict[str, Callable[[Run], Any]] = {
    "name": lambda run: run.name,
    "id": lambda run: run.id,
    "kind": lambda run: run.kind,
    "status": lambda run: run.status,
    "started": lambda run: run.started,
    "ended": lambda run: run.outcome.get("ended"),
    "duration": lambda run: run.duration,
    "exit_status": lambda run: run.outcome.get("exit_status"),
    "exception": exception_of,
    "code_id": lambda run: run.code_id,
    "commit": lambda run: run.commit,
    "describe": lambda run: run.repository.get("describe"),
    "branch": lambda run: run.repository.get("branch"),
    "changed": lambda run: run.changed,
    "hash_code": lambda run: run.hash_code,
    "base_hash_code": lambda run: run.argument_facts.get("base_hash_code"),
    "git_label": lambda run: run.argument_facts.get("git_label"),
    "command": lambda run: run.command,
    "cwd": lambda run: run.facts.get("cwd"),
    "host": lambda run: run.facts.get("host"),
    "user": lambda run: run.facts.get("user"),
    "python": lambda run: mapping(run.facts.get("python")).get("version"),
    "system": lambda run: mapping(run.facts.get("platform")).get("system"),
    "job": lambda run: typed_form(mapping(run.facts.get("process")).get("job")),
    "tag": lambda run: run.tags,
    "note": lambda run: "\n".join(each["note"] for each in run.notes),
}


def named_facts(run: Run) -> Iterator[tuple[str, Any]]:
    """Everything of a run that an expression can name: pairs of name and value, packages last."""
    for name, fact in FACTS.items():
        yield name, plain_value(fact(run))
    yield from parameters(run).items()
    for name, version in run.packages.items():
        yield PACKAGE_PREFIX + name, version


def parameters(run: Run) -> dict[str, Any]:
    """Arguments and recorded values by dotted name; a recorded value wins over an argument."""
    return {**flat(run.arguments), **flat(run.recorded)}


def varying(runs: Sequence[Run]) -> list[str]:
    """The names of arguments and recorded values that are not the same in all runs; last those that only some have."""
    each = [parameters(run) for run in runs]
    names = dict.fromkeys(name for values in each for name in values)
    found = [name for name in names if len({repr(v.get(name, Ellipsis)) for v in each}) > 1]
    return sorted(found, key=lambda name: len({repr(v[name]) for v in each if name in v}) < 2)


# ---------------------------------------------------------------------------------------------
# Expressions
# ---------------------------------------------------------------------------------------------


class Expression:
    """One condition. name and operator are "" for a bare word, else what stands before the value.

    `holds(name, value)` tells whether a fact of that name fulfils it.
    """

    __slots__ = ("folded", "name", "number", "operator", "value")

    def __init__(self, name: str, operator: str, value: str) -> None:
        name = comparable_name(name)
        self.name, self.operator, self.value = ALIASES.get(name, name), operator, value
        self.number, self.folded = number_of(value), value.casefold()
        if self.name == "duration":
            self.number = times.duration(value)
        elif self.name in TIME_FACTS:
            self.value = times.iso_prefix(value)
            if operator in EQUAL and "T" in self.value and not value[:4].isdigit():  # `started:3d`: since then
                self.operator = ">="

    def __repr__(self) -> str:
        return f"<Expression {self.name}{self.operator}{self.value}>"

    def concerns(self, name: str) -> bool:
        """Whether a fact of this name is meant: all are by a word, save packages' versions."""
        if not self.operator:
            return not name.startswith(PACKAGE_PREFIX)
        known = comparable_name(name)
        return known == self.name or known.endswith("." + self.name)

    def holds(self, name: str, value: Any) -> bool:
        """Whether the value of a fact that is concerned is as asked."""
        if not self.operator:
            named = name not in FACTS and self.folded in name.casefold()
            return named or self.folded in typed_form(value).casefold()
        if name in WORDED and isinstance(value, str):
            return self.operator in EQUAL and WORDED[name](self, value)
        if isinstance(value, (list, tuple)):
            whole = self.operator in EQUAL and typed_form(value) in (self.value, without_brackets(self.value))
            return whole or any(self.holds(name, item) for item in value)
        if value is None or value == "":
            return self.operator in EQUAL and self.folded in ("", "none", "null")
        if self.operator in EQUAL:
            return self.equals(name, value)
        return self.compares(name, value)

    def equals(self, name: str, value: Any) -> bool:
        """Equal as numbers, as the beginning of an id, a time or a version, or letter by letter."""
        left, shown = number_of(value), typed_form(value)
        if isinstance(value, bool):
            return self.folded == shown.casefold()
        if name in IDS:
            return begins_id(shown, self.value)
        if name in TIME_FACTS:
            return shown.startswith(self.value)
        if is_version(name):
            same = version_key(shown) == version_key(self.value)
            return same or (self.operator == ":" and shown.startswith(self.value + "."))
        return shown == self.value or (left is not None and left == self.number)

    def compares(self, name: str, value: Any) -> bool:
        """Less or greater: as versions, as times, else as numbers; what is neither never is."""
        if is_version(name):
            return ordered(version_key(typed_form(value)), self.operator, version_key(self.value))
        if name in TIME_FACTS:
            return ordered(typed_form(value)[: len(self.value)], self.operator, self.value)
        left = None if isinstance(value, bool) else number_of(value)
        if left is None or self.number is None:
            return False
        return ordered(left, self.operator, self.number)


def names_run(asked: Expression, value: Any) -> bool:
    """Whether a run's name is the one asked for, lies in that group (`knee/`), or fits `knee*`."""
    name, wanted = typed_form(value), asked.value
    if wanted.endswith("/"):
        return name.startswith(wanted)
    return name == wanted or fits_glob(name, wanted)


def fits_glob(name: str, wanted: str) -> bool:
    """Whether a name fits a pattern with `*`, `?` or `[...]`; text without them fits nothing here."""
    from fnmatch import fnmatchcase

    return is_glob(wanted) and fnmatchcase(name, wanted)


def is_glob(words: str) -> bool:
    """Whether the words are a pattern of names."""
    return any(mark in words for mark in "*?[")


# Facts that are asked for in a way of their own: one tag of several, words in a note, a group of runs.
WORDED: dict[str, Callable[[Expression, Any], bool]] = {
    "name": names_run,
    "tag": lambda asked, value: asked.value in (typed_form(value), *typed_form(value).split()),
    "note": lambda asked, value: bool(asked.folded) and asked.folded in typed_form(value).casefold(),
}


def parse(expression: str, *, single: bool = True) -> Expression:
    """An expression as it is typed. Raises FootstepsError, with what would do, if it is none.

    single: whether `lr=0.1` is one, which LiteTracer's own command does not know.
    """
    found = re.search(r"==|<=|>=|<|>|:|=", expression)
    if not found:
        if expression.strip():
            return Expression("", "", expression.strip())
        raise FootstepsError("cannot read an empty expression", hint=HINT)
    name, operator, value = expression[: found.start()], found[0], expression[found.end() :]
    if (
        (operator == "=" and not single)
        or not name.rstrip("! ")
        or name.endswith("!")
        or not plausible(operator, value)
    ):
        raise FootstepsError(f"cannot read {expression!r}: {problem_of(name, found[0], value)}", hint=HINT)
    return Expression(name.strip(), operator, value.strip())


HINT = "lr:0.1, lr<=0.1, optimizer==sgd, 'package.numpy<2', or a word"


def plausible(operator: str, value: str) -> bool:
    """Whether a value can stand behind the operator (`<` wants one, `a<>b` is none, `pad:<pad>` is one)."""
    if operator in EQUAL:
        return not re.match(r"=|[<>]=?[\s\d.+-]", value)
    return bool(value.strip()) and not value.startswith(("=", "<", ">"))


def problem_of(name: str, operator: str, value: str) -> str:
    """Why an expression can't be read."""
    if not name.rstrip("! "):
        return "no name before the operator"
    if name.endswith("!"):
        return f"`!{operator}` is no comparison; --exclude {name[:-1]}:{value.lstrip('=')} is"
    if operator == "=":
        return f"`={value[:1] if value[:1] in '<>' else ''}` is no comparison; {comparison_for(name, value)} is"
    return "no value after the operator" if not value.strip() else f"`{operator}{value[0]}` is none"


def comparison_for(name: str, value: str) -> str:
    """What was meant by `lr=3` or `lr=<3`."""
    return f"{name}{value[0]}={value[1:]}" if value.startswith(("<", ">")) else f"{name}=={value}"


def impossible(asked: Expression, statuses: Sequence[str]) -> str:
    """Why no fact of a run can be as asked, with what would do; "" if one can: what was recorded may be called so."""
    value = asked.value
    if asked.name == "status" and asked.operator and value not in statuses:
        return f"no run has the status {value!r}; there are: {', '.join(statuses)}"
    if asked.name in TIME_FACTS and asked.operator and not value[:1].isdigit():
        return f"{value!r} is no time; use one such as {times.TIMES_SAID}"
    if asked.name == "duration" and asked.operator and asked.number is None:
        return f"{value!r} is no duration; use one such as {times.DURATIONS_SAID}"
    comparing = asked.operator not in ("", *EQUAL) and not is_version(asked.name) and asked.name not in TIME_FACTS
    if asked.name in WORDED and comparing:
        return f"{asked.name} is text, which is not compared with {asked.operator}; use {asked.name}:{value}"
    if comparing and asked.number is None and not asked.name.startswith(PACKAGE_PREFIX):
        return f"{value!r} is no number; use one, as in {asked.name}{asked.operator}0.1"
    return ""


def matches(run: Run, *expressions: Expression) -> bool:
    """Whether every expression holds for some fact of the run."""
    facts = list(named_facts(run))
    return all(any(each.holds(name, value) for name, value in facts if each.concerns(name)) for each in expressions)


def comparable_name(name: str) -> str:
    """A name as it is compared: without leading dashes, `-` as `_`."""
    return name.lstrip("-").replace("-", "_")


def typed_form(value: Any) -> str:
    """A value as a person would type it: items of a list with blanks between them."""
    if isinstance(value, (list, tuple)):
        try:
            return " ".join(map(typed_form, value))
        except RecursionError:  # nobody types that
            return "..."
    return "" if value is None else str(value)


def without_brackets(words: str) -> str:
    """A list as Python or JSON writes it as `typed_form` does: `64 32` for `[64, 32]`; other text as it is."""
    listed = words.startswith(("[", "(")) and words.endswith(("]", ")"))
    return " ".join(word.strip(" []()'\"") for word in words.split(",")) if listed else words


def number_of(value: Any) -> float | None:
    """The value as a number, or None if it is none."""
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        return None
    try:
        return int(value) if len(value) < 19 else float(value)  # what a database holds
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return None


def begins_id(value: str, wanted: str) -> bool:
    """Whether an id is or begins with what was typed, also in `v1.0-3-gf6afeb8` and the reverse."""
    short, full = sorted((value, wanted), key=len)
    inside = value.rpartition("-g")[2].startswith(wanted)
    return len(short) >= 4 and (inside or full.startswith(short))


def is_version(name: str) -> bool:
    """Whether a fact's value is a version number."""
    return name.startswith(PACKAGE_PREFIX) or name == "python"


def ordered(left: Any, operator: str, right: Any) -> bool:
    """Whether `left operator right`."""
    if operator.startswith("<"):
        return bool(left < right or (operator == "<=" and left == right))
    return bool(left > right or (operator == ">=" and left == right))


def plain_value(value: Any) -> Any:
    """A fact as it can be compared and stored: a number, a text, or None."""
    if value is None or isinstance(value, (int, float)):
        return rounded(value) if value == value else None  # noqa: PLR0124 - sqlite has no nan
    return typed_form(value)


def rounded(value: float | None) -> float | None:
    """A number as a database holds it: an int beyond 64 bits as a float, beyond those as the infinity."""
    if not isinstance(value, int) or abs(value) < 2**63:
        return value
    return float(value) if abs(value) < 2**1023 else float("inf" if value > 0 else "-inf")
