"""Write docs/jobspec.md, the page about JobSpec and SweepSpec, from their schemas.

    python -m docs.jobspec

Run it after a change of a spec; a test compares the page.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.family import Family, members
from core.spec import JobSpec
from core.spec.sweep import SweepSpec

PAGE = Path(__file__).with_suffix(".md")
LONGEST_DEFAULT = 60
HEAD = """# JobSpec and SweepSpec

All fields of the documents that start a job (`POST /v1/jobs`, `chainrule submit`) and a sweep
(`POST /v1/sweeps`, `chainrule sweep run`). `chainrule init data.csv` writes a JobSpec that fits a
file, and `chainrule schema` prints the JSON schema of a running server, for editors.

Fields in **bold** are required. A member of a [family](#families), such as a layer, is an object
with a `kind`. Its kind alone is short for a member whose other fields have their defaults, and a
number for the `units` of a dense layer: `"loss": "cross_entropy"`, `"network": [64, "relu", 10]`.
The server stores the full form. `python -m docs.jobspec` writes this page from the schema.
"""

Schema = dict[str, Any]


class Writer:
    """Writes the page of a schema: the objects that it refers to, then the families."""

    def __init__(self, schema: Schema) -> None:
        self._definitions: dict[str, Schema] = schema["$defs"]
        self._families = {
            frozenset(kinds): family.__name__
            for family in Family.__subclasses__()
            if (kinds := members(family))
        }
        self._objects: list[str] = []
        self._unions: dict[str, dict[str, str]] = {}

    def page(self, roots: list[str]) -> str:
        """Return the page that begins with the definitions `roots`."""
        sections = [HEAD]
        self._objects += roots
        for name in self._objects:  # grows while it is read
            sections.append(f"## {name}\n\n{self._object(name)}")
        sections.append("## Families\n")
        written: dict[str, list[str]] = {}
        while missing := [name for name in self._unions if name not in written]:
            for family in missing:
                kinds = self._unions[family].items()
                written[family] = [f"#### {kind}\n\n{self._object(name)}" for kind, name in kinds]
        for family in sorted(written):
            sections += [f"### {family}\n", *written[family]]
        return "\n".join(sections)

    def _object(self, name: str) -> str:
        """The description and the fields of a definition."""
        schema = self._definitions[name]
        required = schema.get("required", [])
        rows = [
            self._row(field, content, field in required)
            for field, content in schema.get("properties", {}).items()
            if "const" not in content
        ]
        table = ["| field | type | default | |", "|---|---|---|---|", *rows, ""] if rows else []
        return "\n".join([*_paragraphs(schema.get("description", "")), *table])

    def _row(self, name: str, schema: Schema, required: bool) -> str:
        label = f"**`{name}`**" if required else f"`{name}`"
        default = "" if required else self._default(schema)
        description = _cell(schema.get("description", ""))
        return f"| {label} | {self._type(schema)} | {default} | {description} |"

    def _default(self, schema: Schema) -> str:
        if "default" not in schema:
            return ""
        value = schema["default"]
        if isinstance(value, dict) and "kind" in value:
            return f"`{value['kind']}`"
        text = json.dumps(value)
        return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "its own defaults"

    def _type(self, schema: Schema) -> str:
        """The type of a value, in words, with links."""
        if "discriminator" in schema:
            return self._union(schema["discriminator"]["mapping"])
        if "$ref" in schema:
            return self._reference(schema["$ref"].rpartition("/")[2])
        if options := schema.get("anyOf") or schema.get("oneOf"):
            if any("discriminator" in option for option in options):
                # The short forms of members are described once, at the top of the page.
                options = [o for o in options if "discriminator" in o or o.get("type") == "null"]
            return " or ".join(dict.fromkeys(map(self._type, options)))
        if "enum" in schema:
            return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        kind = schema.get("type", "any value")
        if kind == "array":
            if "prefixItems" in schema:
                return f"list of {' and '.join(map(self._type, schema['prefixItems']))}"
            return f"list of {self._type(schema.get('items', {}))}"
        if kind == "object":
            values = schema.get("additionalProperties")
            named = schema.get("patternProperties") or {}
            content = values if isinstance(values, dict) else next(iter(named.values()), {})
            return f"object of {self._type(content)}" if content else "object"
        return f"{kind}{_bounds(schema)}"

    def _union(self, mapping: dict[str, str]) -> str:
        family = self._families[frozenset(mapping)]
        self._unions.setdefault(
            family, {kind: path.rpartition("/")[2] for kind, path in mapping.items()}
        )
        return f"[{family}](#{family.lower()})"

    def _reference(self, name: str) -> str:
        if "properties" not in self._definitions[name]:
            return "any value" if name == "JsonValue" else self._type(self._definitions[name])
        if name not in self._objects:
            self._objects.append(name)
        return f"[{name}](#{name.lower()})"


def page() -> str:
    """Return the text of the page."""
    schema = SweepSpec.model_json_schema()
    schema["$defs"] |= {"SweepSpec": schema, "JobSpec": schema["$defs"][JobSpec.__name__]}
    return Writer(schema).page(["JobSpec", "SweepSpec"])


def _bounds(schema: Schema) -> str:
    """The limits of a number, in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    texts = [
        f"from {low}" if low is not None else "",
        f"above {above}" if above is not None else "",
        f"to {high}" if high is not None else "",
        f"below {below}" if below is not None else "",
    ]
    given = " ".join(filter(None, texts))
    return f" {given}" if given else ""


def _paragraphs(description: str) -> Iterator[str]:
    """The paragraphs of a docstring, one a line."""
    for paragraph in description.split("\n\n"):
        if text := _line(paragraph):
            yield f"{text}\n"


def _cell(text: str) -> str:
    """A text that is safe in a table."""
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
