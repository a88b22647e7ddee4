"""`footsteps verify`, `footsteps restore` and `footsteps rerun`."""

from __future__ import annotations

import sys

from footsteps.cli import chains, render
from footsteps.cli.parsers import (
    DONE,
    NO,
    add_command,
    add_json,
    add_roots,
    add_run,
    add_source,
    chosen_run,
    complain,
    is_agreed,
    roots_of,
)
from footsteps.reader.runs import session_numbered
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run
    from footsteps.reproduce import rerun as rerunning
    from footsteps.reproduce.restore import Restored
    from footsteps.reproduce.stages import ChainRerun

    Pairs = list[tuple[str, Any]]


def add_verify(commands: Commands) -> None:
    """`footsteps verify`."""
    parser = add_command(
        commands,
        verify,
        "verify",
        examples="""\
  footsteps verify @                    today, before the clone is gone
  footsteps verify unet-3 --from https://example.org/project.git""",
        more="""\
Restores into a temporary place from the remotes and the run's directory alone, and compares every
file. Exits with 1 if anything is left out or not as it was, or comes only from this machine's clone.""",
    )
    add_run(parser)
    add_session(parser)
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def verify(args: argparse.Namespace) -> int:
    """`footsteps verify`: 1 if the record would not bring all of it back, or only with the clone."""
    from footsteps.reproduce import restore as restoring

    with chains.unpacked_for_now(chosen_run(args.run, args.root), None) as run:
        session = session_asked(args, run)
        done = restoring.verify(session, sources=args.source, say=say_step)
        return print_restored(args, session, done, "comes back")


def add_session(parser: argparse.ArgumentParser) -> None:
    """Which session of a resumed run."""
    parser.add_argument(
        "--session", type=session_argument, metavar="N", help="of a resumed run: its session N (default: the first)"
    )


def session_argument(words: str) -> int:
    """The number of a session, from 1."""
    import argparse

    if not (words.isascii() and words.isdecimal() and int(words) > 0):
        raise argparse.ArgumentTypeError(f"{words!r} is no session; use a number such as 2, as `footsteps show` lists")
    return int(words)


def session_asked(args: argparse.Namespace, run: Run, first: str = "this is the code of the first") -> Run:
    """The session of a run that was asked for; where none was, the first, and the others are told."""
    count = len(run.records)
    if args.session is None and count > 1:
        said = f"footsteps: {run.name!r} has {count} sessions; {first} (--session {count}: the last)"
        render.message(render.terminal_text(said))
    return run if args.session is None else session_numbered(run, args.session)


def add_restore(commands: Commands) -> None:
    """`footsteps restore`."""
    parser = add_command(
        commands,
        restore,
        "restore",
        examples="""\
  footsteps restore unet-3                    into again/unet-3-restored/
  footsteps restore unet-3 /tmp/again --from ~/backup/project.git""",
        more="""\
The commit comes from the recorded clone, else from the record's bundle, else from a remote; the
recorded files are written over it, and all of it is compared with the commit's id and the recorded
hashes. DEST is new or empty (default: again/RUN-restored, or in the folder FOOTSTEPS_AGAIN); repositories that
lay elsewhere, as those of editable installs, come to DEST.beside/. Nothing recorded is run. Exits
with 1 if anything is left out or not as it was.""",
    )
    add_run(parser)
    parser.add_argument("dest", nargs="?", metavar="DEST", help="a new or empty directory")
    add_session(parser)
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def restore(args: argparse.Namespace) -> int:
    """`footsteps restore`: 1 if anything is left out or not as it was."""
    from footsteps.reproduce import restore as restoring

    recorded = chosen_run(args.run, args.root)
    place = args.dest or restoring.default_destination(recorded)
    with chains.unpacked_for_now(recorded, place) as run:
        session = session_asked(args, run)
        done = restoring.restore(session, place, sources=args.source, say=say_step)
        return print_restored(args, session, done, "restored")


def say_step(step: str) -> None:
    """Say what is being done, to somebody who waits for it."""
    render.message(hint=render.terminal_text(f"{step} ..."))


def print_restored(args: argparse.Namespace, run: Run, done: Restored, verb: str) -> int:
    """Whether a run's code came back exactly, and each file that did not; 1 if one did not."""
    if args.json:
        render.print_json([{"run": run.name, **done.as_dict()}])
    else:
        render.print_text(render.terminal_text(f"{verb} {how(done)}: {done.directory or run.name}") + "\n")
        render.print_sections(rows_of_restored(done))
        if done.directory and done.command:
            render.print_text(render.terminal_text(f"run it again: {done.command}") + "\n")
    render.message(*(render.terminal_text(f"footsteps: {note}") for note in done.notes))
    complain([], [run])
    return DONE if done.complete else NO


