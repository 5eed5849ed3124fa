"""Builds the index of a corpus, and refuses one whose recall is too low."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from homefeed.config import to_builtins
from homefeed.contracts import METRIC, Column, Manifest, read_manifest, write_manifest
from homefeed.corpus.layout import CORPUS, CORPUS_FILE, EMBEDDINGS, EMBEDDINGS_FILE
from homefeed.index.approximate import ApproximateIndex
from homefeed.index.config import IndexConfig
from homefeed.index.layout import ANN, INDEX, SIGNATURES, VECTORS, save_array
from homefeed.index.pin_ids import PinIds
from homefeed.index.postings import Postings, primary_order, save_postings
from homefeed.index.train import train_ivf
from homefeed.index.tune import tune
from homefeed.index.user_embeddings import USER_EMBEDDINGS, read_user_embeddings

EMBEDDINGS_AT_ONCE = 1 << 20
"""Rows of one read; each read hashes all pin ids of the corpus."""


def build_index(
    corpus: Path,
    embeddings: Sequence[Path],
    config: IndexConfig,
    output: Path,
    users: Path | None = None,
) -> Manifest:
    """Builds a searchable index of a corpus.

    Args:
        corpus: the corpus artifact.
        embeddings: the embeddings artifacts; together they hold each pin of the corpus once.
        config: the index section of a recipe.
        output: folder of the index.
        users: the user embeddings artifact, which recall is measured with; an exact index needs
            none.

    Returns:
        The manifest of the index.

    Raises:
        ValueError: the corpus is empty; the embeddings differ in embedding space or dimension, or
            do not match the corpus pin by pin; users are needed and not given; or recall stays
            below `config.min_recall`.
    """
    corpus_manifest = read_manifest(corpus, CORPUS)
    sources = [(folder, read_manifest(folder, EMBEDDINGS)) for folder in embeddings]
    inputs = {CORPUS: corpus_manifest.fingerprint}
    inputs |= {f"embeddings_{part}": each.fingerprint for part, (_, each) in enumerate(sources)}
    if users is not None:
        sources.append((users, read_manifest(users, USER_EMBEDDINGS)))
        inputs[USER_EMBEDDINGS] = sources[-1][1].fingerprint
    space, dimension = _check_spaces(sources)
    pins = pq.read_table(
        corpus / CORPUS_FILE,
        columns=[Column.PIN_ID, Column.CANONICAL_SIGNATURE, Column.INTERESTS],
    )
    if not pins.num_rows:
        raise ValueError(f"{corpus} holds no pins: an index needs at least one")
    interests = pins[Column.INTERESTS].to_pylist()
    order = primary_order(interests)
    pins = pins.take(order)

    output.mkdir(parents=True, exist_ok=True)
    vectors = _write_vectors(output, pins[Column.PIN_ID], embeddings, dimension)
    PinIds.save(output, pins[Column.PIN_ID].to_pylist())
    signatures = pins[Column.CANONICAL_SIGNATURE].combine_chunks().dictionary_encode()
    save_array(output, SIGNATURES, signatures.indices.to_numpy().astype(np.int32))
    num_interests = save_postings(output, [interests[row] for row in order])
    search = _build_search(config, vectors, users, output)

    details = {
        "embedding_space": space,
        "dimension": dimension,
        "metric": METRIC,
        "num_pins": pins.num_rows,
        "num_signatures": len(signatures.dictionary),
        "num_interests": num_interests,
        "recall_k": config.recall_k,
        "config": to_builtins(config),
        **search,
    }
    window = corpus_manifest.window
    return write_manifest(
        output, Manifest(kind=INDEX, window=window, inputs=inputs, details=details)
    )


def _check_spaces(sources: Sequence[tuple[Path, Manifest]]) -> tuple[str, int]:
    """The one embedding space of all vectors, and its dimension."""
    (one, manifest), *_ = sources
    first = manifest.details
    for folder, part in sources:
        for fact in ("embedding_space", "dimension", "metric"):
            if part.details[fact] != first[fact]:
                raise ValueError(
                    f"{one} has {fact} {first[fact]!r} but {folder} has {part.details[fact]!r}: "
                    "embed all shards, and the users, with the same exported towers"
                )
    if first["metric"] != METRIC:
        raise ValueError(f"{one} has metric {first['metric']!r}; the index needs {METRIC!r}")
    return first["embedding_space"], first["dimension"]


def _write_vectors(
    output: Path, pin_ids: pa.ChunkedArray, embeddings: Sequence[Path], dimension: int
) -> np.ndarray:
    """Writes each pin's vector to its row, batch by batch; returns them mapped."""
    vectors = np.lib.format.open_memmap(
        output / VECTORS, mode="w+", dtype=np.float32, shape=(len(pin_ids), dimension)
    )
    num_found = np.zeros(len(pin_ids), np.int64)
    known = pc.SetLookupOptions(value_set=pin_ids)
    for folder in embeddings:
        parquet = pq.ParquetFile(folder / EMBEDDINGS_FILE)
        for batch in parquet.iter_batches(batch_size=EMBEDDINGS_AT_ONCE):
            rows = pc.call_function("index_in", [batch["pin_id"]], known)
            if rows.null_count:
                stray = batch["pin_id"].filter(rows.is_null())
                raise ValueError(
                    f"{folder} embeds pin {stray[0]}, which the corpus does not hold: embed the "
                    "corpus that is indexed"
                )
            values = batch["embedding"].flatten().to_numpy()
            if not np.isfinite(values).all():
                raise ValueError(f"{folder} holds embeddings that are not finite")
            vectors[rows.to_numpy()] = values.reshape(-1, dimension)
            np.add.at(num_found, rows.to_numpy(), 1)
    if (wrong := np.flatnonzero(num_found != 1)).size:
        raise ValueError(
            f"{wrong.size} of {len(pin_ids)} corpus pins do not have exactly one embedding, "
            f"{pin_ids[int(wrong[0])]} has {num_found[wrong[0]]}: give every shard once"
        )
    vectors.flush()
    return np.asarray(vectors)


def _build_search(
    config: IndexConfig, vectors: np.ndarray, users: Path | None, output: Path
) -> dict[str, object]:
    """Trains and writes the approximate index where one is due; returns what it is and can."""
    num_pins = len(vectors)
    if config.kind == "flat" or (config.kind == "auto" and num_pins <= config.flat_up_to):
        return {
            "kind": "flat",
            "num_users": 0,
            "num_probes": None,
            "scan_up_to": config.scan_up_to,
            "recall": 1.0,
            "filtered_recall": 1.0,
            "union_recall": 1.0,
        }
    if users is None:
        raise ValueError(
            f"{num_pins} pins need an approximate index, whose recall is measured with vectors of "
            "users, and none are given: embed some with homefeed.release.embed_users, or serve "
            "exactly with index.kind: flat"
        )
    num_lists = train_ivf(vectors, output / ANN)
    approximate = ApproximateIndex.load(output / ANN, vectors)
    postings = Postings.load(output, num_pins)
    asking = read_user_embeddings(users)
    found = tune(approximate, num_lists, vectors, postings, asking, config)
    return {
        "kind": "ivf",
        "num_lists": num_lists,
        "num_users": read_manifest(users, USER_EMBEDDINGS).details["num_users"],
        "num_probes": found.num_probes,
        "recall": found.recall,
        **found.filtered._asdict(),
    }
