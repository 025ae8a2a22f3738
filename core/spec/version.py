"""Which version of the specs a document needs, so that a worker takes only what it can read.

A release that adds something to the specs must not break workers of the release before, which
refuse what they do not know. It raises SPEC_VERSION by one and says what came with that version: a
field or its new values by `Since`, a whole member or spec by its `since`. A spec that uses nothing
new is still written as before, and older workers go on taking it.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from pydantic import BaseModel

from core.family import FIRST, Since
from core.nn.network import Network
from core.spec.base import Spec

SPEC_VERSION = 1
"""The newest version of the specs that this release reads, and with it all before."""


class Encoded(NamedTuple):
    """A spec as JSON, and the spec version that a worker must know to read it."""

    document: dict[str, Any]
    version: int


class _Mark(NamedTuple):
    """A field that came with a later version."""

    name: str
    since: Since
    default: Any


def encode(spec: Spec) -> Encoded:
    """The document of a spec, and the lowest version that suffices to read it.

    All fields are written, with their defaults, but for later ones that hold their default.
    """
    document = spec.model_dump(mode="json")
    return Encoded(document, _take_out(spec, document))


def _take_out(value: Any, document: Any) -> int:
    """Take unused later fields out of a document; the version that what is left needs."""
    if isinstance(value, Network):
        value = value.layers
    if isinstance(value, tuple) and value and _structured(value[0]):
        return max(_take_out(*pair) for pair in zip(value, document, strict=True))
    if not _structured(value):
        return FIRST
    cls: Any = type(value)
    version: int = getattr(cls, "since", FIRST)
    for name, since, default in _marks(cls):
        given = getattr(value, name)
        if given in since.values if since.values else given != default:
            version = max(version, since.version)
        elif not since.values:
            del document[name]
    inner = (
        _take_out(getattr(value, name), part)
        for name, part in document.items()
        if isinstance(part, dict | list)
    )
    return max(version, max(inner, default=FIRST))


def _structured(value: Any) -> bool:
    return isinstance(value, BaseModel) or is_dataclass(value)


@cache
def _marks(cls: Any) -> tuple[_Mark, ...]:
    return tuple(_marked(cls))


def _marked(cls: Any) -> Iterator[_Mark]:
    if issubclass(cls, BaseModel):
        defaults = {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in cls.model_fields.items()
        }
    else:
        defaults = {field.name: field.default for field in fields(cls)}
    hints = get_type_hints(cls, include_extras=True)
    for name, default in defaults.items():
        for note in getattr(hints[name], "__metadata__", ()):
            if isinstance(note, Since):
                yield _Mark(name, note, default)
