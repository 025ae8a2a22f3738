"""The documentation's pages come with everything they need, and load nothing from elsewhere."""

import re
from urllib.parse import urljoin

import pytest

from api.http.documentation import ASSETS
from tests.support.api_cases import Http, assert_problem


def test_the_root_leads_to_the_documentation(http: Http) -> None:
    answer = http.get("/")
    assert answer.status_code == 307
    assert urljoin("/", answer.headers["location"]) == "/docs"


def test_each_file_of_the_page_is_served_here(http: Http) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    linked = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(linked) == 4
    for path in linked:
        answer = http.get(urljoin("/docs", path))
        assert answer.status_code == 200, path
        assert len(answer.content) > 100
        assert "max-age" in answer.headers["cache-control"]


def test_the_page_may_run_no_script_from_elsewhere_and_none_of_its_own(http: Http) -> None:
    page = http.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "http" not in policy
    assert "unsafe-inline" not in policy
    assert "script-src 'self'" in policy
    assert not re.search(r"<script>|<style|http", page.text)


@pytest.mark.parametrize("name", ASSETS)
def test_files_have_their_type(http: Http, name: str) -> None:
    kind = http.get(f"/docs/{name}").headers["content-type"]
    assert kind.partition(";")[0] == ASSETS[name]


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2f__init__.py", "%2e%2e/main.py"])
def test_other_files_are_not_there(http: Http, name: str) -> None:
    assert_problem(http.get(f"/docs/{name}"), 404)


def test_browsers_find_an_icon(http: Http) -> None:
    answer = http.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
