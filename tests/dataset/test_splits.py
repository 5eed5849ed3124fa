from collections import Counter, defaultdict

import ibis
import numpy as np
import pytest

from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.splits import add_splits
from homefeed.engine import Engine


def split_of(
    engine: Engine, config: DatasetConfig, user: list[int], time: list[int], seed: int = 0
) -> list[str]:
    """The split of each event, in the order given."""
    columns = {"event_id": range(len(time)), "user_id": map(str, user), "timestamp": time}
    table = ibis.memtable({name: list(values) for name, values in columns.items()})
    split = add_splits(engine.keep("events", table), config, seed).order_by("event_id")
    return split.to_pyarrow()["split"].to_pylist()


def test_by_time_ties_lie_on_one_side(engine: Engine) -> None:
    time = [10] * 5 + [20] * 4 + [30] * 6 + [40] * 5
    config = DatasetConfig(train_share=0.5, validation_share=0.3)
    # Half of 20 events is the second one of time 30: all of that time move to validation.
    split = split_of(engine, config, [0] * 20, time)
    assert split == ["train"] * 9 + ["validation"] * 6 + ["test"] * 5


def test_by_time_shares(engine: Engine) -> None:
    order = np.random.default_rng(0).permutation(1000).tolist()
    split = split_of(engine, DatasetConfig(), [0] * 1000, order)
    assert Counter(split) == {"train": 800, "validation": 100, "test": 100}
    assert all(
        s == ("train", "validation", "test")[(t >= 800) + (t >= 900)]
        for s, t in zip(split, order, strict=True)
    )


def test_leave_last_out_is_stable_for_ties(engine: Engine) -> None:
    user = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    time = [5, 9, 9, 9, 8, 7, 6, 1, 1, 1]
    split = split_of(engine, DatasetConfig(split="leave_last_out"), user, time)
    assert split[:4] == ["train", "train", "validation", "test"]
    assert split[4:7] == ["test", "validation", "train"]
    assert split[7:9] == ["train", "test"]
    assert split[9:] == ["train"]


def test_by_chance_parts_each_user_as_recbole_does(engine: Engine) -> None:
    sizes = [1, 2, 3, 9, 10, 19, 20, 105]
    user = [u for u, size in enumerate(sizes) for _ in range(size)]
    time = list(range(len(user)))
    config = DatasetConfig(split="random")
    split = split_of(engine, config, user, time, seed=7)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for u, s in zip(user, split, strict=True):
        counts[u][s] += 1
    found = [
        tuple(counts[u][s] for s in ("train", "validation", "test")) for u in range(len(sizes))
    ]
    assert found == [
        (1, 0, 0), (1, 0, 1), (1, 1, 1), (7, 1, 1), (8, 1, 1), (17, 1, 1), (16, 2, 2), (85, 10, 10)
    ]  # fmt: skip
    assert split_of(engine, config, user, time, seed=7) == split
    assert split_of(engine, config, user, time, seed=8) != split


def test_by_chance_takes_all_times_alike(engine: Engine) -> None:
    split = split_of(engine, DatasetConfig(split="random"), [0] * 5000, list(range(5000)))
    places = np.flatnonzero(np.array(split) == "test")
    # The mean of 500 of 5000 even draws: its standard error is 61.
    assert abs(places.mean() - 2500) < 5 * 61


def test_shares_must_leave_something(engine: Engine) -> None:
    with pytest.raises(ValueError, match="leave a share for test"):
        DatasetConfig(train_share=0.9, validation_share=0.1)
