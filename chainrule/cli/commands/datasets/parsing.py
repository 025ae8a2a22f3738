"""The option --parse of commands that upload CSV."""

from collections.abc import Sequence
from typing import Annotated

import typer

Parse = Annotated[
    list[str] | None,
    typer.Option(
        "--parse",
        help="How a CSV file is written: decimal=, thousands=. nulls=? text=COLUMN header=absent "
        "delimiter=; Can be repeated.",
        metavar="NAME=VALUE",
        show_default=False,
    ),
]


def parse_options(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the parse options; an option that is given again has several values.

    Raises BadParameter for a text without a value.
    """
    options: dict[str, str] = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        if not value:
            raise typer.BadParameter(f"--parse {text!r} has no value: write decimal=, for example")
        options[name] = f"{options[name]},{value}" if name in options else value
    return options
