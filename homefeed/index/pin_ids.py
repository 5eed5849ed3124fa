"""Row to pin id, without a Python string for every pin of the corpus."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from homefeed.index.layout import PIN_ID_BYTES, PIN_ID_OFFSETS, load_array, save_array


class PinIds:
    """The ids of an index's rows; `ids[row]` decodes one."""

    def __init__(self, encoded: np.ndarray, offsets: np.ndarray) -> None:
        self._encoded = encoded.data
        self._offsets = offsets.data

    def __getitem__(self, row: int) -> str:
        return str(self._encoded[self._offsets[row] : self._offsets[row + 1]], "utf-8")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @staticmethod
    def save(folder: Path, pin_ids: Sequence[str]) -> None:
        """Writes the ids of all rows, in row order."""
        encoded = [pin_id.encode() for pin_id in pin_ids]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(each) for each in encoded], out=offsets[1:])
        save_array(folder, PIN_ID_BYTES, np.frombuffer(b"".join(encoded), np.uint8))
        save_array(folder, PIN_ID_OFFSETS, offsets)

    @classmethod
    def load(cls, folder: Path) -> "PinIds":
        """Maps what `save` wrote."""
        return cls(load_array(folder, PIN_ID_BYTES), load_array(folder, PIN_ID_OFFSETS))
