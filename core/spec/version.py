"""Spec versions: the lowest version that a worker must support to read a spec.

Workers reject fields and values that they do not know. A release that extends the specs therefore
raises SPEC_VERSION by one and marks its additions: a field or new values of a field with `Since`, a
member or spec with `since`. A spec that uses no addition is written as before, so that workers of
older releases still claim it.
"""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from core.family import FIRST, Since, additions
from core.nn.network import Network
from core.spec.base import Spec

SPEC_VERSION = 2
"""The newest spec version that this release reads; it reads all older ones too."""


class Encoded(NamedTuple):
    """A spec as a JSON document, and the spec version needed to read it."""

    document: dict[str, Any]
    version: int


def encode(spec: Spec) -> Encoded:
    """Return the document of a spec and the lowest spec version needed to read it.

    The document has all fields, except later additions that hold their defaults.
    """
    document = spec.model_dump(mode="json")
    return Encoded(document, _strip(spec, document))


def completed(cls: type[Spec], document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document with all fields; as it is, if this release cannot read it.

    What it returns can be submitted again: additions that `encode` left out are in it.
    """
    try:
        return cls.model_validate(document).model_dump(mode="json")
    except ValidationError:
        return document


def _strip(value: Any, document: Any) -> int:
    """Remove unused additions from `document`; return the version that the rest needs."""
    if isinstance(value, Network):
        value = value.layers
    if isinstance(value, tuple) and value and _structured(value[0]):
        return max(_strip(*pair) for pair in zip(value, document, strict=True))
    if isinstance(value, dict):
        return max((_strip(value[name], document[name]) for name in value), default=FIRST)
    if not _structured(value):
        return FIRST
    cls: Any = type(value)
    version: int = getattr(cls, "since", FIRST)
    for name, since, default in _additions(cls):
        given = getattr(value, name)
        if given in since.values if since.values else given != default:
            version = max(version, since.version)
        elif not since.values:
            del document[name]
    inner = (
        _strip(getattr(value, name), part)
        for name, part in document.items()
        if isinstance(part, dict | list)
    )
    return max(version, max(inner, default=FIRST))


def _structured(value: Any) -> bool:
    return isinstance(value, BaseModel) or is_dataclass(value)


@cache
def _additions(cls: Any) -> tuple[tuple[str, Since, Any], ...]:
    """Return what `additions` yields for a spec or a member."""
    if issubclass(cls, BaseModel):
        defaults = {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in cls.model_fields.items()
        }
    else:
        defaults = {field.name: field.default for field in fields(cls)}
    return tuple(additions(cls, defaults))
