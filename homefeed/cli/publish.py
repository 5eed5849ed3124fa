"""`homefeed publish`: a release goes to where pods take it from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homefeed.cli.console import say
from homefeed.cli.last_run import last_release
from homefeed.release.store import ReleaseStore
from homefeed.time_limit import ANSWER_SECONDS, time_limit

SLOWEST_BYTES_PER_SECOND = 250_000
"""Of an upload. A store that stops to read while it is sent a file would hold it for ever."""
S3_VARIABLES = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"


def publish_release(release: Path | None, store: str, channel: str, work: Path) -> None:
    """Publishes a release and prints its version.

    Args:
        release: its folder; None takes the last run's.
        store: URL of the release store, or a folder.
        channel: what then stands for the release.
        work: folder of the last run.

    Raises:
        ValueError: there is no whole release, or the channel's name is none.
        RuntimeError: the store cannot be used, or takes the release too slowly; says why.
    """
    folder = release or last_release(work)
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*"))
    most_seconds = ANSWER_SECONDS + num_bytes // SLOWEST_BYTES_PER_SECOND
    with _asking(store):
        complaint = f"it did not say what it holds within {ANSWER_SECONDS} seconds"
        with time_limit(ANSWER_SECONDS, complaint):
            ReleaseStore(store).channels()
        complaint = (
            f"it did not take the {num_bytes} bytes of {folder} within {most_seconds} seconds"
        )
        with time_limit(most_seconds, complaint):
            version = ReleaseStore(store).publish(folder, channel)
    say(f"published release {version} in {store} as {channel}")


def publish_again(name: str, store: str, channel: str) -> None:
    """Points a channel to a release that the store holds, and prints its version.

    Args:
        name: the release's version, or another channel that stands for it.
        store: URL of the release store, or a folder.
        channel: what then stands for the release.

    Raises:
        ValueError: the store holds no such release, or the channel's name is none.
        RuntimeError: the store cannot be used; says why.
    """
    with _asking(store):
        complaint = f"it did not answer within {ANSWER_SECONDS} seconds"
        with time_limit(ANSWER_SECONDS, complaint):
            version = ReleaseStore(store).point(channel, name)
    say(f"published release {version} in {store} as {channel}")


@contextmanager
def _asking(store: str) -> Iterator[None]:
    """Says which store it was that failed; what the user has given wrongly says so itself."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:  # clients of object stores raise what they like
        raise RuntimeError(
            f"release store {store}: {type(error).__name__}: {error}; check the URL, and for S3 "
            f"the variables {S3_VARIABLES}"
        ) from error
