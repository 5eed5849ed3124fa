"""A recipe that runs in seconds, of the small log."""

from pathlib import Path
from typing import Any

import msgspec

from homefeed.config import to_yaml
from homefeed.events.config import EventsConfig
from homefeed.recipe import Recipe
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import MaskNetConfig
from tests.data_fixtures import TINY_FEATURES

TINY_TOWERS = TowersConfig(
    field_dimension=8, embedding_dimension=8, crossing=MaskNetConfig(blocks=1, width=8)
)


def write_recipe(path: Path, events: EventsConfig, **sections: Any) -> str:
    """Writes the recipe, with some of its sections replaced; returns its path as text."""
    recipe = Recipe(
        name="tiny",
        seed=3,
        events=events,
        features=TINY_FEATURES,
        towers=TINY_TOWERS,
        training=TrainingConfig(batch_size=64, max_epochs=1),
    )
    path.write_text(to_yaml(msgspec.structs.replace(recipe, **sections)))
    return str(path)
