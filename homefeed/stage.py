"""What every step of a pipeline does around its library call: measured, and failing readably."""

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

SECONDS = "seconds"
PEAK_MEMORY_BYTES = "peak_memory_bytes"


@contextmanager
def stage(name: str, metadata: dict[str, Any] | None = None) -> Iterator[None]:
    """Runs a stage: what it took goes to its artifact's metadata and to the log.

    The last thing that a failing stage says is `<name> failed: <why>`. It alone goes to standard
    output, all else to standard error, so that a runner can read the one and pass on the other.
    What the library itself refuses, and therefore explains, is shown without a traceback.

    Args:
        name: of the stage, for the log.
        metadata: of the stage's main artifact; gets `seconds` and `peak_memory_bytes`.
    """
    start = time.monotonic()
    print(f"{name} ...", file=sys.stderr)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        why = str(error)
        if not _is_explained(error):
            traceback.print_exc()
            why = f"{type(error).__name__}: {error}"
        print(f"{name} failed: {why}", flush=True)
        raise SystemExit(1) from None
    seconds, peak = time.monotonic() - start, peak_memory_bytes()
    if metadata is not None:
        metadata[SECONDS] = round(seconds, 3)
        metadata[PEAK_MEMORY_BYTES] = peak
    print(f"{name}: {seconds:.1f} s, peak {peak / 2**20:,.0f} MiB", file=sys.stderr)


def peak_memory_bytes() -> int:
    """Most memory that this process, or any one child that has ended, held at once; Linux."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * 1024


def _is_explained(error: Exception) -> bool:
    """Whether the library itself refused, not something that the library calls."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    is_ours = frame.f_globals["__name__"].startswith("homefeed.")
    return is_ours and isinstance(error, (ValueError, RuntimeError))
