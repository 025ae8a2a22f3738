"""Bodies are taken at their word: a text is not quietly read as a number, nor `true` as 1."""

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidatorFunctionWrapHandler, WrapValidator

from api.http.paths import render
from core.errors import FieldError, InvalidError

Model = TypeVar("Model", bound=BaseModel)


def _exactly(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    found = validate(given)
    errors = list(_changed(given, found.model_dump(mode="json"), ()))
    if errors:
        raise InvalidError("; ".join(f"{one.path}: {one.message}" for one in errors), errors)
    return found


def _changed(given: Any, taken: Any, steps: tuple[str | int, ...]) -> Iterator[FieldError]:
    """The values of a JSON document that were taken as another kind of value."""
    if isinstance(given, dict) and isinstance(taken, dict):
        for key in given.keys() & taken.keys():
            yield from _changed(given[key], taken[key], (*steps, key))
    elif isinstance(given, list) and isinstance(taken, list):
        for place, pair in enumerate(zip(given, taken, strict=False)):
            yield from _changed(*pair, (*steps, place))
    elif _kind(given) != _kind(taken):
        yield FieldError(render(steps), f"{_kind(taken)} is needed, not {_kind(given)}")


def _kind(value: Any) -> str:
    """What JSON calls a value; whole numbers may be written `30.0`."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else type(value).__name__


Exact: TypeAlias = Annotated[Model, WrapValidator(_exactly)]
"""A body validated as `Model` whose values all have the JSON type that the schema says."""
