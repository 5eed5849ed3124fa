from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.config import from_yaml
from homefeed.contracts import Granularity, Manifest, Window, write_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.features.config import Categorical, FeaturesConfig, Numeric, StatisticsConfig
from tests.data_fixtures import TINY_FEATURES

DAY = 86_400
SERVING_TIME = 100 * DAY
# Pin, days before serving time, action, split.
EVENTS = [
    ("fresh", 1, "click", "validation"),
    ("fresh twin", 1, "click", "train"),
    ("fresh twin", 30, "save", "train"),
    ("old", 60, "click", "train"),
    ("old", 60, "click", "train"),
    ("old", 60, "save", "train"),
    ("tie", 1, "click", "train"),
    ("later", -1, "click", "validation"),
    ("secret", 1, "save", "test"),
]
SIGNATURES = {"fresh": "f", "fresh twin": "f", "old": "o", "tie": "t", "later": "l", "secret": "s"}
FEATURES = FeaturesConfig(
    pin=(Categorical(column="pin_id"), Numeric(column="price")),
    statistics=StatisticsConfig(half_life_days=(30.0, 0.0)),
)
EVERYTHING = CorpusConfig(window_days=None)
CREATED_AT = {
    "fresh": SERVING_TIME - 3 * DAY,
    "fresh twin": SERVING_TIME - 40 * DAY,
    "old": SERVING_TIME - 90 * DAY,
}
# Pin, days before serving time, number of them.
HIDES = [("old", 10, 4), ("tie", 60, 9), ("later", -1, 9)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


def write_dataset(folder: Path, blocked: tuple[str, ...] = ()) -> Path:
    folder.mkdir()
    ids = sorted([*SIGNATURES, "never seen"])
    pins = {
        "pin_id": ids,
        "pin_index": list(range(len(ids))),
        "canonical_signature": [SIGNATURES.get(pin, pin) for pin in ids],
        "title": [f"A {pin}" for pin in ids],
        "interests": pa.array([["x"]] * len(ids), pa.list_(pa.string())),
        "price": [float(place) for place in range(len(ids))],
        "unused": ["-"] * len(ids),
        "created_at": pa.array([CREATED_AT.get(pin) for pin in ids], pa.int64()),
        "image_signature": ids,
        "is_blocked": [pin in blocked for pin in ids],
    }
    pq.write_table(pa.table(pins), folder / "pins.parquet")
    engagements = {
        "pin_index": [ids.index(pin) for pin, *_ in EVENTS],
        "timestamp": [SERVING_TIME - days * DAY for _, days, *_ in EVENTS],
        "action": [action for *_, action, _ in EVENTS],
        "split": [split for *_, split in EVENTS],
    }
    pq.write_table(pa.table(engagements), folder / "engagements.parquet")
    hides = [(ids.index(pin), days) for pin, days, number in HIDES for _ in range(number)]
    excluded = {
        "pin_index": [pin for pin, _ in hides],
        "timestamp": [SERVING_TIME - days * DAY for _, days in hides],
        "action": ["hide"] * len(hides),
    }
    pq.write_table(pa.table(excluded), folder / "excluded.parquet")
    details = {"serving_time": SERVING_TIME}
    write_manifest(
        folder, Manifest(kind="dataset", window=Window(0, 2 * SERVING_TIME), details=details)
    )
    return folder


def select(dataset: Path, config: CorpusConfig, name: str = "corpus") -> list[dict[str, Any]]:
    output = dataset.parent / name
    manifest = select_corpus(dataset, config, FEATURES, output)
    found = pq.read_table(output / "corpus.parquet").to_pylist()
    assert manifest.details["num_pins"] == len(found)
    assert manifest.details["as_of"] == SERVING_TIME
    return found


def scores(dataset: Path, config: CorpusConfig) -> dict[str, float]:
    return {pin["pin_id"]: pin["score"] for pin in select(dataset, config)}


def test_the_best_pin_of_each_signature_by_decayed_engagement(dataset: Path) -> None:
    day = 2 ** (-1 / 30)
    expected = {"fresh twin": day + 0.5, "tie": day, "old": 0.75}
    found = scores(dataset, EVERYTHING)
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)


def test_columns_and_statistics_as_of_serving_time(dataset: Path) -> None:
    old = {pin["pin_id"]: pin for pin in select(dataset, EVERYTHING)}["old"]
    assert old == {
        "pin_id": "old",
        "canonical_signature": "o",
        "score": 0.75,
        "interests": ["x"],
        "title": "A old",
        "price": 4.0,
        "engagements_30d": 0.75,
        "engagements_all": 3.0,
    }


