"""Options that commands share, and how commands are made."""

from collections.abc import Sequence
from typing import Annotated

import typer

from chainrule.client import DEFAULT_URL, Client


def new_typer(text: str) -> typer.Typer:
    """Return a group of commands with `text` as its help."""
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


Url = Annotated[
    str, typer.Option("--url", envvar="CHAINRULE_URL", help="Address of the server.", metavar="URL")
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="CHAINRULE_API_TOKEN",
        help="Token of the server, if it requires one.",
        metavar="TOKEN",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

Source = Annotated[
    bool,
    typer.Option(
        "--source/--no-source",
        envvar="CHAINRULE_SOURCE",
        help="Send the source code: commit, changes, new source files. Secrets are left out.",
    ),
]
SourceFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--source-file",
        help="Also send this untracked file, such as `configs/*.yaml`, with the source code. "
        "Can be repeated.",
        metavar="PATTERN",
        show_default=False,
    ),
]

URL = DEFAULT_URL


def client(
    url: str, token: str, *, source: bool | None = None, source_files: Sequence[str] | None = None
) -> Client:
    """Return a client of the server that the options name.

    `source` says whether the client sends the source code with what it submits, and
    `source_files` which untracked files belong to it. Raises ArgumentError for an address or token
    that no request can carry.
    """
    return Client(url, token, source=source, source_files=source_files or ())
