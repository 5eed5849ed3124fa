"""Shapes of the two towers and how they are trained."""

from typing import Any, Literal

from homefeed.config import Config
from homefeed.contracts import Column
from homefeed.features.config import Categorical, FeaturesConfig
from homefeed.towers.crossing.config import Crossing, MaskNetConfig
from homefeed.towers.history.config import InterestsConfig, SequenceConfig
from homefeed.towers.ids_config import PINS, USERS, IdsConfig
from homefeed.towers.objectives.config import Objective, SampledSoftmaxConfig


def _positive(config: Any, section: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"{section}.{name}={getattr(config, name)} must be positive")


def _share(config: Any, section: str, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{section}.{name}={getattr(config, name)} must lie in [0, 1)")


class PooledHistoryConfig(Config, frozen=True):
    """The history's pins, and what was done with them, as one pooled embedding each."""

    pooling: Literal["mean", "sqrt"] = "mean"
    """mean: the sum over the number of items; sqrt: over its square root, which keeps how much is
    known."""
    actions: bool = True
    """Whether what was done is a field beside the pins."""
    own_table: bool = False
    """Whether a pin's vector in a history is another than in the pin tower."""


class ConditionConfig(Config, frozen=True):
    """The interest that pins are asked for, as an input of the user tower.

    Source: "Bootstrapping Conditional Retrieval", RecSys 2024 (arXiv 2508.16793). It needs the pin
    feature `interests`.
    """

    none_share: float = 0.5
    """Share of the examples that are trained without a condition, so that one tower serves both."""
    source: Literal["target", "logged"] = "target"
    """target: one of the interests of the pin that is to be found, by chance; logged: the interest
    that the engagement came from (`source_interest`), and the target's where none was logged."""

    def __post_init__(self) -> None:
        if not 0 <= self.none_share <= 1:
            raise ValueError(f"towers.condition.none_share={self.none_share} must lie in [0, 1]")


class TowersConfig(Config, frozen=True):
    """The two towers."""

    field_dimension: int = 64
    """Width d of every field."""
    embedding_dimension: int = 64
    """Width D of the towers' output."""
    initial_deviation: float | None = None
    """Standard deviation of what tables hold at first; null is 1 over the square root of
    `field_dimension`, which normalised fields start well from. Vectors that are not normalised, and
    those of a causal `sequence`, learn more from near zero: 0.01, 0.02."""
    crossing: Crossing = MaskNetConfig()
    """How a tower's fields become one vector."""
    pin_crossing: Crossing | None = None
    """The pin tower's, where it is another than the user tower's."""
    dropout: float = 0.0
    """In the crossings."""
    normalise: bool = True
    """Whether vectors are of unit length, so that scores are cosines."""
    history_length: bool = True
    """Whether how many items the history has is a number of the user's."""
    pooled_history: PooledHistoryConfig | None = PooledHistoryConfig()
    """null leaves the pooled history out."""
    sequence: SequenceConfig | None = None
    """A transformer over the history's items, whose output is a field."""
    interests: InterestsConfig | None = None
    """Several embeddings a user, one for each cluster of the history."""
    condition: ConditionConfig | None = None
    """Conditional retrieval."""
    ids: IdsConfig | None = None
    """Pre-trained ID embeddings as fields."""

    def __post_init__(self) -> None:
        _positive(self, "towers", "field_dimension", "embedding_dimension")
        if self.initial_deviation is not None:
            _positive(self, "towers", "initial_deviation")
        _share(self, "towers", "dropout")

    @property
    def deviation(self) -> float:
        """`initial_deviation`, or what stands for null."""
        return self.initial_deviation or self.field_dimension**-0.5


class TrainingConfig(Config, frozen=True):
    """The training loop."""

    examples: Literal["events", "users", "sequences"] = "events"
    """events: each engagement, with what was known before it. users: each user once; of the whole
    history, whatever its order, all of it is to be found: for data without an order in time.
    sequences: each user once, every engagement to be found from the `history.length` before it, by
    a causal `towers.sequence`; of longer histories, each epoch takes another stretch."""
    objective: Objective = SampledSoftmaxConfig()
    """What is minimised."""
    batch_size: int = 2048
    """Examples, or users, a batch."""
    places_per_batch: int | None = None
    """Of sequences: so many places, by chance, of those of a batch's users are to be found; null
    takes all. A softmax over the catalogue costs as much for each, and neighbouring places have
    much the same to teach."""
    block_batches: int = 8
    """Batches are drawn from blocks of so many of them that follow each other in time. Larger
    blocks mix more users; smaller ones have negatives whose statistics are of the same time."""
    max_examples_per_user_day: int | None = None
    """An example with so many of its user's in the 24 hours before it is left out; null takes all.
    Where some users engage with hundreds of pins in one evening, what they took last outweighs what
    everybody takes first."""
    action_weights: dict[str, float] = {}
    """Weight of an example by its action; others weigh 1."""
    max_epochs: int = 5
    patience: int = 1
    """Training stops after so many epochs in a row without a better validation metric."""
    validation_metric: Literal["recall@10", "ndcg@10", "recall@100"] = "recall@10"
    """Chooses how many epochs are trained."""
    refit: bool = True
    """Train anew on training and validation examples once validation has chosen the number of
    epochs, so that the towers learn from all that came before they serve. The encoder stays: pins
    that only the validation part has share the out-of-vocabulary row."""
    history_dropout: float = 0.0
    """Share of each history's items that the user tower does not see in training. A user's examples
    of one day have one history; whole, it is soon known by heart."""
    learning_rate: float = 1e-3
    decay: Literal["linear", "cosine"] = "linear"
    """Of the learning rate, over `max_epochs`."""
    last_rate: float = 0.5
    """Share of the learning rate that its decay ends at. Examples come in order of time: the last
    are the nearest to what is served, and should not count for nothing."""
    weight_decay: float = 0.0
    table_optimizer: Literal["adamw", "rowwise_adagrad"] = "adamw"
    """adamw: tables are trained as all else is, and every process holds them whole.
    rowwise_adagrad: torchrec spreads their rows over the processes, and updates them in the
    backward pass; for tables that are large."""
    table_learning_rate: float = 0.05
    """Of rowwise_adagrad."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: of the products of matrices; weights and losses stay as they are."""
    compile: bool = False
    """Whether torch compiles the dense part of the towers, which pays on a GPU."""
    checkpoint_seconds: float = 30.0
    """An interrupted training goes on from where it was at most so long before."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def is_sharded(self) -> bool:
        """Whether tables are spread over the processes."""
        return self.table_optimizer != "adamw"

    def __post_init__(self) -> None:
        _positive(self, "training", "block_batches", "max_epochs", "learning_rate", "patience")
        _positive(self, "training", "table_learning_rate")
        _share(self, "training", "history_dropout")
        most = self.max_examples_per_user_day
        if self.places_per_batch is not None:
            _positive(self, "training", "places_per_batch")
            if self.examples != "sequences":
                raise ValueError(
                    f"training.places_per_batch={self.places_per_batch} is of "
                    f"training.examples='sequences', and they are {self.examples!r}: leave it out"
                )
        if most is not None and most < 1:
            raise ValueError(
                f"training.max_examples_per_user_day={most} must be at least 1, or null for all"
            )
        if self.batch_size < 2:
            raise ValueError(
                f"training.batch_size={self.batch_size} must be at least 2: the other rows of the "
                "batch are the negatives"
            )
        for name in ("weight_decay", "checkpoint_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"training.{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.last_rate <= 1:
            raise ValueError(f"training.last_rate={self.last_rate} must lie in [0, 1]")
        if bad := {name: w for name, w in self.action_weights.items() if w < 0}:
            raise ValueError(f"training.action_weights={bad} must not be negative")
        if self.examples == "users" and isinstance(self.objective, SampledSoftmaxConfig):
            raise ValueError(
                "training.examples='users' has many pins to find for each user, "
                "training.objective.kind='sampled_softmax' finds one: give it full_softmax or "
                "square"
            )


def check_together(towers: TowersConfig, training: TrainingConfig) -> None:
    """Refuses sections that do not fit each other, before anything is read or trained.

    Raises:
        ValueError: names both sides.
    """
    if training.examples == "sequences":
        if towers.sequence is None or not towers.sequence.causal:
            raise ValueError(
                "training.examples='sequences' needs a towers.sequence with causal: true: each "
                "place must see older ones alone"
            )
        if towers.sequence.ages:
            raise ValueError(
                "training.examples='sequences' trains every place of a history, and ages count "
                "from its newest item, which only the first place may know: set "
                "towers.sequence.ages: false"
            )
        for name in ("pooled_history", "interests"):
            if getattr(towers, name) is not None:
                raise ValueError(
                    f"training.examples='sequences' trains every place of a history at once, "
                    f"towers.{name} sees the whole of it: set towers.{name}: null"
                )
    if towers.interests is not None and not isinstance(training.objective, SampledSoftmaxConfig):
        raise ValueError(
            f"towers.interests gives several embeddings a user, which "
            f"training.objective.kind={training.objective.__struct_config__.tag!r} cannot train: "
            "give it sampled_softmax"
        )
    if towers.condition is not None and training.examples != "events":
        raise ValueError(
            f"towers.condition needs a target of its own for each example, "
            f"training.examples={training.examples!r} has many: set it to 'events'"
        )
    if not towers.normalise and isinstance(training.objective, SampledSoftmaxConfig):
        raise ValueError(
            "towers.normalise=false has no bound for scores, which "
            "training.objective.kind='sampled_softmax' divides by a temperature below one: set "
            "normalise: true"
        )


def check_processes(training: TrainingConfig, num_processes: int) -> None:
    """Refuses what processes that train in step cannot share equally.

    Raises:
        ValueError: names both sides.
    """
    is_sampled = isinstance(training.objective, SampledSoftmaxConfig)
    if num_processes > 1 and training.examples == "sequences" and is_sampled:
        raise ValueError(
            f"training.examples='sequences' gives {num_processes} processes unequal numbers of "
            "places, whose pins training.objective.kind='sampled_softmax' cannot gather: give it "
            "full_softmax, or one process"
        )
    numbers = {"batch_size": training.batch_size}
    if isinstance(training.objective, SampledSoftmaxConfig):
        numbers["objective.num_uniform"] = training.objective.num_uniform
    for name, number in numbers.items():
        if number % num_processes:
            raise ValueError(
                f"training.{name}={number} is shared by {num_processes} processes equally, which "
                f"do not divide it: take {number - number % num_processes} or "
                f"{number + num_processes - number % num_processes}, or other processes"
            )


def check_features(
    features: FeaturesConfig, towers: TowersConfig, training: TrainingConfig
) -> None:
    """Refuses towers and training that the features do not give what they need.

    Raises:
        ValueError: names both sides.
    """
    if towers.condition is not None:
        _need(features, "pin", Column.INTERESTS, "towers.condition")
    if towers.ids is not None:
        for table, side, column in ((PINS, "pin", Column.PIN_ID), (USERS, "user", Column.USER_ID)):
            if table in towers.ids.tables:
                _need(features, side, column, f"towers.ids.tables: [{table}]")
    if (
        isinstance(training.objective, SampledSoftmaxConfig)
        and training.objective.num_uniform
        and training.examples != "events"
        and features.statistics.columns
    ):
        raise ValueError(
            f"training.examples={training.examples!r} is of no one time, at which the pins of "
            f"training.objective.num_uniform={training.objective.num_uniform} would have their "
            "statistics: set features.statistics.half_life_days: [], or num_uniform: 0"
        )
    if not isinstance(training.objective, SampledSoftmaxConfig) and features.statistics.columns:
        raise ValueError(
            "training.objective scores the whole catalogue, whose statistics "
            f"{list(features.statistics.columns)} differ from example to example: set "
            "features.statistics.half_life_days: [], or training.objective.kind: sampled_softmax"
        )


def _need(features: FeaturesConfig, side: str, column: str, what_for: str) -> None:
    own = getattr(features, side)
    if not any(isinstance(each, Categorical) and each.column == column for each in own):
        raise ValueError(
            f"{what_for} needs the feature {str(column)!r}: add "
            f"{{kind: categorical, column: {column}}} to features.{side}"
        )
