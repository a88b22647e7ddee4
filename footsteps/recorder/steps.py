"""The recorder as an extension of footsteps.py: what happens at each step of a run (`Run.call` there).

    meet    the run of the parent process, of the other ranks, or one of its own
    start   git begins to look at the code
    fill    run.json, the copies of files that differ, the further sections of info.txt
    begin   bundles in the background; inputs, outcome and console are followed
    end     what was imported since, and what `at_end` was given

A run has these attributes here, beyond those that footsteps.py gives it: `id` (unique for ever, sorts by time), `maker`
(pid of the process that made the directory), `record` (the folder .footsteps), `facts` (what run.json holds; of a
joined run nothing), `job` (the launch that this process is a part of).
"""

from __future__ import annotations

import os
import sys
import time

from footsteps.recorder import arguments, inputs, randomness, ranks
from footsteps.recorder.code import Code, CodeCapture, changed_since_loaded, take_from_others, watch_for
from footsteps.recorder.ending import execution, hydra_config
from footsteps.recorder.format import (
    BUNDLES_JSON,
    CODE,
    DIFF,
    FORMAT,
    INFO,
    LATE_JSON,
    PACKAGES,
    RECORD,
    RUN_JSON,
    VERSION,
    append_line,
    as_json,
    bytes_of,
    collected,
    current,
    encoded,
    iso,
    printable,
    quietly,
    quote,
    replace,
    sha256,
    warn,
    write,
)
from footsteps.recorder.git import is_long, short_form
from footsteps.recorder.hooks import watchers
from footsteps.recorder.machine import (
    forget_packages,
    hardware_facts,
    host_name,
    known_packages,
    package_table,
    platform_facts,
    python_facts,
    recorded_variables,
    user_name,
)
from footsteps.recorder.processes import handle_lines, head_has_footsteps, process_row, ray_driver, started_by
from footsteps.recorder.program import (
    announced,
    is_unattended,
    show_link,
)
from footsteps.recorder.ranks import PROGRAM_FACTS, program_fact
from footsteps.recorder.repository import MAX_FILE, UncommittedFiles
from footsteps.recorder.secrets import masked, why_secret
from footsteps.recorder.settings import (
    earlier_names,
    in_repository,
    oddity,
    root_or_configured,
    wants_gitignore,
    wants_to_resume,
)
from footsteps.recorder.values import arguments_of_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


# A fact of run.json and the function that collects it; what that raises becomes a line under "Not recorded:".
COLLECTORS: list[tuple[str, Callable[[], Any]]] = [
    *((name, lambda name=name: program_fact(name)) for name in PROGRAM_FACTS),
    ("stdin", inputs.stdin_facts),
    ("host", host_name),
    ("user", user_name),
    ("python", python_facts),
    ("platform", platform_facts),
    ("hardware", hardware_facts),
    ("environment", lambda: masked({name: os.environ[name] for name in recorded_variables()})),
    ("packages", known_packages),
]

# Called with each run that begins in this process: LTParser's records note the runs that were made with them.
BEGUN_LISTENERS: list[Callable[[Any], object]] = []

BUNDLE_WAIT = 5.0  # seconds
TELL_FROM = 20 << 20  # bytes of uncommitted files, kept in a record, from which a line on stderr tells so
MOVED_WHOLE = "move or copy this directory whole: its hidden folder .footsteps is the record"


def note_arguments(values: Mapping[str, object], **facts: object) -> None:
    """Tell the run which arguments were parsed (``facts``: their hash_code and the like).

    Before a run has begun they wait for it and enter run.json; afterwards they are appended.
    """
    arguments.forget_others(execution())
    arguments.of_ltparser[:] = [(masked(dict(values)), masked(dict(facts)))]
    run = current()
    if run is not None and hasattr(run, "record"):
        append_line(run.record, "arguments", {"arguments": dict(values), **facts})


def _note_heard() -> None:
    """What the program has parsed since its run began."""
    run = current()
    if run is not None and hasattr(run, "record") and (run.made_here or ranks.is_head_ending_it(run)):
        append_line(run.record, "arguments", {"arguments": arguments.told()})


arguments.PARSED_LISTENERS.append(lambda: quietly(_note_heard))


