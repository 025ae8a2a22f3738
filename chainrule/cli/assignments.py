"""The option --set: fields of a JobSpec that a command changes."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chainrule.client.transport import Document
from chainrule.contract.paths import assigned

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set a field of the JobSpec: `optimizer.learning_rate=0.01`, `network[0].units=32`. "
        "The value is JSON, or text. Can be repeated.",
        metavar="FIELD=VALUE",
        show_default=False,
    ),
]


def with_assignments(spec: Document, assignments: Sequence[str] | None) -> Document:
    """Return the spec with the fields that the options set, in order. Raises BadParameter."""
    for text in assignments or ():
        path, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"--set {text!r} has no value: write FIELD=VALUE, like epochs=20"
            )
        try:
            spec = assigned(spec, path.strip(), _value(value))
        except ValueError as error:
            raise typer.BadParameter(f"--set {error}") from None
    return spec


def _value(text: str) -> Any:
    """The JSON value of a text, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
