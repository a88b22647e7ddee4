"""What an archive says of itself to other programs: RO-Crate 1.1, profile Process Run Crate 0.5, as JSON.

Each run is a CreateAction: its instrument is the script (with the packages and their versions), its objects are the
files that it read, its results those that it made, each with its SHA-256. Who ran it is told only if asked for.
"""

from __future__ import annotations

import os

from footsteps.reader.formats import iso_time, mapping, objects, seconds, text
from footsteps.recorder.format import RECORD

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from footsteps.reader.runs import Run
    from footsteps.reproduce.chain import Stage, Use
    from footsteps.reproduce.export import Study

METADATA = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}  # which the context of 1.1 does not have
FAILED = ("failed", "interrupted", "exited", "died")
# What no table of types that comes with a system needs to be asked for: the answer would hang on the machine.
FORMATS = {
    ".csv": "text/csv", ".gz": "application/gzip", ".html": "text/html", ".jpg": "image/jpeg",
    ".json": "application/json", ".jsonl": "application/jsonl", ".md": "text/markdown", ".pdf": "application/pdf",
    ".png": "image/png", ".py": "text/x-python", ".svg": "image/svg+xml", ".tsv": "text/tab-separated-values",
    ".txt": "text/plain", ".zip": "application/zip",
}  # fmt: skip


def crate(study: Study, *, agent: bool) -> dict[str, Any]:
    """The content of ro-crate-metadata.json, once all other files are written."""
    graph = Graph(study)
    actions = [graph.add_action(stage, agent=agent) for stage in study.chain.stages]
    graph.add_root(actions, agent=agent)
    return {"@context": [f"{CRATE}/context", TERMS], "@graph": list(graph.entities.values())}


def folders(study: Study) -> Iterator[str]:
    """The folders that the metadata name, which have entries of their own in the archive."""
    yield from (f"runs/{study.names[stage]}/{RECORD}/" for stage in study.chain.stages)
    yield from dict.fromkeys(f"{code}/" for code in study.code.values() if code)


