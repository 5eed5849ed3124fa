"""Files of an index folder: flat arrays that every process maps instead of reading.

Rows of all files are the same: pins sorted by primary interest (a pin's first), then in corpus
order; pins without interests come last. So the pins of an interest lie together but for those that
have it as a second one.
"""

from pathlib import Path

import numpy as np

INDEX = "index"
"""Kind of the artifact."""

VECTORS = "vectors.npy"
"""float32 [num_pins, dimension]."""
PIN_ID_BYTES = "pin_id_bytes.npy"
"""uint8: UTF-8 of all pin ids, one after the other."""
PIN_ID_OFFSETS = "pin_id_offsets.npy"
"""int64 [num_pins + 1]: where each id begins."""
SIGNATURES = "signatures.npy"
"""int32 [num_pins]: equal numbers are equal canonical signatures."""
INTERESTS = "interests.json"
"""Names of the interests, sorted; an interest's place is its code."""
PRIMARY_OFFSETS = "primary_offsets.npy"
"""int64 [num_interests + 1]: rows `[c], [c + 1]` bound the pins whose primary interest is c."""
POSTINGS = "postings.npy"
"""int32: rows of the pins that have an interest as a further one, interest by interest, sorted."""
POSTING_OFFSETS = "posting_offsets.npy"
"""int64 [num_interests + 1]: where each interest's part of the postings begins."""
ANN = "ann.faiss"
"""The approximate index; only where the corpus is too large for exact search."""


def save_array(folder: Path, name: str, array: np.ndarray) -> None:
    """Writes one array of the index."""
    np.save(folder / name, np.ascontiguousarray(array), allow_pickle=False)


def load_array(folder: Path, name: str) -> np.ndarray:
    """Maps one array of the index, read-only; it costs no memory of its own."""
    # asarray drops np.memmap, whose slices cost several times those of a plain array.
    return np.asarray(np.load(folder / name, mmap_mode="r", allow_pickle=False))
