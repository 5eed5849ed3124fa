"""Files of the evaluation artifact, and what was measured."""

from pathlib import Path

import msgspec

from homefeed.contracts import Window

EVALUATION = "evaluation"
"""Kind of the artifact."""
EVALUATION_FILE = "evaluation.json"
REPORT_FILE = "report.html"

MODEL = "model"
PRODUCTION = "production"
POPULARITY = "popularity"
DECAYED_POPULARITY = "decayed_popularity"
EASE = "ease"

Metrics = dict[str, float]
"""By name and cutoff: "recall@10", "ndcg@10", "hit@10", "coverage@10", ..."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The model's mean less that of another recommender, over the same users.

    `low` and `high` bound its 95 % interval: a paired bootstrap over users.
    """

    baseline: str
    """The other recommender."""
    value: float
    low: float
    high: float


class HistoryBucket(msgspec.Struct, frozen=True, kw_only=True):
    """Users with `shortest` to `longest` known pins, both included."""

    shortest: int
    longest: int
    num_users: int
    recommenders: dict[str, Metrics]
    """Recall of each recommender, at every cutoff."""


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """Who was measured on what."""

    num_users: int
    """Warm users that were measured."""
    num_warm_users: int
    """Users with something known at serving time and something new in the test split."""
    num_dataset_users: int
    num_relevant: int
    """Right answers, over all measured users."""
    num_unreachable: int
    """Right answers that nobody had engaged with by serving time: no recommender finds them."""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """What could be recommended, and how the release searches it."""

    num_dataset_pins: int
    num_candidates: int
    """Pins with an event before serving time: the baselines rank them, coverage is their share."""
    num_corpus_pins: int
    """Pins in the release's index: the model ranks them."""
    index_kind: str
    dimension: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All that one evaluation found: `evaluation.recommenders["model"]["recall@10"]`."""

    release_version: str
    production_version: str = ""
    """Of the release in production, where there is one to be measured beside; else empty."""
    embedding_space: str
    dataset: str
    """Fingerprint of the data set."""
    split: str
    """How the data set was split: time, leave_last_out or random."""
    window: Window
    """Of all events of the data set."""
    serving_time: int
    """Unix seconds."""
    seed: int
    cutoffs: tuple[int, ...]
    population: Population
    catalogue: Catalogue
    recommenders: dict[str, Metrics]
    """The model, then the release in production, then the baselines."""
    left_out: dict[str, str]
    """Recommenders that were not measured, and why."""
    differences: dict[str, Difference]
    """To the best baseline, by metric; coverage is no mean over users and has none."""
    gains: dict[str, Difference] = {}
    """To the release in production, likewise; empty without one."""
    by_history_length: tuple[HistoryBucket, ...]
    """From short histories to long ones."""
    ann_recall: Metrics
    """Share of exact search's pins that the release's index found for the same queries."""
    num_exact_users: int
    """Users, drawn from the measured ones, whose queries were answered exactly as well."""


def read_evaluation(folder: Path) -> Evaluation:
    """What an evaluation artifact found."""
    return msgspec.json.decode((folder / EVALUATION_FILE).read_bytes(), type=Evaluation)
