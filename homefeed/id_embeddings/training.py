"""What each training process does: `python -m homefeed.id_embeddings.training` under torchrun."""

import sys
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch.distributed as dist
from torch import Tensor

from homefeed.config import from_yaml
from homefeed.contracts import Column
from homefeed.distributed.processes import process_group
from homefeed.id_embeddings.config import IdRecipe
from homefeed.id_embeddings.layout import (
    EMBEDDING,
    PIN_IDS_FILE,
    PIN_TABLE_FILE,
    PINS,
    RECIPE_FILE,
    TRAINING_FILE,
    USER_IDS_FILE,
    USER_TABLE_FILE,
    USERS,
    Training,
)
from homefeed.id_embeddings.prepare import Pairs
from homefeed.id_embeddings.trainer import Trainer
from homefeed.id_embeddings.validate import BEST_BY, hold_out

ROWS_AT_ONCE = 65_536


def train(prepared: Path, output: Path) -> None:
    """Trains the tables; the first process writes them and how the training went.

    The part before the held-out one is trained first, to see which epoch validates best; then new
    tables are trained for as many epochs on the whole window.

    Args:
        prepared: the prepared folder.
        output: folder that gets the tables.

    Raises:
        ValueError: no device of the kind asked for, or nothing to validate on.
        RuntimeError: the loss is no number any more.
    """
    recipe = from_yaml((prepared / RECIPE_FILE).read_bytes(), IdRecipe, RECIPE_FILE)
    config, seed = recipe.pretraining, recipe.seed
    pairs = Pairs.read(prepared)
    before, validation = hold_out(pairs, config.validation_share, seed)
    with process_group(config.device, "pretraining") as device, warnings.catch_warnings():
        # torchrec 1.8 is written for what torch 2.13 means to replace, and is warned at every use.
        warnings.simplefilter("ignore", FutureWarning)
        epochs = Trainer(before, config, seed, device).fit(config.max_epochs, validation.measure)
        best = 1 + int(np.argmax([epoch.validation[BEST_BY] for epoch in epochs]))
        trainer = Trainer(pairs, config, seed, device)
        refit = trainer.fit(best)
        tables = trainer.gather()
        if dist.get_rank() == 0:
            _write(
                prepared / USER_IDS_FILE, Column.USER_ID, tables[USERS], output / USER_TABLE_FILE
            )
            _write(prepared / PIN_IDS_FILE, Column.PIN_ID, tables[PINS], output / PIN_TABLE_FILE)
            training = Training(epochs=epochs, best_epoch=best, refit=refit)
            (output / TRAINING_FILE).write_bytes(msgspec.json.encode(training))


def _write(ids_path: Path, id_column: str, vectors: Tensor, path: Path) -> None:
    """Writes the ids of a table and their vectors float32 [N, D]."""
    dimension = vectors.shape[1]
    schema = pa.schema({id_column: pa.string(), EMBEDDING: pa.list_(pa.float32(), dimension)})
    first = 0
    with pq.ParquetWriter(path, schema) as writer:
        for ids in pq.ParquetFile(ids_path).iter_batches(ROWS_AT_ONCE, columns=[id_column]):
            rows = vectors[first : first + len(ids)].numpy().ravel()
            values = pa.FixedSizeListArray.from_arrays(pa.array(rows), dimension)
            writer.write_table(pa.table([ids.column(0), values], schema=schema))
            first += len(ids)


if __name__ == "__main__":
    train(*map(Path, sys.argv[1:]))
