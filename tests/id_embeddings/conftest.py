from pathlib import Path

import pytest

from homefeed.events.config import EventsConfig
from homefeed.id_embeddings.pretrain import pretrain_ids
from tests.id_embeddings.logs import id_recipe, write_structured_events


@pytest.fixture(scope="session")
def structured(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventsConfig, Path]:
    """Events section and events artifact of a log with structure; not to be written to."""
    return write_structured_events(tmp_path_factory.mktemp("structured"))


@pytest.fixture(scope="session")
def pretrained(structured: tuple[EventsConfig, Path]) -> Path:
    """ID embeddings of that log; not to be written to."""
    config, events = structured
    output = events.parent / "id_embeddings"
    pretrain_ids([events], id_recipe(config), output)
    return output
