"""Every sentence that says that something is complete, exact or the same, and the tests in which it must not be said.

`CLAIMS` is the list. A new sentence of that kind fails the first test until its row, and a test, are there.
"""

from __future__ import annotations

import ast
import functools
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "footsteps"

# What is printed or written (as the source has it, {} for what is put in) -> tests in which it must not be.
CLAIMS = {
    # restore, verify
    "exactly": (
        "test_claims.py::test_exactly_is_not_said_of_a_run_that_was_cut_off",
        "recorder/test_code.py::test_code_that_was_edited_and_then_executed_is_told",
        "recorder/test_code.py::test_code_that_autoreload_executed_is_told",
        "recorder/test_code.py::test_code_that_only_a_worker_executed_is_kept_and_its_edits_are_told",
        "recorder/test_code.py::test_exactly_is_not_said_where_workers_know_nothing_of_footsteps",
        "recorder/test_code.py::test_a_repository_that_shows_no_untracked_files_is_asked_for_none",
        "reproduce/test_strangers.py::test_a_record_that_lacks_a_file_is_not_exact",
    ),
    "as it was when the run began": ("test_claims.py::test_exactly_is_not_said_of_a_run_that_was_cut_off",),
    "but for untracked files that were not imported": (
        "recorder/test_code.py::test_code_that_was_edited_and_then_executed_is_told",
    ),
    "as recorded, with nothing to check it by": (
        "reproduce/test_restore.py::test_a_patch_that_does_not_apply_is_named",
    ),
    "{}: {}, which is what comes back{}": (
        "recorder/test_code.py::test_code_that_was_edited_and_then_executed_is_told",
    ),
    # rerun
    "footsteps: the same": (
        "test_claims.py::test_the_same_is_not_said_where_a_recorded_value_is_another",
        "reproduce/test_rerun.py::test_a_program_that_fails_is_not_the_same",
        "reproduce/test_rerun.py::test_artifacts_that_are_not_made_again_are_named",
        "reproduce/test_rerun.py::test_where_nothing_was_made_nothing_is_called_the_same",
        "reproduce/test_stages.py::test_a_stage_that_did_not_read_what_was_made_now_is_not_the_same",
    ),
    ", as it did then": ("test_claims.py::test_the_same_is_not_said_where_a_recorded_value_is_another",),
    "{} tells where the project lies, which is another place now; all else is the same": (
        "test_claims.py::test_the_same_is_not_said_where_a_recorded_value_is_another",
    ),
    "its files are in {}, as they were": ("reproduce/test_stages.py::test_reuse_runs_only_what_has_to_run",),
    # two files
    "the same values in another order": ("test_claims.py::test_files_are_called_the_same_only_where_they_are",),
    "only times differ": ("test_claims.py::test_files_are_called_the_same_only_where_they_are",),
    "only addresses in memory differ": ("test_claims.py::test_files_are_called_the_same_only_where_they_are",),
    "the same values, written in another way": ("test_claims.py::test_files_are_called_the_same_only_where_they_are",),
    "the same content, packed at another time": ("test_claims.py::test_files_are_called_the_same_only_where_they_are",),
    "the same values, written at another time": ("test_claims.py::test_hdf5_files_with_other_names_are_not_the_same",),
    "the same values": ("test_claims.py::test_hdf5_files_with_other_names_are_not_the_same",),
    "the same but for what is written about the figure": (
        "test_claims.py::test_files_are_called_the_same_only_where_they_are",
    ),
    "the same but for what is written about its making": (
        "reader/test_measure.py::test_wall_times_of_tensorboard_are_no_difference",
    ),
    "the same pixels": ("test_claims.py::test_films_shown_for_another_time_are_not_the_same",),
    # two runs
    "footsteps: no difference was found{}": (
        "test_claims.py::test_no_difference_is_not_said_of_other_steps_or_edited_code",
        "cli/test_cli.py::test_no_difference_is_said_only_of_what_could_be_compared",
    ),
    "footsteps: no difference was found in these values; `footsteps diff` compares code and files": (
        "cli/test_cli.py::test_compare_claims_nothing_of_what_it_does_not_look_at",
    ),
    "the same last value, others before it": (
        "test_claims.py::test_no_difference_is_not_said_of_other_steps_or_edited_code",
    ),
    # chains
    "is there as it was": ("test_claims.py::test_an_input_with_its_old_time_and_other_bytes_is_not_as_it_was",),
    "is kept in the record": ("reproduce/test_chain.py::test_moved_runs_are_known_by_content_and_gone_data_are_named",),
    "is kept beside the runs": (
        "reproduce/test_chain.py::test_moved_runs_are_known_by_content_and_gone_data_are_named",
    ),
    # info.txt, outcome.json, archives
    "({} lines, of which the first {} stand here; all of them: {})\n": (
        "recorder/test_summary.py::test_a_long_diff_is_told_in_short_and_is_whole_in_the_record",
    ),
    "  {}, whole in {}/{}": ("test_exact.py::test_what_is_left_out_is_told_once",),
    "inputs that git does not have: {} kept, {} bytes, {}": (
        "reproduce/test_rerun_given.py::test_no_input_is_kept_where_that_is_turned_off",
    ),
    "source code as it was for a run": (
        "reproduce/test_export.py::test_code_that_can_not_be_had_is_listed_and_the_rest_comes_along",
    ),
    "inputs_complete": (
        "recorder/test_inputs.py::test_an_open_that_is_out_of_our_reach_is_told",
        "recorder/test_inputs.py::test_another_program_that_is_started_may_have_read_more",
        "recorder/test_inputs.py::test_beyond_a_number_of_files_opens_are_counted_per_directory",
        "recorder/test_libraries.py::test_a_library_that_can_not_be_followed_is_named",
        "recorder/test_outcome.py::test_what_other_processes_read_is_only_complete_if_there_was_time_to_look",
    ),
    "written_complete": ("recorder/test_outcome.py::test_files_written_elsewhere_are_named_or_said_not_to_be",),
    "artifacts_complete": ("recorder/test_outcome.py::test_ten_thousand_artifacts_are_listed",),
    "reads_complete": ("reproduce/test_chain.py::test_a_copied_figure_tells_every_run_down_to_raw_data",),
    "restored_exactly": ("reproduce/test_rerun.py::test_what_was_left_out_of_the_record_is_repeated",),
}
# What has one of the words and claims nothing: it denies, asks, advises, or names a difference.
NO_CLAIM = {
    "ls -R {} shows what was kept",
    "perhaps made by (same path, content unknown)",
    " (--force removes kept ones too)",
    "footsteps: the newest {} of {} runs; -o FILE draws all of them",
    "the kept files need {} bytes, and {} has {}",
    "bring a run's exact code back in a new place",
    "untracked files, the exact code, how the run ended (pip install footsteps records them)",
    "with --chain: do not run again what made files that are still there as they were",
    "also what is the same in all of them",
    "the same command with --yes does not ask",
    "removed all the same",
    "of the same size, not compared: no hash",
    "packages as they were: {} here{} (--env makes an environment)",
    "; as it was then: {}",
    " as it was",
    "the code is not all as it was",
    "move or copy this directory whole: its hidden folder .footsteps is the record",
    "{} as it was installed from {}: the restored code takes its place",
    "only what was imported is kept: status.showUntrackedFiles was no",
    "the files of its code that were kept",
    "kept {} MB of uncommitted files ({}); .gitignore them to stop this",
    "call footsteps.initialize() at the top of the program, and they are kept however it ends",
}
WORDS = re.compile(
    r"\b(completely|exact(ly)?|same|identical|unchanged|no difference|as (it|they) (was|were|did)|what comes back|whole"
    r"|all of them|all else|only (times|addresses)|kept)\b|_complete$|_exactly$"
)
DENIES = re.compile(r"\b(not|no longer|nowhere|none|can't)\b|^footsteps: nothing")
BRIEF = 130  # characters; longer ones are help texts, which promise nothing of one run


