"""What the approximate index finds of the best pins, measured on the queries that it is asked.

Some queries are searched again, exactly, in a thread that gives way to all others. That thread
takes no more than a small part of one core: an exact search costs many times an approximate one,
and a container's CPU limit counts it whatever its priority. What comes while it is busy or rests
is not measured.
"""

import logging
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from homefeed.index.protocol import Hits, Query
from homefeed.index.search import SearchEngine
from serving.index_sidecar.metrics import Metrics

REST_FACTOR = 19
"""How much longer than it searched it rests: it takes a twentieth of one core."""
LOWEST_PRIORITY = 19

logger = logging.getLogger(__name__)


class RecallSampler:
    """Measures the recall of a share of all queries; takes them from several threads."""

    def __init__(self, share: float, metrics: Metrics) -> None:
        self._share = share
        self._metrics = metrics
        # It starts with the first sample, so that an exact index has none.
        self._thread = ThreadPoolExecutor(1, "recall", initializer=_give_way)
        self._is_busy = threading.Lock()
        self._is_closed = threading.Event()

    def sample(self, engine: SearchEngine, found: Sequence[tuple[Query, Hits]]) -> None:
        """Takes some of a request's queries, where it is not busy with others.

        Args:
            engine: what answered them.
            found: queries that were answered by its approximate index, with their answers.
        """
        taken = [each for each in found if random.random() < self._share]
        if taken and self._is_busy.acquire(blocking=False):
            self._thread.submit(self._measure, engine, taken)

    def close(self) -> None:
        """Ends after the search that runs."""
        self._is_closed.set()
        self._thread.shutdown(cancel_futures=True)

    def _measure(self, engine: SearchEngine, taken: Sequence[tuple[Query, Hits]]) -> None:
        try:
            exact = engine.exact()
            for query, hits in taken:
                started = time.perf_counter()
                best = exact.search(query).pin_ids
                if best:  # else all that the filter passes was excluded
                    num_found = len(set(best).intersection(hits.pin_ids))
                    self._metrics.recall.observe(num_found / len(best))
                if self._is_closed.wait(REST_FACTOR * (time.perf_counter() - started)):
                    return
        except Exception:
            logger.exception("recall is not measured")
        finally:
            self._is_busy.release()


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
