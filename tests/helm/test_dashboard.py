"""The dashboard: queries that Prometheus can read, of metrics that the pods expose."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from serving.torchserve.metrics import STAGES
from tests.helm.chart import CHART, NAME, Rendered, template
from tests.helm.exporters import handler_names, sidecar_names, torchserve_names
from tests.helm.promtool import check_rules, needs_promtool, run_rules
from tests.helm.timeline import Phase, play

DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {"$namespace": "shop", "$pod": ".+", "$__rate_interval": "5m"}
"""What Grafana puts in their place."""


def queries(given: Mapping[str, str] = VARIABLES) -> Iterator[tuple[str, str]]:
    """The title of each panel and each of its queries, with some variables filled in otherwise."""
    for panel in PANELS:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in (VARIABLES | dict(given)).items():
                query = query.replace(name, value)
            yield panel["title"], query


def as_rules() -> dict[str, Any]:
    recorded = [
        {"record": f"panel:query:{number}", "expr": query}
        for number, (_, query) in enumerate(queries())
    ]
    return {"groups": [{"name": "dashboard", "rules": recorded}]}


@needs_promtool
def test_promtool_can_read_every_query(tmp_path: Path) -> None:
    assert f"{len(list(queries()))} rules found" in check_rules(as_rules(), tmp_path)


def test_queries_ask_for_what_the_pods_expose() -> None:
    exposed = handler_names() | sidecar_names() | torchserve_names()
    asked = set()
    for title, query in queries():
        found = set(re.findall(r"([A-Za-z_:][\w:]*){", query))
        assert found, title
        assert found <= exposed, title
        asked |= found
        # Whatever else the same Prometheus scrapes does not count.
        assert query.count('namespace="shop", pod=~".+"') == len(re.findall("{", query)), title
    for name in ("ts_inference_requests_total", "homefeed_retrieval_stage_seconds_bucket",
                 "homefeed_sidecar_stage_seconds_bucket", "homefeed_sidecar_pending_requests",
                 "homefeed_sidecar_index_created_timestamp_seconds"):  # fmt: skip
        assert name in asked


def test_labels_are_those_of_the_metrics() -> None:
    """A label that no exporter gives would leave a panel empty, or all lines in one."""
    known = {"le", "stage", "outcome", "reason", "features", "strategy", "status", "version",
             "embedding_space", "pod"}  # fmt: skip
    for title, query in queries():
        for labels in re.findall(r"by \(([^)]*)\)", query):
            assert set(labels.split(", ")) <= known, title
    stages = {stage for _, query in queries() for stage in re.findall(r'stage!?="(\w+)"', query)}
    assert stages <= set(STAGES)
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), panel["title"]


@needs_promtool
def test_panels_show_what_happens(tmp_path: Path) -> None:
    series = play(Phase(minutes=30, failed=0.02, degraded=0.1, slow=0.2, index_age_seconds=7200))
    by_title = dict(queries())
    answers = {
        # The slow fifth is between 0.1 and 0.25 s, and nineteen twentieths of it are faster.
        "A batch in its worker": 0.2425,
        "Age": 7200 + 25 * 60,
        "Versions": 1,
        "Bad answers": 0.098,  # a tenth of those that did not fail
        "Recall": 0.97,
    }
    expected = [
        {
            "expr": f"round({by_title[title]}, 0.0001)",
            "eval_time": "25m",
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for title, value in answers.items()
    ]
    run_rules({"groups": []}, series, expected, tmp_path)


def test_the_pods_of_one_track_can_be_chosen() -> None:
    track, pod = DASHBOARD["templating"]["list"][-2:]
    assert (track["name"], pod["name"]) == ("track", "pod")
    assert 'track=~"$track"' in pod["query"]["query"]
    # A Prometheus without the operator may not give the label.
    assert track["allValue"] == ".*"


def test_panels_are_described_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({(panel["title"], panel["description"]) for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(each["datasource"]["uid"] == "${datasource}" for each in panel["targets"])
    for first, second in combinations(DASHBOARD["panels"], 2):
        assert not overlap(first["gridPos"], second["gridPos"]), (first["title"], second["title"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_percentiles_of_every_stage_are_there() -> None:
    texts = [query for _, query in queries()]
    for quantile in ("0.5", "0.95", "0.99"):
        for histogram in ("homefeed_retrieval_stage_seconds", "homefeed_sidecar_stage_seconds"):
            start = f"histogram_quantile({quantile}, sum by (stage, le) (rate({histogram}_bucket"
            assert any(text.startswith(start) for text in texts), start


def test_grafana_finds_it_by_its_label(s3: Rendered, minimal: Rendered) -> None:
    found = s3.one("ConfigMap", f"{NAME}-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["homefeed-retrieval.json"]) == DASHBOARD
    names = [each["metadata"]["name"] for each in minimal.objects]
    assert f"{NAME}-dashboard" not in names


@pytest.mark.parametrize("name", ["folder", "labels"])
def test_where_grafana_looks_can_be_said(name: str) -> None:
    option = {
        "folder": r"grafanaDashboard.annotations.grafana_folder=Feed",
        "labels": "grafanaDashboard.labels.team=feed",
    }[name]
    rendered = template("s3", "--set", option, "--show-only", "templates/dashboard.yaml")
    assert {"folder": "grafana_folder: Feed", "labels": "team: feed"}[name] in rendered
