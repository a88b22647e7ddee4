"""Runs on an MLflow server: parameters, metrics with steps and times, tags, figures and files; again without doubling.

    >>> from footsteps.reproduce import mlflow
    >>> server = mlflow.MLflowServer("http://localhost:5000")
    >>> server.push(runs.select("unet-3"))
    {'run': 'unet-3', 'mlflow_run': '3f2a...', 'experiment': 'project', 'new': True, 'metrics': 150, 'files': 4, ...}

The run that was made there is known by its tag `footsteps.id`: a run that has gone on since is completed, and
nothing is sent twice. mlflow-skinny is imported when it is needed.
"""

from __future__ import annotations

import os

from footsteps.reader.formats import flat, is_number, mapping, seconds, text
from footsteps.recorder.format import FootstepsError
from footsteps.recorder.secrets import looks_secret, mask

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from footsteps.reader.runs import Run

    Point = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step

__all__ = ["MLflowServer"]

MOST_METRICS, MOST_PARAMS = 1000, 100  # in one request, as the server has it
SERVER_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of 7, each of which waits twice as long
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where our table goes
}
LONGEST_VALUE = 5000  # characters of a value that a server takes
MLFLOW_STATUSES = {"finished": "FINISHED", "running": "RUNNING", "unknown": "FINISHED", "interrupted": "KILLED"}


class MLflowServer:
    """An MLflow server, or a folder or database of one.

    uri: `http://...`, `sqlite:///...`; experiment: the name for all runs, "" for that of each run's group or project.

    Raises FootstepsError where MLflow is not installed.
    """

    def __init__(self, uri: str, experiment: str = "") -> None:
        for name, value in SERVER_SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            message = f"a run is sent to MLflow by the package mlflow-skinny, which is not here ({error})"
            raise FootstepsError(message, hint="pip install 'footsteps[mlflow]'") from error
        self.uri, self.experiment, self.error = uri, experiment, MlflowException
        self.client: Any = MlflowClient(tracking_uri=uri)

    def push(self, run: Run) -> dict[str, Any]:
        """Send what the server does not have of a run; what was sent, as an object for JSON.

        Raises FootstepsError if the server can't be reached or takes it not.
        """
        try:
            return self.pushed(run)
        except self.error as error:
            said = str(error).partition("\n")[0][:300]
            raise FootstepsError(f"{mask(self.uri)!r} did not take {run.name!r}: {mask(said)}") from error

    def pushed(self, run: Run) -> dict[str, Any]:
        """The same; MLflow's own errors are raised."""
        name = self.experiment or experiment_of(run)
        known = self.known(run)
        there = known or self.make(run, self.experiment_id(name))
        identifier = there.info.run_id
        params = self.send_params(identifier, run, there.data.params)
        metrics = self.send_metrics(identifier, run, there.data.metrics)
        files = self.send_files(identifier, run)
        if known:
            for key, value in tags_of(run).items():
                self.client.set_tag(identifier, key, value)
        self.end(identifier, run)
        return {
            "run": run.name, "mlflow_run": identifier, "experiment": name, "new": known is None,
            "params": params, "metrics": metrics, "files": files,
        }  # fmt: skip

    def known(self, run: Run) -> Any:
        """The server's run that stands for ours, None if there is none."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        wanted = f"tags.`footsteps.id` = '{id_of(run)}'"
        return next(iter(self.client.search_runs(experiments, wanted, max_results=1)), None)

    def experiment_id(self, name: str) -> str:
        """The id of the experiment with a name, which is made if there is none."""
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def make(self, run: Run, experiment: str) -> Any:
        """A new run there, begun when ours was."""
        begun = milliseconds(run.started)
        return self.client.create_run(experiment, start_time=begun, tags=tags_of(run), run_name=run.name)

    def send_params(self, identifier: str, run: Run, there: dict[str, str]) -> int:
        """Send the arguments that are not there; a server never changes one."""
        from mlflow.entities import Param

        named = {plain_key(key): server_text(value) for key, value in flat(run.arguments).items()}
        new = [Param(key, value) for key, value in named.items() if key not in there]
        for start in range(0, len(new), MOST_PARAMS):
            self.client.log_batch(identifier, params=new[start : start + MOST_PARAMS])
        return len(new)

    def send_metrics(self, identifier: str, run: Run, there: dict[str, float]) -> int:
        """Send the recorded numbers that are not there, each with its step and time."""
        from mlflow.entities import Metric

        points = list(dict.fromkeys(metric_points(run)))
        names = {name for name, *_ in points} & set(there)
        sent = {
            (m.key, m.step, m.timestamp) for name in names for m in self.client.get_metric_history(identifier, name)
        }
        new = [Metric(name, value, time, step) for name, value, time, step in points if (name, step, time) not in sent]
        for start in range(0, len(new), MOST_METRICS):
            self.client.log_batch(identifier, metrics=new[start : start + MOST_METRICS])
        return len(new)

    def send_files(self, identifier: str, run: Run) -> int:
        """Send the run's files that are not there with their size; no link, and nothing named like a secret."""
        there, count = dict(self.listed(identifier, "")), 0
        for name, found in run.files():
            if looks_secret(name) or there.get(name) == found.st_size:
                continue
            self.client.log_artifact(identifier, os.path.join(run.directory, name), os.path.dirname(name) or None)
            count += 1
        return count

    def listed(self, identifier: str, folder: str) -> Iterator[tuple[str, int]]:
        """The files that are there, with their sizes."""
        folders = [folder]
        while folders:
            for each in self.client.list_artifacts(identifier, folders.pop() or None):
                if each.is_dir:
                    folders.append(each.path)
                else:
                    yield each.path, each.file_size

    def end(self, identifier: str, run: Run) -> None:
        """Say how it ended, and when."""
        status = MLFLOW_STATUSES.get(run.status, "FAILED")
        ended = milliseconds(text(run.outcome.get("ended")))
        if status == "RUNNING":
            self.client.update_run(identifier, status=status)
        else:
            self.client.set_terminated(identifier, status=status, end_time=ended)


