from pathlib import Path

import pytest

from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from tests.events.simulator.small import SMALL, TINY, Simulated, read_simulated


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """The small homefeed with its impressions; not to be written to."""
    folder = tmp_path_factory.mktemp("simulated") / "events"
    import_events(EventsConfig(input=SMALL, max_reject_share=0), folder)
    return read_simulated(folder)


@pytest.fixture(scope="session")
def tiny_simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events artifact of the tiny homefeed; not to be written to."""
    folder = tmp_path_factory.mktemp("tiny_simulated") / "events"
    import_events(EventsConfig(input=TINY), folder)
    return folder
