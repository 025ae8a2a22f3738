"""Fixtures that all tests share."""

pytest_plugins = ["tests.brokers", "tests.databases", "tests.trackers"]
