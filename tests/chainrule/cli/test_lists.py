"""Lists, tags, notes and deletion on the command line."""

import json
from typing import Any

import pytest

from chainrule.cli import views
from core.db.session import transaction
from core.db.tables import Job
from core.spec.sweep import EXAMPLE
from tests.chainrule.cli.commands import run, use
from tests.support.api_cases import SPEC, Bridge, Http


@pytest.fixture
def served(app_http: Http, monkeypatch: pytest.MonkeyPatch) -> Http:
    """An app that the commands reach, with a dataset."""
    monkeypatch.setenv("COLUMNS", "300")
    use(monkeypatch, Bridge(app_http))
    app_http.upload()
    return app_http


def printed(*words: str) -> Any:
    """The JSON that a command prints."""
    ended = run(*words, "--json")
    assert ended.code == 0, ended
    return json.loads(ended.output)


def test_jobs_are_listed_by_metric_tag_and_time(served: Http) -> None:
    ids = [served.submitted(tags={"n": str(number)})["id"] for number in range(3)]
    with transaction(served.app.state.context.engine) as session:
        for job_id, value in zip(ids, (0.5, 0.875, 0.75), strict=True):
            job = session.get_one(Job, job_id)
            job.progress = {"last": {"valid/accuracy": 0.25, "valid/f1": value}}
    assert [job["id"] for job in printed("jobs", "--sort=-valid/f1")] == [ids[1], ids[2], ids[0]]
    assert [job["id"] for job in printed("jobs", "--metric", "valid/f1>0.8")] == [ids[1]]
    assert [job["id"] for job in printed("jobs", "--tag", "n:2", "--dataset", "pets")] == [ids[2]]
    assert len(printed("jobs", "--since", "1h")) == 3
    assert printed("jobs", "--until", "2001-01-01") == []
    assert printed("jobs", "--since", "2001-01-01T00:00", "--name", "none") == []
    wrong = run("jobs", "--since", "yesterday")
    assert wrong.code == 2
    assert "--since 'yesterday' is not a time" in wrong.error


def test_a_list_sorted_by_a_metric_shows_it(served: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views.CONSOLE, "width", 140)
    job_id = served.submitted()["id"]
    with transaction(served.app.state.context.engine) as session:
        job = session.get_one(Job, job_id)
        job.progress = {"last": {"valid/accuracy": 0.25, "valid/f1": 0.875}}
    served.post(f"/v1/jobs/{job_id}/cancel")
    assert "valid/accuracy 0.25" in run("jobs").output
    assert "valid/f1 0.875" in run("jobs", "--sort", "valid/f1").output


def test_tags_and_notes(served: Http) -> None:
    job_id = served.submitted(tags={"old": "x"})["id"]
    assert printed("tag", "latest", "team:a", "--remove", "old")["tags"] == {"team": "a"}
    assert printed("note", job_id[:8], "a [note]")["note"] == "a [note]"
    shown = run("job", "latest").output
    assert "team:a" in shown
    assert "a [note]" in shown
    assert run("tag", "latest", "team").code == 2


def test_an_ended_job_is_deleted_after_a_question(served: Http) -> None:
    job_id = served.submitted()["id"]
    assert run("delete", "latest", "--yes").code == 1
    served.post(f"/v1/jobs/{job_id}/cancel")
    assert run("delete", job_id).code == 1
    assert served.get(f"/v1/jobs/{job_id}").status_code == 200
    assert run("delete", job_id, "--yes").output.strip() == f"deleted {job_id}"
    assert served.get(f"/v1/jobs/{job_id}").status_code == 404


def test_experiments_are_listed(served: Http) -> None:
    assert "no experiments yet" in run("experiments").output
    served.submitted(experiment="first one")
    assert "first one" in run("experiments").output


def test_a_sweep_is_watched_and_deleted(served: Http) -> None:
    spec = {**EXAMPLE, "job": SPEC, "name": "search"}
    sweep_id = served.post("/v1/sweeps", spec).json()["id"]
    assert run("sweep", "delete", "latest", "--yes").code == 1
    served.post(f"/v1/sweeps/{sweep_id}/cancel")
    watched = run("sweep", "watch", "latest")
    # It has no finished trial.
    assert watched.code == 1
    assert "search" in watched.output
    assert "cancelled" in watched.output
    assert printed("sweep", "list", "--status", "running") == []
    assert [row["id"] for row in printed("sweep", "list", "--dataset", "pets@1")] == [sweep_id]
    assert run("sweep", "delete", "latest", "--yes").output.strip() == f"deleted {sweep_id}"
    assert printed("sweep", "list") == []
