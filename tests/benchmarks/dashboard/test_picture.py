"""The dashboard drawn from what a real Prometheus answers."""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.dashboard.__main__ import draw
from benchmarks.dashboard.browser import find_browser, take_picture
from benchmarks.dashboard.page import WIDTH, make_page, page_height, shown
from benchmarks.dashboard.panels import Panel, read_panels
from serving.local import free_ports
from serving.processes import Child
from tests.helm.chart import NAMESPACE
from tests.helm.timeline import MISSING, Phase, play

MINUTES = 30
START_SECONDS = 30
VARIABLES = {"$namespace": NAMESPACE, "$pod": ".+", "$__rate_interval": "5m"}
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

needs_prometheus = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL), reason="needs prometheus and promtool, of Debian's prometheus"
)
needs_browser = pytest.mark.skipif(
    not find_browser(), reason="needs a browser, such as Debian's chromium-headless-shell"
)


@pytest.fixture(scope="module")
def end() -> float:
    return time.time() // 60 * 60


@pytest.fixture(scope="module")
def prometheus(end: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that holds half an hour of a service."""
    assert PROMETHEUS and PROMTOOL
    folder = tmp_path_factory.mktemp("prometheus")
    lines = [
        f"{without_spaces(series)} {value} {end - 60 * (MINUTES - 1 - minute):.0f}"
        for series, values in play(Phase(minutes=MINUTES, degraded=0.1, slow=0.2)).items()
        for minute, value in enumerate(values.split())
        if value != MISSING
    ]
    (folder / "series.txt").write_text("\n".join([*sorted_by_name(lines), "# EOF", ""]))
    backfill = ("tsdb", "create-blocks-from", "openmetrics", "series.txt", "series")
    subprocess.run([PROMTOOL, *backfill], cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("{}")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [PROMETHEUS, "--config.file=prometheus.yaml", "--storage.tsdb.path=series",
               f"--web.listen-address={address}"]  # fmt: skip
    process = Child("prometheus", command, os.environ, folder / "prometheus.log")
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(address):
            process.check()
            assert time.monotonic() < deadline, process.tail()
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.stop()


def without_spaces(series: str) -> str:
    """OpenMetrics wants none between labels."""
    return series.replace(", ", ",")


def sorted_by_name(lines: list[str]) -> list[str]:
    """OpenMetrics wants the lines of a metric together."""
    return sorted(lines, key=lambda line: line.partition("{")[0])


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/-/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def panels(prometheus: str, end: float) -> list[Panel]:
    return list(read_panels(prometheus, VARIABLES, end - 60 * MINUTES, end))


@needs_prometheus
def test_panels_hold_what_prometheus_answers(panels: list[Panel], end: float) -> None:
    by_title = {panel.title: panel for panel in panels if panel.kind != "row"}
    degraded = by_title["Bad answers"].lines[-1]
    assert degraded.name == "degraded"
    assert degraded.values[-1] == pytest.approx(0.1)
    assert len(degraded.times) > MINUTES
    assert [line.name for line in by_title["A batch in its worker"].lines] == ["p50", "p95", "p99"]
    (age,) = by_title["Age"].lines
    # Where these series are made, time begins at zero.
    assert age.values == pytest.approx([end + 3600])
    rows = by_title["Version by pod"].lines
    assert len({line.labels["pod"] for line in rows}) == 2
    # What these pods do not have is not made up.
    assert not by_title["Memory of the sidecar"].lines


@needs_prometheus
def test_the_page_shows_every_panel(panels: list[Panel]) -> None:
    page = make_page(panels, "of a test")
    assert page.count("<svg") == sum(panel.kind == "timeseries" and bool(panel.lines)
                                     for panel in panels)  # fmt: skip
    assert page.count("No data") == sum(panel.kind != "row" and not panel.lines for panel in panels)
    for panel in panels:
        assert f">{panel.title}</h" in page


@needs_prometheus
def test_a_query_that_is_refused_is_named(prometheus: str, end: float) -> None:
    with pytest.raises(ValueError, match="does not answer 'sum by"):
        list(read_panels(prometheus, {"$pod": '"'}, end - 60, end))


@needs_prometheus
@needs_browser
def test_a_browser_draws_it(prometheus: str, panels: list[Panel], tmp_path: Path) -> None:
    draw(prometheus, NAMESPACE, 60.0 * MINUTES, tmp_path / "docs" / "dashboard.png")
    header = (tmp_path / "docs" / "dashboard.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert struct.unpack(">II", header[16:]) == (WIDTH, page_height(panels))


@needs_prometheus
def test_nothing_is_drawn_of_a_namespace_that_nobody_scrapes(
    prometheus: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="has nothing of namespace 'nobody' in the last 60 s"):
        draw(prometheus, "nobody", 60.0, tmp_path / "dashboard.png")
    assert not (tmp_path / "dashboard.png").exists()


def test_without_a_browser_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="no browser is on the PATH"):
        take_picture("<p>", 10, 10, tmp_path / "picture.png")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "percentunit", "1.23 %"),
        (0.0042, "s", "4.2 ms"),
        (7200, "s", "2.0 h"),
        (1500, "µs", "1.5 ms"),
        (42 * 2**20, "bytes", "42 MiB"),
        (3678, "short", "3,678"),
        (61.8, "reqps", "61.8"),
    ],
)
def test_numbers_are_shown_with_their_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
