"""Commands for jobs: submit, job, cancel, predict."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.assignments import Assignments, with_assignments
from chainrule.cli.dataset_pages import tags as tags_in_line
from chainrule.cli.files import RowsFile, read_object, read_rows
from chainrule.cli.options import URL, Json, Source, SourceFiles, Token, Url, client
from chainrule.cli.predictions import (
    Interval,
    Probabilities,
    predicted,
    show_predictions,
)
from chainrule.cli.progress import follow, waiting
from chainrule.client import Client
from chainrule.client.transport import Document
from chainrule.contract.status import JobStatus

_ID_CHARACTERS = 32
_ENDED_WELL = {JobStatus.FINISHED, JobStatus.PRUNED}

JobId = Annotated[str, typer.Argument(help="Id of the job, its first characters, or `latest`.")]


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("submit")(submit)
    app.command("job")(show)
    app.command("cancel")(cancel)
    app.command("predict")(predict)


def submit(
    file: Annotated[
        Path,
        typer.Argument(help="A JobSpec as a JSON file; - reads standard input.", allow_dash=True),
    ],
    watching: Annotated[
        bool, typer.Option("--watch", "-w", help="Wait until the job ends.")
    ] = False,
    assignments: Assignments = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="Idempotency key: a second submission with it returns the same job."
        ),
    ] = None,
    source: Source = True,
    source_files: SourceFiles = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Submit a job. It trains when a worker is free.

    The server's page /docs explains each field of a JobSpec and shows an example.

    [dim]chainrule submit job.json --watch[/]

    [dim]chainrule submit job.json --set optimizer.learning_rate=0.01 --set epochs=20[/]
    """
    spec = with_assignments(read_object(file, "JobSpec"), assignments)
    with client(url, token, source=source, source_files=source_files) as server:
        job = server.jobs.submit(spec, idempotency_key=key)
        if watching:
            job = follow(server, job["id"], visible=not as_json)
        if as_json:
            views.print_json(job)
        elif not watching:
            views.CONSOLE.print(f"[green]queued[/] {job['id']}")
            if job.get("waits_for"):
                views.CONSOLE.print(f"[yellow]{waiting(job)}[/]")
            views.CONSOLE.print(f"[dim]follow it: chainrule watch {job['id'][:8]}[/]")
    exit_as(job, watching)


def show(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show a job: progress, metrics, attempts, and its run in MLflow."""
    with client(url, token) as server:
        job = server.jobs.get(find(server, job_id))
    if as_json:
        views.print_json(job)
        return
    views.facts(
        (
            ("job", job["id"]),
            ("name", job.get("name") or ""),
            ("tags", tags_in_line(job.get("tags") or {})),
            ("note", job.get("note") or ""),
            ("status", views.status(job)),
            ("waits for", job.get("waits_for") or ""),
            ("why", views.cause(job.get("cause"))),
            ("stopped by", job.get("reason") or ""),
            ("experiment", job["experiment"]),
            ("dataset", job["dataset"]),
            ("does", job["kind"]),
            ("passed", views.passed(job)),
            ("last", views.metrics(job.get("last_metrics") or {})),
            ("best", views.best(job)),
            ("warning", Text("\n".join(job.get("warnings") or ()), style="yellow")),
            ("took", views.duration(job.get("started_at"), job.get("finished_at"))),
            ("weights", job.get("weights_digest") or ""),
            ("model of", job.get("model_job_id") or ""),
            ("predictions", job.get("predictions_digest") or ""),
            ("MLflow", job.get("mlflow_url") or ""),
        )
    )
    if job.get("attempts"):
        views.CONSOLE.print()
        views.table(
            ("attempt", "status", "node", "started", "took", "why"),
            (
                (
                    str(attempt["number"]),
                    views.status(attempt),
                    attempt["node"],
                    views.ago(attempt.get("started_at")),
                    views.duration(attempt.get("started_at"), attempt.get("ended_at")),
                    views.cause(attempt.get("cause")),
                )
                for attempt in job["attempts"]
            ),
            "",
        )


def cancel(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Cancel a job: a queued one at once, a running one within about a second."""
    with client(url, token) as server:
        job = server.jobs.cancel(find(server, job_id))
    if as_json:
        views.print_json(job)
    elif JobStatus(job["status"]).terminal:
        views.CONSOLE.print(f"[green]cancelled[/] {job['id']}")
    else:
        views.CONSOLE.print(f"[green]asked to stop[/] {job['id']}")


def predict(
    job_id: JobId,
    file: RowsFile,
    probabilities: Probabilities = False,
    interval: Interval = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Predict rows of data with the model of a finished job. Prints one line for each row.

    [dim]chainrule predict latest rows.csv[/]
    """
    rows = read_rows(file)
    with client(url, token) as server:
        job = server.jobs.get(find(server, job_id, kind="train"))
        answer = predicted(
            server.jobs,
            job["id"],
            rows,
            file,
            job["spec"]["data"]["target"],
            probabilities=probabilities,
            interval=interval,
        )
    show_predictions(answer, as_json=as_json)


def find(server: Client, given: str, *, kind: str | None = None) -> str:
    """Return the id of a job named by its id, its first characters, or `latest` (of a kind).

    Raises BadParameter if there is no job yet, or if several ids begin with these characters.
    """
    if len(given) >= _ID_CHARACTERS:
        return given
    listed = server.jobs.list(kind=kind, limit=100)
    recent = [job["id"] for _, job in zip(range(500), listed, strict=False)]
    if given == "latest":
        if not recent:
            raise typer.BadParameter("there are no jobs yet: submit one with `chainrule submit`")
        return str(recent[0])
    matches = [job_id for job_id in recent if job_id.startswith(given)]
    if len(matches) > 1:
        raise typer.BadParameter(
            f"{len(matches)} jobs begin with {given}: type more characters of the id"
        )
    return str(matches[0]) if matches else given


def exit_as(job: Document, watched: bool) -> None:
    """Exit with code 1 if the watched job did not end well."""
    if watched and JobStatus(job["status"]) not in _ENDED_WELL:
        raise typer.Exit(1)