def test_pins_that_must_not_be_served(dataset: Path, tmp_path: Path) -> None:
    young = CorpusConfig(window_days=None, max_age_days=50)
    assert set(scores(dataset, young)) == {"fresh twin", "tie"}
    hidden = CorpusConfig(window_days=None, min_hides=4, max_hide_share=0.5)
    # Four hides of seven events; nine of ten.
    assert set(scores(dataset, hidden)) == {"fresh twin"}
    assert set(scores(dataset, CorpusConfig(window_days=None, min_hides=5))) == {
        "fresh twin",
        "old",
    }
    # The window holds for hides too: in it lies no event of the old one, nor the other's hides.
    assert set(scores(dataset, CorpusConfig(window_days=30, min_hides=4))) == {"fresh twin", "tie"}
    other = CorpusConfig(window_days=None, min_hides=4, hide_actions=("report",))
    assert "old" in scores(dataset, other)
    blocked = write_dataset(tmp_path / "other", blocked=("fresh twin",))
    assert set(scores(blocked, EVERYTHING)) == {"fresh", "old", "tie"}


def test_the_manifest_describes_it(dataset: Path, tmp_path: Path) -> None:
    config = CorpusConfig(window_days=None, max_age_days=50, min_hides=9, max_pins=1)
    details = select_corpus(dataset, config, FEATURES, tmp_path / "described").details
    assert details["left_out"] == {"hidden": 1, "outscored": 1, "too old": 1}
    # Of the last week's engagements before serving time, one of three is with the one pin.
    assert details["recent_coverage"] == pytest.approx(1 / 3)
    assert (details["median_age_days"], details["new_share"]) == (40.0, 0.0)
    assert details["num_interests"] == 1


def test_a_coarser_granularity_counts_duplicates_together(dataset: Path) -> None:
    coarse = CorpusConfig(window_days=None, granularity=Granularity.CANONICAL_SIGNATURE)
    found = {pin["pin_id"]: pin for pin in select(dataset, coarse)}
    assert set(found) == {"fresh twin", "old", "tie"}
    assert found["fresh twin"]["engagements_all"] == 3.0
    assert found["fresh twin"]["price"] == 1.0


def test_settings(dataset: Path) -> None:
    # The window cuts what counts for the score, never the statistics.
    windowed = CorpusConfig(half_life_days=0, window_days=30)
    assert scores(dataset, windowed) == {"fresh twin": 2.0, "tie": 1.0}
    by_weight = CorpusConfig(half_life_days=0, window_days=None, action_weights={"save": 5.0})
    assert scores(dataset, by_weight) == {"old": 7.0, "fresh twin": 6.0, "tie": 1.0}
    assert list(scores(dataset, CorpusConfig(window_days=None, max_pins=1))) == ["fresh twin"]
    assert "old" not in scores(dataset, CorpusConfig(window_days=None, min_engagements=0.8))


def test_equal_scores_keep_the_order_of_ids(dataset: Path) -> None:
    one_day = CorpusConfig(half_life_days=0, window_days=2)
    assert scores(dataset, one_day) == {"fresh": 1.0, "tie": 1.0}


def test_an_empty_corpus_is_refused(dataset: Path) -> None:
    with pytest.raises(ValueError, match="corpus.min_engagements=99 within"):
        select(dataset, CorpusConfig(min_engagements=99))
    assert not (dataset.parent / "corpus" / "manifest.json").exists()


def test_after_a_real_data_set(tiny_dataset: Path, tmp_path: Path) -> None:
    manifest = select_corpus(tiny_dataset, EVERYTHING, TINY_FEATURES, tmp_path / "corpus")
    counts: dict[str, int] = defaultdict(int)
    for event in pq.read_table(tiny_dataset / "engagements.parquet").to_pylist():
        counts[event["pin_id"]] += event["split"] != "test"
    corpus = pq.read_table(tmp_path / "corpus" / "corpus.parquet").to_pylist()
    found = {pin["pin_id"]: pin["engagements_all"] for pin in corpus}
    assert found == {pin: count for pin, count in counts.items() if count}
    again = select_corpus(tiny_dataset, EVERYTHING, TINY_FEATURES, tmp_path / "again")
    assert again.files == manifest.files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_pins: 0", "corpus.max_pins=0 must be at least 1"),
        ("window_days: 0", "corpus.window_days=0 must be at least 1, or null"),
        ("half_life_days: -1", "corpus.half_life_days=-1 must be >= 0"),
        ("min_engagements: -0.5", "corpus.min_engagements=-0.5 must be >= 0"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_yaml(text, CorpusConfig, "recipe")
