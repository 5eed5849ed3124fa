"""The alerts: each fires when its cause is made, no other does, and it clears afterwards."""

import re
from pathlib import Path
from typing import Any

import pytest

from serving.torchserve.metrics import BUCKETS_SECONDS
from tests.helm.chart import CHART, NAME, Rendered, template
from tests.helm.exporters import all_names
from tests.helm.promtool import check_rules, needs_promtool, run_rules
from tests.helm.test_values import SCHEMA
from tests.helm.timeline import Phase, play

RUNBOOKS = CHART.parents[1] / "docs" / "runbooks"
REDIS = ("--set", "users.redis.url=redis://redis:6379/0,networkPolicy.enabled=false")
BEFORE = 60
"""Minutes in which all is well."""

ANSWERS, LATENCY = "HomefeedAnswersBudgetBurn", "HomefeedLatencyBudgetBurn"


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    """All rules there are."""
    return Rendered("s3", *REDIS).one("PrometheusRule")["spec"]


def alerts(rules: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]


def firing(alert: str, window: str = "") -> str:
    matchers = f'alertstate="firing", alertname="{alert}"'
    return f'ALERTS{{{matchers}, window="{window}"}}' if window else f"ALERTS{{{matchers}}}"


def at(minute: int, query: str, holds: bool) -> dict[str, Any]:
    """That a query finds something, or nothing."""
    found = [{"labels": "{}", "value": 1}] if holds else []
    return {"expr": f"count({query}) > bool 0", "eval_time": f"{minute}m", "exp_samples": found}


def none_but(minute: int, *alerts: str) -> dict[str, Any]:
    return at(minute, f'ALERTS{{alertstate="firing", alertname!~"{"|".join(alerts)}"}}', False)


@needs_promtool
def test_promtool_takes_the_rules(rules: dict[str, Any], tmp_path: Path) -> None:
    count = sum(len(group["rules"]) for group in rules["groups"])
    assert f"{count} rules found" in check_rules(rules, tmp_path)


@needs_promtool
def test_nothing_fires_in_good_health(rules: dict[str, Any], tmp_path: Path) -> None:
    series = play(Phase(minutes=360, failed=0.0002, degraded=0.0002, slow=0.002))
    none = [none_but(minute, "none") for minute in (5, 90, 359)]
    run_rules(rules, series, none, tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    ("window", "budgets", "minutes", "clear_after"),
    [("1h", 50, 15, 6), ("6h", 9, 65, 15), ("1d", 5, 95, 55), ("3d", 2, 210, 200)],
)
@pytest.mark.parametrize("cause", ["failed", "degraded", "slow"])
def test_a_burning_budget(
    rules: dict[str, Any],
    tmp_path: Path,
    cause: str,
    window: str,
    budgets: int,
    minutes: int,
    clear_after: int,
) -> None:
    """`budgets` is how many times more than the objective allows goes wrong."""
    alert, share = (LATENCY, 0.01) if cause == "slow" else (ANSWERS, 0.001)
    shares = {"failed": 0.0, "degraded": 0.0, "slow": 0.0, cause: share * budgets}
    trouble = Phase(
        minutes=minutes,
        failed=shares["failed"],
        degraded=shares["degraded"],
        slow=shares["slow"],
    )
    series = play(Phase(minutes=20), trouble, Phase(minutes=clear_after + 1))
    end = 20 + minutes
    run_rules(
        rules,
        series,
        [
            at(20, firing(alert), False),
            at(end - 1, firing(alert, window), True),
            none_but(end - 1, alert, *(["HomefeedDegraded"] if cause == "degraded" else [])),
            at(end + clear_after, firing(alert, window), False),
        ],
        tmp_path,
    )


@needs_promtool
def test_a_slow_burn_calls_nobody_out_of_bed(rules: dict[str, Any], tmp_path: Path) -> None:
    series = play(Phase(minutes=BEFORE), Phase(minutes=240, failed=0.002))
    critical = 'ALERTS{alertstate="firing", severity="critical"}'
    run_rules(rules, series, [at(minute, critical, False) for minute in (90, 299)], tmp_path)


