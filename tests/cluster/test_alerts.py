"""The chart's rules and dashboard, asked of a Prometheus that scrapes real pods."""

import re
import time
from datetime import datetime
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.prometheus import has_number, query
from tests.cluster.service import Service
from tests.helm.test_dashboard import queries
from tests.kubectl import needs_cluster

SCRAPE_SECONDS = 60
QUIET = {"HomefeedNotScraped", "HomefeedEmbeddingSpaceMismatch", "HomefeedNoReadyPod"}
"""Alerts that nothing in these tests is a cause of."""

FAILURES, RECALL = "Requests5XX", "homefeed_sidecar_recall"


@pytest.fixture
def rules(service: Service) -> list[dict[str, Any]]:
    options = "prometheusRule.enabled=true,users.redis.url=redis://redis:6379/0"
    objects = service.render("--set", options)
    (found,) = (each for each in objects if each["kind"] == "PrometheusRule")
    return [rule for group in found["spec"]["groups"] for rule in group["rules"]]


@needs_cluster
def test_the_objectives_have_a_value_under_traffic(
    traffic: Traffic, prometheus: str, rules: list[dict[str, Any]]
) -> None:
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    assert len(recorded) == 14
    deadline = time.monotonic() + SCRAPE_SECONDS
    with traffic.flowing():
        for name, expression in recorded.items():
            # Not a number until two scrapes have seen requests.
            while not 0 <= value(prometheus, expression) <= 1:
                assert time.monotonic() < deadline, (name, query(prometheus, expression))
                time.sleep(1)


@needs_cluster
def test_alerts_are_quiet_and_can_be_asked(
    traffic: Traffic, prometheus: str, rules: list[dict[str, Any]]
) -> None:
    with traffic.flowing():
        pass
    alerts = {rule["alert"]: rule["expr"] for rule in rules if "alert" in rule}
    assert alerts.keys() > QUIET
    for name, expression in alerts.items():
        found = query(prometheus, expression)
        assert name not in QUIET or not found, (name, found)


@needs_cluster
def test_the_age_of_the_index_is_that_of_the_release(
    service: Service, demo: Demo, prometheus: str, rules: list[dict[str, Any]]
) -> None:
    service.settle()
    (expression,) = (rule["expr"] for rule in rules if rule.get("alert") == "HomefeedIndexTooOld")
    made = datetime.strptime(demo.version.partition("-")[0] + "+0000", "%Y%m%dT%H%M%SZ%z")
    deadline = time.monotonic() + SCRAPE_SECONDS
    while True:
        found = query(prometheus, re.sub(r"> \d+\s*$", "", expression))
        ages = {each["metric"]["version"]: float(each["value"][1]) for each in found}
        if demo.version in ages:
            break
        assert time.monotonic() < deadline, found
        time.sleep(1)
    # The clock of the cluster may be a little off.
    assert abs(ages[demo.version] - (time.time() - made.timestamp())) < SCRAPE_SECONDS


@needs_cluster
def test_the_dashboard_shows_real_pods(service: Service, traffic: Traffic, prometheus: str) -> None:
    deadline = time.monotonic() + SCRAPE_SECONDS
    with traffic.flowing():
        for title, expression in queries({"$namespace": service.namespace}):
            # An exact index has no recall: its series are there, their quotient is no number.
            is_there = bool if RECALL in expression else has_number
            # Failures alone may be none, and TorchServe then has no series of them.
            while not is_there(query(prometheus, expression)) and FAILURES not in expression:
                assert time.monotonic() < deadline, (title, expression)
                time.sleep(1)


def value(prometheus: str, expression: str) -> float:
    found = query(prometheus, expression)
    return float(found[0]["value"][1]) if found else -1.0
