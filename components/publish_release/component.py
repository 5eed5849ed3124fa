"""The last step before the report: the release goes to where serving takes it from."""

from kfp import dsl

from components.step import step


@step
def publish_release(
    release: dsl.Input[dsl.Model], store: str, channel: str, replaces: str = ""
) -> str:
    """Uploads the release into a release store and points a channel to it.

    Args:
        release: the release.
        store: URL of the release store; empty publishes nothing.
        channel: what then stands for this release, as "production" does.
        replaces: version of the release that this one was made from; where the channel stands for
            another by now, that is not pushed out. Empty replaces any.

    Returns:
        The version that was published; empty for none.
    """
    from homefeed.stage import stage

    with stage("publish_release"):
        from pathlib import Path

        from homefeed.release.store import ReleaseStore

        if not store:
            print(f"no store is given: release {release.metadata['version']} is not published")
            return ""
        version = ReleaseStore(store).publish(Path(release.path), channel, replaces)
        print(f"published release {version} in {store} as {channel}")
        return version
