"""The services of docker-compose.yml, started by its commands, train a job together."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy import compose
from tests.deploy.machine import Machine, until

Document = dict[str, Any]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0,
        reason="needs root on Linux for a network namespace; make compose-test needs them too",
    ),
]
SERVICES = {
    name: service
    for name, service in compose.services(compose.filled_in()).items()
    if "profiles" not in service.document
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """All services in the order of the file, each started when those it needs are ready."""
    machine = Machine(tmp_path_factory.mktemp("cluster"), list(SERVICES))
    try:
        for service in in_order():
            for name, condition in service.needs.items():
                if condition == "service_healthy":
                    ready(machine, SERVICES[name])
            if service.one_shot:
                assert machine.run(service) == 0, machine.log(service.name)
            else:
                machine.start(service)
        yield machine
    finally:
        machine.close()


def in_order() -> list[compose.Service]:
    """The services, each after those it needs."""
    done: list[compose.Service] = []
    waiting = dict(SERVICES)
    while waiting:
        free = [one for one in waiting.values() if not set(one.needs) & set(waiting)]
        assert free
        done += free
        waiting = {name: one for name, one in waiting.items() if one not in free}
    return done


def ready(machine: Machine, service: compose.Service) -> None:
    until(lambda: machine.healthy(service), 240, f"{service.name} healthy")


@pytest.fixture(scope="module")
def summary(cluster: Machine) -> Document:
    """What came of one job."""
    document: Document = json.loads(
        cluster.call(
            "tests.deploy.scenario",
            API_URL="http://127.0.0.1:8000",
            MLFLOW_URL="http://127.0.0.1:5000",
            API_TOKEN=SERVICES["api"].environment["CHAINRULE_API_TOKEN"],
        )
    )
    return document


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if not one.one_shot])
def test_health_checks_pass(cluster: Machine, name: str) -> None:
    ready(cluster, SERVICES[name])


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if one.one_shot])
def test_one_shots_may_run_again(cluster: Machine, name: str) -> None:
    assert cluster.run(SERVICES[name]) == 0


def test_a_job_is_trained_and_answers(summary: Document) -> None:
    assert summary["job"]["status"] == "finished"
    assert summary["right"] > 0.9


def test_the_run_is_in_mlflow(summary: Document) -> None:
    assert summary["run_status"] == "FINISHED"
    assert summary["params"]["optimizer.learning_rate"] == "0.003"
    assert "valid/accuracy" in summary["metrics"]
    assert any(path.endswith("model.safetensors") for path in summary["artifacts"])


def test_the_api_asks_for_the_token(summary: Document) -> None:
    assert summary["without_token"] == 401


@pytest.mark.usefixtures("summary")
@pytest.mark.parametrize("name", ["worker-cpu", "scheduler", "api", "mlflow"])
def test_sigterm_ends_a_service_in_its_time(cluster: Machine, name: str) -> None:
    # uvicorn stops in order and then raises the signal again, so that its parent sees the cause.
    assert cluster.terminate(SERVICES[name]) in {0, -signal.SIGTERM}
    assert "Traceback" not in cluster.log(name)