def how(done: Restored) -> str:
    """Whether all came back, in two words."""
    if done.complete:
        if not done.ended:
            return "as it was when the run began"
        if not done.all_shown:
            return "but for untracked files that were not imported"
        return "exactly" if done.exact else "as recorded, with nothing to check it by"
    return "only from this machine's clone" if done.needs_clone else "incompletely"


def rows_of_restored(done: Restored) -> list[tuple[str, Pairs]]:
    """What is not as it was, and why; where the commits came from."""
    needs = [("needs", f"the clone in {done.needs_clone}: no remote and no bundle has its commit")]
    return [
        ("", [(tree["name"], came_from(tree)) for tree in done.trees]),
        ("left out", [(row["path"], f"{render.size_text(row.get('size'))}, {row['reason']}") for row in done.left_out]),
        ("missing", [(row["path"], row["reason"]) for row in done.missing]),
        ("not as it was", [(row["path"], row["reason"]) for row in done.differing]),
        ("was not there", [(path, "extra") for path in done.extra]),
        ("kept nowhere", [(path, "this input is only where it was read") for path in done.unkept]),
        ("", needs if done.needs_clone else []),
    ]


def came_from(tree: dict[str, Any]) -> str:
    """Which commit of a repository, and who had it."""
    what = f"commit {tree['commit'][:12]} from {tree['source']}" if tree["commit"] else "the files of the record"
    return what + (f" in {tree['directory']}" if tree["directory"] else "")


def add_rerun(commands: Commands) -> None:
    """`footsteps rerun`."""
    parser = add_command(
        commands,
        rerun,
        "rerun",
        examples="""\
  footsteps rerun unet-3 --env    make the environment, ask, run, compare
  footsteps rerun unet-3 --yes    do not ask: in a batch job
  footsteps rerun --chain paper/fig3.pdf again/""",
        more="""\
Restores the code to a new place, names what can't be had, shows the command, asks, and runs it.
DEST is new or empty, except for inputs that you put there as a message said (default: again/RUN-rerun, or in
the folder FOOTSTEPS_AGAIN). Files that differ only in the date or program that their format notes are the same.
Exits with 0 if the same was made, 1 if not or if the program failed.""",
    )
    add_run(parser)
    parser.add_argument("dest", nargs="?", metavar="DEST", help="a new or empty directory")
    add_session(parser)
    parser.add_argument("--env", action="store_true", help="make its environment as well")
    parser.add_argument("--python", metavar="EXE", help="run, or make the environment, with this Python")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask before running")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="what was recorded as ***")
    text = "where a recorded file or folder of data is now"
    parser.add_argument("--map", action="append", default=[], metavar="OLD=NEW", help=text)
    text = "with --env: make the environment also where inputs are gone"
    parser.add_argument("--anyway", action="store_true", help=text)
    chains.add_chain_rerun(parser)
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def rerun(args: argparse.Namespace) -> int:
    """`footsteps rerun`: 1 if other files were made, or if the program failed."""
    from footsteps.reproduce import rerun as rerunning
    from footsteps.reproduce.inputs import maps_of
    from footsteps.reproduce.result import run_that_names

    if args.chain and args.session is not None:
        raise FootstepsError(
            "--session is for one run, and --chain is for several",
            hint=f"footsteps rerun {quote([args.run])} --session {args.session}",
        )
    if args.chain:
        return chains.rerun(args)
    if args.script or args.reuse:
        hint = f"footsteps rerun --chain {quote([args.run])}"
        raise FootstepsError("--script and --reuse are for a chain", hint=hint)
    run = run_that_names(chosen_run(args.run, args.root), roots_of(args.root))
    dest = args.dest or rerunning.free_destination(run)
    with chains.unpacked_run(run, dest) as there:
        session = session_asked(args, there.run, "the first is repeated")
        again = rerunning.Rerun(
            session, dest, sources=args.source, values=set_values(args.set), python=args.python, environment=args.env,
            roots=there.roots or roots_of(args.root), maps=maps_of(args.map),
        )  # fmt: skip
        again.feed(there.inputs)
        require_consent(args, again)
        there.keep = True
    return run_again(args, again)


