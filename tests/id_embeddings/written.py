"""ID embeddings of given vectors, as a pre-training would have written them."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.contracts import Granularity, Manifest, Window, write_manifest
from homefeed.id_embeddings.layout import (
    EMBEDDING,
    ID_EMBEDDINGS,
    PIN_TABLE_FILE,
    TRAINING_FILE,
    USER_TABLE_FILE,
    Training,
)


def write_ids(
    folder: Path,
    users: list[str],
    pins: list[str],
    window: Window,
    dimension: int = 4,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Writes an artifact with random unit vectors for some ids; returns the vector of each."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    vectors = {}
    for file, column, ids in (
        (USER_TABLE_FILE, "user_id", users),
        (PIN_TABLE_FILE, "pin_id", pins),
    ):
        own = random.standard_normal((len(ids), dimension)).astype(np.float32)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        order = np.argsort(ids)
        values = pa.FixedSizeListArray.from_arrays(pa.array(own[order].ravel()), dimension)
        table = pa.table({column: [ids[place] for place in order], EMBEDDING: values})
        pq.write_table(table, folder / file)
        vectors |= dict(zip(ids, own, strict=True))
    training = Training(epochs=(), best_epoch=1, refit=())
    (folder / TRAINING_FILE).write_bytes(msgspec.json.encode(training))
    details = {"embedding_space": f"{seed:016x}", "created_at": seed, "dimension": dimension}
    manifest = Manifest(
        kind=ID_EMBEDDINGS,
        granularity=Granularity.CANONICAL_SIGNATURE,
        window=window,
        details=details,
    )
    write_manifest(folder, manifest)
    return vectors
