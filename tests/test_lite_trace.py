"""lite_trace.py: LiteTracer's search over the records that LTParser, and LiteTracer itself, made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest
from lite_tracer import lite_trace
from lite_tracer.lite_trace import main

from footsteps import LTParser
from footsteps.footsteps import __version__

LINE = re.compile(r"(LT_delta-\w+_base-\w+_LT)  (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:  (.*))?")
OLD = "LT_delta-0b1f2c_base-9a8b7c_LT"  # LiteTracer's halves were shorter


def record(*words):
    """Parse words as a program would; the record's hash."""
    parser = LTParser(on_suspicion="ignore")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--bsz", type=int, default=32)
    parser.add_argument("--shift", type=int, default=-3)
    parser.add_argument("--layers", type=int, nargs="+", default=[64, 32])
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--name")
    parser.add_argument("--amp", action="store_true")
    return parser.parse_args(list(words)).hash_code


def record_of_lite_tracer(line, code=OLD):
    """A record as LiteTracer's description has it: settings on one line, a patch, untracked files."""
    os.makedirs(f"lt_records/{code}/untracked")
    with open(f"lt_records/{code}/settings_{code}.txt", "w") as file:
        file.write(line + "\n")
    with open(f"lt_records/{code}/diff.patch", "w"):
        pass
    return code


@pytest.fixture
def history(repo, monkeypatch):
    """Four records of different arguments in a project, by name."""
    repo.add_remote()
    monkeypatch.chdir(repo)
    return {
        "base": record(),
        "adam": record("--optimizer", "adam", "--lr", "0.01"),
        "small": record("--bsz", "12", "--shift", "4", "--amp"),
        "deep": record("--layers", "128", "64", "--name", "two words"),
    }


@pytest.fixture
def search(capsys):
    """A function that searches and gives the hashes found, in no order."""

    def run(line, **words):
        status = main([*line.split(), *words.get("more", [])])
        out, err = capsys.readouterr()
        lines = [LINE.fullmatch(each) for each in out.splitlines()]
        assert all(lines), out
        assert (status == 0) == bool(lines)
        assert (err == "") == (status == 0)
        return {each[1] for each in lines}

    return run


CONDITIONS = [
    ("-i optimizer:sgd", "base small deep"),
    ("-i optimizer==adam", "adam"),
    ("-i lr:0.1", "base small deep"),
    ("-i layers:[64,32]", "base adam small"),
    ("-i layers:[128,64]", "deep"),
    ("-i lr==.1", "base small deep"),
    ("-i lr:1e-2", "adam"),
    ("-i lr<0.1", "adam"),
    ("-i lr<=0.1", "base adam small deep"),
    ("-i lr>0.01", "base small deep"),
    ("-i lr>=0.01", "base adam small deep"),
    ("-i lr>0.1", ""),
    ("-i bsz>=32", "base adam deep"),
    ("-i bsz>12 -e layers:128", "base adam"),
    ("-i shift:-3", "base adam deep"),
    ("-i shift<0", "base adam deep"),
    ("-i shift<-3", ""),
    ("-i shift<=-3", "base adam deep"),
    ("-i shift>-4 shift<4", "base adam deep"),
    ("-i layers:64", "base adam small deep"),
    ("-i layers>64", "deep"),
    ("-i layers<64", "base adam small"),
    ("-i amp", "small"),
    ("-i amp:True", "small"),
    ("-i amp==false", "base adam deep"),
    ("-e amp", "base adam deep"),
    ("-i sgd", "base small deep"),
    ("-i name", "deep"),
    ("-i name:", "base adam small"),
    ("-i 12", "small"),
    ("-e 12", "base adam deep"),
    ("-i sgd -e bsz:12 name", "base"),
    ("--include sgd --include lr:0.1 --exclude bsz:12", "base deep"),
    ("-i --", ""),
    ("", "base adam small deep"),
]


def test_conditions_find_what_they_say(history, search):
    """Operators the right way round for ints, floats, negatives, lists; equality for all."""
    for line, names in CONDITIONS[:-2]:
        assert search(line) == {history[name] for name in names.split()}, line
    assert search("") == set(history.values())


def test_a_value_with_blanks_is_one_word(history, search):
    """Also where it stands as a bare word, and a list by all its items."""
    assert search("", more=["-i", "name:two words"]) == {history["deep"]}
    assert search("", more=["-i", "two words"]) == {history["deep"]}
    assert search("", more=["-i", "layers:128 64"]) == {history["deep"]}


def test_the_seeds_own_call_works(history, repo, search):
    """`lite_trace.py --exclude bsz:12 git_label:f6afeb8 --include sgd`."""
    label = repo("rev-parse", "--short=7", "HEAD")
    line = "--exclude bsz:12 git_label:{} --include sgd"
    assert search(line.format(label)) == set()
    assert search(line.format("f6afeb8")) == {history["base"], history["deep"]}
    repo.commit("Another commit", everything=False)
    newer = record()
    assert search(line.format(label)) == {newer}
    assert search(f"-i git_label:{repo('rev-parse', 'HEAD')}") == {newer}
    assert search(f"-i {label} bsz:12") == {history["small"]}


def test_records_that_lite_tracer_wrote_are_found(history, search):
    """Their values are text; numbers compare as numbers, a bare flag is set."""
    line = "--amp --bsz 12 --git_label f6afeb8 --layers 512 256 --lr 0.5 --optimizer sgd --shift -9"
    old = record_of_lite_tracer(line)
    assert search("-i lr>0.2") == {old}
    assert search("-i shift<-3") == {old}
    assert search("-i layers>=512") == {old}
    assert search("-i git_label:f6afeb8") == {old}
    assert search("-i amp bsz:12") == {old, history["small"]}
    assert search(f"-i hash_code:{old}") == {old}


