"""`chainrule diff` and `chainrule reproduce`: compare jobs."""

import dataclasses
from http import HTTPStatus

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.progress import follow
from chainrule.client import Client
from chainrule.client.problem import ProblemError
from chainrule.client.transport import Document
from chainrule.comparison import (
    Difference,
    differences,
    first_difference,
    first_layer,
    identical_weights,
    other_environment,
    other_kernel,
)


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("diff")(diff)
    app.command("reproduce")(reproduce)


def diff(
    left: JobId, right: JobId, url: Url = URL, token: Token = "", as_json: Json = False
) -> None:
    """Show the differences between two jobs: data, specs, sources, environments, results.

    [dim]chainrule diff 3f2a91c0 latest[/]
    """
    with client(url, token) as server:
        first, second = (_with_source(server, find(server, given)) for given in (left, right))
    rows = differences(first, second)
    if as_json:
        views.print_json([dataclasses.asdict(row) for row in rows])
        return
    _show(rows, first["id"], second["id"])


def reproduce(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Train a finished job again on the same dataset version, and compare the weights.

    Exit code 0 if they are identical. Otherwise 1, with the first epoch and metric that differ, the
    first layer whose outputs differ at the end, what differs in the environment, or the status of a
    new job that has no weights.
    """
    with client(url, token) as server:
        before = server.jobs.get(find(server, job_id, kind="train"))
        if not before.get("weights_digest"):
            raise typer.BadParameter(
                f"job {before['id']} is {before['status']} and has no weights: name a finished one"
            )
        # The name or alias in the spec may have moved since; the job records the version.
        again = server.jobs.submit({**before["spec"], "dataset": before["dataset"]})
        after = server.jobs.get(follow(server, again["id"], visible=not as_json)["id"])
        same = identical_weights(before, after)
        parted = layer = None
        if not same:
            parted = first_difference(
                server.jobs.metrics(before["id"]), server.jobs.metrics(after["id"])
            )
            layer = first_layer(_insights(server, before["id"]), _insights(server, after["id"]))
    rows = differences(before, after)
    if as_json:
        listed = [dataclasses.asdict(row) for row in rows]
        first = parted and {"epoch": parted[0], **dataclasses.asdict(parted[1])}
        views.print_json(
            {
                "job": after["id"],
                "identical": bool(same),
                "first": first,
                "layer": layer,
                "differences": listed,
            }
        )
    elif same:
        views.CONSOLE.print(f"[green]identical weights[/] {after['weights_digest']}")
    else:
        result = "the weights differ" if same is False else f"the new job is {after['status']}"
        views.CONSOLE.print(f"[red]{result}[/]")
        if parted is not None:
            epoch, row = parted
            views.CONSOLE.print(f"first in epoch {epoch}: {row.path} {row.left} | {row.right}")
        if layer is not None:
            views.CONSOLE.print(
                f"first layer whose outputs differ at the end: {layer}", markup=False
            )
        for sentence in (other_environment(rows), other_kernel(rows)):
            if sentence is not None:
                views.CONSOLE.print(sentence, markup=False)
        _show(rows, before["id"], after["id"])
    if not same:
        raise typer.Exit(1)


def _insights(server: Client, job_id: str) -> Document | None:
    try:
        return server.jobs.insights(job_id)
    except ProblemError as problem:
        if problem.status != HTTPStatus.NOT_FOUND:
            raise
        return None


def _with_source(server: Client, job_id: str) -> Document:
    job = server.jobs.get(job_id)
    return {**job, "source": server.jobs.source(job_id) if job["spec"].get("source") else None}


def _show(rows: list[Difference], left: str, right: str) -> None:
    cells = ((row.path, str(row.left), str(row.right)) for row in rows)
    views.table(("where", left[:8], right[:8]), cells, "no difference")
