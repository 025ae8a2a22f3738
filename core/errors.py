"""What can go wrong, as classes with a status code: the api turns each into an RFC 9457 problem."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One wrong field: `path` as in the request (`network[0].units`), `message` with the remedy."""

    path: str
    message: str


class ChainruleError(Exception):
    """Base of every error that a person may see. `detail` is one plain sentence."""

    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)


class NotFoundError(ChainruleError):
    """The thing asked for is not there."""

    status = 404
    title = "Not found"


class ConflictError(ChainruleError):
    """The thing is in a state that does not allow this."""

    status = 409
    title = "Conflict"


class TooLargeError(ChainruleError):
    """More bytes, rows, columns or weights than a limit allows."""

    status = 413
    title = "Too large"


class InvalidError(ChainruleError):
    """The input is wrong; `errors` name the fields."""

    status = 422
    title = "Invalid input"


class DamagedError(InvalidError):
    """Bytes that were kept are no longer those of their digest; trying again does not help."""

    title = "Damaged data"


class UnavailableError(ChainruleError):
    """A server this one needs does not answer; trying again later helps."""

    status = 503
    title = "Temporarily unavailable"


class SupersededError(ChainruleError):
    """This attempt no longer owns its job: stop at once and write nothing more."""

    status = 409
    title = "Superseded"


class TrainingError(ChainruleError):
    """Training cannot go on because of what the user asked for (NaN loss, too little memory)."""

    status = 422
    title = "Training failed"
