"""A log with structure, as a recipe of ID pre-training and the events artifact of its source."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.id_embeddings.config import IdRecipe, PretrainingConfig, Source, TimeWindow
from tests.data_fixtures import START, write_tiny_log

FIRST = datetime.fromtimestamp(START, UTC)
WHOLE = TimeWindow(start=FIRST, end=FIRST + timedelta(days=14))
PRETRAINING = PretrainingConfig(
    dimension=16, batch_size=128, max_epochs=5, validation_share=0.2, learning_rate=0.1
)


def days(first: float, last: float) -> TimeWindow:
    """A part of the log's two weeks."""
    return TimeWindow(start=FIRST + timedelta(days=first), end=FIRST + timedelta(days=last))


def id_recipe(*events: EventsConfig, **sections: Any) -> IdRecipe:
    """A recipe of these sources, with some of its sections replaced."""
    recipe = IdRecipe(
        name="small",
        seed=1,
        window=WHOLE,
        sources=tuple(Source(events=each) for each in events),
        pretraining=PRETRAINING,
    )
    return msgspec.structs.replace(recipe, **sections)


def write_structured_events(folder: Path) -> tuple[EventsConfig, Path]:
    """Users who mostly take pins of their interest, a quarter of 160; config and artifact."""
    config = write_tiny_log(folder / "log", num_users=60, num_pins=160, num_events=4000)
    import_events(config, folder / "events")
    return config, folder / "events"
