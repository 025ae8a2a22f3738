"""The methods that a path allows, for responses with status 405."""

import re

from fastapi import FastAPI
from starlette.routing import compile_path


class Methods:
    """The methods of each path in the OpenAPI document of `app`, computed at the first use."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._known: list[tuple[re.Pattern[str], list[str]]] = []

    def of(self, path: str) -> list[str]:
        """The methods that `path` allows, in alphabetical order."""
        if not self._known:
            document = self._app.openapi()
            self._known = [
                (compile_path(template)[0], sorted(method.upper() for method in item))
                for template, item in document["paths"].items()
            ]
        return next((methods for pattern, methods in self._known if pattern.match(path)), [])
