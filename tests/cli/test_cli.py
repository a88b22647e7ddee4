"""The command line says what the readers know, to people and to programs, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import at, make_run, this_process

from footsteps import cli
from footsteps.cli import parsers
from footsteps.reader import expressions, formats, index, runs

COMMANDS = sorted(set(parsers.COMMANDS) - {"complete"})
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202e\r\nnext"


@pytest.fixture
def results(tmp_path):
    """Three runs: a finished one, a failed one with changed code, a running one."""
    root = tmp_path / "results"
    done = {"status": "finished", "exit_status": 0, "duration": 62.5}
    done["artifacts"] = [{"path": "w.csv", "size": 8, "mtime_ns": 1, "sha256": "ab" * 32}]
    make_run(
        root / "exp/unet",
        name="exp/unet",
        started=at(1),
        arguments={"lr": 0.1, "seed": 1},
        outcome=done,
        command="train.py --lr 0.1",
        code_id="c0ffee" * 6,
    )
    changed = {"path": "train.py", "state": "changed", "kind": "file", "size": 20, "sha256": "cd" * 32}
    secret = {"path": ".env", "size": 9, "reason": "its name looks like a secret's"}
    main = {"name": "main", "role": "cwd", "commit": "f6afeb8" + "0" * 33, "files": [changed], "left_out": [secret]}
    raised = {"type": "ValueError", "message": "no data", "file": "train.py", "line": 12}
    failed = make_run(
        root / "knee",
        started=at(2),
        arguments={"lr": 0.2, "seed": 1},
        code_id="decaf" * 6,
        repositories=[main],
        outcome={"status": "failed", "exit_status": 1, "exception": raised, "duration": 3.0},
    )
    info = "Command:\nx\nSystem:\nh\nPython:\np\nGit Hash:\nf\nUncommitted changes:\n-a\n+b\nCurrent working dir:\n/\n"
    (failed / "info.txt").write_text(info)
    now = formats.iso_time(time.time() - 5)
    make_run(root / "now", started=now, arguments={"lr": 0.1, "seed": 1}, **this_process())
    return root


@pytest.fixture
def footsteps(capfd):
    """A function that runs a command in this process: exit status, stdout, stderr."""

    def run(*words):
        code = cli.main([os.fspath(word) for word in words])
        sys.stdout.flush()
        return code, *capfd.readouterr()

    return run


def names(out):
    """The first column of TSV without its header."""
    return [line.split("\t")[0] for line in out.splitlines()[1:]]


def objects(out):
    """What JSON lines hold."""
    return [json.loads(line) for line in out.splitlines()]


def test_list_is_newest_first_with_what_differs(results, footsteps):
    """Name, the parameters that differ, how it ended, start, duration, commit with its mark."""
    code, out, err = footsteps("list")
    lines = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[0] == ["name", "lr", "status", "started", "took", "commit"]
    assert lines[1][:3] == ["now", "0.1", "running"]
    assert lines[2] == ["knee", "0.2", "failed", at(2), "3.0", "f6afeb8" + "0" * 33 + "+"]
    assert lines[3] == ["exp/unet", "0.1", "finished", at(1), "62.5", ""]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-n", "1"], ["now"]),
        (["-n", "0"], []),
        (["--failed"], ["knee"]),
        (["--running"], ["now"]),
        (["--since", "2026-11-22T01:30+00:00", "--failed"], ["knee"]),
        (["--since", "2h"], ["now"]),
        (["--since", "2026-11", "--failed"], ["knee"]),
        (["--since", "2026", "--failed"], ["knee"]),
        (["--since", "2026-12", "--failed"], []),
        (["--since", "2027", "--failed"], []),
        (["--since", "2999-01-01"], []),
        (["results/exp"], ["unet"]),
        (["-r", "results/exp"], ["unet"]),
    ],
)
def test_list_is_narrowed_by_its_options(results, footsteps, options, found):
    """So many, since when, how they ended, and where."""
    code, out, err = footsteps("list", *options)
    assert names(out) == found
    assert code == (0 if found else 1)
    assert err == ("" if found else "footsteps: no run in 'results/' is so: `footsteps list` shows what there is\n")


def test_a_run_that_exited_with_an_error_or_died_failed(tmp_path, footsteps):
    """Zero is no failure; unknown is none that could be told."""
    make_run(tmp_path / "results/zero", outcome={"status": "exited", "exit_status": 0})
    make_run(tmp_path / "results/two", outcome={"status": "exited", "exit_status": 2})
    make_run(tmp_path / "results/dead", **this_process(boot_id="another"))
    make_run(tmp_path / "results/unknown")
    _, out, _ = footsteps("list", "--failed")
    assert sorted(names(out)) == ["dead", "two"]


def test_nothing_to_list_is_a_no_and_a_missing_root_is_trouble(tmp_path, footsteps):
    """Exit 1 with a sentence; exit 2 with a sentence and a hint."""
    (tmp_path / "results").mkdir()
    assert footsteps("list") == (1, "", "footsteps: no runs in 'results/'\n")
    code, out, err = footsteps("list", "-r", "nowhere")
    assert (code, out) == (2, "")
    assert err == "footsteps: no directory 'nowhere'\nhint: footsteps list DIRECTORY\n"


@pytest.mark.parametrize("words", [["list"], ["search", "lr:1"]])
def test_where_no_results_are_it_is_told_what_would_do(tmp_path, footsteps, words):
    """Mostly one is in the wrong directory."""
    code, out, err = footsteps(*words)
    assert (code, out) == (1, "")
    assert "'results/' (no such directory here)" in err
    assert err.splitlines()[1].startswith(f"hint: footsteps {words[0]} ")
    assert err.endswith(" DIRECTORY, or cd to the project\n")


def test_show_tells_everything(results, footsteps):
    """One line for each fact in a pipe, the exception with its place among them."""
    code, out, err = footsteps("show", "kn")
    facts = dict(line.split("\t", 1) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert facts["status"] == "failed"
    assert facts["exception"] == "ValueError: no data (train.py:12)"
    assert facts["arguments.lr"] == "0.2"
    assert facts["code.commit"] == "f6afeb8" + "0" * 33
    assert facts["code.changed"] == "train.py"
    assert facts["code.left out"] == ".env (9 B, its name looks like a secret's)"


def test_show_bears_a_bundle_whose_name_is_no_text(tmp_path, footsteps):
    """What a stranger's bundles.json holds is shown as it is."""
    run = make_run(tmp_path / "results/odd", repositories=[{"name": "main", "files": [], "left_out": []}])
    bundles = {"bundles": [{"repository": "main", "file": 5}]}
    (run / ".footsteps/bundles.json").write_text(json.dumps(bundles))
    code, out, _ = footsteps("show", "odd")
    assert (code, "code.bundle\t5" in out) == (0, True)


