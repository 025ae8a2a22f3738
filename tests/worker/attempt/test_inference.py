"""Attempts that use a model: measured and scored by a real runner, once, whatever happens."""

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs, models
from core.data.table import columns
from core.db.session import reading, transaction
from core.db.tables import Evaluation
from core.spec.inference import EvaluationSpec, ScoringSpec
from core.training.model import TrainedModel
from tests.support.present import present
from tests.support.worker_cases import DIGITS_CSV, Bench, until


@pytest.fixture
def trained(bench: Bench) -> str:
    """A job that left a model."""
    job_id = bench.submit(epochs=1)
    bench.slot.work(job_id)
    return job_id


def rows_of(bench: Bench) -> list[Evaluation]:
    with reading(bench.engine) as session:
        return list(session.scalars(select(Evaluation)))


def answers(bench: Bench, trained: str, folder: Path) -> tuple[list[int], list[int]]:
    """What the model says of all rows, and the truth."""
    bench.store.get_file(present(bench.job(trained).result)["model_key"], folder / "model")
    model = TrainedModel.load(folder / "model")
    table = pyarrow.csv.read_csv(DIGITS_CSV)
    said = model.answers(model.outputs(model.table_to_array(table)))
    return said, columns.labels(table, "label").tolist()


def test_a_model_is_measured_and_its_answers_are_kept(
    bench: Bench, trained: str, tmp_path: Path
) -> None:
    said, truth = answers(bench, trained, tmp_path)
    measuring = bench.infer(EvaluationSpec(dataset="digits", slices=("label",)), trained)
    scoring = bench.infer(ScoringSpec(dataset="digits", keep=("label",)), trained)
    assert bench.slot.work(measuring) == 2
    assert bench.job(measuring).status is JobStatus.FINISHED
    (row,) = rows_of(bench)
    right = float(np.mean(np.array(said) == np.array(truth)))
    assert (row.job_id, row.evaluated_by, row.rows) == (trained, measuring, 1797)
    assert row.metrics["accuracy"] == pytest.approx(right)
    assert sum(one["rows"] for one in row.slices) == 1797
    assert np.trace(present(row.confusion)["counts"]) == round(right * 1797)
    ((step, measured),) = bench.history(measuring)["eval/accuracy"]
    assert step == 1
    assert measured == pytest.approx(right)
    assert present(bench.job(measuring).progress)["rows"] == 1797

    result = present(bench.job(scoring).result)
    bench.store.get_file(result["predictions_key"], tmp_path / "answers.parquet")
    found = pq.read_table(tmp_path / "answers.parquet")
    assert found.column_names == result["columns"] == ["row", "label", "prediction"]
    assert found["prediction"].to_pylist() == said
    assert found["label"].to_pylist() == truth
    again = bench.infer(EvaluationSpec(dataset="digits", slices=("label",)), trained)
    assert again == measuring


def test_an_attempt_that_is_killed_measures_once(bench: Bench, trained: str) -> None:
    job_id = bench.infer(EvaluationSpec(dataset="digits"), trained)
    runner = bench.equipment.runner()
    os.kill(runner.pid, signal.SIGSTOP)
    with bench.working(job_id) as thread:
        until(lambda: runner.busy)
        os.kill(runner.pid, signal.SIGKILL)
        thread.join(60)
    assert bench.job(job_id).status is JobStatus.FINISHED
    ends = [one.status for one in bench.attempts(job_id)]
    assert ends == [AttemptStatus.LOST, AttemptStatus.FINISHED]
    assert [row.evaluated_by for row in rows_of(bench)] == [job_id]


def test_a_job_whose_model_is_gone_fails_and_says_so(bench: Bench, trained: str) -> None:
    bench.store.delete(present(bench.job(trained).result)["model_key"])
    bench.equipment.cache.forget(present(bench.job(trained).result)["model_digest"])
    job_id = bench.infer(ScoringSpec(dataset="digits", max_attempts=1), trained)
    bench.slot.work(job_id)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "data_missing"
    with transaction(bench.engine) as session:
        again = jobs.retry(session, job_id, owner="local")
        assert (again.kind, again.model_job_id) == (job.kind, trained)


def test_a_model_with_balanced_weights_is_evaluated_and_promoted(bench: Bench) -> None:
    loss = {"kind": "cross_entropy", "class_weights": "balanced"}
    for epochs in (1, 4):
        job_id = bench.submit(epochs=epochs, loss=loss)
        bench.slot.work(job_id)
        with transaction(bench.engine) as session:
            models.register(session, "digits", job_id, owner="local")
        bench.slot.work(bench.infer(EvaluationSpec(dataset="digits"), job_id))
    with transaction(bench.engine) as session:
        promoted = [
            models.promote(
                session,
                "digits",
                "champion",
                version,
                dataset=session.merge(bench.version),
                metric="loss",
                owner="local",
            ).promoted
            for version in (1, 2)
        ]
    assert promoted == [True, True]
