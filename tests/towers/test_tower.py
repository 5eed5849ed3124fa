import msgspec
import pytest
import torch

from homefeed.features.encoder import TowerInputs
from homefeed.towers.config import (
    ConditionConfig,
    PooledHistoryConfig,
    TowersConfig,
    TrainingConfig,
    check_together,
)
from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.history.config import ClusteringConfig, SequenceConfig
from homefeed.towers.objectives.config import FullSoftmaxConfig, SquareConfig
from homefeed.towers.tower import Items, PinTower, UserTower

CONFIG = TowersConfig(
    field_dimension=8, embedding_dimension=6, crossing=MaskNetConfig(blocks=2, width=5)
)
INPUTS = TowerInputs(categorical={"age": (4, 1)}, embeddings={"image": 3}, num_numeric=2)
LENGTH = 5


def inputs(batch: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    bags = {name: torch.randn(batch, 8) for name in ("age", "history", "history_actions")}
    return bags, {"image": torch.randn(batch, 3), "numeric": torch.randn(batch, 2)}


def items(batch: int) -> Items:
    return Items(
        torch.randn(batch, LENGTH, 8),
        torch.randn(batch, LENGTH, 8),
        torch.zeros(batch, LENGTH, dtype=torch.int64),
        torch.ones(batch, LENGTH, dtype=torch.bool),
    )


def test_a_tower_gives_unit_vectors_of_every_kind_of_field() -> None:
    tower = UserTower(INPUTS, LENGTH, CONFIG, id_dimension=0)
    bags, features = inputs(7)
    vectors, is_used = tower(bags, features)
    assert vectors.shape == (7, 1, 6)
    assert is_used.all()
    torch.testing.assert_close(vectors.norm(dim=2), torch.ones(7, 1))
    vectors.sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_every_field_and_number_changes_the_vector() -> None:
    tower = UserTower(INPUTS, LENGTH, CONFIG, id_dimension=0).eval()
    bags, features = inputs(1)
    before, _ = tower(bags, features)
    for group in (bags, features):
        for name, value in group.items():
            group[name] = value.flip(1)
            assert not torch.allclose(before, tower(bags, features)[0]), name
            group[name] = value


@pytest.mark.parametrize("num_numeric", [1, 2])
def test_a_tower_may_not_know_how_long_the_history_is(num_numeric: int) -> None:
    config = msgspec.structs.replace(CONFIG, history_length=False)
    shapes = msgspec.structs.replace(INPUTS, num_numeric=num_numeric)
    tower = UserTower(shapes, LENGTH, config, id_dimension=0).eval()
    bags, features = inputs(3)
    features["numeric"] = features["numeric"][:, :num_numeric]
    before, _ = tower(bags, features)
    features["numeric"][:, 0] += 1.0
    torch.testing.assert_close(tower(bags, features)[0], before)
    features["numeric"][:, num_numeric - 1] += 1.0
    assert torch.allclose(tower(bags, features)[0], before) == (num_numeric == 1)


def test_a_pin_tower_is_of_unit_length_where_it_is_told_so() -> None:
    bags, features = inputs(4)
    unit = PinTower(INPUTS, CONFIG, id_dimension=0)(bags, features)
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(4))
    config = TowersConfig(
        field_dimension=8, embedding_dimension=6, crossing=CONFIG.crossing, normalise=False
    )
    free = PinTower(INPUTS, config, id_dimension=0)(bags, features)
    assert (free.norm(dim=1) - 1).abs().min() > 1e-3


def test_clusters_give_several_vectors_and_the_unused_are_zeros() -> None:
    config = TowersConfig(
        field_dimension=8,
        embedding_dimension=6,
        crossing=CONFIG.crossing,
        interests=ClusteringConfig(embeddings=3),
    )
    tower = UserTower(INPUTS, LENGTH, config, id_dimension=0).eval()
    bags, features = inputs(2)
    given = items(2)
    given.is_there[1, 1:] = False
    vectors, is_used = tower(bags, features, given)
    assert vectors.shape == (2, 3, 6)
    assert is_used.tolist() == [[True, True, False], [True, False, False]]
    torch.testing.assert_close(vectors.norm(dim=2), is_used.float())


def test_places_are_users_as_of_an_item() -> None:
    """What is embedded for a place knows nothing of newer items."""
    config = TowersConfig(
        field_dimension=8,
        embedding_dimension=6,
        crossing=CONFIG.crossing,
        pooled_history=None,
        sequence=SequenceConfig(causal=True),
    )
    tower = UserTower(INPUTS, LENGTH, config, id_dimension=0).eval()
    bags, features = inputs(3)
    given = items(1)
    places = (torch.zeros(3, dtype=torch.int64), torch.tensor([0, 2, 4]))
    before, _ = tower(bags, features, given, places)
    changed = given._replace(pins=given.pins.clone())
    changed.pins[0, 1] += torch.randn(8)
    after, _ = tower(bags, features, changed, places)
    assert not torch.allclose(before[0], after[0])
    torch.testing.assert_close(before[1:], after[1:])


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (TowersConfig, "field_dimension", 0),
        (TowersConfig, "dropout", 1.0),
        (ConditionConfig, "none_share", 1.5),
        (TrainingConfig, "batch_size", 1),
        (TrainingConfig, "learning_rate", 0.0),
        (TrainingConfig, "max_examples_per_user_day", 0),
        (TrainingConfig, "patience", 0),
        (TrainingConfig, "last_rate", 1.5),
    ],
)
def test_meaningless_settings_are_refused(kind: type, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{field}={value} must"):
        kind(**{field: value})


def test_users_have_many_pins_to_find() -> None:
    with pytest.raises(ValueError, match="give it full_softmax or square"):
        TrainingConfig(examples="users")


SEQUENCES = TrainingConfig(examples="sequences", objective=FullSoftmaxConfig())
CAUSAL = SequenceConfig(causal=True, ages=False)


@pytest.mark.parametrize(
    ("towers", "training", "named"),
    [
        (TowersConfig(), SEQUENCES, "needs a towers.sequence with causal: true"),
        (TowersConfig(sequence=SequenceConfig()), SEQUENCES, "causal: true"),
        (
            TowersConfig(sequence=SequenceConfig(causal=True), pooled_history=None),
            SEQUENCES,
            "set towers.sequence.ages: false",
        ),
        (TowersConfig(sequence=CAUSAL), SEQUENCES, "set towers.pooled_history: null"),
        (
            TowersConfig(
                sequence=CAUSAL, pooled_history=None, interests=ClusteringConfig(embeddings=2)
            ),
            SEQUENCES,
            "set towers.interests: null",
        ),
        (
            TowersConfig(interests=ClusteringConfig()),
            TrainingConfig(objective=SquareConfig()),
            "'square' cannot train",
        ),
        (
            TowersConfig(condition=ConditionConfig()),
            TrainingConfig(examples="users", objective=SquareConfig()),
            "needs a target of its own",
        ),
        (TowersConfig(normalise=False), TrainingConfig(), "set normalise: true"),
        (
            TowersConfig(pooled_history=PooledHistoryConfig(), normalise=False),
            TrainingConfig(),
            "no bound for scores",
        ),
    ],
)
def test_sections_that_do_not_fit_each_other_are_refused(
    towers: TowersConfig, training: TrainingConfig, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        check_together(towers, training)
