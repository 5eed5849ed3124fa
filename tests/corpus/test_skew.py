"""The failure that it is for: duplicates counted together in the corpus, not in training."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.config import from_yaml
from homefeed.contracts import MANIFEST_FILE, Granularity, read_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.corpus.skew import check_skew
from homefeed.data_checks.config import SkewConfig
from homefeed.data_checks.skew import COMPARISONS_FILE, REPORT_FILE, Skew
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from homefeed.features.config import Categorical, FeaturesConfig, Numeric, StatisticsConfig
from tests.data_fixtures import START, TINY_FEATURES

DAY = 86_400
NUM_PINS, NUM_EVENTS, NUM_DAYS = 600, 24_000, 40
"""A third of the pins is alone, the others are three of each image."""
FEATURES = FeaturesConfig(
    pin=(Categorical(column="pin_id"), Numeric(column="price")),
    statistics=StatisticsConfig(half_life_days=(1.0, 30.0, 0.0)),
    granularity=Granularity.PIN,
)
ENOUGH = SkewConfig(min_rows=100)


def canonical(pin: int) -> str:
    return f"c{pin}" if pin < NUM_PINS // 3 else f"c{pin // 3 * 3}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set and the corpus of a log with duplicates."""
    folder = tmp_path_factory.mktemp("duplicates")
    generator = np.random.default_rng(3)
    weights = 1 / (1 + generator.permutation(NUM_PINS)) ** 0.7
    pins = generator.choice(NUM_PINS, NUM_EVENTS, p=weights / weights.sum())
    engagements = {
        "user_id": [f"u{user}" for user in generator.integers(200, size=NUM_EVENTS)],
        "pin_id": [f"p{pin}" for pin in pins],
        "timestamp": START + generator.integers(NUM_DAYS * DAY, size=NUM_EVENTS),
    }
    tables = {
        "engagements": engagements,
        "pins": {
            "pin_id": [f"p{pin}" for pin in range(NUM_PINS)],
            "image_signature": [f"f{pin}" for pin in range(NUM_PINS)],
            "canonical_signature": [canonical(pin) for pin in range(NUM_PINS)],
            "price": generator.normal(size=NUM_PINS),
        },
    }
    for name, table in tables.items():
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    paths: dict[str, Any] = {name: str(folder / f"{name}.parquet") for name in tables}
    log = EventsConfig(input=Tables(format="parquet", **paths))
    import_events(log, folder / "events")
    build_dataset(folder / "events", DatasetConfig(), FEATURES, 0, folder / "dataset")
    select_corpus(folder / "dataset", CorpusConfig(), FEATURES, folder / "corpus")
    return folder


def compared(folder: Path) -> Skew:
    return msgspec.json.decode((folder / COMPARISONS_FILE).read_bytes(), type=Skew)


def rewrite(corpus: Path, to: Path, **columns: np.ndarray) -> Path:
    """A corpus with other values in some of its columns."""
    shutil.copytree(corpus, to)
    table = pq.read_table(to / "corpus.parquet")
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, to / "corpus.parquet")
    return to


def sum_duplicates(made: Path) -> dict[str, np.ndarray]:
    """The corpus' statistics over all pins of each canonical signature."""
    as_of = read_manifest(made / "dataset", "dataset").details["serving_time"]
    events = pq.read_table(made / "dataset" / "engagements.parquet").to_pylist()
    pins = pq.read_table(made / "corpus" / "corpus.parquet")["pin_id"].to_pylist()
    ages: dict[str, list[float]] = {}
    for event in events:
        if event["split"] != "test" and event["timestamp"] < as_of:
            one = canonical(int(event["pin_id"][1:]))
            ages.setdefault(one, []).append((as_of - event["timestamp"]) / DAY)
    own = [np.array(ages[canonical(int(pin[1:]))]) for pin in pins]
    return {
        "engagements_1d": np.array([(2.0**-each).sum() for each in own]),
        "engagements_30d": np.array([(2.0 ** -(each / 30)).sum() for each in own]),
        "engagements_all": np.array([float(len(each)) for each in own]),
    }


