"""Publishes a release of the store again, as if it were made at another time.

    python republish.py VERSION CREATED_AT CHANNEL

Runs in a pod with the serving image's packages and the store on /store; prints the new version.
With the release's own time it is the same release, and only the channel changes.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from homefeed.contracts import new_version, write_manifest
from homefeed.release.store import ReleaseStore


def main(version: str, created_at: int, channel: str) -> None:
    store = ReleaseStore("file:///store")
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / "release"
        manifest = store.fetch(version, copy).manifest
        if created_at != manifest.created_at:
            version = new_version(created_at, manifest.fingerprint)
            other = msgspec.structs.replace(manifest, version=version, created_at=created_at)
            write_manifest(copy, other)
        print(store.publish(copy, channel))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
