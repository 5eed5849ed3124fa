"""Draws the chart's dashboard from what a Prometheus has.

    python -m benchmarks.dashboard --prometheus URL --namespace NAMESPACE [--minutes 15] PICTURE.png

`make e2e-cluster-full RESULTS=...` draws docs/dashboard.png so, of pods that it tests.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.dashboard.browser import take_picture
from benchmarks.dashboard.page import WIDTH, make_page, page_height
from benchmarks.dashboard.panels import read_panels
from homefeed.contracts import iso

RATE_INTERVAL = "30s"
"""What Grafana makes of short scrapes: four of them at least."""


def draw(prometheus: str, namespace: str, seconds: float, picture: Path) -> None:
    """Draws the dashboard of all pods of a namespace.

    Args:
        prometheus: address of the one that scrapes them.
        namespace: theirs.
        seconds: how far back the lines go.
        picture: the PNG.

    Raises:
        ValueError: Prometheus refuses a query, or has nothing of the namespace, or no browser
            draws.
    """
    end = time.time()
    variables = {"$namespace": namespace, "$pod": ".+", "$__rate_interval": RATE_INTERVAL}
    panels = list(read_panels(prometheus, variables, end - seconds, end))
    if not any(panel.lines for panel in panels):
        raise ValueError(
            f"{prometheus} has nothing of namespace {namespace!r} in the last {seconds:.0f} s: "
            "name one with pods of the chart, whose metrics it scrapes"
        )
    subtitle = f"Namespace {namespace}, {iso(int(end - seconds))} to {iso(int(end))}"
    take_picture(make_page(panels, subtitle), WIDTH, page_height(panels), picture)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.dashboard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args(arguments)
    try:
        draw(given.prometheus, given.namespace, 60 * given.minutes, given.picture)
    except ValueError as error:
        raise SystemExit(f"dashboard: {error}") from None


if __name__ == "__main__":
    main()