# --- the steps --------------------------------------------------------------------------------------------------------


def meet(run: Any) -> None:
    """Join the run of the parent or of the other ranks, or make one."""
    run.endings, run.facts = [], {}
    run.default_name = ranks.default_name
    if "_ARGCOMPLETE" in os.environ:  # a shell that completes the program's options by running it
        raise SystemExit
    _read_options(run)
    uncommitted, run.unattended = UncommittedFiles(run.root), is_unattended
    run.remark = lambda name: _remark(name, uncommitted.told())
    run.earlier = lambda: earlier_names(run.root)
    try:
        ranks.meet_run(run)
    except (KeyboardInterrupt, SystemExit):
        _end_program()
        raise
    finally:
        uncommitted.stop()
    run.begun_at = f" (begun at {run.site})"
    run.handle_lines = handle_lines(run.id, run.name, run.maker)


def _read_options(run: Any) -> None:
    """Take the root that is set where the program gives none, and go on in an earlier run where that is wanted."""
    unknown = sorted(set(run.options) - {"console", "resume"})
    if unknown:
        raise TypeError(f"initialize() got an unexpected keyword argument {unknown[0]!r}")
    run.root, run.session = root_or_configured(run.root), ""
    if wants_to_resume(run.options):
        from footsteps.recorder.resume import resume_or

        make = run.make
        run.make = lambda: resume_or(make, run)


def _remark(name: str, uncommitted: str) -> str:
    """What is told below the question: what is odd in the name, how many files are uncommitted."""
    return (f"   ({odd})" if (odd := oddity(name)) else "") + uncommitted


def _end_program() -> None:
    """After Ctrl-C at a question from a second thread, which alone would end: the main thread gets it too."""
    import signal
    import threading

    main = threading.main_thread()
    if threading.current_thread() is not main and hasattr(signal, "pthread_kill"):
        warn("no name given, nothing was made")  # of a thread's SystemExit nothing is shown
        signal.pthread_kill(main.ident or 0, signal.SIGINT)
        raise SystemExit from None


def start(run: Any) -> None:
    """Have git look at the code while the directory is made."""
    forget_packages()
    odd = oddity(run.name)
    if odd:
        warn(f"the name {run.name!r} {odd}")
    run.root_is_new = not os.path.lexists(run.root)
    run.started = time.time()
    run.capture = CodeCapture(exclude=[run.root], shown=True, made=list(inputs.tracker.wrote))
    run.endings.append(run.capture.stop)  # if the directory can't be made


def fill(run: Any) -> None:
    """Write the record. Only what can't be written at all raises (OSError)."""
    run.id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(run.started))}-{os.urandom(4).hex()}"
    run.maker, run.record = os.getpid(), os.path.join(run.directory, RECORD, *filter(None, [run.session]))
    run.place = run.record if run.session else run.directory  # where people's copies go
    run.capture.exclude.append(run.directory.rstrip("/"))  # also where the root is no folder of its own
    os.mkdir(run.record)
    problems: list[str] = []
    facts = _run_facts(run, problems)
    write(os.path.join(run.place, PACKAGES), encoded(package_table(facts["packages"] or [])))
    code: Code = collected("code", run.capture.code, problems) or Code([], 0.0)
    code.keep(run.record, run.root)
    changed = collected("changed modules", lambda: changed_since_loaded(run.capture.own), problems) or []
    stale = [f"{path} has changed since it was loaded" for path in changed]
    facts.update(code_id=code.code_id, repositories=code.repositories)
    facts["cost"] = {"code": round(code.seconds, 4), "all": round(time.monotonic() - run.capture.began, 4)}
    facts["problems"] = [printable(p) for p in dict.fromkeys([*problems, *code.problems, *stale])]  # said once
    run.facts, run.code = facts, code
    replace(os.path.join(run.record, RUN_JSON), as_json(facts))
    run.announced = announced(run)
    run.sections.pop("Not recorded:", None)  # what the core module says where we are not
    run.sections.update(_sections(facts, code))
    if is_long(code.diff):
        write(os.path.join(run.record, DIFF), code.diff)
    if run.root_is_new and in_repository(run.root) and wants_gitignore():
        quietly(_ignore, run.root)


