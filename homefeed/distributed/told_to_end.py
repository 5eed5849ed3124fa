"""SIGTERM during work that can be gone on with: it is noted, and the work saves before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any


@contextmanager
def told_to_end() -> Iterator[Event]:
    """Gives an event that is set by SIGTERM, which does nothing else while the context is open."""
    told = Event()
    before: Any = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
