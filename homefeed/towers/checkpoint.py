"""Checkpoints of a training: one file, replaced as a whole, for one set of inputs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

FORMAT = 1
"""Counts up when what a checkpoint holds changes."""


class Checkpoints:
    """The checkpoint of one training; without a folder it keeps none."""

    def __init__(self, folder: Path | None, facts: list[Any]) -> None:
        """Takes what the training depends on, so that no other training's checkpoint is taken.

        Args:
            folder: where it lies; None for nowhere.
            facts: fingerprints of the inputs and the effective configuration.
        """
        text = json.dumps([FORMAT, *facts], sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = None if folder is None else folder / f"towers-{name}.pt"

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The last state that was saved, or None; a damaged file is none."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            return torch.load(self._path, map_location=device, weights_only=True)
        except Exception as error:  # torch raises what unzipping and unpickling do
            tqdm.write(f"{self._path} cannot be read, training starts anew: {error}")
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the last state."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        torch.save(state, draft)
        draft.replace(self._path)

    def clear(self) -> None:
        """Removes it: the training is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
