"""Names of datasets, models and aliases, and references to versions such as `name@3`."""

import re
from dataclasses import dataclass

from core.errors import FieldError, InvalidError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}")
ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9._\-]{0,127}")
LATEST = "latest"
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Reference:
    """A name and a version number or an alias; neither means the latest version."""

    name: str
    version: int | None = None
    alias: str | None = None


def check_name(name: str, path: str = "name") -> str:
    """Return `name` if it is valid. Raises InvalidError at field `path`."""
    if not NAME.fullmatch(name):
        message = (
            "a name is up to 128 letters, digits, dots, dashes and underscores, the first a letter "
            f"or digit; {name[:140]!r} is not"
        )
        raise InvalidError(message, [FieldError(path, message)])
    return name


def check_alias(alias: str) -> str:
    """Return `alias` if it is valid and not `latest`. Raises InvalidError."""
    if alias == LATEST or not ALIAS.fullmatch(alias):
        message = (
            f"{alias[:140]!r} cannot be an alias: letters, digits, dots, dashes and underscores, "
            f"the first no digit, and not {LATEST!r}"
        )
        raise InvalidError(message, [FieldError("alias", message)])
    return alias


def parse_reference(text: str, path: str = "dataset") -> Reference:
    """Parse `digits`, `digits@latest`, `digits@3` or `digits@alias`. Raises InvalidError."""
    name, separator, version = text.partition("@")
    check_name(name, path)
    if not separator or version == LATEST:
        return Reference(name)
    if version.isascii() and version.isdigit() and 1 <= int(version[:20]) <= MAX_VERSION:
        return Reference(name, version=int(version))
    if ALIAS.fullmatch(version):
        return Reference(name, alias=version)
    message = f"{text[:160]!r} is not a version: use {name}@3, {name}@alias or {name}"
    raise InvalidError(message, [FieldError(path, message)])
