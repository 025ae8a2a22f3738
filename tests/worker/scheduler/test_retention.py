"""A scheduler deletes what is old by itself, with the days of the settings."""

import threading

from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.support.brokers import Broker
from tests.support.worker_cases import Bench
from worker.scheduler.__main__ import Scheduler


def test_the_scheduler_deletes_old_rows_and_files(bench: Bench, broker: Broker) -> None:
    job_id = bench.submit(epochs=1)
    bench.slot.work(job_id)
    key = f"checkpoints/{job_id}/9/1-left"
    bench.store.put_bytes(b"bytes", key)
    settings = bench.settings.model_copy(
        update={
            "broker_url": SecretStr(broker.url),
            "keep_logs_days": 1e-9,
            "keep_orphans_days": 1e-9,
        }
    )
    scheduler, ended = Scheduler(settings), threading.Event()
    ended.set()
    (loop,) = [loop for loop in scheduler._loops if loop.name == "retention"]
    try:
        with capture_logs() as logged:
            for _ in range(3):
                loop._work()
    finally:
        scheduler.run(ended)  # closes what it opened
    freed = {line["kind"]: line for line in logged if line["event"] == "old data was deleted"}
    assert freed.keys() == {"logs", "orphans"}
    assert freed["logs"]["rows"] > 0
    assert not bench.store.exists(key)
    assert bench.store.exists(f"models/{job_id}/1/model.safetensors")
