"""One attempt from claim to end, with a real runner and real databases."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.data.storage.stores import Store
from core.db.session import reading, transaction
from core.events import Codec, Event, TrainingEnded
from core.spec.job import DIGITS
from core.training.model import TrainedModel
from tests.support.present import present
from tests.support.worker_cases import CONSTANT_NETWORK, LONG, Bench, until

DATA = cast(dict[str, Any], DIGITS["data"])


def test_a_job_is_trained_and_finished(bench: Bench, tmp_path: Path) -> None:
    job_id = bench.submit(epochs=3)
    assert bench.slot.work(job_id) == 1
    job = bench.job(job_id)
    assert job.status is JobStatus.FINISHED
    assert present(job.result)["reason"] == "epochs"
    assert present(job.progress)["epoch"] == 3
    assert present(job.progress)["last"]["valid/accuracy"] > 0.8
    assert (
        present(job.progress)["best"]["valid/loss"] <= present(job.progress)["last"]["valid/loss"]
    )
    history = bench.history(job_id)
    assert [step for step, _ in history["valid/loss"]] == [45, 90, 135]
    assert len(history["test/accuracy"]) == 1
    bench.store.get_file(present(job.result)["model_key"], tmp_path / "model")
    model = TrainedModel.load(tmp_path / "model")
    assert model.digest == present(job.result)["weights_digest"]
    (attempt,) = bench.attempts(job_id)
    assert attempt.status is AttemptStatus.FINISHED
    assert attempt.node == "bench"
    assert present(attempt.peak_memory_bytes) > 10_000_000
    lines = bench.log_lines(job_id)
    assert lines[0] == "attempt 1 on bench: fetching the data"
    assert lines[1].startswith("training begins: ")
    assert lines[2].startswith("epoch 1/3: train/loss ")
    assert lines[-1].startswith("training ended at step 135: all epochs are done; ")
    best_epoch = present(job.progress)["best_epoch"]
    assert lines[-1].endswith(f"; best was epoch {best_epoch} by valid/loss")


def test_a_model_that_learned_nothing_is_warned_about_in_the_log(bench: Bench) -> None:
    job_id = bench.submit(epochs=1, network=CONSTANT_NETWORK)
    bench.slot.work(job_id)
    assert not bench.result(job_id)["baseline"]["better"]
    (warning,) = [line for line in bench.log_lines(job_id) if "no better than" in line]
    assert "predicting the majority class of the training rows" in warning


def test_a_runner_cannot_have_files_of_others_uploaded(
    make_bench: Callable[..., Bench], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(sqlite_url)
    secret = bench.settings.data_dir / "secret"
    secret.write_text("hidden")
    decode = Codec.decode

    def forge(document: dict[str, Any]) -> Event:
        event = decode(document)
        return replace(event, path=str(secret)) if isinstance(event, TrainingEnded) else event

    monkeypatch.setattr(Codec, "decode", forge)
    job_id = bench.submit(epochs=1, max_attempts=1)
    bench.slot.work(job_id)
    assert bench.job(job_id).status is JobStatus.FAILED
    assert "outside of its folder" in str(bench.job(job_id).cause)
    assert secret.exists()


def test_what_waits_is_taken_without_another_message(bench: Bench) -> None:
    job_ids = [bench.submit(epochs=1, seed=seed) for seed in range(3)]
    assert bench.slot.work(job_ids[0]) == 3
    assert {bench.job(job_id).status for job_id in job_ids} == {JobStatus.FINISHED}


def test_a_message_for_no_job_is_harmless(bench: Bench) -> None:
    assert bench.slot.work("no such job") == 0


def test_a_training_that_cannot_go_on_fails_once_with_its_cause(bench: Bench) -> None:
    job_id = bench.submit(
        epochs=3,
        optimizer={"kind": "sgd", "learning_rate": 1e30},
        network=[{"kind": "dense", "units": 8}, {"kind": "dense", "units": 10}],
    )
    bench.slot.work(job_id)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "user_error"
    assert "learning rate" in present(job.cause)["message"]
    assert present(job.cause)["message"] in bench.log_lines(job_id)
    assert job.attempt == 1


def test_cancelling_stops_training(bench: Bench) -> None:
    job_id = bench.submit(**LONG)
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).progress_step > 0)
        with transaction(bench.engine) as session:
            jobs.cancel(session, job_id)
        thread.join(20)
    job = bench.job(job_id)
    assert job.status is JobStatus.CANCELLED
    assert bench.equipment.runner().pid > 0


@pytest.mark.parametrize(("memory_bytes", "epochs"), [(None, 350), (2**20, 130)])
def test_a_killed_runner_is_replaced_and_training_goes_on_from_its_checkpoint(
    bench: Bench, memory_bytes: int | None, epochs: int
) -> None:
    """With 1 MB of memory for them the rows are read from the disk."""
    data = {**DATA, "memory_bytes": memory_bytes}
    calm = bench.submit(epochs=epochs, data=data)
    bench.slot.work(calm)
    job_id = bench.submit(epochs=epochs, data=data, checkpoint={"every_steps": 100})
    first = bench.equipment.runner().pid
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).checkpoint_id)
        os.kill(first, signal.SIGKILL)
        thread.join(60)
    job, attempts = bench.job(job_id), bench.attempts(job_id)
    assert job.status is JobStatus.FINISHED
    assert [one.status for one in attempts] == [AttemptStatus.LOST, AttemptStatus.FINISHED]
    assert present(attempts[0].cause)["signal"] == "SIGKILL"
    assert attempts[0].exit_code == -signal.SIGKILL
    assert attempts[1].resumed_from_step >= 100
    assert (
        present(job.result)["weights_digest"] == present(bench.job(calm).result)["weights_digest"]
    )
    assert bench.history(job_id) == bench.history(calm)


class Spoiling(Store):
    """Gives other bytes for the labels of the digits when it is asked for them alone."""

    def get_range(self, key: str, start: int, size: int) -> bytes:
        content = super().get_range(key, start, size)
        return bytes([content[0] ^ 1]) + content[1:] if size == 8 * 1797 else content


def test_columns_that_the_store_spoilt_make_no_model(bench: Bench) -> None:
    store = bench.store
    bench.equipment.store = Spoiling(store._files, store._root, store.url)
    job_id = bench.submit(epochs=1, data={**DATA, "memory_bytes": 2**20})
    bench.slot.work(job_id)
    first = bench.attempts(job_id)[0]
    assert first.status is AttemptStatus.LOST
    assert present(first.cause)["kind"] == "data_unavailable"
    assert "other bytes for columns label" in present(first.cause)["message"]


def test_data_that_the_machine_s_cache_cannot_hold_is_said_so(
    make_bench: Callable[..., Bench], sqlite_url: str
) -> None:
    bench = make_bench(sqlite_url, cache_bytes=1000)
    job_id = bench.submit(max_attempts=1)
    bench.slot.work(job_id)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "data_too_large"
    assert "do not fit into the cache of 1,000" in present(job.cause)["message"]


@pytest.mark.parametrize("how", ["pause", "drain"])
def test_giving_a_job_back_keeps_every_step(bench: Bench, how: str) -> None:
    job_id = bench.submit(**LONG)
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).progress_step > 0)
        if how == "pause":
            with transaction(bench.engine) as session:
                jobs.pause(session, job_id)
        else:
            bench.drain.begin()
        thread.join(20)
    job = bench.job(job_id)
    assert job.status is (JobStatus.PAUSED if how == "pause" else JobStatus.QUEUED)
    (attempt,) = bench.attempts(job_id)
    assert attempt.status is AttemptStatus.RELEASED
    assert attempt.cause == {"kind": how}
    with reading(bench.engine) as session:
        saved = jobs.checkpoints(session, job_id)[0]
    assert max(step for step, _ in bench.history(job_id)["train/loss"]) <= saved.step
    assert job.infra_failures == 0
