"""Tags on the command line: `team:a`."""

from collections.abc import Sequence

import typer


def tags_of(given: Sequence[str] | None) -> dict[str, str]:
    """Parse tags like `team:a` into a dictionary. Raises BadParameter."""
    tags = {}
    for tag in given or ():
        key, colon, text = tag.partition(":")
        if not (key and colon):
            raise typer.BadParameter(f"{tag!r} is not a tag: write KEY:TEXT, like team:a")
        tags[key] = text
    return tags