CAUSES = {
    "HomefeedDegraded": (Phase(minutes=15, degraded=0.02), 0, 6),
    "HomefeedSidecarUnreachable": (Phase(minutes=6, degraded=1.0, reason="unreachable"), 0, 4),
    "HomefeedEmbeddingSpaceMismatch": (
        Phase(minutes=2, degraded=1.0, reason="other_embedding_space"), 0, 6,
    ),
    "HomefeedIndexTooOld": (Phase(minutes=30, index_age_seconds=172800 - 600), 26, 2),
    "HomefeedReleaseRefused": (Phase(minutes=10, refused="corrupt"), 0, 6),
    "HomefeedRedisFailures": (Phase(minutes=15, redis_failed=0.2), 0, 6),
    "HomefeedRecallDrop": (Phase(minutes=40, recall=0.6), 0, 27),
    "HomefeedNoReadyPod": (Phase(minutes=4, is_up=False), 0, 2),
    "HomefeedNotScraped": (Phase(minutes=12, is_scraped=False), 0, 2),
    "HomefeedTargetDown": (Phase(minutes=15, is_up=False), 0, 2),
}  # fmt: skip
"""What makes each alert fire before the phase has ended, and not before a minute of it; and the
minutes after which it has cleared."""
ALSO = {
    # What users notice of it, too.
    "HomefeedSidecarUnreachable": (ANSWERS,),
    "HomefeedEmbeddingSpaceMismatch": (ANSWERS,),
    "HomefeedTargetDown": ("HomefeedNoReadyPod", "HomefeedNotScraped"),
}


@needs_promtool
@pytest.mark.parametrize("alert", CAUSES)
def test_a_cause(rules: dict[str, Any], tmp_path: Path, alert: str) -> None:
    trouble, not_before, clear_after = CAUSES[alert]
    series = play(Phase(minutes=BEFORE), trouble, Phase(minutes=clear_after + 5))
    end = BEFORE + trouble.minutes
    run_rules(
        rules,
        series,
        [
            at(BEFORE - 1 + not_before, firing(alert), False),
            at(end - 1, firing(alert), True),
            none_but(end - 1, alert, *ALSO.get(alert, ())),
            at(end + clear_after, firing(alert), False),
        ],
        tmp_path,
    )


@needs_promtool
@pytest.mark.parametrize("alert", ["HomefeedSidecarUnreachable", "HomefeedTargetDown"])
def test_one_pod_of_two_is_named(rules: dict[str, Any], tmp_path: Path, alert: str) -> None:
    trouble = CAUSES[alert][0]
    series = play(Phase(minutes=BEFORE), trouble, first_pod_only=True)
    pods = f"count by (pod) ({firing(alert)})"
    (pod,) = {name.split('pod="')[1].split('"')[0] for name in series if "x2x7k" in name}
    expected = [{"labels": f'{{pod="{pod}"}}', "value": 1}]
    end = BEFORE + trouble.minutes - 1
    run_rules(
        rules, series, [{"expr": pods, "eval_time": f"{end}m", "exp_samples": expected}], tmp_path
    )


@needs_promtool
def test_another_release_beside_it_is_no_matter(rules: dict[str, Any], tmp_path: Path) -> None:
    calm = play(Phase(minutes=BEFORE + 20))
    broken = Phase(minutes=20, failed=0.5, degraded=0.5, reason="unreachable", slow=0.9)
    canary = play(Phase(minutes=BEFORE), broken, name=f"{NAME}-canary")
    run_rules(rules, calm | canary, [none_but(BEFORE + 19, "none")], tmp_path)


@needs_promtool
def test_a_canary_of_the_same_release_counts(tmp_path: Path) -> None:
    calm = play(Phase(minutes=BEFORE + 20))
    broken = Phase(minutes=20, degraded=0.5, reason="unreachable")
    canary = play(Phase(minutes=BEFORE), broken, name=f"{NAME}-canary")
    rules = Rendered("canary").one("PrometheusRule")["spec"]
    end = BEFORE + 19
    fires = [
        at(end, firing(alert), True) for alert in ("HomefeedDegraded", "HomefeedSidecarUnreachable")
    ]
    run_rules(
        rules, calm | canary, [*fires, at(end, firing("HomefeedNotScraped"), False)], tmp_path
    )


