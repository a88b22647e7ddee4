"""The metadata of an archive: RO-Crate 1.1 with the Process Run Crate profile, as the community's tools see it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile

import pytest
from pipelines import run_pipeline, write_project

# In a process of its own, and without a network: what the specification's address would give comes from a package.
VALIDATE = """\
import os, sys
import requests, rocrate, urllib3
from rocrate_validator import models, services

CONTEXT = os.path.join(os.path.dirname(rocrate.__file__), "data", "ro-crate.jsonld")

def send(self, request, **words):
    assert request.url.startswith("https://w3id.org/ro/crate/"), request.url
    response = requests.Response()
    response.status_code, response.url, response.request = 200, request.url, request
    response.headers["Content-Type"] = "application/ld+json"
    response.raw = urllib3.HTTPResponse(body=open(CONTEXT, "rb"), status=200, preload_content=False)
    return response

requests.adapters.HTTPAdapter.send = send
RECOMMENDED = models.Severity.RECOMMENDED
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier="process-run-crate", requirement_severity=RECOMMENDED,
    abort_on_first=False, no_cache=True,
)
issues = services.validate(settings).get_issues(RECOMMENDED)
for issue in issues:
    print(issue.severity.name, issue.check.identifier, issue.message, issue.violatingEntity)
sys.exit(bool(issues))
"""


@pytest.fixture
def study(repo, run_script, tmp_path):
    """A function that exports a pipeline's last file."""
    write_project(repo)

    def export(which, *words):
        figure = run_pipeline(repo, run_script, which)
        asked = [sys.executable, "-m", "footsteps", "export", figure, "-o", tmp_path / "study.zip", *words]
        done = subprocess.run(list(map(os.fspath, asked)), cwd=repo.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return tmp_path / "study.zip"

    return export


def graph_of(path):
    """The entities of an archive's metadata, by id."""
    with zipfile.ZipFile(path) as opened:
        crate = json.loads(opened.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in crate["@graph"]}


def listed(value):
    """The ids that a property refers to."""
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


@pytest.mark.slow
def test_each_run_is_an_action_with_what_it_read_and_made(study):
    """Its script and packages, hashes, times, and how it ended; nobody is named."""
    path = study("figure")
    graph = graph_of(path)
    actions = [graph[name] for name in listed(graph["./"]["mentions"])]
    assert [action["@type"] for action in actions] == ["CreateAction"] * 3
    train, evaluate, figure = actions
    assert listed(evaluate["object"])[0] == listed(train["result"])[0] == "runs/train/weight.txt"
    assert listed(figure["result"]) == ["runs/figure/fig3.svg"]
    with zipfile.ZipFile(path) as opened:
        made = hashlib.sha256(opened.read("runs/figure/fig3.svg")).hexdigest()
    assert graph["runs/figure/fig3.svg"]["sha256"] == made
    assert train["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert train["startTime"] <= train["endTime"] <= evaluate["startTime"]
    script = graph[train["instrument"]["@id"]]
    assert (script["name"], listed(script["hasPart"])) == ("train.py", ["code/train/train.py"])
    software = {graph[name]["name"]: graph[name]["version"] for name in listed(script["softwareRequirements"])}
    assert software["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert "prompt_toolkit" in software
    assert graph[train["agent"]["@id"]]["name"] == "not named"
    values = {graph[name]["name"]: graph[name]["value"] for name in listed(train["additionalProperty"])}
    assert values == {"lr": "0.05", "exit status": 0}


@pytest.mark.slow
def test_whoever_ran_it_is_named_only_on_request(study, monkeypatch):
    """As the record has it."""
    monkeypatch.setenv("LOGNAME", "ada")
    graph = graph_of(study("fit", "--agent"))
    action = graph[listed(graph["./"]["mentions"])[0]]
    assert graph[action["agent"]["@id"]]["name"] == "ada"


@pytest.mark.crate
@pytest.mark.parametrize("which", ["figure", "table"])
def test_the_validator_of_the_community_finds_nothing(study, tmp_path, which):
    """Required and recommended, of the specification and of the profile."""
    pytest.importorskip("rocrate_validator", reason="roc-validator is not installed")
    pytest.importorskip("rocrate", reason="rocrate is not installed")
    done = subprocess.run([sys.executable, "-c", VALIDATE, study(which)], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.crate
def test_rocrate_loads_it(study, tmp_path):
    """From the zip file, with all its files."""
    pytest.importorskip("rocrate", reason="rocrate is not installed")
    program = (
        "import sys\nfrom rocrate.rocrate import ROCrate\ncrate = ROCrate(sys.argv[1])\nprint(crate.name)\n"
        "print(*sorted(entity.id for entity in crate.data_entities))\ncrate.write('there')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, study("fit")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name, entities = done.stdout.splitlines()
    assert name.startswith("slope.txt: ")
    assert "runs/fit/slope.txt" in entities
    assert (tmp_path / "there/runs/generate/samples.csv").exists()