@functools.cache
def printed_texts() -> set[str]:
    """Every text in the package's source that is no docstring, {} for what is put into it."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        apart = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values))
                apart |= {id(value) for value in node.values}
        said = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in apart)
        found |= {node.value for node in said if isinstance(node.value, str)}
    return found


def test_every_claim_has_a_test_in_which_it_must_not_be_made():
    """A sentence with one of the words is in one of the two lists, and no list has one that is gone."""
    found = {text for text in printed_texts() if WORDS.search(text) and len(text) <= BRIEF and not DENIES.search(text)}
    claims = {
        text for text in found if " " in text.strip() or text == "exactly" or text.endswith(("_complete", "_exactly"))
    }
    assert claims - CLAIMS.keys() - NO_CLAIM == set()
    assert (CLAIMS.keys() | NO_CLAIM) - printed_texts() == set()


@pytest.mark.parametrize("test", sorted({test for tests in CLAIMS.values() for test in tests}))
def test_the_test_of_a_claim_is_there(test):
    """Under the name that the list gives."""
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (HERE / file).read_text(encoding="utf-8")


def footsteps(*words, cwd):
    """Run a command; its exit status and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "footsteps", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(repo):
    """A repository to work in, with results/ ignored."""
    repo.write(".gitignore", "results/\nagain/\n__pycache__/\nignored*\n")
    return repo


