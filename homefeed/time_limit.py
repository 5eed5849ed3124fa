"""Ends what hangs, where a client sets no time limit of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ANSWER_SECONDS = 60
"""What a store gets to say what it holds. Clients of object stores try for many minutes."""


@contextmanager
def time_limit(seconds: int, complaint: str) -> Iterator[None]:
    """Lets what happens within take so long at most; in the main thread, not nested.

    Raises:
        RuntimeError: it took longer; says the complaint.
    """
    is_over = False

    def end(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal is_over
        is_over = True
        # No TimeoutError: urllib3 would take it for a socket's, and try again.
        raise RuntimeError(complaint)

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    if is_over:  # and what happens within took the error for one of its own
        raise RuntimeError(complaint)
