"""What the program's parser made of its command line, defaults included.

Heard from argparse (of Hydra's: the overrides), click (typer), absl and fire, where the program has imported them or
does so later; nothing is imported for it. What a program parses for itself is guessed from sys.argv instead
(values.arguments_of).
"""

from __future__ import annotations

import sys

from footsteps.recorder.ending import execution, is_another
from footsteps.recorder.hooks import when_imported
from footsteps.recorder.processes import told_by_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Any

heard: dict[str, Any] = {}  # by name, as the program has parsed them so far
PARSED_LISTENERS: list[Callable[[], object]] = []  # called when that has changed
of_ltparser: list[tuple[dict[str, Any], dict[str, Any]]] = []  # what it parsed last, and its facts
_argv: list[str] = []  # of which they were made
_by: list[Any] = [None]  # the execution of the program that parsed them


def hear(values: Mapping[str, Any]) -> None:
    """Note what was parsed; for another command line, or another execution, anew."""
    forget_others(execution())
    before = dict(heard)
    if _argv != sys.argv:
        heard.clear()
        _argv[:] = sys.argv
    heard.update(values)
    if heard != before:
        for listener in PARSED_LISTENERS:
            listener()


def forget_others(now: Any) -> None:
    """Forget what another execution of a program has parsed than the one that goes on; None: it is not known."""
    if is_another(now, _by[0]):
        heard.clear()
        of_ltparser.clear()
    _by[0] = now or _by[0]


def told() -> dict[str, Any] | None:
    """What was parsed, as JSON can say it, without secrets; None if nothing was.

    In a worker that was started anew also what the program at its head has parsed.
    """
    found = {**(told_by_head().get("arguments") or {}), **_told_of_heard()}
    for values, _ in of_ltparser:
        found.update(values)
    return found if found or of_ltparser else None


def facts_told() -> dict[str, Any] | None:
    """What LTParser tells of them, hash_code and the like; None without it."""
    return of_ltparser[0][1] if of_ltparser else told_by_head().get("argument_facts")


def _told_of_heard() -> dict[str, Any]:
    """What was heard; the words ``a.b=c`` of a list by their names."""
    from footsteps.recorder.values import arguments_of, masked_value

    found: dict[str, Any] = {}
    for name, value in heard.items():
        words = value if isinstance(value, (list, tuple)) else ()
        if words and all(isinstance(word, str) and "=" in word[1:] for word in words):  # overrides
            found.update(
                (key, masked_value(key, said)) for key, said in arguments_of(["", *words]).items() if key != "_"
            )
        found[name] = masked_value(name, _name_of(value))
    return found


def _name_of(value: Any) -> Any:
    """A function's or class's name, as its repr has an address that is another one in each run; else the value."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def hydra_overrides(words: Iterable[Any]) -> dict[str, Any]:
    """What words such as ``lr=0.1`` set for the program, {"lr": 0.1}; not what is set for Hydra itself."""
    from footsteps.recorder.values import arguments_of

    own = ("hydra.", "hydra/")
    return arguments_of(["", *(word for word in map(str, words) if not word.lstrip("+~").startswith(own))])


def _is_from_command_line(words: Any) -> bool:
    """Whether a parser was given the program's own command line, not words of somebody's making."""
    return words is None or (len(words) > 0 and set(words) <= set(sys.argv))


def _after(holder: Any, name: str, note: Callable[..., Mapping[str, Any] | None]) -> None:
    """Have ``note(result, *arguments)`` of each call of ``holder.name``; never raises into the program."""
    original = getattr(holder, name)
    depth = [0]

    def called(*given: Any, **options: Any) -> Any:
        depth[0] += 1
        try:
            result = original(*given, **options)
        finally:
            depth[0] -= 1
        if depth[0] == 0:  # a subcommand's parser is called by that of the command
            try:
                hear(note(result, *given, **options) or {})
            except Exception:  # values that can't be compared, a namespace that hides them: argv is guessed from
                pass
        return result

    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(called, attribute, getattr(original, attribute))
    called.__wrapped__ = original  # type: ignore[attr-defined]
    setattr(holder, name, called)


# --- the libraries ----------------------------------------------------------------------------------------------------


def _follow_argparse(module: ModuleType) -> None:
    def parsed(result: Any, parser: Any, args: Any = None, *_: Any, **__: Any) -> Mapping[str, Any] | None:
        own = type(parser).__module__.partition(".")[0] == "footsteps"  # LTParser notes what it parsed itself
        if own or not _is_from_command_line(args):
            return None
        values = result[0]
        if hasattr(values, "hydra_help"):  # Hydra's own parser: its flags are none of the program's
            return hydra_overrides(values.overrides)
        names = getattr(values, "__dict__", None) or {action.dest: 0 for action in parser._actions}  # noqa: SLF001
        return {name: getattr(values, name) for name in names if hasattr(values, name)}

    parser: Any = getattr(module, "ArgumentParser")  # noqa: B009
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        _after(parser, name, parsed)


def _follow_jsonargparse(module: ModuleType) -> None:
    def parsed(result: Any, _: Any, args: Any = None, *__: Any, **___: Any) -> Mapping[str, Any] | None:
        return result.as_dict() if _is_from_command_line(args) else None

    _after(getattr(module, "ArgumentParser"), "parse_args", parsed)  # noqa: B009


def _follow_click(module: ModuleType) -> None:
    command: Any = getattr(module, "Command")  # noqa: B009
    original = command.invoke

    def invoke(self: Any, ctx: Any) -> Any:  # before: the program's own function runs in it
        try:
            hear(ctx.params)
        except Exception:  # as above
            pass
        return original(self, ctx)

    invoke.__doc__, invoke.__wrapped__ = original.__doc__, original  # type: ignore[attr-defined]
    command.invoke = invoke


def _follow_absl(module: ModuleType) -> None:
    def parsed(_: Any, flags: Any, argv: Any, **__: Any) -> Mapping[str, Any] | None:
        if not _is_from_command_line(argv):
            return None
        rows = flags.flags_by_module_dict().items()
        return {flag.name: flag.value for by, own in rows if by.partition(".")[0] != "absl" for flag in own}

    _after(getattr(module, "FlagValues"), "__call__", parsed)  # noqa: B009


def _follow_fire(module: ModuleType) -> None:
    make: Any = getattr(module, "_MakeParseFn")  # noqa: B009

    def made(function: Any, metadata: Any) -> Any:
        parse = make(function, metadata)

        def parsed(args: Any) -> Any:
            result = parse(args)
            try:
                given, named = result[0]
                names = [*module.inspectutils.GetFullArgSpec(function).args]
                hear({**dict(zip(names, given, strict=False)), **named})
            except Exception:  # as above
                pass
            return result

        return parsed

    setattr(module, "_MakeParseFn", made)  # noqa: B010


PARSERS_FOLLOWED: dict[str, Callable[[ModuleType], None]] = {
    "argparse": _follow_argparse,
    "jsonargparse._core": _follow_jsonargparse,  # it does not call argparse's own
    "click.core": _follow_click,
    "typer._click.core": _follow_click,  # newer ones bring their own
    "absl.flags._flagvalues": _follow_absl,
    "fire.core": _follow_fire,
}


def listen() -> None:
    """Follow those that are there, and those that come."""
    for name, follow in PARSERS_FOLLOWED.items():
        when_imported(name, lambda module, follow=follow: _attempt(follow, module))  # type: ignore[misc]


def _attempt(follow: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        follow(module)
    except Exception:  # a version that is made otherwise: argv is guessed from
        pass
