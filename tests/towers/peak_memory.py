"""Prints by how many bytes reading examples raises the peak of memory: `<dataset> stream|whole`."""

import sys
from pathlib import Path

import pyarrow.parquet as pq

from homefeed.towers.batches import Batches
from homefeed.towers.data import HISTORY_COLUMNS
from homefeed.towers.examples import ExampleStream
from tests.towers.written_examples import ENCODER


def peak_bytes() -> int:
    """Most memory of this process at any time.

    `resource.getrusage` knows that too, but counts in what the process that started this one had.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def read(dataset: Path, way: str) -> int:
    """Reads all histories and counts their items that are used."""
    if way == "whole":
        table = pq.read_table(dataset / "examples" / "train", columns=[*HISTORY_COLUMNS])
        return table.num_rows
    batches = Batches(ExampleStream(dataset, ("train",), ENCODER), 1024, 8, seed=0)
    length = ENCODER.config.history.length
    return sum(len(block.histories.padded(rows, length)[0]) for block, rows, _ in batches.epoch(1))


if __name__ == "__main__":
    before = peak_bytes()
    num_examples = read(Path(sys.argv[1]), sys.argv[2])
    print(num_examples, peak_bytes() - before)
