"""The fields that the API's own schema allows at a path of a request body."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from api.http.synonyms import closest

_FEW = 12
"""Maximum number of fields that advice lists when none resembles the unknown one."""


class Fields:
    """The fields of `schema`, whose references point into the OpenAPI `document`."""

    def __init__(self, document: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
        self._document = document
        self._schema = schema

    @classmethod
    def of(cls, request: Request) -> "Fields":
        """The fields of the JSON body that the route of `request` accepts."""
        document = request.app.openapi()
        item: Any = document["paths"].get(request.scope["route"].path_format, {})
        content = item.get(request.method.lower(), {}).get("requestBody", {}).get("content", {})
        return cls(document, content.get("application/json", {}).get("schema", {}))

    def advice(self, steps: Sequence[str | int]) -> str:
        """Suggest known fields instead of the last of `steps`, a pydantic location."""
        *parents, unknown = steps
        names = self.at(parents)
        if (name := closest(str(unknown), names)) is not None:
            return f"did you mean {name!r}?"
        return f"known fields: {', '.join(names)}" if 0 < len(names) <= _FEW else ""

    def at(self, steps: Sequence[str | int]) -> list[str]:
        """The fields of the object at `steps`."""
        schemas = [self._schema]
        for step in steps:
            # Pydantic also names the branch of a union: such a step matches no field.
            schemas = [child for schema in schemas for child in self._next(schema, step)] or schemas
        branches = [branch for schema in schemas for branch in self._branches(schema)]
        return list({name: None for branch in branches for name in branch.get("properties", {})})

    def _next(self, schema: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
        for node in self._branches(schema):
            if isinstance(step, int):
                if "items" in node:
                    yield node["items"]
            elif step in node.get("properties", {}):
                yield node["properties"][step]
            elif reference := node.get("discriminator", {}).get("mapping", {}).get(step):
                yield {"$ref": reference}

    def _branches(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The schema that `schema` refers to and, recursively, the branches of its unions."""
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        yield schema
        for kind in ("anyOf", "oneOf", "allOf"):
            for branch in schema.get(kind, ()):
                yield from self._branches(branch)
