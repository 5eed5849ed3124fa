from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Manifest, write_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.sweep import sweep_corpus

DAY = 86_400
CUT = 100 * DAY
# Pin and days before the cut: the first one is popular for long, the second one of late.
EVENTS = [*[(0, 60)] * 5, *[(1, 1)] * 3, (2, 30), (3, 95)]
LATER = [1, 1, 1, 0, 4]
EVERYTHING = CorpusConfig(window_days=None)


def write_dataset(folder: Path, split: str = "time") -> Path:
    folder.mkdir()
    pins = [pin for pin, _ in EVENTS] + LATER + [3]
    times = [CUT - days * DAY for _, days in EVENTS] + [CUT + 5] * len(LATER) + [CUT + 20]
    table = {"pin_index": pins, "timestamp": times, "action": ["click"] * len(pins)}
    pq.write_table(pa.table(table), folder / "engagements.parquet")
    details = {
        "config": {"split": split},
        "windows": {"train": [0, CUT], "validation": [CUT, CUT + 10], "test": [CUT + 10, CUT + 30]},
    }
    write_manifest(folder, Manifest(kind="dataset", details=details))
    return folder


def test_what_is_popular_of_late_covers_more_of_what_comes(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    rows = sweep_corpus(dataset, EVERYTHING, (0.0, 7.0), (0.25, 0.5, 1.0))
    assert [(row.half_life_days, row.num_pins, row.share) for row in rows] == [
        (0.0, 1, 1 / 5),
        (0.0, 2, 4 / 5),
        (0.0, 4, 4 / 5),
        (7.0, 1, 3 / 5),
        (7.0, 2, 3 / 5),
        (7.0, 4, 4 / 5),
    ]
    # On the test part, the validation part is known.
    (row,) = sweep_corpus(dataset, EVERYTHING, (7.0,), (1.0,), after="test")
    assert (row.num_pins, row.share) == (5, 1.0)
    # The window leaves out the fourth pin, and no size can bring it back.
    (row,) = sweep_corpus(dataset, CorpusConfig(window_days=90), (0.0,), (1.0,), after="test")
    assert (row.num_pins, row.share) == (5, 0.0)


@pytest.mark.parametrize(
    ("split", "half_lives", "shares", "message"),
    [
        ("random", (1.0,), (0.5,), "is not split by time"),
        ("time", (-1.0,), (0.5,), r"half-lives \[-1.0\] must be >= 0 days"),
        ("time", (1.0,), (0.0,), r"sizes \[0.0\] must lie in \(0, 1\]"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path,
    split: str,
    half_lives: tuple[float, ...],
    shares: tuple[float, ...],
    message: str,
) -> None:
    dataset = write_dataset(tmp_path / "dataset", split)
    with pytest.raises(ValueError, match=message):
        sweep_corpus(dataset, EVERYTHING, half_lives, shares)
