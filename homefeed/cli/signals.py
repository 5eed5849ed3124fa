"""Ctrl-C and SIGTERM: at once while nothing runs beside us, in order once something does."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = tuple(128 + number for number in SIGNALS)
"""Exit codes after a signal, as shells have them."""
NOTE = "\nhomefeed: stopped, with all that it had started\n"


def stop_at_once() -> None:
    """Lets a signal end this process on the spot, as long as it has started nothing.

    An exception would not do yet: some packages catch all that happens while they are imported.
    """
    for number in SIGNALS:
        signal.signal(number, _quit)


def stop_in_order() -> None:
    """Turns a signal into SystemExit, so that contexts end what they have started."""
    for number in SIGNALS:
        signal.signal(number, _leave)


def _quit(number: int, frame: FrameType | None) -> NoReturn:
    os.write(sys.stderr.fileno(), NOTE.encode())
    os._exit(128 + number)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