@needs_promtool
def test_a_canary_without_a_ready_pod_is_named(tmp_path: Path) -> None:
    calm = play(Phase(minutes=BEFORE + 5))
    gone = play(Phase(minutes=BEFORE), Phase(minutes=5, is_up=False), name=f"{NAME}-canary")
    rules = Rendered("canary").one("PrometheusRule")["spec"]
    query = f"count by (deployment) ({firing('HomefeedNoReadyPod')})"
    expected = [{"labels": f'{{deployment="{NAME}-canary"}}', "value": 1}]
    found = {"expr": query, "eval_time": f"{BEFORE + 4}m", "exp_samples": expected}
    run_rules(rules, calm | gone, [found], tmp_path)


@needs_promtool
@pytest.mark.parametrize("length", [39, 40])
def test_pods_of_a_canary_with_a_long_name_are_found(tmp_path: Path, length: int) -> None:
    name = "a" * length
    chart = Rendered("canary", "--set", f"fullnameOverride={name}")
    pod = f"{name}-canary-7c9d8f6b54-"[:58] + "x2x7k"
    series = {f'homefeed_sidecar_index_info{{namespace="shop", pod="{pod}"}}': "1x20"} | {
        f'homefeed_retrieval_requests_total{{namespace="shop", pod="{pod}"}}': "0+1x20"
    }
    run_rules(chart.one("PrometheusRule", name)["spec"], series, [none_but(15, "none")], tmp_path)


@needs_promtool
@pytest.mark.parametrize("length", [46, 47, 63])
def test_pods_of_a_long_name_are_found(tmp_path: Path, length: int) -> None:
    name = "a" * length
    chart = Rendered("s3", "--set", f"fullnameOverride={name}")
    # Kubernetes makes the name of a pod of the first 58 characters, and five of its own.
    pod = f"{name}-7c9d8f6b54-"[:58] + "x2x7k"
    series = {f'homefeed_sidecar_index_info{{namespace="shop", pod="{pod}"}}': "1x20"} | {
        f'homefeed_retrieval_requests_total{{namespace="shop", pod="{pod}"}}': "0+1x20"
    }
    run_rules(chart.one("PrometheusRule", name)["spec"], series, [none_but(15, "none")], tmp_path)


def test_every_alert_says_what_to_do(rules: dict[str, Any]) -> None:
    for alert in alerts(rules):
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
        page = alert["annotations"]["runbook_url"].rpartition("/")[2]
        assert page == f"{alert['alert']}.md"
        text = (RUNBOOKS / page).read_text()
        for heading in ("## What it means", "## How to look", "## What to do", "## How it clears"):
            assert heading in text, (page, heading)
        # A label that the query drops would be empty in the text.
        for label in re.findall(r"\$labels\.(\w+)", alert["annotations"]["description"]):
            assert f"by ({label})" in alert["expr"], alert["alert"]
    pages = {path.stem for path in RUNBOOKS.glob("Homefeed*.md")}
    assert pages == {alert["alert"] for alert in alerts(rules)}
    assert pages == {ANSWERS, LATENCY, *CAUSES}


def test_rules_ask_for_what_the_pods_expose(rules: dict[str, Any]) -> None:
    asked = {
        name
        for group in rules["groups"]
        for rule in group["rules"]
        for name in re.findall(r"([A-Za-z_:][\w:]*){", rule["expr"])
    }
    recorded = {
        rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule
    }
    assert asked - recorded <= all_names()
    assert recorded <= asked
    assert len(asked) > 10


def test_fast_is_a_bound_of_the_histogram() -> None:
    objectives = SCHEMA["properties"]["prometheusRule"]["properties"]["objectives"]["properties"]
    allowed = objectives["fastMilliseconds"]["enum"]
    assert [each / 1000 for each in allowed] == list(BUCKETS_SECONDS)
    for milliseconds in allowed:
        options = ("--set-json", f"prometheusRule.objectives.fastMilliseconds={milliseconds}")
        only = ("--show-only", "templates/prometheusrule.yaml")
        assert f'le="{milliseconds / 1000!r}"' in template("s3", *options, *only)


def test_redis_is_watched_where_it_is_asked(rules: dict[str, Any], s3: Rendered) -> None:
    names = {alert["alert"] for alert in alerts(rules)}
    without = {alert["alert"] for alert in alerts(s3.one("PrometheusRule")["spec"])}
    assert names - without == {"HomefeedRedisFailures"}
