"""The public interfaces as sorted lines of text, and the snapshots that they are compared with.

A line names one thing that people type, send, read or store: an operation of the REST interface
with its parameters, a field of a schema, an option of the command line, an environment variable, a
column. Its type follows the colon; `!` marks what is required. Descriptions are left out.

    python -m tests.support.interfaces.stability

writes the snapshots anew. Do so after an addition. Before you accept a line that disappears or
changes, deprecate what it names: clients, scripts and databases of others depend on it.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main
from sqlalchemy.dialects import postgresql

from api.app import create_app
from chainrule.cli.app import app as command_line
from core.db.tables import Base
from core.settings import Settings

FOLDER = Path(__file__).parent


def rest() -> Iterator[str]:
    """Operations, their parameters, bodies and answers, and the fields of all schemas."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    for name, schema in document["components"]["schemas"].items():
        yield from _fields(name, schema)


def settings() -> Iterator[str]:
    """Environment variables."""
    prefix = Settings.model_config["env_prefix"]
    schema = Settings.model_json_schema(mode="validation")
    for name, field in schema["properties"].items():
        yield f"{prefix}{name.upper()}: {_type(field)}"


def cli() -> Iterator[str]:
    """Commands with their arguments and options."""

    def walk(command: Any, name: str) -> Iterator[str]:
        yield name
        for parameter in command.params:
            given = "/".join([*parameter.opts, *parameter.secondary_opts])
            kind = "flag" if getattr(parameter, "is_flag", False) else "value"
            yield f"{name} {given}: {kind}{'s' * parameter.multiple}{'!' * parameter.required}"
        for part, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{name} {part}")

    return walk(typer.main.get_command(command_line), "chainrule")


def tables() -> Iterator[str]:
    """Columns, with the type that they have on PostgreSQL."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in Base.metadata.tables.values():
        for column in table.columns:
            kind = column.type.compile(dialect)
            yield f"{table.name}.{column.name}: {kind}{'' if column.nullable else '!'}"


INTERFACES: Mapping[str, Callable[[], Iterator[str]]] = {
    "rest": rest,
    "cli": cli,
    "settings": settings,
    "tables": tables,
}


def changes(name: str) -> tuple[list[str], list[str]]:
    """The lines of the snapshot that are gone, and the lines that it does not have yet."""
    now = set(INTERFACES[name]())
    before = set((FOLDER / f"{name}.txt").read_text().splitlines())
    return sorted(before - now), sorted(now - before)


def explanation(name: str) -> str:
    """What changed of an interface and what to do about it; empty if nothing did."""
    gone, new = changes(name)
    if not gone and not new:
        return ""
    lines = [*(f"- {line}" for line in gone), *(f"+ {line}" for line in new)]
    advice = "Lines with - break what depends on them. " if gone else ""
    return "\n".join(
        [
            f"The interface `{name}` is not that of tests/support/interfaces/{name}.txt:",
            *lines,
            f"{advice}To accept: python -m tests.support.interfaces.stability",
        ]
    )


def write() -> None:
    """Write all snapshots."""
    for name, lines in INTERFACES.items():
        (FOLDER / f"{name}.txt").write_text("\n".join(sorted(set(lines()))) + "\n")


def _operation(name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield name
    for parameter in operation.get("parameters", []):
        given = f"{name} {parameter['in']}.{parameter['name']}"
        yield f"{given}: {_type(parameter['schema'])}{'!' * parameter.get('required', False)}"
    body = operation.get("requestBody", {})
    for media_type, content in body.get("content", {}).items():
        yield f"{name} body {media_type}: {_type(content['schema'])}"
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield f"{name} {status}"
            for media_type, content in response.get("content", {}).items():
                yield f"{name} {status} {media_type}: {_type(content.get('schema', {}))}"


def _fields(name: str, schema: dict[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        yield f"{name}: {_type(schema)}"
    for field, kind in schema.get("properties", {}).items():
        yield f"{name}.{field}: {_type(kind)}{'!' * (field in schema.get('required', ()))}"


def _type(schema: Any) -> str:
    """A JSON schema's type in one line."""
    if not isinstance(schema, dict):
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return " | ".join(json.dumps(value) for value in values)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " | ".join(sorted({_type(branch) for branch in schema[union]}))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems", [{}])}
        return f"[{_type(items)}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{{_type(schema['additionalProperties'])}}}"
    return f"{kind}({schema['format']})" if "format" in schema else kind


if __name__ == "__main__":
    write()
