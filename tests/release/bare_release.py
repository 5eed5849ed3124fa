"""A release as far as a store looks at it: a manifest and files in folders."""

from pathlib import Path

from homefeed.contracts import new_version, write_manifest
from homefeed.release.bundle import RELEASE, ReleaseManifest


def write_bare_release(folder: Path, created_at: int, contents: str = "tower") -> Path:
    """Writes a release of a Unix time; returns its folder."""
    (folder / "index").mkdir(parents=True)
    (folder / "user_tower.pt").write_text(contents)
    (folder / "index" / "vectors.npy").write_text("vectors")
    manifest = ReleaseManifest(
        kind=RELEASE,
        version=new_version(created_at, "0" * 8),
        embedding_space="space",
        created_at=created_at,
    )
    write_manifest(folder, manifest)
    return folder
