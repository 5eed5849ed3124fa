"""Training on the tiny data set, whose users mostly take pins of one interest."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from msgspec.structs import replace

from homefeed.contracts import read_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.statistics import statistics_at
from homefeed.distributed.processes import choose_device
from homefeed.engine import open_engine
from homefeed.export.export import export_towers
from homefeed.features.config import HistoryConfig, StatisticsConfig
from homefeed.features.encoder import FeatureEncoder, HistoryItem
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import ConditionConfig, TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import DHENConfig, MaskNetConfig
from homefeed.towers.data import EncodedDataset
from homefeed.towers.examples import ExampleStream
from homefeed.towers.history.config import ClusteringConfig, MindConfig, SequenceConfig
from homefeed.towers.layout import read_training
from homefeed.towers.load import load_towers
from homefeed.towers.objectives.config import (
    FullSoftmaxConfig,
    SampledSoftmaxConfig,
    SquareConfig,
)
from homefeed.towers.objectives.learner import Inputs
from homefeed.towers.train import train_towers
from homefeed.towers.trainer import Trainer
from tests.data_fixtures import TINY_FEATURES

TOWERS = TowersConfig(
    field_dimension=8,
    embedding_dimension=8,
    crossing=MaskNetConfig(blocks=2, width=16),
    dropout=0.1,
)
TRAINING = TrainingConfig(
    batch_size=64,
    block_batches=4,
    max_epochs=4,
    patience=4,
    learning_rate=0.01,
    history_dropout=0.2,
    checkpoint_seconds=0.0,
    refit=False,
)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "towers"
    train_towers(tiny_dataset, TOWERS, TRAINING, 7, output)
    return output


def test_training_learns_and_keeps_the_best_epoch(tiny_dataset: Path, trained: Path) -> None:
    training = read_training(trained)
    losses = [epoch.train_loss for epoch in training.epochs]
    assert losses[-1] < losses[0]
    recalls = [epoch.validation["recall@10"] for epoch in training.epochs]
    assert training.best_epoch == 1 + int(np.argmax(recalls))
    # Users take pins of their own interest, a quarter of all, four times out of five: drawn at
    # random, 10 of the 56 pins would find less than a fifth.
    assert max(recalls) > 0.25
    manifest = read_manifest(trained, "towers")
    assert manifest.details["validation"] == training.epochs[training.best_epoch - 1].validation
    source = read_manifest(tiny_dataset, "dataset")
    assert manifest.inputs == {"dataset": source.fingerprint}
    window = manifest.window
    assert window is not None
    assert [window.start, window.end] == source.details["windows"]["train"]
    config = json.loads((trained / "config.json").read_text())
    assert config["towers"]["crossing"]["width"] == 16
    assert config["seed"] == 7


def test_a_refit_learns_from_the_validation_part_too(
    tiny_dataset: Path, trained: Path, tmp_path: Path
) -> None:
    config = replace(TRAINING, refit=True)
    manifest = train_towers(tiny_dataset, TOWERS, config, 7, tmp_path / "towers")
    before = read_manifest(trained, "towers")
    # How long to train was chosen without it.
    assert read_training(tmp_path / "towers").best_epoch == read_training(trained).best_epoch
    assert manifest.details["validation"] == before.details["validation"]
    windows = read_manifest(tiny_dataset, "dataset").details["windows"]
    assert manifest.window is not None
    assert manifest.window.end == windows["validation"][1]
    counts = read_manifest(tiny_dataset, "dataset").details["num_examples"]
    assert before.details["num_examples"] == counts["train"]
    assert manifest.details["num_examples"] == counts["train"] + counts["validation"]
    assert len(read_training(tmp_path / "towers").refit) == read_training(trained).best_epoch
    assert not torch.equal(
        *(next(iter(weights(folder).values())) for folder in (trained, tmp_path / "towers"))
    )


def interrupt_after(monkeypatch: pytest.MonkeyPatch, num_steps: int) -> None:
    """Breaks the next training off before its so many-th step."""
    num_done = 0
    real_step = Trainer._step

    def step_until_interrupted(self: Trainer, inputs: Inputs) -> float:
        nonlocal num_done
        num_done += 1
        if num_done == num_steps:
            raise KeyboardInterrupt
        return real_step(self, inputs)

    monkeypatch.setattr(Trainer, "_step", step_until_interrupted)


@pytest.mark.parametrize(("refit", "interrupted_at"), [(False, 17), (True, 72)])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    tiny_dataset: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refit: bool,
    interrupted_at: int,
) -> None:
    config, whole = replace(TRAINING, refit=refit), trained
    if refit:
        whole = tmp_path / "whole"
        train_towers(tiny_dataset, TOWERS, config, 7, whole)
    interrupt_after(monkeypatch, interrupted_at)
    with pytest.raises(KeyboardInterrupt):
        train_towers(tiny_dataset, TOWERS, config, 7, tmp_path / "towers", tmp_path / "saved")
    monkeypatch.undo()
    assert len(list((tmp_path / "saved").iterdir())) == 1 + refit
    train_towers(tiny_dataset, TOWERS, config, 7, tmp_path / "towers", tmp_path / "saved")
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(tmp_path / "towers")[name]), name
    assert not list((tmp_path / "saved").iterdir())


VARIANTS: dict[str, tuple[TowersConfig, TrainingConfig]] = {
    "dhen": (replace(TOWERS, crossing=DHENConfig(heads=2, mlp_width=16)), TRAINING),
    "sequence": (replace(TOWERS, sequence=SequenceConfig(dropout=0.1)), TRAINING),
    "clusters": (replace(TOWERS, interests=ClusteringConfig(embeddings=3)), TRAINING),
    "mind": (replace(TOWERS, interests=MindConfig(embeddings=3)), TRAINING),
    "condition": (replace(TOWERS, condition=ConditionConfig()), TRAINING),
    "uniform": (TOWERS, replace(TRAINING, objective=SampledSoftmaxConfig(num_uniform=32))),
    "streaming": (
        TOWERS,
        replace(TRAINING, objective=SampledSoftmaxConfig(frequencies="streaming", corrected=True)),
    ),
    "count_min": (
        TOWERS,
        replace(TRAINING, objective=SampledSoftmaxConfig(frequencies="count_min")),
    ),
}
WITHOUT_STATISTICS: dict[str, tuple[TowersConfig, TrainingConfig]] = {
    "full": (TOWERS, replace(TRAINING, objective=FullSoftmaxConfig())),
    "users": (
        replace(TOWERS, normalise=False),
        replace(TRAINING, examples="users", objective=SquareConfig(), batch_size=16),
    ),
    "sequences": (
        replace(TOWERS, sequence=SequenceConfig(causal=True, ages=False), pooled_history=None),
        replace(TRAINING, examples="sequences", objective=FullSoftmaxConfig(), batch_size=8),
    ),
}


@pytest.fixture(scope="module")
def without_statistics(tiny_events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("without") / "dataset"
    features = replace(TINY_FEATURES, statistics=StatisticsConfig(half_life_days=()))
    build_dataset(tiny_events, DatasetConfig(), features, seed=0, output=output)
    return output


@pytest.mark.parametrize("name", [*VARIANTS, *WITHOUT_STATISTICS])
def test_every_kind_of_towers_learns_and_exports(
    name: str,
    tiny_dataset: Path,
    without_statistics: Path,
    tmp_path: Path,
) -> None:
    dataset = tiny_dataset if name in VARIANTS else without_statistics
    towers, training = (VARIANTS | WITHOUT_STATISTICS)[name]
    train_towers(dataset, towers, training, 7, tmp_path / "whole")
    epochs = read_training(tmp_path / "whole").epochs
    assert epochs[-1].train_loss < epochs[0].train_loss
    # 10 of the 56 pins, drawn at random, would find less than a fifth.
    assert max(epoch.validation["recall@10"] for epoch in epochs) > 0.25
    assert export_towers(tmp_path / "whole", tmp_path / "exported").details["parity"] < 1e-5


@pytest.mark.parametrize("name", ["uniform", "count_min"])
@pytest.mark.parametrize("interrupted_at", [3, 5, 6])
def test_what_has_been_seen_is_known_after_a_break(
    name: str,
    interrupted_at: int,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks of two batches: a break within one, and between two."""
    towers, training = VARIANTS[name]
    training = replace(training, max_epochs=1, block_batches=2)
    train_towers(tiny_dataset, towers, training, 7, tmp_path / "whole")
    interrupt_after(monkeypatch, interrupted_at)
    with pytest.raises(KeyboardInterrupt):
        train_towers(tiny_dataset, towers, training, 7, tmp_path / "towers", tmp_path / "saved")
    monkeypatch.undo()
    train_towers(tiny_dataset, towers, training, 7, tmp_path / "towers", tmp_path / "saved")
    for tensor, expected in weights(tmp_path / "towers").items():
        assert torch.equal(expected, weights(tmp_path / "whole")[tensor]), tensor


