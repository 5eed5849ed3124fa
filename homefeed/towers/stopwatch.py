"""Where the time of a training goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("data", "forward", "backward", "optimizer")


class Stopwatch:
    """Seconds by part of a step."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds the time inside to a part.

        On a GPU, work that was only queued counts where it is waited for, which is the loss that
        the optimizer's step ends with.
        """
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started
