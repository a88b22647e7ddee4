"""LTParser: argparse's own behaviour, an id that four factors make, and a record that keeps them."""

from __future__ import annotations

import argparse
import contextlib
import enum
import functools
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import snapshot
from hypothesis import given
from hypothesis import strategies as st

from footsteps.lite_tracer.parser import ADDED, LTParser
from footsteps.reader import runs
from footsteps.reader.search import search

HASH_CODE = re.compile(r"LT_delta-[0-9a-f]{16,}_base-[0-9a-f]{16,}_LT")
PROGRAM = """\
from footsteps.lite_tracer.parser import LTParser

parser = LTParser("train a network")
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="+", default=[64, 32])
parser.add_argument("--flag", action="store_true")
parser.add_argument("--name", default="unet")
args = parser.parse_args()
print(args.hash_code)
"""


@pytest.fixture
def project(repo):
    """A pushed repository with a program that parses its arguments and prints the id."""
    repo.write("main.py", PROGRAM)
    repo.write(".gitattributes", "")
    repo.commit("A program with arguments")
    repo.add_remote()  # else a child of each run bundles the commits, and adds it to the record
    return repo


@pytest.fixture
def hash_of(project, run_script):
    """A function that runs the project's program and gives the id that it printed."""

    def run(*arguments, **options):
        done = run_script("main.py", *arguments, **{"cwd": project, **options})
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    return run


@pytest.fixture
def parse(project, monkeypatch):
    """A function that parses in this process, in the project, and gives parser and namespace."""
    monkeypatch.chdir(project)

    def run(define, *arguments, **options):
        parser = LTParser("a program", on_suspicion="ignore", **options)
        define(parser)
        return parser, parser.parse_args(list(arguments))

    return run


def records(project, folder="lt_records"):
    """The directories of the records, by name."""
    found = sorted((project / folder).iterdir()) if (project / folder).is_dir() else []
    assert all(HASH_CODE.fullmatch(path.name) for path in found)
    return found


def settings_of(record):
    """The settings as programs read them: one line without an end."""
    text = (record / f"settings_{record.name}.txt").read_text(errors="surrogateescape")
    assert text == text.strip()
    return text


def run_json(record):
    """The facts of a record."""
    return json.loads((record / ".footsteps" / "run.json").read_text())


# ---------------------------------------------------------------------------
# argparse's own behaviour
# ---------------------------------------------------------------------------


def simple(parser):
    """Options of every plain kind."""
    parser.add_argument("--lr", "-l", type=float, default=0.1, help="step size (%(default)s)")
    parser.add_argument("--n", type=int, choices=[1, 2, 3], default=1)
    parser.add_argument("--tag", action="append", default=None)
    parser.add_argument("--more", action="extend", nargs="+", type=int)
    parser.add_argument("-v", action="count", default=0)
    parser.add_argument("--off", action="store_false", dest="on")
    parser.add_argument("--const", nargs="?", const="c", default="d", metavar="WORD")
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--version", action="version", version="%(prog)s 3")


