"""The dashboard and the alert rules in deploy/monitoring fit what the processes expose."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from api.metrics import Instruments
from tests.deploy import compose
from tests.support.job_cases import claimed, queued
from worker.node.metrics import WorkerCounts
from worker.scheduler.metrics import SchedulerMetrics

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
EXPRESSIONS = {
    **{f"{panel['title']} {t['refId']}": t["expr"] for panel in PANELS for t in panel["targets"]},
    **{rule["alert"]: rule["expr"] for rule in RULES},
}
OF_PROMETHEUS = {"up": {"job", "instance"}}
"""Metrics that Prometheus makes itself, with their labels."""

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
DURATION = re.compile(r"\d+[smhd]")


@pytest.fixture
def exposed(engine: Engine) -> Mapping[str, set[str]]:
    """The names of all series that api, scheduler and worker expose, with their labels."""
    queued(engine)
    claimed(engine)
    instruments = Instruments()
    instruments.observe({"method": "GET"}, 200, 0.1)
    instruments.show_queues({"cpu": (1, 1.0)})
    counts = CollectorRegistry()
    counts.register(WorkerCounts(1))
    names = {name: set(labels) for name, labels in OF_PROMETHEUS.items()}
    for registry in (instruments.registry, SchedulerMetrics(engine).registry, counts):
        for family in registry.collect():
            labels = {label for sample in family.samples for label in sample.labels}
            labels |= set(getattr(family, "_labelnames", ()))
            for suffix in SUFFIXES.get(family.type, [""]):
                names[family.name + suffix] = labels
    return names


def series(expression: str) -> list[str]:
    """The metrics that an expression names."""
    return re.findall(r"\b(?:chainrule_\w+|up)\b", expression)


def labels(expression: str) -> set[str]:
    """The labels by which an expression groups or selects."""
    groups = re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", expression)
    matchers = re.findall(r"\{([^}]*)\}", expression)
    return {name.strip() for group in groups for name in group.split(",")} | {
        name for matcher in matchers for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matcher)
    }


def unknown(expression: str, exposed: Mapping[str, set[str]]) -> set[str]:
    """The series and labels of an expression that no process exposes, or that it names none."""
    names = set(series(expression))
    if not names or not names <= set(exposed):
        return names - set(exposed) or {"no series"}
    return labels(expression) - {label for name in names for label in exposed[name]}


def test_expressions_use_series_and_labels_that_exist(exposed: Mapping[str, set[str]]) -> None:
    wrong = {name: unknown(text, exposed) for name, text in EXPRESSIONS.items()}
    assert not {name: words for name, words in wrong.items() if words}
    assert unknown("max(chainrule_nothing)", exposed) == {"chainrule_nothing"}
    assert unknown("max by (colour) (chainrule_jobs)", exposed) == {"colour"}
    assert unknown("max(1)", exposed) == {"no series"}


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_expression_parses_and_rates_counters(name: str) -> None:
    expression = EXPRESSIONS[name]
    promql_parser.parse(expression)
    rated = re.findall(r"\b(?:rate|increase)\(([^()]*)\)", expression)
    assert len(rated) == len(re.findall(r"\b(?:rate|increase)\b", expression))
    for inner in rated:
        counter, _, window = inner.partition("[")
        assert counter.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum"))
        assert DURATION.fullmatch(window.removesuffix("]"))


@pytest.mark.parametrize("expression", ["sum(a", "a[5m)", 'a{b="c}', "sum by (a", "rate(a)"])
def test_wrong_expression_is_noticed(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        promql_parser.parse(expression)


def test_labels_and_series_are_read_from_an_expression() -> None:
    expression = 'sum by (le, route) (chainrule_x_bucket{a=~"b", c!="d"}) > up'
    assert labels(expression) == {"le", "route", "a", "c"}
    assert series(expression) == ["chainrule_x_bucket", "up"]
    promql_parser.parse(expression)


def test_panels_have_their_own_number_and_place() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for first, second in combinations((panel["gridPos"] for panel in PANELS), 2):
        assert not overlap(first, second)


def overlap(first: Mapping[str, int], second: Mapping[str, int]) -> bool:
    """Whether two panels cover the same place of the dashboard."""
    return all(
        first[start] < second[start] + second[size] and second[start] < first[start] + first[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_panels_use_the_data_source_that_a_reader_chooses() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["source"]
    sources = {uid for panel in PANELS for uid in uids(panel)}
    assert sources == {"${source}"}


def uids(document: Any) -> Iterator[str]:
    """The data sources that a part of the dashboard names."""
    if isinstance(document, dict):
        if "datasource" in document:
            yield document["datasource"]["uid"]
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from uids(part)


def test_rules_have_the_fields_that_prometheus_takes() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert DURATION.fullmatch(rule.get("for", "0s"))
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_scrape_configuration_names_the_rules_and_services() -> None:
    document = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert all((FOLDER / name).is_file() for name in document["rule_files"])
    services = compose.services(compose.filled_in() | {"METRICS_PORT": "9100"})
    for name in ("scheduler", "worker-cpu", "worker-gpu"):
        assert services[name].environment["CHAINRULE_METRICS_PORT"] == "9100"
        assert services[name].environment["CHAINRULE_METRICS_HOST"] == "0.0.0.0"
    scraped = [
        name
        for config in document["scrape_configs"]
        for group in config.get("static_configs", [])
        for name in group["targets"]
    ] + [
        name
        for config in document["scrape_configs"]
        for group in config.get("dns_sd_configs", [])
        for name in group["names"]
    ]
    assert {name.partition(":")[0] for name in scraped} <= set(services)
    assert all(config["job_name"].startswith("chainrule-") for config in document["scrape_configs"])