def test_a_corpus_that_counts_as_the_training_does_passes(made: Path, tmp_path: Path) -> None:
    manifest = check_skew(made / "dataset", made / "corpus", SkewConfig(), tmp_path / "skew")
    names = ["price", "engagements_1d", "engagements_30d", "engagements_all"]
    assert list(manifest.details["psi"]) == names
    found = compared(tmp_path / "skew")
    # Only rows of pins that are in the corpus count: one in three of those with duplicates.
    assert 200 < found.num_rows < 500
    by_name = {each.feature: each for each in found.comparisons}
    assert by_name["price"].psi == by_name["price"].ks == 0.0
    assert by_name["engagements_all"].psi < 0.03
    assert (by_name["price"].moved, by_name["engagements_all"].moved) == (None, 0.0)
    assert [each.is_judged for each in found.comparisons] == [True, False, True, True]


def test_statistics_summed_over_duplicates_are_refused(made: Path, tmp_path: Path) -> None:
    check_skew(made / "dataset", made / "corpus", ENOUGH, tmp_path / "healthy")
    corpus = rewrite(made / "corpus", tmp_path / "corpus", **sum_duplicates(made))
    with pytest.raises(ValueError, match="trained on other values than the corpus") as refused:
        check_skew(made / "dataset", corpus, ENOUGH, tmp_path / "skew")
    said = str(refused.value)
    assert "  engagements_all: PSI " in said
    assert "  engagements_30d: PSI " in said
    # One of a day moves by itself, so it is no evidence.
    assert "engagements_1d" not in said
    assert "price" not in said
    assert "canonical" in said
    page = (tmp_path / "skew" / REPORT_FILE).read_text()
    assert page.count("too far") == 2
    assert all(name in page for name in ("price", "engagements_1d", "engagements_all"))
    assert not (tmp_path / "skew" / MANIFEST_FILE).exists()


def test_a_corpus_of_coarser_items_than_the_training_s_is_refused(
    made: Path, tmp_path: Path
) -> None:
    coarse = CorpusConfig(granularity=Granularity.CANONICAL_SIGNATURE)
    select_corpus(made / "dataset", coarse, FEATURES, tmp_path / "corpus")
    with pytest.raises(ValueError, match="  engagements_all: "):
        check_skew(made / "dataset", tmp_path / "corpus", ENOUGH, tmp_path / "skew")


def test_few_pins_that_count_too_much_are_refused(made: Path, tmp_path: Path) -> None:
    counts = pq.read_table(made / "corpus" / "corpus.parquet")["engagements_all"].to_numpy()
    some = np.where(np.arange(len(counts)) % 12 == 0, 2, 1) * counts
    corpus = rewrite(made / "corpus", tmp_path / "corpus", engagements_all=some)
    with pytest.raises(ValueError, match="  engagements_all: [0-9.]+% of the rows moved"):
        check_skew(made / "dataset", corpus, ENOUGH, tmp_path / "skew")


def test_pins_that_changed_since_are_refused(made: Path, tmp_path: Path) -> None:
    prices = pq.read_table(made / "corpus" / "corpus.parquet")["price"].to_numpy()
    lost = np.where(np.arange(len(prices)) % 2 == 1, prices, np.nan)
    corpus = rewrite(made / "corpus", tmp_path / "corpus", price=lost)
    with pytest.raises(ValueError, match=r"\n  price: PSI [0-9.]+ \(skew.max_psi=0.1\)"):
        check_skew(made / "dataset", corpus, ENOUGH, tmp_path / "skew")


def test_too_few_rows_are_shown_and_not_judged(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = rewrite(made / "corpus", tmp_path / "corpus", **sum_duplicates(made))
    check_skew(made / "dataset", corpus, SkewConfig(), tmp_path / "skew")
    assert "is not judged: " in capfd.readouterr().err
    assert "so nothing is judged" in (tmp_path / "skew" / REPORT_FILE).read_text()


def test_a_log_without_recent_rows_has_nothing_to_compare(made: Path, tmp_path: Path) -> None:
    check_skew(made / "dataset", made / "corpus", SkewConfig(recent_days=1e-9), tmp_path / "skew")
    assert compared(tmp_path / "skew").num_rows == 0


def test_a_corpus_of_another_data_set_is_refused(
    made: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    select_corpus(tiny_dataset, CorpusConfig(), TINY_FEATURES, tmp_path / "corpus")
    with pytest.raises(ValueError, match="was not selected from"):
        check_skew(made / "dataset", tmp_path / "corpus", SkewConfig(), tmp_path / "skew")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recent_days: 0", "skew.recent_days=0 must be positive"),
        ("max_psi: -1", "skew.max_psi=-1 must be positive"),
        ("min_rows: 0", "skew.min_rows=0 must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_yaml(text, SkewConfig, "recipe")