def test_show_files_diff_and_json(results, footsteps):
    """The kept files, the patch byte for byte, and all of it as one object."""
    _, out, _ = footsteps("show", "knee", "--files")
    assert [line.split("\t")[0::4] for line in out.splitlines()[1:]] == [
        ["changed", "train.py"],
        ["left out", ".env"],
    ]
    assert footsteps("show", "knee", "--diff") == (0, "-a\n+b\n", "")
    [everything] = objects(footsteps("show", "exp/unet", "--json")[1])
    assert everything["outcome"]["artifacts"][0]["path"] == "w.csv"
    assert everything["status"] == "finished"


def test_path_is_what_a_shell_can_change_into(results):
    """Also where the name holds blanks."""
    make_run(results / "a b", started="2027-01-01T00:00:00Z")
    shell = f'cd "$({sys.executable} -m footsteps path @)" && pwd -P'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
    assert done.stdout == f"{os.path.realpath(results)}/a b\n"


def test_the_newest_runs_are_those_that_the_list_begins_with(results, footsteps):
    """A script with an LTParser leaves a record in lt_records/ too, which is no run before its own."""
    make_run(
        results.parent / "lt_records/LT_delta-00_base-11_LT", started=formats.iso_time(time.time()), kind="arguments"
    )
    listed = names(footsteps("list")[1])
    assert [os.path.relpath(footsteps("path", at)[1].strip(), results) for at in ("@", "@~1", "@~2")] == listed
    assert footsteps("path", "LT_delta")[0] == 0
    shutil.rmtree(results)
    assert footsteps("path", "@")[1].endswith("LT_delta-00_base-11_LT\n")


@pytest.mark.parametrize("selector", ["/", "//", ""])
def test_a_selector_that_names_nothing_chooses_no_run(tmp_path, footsteps, selector):
    """All names begin with nothing, also where there is one run alone."""
    make_run(tmp_path / "results/a")
    assert footsteps("path", selector)[:2] == (2, "")


