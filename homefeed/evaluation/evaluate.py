"""Measures a release on a data set's test split, beside the one in production and baselines."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import numpy as np

from homefeed.config import to_builtins
from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET
from homefeed.evaluation.ann import measure_ann_recall
from homefeed.evaluation.baselines import rank_by_ease, rank_by_popularity
from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.layout import (
    DECAYED_POPULARITY,
    EASE,
    EVALUATION,
    EVALUATION_FILE,
    MODEL,
    POPULARITY,
    PRODUCTION,
    REPORT_FILE,
    Catalogue,
    Evaluation,
    Population,
)
from homefeed.evaluation.measure import (
    average,
    bucket_by_history,
    compare,
    differ,
    measure_coverage,
    measure_users,
)
from homefeed.evaluation.report import render_report
from homefeed.evaluation.through_release import (
    make_queries,
    rank_through_another,
    rank_through_release,
)
from homefeed.evaluation.truth import Truth, read_truth
from homefeed.index.layout import INDEX
from homefeed.release.bundle import RELEASE, Release
from homefeed.release.store import ReleaseStore
from homefeed.release.users import USERS
from homefeed.towers.layout import TOWERS, read_training

NUM_EXACT_USERS = 1000
"""Users whose queries are searched exactly too: enough to tell recalls 0.001 apart."""


class Production(NamedTuple):
    """The release in production, and a folder for the time that it is needed."""

    store: str
    version: str
    scratch: Path

    def rank(self, release: Release, dataset: Path, truth: Truth, k: int) -> np.ndarray:
        """Its ranking for the users of the release's snapshot: pin_index, int64 [U, k].

        Raises:
            ValueError: it cannot be read, or its features do not fit the snapshot.
        """
        with TemporaryDirectory(dir=self.scratch) as folder:
            own = ReleaseStore(self.store).fetch(self.version, Path(folder) / "release")
            return rank_through_another(own, release.users, dataset, truth.user_ids, k)


def evaluate_release(
    release: Path,
    dataset: Path,
    towers: Path,
    config: EvaluationConfig,
    seed: int,
    output: Path,
    production: str = "",
    store: str = "",
) -> Manifest:
    """Measures what a release would have recommended at serving time, and writes the report.

    The model answers through the release: its users' snapshot, its exported tower and the search
    engine of the sidecar. Everyone ranks the whole catalogue but the pins that a user has seen. The
    release in production answers through its own tower and index, for users as they are known now.

    Args:
        release: the release.
        dataset: the dataset artifact that the release's snapshot was made from.
        towers: the towers artifact, for how the training went.
        config: the evaluation section of a recipe.
        seed: of the samples of users.
        output: folder of the artifact.
        production: version of the release in production; empty for none. One that cannot be read,
            or cannot answer for users of this data set, is left out.
        store: URL of the release store that holds it.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: release and data set do not belong together, or there is no user to evaluate.
    """
    opened = Release.open(release)
    source = read_manifest(dataset, DATASET)
    trained = read_manifest(towers, TOWERS)
    _check_dataset(opened, dataset, source)
    output.mkdir(parents=True, exist_ok=True)
    truth = read_truth(
        dataset, config.decayed_half_life_days, config.max_users, seed, scratch=output
    )
    in_production = Production(store, production, output.parent) if production else None
    evaluation = _evaluate(opened, in_production, dataset, source, truth, config, seed)
    text = msgspec.json.format(msgspec.json.encode(evaluation), indent=2)
    (output / EVALUATION_FILE).write_bytes(text + b"\n")
    (output / REPORT_FILE).write_text(render_report(evaluation, read_training(towers)), "utf-8")
    return write_manifest(
        output,
        Manifest(
            kind=EVALUATION,
            window=source.window,
            inputs={
                RELEASE: opened.manifest.fingerprint,
                DATASET: source.fingerprint,
                TOWERS: trained.fingerprint,
            },
            details={
                "seed": seed,
                "config": to_builtins(config),
                PRODUCTION: evaluation.production_version,
            },
        ),
    )


def _check_dataset(release: Release, dataset: Path, source: Manifest) -> None:
    theirs = read_manifest(release.users, USERS).inputs[DATASET]
    if theirs != source.fingerprint:
        raise ValueError(
            f"release {release.version} knows its users from the data set {theirs[:12]}, {dataset} "
            f"is {source.fingerprint[:12]}: evaluate a release on the data set that it was made of"
        )


def _evaluate(
    release: Release,
    production: Production | None,
    dataset: Path,
    source: Manifest,
    truth: Truth,
    config: EvaluationConfig,
    seed: int,
) -> Evaluation:
    k, cutoffs = max(config.cutoffs), config.cutoffs
    num_candidates = len(truth.candidates)
    rankings, left_out = _rank_by_baselines(truth, config)
    if production is not None:
        try:
            ranking = production.rank(release, dataset, truth, k)
            rankings = {PRODUCTION: ranking} | rankings
        except ValueError as error:
            left_out[PRODUCTION] = f"release {production.version}: {error}"
    rankings = {MODEL: rank_through_release(release, dataset, truth.user_ids, k)} | rankings
    per_user = {
        name: measure_users(ranking, truth.relevant, cutoffs) for name, ranking in rankings.items()
    }
    gains = {}
    if PRODUCTION in rankings:
        gains = differ(per_user, dict.fromkeys(per_user[MODEL], PRODUCTION), seed)
    asked = _sample(truth.user_ids, seed)
    queries = make_queries(release, asked, k, "comparing with exact search")
    index = read_manifest(release.index, INDEX).details
    assert source.window is not None
    return Evaluation(
        release_version=release.version,
        production_version=production.version if production and gains else "",
        embedding_space=release.embedding_space,
        dataset=source.fingerprint,
        split=source.details["config"]["split"],
        window=source.window,
        serving_time=source.details["serving_time"],
        seed=seed,
        cutoffs=cutoffs,
        population=Population(
            num_users=len(truth.users),
            num_warm_users=truth.num_warm_users,
            num_dataset_users=source.details["num_users"],
            num_relevant=len(truth.relevant.values),
            num_unreachable=truth.num_unreachable,
        ),
        catalogue=Catalogue(
            num_dataset_pins=source.details["num_pins"],
            num_candidates=num_candidates,
            num_corpus_pins=index["num_pins"],
            index_kind=index["kind"],
            dimension=index["dimension"],
        ),
        recommenders={
            name: average(per_user[name]) | measure_coverage(ranking, num_candidates, cutoffs)
            for name, ranking in rankings.items()
        },
        left_out=left_out,
        differences=compare(per_user, seed),
        gains=gains,
        by_history_length=bucket_by_history(per_user, truth.seen.lengths),
        ann_recall=measure_ann_recall(release.index, queries, cutoffs),
        num_exact_users=len(asked),
    )


def _rank_by_baselines(
    truth: Truth, config: EvaluationConfig
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The baselines' rankings, and why one is left out."""
    k, num_pins = max(config.cutoffs), len(truth.candidates)
    rankings = {
        POPULARITY: rank_by_popularity(truth, truth.popularity, k),
        DECAYED_POPULARITY: rank_by_popularity(truth, truth.decayed_popularity, k),
    }
    if num_pins > config.ease_max_pins:
        why = f"{num_pins:,} pins are more than evaluation.ease_max_pins={config.ease_max_pins:,}"
        return rankings, {EASE: why}
    return rankings | {EASE: rank_by_ease(truth, config.ease_regularisation, k)}, {}


def _sample(user_ids: tuple[str, ...], seed: int) -> list[str]:
    """The users that are asked exactly as well, in order."""
    size = min(NUM_EXACT_USERS, len(user_ids))
    places = np.random.default_rng(seed).choice(len(user_ids), size, replace=False)
    return [user_ids[place] for place in np.sort(places)]
