"""Batches of the three kinds of examples, beside the log that they are made of."""

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.features.config import HistoryConfig, StatisticsConfig
from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.batches import Batches
from homefeed.towers.config import ConditionConfig, TrainingConfig
from homefeed.towers.data import EncodedDataset, Engagements, read_examples
from homefeed.towers.examples import ExampleStream
from homefeed.towers.objectives.catalogue import FullSoftmax, Square
from homefeed.towers.objectives.config import FullSoftmaxConfig, SquareConfig
from homefeed.towers.samples.events import EventSamples
from homefeed.towers.samples.grouped import group_by_user
from homefeed.towers.samples.make import Samples
from homefeed.towers.samples.sample import Sample, Shares, share_of
from homefeed.towers.samples.sequences import SequenceSamples
from homefeed.towers.samples.users import UserSamples
from tests.data_fixtures import TINY_FEATURES

TRAINING = TrainingConfig(batch_size=12, history_dropout=0.3)
USERS = TrainingConfig(
    batch_size=12, history_dropout=0.3, examples="users", objective=SquareConfig()
)

SEQUENCES = TrainingConfig(batch_size=12, examples="sequences")


@pytest.fixture(scope="module")
def encoded(tiny_dataset: Path) -> EncodedDataset:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    return EncodedDataset(tiny_dataset, encoder)


@pytest.fixture(scope="module")
def engagements(tiny_dataset: Path, encoded: EncodedDataset) -> Engagements:
    return read_examples(tiny_dataset, ("train",), encoded.encoder)


