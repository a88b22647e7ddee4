"""What people do with their runs ten times a day is one command each."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from made_runs import at, make_run, this_process

import footsteps as package
from footsteps import cli
from footsteps.reader import index, runs, selection


@pytest.fixture
def footsteps(capfd):
    """A function that runs a command in this process: exit status, stdout, stderr."""

    def run(*words):
        code = cli.main([os.fspath(word) for word in words])
        sys.stdout.flush()
        return code, *capfd.readouterr()

    return run


LOSSES = {"knee/a": [0.9, 0.3, 0.5], "knee/b": [0.8, 0.6, 0.4], "unet": [0.9, 0.7], "unet-1": [0.9, 0.2]}


@pytest.fixture
def results(tmp_path):
    """Four runs that recorded a loss at each step and one at the end; two of each learning rate."""
    for number, (name, losses) in enumerate(LOSSES.items(), 1):
        recorded = [("recorded", {"step": 10 * step, "loss": loss}) for step, loss in enumerate(losses)]
        make_run(
            tmp_path / "results" / name,
            started=at(number),
            arguments={"lr": 0.1 if name.startswith("knee") else 0.2, "seed": number},
            recorded=[*recorded, ("recorded", {"final_loss": losses[-1]})],
            outcome={"status": "failed" if name == "unet" else "finished", "duration": 60.0 * number},
        )
    return tmp_path / "results"


def column(out, title="name"):
    """One column of TSV."""
    lines = [line.split("\t") for line in out.splitlines()]
    return [line[lines[0].index(title)] for line in lines[1:]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--sort", "final_loss"], ["unet-1", "knee/b", "knee/a", "unet"]),
        (["--sort", "-final_loss", "-n", "2"], ["unet", "knee/a"]),
        (["--sort", "loss", "--min"], ["unet-1", "knee/a", "knee/b", "unet"]),
        (["--sort", "loss", "--max", "--reverse", "-n", "1"], ["unet-1"]),
        (["knee"], ["knee/b", "knee/a"]),
        (["knee/*"], ["knee/b", "knee/a"]),
        (["unet"], ["unet-1", "unet"]),
        (["kn", "unet-1"], ["unet-1", "knee/b", "knee/a"]),
        (["results/knee/a", "-c", "lr"], ["a"]),
        (["*", "--failed"], ["unet"]),
        (["--before", "2026-11-22T02:30+00:00"], ["knee/b", "knee/a"]),
    ],
)
def test_a_list_is_of_the_runs_and_in_the_order_that_were_asked_for(results, footsteps, words, found):
    """By groups, patterns, names and their numbers; by values, the last, least or greatest of a series."""
    if "--max" in words:
        found = found[:1]
    code, out, _ = footsteps("list", *words)
    assert code == 0
    assert column(out)[: len(found)] == found or "--max" in words
    assert len(column(out)) == len(found)


def test_columns_are_those_that_were_asked_for(results, footsteps):
    """After the name; of a series the value that was asked for, under a title that says so."""
    _, out, _ = footsteps("list", "knee/a", "-c", "lr,loss,took", "--min")
    assert out.splitlines() == ["name\tlr\tmin loss\ttook", "knee/a\t0.1\t0.3\t60.0"]


def test_a_search_shows_first_what_was_asked_for(results, footsteps):
    """Then results, what differs, and only then the rest."""
    _, out, _ = footsteps("search", "lr=0.1", "duration<1h")
    assert out.splitlines()[0].split("\t") == [
        "name", "lr", "duration", "loss", "final_loss", "seed", "status", "started", "took", "commit", "step",
    ][: len(out.splitlines()[0].split("\t"))]  # fmt: skip


def test_groups_of_runs_have_mean_and_deviation(results, footsteps):
    """Over the seeds: how many, mean, standard deviation of a sample."""
    code, out, _ = footsteps("list", "--group-by", "lr", "-c", "final_loss")
    assert code == 0
    assert out.splitlines()[0] == "lr\truns\tfinal_loss.mean\tfinal_loss.std"
    first = out.splitlines()[1].split("\t")
    assert first[:2] == ["0.1", "2"]
    assert [float(each) for each in first[2:]] == pytest.approx([0.45, 0.0707106781])
    [group, _] = json.loads(footsteps("list", "--group-by", "lr", "--json")[1])
    assert (group["group"], sorted(group["runs"])) == ({"lr": 0.1}, ["knee/a", "knee/b"])
    assert group["values"]["final_loss"]["count"] == 2


def test_several_runs_are_compared_side_by_side(results, footsteps):
    """A column for each, a row for what differs; 1 where nothing does."""
    code, out, _ = footsteps("compare", "knee/a", "knee/b", "unet")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert code == 0
    assert rows["run"] == ["knee/a", "knee/b", "unet"]
    assert rows["lr"] == ["0.1", "0.1", "0.2"]
    assert rows["status"] == ["finished", "finished", "failed"]
    assert "host" not in rows
    assert footsteps("compare", "knee/a")[0] == 2


@pytest.mark.parametrize("indexed", [False, True])
def test_notes_and_tags_are_found_and_shown(results, footsteps, monkeypatch, indexed):
    """Who, when and what, as lines that only get more; also where an index knew the runs before."""
    if indexed:
        monkeypatch.setattr(index, "INDEX_FROM", 0)
        monkeypatch.setattr(index, "INSIDE_TO", 0)
        footsteps("search", "lr")
    assert footsteps("note", "unet-1", "used in the paper,", "Fig. 3")[0] == 0
    assert footsteps("tag", "knee/*", "unet-1", "paper")[0] == 0
    assert column(footsteps("search", "tag:paper")[1]) == ["unet-1", "knee/b", "knee/a"]
    assert column(footsteps("search", "note:fig. 3")[1]) == ["unet-1"]
    assert "tags\tpaper" in footsteps("show", "knee/a")[1]
    assert "used in the paper, Fig. 3" in footsteps("list", "unet-1")[1]
    assert footsteps("tag", "knee/a", "paper", "--remove")[0] == 0
    assert column(footsteps("search", "tag:paper")[1]) == ["unet-1", "knee/b"]
    lines = (results / "knee/a/.footsteps/notes.jsonl").read_text().splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [
        ["host", "tag", "time", "user"],
        ["host", "time", "untag", "user"],
    ]
    assert footsteps("tag", "unet", "two words")[0] == 2


def test_removed_runs_go_to_the_trash_and_what_others_read_is_kept(results, footsteps):
    """With the reason; nothing is removed unasked; the trash is emptied by a word of its own."""
    reads = {"path": str(results / "knee/a/w.pt"), "size": 1}
    reader = make_run(results / "figure3", started=at(9), outcome={"status": "finished"})
    (reader / ".footsteps/inputs-h-1.jsonl").write_text(json.dumps(reads) + "\n")
    assert footsteps("rm", "knee/*")[0] == 2
    code, out, _ = footsteps("rm", "knee/*", "--yes")
    assert code == 0
    assert [line.rpartition("\t")[2] for line in out.splitlines()[1:]] == ["", "read by figure3"]
    assert (results / "knee/a").is_dir()
    assert (results / ".trash/knee/b/.footsteps/run.json").is_file()
    assert "knee/b" not in column(footsteps("list")[1])
    assert column(json_free(footsteps("rm", "--failed", "--before", "2026-12", "-y")[1])) == ["unet"]
    assert footsteps("rm", "--empty", "-y")[0] == 0
    assert not (results / ".trash").exists()
    assert footsteps("rm", "--empty", "-y")[0] == 1


def json_free(out):
    """The table alone."""
    return out


def test_a_running_or_tagged_run_is_not_removed(results, footsteps):
    """--force removes a tagged one."""
    make_run(results / "now", started=at(8), **this_process())
    footsteps("tag", "unet", "keep")
    assert footsteps("rm", "now", "unet", "-y")[0] == 1
    assert footsteps("rm", "unet", "-y", "--force")[0] == 0
    assert not (results / "unet").exists()


def test_disk_use_is_told_the_largest_first(results, footsteps):
    """What runs share on disk counts once."""
    (results / "unet/big").write_bytes(b"x" * 50_000)
    os.link(results / "unet/big", results / "unet-1/big")
    code, out, err = footsteps("du")
    assert code == 0
    assert column(out)[0] == "unet"
    assert int(column(out, "size")[0]) >= 50_000 > sum(map(int, column(out, "size")[1:]))
    assert "in 4 runs" in err


@pytest.mark.slow
def test_a_curve_is_drawn_in_the_terminal_and_into_a_file(results, terminal, footsteps, tmp_path):
    """Braille in a terminal, points in a pipe, what matplotlib writes in a file."""
    child = terminal([sys.executable, "-m", "footsteps", "plot", "loss", "knee/*"])
    child.expect(pytest.importorskip("pexpect").EOF)
    assert any("\u2801" <= c <= "\u28ff" for c in child.before)
    assert "knee/a  0.5 (3 steps, least 0.3, greatest 0.9)" in child.before
    assert footsteps("plot", "loss", "knee/a")[1].splitlines()[2] == "knee/a\t10\t0.3"
    code, _, err = footsteps("plot", "lss", "knee")
    assert (code, "these 2 runs have no series 'lss' (did you mean 'loss'?)" in err) == (2, True), err
    pytest.importorskip("matplotlib")
    assert footsteps("plot", "loss", "knee", "-o", tmp_path / "loss.png")[0] == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


PROGRAM = """
import sys, footsteps
footsteps.initialize("slow", console=True)
for step in range(3):
    footsteps.record(step=step, loss=1 / (step + 1))
