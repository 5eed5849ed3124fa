"""Trains the approximate index: inverted lists over 4-bit product codes of the residuals."""

import math
from pathlib import Path

import numpy as np
from tqdm import tqdm

from homefeed.index.openmp import faiss

LISTS_PER_ROOT = 4
"""Lists for each square root of the number of vectors; 4 to 8 is the useful range, and k-means
costs in proportion."""
TRAINING_VECTORS_PER_LIST = 64
"""k-means sees a sample of so many a list; FAISS warns below 39 and gains little above."""
MIN_VECTORS_PER_LIST = 39
NUM_ADDED_AT_ONCE = 1 << 17
SEED = 0


def train_ivf(vectors: np.ndarray, path: Path) -> int:
    """Trains an `IVF,PQ(D/2)x4fsr` index on a sample of `vectors[N, D]`, adds all and writes it.

    Returns:
        The number of inverted lists.

    Raises:
        ValueError: the dimension is odd: codes hold pairs of dimensions.
    """
    num_vectors, dimension = vectors.shape
    if dimension % 2:
        raise ValueError(
            f"the embeddings have {dimension} dimensions; an approximate index needs an even "
            "number. Change towers.embedding_dimension, or set index.kind: flat"
        )
    num_lists = LISTS_PER_ROOT * math.isqrt(num_vectors)
    num_lists = max(1, min(num_lists, num_vectors // MIN_VECTORS_PER_LIST))
    # The final r codes the residual to the list's centroid: several points of recall.
    factory = f"IVF{num_lists},PQ{dimension // 2}x4fsr"
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    sample_size = min(num_vectors, TRAINING_VECTORS_PER_LIST * num_lists)
    sample = np.random.default_rng(SEED).choice(num_vectors, sample_size, replace=False)
    index.train(vectors[np.sort(sample)])
    with tqdm(total=num_vectors, desc="indexing pins", unit="pin", unit_scale=True) as progress:
        for start in range(0, num_vectors, NUM_ADDED_AT_ONCE):
            part = vectors[start : start + NUM_ADDED_AT_ONCE]
            index.add(part)
            progress.update(len(part))
    faiss.write_index(index, str(path))
    return num_lists
