"""Hooks: functions that stand where another one stood, and modules, of which those that come can be waited for.

A wrapper calls the function it stands for, does something around it, and looks like it from outside.
`when_imported(name, function)` imports nothing and costs nothing until the program imports that module.
Nothing here knows what is noted, or raises into the program.
"""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, CellType, FrameType, ModuleType

from footsteps.recorder.format import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any

    Listener = Callable[[ModuleType], object]

PACKAGE_NAME = "footsteps"
RECORDER_FOLDER = os.path.join(os.path.dirname(__file__), "")
PACKAGE_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


class Place:
    """A module, by name: pickled it is that module elsewhere."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (self.module,)


class Wrapper:
    """What stands where a builtin function stood, and calls it. To whoever asks it is a builtin.

    pyfakefs patches whatever inspect.isbuiltin says is one, classes don't bind it (`opener = open`
    in a class body), and pickled it is whatever stands there elsewhere.
    """

    is_wrapper = True

    def __init__(self, module: str, original: Any) -> None:
        self.place, self.original = Place(module), original
        for name in ("__name__", "__qualname__", "__doc__", "__module__", "__self__", "__text_signature__"):
            setattr(self, name, getattr(original, name, None))  # a __getattr__ would be felt in each open()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return BuiltinFunctionType

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.place, self.original.__name__)

    def __copy__(self) -> Wrapper:
        return self

    def __deepcopy__(self, _: object) -> Wrapper:
        return self

    def __repr__(self) -> str:
        return repr(self.original)


def wrapper(calling: Any, module: str, original: Any) -> Any:
    """A wrapper for `original`; a call of it is one of `calling(original)`, without so much as a `self` to pass."""
    called = calling(original)
    called.__qualname__ = original.__name__  # a TypeError for a wrong call names it
    made = type(original.__name__, (Wrapper,), {"__call__": staticmethod(called)})(module, original)
    for names in ("dir_fd", "effective_ids", "fd", "follow_symlinks"):
        able: set[Any] = getattr(os, f"supports_{names}", set())
        if original in able:  # shutil.rmtree asks whether os.open is in there
            able.add(made)
    return made


def is_wrapper(function: Any) -> bool:
    """Whether it is one of ours."""
    return getattr(type(function), "is_wrapper", False) is True


def original_of(function: Any) -> Any:
    """The builtin function, also where an earlier import of this module has put its own there."""
    return function.original if is_wrapper(function) else function


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the recorder that it begins with, and of what these have called.

    Set in an except block that ends with a bare `raise`: that one adds no frame of its own.
    """
    recorders = []  # which frames are
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        recorders.append(file.startswith(RECORDER_FOLDER))
        if not recorders[-1] and not (recorders[:2] == [True, True] and is_our_source(file)):
            return trace
        trace = trace.tb_next
    return trace