def run_again(args: argparse.Namespace, again: rerunning.Rerun) -> int:
    """Restore, ask, run and compare."""
    done = again.bring(say_step)
    unchanged = render.terminal_text(f"footsteps: nothing was run; the code is in {again.directory}")
    try:
        yes = agreed_to_rerun(args, again, done)
    except KeyboardInterrupt:
        render.message("", unchanged)
        raise
    if not yes:
        render.message(unchanged)
        return NO
    known = again.missing
    if again.environment and again.gone and not args.anyway:
        lines = [f"{len(again.gone)} of its inputs can't be had: no environment was made (--anyway makes it)"]
        render.message(*said_missing(again.missing), *(f"footsteps: {line}" for line in lines), unchanged)
        return NO
    again.make_environment(say_step)
    render.message(*said_missing(sentence for sentence in again.missing if sentence not in known))
    again.execute()
    return print_result(args, again.result())


def set_values(pairs: Sequence[str]) -> dict[str, str]:
    """What `--set` gave, by name."""
    for pair in pairs:
        if not pair.partition("=")[1]:
            raise FootstepsError(f"cannot read --set {pair!r}", hint="--set NAME=VALUE")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def require_consent(args: argparse.Namespace, again: rerunning.Rerun) -> None:
    """Raises FootstepsError where nobody can be asked what has to be asked."""
    if render.is_terminal(sys.stdin) and render.is_terminal(sys.stderr):
        return
    for name in again.needed():
        raise FootstepsError(f"{name!r} was recorded as ***", hint=f"--set {quote([name])}=VALUE")
    if not args.yes:
        render.message(*said_before(again, "would"))
        hint = "the same command with --yes does not ask"
        raise FootstepsError("stdin is no terminal where it could be asked whether to run this", hint)


def agreed_to_rerun(args: argparse.Namespace, again: rerunning.Rerun, done: Restored) -> bool:
    """Show what would be run and what is missing, ask for credentials, and whether to go on."""
    amiss = [f"{title}: {path} ({why})" for title, pairs in rows_of_restored(done)[1:] for path, why in pairs]
    lines = [f"restored {how(done)}: {again.directory}", *amiss, *(f"footsteps: {note}" for note in done.notes)]
    render.message(*map(render.terminal_text, lines), *said_before(again, "will" if args.yes else "would"))
    if not is_agreed(args, "Run it?", "run this"):
        return False
    ask_for_values(again)
    return True


def ask_for_values(again: rerunning.Rerun | ChainRerun) -> None:
    """Have the person type what was recorded as ***."""
    for name in again.needed():
        import getpass

        again.values[name] = getpass.getpass(render.terminal_text(f"{name} (was recorded as ***): "))


def said_before(again: rerunning.Rerun, will: str) -> list[str]:
    """What can't be had, and what will or would be run."""
    built = [f"{will} build and install: {line}" for line in again.built]
    steps = [f"{will} run: {command}" for command in (*again.preparations, again.command)]
    return [*said_missing(again.missing), *map(render.terminal_text, [*built, *steps])]


def said_missing(sentences: Iterable[str]) -> list[str]:
    """What can't be had, a line each."""
    return [render.terminal_text(f"can't be had: {sentence}") for sentence in sentences]


def print_result(args: argparse.Namespace, result: rerunning.Result) -> int:
    """Whether the same was made, and what differs; 0 if it was."""
    columns = [
        render.Column("verdict", "", color=lambda word: "green" if word in ("identical", "same") else "red"),
        render.Column("path", "artifact"),
        render.Column("note", extra=True),
    ]
    if args.json:
        render.print_json([result.row()])
    elif result.artifacts:
        render.print_table(columns, result.artifacts)
    sys.stdout.flush()  # in a pipe, the verdict comes after its table
    if result.again.status or not result.ended_alike:
        render.message(render.terminal_text(f"footsteps: {said_of_status(result)}"))
    if result.new is None:
        render.message("footsteps: the program made no run")
    else:
        render.message(hint=render.terminal_text(f"the new run: {result.new.directory}"))
        render.message(*map(render.terminal_text, said_of_nothing(result)))
    render.message(*(render.terminal_text(f"footsteps: it may be why: {reason}") for reason in result.reasons))
    if result.same or not result.nothing_compared:
        render.message("footsteps: the same" if result.same else "footsteps: not the same")
    return DONE if result.same else NO


def said_of_status(result: rerunning.Result) -> str:
    """How the program ended, and whether it did so then."""
    then = ", as it did then" if result.ended_alike else f"; then it was {result.expected_status}"
    return f"the program ended with exit status {result.again.status}{then}"


def said_of_nothing(result: rerunning.Result) -> list[str]:
    """What to know where there is no table of artifacts."""
    if result.other_id:
        return [f"footsteps: its code or arguments have another id: {result.other_id}"]
    return [f"footsteps: {result.nothing_compared}"] if result.nothing_compared else []