def test_a_name_that_is_no_text_can_be_changed_into(tmp_path):
    """`path` gives the bytes of the name in a pipe."""
    make_run(os.fsdecode(os.fsencode(tmp_path) + b"/results/caf\xe9"))
    done = subprocess.run([sys.executable, "-m", "footsteps", "path", "@"], capture_output=True)
    assert done.stdout == os.fsencode(tmp_path) + b"/results/caf\xe9\n"


def test_a_search_for_what_no_run_has_says_so(results, footsteps):
    """Exit 1 as for any that finds nothing, with what was probably meant."""
    assert footsteps("search", "LR:0.1") == (1, "", "footsteps: no run in 'results/' has 'LR' (did you mean 'lr'?)\n")
    assert footsteps("search", "lr:7", "-e", "LR:1") == (1, "", "footsteps: no run in 'results/' matches\n")


def test_search_finds_and_exits_like_grep(results, footsteps):
    """0 with the runs, 1 without, 2 for what can't be read."""
    code, out, _ = footsteps("search", "lr<=0.1", "--exclude", "status:running")
    assert (code, names(out)) == (0, ["exp/unet"])
    assert footsteps("search", "lr>5")[0] == 1
    code, _, err = footsteps("search", "lr!=5")
    assert code == 2
    assert err.startswith("footsteps: cannot read 'lr!=5'")
    assert footsteps("search")[0] == 2


@pytest.mark.parametrize("command", ["list", "search"])
def test_rows_in_json_are_one_object_a_run(results, footsteps, command):
    """Values as they are: numbers, booleans, null; one document, or one for each line."""
    words = ["search", "lr"] if command == "search" else ["list"]
    found = json.loads(footsteps(*words, "--json")[1])
    assert objects(footsteps(*words, "--jsonl")[1])[1:] == found[1:]
    assert [run["name"] for run in found] == ["now", "knee", "exp/unet"]
    assert found[1]["arguments"] == {"lr": 0.2, "seed": 1}
    assert (found[1]["changed"], found[2]["changed"], found[2]["duration"]) == (True, None, 62.5)


