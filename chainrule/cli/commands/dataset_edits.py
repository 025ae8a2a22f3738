"""What people say about a dataset, and versions made of versions."""

from collections.abc import Sequence
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.dataset_pages import tags as tags_in_line
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of

Description = Annotated[str | None, typer.Option(help="What the dataset is.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="A tag: team:a. May be repeated.", metavar="KEY:TEXT"),
]


def install(datasets: typer.Typer) -> None:
    """Add the commands of this module."""
    datasets.command("edit")(edit_dataset)
    datasets.command("save-query")(save_query)


def tags_of(given: Sequence[str] | None) -> dict[str, str]:
    """`team:a` and so on as a dictionary. Raises BadParameter."""
    found = {}
    for one in given or ():
        key, colon, text = one.partition(":")
        if not (key and colon):
            raise typer.BadParameter(f"{one!r} is no tag, as in team:a")
        found[key] = text
    return found


def edit_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    description: Description = None,
    tag: Tags = None,
    untag: Annotated[
        list[str] | None, typer.Option(help="A tag to take away, by its key. May be repeated.")
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
        found = server.datasets.change(name, description=description, tags=changed)
    if as_json:
        views.print_json(found)
        return
    views.facts((("description", found["description"]), ("tags", tags_in_line(found["tags"]))))


def save_query(
    name: Annotated[str, typer.Argument(help="Dataset: digits, digits@1 or digits@alias.")],
    query: Annotated[str, typer.Argument(help="Which rows; '' for all.")],
    new: Annotated[str, typer.Option("--as", help="Dataset whose next version they become.")],
    columns: Annotated[str, typer.Option(help="Columns to keep, by comma; by default all.")] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Keep what a query finds as a version of its own, which remembers where it is from.

    [dim]chainrule dataset save-query digits@1 'label:(0 1)' --as binary[/]
    """
    wanted = [one.strip() for one in columns.split(",") if one.strip()]
    with client(url, token) as server:
        plain, version = version_of(name, server.datasets.describe)
        found = server.datasets.derive(plain, version, new, query, columns=wanted)
    if as_json:
        views.print_json(found)
        return
    views.CONSOLE.print(
        f"[green]added[/] {found['name']}@{found['version']}: {found['rows']} rows, "
        f"{len(found['columns'])} columns"
    )
