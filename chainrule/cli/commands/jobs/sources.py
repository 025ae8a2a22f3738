"""`chainrule source`: the source code of a job."""

from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document

DIFF = "changes.diff"


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("source")(source)


def source(
    job_id: JobId,
    folder: Annotated[
        Path | None,
        typer.Option("--write", "-w", help=f"Write {DIFF} and the new files to this new folder."),
    ] = None,
    erase: Annotated[
        bool,
        typer.Option(
            "--erase", help="Erase its texts on the server, for all jobs that were sent with it."
        ),
    ] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the source code of a job: commit, changes since then, and new files.

    To restore it: `git checkout COMMIT`, `git apply changes.diff`, and copy the new files.
    `--erase` keeps only the commit on the server.

    [dim]chainrule source latest --write then[/]
    """
    with client(url, token) as server:
        code = server.jobs.source(find(server, job_id))
        if erase:
            server.sources.erase(code["digest"])
            views.CONSOLE.print(f"[green]erased[/] {code['digest'][:12]}")
            return
    if as_json:
        views.print_json(code)
        return
    if folder is not None:
        write(code, folder)
        views.CONSOLE.print(f"[green]written[/] {folder}")
        return
    views.facts(
        (
            ("repository", code["repository"]),
            ("commit", code["commit"] + (" and changes" if code["dirty"] else "")),
            ("branch", code["branch"]),
            ("command", code["command"]),
            ("new files", ", ".join(code["files"])),
            ("erased", code["erased_at"] or ""),
        )
    )
    if code["diff"]:
        views.CONSOLE.print()
        views.CONSOLE.print(Syntax(code["diff"], "diff", background_color="default"))
    if code["omitted"]:
        views.CONSOLE.print()
        rows = ((file["path"], file["reason"]) for file in code["omitted"])
        views.table(("left out", "why"), rows, "")


def write(code: Document, folder: Path) -> None:
    """Write the texts of a source to the new folder `folder`.

    Raises BadParameter if the folder exists, or for a file name that leads out of it.
    """
    if folder.exists():
        raise typer.BadParameter(f"{folder} exists: name a new folder")
    texts = {**({DIFF: code["diff"]} if code["diff"] else {}), **code["files"]}
    for name, text in texts.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise typer.BadParameter(f"the server names a file outside the folder: {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    folder.mkdir(exist_ok=True)
