"""The formats a dataset may be uploaded in, one file each; the content type chooses."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path, PurePath

from pydantic import TypeAdapter, ValidationError

from core.data.ingest.format import Format
from core.data.ingest.inflate import plain
from core.data.ingest.ziparchive import first_suffix
from core.data.table.schema import listed
from core.errors import InvalidError
from core.family import load, members

load(__name__, __path__)

# Content types that clients send by default: the first bytes decide then.
UNTYPED = frozenset(
    {"", "application/octet-stream", "application/x-www-form-urlencoded"}
    | {"application/gzip", "application/x-gzip", "application/zstd"}
)
PACKED = frozenset({".gz", ".zst"})
# Endings of files that are no data, though some of them would pass as text.
NO_DATA = frozenset(
    {".py", ".ipynb", ".r", ".js", ".sh", ".html", ".htm", ".xml", ".md", ".yaml", ".yml", ".toml"}
    | {".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ods", ".exe"}
)
SHEETS = frozenset({".xls", ".xlsx", ".ods"})
HEAD_BYTES = 16


def known() -> tuple[type[Format], ...]:
    """All formats."""
    return tuple(members(Format).values())


def typed(content_type: str, filename: str) -> str:
    """The content type of an upload: the given one, or if it is generic, that of the file ending.

    For a name without a known ending the first bytes decide later. Parameters stay. Raises
    InvalidError for an ending of files that are no data, unless the content type is a specific one.
    """
    essence, parameters = _read(content_type)
    if essence not in UNTYPED or not filename:
        return content_type
    endings = [ending.lower() for ending in PurePath(filename).suffixes]
    if endings and endings[-1] in PACKED:
        endings.pop()
    ending = endings[-1] if endings else ""
    if ending in NO_DATA:
        remedy = "save the sheet as CSV" if ending in SHEETS else "send its content type if it is"
        raise InvalidError(f"a {ending} file is no data that is read here: {remedy}")
    for form in known():
        if ending in form.endings:
            return with_options(form.content_types[0], parameters)
    return content_type


def with_options(content_type: str, options: Mapping[str, str]) -> str:
    """The content type with parse options as its parameters; those that it has already stay."""
    essence, given = _read(content_type)
    message = Message()
    message["content-type"] = essence
    for name, value in {**options, **given}.items():
        # With a charset, quotes and backslashes are encoded, too (RFC 2231).
        message.set_param(name, value, charset="utf-8")
    return str(message["content-type"])


def options_of(content_type: str) -> dict[str, str]:
    """The parse options in a content type: all its parameters but the charset."""
    return {name: value for name, value in _read(content_type)[1].items() if name != "charset"}


def with_text(options: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    """The parse options with other columns of text, for a file that need not have all columns."""
    kept = {name: value for name, value in options.items() if name != "text"}
    names = ",".join(name for name in columns if "," not in name)
    return {**kept, "text": names} if names else kept


def texts(options: Mapping[str, str]) -> frozenset[str]:
    """The columns that parse options declare as text."""
    return frozenset(name.strip() for name in options.get("text", "").split(",")) - {""}


def _read(content_type: str) -> tuple[str, dict[str, str]]:
    """The media type, in lower case, and the parameters of a content type."""
    message = Message()
    message["content-type"] = content_type or "application/octet-stream"
    given = message.get_params(failobj=[], header="content-type")
    parameters = {str(name): collapse_rfc2231_value(value) for name, value in given[1:]}
    return message.get_content_type(), parameters


def choose(content_type: str, source: Path, defaults: Mapping[str, str] | None = None) -> Format:
    """The format of a content type, with its parameters as options.

    For a generic content type the first bytes decide. `defaults` are options that the content type
    does not give; what the format does not know is ignored among them. Raises InvalidError for an
    unknown type or option, or when the bytes are plainly of another format.
    """
    essence, options = _read(content_type)
    seen = _by_bytes(source)
    family = members(Format)
    if essence in UNTYPED:
        named = seen or _text(source, family)
    else:
        named = _by_type(essence, family, seen)
        if seen is not None and seen is not named and not named.magic:
            raise InvalidError(
                f"the content type says {named.kind}, but the file is {seen.kind}: "
                f"send it as {seen.content_types[0]}"
            )
    names = {field.name for field in fields(named)}
    assumed = {name: value for name, value in (defaults or {}).items() if name in names}
    try:
        return TypeAdapter(named).validate_python({"kind": named.kind, **assumed, **options})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidError(f"content type {content_type!r}: {where}: {first['msg']}") from error


def _by_type(
    essence: str, family: dict[str, type[Format]], seen: type[Format] | None
) -> type[Format]:
    """The format of a media type; of several, the one the bytes match. Raises InvalidError."""
    claiming = [form for form in family.values() if essence in form.content_types]
    if seen in claiming:
        return seen
    if claiming:
        return claiming[0]
    names = listed(tuple(form.content_types[0] for form in family.values()))
    raise InvalidError(f"content type {essence!r} is not one of {names}")


def _text(source: Path, family: dict[str, type[Format]]) -> type[Format]:
    """CSV, for text of unknown format. Raises InvalidError for other bytes."""
    with plain(source) as file:
        if b"\0" in file.read(HEAD_BYTES):
            titles = listed(tuple(form.title for form in family.values()))
            raise InvalidError(f"the file is none of the kinds that are read here: {titles}")
    return family["csv"]


def _by_bytes(source: Path) -> type[Format] | None:
    """The format that the first bytes, or the files of an archive, indicate."""
    with plain(source) as file:
        head = file.read(HEAD_BYTES)
    fitting = [
        form for form in members(Format).values() if form.magic and head.startswith(form.magic)
    ]
    if len(fitting) > 1:
        suffixes = frozenset(suffix for form in fitting for suffix in form.suffixes)
        suffix = first_suffix(source, suffixes)
        fitting = [form for form in fitting if suffix in form.suffixes]
    return fitting[0] if fitting else None
