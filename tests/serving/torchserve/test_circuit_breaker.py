from serving.torchserve.circuit_breaker import MAX_LATE, CircuitBreaker

PAUSE = 10.0


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.seconds = -1e6

    def __call__(self) -> float:
        return self.seconds


def opened(clock: Clock) -> CircuitBreaker:
    """A breaker that has just opened."""
    breaker = CircuitBreaker(PAUSE, clock)
    for _ in range(MAX_LATE):
        assert not breaker.is_open
        breaker.late()
    assert breaker.is_open
    return breaker


def test_what_is_late_by_chance_does_not_open_it() -> None:
    breaker = CircuitBreaker(PAUSE, Clock())
    for _ in range(3):
        for _ in range(MAX_LATE - 1):
            breaker.late()
            assert not breaker.is_open
        breaker.answered()


def test_a_trial_that_is_late_opens_it_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    for _ in range(3):
        clock.seconds += PAUSE - 1
        assert breaker.is_open
        clock.seconds += 1
        assert not breaker.is_open
        breaker.late()
        assert breaker.is_open


def test_a_trial_that_is_answered_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.seconds += PAUSE
    breaker.answered()
    for _ in range(MAX_LATE - 1):
        breaker.late()
        assert not breaker.is_open
