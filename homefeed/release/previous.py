"""The release in production, and what it says of the data that it was made of."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from homefeed.data_checks.layout import DATA_PROFILE, Profile
from homefeed.release.store import ReleaseStore


def find_version(store: str, channel: str) -> str:
    """The version of the release that a channel stands for; empty where there is none.

    Args:
        store: URL of the release store; empty for none.
        channel: its name; empty for none.
    """
    if not store or not channel or channel not in (releases := ReleaseStore(store)).channels():
        return ""
    return releases.resolve(channel)


def fetch_profile(store: str, version: str) -> Profile | None:
    """The profile that travels with a published release.

    Args:
        store: URL of the release store.
        version: of the release; empty for none.

    Returns:
        None where there is no release or profile, or another version of homefeed wrote one that
        this one cannot read: there is then nothing to compare with, which is no fault of the data.
    """
    if not version:
        return None
    with TemporaryDirectory() as folder:
        manifest = ReleaseStore(store).fetch_files(version, (), Path(folder))
    if DATA_PROFILE not in manifest.details:
        return None
    try:
        return msgspec.convert(manifest.details[DATA_PROFILE], Profile)
    except msgspec.ValidationError as error:
        print(
            f"release {manifest.version}, made by {manifest.produced_by}, has a data profile that "
            f"cannot be compared with: {error}",
            file=sys.stderr,
        )
        return None
