"""The API's documentation in a real browser that can reach no other server."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Page, Route, expect

from api.app import create_app
from core.settings import Settings
from tests.support.api_cases import Http, close

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
HOST = "127.0.0.1:8000"


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    """An app without a server."""
    app = create_app(Settings(data_dir=tmp_path))
    with start_blocking_portal() as portal:
        yield Http(app, portal)
    close(app)


def test_all_operations_are_shown_without_other_servers(page: Page, http: Http) -> None:
    elsewhere, complaints = [], []

    def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.netloc != HOST:
            elsewhere.append(route.request.url)
            route.abort()
            return
        response = http.get(address.path)
        route.fulfill(
            status=response.status_code,
            headers=dict(response.headers),
            body=response.content,
        )

    page.route("**/*", answer)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{HOST}/docs")
    expect(page.locator(".info .title")).to_contain_text("Chainrule")
    document = http.get("/openapi.json").json()
    operations = [one for item in document["paths"].values() for one in item.values()]
    # An operation is listed under each of its tags.
    expect(page.locator(".opblock")).to_have_count(sum(len(one["tags"]) for one in operations))
    page.locator("#operations-jobs-submit_job .opblock-summary-control").first.click()
    body = page.locator("#operations-jobs-submit_job textarea").input_value()
    assert json.loads(body) == document["components"]["schemas"]["JobSpec"]["examples"][0]
    assert elsewhere == []
    assert complaints == []
