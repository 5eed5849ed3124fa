"""How long single requests take, as a caller on this machine sees it."""

import itertools
import time
from collections.abc import Sequence

import msgspec
import numpy as np

from homefeed.cli.service import connect
from serving.client import HomefeedClient

NUM_REQUESTS = 200
NUM_WARM_UP = 50
"""Requests before them that do not count: they open the connection and fill the caches."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles over `count` requests, one after the other, from call to parsed answer."""

    count: int
    p50_milliseconds: float
    p99_milliseconds: float


def measure_latency(url: str, user_ids: Sequence[str]) -> Latency:
    """Sends requests for users in turn, without filters, over one connection.

    Raises:
        RuntimeError: a request was not answered, or popular pins stood in for the search.
    """
    users = itertools.cycle(user_ids)
    # A retry would hide in the time of the request that needed it.
    with connect(url, num_retries=0) as client:
        for user_id in itertools.islice(users, NUM_WARM_UP):
            _measure(client, user_id)
        seconds = [_measure(client, user_id) for user_id in itertools.islice(users, NUM_REQUESTS)]
    p50, p99 = np.percentile(np.array(seconds) * 1000, (50, 99)).round(3).tolist()
    return Latency(count=len(seconds), p50_milliseconds=p50, p99_milliseconds=p99)


def _measure(client: HomefeedClient, user_id: str) -> float:
    start = time.perf_counter()
    answer = client.recommend(user_id)
    seconds = time.perf_counter() - start
    if answer.degraded:
        raise RuntimeError(
            f"the search did not answer for user {user_id!r} and popular pins stood in: such times "
            "say nothing; see the sidecar's log, and measure again"
        )
    return seconds
