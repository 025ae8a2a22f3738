"""JSON objects of the API, as Python objects that are still dictionaries."""

import html
import json
from typing import Any

from chainrule.client.problem import AbsentFieldError


class Record(dict[str, Any]):
    """A JSON object of the API. Its fields are also attributes: `job.status`, `job["status"]`.

    A field with the name of a method of dict, such as `items`, is only an item. A field that the
    server did not send raises AbsentFieldError.
    """

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        raise AbsentFieldError(name)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}; there are {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def _repr_html_(self) -> str:
        """Return a table of the fields, which notebooks show."""
        return table(self)


def decoded(text: str | bytes) -> Any:
    """Return JSON as Python objects, with each object a Record. Raises ValueError."""
    return json.loads(text, object_hook=Record)


def table(fields: dict[str, Any]) -> str:
    """Return fields as an HTML table, without those that are empty."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(_short(value))}</td></tr>"
        for name, value in fields.items()
        if value not in (None, "", [], {})
    )
    return f"<table>{rows}</table>"


def _short(value: Any, width: int = 120) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= width else f"{text[: width - 1]}…"
