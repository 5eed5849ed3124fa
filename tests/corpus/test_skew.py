"""The failure of the source system is found, and sound data pass."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import ks_2samp

from homefeed.config import from_yaml
from homefeed.contracts import Granularity
from homefeed.corpus.config import CorpusConfig, SkewConfig
from homefeed.corpus.select import select_corpus
from homefeed.corpus.skew import (
    Skew,
    find_skew,
    kolmogorov_smirnov,
    make_histogram,
    population_stability,
    refuse_skew,
)
from homefeed.corpus.skew_report import render_skew
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.features.config import Categorical, FeaturesConfig
from tests.data_fixtures import TINY_FEATURES

LOG = """
input: {source: simulator, users: 400, pins: 1500, days: 60, engagements: 40000, seed: 3,
  copies_exponent: 1.8, interests: 10}
"""
LIMITS = SkewConfig()
CANONICAL = Granularity.CANONICAL_SIGNATURE


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated log, many of whose images have several pins."""
    folder = tmp_path_factory.mktemp("skew") / "events"
    import_events(from_yaml(LOG, EventsConfig, "events"), folder)
    return folder


def compare(
    events: Path, folder: Path, training: Granularity, serving: Granularity | None
) -> tuple[list[Skew], Path, Path]:
    features = FeaturesConfig(pin=(Categorical(column="pin_id"),), granularity=training)
    dataset, corpus = folder / "dataset", folder / "corpus"
    build_dataset(events, DatasetConfig(), features, 0, dataset)
    select_corpus(dataset, CorpusConfig(granularity=serving), features, corpus)
    return find_skew(dataset, corpus, features, LIMITS), dataset, corpus


def test_one_mapping_on_both_sides_passes(events: Path, tmp_path: Path) -> None:
    skews, dataset, corpus = compare(events, tmp_path, CANONICAL, None)
    judged = {each.feature: each for each in skews if each.is_judged}
    assert set(judged) == {"engagements_30d", "engagements_all"}
    assert len(skews) == 4
    assert not any(each.is_skewed for each in skews)
    refuse_skew(skews, dataset, corpus, LIMITS)
    assert judged["engagements_all"].ratio == pytest.approx(1, abs=0.05)
    assert sum(judged["engagements_all"].corpus) == pytest.approx(1)


def test_fine_signatures_in_training_and_coarse_ones_in_the_corpus_are_found(
    events: Path, tmp_path: Path
) -> None:
    fine = Granularity.IMAGE_SIGNATURE
    skews, dataset, corpus = compare(events, tmp_path, fine, CANONICAL)
    assert {each.feature for each in skews if each.is_skewed} == {
        "engagements_30d",
        "engagements_all",
    }
    with pytest.raises(ValueError) as refused:
        refuse_skew(skews, dataset, corpus, LIMITS)
    said = str(refused.value)
    assert "engagements_30d: PSI " in said
    assert "Training counted by image_signature, the corpus by canonical_signature" in said
    page = render_skew(skews, LIMITS)
    assert page.count("**skewed**") == 2
    assert page.count("not judged") == 2
    # The same granularity on both sides, however fine, is sound again.
    again, *_ = compare(events, tmp_path / "fine", fine, None)
    assert not any(each.is_skewed for each in again)


def test_a_mean_beyond_its_limit_is_found_where_the_distributions_are_alike(
    events: Path, tmp_path: Path
) -> None:
    fine = Granularity.IMAGE_SIGNATURE
    _, dataset, corpus = compare(events, tmp_path, fine, CANONICAL)
    features = FeaturesConfig(pin=(Categorical(column="pin_id"),), granularity=fine)
    blind = msgspec.structs.replace(LIMITS, max_psi=9.0, max_ks=1.0)
    assert any(each.is_skewed for each in find_skew(dataset, corpus, features, blind))
    blinder = msgspec.structs.replace(blind, max_ratio=9.0)
    assert not any(each.is_skewed for each in find_skew(dataset, corpus, features, blinder))


def test_too_few_pins_are_not_judged(tiny_dataset: Path, tmp_path: Path) -> None:
    select_corpus(tiny_dataset, CorpusConfig(), TINY_FEATURES, tmp_path / "corpus")
    skews = find_skew(tiny_dataset, tmp_path / "corpus", TINY_FEATURES, LIMITS)
    assert [each.feature for each in skews] == list(TINY_FEATURES.statistics.columns)
    assert not any(each.is_judged for each in skews)
    few = msgspec.structs.replace(LIMITS, min_pins=5)
    skews = find_skew(tiny_dataset, tmp_path / "corpus", TINY_FEATURES, few)
    assert [each.is_judged for each in skews] == [False, False, True]


def test_a_data_set_without_examples_shows_nothing(tmp_path: Path) -> None:
    assert find_skew(tmp_path, tmp_path, TINY_FEATURES, LIMITS) == []
    assert "Nothing was compared" in render_skew([], LIMITS)


def test_the_figures_are_those_of_their_definitions() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=500), generator.normal(0.5, 1, size=400)
    assert kolmogorov_smirnov(first, second) == pytest.approx(ks_2samp(first, second).statistic)
    histogram = make_histogram(first, second)
    assert histogram.first == pytest.approx(np.full(10, 0.1))
    expected = sum(
        (q - p) * np.log(q / p) for p, q in zip(histogram.first, histogram.second, strict=True)
    )
    assert population_stability(histogram) == pytest.approx(expected)
    assert population_stability(make_histogram(first, first)) == 0
    constant = make_histogram(np.zeros(5), np.zeros(3))
    assert population_stability(constant) == 0
