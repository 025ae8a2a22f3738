"""The command that shows the code a job was submitted from."""

from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax

from chainrule.cli import views
from chainrule.cli.commands.jobs import JobId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.transport import Document

DIFF = "changes.diff"


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("source")(source)


def source(
    job_id: JobId,
    folder: Annotated[
        Path | None,
        typer.Option("--write", "-w", help=f"Write {DIFF} and the files to this new folder."),
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the code a job was submitted from: commit, changes since, files in no commit.

    To have it back: `git checkout COMMIT`, `git apply changes.diff`, and copy the files.

    [dim]chainrule source latest --write then[/]
    """
    with client(url, token) as server:
        found = server.jobs.source(find(server, job_id))
    if as_json:
        views.print_json(found)
        return
    if folder is not None:
        write(found, folder)
        views.CONSOLE.print(f"[green]written[/] {folder}")
        return
    views.facts(
        (
            ("repository", found["repository"]),
            ("commit", found["commit"] + (" and changes" if found["dirty"] else "")),
            ("branch", found["branch"]),
            ("command", found["command"]),
            ("new files", ", ".join(found["files"])),
        )
    )
    if found["diff"]:
        views.CONSOLE.print()
        views.CONSOLE.print(Syntax(found["diff"], "diff", background_color="default"))
    if found["omitted"]:
        views.CONSOLE.print()
        rows = ((one["path"], one["reason"]) for one in found["omitted"])
        views.table(("left out", "why"), rows, "")


def write(found: Document, folder: Path) -> None:
    """Write the texts of a source below `folder`, which must not be there yet, and nowhere else."""
    if folder.exists():
        raise typer.BadParameter(f"{folder} is there already; name a new folder")
    texts = {**({DIFF: found["diff"]} if found["diff"] else {}), **found["files"]}
    for name, text in texts.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise typer.BadParameter(f"the server names a file outside the folder: {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    folder.mkdir(exist_ok=True)
