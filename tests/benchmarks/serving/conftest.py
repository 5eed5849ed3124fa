"""Releases of the small log, made as those of the benchmark are."""

from pathlib import Path

import pytest

from benchmarks.serving.releases import Releases
from homefeed.corpus.config import CorpusConfig
from homefeed.events.config import EventsConfig
from homefeed.index.config import IndexConfig
from homefeed.recipe import Recipe
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import MLPConfig
from tests.data_fixtures import TINY_FEATURES

NUM_GROWN = 3000
SCAN_UP_TO = 100


@pytest.fixture(scope="session")
def releases(tiny_log: EventsConfig, tmp_path_factory: pytest.TempPathFactory) -> Releases:
    recipe = Recipe(
        name="small",
        events=tiny_log,
        features=TINY_FEATURES,
        towers=TowersConfig(
            field_dimension=8, embedding_dimension=8, crossing=MLPConfig(widths=(8,))
        ),
        training=TrainingConfig(batch_size=64, max_epochs=1, refit=False),
        corpus=CorpusConfig(window_days=None),
        # A corpus of the log's size is exact; what is grown out of it is searched approximately.
        index=IndexConfig(flat_up_to=SCAN_UP_TO, scan_up_to=SCAN_UP_TO, min_recall=0.0),
    )
    return Releases(tmp_path_factory.mktemp("releases"), recipe)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"
