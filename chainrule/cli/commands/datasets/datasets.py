"""`chainrule dataset`: upload, query and erase datasets."""

import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import DownloadColumn, Progress

from chainrule.cli import dataset_pages, views
from chainrule.cli.commands.datasets import edits
from chainrule.cli.commands.datasets.edits import Description, Tags
from chainrule.cli.commands.datasets.parsing import Parse, parse_options
from chainrule.cli.dataset_pages import show_warnings
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, Yes, client, new_typer
from chainrule.cli.references import version_of
from chainrule.cli.tags import tags_of
from chainrule.client import Client
from chainrule.client.archive import packed
from chainrule.client.parse_options import ParseOptions
from chainrule.client.transport import Document
from chainrule.demo import sets

MOST_COLUMNS = 12
CELL = 24

_FORMATS = (
    "CSV, JSON lines, Parquet, NPY, NPZ, IDX, or a zip or folder of pictures or IDX files; may be "
    "compressed with gzip or Zstandard."
)
FileOrUrl = Annotated[
    str,
    typer.Argument(
        help=f"{_FORMATS} Or a URL that the server may read: file, s3, gs, az.",
        metavar="FILE|URL",
        show_default=False,
    ),
]
ContentType = Annotated[
    str | None,
    typer.Option("--type", help="Content type, if the name and first bytes do not show it."),
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Do not copy the file at a URL: workers read it there.")
]

datasets = new_typer("Upload, list, query, replace and erase datasets.")


def install(app: typer.Typer) -> None:
    """Register the commands of datasets."""
    dataset_pages.install(datasets)
    edits.install(datasets)
    app.add_typer(datasets, name="dataset")