# --- restore, verify ---


def test_exactly_is_not_said_of_a_run_that_was_cut_off(project, run_script):
    """Nobody has looked at what it imported or edited later: here it executed what is nowhere any more."""
    project.write("model.py", "W = 1\n")
    edit = "open('model.py', 'w').write('W = 2')\nimport model\nassert model.W == 2\n"
    project.write("t.py", f"import footsteps, os, signal\nfootsteps.initialize('r')\n{edit}os.kill(os.getpid(), 9)\n")
    project.commit()
    run_script("t.py", cwd=project)
    _, said = footsteps("verify", "r", cwd=project.path)
    assert "comes back as it was when the run began" in said
    assert "no end of it is recorded" in said
    assert "exactly" not in said
    assert '"exact":false' in footsteps("verify", "r", "--json", cwd=project.path)[1].replace(" ", "")
    next(Path(project / "results/r/.footsteps").glob("*.bundle")).unlink()
    assert "when the run began" not in footsteps("verify", "r", cwd=project.path)[1]


# --- rerun ---


def test_the_same_is_not_said_where_a_recorded_value_is_another(project, run_script):
    """The same files, another number, if in the middle of a series, or another exit status; a time does not count."""
    program = """
import footsteps, os, sys, time
with open(footsteps.output_dir + "a", "w") as file: file.write("x")
with open(footsteps.output_dir + "b", "w") as file: file.write(os.getcwd() + str(os.getpid()))
for step in range(3): footsteps.record(step=step, loss=os.getpid() if step == 1 else 0.5)
footsteps.record(accuracy=0.5, train_time=time.time())
sys.exit(os.path.basename(os.getcwd()) != "project")
"""
    project.write("t.py", program)
    project.commit()
    assert run_script("t.py", cwd=project, env={"FOOTSTEPS_NAME": "r"}).returncode == 0
    status, said = footsteps("rerun", "r", "--yes", cwd=project.path)
    assert (status, "footsteps: not the same" in said, "footsteps: the same" in said) == (1, True, False)
    assert "different\trecorded loss\t1 of 3 numbers differ" in said
    assert "identical\trecorded accuracy" in said
    assert "same\trecorded train_time\ta time, by its name" in said
    assert "then it was 0" in said
    assert "as it did then" not in said
    assert "all else is the same" not in said


# --- two files ---


