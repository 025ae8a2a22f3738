"""Retention: old checkpoints and nameless models go, what has a name stays."""

import uuid
from pathlib import Path
from typing import Any

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import transaction
from tests.support import single
from tests.support.api_cases import Http, assert_problem

RULES = {"checkpoints_days": 0, "models_days": 0}


def collected(http: Http, **rules: Any) -> list[tuple[str, str]]:
    answer = http.post("/v1/retention", {**RULES, **rules})
    assert answer.status_code == 200, answer.text
    assert answer.json()["bytes"] == sum(one["bytes"] for one in answer.json()["items"])
    return [(one["kind"], one["job_id"]) for one in answer.json()["items"]]


def with_checkpoint(http: Http, *, end: bool) -> tuple[str, str]:
    """A job that left a checkpoint; the key of that."""
    context, job_id = http.app.state.context, http.submitted()["id"]
    claim = http.claimed(job_id)
    key = f"checkpoints/{job_id}/1/{uuid.uuid4().hex}"
    context.store.put_bytes(b"bytes", key)
    with transaction(context.engine) as session:
        jobs.record_checkpoint(
            session, job_id, claim.attempt, step=1, epoch=1, key=key, size_bytes=5,
            digest="0" * 64, best=False,
        )  # fmt: skip
    if end:
        with transaction(context.engine) as session:
            single.finish(session, job_id, claim.attempt, JobStatus.CANCELLED)
    return job_id, key


def test_checkpoints_of_ended_jobs_go_and_those_of_others_stay(everywhere: Http) -> None:
    http, store = everywhere, everywhere.app.state.context.store
    ended, key = with_checkpoint(http, end=True)
    _, other = with_checkpoint(http, end=False)
    assert collected(http, checkpoints_days=1) == []
    assert collected(http) == [("checkpoint", ended)], "a dry run unless requested otherwise"
    assert store.size(key) == 5
    assert collected(http, dry_run=False) == [("checkpoint", ended)]
    assert not store.exists(key)
    assert store.size(other) == 5
    assert collected(http) == []


def test_a_registered_model_always_stays(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    nameless, named = http.finished(pets_model), http.finished(pets_model)
    assert http.post("/v1/models/pets/versions", {"job_id": named}).status_code == 201
    assert collected(http, models_days=None) == []
    assert collected(http, dry_run=False) == [("model", nameless)]
    rows = {"rows": [{"p0": 1, "p1": 2.5}]}
    assert http.post("/v1/models/pets/predict", rows).status_code == 200
    store = http.app.state.context.store
    assert not store.exists(f"models/{nameless}/1/model.safetensors")
    assert store.exists(f"models/{named}/1/model.safetensors")
    again = http.post("/v1/models/other/versions", {"job_id": nameless})
    assert_problem(again, 404)
    assert_problem(http.get("/v1/models/other"), 404)


def test_wrong_rules_are_refused(http: Http) -> None:
    assert_problem(http.post("/v1/retention", {"models_days": -1}), 422, "models_days")
    assert_problem(http.post("/v1/retention", {"model_days": 1}), 422, "model_days")


def test_curves_of_old_jobs_keep_their_outline(everywhere: Http) -> None:
    http, engine = everywhere, everywhere.app.state.context.engine
    ids = []
    for count in (3000, 900):
        claim = http.claimed(http.submitted()["id"])
        points = [jobs.Point("train/loss", step, 0, step, abs(step - 777)) for step in range(count)]
        with transaction(engine) as session:
            single.record_metrics(session, claim.job_id, claim.attempt, 1, points[:1500])
            single.record_metrics(session, claim.job_id, claim.attempt, 2, points[1500:])
            single.finish(session, claim.job_id, claim.attempt, JobStatus.CANCELLED)
        ids.append(claim.job_id)
    assert collected(http, dry_run=False) == []
    assert collected(http, metrics_days=0) == [("metrics", ids[0])]
    assert collected(http, metrics_days=0, dry_run=False) == [("metrics", ids[0])]
    assert collected(http, metrics_days=0) == []
    with transaction(engine) as session:
        found, other = (jobs.metrics(session, one).series["train/loss"] for one in ids)
    assert len(found) <= 1000
    assert len(other) == 900
    steps = found["step"].tolist()
    assert steps == sorted(steps)
    assert {0, 777, 2999} <= set(steps)