@datasets.command("add")
def add_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset, like digits.")],
    file: FileOrUrl = "",
    demo: Annotated[
        str | None, typer.Option(help=f"Add a small example dataset: {', '.join(sets.SETS)}.")
    ] = None,
    content_type: ContentType = None,
    in_place: InPlace = False,
    parse: Parse = None,
    description: Description = None,
    tag: Tags = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Upload a file, or a folder of files, as the next version of a dataset.

    A large file is sent in parts. If the upload breaks off, repeat the command to continue it.

    A warning names columns that are likely no features as they are.

    The server copies a file at a URL with its own credentials, if CHAINRULE_DATASET_URLS permits.

    [dim]chainrule dataset add digits examples/digits.csv[/]

    [dim]chainrule dataset add scans s3://bucket/scans.parquet --in-place[/]

    [dim]chainrule dataset add prices prices.csv --parse decimal=, --parse nulls=?[/]

    [dim]chainrule dataset add irises --demo iris[/]
    """
    _check_source(file, demo)
    options = parse_options(parse)
    tags = tags_of(tag)
    with client(url, token) as server, tempfile.TemporaryDirectory() as folder:
        source = file or str(sets.write(str(demo), Path(folder)))
        version = send(server, name, source, content_type, options, in_place=in_place)
        if description is not None or tags:
            server.datasets.change(name, description=description, tags=tags)
    if as_json:
        views.print_json(version)
        return
    added(version)


def added(version: Document) -> None:
    """Print a new version and its warnings."""
    views.CONSOLE.print(
        f"[green]added[/] {version['name']}@{version['version']}: {version['rows']} rows, "
        f"{len(version['columns'])} columns"
    )
    show_warnings(version)


def _check_source(file: str, demo: str | None) -> None:
    """Raise BadParameter unless there is a file or the name of an example dataset."""
    if bool(file) == (demo is not None):
        raise typer.BadParameter("name a file, or an example dataset with --demo")
    if demo is not None and demo not in sets.SETS:
        raise typer.BadParameter(
            f"there is no example dataset {demo!r}: use {', '.join(sets.SETS)}"
        )


def send(
    server: Client,
    name: str,
    source: str,
    content_type: str | None = None,
    options: ParseOptions | None = None,
    *,
    in_place: bool = False,
) -> Document:
    """Upload a file or folder, or let the server read a URL, with a progress bar.

    Return the version. Raises BadParameter for a file that cannot be uploaded.
    """
    if in_place and "://" not in source:
        raise typer.BadParameter("--in-place is for a file at a URL")
    with Progress(
        *Progress.get_default_columns(), DownloadColumn(), console=views.ERRORS, transient=True
    ) as progress:
        task = progress.add_task(name, total=None)

        def on_bytes(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        if "://" in source:
            return server.datasets.import_from(
                name, source, content_type, parse=options, in_place=in_place, on_bytes=on_bytes
            )
        if not Path(source).exists():
            raise typer.BadParameter(f"there is no file {source!r}")
        try:
            with packed(Path(source)) as file:
                return server.datasets.upload(
                    name, file, content_type, parse=options, on_bytes=on_bytes
                )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


@datasets.command("query")
def query_dataset(
    name: Annotated[str, typer.Argument(help="Dataset: digits, digits@1 or digits@ALIAS.")],
    query: Annotated[
        str, typer.Argument(help="Which rows, like 'label:[0 TO 4]'. Default: all.")
    ] = "",
    preview: Annotated[int, typer.Option(help="Number of rows to show.", min=0, max=100)] = 10,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Count the rows that a query keeps, and show the first.

    [dim]chainrule dataset query digits 'label:(0 1) AND NOT p00:>0 @sample:0.5 @seed:7'[/]

    [dim]chainrule dataset query digits '@split:0.8:0.1:0.1 @stratify:label @part:test'[/]
    """
    with client(url, token) as server:
        plain, version = version_of(name, server.datasets.describe)
        selection = server.datasets.query(plain, version, query, preview=preview)
    if as_json:
        views.print_json(selection)
        return
    parts = ", ".join(f"{part} {rows}" for part, rows in (selection["parts"] or {}).items())
    detail = f": {parts}" if parts else ""
    views.CONSOLE.print(f"[bold]{selection['rows']}[/] of {selection['of']} rows{detail}")
    if selection["preview"]:
        # Columns that the query names come first.
        named = set(re.findall(r"[^\s:()\[\]{}]+", query))
        shown = sorted(selection["preview"][0], key=lambda column: column not in named)[
            :MOST_COLUMNS
        ]
        views.table(
            shown, ([_cell(row[column]) for column in shown] for row in selection["preview"]), ""
        )


