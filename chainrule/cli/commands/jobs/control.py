"""Commands that control jobs and machines."""

from typing import Annotated

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.cli.capacity import warnings
from chainrule.cli.commands.jobs.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("retry")(retry)
    app.command("priority")(priority)
    app.command("drain")(drain)


def pause(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Pause a job. A running job saves a checkpoint first. Continue it with `resume`."""
    with client(url, token) as server:
        _show(
            server.jobs.pause(find(server, job_id)), "paused", as_json, requested="asked to pause"
        )


def resume(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Continue a paused job from its last checkpoint. The result is the same as without a pause."""
    with client(url, token) as server:
        _show(server.jobs.resume(find(server, job_id)), "queued", as_json)


def retry(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Submit the spec of a failed or cancelled job as a new job.

    If the job is queued and waits after a loss, end that wait.
    """
    with client(url, token) as server:
        _show(server.jobs.retry(find(server, job_id)), "queued", as_json)


def priority(
    job_id: JobId,
    value: Annotated[int, typer.Argument(help="-100 to 100. Higher runs first; the default is 0.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Move a queued job before or after others.

    [dim]chainrule priority latest 10[/]
    """
    with client(url, token) as server:
        job = server.jobs.move(find(server, job_id), value)
    if as_json:
        views.print_json(job)
    else:
        views.CONSOLE.print(f"[green]priority {job['priority']}[/] {job['id']}")


def drain(
    node: Annotated[str, typer.Argument(help="Name of the machine, from `chainrule nodes`.")],
    worker: Annotated[
        str, typer.Option(help="Only this worker: its id, from `nodes --json`.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="End the drain: take jobs again.")] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Drain a machine: its workers save checkpoints, give their jobs back and take no new ones.

    [dim]chainrule drain gpu-3[/]
    """
    with client(url, token) as server:
        machine = server.drain(node, worker=worker, undo=undo)
        nodes = list(server.nodes())
    if as_json:
        views.print_json(machine)
    else:
        state = "takes jobs again" if undo else "gives its jobs to others"
        views.CONSOLE.print(f"[green]{worker or machine['name']}[/] {state}")
    for text in warnings(nodes):
        views.ERRORS.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _show(job: Document, done: str, as_json: bool, requested: str = "") -> None:
    """Print what happened: `done`, or `requested` while a worker still has to do it."""
    if as_json:
        views.print_json(job)
        return
    word = requested if requested and job["status"] == "running" else done
    views.CONSOLE.print(f"[green]{word}[/] {job['id']}")