@pytest.fixture(scope="module")
def long(
    tiny_events: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[EncodedDataset, Engagements]:
    """With histories of any length, and a catalogue that is of no time."""
    features = msgspec.structs.replace(
        TINY_FEATURES,
        history=HistoryConfig(length=100),
        statistics=StatisticsConfig(half_life_days=()),
    )
    dataset = tmp_path_factory.mktemp("long") / "dataset"
    build_dataset(tiny_events, DatasetConfig(), features, seed=0, output=dataset)
    encoder = FeatureEncoder.load(dataset / "features.json")
    return EncodedDataset(dataset, encoder), read_examples(dataset, ("train",), encoder)


def events(
    dataset: Path,
    encoded: EncodedDataset,
    condition: ConditionConfig | None = None,
    training: TrainingConfig = TRAINING,
    rank: int = 0,
    world_size: int = 1,
) -> EventSamples:
    stream = ExampleStream(dataset, ("train",), encoded.encoder)
    batches = Batches(stream, training.batch_size, 4, seed=0, world_size=world_size)
    return EventSamples(encoded, batches, condition, training, 5, rank, world_size)


def assert_equal(one: Sample, other: Sample) -> None:
    for name in ("user_ids", "pins", "point_of", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name, tensor in one.users.items():
        np.testing.assert_array_equal(tensor.numpy(), other.users[name].numpy(), err_msg=name)


def test_shares_are_those_of_the_engagements() -> None:
    shares = Shares(np.array([7, 3, 7, 9]))
    assert shares.of(np.array([3, 7, 8, 10, 0])).tolist() == [0.25, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["events", "users", "sequences"])
def test_equal_seeds_and_any_number_of_processes_give_equal_batches(
    kind: str, tiny_dataset: Path, encoded: EncodedDataset, engagements: Engagements
) -> None:
    def make(rank: int = 0, world_size: int = 1) -> Samples:
        if kind == "events":
            own = (ConditionConfig(), TRAINING, rank, world_size)
            return events(tiny_dataset, encoded, *own)
        if kind == "users":
            return UserSamples(encoded, engagements, USERS, 5, rank, world_size)
        return SequenceSamples(encoded, engagements, SEQUENCES, 5, rank, world_size)

    whole = list(make().epoch(2))
    assert len(whole) == make().num_batches(2)
    for one, other in zip(whole, make().epoch(2), strict=True):
        assert_equal(one, other)
    for one, other in zip(whole[3:], make().epoch(2, first=3), strict=True):
        assert_equal(one, other)
    shares = [list(make(rank, 3).epoch(2)) for rank in range(3)]
    for one, *parts in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(one.pins, parts[0].pins)
        assert [part.own.start for part in parts[1:]] == [part.own.stop for part in parts[:-1]]
        for name, tensor in one.users.items():
            joined = np.concatenate([part.users[name].numpy() for part in parts])
            np.testing.assert_array_equal(joined, tensor.numpy(), err_msg=name)
    other_epoch = next(make().epoch(1))
    assert not np.array_equal(other_epoch.pins, whole[0].pins)


def test_conditions_are_interests_of_the_target_or_none(
    tiny_dataset: Path, encoded: EncodedDataset
) -> None:
    found = list(events(tiny_dataset, encoded, ConditionConfig(none_share=0.25)).epoch(1))
    rows = np.concatenate([sample.users["condition"][:, 0].numpy() for sample in found])
    pins = np.concatenate([sample.pins for sample in found])
    assert (rows == 0).mean() == pytest.approx(0.25, abs=0.05)
    asked = rows != 0
    own = encoded.interests[pins]
    has_any = (own != 0).any(axis=1)
    assert (own == rows[:, None]).any(axis=1)[asked].all()
    assert has_any[asked].all()


def test_a_logged_interest_goes_before_the_targets(
    tiny_dataset: Path, tmp_path: Path, encoded: EncodedDataset
) -> None:
    folder = tmp_path / "dataset"
    (folder / "examples" / "train").mkdir(parents=True)
    for path in (tiny_dataset / "examples" / "train").iterdir():
        table = pq.read_table(path)
        logged = ["art" if place % 2 else None for place in range(len(table))]
        place = table.schema.get_field_index("source_interest")
        table = table.set_column(place, "source_interest", [logged])
        pq.write_table(table, folder / "examples" / "train" / path.name)
    config = ConditionConfig(none_share=0.0, source="logged")
    art = encoded.encoder.vocabularies["interests"].rows["art"]
    rows = np.concatenate(
        [each.users["condition"][:, 0].numpy() for each in events(folder, encoded, config).epoch(1)]
    )
    assert (rows == art).mean() > 0.5
    assert (rows != art).any()


def test_weights_are_those_of_the_actions(tiny_dataset: Path, encoded: EncodedDataset) -> None:
    training = msgspec.structs.replace(TRAINING, action_weights={"save": 3.0})
    weights = np.concatenate(
        [each.weights for each in events(tiny_dataset, encoded, training=training).epoch(1)]
    )
    assert set(weights.tolist()) == {1.0, 3.0}
    wrong = msgspec.structs.replace(TRAINING, action_weights={"sav": 3.0})
    with pytest.raises(ValueError, match=r"name \['sav'\]; in the training part are \['click'"):
        events(tiny_dataset, encoded, training=wrong)


def test_a_users_history_is_all_of_its_engagements_newest_first(
    encoded: EncodedDataset, engagements: Engagements
) -> None:
    histories, order, users = group_by_user(engagements)
    for row, user in enumerate(users):
        own = slice(histories.offsets[row], histories.offsets[row + 1])
        assert (engagements.users[order[own]] == user).all()
        assert (np.diff(histories.times[own]) <= 0).all()
        np.testing.assert_array_equal(histories.pins[own], engagements.pins[order[own]])
    assert histories.offsets[-1] == len(engagements)
    samples = UserSamples(encoded, engagements, USERS, 5)
    (first, *_) = samples.epoch(1)
    for point, user in enumerate(first.user_ids):
        found = np.sort(first.pins[first.point_of == point])
        np.testing.assert_array_equal(found, np.sort(engagements.pins[engagements.users == user]))


def stretches_of(
    encoded: EncodedDataset, engagements: Engagements, sample: Sample
) -> dict[int, set[int]]:
    """By user_index, how many of its newest engagements each sequence may have left out.

    A pin may be there twice, so there may be several that it is right for.
    """
    assert sample.places is not None
    rows, places = (each.numpy() for each in sample.places)
    history = sample.users["history"].numpy()
    found = {}
    for row in np.unique(rows):
        points = np.flatnonzero(rows == row)
        user = int(sample.user_ids[points[0]])
        own = engagements.pins[engagements.users == user][::-1]
        length = encoded.encoder.config.history.length
        older = history[row][history[row] != 0]
        assert len(older) == min(len(own) - 1, length)
        found[user] = {
            skipped
            for skipped in range(len(own) - len(older))
            if (encoded.pin_rows[own[skipped + 1 :][: len(older)]] == older).all()
            and (own[skipped + places[points]] == sample.pins[points]).all()
        }
    return found


def test_each_place_of_a_sequence_is_to_be_found_from_what_is_older(
    encoded: EncodedDataset, engagements: Engagements
) -> None:
    samples = SequenceSamples(encoded, engagements, SEQUENCES, 5)
    by_epoch = [
        {
            user: skipped
            for sample in samples.epoch(epoch)
            for user, skipped in stretches_of(encoded, engagements, sample).items()
        }
        for epoch in (1, 2)
    ]
    assert all(skipped for each in by_epoch for skipped in each.values())
    # Longer histories than a sequence are not only known by their end.
    assert by_epoch[0] != by_epoch[1]
    sample = next(samples.epoch(1))
    assert sample.users["age"].shape[0] == len(sample.pins)


def test_some_places_of_a_batch_are_drawn(
    encoded: EncodedDataset, engagements: Engagements
) -> None:
    training = msgspec.structs.replace(SEQUENCES, places_per_batch=20)
    samples = SequenceSamples(encoded, engagements, training, 5)
    drawn = [sample.places for sample in samples.epoch(1) if sample.places is not None]
    assert {len(rows) for rows, _ in drawn} == {20}
    for sample in samples.epoch(1):
        assert all(stretches_of(encoded, engagements, sample).values())
        assert (np.diff(sample.places[0].numpy()) >= 0).all()  # type: ignore[index]
    with pytest.raises(ValueError, match="places_per_batch=20 is of training.examples='sequences'"):
        msgspec.structs.replace(TRAINING, places_per_batch=20)


def test_sequences_of_a_batch_are_of_like_length(long: tuple[EncodedDataset, Engagements]) -> None:
    samples = SequenceSamples(*long, SEQUENCES, 5)
    whole = list(samples.epoch(1))[:-1]
    lengths = [(sample.users["history"] != 0).sum(dim=1).numpy() for sample in whole]
    spans = [(each.min(), each.max()) for each in lengths]
    assert len(spans) == 3
    for shorter, longer in pairwise(sorted(spans)):
        assert shorter[1] <= longer[0]
    assert [sample.users["history"].shape[1] for sample in whole] == [end for _, end in spans]


def test_a_share_is_one_of_equal_parts() -> None:
    assert [share_of(12, rank, 3) for rank in range(3)] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 12),
    ]


