"""The samples that a training section asks for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from homefeed.towers.batches import Batches
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.data import EncodedDataset, read_examples
from homefeed.towers.examples import ExampleStream
from homefeed.towers.parallel import Processes
from homefeed.towers.samples.events import EventSamples
from homefeed.towers.samples.sample import Sample
from homefeed.towers.samples.sequences import SequenceSamples
from homefeed.towers.samples.users import UserSamples


class Samples(Protocol):
    """The batches of each epoch; equal seeds give equal ones."""

    batch_size: int
    """Examples, or users, a batch."""
    num_examples: int
    """Engagements in all."""
    num_points: int
    """What pins are to be found from in an epoch: users, or engagements."""

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch, which counts from 1."""
        ...

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, but for the first ones."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        ...


def make_samples(
    dataset: Path,
    splits: Sequence[str],
    encoded: EncodedDataset,
    towers: TowersConfig,
    training: TrainingConfig,
    seed: int,
    processes: Processes,
) -> Samples:
    """The samples of some splits, of which each process takes its share.

    Raises:
        ValueError: there is nothing to train on.
    """
    share = (processes.rank, processes.world_size)
    most, encoder = training.max_examples_per_user_day, encoded.encoder
    if training.examples == "events":
        stream = ExampleStream(dataset, splits, encoder, most)
        shape = (training.batch_size, training.block_batches, seed, processes.world_size)
        batches = Batches(stream, *shape)
        return EventSamples(encoded, batches, towers.condition, training, seed, *share)
    examples = read_examples(dataset, splits, encoder, most)
    kind = UserSamples if training.examples == "users" else SequenceSamples
    return kind(encoded, examples, training, seed, *share)
