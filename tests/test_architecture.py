"""The arrows of the design: who imports whom, who starts git, who prints."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import footsteps

PACKAGE = Path(footsteps.__file__).parent
# From what all others may import to what only shows; a part imports those before it.
PARTS = ["recorder", "reader", "reproduce", "view", "cli"]
HEAVY = """argparse asyncio dataclasses hashlib importlib.metadata inspect json numpy pathlib prompt_toolkit
psutil re subprocess tempfile typing"""
PRINTING = {"footsteps", "cli", "lite_tracer"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """The part of the package that a file belongs to: a folder, or a file at the top."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def file_name(path: Path) -> str:
    """A file as a test's name has it: `reader/runs.py`."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """What a file says."""
    return ast.parse(path.read_bytes(), str(path))


def imported(statement: ast.AST) -> set[str]:
    """The modules that one statement imports: dotted names."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    if not isinstance(statement, ast.ImportFrom):
        return set()
    module = ".".join(filter(None, ("footsteps" if statement.level else "", statement.module)))
    return {f"{module}.{alias.name}" for alias in statement.names} | {module}


def parts_imported(path: Path) -> set[str]:
    """The parts of the package that a file imports, at its top or late."""
    names = set().union(*(imported(node) for node in ast.walk(tree(path))))
    return {name.split(".")[1] for name in names if name.startswith("footsteps.")} & {*PARTS, "footsteps"}


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


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) in PARTS], ids=file_name)
def test_imports_go_one_way(path):
    """Each part imports only what stands before it in the list, and of its own; none the file that is copied."""
    assert parts_imported(path) <= set(PARTS[: PARTS.index(part(path)) + 1])


@pytest.mark.parametrize("path", MODULES, ids=file_name)
def test_no_file_is_too_long_to_read(path):
    """The core module, which is copied, has 700 lines at most, any other file 900."""
    assert len(path.read_text().splitlines()) <= (700 if file_name(path) == "footsteps.py" else 900)


def test_the_core_module_imports_only_the_standard_library_and_nothing_of_its_package():
    """The file can be copied alone."""
    core = tree(PACKAGE / "footsteps.py")
    first = set().union(*(imported(statement) for statement in at_import(core.body)))
    assert {name.split(".")[0] for name in first} <= sys.stdlib_module_names
    anywhere = set().union(*(imported(node) for node in ast.walk(core)))
    assert not [name for name in anywhere if name.split(".")[0] == "footsteps"]


# Names that stand in two modules for one thing: in the core module and the recorder, which does not import it; of a
# command and of what it does.
SAME = {
    "FootstepsError", "MAX_DIFF", "NAME_VARIABLE", "OUTPUT_ROOT", "RUN_VARIABLE", "Run", "TYPE_CHECKING", "__all__",
    "__getattr__", "_shared", "as_name", "begin", "current", "end", "export", "git", "main", "path", "plot",
    "printable", "rerun", "restore", "run_directory", "trace", "verify", "warn",
}  # fmt: skip


def top_level_names(path: Path) -> set[str]:
    """What a module defines at its top level: functions, classes and variables."""
    body = tree(path).body
    defined = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assigned = [node.targets if isinstance(node, ast.Assign) else [node.target] for node in body if is_assignment(node)]
    return defined | {name.id for targets in assigned for name in targets if isinstance(name, ast.Name)}


def is_assignment(node: ast.stmt) -> bool:
    """Whether a statement assigns a value to names."""
    return isinstance(node, (ast.Assign, ast.AnnAssign))


def test_no_two_modules_use_one_name_for_different_things():
    """A reader who searches for a function finds it, and not another one that is called the same."""
    found = Counter(name for path in MODULES for name in top_level_names(path))
    assert {name for name, count in found.items() if count > 1} <= SAME


@pytest.mark.parametrize("path", MODULES, ids=file_name)
def test_only_two_files_start_git(path):
    """The core module and recorder/git.py: no other file holds a command that begins with git."""
    commands = [node for node in ast.walk(tree(path)) if isinstance(node, (ast.List, ast.Tuple)) and node.elts]
    git = [node.lineno for node in commands if isinstance(node.elts[0], ast.Constant) and node.elts[0].value == "git"]
    assert file_name(path) in ("footsteps.py", "recorder/git.py") or not git


@pytest.mark.parametrize("path", MODULES, ids=file_name)
def test_only_the_command_line_prints(path):
    """No other file calls print or writes to stdout, but for the recorder's two lines."""
    calls = [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    spoken = [call for call in calls if call == "print" or call.startswith("sys.stdout.write")]
    assert part(path) in PRINTING or not spoken


@pytest.mark.parametrize("words", [["list"], ["--version"], ["path", "@"]], ids=" ".join)
def test_a_command_imports_nothing_of_other_groups(run_script, words):
    """Whoever lists runs does not wait for what restores and compares them."""
    program = f"""
import sys
sys.path.append({str(PACKAGE.parent)!r})
from footsteps.cli import main
main({words!r})
print(*(name for name in sys.modules if name.startswith("footsteps.")), file=sys.stderr)
"""
    loaded = set(run_script(program).stderr.splitlines()[-1].split())
    assert "footsteps.cli.parsers" in loaded
    apart = ("footsteps.reproduce", "footsteps.reader.compare", "footsteps.reader.measure")
    assert not [name for name in loaded if name.startswith(apart)]


@pytest.mark.parametrize("words", [["list"], ["--help"]], ids=" ".join)
def test_the_command_follows_no_inputs_and_a_program_does(words, run_script):
    """`footsteps list` is nobody's experiment: it answers sooner without what a program that may begin a run needs."""
    program = f"""
import sys
sys.path.append({str(PACKAGE.parent)!r})
sys.argv = [sys.argv[0] if sys.argv[1:] else "/usr/bin/footsteps", *{words!r}]
from footsteps.cli import main
main()
print("footsteps.recorder.inputs" in sys.modules, file=sys.stderr)
"""
    assert run_script(program).stderr.splitlines()[-1] == "False"
    assert run_script(program, "as a program").stderr.splitlines()[-1] == "True"


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
