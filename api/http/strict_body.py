"""Strict bodies: a string is not converted to a number, nor `true` to 1."""

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidatorFunctionWrapHandler, WrapValidator

from api.http.paths import render
from core.errors import FieldError, InvalidError

Model = TypeVar("Model", bound=BaseModel)


def _exactly(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    model = validate(given)
    errors = list(_converted(given, model.model_dump(mode="json"), ()))
    if errors:
        raise InvalidError.of(*errors)
    return model


def _converted(given: Any, taken: Any, steps: tuple[str | int, ...]) -> Iterator[FieldError]:
    """The values of a JSON document that validation converted to another JSON type."""
    if isinstance(given, dict) and isinstance(taken, dict):
        for key in given.keys() & taken.keys():
            yield from _converted(given[key], taken[key], (*steps, key))
    elif isinstance(given, list) and isinstance(taken, list):
        for index, pair in enumerate(zip(given, taken, strict=False)):
            yield from _converted(*pair, (*steps, index))
    elif isinstance(taken, dict):
        return  # the short form of a member: nothing else becomes an object
    elif _kind(given) != _kind(taken):
        yield FieldError(render(steps), f"expected {_kind(taken)}, got {_kind(given)}")


def _kind(value: Any) -> str:
    """The JSON type of a value; an integer may be written as `30.0`."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a string" if isinstance(value, str) else type(value).__name__


Exact: TypeAlias = Annotated[Model, WrapValidator(_exactly)]
"""A body validated as `Model`, each value of which has the JSON type of the schema."""
