"""What datasets, models and aliases may be called, and references to versions: `name@3`."""

import re
from dataclasses import dataclass

from core.errors import FieldError, InvalidError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}")
ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9._\-]{0,127}")
LATEST = "latest"
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Reference:
    """A name and which of its versions: a number, an alias, or the latest."""

    name: str
    version: int | None = None
    alias: str | None = None


def check_name(name: str, path: str = "name") -> str:
    """The name, or InvalidError for one that is no plain word."""
    if not NAME.fullmatch(name):
        message = (
            "a name is up to 128 letters, digits, dots, dashes and underscores, the first a letter "
            f"or digit; {name[:140]!r} is not"
        )
        raise InvalidError(message, [FieldError(path, message)])
    return name


def check_alias(alias: str) -> str:
    """The alias, or InvalidError for one that could be taken for something else."""
    if alias == LATEST or not ALIAS.fullmatch(alias):
        message = (
            f"{alias[:140]!r} cannot be an alias: letters, digits, dots, dashes and underscores, "
            f"the first no digit, and not {LATEST!r}"
        )
        raise InvalidError(message, [FieldError("alias", message)])
    return alias


def parse_reference(text: str, path: str = "dataset") -> Reference:
    """What `digits`, `digits@latest`, `digits@3` or `digits@alias` refers to, or InvalidError."""
    name, separator, which = text.partition("@")
    check_name(name, path)
    if not separator or which == LATEST:
        return Reference(name)
    if which.isascii() and which.isdigit() and 1 <= int(which[:20]) <= MAX_VERSION:
        return Reference(name, version=int(which))
    if ALIAS.fullmatch(which):
        return Reference(name, alias=which)
    message = f"{text[:160]!r} names no version: write {name}@3, {name}@alias or {name}"
    raise InvalidError(message, [FieldError(path, message)])
