"""The dashboard, drawn of real pods."""

import os
import time
from pathlib import Path

import pytest

from benchmarks.dashboard.__main__ import draw
from benchmarks.dashboard.browser import find_browser
from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.pods import Client
from tests.cluster.poor_index import publish_poor_index
from tests.cluster.prometheus import has_number, query
from tests.cluster.service import Service
from tests.helm.test_dashboard import queries
from tests.kubectl import needs_cluster

PICTURE = Path(__file__).parents[2] / "docs" / "dashboard.png"
TRAFFIC_SECONDS = 60
SHOWN_SECONDS = 10 * 60
MOST_BYTES = 300_000


@needs_cluster
@pytest.mark.full
@pytest.mark.skipif(not find_browser(), reason="needs a browser, such as chromium-headless-shell")
@pytest.mark.usefixtures("sampling")
def test_the_dashboard_is_drawn(
    service: Service,
    client: Client,
    demo: Demo,
    traffic: Traffic,
    prometheus: str,
    tmp_path: Path,
) -> None:
    # Like the figures, it is kept where it is wanted.
    picture = PICTURE if os.environ.get("HOMEFEED_E2E_RESULTS") else tmp_path / PICTURE.name
    with traffic.flowing():
        # Of an exact index no recall is measured, and a panel would be empty.
        publish_poor_index(service, client, demo, tmp_path)
        time.sleep(TRAFFIC_SECONDS)
    for title, expression in queries({"$namespace": service.namespace}):
        if "Requests5XX" not in expression:
            assert has_number(query(prometheus, expression)), (title, expression)
    draw(prometheus, service.namespace, SHOWN_SECONDS, picture)
    assert 0 < picture.stat().st_size < MOST_BYTES
