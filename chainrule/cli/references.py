"""Which version a reference means: `name@3`, `name@alias`, or `name`: the latest."""

from collections.abc import Callable
from typing import Annotated

import typer

from chainrule.transport import Document

ModelReference = Annotated[
    str, typer.Argument(help="digits@3, digits@champion, or digits: the latest.")
]
"""Argument of commands that use a registered model."""


def version_of(reference: str, look: Callable[[str], Document]) -> tuple[str, int]:
    """The name and the number of the version that a reference means.

    `look` asks for a dataset or a model by name. Raises BadParameter for an alias it does not have.
    """
    name, _, which = reference.partition("@")
    if which.isdigit():
        return name, int(which)
    found = look(name)
    version = found["latest_version"] if which in ("", "latest") else found["aliases"].get(which)
    if version is None:
        raise typer.BadParameter(f"{name!r} has no version {which or 'yet'!r}")
    return name, int(version)
