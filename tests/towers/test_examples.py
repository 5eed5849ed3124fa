import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.data import Examples, read_examples
from homefeed.towers.examples import ExampleStream
from tests.towers.written_examples import COLUMN, ENCODER, write

ROOT = Path(__file__).parents[2]
LENGTH = 4
ACTION_ROWS = {"click": 2, "save": 3, "hide": 1}


def check_block(block: Examples, expected: pa.Table) -> None:
    """Every array of a block against the rows that were written."""
    assert len(block) == len(expected)
    facts = {"users": "user_index", "pins": "pin_index", "timestamps": "timestamp"}
    for name, column in facts.items():
        values = getattr(block, name)
        assert values.dtype == np.int64
        assert values.tolist() == expected[column].to_pylist()
    assert block.actions.tolist() == [ACTION_ROWS[a] for a in expected["action"].to_pylist()]
    assert block.statistics[COLUMN].tolist() == expected[COLUMN].to_pylist()
    *items, is_there = block.histories.padded(np.arange(len(block)), LENGTH)
    names = ("history", "history_actions", "history_times")
    kinds = (np.int32, np.int32, np.int64)
    for name, found, kind in zip(names, items, kinds, strict=True):
        assert found.dtype == kind
        kept = [row[there].tolist() for row, there in zip(found, is_there, strict=True)]
        assert kept == expected[name].to_pylist()


@given(
    num_examples=st.integers(30, 120),
    num_parts=st.integers(1, 5),
    row_group_size=st.integers(1, 40),
    first=st.integers(0, 120),
    block_size=st.integers(1, 50),
    most=st.sampled_from([None, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_blocks_are_the_parts_in_order_of_time(
    num_examples: int,
    num_parts: int,
    row_group_size: int,
    first: int,
    block_size: int,
    most: int | None,
) -> None:
    with TemporaryDirectory() as folder:
        dataset = Path(folder)
        pins = np.arange(num_examples) % 7
        # Two splits whose times interleave, as those of a random split do.
        tables = [
            write(dataset, pins, num_parts, LENGTH, row_group_size, split, seed)
            for seed, split in enumerate(("train", "validation"))
        ]
        whole = pa.concat_tables(tables)
        whole = whole.sort_by([("timestamp", "ascending"), ("event_id", "ascending")])
        if most is not None:
            whole = whole.filter(whole["num_today"].to_numpy() < most)
        stream = ExampleStream(dataset, ("train", "validation"), ENCODER, most)
        assert len(stream) == len(whole)
        starts = range(first, len(stream), block_size)
        blocks = [range(start, min(start + block_size, len(stream))) for start in starts]
        found = list(stream.blocks(blocks))
        assert len(found) == len(blocks)
        for block, place in zip(found, blocks, strict=True):
            check_block(block, whole.slice(place.start, len(place)))


def test_examples_in_memory_are_those_of_the_stream(tiny_dataset: Path) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    for most in (None, 2):
        every = read_examples(tiny_dataset, ("train", "validation"), encoder, most)
        stream = ExampleStream(tiny_dataset, ("train", "validation"), encoder, most)
        (block,) = stream.blocks([range(len(every))])
        for name in ("users", "pins", "actions", "timestamps"):
            assert np.array_equal(getattr(every, name), getattr(block, name))
        assert every.statistics.keys() == block.statistics.keys()
        for name, values in every.statistics.items():
            assert np.array_equal(values, block.statistics[name])


def test_one_example_is_too_few(tmp_path: Path) -> None:
    write(tmp_path, np.zeros(1, np.int64))
    for read in (ExampleStream, read_examples):
        with pytest.raises(ValueError, match="has 1 examples in train; at least 2"):
            read(tmp_path, ("train",), ENCODER)


def test_blocks_that_are_passed_over_are_not_decoded(tmp_path: Path) -> None:
    table = write(tmp_path, np.arange(300), most_history=LENGTH, row_group_size=50)
    (path,) = (tmp_path / "examples" / "train").iterdir()
    history = pq.read_metadata(path).row_group(1).column(6)
    assert history.path_in_schema.startswith("history.")
    with path.open("r+b") as file:
        file.seek(history.dictionary_page_offset)
        file.write(b"\xff" * history.total_compressed_size)
    stream = ExampleStream(tmp_path, ("train",), ENCODER)
    (block,) = stream.blocks([range(110, 300)])
    check_block(block, table.slice(110))
    with pytest.raises(OSError):
        list(stream.blocks([range(60, 110)]))


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """200,000 histories of 100 items on average, which are 320 MB, in blocks of 8192."""
    write(tmp_path, np.arange(200_000) % 999, 4, 200, row_group_size=4_096)

    def read(way: str) -> tuple[int, int]:
        command = [sys.executable, "-m", "tests.towers.peak_memory", str(tmp_path), way]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        num_examples, num_bytes = done.stdout.split()
        return int(num_examples), int(num_bytes)

    num_streamed, streamed_bytes = read("stream")
    num_whole, whole_bytes = read("whole")
    assert num_whole == 200_000
    assert num_streamed > 0.95 * num_whole
    assert streamed_bytes < 400e6 < whole_bytes