@pytest.mark.parametrize("kind", [UserSamples, SequenceSamples])
def test_processes_share_a_mean_over_unequal_numbers_of_pins(
    kind: type[UserSamples] | type[SequenceSamples], long: tuple[EncodedDataset, Engagements]
) -> None:
    encoded, engagements = long
    objective = FullSoftmax(FullSoftmaxConfig(), encoded, np.unique(engagements.pins))
    facts = [
        objective.prepare(next(kind(encoded, engagements, USERS, 5, rank, 3).epoch(1)), (0,)).facts
        for rank in range(3)
    ]
    assert len({len(each["pins"]) for each in facts}) > 1
    assert sum((each["weights"] * each["scale"]).sum().item() for each in facts) == (
        pytest.approx(3.0, rel=1e-5)
    )


def test_users_with_many_pins_weigh_less_by_the_whole_batch(
    long: tuple[EncodedDataset, Engagements],
) -> None:
    encoded, engagements = long
    candidates, counts = np.unique(engagements.pins, return_counts=True)
    config = SquareConfig(user_exponent=0.5)
    objective = Square(config, encoded, candidates, counts, num_points=40)

    def weights(rank: int, world_size: int) -> np.ndarray:
        sample = next(UserSamples(encoded, engagements, USERS, 5, rank, world_size).epoch(1))
        return objective.prepare(sample, (0,)).facts["user_weights"].numpy()

    whole = weights(0, 1)
    sample = next(UserSamples(encoded, engagements, USERS, 5).epoch(1))
    expected = np.bincount(sample.point_of) ** -0.5
    np.testing.assert_allclose(whole, expected / expected.mean(), rtol=1e-6)
    assert whole.min() < 1 < whole.max()
    np.testing.assert_array_equal(np.concatenate([weights(rank, 3) for rank in range(3)]), whole)
