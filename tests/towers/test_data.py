from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.data import first_of_day, read_examples

DAY = 86_400
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=40)


@given(events=EVENTS, most=st.integers(1, 4))
def test_of_each_users_day_the_first_are_kept(events: list[tuple[int, int]], most: int) -> None:
    events.sort(key=lambda event: event[1])
    users = np.array([user for user, _ in events], np.int64)
    times = 1_000_000_000 + np.array([quarter for _, quarter in events], np.int64) * DAY // 4
    expected = []
    for row, (user, quarter) in enumerate(events):
        before = [
            other
            for other, (its_user, its_quarter) in enumerate(events[:row])
            if its_user == user and quarter - its_quarter <= 4
        ]
        if len(before) < most:
            expected.append(row)
    assert first_of_day(users, times, most).tolist() == expected


def test_what_is_left_out_takes_its_history_with_it(tiny_dataset: Path) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    every = read_examples(tiny_dataset, ("train",), encoder)
    some = read_examples(tiny_dataset, ("train",), encoder, most_per_day=1)
    assert 0 < len(some) < len(every)
    kept = first_of_day(every.users, every.timestamps, 1)
    length = encoder.config.history.length
    pins, actions, is_there = some.histories.padded(np.arange(len(some)), length)
    all_pins, all_actions, was_there = every.histories.padded(kept, length)
    assert (is_there == was_there).all()
    assert is_there.any()
    assert (pins == all_pins)[is_there].all()
    assert (actions == all_actions)[is_there].all()
    assert (some.pins == every.pins[kept]).all()
    for name, values in some.statistics.items():
        assert (values == every.statistics[name][kept]).all()