print("epoch done", flush=True)
sys.stdin.readline()
"""


def test_running_runs_are_watched_until_they_end(tmp_path, terminal):
    """Step, values and the last line that it printed; ends with the run."""
    (tmp_path / "slow.py").write_text(PROGRAM)
    running = subprocess.Popen([sys.executable, "slow.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while "epoch" not in running.stdout.readline():
        pass
    child = terminal([sys.executable, "-m", "footsteps", "watch", "slow", "-i", "0.2"])
    child.expect(r"slow\S* .*running.*2 .*0\.33333.*epoch done")
    running.communicate("\n")
    child.expect("finished")
    child.expect(pytest.importorskip("pexpect").EOF)
    child.wait()
    assert child.exitstatus == 0


def test_watching_ends_with_ctrl_c(results, terminal):
    """Without a word."""
    child = terminal([sys.executable, "-m", "footsteps", "watch"])
    child.expect("nothing runs here now")
    child.sendintr()
    child.expect(pytest.importorskip("pexpect").EOF)
    child.wait()
    assert (child.exitstatus, "Traceback" in child.before) == (0, False)


def test_runs_are_read_from_python(results):
    """Runs with their arguments, values and series; rows for a table."""
    found = package.runs("knee/*")
    assert [run.name for run in found] == ["knee/b", "knee/a"]
    loss = found[1].series("loss")
    assert (loss.steps, loss.values, loss.last, loss.least) == ([0, 10, 20], [0.9, 0.3, 0.5], 0.5, 0.3)
    assert found[1].path == f"{results}/knee/a/"
    row = package.table("knee/a")[0]
    assert (row["name"], row["lr"], row["final_loss"], row["duration"]) == ("knee/a", 0.1, 0.5, 60.0)


def test_a_series_is_told_in_show_and_whole_in_json(results, footsteps):
    """The last value, how many, the least and greatest."""
    assert "recorded.loss\t0.5 (3 steps, least 0.3, greatest 0.9)" in footsteps("show", "knee/a")[1]
    assert json.loads(footsteps("list", "knee/a", "--json")[1])[0]["series"]["loss"] == [[0, 0.9], [10, 0.3], [20, 0.5]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["final_loss=0.5", "OR", "final_loss=0.7"], ["unet", "knee/a"]),
        (["final_loss=0.5 OR final_loss=0.7"], ["unet", "knee/a"]),
        (["lr=0.1", "seed=1", "OR", "seed=4"], ["unet-1", "knee/a"]),
        (["-e", "status:failed", "lr=0.2"], ["unet-1"]),
        (["name:knee/", "--exclude", "seed=1"], ["knee/b"]),
        (["duration>2m"], ["unet-1", "unet"]),
        (["duration<=1m"], ["knee/a"]),
    ],
)
def test_searches_that_people_guess_find_what_they_mean(results, footsteps, words, found):
    """OR, one expression behind -e, groups, durations with units."""
    assert column(footsteps("search", *words)[1]) == found


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("status:done", "no run has the status 'done'; there are: finished, failed"),
        ("lr<abc", "'abc' is no number; use one, as in lr<0.1"),
        ("zz<abc", "has 'zz'; 'abc' is no number; use one, as in zz<0.1"),
        ("started>sometime", "'sometime' is no time; use one such as 2026-11-22"),
        ("duration>long", "'long' is no duration; use one such as 90, 90s, 5m"),
    ],
)
def test_a_search_that_can_match_nothing_says_what_would(results, footsteps, word, said):
    """Exit 1 as for any that finds nothing."""
    code, out, err = footsteps("search", word)
    assert (code, out) == (1, "")
    assert said in err


@pytest.mark.parametrize(
    ("words", "kind"), [("march", "2026-03"), ("last week", "T"), ("3d", "T"), ("2026-11", "2026-11")]
)
def test_times_are_read_as_people_say_them(words, kind):
    """Months, days, so long ago."""
    from footsteps.reader import times

    assert times.moment(words) is not None
    assert kind[-3:] in times.iso_prefix(words) or "-" in times.iso_prefix(words)
    assert (times.duration("1h30m"), times.duration("2 days"), times.duration("soon")) == (5400, 172800, None)


def test_the_root_is_found_from_a_folder_below_and_where_it_was_set(results, tmp_path, monkeypatch, footsteps):
    """As git finds its repository; by a line in pyproject.toml or setup.cfg; by FOOTSTEPS_ROOT."""
    below = tmp_path / "src/deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert column(footsteps("list", "-n", "1")[1]) == ["unet-1"]
    results.rename(tmp_path / "kept")
    assert footsteps("list")[0] == 1
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.footsteps]\nroot = "kept"  # here\n')
    assert column(footsteps("list", "-n", "1")[1]) == ["unet-1"]
    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.setenv("FOOTSTEPS_ROOT", str(tmp_path / "kept"))
    assert column(footsteps("list", "-n", "1")[1]) == ["unet-1"]


def test_a_run_begins_in_the_root_that_was_set(tmp_path, run_script):
    """Where the program names none itself."""
    (tmp_path / "setup.cfg").write_text("[tool:footsteps]\nroot = kept\n")
    (tmp_path / "src").mkdir()
    done = run_script("import footsteps\nfootsteps.initialize('a')\nprint(footsteps.output_dir)", cwd=tmp_path / "src")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "kept/a/info.txt").is_file()
    own = "import footsteps\nfootsteps.initialize('a', 'own/')"
    assert run_script(own, cwd=tmp_path, env={"FOOTSTEPS_ROOT": "elsewhere"}).returncode == 0
    assert (tmp_path / "own/a/info.txt").is_file()


def test_long_answers_go_through_the_pager(results, terminal):
    """On a terminal, if they are longer; not with --no-pager."""
    for number in range(40):
        make_run(results / f"many-{number}", started=at(7))
    pager = {"PAGER": f"{sys.executable} -c \"import sys; print('PAGED', len(sys.stdin.readlines()))\""}
    for words, paged in ((["list"], True), (["list", "--no-pager"], False), (["list", "knee"], False)):
        child = terminal([sys.executable, "-m", "footsteps", *words], env=pager)
        child.expect(pytest.importorskip("pexpect").EOF)
        assert ("PAGED 45" in child.before) is paged, words


def test_a_table_in_a_pipe_is_aligned_where_that_is_asked_for(results, footsteps):
    """For `watch` and `less`."""
    lines = footsteps("list", "--table", "-c", "lr,final_loss")[1].splitlines()
    assert lines[0].split() == ["name", "lr", "final_loss"]
    assert lines[1].index("0.2") > lines[1].index("unet-1")
    assert "\t" not in lines[1]


def test_the_help_is_what_no_words_give(footsteps):
    """Exit 0, on stdout; a command's own by its name."""
    code, out, err = footsteps()
    assert (code, err, out.startswith("usage: footsteps")) == (0, "", True)
    assert footsteps("help", "list")[1] == footsteps("list", "--help")[1]
    assert "recorded.jsonl" in footsteps("help", "format")[1]


