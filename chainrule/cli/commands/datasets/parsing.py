"""Options of commands that upload CSV."""

from collections.abc import Sequence
from typing import Annotated

import typer

Decimal = Annotated[
    str | None, typer.Option(help="Decimal mark of a CSV file: a point or a comma.", metavar="MARK")
]
Thousands = Annotated[
    str | None,
    typer.Option(help="Separator of thousands in a CSV file, like a comma.", metavar="MARK"),
]
Nulls = Annotated[
    list[str] | None,
    typer.Option("--null", help="A cell that means a missing value, like ?. Repeatable."),
]
Text = Annotated[
    list[str] | None,
    typer.Option("--text", help="A column that is text even if it holds numbers. Repeatable."),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row of a CSV file names the columns.",
        show_default=False,
    ),
]
Delimiter = Annotated[str | None, typer.Option(help="Delimiter of a CSV file.", metavar="MARK")]


def parse_options(
    decimal: str | None,
    thousands: str | None,
    nulls: Sequence[str] | None,
    text: Sequence[str] | None,
    header: bool | None,
    delimiter: str | None,
) -> dict[str, str | Sequence[str]]:
    """Return the parse options that were given. Raises BadParameter for a list with a comma."""
    for value in (*(nulls or ()), *(text or ())):
        if "," in value:
            raise typer.BadParameter(f"{value!r} has a comma: this cannot be said for one cell")
    present = None if header is None else ("present" if header else "absent")
    options = {
        "delimiter": delimiter,
        "header": present,
        "decimal": decimal,
        "thousands": thousands,
        "nulls": nulls,
        "text": text,
    }
    return {name: value for name, value in options.items() if value}
