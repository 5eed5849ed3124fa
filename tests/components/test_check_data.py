from pathlib import Path
from typing import Any

import msgspec
import pytest
from kfp import dsl

from components.check_data.component import check_data
from components.look_at_production.component import look_at_production
from homefeed.config import to_yaml
from homefeed.data_checks.check import read_profile
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.layout import Profile


class Outputs:
    """What the check writes."""

    def __init__(self, folder: Path) -> None:
        self.checks = dsl.Artifact("checks", str(folder / "checks"))
        self.metrics = dsl.Metrics("metrics", str(folder / "metrics"))
        self.report = dsl.HTML("report", str(folder / "report"))

    @property
    def page(self) -> str:
        return Path(self.report.path).read_text()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def check(outputs: Outputs, events: Path, dataset: Path, previous: str = "") -> str:
    component: Any = check_data
    inputs = (dsl.Dataset(uri=str(events)), dsl.Dataset(uri=str(dataset)))
    config = to_yaml(ChecksConfig())
    written = (outputs.checks, outputs.metrics, outputs.report)
    return component.python_func(*inputs, config, previous, *written)


def test_it_hands_on_the_profile_without_its_days_and_shows_metrics_and_report(
    outputs: Outputs, tiny_events: Path, tiny_dataset: Path
) -> None:
    handed = msgspec.json.decode(check(outputs, tiny_events, tiny_dataset), type=Profile)
    profile = read_profile(Path(outputs.checks.path))
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


def test_without_a_store_nothing_is_in_production() -> None:
    component: Any = look_at_production
    assert component.python_func("", "production") == ("", "", "")
