import ibis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ibis import _

from homefeed.dataset.statistics import SECONDS_A_DAY, add_statistics, statistics_at
from homefeed.features.config import StatisticsConfig

YEAR = 365 * SECONDS_A_DAY
NOW = 1_700_000_000
ONE_HOUR = 1 / 24
WEIGHTS = {"save": 2.5, "hide": 0.0}
Events = list[tuple[int, int, str]]

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),  # pin
        # Seconds, hours and years apart, and tied.
        st.one_of(
            st.integers(NOW, NOW + 3),
            st.integers(NOW, NOW + 30_000),
            st.integers(NOW - 3 * YEAR, NOW),
        ),
        st.sampled_from(["click", "save", "hide"]),
    ),
    min_size=1,
    max_size=30,
)
HALF_LIVES = st.lists(
    st.sampled_from([1e-5, ONE_HOUR, 1.0, 30.0, 36_500.0, 0.0]), min_size=1, max_size=3, unique=True
)


def table_of(events: Events) -> ibis.expr.types.Table:
    names = ("pin_index", "timestamp", "action")
    columns = {name: [event[i] for event in events] for i, name in enumerate(names)}
    return ibis.memtable(columns | {"event_id": list(range(len(events)))})


def expected(events: Events, pin: int, time: int, config: StatisticsConfig) -> list[float]:
    """The definition, event by event."""
    return [
        sum(
            config.action_weights.get(action, 1.0)
            * (2.0 ** (-(time - t) / (half_life * SECONDS_A_DAY)) if half_life else 1.0)
            for p, t, action in events
            if p == pin and t < time
        )
        for half_life in config.half_life_days
    ]


def close(value: list[float]) -> object:
    return pytest.approx(value, rel=2e-6, abs=1e-30)


@given(events=EVENTS, half_lives=HALF_LIVES, weighted=st.booleans())
@example(
    # Blocks of 256 hours meet between the last two events; the first is years before.
    events=[(0, 0, "click"), (0, 256 * 3600 - 1, "save"), (0, 256 * 3600, "click")],
    half_lives=[ONE_HOUR],
    weighted=True,
)
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_the_definition(
    events: Events, half_lives: list[float], weighted: bool
) -> None:
    config = StatisticsConfig(
        half_life_days=tuple(half_lives), action_weights=WEIGHTS if weighted else {}
    )
    rows = add_statistics(table_of(events), config).to_pyarrow().to_pylist()
    assert len(rows) == len(events)
    for row in rows:
        found = [row[column] for column in config.columns]
        assert found == close(expected(events, row["pin_index"], row["timestamp"], config))


@given(events=EVENTS, half_lives=HALF_LIVES, later=st.integers(0, 10 * SECONDS_A_DAY))
@settings(max_examples=40, deadline=None)
def test_serving_sees_what_training_saw(
    events: Events, half_lives: list[float], later: int
) -> None:
    """An example at time t and a corpus as of t have the same statistics: no train-serve skew."""
    config = StatisticsConfig(half_life_days=tuple(half_lives), action_weights=WEIGHTS)
    as_of = NOW + later
    probes = [(pin, as_of, "probe") for pin in range(3)]
    trained = add_statistics(table_of(events + probes), config).filter(_.action == "probe")
    served = statistics_at(table_of(events), as_of, config).to_pyarrow().to_pylist()
    by_pin = {row["pin_index"]: row for row in served}
    assert set(by_pin) == {pin for pin, time, _action in events if time < as_of}
    for row in trained.to_pyarrow().to_pylist():
        other = by_pin.get(row["pin_index"], dict.fromkeys(config.columns, 0.0))
        assert [row[c] for c in config.columns] == close([other[c] for c in config.columns])
        assert list(map(other.get, config.columns)) == close(
            expected(events, row["pin_index"], as_of, config)
        )


def test_an_hour_over_three_years_of_dense_events_stays_exact() -> None:
    events = [(0, NOW + hour * 3600, "click") for hour in range(3 * 365 * 24)]
    config = StatisticsConfig(half_life_days=(ONE_HOUR,))
    rows = add_statistics(table_of(events), config).order_by("timestamp").to_pyarrow()
    sums = rows[config.columns[0]].to_pylist()
    # A geometric series: 1/2 + 1/4 + ... of all events before.
    assert sums == close([1 - 2.0**-n for n in range(len(events))])
