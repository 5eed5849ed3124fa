"""Search threads with a bounded queue before them and a deadline on everything."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable

from serving.index_sidecar.asgi import Refusal
from serving.index_sidecar.metrics import Metrics
from serving.index_sidecar.settings import Settings

Search = Callable[[], bytes]


class _Work:
    """A search on its way to a thread, and the future of its answer on the event loop."""

    def __init__(self, search: Search, answer: asyncio.Future[bytes]) -> None:
        self.search = search
        self.answer = answer
        self.submitted = time.perf_counter()
        self.has_begun = False
        self.is_dropped = False


class SearchPool:
    """Runs searches beside the event loop; a search releases the interpreter's lock.

    The way to a thread and back is short: an executor's, whose futures are not the loop's, takes
    as long as a third of a small search.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._num_pending = 0
        metrics.pending.set_function(lambda: self._num_pending)
        self._max_pending = settings.search_threads + settings.max_waiting
        self._retry_after = ((b"retry-after", str(settings.retry_after_seconds).encode()),)
        self._threads = [
            threading.Thread(target=self._serve, name=f"search {place}", daemon=True)
            for place in range(settings.search_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, search: Search) -> bytes:
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
        loop = asyncio.get_running_loop()
        work = _Work(search, loop.create_future())
        self._count(1)
        self._waiting.put(work)
        deadline = loop.call_later(self._settings.deadline_seconds, self._give_up, work)
        try:
            return await work.answer
        finally:
            deadline.cancel()

    def _give_up(self, work: _Work) -> None:
        if work.answer.done():
            return
        with self._lock:
            if not work.has_begun:  # it never will, so no thread will count it down
                work.is_dropped = True
                self._num_pending -= 1
        message = f"no answer within {self._settings.deadline_seconds} seconds"
        work.answer.set_exception(Refusal(503, "late", message, self._retry_after))

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            with self._lock:
                work.has_begun = not work.is_dropped
            if work.is_dropped:
                continue
            found = self._timed(work)
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all callers with it
                work.answer.get_loop().call_soon_threadsafe(_settle, work.answer, found)

    def _timed(self, work: _Work) -> bytes | Exception:
        started = time.perf_counter()
        try:
            return work.search()
        except Exception as error:  # the caller's, not the thread's
            return error
        finally:
            self._count(-1)
            self._metrics.queue_seconds.observe(started - work.submitted)
            self._metrics.search_seconds.observe(time.perf_counter() - started)

    def _count(self, change: int) -> None:
        with self._lock:
            self._num_pending += change

    def close(self) -> None:
        """Waits for the searches that run, and drops those that wait."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()


def _settle(answer: asyncio.Future[bytes], found: bytes | Exception) -> None:
    """Gives a caller what was found, if they still wait for it."""
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
