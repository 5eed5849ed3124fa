"""The panels of the dashboard, and what a Prometheus answers to their queries."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

DASHBOARD = Path(__file__).parents[2] / "helm" / "homefeed-retrieval" / "files" / "dashboard.json"
NUM_POINTS = 120
"""Of a line."""


class Place(NamedTuple):
    """Where a panel is, in Grafana's units: 24 are the width of the page."""

    x: int
    y: int
    w: int
    h: int


class Line(NamedTuple):
    """One series of a panel; a panel that shows one moment has one point of each."""

    name: str
    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]


class Panel(NamedTuple):
    """One panel, answered."""

    title: str
    description: str
    kind: str
    """`timeseries`, `stat`, `table` or `row`, which is a heading."""
    place: Place
    unit: str
    is_stacked: bool
    lines: Sequence[Line]


def read_panels(
    prometheus: str, variables: Mapping[str, str], start: float, end: float
) -> Iterator[Panel]:
    """Asks for every panel of the dashboard.

    Args:
        prometheus: its address.
        variables: what takes the place of each variable, such as `$namespace`.
        start: of the lines, in Unix seconds.
        end: of the lines, and the moment of panels that show one.

    Raises:
        ValueError: Prometheus refuses a query; says why.
    """
    with httpx.Client(base_url=prometheus, trust_env=False, timeout=60) as http:
        for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
            defaults = panel.get("fieldConfig", {}).get("defaults", {})
            yield Panel(
                title=panel["title"],
                description=panel.get("description", ""),
                kind=panel["type"],
                place=Place(**panel["gridPos"]),
                unit=defaults.get("unit", ""),
                is_stacked="stacking" in defaults.get("custom", {}),
                lines=[
                    line
                    for target in panel.get("targets", [])
                    for line in _ask(http, target, variables, start, end)
                ],
            )


def _ask(
    http: httpx.Client,
    target: Mapping[str, Any],
    variables: Mapping[str, str],
    start: float,
    end: float,
) -> Iterator[Line]:
    query = target["expr"]
    for name, value in variables.items():
        query = query.replace(name, value)
    if target.get("instant"):
        path, asked = "/api/v1/query", {"query": query, "time": end}
    else:
        step = (end - start) / NUM_POINTS
        path = "/api/v1/query_range"
        asked = {"query": query, "start": start, "end": end, "step": step}
    answer = http.get(path, params=asked)
    if answer.status_code != 200:
        raise ValueError(f"{http.base_url} does not answer {query!r}: {answer.text}")
    for series in answer.json()["data"]["result"]:
        points = series.get("values") or [series["value"]]
        name = target["legendFormat"]
        for label, value in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        times, values = zip(*((float(at), float(value)) for at, value in points), strict=True)
        yield Line(name, series["metric"], times, values)
