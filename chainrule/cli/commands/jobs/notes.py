"""`chainrule tag`, `chainrule note` and `chainrule delete`: keep order among jobs."""

from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import JobId, find
from chainrule.cli.dataset_pages import tags as tags_in_line
from chainrule.cli.options import URL, Json, Token, Url, Yes, client
from chainrule.cli.tags import tags_of


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("tag")(tag)
    app.command("note")(note)
    app.command("delete")(delete)


def tag(
    job_id: JobId,
    tags: Annotated[
        list[str] | None, typer.Argument(help="Tags to set, like team:a.", metavar="KEY:TEXT")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="Key of a tag to remove. Repeatable.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Set or remove tags of a job, in any state. MLflow shows them, too.

    [dim]chainrule tag latest team:a use:lesson --remove draft[/]
    """
    changes: dict[str, str | None] = {**tags_of(tags), **dict.fromkeys(remove or ())}
    with client(url, token) as server:
        job = server.jobs.change(find(server, job_id), tags=changes)
    if as_json:
        views.print_json(job)
        return
    views.facts((("job", job["id"]), ("tags", tags_in_line(job["tags"]) or "none")))


def note(
    job_id: JobId,
    text: Annotated[str, typer.Argument(help="The note; '' removes it.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Write a note on a job, in any state. MLflow shows it at the top of the run.

    [dim]chainrule note latest "the best so far; data of May"[/]
    """
    with client(url, token) as server:
        job = server.jobs.change(find(server, job_id), note=text)
    if as_json:
        views.print_json(job)
        return
    views.facts((("job", job["id"]), ("note", job["note"] or "none")))


def delete(job_id: JobId, yes: Yes = False, url: Url = URL, token: Token = "") -> None:
    """Delete an ended job: checkpoints, model, predictions, metrics, log and run in MLflow.

    It is refused while the model is registered or other jobs use it. MLflow keeps deleted runs
    until its administrator removes them.

    [dim]chainrule delete 3f2a91c0[/]
    """
    with client(url, token) as server:
        full_id = find(server, job_id)
        if not yes:
            typer.confirm(f"Delete job {full_id} with all that it left?", abort=True)
        server.jobs.delete(full_id)
    views.CONSOLE.print(f"[green]deleted[/] {full_id}")
