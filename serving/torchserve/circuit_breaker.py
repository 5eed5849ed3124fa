"""Leaves a service alone for a while when it is late again and again."""

import math
import time
from collections.abc import Callable

MAX_LATE = 2
"""Deadlines in a row that are waited for: one search may be late by chance, and a caller that waits
for a third has given up before it."""


class CircuitBreaker:
    """Knows whether a service is worth waiting for; for one thread.

    Closed at first. Opened by a service that is late several times in a row, it is closed for one
    trial after each pause: what is stopped costs one deadline a pause, not one a call.
    """

    def __init__(self, pause_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pause_seconds = pause_seconds
        self._num_late = 0
        self._paused_until = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether the service is left alone now."""
        return self._now() < self._paused_until

    def late(self) -> None:
        """Counts a deadline that has passed."""
        self._num_late += 1
        if self._num_late >= MAX_LATE:
            self._paused_until = self._now() + self._pause_seconds

    def answered(self) -> None:
        """Forgets what was late before."""
        self._num_late = 0
