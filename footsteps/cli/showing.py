"""`footsteps show` and `footsteps path`."""

from __future__ import annotations

from footsteps.cli import render
from footsteps.cli.pager import add_no_pager, paged
from footsteps.cli.parsers import DONE, add_command, add_json, add_roots, add_run, chosen_run, complain
from footsteps.reader import formats

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from footsteps.cli.parsers import Commands
    from footsteps.reader.runs import Run
    from footsteps.reader.series import Series

    Pairs = list[tuple[str, Any]]


def add_show(commands: Commands) -> None:
    """`footsteps show`."""
    parser = add_command(
        commands,
        show,
        "show",
        examples="""\
  footsteps show @              the newest run
  footsteps show unet-3 --diff  what differed from its commit, as a patch
  footsteps show @~1 --json     everything, for programs""",
    )
    add_run(parser)
    add_roots(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--files", action="store_true", help="the files of its code that were kept")
    what.add_argument("--diff", action="store_true", help="its uncommitted changes as a patch")
    add_json(parser)
    add_no_pager(parser)


def show(args: argparse.Namespace) -> int:
    """`footsteps show`: everything, the kept files, or the patch."""
    run = chosen_run(args.run, args.root)
    with paged(args):
        if args.files:
            print_files(run, args.json)
        elif args.diff and not args.json:
            render.print_patch(run.diff)
        elif args.json:
            patch = {"diff": run.diff.decode("utf-8", "surrogateescape")} if args.diff else {}
            render.print_json([{**run.everything(), **patch}])
        else:
            render.print_sections(report(run))
    complain([], [run])
    return DONE


def print_files(run: Run, as_json: bool) -> None:
    """The files of a run's code that differ from its commits, and those left out."""
    rows = [
        {"repository": repository.get("name"), **file, "state": state or file.get("state")}
        for repository in run.repositories
        for key, state in (("files", ""), ("left_out", "left out"))
        for file in repository[key]
    ]
    if as_json:
        render.print_document(rows)
        return
    columns = [
        render.Column("state"),
        render.Column("kind", extra=True),
        render.Column("size", show=render.size_text, right=True),
        render.Column("repository", extra=True),
        render.Column("path"),
        render.Column("reason", extra=True),
    ]
    render.print_table(columns, rows)


def report(run: Run) -> list[tuple[str, Pairs]]:
    """All that is known of a run, laid out for reading: titled pairs of key and value."""
    return [
        ("", head_of(run)),
        ("arguments", [*formats.flat(run.arguments).items()]),
        ("recorded", recorded_of(run)),
        *((code_title(repository), code_pairs(repository)) for repository in run.repositories),
        ("python", python_of(run)),
        ("machine", machine_pairs(run)),
        ("environment", [*formats.mapping(run.facts.get("environment")).items()]),
        ("inputs", input_pairs(run)),
        ("artifacts", [(pair_of_file(a)) for a in run.artifacts[:FILES_SHOWN]] + rest_of(run.artifacts)),
        ("written elsewhere", [(str(n), path) for n, path in enumerate(written_elsewhere(run), 1)]),
        ("seeds", [*formats.mapping(run.outcome.get("seeds")).items()]),
        ("not recorded", [(str(n), p) for n, p in enumerate(problems_of(run), 1)]),
    ]


def input_pairs(run: Run) -> Pairs:
    """The files that it read, how stdin was one of them, and whether that is all."""
    stdin = formats.mapping(run.facts.get("stdin"))
    amiss = run.outcome.get("inputs_complete") is False
    return [
        *(pair_of_file(entry) for entry in run.inputs[:FILES_SHOWN]),
        *rest_of(run.inputs),
        ("stdin", "a pipe; what came through it is not recorded" if stdin.get("kind") == "pipe" else stdin.get("path")),
        ("incomplete", formats.why_incomplete(run.outcome) if amiss else ""),
    ]


FILES_SHOWN = 12  # files shown of a kind; --json has all


def head_of(run: Run) -> Pairs:
    """What a person asks first."""
    raised = formats.mapping(run.outcome.get("exception"))
    code = f" with {run.outcome.get('exit_status')}" if run.status == "exited" else ""
    where = f" ({raised.get('file')}:{raised.get('line')})" if raised.get("file") else ""
    return [
        ("run", run.name),
        ("status", run.status + code),
        ("tags", " ".join(run.tags)),
        *(("note", f"{each['note']}  ({each['user']}, {each['time'][:10]})") for each in run.notes),
        ("exception", f"{raised.get('type')}: {raised.get('message')}{where}" if raised else ""),
        ("started", run.started),
        *((f"session {n}", said_session(each)) for n, each in enumerate(run.sessions, 1) if len(run.sessions) > 1),
        ("took", render.span(run.duration)),
        ("command", run.command),
        ("directory", run.directory),
        ("cwd", run.facts.get("cwd")),
        ("id", run.id),
        ("code id", run.code_id + ("+" if run.changed and run.code_id else "")),
        ("hash_code", run.hash_code),
        *(("parent", parent.get("name") or parent.get("directory")) for parent in run.parents),
        ("format", run.kind),
        ("footsteps", run.facts.get("footsteps")),
    ]


def said_session(session: dict[str, Any]) -> str:
    """One of several sessions: when, how it ended, its code."""
    took = render.span(session["duration"]) if isinstance(session["duration"], float) else "no end recorded"
    code = formats.text(session["commit"])[:7] or formats.text(session["code_id"])[:8]
    return f"{session['started']}  {session['status'] or ''}  {took}  {code}"


def recorded_of(run: Run) -> Pairs:
    """The recorded values; of a series the last, how many there are, the least and the greatest."""
    series = run.all_series
    return [(name, said_series(series[name]) if name in series else value)
            for name, value in formats.flat(run.recorded).items()]  # fmt: skip


def said_series(series: Series) -> str:
    """A series in words: `0.0203 (50 steps, least 0.0198, greatest 1.1)`."""
    words = [
        f"{word} {render.figure(value)}" for word, value in (("least", series.least), ("greatest", series.greatest))
    ]
    return f"{render.figure(series.last)} ({len(series)} steps, {', '.join(words)})"


def code_title(repository: dict[str, Any]) -> str:
    """`code`, and which if it is not the main repository."""
    name = str(repository.get("name") or "main")
    return "code" if name == "main" else f"code {name}"


def code_pairs(repository: dict[str, Any]) -> Pairs:
    """One repository: its commit, and how many files differed or were left out."""
    files = [file for file in repository["files"] if file.get("state") != "converted"]
    missing = [
        f"{file.get('path')} ({render.size_text(file.get('size'))}, {file.get('reason')})"
        for file in repository["left_out"]
    ]
    made = [str(b.get("file") or f"none: {b.get('left_out')}") for b in repository.get("bundles", [])]
    return [
        ("repository", repository.get("path") or repository.get("name")),
        ("commit", repository.get("commit")),
        ("described as", repository.get("describe")),
        ("branch", repository.get("branch")),
        ("remote", repository.get("remote")),
        ("link", repository.get("commit_url")),
        ("bundle", ", ".join(made) or (NO_BUNDLE if repository.get("bundle") else "")),
        ("changed", "yes" if repository.get("differs") else ""),
        ("untracked", NOT_SHOWN if repository.get("untracked_shown") is False else ""),
        *((what_of(file), file.get("path")) for file in files[:FILES_SHOWN]),
        *rest_of(files),
        *(("left out", words) for words in missing[:FILES_SHOWN]),
        *((formats.what_became_of(file), file.get("path")) for file in repository.get("edited", [])[:FILES_SHOWN]),
        *rest_of(missing),
    ]


NO_BUNDLE = "none was finished: `footsteps verify` tells whether the code comes back without"
NOT_SHOWN = "only what was imported is kept: status.showUntrackedFiles was no"


def what_of(file: dict[str, Any]) -> str:
    """What had happened to a file of the code: changed, untracked, deleted ..."""
    gone = file.get("kind") in ("deleted", "absent")
    return "deleted" if gone else str(file.get("state"))


def python_of(run: Run) -> Pairs:
    """The interpreter and how many packages it had."""
    python = formats.mapping(run.facts.get("python"))
    environment = formats.mapping(python.get("environment"))
    return [
        ("version", python.get("version")),
        ("executable", python.get("executable")),
        (str(environment.get("kind")), environment.get("path")),
        ("packages", len(run.packages) or None),
    ]


def machine_pairs(run: Run) -> Pairs:
    """Where it ran and what that machine has."""
    facts = run.facts
    platform, hardware = formats.mapping(facts.get("platform")), formats.mapping(facts.get("hardware"))
    process, outcome = formats.mapping(facts.get("process")), run.outcome
    gpus = hardware.get("gpus")
    return [
        ("host", facts.get("host")),
        ("user", facts.get("user")),
        *((key, platform.get(key)) for key in ("system", "release", "machine")),
        ("cpu", hardware.get("cpu")),
        ("cores", hardware.get("usable_cores") or hardware.get("cores")),
        ("memory", render.size_text(hardware.get("memory"))),
        ("gpus", ", ".join(map(render.brief, gpus)) if isinstance(gpus, list) else gpus),
        ("job", process.get("job")),
        ("ranks", process.get("world_size")),
        ("cpu time", render.span(outcome["cpu"]) if isinstance(outcome.get("cpu"), float) else ""),
        ("peak memory", render.size_text(outcome.get("peak_memory"))),
    ]


def pair_of_file(file: dict[str, Any]) -> tuple[str, Any]:
    """A file's path and what is known of it."""
    if "directory" in file:
        return str(file["directory"]), f"{file.get('count')} files"
    known = (render.size_text(file.get("size")), formats.text(file.get("sha256"))[:12] or "no hash yet")
    return str(file.get("path")), "  ".join(words for words in known if words)


def rest_of(items: Sequence[object]) -> Pairs:
    """A line for what is not shown."""
    return [("...", f"and {len(items) - FILES_SHOWN} more (--json has all)")] if len(items) > FILES_SHOWN else []


def written_elsewhere(run: Run) -> list[object]:
    """Files that the run wrote outside of its directory."""
    listed = run.outcome.get("written_elsewhere")
    return listed if isinstance(listed, list) else []


def problems_of(run: Run) -> list[str]:
    """What the record says could not be recorded."""
    said = [part.get("problems") for part in (run.facts, *run.repositories, run.outcome)]
    return [str(line) for lines in said if isinstance(lines, list) for line in lines]


def add_path(commands: Commands) -> None:
    """`footsteps path`."""
    parser = add_command(
        commands,
        path,
        "path",
        examples="""\
  cd "$(footsteps path @)"             go to the newest run
  ls "$(footsteps path unet)"/logs""",
    )
    add_run(parser)
    add_roots(parser)
    add_json(parser)


def path(args: argparse.Namespace) -> int:
    """`footsteps path`: the directory, as it is in a pipe, escaped on a terminal."""
    run = chosen_run(args.run, args.root)
    if args.json:
        render.print_json([{"directory": run.directory}])
    else:
        render.print_path(run.directory)
    return DONE
