"""Exported towers against the trained ones, in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.export import export as export_module
from homefeed.export.export import export_towers
from homefeed.export.plain import plain_pin_tower, plain_user_tower
from homefeed.features.config import (
    Categorical,
    Embedding,
    FeaturesConfig,
    HistoryConfig,
    Numeric,
    StatisticsConfig,
)
from homefeed.features.encoder import FeatureEncoder, HistoryItem, Moments, Vocabulary
from homefeed.release.user_tower import UserTower
from homefeed.towers.config import ConditionConfig, TowersConfig
from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.model import TwoTowers

CONFIG = TowersConfig(
    field_dimension=8, embedding_dimension=6, crossing=MaskNetConfig(blocks=2, width=8)
)


def encoder() -> FeatureEncoder:
    """Every kind of feature, and a column that both sides have."""
    return FeatureEncoder(
        config=FeaturesConfig(
            user=(
                Categorical(column="type"),
                Categorical(column="topics.v1", values=3),
                Embedding(column="taste", dimension=2),
                Numeric(column="activity"),
            ),
            pin=(
                Categorical(column="pin_id"),
                Categorical(column="type"),
                Embedding(column="image", dimension=4),
            ),
            history=HistoryConfig(length=5),
            statistics=StatisticsConfig(half_life_days=(1.0, 0.0)),
        ),
        actions=Vocabulary(("click", "save")),
        vocabularies={
            "pin_id": Vocabulary(tuple(f"p{i}" for i in range(20))),
            "type": Vocabulary(("a", "b")),
            "topics.v1": Vocabulary(("x", "y", "z")),
        },
        pin_moments=dict.fromkeys(("engagements_1d", "engagements_all"), Moments(0.0, 1.0)),
        user_moments={"activity": Moments(0.0, 1.0)},
    )


@pytest.fixture
def towers(tmp_path: Path) -> Path:
    return write_towers(tmp_path / "towers", encoder(), CONFIG)


def write_towers(folder: Path, fed: FeatureEncoder, config: TowersConfig) -> Path:
    folder.mkdir()
    fed.save(folder / "features.json")
    torch.manual_seed(3)
    torch.save(TwoTowers(fed, config).state_dict(), folder / "weights.pt")
    sections = {"towers": msgspec.to_builtins(config), "training": {}, "seed": 3}
    (folder / "config.json").write_text(json.dumps(sections))
    write_manifest(folder, Manifest(kind="towers"))
    return folder


def test_exported_towers_equal_the_trained_ones_and_need_torch_alone(
    towers: Path, tmp_path: Path
) -> None:
    manifest = export_towers(towers, tmp_path / "exported")
    assert set(manifest.files) == {"features.json", "user_tower.pt", "pin_tower.pt"}
    assert manifest.details["dimension"] == 6
    assert manifest.details["parity"] <= 1e-5
    assert manifest.details["conditional"] is False
    assert manifest.inputs == {"towers": read_manifest(towers, "towers").fingerprint}
    # As serving runs it, with the encoder's own tensors.
    program = """
import sys
sys.modules["torchrec"] = sys.modules["fbgemm_gpu"] = None
from pathlib import Path
import torch
from homefeed.features.encoder import FeatureEncoder, HistoryItem
folder = Path(sys.argv[1])
encoder = FeatureEncoder.load(folder / "features.json")
columns = {
    "type": ["a", None], "topics.v1": [["x", "new"], []], "taste": [[1.0, 2.0], None],
    "activity": [0.5, None],
}
tensors = encoder.encode_users(columns, [[HistoryItem("p1", "save", 0)] * 9, []])
tower = torch.jit.load(folder / "user_tower.pt")
vectors = tower({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
assert vectors.shape == (2, 1, 6) and vectors.dtype == torch.float32
assert torch.allclose(vectors.norm(dim=2), torch.ones(2, 1))
assert not torch.allclose(vectors[0], vectors[1])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "exported")]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_towers_that_know_conditions_say_so_and_are_asked_for_them(tmp_path: Path) -> None:
    plain = encoder()
    pin = (*plain.config.pin, Categorical(column="interests", values=2))
    fed = msgspec.structs.replace(
        plain,
        config=msgspec.structs.replace(plain.config, pin=pin),
        vocabularies=plain.vocabularies | {"interests": Vocabulary(("art", "cats"))},
    )
    config = msgspec.structs.replace(CONFIG, condition=ConditionConfig())
    towers = write_towers(tmp_path / "towers", fed, config)
    exported = tmp_path / "exported"
    assert export_towers(towers, exported).details["conditional"] is True
    tower = UserTower(exported)
    features = [{"type": "a", "activity": 0.5}, {"type": "b"}]
    tensors = tower.encode(features, [[HistoryItem("p1", "save", 0)], []])
    asked = tower.embed(tower.ask(tensors, [("art", "cats"), ()]))
    encoded_again = [
        tower.embed(tower.encode(features[:1], [[HistoryItem("p1", "save", 0)]], [name]))[0]
        for name in (None, "art", "cats")
    ]
    for found, expected in zip(asked, [*encoded_again, tower.embed(tensors)[1]], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert abs(asked[1] - asked[2]).max() > 1e-3
    assert tower.ask(tensors, [(), ()]) is tensors


def test_the_embedding_space_is_that_of_the_weights(towers: Path, tmp_path: Path) -> None:
    first = export_towers(towers, tmp_path / "first").details["embedding_space"]
    assert export_towers(towers, tmp_path / "again").details["embedding_space"] == first
    torch.manual_seed(4)
    torch.save(TwoTowers(encoder(), CONFIG).state_dict(), towers / "weights.pt")
    write_manifest(towers, Manifest(kind="towers"))
    assert export_towers(towers, tmp_path / "other").details["embedding_space"] != first


def test_a_tower_that_differs_is_refused(
    towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain_but_wrong(eager: TwoTowers) -> torch.nn.Module:
        tower = plain_pin_tower(eager)
        with torch.no_grad():
            table = next(tower.tables.parameters())
            table += 0.01 * torch.randn_like(table)
        return tower

    monkeypatch.setattr(export_module, "plain_pin_tower", plain_but_wrong)
    with pytest.raises(RuntimeError, match="pin_tower.pt differs from the eager tower by"):
        export_towers(towers, tmp_path / "exported")
    assert not (tmp_path / "exported" / "manifest.json").exists()


def test_a_tower_that_needs_a_training_library_is_refused(
    towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeedsFbgemm(torch.nn.Module):
        def __init__(self, tower: torch.nn.Module) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
            lengths = (features["history"] != 0).sum(dim=1)
            total = torch.ops.fbgemm.asynchronous_complete_cumsum(lengths)[-1]
            return self.tower(features) + 0.0 * total

    monkeypatch.setattr(
        export_module, "plain_user_tower", lambda eager: NeedsFbgemm(plain_user_tower(eager))
    )
    with pytest.raises(RuntimeError, match="fbgemm::asynchronous_complete_cumsum"):
        export_towers(towers, tmp_path / "exported")


def test_batch_size_is_not_baked_in(towers: Path, tmp_path: Path) -> None:
    export_towers(towers, tmp_path / "exported")
    tower = torch.jit.load(tmp_path / "exported" / "pin_tower.pt")
    features = {
        "pin_id": torch.arange(2, 9)[:, None],
        "type": torch.full((7, 1), 2),
        "image": torch.randn(7, 4),
        "numeric": torch.randn(7, 2),
    }
    together = tower(features)
    for row in range(7):
        alone = tower({name: tensor[row : row + 1] for name, tensor in features.items()})
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)
