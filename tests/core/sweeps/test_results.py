"""The study of a sweep for Optuna: which job each trial was, and when it trained."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
from sqlalchemy import Engine

from core import jobs, sweeps
from core.db.session import reading, transaction
from tests.support import sweep_cases


def test_the_study_has_the_times_and_jobs_of_its_trials(engine: Engine, tmp_path: Path) -> None:
    sweep_id = sweep_cases.started(engine, n_trials=3, max_parallel=3)
    sweep_cases.rounds(engine, sweep_id)
    rows = sweep_cases.table(engine, sweep_id)
    begun = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with transaction(engine) as session:
        for number, (_, job) in enumerate(rows):
            jobs.get(session, job.id).started_at = begun + timedelta(hours=number)
    with reading(engine) as session:
        results = sweeps.read_results(session, sweep_id)
    results.export(tmp_path / "study.db")
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / 'study.db'}")
    for number, (trial, (_, job)) in enumerate(zip(study.trials, rows, strict=True)):
        assert trial.user_attrs == {"job_id": job.id}
        assert trial.datetime_start is not None
        assert trial.datetime_start.astimezone(UTC) == begun + timedelta(hours=number)
        assert trial.datetime_complete is not None
        assert trial.datetime_complete.astimezone(UTC) == job.finished_at
