"""`chainrule watch` and `chainrule logs`: follow a job live."""

from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import JobId, exit_as, find
from chainrule.cli.curves import Curves
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.progress import bar, conclude, fields, follow
from chainrule.client import Client
from chainrule.client.problem import ProblemError, UnreachableError, is_away
from chainrule.client.transport import Document
from chainrule.contract.status import JobStatus

_LEVELS = {"warning": "yellow", "error": "red"}


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("watch")(watch)
    app.command("logs")(logs)


def watch(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Follow a job with its curves until it ends. Exit code 1 unless it ended well.

    Ctrl-C leaves the job running. If the output is not a terminal, only the result is printed.
    """
    with client(url, token) as server:
        full_id = find(server, job_id)
        if views.CONSOLE.is_terminal and not as_json:
            job = draw(server, full_id)
        else:
            job = follow(server, full_id, visible=not as_json)
    if as_json:
        views.print_json(job)
    exit_as(job, watched=True)


def draw(server: Client, job_id: str) -> Document:
    """Show a job's curves above its progress until it ends, and return the job."""
    curves, progress = Curves(), bar(views.CONSOLE)
    job = server.jobs.get(job_id)
    task = progress.add_task("", total=None, **_shown(job))
    with Live(Group(curves, progress), console=views.CONSOLE, refresh_per_second=4):
        for event in server.jobs.events(job_id):
            if event.kind == "metrics":
                curves.add(event.data["points"])
            elif event.kind == "log":
                continue
            # The stream waits for a server that restarts; until then the last state is shown.
            try:
                job = server.jobs.get(job_id)
            except (ProblemError, UnreachableError) as error:
                if not is_away(error):
                    raise
            progress.update(task, **fields(job))
    if not JobStatus(job["status"]).terminal:
        job = server.jobs.wait(job_id)
    conclude(job, views.CONSOLE)
    return job


def _shown(job: Document) -> Document:
    return {name: value for name, value in fields(job).items() if name in ("state", "metrics")}


def logs(
    job_id: JobId,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new lines until the job ends.")
    ] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the log of a job's attempts: data, epochs, checkpoints, warnings, failures.

    [dim]chainrule logs latest --follow[/]
    """
    with client(url, token) as server:
        full_id = find(server, job_id)
        if as_json and not following:
            views.print_json(list(server.jobs.logs(full_id)))
            return
        lines = (
            (event.data for event in server.jobs.events(full_id) if event.kind == "log")
            if following
            else server.jobs.logs(full_id)
        )
        for line in lines:
            if as_json:
                views.CONSOLE.print_json(data=line, indent=None)
                continue
            stamp = f"{line['at'][:19].replace('T', ' ')}  "
            text = Text(line["text"], style=_LEVELS.get(line["level"], ""))
            views.CONSOLE.print(Text(stamp, style="dim") + text, soft_wrap=True)
