"""Runs sent to a real MLflow server on sqlite: all that it can hold, and nothing twice."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from footsteps.reader import runs
from footsteps.recorder.format import FootstepsError

PROGRAM = """\
import argparse, os
import footsteps

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.parse_args()
for step in (0, 10, 20):
    footsteps.record(loss=1 / (step + 1), step=step)
footsteps.record(accuracy=0.5, note="used in the paper")
footsteps.record(accuracy=0.75, odd=float("nan"))
os.makedirs(footsteps.output_dir + "figures")
open(footsteps.output_dir + "figures/loss.svg", "w").write("<svg/>")
open(footsteps.output_dir + ".netrc", "w").write("password")
"""


@pytest.fixture
def recorded(repo, run_script):
    """A recorded run."""
    repo.write("train.py", PROGRAM)
    repo.commit("Train")
    done = run_script(repo / "train.py", "--lr", "0.2", cwd=repo.path, env={"FOOTSTEPS_NAME": "knee/one"})
    assert done.returncode == 0, done.stderr
    return runs.load(repo / "results/knee/one")


def test_without_mlflow_it_is_said_what_to_install(recorded, monkeypatch):
    """In one sentence, with the command."""
    from footsteps.reproduce.mlflow import MLflowServer

    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with pytest.raises(FootstepsError, match="mlflow-skinny, which is not here") as refused:
        MLflowServer("http://localhost:1")
    assert refused.value.hint == "pip install 'footsteps[mlflow]'"


def test_a_number_without_a_step_is_counted(recorded):
    """Words are no metrics; what was recorded keeps its step and time."""
    from footsteps.reproduce.mlflow import metric_points, tags_of

    points = [(name, value, step) for name, value, _, step in metric_points(recorded)]
    assert points[:3] == [("loss", 1.0, 0), ("loss", 1 / 11, 10), ("loss", 1 / 21, 20)]
    assert points[3:5] == [("accuracy", 0.5, 0), ("accuracy", 0.75, 1)]
    assert all(at > 1.7e12 for _, _, at, _ in metric_points(recorded))
    assert tags_of(recorded)["recorded.note"] == "used in the paper"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of an MLflow server on sqlite, which is ended with what it started."""
    pytest.importorskip("mlflow.server", reason="mlflow is not installed")
    where = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--backend-store-uri", f"sqlite:///{where}/ml.db", "--artifacts-destination", str(where / "files")]
    quiet = {**os.environ, "HOME": str(where), "MLFLOW_DISABLE_TELEMETRY": "true"}
    quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # which takes seven processes more
    with (where / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words, "--port", str(port), "--workers", "1"],
            cwd=where, env=quiet, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{uri}/health", process)
        yield uri
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def wait_for(address, process):
    """Wait until the server answers; it fails at once if it has ended."""
    until = time.monotonic() + 240
    while True:
        try:
            return urllib.request.urlopen(address, timeout=10).close()
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)


def export(where, uri, *names):
    """What `footsteps export --mlflow` answers in JSON."""
    asked = [sys.executable, "-m", "footsteps", "export", "--mlflow", uri, "--json", *names]
    done = subprocess.run(asked, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.mlflow
def test_a_server_has_all_of_a_run_and_nothing_twice(recorded, repo, server):
    """Parameters, metrics with steps and times, tags, files; then what was recorded since, and no more."""
    from mlflow.tracking import MlflowClient

    first = export(repo.path, server, "knee/one")[0]
    assert (first["new"], first["params"], first["metrics"], first["experiment"]) == (True, 1, 6, "knee")
    client = MlflowClient(server)
    there = client.get_run(first["mlflow_run"])
    assert (there.info.status, there.info.run_name) == ("FINISHED", "knee/one")
    assert there.info.start_time == round(recorded.start * 1000)
    assert there.info.end_time >= there.info.start_time
    assert there.data.params == {"lr": "0.2"}
    assert there.data.tags["mlflow.source.git.commit"] == recorded.commit
    assert there.data.tags["footsteps.id"] == recorded.id
    history = client.get_metric_history(first["mlflow_run"], "loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (10, 1 / 11), (20, 1 / 21)]
    assert [point.step for point in client.get_metric_history(first["mlflow_run"], "accuracy")] == [0, 1]
    files = {each.path for each in client.list_artifacts(first["mlflow_run"])}
    assert files == {"figures", "info.txt", "package_versions.txt", "train.py"}
    assert [each.path for each in client.list_artifacts(first["mlflow_run"], "figures")] == ["figures/loss.svg"]

    second = export(repo.path, server, "knee/one")[0]
    assert second == {**first, "new": False, "params": 0, "metrics": 0, "files": 0}
    with (repo / "results/knee/one/.footsteps/recorded.jsonl").open("a") as log:
        line = {"time": "2026-11-28T00:00:00+00:00", "kind": "recorded", "values": {"loss": 0.01, "step": 30}}
        log.write(json.dumps(line) + "\n")
    third = export(repo.path, server, "knee/one")[0]
    assert (third["mlflow_run"], third["metrics"]) == (first["mlflow_run"], 1)
    assert len(client.get_metric_history(first["mlflow_run"], "loss")) == 4
    experiment = client.get_experiment_by_name("knee").experiment_id
    assert len(client.search_runs([experiment])) == 1


@pytest.mark.mlflow
def test_a_server_that_is_not_there_is_a_sentence(recorded, repo):
    """With exit status 2, and no traceback."""
    pytest.importorskip("mlflow.tracking", reason="mlflow-skinny is not installed")
    asked = [sys.executable, "-m", "footsteps", "export", "--mlflow", "http://u:secret@127.0.0.1:1", "knee/one"]
    done = subprocess.run(asked, cwd=repo.path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did not take 'knee/one'" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
