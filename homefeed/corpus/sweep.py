"""What corpora of different half-lives and sizes would have covered of what came next."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from ibis import _

from homefeed.contracts import read_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.dataset.layout import DATASET, PIN_INDEX, VALIDATION
from homefeed.dataset.statistics import SECONDS_A_DAY, decayed_sum
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE

HALF_LIVES = (0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0)
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)


class Coverage(NamedTuple):
    """How much of the engagements after a cut is with the best pins before it."""

    half_life_days: float
    num_pins: int
    """Of the corpus."""
    share: float
    """Of the engagements after the cut that are with pins of the corpus."""


def sweep_corpus(
    dataset: Path,
    config: CorpusConfig,
    half_lives: Sequence[float] = HALF_LIVES,
    shares: Sequence[float] = SHARES,
    after: Literal["validation", "test"] = VALIDATION,
) -> list[Coverage]:
    """Coverage of each half-life and size, by half-life and size.

    Choose on the validation part, an earlier cut than the one that is served; its engagements are
    new to every corpus, as each is selected from what lies before it.

    Args:
        dataset: the dataset artifact, split by time.
        config: window and weights of the corpus; its own half-life and size do not matter.
        half_lives: in days; 0 is a plain sum.
        shares: sizes, as shares of all pins with an engagement before the cut.
        after: the part whose start is the cut, and whose engagements are to be covered.

    Raises:
        ValueError: the data set was split otherwise, or a number makes no sense.
    """
    details = read_manifest(dataset, DATASET).details
    if details.get("config", {}).get("split") != "time":
        raise ValueError(
            f"{dataset} is not split by time: a corpus is judged by what comes after it, so build "
            "the data set with dataset.split: time"
        )
    if wrong := [each for each in half_lives if each < 0]:
        raise ValueError(f"half-lives {wrong} must be >= 0 days; 0 is a plain sum")
    if wrong := [each for each in shares if not 0 < each <= 1]:
        raise ValueError(f"sizes {wrong} must lie in (0, 1], as shares of all pins")
    start, end = details["windows"][after]
    with open_engine(dataset) as engine:
        events = engine.read(dataset / ENGAGEMENTS_FILE)
        before = events.filter(_.timestamp < start)
        num_known = before[PIN_INDEX].nunique().execute()
        if config.window_days is not None:
            before = before.filter(_.timestamp >= start - config.window_days * SECONDS_A_DAY)
        sums = {
            f"score_{place}": decayed_sum(start, half_life, config.action_weights)
            for place, half_life in enumerate(half_lives)
        }
        scores = before.group_by(PIN_INDEX).agg(**sums)
        later = events.filter((_.timestamp >= start) & (_.timestamp < end))
        num_later = later.group_by(PIN_INDEX).agg(num_later=_.count())
        total = later.count().execute()
        joined = scores.left_join(num_later, PIN_INDEX).order_by(PIN_INDEX)
        found = joined.mutate(num_later=_.num_later.fill_null(0)).to_pyarrow()
    covered = found["num_later"].to_numpy()
    sizes = [max(1, round(share * num_known)) for share in shares]
    rows = []
    for place, half_life in enumerate(half_lives):
        order = np.argsort(-found[f"score_{place}"].to_numpy(), kind="stable")
        sums_by_size = np.cumsum(covered[order])
        for size in sizes:
            reached = sums_by_size[min(size, len(order)) - 1] if len(order) else 0
            rows.append(Coverage(half_life, size, float(reached / total)))
    return rows