def test_a_header_can_be_left_out(results, footsteps):
    """For `cut` and `while read`."""
    assert footsteps("list", "--no-header", "-n", "1")[1].startswith("now\t")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(footsteps, command):
    """What it does, its options, and a line to copy, in 80 columns; `--json` where it answers."""
    code, out, err = footsteps(command, "--help")
    assert (code, err) == (0, "")
    assert f"usage: footsteps {command}" in out
    assert f"\n  footsteps {command}" in out or f"$(footsteps {command}" in out
    assert "--json" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_names_every_command_and_exit_code(footsteps):
    """And not what the completion scripts use."""
    code, out, _ = footsteps("--help")
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert code == 0
    assert sorted(listed) == COMMANDS
    assert all(f"\n  {number} " in out for number in (0, 1, 2, 3, 130))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lsit"], "no command 'lsit' (did you mean 'list'?)"),
        (["show"], "the following arguments are required: RUN"),
        (["list", "--fail"], "unrecognized arguments: --fail"),
        (["list", "--sinse", "3"], "unrecognized arguments: --sinse (did you mean '--since'?)"),
        (["show", "@", "--fils=1"], "unrecognized arguments: --fils=1 (did you mean '--files'?)"),
        (["list", "-n", "x"], "'x' is no number of runs"),
        (["list", "--since", "soon"], "cannot read 'soon' as a time: 2026-11-22, 2026-11, march"),
        (["list", "nowhere"], "no run 'nowhere' in 'results/'"),
        (["list", "-c", "lrr"], "none of these runs has a value 'lrr' (did you mean 'lr'?)"),
        (["show", "-dash"], "no run '-dash' in 'results/'"),
        (["help", "lsit"], "no command 'lsit' (did you mean 'list'?)"),
        (["remove", "unet"], "no command 'remove' (did you mean 'rm'?)"),
        (["list", "--exclude", "lr=1"], "unrecognized arguments: --exclude (it is an option of footsteps search)"),
        (["compl"], "no command 'compl' (did you mean 'completion'?)"),
        (["list", "--since", "2026-13"], "cannot read '2026-13' as a time"),
        (["list", "--failed", "--running"], "not allowed with"),
        (["show", "umet"], "no run 'umet' in 'results/'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_a_hint(results, footsteps, words, said):
    """Exit 2, nothing on stdout, the last line a command that helps."""
    code, out, err = footsteps(*words)
    assert (code, out) == (2, "")
    sentence, hint = err.splitlines()
    assert sentence.startswith("footsteps: ")
    assert said in sentence
    assert hint.startswith("hint: footsteps ")


def test_the_hint_for_a_word_that_is_no_command_is_the_help_of_the_one_that_was_meant(footsteps):
    """Of all of them where none is like it."""
    hints = [footsteps(word)[2].splitlines()[-1] for word in ("lst", "delete", "xyzzy")]
    assert hints == ["hint: footsteps help list", "hint: footsteps help rm", "hint: footsteps help"]


@pytest.mark.parametrize("words", [["list", "--exclude", "x"], ["show", "@", "more"], ["search", "-n"]])
def test_the_hint_is_the_help_of_the_command_that_was_used_wrongly(results, footsteps, words):
    """Not that of `footsteps`, which does not tell what would have been right."""
    assert footsteps(*words)[2].endswith(f"hint: footsteps {words[0]} --help\n")


def test_damage_is_one_line_for_each_kind(results, footsteps):
    """However many records are damaged, and the rest is shown."""
    for number in range(5):
        run = make_run(results / f"broken-{number}", started=at(3))
        (run / ".footsteps/outcome.json").write_text("{")
    for number in range(3):
        make_run(results / f"future-{number}", started=at(4), format=7)
    code, out, err = footsteps("list")
    assert code == 0
    assert len(names(out)) == 11
    damaged, newer = sorted(err.splitlines())
    assert damaged.startswith("footsteps: could not be read whole: results/broken-")
    assert damaged.endswith(", and 4 more")
    assert "written by a newer footsteps" in newer


def test_nothing_that_a_record_holds_acts_on_a_terminal(tmp_path, terminal):
    """Names, values, paths and errors of a hostile record are printed with their controls escaped."""
    file = {"path": HOSTILE, "state": HOSTILE, "kind": "file", "size": 1}
    hostile = make_run(
        tmp_path / "results" / "x\x1b[31my",
        command=HOSTILE,
        arguments={HOSTILE: HOSTILE},
        host=HOSTILE,
        code_id=HOSTILE,
        started=HOSTILE,
        repositories=[{"name": HOSTILE, "commit": HOSTILE, "files": [file], "left_out": [file]}],
        outcome={"status": "failed", "exception": {"type": HOSTILE, "message": HOSTILE}},
    )
    make_run(tmp_path / "results/other")
    (hostile / ".footsteps/late.json").write_text("{")
    (hostile / "info.txt").write_text(f"Command:\nUncommitted changes:\n+{HOSTILE}\n")
    for words in (["list"], ["show", "x"], ["show", "x", "--files"], ["show", "x", "--diff"],
                  ["path", "x"], ["search", "red"], ["show", "nothing"]):  # fmt: skip
        child = terminal([sys.executable, "-m", "footsteps", *words], env={"NO_COLOR": "1"})
        child.expect(pytest.importorskip("pexpect").EOF)
        shown = child.before
        assert shown
        assert not any(control in shown for control in ("\x1b", "\x07", "\x9b", "\u202e")), (words, shown)


def test_a_terminal_of_80_columns_gets_a_table_of_80_columns(results, terminal):
    """Aligned, coloured, with times as people tell them; nothing wraps."""
    for number in range(12):
        arguments = {f"a-rather-long-name-{key}": "x" * 30 + str(number * key) for key in range(9)}
        make_run(results / f"wide/{'w' * 50}-{number}", started=at(5), arguments=arguments)
    child = terminal([sys.executable, "-m", "footsteps", "list"], env={"NO_COLOR": ""})
    child.expect(pytest.importorskip("pexpect").EOF)
    assert "\x1b[31mfailed\x1b[0m" in child.before
    lines = [line for line in terminal_text(child.before).splitlines() if line]
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("now ")
    assert lines[4].startswith("wide/" + "w" * 24)
    assert lines[-1].startswith("no room for: ")
    assert len(lines) == 17


@pytest.mark.parametrize(("root", "selector"), [("results", "a"), ("elsewhere", os.path.join("elsewhere", "a"))])
def test_the_hint_of_a_trace_can_be_typed_from_here(tmp_path, terminal, root, selector):
    """A run that does not lie below the usual roots is named by its path."""
    make_run(tmp_path / root / "a")
    (tmp_path / root / "a/f").write_text("1")
    child = terminal([sys.executable, "-m", "footsteps", "trace", f"{root}/a/f", "-r", root])
    child.expect(pytest.importorskip("pexpect").EOF)
    hint = terminal_text(child.before).splitlines()[-1]
    assert hint == f"what else is known: footsteps show {selector}"


def terminal_text(shown):
    """What a terminal shows, without colours."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "")


def run_program(program, *words, **options):
    """The command line after some preparation, as a process of its own."""
    program = f"{program}\nimport sys\nfrom footsteps import cli\nsys.exit(cli.main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, **options)


def recorded_whole(root, name, code):
    """A run whose record has all kinds of files, with this code."""
    stored = {"path": "train.py", "state": "untracked", "kind": "file", "stored": "code/main/train.py"}
    stored.update(executable=False, size=len(code), sha256=sha256(code).hexdigest())
    loose = {"name": "main", "role": "loose", "path": "/gone", "files": [stored], "left_out": []}
    artifact = {"path": "w.csv", "size": 3, "mtime_ns": 0, "sha256": None}
    outcome = {"status": "finished", "artifacts": [artifact]}
    run = make_run(root / name, repositories=[loose], cwd="/gone", command="train.py", outcome=outcome)
    (run / ".footsteps/code/main").mkdir(parents=True)
    (run / ".footsteps/code/main/train.py").write_bytes(code)
    (run / "w.csv").write_text("1,2")
    return run


READERS = [
    ["list"], ["show", "a"], ["show", "a", "--files"], ["show", "a", "--diff"], ["search", "lr:1"], ["search", "word"],
    ["diff", "a", "b"], ["trace", "w.csv"], ["verify", "a"], ["restore", "a", "again"],
    ["rerun", "a", "repeated"],
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "info.txt", "package_versions.txt", "w.csv", ".footsteps/run.json", ".footsteps/outcome.json",
        ".footsteps/late.json", ".footsteps/bundles.json", ".footsteps/recorded.jsonl", ".footsteps/inputs-x-1.jsonl",
        ".footsteps/commits.bundle", ".footsteps/code/main/train.py",
    ],
)  # fmt: skip
def test_no_reader_waits_for_a_pipe_in_a_record(tmp_path, name):
    """Whichever file of a stranger's record is one: something is said, or not, and the command ends."""
    run = recorded_whole(tmp_path / "results", "a", b"print(1)\n")
    recorded_whole(tmp_path / "results", "b", b"print(2)\n")
    (tmp_path / "w.csv").write_text("1,2")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    program = f"from footsteps import cli\nfor words in {READERS!r}: print(cli.main(words), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}"], stderr=subprocess.PIPE, text=True, timeout=30
    )
    codes = [line for line in done.stderr.splitlines() if line.isdigit()]
    assert len(codes) == len(READERS)
    assert set(codes) <= {"0", "1", "2"}


