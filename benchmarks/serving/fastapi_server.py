"""What a user would build instead: FastAPI, the tower and FAISS in one process.

    python -m benchmarks.serving.fastapi_server --release FOLDER --port PORT

It answers from the same tower, encoder, users and FAISS index as homefeed, with the same pins.
Threads of FastAPI's own pool answer a request each.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # read when the libraries are imported

import faiss
import msgspec
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from homefeed.contracts import read_manifest
from homefeed.features.users import UserRecord
from homefeed.index.layout import ANN, INDEX, VECTORS
from homefeed.index.pin_ids import PinIds
from homefeed.index.postings import Postings
from homefeed.release.bundle import Release
from homefeed.release.user_tower import UserTower
from homefeed.release.users import UserSnapshot

REFINE_FACTOR = 10


class Ask(BaseModel):
    """A request."""

    user_id: str
    k: int = Field(20, ge=1, le=1000)
    interests: list[str] = []


class Pin(BaseModel):
    """A recommended pin."""

    pin_id: str
    score: float
    source: str


class Answer(BaseModel):
    """The answer, best pin first."""

    pins: list[Pin]
    model_version: str


class Search:
    """FAISS over the pins: all of them, or one flat index for each interest that is small."""

    def __init__(self, folder: Path) -> None:
        details = read_manifest(folder, INDEX).details
        vectors = np.load(folder / VECTORS)
        self._pin_ids = PinIds.load(folder)
        self._all = faiss.IndexFlatIP(vectors.shape[1])
        self._all.add(vectors)
        self._num_probes = details["num_probes"]
        if self._num_probes is not None:
            self._ivf = faiss.read_index(str(folder / ANN))
            self._all = faiss.IndexRefine(self._ivf, self._all)
        self._small: dict[str, tuple[faiss.Index, np.ndarray]] = {}
        self._large: dict[str, faiss.IDSelector] = {}
        self._bitmaps: list[np.ndarray] = []
        postings = Postings.load(folder, len(vectors))
        for name in postings.interests:
            mask = postings.subset(postings.codes((name,))).mask()
            rows = np.flatnonzero(mask)
            if self._num_probes is None or len(rows) <= details["scan_up_to"]:
                index = faiss.IndexFlatIP(vectors.shape[1])
                index.add(vectors[rows])
                self._small[name] = index, rows
            else:
                bitmap = np.packbits(mask, bitorder="little")
                self._bitmaps.append(bitmap)  # FAISS does not keep it alive
                self._large[name] = faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))

    def search(
        self, vectors: np.ndarray, k: int, interests: Sequence[str], exclude: set[str]
    ) -> list[tuple[str, float, int]]:
        """The best k pins of several vectors, which take turns: id, score, vector."""
        depth = k + len(exclude)
        found = [self._find(vectors, depth, name) for name in interests or (None,)]
        scores, rows = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        best = np.argsort(-scores, axis=1)
        taken = set(exclude)
        pins: list[tuple[str, float, int]] = []
        for turn in best.T:
            for vector, place in enumerate(turn):
                row = rows[vector, place]
                if row < 0 or (pin_id := self._pin_ids[row]) in taken:
                    continue
                taken.add(pin_id)
                pins.append((pin_id, float(scores[vector, place]), vector))
                if len(pins) == k:
                    return pins
        return pins

    def _find(
        self, vectors: np.ndarray, depth: int, interest: str | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if interest in self._small:
            index, own = self._small[interest]
            scores, rows = index.search(vectors, min(depth, len(own)))
            return scores, own[rows]
        if self._num_probes is None:
            return self._all.search(vectors, min(depth, self._all.ntotal))
        probes = faiss.SearchParametersIVF()
        probes.nprobe = self._num_probes
        if interest is not None:
            probes.sel = self._large[interest]
        parameters = faiss.IndexRefineSearchParameters()
        parameters.k_factor, parameters.base_index_params = REFINE_FACTOR, probes
        return self._all.search(vectors, depth, params=parameters)


def create_app(folder: Path) -> FastAPI:
    """The service over one release."""
    torch.set_num_threads(1)
    release = Release.open(folder)
    tower, search = UserTower(release.folder), Search(release.index)
    decoder = msgspec.msgpack.Decoder(UserRecord)
    with UserSnapshot.open(release.users) as snapshot:
        users = {
            key.decode(): decoder.decode(record)
            for batch in snapshot.batches(10_000)
            for key, record in batch
        }
    app = FastAPI()

    @app.post("/recommendations")
    def recommend(ask: Ask) -> Answer:
        record = users.get(ask.user_id, UserRecord())
        (vectors,) = tower.embed(tower.encode([record.features], [record.history]))
        exclude = {*record.seen, *(item.pin_id for item in record.history)}
        found = search.search(vectors, ask.k, ask.interests, exclude)
        pins = [Pin(pin_id=p, score=score, source=f"embedding_{row}") for p, score, row in found]
        return Answer(pins=pins, model_version=release.version)

    return app


def main() -> None:
    """Parses the command line and serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(create_app(given.release), port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
