"""`footsteps help`: the help of the command line, of a command, or the files of a record."""

from __future__ import annotations

from footsteps.cli import render
from footsteps.cli.pager import add_no_pager, paged
from footsteps.cli.parsers import COMMANDS, DONE, HIDDEN, add_command, add_json, make_parser, unknown_command

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse

    from footsteps.cli.parsers import Commands

FORMAT_HELP = """\
A run's directory holds what the program saved, and

  info.txt               the run, for people: command, machine, Python, commit,
                         uncommitted changes, working directory, then the rest
  package_versions.txt   what pip list prints
  train.py               the script as it ran
  console.txt            what it printed, where that was asked for
  .footsteps/            the record, for programs; copy it with the directory
    run.json             written at the start: format, id, name, started, argv,
                         command, main (the program), cwd, host, user, python,
                         platform, hardware, process, environment, packages,
                         repositories (commit, remotes, files that differ, left
                         out), code_id, arguments, parent, problems
    code/REPO/PATH       every file that differs from the commit, whole
    commits.bundle       a git bundle: commits that no remote may have for ever
    bundles.json         what the bundles hold
    late.json            modules imported later that git ignores
    outcome.json         written at the end: status, exit_status, exception,
                         ended, duration, artifacts (path, size, sha256), cpu,
                         peak_memory, inputs_kept (files, bytes), replaced_by
                         (the program that os.exec started in its place)
    inputs-*.jsonl       files that were read: path, size, mtime_ns, sha256
    executed-*.jsonl     sources that workers and ranks have read: path, edited_before
    recorded.jsonl       a line each: time, kind (recorded, arguments, parent),
                         pid, values
    uncommitted.diff     the changes as a patch, where info.txt has the start
    session-2/           the record of a later session of a resumed run
    notes.jsonl          what people added: time, user, host, and note, tag or
                         untag

Files are written once, or only appended to. Every format ever written stays
readable. `list --json` is one array of objects with these keys:

  name directory kind status started duration command changed code_id commit
  hash_code arguments recorded tags notes
  series                 name -> [[step, value], ...]

`list --jsonl` has the same, an object a line; `show RUN --json` has run.json's
keys and over them those of the list, repositories, outcome, inputs, parents,
damage. Times are ISO 8601, durations seconds, sizes bytes. From Python:

  import footsteps
  for run in footsteps.runs("knee/*"):
      print(run.name, run.arguments["lr"], run.recorded, run.path)
      loss = run.series("loss")          # loss.steps, loss.values, loss.least
  rows = pandas.DataFrame(footsteps.table())
"""


def add_help(commands: Commands) -> None:
    """`footsteps help`."""
    parser = add_command(
        commands,
        show_help,
        "help",
        examples="""\
  footsteps help list
  footsteps help format    files of a record, keys of --json, use from Python""",
    )
    parser.add_argument("topic", nargs="?", default="", metavar="COMMAND", help="a command, or `format`")
    add_json(parser)
    add_no_pager(parser)


def show_help(args: argparse.Namespace) -> int:
    """`footsteps help`: the text."""
    topic = args.topic
    if topic == "format":
        text = FORMAT_HELP
    elif not topic:
        text = make_parser().format_help()
    elif topic in COMMANDS and topic not in HIDDEN:
        text = parser_of(topic).format_help()
    else:
        raise unknown_command(topic)
    with paged(args):
        if args.json:
            render.print_json([{"topic": topic, "text": text}])
        else:
            render.print_text(text)
    return DONE


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of one command, called as it is typed."""
    made: argparse.ArgumentParser = make_parser(command).commands.choices[command]
    return made
