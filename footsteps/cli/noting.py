"""`footsteps note` and `footsteps tag`: what people say of a run afterwards."""

from __future__ import annotations

from footsteps.cli import render
from footsteps.cli.parsers import DONE, NO, add_command, add_json, add_roots, chosen_run, chosen_several
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run


def add_note(commands: Commands) -> None:
    """`footsteps note`."""
    parser = add_command(
        commands,
        note,
        "note",
        examples="""\
  footsteps note unet-3 "used in the paper, Fig. 3"
  footsteps note unet-3                  read them
  footsteps search note:paper            find runs by their notes""",
        more="""\
Notes are lines in the run's record (who, when, what), added to, never
rewritten; they are shown by show and list.""",
    )
    parser.add_argument("run", metavar="RUN", help="name, path, prefix, hash, `@` or `@~N`")
    parser.add_argument(
        "words", nargs="*", default=[], metavar="TEXT", help="the note; nothing: print the notes there are"
    )
    add_roots(parser)
    add_json(parser)


def note(args: argparse.Namespace) -> int:
    """`footsteps note`: add a note, or print those there are; 1 if there are none."""
    from footsteps.reader import notes

    run = chosen_run(args.run, args.root)
    if args.words:
        notes.add(run, "note", " ".join(args.words))
        render.message(hint=f"noted on {render.terminal_text(run.name)}")
    if args.json:
        render.print_document(run.notes)
    elif not args.words:
        columns = [render.Column("time", show=lambda when: render.ago(when) if when else ""), render.Column("user"),
                   render.Column("note")]  # fmt: skip
        if run.notes:
            render.print_table(columns, run.notes)
        else:
            render.message(
                f"footsteps: {render.terminal_text(run.name)} has no notes", hint="footsteps note RUN TEXT writes one"
            )
    return DONE if run.notes else NO


def add_tag(commands: Commands) -> None:
    """`footsteps tag`."""
    parser = add_command(
        commands,
        tag,
        "tag",
        examples="""\
  footsteps tag unet-3 paper             unet-3 has the tag paper
  footsteps tag unet-1 unet-2 draft      the last word is the tag
  footsteps tag 'knee/*' keep --remove   take it away again
  footsteps tag                          which tags there are, and on which runs
  footsteps search tag:paper""",
        more="Tags are lines in the run's record (who, when), found by search tag:TAG.",
    )
    parser.add_argument(
        "words", nargs="*", default=[], metavar="RUN ... TAG", help="runs, groups or patterns, then the tag"
    )
    parser.add_argument("-d", "--remove", action="store_true", help="take the tag away")
    add_roots(parser)
    add_json(parser)


def tag(args: argparse.Namespace) -> int:
    """`footsteps tag`: tag runs; with a run alone print its tags, without one all tags; 1 if there are none."""
    from footsteps.reader import notes

    if len(args.words) < 2:
        return print_tags(args, chosen_several(args.words or ["*"], args.root))
    *names, word = args.words
    found = chosen_several(names, args.root)
    notes.require_sayable("tag", word)
    missing = [run.name for run in found if word not in run.tags] if args.remove else []
    if missing:
        raise FootstepsError(f"{missing[0]!r} has no tag {word!r}", f"footsteps tag {quote(missing[:1])}")
    for run in found:
        if args.remove or word not in run.tags:
            notes.add(run, "untag" if args.remove else "tag", word)
    if args.json:
        render.print_document({"name": run.name, "tags": run.tags} for run in found)
    else:
        done = "removed from" if args.remove else "tagged"
        names = render.terminal_text(", ".join(run.name for run in found[:6]))
        render.message(hint=f"{done} {len(found)} run{'s'[: len(found) != 1]}: {names}")
    return DONE


def print_tags(args: argparse.Namespace, found: list[Run]) -> int:
    """The runs that have tags, and these; 1 if there are none."""
    tagged = [{"name": run.name, "tags": run.tags} for run in found if run.tags]
    if args.json:
        render.print_document(tagged)
    elif tagged:
        columns = [render.Column("name", color=lambda _: "bold"), render.Column("tags", show=" ".join)]
        render.print_table(columns, [{**row, "tags": list(row["tags"])} for row in tagged])
    else:
        render.message("footsteps: no tags here", hint="footsteps tag RUN TAG gives one")
    return DONE if tagged else NO
