from pathlib import Path

import numpy as np

from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.data import Histories
from homefeed.towers.examples import ExampleStream


def test_padding_is_told_apart_from_items() -> None:
    histories = Histories(
        offsets=np.array([0, 0, 3, 4]),
        pins=np.array([5, 6, 7, 8, 0], np.int32),
        actions=np.array([1, 2, 3, 1, 0], np.int32),
        times=np.array([30, 20, 10, 9, 0]),
    )
    pins, actions, times, is_there = histories.padded(np.array([2, 0, 1]), 2)
    assert is_there.tolist() == [[True, False], [False, False], [True, True]]
    assert pins[is_there].tolist() == [8, 5, 6]
    assert actions[is_there].tolist() == [1, 1, 2]
    assert times[is_there].tolist() == [9, 30, 20]


def test_what_is_left_out_takes_its_history_with_it(tiny_dataset: Path) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")

    def whole(most_per_day: int | None) -> dict[tuple[int, int, int], tuple[list[int], ...]]:
        stream = ExampleStream(tiny_dataset, ("train",), encoder, most_per_day)
        (block,) = stream.blocks([range(len(stream))])
        length = encoder.config.history.length
        *items, is_there = block.histories.padded(np.arange(len(block)), length)
        facts = zip(*(x.tolist() for x in (block.users, block.pins, block.timestamps)), strict=True)
        return {
            fact: tuple(values[row][is_there[row]].tolist() for values in items)
            for row, fact in enumerate(facts)
        }

    every, some = whole(None), whole(1)
    assert 0 < len(some) < len(every)
    assert any(pins for pins, _, _ in some.values())
    assert some.items() <= every.items()
    # The first of each user's is always early in its day.
    assert {user for user, _, _ in some} == {user for user, _, _ in every}
