"""The names and shapes that stages agree on; spelled here and nowhere else.

Tables are Parquet. External ids are strings. Timestamps are int64 Unix seconds, UTC. Windows are
half-open: `[start, end)`. Every artifact is a folder that holds a `manifest.json` (`Manifest`).
"""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from homefeed import __version__

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"
USER_TOWER_FILE = "user_tower.pt"
PIN_TOWER_FILE = "pin_tower.pt"
METRIC = "inner_product"
"""How vectors of users and pins are compared; all are unit vectors, so it is the cosine."""
VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
"""Of what is published: a time, UTC, so that versions sort; then a hash of the contents."""


class Column(StrEnum):
    """Columns of the contract's tables."""

    EVENT_ID = "event_id"  # int64, the row's place in the source: breaks ties in time
    USER_ID = "user_id"  # string
    PIN_ID = "pin_id"  # string
    ACTION = "action"  # string
    SURFACE = "surface"  # string
    TIMESTAMP = "timestamp"  # int64, Unix seconds, UTC
    SOURCE_INTEREST = "source_interest"  # string or null
    IMAGE_SIGNATURE = "image_signature"  # string
    CANONICAL_SIGNATURE = "canonical_signature"  # string: one for all near-duplicate images
    CREATED_AT = "created_at"  # int64, Unix seconds, UTC, or null
    INTERESTS = "interests"  # list of strings
    TITLE = "title"  # string, for people to read
    FOLLOWED_INTERESTS = "followed_interests"  # list of strings
    INFERRED_INTERESTS = "inferred_interests"  # list of strings


class Action(StrEnum):
    """What a user did with a pin; a log may hold further actions, named in its recipe."""

    CLICK = "click"
    CLOSEUP = "closeup"
    SAVE = "save"
    HIDE = "hide"


class Granularity(StrEnum):
    """What one id of an artifact stands for."""

    PIN = "pin"
    IMAGE_SIGNATURE = "image_signature"
    CANONICAL_SIGNATURE = "canonical_signature"


class Window(msgspec.Struct, frozen=True):
    """A span of time `[start, end)` in Unix seconds."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{iso(self.start)}..{iso(self.end)}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What every artifact says of itself; a consumer checks what it needs and refuses the rest.

    `kind` names the artifact ("events", "dataset", ...); `inputs` maps an input's name to its
    fingerprint; `files` maps a relative path to its sha256; `details` holds the artifact's own
    facts (counts, the effective configuration, what an embedding is).
    """

    kind: str
    schema_version: int = SCHEMA_VERSION
    produced_by: str = f"homefeed {__version__}"
    granularity: Granularity = Granularity.PIN
    window: Window | None = None
    inputs: dict[str, str] = {}
    files: dict[str, str] = {}
    details: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """sha256 over what the artifact holds; equal contents have equal fingerprints."""
        facts = {"kind": self.kind, "schema": self.schema_version, "files": self.files}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class OtherSchemaError(ValueError):
    """An artifact is of another schema version than this homefeed reads."""


M = TypeVar("M", bound=Manifest)


def iso(timestamp: int) -> str:
    """A Unix timestamp as people read it, to the second, UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_version(timestamp: int, content_hash: str) -> str:
    """The version of what is of a Unix time and has contents with a hex hash."""
    return f"{iso(timestamp).replace('-', '').replace(':', '')}-{content_hash[:8]}"


def sha256_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path, leave_out: Iterable[str] = (MANIFEST_FILE,)) -> dict[str, str]:
    """Relative path to sha256 of every file below `folder`, sorted by path."""
    skipped = set(leave_out)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: sha256_file(folder / name) for name in names if name not in skipped}


def verify_files(
    folder: Path, manifest: Manifest, names: Iterable[str], title: str, what_to_do: str
) -> None:
    """Compares some of an artifact's files with its manifest.

    Args:
        folder: of the artifact.
        manifest: of the artifact.
        names: which files, by their names in the manifest.
        title: what the artifact is called in an error.
        what_to_do: where a file is not what it should be.

    Raises:
        ValueError: a file is missing or changed; names it.
    """
    for name in names:
        path, expected = folder / name, manifest.files[name]
        if not path.is_file():
            raise ValueError(f"{title} lacks {path}: {what_to_do}")
        if (found := sha256_file(path)) != expected:
            raise ValueError(
                f"{path} of {title} has sha256 {found}; its manifest says {expected}: {what_to_do}"
            )


def write_manifest(folder: Path, manifest: M) -> M:
    """Hashes the folder's files into the manifest and writes it, last and atomically.

    Returns:
        The manifest as written.
    """
    complete = msgspec.structs.replace(manifest, files=hash_files(folder))
    text = msgspec.json.format(msgspec.json.encode(complete, order="sorted"), indent=2)
    draft = folder / f".{MANIFEST_FILE}"
    draft.write_bytes(text + b"\n")
    draft.replace(folder / MANIFEST_FILE)
    return complete


def read_manifest(folder: Path, kind: str) -> Manifest:
    """Reads an artifact's manifest and checks that it is of the wanted kind and schema.

    Raises:
        OtherSchemaError: it is of another schema version.
        ValueError: there is no manifest, it is of another kind, or it names a file outside the
            folder.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {MANIFEST_FILE}: it is no finished {kind} artifact")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}") from error
    if manifest.kind != kind:
        raise ValueError(f"{path} describes a {manifest.kind!r} artifact; {kind!r} is needed here")
    if manifest.schema_version != SCHEMA_VERSION:
        raise OtherSchemaError(
            f"{path} has schema version {manifest.schema_version}; this homefeed reads "
            f"{SCHEMA_VERSION}. It was made by {manifest.produced_by}: make it again."
        )
    for name in manifest.files:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"{path} names {name!r}, which leads out of the {kind}")
    return manifest