def positionals(parser):
    """Positionals, one with a choice, and what is left."""
    parser.add_argument("data", choices=["mnist", "cifar"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--lr", type=float, required=True)


def groups(parser):
    """A titled group, and one of which a single option may be given."""
    group = parser.add_argument_group("optimizer", "how it learns")
    group.add_argument("--momentum", type=float, default=0.9)
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--sgd", action="store_const", const="sgd", dest="kind")
    one.add_argument("--adam", action="store_const", const="adam", dest="kind")


def commands(parser):
    """Subcommands with options of their own, one below the other."""
    parser.add_argument("--seed", type=int, default=0)
    below = parser.add_subparsers(dest="command", required=True)
    train = below.add_parser("train", aliases=["t"], help="fit it")
    train.add_argument("--lr", type=float, default=0.1)
    deeper = train.add_subparsers(dest="how")
    deeper.add_parser("fast").add_argument("--jobs", type=int)
    below.add_parser("test").set_defaults(func=len)


def parents(parser):
    """Options of a parent parser."""
    above = argparse.ArgumentParser(add_help=False)
    above.add_argument("--root", default=".")
    for action in above._actions:
        parser._add_action(action)


def from_file(parser):
    """Arguments that stand in a file."""
    parser.fromfile_prefix_chars = "@"
    parser.add_argument("--lr", type=float)
    parser.add_argument("words", nargs="*")


def odd(parser):
    """Suppressed defaults, another prefix, values of any type."""
    parser.prefix_chars = "-+"
    parser.add_argument("+x", "++extra", type=lambda text: text.split(","), default=["a"])
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, default=Path())
    parser.set_defaults(func=print, mode="fast")


def swallowing(parser):
    """Options that take whatever follows, before a command."""
    parser.add_argument("--gpus", type=int, nargs="+", default=[0, 1])
    parser.add_argument("data")
    train = parser.add_subparsers(dest="command").add_parser("train")
    train.add_argument("--layers", type=int, nargs="*", default=[64])
    train.add_subparsers(dest="how").add_parser("fast").add_argument("files", nargs="+")


def exclusive(parser):
    """One of several with defaults, in groups of which one must be given or none."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--sgd", type=float, default=0.1)
    one.add_argument("--adam", type=float, default=0.01)
    must = parser.add_mutually_exclusive_group(required=True)
    must.add_argument("--steps", type=int, default=1000)
    must.add_argument("--epochs", type=int)
    parser.add_argument("--old", type=bool, default=False)


def left_out(parser):
    """Positionals that may be left out, a list that a flag adds to, a version, words to the end."""
    parser.add_argument("first")
    parser.add_argument("config", nargs="?")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--level", type=int, default=0)
    parser.add_argument("--add", action="append")
    parser.add_argument("--std", dest="add", action="append_const", const="std")
    parser.add_argument("--rest", nargs=argparse.REMAINDER)
    parser.add_argument("--version", action="version", version="1")
    parser.set_defaults(version="of the data")


def remainder(parser):
    """A program to start, with all its arguments."""
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--names", nargs="*", default=["a"])
    parser.add_argument("program", nargs=argparse.REMAINDER)


CASES = {
    simple: [
        "",
        "--lr 3 --n 2 --tag a --tag b --more 1 2 --more 3 -vv --off --const --no-cache",
        "-l3 --const=x",
        "--l 1",
        "--n 4",
        "--lr many",
        "--unknown 1",
        "--version",
        "--help",
    ],
    positionals: [
        "mnist --lr 1",
        "mnist a b --lr 1",
        "--lr 1 mnist -- -a -b",
        "imagenet --lr 1",
        "mnist",
        "",
    ],
    groups: ["--sgd", "--sgd --adam", "", "--help"],
    commands: [
        "train",
        "--seed 3 t --lr 2 fast --jobs 2",
        "test",
        "test --lr 2",
        "train --help",
        "",
    ],
    parents: ["--root x"],
    from_file: ["@arguments", "@missing"],
    odd: ["+x 1,2 --quiet --path a/b", ""],
    swallowing: ["mnist train", "--gpus 3 -- mnist train", "mnist train fast a b"],
    exclusive: ["--steps 3", "--sgd 1 --epochs 2", "--sgd 1 --adam 2 --steps 1", ""],
    remainder: ["--lr 2 python x.py --lr 3", "a b", ""],
}
METHODS = ["parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"]


def outcome_of(kind, method, define, words, **options):
    """What a parser made of the words: status, both outputs, what it returned, less what we add."""
    out, err = io.StringIO(), io.StringIO()
    parser = kind(description="train a network", prog="program", **options)
    define(parser)
    status, parsed = 0, None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            parsed = getattr(parser, method)(words)
        except SystemExit as end:
            status = end.code
        except TypeError as error:
            status = str(error)
    namespace, rest = parsed if isinstance(parsed, tuple) else (parsed, [])
    values = {k: v for k, v in vars(namespace).items() if k not in ADDED} if namespace else None
    return status, out.getvalue(), err.getvalue(), values, rest


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("define", CASES)
def test_it_does_what_argparse_does(define, method, project, monkeypatch):
    """The same definitions and words give the same values, output, errors and exit status."""
    monkeypatch.chdir(project)
    project.write("arguments", "--lr\n2\nx\n")
    for line in CASES[define]:
        wanted = outcome_of(argparse.ArgumentParser, method, define, line.split())
        ours = outcome_of(LTParser, method, define, line.split(), on_suspicion="ignore")
        assert ours == wanted, line


def test_a_program_that_imports_it_leaves_argparse_as_it_was():
    """Nothing of argparse is patched, but for the wrapper by which a run hears what was parsed."""
    program = """
import argparse
import footsteps
before = {n: dict(vars(o)) for n, o in vars(argparse).items() if isinstance(o, type)}
names = dict(vars(argparse))
import footsteps.lite_tracer.parser
assert dict(vars(argparse)) == names
assert all(dict(vars(getattr(argparse, n))) == facts for n, facts in before.items())
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_its_first_word_is_the_description():
    """LTParser("...") describes the program, as in LiteTracer's example."""
    parser = LTParser("classify digits")
    assert parser.description == "classify digits"
    assert "classify digits" in parser.format_help()
    action = parser.add_argument("--lr")
    assert isinstance(action, argparse.Action)
    assert action.dest == "lr"


def test_an_option_may_have_a_destination_of_its_own(project, run_script):
    """LiteTracer refuses `dest`, as it reads the words back by the names of the options.

    Here the id is made of the values that were parsed, and the settings hold the option itself: a renamed destination
    loses nothing. It has the values, is in the id, and the settings give them back.
    """
    program = PROGRAM.replace('"--lr", ', '"--lr", dest="learning_rate", ') + "print(args.learning_rate)\n"
    again = "again, _ = parser.parse_known_args(open(parser.args_file).read().split())\nprint(again.learning_rate)\n"
    project.write("main.py", program + again)
    project.commit("Rename the destination")
    said = [run_script("main.py", "--lr", lr, cwd=project).stdout.split() for lr in ("0.5", "0.25")]
    assert said[0][0] != said[1][0]
    assert [values for _, *values in said] == [["0.5", "0.5"], ["0.25", "0.25"]]
    assert {run_json(record)["arguments"]["learning_rate"] for record in records(project)} == {0.5, 0.25}
    assert all("--lr" in settings_of(record).split() for record in records(project))


def test_a_subclass_with_its_own_words_keeps_working(project, monkeypatch):
    """Programs derive from ArgumentParser; subparsers are made of their class too."""
    monkeypatch.chdir(project)

    class Mine(LTParser):
        def __init__(self, *, size=3, **options):
            super().__init__(**options)
            self.add_argument("--size", default=size)

    parser = Mine(size=4)
    parser.add_subparsers(dest="command").add_parser("go", size=5)
    assert parser.parse_args(["go"]).size == 5
    assert len(records(project)) == 1


# ---------------------------------------------------------------------------
# When it records
# ---------------------------------------------------------------------------


def test_the_namespace_and_the_parser_tell_the_record(project, run_script):
    """hash_code, base_hash_code and git_label are added; record_path and args_file are there."""
    program = PROGRAM + "print(args.base_hash_code, args.git_label, parser.record_path, parser.args_file)\n"
    project.write("main.py", program)
    commit = project.commit("Print more")
    code, base, label, path, file = run_script("main.py", cwd=project).stdout.split()
    assert HASH_CODE.fullmatch(code)
    assert f"_base-{base}_LT" in code
    assert len(label) >= 7
    assert commit.startswith(label)
    assert (project / path).is_dir()
    assert Path(path).name == code
    assert file == os.path.join(path, f"settings_{code}.txt")


@pytest.mark.parametrize("how", ["LTParser('x')", "LTParser(record_dir='lt_records')"])
def test_the_folder_for_records_is_there_as_soon_as_there_is_a_parser(how, repo, run_script):
    """LiteTracer's programs list it before they parse; where it can't be made, the program goes on."""
    program = f"import os\nfrom footsteps import LTParser\nparser = {how}\nprint(os.listdir('lt_records'))\n"
    done = run_script(program, cwd=repo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    repo.write("file")
    again = run_script("from footsteps import LTParser\nLTParser(record_dir='file')\n", cwd=repo)
    assert (again.returncode, again.stderr) == (0, "")


def test_the_parsers_of_subcommands_make_no_folder(repo, run_script):
    """They are made with the usual record_dir, whatever the parser was told."""
    program = "from footsteps import LTParser\np = LTParser(record_dir='mine')\np.add_subparsers().add_parser('go')\n"
    assert run_script(program, cwd=repo).returncode == 0
    assert not (repo / "lt_records").exists()
    assert (repo / "mine").is_dir()


SLOTS = """
class Space:
    __slots__ = ("lr", "x")
"""
STRICT = """
class Space:
    def __setattr__(self, name, value):
        if name not in ("lr", "x"): raise KeyError(name)
        self.__dict__[name] = value
"""
HIDDEN = """
class Space:
    __slots__ = ("kept",)
    def __init__(self): object.__setattr__(self, "kept", {})
    def __setattr__(self, name, value): self.kept[name] = value
    def __getattr__(self, name):
        if name not in self.kept: raise AttributeError(name)
        return self.kept[name]
"""


@pytest.mark.parametrize("space", [SLOTS, STRICT, HIDDEN], ids=["slots", "strict", "hidden"])
def test_a_namespace_of_any_kind_is_recorded_and_never_raises(space, project, run_script):
    """What it holds is in the record; an id that it does not take is said in a warning, and the parser has it."""
    program = space + (
        "from footsteps import LTParser\nparser = LTParser('x')\n"
        "parser.add_argument('--lr', type=float, default=0.1)\nparser.add_argument('--x')\n"
        "args = parser.parse_args(namespace=Space())\nprint(args.lr, parser.hash_code)\n"
    )
    done = run_script(program, "--lr", "0.5", cwd=project)
    assert done.returncode == 0, done.stderr
    (record,) = records(project)
    assert done.stdout.split() == ["0.5", record.name]
    assert run_json(record)["arguments"] == {"lr": 0.5, "x": None}
    assert ("takes no hash_code" in done.stderr) == (space != HIDDEN)


def test_arguments_can_be_passed_on_without_the_ids(project, run_script):
    """main(**vars(args)), for a main that takes the arguments only."""
    program = (
        "from footsteps import LTParser\nparser = LTParser('x', ids_in_namespace=False)\n"
        "parser.add_argument('--lr', type=float, default=0.1)\n"
        "def main(lr): print(lr, parser.hash_code, parser.base_hash_code, parser.git_label)\n"
        "main(**vars(parser.parse_args()))\n"
    )
    lr, code, base, label = run_script(program, cwd=project).stdout.split()
    assert (lr, [code]) == ("0.1", [record.name for record in records(project)])
    assert (f"_base-{base}_LT" in code, project("rev-parse", "HEAD").startswith(label)) == (True, True)


def test_records_are_no_changes_of_later_runs(project, run_script):
    """Neither finished ones, LiteTracer's own, nor one that another process is making."""
    program = (
        "import footsteps\nfrom footsteps import LTParser\nparser = LTParser('x', on_suspicion='ignore')\n"
        "parser.parse_args()\nfootsteps.output_dir\n"
    )
    project.write("train.py", program)
    project.commit("A program that has both")
    project("push", "--quiet", "--all")
    project.write("lt_records/LT_delta-5f2a9c_base-c41d07_LT/settings_LT_delta-5f2a9c_base-c41d07_LT.txt", "--lr 1")
    project.write("snapshot.py", SNAPSHOT)
    project("add", "snapshot.py")
    project("commit", "--quiet", "--message", "Stop half-way")
    assert run_script("snapshot.py", cwd=project).returncode == 9
    (half,) = [path for path in (project / "lt_records").iterdir() if path.name.startswith(".")]
    for name in ("first", "second"):
        done = run_script("train.py", cwd=project, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
        facts = run_json(project / "results" / name)
        assert [row["files"] for row in facts["repositories"] if row["role"] == "cwd"] == [[]]
        assert "lt_records/" not in (project / "results" / name / "info.txt").read_text().partition("Arguments:")[0]
    assert half.is_dir()


SNAPSHOT = """
import os
from footsteps.lite_tracer import parser
parser._arguments_record = lambda *_: os._exit(9)  # between the files of a record and its run.json
parser.LTParser("x").parse_args()
"""


RECORDING = {
    "parse_args()": 1,
    "parse_args(['--lr', '1'])": 1,
    "parse_known_args()": 1,
    "parse_intermixed_args()": 1,
    "parse_known_intermixed_args()": 1,
    "parse_known_args(['--lr', '1'])": 0,
    "parse_known_args([])": 0,
    "parse_known_intermixed_args(['--lr', '1'])": 0,
}


@pytest.mark.parametrize(("call", "count"), RECORDING.items())
def test_it_records_once_when_the_outermost_call_returns(call, count, project, run_script):
    """However argparse calls itself; a list given to parse_known_args is settings read back."""
    parsed = f"parser.{call}"
    adds = "sorted(vars(args))" if "known" not in call else "sorted(vars(args[0]))"
    program = PROGRAM.replace("parser.parse_args()", parsed).replace("args.hash_code", adds)
    done = run_script(program, cwd=project)
    assert done.returncode == 0, done.stderr
    assert len(records(project)) == count
    assert all((name in done.stdout) == bool(count) for name in ADDED)


def test_subcommands_make_one_record(project, run_script):
    """Their parsers are LTParsers too, and argparse calls them within the first."""
    done = run_script(
        """\
from footsteps.lite_tracer.parser import LTParser
parser = LTParser()
parser.add_argument("--seed", type=int, default=1)
train = parser.add_subparsers(dest="command").add_parser("train")
assert type(train) is LTParser
train.add_argument("--lr", type=float)
train.add_subparsers(dest="how").add_parser("fast").add_argument("--jobs", type=int)
print(parser.parse_args().hash_code)
""",
        *["--seed", "2", "train", "--lr", "0.5", "fast", "--jobs", "3"],
        cwd=project,
    )
    assert done.stderr == ""
    (record,) = records(project)
    assert record.name == done.stdout.strip()
    expected = {"seed": 2, "command": "train", "lr": 0.5, "how": "fast", "jobs": 3}
    assert run_json(record)["arguments"] == expected


@pytest.mark.parametrize("words", ["--help", "--lr many", "--unknown", "stray"])
def test_help_and_usage_errors_leave_no_record(words, project, run_script):
    """A run that did not happen is not recorded."""
    done = run_script("main.py", *words.split(), cwd=project)
    assert done.returncode == (0 if words == "--help" else 2)
    assert os.listdir(project / "lt_records") == []


def test_a_second_parse_of_the_same_command_line_is_the_same_run(project, run_script):
    """Modules share a get_args(); files written in between are results, and no suspicion arises."""
    again = "open('result.csv', 'w').close()\nassert parser.parse_args() == args\n"
    done = run_script(PROGRAM + again, "--lr", "1", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(records(project)) == 1


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_children_that_parse_again_see_the_parents_id(method, project, run_script):
    """A spawned child runs the main module again, after the program has written untracked files."""
    program = (
        PROGRAM
        + f"""
def child(queue):
    queue.put(parser.parse_args().hash_code)

if __name__ == "__main__":
    import multiprocessing
    open("result.csv", "w").close()
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    children = [context.Process(target=child, args=(queue,)) for _ in range(3)]
    [c.start() for c in children]
    assert {{queue.get(timeout=50) for _ in children}} == {{args.hash_code}}
    [c.join() for c in children]
"""
    )
    done = run_script(program, "--lr", "1", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(records(project)) == 1


def test_a_program_that_it_starts_has_a_record_of_its_own(project, run_script):
    """Another process with the same arguments is another run, and its code may be another by then."""
    again = """
import os, subprocess, sys
if not os.environ.get("INNER"):
    open("made.py", "w").close()
    subprocess.run([sys.executable, *sys.argv], env={**os.environ, "INNER": "1"}, check=True)
"""
    done = run_script(PROGRAM + again, cwd=project)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 2
    assert len(records(project)) == 2


# ---------------------------------------------------------------------------
# The id
# ---------------------------------------------------------------------------


def halves(code):
    """(delta, base) of a hash code."""
    return re.fullmatch(r"LT_delta-(\w+)_base-(\w+)_LT", code).groups()


def test_each_of_the_four_factors_changes_the_id(project, hash_of):
    """Arguments and commit change base; uncommitted and untracked files change delta."""
    seen = [halves(hash_of("--lr", "1"))]
    seen.append(halves(hash_of("--lr", "2")))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]
    project.write("untracked.txt", "a")
    seen.append(halves(hash_of("--lr", "1")))
    project.write("untracked.txt", "b")
    seen.append(halves(hash_of("--lr", "1")))
    os.remove(project / "untracked.txt")
    project.write("train.py", "changed")
    seen.append(halves(hash_of("--lr", "1")))
    assert {base for _, base in seen[2:]} == {seen[0][1]}
    project.commit("Change it")
    seen.append(halves(hash_of("--lr", "1")))
    assert seen[-1][0] == seen[0][0]
    assert len(set(seen)) == 6


@pytest.mark.slow
def test_a_mode_a_name_and_a_link_are_changes(project, hash_of):
    """Two states that differ in no byte of any file are two."""
    seen = {hash_of()}
    project.write("run.sh", "echo")
    seen.add(hash_of())
    (project / "run.sh").chmod(0o755)
    seen.add(hash_of())
    (project / "run.sh").rename(project / "go.sh")
    seen.add(hash_of())
    (project / "link").symlink_to("go.sh")
    seen.add(hash_of())
    (project / "link").unlink()
    (project / "link").symlink_to("train.py")
    seen.add(hash_of())
    os.remove(project / "train.py")
    seen.add(hash_of())
    assert len(seen) == 7


def test_the_id_is_the_same_in_any_clone_at_any_hash_seed(project, hash_of):
    """Neither the path, the order of the files, the user nor PYTHONHASHSEED is part of the state."""
    other = project.clone("elsewhere/deep/clone")
    for names, tree in (
        (["b.txt", "a.txt", "d/c.txt"], project),
        (["d/c.txt", "a.txt", "b.txt"], other),
    ):
        for name in names:
            tree.write(name, name)
        tree.write("train.py", "# changed\n")
    assert hash_of(env={"PYTHONHASHSEED": "1"}) == hash_of(cwd=other, env={"PYTHONHASHSEED": "2"})
    assert len(records(other)) == 1


def test_the_id_is_the_same_from_any_directory(project, tmp_path, run_script):
    """From a subfolder, or from outside the repository; earlier records are no part of the code."""
    project.write("sub/file", "untracked")
    folders = [project, project / "sub", tmp_path, project]
    done = [run_script(project / "main.py", cwd=folder) for folder in folders]
    assert len({each.stdout for each in done}) == 1
    (record,) = records(tmp_path)
    assert (record / "untracked" / "sub" / "file").read_text() == "untracked"


def test_the_same_state_reached_by_another_way_has_the_same_id(project, hash_of):
    """Staging, and touching a file, change nothing."""
    project.write("train.py", "changed")
    project.write("new.py", "new")
    first = hash_of("--lr", "1.0")
    project("add", "train.py")
    (project / "new.py").touch()
    os.utime(project / "train.py", (1, 1))
    assert hash_of("--lr=1", "--name", "unet") == first


@pytest.mark.slow
def test_values_without_a_stable_text_do_not_change_the_id(project, run_script):
    """Functions, lambdas, objects and open files are named by what they are, not where they lie."""
    program = """\
import functools, sys
from footsteps.lite_tracer.parser import LTParser
class Model:
    def __init__(self, name): self.name_ = name
def train(): pass
parser = LTParser(on_suspicion="ignore")
parser.add_argument("--model", type=Model, default=Model("x"))
parser.add_argument("--models", type=Model, nargs="*")
parser.add_argument("--out", type=__import__("argparse").FileType("w"), default=sys.stdout)
parser.set_defaults(func=train, key=lambda: 0, part=functools.partial(train), obj=object(), s={"a", "b", "c"})
print(parser.parse_args().hash_code)
"""

    def code(*arguments, seed="0"):
        done = run_script(program, *arguments, cwd=project, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert code(seed="1") == code(seed="2")
    assert code("--model", "a", "--models", "b", "c") == code("--model", "a", "--models", "b", "c", seed="3")
    assert code("--model", "a") != code("--model", "b")


class Thing:
    """A value whose text, if it has one, does not tell it from another."""

    def __init__(self, name):
        """Made of a word, as `type=` and actions do."""
        self.kept = name


class Loaded(Thing):
    """As the models of a framework: the repr says its layers, not its weights."""

    def __repr__(self):
        """The same for every word."""
        return "Loaded(layers=2)"


class Keep(argparse.Action):
    """An action of the program's own."""

    def __call__(self, _parser, namespace, values, _option_string=None):
        """Make an object of the words."""
        setattr(namespace, self.dest, Thing(values))


MADE_OF_WORDS = {
    "nargs": {"nargs": "+", "type": Thing},
    "appended": {"action": "append", "type": Thing},
    "list": {"type": lambda text: [Thing(word) for word in text.split(",")]},
    "dict": {"type": lambda text: {"model": Thing(text)}},
    "repr": {"type": Loaded},
    "lambda": {"type": {"a": lambda: 1, "b": lambda: 2}.get},
    "partial": {"type": lambda text: functools.partial(str.split, text)},
    "action": {"action": Keep},
}


@pytest.mark.slow
@pytest.mark.parametrize("made", MADE_OF_WORDS)
def test_other_words_are_another_run_whatever_is_made_of_them(made, parse, project):
    """Objects in lists, of one repr, lambdas: the words stand for them, in the id and in the settings."""

    def define(parser):
        parser.add_argument("--x", **MADE_OF_WORDS[made])

    (parser, one), (_, other) = parse(define, "--x", "a"), parse(define, "--x", "b")
    assert one.hash_code != other.hash_code
    assert parse(define, "--x", "a")[1].hash_code == one.hash_code
    assert settings_of(project / parser.record_path).endswith(" --x a")
    if made != "nargs":  # as many words as there are
        parser.add_argument("file", nargs="?")
        mixed = [parser.parse_intermixed_args(["--x", word, "f"]).hash_code for word in ("a", "b", "a")]
        assert mixed[0] == mixed[2] != mixed[1]


def test_flags_of_different_functions_are_different_runs(parse):
    """Two lambdas have one name; the flags that chose them have two."""

    def define(parser):
        parser.add_argument("--relu", dest="f", action="store_const", const=lambda x: max(x, 0))
        parser.add_argument("--same", dest="f", action="store_const", const=lambda x: x)

    assert parse(define, "--relu")[1].hash_code != parse(define, "--same")[1].hash_code


def test_flags_given_or_not_and_types_are_different_runs(parse):
    """store_true, an int beside a text, None beside the word."""

    def define(parser):
        parser.add_argument("--flag", action="store_true")
        parser.add_argument("--n", type=int)
        parser.add_argument("--text")

    lines = ["", "--flag", "--n 1", "--text 1", "--text None", "--text True", "--flag --text True"]
    assert len({parse(define, *line.split())[1].hash_code for line in lines}) == len(lines)


def test_a_subcommand_without_a_name_in_the_namespace_is_part_of_the_id(parse):
    """`train` and `test` are two runs though the values are the same; so are words left over."""

    def define(parser):
        below = parser.add_subparsers()
        below.add_parser("train")
        below.add_parser("test")

    assert parse(define, "train")[1].hash_code != parse(define, "test")[1].hash_code


def test_words_that_the_parser_does_not_know_are_part_of_the_id(project, run_script):
    """What parse_known_args leaves to another parser is an argument all the same."""
    program = PROGRAM.replace("args = parser.parse_args()", "args, rest = parser.parse_known_args()")
    codes = [run_script(program, f"--model.depth={n}", cwd=project).stdout for n in (1, 2)]
    assert codes[0] != codes[1]
    assert {tuple(run_json(r)["argument_facts"]["rest"]) for r in records(project)} == {
        ("--model.depth=1",),
        ("--model.depth=2",),
    }


def test_the_id_can_be_long(parse):
    """short_hash=False gives all 256 bits of both halves."""
    _, short = parse(lambda _: None)
    parser, long = parse(lambda _: None, short_hash=False)
    assert [len(half) for half in halves(long.hash_code)] == [64, 64]
    assert [a.startswith(b) for a, b in zip(halves(long.hash_code), halves(short.hash_code), strict=True)]
    assert os.path.isfile(parser.args_file)


def test_an_output_root_in_the_project_is_no_untracked_file(project, hash_of):
    """LiteTracer's own example writes to ./results: the second run must find the first."""
    first = hash_of()
    project.write("results/unet/weights.csv", "1,2,3")
    assert hash_of() == first
    assert len(records(project)) == 1


# ---------------------------------------------------------------------------
# The settings file
# ---------------------------------------------------------------------------


def test_the_settings_are_one_line_sorted_by_name(project, hash_of):
    """LiteTracer's line: --name value, flags bare and only when set, --git_label among them."""
    hash_of("--name", "x", "--flag")
    (record,) = records(project)
    label = project("rev-parse", "--short=7", "HEAD")
    expected = f"--flag --git_label {label} --layers 64 32 --lr 0.1 --name x"
    assert settings_of(record) == expected
    hash_of()
    assert "--flag" not in "".join(settings_of(r) for r in records(project) if r != record)


def read_back(define, record):
    """The values that a parser makes of the settings, read as programs do."""
    parser = LTParser()
    define(parser)
    namespace, _ = parser.parse_known_args(settings_of(record).split())
    return vars(namespace)


READ_BACK = [
    (simple, "--lr 1e-3 --n 2 --tag a --tag b --more 1 2 --more 3 -vvv --off --const --no-cache"),
    (simple, "--lr=-3 --tag=-x --more -1 -2 --const=-y"),
    (simple, "--tag C:\\data\\x --tag ~/d*ta[1] --tag $HOME/{x};&#"),
    (simple, "--tag @file"),
    (groups, "--adam --momentum -0.5"),
    (positionals, "cifar a b c --lr 1"),
    (commands, "--seed 4 train --lr 2 fast --jobs 7"),
    (commands, "test"),
    (parents, "--root /data/x"),
    (odd, "+x 1,2 --quiet --path a/b"),
    (odd, "+x=+1,-2"),
    (from_file, "--lr 2 words"),
    (swallowing, "mnist train"),
    (swallowing, "mnist train fast a b"),
    (exclusive, "--steps 3"),
    (exclusive, "--adam 1 --epochs 2 --old yes"),
    (exclusive, "--steps 1000"),
    (remainder, "--lr 2 python x.py --lr 3"),
    (remainder, "--names x y --lr 2"),
    (left_out, "a"),
    (left_out, "a b c"),
    (left_out, "--level 1 a -- -b --level"),
    (left_out, "a --add x --std --add y --rest python --level 2"),
]


@pytest.mark.parametrize(("define", "line"), READ_BACK)
def test_programs_read_the_settings_back(define, line, project, parse):
    """`.read().strip().split()` and parse_known_args give the same values, and record nothing."""
    _, args = parse(define, *line.split())
    (record,) = records(project)
    assert read_back(define, record) == {k: v for k, v in vars(args).items() if k not in ADDED}
    assert len(records(project)) == 1


def test_defaults_are_not_added_twice(project, parse):
    """append, extend and count go on from their default, in the program and when read back."""

    def define(parser):
        parser.add_argument("--tag", action="append", default=["base"])
        parser.add_argument("--more", action="extend", nargs="+", default=["m"])
        parser.add_argument("--same", action="append_const", const=1, default=[1])
        parser.add_argument("-v", action="count", default=2)

    _, args = parse(define, *["--tag", "x", "--more", "n", "o", "--same", "-vv"])
    (record,) = records(project)
    assert read_back(define, record) == {k: v for k, v in vars(args).items() if k not in ADDED}


def test_values_that_would_break_the_line_are_quoted(project, parse):
    """Blanks and quotes as shlex does, newlines on the one line too; run.json holds them exactly."""

    def define(parser):
        for name in ("--blank", "--quote", "--lines", "--dashed", "--raw"):
            parser.add_argument(name)

    raw = os.fsdecode(b"caf\xe9")
    values = {
        "blank": "two words",
        "quote": 'it\'s "so"',
        "lines": "a\nb\tc",
        "dashed": "- x",
        "raw": raw,
    }
    parse(define, *(f"--{name}={value}" for name, value in values.items()))
    (record,) = records(project)
    line = settings_of(record)
    assert "\n" not in line
    assert (record / f"settings_{record.name}.txt").read_text("utf-8")
    words = shlex.split(line)
    assert words[words.index("--blank") + 1] == values["blank"]
    assert words[words.index("--quote") + 1] == values["quote"]
    assert "--dashed=- x" in words
    assert run_json(record)["arguments"] == values


def test_an_empty_value_leaves_the_bare_option(project, parse):
    """And None, which no word can give, leaves nothing."""

    def define(parser):
        parser.add_argument("--empty", default="")
        parser.add_argument("--none")
        parser.add_argument("--nothing", nargs="*", default=[])

    parse(define)
    label = project("rev-parse", "--short=7", "HEAD")
    assert settings_of(records(project)[0]) == f"--empty --git_label {label} --nothing"


def test_an_option_with_another_dest_is_written_as_it_is_typed(project, parse):
    """dest=, which LiteTracer refuses with a RuntimeError, is allowed, as all that it could spoil holds.

    The settings hold the option as the parser reads it back, the record and the search the name in the
    namespace; so a parser that was argparse's works unchanged.
    """

    def define(parser):
        parser.add_argument("-l", "--learning-rate", dest="lr", type=float, default=0.1)
        parser.add_argument("-x", type=int, default=2)

    parse(define)
    (record,) = records(project)
    assert settings_of(record).split()[2:] == ["--learning-rate", "0.1", "-x", "2"]
    assert run_json(record)["arguments"] == {"lr": 0.1, "x": 2}
    parser, args = parse(define, "--learning-rate", "0.5", record_dir="again")
    with open(parser.args_file, encoding="utf-8") as file:
        assert vars(parser.parse_known_args(file.read().split())[0]).items() <= vars(args).items()
    assert search(["again"], ["lr:0.5"]) == search(["again"], ["lr<1"]) == search(["again"])


class Colour(enum.Enum):
    """An enum whose members argparse makes from text."""

    RED = "red"
    BLUE = "blue"


class Size(str, enum.Enum):
    """Members that are texts: str() of them differs between Pythons."""

    BIG = "big"


class Level(enum.IntEnum):
    """Members that are numbers."""

    LOW = 1


ENUMS = {
    "value": (Colour, Colour.RED),
    "name": (Colour.__getitem__, Colour.RED),
    "text": (Size, Size.BIG),
    "number": (lambda text: Level(int(text)), Level.LOW),
    "name of a number": (lambda text: Level[text], Level.LOW),
}


@pytest.mark.parametrize("convert", ENUMS)
def test_the_members_of_an_enum_are_read_back(convert, parse, project):
    """A default member, for which no word was given, is written as its converter wants it."""

    def define(parser):
        parser.add_argument("--x", type=ENUMS[convert][0], default=ENUMS[convert][1])

    parse(define)
    (record,) = records(project)
    assert read_back(define, record) == {"x": ENUMS[convert][1]}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{2,8}", fullmatch=True).filter(lambda n: not n.startswith(("git", "hel"))),
        st.text(
            st.characters(blacklist_categories=["Zs", "Zl", "Zp", "Cc", "Cs"], blacklist_characters="'\""),
            min_size=1,
        )
        | st.integers()
        | st.floats(allow_nan=False)
        | st.lists(st.integers(0), min_size=1),
        max_size=5,
    )
)
def test_any_plain_values_are_read_back(values):
    """Whatever the names and values: words without blanks and quotes, numbers, lists of them."""
    from footsteps.lite_tracer.arguments import Parsed

    def parser_of():
        parser = LTParser(allow_abbrev=False)
        for name, value in values.items():
            each = value[0] if isinstance(value, list) else value
            parser.add_argument(f"--{name}", type=type(each), nargs="+" if isinstance(value, list) else None)
        return parser

    line = Parsed.of(parser_of(), values, []).line("1234567")
    assert vars(parser_of().parse_known_args(line.split())[0]) == values


# ---------------------------------------------------------------------------
# The rest of the record
# ---------------------------------------------------------------------------


def test_the_record_holds_all_four_factors(project, hash_of):
    """diff.patch applies with plain git apply; untracked/ keeps paths; .footsteps has it exactly."""
    project.write("train.py", "changed\n")
    project.write("picture.png", b"\x89PNG\0\xff")
    project.commit("Add a picture")
    project.write("picture.png", b"\x89PNG\0\xfe\r\n")
    project.write("train.py", b"caf\xe9\r\nno newline")
    project.write("sub/x.py", "1")
    project.write("sub/deeper/x.py", "2", executable=True)
    project.write("with blank \xfc.txt", "3")
    hash_of()
    (record,) = records(project)
    assert sorted(os.listdir(record)) == sorted(
        [".footsteps", "diff.patch", f"settings_{record.name}.txt", "untracked"]
    )
    untracked = {str(p.relative_to(record / "untracked")) for p in (record / "untracked").rglob("*") if p.is_file()}
    assert untracked == {"sub/x.py", "sub/deeper/x.py", "with blank \xfc.txt"}
    clean = project.clone("clean")
    clean("apply", record / "diff.patch")
    assert clean.read("train.py") == project.read("train.py")
    facts = run_json(record)
    assert facts["kind"] == "arguments"
    assert facts["arguments"]["layers"] == [64, 32]
    assert facts["argument_facts"]["hash_code"] == record.name
    kept = {file["path"]: file for file in facts["repositories"][0]["files"]}
    assert kept.keys() >= {"train.py", "picture.png", "sub/x.py"}
    stored = record / ".footsteps" / kept["picture.png"]["stored"]
    assert stored.read_bytes() == project.read("picture.png")


def test_a_password_can_not_be_guessed_from_the_id(project, run_script):
    """It enters as ***: whoever has the record could try all others, as the hash is quick and has no salt."""
    program = "from footsteps import LTParser\np = LTParser()\np.add_argument('--password')\n"
    program += "print(p.parse_args().hash_code)\n"
    one, two = (run_script(program, "--password", word, cwd=project).stdout for word in ("hunter1", "hunter2"))
    assert one == two != ""


def test_secrets_are_in_no_copy(project, hash_of, run_script):
    """Neither a secret file, changed or untracked, nor the value of --token is written anywhere."""
    secret = "hunter" + str(2)
    project.write("prod.env", f"PASSWORD={secret}-old\n")
    project.commit("A secret that should not have been committed")
    project.write("prod.env", f"PASSWORD={secret}\n")
    project.write(".env", f"PASSWORD={secret}\n")
    program = PROGRAM.replace(
        "args = ",
        'parser.add_argument("--hf-token", dest="t")\nparser.add_argument("--url")\nargs = ',
    )
    done = run_script(program, "--hf-token", secret, "--url", f"https://ada:{secret}@example.org/x", cwd=project)
    assert done.returncode == 0, done.stderr
    (record,) = records(project)
    for path in record.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert "--hf-token ***" in settings_of(record)
    assert run_json(record)["arguments"]["t"] == "***"
    assert {left["path"] for left in run_json(record)["repositories"][0]["left_out"]} == {
        "prod.env",
        ".env",
    }


@pytest.mark.parametrize("given", ["-p WORD", "-pWORD", "--pas WORD", "--pas=WORD", "--login WORD", "--seed 1 WORD"])
def test_what_a_parser_knows_to_be_secret_is_masked_in_the_command(given, project, run_script):
    """A short or shortened option, dest=, a positional: in the record, and in the run that begins afterwards."""
    program = PROGRAM.replace("print(args.hash_code)", "footsteps.initialize('run')\nprint(footsteps.output_dir)")
    options = """\
parser.add_argument("-p", "--password")
parser.add_argument("--login", dest="api_key")
parser.add_argument("--seed", type=int)
parser.add_argument("secret", nargs="?")
args = """
    word = "hunter" + str(2)
    done = run_script(
        "import footsteps\n" + program.replace("args = ", options), *given.replace("WORD", word).split(), cwd=project
    )
    assert done.returncode == 0, done.stderr
    for path in [*(project / "lt_records").rglob("*"), *(project / "results").rglob("*")]:
        assert not path.is_file() or word.encode() not in path.read_bytes(), path
    (record,) = records(project)
    assert run_json(record)["masked"]
    assert run_json(record)["argv"][1:] == given.replace("=WORD", "=***").replace("WORD", "***").split()


@pytest.mark.parametrize(
    "given", ['--set {"n":1,"api_key":"WORD"}', "--pairs a=1 token=WORD", "--pairs=password=WORD", "--kv token=WORD"]
)
def test_a_secret_in_a_dictionary_is_masked(given, project, run_script):
    """JSON and key=value: in the settings, in the arguments, in the command."""
    options = """\
parser.add_argument("--set", type=__import__("json").loads)
parser.add_argument("--pairs", nargs="+")
parser.add_argument("--kv", type=lambda text: dict([text.split("=")]))
args = """
    word = "hunter" + str(2)
    done = run_script(PROGRAM.replace("args = ", options), *given.replace("WORD", word).split(), cwd=project)
    assert done.returncode == 0, done.stderr
    (record,) = records(project)
    for path in record.rglob("*"):
        assert not path.is_file() or word.encode() not in path.read_bytes(), path
    assert "***" in settings_of(record)
    assert "***" in str(run_json(record)["arguments"])


@pytest.mark.slow
def test_a_second_run_of_the_same_state_keeps_the_first_record(project, run_script):
    """It warns at the program's own line, raises, or says nothing, as on_suspicion wishes."""
    done = run_script("main.py", cwd=project)
    (record,) = records(project)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in record.rglob("*") if path.is_file()}
    again = run_script("main.py", cwd=project)
    assert again.returncode == 0
    assert again.stdout == done.stdout
    assert f"lt_records/{record.name}" in again.stderr
    assert re.match(r".*main\.py:8: UserWarning: footsteps: ", again.stderr)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before

    for word, status, said in (
        ("error", 1, "FootstepsError"),
        ("ignore", 0, ""),
        ("warn", 0, "UserWarning"),
    ):
        text = PROGRAM.replace('"train a network"', f'on_suspicion="{word}"')
        script = project.write("main.py", text)
        project("add", "main.py")  # a child may still be bundling in lt_records
        project.commit(f"Say {word}", everything=False)
        assert run_script(script, cwd=project).returncode == 0
        done = run_script(script, cwd=project)
        assert done.returncode == status
        assert said in done.stderr
        assert bool(done.stderr) == bool(said)


def test_on_suspicion_is_one_of_three_words():
    """Another word is the program's mistake, told where it is made."""
    with pytest.raises(ValueError, match="'warn', 'error' or 'ignore'"):
        LTParser(on_suspicion="crash")


def test_records_are_made_where_the_program_wants_them(project, parse, tmp_path):
    """record_dir: relative, absolute, a Path, several levels deep; never part of the code."""
    codes = set()
    for folder in ("tracks", "deep/er", str(tmp_path / "outside"), Path("as_path")):
        parser, args = parse(lambda _: None, record_dir=folder)
        codes.add(args.hash_code)
        assert parser.record_path == os.path.join(folder, args.hash_code)
        assert os.path.isfile(parser.args_file)
    assert len(codes) == 1


def test_many_processes_at_once_make_one_complete_record(project):
    """A sweep's twin jobs: nobody sees half of a record, nobody fails."""
    command = [sys.executable, "-W", "ignore", "main.py", "--lr", "7"]
    started = [
        subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(12)
    ]
    ended = [process.communicate() for process in started]
    assert {process.returncode for process in started} == {0}, ended
    assert len({out for out, _ in ended}) == 1
    (record,) = records(project)
    assert os.listdir(project / "lt_records") == [record.name]
    assert run_json(record)["arguments"]["lr"] == 7
    assert settings_of(record)


def test_without_git_it_warns_and_names_the_arguments_and_the_script(tmp_path, run_script):
    """No crash, and a hash that either changes."""
    folder, other = tmp_path / "plain", tmp_path / "plain2"
    codes = []
    for where, text, lr in (
        (folder, PROGRAM, 1),
        (other, PROGRAM, 1),
        (folder, PROGRAM + "#", 1),
        (folder, PROGRAM, 2),
    ):
        where.mkdir(exist_ok=True)
        (where / "main.py").write_text(text)
        done = run_script("main.py", "--lr", lr.__str__(), cwd=where)
        assert done.returncode == 0, done.stderr
        assert "no git commit here" in done.stderr
        codes.append(done.stdout.strip())
    assert codes[0] == codes[1]
    assert len(set(codes)) == 3
    assert "--git_label --layers" in settings_of(folder / "lt_records" / codes[0])


def test_a_git_that_is_not_there_is_warned_of_each_time(project, hash_of, run_script, tmp_path):
    """The files of a clone tell its commit; what differs from it can't be known."""
    wanted = hash_of()
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        done = run_script("main.py", cwd=project, env={"PATH": str(tmp_path / "empty")})
        assert done.returncode == 0
        assert "UserWarning: footsteps: git was not found on PATH: hash_code names" in done.stderr
        assert done.stdout.strip() != wanted


def test_a_checkout_with_other_line_ends_is_the_same_state(project, hash_of):
    """What git converts on its way to the disk is no change."""
    project.write(".gitattributes", "*.txt text=auto\n")
    project.write("a.txt", "a\nb\n")
    project.commit("Text")
    other = project.clone("windows", "-c", "core.autocrlf=true")
    assert other.read("a.txt") == b"a\r\nb\r\n"
    assert hash_of(cwd=other) == hash_of()


def test_a_record_that_cannot_be_made_does_not_stop_the_program(project, hash_of, run_script):
    """The id is there, a warning too."""
    wanted = hash_of()
    shutil.rmtree(project / "lt_records")
    program = PROGRAM.replace('"train a network"', 'record_dir="train.py/records"')
    done = run_script(program, cwd=project)
    assert done.returncode == 0
    assert "no record of these arguments" in done.stderr
    assert HASH_CODE.fullmatch(done.stdout.strip())
    assert wanted != done.stdout.strip()  # another script is another state


def test_arguments_that_cannot_be_described_do_not_stop_the_program(project, parse):
    """A list that holds itself: no record, a warning, and an id all the same."""
    endless = []
    endless.append(endless)
    with pytest.warns(UserWarning, match="not recorded: RecursionError"):
        parser, args = parse(lambda parser: parser.set_defaults(endless=endless))
    assert HASH_CODE.fullmatch(args.hash_code)
    assert parser.record_path is None
    assert not records(project)
    with pytest.warns(UserWarning, match="not recorded: RecursionError"):
        parse(lambda parser: parser.add_argument("--x", type=lambda _: endless), "--x", "a")


@pytest.mark.kernel
@pytest.mark.filterwarnings("ignore")
def test_a_restarted_kernel_gives_the_same_id(project, monkeypatch):
    """`args, _ = parser.parse_known_args()` in a notebook leaves over what the kernel was started with."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.chdir(project)
    cell = "from footsteps import LTParser\nprint(LTParser().parse_known_args()[0].hash_code)"

    def printed():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        return nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute().cells[0].outputs[0].text

    assert printed() == printed()
    assert len(records(project)) == 1


def test_a_programs_own_hash_code_argument_stays_what_was_given(parse):
    """A tool that takes --hash_code to evaluate a run keeps it."""
    _, args = parse(lambda parser: parser.add_argument("--hash_code"), "--hash_code", "LT_x")
    assert args.hash_code == "LT_x"
    assert args.base_hash_code


# ---------------------------------------------------------------------------
# Together with footsteps, and as several processes
# ---------------------------------------------------------------------------

WITH_A_RUN = """\
import sys
import footsteps
from footsteps import LTParser
parser = LTParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--hf-token")
if "begun" in sys.argv.pop():
    footsteps.initialize("begun")
args = parser.parse_args()
with open(footsteps.output_dir + args.hash_code, "w") as file:
    file.write("6, 9, 42")
"""


@pytest.mark.parametrize("when", ["begun", "later"])
def test_a_run_carries_the_arguments_and_the_record_points_to_it(when, project, run_script):
    """Whether the run has begun when the arguments are parsed, or begins afterwards."""
    words = ["--lr", "0.5", "--hf-token", "abc", when]
    env = {"FOOTSTEPS_NAME": "later"}
    done = run_script(WITH_A_RUN, *words, cwd=project, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = records(project)
    run = runs.load(project / "results" / when)
    assert run.arguments == {"lr": 0.5, "hf_token": "***"}
    assert run.hash_code == record.name
    assert run.argument_facts["record"] == str(record)
    info = (project / "results" / when / "info.txt").read_text()
    assert f"\nArguments:\nhash_code {record.name}\n" in info
    assert "\nlr 0.5\nhf_token ***\n" in info
    pointers = [line["values"] for line in runs.load(record).log if line["kind"] == "run"]
    assert pointers == [{"id": run.id, "name": when, "directory": run.directory + "/"}]

    run_script(WITH_A_RUN, *words, cwd=project, env=env)
    assert len([line for line in runs.load(record).log if line["kind"] == "run"]) == 2
    assert len(records(project)) == 1


LAUNCHER = """\
import os, subprocess, sys
ranks = int(sys.argv[1])
shared = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "none"}
each = [{**os.environ, **shared, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(ranks)]
children = [
    subprocess.Popen([sys.executable, *sys.argv[2:], f"--local_rank={env['RANK']}"], env=env)
    for env in each
]
sys.exit(max([child.wait() for child in children]))
"""


def test_ranks_of_one_launch_have_one_id_and_one_record(project, run_script):
    """They parse the same, the first writes files at once, and nobody suspects the others."""
    project.write("launch.py", LAUNCHER)
    rank = 'parser.add_argument("--local_rank", type=int)\nargs = '
    program = PROGRAM.replace("args = ", rank).replace('"train a network"', 'on_suspicion="error"')
    project.write("rank.py", program + "open(f'result-{args.local_rank}.csv', 'w').close()\n")
    project.commit("Ranks")
    done = run_script("launch.py", "4", "rank.py", "--lr", "2", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = records(project)
    assert done.stdout.count(record.name) == 4
    again = run_script("launch.py", "4", "rank.py", "--lr", "3", cwd=project)
    assert again.returncode == 0
    assert len(records(project)) == 2
    # Not footsteps-*: the child that bundles the commit may still be at work in its own.
    assert not list(Path(os.environ["TMPDIR"]).glob(f"footsteps-{os.getuid()}/*"))


def test_pool_workers_that_parse_for_themselves_make_one_record(project, run_script):
    """The parent has parsed nothing; the first worker records, the others take its id over."""
    program = """\
import multiprocessing
from footsteps.lite_tracer.parser import LTParser

def child(n):
    code = LTParser(on_suspicion="error").parse_args([]).hash_code
    open(f"result-{n}.csv", "w").close()
    return code

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        print(*set(pool.map(child, range(9), chunksize=1)))
"""
    done = run_script(program, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = records(project)
    assert done.stdout.split() == [record.name]


def test_a_second_parse_of_other_code_is_another_run(project, monkeypatch):
    """In a notebook, or a test: words of its own, also in a program that has workers."""
    monkeypatch.chdir(project)
    monkeypatch.setitem(sys.modules, "joblib.externals.loky", sys)
    first = LTParser().parse_args([]).hash_code
    with pytest.warns(UserWarning, match="ran with these arguments before"):
        assert LTParser().parse_args([]).hash_code == first
    project.write("new.py", "changed")
    assert LTParser().parse_args([]).hash_code != first


@pytest.mark.slow
def test_joblibs_workers_see_the_parents_id(project, run_script):
    """loky imports the main module as multiprocessing does."""
    pytest.importorskip("joblib")
    program = """\
def parse(n=0):
    from footsteps.lite_tracer.parser import LTParser
    parser = LTParser(on_suspicion="error")
    parser.add_argument("--lr", type=float)
    return parser.parse_args().hash_code

if __name__ == "__main__":
    import joblib
    code = parse()
    open("result.csv", "w").close()
    assert set(joblib.Parallel(2)(joblib.delayed(parse)(n) for n in range(4))) == {code}
"""
    done = run_script(program, "--lr", "1", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(records(project)) == 1


def test_a_record_restores_the_tree_that_ran(project, run_script, tmp_path):
    """The clone is gone, the record was moved: every byte, mode and link comes back."""
    project.write("main.py", PROGRAM + "# changed\n")
    project.write("sub/new.bin", b"\0\xff\r\n", executable=True)
    (project / "link").symlink_to("sub/new.bin")
    os.remove(project / "train.py")
    ran = snapshot(project)
    assert run_script("main.py", "--lr", "4", cwd=project).returncode == 0
    (record,) = records(project)
    shutil.copytree(record, tmp_path / "record", symlinks=True)
    shutil.rmtree(project)
    done = subprocess.run(
        [sys.executable, "-m", "footsteps", "restore", "record", "tree"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert snapshot(tmp_path / "tree") == ran


@pytest.mark.slow
def test_a_program_that_parses_in_a_loop_can_still_start_others(parse):
    """What children are told of parses does not grow until no process can be started."""
    for n in range(30):
        parse(lambda parser: parser.add_argument("--n", type=int), "--n", str(n))
    assert len(os.environ["FOOTSTEPS_PARSED"]) < 10_000
    subprocess.run([sys.executable, "-c", ""], check=True)
