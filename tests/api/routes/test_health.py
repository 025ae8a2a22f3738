"""Liveness, readiness by dependency, and what Prometheus reads."""

from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from core.data.ingest.parser import ParsedDataset
from core.data.storage import damage
from core.settings import Settings
from tests.support.api_cases import SPEC, Http, close
from tests.support.brokers import Broker


def of(settings: Settings, portal: BlockingPortal, **changes: Any) -> Http:
    """A client of an app with some settings changed; addresses become secrets."""
    secret = type(settings.broker_url)
    wrapped = {
        name: secret(value) if name.endswith(("broker_url", "database_url")) else value
        for name, value in changes.items()
    }
    return Http(create_app(settings.model_copy(update=wrapped)), portal)


def test_the_process_lives(http: Http) -> None:
    answer = http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_with_what_is_configured(everywhere: Http) -> None:
    answer = everywhere.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "missing": [],
        "dependencies": {
            "database": "ok",
            "store": "ok",
            "data": "ok",
            "broker": "off",
            "mlflow": "off",
            "workers": "ok",
        },
    }


def test_ready_with_a_broker(settings: Settings, portal: BlockingPortal, broker: Broker) -> None:
    http = of(settings, portal, broker_url=broker.url)
    assert http.get("/readyz").json()["dependencies"]["broker"] == "ok"
    close(http.app)


def test_without_its_broker_and_mlflow_it_serves_and_says_so(
    settings: Settings, portal: BlockingPortal, broker: Broker
) -> None:
    http = of(settings, portal, broker_url=broker.url, mlflow_url="http://127.0.0.1:1")
    broker.stop()
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["missing"] == ["broker", "mlflow"]
    assert "secret" not in answer.text
    close(http.app)


def test_a_broker_that_hangs_is_missing_and_costs_bounded_time(
    settings: Settings, portal: BlockingPortal, broker: Broker
) -> None:
    http = of(settings, portal, broker_url=broker.url)
    broker.freeze()
    for _ in range(3):
        assert http.get("/readyz").json()["missing"] == ["broker"]
    broker.thaw()
    close(http.app)


def test_without_its_database_it_is_not_ready(settings: Settings, portal: BlockingPortal) -> None:
    http = of(settings, portal, database_url="postgresql+psycopg://x:canary-pw@127.0.0.1:1/x")
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["database"]
    assert "canary-pw" not in answer.text
    assert http.get("/healthz").status_code == 200
    close(http.app)


def test_a_database_without_our_tables_is_not_ready(
    settings: Settings, portal: BlockingPortal, tmp_path: Path
) -> None:
    http = of(settings, portal, database_url=f"sqlite:///{tmp_path / 'bare.sqlite'}")
    assert http.get("/readyz").json()["missing"] == ["database"]
    close(http.app)


def test_a_store_that_does_not_answer_is_missing(
    settings: Settings, portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary-key")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    http = of(settings, portal, store_url="s3://bucket/prefix")
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["store"]
    assert "canary-key" not in answer.text
    close(http.app)


def test_damage_in_the_store_is_said_and_stops_nobody(
    settings: Settings, portal: BlockingPortal
) -> None:
    http = of(settings, portal)
    damage.note(http.app.state.context.store, f"chunks/aa/{'a' * 64}")
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["missing"] == ["data"]
    assert answer.json()["status"] == "degraded"
    assert "1 damaged objects in the store;" in answer.json()["dependencies"]["data"]
    close(http.app)


# The broker


def test_a_submission_rings_the_broker_once(
    settings: Settings, portal: BlockingPortal, broker: Broker, pets: ParsedDataset
) -> None:
    http = of(settings, portal, broker_url=broker.url)
    http.register(pets)
    job_id = http.submitted()["id"]
    http.app.state.context.wakeups.close()
    with broker.client as client:
        [message] = client.lrange("chainrule:cpu", 0, -1)
    assert job_id.encode() in message or job_id in str(message)
    close(http.app)


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_submitting_works_with_the_broker_away(
    settings: Settings, portal: BlockingPortal, broker: Broker, pets: ParsedDataset, how: Any
) -> None:
    http = of(settings, portal, broker_url=broker.url)
    http.register(pets)
    getattr(broker, how)()
    for seed in range(3):
        assert http.post("/v1/jobs", {**SPEC, "seed": seed}).status_code == 202
    close(http.app)
    assert len(http.get("/v1/jobs").json()["items"]) == 3
    if how == "freeze":
        broker.thaw()


def test_only_a_few_of_many_jobs_are_rung(
    settings: Settings, portal: BlockingPortal, broker: Broker, pets: ParsedDataset
) -> None:
    http = of(settings, portal, broker_url=broker.url)
    http.register(pets)
    for seed in range(40):
        http.submitted(seed=seed)
    http.app.state.context.wakeups.close()
    with broker.client as client:
        assert 0 < client.llen("chainrule:cpu") <= 16
    close(http.app)


# Prometheus


def test_metrics_count_requests_by_route_and_waiting_jobs(everywhere: Http) -> None:
    job = everywhere.submitted()
    everywhere.get(f"/v1/jobs/{job['id']}")
    everywhere.get("/secret-path-of-a-client")
    answer = everywhere.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    assert 'chainrule_api_requests_total{method="POST",route="/v1/jobs",status="202"} 1.0' in text
    assert 'route="/v1/jobs/{job_id}",status="200"' in text
    assert 'chainrule_queue_jobs{queue="cpu"} 1.0' in text
    assert job["id"] not in text
    assert "secret-path" not in text


def test_a_store_folder_that_is_gone_is_missing_until_it_is_back(
    http: Http, settings: Settings
) -> None:
    # It is not made anew: what is written there would be hidden when its disk is mounted again.
    folder = settings.data_dir / "store"
    folder.rename(folder.with_name("away"))
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["store"])
    assert not folder.exists()
    folder.with_name("away").rename(folder)
    assert http.get("/readyz").json()["missing"] == []
