"""Small real artifacts that the tests of several stages start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.engine import Engine, open_engine
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from tests.data_fixtures import TINY_FEATURES, write_tiny_log


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # By far the longest test would come last, and the other workers would wait for it.
    items.sort(key=lambda item: item.path.name != "test_engines.py")


@pytest.fixture(scope="session")
def tiny_log(tmp_path_factory: pytest.TempPathFactory) -> EventsConfig:
    """A small log in Parquet, as the events section that imports it."""
    return write_tiny_log(tmp_path_factory.mktemp("tiny_log"))


@pytest.fixture(scope="session")
def tiny_events(tiny_log: EventsConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events artifact of the small log; not to be written to."""
    output = tmp_path_factory.mktemp("tiny") / "events"
    import_events(tiny_log, output)
    return output


@pytest.fixture(scope="session")
def tiny_dataset(tiny_events: Path) -> Path:
    """The dataset artifact of the small log, split by time; not to be written to."""
    output = tiny_events.parent / "dataset"
    build_dataset(tiny_events, DatasetConfig(), TINY_FEATURES, seed=0, output=output)
    return output


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_engine(tmp_path_factory.mktemp("engine") / "output") as opened:
        yield opened
