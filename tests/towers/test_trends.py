"""Statistics as examples go by, beside those that the data set was built with."""

from pathlib import Path

import numpy as np
import pytest

from homefeed.dataset.statistics import statistics_at
from homefeed.engine import open_engine
from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.data import EncodedDataset
from homefeed.towers.examples import ExampleStream
from homefeed.towers.trends import Trends


def test_pins_drawn_beside_have_their_sums_at_that_time(tiny_dataset: Path, tmp_path: Path) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    encoded = EncodedDataset(tiny_dataset, encoder)
    stream = ExampleStream(tiny_dataset, ("train",), encoder)
    config = encoder.config.statistics
    trends = Trends(encoded.num_pins, config)
    weights = encoded.action_weights(config.action_weights)
    half = len(stream) // 2
    first, second = stream.blocks([range(half), range(half, len(stream))])
    trends.update(first, weights[first.actions])
    restored = Trends(encoded.num_pins, config)
    restored.restore(trends.state())
    time = int(second.timestamps[0])
    with open_engine(tmp_path / "x") as engine:
        events = engine.read(tiny_dataset / "engagements.parquet")
        events = events.filter((events.split == "train") & (events.timestamp < time))
        table = statistics_at(events, time, config).order_by("pin_index").to_pyarrow()
    pins = table["pin_index"].to_numpy()
    # Events of the block's first second may be of the block before: they are in its sums already.
    is_tied = np.isin(pins, first.pins[first.timestamps == time])
    for own in (trends, restored):
        for name, found in own.at(pins, time).items():
            expected = table[name].to_numpy()
            assert found[~is_tied] == pytest.approx(expected[~is_tied], rel=1e-4, abs=1e-6)
    never = np.setdiff1d(np.arange(encoded.num_pins), pins)
    assert all((values == 0).all() for values in trends.at(never, time).values())
    trends.forget()
    assert all((values == 0).all() for values in trends.at(pins, time).values())
