"""`chainrule.fit`: train on a file or a table with a JobSpec that fits its columns."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.client import Client
from chainrule.client.archive import packed
from chainrule.client.frames import is_frame, records, table_file
from chainrule.client.jobs import Job
from chainrule.client.parse_options import ParseOptions
from chainrule.client.records import Record
from chainrule.client.transport import Document
from chainrule.contract.paths import assigned
from chainrule.contract.status import JobStatus
from chainrule.specs import dataset_name, first_spec
from chainrule.stack.temporary import data_folder, serving

MOST_TRIALS = 1000
"""A search ends by its time: so many trials do not fit into it."""

_RATE = "optimizer.learning_rate"
_DECAY = "regularization.weight_decay"
_LEAST_DECAY = 1e-5
_WIDTHS = (16, 32, 64, 128, 256)


class FitError(Exception):
    """Training did not end with a model; the message says why."""


@dataclass(frozen=True)
class Fit:
    """A trained model: the `job` that trained it, and its `spec`, a JobSpec.

    `url` is the address of the server, `data_dir` the data folder of the stack that runs for the
    time of a call if no server answers there.
    """

    job: Document
    spec: Document
    url: str
    token: str
    data_dir: Path

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())
        return f"<Fit of {self.spec['dataset']}: {shown or 'no test rows'}, job {self.job['id']}>"

    @property
    def scores(self) -> dict[str, float]:
        """The metrics on the test rows, such as `test/accuracy`; empty without test rows."""
        return held_out_scores(self.job)

    @property
    def baseline(self) -> Document | None:
        """The comparison with a model that predicts the same for every row; None: too few rows."""
        baseline: Document | None = self.job.get("baseline")
        return baseline

    def predict(self, rows: Any) -> list[Any]:
        """Return the prediction for each row of a list of dictionaries or of a DataFrame.

        Raises ProblemError if the server refuses the rows, UnreachableError or StackError if there
        is no server.
        """
        with Client(self.url, self.token) as server, serving(server, self.data_dir):
            predictions: list[Any] = server.jobs.predict(self.job["id"], records(rows))[
                "predictions"
            ]
        return predictions


def fit(  # noqa: PLR0913 - keywords, each of which can be left out
    data: Any,
    target: str | None = None,
    *,
    parse: ParseOptions | None = None,
    changes: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    name: str | None = None,
    url: str | None = None,
    token: str | None = None,
    data_dir: Path | str | None = None,
) -> Fit:
    """Train on a file or a DataFrame and return the trained model with its scores.

    `data` is the path of a file or a folder, or a DataFrame of pandas or polars, which becomes a
    version of the dataset `name` (default: the name of the file, or `table`); `parse` is as in
    `Datasets.upload`. `target` is the column to predict; default: label, target, class or y, or the
    last. The JobSpec is the one that
    `chainrule init` writes, with `changes` by path: `{"optimizer.learning_rate": 0.01}`. With
    `minutes`, a sweep over learning rate, width and weight decay takes that long, and its best
    trial is returned.

    `url` and `token` are as in `Client`. If nothing listens at a `url` of this machine, a stack
    runs for the time of the call, with the data folder `data_dir` as `chainrule up` has it
    (default: CHAINRULE_DATA_DIR, or `.chainrule` in the current folder).

    Raises ValueError for data without a target or features, FitError if no model is trained,
    ProblemError if the server refuses a request, UnreachableError if no server answers, StackError
    if the stack does not start.
    """
    folder = Path(data_dir) if data_dir is not None else data_folder()
    secret = token if token is not None else os.environ.get("CHAINRULE_API_TOKEN", "")
    with Client(url, secret) as server, serving(server, folder):
        with _file(data) as (file, own_name):
            version = server.datasets.upload(name or own_name, file, parse=parse)
        spec = first_spec(version, target)
        for path, value in (changes or {}).items():
            spec = assigned(spec, path, value)
        if minutes is None:
            job = server.jobs.wait(server.jobs.submit(spec)["id"])
        else:
            sweep = server.sweeps.begin(search(spec, minutes))
            job, spec = best_trial(server, server.sweeps.wait(sweep["id"]))
    if JobStatus(job["status"]) is not JobStatus.FINISHED:
        raise FitError(f"job {job['id']} ended {job['status']}: {job.get('cause')}")
    return Fit(job, spec, server.url, secret, folder)


def search(spec: Document, minutes: float) -> Document:
    """Return a SweepSpec that searches around a JobSpec for `minutes`, from its values on.

    Raises ValueError for a job without the fields to search or without validation rows.
    """
    widths = [
        place
        for place, layer in enumerate(spec["network"][:-1])
        if isinstance(layer, dict) and layer.get("kind") == "dense"
    ]
    rate = spec["optimizer"].get("learning_rate") if isinstance(spec["optimizer"], dict) else None
    if not isinstance(rate, int | float):
        raise ValueError("a search needs optimizer.learning_rate, a number, in the job")
    if not spec.get("early_stopping"):
        raise ValueError("a search needs validation rows: there are too few rows to split")
    space: Document = {
        _RATE: {"kind": "float", "low": rate / 10, "high": rate * 10, "log": True},
        _DECAY: {"kind": "float", "low": _LEAST_DECAY, "high": 1.0, "log": True},
    }
    point: Document = {_RATE: rate, _DECAY: _LEAST_DECAY}
    for place in widths:
        units = spec["network"][place]["units"]
        choices = sorted({*_WIDTHS, units})
        space[f"network[{place}].units"] = {"kind": "categorical", "choices": choices}
        point[f"network[{place}].units"] = units
    return {
        "name": spec["experiment"],
        "job": spec,
        "search_space": space,
        "objective": {"metric": "valid/loss", "direction": "minimize"},
        "baseline": [point],
        "n_trials": MOST_TRIALS,
        "budget": {"seconds": 60 * minutes},
        "mlflow": "best:10",
    }


def best_trial(server: Client, sweep: Document) -> tuple[Job, Record]:
    """Return the job of the best trial of a sweep, and its JobSpec.

    Raises FitError if no trial has finished.
    """
    if not sweep["best"]:
        raise FitError("no trial finished in this time: allow more minutes")
    best = server.sweeps.best(sweep["id"])
    return server.jobs.get(best["trial"]["job_id"]), Record(best["job"])


def held_out_scores(job: Document) -> dict[str, float]:
    """Return the metrics of a job on its test rows that are numbers."""
    last = job.get("last_metrics") or {}
    return {
        name: value
        for name, value in last.items()
        if name.startswith("test/") and isinstance(value, int | float)
    }


@contextmanager
def _file(data: Any) -> Iterator[tuple[Path, str]]:
    """Yield a file with the data, and a name for its dataset. Raises ValueError."""
    if isinstance(data, str | Path):
        with packed(Path(data)) as file:
            yield file, dataset_name(str(data))
        return
    if not is_frame(data):
        raise ValueError("data is a path, or a DataFrame of pandas or polars")
    with table_file(data) as file:
        yield file, file.stem
