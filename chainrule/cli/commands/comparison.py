"""Commands that compare jobs: diff and reproduce."""

import dataclasses

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.progress import follow
from chainrule.client import Client
from chainrule.comparison import (
    Difference,
    differences,
    first_difference,
    identical_weights,
    other_kernel,
)
from chainrule.transport import Document


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("diff")(diff)
    app.command("reproduce")(reproduce)


def diff(
    left: JobId, right: JobId, url: Url = URL, token: Token = "", as_json: Json = False
) -> None:
    """Show what differs between two jobs: data, specs, sources, environments, results."""
    with client(url, token) as server:
        one, other = (_with_source(server, find(server, given)) for given in (left, right))
    found = differences(one, other)
    if as_json:
        views.print_json([dataclasses.asdict(difference) for difference in found])
        return
    _show(found, one["id"], other["id"])


def reproduce(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Train a finished job again, on the same data version, and compare the weights.

    Ends with 0 when they are identical, else with 1 and the first metric that differs, the BLAS
    kernels if they are others, or why the new job has no weights.
    """
    with client(url, token) as server:
        before = server.jobs.get(find(server, job_id, kind="train"))
        if not before.get("weights_digest"):
            raise typer.BadParameter(f"job {before['id']} is {before['status']}: it has no weights")
        # The spec may say `digits` or an alias, which may have moved; the job knows the version.
        again = server.jobs.submit({**before["spec"], "dataset": before["dataset"]})
        after = server.jobs.get(follow(server, again["id"], visible=not as_json)["id"])
        same = identical_weights(before, after)
        parting = None
        if not same:
            parting = first_difference(
                server.jobs.metrics(before["id"]), server.jobs.metrics(after["id"])
            )
    found = differences(before, after)
    if as_json:
        listed = [dataclasses.asdict(difference) for difference in found]
        first = parting and {"epoch": parting[0], **dataclasses.asdict(parting[1])}
        views.print_json(
            {"job": after["id"], "identical": bool(same), "first": first, "differences": listed}
        )
    elif same:
        views.CONSOLE.print(f"[green]identical weights[/] {after['weights_digest']}")
    else:
        told = "the weights differ" if same is False else f"the new job is {after['status']}"
        views.CONSOLE.print(f"[red]{told}[/]")
        if parting is not None:
            epoch, at = parting
            views.CONSOLE.print(f"first in epoch {epoch}: {at.path} {at.left} | {at.right}")
        if (kernels := other_kernel(found)) is not None:
            views.CONSOLE.print(kernels)
        _show(found, before["id"], after["id"])
    if not same:
        raise typer.Exit(1)


def _with_source(server: Client, job_id: str) -> Document:
    job = server.jobs.get(job_id)
    return {**job, "source": server.jobs.source(job_id) if job["spec"].get("source") else None}


def _show(found: list[Difference], left: str, right: str) -> None:
    rows = ((one.path, str(one.left), str(one.right)) for one in found)
    views.table(("where", left[:8], right[:8]), rows, "no difference")
