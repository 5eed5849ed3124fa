"""Makes a release of the artifacts of a run; apart from its reader, which serving imports."""

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from homefeed.contracts import (
    PIN_TOWER_FILE,
    USER_TOWER_FILE,
    Column,
    Manifest,
    hash_files,
    new_version,
    read_manifest,
    write_manifest,
)
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.data_checks.layout import DATA_PROFILE, Profile
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.index.layout import INDEX
from homefeed.release.bundle import (
    INDEX_FOLDER,
    MODEL_STORE_FOLDER,
    POPULAR_FILE,
    PREPARED_USERS_FILE,
    RELEASE,
    USERS_FOLDER,
    Popular,
    ReleaseManifest,
)
from homefeed.release.prepare_users import prepare_users
from homefeed.release.users import USERS

NUM_POPULAR = 1000
"""Length of each list of popular pins: the most that one request can ask for."""


def build_release(
    *,
    exported: Path,
    corpus: Path,
    index: Path,
    users: Path,
    model_store: Path,
    output: Path,
    profile: Profile | None = None,
) -> ReleaseManifest:
    """Bundles a run's artifacts into one immutable folder.

    Args:
        exported: the exported towers artifact.
        corpus: the corpus artifact that the index holds.
        index: the index artifact.
        users: the users' snapshot artifact.
        model_store: folder that TorchServe loads, copied as it is.
        output: folder of the release; absent or empty.
        profile: of the data that all of it was made of, with which the next run compares its own.

    Returns:
        The manifest of the release.

    Raises:
        ValueError: the output holds files already, or the artifacts do not belong together; names
            both sides.
    """
    towers = read_manifest(exported, EXPORTED_TOWERS)
    pins = read_manifest(corpus, CORPUS)
    search = read_manifest(index, INDEX)
    snapshot = read_manifest(users, USERS)
    _check_space(exported, towers, index, search)
    if search.inputs[CORPUS] != pins.fingerprint:
        raise ValueError(
            f"{index} was built from the corpus {search.inputs[CORPUS][:12]}, {corpus} is "
            f"{pins.fingerprint[:12]}: bundle an index with its own corpus"
        )
    _check_features(exported, users, snapshot)
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} holds files already: a release is written once")

    output.mkdir(parents=True, exist_ok=True)
    for name in (USER_TOWER_FILE, PIN_TOWER_FILE, FEATURES_FILE):
        shutil.copyfile(exported / name, output / name)
    folders = {INDEX_FOLDER: index, USERS_FOLDER: users, MODEL_STORE_FOLDER: model_store}
    for name, folder in folders.items():
        shutil.copytree(folder, output / name)
    (output / POPULAR_FILE).write_bytes(msgspec.json.encode(_popular(corpus)))
    encoder = FeatureEncoder.load(exported / FEATURES_FILE)
    prepare_users(users, index, encoder, output / PREPARED_USERS_FILE)

    inputs = {
        EXPORTED_TOWERS: towers.fingerprint,
        CORPUS: pins.fingerprint,
        INDEX: search.fingerprint,
        USERS: snapshot.fingerprint,
        "model_store": _hash(hash_files(model_store, leave_out=())),
    }
    created_at = int(time.time())
    return write_manifest(
        output,
        ReleaseManifest(
            kind=RELEASE,
            window=snapshot.window,
            inputs=inputs,
            # A refresh of the corpus takes the towers from here, and needs their manifest.
            details={EXPORTED_TOWERS: msgspec.to_builtins(towers)} | _describe(profile),
            version=new_version(created_at, _hash(inputs)),
            embedding_space=towers.details["embedding_space"],
            conditional=towers.details.get("conditional", False),  # earlier exports lack it
            created_at=created_at,
            metrics={
                f"index_recall@{search.details['recall_k']}": search.details["recall"],
                "num_pins": search.details["num_pins"],
                "num_users": snapshot.details["num_users"],
            },
        ),
    )


def _describe(profile: Profile | None) -> dict[str, Any]:
    """The profile as a detail, without its days: they grow with the log."""
    if profile is None:
        return {}
    return {DATA_PROFILE: msgspec.to_builtins(msgspec.structs.replace(profile, days={}))}


def _check_space(exported: Path, towers: Manifest, index: Path, search: Manifest) -> None:
    for fact in ("embedding_space", "dimension"):
        ours, theirs = towers.details[fact], search.details[fact]
        if ours != theirs:
            raise ValueError(
                f"the towers {exported} have {fact} {ours!r} but the index {index} has {theirs!r}: "
                "embed and index the corpus with the towers that are bundled"
            )


def _check_features(exported: Path, users: Path, snapshot: Manifest) -> None:
    """The towers' encoder must find its user columns and whole histories in the snapshot."""
    config = FeatureEncoder.load(exported / FEATURES_FILE).config
    columns = {feature.column for feature in config.user}
    if lacking := sorted(columns - set(snapshot.details["features"])):
        raise ValueError(
            f"the towers {exported} take the user features {lacking}, which the snapshot {users} "
            f"does not hold; it has {snapshot.details['features']}"
        )
    if snapshot.details["history_length"] < config.history.length:
        raise ValueError(
            f"the towers {exported} take {config.history.length} history items, the snapshot "
            f"{users} holds {snapshot.details['history_length']}"
        )


def _popular(corpus: Path) -> Popular:
    """The best pins of a corpus, which is sorted by score."""
    pins: list[str] = []
    interests: dict[str, list[str]] = {}
    columns = [Column.PIN_ID, Column.INTERESTS]
    for batch in pq.ParquetFile(corpus / CORPUS_FILE).iter_batches(columns=columns):
        for pin_id, own in zip(*(batch[c].to_pylist() for c in columns), strict=True):
            if len(pins) < NUM_POPULAR:
                pins.append(pin_id)
            for name in set(own):
                best = interests.setdefault(name, [])
                if len(best) < NUM_POPULAR:
                    best.append(pin_id)
    return Popular(tuple(pins), {name: tuple(best) for name, best in sorted(interests.items())})


def _hash(facts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