class OwnErrorsDropped:
    """`with own_errors_dropped:` ends a block at what our code raises; a signal handler's goes through.

    Around all that runs in the program's own calls: there is no error of ours that it should see,
    and none of its own, as a time limit's, that it should not.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, Exception) and not is_foreign(error)


own_errors_dropped = OwnErrorsDropped()


def is_foreign(error: BaseException) -> bool:
    """Whether a signal handler or another thread has raised it in our code: the program waits for it."""
    trace, frames = error.__traceback__, []
    while trace is not None and is_our_source(trace.tb_frame.f_code.co_filename):
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    if trace is None:  # from another thread it has no frame
        return type(error).__module__.partition(".")[0] not in (PACKAGE_NAME, *sys.stdlib_module_names)
    # A handler is given the frame that it interrupts; a fake os.stat, which may raise too, is not.
    given = trace.tb_frame.f_locals.values()
    return any(one in frames for value in given for one in (value if type(value) is tuple else (value,)))


def is_our_source(file: str) -> bool:
    """Whether a source is this package's, or one of the standard library's that it calls."""
    library = os.path.join(os.path.dirname(os.__file__), "")
    of_python = file.startswith(("<frozen ", library)) and "/site-packages/" not in file
    return of_python or file.startswith(PACKAGE_FOLDER)


def around(original: Any, before: Callable[..., Any], after: Callable[..., Any] | None = None) -> Any:
    """What stands for a function that is not called by the thousand: `original`, with something done around it."""

    def called(*given: Any, **named: Any) -> Any:
        try:
            before(*given, **named)
            result = original(*given, **named)
            if after is not None:
                after(*given, **named)
            return result
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return called


# --- whoever holds a function -----------------------------------------------------------------------------------------


OPENERS = ("_io", "posix", "nt", "_sqlite3")  # modules where Python's own machinery finds them


def holders_of(things: Sequence[Any]) -> list[Any] | None:
    """Namespaces, objects, cells and the like that hold one of these, but ours and Python's own.

    None where nobody can tell: PyPy, or a program that has frozen what is there (gc.freeze).
    """
    import gc

    if not hasattr(gc, "get_referrers") or gc.get_freeze_count():
        return None
    asked = list(map(id, things))  # in the tuple of arguments, too
    own = {id(things), *(id(vars(sys.modules[name])) for name in OPENERS if name in sys.modules)}
    found = [holder for holder in gc.get_referrers(*things) if id(holder) not in own and not _is_own_holder(holder)]
    return [holder for holder in found if type(holder) is not tuple or list(map(id, holder)) != asked]


def _is_own_holder(holder: Any) -> bool:
    kind = type(holder)
    if kind is dict:
        return str(holder.get("__name__", "")).startswith(f"{PACKAGE_NAME}.") or type(holder.get("place")) is Place
    of_c = kind is ModuleType and holder.__name__ in sys.stdlib_module_names  # _zoneinfo
    return of_c or kind is FrameType or is_wrapper(holder)


def replaced_in(holder: Any, stands: Mapping[int, Any]) -> bool:
    """Replace objects, by their id, in what holds them; whether that could be done."""
    try:
        if type(holder) is CellType:
            holder.cell_contents = stands[id(holder.cell_contents)]
            return True
        if type(holder) is staticmethod:
            holder.__init__(stands[id(holder.__func__)])  # type: ignore[misc]
            return True
        names = holder if type(holder) is dict else object.__getattribute__(holder, "__dict__")
        found = [name for name, value in names.items() if id(value) in stands]
        owner = _class_of(names) if "__module__" in names and "__doc__" in names else None
        for name in found:
            if owner is not None:
                setattr(owner, name, stands[id(names[name])])
            else:
                names[name] = stands[id(names[name])]
        return bool(found)
    except Exception:  # an object of whatever kind
        return False


def _class_of(names: Any) -> type | None:
    """The class whose namespace this is."""
    import gc

    return next((one for one in gc.get_referrers(names) if isinstance(one, type)), None)


def holds(holder: Any, thing: Any) -> bool:
    """Whether an object holds another one."""
    import gc

    return any(one is thing for one in gc.get_referents(holder))


# --- modules ----------------------------------------------------------------------------------------------------------

executed: list[str] = []  # sources and bytecode that Python has read by io.open_code, and sources that the program read
watchers: list[Callable[[str], object]] = []  # who is told of each as it is read; must not raise
_listeners: dict[str, list[Listener]] = {}  # module -> who waits for it
_sought: set[str] = set()  # modules that are being looked for at the moment


def when_imported(name: str, function: Listener) -> None:
    """Call `function(module)` now if the module is loaded, and whenever it has run: at its import, at a reload.

    What the function raises is a line on stderr.
    """
    _listeners.setdefault(name, []).append(function)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    if module is not None:
        quietly(function, module)


def names_of(module: object) -> dict[str, Any]:
    """What a module holds, without waking a lazy one; nothing of what only pretends to be a module."""
    try:
        names = ModuleType.__getattribute__(module, "__dict__")
        return names if type(names) is dict else {}
    except Exception:  # a TypeError, of a mock too; whatever else an odd one raises costs it alone
        return {}


def source_files() -> Iterator[tuple[str, str, str | None]]:
    """Name, file, and bytecode file or None, of each loaded module that tells its file."""
    for name, module in list(sys.modules.items()):
        names = names_of(module)
        file = names.get("__file__")
        if type(file) is str:
            cached = names.get("__cached__")
            yield name, file, cached if type(cached) is str else None


def source_of(path: str) -> str:
    """The source that bytecode was made of; the path itself of any other file."""
    folder, cache, name = path.rpartition(_CACHE)
    return os.path.join(folder, name.split(".")[0] + ".py") if cache and name.endswith(".pyc") else path


_CACHE = f"{os.sep}__pycache__{os.sep}"


class Finder:
    """Stands first in sys.meta_path; finds a module that is waited for as the others do, and sees it run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the next finder has for it; None for all that nobody waits for."""
        if name not in _listeners or name in _sought:  # there may be two of us
            return None
        _sought.add(name)
        try:
            finders = (getattr(finder, "find_spec", None) for finder in list(sys.meta_path) if finder is not self)
            specs = (find(name, path, target) for find in finders if find is not None)
            spec = next((spec for spec in specs if spec is not None), None)
        finally:
            _sought.discard(name)
        if spec is not None:
            quietly(_watch, name, spec.loader)
        return spec

    def invalidate_caches(self) -> None:
        """Nothing is kept."""


_finder = Finder()


def _watch(name: str, loader: Any) -> None:
    """See the module run: for once, this loader's exec_module is followed by a word to those who wait."""
    if isinstance(loader, type) or not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__"):
        return  # built in, or a namespace: none that is waited for
    original = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        try:
            loader.__dict__.pop("exec_module", None)
            original(module)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise
        told = _listeners.get(name, ()) if module.__name__ == name else ()  # a zip's loader is that of several
        for function in told:
            quietly(function, sys.modules.get(name, module))

    loader.exec_module = exec_module
