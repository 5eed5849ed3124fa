"""What every step of a pipeline does around its library call: measured, and failing readably."""

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = "seconds"
PEAK_MEMORY_BYTES = "peak_memory_bytes"


@contextmanager
def stage(name: str, metadata: dict[str, Any] | None = None) -> Iterator[None]:
    """Runs a stage: what it took goes to its artifact's metadata and to the log.

    The last thing that a failing stage says is `<name> failed: <why>`, which people and the local
    runner look for. A user's mistake, a ValueError of ours, is shown without its traceback.

    Args:
        name: of the stage, for the log.
        metadata: of the stage's main artifact; gets `seconds` and `peak_memory_bytes`.
    """
    start = time.monotonic()
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and _is_ours(error):
            raise SystemExit(f"{name} failed: {error}") from None
        traceback.print_exc()
        raise SystemExit(f"{name} failed: {type(error).__name__}: {error}") from None
    seconds, peak = time.monotonic() - start, peak_memory_bytes()
    if metadata is not None:
        metadata[SECONDS] = round(seconds, 3)
        metadata[PEAK_MEMORY_BYTES] = peak
    print(f"{name}: {seconds:.1f} s, peak {peak / 2**20:,.0f} MiB", file=sys.stderr)


def peak_memory_bytes() -> int:
    """Most memory that this process, or any one child that has ended, held at once; Linux."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * 1024


def _is_ours(error: Exception) -> bool:
    """Whether the library itself raised it, not something that the library calls."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].startswith("homefeed.")