@pytest.mark.parametrize("objective", [FullSoftmaxConfig(), SquareConfig()])
def test_a_catalogue_has_no_statistics(
    tiny_dataset: Path, tmp_path: Path, objective: FullSoftmaxConfig | SquareConfig
) -> None:
    training = replace(TRAINING, objective=objective)
    with pytest.raises(ValueError, match=r"set features.statistics.half_life_days: \[\]"):
        train_towers(tiny_dataset, TOWERS, training, 7, tmp_path / "towers")


def test_another_trainings_or_a_damaged_checkpoint_is_not_taken(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    mine = Checkpoints(tmp_path, ["data", {"seed": 1}])
    mine.save({"x": torch.ones(1)})
    state = mine.load(cpu)
    assert state is not None
    assert state["x"] == 1
    assert Checkpoints(tmp_path, ["data", {"seed": 2}]).load(cpu) is None
    assert Checkpoints(tmp_path, ["other data", {"seed": 1}]).load(cpu) is None
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert mine.load(cpu) is None


def test_training_stops_when_validation_gets_no_better(tiny_dataset: Path, tmp_path: Path) -> None:
    config = TrainingConfig(
        batch_size=64, max_epochs=50, patience=2, learning_rate=0.01, refit=False
    )
    train_towers(tiny_dataset, TOWERS, config, 7, tmp_path / "towers")
    training = read_training(tmp_path / "towers")
    assert training.best_epoch == len(training.epochs) - 2 < 48


def test_batches_are_what_the_encoder_makes_of_the_raw_values(tiny_dataset: Path) -> None:
    """The arrays of training against the one encoder that serving uses, row by row."""
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    encoded = EncodedDataset(tiny_dataset, encoder)
    stream = ExampleStream(tiny_dataset, ("train",), encoder)
    (examples,) = stream.blocks([range(len(stream))])
    users = pq.read_table(tiny_dataset / "users.parquet").to_pylist()
    pins = pq.read_table(tiny_dataset / "pins.parquet").to_pylist()
    raw = {
        (e["event_id"], e["timestamp"]): e
        for e in pq.read_table(tiny_dataset / "examples" / "train").to_pylist()
    }
    assert len(raw) == len(examples)
    by_time = sorted(raw.values(), key=lambda e: (e["timestamp"], e["event_id"]))
    rows = np.arange(0, len(examples), 7)
    assert examples.timestamps.tolist() == [e["timestamp"] for e in by_time]

    own = [users[u] for u in examples.users[rows]]
    actions = encoder.actions.values
    histories = [
        [
            HistoryItem(pins[pin]["pin_id"], actions[action - 2], time)
            for pin, action, time in zip(h, a, t, strict=True)
        ]
        for h, a, t in (
            (
                examples.histories.pins[slice(*span)],
                examples.histories.actions[slice(*span)],
                examples.histories.times[slice(*span)],
            )
            for span in (
                (examples.histories.offsets[r], examples.histories.offsets[r + 1]) for r in rows
            )
        )
    ]
    columns = {name: [row[name] for row in own] for name in ("age", "followed_interests")}
    expected = encoder.encode_users(columns, histories)
    found = encoded.users(examples.users[rows], examples.histories, rows)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=1e-6, err_msg=name)

    statistics = {name: values[rows] for name, values in examples.statistics.items()}
    own = [pins[p] for p in examples.pins[rows]]
    columns = {name: [row[name] for row in own] for name in ("pin_id", "interests", "quality")}
    expected = encoder.encode_pins(columns | {k: v.tolist() for k, v in statistics.items()})
    found = encoded.pins(examples.pins[rows], statistics)
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=1e-5, err_msg=name)


