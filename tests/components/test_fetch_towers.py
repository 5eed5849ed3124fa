from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.fetch_towers.component import fetch_towers
from homefeed.config import to_yaml
from homefeed.dataset.config import DatasetConfig
from homefeed.features.config import FeaturesConfig, HistoryConfig
from tests.release.published import FEATURES, Published, publish


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("published"))


def fetch(
    output: Path, store: str, channel: str, features: FeaturesConfig
) -> tuple[str, dsl.Model]:
    exported = dsl.Model(uri=str(output))
    component: Any = fetch_towers
    config = to_yaml(DatasetConfig())
    (version,) = component.python_func(store, channel, to_yaml(features), config, exported)
    return version, exported


def test_it_says_which_release_the_towers_are_from(published: Published, tmp_path: Path) -> None:
    version, exported = fetch(tmp_path / "exported", published.url, "production", FEATURES)
    assert version == exported.metadata["release"] == published.version
    assert exported.metadata["embedding_space"] == "space-a"
    for file in published.exported.iterdir():
        assert (tmp_path / "exported" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("channel", "features", "said"),
    [
        ("staging", FEATURES, "no channel 'staging'; it holds production"),
        (
            "production",
            FeaturesConfig(user=FEATURES.user, history=HistoryConfig(length=9)),
            "features.history of the recipe is",
        ),
    ],
)
def test_what_cannot_be_refreshed_is_refused(
    published: Published,
    tmp_path: Path,
    channel: str,
    features: FeaturesConfig,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        fetch(tmp_path / "exported", published.url, channel, features)
    output = capfd.readouterr()
    assert output.out.startswith("fetch_towers failed: ")
    assert said in output.out
    assert "Traceback" not in output.err