def test_a_line_tells_hash_date_and_what_differs(history, capsys):
    """The newest first; what is the same everywhere is not said; conditions can be pasted."""
    assert main(["-i", "optimizer:sgd"]) == 0
    lines = [LINE.fullmatch(line) for line in capsys.readouterr().out.splitlines()]
    told = {line[1]: line[3] for line in lines}
    assert told == {
        history["base"]: "bsz:32 shift:-3 layers:'64 32' name: amp:False",
        history["small"]: "bsz:12 shift:4 layers:'64 32' name: amp:True",
        history["deep"]: "bsz:32 shift:-3 layers:'128 64' name:'two words' amp:False",
    }
    dates = [line[2] for line in lines]
    assert dates == sorted(dates, reverse=True)
    assert dates[0][:4] == time.strftime("%Y")
    assert main(["-i", "amp"]) == 0
    assert LINE.fullmatch(capsys.readouterr().out.rstrip("\n"))[3] is None


def test_what_a_record_holds_does_not_reach_the_terminal(history, capsys):
    """A value with an escape sequence is printed escaped, on its line."""
    record("--name", "a\x1b[2Jb\nLT_forged")
    assert main(["-i", "optimizer:sgd"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4


def test_it_tells_its_version(capsys):
    """As the other command does."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"lite_trace.py of footsteps {__version__}\n"


TROUBLES = [
    ("-d nowhere", 1, "no history here: 'nowhere' is not there"),
    ("-d empty", 1, "no history: 'empty' holds no records"),
    ("-i lr:7", 1, "none of 4 runs matches"),
    ("-i LR:0.1", 1, "none of 4 runs has a parameter 'LR' (did you mean 'lr'?)"),
    ("-i optimzer:sgd", 1, "none of 4 runs has a parameter 'optimzer' (did you mean 'optimizer'?)"),
    ("-i lr=0.1", 2, "cannot read 'lr=0.1'"),
    ("-i lr<", 2, "cannot read 'lr<'"),
    ("-i <3", 2, "cannot read '<3'"),
    ("-e lr=>1", 2, "cannot read 'lr=>1'"),
]


@pytest.mark.parametrize(("line", "status", "said"), TROUBLES)
def test_troubles_are_one_line_and_a_status(line, status, said, history, capsys):
    """1 where nothing is found, 2 where a condition can't be read, with what would do."""
    os.mkdir("empty")
    assert main(line.split()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert err.startswith("lite_trace.py: ")
    assert ("would do" in err) == (status == 2)


def test_a_damaged_record_does_not_hide_the_others(history, capsys):
    """One line on stderr at most, and the rest is found."""
    with open(f"lt_records/{history['adam']}/.footsteps/run.json", "w") as file:
        file.write('{"format": 1, "argum')
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert {history["base"], history["small"], history["deep"]} <= {line.split()[0] for line in out.splitlines()}
    assert err.count("\n") <= 1


@pytest.mark.parametrize("how", [["-m", "lite_tracer.lite_trace"], [lite_trace.__file__]], ids=["module", "script"])
def test_it_runs_as_a_module_and_as_a_script(how, history):
    """`python -m lite_tracer.lite_trace` and `python lite_trace.py`."""
    command = [sys.executable, *how]
    done = subprocess.run([*command, "-i", "optimizer==adam"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[0] == history["adam"]
    done = subprocess.run([*command, "-h"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "lite_trace.py --exclude bsz:12 git_label:f6afeb8 --include sgd" in done.stdout


def test_lite_tracer_is_importable_under_its_own_name(repo, run_script):
    """`from lite_tracer import LTParser`, as LiteTracer's users write it."""
    program = "from lite_tracer import LTParser\nprint(LTParser('x').parse_args().hash_code)\n"
    done = run_script(program, cwd=repo)
    assert done.returncode == 0, done.stderr
    assert os.listdir(repo / "lt_records") == [done.stdout.strip()]


def test_lists_in_lists_without_end_are_no_end_of_a_search(history):
    """As deep as JSON can be read, and deeper than Python can go into it."""
    facts = os.path.join("lt_records", history["base"], ".footsteps", "recorded.jsonl")
    with open(facts, "a") as file:
        file.write('{"kind": "recorded", "values": {"deep": ' + "[" * 900 + "]" * 900 + "}}\n")
    command = [sys.executable, "-m", "lite_tracer.lite_trace"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_stdout_is_one_line(history):
    """As for a full disk: 2, and no frames."""
    line = 'exec "$0" -m lite_tracer.lite_trace >&-'
    done = subprocess.run(["sh", "-c", line, sys.executable], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "lite_trace.py: Bad file descriptor\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full disk to offer")
def test_a_full_disk_behind_the_answer_is_one_line(history):
    """`lite_trace.py > file`: not the exit status of an empty answer, no traceback."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "lite_tracer.lite_trace"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "lite_trace.py: No space left on device\n"


@pytest.mark.parametrize("value", ["<pad>", "</s>", ">>>", "a=b", "a:b<c"])
def test_a_value_may_look_like_an_operator(value, history, search):
    """A condition as the answer itself prints it is understood."""
    code = record("--name", value)
    assert search("", more=["-i", f"name:{value}"]) == {code}
    assert search("", more=["-i", f"name=={value}"]) == {code}


def test_a_reader_that_leaves_early_is_no_error(history):
    """`lite_trace.py | head -1`."""
    command = [sys.executable, "-m", "lite_tracer.lite_trace"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()
