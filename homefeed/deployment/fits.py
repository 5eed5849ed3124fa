"""Whether a release may be deployed at all; looked at before anything is changed."""

from pathlib import Path
from tempfile import TemporaryDirectory

from homefeed.contracts import MANIFEST_FILE
from homefeed.release.bundle import INDEX_FOLDER, Release, ReleaseManifest
from homefeed.release.refresh import check_index
from homefeed.release.store import ReleaseStore


def check_fits(store: str, version: str, channel: str) -> ReleaseManifest:
    """Refuses what no pod could serve, and what would leave a channel with two releases.

    Args:
        store: URL of the release store.
        version: of the release.
        channel: what must stand for it; empty looks at none.

    Returns:
        The release's manifest.

    Raises:
        ValueError: the store does not hold it, it is of another schema, its index is of another
            embedding space than its towers, or the channel stands for another release; names both
            sides.
    """
    releases = ReleaseStore(store)
    if channel and (found := releases.resolve(channel)) != version:
        raise ValueError(
            f"channel {channel!r} of {store} stands for release {found}, and release {version} was "
            f"to be deployed from it: two releases would be in production. Deploy {found}, or "
            f"publish {version} to the channel again"
        )
    with TemporaryDirectory() as scratch:
        try:
            files = (f"{INDEX_FOLDER}/{MANIFEST_FILE}",)
            manifest = releases.fetch_files(version, files, Path(scratch))
            check_index(Release(Path(scratch), manifest))
        except (ValueError, FileNotFoundError) as error:
            said = str(error).replace(scratch, f"{store}/releases/{version}")
            raise ValueError(f"release {version} cannot be deployed: {said}") from error
    return manifest


def check_way_back(before: str, target: str, channel: str) -> None:
    """Refuses to deploy over pods that follow a channel: going back would lead to the new release.

    Raises:
        ValueError: they do; says what to do.
    """
    if before == channel != "":
        raise ValueError(
            f"{target} follows channel {channel!r}, which stands for the new release already, so "
            "no rollback would lead back. Either leave deployments out, as pods that follow a "
            "channel take its releases by themselves, or give the chart the version that its pods "
            "serve now (release.version) and deploy again"
        )
