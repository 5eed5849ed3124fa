import signal
import time

import pytest

from homefeed.time_limit import time_limit


def test_what_takes_longer_is_ended() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(RuntimeError, match="^no answer$"):
        with time_limit(1, "no answer"):
            time.sleep(60)
    assert signal.getsignal(signal.SIGALRM) is before


def test_an_end_that_was_swallowed_is_said_afterwards() -> None:
    swallowed = []
    with pytest.raises(RuntimeError, match="^no answer$"):
        with time_limit(1, "no answer"):
            try:
                time.sleep(60)
            except Exception as error:
                swallowed.append(error)
    assert len(swallowed) == 1


def test_what_ends_in_time_is_left_alone() -> None:
    with time_limit(60, "no answer"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with pytest.raises(ValueError, match="its own"):
        with time_limit(60, "no answer"):
            raise ValueError("its own")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
