"""Fixtures that all tests share."""

import os

pytest_plugins = [
    "tests.support.brokers",
    "tests.support.buckets",
    "tests.support.databases",
    "tests.support.trackers",
]

# The code under test is not sent along with every job a test submits; tests of sources ask for it.
os.environ["CHAINRULE_SOURCE"] = "off"
