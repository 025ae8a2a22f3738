"""Errors with an HTTP status; the api converts them to RFC 9457 problem documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class FieldError:
    """An invalid field: `path` in the request (`network[0].units`), `message` with a remedy."""

    path: str
    message: str


class ChainruleError(Exception):
    """Base of all errors that users see. `detail` is one sentence, without a full stop."""

    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)


class NotFoundError(ChainruleError):
    """The requested object does not exist."""

    status = 404
    title = "Not found"


class ConflictError(ChainruleError):
    """The state of the object does not allow the request."""

    status = 409
    title = "Conflict"


class TooLargeError(ChainruleError):
    """The request has more bytes, rows, columns or weights than a limit allows."""

    status = 413
    title = "Too large"


class InvalidError(ChainruleError):
    """The input is invalid; `errors` name the fields."""

    status = 422
    title = "Invalid input"

    @classmethod
    def of(cls, *errors: FieldError) -> Self:
        """The error of these fields, whose detail has the path and message of each."""
        return cls("; ".join(f"{error.path}: {error.message}" for error in errors), errors)


class DamagedError(InvalidError):
    """Stored bytes do not have their digest; trying again does not help."""

    title = "Damaged data"


class UnavailableError(ChainruleError):
    """A required server does not answer; trying again later helps."""

    status = 503
    title = "Temporarily unavailable"


class SupersededError(ChainruleError):
    """The attempt no longer owns its job; it must stop and write nothing more."""

    status = 409
    title = "Superseded"


class TrainingError(ChainruleError):
    """Training cannot continue because of the spec, for example because the loss became NaN."""

    status = 422
    title = "Training failed"


def existing(value: Value | None, missing: str) -> Value:
    """Return a value that has to exist. Raises NotFoundError with the text `missing` for None."""
    if value is None:
        raise NotFoundError(missing)
    return value
