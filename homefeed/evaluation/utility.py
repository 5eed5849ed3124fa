"""How good recommendations truly are, where the truth is known: on a simulated homefeed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from homefeed.contracts import read_manifest
from homefeed.events.config import EventsConfig
from homefeed.events.layout import EVENTS, TRUTH_FOLDER
from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.world import World, day_of, load_world
from homefeed.ranking.metrics import NO_PIN


def read_known_truth(events: Path) -> World:
    """Opens the truth of a simulated homefeed; arrays are read as far as they are used.

    Args:
        events: the events artifact.

    Raises:
        ValueError: the artifact is of another source.
    """
    config = msgspec.convert(read_manifest(events, EVENTS).details["config"], EventsConfig)
    if not isinstance(config.input, Simulator):
        raise ValueError(
            f"{events} has no known truth: only a log with events.input.source: simulator has one"
        )
    return load_world(config.input, events / TRUTH_FOLDER)


def true_utilities(
    truth: World, user_ids: Sequence[str], pin_ids: Sequence[str], as_of: int
) -> np.ndarray:
    """Utility of every pin to every user: float32 [users, pins].

    It takes no account of whether a pin was there yet.

    Args:
        truth: from `read_known_truth`.
        user_ids: of the events artifact.
        pin_ids: of the events artifact.
        as_of: Unix seconds, within the log or at its end; interests drift and trends pass.

    Raises:
        ValueError: an id is unknown, or the time lies outside the log.
    """
    config = truth.config
    if not config.start_seconds <= as_of <= config.end_seconds:
        raise ValueError(
            f"as_of={as_of} lies outside the simulated log: it goes from {config.start_seconds} "
            f"to {config.end_seconds}"
        )
    users = _rows(user_ids, config.users, "user")
    pins = _rows(pin_ids, config.pins, "pin")
    return truth.all_utilities(users, pins, day_of(config, as_of))


def utility_at_k(
    recommended: np.ndarray, utilities: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> np.ndarray:
    """Mean utility of the first k as a share of the best k candidates': float64 [U].

    A place that holds no pin is worth 0. The share is below 0 where the pins' mean utility is.

    Args:
        recommended: places of pins among the candidates, best first, int [U, K], K >= k;
            -1 where there are no more.
        utilities: of every candidate, [U, C], C >= k.
        k: cutoff.
        allowed: which candidates the best are chosen from, bool [U, C]: at least k of each user's;
            None for all.

    Raises:
        ValueError: there are fewer than k recommended or allowed.
    """
    choosable = utilities if allowed is None else np.where(allowed, utilities, -np.inf)
    if not 1 <= k <= min(recommended.shape[1], utilities.shape[1]):
        raise ValueError(
            f"k={k} must be at least 1, and no more than the {recommended.shape[1]} recommended "
            f"and the {utilities.shape[1]} candidates"
        )
    best = np.partition(choosable, -k, axis=1)[:, -k:].astype(np.float64)
    if not np.isfinite(best).all():
        raise ValueError(f"a user has fewer than k={k} allowed candidates with a utility")
    first = recommended[:, :k]
    of_first = np.take_along_axis(utilities, np.maximum(first, 0), axis=1).astype(np.float64)
    return np.where(first == NO_PIN, 0, of_first).sum(axis=1) / best.sum(axis=1)


def _rows(ids: Sequence[str], num: int, kind: str) -> np.ndarray:
    """Ids of a simulated log are the rows of its truth, as text."""
    if unknown := [each for each in ids if not _is_row(each, num)]:
        raise ValueError(
            f"{kind}s {unknown[:3]} are none of the simulated log's: ids go from 0 to {num - 1}"
        )
    return np.array(ids, dtype=np.int64)


def _is_row(text: str, num: int) -> bool:
    # Only one way to write a number is an id: 7 is one, 07 is none.
    return text.isdecimal() and text == str(int(text)) and int(text) < num
