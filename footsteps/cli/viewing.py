"""`footsteps view`."""

from __future__ import annotations

import os
import sys

from footsteps.cli import render
from footsteps.cli.listing import elsewhere
from footsteps.cli.parsers import DONE, NO, add_command, add_json, add_roots, complain, roots_of, size_argument
from footsteps.cli.showing import report
from footsteps.reader import runs
from footsteps.recorder.format import FootstepsError, quote

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from footsteps.cli.parsers import Commands
    from footsteps.reader.formats import Problem
    from footsteps.reader.runs import Run
    from footsteps.view.server import PageServer


def add_view(commands: Commands) -> None:
    """`footsteps view`."""
    parser = add_command(
        commands,
        view,
        "view",
        examples="""\
  footsteps view                    all runs below results/
  footsteps view knee 'lr<=0.01'    of a group the runs with this argument
  footsteps view a b --embed -o ab.html   two runs, in a file to be mailed
  footsteps view --follow           served on this machine, while runs go on""",
        more="""\
A table with search, curves, figures, what differs, and all that is known of each run. A word is a RUN, a
group of runs, a pattern (knee/*), or an expression as `footsteps search` takes them. The path is printed;
where there is a display, a browser opens.""",
    )
    parser.add_argument("words", nargs="*", metavar="RUN|GROUP|EXPR", help="which runs (default: all)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the page here (default: the cache directory)")
    parser.add_argument(
        "--embed", nargs="?", type=size_argument, const=2_000_000, default=0, metavar="SIZE",
        help="put pictures into the file, up to SIZE each (default: 2M)",
    )  # fmt: skip
    parser.add_argument("--follow", action="store_true", help="serve it on 127.0.0.1 and keep it new; Ctrl-C ends")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    add_roots(parser)
    add_json(parser)


def view(args: argparse.Namespace) -> int:
    """`footsteps view`: write the page, or serve it; 1 if there are no runs."""
    from footsteps.view import page, server

    roots = roots_of(args.root)
    problems: list[Problem] = []
    found = viewed_runs(args.words, roots, problems)
    title = " ".join(args.words) or ", ".join(os.path.basename(root.rstrip(os.sep)) for root in roots)
    complain(problems)
    if not found:
        which = f"is or matches {' '.join(args.words)!r}" if args.words else "is recorded"
        known = [run.name for run in viewed_runs([], roots, [])]
        near = runs.guess(args.words[0], known) if len(args.words) == 1 else ""
        none = f"no run in {runs.roots_said(roots)} {which}{near}{elsewhere(roots, 'view --root')}"
        render.message(render.terminal_text(f"footsteps: {none}"))
        return NO
    if args.follow:
        return serve(args, server.PageServer(lambda: viewed_runs(args.words, roots, []), report, title=title))
    path = args.output or default_page(roots, args.words)
    require_folder(path)
    read = render.progress(found, "reading runs", len(found))
    page.write_page(path, list(read), describe=report, embed=args.embed, title=title)
    complain([], found)
    if args.json:
        render.print_json([{"page": os.path.abspath(path), "runs": len(found)}])
    else:
        render.print_path(os.path.abspath(path))
    if not args.output and not args.no_open:
        open_browser(page.file_url(path))
    return DONE


def require_folder(path: str) -> None:
    """Raises FootstepsError where a page can't be written because its folder is not there, or because it is one."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FootstepsError(f"there is no folder {folder!r} for {path!r}", hint=f"mkdir -p {quote([folder])}")
    if os.path.isdir(path):
        page = os.path.join(path, "runs.html")
        raise FootstepsError(f"{path!r} is a folder", hint=f"footsteps view -o {quote([page])}")


def serve(args: argparse.Namespace, server: PageServer) -> int:
    """Serve until Ctrl-C."""
    try:
        with server:
            if args.json:
                render.print_json([{"url": server.url}])
            else:
                render.print_text(server.url + "\n")
            sys.stdout.flush()
            render.message(hint="Ctrl-C ends")
            if not args.no_open:
                open_browser(server.url)
            server.serve()
    except KeyboardInterrupt:
        render.message("")
    return DONE


def viewed_runs(words: Sequence[str], roots: Sequence[str], problems: list[Problem]) -> list[Run]:
    """The runs that words name, or all; of them those for which the expressions among the words hold."""
    from footsteps.cli.listing import split_at_or
    from footsteps.reader import search

    known = list(search.known(roots, problems, render.progress))
    named, expressions = [], []
    for word in words:
        group = runs_named(word, known, roots)
        named += group
        expressions += [] if group else [word]
    listed = runs.newest_first(dict.fromkeys(named)) if named else known
    if not expressions:
        return listed
    alternatives = split_at_or(expressions)
    fitting = {run.directory for wanted in alternatives for run in search.search(roots, wanted, problems=problems)}
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

    from footsteps.reader.index import cache_directory

    key = "\0".join([*map(os.path.abspath, roots), "", *words])
    folder = os.path.join(cache_directory(), "view")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, hashlib.sha256(os.fsencode(key)).hexdigest()[:16] + ".html")


def open_browser(url: str) -> None:
    """Open a page, where somebody sits in front of this machine."""
    remote = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32")
    if display and not remote and render.is_terminal(sys.stdout):
        import webbrowser

        webbrowser.open(url)
