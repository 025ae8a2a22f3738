"""Families: an abstract class and its members, frozen dataclasses distinguished by their `kind`.

A member is its own specification: its fields are its hyperparameters with `annotated_types` bounds.
A pydantic field annotated with the family validates into the object that trains. A text is short
for a member without further fields: `"relu"` for `{"kind": "relu"}`. To add a member, add a file
with a class under `@member`; nothing else changes.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, ClassVar, TypeAlias, TypeVar, cast, dataclass_transform, get_type_hints

T = TypeVar("T")

Examples: TypeAlias = tuple[Any, ...]
"""Fields of small instances of a member, on which the tests of its family run."""

_type_hints = cache(get_type_hints)

FIRST = 1
"""The spec version of fields and members that name no other one."""


@dataclass(frozen=True)
class Since:
    """The spec version that introduced a field: `dilation: Annotated[int, Ge(1), Since(2)] = 1`.

    Such a field needs a default; workers of older releases read specs that use the default. With
    `values`, the version introduced only these values of an older field.
    """

    version: int
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """Base of every family (Layer, Loss, Optimizer ...), which is a direct subclass.

    `since` is the spec version that introduced a member.
    """

    since: ClassVar[int] = FIRST
    EXAMPLES: ClassVar[Examples] = ({},)
    kind: Any = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    @classmethod
    def in_full(cls, given: Any) -> Any:
        """Return the full form of a short form, `"relu"` or what else a family has; others as is.

        The result is validated, so it need not be valid.
        """
        return {"kind": given} if isinstance(given, str) else given

    @classmethod
    def short_forms(cls) -> list[dict[str, Any]]:
        """Return JSON schemas of the short forms: kinds of members without required fields."""
        kinds = [kind for kind, member_ in members(cls).items() if not _has_required(member_)]
        return [{"type": "string", "enum": kinds}] if kinds else []

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Validate a member as itself, a family as the member that `kind` names."""
        if "kind" in cls.__dict__:
            return handler(source)
        choices = {kind: handler.generate_schema(type_) for kind, type_ in members(cls).items()}
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": cls.in_full},
            "schema": {"type": "tagged-union", "discriminator": "kind", "choices": choices},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """The schema of a family is that of its members or of their short forms."""
        schema = handler(core_schema)
        if "kind" in cls.__dict__ or not (short := cls.short_forms()):
            return schema
        return {"anyOf": [schema, *short]}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def member(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass, a member of the family that it inherits from.

    Without a `kind`, it is an abstract class with fields that some members share.
    """
    return dataclass(frozen=True, kw_only=True)(cls)


def members(family: Callable[..., T]) -> dict[str, type[T]]:
    """All members of the class `family` by kind, in alphabetical order.

    `family` is typed as a callable because type checkers accept no abstract class as `type[T]`.
    """
    by_kind: dict[str, type[T]] = {}
    remaining = cast("type[T]", family).__subclasses__()
    while remaining:
        subclass = remaining.pop()
        remaining.extend(subclass.__subclasses__())
        kind = subclass.__dict__.get("kind")
        if isinstance(kind, str) and not inspect.isabstract(subclass):
            by_kind[kind] = subclass
    return dict(sorted(by_kind.items()))


def _has_required(member_: type[Any]) -> bool:
    """Whether a member has a field without a default."""
    return any(
        field.default is MISSING and field.default_factory is MISSING for field in fields(member_)
    )


def additions(cls: Any, defaults: Mapping[str, Any]) -> Iterator[tuple[str, Since, Any]]:
    """Yield the fields of a class, or values of fields, that a later spec version introduced.

    Each comes with its default, from `defaults`.
    """
    hints = _type_hints(cls, include_extras=True)
    for name, default in defaults.items():
        for note in getattr(hints[name], "__metadata__", ()):
            if isinstance(note, Since):
                yield name, note, default


def unused_additions(value: Any) -> list[str]:
    """Return the fields of a member that a later spec version introduced and that hold defaults."""
    cls = type(value)
    defaults = {field.name: field.default for field in fields(cls)}
    return [
        name
        for name, since, default in additions(cls, defaults)
        if not since.values and getattr(value, name) == default
    ]


def load(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, which registers its members."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
