"""Families: an abstract class and its members, one frozen dataclass a file, known by their `kind`.

A member is its own specification: its fields are its hyperparameters with `annotated_types`
bounds, so a pydantic field annotated with the family validates straight into the object that
trains. Adding a member is adding a file with a class under `@member`; nothing else is edited.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

T = TypeVar("T")

FIRST = 1
"""The spec version of all that says nothing else."""


@dataclass(frozen=True)
class Since:
    """Says with which spec version a field came: `dilation: Annotated[int, Ge(1), Since(2)] = 1`.

    Such a field needs a default; workers of older releases can read specs that keep it. With
    `values` the field is older, and only these of its values came later.
    """

    version: int
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """Base of every family (Layer, Loss, Optimizer ...). Subclass it once a family.

    A member says with `since` with which spec version it came.
    """

    since: ClassVar[int] = FIRST
    kind: Any = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A member validates as itself, a family as whichever member `kind` names."""
        if "kind" in cls.__dict__:
            return handler(source)
        choices = {kind: handler.generate_schema(one) for kind, one in members(cls).items()}
        return {"type": "tagged-union", "discriminator": "kind", "choices": choices}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def member(cls: type[T]) -> type[T]:
    """Make `cls` a member of the family it inherits from: a frozen, keyword-only dataclass.

    Or an abstract class with the fields that some members share: without a `kind` it is none.
    """
    return dataclass(frozen=True, kw_only=True)(cls)


def members(family: type[T]) -> dict[str, type[T]]:
    """All members of `family` by kind, in alphabetical order."""
    found: dict[str, type[T]] = {}
    waiting = list(family.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting.extend(one.__subclasses__())
        kind = one.__dict__.get("kind")
        if isinstance(kind, str) and not inspect.isabstract(one):
            found[kind] = one
    return dict(sorted(found.items()))


def load(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that its members are known."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
