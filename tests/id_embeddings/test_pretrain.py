"""Training on a log whose users mostly take pins of one interest."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import normalize

from homefeed.contracts import Granularity, read_manifest
from homefeed.distributed.processes import choose_device
from homefeed.events.config import EventsConfig
from homefeed.id_embeddings.layout import ID_EMBEDDINGS, PINS, USERS, read_training
from homefeed.id_embeddings.prepare import Pairs, prepare
from homefeed.id_embeddings.pretrain import pretrain_ids
from homefeed.id_embeddings.tables import OUT_OF_TABLE_ROW, read_pin_table, read_user_table
from homefeed.id_embeddings.validate import hold_out
from tests.id_embeddings.logs import PRETRAINING, days, id_recipe

Log = tuple[EventsConfig, Path]
INTERESTS = 4
"""Of the log; a pin's and a user's follow from their numbers."""


def test_the_loss_goes_down_epoch_by_epoch(pretrained: Path) -> None:
    training = read_training(pretrained)
    for epochs in (training.epochs, training.refit):
        losses = [epoch.train_loss for epoch in epochs]
        assert losses == sorted(losses, reverse=True)
        assert len(set(losses)) == len(losses)
    assert len(training.epochs) == PRETRAINING.max_epochs
    recalls = [epoch.validation["recall@10"] for epoch in training.epochs]
    assert training.best_epoch == 1 + int(np.argmax(recalls)) == len(training.refit)


def test_held_out_recall_is_far_above_that_of_random_vectors(
    structured: Log, pretrained: Path, tmp_path: Path
) -> None:
    config, events = structured
    prepare([events], id_recipe(config), tmp_path / "prepared")
    pairs = Pairs.read(tmp_path / "prepared")
    _, validation = hold_out(pairs, PRETRAINING.validation_share, seed=1)
    generator = torch.Generator().manual_seed(0)
    by_chance = [
        validation.measure(
            {
                name: normalize(torch.randn(rows, 16, generator=generator), dim=1)
                for name, rows in ((USERS, pairs.num_users), (PINS, pairs.num_pins))
            }
        )["recall@10"]
        for _ in range(20)
    ]
    found = read_manifest(pretrained, ID_EMBEDDINGS).details["validation"]["recall@10"]
    assert found > 2 * np.mean(by_chance)
    assert found > max(by_chance)


def test_the_tables_hold_every_id_as_a_unit_vector_and_a_row_for_all_others(
    structured: Log, pretrained: Path
) -> None:
    _, events = structured
    engagements = pq.read_table(events / "engagements.parquet").to_pylist()
    positives = [row for row in engagements if row["action"] != "hide"]
    for column, table in (
        ("user_id", read_user_table(pretrained)),
        ("pin_id", read_pin_table(pretrained)),
    ):
        assert list(table.ids) == sorted({row[column] for row in positives})
        assert table.vectors.dtype == np.float32
        assert table.vectors.shape == (len(table.ids) + 1, PRETRAINING.dimension)
        np.testing.assert_allclose(np.linalg.norm(table.vectors[1:], axis=1), 1, rtol=1e-5)
        rows = table.rows([table.ids[-1], "never seen", table.ids[0]])
        assert rows.tolist() == [len(table.ids), OUT_OF_TABLE_ROW, 1]
        assert not table.vectors[OUT_OF_TABLE_ROW].any()


def test_pins_of_one_interest_come_to_lie_together(pretrained: Path) -> None:
    """That the vectors belong to their ids, which the metrics of training cannot see."""
    table = read_pin_table(pretrained)
    interest = np.array([int(pin.split(",")[0].removeprefix("pin ")) for pin in table.ids])
    interest %= INTERESTS
    similar = table.vectors[1:] @ table.vectors[1:].T
    same = interest[:, None] == interest
    np.fill_diagonal(same, False)
    other = interest[:, None] != interest
    assert similar[same].mean() > similar[other].mean() + 0.2


def test_the_manifest_says_what_the_towers_must_know(structured: Log, pretrained: Path) -> None:
    config, events = structured
    manifest = read_manifest(pretrained, ID_EMBEDDINGS)
    assert manifest.window == id_recipe(config).window.seconds
    assert manifest.granularity == Granularity.CANONICAL_SIGNATURE
    assert manifest.inputs == {"events 0": read_manifest(events, "events").fingerprint}
    facts = {name: manifest.details[name] for name in ("dimension", "metric", "normalised")}
    assert facts == {"dimension": 16, "metric": "inner_product", "normalised": True}
    assert len(manifest.details["embedding_space"]) == 16


def test_equal_inputs_give_equal_tables_and_another_seed_others(
    structured: Log, pretrained: Path, tmp_path: Path
) -> None:
    config, events = structured
    first = read_manifest(pretrained, ID_EMBEDDINGS)
    again = pretrain_ids([events], id_recipe(config), tmp_path / "again")
    other = pretrain_ids([events], id_recipe(config, seed=2), tmp_path / "other")
    assert again.fingerprint == first.fingerprint
    assert again.details["embedding_space"] == first.details["embedding_space"]
    assert other.details["embedding_space"] != first.details["embedding_space"]


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["row_wise", "table_row_wise"])
def test_two_processes_come_to_the_tables_of_one(
    structured: Log, tmp_path: Path, sharding: str
) -> None:
    config, events = structured
    pretraining = msgspec.structs.replace(PRETRAINING, sharding=sharding, max_epochs=2)
    recipe = id_recipe(config, pretraining=pretraining)
    pretrain_ids([events], recipe, tmp_path / "1")
    pretrain_ids([events], recipe, tmp_path / "2", num_processes=2)
    for read in (read_user_table, read_pin_table):
        one, two = read(tmp_path / "1"), read(tmp_path / "2")
        assert one.ids == two.ids
        np.testing.assert_allclose(one.vectors, two.vectors, atol=1e-5)
    one, two = read_training(tmp_path / "1"), read_training(tmp_path / "2")
    assert one.best_epoch == two.best_epoch
    losses = [[epoch.train_loss for epoch in each.epochs] for each in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_processes_that_cannot_share_a_batch_are_refused(structured: Log, tmp_path: Path) -> None:
    config, events = structured
    said = r"num_processes=3 cannot share pretraining\.batch_size=128 equally"
    with pytest.raises(ValueError, match=said):
        pretrain_ids([events], id_recipe(config), tmp_path / "out", num_processes=3)


def test_a_window_without_anything_to_validate_on_is_refused(
    structured: Log, tmp_path: Path
) -> None:
    config, events = structured
    recipe = id_recipe(config, window=days(0, 0.02))
    with pytest.raises(ValueError, match=r"validation_share=0\.2 holds out \d+ of \d+ engagement"):
        pretrain_ids([events], recipe, tmp_path / "out")


def test_a_gpu_that_is_not_there_is_refused() -> None:
    num_gpus = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"device='cuda' but torch .* sees {num_gpus} GPUs"):
        choose_device("cuda", "pretraining", num_gpus)
    assert choose_device("cpu", "pretraining") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_runs_on_a_gpu(structured: Log, tmp_path: Path) -> None:
    config, events = structured
    pretraining = msgspec.structs.replace(PRETRAINING, device="cuda")
    manifest = pretrain_ids([events], id_recipe(config, pretraining=pretraining), tmp_path / "out")
    assert manifest.details["validation"]["recall@10"] > 0.1
