"""Which fields there are at a place of a request's body, as the api's own schema says."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from starlette.requests import Request

_FEW = 12
"""So many fields are listed when none of them is like the one that was sent."""


class Fields:
    """The schema of one body: `schema`, which may refer to `document`, an OpenAPI document."""

    def __init__(self, document: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
        self._document = document
        self._schema = schema

    @classmethod
    def of(cls, request: Request) -> "Fields":
        """Of the JSON body that the route of `request` takes; of none where it takes no JSON."""
        document = request.app.openapi()
        found: Any = document["paths"].get(request.scope["route"].path_format, {})
        content = found.get(request.method.lower(), {}).get("requestBody", {}).get("content", {})
        return cls(document, content.get("application/json", {}).get("schema", {}))

    def advice(self, steps: Sequence[str | int]) -> str:
        """What is there instead of the last of `steps` (as pydantic tells them); may be empty."""
        *way, wrong = steps
        names = self.at(way)
        if alike := get_close_matches(str(wrong), names, n=1):
            return f"did you mean {alike[0]!r}?"
        return f"there are: {', '.join(names)}" if 0 < len(names) <= _FEW else ""

    def at(self, way: Sequence[str | int]) -> list[str]:
        """The fields of the object that `way` leads to."""
        here = [self._schema]
        for step in way:
            # A step that leads nowhere is the name of a union's branch.
            here = [n for one in here for n in self._next(one, step)] or here
        found = [node for one in here for node in self._branches(one)]
        return list({name: None for node in found for name in node.get("properties", {})})

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
        """The schema, followed to where it refers, and all branches of its unions."""
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        yield schema
        for kind in ("anyOf", "oneOf", "allOf"):
            for branch in schema.get(kind, ()):
                yield from self._branches(branch)
