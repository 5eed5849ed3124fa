"""Examples written as the data set's are, of any number and length of history."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.features.config import FeaturesConfig, HistoryConfig, StatisticsConfig
from homefeed.features.encoder import FeatureEncoder, Vocabulary

COLUMN = "engagements_all"
ENCODER = FeatureEncoder(
    config=FeaturesConfig(
        history=HistoryConfig(length=100), statistics=StatisticsConfig(half_life_days=(0.0,))
    ),
    actions=Vocabulary(("click", "save")),
    vocabularies={"pin_id": Vocabulary(())},
    pin_moments={},
    user_moments={},
)
START = 1_700_000_000


def write(
    dataset: Path,
    pins: np.ndarray,
    num_parts: int = 1,
    most_history: int = 3,
    row_group_size: int = 64,
    split: str = "train",
    seed: int = 0,
    seconds_apart: float = 1 / 3,
) -> pa.Table:
    """Writes `examples/<split>` of N examples in order of time.

    Args:
        dataset: folder of the artifact.
        pins: pin_index of each example, int64 [N].
        num_parts: files that the examples are spread over by their users.
        most_history: items of the longest history.
        row_group_size: rows of a row group.
        split: which split.
        seed: of all that is drawn, and whether event ids are even.
        seconds_apart: of two examples that follow each other; below 1 some are of one second.

    Returns:
        All that is written, in order of time and event_id.
    """
    generator = np.random.default_rng(seed)
    num_examples = len(pins)
    lengths = generator.integers(most_history + 1, size=num_examples)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    num_items = int(offsets[-1])

    def histories(values: np.ndarray) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets.astype(np.int32), values)

    table = pa.table(
        {
            "event_id": np.arange(num_examples) * 2 + seed % 2,
            "user_index": generator.integers(max(num_examples // 20, 1), size=num_examples),
            "pin_index": pins,
            "timestamp": START + (np.arange(num_examples) * seconds_apart).astype(np.int64),
            "action": generator.choice(["click", "save", "hide"], num_examples),
            "source_interest": pa.nulls(num_examples, pa.string()),
            "history": histories(generator.integers(50_000, size=num_items, dtype=np.int32)),
            "history_actions": histories(generator.integers(1, 4, num_items, dtype=np.int32)),
            "history_times": histories(START - generator.integers(1 << 20, size=num_items)),
            "num_today": generator.integers(6, size=num_examples, dtype=np.int32),
            COLUMN: generator.random(num_examples, dtype=np.float32),
        }
    )
    folder = dataset / "examples" / split
    folder.mkdir(parents=True)
    parts = table["user_index"].to_numpy() % num_parts
    for part in range(num_parts):
        rows = table.filter(parts == part)
        pq.write_table(rows, folder / f"{part:05}.parquet", row_group_size=row_group_size)
    return table
