"""What `chainrule dataset list` and `show` print."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of
from chainrule.transport import Document

BARS = "▁▂▃▄▅▆▇█"
MOST_CLASSES = 20


def install(datasets: typer.Typer) -> None:
    """Add the commands of this module."""
    datasets.command("list")(list_datasets)
    datasets.command("show")(show_dataset)


def list_datasets(
    tag: Annotated[
        list[str] | None, typer.Option(help="Only those with this tag: team:a. May be repeated.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List all datasets."""
    with client(url, token) as server:
        found = list(server.datasets.list(tag=tag or ()))
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("name", "versions", "rows", "bytes", "tags", "description", "created"),
        (
            (
                one["name"],
                str(one.get("latest_version") or 0),
                str(one.get("rows") or ""),
                views.size(one["bytes"]) if one.get("bytes") else "",
                tags(one.get("tags", {})),
                one.get("description", ""),
                views.ago(one.get("created_at")),
            )
            for one in found
        ),
        "no such datasets" if tag else "no datasets yet: chainrule dataset add NAME FILE",
    )


def show_dataset(
    name: Annotated[
        str, typer.Argument(help="Name of the dataset, or one version: digits@1 or digits@alias.")
    ],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the versions of a dataset, or the columns of one version."""
    plain, _, version = name.partition("@")
    with client(url, token) as server:
        dataset = server.datasets.describe(plain)
        if version:
            found = [server.datasets.get(*version_of(name, server.datasets.describe))]
        else:
            found = list(server.datasets.versions(plain))
    if as_json:
        views.print_json(found[0] if version else found)
        return
    aliases = (f"{alias} = {number}" for alias, number in sorted(dataset["aliases"].items()))
    views.facts(
        (
            ("description", dataset["description"]),
            ("tags", tags(dataset["tags"])),
            ("owner", dataset["owner"]),
            ("aliases", ", ".join(aliases)),
        )
    )
    views.table(
        ("version", "rows", "columns", "bytes", "format", "digest", "made from", "created"),
        (
            (
                f"{one['name']}@{one['version']}",
                str(one["rows"]),
                str(len(one["columns"])),
                views.size(one.get("bytes", 0)),
                one.get("format", ""),
                one["digest"][:12],
                origin(one.get("made_from")),
                views.ago(one.get("created_at")),
            )
            for one in found
        ),
        "no versions",
    )
    if version:
        views.CONSOLE.print()
        views.table(
            ("column", "type", "range", "mean", "classes", "spread"),
            map(_column, found[0]["columns"]),
            "",
        )


def tags(found: Document) -> str:
    """Tags in one line."""
    return " ".join(f"{key}:{value}" for key, value in sorted(found.items()))


def origin(made_from: Document | None) -> str:
    """What a version was made from, in a few words."""
    if not made_from:
        return ""
    if url := made_from.get("url"):
        return f"{url}, in place" if made_from.get("in_place") else str(url)
    query = made_from.get("query") or "all rows"
    columns = made_from.get("columns")
    cut = f", {len(columns)} columns" if columns else ""
    return f"{made_from['dataset']}@{made_from['version']}: {query}{cut}"


def bars(counts: Sequence[int]) -> str:
    """A histogram as one line of text; a bin with anything in it has a bar."""
    most = max(counts, default=0)
    if not most:
        return ""
    steps = len(BARS) - 1
    return "".join(BARS[-(-count * steps // most)] if count else " " for count in counts)


def _column(column: dict[str, Any]) -> tuple[str, ...]:
    classes = column.get("classes")
    low, high, mean = (column.get(name) for name in ("minimum", "maximum", "mean"))
    spread = (column.get("distribution") or {}).get("histogram") or ()
    if classes and len(classes) <= MOST_CLASSES:  # a bar each, without gaps
        spread = column.get("class_counts") or spread
    shape = "x".join(map(str, column.get("shape") or ()))
    return (
        str(column["name"]),
        f"{column['dtype']} {shape}".strip(),
        f"{views.number(low)} to {views.number(high)}" if low is not None else "",
        views.number(mean) if mean is not None else "",
        str(len(classes)) if isinstance(classes, list) else "",
        bars(spread),
    )
