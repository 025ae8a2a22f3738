"""The pages of the API's documentation: Swagger UI, from files of a package, and the favicon.

Nothing is loaded from elsewhere, so that they work where no other server can be reached.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse

from core.errors import NotFoundError

PACKAGE = Path(str(files("fastapi_swagger"))) / "resources"
"""The folder with the files of Swagger UI."""

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
CACHED = {"Cache-Control": "max-age=3600"}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chainrule API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/")
def redirect_to_documentation() -> RedirectResponse:
    """Lead to the documentation."""
    return RedirectResponse("docs")


@router.get("/docs")
def read_documentation() -> HTMLResponse:
    """Return the page of Swagger UI."""
    return HTMLResponse(PAGE)


@router.get("/docs/start.js")
def read_start_script() -> PlainTextResponse:
    """Return the script that starts Swagger UI: the page has none of its own."""
    return PlainTextResponse(START, media_type="text/javascript", headers=CACHED)


@router.get("/docs/{asset}")
def read_asset(asset: str) -> FileResponse:
    """Return a file of Swagger UI. Raises NotFoundError."""
    if asset not in ASSETS:
        raise NotFoundError(f"there is no file {asset[:100]!r}")
    return FileResponse(PACKAGE / asset, media_type=ASSETS[asset], headers=CACHED)


@router.get("/favicon.ico")
def read_favicon() -> FileResponse:
    """Return the icon of the pages."""
    return read_asset("favicon-32x32.png")
