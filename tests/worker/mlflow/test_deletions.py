"""Changes of tags and notes reach MLflow, and runs of deleted jobs leave it."""

import pytest

from core import jobs
from core.db.session import reading, transaction
from core.db.tables import DeletedRun, Job
from core.tracking import JOB_TAG, MlflowServer
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from worker.mlflow.deletions import RunDeletion
from worker.mlflow.jobs import JobMirror


def test_changed_tags_and_notes_are_mirrored(
    bench: Bench, mirror: JobMirror, tracker: Tracker, ended: Job
) -> None:
    with transaction(bench.engine) as session:
        jobs.describe(session, ended.id, note="a note", tags={"team": "b", "old": None, "new": "y"})
    until(lambda: mirror.sync(ended.id))
    data = tracker.run(present(ended.mlflow_run_id))["data"]
    tags = {tag["key"]: tag["value"] for tag in data["tags"]}
    assert (tags["team"], tags["new"]) == ("b", "y")
    assert "old" not in tags
    assert "a note" in tags["mlflow.note.content"]
    assert bench.job(ended.id).mirrored_status == "finished"


def test_a_change_while_a_mirror_sends_is_sent_afterwards(
    bench: Bench, mirror: JobMirror, ended: Job
) -> None:
    with reading(bench.engine) as session:
        subject = mirror.describe(session, ended.id)
    with transaction(bench.engine) as session:
        jobs.describe(session, ended.id, tags={"team": "b"})
    with transaction(bench.engine) as session:
        assert not mirror.record_mirrored(session, subject, present(ended.mlflow_run_id))
    assert bench.job(ended.id).mirrored_status is None


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "only tagged"])
def test_the_run_of_a_deleted_job_is_deleted(
    bench: Bench, mirror: JobMirror, server: MlflowServer, ended: Job, recorded: bool
) -> None:
    run_id = present(ended.mlflow_run_id)
    with transaction(bench.engine) as session:
        if not recorded:
            jobs.get(session, ended.id).mlflow_run_id = None
        jobs.delete(session, bench.store, ended.id)
    deletion = RunDeletion(bench.engine, mirror)
    assert until(deletion.look) == 1
    assert server.get_run(run_id)["info"]["lifecycle_stage"] == "deleted"
    assert deletion.look() == 0


def test_a_run_that_is_gone_already_is_done(
    bench: Bench, mirror: JobMirror, server: MlflowServer, ended: Job
) -> None:
    run_id = present(ended.mlflow_run_id)
    server.delete_run(run_id)
    with transaction(bench.engine) as session:
        jobs.delete(session, bench.store, ended.id)
        session.add(DeletedRun(id="0" * 32, tag=JOB_TAG, run_id="f" * 32))
    assert until(RunDeletion(bench.engine, mirror).look) == 2
    assert server.get_run(run_id)["info"]["lifecycle_stage"] == "deleted"


def test_a_mirror_of_a_deleted_job_ends_quietly(
    bench: Bench, mirror: JobMirror, ended: Job
) -> None:
    with transaction(bench.engine) as session:
        jobs.delete(session, bench.store, ended.id)
    assert not mirror.sync(ended.id)
