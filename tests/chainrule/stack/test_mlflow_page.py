"""MLflow's page has its defaults before its own scripts run; browsers test what they do."""

import re

from chainrule.stack.mlflow_page import DEFAULTS, with_defaults

PAGE = (
    '<!doctype html><html><head><title>MLflow</title><script src="main.js"></script></head></html>'
)


def test_the_defaults_come_before_the_scripts_of_the_page() -> None:
    page = with_defaults(PAGE)
    assert page.index("Storage.prototype") < page.index("main.js")
    assert all(key in page for key in DEFAULTS)
    assert re.sub(r"<head>.*</style>", "<head>", page, flags=re.S) == PAGE
