"""Whether a release can take another's place in running pods, or why not.

A refresh has the towers and the encoder of the release before it, which stay loaded; its index,
users and popular pins are its own. A release of other towers takes new pods.
"""

import errno
from enum import StrEnum

from homefeed.contracts import METRIC, USER_TOWER_FILE, OtherSchemaError, read_manifest
from homefeed.features.encoder import FEATURES_FILE
from homefeed.index.layout import INDEX
from homefeed.release.bundle import Release, ReleaseManifest

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Reason(StrEnum):
    """Why a release does not take another's place."""

    CORRUPT = "corrupt"  # a file is missing, or not the one of the manifest
    SCHEMA = "schema"  # of another version of homefeed
    EMBEDDING_SPACE = "embedding_space"  # of other towers
    METRIC = "metric"  # the index compares vectors in another way
    DISK = "disk"  # there is no room for it
    STORE = "store"  # the store does not give it


class RefusedReleaseError(ValueError):
    """A release that can take no other's place."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_refresh(served: ReleaseManifest, new: ReleaseManifest) -> None:
    """Compares what must be equal, as far as the manifests say it.

    Args:
        served: of the release that answers.
        new: of the one that shall.

    Raises:
        RefusedReleaseError: another embedding space, user tower or encoder.
    """
    facts = [("embedding space", served.embedding_space, new.embedding_space)] + [
        (f"sha256 of {name}", served.files.get(name, ""), new.files.get(name, ""))
        for name in (USER_TOWER_FILE, FEATURES_FILE)
    ]
    for fact, ours, theirs in facts:
        if ours != theirs:
            raise RefusedReleaseError(
                Reason.EMBEDDING_SPACE,
                f"release {new.version} has {fact} {theirs!r}, release {served.version}, which is "
                f"served, has {ours!r}: another model takes new pods",
            )


def check_index(release: Release) -> None:
    """Checks that the index of a release is one for its towers.

    Raises:
        RefusedReleaseError: it has another embedding space or metric.
        OtherSchemaError: it is of another schema version.
        ValueError: it is none.
    """
    details = read_manifest(release.index, INDEX).details
    for reason, fact, needed in (
        (Reason.EMBEDDING_SPACE, "embedding_space", release.embedding_space),
        (Reason.METRIC, "metric", METRIC),
    ):
        if (found := details.get(fact)) != needed:
            raise RefusedReleaseError(
                reason,
                f"the index of release {release.version} has {fact} {found!r}; {needed!r} is "
                "needed: build the release anew",
            )


def reason_of(error: Exception, otherwise: Reason) -> Reason:
    """What an error says that came up while a release was fetched or opened."""
    match error:
        case RefusedReleaseError():
            return error.reason
        case OtherSchemaError():
            return Reason.SCHEMA
        case OSError() if error.errno in NO_ROOM:
            return Reason.DISK
        case ValueError() | KeyError() | FileNotFoundError():
            return Reason.CORRUPT
        case _:
            return otherwise
