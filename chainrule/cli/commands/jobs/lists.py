"""`chainrule jobs` and `chainrule experiments`: lists."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.progress import waiting
from chainrule.client.transport import Document
from chainrule.contract.status import JobKind, JobStatus

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIMES = ("created_at", "started_at", "finished_at")

Since = Annotated[
    str | None,
    typer.Option(help="Only those created since: 2026-01-31, or 30m, 12h, 7d, 2w ago."),
]
Until = Annotated[str | None, typer.Option(help="Only those created before, as in --since.")]


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("jobs")(list_jobs)
    app.command("experiments")(list_experiments)


def list_jobs(
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs with this status.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only jobs of this experiment.")] = None,
    name: Annotated[str | None, typer.Option(help="Only jobs of this name.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only jobs on digits, or digits@1.")] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Only jobs that do this.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only jobs with this tag, like team:a. Repeatable.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Only jobs with this: 'valid/accuracy>=0.9'. Repeatable."),
    ] = None,
    since: Since = None,
    until: Until = None,
    sort: Annotated[
        str,
        typer.Option(help="created_at, started_at, finished_at or a metric; - before it: falling."),
    ] = "-created_at",
    limit: Annotated[int, typer.Option(min=1, help="Number of jobs.")] = 20,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List jobs, newest first.

    [dim]chainrule jobs --experiment digits --sort=-valid/accuracy[/]

    [dim]chainrule jobs --metric 'test/accuracy>0.95' --since 7d --tag team:a[/]
    """
    with client(url, token) as server:
        pages = server.jobs.list(
            status=status.value if status else None,
            experiment=experiment,
            name=name,
            dataset=dataset,
            kind=kind.value if kind else None,
            tag=tag or None,
            metric=metric or None,
            created_after=moment(since, "--since"),
            created_before=moment(until, "--until"),
            sort=sort,
            limit=min(limit, 100),
        )
        listed = [job for _, job in zip(range(limit), pages, strict=False)]
    if as_json:
        views.print_json(listed)
        return
    first = sort.removeprefix("-")
    views.table(
        ("job", "status", "does", "experiment", "dataset", "passed", "metrics", "created"),
        (
            (
                job["id"][:8],
                views.status(job),
                job["kind"],
                job["experiment"],
                job["dataset"],
                views.passed(job),
                _metric(job, "" if first in _TIMES else first),
                views.ago(job.get("created_at")),
            )
            for job in listed
        ),
        "no jobs: chainrule submit job.json",
    )


def _metric(job: Document, key: str) -> str:
    """What a list shows of the result of a job: the metric `key`, or else the usual one."""
    if job.get("waits_for"):
        return waiting(job)
    values = job.get("last_metrics") or {}
    return views.metrics({key: values[key]} if key in values else values, limit=1)


def moment(text: str | None, option: str) -> str | None:
    """Return the time of a text like `2026-01-31` (of this machine) or `7d` (ago), in UTC.

    Raises BadParameter with the name of the option.
    """
    if text is None:
        return None
    ago = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    try:
        if ago is not None:
            at = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{option} {text!r} is not a time: write 2026-01-31, 2026-01-31T12:00 or 7d"
        ) from None
    return at.isoformat().replace("+00:00", "Z")


def list_experiments(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List experiments, the groups that jobs name."""
    with client(url, token) as server:
        listed = list(server.experiments())
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("experiment", "created", "MLflow"),
        (
            (row["name"], views.ago(row.get("created_at")), row.get("mlflow_url") or "")
            for row in listed
        ),
        "no experiments yet: a job names its experiment",
    )
