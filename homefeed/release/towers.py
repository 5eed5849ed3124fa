"""Takes the towers of a published release, for a new release with a fresh corpus."""

from pathlib import Path
from typing import Any

import msgspec

from homefeed import __version__
from homefeed.contracts import PIN_TOWER_FILE, USER_TOWER_FILE, Manifest, write_manifest
from homefeed.dataset.config import DatasetConfig
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.features.config import FeaturesConfig
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.release.bundle import ReleaseManifest
from homefeed.release.store import ReleaseStore


def fetch_towers(
    store: str, channel: str, features: FeaturesConfig, dataset: DatasetConfig, output: Path
) -> ReleaseManifest:
    """Makes the exported towers artifact again that a release was bundled from.

    Args:
        store: URL of the release store.
        channel: what stands for the release.
        features: the features section of the recipe that the corpus is refreshed by.
        dataset: its dataset section.
        output: folder of the artifact.

    Returns:
        The manifest of the release.

    Raises:
        ValueError: the store holds no such channel, a file of the release is missing or changed, or
            its towers were trained by another recipe, or are others than its manifest says.
    """
    files = (USER_TOWER_FILE, PIN_TOWER_FILE, FEATURES_FILE)
    release = ReleaseStore(store).fetch_files(channel, files, output)
    if EXPORTED_TOWERS not in release.details:
        raise ValueError(
            f"the manifest of release {release.version} says nothing of its towers, as it was made "
            f"by an earlier {release.produced_by}: make a release with train_and_release first"
        )
    encoder = FeatureEncoder.load(output / FEATURES_FILE)
    _check_recipe(release.version, encoder, features, dataset)
    towers = msgspec.convert(release.details[EXPORTED_TOWERS], Manifest)
    written = write_manifest(output, towers)
    if written.fingerprint != (recorded := release.inputs.get(EXPORTED_TOWERS)):
        raise ValueError(
            f"the towers of release {release.version} have fingerprint {written.fingerprint} by "
            f"this homefeed {__version__}, but its manifest, made by {release.produced_by}, says "
            f"{recorded}: make a release with train_and_release first"
        )
    return release


def _check_recipe(
    version: str, encoder: FeatureEncoder, features: FeaturesConfig, dataset: DatasetConfig
) -> None:
    """The recipe must feed the towers what they were trained with."""
    what_to_do = (
        "refresh with the recipe that they were trained by, or train others with train_and_release"
    )
    for field in msgspec.structs.fields(FeaturesConfig):
        ours, theirs = getattr(features, field.name), getattr(encoder.config, field.name)
        if ours != theirs:
            raise ValueError(
                f"features.{field.name} of the recipe is {_shown(ours)}, but the towers of release "
                f"{version} were trained with {_shown(theirs)}: {what_to_do}"
            )
    if excluded := sorted(set(dataset.exclude_actions) & set(encoder.actions.values)):
        raise ValueError(
            f"dataset.exclude_actions of the recipe names {', '.join(excluded)}, but the towers of "
            f"release {version} learnt from {', '.join(encoder.actions.values)}: {what_to_do}"
        )


def _shown(section: Any) -> str:
    return msgspec.json.encode(section).decode()
