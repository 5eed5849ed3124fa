"""Taking turns for many users at once against serving's own merge."""

from pathlib import Path

import numpy as np

from homefeed.index.merge import Excluded, round_robin
from homefeed.index.pin_ids import PinIds
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.turns import take_turns


def test_turns_are_those_of_serving(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    num_users, num_lists, num_pins, k = 40, 3, 12, 7
    lists = np.stack(
        [[generator.permutation(num_pins)[:k] for _ in range(num_lists)] for _ in range(num_users)]
    )
    is_used = generator.random((num_users, num_lists)) < 0.6
    is_used[:, 1] |= ~is_used.any(axis=1)
    PinIds.save(tmp_path, [str(pin) for pin in range(num_pins)])
    pin_ids = PinIds.load(tmp_path)
    merged = take_turns(lists, is_used, num_pins, k)
    for user in range(num_users):
        sources = [(own, np.zeros(k, np.float32)) for own in lists[user][is_used[user]]]
        hits = round_robin(sources, np.arange(num_pins, dtype=np.int32), pin_ids, k, Excluded())
        assert merged[user].tolist() == [int(pin) for pin in hits.pin_ids]


def test_no_turn_is_lost_to_what_is_taken() -> None:
    lists = np.array([[[0, 1, 2], [0, 1, 3]]])
    assert take_turns(lists, np.array([[True, True]]), 4, 3).tolist() == [[0, 1, 2]]
    assert take_turns(lists, np.array([[False, True]]), 4, 3).tolist() == [[0, 1, 3]]


def test_what_runs_out_is_filled_up() -> None:
    lists = np.array([[[1, 0, NO_PIN], [0, 1, NO_PIN]], [[NO_PIN] * 3, [NO_PIN] * 3]])
    merged = take_turns(lists, np.ones((2, 2), bool), 2, 3)
    assert merged.tolist() == [[1, 0, NO_PIN], [NO_PIN] * 3]