def test_options_may_stand_anywhere(results, footsteps):
    """Before, between and after the names."""
    assert footsteps("compare", "knee/a", "--json", "knee/b")[0] == 0
    assert footsteps("compare", "knee/a", "-r", "results", "knee/b", "--jsonl")[0] == 0


def test_a_watched_run_that_did_not_finish_is_told_by_the_exit_status_in_a_pipe_too(tmp_path, run_script, footsteps):
    """As at a terminal."""
    run_script("import footsteps\nfootsteps.initialize('good')\n")
    run_script("import footsteps\nfootsteps.initialize('bad')\n1 / 0\n")
    words = (["good"], ["bad"], ["bad", "--json"], ["good", "bad"], [])
    assert [footsteps("watch", *each)[0] for each in words] == [0, 1, 1, 1, 1]


def test_a_pattern_stands_for_one_run_where_one_is_asked_for(results, footsteps):
    """Several are named, so that one can be chosen."""
    assert footsteps("path", "knee/a*")[1] == f"{results}/knee/a\n"
    code, _, err = footsteps("path", "knee/*")
    assert (code, "fits 2 runs: 'knee/b', 'knee/a'" in err) == (2, True)
    assert selection.runs("knee/a") == [runs.load(results / "knee/a")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "results/knee/a/kept.txt"], "footsteps trace results/knee/a/kept.txt tells which run made it"),
        (["view", "-o", "nowhere/page.html", "--no-open"], "there is no folder 'nowhere' for 'nowhere/page.html'"),
        (["view", "-o", "results", "--no-open"], "'results' is a folder"),
        (["view", "unett", "--no-open"], "(did you mean 'unet'?)"),
        (["tag", "knee/a", ""], "footsteps tag RUN paper"),
        (["--nosuch", "list"], "no option '--nosuch' can stand before the command"),
        (["--root", "results", "list"], "hint: footsteps list --root results"),
        (["rm", "knee/a"], "the same command with --yes"),
        (["restore", "knee/a", "--session", "two"], "'two' is no session; use a number such as 2"),
        (["restore", "knee/a", "--from", "/nosuch"], "there is nothing at '/nosuch': a clone, a bundle"),
        (["restore", "knee/a", "--session", "2"], "'knee/a' has no session 2: it was never resumed"),
    ],
)  # fmt: skip
def test_a_wrong_use_says_what_is_wrong_the_value_and_what_to_type(results, footsteps, words, said):
    """Nothing is made or removed."""
    (results / "knee/a/kept.txt").write_text("kept")
    before = sorted(results.parent.rglob("*"))
    code, out, err = footsteps(*words)
    assert code in (1, 2), (out, err)
    assert said in err
    assert sorted(results.parent.rglob("*")) == before


def test_a_watched_run_keeps_the_name_that_lists_give_it(results, footsteps):
    """Also below a group, and where the record does not say its name."""
    _, out, _ = footsteps("watch", "knee/a", "unet")
    assert column(out) == ["knee/a", "unet"]


def test_a_name_stands_for_the_runs_numbered_after_it_unless_one_of_them_is_named_too(results, footsteps):
    """Who names two runs means two."""
    make_run(results / "unet-2", started=at(9))
    assert column(footsteps("list", "unet")[1]) == ["unet-2", "unet-1", "unet"]
    assert sorted(column(footsteps("list", "unet", "unet-1")[1])) == ["unet", "unet-1"]
    assert sorted(column(footsteps("list", "unet-1")[1])) == ["unet-1"]


def test_what_differs_between_runs_comes_before_what_only_some_have(results, footsteps):
    """A figure's run among the others has no arguments, and hides none of theirs."""
    make_run(results / "figure", started=at(9))
    for number in (7, 8):
        make_run(results / f"sgd-{number}", started=at(number), arguments={"optimizer": "sgd", "epochs": number})
    title = footsteps("list", "sgd-7", "sgd-8", "figure")[1].splitlines()[0].split("\t")
    assert title.index("epochs") < title.index("optimizer")