@datasets.command("alias")
def alias_dataset(
    name: Annotated[str, typer.Argument(help="One version of a dataset: digits@1.")],
    alias: Annotated[str, typer.Argument(help="The alias, like production.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Point an alias at a version, so that jobs can use digits@production.

    [dim]chainrule dataset alias digits@1 production[/]
    """
    plain, _, version = name.partition("@")
    if not version.isdigit():
        raise typer.BadParameter(f"{name!r} is not a version: write NAME@NUMBER, like digits@1")
    with client(url, token) as server:
        dataset = server.datasets.set_alias(plain, alias, int(version))
    if as_json:
        views.print_json(dataset)
        return
    views.CONSOLE.print(f"{plain}@{alias} is now [green]{plain}@{version}[/]")


@datasets.command("replace")
def replace_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset, like digits.")],
    file: FileOrUrl,
    alias: Annotated[
        str | None, typer.Option(help="Also point this alias at the new version.")
    ] = None,
    content_type: ContentType = None,
    in_place: InPlace = False,
    parse: Parse = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Upload a file as the next version, and point an alias at it.

    Submitted jobs keep their version. Delete the old version with [dim]erase[/].

    [dim]chainrule dataset replace digits better.csv --alias production[/]
    """
    options = parse_options(parse)
    with client(url, token) as server:
        version = send(server, name, file, content_type, options, in_place=in_place)
        if alias is not None:
            server.datasets.set_alias(name, alias, version["version"])
    if as_json:
        views.print_json(version)
        return
    names = name if alias is None else f"{name} and {name}@{alias}"
    rows = f"{version['rows']} rows"
    views.CONSOLE.print(f"{names} now mean [green]{name}@{version['version']}[/]: {rows}")
    show_warnings(version)


@datasets.command("pull")
def pull_dataset(
    name: Annotated[str, typer.Argument(help="Dataset: digits, digits@1 or digits@ALIAS.")],
    file: Annotated[
        Path,
        typer.Argument(help="The .parquet, .csv or .arrow file to write.", callback=checked_output),
    ],
    query: Annotated[str, typer.Option(help="Only rows that this query keeps.")] = "",
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write a version, or some of its rows, to a file on this machine.

    [dim]chainrule dataset pull digits@1 threes.csv --query 'label:3'[/]
    """
    kind = file.suffix.lstrip(".").lower()
    if kind not in ("parquet", "csv", "arrow"):
        raise typer.BadParameter(f"{file}: the name must end with .parquet, .csv or .arrow")
    with client(url, token) as server, Progress(
        *Progress.get_default_columns(), DownloadColumn(), console=views.CONSOLE, transient=True
    ) as progress:  # fmt: skip
        plain, version = version_of(name, server.datasets.describe)
        task = progress.add_task(f"{plain}@{version}", total=None)
        server.datasets.pull(
            plain,
            version,
            file,
            kind=kind,
            query=query,
            on_bytes=lambda done, total: progress.update(task, completed=done, total=total),
        )
    size = views.size(file.stat().st_size)
    views.CONSOLE.print(f"[green]{file}[/]: {plain}@{version}, {size}", soft_wrap=True)


@datasets.command("uses")
def dataset_uses(
    name: Annotated[str, typer.Argument(help="One version of a dataset: digits@1.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Show the jobs and models that learned from a version, and what still needs it."""
    with client(url, token) as server:
        uses = server.datasets.uses(*version_of(name, server.datasets.describe))
    if as_json:
        views.print_json(uses)
    else:
        _show_uses(uses)


@datasets.command("erase")
def erase_dataset(
    name: Annotated[str, typer.Argument(help="One version of a dataset: digits@1.")],
    reason: Annotated[str, typer.Option(help="Reason, stored with the record that remains.")] = "",
    yes: Yes = False,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Erase a version permanently, from the store and from all machines.

    Jobs that use it finish first. Models stay, and are listed.

    [dim]chainrule dataset erase digits@1 --reason "asked for by its owner"[/]
    """
    if not name.partition("@")[2].isdigit():
        raise typer.BadParameter(f"{name!r} is not a version: write NAME@NUMBER, like digits@1")
    with client(url, token) as server:
        plain, version = version_of(name, server.datasets.describe)
        if not yes and not as_json:
            _show_uses(server.datasets.uses(plain, version))
            typer.confirm(f"Erase {plain}@{version} for good?", abort=True)
        erasure = server.datasets.erase(plain, version, reason=reason)
    if as_json:
        views.print_json(erasure)
        return
    waiting = len(erasure["uses"]["holding"])
    when = f"when {waiting} jobs and sweeps have ended" if waiting else "within seconds"
    views.CONSOLE.print(f"[green]{plain}@{version}[/] will be erased {when}")
    made_from = erasure["version"].get("made_from") or {}
    if made_from.get("in_place"):
        views.CONSOLE.print(f"{made_from['url']} stays where it is", soft_wrap=True)
    _show_uses({**erasure["uses"], "holding": []})


def _show_uses(uses: Document) -> None:
    jobs = ", ".join(f"{count} {status}" for status, count in sorted(uses["jobs"].items()))
    views.facts(
        (
            ("jobs", jobs or "none"),
            ("still needed by", ", ".join(job_id[:8] for job_id in uses["holding"][:10])),
            ("models", ", ".join(use["model"] for use in uses["models"]) or "none"),
            ("aliases", ", ".join(uses["aliases"])),
        )
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= CELL else text[: CELL - 3] + "..."
