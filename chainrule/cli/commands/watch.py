"""`chainrule watch` and `chainrule logs`: what happens to a job, as it happens."""

from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.commands.jobs import JobId, exit_as, find
from chainrule.cli.curves import Curves
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.progress import bar, conclude, fields, follow
from chainrule.client import Client
from chainrule.problem import ProblemError, UnreachableError, is_away
from chainrule.transport import Document
from core.status import JobStatus

_LEVELS = {"warning": "yellow", "error": "red"}


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("watch")(watch)
    app.command("logs")(logs)


def watch(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Follow a job until it ended, with its curves; exit code 1 unless it ended well.

    Ctrl-C leaves the job training. In a pipe there are no curves, only how it ended.
    """
    with client(url, token) as server:
        found = find(server, job_id)
        drawn = views.CONSOLE.is_terminal and not as_json
        job = draw(server, found) if drawn else follow(server, found, visible=not as_json)
    if as_json:
        views.print_json(job)
    exit_as(job, watched=True)


def draw(server: Client, job_id: str) -> Document:
    """Show a job's curves above its line of progress until it ended; the job as it ended."""
    curves, progress = Curves(), bar(views.CONSOLE)
    job = server.jobs.get(job_id)
    task = progress.add_task("", total=None, **_shown(job))
    with Live(Group(curves, progress), console=views.CONSOLE, refresh_per_second=4):
        for event in server.jobs.events(job_id):
            if event.kind == "metrics":
                curves.add(event.data["points"])
            elif event.kind == "log":
                continue
            # The stream waits for a server that is started anew; what is known is shown till then.
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
        bool, typer.Option("--follow", "-f", help="Stay until the job ended.")
    ] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show what a job's attempts said: data, epochs, checkpoints, warnings, why one failed.

    [dim]chainrule logs latest --follow[/]
    """
    with client(url, token) as server:
        found = find(server, job_id)
        if as_json and not following:
            views.print_json(list(server.jobs.logs(found)))
            return
        lines = (
            (event.data for event in server.jobs.events(found) if event.kind == "log")
            if following
            else server.jobs.logs(found)
        )
        for line in lines:
            if as_json:
                views.CONSOLE.print_json(data=line, indent=None)
                continue
            stamp = f"{line['at'][:19].replace('T', ' ')}  "
            text = Text(line["text"], style=_LEVELS.get(line["level"], ""))
            views.CONSOLE.print(Text(stamp, style="dim") + text, soft_wrap=True)
