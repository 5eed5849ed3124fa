"""ID tables in 8 bits a number: fbgemm's own levels, and what they cost in direction."""

from pathlib import Path

import fbgemm_gpu  # noqa: F401
import pytest
import torch
from torch.nn.functional import cosine_similarity

from homefeed.export.int8 import Int8Vectors
from homefeed.id_embeddings.config import PretrainingConfig
from homefeed.id_embeddings.pretrain import pretrain_ids
from homefeed.id_embeddings.tables import read_pin_table, read_user_table
from homefeed.towers.ids import IdVectors
from homefeed.towers.ids_config import IdsConfig
from tests.id_embeddings.logs import id_recipe, write_structured_events

DIMENSION = 64


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ID embeddings of the width that recipes have, trained on a log with structure."""
    config, events = write_structured_events(tmp_path_factory.mktemp("structured"))
    pretraining = PretrainingConfig(
        dimension=DIMENSION, batch_size=128, max_epochs=3, validation_share=0.2, learning_rate=0.1
    )
    recipe = id_recipe(config, pretraining=pretraining)
    pretrain_ids([events], recipe, events.parent / "ids")
    return events.parent / "ids"


def tables(trained: Path) -> list[torch.Tensor]:
    return [torch.from_numpy(read(trained).vectors) for read in (read_user_table, read_pin_table)]


def fused(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels [rows, D] and values [rows, D] of fbgemm's own quantisation."""
    rows = torch.ops.fbgemm.FloatToFused8BitRowwiseQuantized(weight)
    return rows[:, : weight.shape[1]], torch.ops.fbgemm.Fused8BitRowwiseQuantizedToFloat(rows)


def test_levels_are_those_of_fbgemm(trained: Path) -> None:
    torch.manual_seed(0)
    odd = torch.randn(2000, DIMENSION)
    odd[0], odd[1] = 0, 0.25
    odd[2] *= 1e-7
    odd[3] *= 1e4
    for weight in (odd, *tables(trained)):
        own = Int8Vectors(weight)
        levels, values = fused(weight)
        assert torch.equal(own.levels, levels)
        # It multiplies and adds in one instruction: the last bit of a row's largest number.
        largest = weight.abs().amax(dim=1, keepdim=True)
        assert ((own.whole() - values).abs() <= torch.finfo(torch.float32).eps * largest).all()


def test_no_number_moves_by_more_than_half_a_level(trained: Path) -> None:
    for weight in tables(trained):
        step = (weight.amax(dim=1) - weight.amin(dim=1)) / 255
        moved = (Int8Vectors(weight).whole() - weight).abs()
        assert (moved <= step[:, None] / 2 + 1e-6).all()


def test_trained_vectors_hardly_turn_and_take_little_more_than_a_quarter(trained: Path) -> None:
    for weight in tables(trained):
        own = Int8Vectors(weight)
        loss = 1 - cosine_similarity(own.whole()[1:].double(), weight[1:].double())
        assert 0 < loss.mean() < 2e-5
        assert loss.max() < 4e-5
        num_bytes = sum(each.nbytes for each in own.buffers())
        assert num_bytes / weight.nbytes == (DIMENSION + 8) / (4 * DIMENSION)


def test_the_out_of_table_row_stays_zeros(trained: Path) -> None:
    for weight in tables(trained):
        assert not Int8Vectors(weight).whole()[0].any()


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_look_up_is_that_of_the_table_it_stands_for(trained: Path, training: str) -> None:
    weight = tables(trained)[1]
    table = IdVectors(*weight.shape, IdsConfig(training=training))  # type: ignore[arg-type]
    table.load(weight.numpy())
    own = Int8Vectors(table.weight)
    assert not any(each.requires_grad for each in own.buffers())
    table.load(own.whole().numpy())
    rows = torch.tensor([[2, 3, 0], [0, 0, 0], [5, 5, 9], [1, 0, 0]])
    expected = table(rows).detach()
    for module in (own, torch.jit.script(own)):
        torch.testing.assert_close(module(rows), expected, rtol=1e-5, atol=1e-6)
    assert not own(rows)[1].any()
