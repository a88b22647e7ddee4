"""The arrows of the design: who imports whom, who starts git, who prints."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import footsteps

PACKAGE = Path(footsteps.__file__).parent
# In this order the rooms may know each other: each only what stands before it, and what its row names.
ROOMS = {
    "footsteps": set(),
    "recorder": set(),
    "recorder.inputs": {"footsteps", "recorder.values", "recorder.outcome"},  # both late, once there is a run
    "recorder.values": {"footsteps", "recorder.inputs"},
    "recorder.outcome": {"footsteps", "recorder.inputs", "recorder.values"},
    "lite_tracer.arguments": {"footsteps"},
    "lite_tracer.parser": {"lite_tracer.arguments", "footsteps"},
    "runs": {"footsteps"},
    "search": {"runs", "footsteps"},
    "restore": {"runs", "footsteps"},
    "compare": {"restore", "runs", "footsteps"},
    "environment": {"restore", "runs", "footsteps"},
    "rerun": {"environment", "restore", "compare", "runs", "footsteps"},
    "trace": {"compare", "runs", "search", "footsteps"},
    "render": set(),
    "cli": {"footsteps", "runs", "search", "compare", "restore", "rerun", "trace", "render"},
    "lite_tracer": {"lite_tracer.parser"},
    "lite_tracer.lite_trace": {"search", "runs", "render", "footsteps"},
    "lite_tracer.alias.lite_tracer": set(),
    "lite_tracer.alias.lite_tracer.lite_trace": {"lite_tracer.lite_trace"},
    "__init__": {"footsteps", "recorder.inputs", "recorder.values", "recorder.outcome", "lite_tracer.parser"},
    "__main__": {"cli"},
}
HEAVY = """argparse asyncio dataclasses hashlib importlib.metadata inspect json numpy pathlib prompt_toolkit
psutil re subprocess tempfile typing"""
MOUTHS = {"cli", "render", "lite_tracer.lite_trace"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The room a file is: its name as a module, below the package."""
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(inside[:-1] if inside[-1] == "__init__" and len(inside) > 1 else inside)


def tree(path: Path) -> ast.Module:
    """What a file says."""
    return ast.parse(path.read_bytes(), str(path))


def imported(statement: ast.AST, package: str = "footsteps") -> set[str]:
    """The modules that one statement of a module in that package imports, by their full names."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    if not isinstance(statement, ast.ImportFrom):
        return set()
    above = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
    module = ".".join([*above, *filter(None, [statement.module])])
    whole = {f"{module}.{alias.name}" for alias in statement.names}
    return {name for name in whole if name.removeprefix("footsteps.") in ROOMS} or {module}


def rooms_known(path: Path) -> set[str]:
    """The rooms of the house that a file imports, at its top or late."""
    package = ".".join(["footsteps", *path.relative_to(PACKAGE).parts[:-1]])
    names = set().union(*(imported(node, package) for node in ast.walk(tree(path))))
    return {name.removeprefix("footsteps.") for name in names if name.startswith("footsteps.")} & set(ROOMS)


def at_import(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that run when a module is imported, functions and TYPE_CHECKING blocks aside."""
    found = []
    for statement in body:
        guarded = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) or guarded:
            continue
        found.append(statement)
        for inner in ("body", "orelse", "finalbody"):
            found += at_import(getattr(statement, inner, []))
        for handler in getattr(statement, "handlers", []):
            found += at_import(handler.body)
    return found


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_a_room_knows_only_those_above_it(path):
    """Arrows point up the list of rooms, and only where the list says so."""
    assert rooms_known(path) - {room(path)} <= ROOMS[room(path)]


def test_the_list_of_rooms_has_no_circle():
    """Each row names only rooms that stand before it."""
    names = list(ROOMS)
    late = {("recorder.inputs", "recorder.values"), ("recorder.inputs", "recorder.outcome")}
    arrows = {(name, known) for name, row in ROOMS.items() for known in row} - late
    assert all(names.index(known) < names.index(name) for name, known in arrows)


def test_the_heart_imports_only_the_standard_library_and_nothing_of_its_package():
    """The file can be copied alone."""
    heart = tree(PACKAGE / "footsteps.py")
    first = set().union(*(imported(statement) for statement in at_import(heart.body)))
    assert {name.split(".")[0] for name in first} <= sys.stdlib_module_names
    anywhere = set().union(*(imported(node) for node in ast.walk(heart)))
    assert not [name for name in anywhere if name.split(".")[0] == "footsteps"]


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_only_the_heart_starts_git(path):
    """No other file holds a command that begins with git."""
    commands = [node for node in ast.walk(tree(path)) if isinstance(node, (ast.List, ast.Tuple)) and node.elts]
    git = [node.lineno for node in commands if isinstance(node.elts[0], ast.Constant) and node.elts[0].value == "git"]
    assert room(path) == "footsteps" or not git


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_only_the_command_line_prints(path):
    """No other file calls print or writes to stdout, but for the recorder's two lines."""
    calls = [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    spoken = [call for call in calls if call == "print" or call.startswith("sys.stdout.write")]
    assert room(path) in MOUTHS | {"footsteps"} or not spoken


def test_importing_the_package_loads_no_heavy_module(run_script):
    """The way to output_dir, and every command, begins with this import."""
    program = f"""
import sys
sys.path.append({str(PACKAGE.parent)!r})
before = set(sys.modules)
import footsteps
print(*set(sys.modules) - before)
"""
    done = run_script(program, options=("-I", "-S"))
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & set(HEAVY.split())


def test_the_way_to_output_dir_loads_no_heavy_module(run_script, repo):
    """Each would cost milliseconds at every start, also where a package was installed from a directory."""
    origin = '{"url": "file:///srv/tool", "dir_info": {"editable": true}}'
    repo.write("tool-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n")
    repo.write("tool-1.0.dist-info/direct_url.json", origin)
    program = f"""
import sys
sys.path.append({str(PACKAGE.parent)!r})
before = set(sys.modules)
import footsteps
footsteps.output_dir
print(*set(sys.modules) - before)
"""
    done = run_script(program, cwd=repo, options=("-S",), env={"FOOTSTEPS_NAME": "light"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "/srv/tool" in (repo / "results/light/package_versions.txt").read_text()
    assert not set(done.stdout.split()) & set(HEAVY.split())
