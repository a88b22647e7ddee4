"""The `footsteps` command: parsers, exit codes, and the one place where errors end.

Each command is two functions: `add_<command>` makes its parser, `<command>` asks the readers
for values, has `render` print them, and returns the exit code. Nothing heavy is imported before
a command needs it: any command starts within three times what an empty Python takes.
"""

from __future__ import annotations

import argparse
import os
import sys

from footsteps import render, runs
from footsteps.footsteps import OUTPUT_ROOT, FootstepsError, __version__, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, NoReturn

    from footsteps import compare
    from footsteps import rerun as rerunning
    from footsteps import trace as tracing
    from footsteps.restore import Restored
    from footsteps.runs import Problem, Run

    Commands = argparse._SubParsersAction[Any]  # noqa: SLF001
    Pairs = list[tuple[str, Any]]

DONE, NO, TROUBLE, BUG, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141

EPILOG = """\
A RUN is named by its name (`unet-3`, `exp/unet-3`), by a path, by a prefix
that fits one run only, by its hash_code, id or code id, or by `@`: the newest;
`@~1` is the one before it.

exit codes:
  0    done
  1    a meaningful no: they differ, none was found, it is not the same
  2    wrong usage, or a trouble that the message tells how to end
  3    a mistake in footsteps itself
  130  interrupted    141  the reader of a pipe has gone

Tables are for terminals; in a pipe the same rows are values between tabs.
NO_COLOR=1 takes the colours away; FORCE_COLOR=1 brings those of patches into a
pipe."""


# ---------------------------------------------------------------------------------------------
# The frame
# ---------------------------------------------------------------------------------------------


