"""The formats a dataset may be uploaded in, one file each; the content type chooses."""

from email.message import Message
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
HEAD_BYTES = 16


def known() -> tuple[type[Format], ...]:
    """All formats."""
    return tuple(members(Format).values())


def typed(content_type: str, filename: str) -> str:
    """The content type of an upload: the given one, or if it is generic, that of the file ending.

    For a name without a known ending the first bytes decide later.
    """
    message = Message()
    message["content-type"] = content_type or "application/octet-stream"
    if message.get_content_type() not in UNTYPED or not filename:
        return content_type
    endings = [ending.lower() for ending in PurePath(filename).suffixes]
    if endings and endings[-1] in PACKED:
        endings.pop()
    for form in known():
        if endings and endings[-1] in form.endings:
            return form.content_types[0]
    return content_type


def choose(content_type: str, source: Path) -> Format:
    """The format of a content type, with its parameters as options.

    For a generic content type the first bytes decide. Raises InvalidError for an unknown type
    or option, or when the bytes are plainly of another format.
    """
    message = Message()
    message["content-type"] = content_type or "application/octet-stream"
    essence = message.get_content_type()
    given = message.get_params(failobj=[], header="content-type")
    options = {str(name): str(value) for name, value in given[1:]}
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
    try:
        return TypeAdapter(named).validate_python({"kind": named.kind, **options})
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
