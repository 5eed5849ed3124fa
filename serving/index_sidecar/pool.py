"""Search threads with a bounded queue before them and a deadline on everything."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.index_sidecar.asgi import Refusal
from serving.index_sidecar.metrics import Metrics
from serving.index_sidecar.settings import Settings

T = TypeVar("T")


class SearchPool:
    """Runs searches beside the event loop; a search releases the interpreter's lock."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(settings.search_threads, "search")
        self._lock = threading.Lock()
        self._num_pending = 0
        metrics.pending.set_function(lambda: self._num_pending)
        self._max_pending = settings.search_threads + settings.max_waiting
        self._retry_after = ((b"retry-after", str(settings.retry_after_seconds).encode()),)

    async def run(self, search: Callable[[], T]) -> T:
        """What `search` returns, from a search thread.

        Raises:
            Refusal: 429, too many requests wait already; 503, the deadline has passed.
        """
        if self._num_pending >= self._max_pending:
            raise Refusal(
                429,
                "overloaded",
                f"{self._settings.max_waiting} requests are waiting already",
                self._retry_after,
            )
        self._count(1)
        work = self._threads.submit(self._timed, search, time.perf_counter())
        answer = asyncio.wrap_future(work)
        await asyncio.wait((answer,), timeout=self._settings.deadline_seconds)
        if not answer.done():
            if work.cancel():  # it never began, so no thread will count it down
                self._count(-1)
            raise Refusal(
                503,
                "late",
                f"no answer within {self._settings.deadline_seconds} seconds",
                self._retry_after,
            )
        return answer.result()

    def _timed(self, search: Callable[[], T], submitted: float) -> T:
        started = time.perf_counter()
        try:
            return search()
        finally:
            self._count(-1)
            self._metrics.queue_seconds.observe(started - submitted)
            self._metrics.search_seconds.observe(time.perf_counter() - started)

    def _count(self, change: int) -> None:
        with self._lock:
            self._num_pending += change

    def close(self) -> None:
        """Waits for the searches that run, and drops those that wait."""
        self._threads.shutdown(cancel_futures=True)
