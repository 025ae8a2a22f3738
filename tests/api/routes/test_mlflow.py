"""The runs in MLflow are forgotten on request, part by part."""

import pytest

from api.routes import mlflow
from chainrule.contract.status import JobStatus
from core import jobs
from core.db.mirrored import record_run
from core.db.session import transaction
from core.db.tables import Job
from core.settings import Settings
from tests.support.api_cases import Http, assert_problem


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Without MLflow, unless a test names one."""
    return settings.model_copy(update={"mlflow_url": getattr(request, "param", "")})


@pytest.mark.parametrize("settings", ["http://127.0.0.1:1"], indirect=True)
def test_every_job_with_a_run_is_forgotten_in_parts(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "_JOBS", 2)
    monkeypatch.setattr(mlflow, "_PAGE", 2)
    ids = [http.submitted()["id"] for _ in range(6)]
    engine = http.app.state.context.engine
    for job_id in ids[:5]:
        with transaction(engine) as session:
            record_run(session, Job, job_id, f"run-{job_id}")
            jobs.record_mirrored(session, job_id, JobStatus.QUEUED)
    cursor, forgotten = "", []
    while cursor is not None:
        query = {"cursor": cursor} if cursor else {}
        answer = http.request("POST", "/v1/mlflow/rebuild", params=query)
        assert answer.status_code == 200, answer.text
        forgotten.append(answer.json()["jobs"])
        cursor = answer.json()["next"]
    assert forgotten == [2, 2, 1]
    with transaction(engine) as session:
        assert set(jobs.behind(session, trials=False)) == set(ids[:5])


def test_without_mlflow_there_is_nothing_to_rebuild(http: Http) -> None:
    assert_problem(http.request("POST", "/v1/mlflow/rebuild"), 409)
