"""Which filters are scanned, and how far the others are searched."""

from homefeed.index.approximate import Effort
from homefeed.index.plan import Plan
from homefeed.index.postings import Subset

NUM_PINS = 100
PLAIN, FILTERED, OWN = Effort(1), Effort(2), Effort(3)
PLAN = Plan(20, PLAIN, FILTERED, {(7,): OWN})


def rows(num_rows: int) -> Subset:
    return Subset((range(num_rows),), NUM_PINS)


def test_few_rows_are_scanned_and_many_are_not() -> None:
    assert PLAN.effort((1,), rows(20)) is None
    assert PLAN.effort((1,), rows(21)) == FILTERED


def test_a_filter_with_an_effort_of_its_own_is_searched_by_it() -> None:
    for num_rows in (10, 50):
        assert PLAN.effort((7,), rows(num_rows)) == OWN
    assert PLAN.effort((1, 7), rows(50)) == FILTERED


def test_all_rows_are_no_filter() -> None:
    assert PLAN.effort((), rows(NUM_PINS)) == PLAIN
    assert PLAN.effort((1,), rows(NUM_PINS)) == PLAIN
    assert Plan(NUM_PINS, PLAIN, FILTERED, {}).effort((), rows(NUM_PINS)) is None


def test_few_wanted_pins_are_refined_for_as_if_they_were_more() -> None:
    effort = Effort(1, refine_factor=40, refine_for=100)
    assert effort.num_codes(5, 7) == effort.num_codes(100, 7) == 4007
    assert effort.num_codes(200, 0) == 8000