class Graph:
    """The entities of a crate by their id."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.entities: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, None] = {}

    def add(self, identifier: str, kind: str | list[str], **facts: Any) -> dict[str, str]:
        """One entity, unless it is there, without what is not known; the reference to it."""
        plain = {key: one_or_all(value) for key, value in facts.items()}
        known = {key: value for key, value in plain.items() if value not in (None, "", [], {})}
        self.entities.setdefault(identifier, {"@id": identifier, "@type": kind, **known})
        return {"@id": identifier}

    # the whole

    def add_root(self, actions: list[dict[str, str]], *, agent: bool) -> None:
        """The crate itself: what it is for, what is in it, which profile it follows."""
        head = self.study.chain.head
        run = head.run if head else self.study.chain.stages[-1].run
        asked = os.path.basename(self.study.chain.path)
        for name in ("index.html", "README.md", "footsteps.json"):
            self.add_file(name)
        for name in folders(self.study):
            self.add_folder(name)
        for name in self.study.names.values():
            self.add_file(f"requirements/{name}.txt")
        self.add(PROFILE, ["CreativeWork", "Profile"], name="Process Run Crate", version="0.5")
        self.add(METADATA, "CreativeWork", about={"@id": "./"}, conformsTo={"@id": CRATE})
        self.add(
            "./", "Dataset",
            name=f"{asked or run.name}: {run.command}",
            description=f"The runs that lead to {asked or run.name}, with their code, packages and files.",
            datePublished=text(run.outcome.get("ended")) or run.started or "1980-01-01",
            author=self.add_agent(run, told=agent), publisher=self.add_publisher(run), license=self.license(),
            conformsTo={"@id": PROFILE}, mentions=actions,
            hasPart=[{"@id": name} for name in self.parts],
        )  # fmt: skip

    def license(self) -> dict[str, str]:
        """The licence of the code, if it has one."""
        for code in dict.fromkeys(filter(None, self.study.code.values())):
            for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING", "LICENCE"):
                if f"{code}/{name}" in self.study.files:
                    return self.add_file(f"{code}/{name}")
        why = "The project states none. Ask its authors before you use it for anything else than to look at it."
        return self.add("#license", "CreativeWork", name="No licence was stated", description=why)

    # files

    def add_file(self, name: str, *kinds: str, **facts: Any) -> dict[str, str]:
        """A file of the archive, with its size and hash."""
        written = self.study.files[name]
        self.parts.setdefault(iri(name))
        return self.add(
            iri(name), ["File", *kinds] if kinds else "File", name=os.path.basename(name),
            contentSize=str(written["size"]), sha256=written["sha256"],
            encodingFormat=FORMATS.get(os.path.splitext(name)[1].lower(), "application/octet-stream"), **facts,
        )  # fmt: skip

    def add_folder(self, name: str) -> dict[str, str]:
        """A folder of the archive."""
        self.parts.setdefault(iri(name))
        said = "what footsteps recorded of a run" if name.startswith("runs/") else "source code as it was for a run"
        return self.add(iri(name), "Dataset", name=name, description=said)

    def add_use(self, use: Use) -> dict[str, str] | None:
        """A file that a run read: the one in the archive, else one of which only name, size and hash are known."""
        inside = self.study.described_use(use)["file"]
        if inside:
            return self.add_file(inside, alternateName=use.path)
        size = None if use.size is None else str(use.size)
        said = "It is not in this crate; footsteps.json says why."
        name = os.path.basename(use.path)
        return self.add(
            "#" + iri(f"{use.sha256[:16]}{use.path}"), "CreativeWork", name=name, alternateName=use.path,
            contentSize=size, sha256=use.sha256, description=said,
        )  # fmt: skip

    # one run

    def add_action(self, stage: Stage, *, agent: bool) -> dict[str, str]:
        """A run: what was executed by which software, what it read and made, when, and how it ended."""
        run, top = stage.run, f"runs/{self.study.names[stage]}"
        read = [self.add_use(use) for use in stage.uses]
        made = [f"{top}/{text(entry.get('path'))}" for entry in run.artifacts]
        results = [self.add_file(name) for name in made if name in self.study.files]
        ended = run.status in FAILED
        done = "http://schema.org/CompletedActionStatus" if run.status == "finished" else ""
        return self.add(
            f"#{iri(run.id or self.study.names[stage])}", "CreateAction",
            name=f"{run.name}: {run.command}", description=f"{run.command} ended as {run.status}.",
            instrument=self.add_script(stage), object=[each for each in read if each],
            result=results or [{"@id": iri(f"{top}/{RECORD}/")}],
            startTime=time_of(run.started), endTime=time_of(text(run.outcome.get("ended"))),
            actionStatus="http://schema.org/FailedActionStatus" if ended else done,
            error=error_of(run) if ended else None, agent=self.add_agent(run, told=agent),
            additionalProperty=[*self.add_values(stage, "argument", run.arguments), *self.exit_status(stage)],
        )  # fmt: skip

    def exit_status(self, stage: Stage) -> Iterator[dict[str, str]]:
        """The number with which the program ended."""
        number = stage.run.outcome.get("exit_status")
        if isinstance(number, int):
            yield from self.add_values(stage, "outcome", {"exit status": number})

    def add_values(self, stage: Stage, about: str, values: dict[str, Any]) -> Iterator[dict[str, str]]:
        """Named values of a run."""
        from json import dumps

        for name, value in values.items():
            plain = value if isinstance(value, (bool, int, str)) and value != "" else dumps(value, default=repr)
            identifier = "#" + iri(f"{self.study.names[stage]}/{about}/{name}")
            yield self.add(identifier, "PropertyValue", name=name, value=plain)

    def add_agent(self, run: Run, *, told: bool) -> dict[str, str]:
        """Who ran it, as the record has it, if that is to be told: the profile wants somebody in any case."""
        user, of = text(run.facts.get("user")), self.add_publisher(run)
        if not told or not user:
            said = "Who ran this is not told in this crate."
            return self.add("#agent", "Person", name="not named", description=said, affiliation=of)
        return self.add("#" + iri(f"user/{user}"), "Person", name=user, affiliation=of)

    def add_publisher(self, run: Run) -> dict[str, str]:
        """Whoever hands the archive on: the specification wants an organization, and an address to ask."""
        said = "Who publishes this is not told in this crate."
        url = remote_of(run) or "README.md"
        return self.add("#publisher", "Organization", name="not named", description=said, url=url)

    def add_script(self, stage: Stage) -> dict[str, str]:
        """The script at its code's id, with what it needs; its file if the code could be brought back.

        The profile wants an absolute address: without a remote it is one that never leads anywhere.
        """
        run, code = stage.run, self.study.code.get(stage)
        script, remote = place_of_script(run), remote_of(run)
        version = run.code_id or run.commit or "unknown"
        inside = f"{code}/{script}" if code and f"{code}/{script}" in self.study.files else ""
        changed = " with changes" if run.changed else ""
        return self.add(
            f"{remote or 'https://code.invalid/'}#{iri(f'{version}/{script}')}", "SoftwareSourceCode",
            name=script or run.name, version=version, url=remote or (iri(inside) if inside else "README.md"),
            description=f"at commit {run.commit}{changed}" if run.commit else "in no repository",
            codeRepository=remote, hasPart=self.add_file(inside) if inside else None,
            softwareRequirements=[*self.add_packages(run)],
        )  # fmt: skip

    def add_packages(self, run: Run) -> Iterator[dict[str, str]]:
        """Python and the packages, with their versions, and where they came from or where pip looks for them."""
        python = text(mapping(run.facts.get("python")).get("version"))
        home = f"https://www.python.org/downloads/release/python-{iri(python.replace('.', ''))}/"
        if python:
            yield self.add(home, "SoftwareApplication", name="Python", version=python, url="https://www.python.org/")
        for package in objects(run.facts.get("packages")):
            name, version = text(package.get("name")), text(package.get("version"))
            origin = mapping(package.get("direct_url"))
            url = text(origin.get("url")) or f"https://pypi.org/project/{iri(name)}/{iri(version)}/"
            if name and version and is_web(url):  # one from this machine has no address for others: see requirements/
                identifier = f"{url}#{iri(name)}-{iri(version)}" if origin else url
                yield self.add(identifier, "SoftwareApplication", name=name, version=version, url=url)


def remote_of(run: Run) -> str:
    """The address on the web of the run's repository, "" if it has none."""
    return next(filter(is_web, (text(row.get("remote")) for row in run.repositories)), "")


