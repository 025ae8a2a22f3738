"""Training as a plain Celery task, as a first version would do it.

Run as `python -m tests.faults.figures.naive`.

It has the same broker, database and training, and `acks_late`, so that the message of a lost worker
is delivered again. It has no lease and no attempt number. The faults must harm it: otherwise the
results of Chainrule would mean nothing.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery

from core.events import CheckpointSaved, EpochEnded, StepEnded, TrainingEnded
from core.spec import JobSpec
from core.training.loop import train

QUEUE = "naive"
TABLES = """
CREATE TABLE naive_jobs (id text PRIMARY KEY, spec jsonb, status text, ends int, digest text);
CREATE TABLE naive_points (job_id text, key text, step bigint, value double precision);
"""


def make_app(broker_url: str, visibility_seconds: float) -> Celery:
    """Celery with the settings that its documentation advises for tasks that must not be lost."""
    app = Celery("naive", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": visibility_seconds,
            "unacked_restore_interval": 1,
        },
    )
    app.task(name="naive.train")(train_job)
    return app


def train_job(job_id: str) -> None:
    """Train a job and write each point when it is measured."""
    address, table = os.environ["NAIVE_DATABASE"], Path(os.environ["NAIVE_TABLE"])
    with (
        psycopg.connect(address, autocommit=True) as database,
        tempfile.TemporaryDirectory() as folder,
    ):
        row = database.execute("SELECT spec FROM naive_jobs WHERE id = %s", (job_id,)).fetchone()
        assert row is not None
        database.execute("UPDATE naive_jobs SET status = 'running' WHERE id = %s", (job_id,))
        digest = ""
        for event in train(JobSpec.model_validate(row[0]), table, Path(folder)):
            if event is None or isinstance(event, CheckpointSaved):
                continue
            if isinstance(event, TrainingEnded):
                digest = event.weights_digest
            elif isinstance(event, StepEnded | EpochEnded):
                _write(database, job_id, event)
        database.execute(
            "UPDATE naive_jobs SET status = 'finished', ends = ends + 1, digest = %s WHERE id = %s",
            (digest, job_id),
        )


def _write(database: Any, job_id: str, event: StepEnded | EpochEnded) -> None:
    with database.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO naive_points VALUES (%s, %s, %s, %s)",
            [(job_id, key, event.step, value) for key, value in event.metrics.items()],
        )


if __name__ == "__main__":
    worker = make_app(os.environ["NAIVE_BROKER"], float(os.environ["NAIVE_VISIBILITY"]))
    worker.worker_main(
        ["worker", "--concurrency=1", "--loglevel=WARNING", "-Q", QUEUE, *sys.argv[1:]]
    )
