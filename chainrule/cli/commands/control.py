"""Commands that change what happens to jobs that wait or run, and to machines."""

from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.transport import Document


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("retry")(retry)
    app.command("priority")(priority)
    app.command("drain")(drain)


def pause(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Keep a job from running; one that runs saves a checkpoint first. `resume` lets it go on."""
    with client(url, token) as server:
        _say(server.jobs.pause(find(server, job_id)), "paused", as_json, asked="asked to pause")


def resume(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Let a paused job go on from its last checkpoint, as if it had never stopped."""
    with client(url, token) as server:
        _say(server.jobs.resume(find(server, job_id)), "queued", as_json)


def retry(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Try a failed or cancelled job again: the same spec as a new job.

    A job that waits after a machine was lost starts at once.
    """
    with client(url, token) as server:
        _say(server.jobs.retry(find(server, job_id)), "queued", as_json)


def priority(
    job_id: JobId,
    value: Annotated[int, typer.Argument(help="-100 to 100; higher goes first, 0 is usual.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Let a waiting job go before or after the others.

    [dim]chainrule priority latest 10[/]
    """
    with client(url, token) as server:
        job = server.jobs.move(find(server, job_id), value)
    if as_json:
        views.print_json(job)
    else:
        views.CONSOLE.print(f"[green]priority {job['priority']}[/] {job['id']}")


def drain(
    node: Annotated[str, typer.Argument(help="Name of the machine, as `chainrule nodes` shows.")],
    worker: Annotated[str, typer.Option(help="Only this worker: an id from `nodes --json`.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let it take jobs again.")] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Take a machine out: its workers keep a checkpoint, give their jobs back and take no new ones.

    [dim]chainrule drain gpu-3[/]
    """
    with client(url, token) as server:
        found = server.drain(node, worker=worker, undo=undo)
    if as_json:
        views.print_json(found)
    else:
        does = "takes jobs again" if undo else "gives its jobs to others"
        views.CONSOLE.print(f"[green]{worker or found['name']}[/] {does}")


def _say(job: Document, done: str, as_json: bool, asked: str = "") -> None:
    """Tell how the job is now; `asked` where a worker has still to do it."""
    if as_json:
        views.print_json(job)
        return
    word = asked if asked and job["status"] == "running" else done
    views.CONSOLE.print(f"[green]{word}[/] {job['id']}")
