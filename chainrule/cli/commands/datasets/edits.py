"""Commands that describe a dataset, and that save a query as a version."""

from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.dataset_pages import tags as tags_in_line
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of
from chainrule.cli.tags import tags_of

Description = Annotated[str | None, typer.Option(help="Description of the dataset.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="A tag, like team:a. Repeatable.", metavar="KEY:TEXT"),
]


def install(datasets: typer.Typer) -> None:
    """Register the commands of this module."""
    datasets.command("edit")(edit_dataset)
    datasets.command("save-query")(save_query)


def edit_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    description: Description = None,
    tag: Tags = None,
    untag: Annotated[
        list[str] | None, typer.Option(help="Key of a tag to remove. Repeatable.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Change the description or the tags of a dataset.

    [dim]chainrule dataset edit digits --description "8 x 8 pixels" --tag team:a[/]
    """
    changed: dict[str, str | None] = {**tags_of(tag), **dict.fromkeys(untag or ())}
    with client(url, token) as server:
        dataset = server.datasets.change(name, description=description, tags=changed)
    if as_json:
        views.print_json(dataset)
        return
    views.facts((("description", dataset["description"]), ("tags", tags_in_line(dataset["tags"]))))


def save_query(
    name: Annotated[str, typer.Argument(help="Dataset: digits, digits@1 or digits@ALIAS.")],
    query: Annotated[str, typer.Argument(help="Which rows, like 'label:(0 1)'. '' keeps all.")],
    new: Annotated[str, typer.Option("--as", help="Name of the dataset to make.")],
    columns: Annotated[
        str, typer.Option(help="Columns to keep, separated by commas. Default: all.")
    ] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Save the rows of a query as a version of another dataset. It records its origin.

    [dim]chainrule dataset save-query digits@1 'label:(0 1)' --as binary[/]
    """
    names = [column.strip() for column in columns.split(",") if column.strip()]
    with client(url, token) as server:
        plain, version = version_of(name, server.datasets.describe)
        derived = server.datasets.derive(plain, version, new, query, columns=names)
    if as_json:
        views.print_json(derived)
        return
    views.CONSOLE.print(
        f"[green]added[/] {derived['name']}@{derived['version']}: {derived['rows']} rows, "
        f"{len(derived['columns'])} columns"
    )
