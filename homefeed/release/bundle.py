"""A release: one immutable folder that holds all that serving needs, checked by sha256.

    manifest.json    version, embedding space, sha256 of every file, metrics
    user_tower.pt    pin_tower.pt    features.json
    index/           the search index
    users/           the users' snapshot
    prepared_users.mdb   the same by rows of this release's index and vocabularies
    popular.json     what is answered when the search cannot be
    model-store/     what TorchServe loads

Reading only: `homefeed.release.build` makes a release.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from homefeed import contracts
from homefeed.contracts import (
    MANIFEST_FILE,
    VERSION,
    Manifest,
    new_version,
    read_manifest,
)

RELEASE = "release"
"""Kind of the artifact."""
POPULAR_FILE = "popular.json"
PREPARED_USERS_FILE = "prepared_users.mdb"
INDEX_FOLDER = "index"
USERS_FOLDER = "users"
MODEL_STORE_FOLDER = "model-store"


class ReleaseManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a release; `created_at` is in Unix seconds.

    `conditional` says whether the user tower was trained with an interest to be asked for; earlier
    releases do not say it and are not asked for any.
    """

    version: str
    embedding_space: str
    created_at: int
    conditional: bool = False
    metrics: dict[str, float] = {}


class Popular(msgspec.Struct, frozen=True):
    """Pin ids by corpus score, best first: over all pins, and of each interest."""

    pins: tuple[str, ...]
    interests: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Release:
    """A release on disk; every file was compared with its sha256 when it was opened."""

    folder: Path
    manifest: ReleaseManifest

    @classmethod
    def open(cls, folder: Path) -> "Release":
        """Reads and verifies a release.

        Raises:
            ValueError: the folder is no release of this schema, a path in the manifest leads out
                of it, or a file is missing or changed; names the file.
        """
        manifest = read_release_manifest(folder)
        verify_files(folder, manifest, manifest.files)
        return cls(folder, manifest)

    @property
    def version(self) -> str:
        """Sorts by time of creation."""
        return self.manifest.version

    @property
    def embedding_space(self) -> str:
        """What user and pin vectors of this release have in common."""
        return self.manifest.embedding_space

    @property
    def is_conditional(self) -> bool:
        """Whether users can be embedded for an interest."""
        return self.manifest.conditional

    @property
    def index(self) -> Path:
        """Folder of the search index."""
        return self.folder / INDEX_FOLDER

    @property
    def users(self) -> Path:
        """Folder of the users' snapshot."""
        return self.folder / USERS_FOLDER

    @property
    def prepared_users(self) -> Path | None:
        """The same users, prepared; None in earlier releases, which have none."""
        is_there = PREPARED_USERS_FILE in self.manifest.files
        return self.folder / PREPARED_USERS_FILE if is_there else None

    @property
    def model_store(self) -> Path:
        """Folder that TorchServe loads models from."""
        return self.folder / MODEL_STORE_FOLDER

    def popular(self) -> Popular:
        """The most popular pins."""
        return msgspec.json.decode((self.folder / POPULAR_FILE).read_bytes(), type=Popular)


def read_release_manifest(folder: Path) -> ReleaseManifest:
    """Reads a release's manifest without its files.

    Raises:
        ValueError: it is no release of this schema, or names a file outside the folder.
    """
    read_manifest(folder, RELEASE)
    path = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=ReleaseManifest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}") from error
    if not VERSION.fullmatch(manifest.version):
        raise ValueError(
            f"{path}: version {manifest.version!r} is none; versions look like "
            f"{new_version(0, '0' * 8)}"
        )
    return manifest


def verify_files(folder: Path, manifest: ReleaseManifest, names: Iterable[str]) -> None:
    """Compares some of a release's files with the manifest.

    Raises:
        ValueError: a file is missing or changed; names it.
    """
    title = f"release {manifest.version}"
    contracts.verify_files(folder, manifest, names, title, "fetch it again")
