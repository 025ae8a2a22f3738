"""`chainrule init` and `chainrule schema`: a first JobSpec, and the schema of specs."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.assignments import Assignments, with_assignments
from chainrule.cli.commands.datasets.datasets import added, send
from chainrule.cli.commands.datasets.parsing import Parse, parse_options
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of
from chainrule.client import Client
from chainrule.client.transport import Document
from chainrule.specs import dataset_name, first_spec, schema_of

VersionSource = Annotated[
    str,
    typer.Argument(
        help="A file, which becomes a dataset of its name, or a dataset: digits, digits@1.",
        metavar="FILE|DATASET",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(help="Column to predict. Default: label, target, class or y, or the last."),
]


class Kind(StrEnum):
    """The specs that have a schema."""

    JOB = "job"
    SWEEP = "sweep"


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("init")(init)
    app.command("schema")(show_schema)


def init(
    source: VersionSource,
    target: Target = None,
    parse: Parse = None,
    assignments: Assignments = None,
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
    if not as_json:
        refuse_replacing(out, force=force)
    with client(url, token) as server:
        version = version_for(server, source, parse_options(parse), visible=not as_json)
        spec = with_assignments(proposal(version, target), assignments)
    if as_json:
        views.print_json(spec)
        return
    write_spec(out, spec)
    views.CONSOLE.print(f"[green]wrote[/] {out}: chainrule submit {out} --watch", soft_wrap=True)


def version_for(
    server: Client, source: str, options: Mapping[str, str], *, visible: bool
) -> Document:
    """Return the dataset version that `source` names, or that a file of this name becomes.

    `options` are parse options of the file. `visible`: print what is added.
    """
    if not Path(source).exists():
        if options:
            raise typer.BadParameter(f"--parse is for a file, and there is no file {source!r}")
        return server.datasets.get(*version_of(source, server.datasets.describe))
    try:
        name = dataset_name(source)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    version = send(server, name, source, options=options)
    if visible:
        added(version)
    return version


def proposal(version: Document, target: str | None) -> Document:
    """Return a JobSpec that fits a dataset version. Raises BadParameter if there is none."""
    try:
        return first_spec(version, target)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def refuse_replacing(out: Path, *, force: bool) -> None:
    """Raise BadParameter if there is a file already, unless it may be replaced."""
    if out.exists() and not force:
        raise typer.BadParameter(f"{out} exists: name another file with -o, or use --force")


def write_spec(out: Path, spec: Document) -> None:
    """Write a spec as a JSON file. Raises OSError."""
    out.write_text(json.dumps(spec, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
