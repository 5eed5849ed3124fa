from pathlib import Path
from typing import Any

import msgspec
import pytest
from kfp import dsl

from components.check_data.component import check_data
from components.check_online_skew.component import check_online_skew
from components.check_skew.component import check_skew
from components.fetch_profile.component import fetch_profile
from homefeed.config import Config, to_yaml
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.data_checks.check import read_profile
from homefeed.data_checks.config import ChecksConfig, SkewConfig
from homefeed.data_checks.layout import Profile
from tests.data_fixtures import TINY_FEATURES
from tests.evaluation.known_release import build_known_release


class Outputs:
    """What a check writes."""

    def __init__(self, folder: Path) -> None:
        self.artifact = dsl.Artifact("found", str(folder / "found"))
        self.metrics = dsl.Metrics("metrics", str(folder / "metrics"))
        self.report = dsl.HTML("report", str(folder / "report"))

    def run(self, component: Any, *inputs: Any, config: Config, more: tuple[str, ...] = ()) -> Any:
        artifacts = [dsl.Artifact(uri=str(path)) for path in inputs]
        written = (self.artifact, self.metrics, self.report)
        return component.python_func(*artifacts, to_yaml(config), *more, *written)

    @property
    def page(self) -> str:
        return Path(self.report.path).read_text()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def check(outputs: Outputs, events: Path, dataset: Path, previous: str = "", **limits: Any) -> str:
    config = ChecksConfig(**limits)
    return outputs.run(check_data, events, dataset, config=config, more=(previous,))


def test_it_hands_on_the_profile_without_its_days_and_shows_metrics_and_report(
    outputs: Outputs, tiny_events: Path, tiny_dataset: Path
) -> None:
    handed = msgspec.json.decode(check(outputs, tiny_events, tiny_dataset), type=Profile)
    profile = read_profile(Path(outputs.artifact.path))
    assert profile.days
    assert handed == msgspec.structs.replace(profile, days={})
    assert outputs.metrics.metadata["num_users"] == 40
    assert outputs.metrics.metadata["num_warnings"] == 0
    assert "There is no previous run to compare with." in outputs.page


def test_refused_data_leave_a_report(
    outputs: Outputs,
    tiny_events: Path,
    tiny_dataset: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = check(Outputs(tmp_path / "first"), tiny_events, tiny_dataset)
    before = msgspec.structs.replace(msgspec.json.decode(text, type=Profile), volume=1e6)
    previous = msgspec.json.encode(before).decode()
    with pytest.raises(SystemExit):
        check(outputs, tiny_events, tiny_dataset, previous)
    said = capfd.readouterr().out
    assert said.startswith("check_data failed: the data are not fit to train on")
    assert "volume: engagements: " in said
    assert "1 errors and 0 warnings" in outputs.page


def test_without_a_store_there_is_no_previous_profile() -> None:
    component: Any = fetch_profile
    assert component.python_func("", "production") == ""


def test_skew_is_shown_as_metrics_and_report(
    outputs: Outputs, tiny_dataset: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    select_corpus(tiny_dataset, CorpusConfig(window_days=None), TINY_FEATURES, corpus)
    outputs.run(check_skew, tiny_dataset, corpus, config=SkewConfig())
    assert outputs.metrics.metadata["PSI of quality"] == 0.0
    assert "Pins&#39; features in training and corpus" in outputs.page


def test_skew_that_is_refused_leaves_a_report(
    outputs: Outputs, tiny_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    release = build_known_release(tiny_dataset, tmp_path / "known").folder
    # Of all days, and of few half-lives: what users did since would then count as skew.
    config = SkewConfig(recent_days=30.0, max_psi=1e-12, max_ks=1e-12, max_unknown_rise=1e-12)
    outputs.run(check_online_skew, tiny_dataset, release, config=config)
    assert outputs.metrics.metadata["PSI of age"] == 0.0
    corpus = tmp_path / "known" / "corpus"
    (tmp_path / "other").mkdir()
    refused = Outputs(tmp_path / "other")
    with pytest.raises(SystemExit):
        refused.run(
            check_skew, tiny_dataset, corpus, config=SkewConfig(recent_days=14.0, max_psi=1e-12)
        )
    assert capfd.readouterr().out.startswith("check_skew failed: Pins' features")
    assert "too far" in refused.page
