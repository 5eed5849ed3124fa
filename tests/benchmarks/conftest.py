"""A small experiment of the small log."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.config import to_builtins
from homefeed.events.config import EventsConfig
from tests.data_fixtures import TINY_FEATURES

EXPERIMENT: dict[str, Any] = {
    "title": "Small",
    "base": "small",
    "metrics": ["recall@10", "coverage@20", "diversity@5", "on_topic@5"],
    "num_seeds": 2,
    "baselines": {
        "half_life_days": [1, 7],
        "ease_regularisation": [10, 100],
        "ials_factors": [4],
        "ials_regularisation": [0.1, 1],
        "ials_alpha": [2],
    },
    "configurations": {
        "plain": {},
        "conditioned": {"towers": {"condition": {}}},
        "conditioned, filtered": {
            "towers": {"condition": {}},
            "ranking": {"is_filtered": True},
        },
    },
    "comparisons": [
        {"of": "conditioned", "to": "plain"},
        {"of": "plain", "to": "EASE"},
        {"of": "plain", "to": "popularity", "is_ratio": True},
    ],
}


@pytest.fixture
def folder(tiny_log: EventsConfig, tmp_path: Path) -> Path:
    """Holds `small.yaml`, an experiment, and `bases/small.yaml`."""
    base = {
        "events": to_builtins(tiny_log),
        "features": to_builtins(TINY_FEATURES),
        "towers": {
            "field_dimension": 8,
            "embedding_dimension": 8,
            "crossing": {"kind": "mlp", "widths": [8]},
        },
        "training": {"batch_size": 64, "max_epochs": 1, "refit": False},
    }
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases" / "small.yaml").write_bytes(msgspec.yaml.encode(base))
    (tmp_path / "small.yaml").write_bytes(msgspec.yaml.encode(EXPERIMENT))
    return tmp_path
