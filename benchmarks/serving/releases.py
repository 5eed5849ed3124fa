"""The releases that are served: MovieLens-1M's corpus, and a million pins around its vectors.

The towers have the shape that the shipped recipe gives them, and see a small part of its examples:
what they cost does not depend on what they learnt. A release with clusters beside it gives a user
several embeddings. Each part is kept in the work folder, whole or not at all.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.contracts import Column, Manifest, read_manifest, write_manifest
from homefeed.corpus.embed import embed_pins
from homefeed.corpus.layout import CORPUS, CORPUS_FILE, EMBEDDINGS, EMBEDDINGS_FILE
from homefeed.corpus.select import select_corpus
from homefeed.dataset.build import build_dataset
from homefeed.events.importing import import_events
from homefeed.export.export import export_towers
from homefeed.index.build import build_index
from homefeed.recipe import Recipe, read_recipe
from homefeed.release.build import build_release
from homefeed.release.embed_users import embed_users
from homefeed.release.write_users import write_user_snapshot
from homefeed.towers.history.config import ClusteringConfig
from homefeed.towers.train import train_towers
from serving.torchserve.archive import write_model_store

RECIPE = "ml-1m"
EXAMPLES_PER_USER_DAY = 2
NUM_PINS = 1_000_000
STEP = 0.2
"""An invented pin lies away from one of the log's by so much of the way between two others. Towers
put all pins into a narrow cone, so that a step in any direction would lead out of it."""
SEED = 0


class Releases:
    """Releases in a work folder, made when they are asked for."""

    def __init__(self, work: Path, recipe: Recipe | None = None) -> None:
        """Takes what they are made by.

        Args:
            work: folder of all parts.
            recipe: None for the shipped one of MovieLens-1M, with less to learn from.
        """
        self._work = work
        self._recipe = recipe or _shortened(read_recipe(RECIPE))

    def release(self, num_pins: int | None = None, is_multiple: bool = False) -> Path:
        """A release.

        Args:
            num_pins: of its corpus; None for the log's own, beside which others are invented.
            is_multiple: whether a user has several embeddings.
        """
        towers = "clusters" if is_multiple else "plain"
        name = f"{towers}-{num_pins or 'own'}"
        exported = self._exported(towers)
        corpus, embeddings = self._corpus(), self._embeddings(towers)
        asking = self._asking(towers)
        if num_pins is not None:
            grown = self._made(
                f"pins-{name}", lambda output: _grow(corpus, embeddings, num_pins, output)
            )
            corpus, embeddings = grown / CORPUS, grown / EMBEDDINGS
        index = self._made(
            f"index-{name}",
            lambda output: build_index(corpus, [embeddings], self._recipe.index, output, asking),
        )
        return self._made(
            f"release-{name}",
            lambda output: build_release(
                exported=exported,
                corpus=corpus,
                index=index,
                users=self._users(),
                model_store=self._made("model-store", write_model_store),
                output=output,
            ),
        )

    def _dataset(self) -> Path:
        recipe = self._recipe
        events = self._made("events", lambda output: import_events(recipe.events, output))
        return self._made(
            "dataset",
            lambda output: build_dataset(
                events, recipe.dataset, recipe.features, recipe.seed, output
            ),
        )

    def _exported(self, towers: str) -> Path:
        """The exported towers, of one embedding a user or of clusters."""
        config, training = self._recipe.towers, self._recipe.training
        if towers == "clusters":
            config = msgspec.structs.replace(config, interests=ClusteringConfig())
        trained = self._made(
            f"towers-{towers}",
            lambda output: train_towers(
                self._dataset(), config, training, self._recipe.seed, output
            ),
        )
        return self._made(f"exported-{towers}", lambda output: export_towers(trained, output))

    def _corpus(self) -> Path:
        return self._made(
            "corpus",
            lambda output: select_corpus(
                self._dataset(), self._recipe.corpus, self._recipe.features, output
            ),
        )

    def _embeddings(self, towers: str) -> Path:
        return self._made(
            f"embeddings-{towers}",
            lambda output: embed_pins(self._exported(towers), self._corpus(), 0, 1, output),
        )

    def _asking(self, towers: str) -> Path:
        """Users that the index is measured with; these towers are asked for no interest."""
        recipe = self._recipe
        return self._made(
            f"asking-{towers}",
            lambda output: embed_users(
                self._exported(towers),
                self._dataset(),
                self._corpus(),
                recipe.index,
                recipe.seed,
                output,
            ),
        )

    def _users(self) -> Path:
        return self._made("users", lambda output: write_user_snapshot(self._dataset(), output))

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        folder = self._work / name
        if not folder.is_dir():
            draft = self._work / f".{name}"
            shutil.rmtree(draft, ignore_errors=True)
            self._work.mkdir(parents=True, exist_ok=True)
            make(draft)
            draft.rename(folder)
        return folder


def _shortened(recipe: Recipe) -> Recipe:
    training = msgspec.structs.replace(
        recipe.training,
        max_examples_per_user_day=EXAMPLES_PER_USER_DAY,
        max_epochs=1,
        refit=False,
    )
    return msgspec.structs.replace(recipe, training=training)


def _grow(corpus: Path, embeddings: Path, num_pins: int, output: Path) -> None:
    """Writes a corpus of `num_pins` and its embeddings.

    The first are the given ones, whom users have in their histories; each of the others lies near
    one of them and has its interests.
    """
    pins, embedded = (
        pq.read_table(corpus / CORPUS_FILE),
        pq.read_table(embeddings / EMBEDDINGS_FILE),
    )
    assert pins[Column.PIN_ID] == embedded[Column.PIN_ID]
    known = embedded["embedding"].combine_chunks()
    own = known.flatten().to_numpy().reshape(len(known), -1)
    rows = np.arange(num_pins) % len(own)
    others = np.random.default_rng(SEED).integers(len(own), size=(2, num_pins))
    others[:, : len(own)] = 0
    vectors = own[rows] + np.float32(STEP) * (own[others[0]] - own[others[1]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    names = pins[Column.PIN_ID].to_pylist()
    ids = names + [f"{names[row]} near {place}" for place, row in enumerate(rows)][len(own) :]
    grown = pins.take(rows).set_column(
        pins.column_names.index(Column.PIN_ID), Column.PIN_ID, pa.array(ids)
    )
    signature = pins.column_names.index(Column.CANONICAL_SIGNATURE)
    grown = grown.set_column(signature, Column.CANONICAL_SIGNATURE, pa.array(ids))
    _write(output / CORPUS, CORPUS_FILE, grown, read_manifest(corpus, CORPUS))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), own.shape[1])
    table = pa.table({"pin_id": ids, "embedding": lists})
    _write(output / EMBEDDINGS, EMBEDDINGS_FILE, table, read_manifest(embeddings, EMBEDDINGS))


def _write(folder: Path, name: str, table: pa.Table, like: Manifest) -> None:
    folder.mkdir(parents=True)
    pq.write_table(table, folder / name)
    details = like.details | {"num_pins": table.num_rows}
    write_manifest(folder, msgspec.structs.replace(like, details=details))
