"""Fixtures for tests of the api: a client, a dataset, a spec, checks of problem documents."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pyarrow as pa
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from chainrule.contract.status import JobStatus
from core import datasets, jobs, models
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.local_copy import held
from core.data.table.reader import load
from core.db.session import reading, transaction
from core.events import EvaluationEnded, ScoringEnded, TrainingEnded
from core.spec import JobSpec
from core.spec.inference import ScoringSpec
from core.spec.job import DIGITS
from core.training.loop import train
from core.training.model import TrainedModel
from core.training.table_evaluation import measure
from core.training.table_predictions import score
from tests.support import single

CSV = "p0,p1,label\n" + "".join(
    f"{i % 7},{i % 3}.5,{'cat' if i % 2 else 'dog'}\n" for i in range(40)
)

SPEC: dict[str, Any] = {
    **DIGITS,
    "experiment": "pets",
    "dataset": "pets@1",
    "data": {"target": "label"},
    "network": [{"kind": "dense", "units": 4}, {"kind": "relu"}, {"kind": "dense", "units": 2}],
    "batch_size": 8,
    "epochs": 2,
}


def parsed_pets(folder: Path) -> ParsedDataset:
    """A small dataset, parsed in a folder."""
    (folder / "pets.csv").write_text(CSV)
    return parse(folder / "pets.csv", "text/csv", folder / "pets.arrow")


def trained_pets(pets: ParsedDataset, folder: Path) -> Path:
    """The model file, in a folder, of a network trained on the small dataset."""
    *_, ended = train(JobSpec.model_validate(SPEC), pets.path, folder)
    assert isinstance(ended, TrainingEnded)
    return Path(ended.path)


class Http:
    """A synchronous client of an app: requests run in an event loop of another thread."""

    def __init__(self, app: FastAPI, portal: BlockingPortal, **options: Any) -> None:
        self.app, self.portal = app, portal
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000", timeout=60, **options
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to one request."""
        return self.portal.call(lambda: self.client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        """The answer to a POST of a JSON body, or of what `options` say."""
        if json is not None:
            options["json"] = json
        return self.request("POST", path, **options)

    def upload(
        self, name: str = "pets", content: Any = CSV, kind: str = "text/csv"
    ) -> httpx.Response:
        """The answer to an upload."""
        path = f"/v1/datasets/{name}/versions"
        return self.post(path, content=content, headers={"Content-Type": kind})

    def register(self, parsed: ParsedDataset, name: str = "pets") -> None:
        """Make a parsed dataset known, as an upload does, without parsing it again."""
        context = self.app.state.context
        datasets.keep(context.store, parsed)
        with transaction(context.engine) as session:
            datasets.register(session, name, parsed)

    def submitted(self, **changes: Any) -> dict[str, Any]:
        """The answer to a submission of SPEC with some fields changed."""
        answer = self.post("/v1/jobs", {**SPEC, **changes})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def claimed(self, job_id: str) -> jobs.Claim:
        """The claim of a worker that begins to train a job."""
        with transaction(self.app.state.context.engine) as session:
            claim = jobs.claim(session, job_id, node="n1", worker="w1", lease_seconds=30)
        assert claim is not None
        return claim

    def finished(self, model: Path | str, **changes: Any) -> str:
        """The id of a new job that ended with the model file `model`, as a worker leaves it."""
        job_id: str = self.submitted(**changes)["id"]
        self.finish(job_id, model)
        return job_id

    def finish(self, job_id: str, model: Path | str, **metrics: float) -> None:
        """End a queued job with the model file `model`, as a worker does."""
        claim = self.claimed(job_id)
        context = self.app.state.context
        key = f"models/{claim.job_id}/{claim.attempt}/model.safetensors"
        context.store.put_file(Path(model), key)
        result = {
            "model_key": key,
            "model_digest": hashlib.sha256(Path(model).read_bytes()).hexdigest(),
            "weights_digest": "f" * 64,
            "metrics": {"test/accuracy": 1.0, **metrics},
            "reason": "epochs",
        }
        with transaction(context.engine) as session:
            single.finish(session, claim.job_id, claim.attempt, JobStatus.FINISHED, result=result)

    def evaluate(self, job_id: str) -> None:
        """Do an evaluating job as a worker does."""
        with self._using(job_id) as (claim, model, table):
            *_, ended = measure(model, table, tuple(claim.spec["slices"]))
            assert isinstance(ended, EvaluationEnded)
            with transaction(self.app.state.context.engine) as session:
                job = single.finish(session, claim.job_id, claim.attempt, JobStatus.FINISHED)
                models.record(session, job, ended)

    def score(self, job_id: str) -> None:
        """Do a scoring job as a worker does."""
        context = self.app.state.context
        with self._using(job_id) as (claim, model, table), TemporaryDirectory() as folder:
            spec = ScoringSpec.model_validate(claim.spec)
            *_, ended = score(model, table, spec, Path(folder))
            assert isinstance(ended, ScoringEnded)
            key = f"predictions/{job_id}/{claim.attempt}/file{Path(ended.path).suffix}"
            context.store.put_file(Path(ended.path), key)
            result = {"predictions_key": key, "predictions_digest": "0" * 64}
            with transaction(context.engine) as session:
                single.finish(session, job_id, claim.attempt, JobStatus.FINISHED, result=result)

    @contextmanager
    def _using(self, job_id: str) -> Iterator[tuple[jobs.Claim, TrainedModel, pa.Table]]:
        context, claim = self.app.state.context, self.claimed(job_id)
        assert claim.model_job_id is not None
        with reading(context.engine) as session:
            model = context.models.load(models.locate(session, claim.model_job_id))
        with held(context.cache, context.store, claim.dataset_digest) as path:
            yield claim, model, load(path)


class Bridge(httpx.BaseTransport):
    """Carries the requests of a client to an app in this process.

    With `result`, a submitted job ends with it at once, as if a worker had trained it.
    """

    def __init__(self, http: Http, result: dict[str, Any] | None = None) -> None:
        self._http, self._result = http, result

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the app."""
        content = request.read()
        headers = dict(request.headers)
        path = request.url.raw_path.decode()
        answer = self._http.request(request.method, path, content=content, headers=headers)
        if self._result is not None and (request.method, path) == ("POST", "/v1/jobs"):
            self._finish(answer.json()["id"], self._result)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def _finish(self, job_id: str, result: dict[str, Any]) -> None:
        claim = self._http.claimed(job_id)
        with transaction(self._http.app.state.context.engine) as session:
            single.finish(session, job_id, claim.attempt, JobStatus.FINISHED, result=result)


def close(app: FastAPI) -> None:
    """Close the engine and the background threads of an app."""
    app.state.context.wakeups.close()
    app.state.context.prober.close()
    app.state.context.engine.dispose()


def assert_problem(answer: httpx.Response, status: int, *paths: str) -> dict[str, Any]:
    """The problem document that `answer` must be, naming these fields."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:chainrule:problem:")
    assert document["title"]
    assert document["detail"]
    assert document["id"] == answer.headers["x-request-id"]
    reported = [error["path"] for error in document["errors"]]
    assert set(paths) <= set(reported), (paths, document)
    return document
