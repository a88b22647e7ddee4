"""What people find in an archive: index.html to look at, README.md to repeat it."""

from __future__ import annotations

import os

from footsteps.reader.formats import is_picture

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator

    from footsteps.reader.runs import Run
    from footsteps.reproduce.chain import Stage
    from footsteps.reproduce.export import Study

HEAD = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow-x: auto }} img {{ max-width: 100%; max-height: 24rem }}
td, th {{ text-align: left; padding-right: 1rem }}
:root {{ color-scheme: light dark }}
</style></head><body>
"""


def page(study: Study) -> str:
    """The archive's index.html. Every word of a record is text in it, never markup."""
    from html import escape

    from footsteps.reproduce.chain import tree

    title = escape(study_title(study))
    lines = [HEAD.format(title=title), f"<h1>{title}</h1>", "<h2>The chain</h2>"]
    _, *drawn = tree(study.chain, place=str)  # without the first line: where the file lies is not the archive's
    lines.append(f"<pre>{escape(chr(10).join(map(one_line, drawn)))}</pre>")
    for stage in reversed(study.chain.stages):
        lines += section(study, stage)
    if study.missing:
        lines.append("<h2>Not in this archive</h2><ul>")
        lines += [
            f"<li>{escape(one_line(row['path']))}: {escape(one_line(row['reason']))}</li>" for row in study.missing
        ]
        lines.append("</ul>")
    return "\n".join([*lines, "</body></html>", ""])


def section(study: Study, stage: Stage) -> Iterator[str]:
    """One run: what it was given, what it said, what it made."""
    from html import escape

    run, top = stage.run, f"runs/{study.names[stage]}"
    yield f"<h2>{escape(one_line(run.name))}</h2><p><code>{escape(one_line(run.command))}</code></p><table>"
    facts = {
        "status": run.status,
        "started": run.started,
        "commit": run.commit,
        "code": study.code.get(stage) or "none",
    }
    for name, value in {**facts, **run.arguments, **run.recorded}.items():
        yield f"<tr><th>{escape(one_line(name))}</th><td>{escape(one_line(value))}</td></tr>"
    yield "</table><ul>"
    made = [name for name in study.files if name.startswith(f"{top}/") and f"/{'.footsteps'}/" not in name]
    for name in made:
        yield f'<li><a href="{address(name)}">{escape(name[len(top) + 1 :])}</a></li>'
    yield "</ul>"
    for name in made:
        if is_picture(name):
            yield f'<figure><img src="{address(name)}" alt="{escape(os.path.basename(name))}"></figure>'


def readme(study: Study) -> str:
    """How to repeat it, with and without footsteps, in ten lines."""
    head = study.chain.head or study.chain.stages[-1]
    run = head.run
    name, code = study.names[head], study.code.get(head)
    chain = "--chain " if len(study.chain.stages) > 1 else ""
    stages = ", ".join(f"`{one_line(stage.run.name)}`" for stage in study.chain.stages)
    missing = f"{len(study.missing)} things are" if len(study.missing) != 1 else "One thing is"
    return f"""\
# {study_title(study)}

The runs {stages}, in this order, recorded by footsteps. Look at `index.html` first.

With footsteps (`pip install footsteps`), on the zip file as it is:
`footsteps show study.zip` tells what was run; `footsteps rerun {chain}study.zip again --env` brings packages, code
and inputs back, runs it and compares.

Without it: unzip; `pip install -r requirements/{name}.txt`; the exact source code of each run is in `code/`,
what the runs read in `inputs/` and in `runs/` (`footsteps.json` says which file was where), and the last command is
`cd {code or "code"} && python {one_line(command_in(run))}`. Compare with `runs/{name}/`.
{missing} not in here: see "missing" in `footsteps.json`.
"""


def command_in(run: Run) -> str:
    """The command with the script as it is called in the source tree."""
    from footsteps.reader.formats import shell_words
    from footsteps.recorder.format import quote
    from footsteps.reproduce.rocrate import place_of_script

    script = place_of_script(run)
    here = [
        script if script and os.path.isabs(word) and word.endswith(script) else word
        for word in shell_words(run.command)
    ]
    return quote(here)


def study_title(study: Study) -> str:
    """What the archive is about."""
    head = study.chain.head or study.chain.stages[-1]
    return one_line(os.path.basename(study.chain.path) or head.run.name)


def one_line(words: object) -> str:
    """A text without line ends and what a terminal or a page would act on."""
    return "".join(c if c.isprintable() else "?" for c in str(words))


def address(name: str) -> str:
    """A name in the archive as a relative address, fit for an attribute in quotes."""
    from urllib.parse import quote

    return quote(name, safe="/")