def experiment_of(run: Run) -> str:
    """The experiment that a run belongs to: its group, else its project."""
    group = run.name.rpartition("/")[0]
    return group or os.path.basename(text(run.repository.get("path"))) or "footsteps"


def id_of(run: Run) -> str:
    """What names a run for ever: its id, or what older formats have instead."""
    import hashlib

    return run.id or run.hash_code or hashlib.sha256(f"{run.name} {run.started}".encode()).hexdigest()


def tags_of(run: Run) -> dict[str, str]:
    """What else is known of a run: MLflow's own names, ours, and recorded words."""
    words = {f"recorded.{key}": value for key, value in flat(run.recorded).items() if not is_figure(value)}
    script = text(mapping(run.facts.get("main")).get("path"))
    named = {
        "mlflow.source.name": script, "mlflow.source.type": "LOCAL" if script else "",
        "mlflow.source.git.commit": run.commit, "footsteps.id": id_of(run), "footsteps.code_id": run.code_id,
        "footsteps.hash_code": run.hash_code, "footsteps.command": run.command, "footsteps.status": run.status,
        "footsteps.changed": {True: "true", False: "false", None: ""}[run.changed], **words,
    }  # fmt: skip
    return {plain_key(key): server_text(value) for key, value in named.items() if value != ""}


def metric_points(run: Run) -> Iterator[Point]:
    """The recorded numbers in order; one without a step is the so manieth of its name."""
    counts: dict[str, int] = {}
    for line in run.log:
        values = mapping(line.get("values"))
        if line.get("kind") != "recorded":
            continue
        said = values.get("step")
        for key, value in flat(values).items():
            if key != "step" and is_figure(value):
                step = said if isinstance(said, int) and abs(said) < 2**63 else counts.get(key, 0)
                counts[key] = counts.get(key, 0) + 1
                yield plain_key(key), float(value), milliseconds(text(line.get("time"))) or 0, step


def is_figure(value: object) -> bool:
    """Whether a recorded value is a number, nan and infinities included, which JSON holds as words."""
    return is_number(value) or value in ("nan", "inf", "-inf")


def milliseconds(iso: str) -> int | None:
    """Milliseconds since 1970 of a time, None if it is none."""
    at = seconds(iso)
    return round(at * 1000) if at else None


def plain_key(key: str) -> str:
    """A name that a server takes."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-. /" else "_" for c in key)[:250].strip("/. ") or "_"


def server_text(value: object) -> str:
    """A value as a text that a server takes: cut with a word where it is too long."""
    import json

    words = value if isinstance(value, str) else json.dumps(value, default=repr)
    return words if len(words) <= LONGEST_VALUE else words[:LONGEST_VALUE] + f"... ({len(words)} characters)"
