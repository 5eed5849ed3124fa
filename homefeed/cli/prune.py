"""`homefeed prune`: old releases and broken-off uploads leave a store."""

from collections.abc import Iterator, Sequence
from itertools import chain

from homefeed.cli.console import say
from homefeed.cli.publish import S3_VARIABLES
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.release.store import ReleaseStore
from homefeed.store import ArtifactStore, Removed
from homefeed.time_limit import ANSWER_SECONDS, time_limit


def prune_store(
    store: str, keep: int, also: Sequence[str], keep_ids: int | None, dry_run: bool
) -> None:
    """Removes what is old from a store, and prints each and the bytes that it held.

    Args:
        store: URL of the release store, or a folder.
        keep: how many of the last releases stay.
        also: versions or channels whose releases stay too.
        keep_ids: how many of the last ID embeddings stay; None keeps all.
        dry_run: removes nothing.

    Raises:
        ValueError: there is no release of a name in `also`, or a channel cannot be read.
        RuntimeError: the store cannot be used; says why.
    """
    try:
        with time_limit(ANSWER_SECONDS, f"it did not answer within {ANSWER_SECONDS} seconds"):
            ArtifactStore(store).check()  # a bucket that is not there has nothing to remove either
            pruned = ReleaseStore(store).prune(keep, also, dry_run)
        said = _say_each(pruned, "release", dry_run)
        if keep_ids is not None:
            tables = IdEmbeddingStore(store).prune(keep_ids, dry_run)
            said = chain(said, _say_each(tables, "ID embeddings", dry_run))
        sizes = list(said)
    except ValueError:
        raise
    except Exception as error:  # clients of object stores raise what they like
        raise RuntimeError(
            f"release store {store}: {type(error).__name__}: {error}; check the URL, and for S3 "
            f"the variables {S3_VARIABLES}. What was removed in part is no release any more; the "
            "rest of it goes with a later prune"
        ) from error
    freed = "would be freed" if dry_run else "freed"
    say(f"{sum(sizes):,} bytes {freed} in {store}")


def _say_each(removed: Iterator[Removed], kind: str, dry_run: bool) -> Iterator[int]:
    """Prints each and yields its size."""
    for version, num_bytes, was_whole in removed:
        what = kind if was_whole else f"broken-off upload of {kind}"
        say(f"{'would remove' if dry_run else 'removed'} {what} {version}, {num_bytes:,} bytes")
        yield num_bytes
