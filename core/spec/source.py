"""The source code of a project at the moment it asked for training."""

import hashlib
import json
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from core.errors import FieldError, InvalidError
from core.secrets import secret_in, secret_name
from core.spec.base import Spec

MOST_BYTES = 2**20
"""Bytes of all texts of a source together."""
MOST_FILES = 500

Line = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[^\x00-\x1f\x7f]*$")]
FilePath = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f/\\][^\x00-\x1f\x7f\\]*$"
    ),
]
Text = Annotated[str, StringConstraints(max_length=MOST_BYTES, pattern=r"^[^\x00]*$")]
SourceDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Omitted(Spec):
    """A file that is not in the source, and why: too large, no text, maybe a secret."""

    path: FilePath
    reason: Line


class SourceSpec(Spec):
    """Where the code of a project stands, and what differs there from its last commit.

    What looks like a secret is refused: the source is shown to all who may see the job.
    """

    repository: Line = Field("", description="address or name; without a password")
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
    branch: Line = ""
    command: Line = Field("", description="the program that submitted, without what it was given")
    diff: Text = Field(
        "", description="from the commit to the files as they were, as git writes it"
    )
    files: dict[FilePath, Text] = Field(
        {},
        max_length=MOST_FILES,
        description="the text of files that are in no commit",
        json_schema_extra={"additionalProperties": False},
    )
    omitted: Annotated[tuple[Omitted, ...], Field(max_length=MOST_FILES)] = ()

    @model_validator(mode="after")
    def _harmless(self) -> Self:
        errors = [
            FieldError(f"files.{path}", "a path below the project is needed")
            for path in self.files
            if ".." in path.split("/")
        ]
        size = len(self.diff.encode()) + sum(len(text.encode()) for text in self.files.values())
        if size > MOST_BYTES:
            errors.append(FieldError("files", f"{size:,} bytes; {MOST_BYTES:,} at most: omit some"))
        errors += [
            FieldError(f"files.{path}", "this looks like a file of secrets")
            for path in self.files
            if secret_name(path)
        ]
        texts = {"repository": self.repository, "command": self.command, "diff": self.diff}
        texts |= {f"files.{path}": text for path, text in self.files.items()}
        for path, text in texts.items():
            if found := secret_in(text):
                errors.append(FieldError(path, f"this looks like {found}"))
        if errors:
            raise InvalidError("; ".join(f"{one.path}: {one.message}" for one in errors), errors)
        return self

    @property
    def dirty(self) -> bool:
        """Whether the commit alone does not tell what the code was."""
        return bool(self.diff or self.files or self.omitted)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole source, as hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
