"""A release beside the one in production, from a real store."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from kfp import dsl

from components.check_not_worse.component import check_not_worse as step
from homefeed.config import to_yaml
from homefeed.contracts import MANIFEST_FILE
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.evaluate import evaluate_release
from homefeed.evaluation.gate import check_not_worse
from homefeed.evaluation.layout import (
    EVALUATION_FILE,
    REPORT_FILE,
    Difference,
    Evaluation,
    read_evaluation,
)
from homefeed.evaluation.through_release import rank_through_another
from homefeed.evaluation.truth import read_truth
from homefeed.ranking.metrics import NO_PIN
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from homefeed.release.write_users import write_user_snapshot
from tests.data_fixtures import TINY_FEATURES
from tests.evaluation.known_release import KnownRelease
from tests.serving.small_release import sign_release

CONFIG = EvaluationConfig(cutoffs=(5, 20))


def publish(folder: Path, store: Path) -> str:
    return ReleaseStore(str(store)).publish(folder, "production")


def evaluate(known: KnownRelease, version: str, store: Path, output: Path) -> Evaluation:
    release, dataset, towers = known[:3]
    evaluate_release(release, dataset, towers, CONFIG, 1, output, version, str(store))
    return read_evaluation(output)


def beside(evaluation: Evaluation, **gains: tuple[float, float, float]) -> Evaluation:
    """As if these were the differences to production: value, low and high by metric."""
    differences = {
        name.replace("_", "@"): Difference(baseline="production", value=value, low=low, high=high)
        for name, (value, low, high) in gains.items()
    }
    return msgspec.structs.replace(evaluation, production_version="before", gains=differences)


def test_the_release_in_production_is_asked_for_users_as_they_are_known_now(
    known_release: KnownRelease, tiny_events: Path, tmp_path: Path
) -> None:
    # Its own snapshot is of another data set, and knows events that are to be found.
    shutil.copytree(known_release.folder, tmp_path / "release")
    shutil.rmtree(tmp_path / "release" / "users")
    build_dataset(
        tiny_events,
        DatasetConfig(split="random"),
        TINY_FEATURES,
        seed=0,
        output=tmp_path / "other",
    )
    write_user_snapshot(tmp_path / "other", tmp_path / "release" / "users")
    sign_release(tmp_path / "release")
    version = publish(tmp_path / "release", tmp_path / "store")
    evaluation = evaluate(known_release, version, tmp_path / "store", tmp_path / "evaluation")
    assert list(evaluation.recommenders)[:3] == ["model", "production", "popularity"]
    assert evaluation.recommenders["production"] == evaluation.recommenders["model"]
    assert evaluation.production_version == version
    assert set(evaluation.gains) == set(evaluation.differences)
    for gain in evaluation.gains.values():
        assert (gain.baseline, gain.value, gain.low, gain.high) == ("production", 0, 0, 0)
    assert {each.baseline for each in evaluation.differences.values()}.isdisjoint({"production"})
    page = (tmp_path / "evaluation" / REPORT_FILE).read_text()
    assert "Model − production" in page
    assert f"beside release {version}, which is in production" in page
    assert version in check_not_worse(evaluation, CONFIG)


def test_a_release_that_cannot_be_read_is_left_out_and_stops_nothing(
    known_release: KnownRelease, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    version = publish(known_release.folder, store)
    damaged = store / "releases" / version / "features.json"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    evaluation = evaluate(known_release, version, store, tmp_path / "evaluation")
    assert "production" not in evaluation.recommenders
    assert (evaluation.production_version, evaluation.gains) == ("", {})
    assert "features.json" in evaluation.left_out["production"]
    assert "In production is left out: release" in (tmp_path / "evaluation/report.html").read_text()
    assert "features.json" in check_not_worse(evaluation, CONFIG)
    assert not list(tmp_path.glob("tmp*"))


def test_pins_that_the_data_set_lacks_or_has_as_one_find_nothing(
    known_release: KnownRelease, tmp_path: Path
) -> None:
    truth = read_truth(known_release.dataset, 7.0, None, 1, tmp_path / "scratch")
    release = Release.open(known_release.folder)
    known = shutil.copytree(release.users, tmp_path / "users")
    before = rank_through_another(release, known, known_release.dataset, truth.user_ids, 20)
    # The data set loses a pin, and another becomes the item of a third.
    dataset = shutil.copytree(known_release.dataset, tmp_path / "dataset")
    pins = pq.read_table(dataset / "pins.parquet")
    lost, same, kept = pins["pin_index"].to_pylist()[:3]
    without = pins.filter(np.isin(pins["pin_index"].to_numpy(), [lost], invert=True))
    indices = without["pin_index"].to_numpy().copy()
    indices[indices == same] = kept
    place = without.schema.get_field_index("pin_index")
    pq.write_table(without.set_column(place, "pin_index", [indices]), dataset / "pins.parquet")
    after = rank_through_another(release, known, dataset, truth.user_ids, 20)
    expected = np.where(before == lost, NO_PIN, np.where(before == same, kept, before))
    for row in expected:
        repeated = np.flatnonzero(row == kept)[1:]
        row[repeated] = NO_PIN
    assert np.isin(before, [lost, same]).any()
    assert after.tolist() == expected.tolist()


def test_a_worse_release_is_refused_with_its_figures(evaluation: Evaluation) -> None:
    found = beside(evaluation, recall_5=(0.01, -0.01, 0.03), ndcg_5=(-0.02, -0.03, -0.01))
    message = (
        rf"release {evaluation.release_version} is worse than before, which is in production, by "
        r"ndcg@5: recall@5 \+0.0100 \[-0.0100, \+0.0300\], ndcg@5 -0.0200 \[-0.0300, -0.0100\]"
    )
    with pytest.raises(ValueError, match=message):
        check_not_worse(found, CONFIG)
    # Who leaves the metric out lets it pass.
    alone = msgspec.structs.replace(CONFIG, gate_metrics=("recall@5",))
    assert "recall@5 +0.0100" in check_not_worse(found, alone)
    none = msgspec.structs.replace(CONFIG, gate_metrics=())
    assert "no metrics" in check_not_worse(found, none)


def test_the_step_of_the_pipelines_fails_by_the_same_rule(
    evaluation: Evaluation, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    component: Any = step
    artifact = dsl.Artifact("evaluation", str(tmp_path))
    better = beside(evaluation, recall_5=(0.02, 0.01, 0.03), ndcg_5=(0.02, 0.01, 0.03))
    (tmp_path / EVALUATION_FILE).write_bytes(msgspec.json.encode(better))
    assert "recall@5 +0.0200" in component.python_func(artifact, to_yaml(CONFIG))
    worse = beside(evaluation, recall_5=(-0.02, -0.03, -0.01), ndcg_5=(0.0, -0.01, 0.01))
    (tmp_path / EVALUATION_FILE).write_bytes(msgspec.json.encode(worse))
    with pytest.raises(SystemExit):
        component.python_func(artifact, to_yaml(CONFIG))
    assert "check_not_worse failed: release" in capfd.readouterr().out


def test_a_release_that_may_be_as_good_passes(evaluation: Evaluation) -> None:
    found = beside(evaluation, recall_5=(-0.01, -0.03, 0.01), ndcg_5=(-0.01, -0.02, 0.0))
    assert "recall@5 -0.0100" in check_not_worse(found, CONFIG)


def test_without_one_in_production_any_release_passes(evaluation: Evaluation) -> None:
    assert "beside none in production: there is none" in check_not_worse(evaluation, CONFIG)


def test_a_metric_that_is_not_measured_is_refused() -> None:
    message = r"evaluation.gate_metrics=\['recall@50'\] are not measured; there are recall@5, "
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(cutoffs=(5,), gate_metrics=("recall@50",))


def test_the_version_travels_in_the_manifest(known_release: KnownRelease, tmp_path: Path) -> None:
    version = publish(known_release.folder, tmp_path / "store")
    evaluate(known_release, version, tmp_path / "store", tmp_path / "evaluation")
    manifest = json.loads((tmp_path / "evaluation" / MANIFEST_FILE).read_text())
    assert manifest["details"]["production"] == version