class Help(argparse.HelpFormatter):
    """Paragraphs as wide as the terminal; what is indented, as examples are, as it was written."""

    def __init__(self, prog: str, **words: Any) -> None:
        words.setdefault("width", render.columns_of(sys.stdout) - 2)  # else argparse imports shutil: 2 ms
        super().__init__(prog, **words)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        whole = [part if "\n " in f"\n{part}" else super(Help, self)._fill_text(part, width, indent) for part in parts]
        return "\n\n".join(whole)


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, with examples as they were written, and with hints."""

    def __init__(self, **words: Any) -> None:
        words.setdefault("formatter_class", Help)
        super().__init__(allow_abbrev=False, **words)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over for the parser above: the hint must name the command that does not know it."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            guess = runs.guess(option, self._option_string_actions) if option.startswith("--") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{guess}")
        return found, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        """A help that can't be written is a trouble, which argparse would keep to itself."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Wrong usage is a trouble like any other: one sentence, one command that helps."""
        import re

        wrong = re.search(r"argument COMMAND: invalid choice: '([^']*)'", message)
        if wrong:
            message = f"no command {wrong[1]!r}{runs.guess(wrong[1], COMMANDS)}"
        raise FootstepsError(message, hint=f"{self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever happens, one message and no frames."""
    render.open_closed_streams()
    code = exit_code_of(argv)
    render.let_go(sys.stdout)
    return code


def exit_code_of(argv: Sequence[str] | None) -> int:
    """The exit code of a command that has said all it had to say, or why it could not."""
    try:
        code = run_command(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except FootstepsError as error:
        render.talk(*(render.escaped(line) for line in f"footsteps: {error}".split("\n")))
        return TROUBLE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        render.talk(render.escaped(f"footsteps: {error.strerror or error}{where}"))
        return TROUBLE
    except Exception:
        return report_bug()
    return code


def run_command(argv: Sequence[str] | None) -> int:
    """The exit code of the command that the words name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the locale can't say must not end a list
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(words[0] if words else "")
    try:
        args = parser.parse_args(words)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    return int(args.func(args))


def report_bug() -> int:
    """Say that it is our mistake, with what a report of it needs."""
    import platform
    import traceback

    render.talk(*map(render.escaped, traceback.format_exc().splitlines()))
    versions = f"footsteps {__version__}, Python {platform.python_version()}, {platform.platform()}"
    render.talk(f"footsteps: this is a mistake in footsteps; please report it with: {versions}")
    return BUG


def make_parser(first: str = "") -> Parser:
    """The parser of the command line, whose first word may be a command: then only of that one, which is quick."""
    parser = Parser(
        prog="footsteps",
        description="Find, understand and repeat recorded experiments.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"footsteps {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for add in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        add(commands)
    return parser


def add_command(
    commands: Commands,
    function: Callable[[argparse.Namespace], int],
    name: str,
    summary: str,
    *,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """A command's parser: its function, its summary, what else is to be said, and examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{more}".strip(),
        epilog=f"examples:\n{examples}",
    )
    parser.set_defaults(func=function)
    return parser


def add_run(parser: argparse.ArgumentParser, name: str = "run", metavar: str = "RUN") -> None:
    """An argument that names a run."""
    parser.add_argument(name, metavar=metavar, help="name, path, prefix, hash, `@` or `@~N`")


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Where the runs lie."""
    parser.add_argument(
        "-r",
        "--root",
        action="append",
        metavar="ROOT",
        help=f"look for runs in this directory (default: {OUTPUT_ROOT} and lt_records/)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option every command that answers has."""
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def roots_of(given: Sequence[str] | None) -> list[str]:
    """The roots that were asked for, which must be there, or the usual ones."""
    for root in given or ():
        if not os.path.isdir(root):
            raise FootstepsError(f"no directory {root!r}", hint="footsteps list DIRECTORY")
    return list(given) if given else runs.default_roots()


def chosen(selector: str, given: Sequence[str] | None = None) -> Run:
    """The run that a selector names, below the roots of `--root` or the usual ones."""
    from footsteps import search

    roots = roots_of(given)
    if selector.startswith("@") and not given:  # counted as `list` lists: an LTParser's record is no run before its run
        roots = roots[:1]
    back = selector.lstrip("@~") or str(len(selector) - 1)
    most = int(back) + 1 if selector.startswith("@") and back.isdecimal() else None
    return runs.select(selector, roots, search.known(roots, watch=render.progress, most=most))


def complain(problems: Iterable[Problem], about: Iterable[Run] = ()) -> None:
    """One line on stderr for each kind of problem that was met."""
    kinds: dict[str, list[Problem]] = {}
    for problem in [*problems, *(problem for run in about for problem in run.damage)]:
        kinds.setdefault(problem.kind, []).append(problem)
    for kind, met in kinds.items():
        others = len({problem.path for problem in met}) - 1
        more = f", and {others} more" if others else ""
        why = f" ({met[0].detail})" if met[0].detail else ""
        render.talk(render.escaped(f"footsteps: {kind}: {os.path.relpath(met[0].path)}{why}{more}"))


# ---------------------------------------------------------------------------------------------
# list and search
# ---------------------------------------------------------------------------------------------

SUMMARY = ("name", "directory", "kind", "status", "started", "duration", "command", "changed",
           "code_id", "commit", "hash_code", "arguments", "recorded")  # fmt: skip


def add_list(commands: Commands) -> None:
    """`footsteps list`."""
    parser = add_command(
        commands,
        list_runs,
        "list",
        "list runs, newest first",
        examples="""\
  footsteps list -n 20                 the newest twenty below results/
  footsteps list --failed --since 3d   what went wrong in the last three days
  footsteps list old/results --json    another directory, an object for each run""",
        more="""\
Name, start, how it ended, how long it took, the id of its code (with a + where
that differed from the commit), and the arguments and recorded values in which
the listed runs differ.""",
    )
    parser.add_argument("roots", nargs="*", metavar="ROOT", help=f"default: {OUTPUT_ROOT}")
    parser.add_argument("-r", "--root", action="append", default=[], metavar="ROOT", help="the same, as elsewhere")
    parser.add_argument("-n", type=count, metavar="N", help="only the newest N")
    parser.add_argument("--since", type=moment, default=float("-inf"), metavar="WHEN", help=MOMENTS)
    add_filters(parser)
    add_rows(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Only runs that ended, or did not end, in some way."""
    which = parser.add_mutually_exclusive_group()
    for name, meaning in (
        ("failed", "runs that failed, died, were interrupted or left with an error"),
        ("running", "runs whose process is alive on this machine"),
    ):
        option = f"--{name}"
        which.add_argument(option, dest="filter", action="store_const", const=name, help=meaning)


def add_rows(parser: argparse.ArgumentParser) -> None:
    """How rows are printed."""
    add_json(parser)
    parser.add_argument("--no-header", action="store_true", help="rows only")


def count(words: str) -> int:
    """A number that is not negative."""
    if not (words.isascii() and words.isdigit()):
        raise argparse.ArgumentTypeError(f"{words!r} is no number of runs")
    return int(words)


MOMENTS = "2026-11-22, 2026-11, 2026, 3d, 2w, 12h, today"


def moment(words: str) -> float:
    """Seconds since 1970 of a date, a month, a year, a time, or so long ago (`3d`, `12h`, `today`)."""
    import re
    import time
    from datetime import datetime, timedelta

    units = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
    back = re.fullmatch(r"(\d+)\s*(s|min|m|h|d|w)(?:\w* ago)?", words.strip())
    if back:
        return time.time() - int(back[1]) * units[back[2]]
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if words in ("today", "yesterday"):
        return (midnight - timedelta(days=words == "yesterday")).timestamp()
    begins = words + "-01-01"[len(words) - 4 :] if re.fullmatch(r"\d{4}(-\d\d)?", words, re.ASCII) else words
    try:
        return datetime.fromisoformat(begins).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"cannot read {words!r} as a time: {MOMENTS} would do") from None


def list_runs(args: argparse.Namespace) -> int:
    """`footsteps list`: the newest runs; 1 if there are none."""
    from footsteps import search

    given = [*args.roots, *args.root]
    roots = roots_of(given) if given else runs.default_roots()[:1]
    problems: list[Problem] = []
    keep = FILTERS[args.filter] if args.filter else None
    found = search.newest(roots, args.n, args.since, keep, problems=problems, watch=render.progress)
    return print_runs(args, found, problems, f"no runs in {runs.said(roots)}{elsewhere(roots, 'list')}")


def elsewhere(roots: Sequence[str], command: str) -> str:
    """A hint for where there is no place to look for runs."""
    return "" if roots else f"\nhint: footsteps {command} DIRECTORY, or cd to the project"


def is_failed(run: Run) -> bool:
    """Whether a run went wrong, as far as can be known."""
    if run.status == "exited":
        return run.outcome.get("exit_status") != 0
    return run.status in ("failed", "died", "interrupted")


FILTERS: dict[str, Callable[[Run], bool]] = {
    "failed": is_failed,
    "running": lambda run: run.status == "running",
}


def print_runs(args: argparse.Namespace, found: Sequence[Run], problems: Iterable[Problem], none: str) -> int:
    """The rows of some runs in the form that was asked for; 1 and a sentence if there are none."""
    if args.json:
        render.print_json({key: getattr(run, key) for key in SUMMARY} for run in found)
    elif found:
        from footsteps import search

        read = render.progress(found, "reading runs", len(found))
        rows = [{**row_of(run), **parameters_of(run)} for run in read]
        render.print_table(columns_of(search.varying(found)), rows, not args.no_header)
    complain(problems, found)
    if not found:
        render.talk(f"footsteps: {none}")
    return DONE if found else NO


def columns_of(names: Sequence[str]) -> list[render.Column]:
    """The columns of a list of runs in which parameters of these names differ."""
    column = render.Column
    return [
        column("name", color=lambda _: "bold"),
        column("started", show=lambda when: render.ago(when) if when else ""),
        column("status", color=lambda status: render.STATUS_COLORS.get(status, "")),
        column("took", show=render.span, right=True),
        column("code", show=short_code, color=lambda _: "dim"),
        *(column(PARAMETER + name, name, extra=True) for name in names),
    ]


PARAMETER = "="  # before a parameter's key in a row: one may be called `name`


def row_of(run: Run) -> dict[str, Any]:
    """What a list says of a run itself."""
    return {
        "name": run.name, "started": run.started, "status": run.status, "took": run.duration,
        "code": (run.code_id or run.commit) + ("+" if run.changed else ""),
    }  # fmt: skip


def short_code(code: str) -> str:
    """The beginning of a code id, enough to tell it from others, with its mark."""
    return code.rstrip("+")[:8] + "+" * code.endswith("+")


def parameters_of(run: Run) -> dict[str, Any]:
    """What a list says of a run's arguments and recorded values."""
    from footsteps import search

    return {PARAMETER + name: value for name, value in search.parameters(run).items()}


def add_search(commands: Commands) -> None:
    """`footsteps search`."""
    parser = add_command(
        commands,
        search_runs,
        "search",
        "find runs by what was recorded",
        examples="""\
  footsteps search 'lr<=0.01' optimizer:sgd       both must hold
  footsteps search unet --exclude status:failed   a word anywhere, and not these
  footsteps search 'package.numpy<2' 'started>=2026-11'""",
        more="""\
An EXPR is P:V or P==V (equal), 'P<V', 'P<=V', 'P>V', 'P>=V' (quote < and > for
the shell), or a word, which is looked for in all names and values. P is the name
of an argument or a recorded value, package.NAME, or one of

  name status started ended duration exit_status exception code commit branch
  changed hash_code command host user cwd python system job

Runs of footsteps 0.1 and LiteTracer's records are found as well.""",
    )
    parser.add_argument("include", nargs="*", metavar="EXPR", help="all of these must hold")
    parser.add_argument(
        "-e", "--exclude", nargs="+", action="extend", default=[], metavar="EXPR",
        help="none of these may hold",
    )  # fmt: skip
    add_roots(parser)
    add_rows(parser)


def search_runs(args: argparse.Namespace) -> int:
    """`footsteps search`: the runs that match; 1 if there are none."""
    from footsteps import search

    if not args.include and not args.exclude:
        raise FootstepsError("nothing to search for", hint="footsteps search 'lr<=0.01' unet")
    problems: list[Problem] = []
    roots = roots_of(args.root)
    found = search.search(roots, args.include, args.exclude, problems, render.progress)
    nowhere = "" if found else search.unheard_of(roots, args.include)
    why = f"has {nowhere}" if nowhere else "matches"
    none = f"no run in {runs.said(roots)} {why}{elsewhere(roots, 'search --root')}"
    return print_runs(args, found, problems, none)


# ---------------------------------------------------------------------------------------------
# show and path
# ---------------------------------------------------------------------------------------------


def add_show(commands: Commands) -> None:
    """`footsteps show`."""
    parser = add_command(
        commands,
        show,
        "show",
        "show all that is known of a run",
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


def show(args: argparse.Namespace) -> int:
    """`footsteps show`: everything, the kept files, or the patch."""
    run = chosen(args.run, args.root)
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
        render.print_json(rows)
        return
    columns = [
        render.Column("state"),
        render.Column("kind", extra=True),
        render.Column("size", show=render.size, right=True),
        render.Column("repository", extra=True),
        render.Column("path"),
        render.Column("reason", extra=True),
    ]
    render.print_table(columns, rows)


def report(run: Run) -> list[tuple[str, Pairs]]:
    """All that is known of a run, laid out for reading: titled pairs of key and value."""
    return [
        ("", head_of(run)),
        ("arguments", [*runs.flat(run.arguments).items()]),
        ("recorded", [*runs.flat(run.recorded).items()]),
        *((title_of(repository), code_of(repository)) for repository in run.repositories),
        ("python", python_of(run)),
        ("machine", machine_of(run)),
        ("environment", [*runs.mapping(run.facts.get("environment")).items()]),
        ("inputs", [(pair_of_file(i)) for i in run.inputs[:MANY]] + rest_of(run.inputs)),
        ("artifacts", [(pair_of_file(a)) for a in run.artifacts[:MANY]] + rest_of(run.artifacts)),
        ("written elsewhere", [(str(n), path) for n, path in enumerate(written_elsewhere(run), 1)]),
        ("seeds", [*runs.mapping(run.outcome.get("seeds")).items()]),
        ("not recorded", [(str(n), p) for n, p in enumerate(problems_of(run), 1)]),
    ]


MANY = 12  # files shown of a kind; --json has all


def head_of(run: Run) -> Pairs:
    """What a person asks first."""
    raised = runs.mapping(run.outcome.get("exception"))
    code = f" with {run.outcome.get('exit_status')}" if run.status == "exited" else ""
    where = f" ({raised.get('file')}:{raised.get('line')})" if raised.get("file") else ""
    return [
        ("run", run.name),
        ("status", run.status + code),
        ("exception", f"{raised.get('type')}: {raised.get('message')}{where}" if raised else ""),
        ("started", run.started),
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


def title_of(repository: dict[str, Any]) -> str:
    """`code`, and which if it is not the main repository."""
    name = str(repository.get("name") or "main")
    return "code" if name == "main" else f"code {name}"


def code_of(repository: dict[str, Any]) -> Pairs:
    """One repository: its commit, and how many files differed or were left out."""
    files = [file for file in repository["files"] if file.get("state") != "converted"]
    missing = [
        f"{file.get('path')} ({render.size(file.get('size'))}, {file.get('reason')})" for file in repository["left_out"]
    ]
    made = [str(b.get("file") or f"none: {b.get('left_out')}") for b in repository.get("bundles", [])]
    return [
        ("repository", repository.get("path") or repository.get("name")),
        ("commit", repository.get("commit")),
        ("described as", repository.get("describe")),
        ("branch", repository.get("branch")),
        ("remote", repository.get("remote")),
        ("link", repository.get("commit_url")),
        ("bundle", ", ".join(made)),
        ("changed", "yes" if repository.get("differs") else ""),
        *((what_of(file), file.get("path")) for file in files[:MANY]),
        *rest_of(files),
        *(("left out", words) for words in missing[:MANY]),
        *rest_of(missing),
    ]


def what_of(file: dict[str, Any]) -> str:
    """What had happened to a file of the code: changed, untracked, deleted ..."""
    gone = file.get("kind") in ("deleted", "absent")
    return "deleted" if gone else str(file.get("state"))


def python_of(run: Run) -> Pairs:
    """The interpreter and how many packages it had."""
    python = runs.mapping(run.facts.get("python"))
    environment = runs.mapping(python.get("environment"))
    return [
        ("version", python.get("version")),
        ("executable", python.get("executable")),
        (str(environment.get("kind")), environment.get("path")),
        ("packages", len(run.packages) or None),
    ]


def machine_of(run: Run) -> Pairs:
    """Where it ran and what that machine has."""
    facts = run.facts
    platform, hardware = runs.mapping(facts.get("platform")), runs.mapping(facts.get("hardware"))
    process, outcome = runs.mapping(facts.get("process")), run.outcome
    gpus = hardware.get("gpus")
    return [
        ("host", facts.get("host")),
        ("user", facts.get("user")),
        *((key, platform.get(key)) for key in ("system", "release", "machine")),
        ("cpu", hardware.get("cpu")),
        ("cores", hardware.get("usable_cores") or hardware.get("cores")),
        ("memory", render.size(hardware.get("memory"))),
        ("gpus", ", ".join(map(render.brief, gpus)) if isinstance(gpus, list) else gpus),
        ("job", process.get("job")),
        ("ranks", process.get("world_size")),
        ("cpu time", render.span(outcome["cpu"]) if isinstance(outcome.get("cpu"), float) else ""),
        ("peak memory", render.size(outcome.get("peak_memory"))),
    ]


def pair_of_file(file: dict[str, Any]) -> tuple[str, Any]:
    """A file's path and what is known of it."""
    if "directory" in file:
        return str(file["directory"]), f"{file.get('count')} files"
    known = (render.size(file.get("size")), runs.text(file.get("sha256"))[:12] or "no hash yet")
    return str(file.get("path")), "  ".join(words for words in known if words)


def rest_of(items: Sequence[object]) -> Pairs:
    """A line for what is not shown."""
    return [("...", f"and {len(items) - MANY} more (--json has all)")] if len(items) > MANY else []


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
        "print a run's directory",
        examples="""\
  cd "$(footsteps path @)"             go to the newest run
  ls "$(footsteps path unet)"/logs""",
    )
    add_run(parser)
    add_roots(parser)
    add_json(parser)


def path(args: argparse.Namespace) -> int:
    """`footsteps path`: the directory, as it is in a pipe, escaped on a terminal."""
    run = chosen(args.run, args.root)
    if args.json:
        render.print_json([{"directory": run.directory}])
    else:
        render.print_path(run.directory)
    return DONE


# ---------------------------------------------------------------------------------------------
# diff, trace, verify, restore, rerun: asked of compare, trace, restore and rerun
# ---------------------------------------------------------------------------------------------


def add_diff(commands: Commands) -> None:
    """`footsteps diff`."""
    parser = add_command(
        commands,
        diff,
        "diff",
        "show what differs between two runs",
        examples="""\
  footsteps diff @~1 @             the newest two
  footsteps diff unet-3 unet-4 --json""",
        more="""\
Arguments, code, packages, Python, machine, environment, inputs, artifacts, recorded values;
in a pipe the patch between the two codes follows after an empty line.
Exits with 1 if they differ.""",
    )
    add_run(parser, "a", "A")
    add_run(parser, "b", "B")
    add_source(parser)
    add_roots(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--patch", action="store_true", help="only the patch between their codes")
    what.add_argument("--no-patch", action="store_true", help="all but the patch")
    add_json(parser)


def diff(args: argparse.Namespace) -> int:
    """`footsteps diff`: 1 if they differ."""
    from footsteps import compare

    a, b = (chosen(selector, args.root) for selector in (args.a, args.b))
    found = compare.compare(a, b, args.source, binary=args.json or not render.is_terminal(sys.stdout))
    if args.json:
        render.print_json([found.row()])
    elif args.patch:
        render.print_patch(found.patch)
    else:
        print_comparison(found, b"" if args.no_patch else found.patch)
    render.talk(*(render.escaped(f"footsteps: {problem}") for problem in found.problems))
    complain([], [a, b])
    return NO if found.patch or (found.differences and not args.patch) else DONE


def print_comparison(found: compare.Comparison, patch: bytes) -> None:
    """Rows, the patch after those of the code; in a pipe, after an empty line, at the end."""
    alike = found.a.name == found.b.name
    titles = [os.path.relpath(run.directory) if alike else run.name for run in (found.a, found.b)]
    columns = [
        render.Column("about", color=lambda _: "dim"),
        render.Column("name", color=lambda _: "cyan"),
        render.Column("a", titles[0], color=lambda _: "red"),
        render.Column("b", titles[1], color=lambda _: "green"),
        render.Column("note", extra=True),
    ]
    rows = [each.row() for each in found.differences]
    in_place = render.is_terminal(sys.stdout)
    first = [row for row in rows if not in_place or row["about"] in ("arguments", "code")]
    if rows:
        render.print_table(columns, first)
    if patch:
        print()
        render.print_patch(patch)
    if len(first) < len(rows):
        print()
        render.print_table(columns, rows[len(first) :])
    if not rows:
        render.talk("footsteps: no difference was found")


def add_trace(commands: Commands) -> None:
    """`footsteps trace`."""
    parser = add_command(
        commands,
        trace,
        "trace",
        "tell which run made a file",
        examples="""\
  footsteps trace paper/figures/loss.png
  footsteps trace weights.pt --root /data/results""",
        more="""\
By its content, by what footsteps wrote into a figure, by a LiteTracer hash in its name, by the
run's directory that it lies in; also which runs read it.
Exits with 1 if no run is found that made it.""",
    )
    parser.add_argument("file", metavar="FILE", help="any file, renamed or copied wherever")
    add_roots(parser)
    add_json(parser)


def trace(args: argparse.Namespace) -> int:
    """`footsteps trace`: 1 if nobody made it."""
    from footsteps import trace as tracing

    problems: list[Problem] = []
    found = tracing.trace(args.file, roots_of(args.root), problems=problems, watch=render.progress)
    if args.json:
        render.print_json([found.row()])
    else:
        print_trace(found)
    complain(problems)
    made = found.made[0] if found.made else None
    if made is None:
        render.talk(render.escaped(f"footsteps: no run in {runs.said(roots_of(args.root))} is known to have made it"))
    elif made.run is not None:
        render.talk(hint=f"what else is known: footsteps show {quote([selector_of(made.run)])}")
    return DONE if made else NO


def selector_of(run: Run) -> str:
    """What names a run from here: its name below the usual roots, else its path."""
    usual = [os.path.abspath(root) for root in runs.default_roots()]
    return run.name if run.root in usual else os.path.relpath(run.directory)


def print_trace(found: tracing.Trace) -> None:
    """A row for each run that made the file, then for each that read it."""
    rows = [
        {"did": did, **each.row(), "how": ", ".join(each.how)}
        for did, listed in (("made by", found.made), ("read by", found.read))
        for each in listed
    ]
    columns = [
        render.Column("did", ""),
        render.Column("name", "run", color=lambda _: "cyan"),
        render.Column("started", show=lambda iso: render.ago(iso or "")),
        render.Column("path", "as"),
        render.Column("how", "known by"),
        render.Column("command", extra=True),
    ]
    if rows:
        render.print_table(columns, rows)


def add_verify(commands: Commands) -> None:
    """`footsteps verify`."""
    parser = add_command(
        commands,
        verify,
        "verify",
        "check that a run's code can be brought back",
        examples="""\
  footsteps verify @                    today, before the clone is gone
  footsteps verify unet-3 --from https://example.org/project.git""",
        more="""\
Restores into a temporary place from the remotes and the run's directory alone, and compares every
file. Exits with 1 if anything is left out or not as it was, or comes only from this machine's clone.""",
    )
    add_run(parser)
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Where commits come from."""
    parser.add_argument(
        "--from", dest="source", action="append", default=[], metavar="REPOSITORY",
        help="take commits from this clone, bundle or URL (NAME=URL: those of the repository so named)",
    )  # fmt: skip


def verify(args: argparse.Namespace) -> int:
    """`footsteps verify`: 1 if the record would not bring all of it back, or only with the clone."""
    from footsteps import restore as restoring

    run = chosen(args.run, args.root)
    done = restoring.verify(run, sources=args.source, say=follow)
    return print_restored(args, run, done, "comes back")


def add_restore(commands: Commands) -> None:
    """`footsteps restore`."""
    parser = add_command(
        commands,
        restore,
        "restore",
        "bring a run's exact code back in a new place",
        examples="""\
  footsteps restore unet-3                    into ../unet-3-restored/
  footsteps restore unet-3 /tmp/again --from ~/backup/project.git""",
        more="""\
The commit comes from the recorded clone, else from the remote, else from the record's bundle; the
recorded files are laid over it, and all of it is compared with the commit's id and the recorded
hashes. DEST is new or empty (default: RUN-restored beside the working directory); repositories that
lay elsewhere, as those of editable installs, come to DEST.beside/. Nothing recorded is run. Exits
with 1 if anything is left out or not as it was.""",
    )
    add_run(parser)
    parser.add_argument("dest", nargs="?", metavar="DEST", help="a new or empty directory")
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def restore(args: argparse.Namespace) -> int:
    """`footsteps restore`: 1 if anything is left out or not as it was."""
    from footsteps import restore as restoring

    run = chosen(args.run, args.root)
    done = restoring.restore(run, args.dest, sources=args.source, say=follow)
    return print_restored(args, run, done, "restored")


def follow(step: str) -> None:
    """Say what is being done, to somebody who waits for it."""
    render.talk(hint=render.escaped(f"{step} ..."))


def print_restored(args: argparse.Namespace, run: Run, done: Restored, verb: str) -> int:
    """Whether a run's code came back exactly, and each file that did not; 1 if one did not."""
    if args.json:
        render.print_json([{"run": run.name, **done.as_dict()}])
    else:
        render.print_text(render.escaped(f"{verb} {how(done)}: {done.directory or run.name}") + "\n")
        render.print_sections(rows_of_restored(done))
        if done.directory:
            render.print_text(render.escaped(f"run it again: {done.command}") + "\n")
    render.talk(*(render.escaped(f"footsteps: {note}") for note in done.notes))
    complain([], [run])
    return DONE if done.complete else NO


def how(done: Restored) -> str:
    """Whether all came back, in two words."""
    if done.complete:
        return "exactly" if done.exact else "as far as its record tells"
    return "only as long as its clone is there" if done.needs_clone else "incompletely"


def rows_of_restored(done: Restored) -> list[tuple[str, Pairs]]:
    """What is not as it was, and why; where the commits came from."""
    needs = [("needs", f"the clone in {done.needs_clone}: no remote and no bundle has its commit")]
    return [
        ("", [(tree["name"], came_from(tree)) for tree in done.trees]),
        ("left out", [(row["path"], f"{render.size(row.get('size'))}, {row['reason']}") for row in done.left_out]),
        ("missing", [(row["path"], row["reason"]) for row in done.missing]),
        ("not as it was", [(row["path"], row["reason"]) for row in done.differing]),
        ("was not there", [(path, "extra") for path in done.extra]),
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
        "run a run's command again and compare what it made",
        examples="""\
  footsteps rerun unet-3 --env    make the environment, ask, run, compare
  footsteps rerun unet-3 --script > again.sh""",
        more="""\
Restores the code to a new place, names what can't be had, shows the command, asks, and runs it.
What footsteps itself writes into figures is no difference.
Exits with 0 if the same was made, 1 if not or if the program failed.""",
    )
    add_run(parser)
    parser.add_argument("dest", nargs="?", metavar="DEST", help="a new or empty directory")
    parser.add_argument("--env", action="store_true", help="make its environment as well")
    parser.add_argument("--python", metavar="EXE", help="run, or make the environment, with this Python")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask before running")
    parser.add_argument("--script", action="store_true", help="print a shell script instead")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="what was recorded as ***")
    add_source(parser)
    add_roots(parser)
    add_json(parser)


def rerun(args: argparse.Namespace) -> int:
    """`footsteps rerun`: 1 if other files were made, or if the program failed."""
    from footsteps import rerun as rerunning

    run = chosen(args.run, args.root)
    again = rerunning.Rerun(
        run, args.dest, sources=args.source, values=values_of(args.set), python=args.python, environment=args.env
    )
    if args.script:
        render.print_text(again.script())
        return DONE
    require_consent(args, again)
    done = again.bring(follow)
    unchanged = render.escaped(f"footsteps: nothing was run; the code is in {again.directory}")
    try:
        yes = agreed(args, again, done)
    except KeyboardInterrupt:
        render.talk("", unchanged)
        raise
    if not yes:
        render.talk(unchanged)
        return NO
    known = again.missing
    again.make_environment(follow)
    render.talk(*said_missing(sentence for sentence in again.missing if sentence not in known))
    again.execute()
    return print_result(args, again.result())


def values_of(pairs: Sequence[str]) -> dict[str, str]:
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
        render.talk(*said_before(again, "would"))
        raise FootstepsError("stdin is no terminal where it could be asked whether to run this", hint="--yes")


def agreed(args: argparse.Namespace, again: rerunning.Rerun, done: Restored) -> bool:
    """Show what would be run and what is missing, ask for credentials, and whether to go on."""
    amiss = [f"{title}: {path} ({why})" for title, pairs in rows_of_restored(done)[1:] for path, why in pairs]
    lines = [f"restored {how(done)}: {again.directory}", *amiss, *(f"footsteps: {note}" for note in done.notes)]
    render.talk(*map(render.escaped, lines), *said_before(again, "will" if args.yes else "would"))
    if not args.yes:
        sys.stderr.write("Run it? [y/N] ")
        sys.stderr.flush()
        if answer() not in ("y", "yes"):
            return False
    for name in again.needed():
        import getpass

        again.values[name] = getpass.getpass(render.escaped(f"{name} (was recorded as ***): "))
    return True


def answer() -> str:
    """What somebody at the terminal says, in small letters; "" for Ctrl-D, which leaves the line open."""
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        sys.stderr.write("\n")
    return line.strip().lower()


def said_before(again: rerunning.Rerun, will: str) -> list[str]:
    """What can't be had, and what will or would be run."""
    built = [f"{will} build and install: {line}" for line in again.built]
    steps = [f"{will} run: {command}" for command in (*again.preparations, again.command)]
    return [*said_missing(again.missing), *map(render.escaped, [*built, *steps])]


def said_missing(sentences: Iterable[str]) -> list[str]:
    """What can't be had, a line each."""
    return [render.escaped(f"can't be had: {sentence}") for sentence in sentences]


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
    if result.again.status:
        render.talk(f"footsteps: the program ended with exit status {result.again.status}")
    if result.new is None:
        render.talk("footsteps: the program made no run")
    else:
        render.talk(hint=render.escaped(f"the new run: {result.new.directory}"))
        render.talk(*map(render.escaped, said_of_nothing(result)))
    render.talk("footsteps: the same" if result.same else "footsteps: not the same")
    return DONE if result.same else NO


def said_of_nothing(result: rerunning.Result) -> list[str]:
    """What to know where there is no table of artifacts."""
    if result.other_id:
        return [f"footsteps: its code or arguments have another id: {result.other_id}"]
    return [] if result.artifacts else ["footsteps: no artifacts were recorded, then or now, to be compared"]


# ---------------------------------------------------------------------------------------------
# view
# ---------------------------------------------------------------------------------------------


def add_view(commands: Commands) -> None:
    """`footsteps view`."""
    parser = add_command(
        commands,
        view,
        "view",
        "look at runs in a browser: one HTML file, no server, no network",
        examples="""\
  footsteps view                          all runs below results/
  footsteps view knee 'lr<=0.01'          the runs of a group, those with this argument
  footsteps view a b c -o abc.html --embed   three runs, one file that can be mailed
  footsteps view --follow                 served on this machine, while runs go on""",
        more="""\
A table with search, curves, figures, what differs, and all that is known of each run. A word is a RUN, a
group of runs, a pattern (knee/*), or an expression as `footsteps search` takes them. The path is printed;
where there is a display, a browser opens.""",
    )
    parser.add_argument("words", nargs="*", metavar="RUN|GROUP|EXPR", help="which runs (default: all)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the page here (default: the cache directory)")
    parser.add_argument(
        "--embed", nargs="?", type=bytes_of, const=2_000_000, default=0, metavar="SIZE",
        help="put pictures into the file, up to SIZE each (default: 2M)",
    )  # fmt: skip
    parser.add_argument("--follow", action="store_true", help="serve it on 127.0.0.1 and keep it new; Ctrl-C ends")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    add_roots(parser)
    add_json(parser)


def bytes_of(words: str) -> int:
    """A size such as 500k or 2M in bytes."""
    import re

    found = re.fullmatch(r"(\d+)([kKmM]?)[bB]?", words, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"cannot read {words!r} as a size: 500k and 2M would do")
    return int(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()]


def view(args: argparse.Namespace) -> int:
    """`footsteps view`: write the page, or serve it; 1 if there are no runs."""
    from footsteps.view import page, server

    roots = roots_of(args.root)
    problems: list[Problem] = []
    found = viewed_runs(args.words, roots, problems)
    title = " ".join(args.words) or ", ".join(os.path.basename(root.rstrip(os.sep)) for root in roots)
    complain(problems)
    if not found:
        none = f"no run in {runs.said(roots)} to look at{elsewhere(roots, 'view --root')}"
        render.talk(render.escaped(f"footsteps: {none}"))
        return NO
    if args.follow:
        return followed(args, server.Server(lambda: viewed_runs(args.words, roots, []), report, title=title))
    path = args.output or default_page(roots, args.words)
    read = render.progress(found, "reading runs", len(found))
    page.write(path, list(read), describe=report, embed=args.embed, title=title)
    complain([], found)
    if args.json:
        render.print_json([{"page": os.path.abspath(path), "runs": len(found)}])
    else:
        render.print_path(os.path.abspath(path))
    if not args.output and not args.no_open:
        open_browser(page.file_url(path))
    return DONE


def followed(args: argparse.Namespace, server: Any) -> int:
    """Serve until Ctrl-C."""
    with server:
        if args.json:
            render.print_json([{"url": server.url}])
        else:
            render.print_text(server.url + "\n")
        sys.stdout.flush()
        render.talk(hint="Ctrl-C ends")
        if not args.no_open:
            open_browser(server.url)
        try:
            server.serve()
        except KeyboardInterrupt:
            render.talk("")
    return DONE


def viewed_runs(words: Sequence[str], roots: Sequence[str], problems: list[Problem]) -> list[Run]:
    """The runs that words name, or all; of them those for which the expressions among the words hold."""
    from footsteps import search

    known = list(search.known(roots, problems, render.progress))
    named, expressions = [], []
    for word in words:
        group = runs_named(word, known, roots)
        named += group
        expressions += [] if group else [word]
    listed = runs.newest_first(dict.fromkeys(named)) if named else known
    if not expressions:
        return listed
    fitting = {run.directory for run in search.search(roots, expressions, problems=problems)}
    return [run for run in listed if run.directory in fitting]


def runs_named(word: str, known: Sequence[Run], roots: Sequence[str]) -> list[Run]:
    """The runs that a word means as the name of a run, of a group, or as a pattern of names; [] if it is none."""
    from fnmatch import fnmatchcase

    group = word.rstrip("/") + "/"
    inside = [run for run in known if run.name.startswith(group)]
    exact = [run for run in known if run.name == word.rstrip("/")]
    if exact or inside:
        return exact or inside
    if any(character in word for character in "<>=:"):
        return []
    if any(character in word for character in "*?["):
        return [run for run in known if fnmatchcase(run.name, word)]
    if word.startswith("@") or os.sep in word or os.path.isdir(word):
        return [runs.select(word, roots, known)]
    return []


def default_page(roots: Sequence[str], words: Sequence[str]) -> str:
    """Where a page is kept that nobody named: the same place for the same question."""
    import hashlib

    from footsteps import search

    key = "\0".join([*map(os.path.abspath, roots), "", *words])
    folder = os.path.join(search.cache_directory(), "view")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, hashlib.sha256(os.fsencode(key)).hexdigest()[:16] + ".html")


def open_browser(url: str) -> None:
    """Open a page, where somebody sits in front of this machine."""
    remote = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32")
    if display and not remote and render.is_terminal(sys.stdout):
        import webbrowser

        webbrowser.open(url)


# ---------------------------------------------------------------------------------------------
# completion
# ---------------------------------------------------------------------------------------------

BASH = """\
_footsteps() {
    local line piece head rest=${COMP_LINE:0:COMP_POINT} last=-1
    local -a words=()
    COMPREPLY=()
    for piece in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do  # bash cuts words at = and : too
        if [[ $last -lt 0 || $rest == [[:space:]]* ]]; then words[++last]=; fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$piece"}
        words[last]+=$piece
    done
    head=${words[last]%"${words[last]##*[$COMP_WORDBREAKS]}"}
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$head"}")
    done < <(footsteps complete bash "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _footsteps footsteps
"""
ZSH = """\
#compdef footsteps
_footsteps() {
    local -a found
    found=("${(@f)$(footsteps complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
if [[ "${funcstack[1]}" = _footsteps ]]; then _footsteps "$@"; else compdef _footsteps footsteps; fi
"""
FISH = """\
function __footsteps_complete
    set -l words (commandline -opc) (commandline -ct)
    footsteps complete fish $words[2..-1] 2>/dev/null
end
complete -c footsteps -a '(__footsteps_complete)'
"""
SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
TAKE_RUNS = {"show": 1, "path": 1, "diff": 2, "verify": 1, "restore": 1, "rerun": 1}


def add_completion(commands: Commands) -> None:
    """`footsteps completion`."""
    parser = add_command(
        commands,
        completion,
        "completion",
        "print the completion script of a shell",
        examples="""\
  footsteps completion bash >> ~/.bashrc
  footsteps completion zsh > "${fpath[1]}/_footsteps"
  footsteps completion fish > ~/.config/fish/completions/footsteps.fish""",
        more="Completes commands, options, and the names of runs.",
    )
    parser.add_argument("shell", choices=sorted(SHELLS))
    add_json(parser)


def completion(args: argparse.Namespace) -> int:
    """`footsteps completion`: the script."""
    if args.json:
        render.print_json([{"shell": args.shell, "script": SHELLS[args.shell]}])
    else:
        render.print_text(SHELLS[args.shell])
    return DONE


def add_complete(commands: Commands) -> None:
    """`footsteps complete`, which the completion scripts ask; hidden: a parser without help."""
    parser = commands.add_parser("complete", add_help=False, prefix_chars="\0")
    parser.add_argument("shell")
    parser.add_argument("words", nargs="*")
    parser.set_defaults(func=complete)


def complete(args: argparse.Namespace) -> int:
    """`footsteps complete SHELL WORD ...`: what the last word may become, one a line."""
    words = args.words or [""]
    for word in candidates(words[:-1], words[-1]):
        render.print_text((backslashed(word) if args.shell == "bash" else word) + "\n")
    return DONE


def backslashed(word: str) -> str:
    """A word as bash wants its completions: quotes would not begin like what was typed."""
    import re

    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)


def candidates(before: Sequence[str], word: str) -> list[str]:
    """What the word that follows some others may become."""
    if not before:
        names = [name for name in COMMANDS if name != "complete"] + ["--help", "--version"]
    elif word.startswith("-"):
        names = options_of(before[0])
    elif before[0] == "completion":
        names = sorted(SHELLS)
    else:
        given, roots, awaited = sorted_out(parser_of(before[0]), before[1:])
        names = run_names(roots) if not awaited and len(given) < TAKE_RUNS.get(before[0], 0) else []
    return [name for name in names if name.startswith(word) and name.isprintable()]


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command; that of `list` for one that is none."""
    holder: Commands = argparse.ArgumentParser().add_subparsers()
    COMMANDS.get(command, add_list)(holder)
    parser: argparse.ArgumentParser = next(iter(holder.choices.values()))
    return parser


def options_of(command: str) -> list[str]:
    """The options of a command, as its help shows them."""
    import re

    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", parser_of(command).format_help())))


def sorted_out(parser: argparse.ArgumentParser, words: Iterable[str]) -> tuple[list[str], list[str], bool]:
    """What words are to a command: its arguments, the roots among its options' values, and whether a value is next."""
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no other way to ask
    given, roots = [], []
    option: argparse.Action | None = None
    for word in [part for each in words for part in each.split("=", each.startswith("--"))]:
        if option:
            roots += [word] if option.dest == "root" else []
            option = None
        elif word.startswith("-"):
            option = known[word] if word in known and known[word].nargs != 0 else None
        else:
            given.append(word)
    return given, roots, option is not None


def run_names(roots: Sequence[str]) -> list[str]:
    """The names of the runs below some roots, or the usual ones, newest first."""
    from footsteps import search

    return [run.name for run in search.newest(list(map(os.path.expanduser, roots)) or runs.default_roots())]


COMMANDS: dict[str, Callable[[Commands], None]] = {
    "list": add_list,
    "show": add_show,
    "path": add_path,
    "search": add_search,
    "diff": add_diff,
    "trace": add_trace,
    "verify": add_verify,
    "restore": add_restore,
    "rerun": add_rerun,
    "view": add_view,
    "completion": add_completion,
    "complete": add_complete,
}
