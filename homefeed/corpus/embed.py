"""Embeds the corpus with the exported pin tower, shard by shard."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from homefeed.contracts import PIN_TOWER_FILE, Column, Manifest, read_manifest, write_manifest
from homefeed.corpus.layout import CORPUS, CORPUS_FILE, EMBEDDINGS, EMBEDDINGS_FILE
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder

PINS_AT_ONCE = 4_096
SPACE_FACTS = ("embedding_space", "dimension", "metric", "normalised")


def embed_pins(exported: Path, corpus: Path, shard: int, num_shards: int, output: Path) -> Manifest:
    """Embeds the pins of one of the corpus' shards, which are as equal as can be.

    Args:
        exported: the exported towers artifact.
        corpus: the corpus artifact.
        shard: which one, from 0.
        num_shards: how many there are.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact: `pin_id` and `embedding`, a list of float32, of each pin.

    Raises:
        ValueError: there is no such shard, or a feature of the towers is missing in the corpus.
    """
    if not 0 <= shard < num_shards:
        raise ValueError(
            f"shard={shard} must lie in 0..{num_shards - 1}, as num_shards={num_shards}"
        )
    towers, pins = read_manifest(exported, EXPORTED_TOWERS), read_manifest(corpus, CORPUS)
    encoder = FeatureEncoder.load(exported / FEATURES_FILE)
    tower = torch.jit.load(exported / PIN_TOWER_FILE).eval()
    parquet = pq.ParquetFile(corpus / CORPUS_FILE)
    num_pins = parquet.metadata.num_rows
    start, stop = (num_pins * border // num_shards for border in (shard, shard + 1))
    columns = [feature.column for feature in encoder.config.pin]
    columns += encoder.config.statistics.columns
    schema = pa.schema(
        {
            "pin_id": pa.string(),
            "embedding": pa.list_(pa.float32(), towers.details["dimension"]),
        }
    )
    output.mkdir(parents=True, exist_ok=True)
    first = 0
    with (
        pq.ParquetWriter(output / EMBEDDINGS_FILE, schema) as writer,
        tqdm(total=stop - start, desc="embedding pins", unit="pin") as progress,
    ):
        wanted = list(dict.fromkeys([Column.PIN_ID.value, *columns]))
        for batch in parquet.iter_batches(batch_size=PINS_AT_ONCE, columns=wanted):
            low, high = (min(max(border - first, 0), len(batch)) for border in (start, stop))
            first += len(batch)
            if own := batch.slice(low, high - low):
                vectors = _embed(tower, encoder, own, columns)
                writer.write_table(_table(own[Column.PIN_ID.value], vectors, schema))
                progress.update(len(own))
    return write_manifest(
        output,
        Manifest(
            kind=EMBEDDINGS,
            granularity=pins.granularity,
            window=pins.window,
            inputs={EXPORTED_TOWERS: towers.fingerprint, CORPUS: pins.fingerprint},
            details={name: towers.details[name] for name in SPACE_FACTS}
            | {"shard": shard, "num_shards": num_shards, "num_pins": stop - start},
        ),
    )


def _embed(
    tower: torch.jit.ScriptModule, encoder: FeatureEncoder, pins: pa.RecordBatch, columns: list[str]
) -> np.ndarray:
    """Unit vectors float32 [B, D] of B pins."""
    raw = {name: pins[name].to_pylist() for name in columns}
    tensors = {name: torch.from_numpy(own) for name, own in encoder.encode_pins(raw).items()}
    with torch.inference_mode():
        return tower(tensors).numpy()


def _table(pin_ids: pa.Array, vectors: np.ndarray, schema: pa.Schema) -> pa.Table:
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.table([pin_ids, values], schema=schema)
