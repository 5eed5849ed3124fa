import pytest
import torch

from homefeed.features.encoder import TowerInputs
from homefeed.towers.config import MaskNetConfig, TowersConfig, TrainingConfig
from homefeed.towers.masknet import MaskBlock, MaskNet
from homefeed.towers.tower import Tower

CONFIG = TowersConfig(
    field_dimension=8, embedding_dimension=6, crossing=MaskNetConfig(blocks=2, width=5)
)
INPUTS = TowerInputs(categorical={"age": (4, 1)}, embeddings={"image": 3}, num_numeric=2)


def inputs(batch: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    bags = {"age": torch.randn(batch, 8), "history": torch.randn(batch, 8)}
    return bags, {"image": torch.randn(batch, 3), "numeric": torch.randn(batch, 2)}


def test_a_tower_gives_unit_vectors_of_every_kind_of_field() -> None:
    tower = Tower(["history", "age"], INPUTS, CONFIG)
    bags, features = inputs(7)
    vectors = tower(bags, features)
    assert vectors.shape == (7, 6)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(7))
    vectors.sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_every_field_and_number_changes_the_vector() -> None:
    tower = Tower(["history", "age"], INPUTS, CONFIG).eval()
    bags, features = inputs(1)
    before = tower(bags, features)
    for group in (bags, features):
        for name, value in group.items():
            group[name] = value.flip(1)
            assert not torch.allclose(before, tower(bags, features)), name
            group[name] = value


def test_a_mask_block_multiplies_its_input_by_what_an_mlp_makes_of_it() -> None:
    block = MaskBlock(6, MaskNetConfig(blocks=1, width=4, ratio=0.5), dropout=0.0)
    assert block.mask[0].out_features == 3
    x = torch.randn(2, 6)
    torch.testing.assert_close(block(x), block.output(x * block.mask(x)))
    with torch.no_grad():
        for parameter in block.mask[2].parameters():
            parameter.zero_()
    # A mask of zeros lets nothing of x through.
    torch.testing.assert_close(block(x), block(2 * x))


def test_masknet_normalises_each_field_by_itself() -> None:
    crossing = MaskNet(3, 4, 2, MaskNetConfig(blocks=2, width=5), dropout=0.0)
    fields = torch.randn(5, 3, 4)
    scaled = fields * torch.tensor([1.0, 10.0, 0.5])[None, :, None] + 3.0
    torch.testing.assert_close(crossing(fields), crossing(scaled), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (TowersConfig, "field_dimension", 0),
        (TowersConfig, "dropout", 1.0),
        (MaskNetConfig, "ratio", -1.0),
        (TrainingConfig, "batch_size", 1),
        (TrainingConfig, "learning_rate", 0.0),
        (TrainingConfig, "max_examples_per_user_day", 0),
        (TrainingConfig, "patience", 0),
    ],
)
def test_meaningless_settings_are_refused(kind: type, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{field}={value} must"):
        kind(**{field: value})
