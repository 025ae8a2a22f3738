"""The commands `chainrule dataset list` and `show`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.references import version_of
from chainrule.client.transport import Document

BARS = "▁▂▃▄▅▆▇█"
MOST_CLASSES = 20
MOST_NAMES = 6


def install(datasets: typer.Typer) -> None:
    """Register the commands of this module."""
    datasets.command("list")(list_datasets)
    datasets.command("show")(show_dataset)


def list_datasets(
    tag: Annotated[
        list[str] | None, typer.Option(help="Only datasets with this tag, like team:a. Repeatable.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List datasets."""
    with client(url, token) as server:
        datasets = list(server.datasets.list(tag=tag or ()))
    if as_json:
        views.print_json(datasets)
        return
    views.table(
        ("name", "versions", "rows", "bytes", "tags", "description", "created"),
        (
            (
                dataset["name"],
                str(dataset.get("latest_version") or 0),
                str(dataset.get("rows") or ""),
                views.size(dataset["bytes"]) if dataset.get("bytes") else "",
                tags(dataset.get("tags", {})),
                dataset.get("description", ""),
                views.ago(dataset.get("created_at")),
            )
            for dataset in datasets
        ),
        "no datasets with these tags"
        if tag
        else "no datasets yet: chainrule dataset add NAME FILE",
    )


def show_dataset(
    name: Annotated[
        str,
        typer.Argument(help="A dataset, like digits, or one version: digits@1 or digits@ALIAS."),
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
            versions = [server.datasets.get(*version_of(name, server.datasets.describe))]
        else:
            versions = list(server.datasets.versions(plain))
    if as_json:
        views.print_json(versions[0] if version else versions)
        return
    aliases = (f"{alias} = {number}" for alias, number in sorted(dataset["aliases"].items()))
    views.facts(
        (
            ("description", dataset["description"]),
            ("tags", tags(dataset["tags"])),
            ("owner", dataset["owner"]),
            ("aliases", ", ".join(aliases)),
            ("parse options", options_in_line(versions[0].get("parse", {})) if version else ""),
        )
    )
    views.table(
        ("version", "rows", "columns", "bytes", "format", "digest", "made from", "created"),
        (
            (
                f"{row['name']}@{row['version']}",
                str(row["rows"]),
                str(len(row["columns"])),
                views.size(row.get("bytes", 0)),
                row.get("format", ""),
                row["digest"][:12],
                origin(row.get("made_from")),
                views.ago(row.get("created_at")),
            )
            for row in versions
        ),
        "no versions",
    )
    if version:
        views.CONSOLE.print()
        views.table(
            ("column", "type", "range", "mean", "classes", "spread"),
            map(_column, versions[0]["columns"]),
            "",
        )
        show_warnings(versions[0])


def tags(values: Document) -> str:
    """Format tags as one line: `team:a use:lesson`."""
    return " ".join(f"{key}:{value}" for key, value in sorted(values.items()))


def origin(made_from: Document | None) -> str:
    """Format the origin of a version: its URL, or its dataset and query."""
    if not made_from:
        return ""
    if url := made_from.get("url"):
        return f"{url}, in place" if made_from.get("in_place") else str(url)
    query = made_from.get("query") or "all rows"
    columns = made_from.get("columns")
    cut = f", {len(columns)} columns" if columns else ""
    return f"{made_from['dataset']}@{made_from['version']}: {query}{cut}"


def bars(counts: Sequence[int]) -> str:
    """Format a histogram as one line of text. Each bin that is not empty has a bar."""
    most = max(counts, default=0)
    if not most:
        return ""
    steps = len(BARS) - 1
    return "".join(BARS[-(-count * steps // most)] if count else " " for count in counts)


def show_warnings(version: Document) -> None:
    """Print the warnings of a version, one line for columns with the same one."""
    columns: dict[str, list[str]] = {}
    for warning in version.get("warnings", []):
        mark = " (a feature only if a job names it)" if warning["named_only"] else ""
        columns.setdefault(warning["message"] + mark, []).append(warning["column"])
    for message, names in columns.items():
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        shown = ", ".join(names[:MOST_NAMES]) + more
        views.CONSOLE.print(
            f"[yellow]warning[/] [bold]{escape(shown)}[/]: {escape(message)}", soft_wrap=True
        )


def options_in_line(options: Mapping[str, str]) -> str:
    """Format parse options as one line: `decimal=',' nulls='?'`."""
    return " ".join(f"{name}={value!r}" for name, value in options.items())


def _column(column: dict[str, Any]) -> tuple[str, ...]:
    classes = column.get("classes")
    low, high, mean = (column.get(name) for name in ("minimum", "maximum", "mean"))
    spread = (column.get("distribution") or {}).get("histogram") or ()
    if classes and len(classes) <= MOST_CLASSES:  # one bar for each class, without gaps
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
