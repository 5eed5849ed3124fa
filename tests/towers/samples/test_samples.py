"""Batches of the three kinds of examples, beside the log that they are made of."""

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
from homefeed.towers.objectives.catalogue import FullSoftmax
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


@pytest.fixture(scope="module")
def encoded(tiny_dataset: Path) -> EncodedDataset:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    return EncodedDataset(tiny_dataset, encoder)


@pytest.fixture(scope="module")
def engagements(tiny_dataset: Path, encoded: EncodedDataset) -> Engagements:
    return read_examples(tiny_dataset, ("train",), encoded.encoder)


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
        return SequenceSamples(encoded, engagements, TRAINING, 5, rank, world_size)

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


def test_each_place_of_a_sequence_sees_what_is_older(
    encoded: EncodedDataset, engagements: Engagements
) -> None:
    samples = SequenceSamples(encoded, engagements, TRAINING, 5)
    sample = next(samples.epoch(1))
    assert sample.places is not None
    rows, places = (each.numpy() for each in sample.places)
    length = encoded.encoder.config.history.length
    history = sample.users["history"].numpy()
    for point in range(len(rows)):
        user = sample.user_ids[point]
        own = engagements.pins[engagements.users == user][::-1]
        place = places[point]
        assert sample.pins[point] == own[place]
        seen = history[rows[point], place:]
        expected = encoded.pin_rows[own[place + 1 :]][: length - place]
        np.testing.assert_array_equal(seen[: len(expected)], expected)
        assert (seen[len(expected) :] == 0).all()
    assert sample.users["age"].shape[0] == len(rows)


def test_a_share_is_one_of_equal_parts() -> None:
    assert [share_of(12, rank, 3) for rank in range(3)] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 12),
    ]


@pytest.mark.parametrize("kind", [UserSamples, SequenceSamples])
def test_processes_share_a_mean_over_unequal_numbers_of_pins(
    kind: type[UserSamples] | type[SequenceSamples],
    tiny_events: Path,
    tmp_path: Path,
) -> None:
    features = msgspec.structs.replace(
        TINY_FEATURES,
        history=HistoryConfig(length=100),
        statistics=StatisticsConfig(half_life_days=()),
    )
    build_dataset(tiny_events, DatasetConfig(), features, seed=0, output=tmp_path / "dataset")
    encoder = FeatureEncoder.load(tmp_path / "dataset" / "features.json")
    encoded = EncodedDataset(tmp_path / "dataset", encoder)
    engagements = read_examples(tmp_path / "dataset", ("train",), encoder)
    objective = FullSoftmax(FullSoftmaxConfig(), encoded, np.unique(engagements.pins))
    facts = [
        objective.prepare(next(kind(encoded, engagements, USERS, 5, rank, 3).epoch(1)), (0,)).facts
        for rank in range(3)
    ]
    assert len({len(each["pins"]) for each in facts}) > 1
    assert sum((each["weights"] * each["scale"]).sum().item() for each in facts) == (
        pytest.approx(3.0, rel=1e-5)
    )
