"""Training in several processes: the same loss as in one, also after a break in another number."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from homefeed.contracts import read_manifest
from homefeed.towers.config import TowersConfig, TrainingConfig, check_processes
from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.job import CHECKPOINTS_FOLDER, DATASET_FOLDER, JOB_FILE, TOWERS_FOLDER, Job
from homefeed.towers.layout import read_training
from homefeed.towers.objectives.config import SampledSoftmaxConfig
from homefeed.towers.several import train_in_processes
from homefeed.towers.train import train_towers

ROOT = Path(__file__).parents[2]
TOWERS = TowersConfig(
    field_dimension=8, embedding_dimension=8, crossing=MaskNetConfig(blocks=1, width=8)
)
SEED = 3
TRAINING = TrainingConfig(
    batch_size=96,
    max_epochs=2,
    patience=2,
    learning_rate=0.01,
    history_dropout=0.2,
    objective=SampledSoftmaxConfig(num_uniform=12),
    checkpoint_seconds=0.0,
    refit=False,
)


def train(
    folder: Path, num_processes: int, num_steps: int = 0, signal: str = ""
) -> subprocess.CompletedProcess[str]:
    """Trains what the folder says in some processes, to the end.

    Args:
        folder: the job.
        num_processes: that share each batch.
        num_steps: after which they break off, unless 0.
        signal: which the second of them gets then, in place of an end of all.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(num_processes), "--module", "tests.towers.in_step"]
    command += [str(folder), str(num_steps), signal]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def job(folder: Path, dataset: Path, training: TrainingConfig) -> Path:
    shutil.copytree(dataset, folder / DATASET_FOLDER)
    made = Job(towers=TOWERS, training=training, seed=SEED)
    (folder / JOB_FILE).write_bytes(msgspec.json.encode(made))
    return folder


@pytest.mark.parametrize("table_optimizer", ["adamw", "rowwise_adagrad"])
def test_two_processes_train_as_one_and_three_go_on(
    tiny_dataset: Path, tmp_path: Path, table_optimizer: str
) -> None:
    training = msgspec.structs.replace(TRAINING, table_optimizer=table_optimizer)
    one = tmp_path / "one"
    train_towers(tiny_dataset, TOWERS, training, SEED, one)
    epochs = read_training(one).epochs

    several = job(tmp_path / "several", tiny_dataset, training)
    # The twelfth step is of the second epoch.
    broken = train(several, 2, num_steps=12)
    assert broken.returncode != 0
    assert list((several / CHECKPOINTS_FOLDER).iterdir())
    finished = train(several, 3)
    assert finished.returncode == 0, finished.stderr
    assert "going on after 1 epochs and" in finished.stdout
    again = read_training(several / TOWERS_FOLDER).epochs
    assert not list((several / CHECKPOINTS_FOLDER).iterdir())

    assert len(again) == len(epochs) == 2
    for expected, found in zip(epochs, again, strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, abs=2e-4)
        assert found.validation == pytest.approx(expected.validation, abs=0.03)
    weights = [
        torch.load(each / "weights.pt", weights_only=True)
        for each in (one, several / TOWERS_FOLDER)
    ]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, atol=2e-3, rtol=1e-2)


def test_a_process_that_is_told_to_end_lets_all_save_first(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    training = msgspec.structs.replace(TRAINING, checkpoint_seconds=600.0)
    several = job(tmp_path / "several", tiny_dataset, training)
    told = train(several, 2, num_steps=3, signal="SIGTERM")
    assert told.returncode != 0
    assert "the training was told to end, after 0 epochs and 4 batches" in told.stderr
    finished = train(several, 2)
    assert finished.returncode == 0, finished.stderr
    assert "going on after 0 epochs and 4 batches" in finished.stdout


def test_several_processes_of_a_machine_give_what_one_does(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    training = msgspec.structs.replace(TRAINING, max_epochs=1, checkpoint_seconds=600.0)
    train_towers(tiny_dataset, TOWERS, training, SEED, tmp_path / "one")
    made = Job(towers=TOWERS, training=training, seed=SEED)
    saved = tmp_path / "saved"
    saved.mkdir()
    train_in_processes(made, tiny_dataset, tmp_path / "two", 2, saved)
    one, two = (read_training(tmp_path / name).epochs[0] for name in ("one", "two"))
    assert two.train_loss == pytest.approx(one.train_loss, abs=2e-4)
    manifest = read_manifest(tmp_path / "two", "towers")
    assert manifest.details["num_processes"] == 2
    assert list(saved.iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one", "saved", "two"]


def test_a_batch_must_divide() -> None:
    with pytest.raises(ValueError, match=r"batch_size=96 is shared by 5 .* take 95 or 100"):
        check_processes(TRAINING, 5)


def test_places_of_sequences_cannot_be_gathered() -> None:
    with pytest.raises(ValueError, match="gives 2 processes unequal numbers of places"):
        check_processes(msgspec.structs.replace(TRAINING, examples="sequences"), 2)
