"""Retention: old checkpoints and nameless models go, what has a name stays."""

import os
import time
import uuid
from pathlib import Path
from typing import Any

from chainrule.contract.status import JobStatus
from core import jobs
from core.data.storage.locks import attempted
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


def test_files_that_no_row_names_go(everywhere: Http, pets_model: Path) -> None:
    """Attempts that were lost while they wrote leave them."""
    http, store = everywhere, everywhere.app.state.context.store
    ended, running = http.finished(pets_model), http.submitted()["id"]
    http.claimed(running)
    names = ("checkpoints/{}/1/7-left", "models/{}/2/model.safetensors", "predictions/{}/2/left")
    for job_id in (ended, running):
        for name in names:
            store.put_bytes(b"bytes", name.format(job_id))
    assert collected(http, models_days=None, dry_run=False) == []
    assert collected(http, models_days=None, orphans_days=0) == [("orphan", ended)] * 3
    assert collected(http, models_days=None, orphans_days=0, dry_run=False)
    assert not any(store.exists(name.format(ended)) for name in names)
    assert all(store.exists(name.format(running)) for name in names)
    assert store.exists(f"models/{ended}/1/model.safetensors")
    assert collected(http, models_days=None, orphans_days=0) == []


def test_what_a_request_omits_is_kept_as_the_server_is_configured(
    http: Http, pets_model: Path
) -> None:
    http.finished(pets_model)
    kinds = http.post("/v1/retention", {"models_days": 3, "events_days": None}).json()["kinds"]
    days = {part["kind"]: part["days"] for part in kinds}
    assert days == {
        "logs": 30, "metrics": 90, "idempotency_keys": 7, "deliveries": 30, "sources": 7,
        "workers": 7, "checkpoints": 7, "models": 3, "orphans": 7, "uploads": 7,
    }  # fmt: skip


def test_uploads_that_were_begun_and_not_completed_go(http: Http) -> None:
    announced = {"bytes": 16, "sha256": "0" * 64}
    begun = [
        http.post("/v1/datasets/pets/uploads", {**announced, "filename": name}).json()["id"]
        for name in ("old", "new", "used")
    ]
    folder = http.app.state.context.uploads
    for upload_id in begun:
        (folder / f"upload-{upload_id}" / "body").write_bytes(b"12345678")
    for number in (0, 2):
        os.utime(folder / f"upload-{begun[number]}", (time.time() - 8 * 86_400,) * 2)
    with attempted(folder / f"upload-{begun[2]}" / "lock"):
        answer = http.post("/v1/retention", {"dry_run": False}).json()
        left = {path.name for path in folder.iterdir()}
    assert left == {f"upload-{upload_id}" for upload_id in begun[1:]}
    (part,) = [part for part in answer["kinds"] if part["kind"] == "uploads"]
    assert part["files"] == 2
    assert part["bytes"] > 8
