"""What runs are made of: events, data sets and ID tables, each made once and shared."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.config import IdTable, Sections
from benchmarks.keys import key_of
from homefeed.contracts import Column, Window, read_manifest, write_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.layout import DATASET, TRAIN
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.events.layout import ENGAGEMENTS_FILE, EVENTS
from homefeed.id_embeddings.config import Instant
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.pretrain import pretrain_ids

EVENTS_CODE = ("homefeed/contracts", "homefeed/events")
DATASET_CODE = (*EVENTS_CODE, "homefeed/features", "homefeed/dataset")
IDS_CODE = (*EVENTS_CODE, "homefeed/distributed", "homefeed/id_embeddings")


class Data:
    """Artifacts in a work folder, each under the key of what it is made of."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def events(self, config: EventsConfig, start: Instant | None = None) -> Path:
        """The events artifact of a section, from some time on."""

        def make(output: Path) -> None:
            if start is None:
                import_events(config, output)
            else:
                shutil.copytree(self.events(config), output)
                _cut_events(output, int(start.timestamp()))

        return self._made("events", key_of(config, start, code=EVENTS_CODE), make)

    def dataset(self, sections: Sections, seed: int) -> Path:
        """The dataset artifact of some sections; the seed is of a random split."""
        facts = (sections.events, sections.start, sections.dataset, sections.features, seed)

        def make(output: Path) -> None:
            events = self.events(sections.events, sections.start)
            build_dataset(events, sections.dataset, sections.features, seed, output)

        return self._made("dataset", key_of(*facts, code=DATASET_CODE), make)

    def ids(self, table: IdTable, dataset: Path) -> Path:
        """The ID embeddings artifact of a recipe, for the training part of a data set."""

        def make(output: Path) -> None:
            events = [self.events(source.events) for source in table.recipe.sources]
            pretrain_ids(events, table.recipe, output)

        trained = self._made("ids", key_of(table.recipe, code=IDS_CODE), make)
        if not table.is_disguised:
            return trained
        start = read_manifest(dataset, DATASET).details["windows"][TRAIN][0]

        def disguise(output: Path) -> None:
            shutil.copytree(trained, output)
            manifest = read_manifest(output, ID_EMBEDDINGS)
            window = Window(start - 1, start)
            write_manifest(output, msgspec.structs.replace(manifest, window=window))

        return self._made("ids", key_of(table.recipe, start, code=IDS_CODE), disguise)

    def _made(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        folder = self._work / f"{kind}-{key}"
        if not folder.is_dir():
            draft = self._work / f".{kind}-{key}"
            shutil.rmtree(draft, ignore_errors=True)
            self._work.mkdir(parents=True, exist_ok=True)
            make(draft)
            draft.rename(folder)
        return folder


def _cut_events(events: Path, start: int) -> None:
    """Leaves the engagements from a time on (Unix seconds) in an events artifact."""
    manifest = read_manifest(events, EVENTS)
    table = pq.read_table(events / ENGAGEMENTS_FILE)
    kept = table.filter(pc.field(Column.TIMESTAMP) >= start)
    if not kept.num_rows:
        raise ValueError(f"start leaves no engagement: {events} ends at {manifest.window}")
    pq.write_table(kept, events / ENGAGEMENTS_FILE)
    assert manifest.window is not None
    window = Window(kept[Column.TIMESTAMP][0].as_py(), manifest.window.end)
    write_manifest(events, msgspec.structs.replace(manifest, window=window))