def _ignore(root: str) -> None:
    """Keep git quiet about a root that we have made: results are not the next run's untracked files."""
    path = os.path.join(root, ".gitignore")
    if not os.path.lexists(path):
        write(path, b"*\n")


def _run_facts(run: Any, problems: list[str]) -> dict[str, Any]:
    """What run.json says, the code aside."""
    facts: dict[str, Any] = {"format": FORMAT, "footsteps": VERSION, "id": run.id, "name": run.name}
    facts.update(directory=run.directory, output_root=run.root, started=iso(run.started))
    for name, function in COLLECTORS:
        facts[name] = collected(name, function, problems)
    facts["process"] = collected("process", lambda: process_row(run.job, run.of_head), problems)
    arguments.forget_others(run.execution)
    facts["arguments"] = collected("arguments", arguments.told, problems)
    facts["argument_facts"] = arguments.facts_told()
    facts["parent"] = collected("parent", lambda: started_by(run.above), problems)
    facts["outcome_expected"] = head_has_footsteps or not (run.of_head or ray_driver() is not None)  # which kills it
    if run.worker and not run.of_head and (called := collected("call", arguments_of_call, problems)):
        facts.update(parsed_argv=called, arguments={**facts["arguments"], **called} if facts["arguments"] else None)
    if (job := hydra_config()) is not None:
        said = collected("arguments", lambda: arguments.hydra_overrides(job.hydra.overrides.task), problems)
        facts["arguments"] = {**(facts["arguments"] or {}), **(said or {})}
    facts["arguments"] = masked(facts["arguments"])  # whoever told them
    facts["script"] = script = collected("script", lambda: _copied_script(run, facts["main"]), problems)
    if script and script.get("reason"):
        problems.append(f"{script['path']} is not copied: {script['reason']}")
    return facts


def begin(run: Any) -> None:
    """Say what is missing, have the bundles made, and follow what the program does."""
    if run.made_here:
        run.watch = watch_for(run)
        watchers.append(run.watch)
        run.endings.append(lambda: record_late_code(run))
        _say_what_is_missing(run.facts)
        quietly(_make_bundles, run)
        quietly(randomness.keep_begin, run.record)
        run.endings.append(randomness.keep_end)
        quietly(show_link, run)
    elif arguments.heard and ranks.is_head_ending_it(run):  # whose workers have made it
        _note_heard()
    inputs.follow_run(run)
    for listener in BEGUN_LISTENERS:
        quietly(listener, run)


def end(run: Any) -> None:
    """Call what waits for the end, the last one first."""
    for function in reversed(run.endings):
        quietly(function)
    quietly(ranks.leave_run, run)


def _make_bundles(run: Any) -> None:
    bundles = run.code.bundles()
    if bundles:
        from footsteps.recorder.bundle import make_in_background

        make_in_background(run.record, run.root, bundles)
        run.endings.insert(0, lambda: _wait_for_bundles(run))  # the last thing that is done


def _wait_for_bundles(run: Any) -> None:
    """Until the bundles are there: where the end of the program ends all it has started (a container), they'd be lost.

    The setting FOOTSTEPS_BUNDLE_WAIT is how many seconds at most, BUNDLE_WAIT without it.
    """
    seconds = float(os.environ.get("FOOTSTEPS_BUNDLE_WAIT") or BUNDLE_WAIT)
    until, path = time.monotonic() + seconds, os.path.join(run.record, BUNDLES_JSON)
    while not os.path.exists(path) and os.path.isdir(run.record):
        if time.monotonic() > until:
            if seconds:
                warn(
                    f"the commits that no remote has are not yet kept after {seconds:g} s; `footsteps verify` will tell"
                )
            return
        time.sleep(0.01)
    from footsteps.recorder.bundle import say_what_is_left_out

    say_what_is_left_out(run.record)


