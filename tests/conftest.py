"""Fixtures that all tests share."""

import os

pytest_plugins = ["tests.brokers", "tests.buckets", "tests.databases", "tests.trackers"]

# The code under test is not sent along with every job a test submits; tests of sources ask for it.
os.environ["CHAINRULE_SOURCE"] = "off"
