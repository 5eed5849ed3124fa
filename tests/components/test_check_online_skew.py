from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.check_online_skew.component import check_online_skew
from homefeed.config import to_yaml
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, Vocabulary
from homefeed.release.config import OnlineSkewConfig
from tests.evaluation.known_release import build_known_release


@pytest.fixture(scope="module")
def release(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_known_release(tiny_dataset, tmp_path_factory.mktemp("known")).folder


def check(dataset: Path, release: Path, output: Path) -> tuple[dsl.Metrics, Path]:
    output.mkdir()
    metrics = dsl.Metrics("metrics", str(output / "metrics"))
    component: Any = check_online_skew
    component.python_func(
        dsl.Dataset(uri=str(dataset)),
        dsl.Model(uri=str(release)),
        to_yaml(OnlineSkewConfig(recent_days=30.0, min_rows=100)),
        dsl.Artifact("skew", str(output / "skew")),
        metrics,
        dsl.HTML("report", str(output / "report")),
    )
    return metrics, output / "report"


def test_skew_is_shown_as_metrics_and_report(
    tiny_dataset: Path, release: Path, tmp_path: Path
) -> None:
    metrics, report = check(tiny_dataset, release, tmp_path / "alike")
    assert metrics.metadata["PSI of age"] == metrics.metadata["PSI of history"] == 0.0
    assert "Every feature that is judged is within its limits." in report.read_text()


def test_skew_that_is_refused_leaves_a_report(
    tiny_dataset: Path, release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / FEATURES_FILE)
    encoder.vocabularies["age"] = Vocabulary(("99",))
    encoder.save(release / FEATURES_FILE)
    with pytest.raises(SystemExit):
        check(tiny_dataset, release, tmp_path / "skewed")
    assert capfd.readouterr().out.startswith("check_online_skew failed: Users' features")
    assert "too far" in (tmp_path / "skewed" / "report").read_text()
