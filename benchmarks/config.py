"""Experiments: `experiments/<name>.yaml`, over the sections in `bases/<name>.yaml`."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from homefeed.config import Config, from_yaml
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig
from homefeed.features.config import FeaturesConfig
from homefeed.id_embeddings.config import IdRecipe, Instant
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.rank import Merge

FOLDER = Path(__file__).parent
EXPERIMENTS, BASES = FOLDER / "experiments", FOLDER / "bases"

POPULARITY, DECAYED_POPULARITY, EASE, IALS = "popularity", "decayed popularity", "EASE", "iALS"

GENERAL_METRICS = ("recall", "ndcg", "hit", "coverage", "diversity")
INTEREST_METRICS = ("on_topic", "recall_within", "recall_within_rare")
"""Of users asked for one interest at a time; see `benchmarks.measure`."""


class RankingConfig(Config, frozen=True, kw_only=True):
    """How trained towers are asked; it changes nothing of their training."""

    merge: Merge = "round_robin"
    """How several embeddings of a user make one ranking."""
    is_filtered: bool = False
    """Whether users who are asked for an interest get its pins alone."""


class Sections(Config, frozen=True, kw_only=True):
    """All that one run is told; sections of a recipe bear its names."""

    events: EventsConfig
    start: Instant | None = None
    """Leaves out engagements before this; ID tables may have learned from them."""
    features: FeaturesConfig
    dataset: DatasetConfig = DatasetConfig()
    towers: TowersConfig = TowersConfig()
    training: TrainingConfig = TrainingConfig()
    ids: str | None = None
    """Name of one of the experiment's ID tables."""
    ranking: RankingConfig = RankingConfig()


class IdTable(Config, frozen=True, kw_only=True):
    """ID tables that configurations may use."""

    recipe: IdRecipe
    is_disguised: bool = False
    """Whether the window rule is kept from seeing what they learned from: to show what it is for,
    and for nothing else."""


class Comparison(Config, frozen=True, kw_only=True):
    """Two configurations, or baselines, of which differences are reported."""

    of: str
    to: str
    is_ratio: bool = False
    """Whether the ratio is reported, not the difference."""

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.of} {'/' if self.is_ratio else '−'} {self.to}"


class BaselinesConfig(Config, frozen=True, kw_only=True):
    """Baselines, with what is tried on the validation split for each."""

    popularity: bool = True
    half_life_days: tuple[float, ...] = (1.0, 3.0, 7.0, 30.0, 90.0)
    """Of decayed popularity; none leaves it out, as do the others."""
    ease_regularisation: tuple[float, ...] = (100.0, 300.0, 500.0, 1000.0, 2000.0)
    ials_factors: tuple[int, ...] = (32, 64, 128)
    ials_regularisation: tuple[float, ...] = (0.01, 3.0, 30.0)
    ials_alpha: tuple[float, ...] = (1.0, 3.0, 10.0)
    """Weight of an engagement, beside 1 for every other pair of user and pin."""


class Experiment(Config, frozen=True, kw_only=True):
    """One table of results."""

    title: str
    base: str
    """Name of a file in `bases`, whose sections all configurations start from."""
    shared: dict[str, Any] = {}
    """Changes that all configurations share."""
    configurations: dict[str, dict[str, Any]]
    """Changes of each, by its name in the results."""
    id_tables: dict[str, IdTable] = {}
    metrics: tuple[str, ...] = ("recall@10", "ndcg@10", "hit@10", "coverage@100")
    num_seeds: int = 5
    is_resplit: bool = False
    """Whether each seed also draws the random split anew, for the baselines as well."""
    learned: Literal["known", "train"] = "known"
    """What recommenders may know of users when the test split is asked for. known: all before it;
    train: the training part alone, as some published protocols have it; pins of the validation part
    are not recommended all the same."""
    baselines: BaselinesConfig | None = BaselinesConfig()
    comparisons: tuple[Comparison, ...] = ()

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds={self.num_seeds} must be at least 1")
        if not self.configurations:
            raise ValueError("configurations is empty: name one at least")
        known = (*GENERAL_METRICS, *INTEREST_METRICS)
        for metric in self.metrics:
            name, _, cutoff = metric.partition("@")
            if name not in known or not cutoff.isdecimal() or int(cutoff) < 1:
                raise ValueError(
                    f"metrics has {metric!r}: it must be one of {', '.join(known)}, then @ and a "
                    "cutoff"
                )
        there = {*self.configurations, *baseline_names(self.baselines)}
        for each in self.comparisons:
            if missing := sorted({each.of, each.to} - there):
                raise ValueError(
                    f"comparisons name {missing}; there are {', '.join(sorted(there))}"
                )

    @property
    def cutoff(self) -> int:
        """The largest of the metrics."""
        return max(int(metric.partition("@")[2]) for metric in self.metrics)


def baseline_names(config: BaselinesConfig | None) -> tuple[str, ...]:
    """The baselines that a section asks for, as they are called in the results."""
    if config is None:
        return ()
    is_asked = {
        POPULARITY: config.popularity,
        DECAYED_POPULARITY: config.half_life_days,
        EASE: config.ease_regularisation,
        IALS: config.ials_factors and config.ials_regularisation and config.ials_alpha,
    }
    return tuple(name for name, asked in is_asked.items() if asked)


def read_experiment(path: Path, bases: Path = BASES) -> tuple[Experiment, dict[str, Sections]]:
    """An experiment and all sections of each of its configurations.

    Args:
        path: of its file.
        bases: folder of its base.

    Raises:
        ValueError: a key or value does not fit, or a name is unknown; names the place.
    """
    experiment = from_yaml(path.read_bytes(), Experiment, str(path))
    base = bases / f"{experiment.base}.yaml"
    if not base.is_file():
        there = ", ".join(sorted(each.stem for each in bases.glob("*.yaml")))
        raise ValueError(f"{path}: base {experiment.base!r} is unknown; there are {there}")
    shared = merge(msgspec.yaml.decode(base.read_bytes()), experiment.shared)
    sections: dict[str, Sections] = {}
    for name, change in experiment.configurations.items():
        try:
            sections[name] = msgspec.convert(merge(shared, change), Sections)
        except msgspec.ValidationError as error:
            raise ValueError(f"{path}: configuration {name!r}: {error}") from error
        ids = sections[name].ids
        if ids is not None and ids not in experiment.id_tables:
            raise ValueError(
                f"{path}: configuration {name!r}: ids {ids!r} is unknown; id_tables has "
                f"{', '.join(experiment.id_tables) or 'none'}"
            )
    return experiment, sections


def experiment_paths() -> dict[str, Path]:
    """The files of the shipped experiments, by name."""
    return {path.stem: path for path in sorted(EXPERIMENTS.glob("*.yaml"))}


def merge(base: Any, change: Any) -> Any:
    """Mappings are merged key by key; a list, a value or a mapping of another `kind` replaces."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    if "kind" in change and change["kind"] != base.get("kind"):
        return change
    return base | {key: merge(base.get(key), value) for key, value in change.items()}
