"""References to versions: `name@3`, `name@alias`, or `name` for the latest."""

from collections.abc import Callable
from typing import Annotated

import typer

from chainrule.client.transport import Document

ModelReference = Annotated[
    str, typer.Argument(help="digits@3, digits@champion, or digits for the latest version.")
]
"""The argument of commands that use a registered model."""


def version_of(reference: str, describe: Callable[[str], Document]) -> tuple[str, int]:
    """Return the name and the version number of a reference.

    `describe` returns the dataset or model of a name. Raises BadParameter for a version or alias
    that does not exist.
    """
    name, _, label = reference.partition("@")
    if label.isdigit():
        return name, int(label)
    owner = describe(name)
    version = owner["latest_version"] if label in ("", "latest") else owner["aliases"].get(label)
    if version is None:
        missing = f"no alias {label!r}" if label else "no version yet"
        raise typer.BadParameter(f"{name!r} has {missing}: see what it has with `show {name}`")
    return name, int(version)
