"""Pre-trained ID embeddings in the towers: which vectors, and what training does to them."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from homefeed.contracts import Window, read_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.export.export import export_towers
from homefeed.features.config import Categorical
from homefeed.features.encoder import FeatureEncoder, Vocabulary
from homefeed.id_embeddings.align import align
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.id_embeddings.tables import read_pin_table
from homefeed.towers.choose_ids import choose_ids
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.ids import IdField, IdVectors
from homefeed.towers.ids_config import IdsConfig
from homefeed.towers.load import load_towers
from homefeed.towers.model import TwoTowers
from homefeed.towers.train import train_towers
from tests.data_fixtures import START, TINY_FEATURES
from tests.id_embeddings.written import write_ids

FEATURES = msgspec.structs.replace(
    TINY_FEATURES, user=(*TINY_FEATURES.user, Categorical(column="user_id"))
)
TOWERS = TowersConfig(
    field_dimension=8, embedding_dimension=8, crossing=MaskNetConfig(blocks=1, width=8)
)
TRAINING = TrainingConfig(batch_size=64, max_epochs=1, learning_rate=0.01, refit=False)
COLUMNS = {"users": "user_id", "pins": "pin_id"}
LEGAL = Window(START - 1000, START - 10)


@pytest.fixture(scope="module")
def dataset(tiny_events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("ids") / "dataset"
    build_dataset(tiny_events, DatasetConfig(), FEATURES, seed=0, output=output)
    return output


def write(folder: Path, dataset: Path, window: Window = LEGAL, seed: int = 0) -> dict:
    """Vectors for every other id that the training part has, and for one that it has not."""
    vocabularies = FeatureEncoder.load(dataset / "features.json").vocabularies
    users, pins = (list(vocabularies[name].values[::2]) for name in ("user_id", "pin_id"))
    return write_ids(folder, [*users, "nobody"], [*pins, "nothing"], window, seed=seed)


def test_vectors_come_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    vectors = write_ids(tmp_path / "ids", ["u"], ["b", "a"], LEGAL)
    aligned = align(read_pin_table(tmp_path / "ids"), Vocabulary(("a", "unknown", "b")))
    assert aligned.shape == (5, 4)
    zeros = np.zeros(4)
    # Padding, out of vocabulary, then the ids.
    expected = [zeros, zeros, vectors["a"], zeros, vectors["b"]]
    assert aligned.tolist() == [each.tolist() for each in expected]


def test_items_are_meaned_and_padding_is_none(tmp_path: Path) -> None:
    vectors = IdVectors(4, 2, IdsConfig())
    vectors.load(np.array([[0, 0], [0, 0], [1, 2], [3, 6]], np.float32))
    rows = torch.tensor([[2, 3, 0], [0, 0, 0], [3, 0, 0]])
    expected = torch.tensor([[2.0, 4.0], [0.0, 0.0], [3.0, 6.0]])
    torch.testing.assert_close(vectors(rows), expected)
    torch.testing.assert_close(torch.jit.script(vectors)(rows), expected)


def test_frozen_vectors_get_no_gradient_and_fine_tuned_ones_do_but_for_padding() -> None:
    rows = torch.tensor([[2, 3, 0], [1, 0, 0]])
    start = np.array([[0, 0], [0, 0], [1, 2], [3, 6]], np.float32)
    frozen = IdVectors(4, 2, IdsConfig())
    frozen.load(start)
    assert list(frozen.parameters()) == []
    assert not frozen(rows).requires_grad
    tuned = IdVectors(4, 2, IdsConfig(training="fine_tuned"))
    tuned.load(start)
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=0.1, weight_decay=0.1)
    tuned(rows).sum().backward()
    optimizer.step()
    # Out of vocabulary and out of the table are rows that are trained; padding is none.
    assert [(tuned.weight[row].detach().numpy() != start[row]).any() for row in range(4)] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_a_table_that_two_fields_read_is_one_tensor(dataset: Path, training: str) -> None:
    ids = IdsConfig(tables=("users", "pins"), training=training)  # type: ignore[arg-type]
    encoder = FeatureEncoder.load(dataset / "features.json")
    towers = TwoTowers(encoder, msgspec.structs.replace(TOWERS, ids=ids), id_dimension=4)
    assert towers.id_fields["pin"]["ids.pins"][0] == towers.id_fields["user"]["ids.pins"][0]
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in towers.state_dict().items()
        if name.startswith("ids.")
    }
    rows = {table: len(encoder.vocabularies[name]) for table, name in COLUMNS.items()}
    assert shapes == {f"ids.{table}.weight": (rows[table], 4) for table in COLUMNS}


def test_dropout_is_of_training_alone() -> None:
    field = IdField(64, 8, dropout=0.5)
    ones = torch.ones(1, 64)
    assert (field.dropout(ones) == 0).float().mean() == pytest.approx(0.5, abs=0.3)
    assert not torch.equal(field(ones), field(ones))
    field.eval()
    assert torch.equal(field(ones), field(ones))


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_frozen_vectors_stay_and_others_are_trained(
    dataset: Path, tmp_path: Path, training: str
) -> None:
    vectors = write(tmp_path / "ids", dataset)
    ids = IdsConfig(tables=("users", "pins"), training=training)  # type: ignore[arg-type]
    towers = msgspec.structs.replace(TOWERS, ids=ids)
    manifest = train_towers(dataset, towers, TRAINING, 3, tmp_path / "out", ids=tmp_path / "ids")
    assert manifest.inputs["id_embeddings"] == (
        read_manifest(tmp_path / "ids", "id_embeddings").fingerprint
    )
    encoder = FeatureEncoder.load(dataset / "features.json")
    loaded = load_towers(tmp_path / "out", encoder)
    sizes = {table: len(encoder.vocabularies[name].values) for table, name in COLUMNS.items()}
    # Every second one was pre-trained.
    found = {
        table: pytest.approx((size + 1) // 2 / size, abs=1e-4) for table, size in sizes.items()
    }
    assert manifest.details["ids_found"] == found
    for table, column in (("pins", "pin_id"), ("users", "user_id")):
        weight = loaded.id_table(table).weight
        assert isinstance(weight, torch.nn.Parameter) == (training == "fine_tuned")
        known = encoder.vocabularies[column].values[::2]
        start = np.stack([vectors[each] for each in known])
        after = weight.detach()[2::2].numpy()
        assert (after == start).all() == (training == "frozen")
        assert (weight[0] == 0).all()
    assert export_towers(tmp_path / "out", tmp_path / "exported").details["parity"] < 1e-5


def test_ids_change_what_the_towers_say(dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "ids", dataset)
    towers = msgspec.structs.replace(TOWERS, ids=IdsConfig(replaces=True))
    train_towers(dataset, towers, TRAINING, 3, tmp_path / "out", ids=tmp_path / "ids")
    encoder = FeatureEncoder.load(dataset / "features.json")
    loaded = load_towers(tmp_path / "out", encoder)
    assert loaded.bags["pin"] == ["interests"]
    num_pins = len(encoder.vocabularies["pin_id"])
    pins = {
        "pin_id": torch.arange(num_pins)[:, None],
        "interests": torch.zeros(num_pins, 2, dtype=torch.int64),
        "numeric": torch.zeros(num_pins, encoder.pin_inputs.num_numeric),
    }
    vectors = loaded.embed_pins(pins)
    # All else is equal: ids without a vector share one, others have their own.
    assert len(torch.unique(vectors[1::2], dim=0)) == 1
    assert len(torch.unique(vectors[2::2], dim=0)) == len(vectors[2::2])


def test_an_overlapping_window_is_refused_with_both(dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "ids", dataset, Window(START - 1000, START + 5 * 86_400))
    towers = msgspec.structs.replace(TOWERS, ids=IdsConfig())
    with pytest.raises(
        ValueError, match=r"cover 2023-11-14.* but the towers train from 2023-11-14"
    ):
        train_towers(dataset, towers, TRAINING, 3, tmp_path / "out", ids=tmp_path / "ids")
    with pytest.raises(ValueError, match="was given none"):
        train_towers(dataset, towers, TRAINING, 3, tmp_path / "out")


def test_the_latest_that_may_be_used_is_chosen(dataset: Path, tmp_path: Path) -> None:
    towers = msgspec.structs.replace(TOWERS, ids=IdsConfig())
    url = str(tmp_path / "store")
    assert choose_ids(dataset, TOWERS, "") == ""
    with pytest.raises(ValueError, match="no store is given"):
        choose_ids(dataset, towers, "")
    with pytest.raises(ValueError, match="there are no ID embeddings yet"):
        choose_ids(dataset, towers, url)
    versions = {}
    for seed, end in enumerate((START - 500, START - 10, START + 86_400)):
        folder = tmp_path / str(end)
        write(folder, dataset, Window(START - 1000, end), seed)
        versions[end] = IdEmbeddingStore(url).publish(folder)
    assert choose_ids(dataset, towers, url) == versions[START - 10]


def test_tables_that_are_no_features_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    towers = msgspec.structs.replace(TOWERS, ids=IdsConfig(tables=("users",)))
    with pytest.raises(ValueError, match=r"needs the feature 'user_id'.*features.user"):
        train_towers(tiny_dataset, towers, TRAINING, 3, tmp_path / "out")
    with pytest.raises(ValueError, match="must name users, pins, or both"):
        IdsConfig(tables=())


def test_fine_tuned_vectors_are_exported_in_eight_bits_too(dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "ids", dataset)
    ids = IdsConfig(tables=("users", "pins"), training="fine_tuned", int8=True)
    towers = msgspec.structs.replace(TOWERS, ids=ids)
    train_towers(dataset, towers, TRAINING, 3, tmp_path / "out", ids=tmp_path / "ids")
    assert export_towers(tmp_path / "out", tmp_path / "exported").details["parity"] < 1e-5


def test_exported_in_eight_bits_vectors_hardly_turn(dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "ids", dataset)
    sizes, vectors = [], []
    encoder = FeatureEncoder.load(dataset / "features.json")
    pins = {
        "pin_id": torch.arange(len(encoder.vocabularies["pin_id"]))[:, None],
        "interests": torch.ones(len(encoder.vocabularies["pin_id"]), 2, dtype=torch.int64),
        "numeric": torch.zeros(len(encoder.vocabularies["pin_id"]), encoder.pin_inputs.num_numeric),
    }
    for int8 in (False, True):
        towers = msgspec.structs.replace(TOWERS, ids=IdsConfig(int8=int8))
        out, exported = tmp_path / f"out{int8}", tmp_path / f"exported{int8}"
        train_towers(dataset, towers, TRAINING, 3, out, ids=tmp_path / "ids")
        assert export_towers(out, exported).details["parity"] < 1e-5
        tower = torch.jit.load(str(exported / "pin_tower.pt"))
        vectors.append(tower(pins))
        sizes.append(sum(each.nbytes for each in tower.ids.buffers()))
    cosines = (vectors[0] * vectors[1]).sum(dim=1)
    assert cosines.min() > 0.999
    assert not torch.equal(*vectors)
    # Of four floats a row, 4 bytes and the row's own scale and offset are left.
    assert sizes[1] == sizes[0] * 12 / 16
