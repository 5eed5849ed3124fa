"""Pre-trains user and pin ID embeddings: contrastive, across surfaces, over a long window.

Source: "Taming the One-Epoch Phenomenon in Online Recommendation System by Two-stage Contrastive
ID Pre-training", RecSys 2024 (arXiv 2508.18700): its minimal model, the dot product of two ids.
"""

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from homefeed.config import to_builtins
from homefeed.contracts import METRIC, Manifest, sha256_file, write_manifest
from homefeed.distributed.processes import run_processes
from homefeed.id_embeddings import training
from homefeed.id_embeddings.config import IdRecipe
from homefeed.id_embeddings.layout import (
    ID_EMBEDDINGS,
    PIN_TABLE_FILE,
    USER_TABLE_FILE,
    read_training,
)
from homefeed.id_embeddings.prepare import Pairs, prepare
from homefeed.id_embeddings.validate import hold_out


def pretrain_ids(
    events: Sequence[Path], recipe: IdRecipe, output: Path, num_processes: int = 1
) -> Manifest:
    """Trains both tables on the window's engagements of all sources.

    Equal inputs give equal tables on the same machine and device; more processes give the same
    but for rounding.

    Args:
        events: the events artifacts of the recipe's sources, in any order.
        recipe: the recipe.
        output: folder of the artifact.
        num_processes: of this machine, started by torchrun where they are more than one; with
            GPUs one for each.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: the events do not fit the recipe, the window holds too little, the processes
            cannot share a batch equally, or there is no device of the kind asked for.
        RuntimeError: the loss is no number any more, or a process failed.
    """
    config = recipe.pretraining
    if num_processes < 1 or config.batch_size % num_processes:
        raise ValueError(
            f"num_processes={num_processes} cannot share pretraining.batch_size="
            f"{config.batch_size} equally: give a multiple of the processes"
        )
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".prepared-", dir=output.parent) as scratch:
        prepared = Path(scratch)
        inputs = prepare(events, recipe, prepared)
        pairs = Pairs.read(prepared)
        print(
            f"{len(pairs):,} engagements of {pairs.num_users:,} users with {pairs.num_pins:,} pins "
            f"in {recipe.window.seconds}",
            file=sys.stderr,
        )
        # What cannot be validated is refused here, before any process is started.
        before, validation = hold_out(pairs, config.validation_share, recipe.seed)
        if num_processes == 1:
            training.train(prepared, output)
        else:
            run_processes(training.__name__, [prepared, output], num_processes)
    done = read_training(output)
    hashes = [sha256_file(output / name) for name in (USER_TABLE_FILE, PIN_TABLE_FILE)]
    return write_manifest(
        output,
        Manifest(
            kind=ID_EMBEDDINGS,
            granularity=recipe.granularity,
            window=recipe.window.seconds,
            inputs=inputs,
            details={
                "embedding_space": hashlib.sha256(repr(hashes).encode()).hexdigest()[:16],
                "dimension": config.dimension,
                "metric": METRIC,
                "normalised": True,
                "created_at": int(time.time()),
                "num_users": pairs.num_users,
                "num_pins": pairs.num_pins,
                "num_engagements": len(pairs),
                "num_held_out": len(pairs) - len(before),
                "num_validation_users": validation.num_users,
                "num_validation_candidates": validation.num_candidates,
                "best_epoch": done.best_epoch,
                "validation": done.epochs[done.best_epoch - 1].validation,
                "config": to_builtins(recipe),
            },
        ),
    )
