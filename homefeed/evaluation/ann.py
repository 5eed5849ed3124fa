"""Recall of a release's search engine against exact search of the same queries."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from homefeed.evaluation.layout import Metrics
from homefeed.index.exact import top_rows
from homefeed.index.layout import SIGNATURES, VECTORS, load_array
from homefeed.index.merge import Excluded, round_robin
from homefeed.index.pin_ids import PinIds
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine


class ExactSearch:
    """Scores every pin of an index for every query, whatever the index's kind."""

    def __init__(self, index: Path) -> None:
        self._vectors = load_array(index, VECTORS)
        self._signatures = load_array(index, SIGNATURES)
        self._pin_ids = PinIds.load(index)
        self._most_alike = int(np.bincount(self._signatures).max())

    def search(self, query: Query) -> tuple[str, ...]:
        """The pins of one query without interests, best first."""
        num_pins, dimension = self._vectors.shape
        vectors = np.frombuffer(query.vectors, "<f4").reshape(-1, dimension)
        # A source gives at most k signatures, each with so many rows, and all excluded pins.
        excluded = Excluded.of(query)
        depth = query.k * self._most_alike + excluded.num_pins
        rows, scores = top_rows(self._vectors, (range(num_pins),), vectors, depth)
        sources = list(zip(rows, scores, strict=True))
        return round_robin(sources, self._signatures, self._pin_ids, query.k, excluded).pin_ids


def measure_ann_recall(
    index: Path, batches: Iterable[Sequence[Query]], cutoffs: Sequence[int]
) -> Metrics:
    """Share of exact search's first pins that are among the engine's first, over all queries.

    Args:
        index: the search index.
        batches: queries without interests, as the engine gets them.
        cutoffs: how many pins are the first; none above the queries' k.

    Returns:
        `recall@cutoff` for each cutoff; 1 where there is nothing to be found.
    """
    engine, exact = SearchEngine.load(index), ExactSearch(index)
    num_found, num_right = np.zeros(len(cutoffs)), np.zeros(len(cutoffs))
    for queries in batches:
        for query, hits in zip(queries, engine.search_batch(queries), strict=True):
            right = exact.search(query)
            firsts = [(set(right[:k]), set(hits.pin_ids[:k])) for k in cutoffs]
            num_right += [len(own) for own, _ in firsts]
            num_found += [len(own & found) for own, found in firsts]
    recall = np.where(num_right, num_found / np.maximum(num_right, 1), 1.0)
    return {f"recall@{k}": float(value) for k, value in zip(cutoffs, recall, strict=True)}
