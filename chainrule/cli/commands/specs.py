"""`chainrule init` and `chainrule schema`: a first JobSpec, and the schema of specs."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.commands.datasets.datasets import added, send
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of
from chainrule.specs import first_spec, schema_of


class Kind(StrEnum):
    """The specs that have a schema."""

    JOB = "job"
    SWEEP = "sweep"


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("init")(init)
    app.command("schema")(show_schema)


def init(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, which becomes a dataset of its name, or a dataset: digits, digits@1.",
            metavar="FILE|DATASET",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="Column to predict. Default: label, target, class or y, or the last."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write.", callback=checked_output)
    ] = Path("job.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Write a JobSpec that fits a file and trains as it is.

    [dim]chainrule init pets.csv --target label[/]

    [dim]chainrule init digits@1 -o first.json[/]
    """
    if out.exists() and not force and not as_json:
        raise typer.BadParameter(f"{out} exists: name another file with -o, or use --force")
    with client(url, token) as server:
        if Path(source).exists():
            version = send(server, _name(source), source)
            if not as_json:
                added(version)
        else:
            version = server.datasets.get(*version_of(source, server.datasets.describe))
    try:
        spec = first_spec(version, target)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        views.print_json(spec)
        return
    out.write_text(json.dumps(spec, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    views.CONSOLE.print(f"[green]wrote[/] {out}: chainrule submit {out} --watch", soft_wrap=True)


def show_schema(
    kind: Annotated[Kind, typer.Argument(help="The spec.")] = Kind.JOB,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Print the JSON schema of specs that the server accepts, for editors and generators.

    [dim]chainrule schema > jobspec.schema.json[/]
    """
    with client(url, token) as server:
        name = {Kind.JOB: "JobSpec", Kind.SWEEP: "SweepSpec"}[kind]
        views.print_json(schema_of(server.openapi(), name))


def _name(file: str) -> str:
    """The name of a dataset for a file: its own without endings."""
    stem = Path(file).name.partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_\-]+", "-", stem).strip("-_")
    if not name:
        raise typer.BadParameter(f"{file!r} gives no name: add it with `dataset add` first")
    return name
