"""A real release, measured: what it recommends is known by brute force."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import MANIFEST_FILE, read_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.evaluate import evaluate_release
from homefeed.evaluation.layout import Evaluation, read_evaluation
from homefeed.evaluation.truth import read_truth
from homefeed.release.bundle import Release
from tests.data_fixtures import TINY_FEATURES
from tests.evaluation.known_release import KnownRelease, best_pins

CUTOFFS = (5, 20)


def test_the_model_is_measured_by_what_the_release_recommends(
    known_release: KnownRelease, evaluation: Evaluation, tmp_path: Path
) -> None:
    truth = read_truth(known_release.dataset, 7.0, None, 1, tmp_path / "output")
    best = best_pins(known_release, max(CUTOFFS))
    model = evaluation.recommenders["model"]
    for k in CUTOFFS:
        recalls, gains, shown = [], [], set()
        for user_id, relevant in zip(truth.user_ids, truth.relevant, strict=True):
            first, right = best[user_id][:k], set(relevant.tolist())
            shown |= set(first)
            recalls.append(len(right & set(first)) / len(right))
            gain = sum(1 / math.log2(i + 2) for i, pin in enumerate(first) if pin in right)
            gains.append(gain / sum(1 / math.log2(i + 2) for i in range(min(k, len(right)))))
        assert model[f"recall@{k}"] == pytest.approx(np.mean(recalls))
        assert model[f"ndcg@{k}"] == pytest.approx(np.mean(gains))
        assert model[f"hit@{k}"] == pytest.approx(np.mean(np.array(recalls) > 0))
        assert model[f"coverage@{k}"] == pytest.approx(len(shown) / len(truth.candidates))
    # The comparison is not an empty one.
    assert 0 < model["recall@5"] < model["recall@20"] < 1


def test_everyone_is_measured_by_everything(evaluation: Evaluation) -> None:
    names = {f"{m}@{k}" for m in ("recall", "ndcg", "hit", "coverage") for k in CUTOFFS}
    assert list(evaluation.recommenders) == ["model", "popularity", "decayed_popularity", "ease"]
    assert all(set(metrics) == names for metrics in evaluation.recommenders.values())
    assert evaluation.left_out == {}
    assert set(evaluation.differences) == {n for n in names if not n.startswith("coverage")}
    model = evaluation.recommenders["model"]
    for metric, difference in evaluation.differences.items():
        best = max(own[metric] for name, own in evaluation.recommenders.items() if name != "model")
        assert evaluation.recommenders[difference.baseline][metric] == best
        assert difference.value == pytest.approx(model[metric] - best)
        assert difference.low <= difference.value <= difference.high


def test_the_facts_are_those_of_release_and_data_set(
    known_release: KnownRelease, evaluation: Evaluation, tmp_path: Path
) -> None:
    truth = read_truth(known_release.dataset, 7.0, None, 1, tmp_path / "output")
    source = read_manifest(known_release.dataset, "dataset")
    release = Release.open(known_release.folder)
    assert evaluation.release_version == release.version
    assert evaluation.dataset == source.fingerprint
    assert evaluation.window == source.window
    assert evaluation.population.num_users == evaluation.population.num_warm_users
    assert evaluation.population.num_users == len(truth.users)
    assert evaluation.population.num_relevant == len(truth.relevant.values)
    assert evaluation.population.num_unreachable == truth.num_unreachable
    assert evaluation.catalogue.num_corpus_pins == len(known_release.corpus)
    assert evaluation.catalogue.num_candidates == len(truth.candidates)
    assert evaluation.catalogue.index_kind == "flat"
    assert evaluation.ann_recall == {"recall@5": 1.0, "recall@20": 1.0}
    assert evaluation.num_exact_users == len(truth.users)
    buckets = evaluation.by_history_length
    assert sum(bucket.num_users for bucket in buckets) == len(truth.users)
    recalls = [b.recommenders["model"]["recall@20"] * b.num_users for b in buckets]
    assert sum(recalls) / len(truth.users) == pytest.approx(
        evaluation.recommenders["model"]["recall@20"]
    )


def test_an_evaluation_is_repeatable(
    known_release: KnownRelease, evaluation_folder: Path, tmp_path: Path
) -> None:
    config = EvaluationConfig(cutoffs=CUTOFFS)
    release, dataset, towers = known_release[:3]
    manifest = evaluate_release(release, dataset, towers, config, 1, tmp_path / "again")
    assert manifest.fingerprint == read_manifest(evaluation_folder, "evaluation").fingerprint
    assert set(manifest.files) == {"evaluation.json", "report.html"}
    assert manifest.inputs == {
        "release": Release.open(release).manifest.fingerprint,
        "dataset": read_manifest(dataset, "dataset").fingerprint,
        "towers": read_manifest(towers, "towers").fingerprint,
    }


def test_ease_is_left_out_where_there_are_too_many_pins(
    known_release: KnownRelease, tmp_path: Path
) -> None:
    config = EvaluationConfig(cutoffs=(5,), ease_max_pins=10, max_users=8)
    release, dataset, towers = known_release[:3]
    evaluate_release(release, dataset, towers, config, 1, tmp_path / "evaluation")
    evaluation = read_evaluation(tmp_path / "evaluation")
    assert list(evaluation.recommenders) == ["model", "popularity", "decayed_popularity"]
    why = "56 pins are more than evaluation.ease_max_pins=10"
    assert evaluation.left_out == {"ease": why}
    assert evaluation.population.num_users == evaluation.num_exact_users == 8
    assert evaluation.population.num_warm_users > 8
    assert f"EASE is left out: {why}." in (tmp_path / "evaluation" / "report.html").read_text()


def test_a_release_of_another_data_set_is_refused(
    known_release: KnownRelease, tiny_events: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    manifest = build_dataset(
        tiny_events, DatasetConfig(split="random"), TINY_FEATURES, seed=0, output=other
    )
    ours = read_manifest(known_release.dataset, "dataset").fingerprint[:12]
    message = f"the data set {ours}, .*other is {manifest.fingerprint[:12]}: evaluate a release on"
    with pytest.raises(ValueError, match=message):
        evaluate_release(
            known_release.folder, other, known_release.towers, EvaluationConfig(), 0, tmp_path / "e"
        )


def test_a_pin_that_the_data_set_lacks_is_refused(
    known_release: KnownRelease, tmp_path: Path
) -> None:
    # Without its own pins the data set no longer fits; its manifest says nothing of that.
    dataset = shutil.copytree(known_release.dataset, tmp_path / "dataset")
    pins = pq.read_table(dataset / "pins.parquet")
    pq.write_table(pins.slice(0, 1), dataset / "pins.parquet")
    with pytest.raises(ValueError, match=r"recommends pin pin .* which .*dataset does not hold"):
        evaluate_release(
            known_release.folder,
            dataset,
            known_release.towers,
            EvaluationConfig(),
            0,
            tmp_path / "evaluation",
        )


def test_a_damaged_release_is_refused(known_release: KnownRelease, tmp_path: Path) -> None:
    release = shutil.copytree(known_release.folder, tmp_path / "release")
    manifest = json.loads((release / MANIFEST_FILE).read_text())
    manifest["files"]["user_tower.pt"] = "0" * 64
    (release / MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"user_tower.pt of release .* has sha256"):
        evaluate_release(
            release,
            known_release.dataset,
            known_release.towers,
            EvaluationConfig(),
            0,
            tmp_path / "evaluation",
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoffs": ()}, r"evaluation.cutoffs=\[\]"),
        ({"cutoffs": (10, 0)}, r"evaluation.cutoffs=\[10, 0\]: at least one, each >= 1"),
        ({"ease_regularisation": 0.0}, "evaluation.ease_regularisation=0.0 must be positive"),
        ({"max_users": 0}, "evaluation.max_users=0 must be positive"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**settings)