def one_or_all(value: Any) -> Any:
    """The only one of a list that has no more, as the specification wants it; else the value."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def place_of_script(run: Run) -> str:
    """The script's path in the main tree of its code; "" if it was in none."""
    from footsteps.reader.repositories import main_of

    facts = run.facts
    path = text(mapping(facts.get("main")).get("path")) or text(mapping(facts.get("script")).get("path"))
    top = text(main_of(run.repositories).get("path")) if run.repositories else ""
    near = os.path.relpath(path, top) if path and top else ""
    return "" if near.startswith(os.pardir) else near.replace(os.sep, "/")


def error_of(run: Run) -> str:
    """How a run that did not end well ended."""
    exception = mapping(run.outcome.get("exception"))
    said = ": ".join(filter(None, map(text, (exception.get("type"), exception.get("message")))))
    return said or f"{run.status}, exit status {run.outcome.get('exit_status')}"


def time_of(iso: str) -> str:
    """A time as the profile wants it: in UTC, with milliseconds; "" if it is none."""
    at = seconds(iso)
    return iso_time(round(at)) if at else ""


def iri(path: str) -> str:
    """A path as an address within the crate."""
    from urllib.parse import quote

    return quote(path.encode("utf-8", "backslashreplace"), safe="/:@+=,~!$&'()*;")


def is_web(url: str) -> bool:
    """Whether an address is one of the web, so that others can open it."""
    return url.startswith(("https://", "http://")) and url.isprintable() and " " not in url