def test_validation_ranks_as_serving_would(tiny_dataset: Path, trained: Path) -> None:
    """The best epoch's recall, again by hand with the encoder that serving uses."""
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    towers = load_towers(trained, encoder)
    log = pq.read_table(tiny_dataset / "engagements.parquet").to_pylist()
    users = pq.read_table(tiny_dataset / "users.parquet").to_pylist()
    pins = pq.read_table(tiny_dataset / "pins.parquet").to_pylist()
    train = [e for e in log if e["split"] == "train"]
    as_of = read_manifest(tiny_dataset, "dataset").details["windows"]["train"][1]
    with open_engine(trained / "x") as engine:
        events = engine.read(tiny_dataset / "engagements.parquet")
        table = statistics_at(
            events.filter(events.split == "train"), as_of, encoder.config.statistics
        )
        sums = {row["pin_index"]: row for row in table.to_pyarrow().to_pylist()}
    candidates = sorted({e["pin_index"] for e in train})
    columns = {
        name: [(pins[p] | sums[p])[name] for p in candidates]
        for name in ("pin_id", "interests", "quality", *encoder.config.statistics.columns)
    }
    tensors = {n: torch.from_numpy(t) for n, t in encoder.encode_pins(columns).items()}
    with torch.inference_mode():
        vectors = towers.embed_pins(tensors)
    recalls = []
    for user in users:
        mine = [e for e in train if e["user_index"] == user["user_index"]]
        seen = {e["pin_index"] for e in mine}
        relevant = {
            e["pin_index"]
            for e in log
            if e["split"] == "validation" and e["user_index"] == user["user_index"]
        } - seen
        if not mine or not relevant:
            continue
        mine.sort(key=lambda e: (e["timestamp"], e["event_id"]), reverse=True)
        history = [HistoryItem(e["pin_id"], e["action"], e["timestamp"]) for e in mine]
        columns = {name: [user[name]] for name in ("age", "followed_interests")}
        tensors = {
            n: torch.from_numpy(t) for n, t in encoder.encode_users(columns, [history]).items()
        }
        with torch.inference_mode():
            scores = (towers.embed_users(tensors).vectors[0] @ vectors.T)[0].tolist()
        ranked = [p for _, p in sorted(zip(scores, candidates, strict=True), reverse=True)]
        best = [pin for pin in ranked if pin not in seen][:10]
        recalls.append(len(relevant & set(best)) / len(relevant))
    found = read_manifest(trained, "towers").details["validation"]["recall@10"]
    assert found == pytest.approx(np.mean(recalls), abs=1e-6)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match="device='cuda' but torch .* sees 0 GPUs"):
        choose_device("cuda", "training")
    assert choose_device("auto", "training") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_runs_on_a_gpu(tiny_dataset: Path, tmp_path: Path) -> None:
    config = TrainingConfig(batch_size=64, max_epochs=2, learning_rate=0.01, device="cuda")
    manifest = train_towers(tiny_dataset, TOWERS, config, 7, tmp_path / "towers")
    assert manifest.details["device"] == "cuda"
    assert all(tensor.device.type == "cpu" for tensor in weights(tmp_path / "towers").values())


def test_a_log_in_which_nobody_has_a_history_trains(tiny_events: Path, tmp_path: Path) -> None:
    features = replace(TINY_FEATURES, history=HistoryConfig(length=5, delay_hours=24 * 365))
    build_dataset(tiny_events, DatasetConfig(), features, 0, tmp_path / "dataset")
    config = TrainingConfig(batch_size=64, max_epochs=1)
    train_towers(tmp_path / "dataset", TOWERS, config, 0, tmp_path / "towers")
