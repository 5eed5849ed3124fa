"""Training examples streamed from Parquet in order of time: memory does not grow with the log."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from homefeed.dataset.layout import NUM_TODAY
from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.data import (
    HISTORY_COLUMNS,
    Examples,
    check_enough,
    early_in_day,
    example_files,
    fact_columns,
)
from homefeed.towers.merge import Merge


class ExampleStream:
    """Splits' examples, ordered by time, read in blocks.

    A part of a split holds its own users' examples in order of time; the parts are merged. In
    memory are a block and a row group of each part, and a part holds a million examples.
    """

    def __init__(
        self,
        dataset: Path,
        splits: Sequence[str],
        encoder: FeatureEncoder,
        most_per_day: int | None = None,
    ) -> None:
        """Counts the examples.

        Args:
            dataset: the dataset artifact.
            splits: which ones.
            encoder: the data set's encoder.
            most_per_day: leaves out what a user did after so many events in 24 hours; None for
                nothing.

        Raises:
            ValueError: there are not two examples, as a batch needs.
        """
        self._paths = example_files(dataset, splits)
        self._encoder = encoder
        self._condition = early_in_day(most_per_day)
        self._num_examples = ds.dataset(self._paths).count_rows(filter=self._condition)
        check_enough(self._num_examples, dataset, splits)

    def __len__(self) -> int:
        return self._num_examples

    def blocks(self, blocks: Sequence[range]) -> Iterator[Examples]:
        """Reads some blocks.

        Args:
            blocks: places of the examples in order of time, each block from where the one before
                it stops. What comes before the first is passed over without its histories.
        """
        if not blocks:
            return
        condition_columns = [] if self._condition is None else [NUM_TODAY]
        before = Merge(self._paths, condition_columns, self._condition)
        for _ in before.read(blocks[0].start):
            pass
        columns = [*fact_columns(self._encoder), *HISTORY_COLUMNS, *condition_columns]
        merge = Merge(self._paths, columns, self._condition, before.places)
        for block in blocks:
            table = pa.concat_tables(merge.read(len(block)))
            yield Examples.of(table, self._encoder)
