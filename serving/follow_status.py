"""What the follower of a channel tells the sidecar, which exports it: a file beside the link."""

from pathlib import Path

import msgspec

from homefeed.release.refresh import Reason


class FollowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the looks at a channel so far."""

    channel_version: str = ""
    """What the channel stood for when it was last read."""
    refused_version: str = ""
    """What did not take the served one's place; "" where the channel could not be read."""
    reason: Reason | None = None
    """Why not; None where nothing is refused."""
    failures: dict[Reason, int] = {}
    """Looks that ended so, since the follower started."""
    looked_at: float = 0.0
    """When the channel was last read, in Unix seconds; 0 for never."""


def status_path(link: Path) -> Path:
    """Where the status of the release that a link leads to is."""
    return link.with_name(f"{link.name}.follow.json")


def write_status(link: Path, status: FollowStatus) -> None:
    """Writes it so that readers see the old or the new one, never a part."""
    path = status_path(link)
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(status))
    draft.replace(path)


def read_status(link: Path) -> FollowStatus | None:
    """The status; None where nothing is followed."""
    try:
        return msgspec.json.decode(status_path(link).read_bytes(), type=FollowStatus)
    except FileNotFoundError:
        return None
