"""Small artifacts in the contract's form, for the tests of index, release and sidecar."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.contracts import Manifest, Window, write_manifest
from homefeed.features.config import Categorical, FeaturesConfig, HistoryConfig
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, Vocabulary
from homefeed.index.user_embeddings import UserVectors, write_user_embeddings

SPACE = "space-a"
SERVING_TIME = 1000


def write_corpus(
    folder: Path, interests: Sequence[Sequence[str]], signatures: Sequence[str] | None = None
) -> Path:
    """Pins p0, p1, ... by falling score."""
    num_pins = len(interests)
    ids = [f"p{i}" for i in range(num_pins)]
    folder.mkdir(parents=True)
    table = {
        "pin_id": pa.array(ids, pa.string()),
        "canonical_signature": pa.array(signatures or ids, pa.string()),
        "score": pa.array(np.arange(num_pins, 0.0, -1.0)),
        "interests": pa.array(interests, pa.list_(pa.string())),
        "title": pa.array([f"Title {i}" for i in range(num_pins)], pa.string()),
    }
    pq.write_table(pa.table(table), folder / "corpus.parquet")
    details = {"as_of": SERVING_TIME, "num_pins": num_pins}
    write_manifest(folder, Manifest(kind="corpus", details=details))
    return folder


def write_embeddings(
    folder: Path, vectors: np.ndarray, pin_ids: Sequence[str] | None = None, space: str = SPACE
) -> Path:
    """The `vectors[N, D]` of pins p0, p1, ... or of those given."""
    ids = pin_ids or [f"p{i}" for i in range(len(vectors))]
    dimension = vectors.shape[1]
    folder.mkdir(parents=True)
    values = pa.array(vectors.astype(np.float32).ravel())
    table = {
        "pin_id": pa.array(ids, pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(values, dimension),
    }
    pq.write_table(pa.table(table), folder / "embeddings.parquet")
    write_manifest(folder, Manifest(kind="embeddings", details=space_details(dimension, space)))
    return folder


def write_asking_users(
    folder: Path,
    vectors: np.ndarray,
    follows: Sequence[Sequence[str]] | None = None,
    conditioned: Mapping[str, np.ndarray] = MappingProxyType({}),
    newcomers: np.ndarray | None = None,
    space: str = SPACE,
) -> Path:
    """Users of one vector each, `vectors[U, D]`; `conditioned[U, D]` by interest."""
    users = [
        UserVectors(
            follows[row] if follows else (),
            vector[None].astype(np.float32),
            {name: own[row] for name, own in conditioned.items()},
        )
        for row, vector in enumerate(vectors)
    ]
    details = space_details(vectors.shape[1], space) | {"num_users": len(users)}
    for vector in () if newcomers is None else newcomers:
        users.append(UserVectors((), vector[None].astype(np.float32), {}, is_new=True))
    write_user_embeddings(folder, users, Manifest(kind="user_embeddings", details=details))
    return folder


def space_details(dimension: int, space: str = SPACE) -> dict[str, object]:
    return {
        "embedding_space": space,
        "dimension": dimension,
        "metric": "inner_product",
        "normalised": True,
    }


def write_exported(
    folder: Path, dimension: int, space: str = SPACE, user_features: Sequence[str] = ("age",)
) -> Path:
    """Exported towers whose towers are placeholders: nothing here runs them."""
    folder.mkdir(parents=True)
    for name in ("user_tower.pt", "pin_tower.pt"):
        (folder / name).write_bytes(b"tower of " + space.encode())
    encoder(user_features).save(folder / FEATURES_FILE)
    details = space_details(dimension, space)
    write_manifest(folder, Manifest(kind="exported_towers", details=details))
    return folder


def encoder(user_features: Sequence[str] = ("age",), history_length: int = 3) -> FeatureEncoder:
    config = FeaturesConfig(
        user=tuple(Categorical(column=name) for name in user_features),
        history=HistoryConfig(length=history_length),
    )
    vocabularies = {name: Vocabulary(("18", "25")) for name in user_features}
    return FeatureEncoder(
        config=config,
        actions=Vocabulary(("click", "save")),
        vocabularies=vocabularies | {"pin_id": Vocabulary(())},
        pin_moments={},
        user_moments={},
    )


def write_dataset(
    folder: Path,
    users: Sequence[Mapping[str, object]],
    engagements: Sequence[tuple[str, str, str, int, str]],
    duplicates: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """A dataset of users and of engagements (user_id, pin_id, action, timestamp, split).

    `duplicates` are pins with the item that stands for each.
    """
    folder.mkdir(parents=True)
    columns: dict[str, pa.DataType] = {
        "user_id": pa.string(),
        "user_index": pa.int64(),
        "age": pa.string(),
        "followed_interests": pa.list_(pa.string()),
        "inferred_interests": pa.list_(pa.string()),
    }
    schema = pa.schema(list(columns.items()))
    rows = [{"user_index": place, **user} for place, user in enumerate(users)]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "users.parquet")
    places: dict = {row["user_id"]: row["user_index"] for row in rows}
    events = [(*event, event_id, places[event[0]]) for event_id, event in enumerate(engagements)]
    kinds: dict[str, pa.DataType] = {
        "user_id": pa.string(),
        "pin_id": pa.string(),
        "action": pa.string(),
        "timestamp": pa.int64(),
        "split": pa.string(),
        "event_id": pa.int64(),
        "user_index": pa.int64(),
    }
    table = {
        name: pa.array([event[place] for event in events], kind)
        for place, (name, kind) in enumerate(kinds.items())
    }
    pq.write_table(pa.table(table), folder / "engagements.parquet")
    pairs = {"pin_id": list(duplicates), "item_id": list(duplicates.values())}
    pairs_schema = pa.schema({"pin_id": pa.string(), "item_id": pa.string()})
    pq.write_table(pa.table(pairs, schema=pairs_schema), folder / "duplicates.parquet")
    encoder().save(folder / FEATURES_FILE)
    details = {"serving_time": SERVING_TIME}
    window = Window(0, 2 * SERVING_TIME)
    write_manifest(folder, Manifest(kind="dataset", window=window, details=details))
    return folder