def _copied_script(run: Any, main: Mapping[str, Any]) -> dict[str, Any] | None:
    """The script as it ran, beside info.txt."""
    path = main["path"]
    if path is None or not os.path.isfile(path):
        if main["kind"] == "script" and not os.path.exists(path) and not hasattr(sys, "frozen"):
            raise FileNotFoundError(f"{path} is not there any more")
        return None
    if os.path.getsize(path) > MAX_FILE:
        reason = f"it is larger than {MAX_FILE >> 20} MiB"
        return {"path": path, "real": os.path.realpath(path), "stored": None, "sha256": None, "reason": reason}
    data, name = bytes_of(path), os.path.basename(path)
    if reason := why_secret(path, data):
        return {"path": path, "real": os.path.realpath(path), "stored": None, "sha256": None, "reason": reason}
    stored = f"script-{name}" if name.lower() in (INFO, PACKAGES, RECORD) else name
    write(os.path.join(run.place, stored), data)
    facts = {"path": path, "real": os.path.realpath(path), "stored": stored, "sha256": sha256(data)}
    return {**facts, "executable": bool(os.stat(path).st_mode & 0o100)}


def _say_what_is_missing(facts: Mapping[str, Any]) -> None:
    """At most one line on stderr for what could not be recorded, one for what was left out, one if much is kept."""
    problems = facts["problems"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        warn(f"not all could be recorded: {problems[0]}{more}; see {INFO}")
    kept = [row for repository in facts["repositories"] for row in repository["files"] if row.get("stored")]
    size = sum(row["size"] for row in kept)
    if size > TELL_FROM:
        names = max(kept, key=lambda row: row["size"])["path"] + " ..." * (len(kept) > 1)
        warn(f"kept {size / 1e6:.0f} MB of uncommitted files ({names}); .gitignore them to stop this")
    left_out = [row for repository in facts["repositories"] for row in repository["left_out"]]
    if left_out:
        count = sum(row.get("count", 1) for row in left_out)
        why = "too large, unreadable, or confidential"
        warn(f"{count} file{'s'[: count != 1]} left out of the record ({why}); see {INFO}")


def record_late_code(run: Any) -> None:
    """At the end: late.json, with modules imported since that git ignores, and with what was edited meanwhile."""
    watchers.remove(run.watch)
    take_from_others(run.record, run.code)
    rows = run.code.capture_late()
    if rows and not os.path.exists(os.path.join(run.record, LATE_JSON)):
        run.code.keep(run.record, run.root)
        write(os.path.join(run.record, LATE_JSON), as_json({"format": FORMAT, "repositories": rows}))


# --- info.txt ---------------------------------------------------------------------------------------------------------


def _sections(facts: Mapping[str, Any], code: Code) -> dict[str, str | bytes]:
    """What info.txt says: the six sections of footsteps 0.1, then what we add. Bytes, as the diff's are git's."""
    aside = [f"(not in this diff: {printable(name)})" for name in code.not_in_diff]
    lines = [*aside, *_dirty_inside(facts["repositories"])]
    sections: dict[str, str | bytes] = {
        "Command:": printable(facts["command"] or "") + "\n",
        "System:": printable(facts["host"] or "") + "\n",
        "Python:": printable((facts["python"] or {}).get("executable") or "") + "\n",
        "Git Hash:": _lines(_hash_lines(facts["repositories"])),
        "Uncommitted changes:": _shown(code.diff) + encoded(_lines(lines)),
        "Current working dir:": printable(facts["cwd"] or "(deleted)"),
    }
    for title, rows in INFO_SECTIONS:
        told = collected(title, lambda rows=rows: rows(facts, code), [])  # type: ignore[misc]
        if told:
            sections[f"{title}:"] = _lines(told)
    return sections


def _shown(diff: bytes) -> bytes:
    return short_form(diff, f"{RECORD}/{DIFF}") if is_long(diff) else diff


def _lines(rows: Sequence[str]) -> str:
    return "".join(f"{printable(row)}\n" for row in rows)


def _hash_lines(repositories: Sequence[Mapping[str, Any]]) -> list[str]:
    main = next((row for row in repositories if row["role"] in ("cwd", "script")), None)
    if main is None:
        return ["not a git repository"]
    if main["commit"] is None:
        return ["not recorded" if main["problems"] else "no commits yet"]
    return [line for line in (main["describe"], main["commit_url"]) if line]


def _dirty_inside(repositories: Sequence[Mapping[str, Any]]) -> list[str]:
    """Submodules with changes of their own, which the diff of the outer repository does not show."""
    rows = [row for row in repositories if row["role"] == "submodule" and (row["files"] or row["left_out"])]
    return [f"(not in this diff: {printable(row['inside']['path'])}, a submodule with changes)" for row in rows]


def _code_lines(facts: Mapping[str, Any], code: Code) -> list[str]:
    lines = [f"code id {facts['code_id']}"]
    for row in facts["repositories"]:
        where = f"{row['role']} {row['path']}"
        lines.append(
            f"{where}: commit {row['commit'] or 'none'}" + (f", branch {row['branch']}" if row["branch"] else "")
        )
        lines += [f"  remote {remote['name']} {remote['url']}" for remote in row["remotes"]]
        if row["files"]:
            lines.append(f"  {_kept_line(row)}, whole in {RECORD}/{CODE}")
        if not row["untracked_shown"]:
            lines.append("  untracked files that were not imported are not kept: status.showUntrackedFiles is no")
        if row["converted"]:
            lines.append(f"  eol or filter settings act here: each file was looked at, in {code.seconds:.2f} s")
    return lines


def _kept_line(row: Mapping[str, Any]) -> str:
    count = len(row["files"])
    told = f"{count} file{'s'[: count != 1]}"
    return f"{told} differ{'s'[: count == 1]} from the commit" if row["commit"] else told


def _left_out_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    return [
        f"{row['path']} ({row['size']} bytes"
        + (f" in {row['count']} files" if "count" in row else "")
        + f"): {row['reason']}"
        for repository in facts["repositories"]
        for row in repository["left_out"]
    ]


def _hardware_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    hardware = facts["hardware"] or {}
    memory = f"{hardware['memory'] / 2**30:.1f} GiB memory" if hardware.get("memory") else ""
    cores = f"{hardware.get('usable_cores')} of {hardware.get('cores')} cores"
    lines = [", ".join(part for part in (hardware.get("cpu") or "", cores, memory) if part)]
    driver = f", driver {hardware['gpu_driver']}" if hardware.get("gpu_driver") else ""
    return lines + [f"{model}{driver}" for model in hardware.get("gpus") or []]


def _python_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    python, platform = facts["python"] or {}, facts["platform"] or {}
    lines = [f"{python.get('implementation')} {python.get('version')}"]
    lines.append(
        " ".join(str(platform[k]) for k in ("system", "release", "machine", "distribution") if platform.get(k))
    )
    environment = python.get("environment")
    return lines + ([f"{environment['kind']} {environment['path']}"] if environment else [])


def _process_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    row = facts["process"] or {}
    lines = [f"pid {row.get('pid')}" + (f", user {facts['user']}" if facts["user"] else "")]
    if row.get("launcher"):
        lines.append(
            f"{row['launcher']['kind']}: rank {row['rank']} of {row['world_size']}, {row['launcher']['command']}"
        )
    if facts["parent"]:
        lines.append(f"launched by the run {facts['parent']['directory']}")
    return lines


def _run_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    return [f"{facts['id']} (footsteps {facts['footsteps']}, format {facts['format']})", MOVED_WHOLE]


def _argument_lines(facts: Mapping[str, Any], _: Code) -> list[str]:
    told = {**(facts["argument_facts"] or {}), **(facts["arguments"] or {})}
    return [f"{name} {value}" for name, value in told.items()]


# What follows the six sections: a title, and a function of (facts, code) that gives its lines.
INFO_SECTIONS: tuple[tuple[str, Callable[[Mapping[str, Any], Code], list[str]]], ...] = (
    ("Started", lambda facts, _: [facts["started"]]),
    ("Run", _run_lines),
    ("Interpreter's command", lambda facts, _: [quote(facts["orig_argv"] or [])]),
    ("Python and platform", _python_lines),
    ("Hardware", _hardware_lines),
    ("Process", _process_lines),
    ("Environment", lambda facts, _: [f"{k}={v}" for k, v in (facts["environment"] or {}).items()]),
    ("Arguments", _argument_lines),
    ("Code", _code_lines),
    (
        "Untracked files",
        lambda _, code: code.untracked[:200] + [f"... {len(code.untracked)} in all"] * (len(code.untracked) > 200),
    ),
    ("Left out of the record", _left_out_lines),
    ("Not recorded", lambda facts, _: facts["problems"]),
)
