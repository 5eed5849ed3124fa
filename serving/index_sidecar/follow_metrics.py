"""What the follower of the channel has seen, told to Prometheus by the sidecar.

The follower has no port of its own: the pod's containers share a folder, and this reads its file.
"""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.follow_status import read_status


class FollowCollector(Collector):
    """Reads the follower's status for each scrape; nothing where no channel is followed."""

    def __init__(self, link: Path) -> None:
        self._link = link

    def collect(self) -> Iterator[Metric]:
        """The metrics of the follower."""
        status = read_status(self._link)
        if status is None:
            return
        channel = GaugeMetricFamily(
            "homefeed_release_channel_info",
            "1 for the release that the channel stood for when it was last read.",
            labels=["version"],
        )
        channel.add_metric([status.channel_version], 1)
        yield channel
        yield GaugeMetricFamily(
            "homefeed_release_last_look_timestamp_seconds",
            "When the channel was last read, in Unix seconds.",
            value=status.looked_at,
        )
        refused = GaugeMetricFamily(
            "homefeed_release_refused_info",
            "1 for the release that does not take the place of the one that is served, and why.",
            labels=["version", "reason"],
        )
        if status.reason is not None:
            refused.add_metric([status.refused_version, status.reason], 1)
        yield refused
        failures = CounterMetricFamily(
            "homefeed_release_follow_failures",
            "Looks at the channel that ended without the release that it stands for, by reason.",
            labels=["reason"],
        )
        for reason, count in status.failures.items():
            failures.add_metric([reason], count)
        yield failures
