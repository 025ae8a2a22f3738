"""Wake-ups: they are sent or fail soon, and carry nothing but an id."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from core.errors import InvalidError, UnavailableError
from core.queue import KEY_PREFIX, QUEUES, TRAIN, make_celery, notify, waiting
from core.settings import Settings
from tests.support.brokers import Broker


def settings(url: str) -> Settings:
    return Settings(broker_url=url)


def test_a_message_holds_the_id_of_a_job_and_nothing_else(broker: Broker) -> None:
    app = make_celery(settings(broker.url))
    notify(app, "a" * 32, "cpu")
    assert (waiting(app, "cpu"), waiting(app, "gpu")) == (1, 0)
    with broker.client as client:
        assert all(key.decode().startswith(KEY_PREFIX) for key in client.scan_iter())
        raw = client.lpop(f"{KEY_PREFIX}cpu")
    assert isinstance(raw, bytes)
    message = json.loads(raw)
    assert message["headers"]["task"] == TRAIN
    assert message["headers"]["argsrepr"] == repr(["a" * 32])
    assert message["headers"]["eta"] is None
    assert message["content-type"] == "application/json"


def test_queues_are_apart(broker: Broker) -> None:
    app = make_celery(settings(broker.url))
    for queue in QUEUES:
        notify(app, "x", queue)
        assert waiting(app, queue) == 1
    with pytest.raises(ValueError, match="no queue tpu"):
        notify(app, "x", "tpu")


@pytest.mark.parametrize("state", ["frozen", "gone"])
def test_a_broker_that_does_not_answer_is_soon_unavailable(broker: Broker, state: str) -> None:
    app = make_celery(settings(broker.url), publish_seconds=0.25)
    notify(app, "x", "cpu")
    if state == "frozen":
        broker.freeze()
    else:
        broker.stop()
    # The harness itself ends the test should one of these hang.
    for _ in range(3):
        with pytest.raises(UnavailableError) as caught:
            notify(app, "x", "cpu")
        assert "secret" not in str(caught.value)
    with pytest.raises(UnavailableError):
        waiting(app, "cpu")
    if state == "frozen":
        broker.thaw()
    else:
        broker.start()
    notify(app, "after", "cpu")
    assert waiting(app, "cpu") >= 1


def test_a_broker_that_refuses_to_store_is_unavailable(broker: Broker) -> None:
    app = make_celery(settings(broker.url), publish_seconds=1)
    notify(app, "x", "cpu")
    with broker.client as client:
        client.config_set("maxmemory", 1)
    with pytest.raises(UnavailableError):
        notify(app, "x", "cpu")


def test_a_wrong_password_is_reported_without_the_password(broker: Broker) -> None:
    url = f"redis://:hunter2@127.0.0.1:{broker.port}/0"
    app = make_celery(settings(url), publish_seconds=1)
    with pytest.raises(UnavailableError) as caught:
        notify(app, "x", "cpu")
    assert "hunter2" not in str(caught.value)


def test_without_a_broker_the_remedy_is_named() -> None:
    with pytest.raises(InvalidError, match="CHAINRULE_BROKER_URL"):
        make_celery(settings(""))


def test_settings_that_reliability_rests_on() -> None:
    app = make_celery(Settings(broker_url="redis://localhost:1/0", slots=3))
    expected = {
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_create_missing_queues": False,
        "task_time_limit": None,
        "task_soft_time_limit": None,
        "result_backend": None,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_accept_content": ["json"],
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "worker_pool": "prefork",
        "worker_concurrency": 3,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_enable_remote_control": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_soft_shutdown_timeout": 50.0,
        "worker_proc_alive_timeout": 30.0,
    }
    assert {name: app.conf[name] for name in expected} == expected
    options = app.conf.broker_transport_options
    assert options["visibility_timeout"] == 60
    assert options["unacked_restore_throttle"] == 1
    assert "max_retries" not in options


WORKER = """
import sys
import time
from core.queue import TRAIN, make_celery
from core.settings import Settings

app = make_celery(Settings())


@app.task(name=TRAIN)
def train(job_id):
    print("rung", job_id, flush=True)
    time.sleep(600 if job_id == "long" else 0)


app.worker_main(["worker", "--pool=prefork", "--concurrency=1", "--without-gossip",
                 "--without-mingle", "--without-heartbeat", "--loglevel=CRITICAL"])
"""


@pytest.fixture
def rung(broker: Broker) -> Iterator[Iterator[str]]:
    """What a worker on the broker says, line by line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={"CHAINRULE_BROKER_URL": broker.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    yield (line for line in process.stdout if line.startswith("rung"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_worker_gets_messages_and_survives_a_restart_of_the_broker(
    broker: Broker, rung: Iterator[str]
) -> None:
    app = make_celery(settings(broker.url), publish_seconds=2)
    notify(app, "first", "cpu")
    assert next(rung) == "rung first\n"
    # At this moment the worker has just taken the message: an acknowledgement would fail.
    broker.stop()
    broker.start()
    notify(app, "second", "gpu")
    assert next(rung) == "rung second\n"


def test_a_busy_worker_leaves_the_other_messages_to_others(
    broker: Broker, rung: Iterator[str]
) -> None:
    app = make_celery(settings(broker.url), publish_seconds=2)
    notify(app, "long", "cpu")
    assert next(rung) == "rung long\n"
    for number in range(3):
        notify(app, str(number), "cpu")
    time.sleep(1)
    assert waiting(app, "cpu") == 3
