"""`chainrule dataset`: put data into the server and see what is there."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.typers import URL, Json, Token, Url, client, new_typer

datasets = new_typer("Upload datasets and see which there are.")


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(datasets, name="dataset")


@datasets.command("add")
def add_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset, like digits.")],
    file: Annotated[
        Path, typer.Argument(help="A CSV, Parquet or NPZ file.", exists=True, dir_okay=False)
    ],
    content_type: Annotated[
        str | None,
        typer.Option("--type", help="Content type, if the file's ending does not tell it."),
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Upload a file as the next version of a dataset.

    [dim]chainrule dataset add digits examples/digits.csv[/]
    """
    with client(url, token) as server:
        try:
            version = server.datasets.upload(name, file, content_type)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    if as_json:
        views.print_json(version)
        return
    views.CONSOLE.print(
        f"[green]added[/] {version['name']}@{version['version']}: {version['rows']} rows, "
        f"{len(version['columns'])} columns"
    )


@datasets.command("list")
def list_datasets(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List all datasets."""
    with client(url, token) as server:
        found = list(server.datasets.list())
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("name", "versions", "created"),
        (
            (one["name"], str(one.get("latest_version") or 0), views.ago(one.get("created_at")))
            for one in found
        ),
        "no datasets yet: chainrule dataset add NAME FILE",
    )


@datasets.command("show")
def show_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset, or one version: digits@1.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the versions of a dataset, or the columns of one version."""
    plain, _, version = name.partition("@")
    with client(url, token) as server:
        if not version:
            found = list(server.datasets.versions(plain))
        elif version.isdigit():
            found = [server.datasets.get(plain, int(version))]
        else:
            raise typer.BadParameter(f"{version!r} is no version number, as in digits@1")
    if as_json:
        views.print_json(found[0] if version else found)
        return
    views.table(
        ("version", "rows", "columns", "bytes", "format", "digest", "created"),
        (
            (
                f"{one['name']}@{one['version']}",
                str(one["rows"]),
                str(len(one["columns"])),
                views.size(one.get("bytes", 0)),
                one.get("format", ""),
                one["digest"][:12],
                views.ago(one.get("created_at")),
            )
            for one in found
        ),
        "no versions",
    )
    if version:
        views.CONSOLE.print()
        views.table(("column", "type", "range", "classes"), map(_column, found[0]["columns"]), "")


def _column(column: dict[str, object]) -> tuple[str, str, str, str]:
    classes = column.get("classes")
    low, high = column.get("minimum"), column.get("maximum")
    return (
        str(column["name"]),
        str(column["dtype"]),
        f"{views.number(low)} to {views.number(high)}" if low is not None else "",
        str(len(classes)) if isinstance(classes, list) else "",
    )
