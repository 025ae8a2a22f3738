"""SourceSpec: the source code from which a job was submitted."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from chainrule.contract.secrets import changed_files, secret_in, secret_name
from core.errors import FieldError, InvalidError
from core.spec.base import Spec

MOST_BYTES = 2**20
"""The most bytes of all texts of a source."""
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
    """A file left out of the source, and the reason: too large, not text, or possibly a secret."""

    path: FilePath
    reason: Line


class SourceSpec(Spec):
    """The commit of a project and its uncommitted changes.

    Content that looks like a secret is rejected, because everyone who sees the job sees the source.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"command": "train.py", "files": {"train.py": "rate = 0.01\n"}}]
        }
    )

    repository: Line = Field("", description="address or name, without a password")
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
    branch: Line = ""
    command: Line = Field(
        "", description="the program that submitted the job, without its arguments"
    )
    diff: Text = Field(
        "", description="changes from the commit to the files, as `git diff` writes them"
    )
    files: dict[FilePath, Text] = Field(
        {},
        max_length=MOST_FILES,
        description="the text of untracked files",
        json_schema_extra={"additionalProperties": False},
    )
    omitted: Annotated[tuple[Omitted, ...], Field(max_length=MOST_FILES)] = ()

    @model_validator(mode="after")
    def _validate(self) -> Self:
        errors = [
            FieldError(f"files.{path}", "must be a path inside the project")
            for path in self.files
            if ".." in path.split("/")
        ]
        size = len(self.diff.encode()) + sum(len(text.encode()) for text in self.files.values())
        if size > MOST_BYTES:
            errors.append(
                FieldError(
                    "files", f"{size:,} bytes exceed the limit of {MOST_BYTES:,}: omit some files"
                )
            )
        if errors:
            raise InvalidError.of(*errors)
        return self

    def secrets(self) -> Iterator[FieldError]:
        """Each field that seems to contain a secret; never the secret itself.

        No part of the validation, which runs in the event loop: a megabyte takes about a second.
        """
        texts: list[tuple[str, str | None, str]] = [
            ("repository", None, self.repository),
            ("command", None, self.command),
        ]
        texts += [("diff", path, text) for path, text in changed_files(self.diff)]
        texts += [(f"files.{path}", path, text) for path, text in self.files.items()]
        for field, path, text in texts:
            if path is not None and secret_name(path):
                yield FieldError(field, "this looks like a file of secrets")
            if secret := secret_in(text, path):
                yield FieldError(field, f"this looks like {secret}")

    @property
    def dirty(self) -> bool:
        """Whether there are uncommitted changes."""
        return bool(self.diff or self.files or self.omitted)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole source, in hexadecimal."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