def zipped(*members):
    """A zip file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return data.getvalue()


SVG = b"<svg><g>%b</g></svg>"
UNLIKE = {
    "a number in a line with a time": (b"epoch 1 loss 0.5 took 3.1 s\n", b"epoch 1 loss 0.6 took 3.1 s\n"),
    "a number beside a time": (b"time 3 loss 0.5\n", b"time 3 loss 0.6\n"),
    "a series over time": (b'{"time_series": {"loss": 1}}', b'{"time_series": {"loss": 2}}'),
    "a speed": (b"step,speed\n1,3\n", b"step,speed\n1,4\n"),
    "a checksum": (b"crc 0xdeadbeef\n", b"crc 0xdeadbee1\n"),
    "a number beside an address": (b'["<M at 0x7f0c2a11> 1"]', b'["<M at 0x7f0c2a22> 2"]'),
    "names of digits": (b"id,x\n007,1\n", b"id,x\n7,1\n"),
    "a list in a list": (b"- - 1\n  - 2\n", b"- - 1\n- 2\n"),
    "a key that comes twice": (b'{"a": 1, "a": 2}\n', b'{"a": 2}\n'),
    "other values": (b"1\n2\n3\n", b"3\n2\n2\n"),
    "another folder in an archive": (zipped(("e5/x", "1"), ("e5/y", "2")), zipped(("e6/x", "1"), ("e6/y", "2"))),
    "another member": (zipped(("x", "1")), zipped(("x", "2"))),
    "a drawing": (SVG % b"a", SVG % b"b"),
}


@pytest.mark.parametrize("how", UNLIKE)
def test_files_are_called_the_same_only_where_they_are(tmp_path, how):
    """Nor is a difference called one of times, addresses or order alone."""
    from footsteps.reader import measure

    paths = [tmp_path / "a", tmp_path / "b"]
    for path, content in zip(paths, UNLIKE[how], strict=True):
        path.write_bytes(content)
    found = measure.measure(*map(str, paths))
    assert found["verdict"] == "different"
    assert not re.search(r"(?<!not )the same (values|content|but)|only (times|addresses)", found["note"]), found["note"]


def linked(h5py, target, file):
    """Another name for a dataset, by a link of a kind."""
    kinds = {"soft": h5py.SoftLink("/x"), "other": h5py.SoftLink("/y"), "hard": file["x"]}
    if target in kinds:
        file["b"] = kinds[target]
    if target == "group":
        file.create_group("b")


@pytest.mark.parametrize(("one", "other"), [("soft", "other"), ("hard", ""), ("group", ""), ("soft", "hard")])
def test_hdf5_files_with_other_names_are_not_the_same(tmp_path, one, other):
    """Links and empty groups count, which no dataset tells."""
    h5py = pytest.importorskip("h5py")
    from footsteps.reader import measure

    for name, target in (("a", one), ("b", other), ("c", one)):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"], file["y"] = [1.0], [1.0]
            linked(h5py, target, file)
            if name == "c":
                file.create_dataset("z", data=[1]), file.pop("z")
    assert measure.measure(str(tmp_path / "a"), str(tmp_path / "b"))["verdict"] == "different"
    assert measure.measure(str(tmp_path / "a"), str(tmp_path / "c"))["verdict"] in ("same", "identical")


def test_films_shown_for_another_time_are_not_the_same(tmp_path):
    """The pixels are."""
    image = pytest.importorskip("PIL.Image")
    from footsteps.reader import measure

    for name, milliseconds in (("a", 100), ("b", 900)):
        first, second = image.new("RGB", (4, 4), "red"), image.new("RGB", (4, 4), "blue")
        first.save(tmp_path / name, "gif", save_all=True, append_images=[second], duration=milliseconds)
    found = measure.measure(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (found["verdict"], "pixels" in found["note"]) == ("different", False)


# --- two runs ---

STEPS = """
import footsteps
for n, x in enumerate("15" if "/a/" in footsteps.output_dir else "25"): footsteps.record(step=n, loss=float(x))
"""
EDITED = """
import footsteps
if "/a/" in footsteps.output_dir: open("model.py", "w").write("W = 2")
import model
"""


@pytest.mark.parametrize("what", ["steps", "code"])
def test_no_difference_is_not_said_of_other_steps_or_edited_code(project, run_script, what):
    """The last values are the same; the code was, when the runs began."""
    project.write("model.py", "W = 1\n")
    project.write("t.py", STEPS if what == "steps" else EDITED)
    project.commit()
    for name in "ab":
        project("checkout", "--quiet", "--", "model.py")
        done = run_script("t.py", cwd=project, env={"FOOTSTEPS_NAME": name})
        assert done.returncode == 0, done.stderr
    _, said = footsteps("diff", "a", "b", cwd=project.path)
    assert "no difference was found\n" not in said
    edited = "a: model.py was edited during the run, and executed"
    assert ("the same last value, others before it" in said, edited in said) == (what == "steps", what == "code")


# --- chains ---


def test_an_input_with_its_old_time_and_other_bytes_is_not_as_it_was(project, run_script):
    """As `cp -p` and rsync leave it: the time is that of the file that was there."""
    project.write("ignored.csv", "1,2\n")
    project.write(
        "t.py", "import footsteps\nopen('ignored.csv').read()\nopen(footsteps.output_dir + 'a', 'w').write('x')\n"
    )
    project.commit()
    assert run_script("t.py", cwd=project, env={"FOOTSTEPS_NAME": "r", "FOOTSTEPS_KEEP_INPUTS": "0"}).returncode == 0
    assert "is there as it was" in footsteps("trace", "results/r/a", "--tree", cwd=project.path)[1]
    old = os.stat(project / "ignored.csv")
    project.write("ignored.csv", "1,3\n")
    os.utime(project / "ignored.csv", ns=(old.st_atime_ns, old.st_mtime_ns - 5_000_000_000))
    listed = next(Path(project / "results/r/.footsteps").glob("inputs-*.jsonl"))
    listed.write_text(listed.read_text().replace(str(old.st_mtime_ns), str(old.st_mtime_ns - 5_000_000_000)))
    said = footsteps("trace", "results/r/a", "--tree", cwd=project.path)[1]
    assert "is not as it was" in said
    assert "is there as it was" not in said
