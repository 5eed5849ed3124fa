"""Ends what hangs, where a client sets no time limit of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def time_limit(seconds: int, complaint: str) -> Iterator[None]:
    """Lets what happens within take so long at most; in the main thread, not nested.

    Raises:
        RuntimeError: it took longer; says the complaint and the seconds.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        # No TimeoutError: urllib3 would take it for a socket's, and try again.
        raise RuntimeError(f"{complaint} within {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
