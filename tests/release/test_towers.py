from pathlib import Path

import msgspec
import pytest

from homefeed import __version__
from homefeed.contracts import MANIFEST_FILE, write_manifest
from homefeed.dataset.config import DatasetConfig
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.features.config import Categorical, FeaturesConfig, HistoryConfig
from homefeed.release.bundle import read_release_manifest
from homefeed.release.store import ReleaseStore
from homefeed.release.towers import fetch_towers
from tests.release.published import FEATURES, Published, bundle, publish

TOWERS = ("user_tower.pt", "pin_tower.pt", "features.json")


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return publish(tmp_path)


def test_the_exported_towers_come_back_as_they_were(published: Published, tmp_path: Path) -> None:
    release = fetch_towers(
        published.url, "production", FEATURES, DatasetConfig(), tmp_path / "fetched"
    )
    assert release.version == published.version
    for name in (*TOWERS, MANIFEST_FILE):
        assert (tmp_path / "fetched" / name).read_bytes() == (
            published.exported / name
        ).read_bytes()
    # Not the index nor the users, which may be large.
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == sorted(
        (*TOWERS, MANIFEST_FILE)
    )


def test_a_release_of_fetched_towers_gives_them_on(published: Published, tmp_path: Path) -> None:
    fetch_towers(published.url, "production", FEATURES, DatasetConfig(), tmp_path / "fetched")
    second = bundle(tmp_path / "second", tmp_path / "fetched")
    first = read_release_manifest(published.release)
    found = read_release_manifest(second)
    assert found.embedding_space == first.embedding_space
    assert found.details == first.details
    for name in TOWERS:
        assert found.files[name] == first.files[name]


def test_an_unknown_channel_says_what_there_is(published: Published, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no channel 'staging'; it holds production"):
        fetch_towers(published.url, "staging", FEATURES, DatasetConfig(), tmp_path / "fetched")


def test_an_empty_store_has_no_towers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty holds no channel 'production'; it holds none"):
        fetch_towers(
            str(tmp_path / "empty"), "production", FEATURES, DatasetConfig(), tmp_path / "fetched"
        )


@pytest.mark.parametrize("name", TOWERS)
def test_a_changed_tower_is_refused(published: Published, tmp_path: Path, name: str) -> None:
    path = Path(published.url) / "releases" / published.version / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"{name} of release {published.version} has sha256"):
        fetch_towers(published.url, "production", FEATURES, DatasetConfig(), tmp_path / "fetched")


@pytest.mark.parametrize(
    ("features", "ours", "theirs"),
    [
        (
            FeaturesConfig(user=(Categorical(column="zip"),), history=FEATURES.history),
            r'features\.user of the recipe is \[\{"kind":"categorical","column":"zip"',
            r'release 20\S+ were trained with \[\{"kind":"categorical","column":"age"',
        ),
        (
            FeaturesConfig(user=FEATURES.user, history=HistoryConfig(length=9)),
            r'features\.history of the recipe is \{"length":9,"delay_hours":0\.0\}',
            r'release 20\S+ were trained with \{"length":3,"delay_hours":0\.0\}',
        ),
    ],
)
def test_a_recipe_with_other_features_is_refused(
    published: Published, tmp_path: Path, features: FeaturesConfig, ours: str, theirs: str
) -> None:
    with pytest.raises(ValueError, match=f"{ours}.*{theirs}.*refresh with the recipe that"):
        fetch_towers(published.url, "production", features, DatasetConfig(), tmp_path / "fetched")


def test_a_recipe_that_excludes_what_the_towers_learnt_from_is_refused(
    published: Published, tmp_path: Path
) -> None:
    config = DatasetConfig(exclude_actions=("hide", "click"))
    with pytest.raises(
        ValueError, match=r"exclude_actions .* names click, but .* learnt from click, save"
    ):
        fetch_towers(published.url, "production", FEATURES, config, tmp_path / "fetched")


def test_a_release_that_says_nothing_of_its_towers_is_refused(
    published: Published, tmp_path: Path
) -> None:
    manifest = read_release_manifest(published.release)
    later = msgspec.structs.replace(manifest, version=manifest.version[:-8] + "0" * 8, details={})
    write_manifest(published.release, later)
    ReleaseStore(published.url).publish(published.release, "production")
    with pytest.raises(ValueError, match="says nothing of its towers"):
        fetch_towers(published.url, "production", FEATURES, DatasetConfig(), tmp_path / "fetched")


@pytest.mark.parametrize("inputs", [{}, {EXPORTED_TOWERS: "0123"}])
def test_a_release_whose_towers_are_not_those_of_its_manifest_is_refused(
    published: Published, tmp_path: Path, inputs: dict[str, str]
) -> None:
    manifest = read_release_manifest(published.release)
    other = msgspec.structs.replace(
        manifest,
        version=manifest.version[:-8] + "0" * 8,
        inputs=inputs,
        produced_by="homefeed 0.0.1",
    )
    write_manifest(published.release, other)
    ReleaseStore(published.url).publish(published.release, "production")
    said = (
        rf"towers of release {other.version} have fingerprint [0-9a-f]{{64}} by this homefeed "
        rf"{__version__}, but its manifest, made by homefeed 0\.0\.1, says "
        rf"{inputs.get(EXPORTED_TOWERS)}: make a release with train_and_release first"
    )
    with pytest.raises(ValueError, match=said):
        fetch_towers(published.url, "production", FEATURES, DatasetConfig(), tmp_path / "fetched")