def test_a_closed_pipe_ends_quietly(results):
    """141, as for a program that SIGPIPE ends, and no word."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "footsteps", "list"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full")
WORDS = [["list"], ["show", "@"], ["path", "knee"], ["show", "knee", "--diff"], ["--help"], ["show", "--help"]]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("to", [pytest.param("> /dev/full", marks=FULL), ">&-", "<&- >&-"])
def test_an_answer_that_cannot_be_written_is_the_users_trouble(results, words, to, unbuffered):
    """A full disk or a closed stdout: 2 and one sentence, also from the interpreter's last flush."""
    done = in_shell(to, *words, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr in ("footsteps: No space left on device\n", "footsteps: Bad file descriptor\n")


@pytest.mark.parametrize(("words", "code"), [(["show", "no-such"], 2), (["search", "no-such"], 1)])
@pytest.mark.parametrize("to", [pytest.param("2> /dev/full", marks=FULL), "2>&-", "2>&- <&-"])
def test_what_nobody_hears_changes_no_answer(results, words, code, to):
    """With a stderr that is full or closed, talk is lost: it is no answer, and no mistake."""
    done = in_shell(to, *words)
    assert (done.returncode, done.stdout) == (code, in_shell("2> /dev/null", *words).stdout)


def in_shell(redirected, *words, **variables):
    """The command with its streams as a shell redirects them."""
    line = f'exec "$0" -m footsteps "$@" {redirected}'
    environment = {**os.environ, **variables}
    return subprocess.run(["sh", "-c", line, sys.executable, *words], capture_output=True, text=True, env=environment)


def test_ctrl_c_ends_quietly(results):
    """130 and no frames."""
    done = run_program(
        "import os, signal; from footsteps.reader import search\n"
        "search.newest = lambda *words, **more: os.kill(os.getpid(), signal.SIGINT)",
        "list",
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_mistake_of_ours_says_so(results):
    """3, the frames, and a line with the versions that a report needs."""
    done = run_program("from footsteps.reader import search\nsearch.newest = None", "list")
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "please report it with: footsteps " in done.stderr.splitlines()[-1]


def test_a_locale_without_the_characters_is_no_trouble(tmp_path):
    """What the encoding of stdout can't say is escaped."""
    make_run(tmp_path / "results/\u6b65")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run_program("", "list", env=environment)
    assert done.returncode == 0
    assert "\\u6b65" in done.stdout


def test_both_ways_to_start_it_are_one(results):
    """`footsteps` and `python -m footsteps`."""
    script = shutil.which("footsteps")
    if not script:
        pytest.skip("the package is not installed")
    both = [[script, "list"], [sys.executable, "-m", "footsteps", "list"]]
    first, second = (subprocess.run(command, capture_output=True).stdout for command in both)
    assert first
    assert names(first.decode()) == names(second.decode())


HEAVY = ("prompt_toolkit", "psutil", "importlib.metadata", "typing", "dataclasses", "subprocess", "asyncio")


@pytest.mark.parametrize("words", [["list"], ["show", "@"], ["path", "knee"], ["--help"]])
def test_a_command_starts_without_heavy_modules(results, words):
    """What would make the start take more than three times that of an empty Python."""
    program = f"""
import sys
before = set(sys.modules)
from footsteps import cli
cli.main({words!r})
sys.exit(" ".join(({{*{HEAVY!r}}} & {{*sys.modules}}) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["li"], ["list"]),
        (["re"], ["restore", "rerun"]),
        (["--v"], ["--version"]),
        (["show", ""], ["now", "knee", "exp/unet"]),
        (["show", "e"], ["exp/unet"]),
        (["show", "--di"], ["--diff"]),
        (["show", "knee", ""], []),
        (["diff", "knee", "n"], ["now"]),
        (["show", "-r", "results", "k"], ["knee"]),
        (["show", "-r", "results/exp", ""], ["unet"]),
        (["show", "--root=results/exp", ""], ["unet"]),
        (["show", "-r", "nowhere", ""], []),
        (["show", "-r", ""], []),
        (["restore", "--from", "x.git", "k"], ["knee"]),
        (["diff", "knee", "--no-patch", "-r", "results", "n"], ["now"]),
        (["completion", "f"], ["fish"]),
        (["trace", "x"], []),
        (["nonsense", ""], []),
        (["list", "--col"], ["--columns"]),
        (["list", "--sort", "-l"], ["-lr"]),
        (["list", "-c", "seed,l"], ["seed,lr"]),
        (["search", "l"], ["lr="]),
        (["search", "status=fa"], ["status=failed"]),
        (["plot", "s"], ["seed", "status", "started", "system"]),
        (["rm", "k"], ["knee"]),
        (["help", "li"], ["list"]),
    ],
)
def test_words_are_completed(results, footsteps, words, found):
    """Commands, options, run names newest first; files are left to the shell."""
    code, out, err = footsteps("complete", "zsh", *words)
    assert (code, err) == (0, "")
    assert out.splitlines() == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_works_in_the_shell(results, tmp_path, shell):
    """The script that is printed completes a run's name, blanks and all, in the real shell."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    make_run(results / "two words")
    ask = {
        "bash": "COMP_LINE='footsteps show two' COMP_POINT=18 COMP_CWORD=2 COMP_WORDS=(footsteps show two)\n"
        "_footsteps; echo ${COMPREPLY[@]}",
        "zsh": "words=(footsteps show two) CURRENT=3; compadd() { eval echo \\$$2 }; _footsteps",
        "fish": "complete -C 'footsteps show two'",
    }[shell]
    prepare = "compdef() { : }\n" if shell == "zsh" else ""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/footsteps").write_text(f'#!/bin/sh\nexec {sys.executable} -m footsteps "$@"\n')
    (tmp_path / "bin/footsteps").chmod(0o755)
    printed = subprocess.run([tmp_path / "bin/footsteps", "completion", shell], capture_output=True, text=True)
    script = tmp_path / "script"
    script.write_text(f"{prepare}{printed.stdout}\n{ask}\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run([shell, script], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip().replace("\\", "") == "two words"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_works_at_the_first_key(results, tmp_path, terminal, shell):
    """Where zsh loads it itself from the folder that the help names, and in a name that bash cuts into words."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    make_run(results / "lr=0.25")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/footsteps").write_text(f'#!/bin/sh\nexec {sys.executable} -m footsteps "$@"\n')
    (tmp_path / "bin/footsteps").chmod(0o755)
    printed = subprocess.run([tmp_path / "bin/footsteps", "completion", shell], capture_output=True, text=True)
    (tmp_path / "_footsteps").write_text(printed.stdout)
    (tmp_path / ".zshrc").write_text("fpath=(~ $fpath); autoload -Uz compinit; compinit -u; PS1='READY '\n")
    options = ["--noprofile", "--norc"] if shell == "bash" else []
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    started = terminal([shell, *options], env={"PATH": path, "HOME": str(tmp_path), "PS1": "READY ", "TERM": "dumb"})
    started.expect_exact("READY ")
    if shell == "bash":
        started.sendline(". ./_footsteps")
        started.expect_exact("READY ")
    started.send("footsteps path lr=0\t")
    started.expect_exact("lr=0.25")
    started.sendline("")
    started.expect_exact("results/lr=0.25")


@pytest.mark.slow
def test_a_list_of_runs_that_are_none_is_quick_and_silent(tmp_path, footsteps):
    """Thousands of directories that are no runs are no reason to say anything."""
    for number in range(2000):
        (tmp_path / f"results/cache/{number}").mkdir(parents=True)
    make_run(tmp_path / "results/a")
    code, out, err = footsteps("list")
    assert (code, names(out), err) == (0, ["a"], "")


def test_interrupting_a_search_leaves_a_usable_index(results, footsteps):
    """SIGINT while an index is written ends with 130; the next question is answered."""
    interrupted = """
import os, signal
from footsteps.reader import search
from footsteps.reader import expressions
from footsteps.reader import index
index.INDEX_FROM = 0
fact, expressions.FACTS["host"] = expressions.FACTS["host"], lambda run: os.kill(os.getpid(), signal.SIGINT)
"""
    assert run_program(interrupted, "search", "lr").returncode == 130
    again = run_program("from footsteps.reader import index\nindex.INDEX_FROM = 0", "search", "lr")
    assert (again.returncode, len(again.stdout.splitlines()), again.stderr) == (0, 4, "")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "arguments",
        "argument_facts",
        "code_id",
        "commit",
        "command",
        "cpu",
        "cwd",
        "directory",
        "duration",
        "environment",
        "ended",
        "exception",
        "exit_status",
        "files",
        "format",
        "hardware",
        "host",
        "id",
        "inputs",
        "kind",
        "left_out",
        "main",
        "memory",
        "name",
        "packages",
        "parent",
        "path",
        "platform",
        "problems",
        "process",
        "python",
        "repositories",
        "role",
        "sha256",
        "size",
        "started",
        "state",
        "status",
        "user",
        "values",
        "version",
    ]
)
OBJECT = st.dictionaries(
    NAMES, ANYTHING | st.lists(st.dictionaries(NAMES, ANYTHING, max_size=4), max_size=2), max_size=8
)


@pytest.mark.slow
@given(facts=OBJECT, outcome=OBJECT, line=OBJECT, late=OBJECT)
def test_no_record_is_beyond_the_readers(tmp_path_factory, facts, outcome, line, late):
    """Whatever stands where in a record, every command that reads it has an answer and no mistake."""
    root = tmp_path_factory.mktemp("any")
    record = root / "a/.footsteps"
    record.mkdir(parents=True)
    for name, content in (("run", facts), ("outcome", outcome), ("late", late), ("bundles", late)):
        (record / f"{name}.json").write_text(json.dumps(content))
    for name in ("recorded", "inputs-h-1"):
        (record / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    at_root = ("-r", str(root))
    for words in (["list", str(root)], ["show", "a", *at_root], ["show", "a", "--json", *at_root],
                  ["show", "a", "--files", *at_root], ["search", "x", "lr<1", "started>2", *at_root],
                  ["list", "--failed", "--json", str(root)]):  # fmt: skip
        assert cli.main(words) in (0, 1)
    for reader in (index.Row, lambda run: list(expressions.named_facts(run))):
        reader(runs.load(root / "a"))


HUGE = 10**400


@pytest.mark.parametrize(
    "hostile",
    [
        {"outcome": {"status": "finished", "duration": HUGE}},
        {"outcome": {"status": "finished", "artifacts": [{"path": "w", "size": HUGE}]}},
        {"outcome": {"status": "finished", "artifacts": [{"path": "\ud800", "size": 1}]}},
        {"outcome": {"status": "finished", "artifacts": [{"path": "w\0", "size": 1}]}},
        {"repositories": [{"name": "main", "files": [], "left_out": [{"path": 5, "reason": []}]}]},
    ],
)
def test_numbers_and_names_that_nothing_here_can_hold_end_no_command(tmp_path, footsteps, hostile):
    """Ints beyond any float, halves of characters, NUL, numbers for paths."""
    make_run(tmp_path / "results/a", **hostile)
    make_run(tmp_path / "results/b", outcome={"status": "finished", "artifacts": [{"path": "v", "size": 1}]})
    (tmp_path / "results/b/v").write_text("1")
    for words in (["list"], ["show", "a"], ["diff", "a", "b"], ["trace", "results/b/v"], ["verify", "a"]):
        assert footsteps(*words)[0] < 3, words


def test_counts_that_are_no_numbers_end_no_command(tmp_path, footsteps):
    """Two processes' notes of one directory are added up as far as they are numbers."""
    record = make_run(tmp_path / "results/a") / ".footsteps"
    for name, count in (("1", 2), ("2", "many"), ("3", [1])):
        (record / f"inputs-{name}.jsonl").write_text(json.dumps({"directory": "/d", "count": count}) + "\n")
    assert footsteps("show", "a")[0] == 0
    assert runs.load(record.parent).inputs == [{"directory": "/d", "count": 2}]


def test_a_duration_that_is_no_number_does_not_end_a_list(results, terminal):
    """One damaged outcome must not keep the other runs off the screen."""
    make_run(results / "odd", outcome={"status": "finished", "duration": float("inf")})
    screen = terminal([sys.executable, "-m", "footsteps", "list"], cwd=results.parent)
    screen.expect(pytest.importorskip("pexpect").EOF)
    assert "knee" in screen.before
    assert "Traceback" not in screen.before


# --- what is claimed, and where it must not be ---


@pytest.mark.parametrize("why", ["all is known", "not all inputs", "cut off"])
def test_no_difference_is_said_only_of_what_could_be_compared(run_script, tmp_path, footsteps, why):
    """Not of runs that may have read or made what no list has."""
    (tmp_path / "data.csv").write_text("1\n")
    program = "import footsteps, os, signal\nopen('data.csv').read()\n"
    program += "with open(footsteps.output_dir + 'o', 'w') as f: f.write('x')\n"
    program += "os.kill(os.getpid(), signal.SIGKILL)\n" if why == "cut off" else ""
    for name in ("a", "b"):
        run_script(program, env={"FOOTSTEPS_NAME": name})
        if why == "not all inputs":
            path = tmp_path / "results" / name / ".footsteps/outcome.json"
            told = {**json.loads(path.read_bytes()), "inputs_complete": False, "inputs_not_followed": ["duckdb"]}
            path.write_text(json.dumps(told))
    status, out, err = footsteps("diff", "a", "b")
    assert (status, out) == (0, "")
    assert ("no difference was found\n" in err) is (why == "all is known")
    assert ("no difference was found in what could be compared\n" in err) is (why != "all is known")
    assert ("duckdb may have opened more, unseen" in err) is (why == "not all inputs")
    assert ("no end of it is recorded" in err) is (why == "cut off")


def test_show_tells_that_a_bundle_was_never_finished(tmp_path, footsteps):
    """Of a run that ended before it, and with it all that it had started."""
    row = {"name": "main", "role": "cwd", "path": "/p", "commit": "ab" * 20, "bundle": "commits.bundle"}
    make_run(tmp_path / "results" / "a", started=at(1), repositories=[{**row, "files": [], "left_out": []}])
    assert "bundle\tnone was finished: `footsteps verify` tells" in footsteps("show", "a")[1]


def test_compare_claims_nothing_of_what_it_does_not_look_at(tmp_path, footsteps):
    """Two runs of equal arguments that made other files."""
    for name, digest in (("a", "ab" * 32), ("b", "cd" * 32)):
        made = [{"path": "o", "size": 1, "mtime_ns": 1, "sha256": digest}]
        outcome = {"status": "finished", "exit_status": 0, "duration": 1.0, "artifacts": made}
        make_run(tmp_path / "results" / name, started=at(1), arguments={"lr": 0.1}, command="t.py", outcome=outcome)
    _, _, err = footsteps("compare", "a", "b")
    assert "no difference was found in these values; `footsteps diff` compares" in err
    assert footsteps("diff", "a", "b")[0] == 1
