"""Checkpoints of a training, for one set of inputs and any number of processes.

What every process holds whole is one file, replaced as a whole; with tables that are spread over
the processes it is a folder that all of them write (`homefeed.distributed.checkpoint`).
"""

import hashlib
import json
import shutil
from pathlib import Path
from threading import Event
from typing import Any

import torch
import torch.distributed as dist
from tqdm import tqdm

from homefeed.distributed import checkpoint as sharded

FORMAT = 2
"""Counts up when what a checkpoint holds changes."""


class Checkpoints:
    """The checkpoint of one training; without a folder it keeps none."""

    def __init__(
        self, folder: Path | None, facts: list[Any], told_to_end: Event | None = None
    ) -> None:
        """Takes what the training depends on, so that no other training's checkpoint is taken.

        Args:
            folder: where it lies, on a disk that all processes share; None for nowhere.
            facts: fingerprints of the inputs and the effective configuration.
            told_to_end: set when this process is to save what it has, and end.
        """
        text = json.dumps([FORMAT, *facts], sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = None if folder is None else folder / f"towers-{name}.pt"
        self._told_to_end = told_to_end

    @property
    def is_last(self) -> bool:
        """Whether this process is to end with the next one."""
        return self._told_to_end is not None and self._told_to_end.is_set()

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
        """Replaces the last state; the first process's is written."""
        if self._path is None or (dist.is_initialized() and dist.get_rank() != 0):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        torch.save(state, draft)
        draft.replace(self._path)

    def load_sharded(self, state: dict[str, Any]) -> bool:
        """Reads the last state into the same kind of it; returns whether there is one."""
        return self._folder is not None and sharded.load(self._folder, state)

    def save_sharded(self, state: dict[str, Any], number: int) -> None:
        """Replaces the last state of tables that are spread; a collective.

        Args:
            state: as `homefeed.distributed.checkpoint.save` takes it.
            number: of steps so far.
        """
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            sharded.save(self._folder, number, state)

    def clear(self) -> None:
        """Removes it: the training is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path | None:
        return None if self._path is None else self._path.with_suffix(".sharded")
