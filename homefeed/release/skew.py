"""Whether serving encodes users as the training did."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from ibis import _

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, read_manifest, write_manifest
from homefeed.dataset.history import SECONDS_AN_HOUR
from homefeed.dataset.layout import DATASET, EXAMPLES_FOLDER, TRAIN, USER_INDEX, VALIDATION
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.engine import open_engine
from homefeed.events.layout import USERS_FILE
from homefeed.features.config import (
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    NUMERIC,
    Categorical,
    Embedding,
)
from homefeed.features.encoder import (
    FEATURES_FILE,
    FIRST_ROW,
    OUT_OF_VOCABULARY_ROW,
    PADDING_ROW,
    FeatureEncoder,
    HistoryItem,
    Tensors,
    Vocabulary,
)
from homefeed.features.users import UserRecord
from homefeed.release.bundle import RELEASE, Release, read_release_manifest
from homefeed.release.comparison import Comparison, compare_categories, compare_numbers
from homefeed.release.config import OnlineSkewConfig
from homefeed.release.skew_report import Skew, conclude
from homefeed.release.user_tower import UserTower
from homefeed.release.users import USERS, UserSnapshot
from homefeed.towers.data import HISTORY_COLUMNS, EncodedDataset, Histories

ONLINE_SKEW = "online_skew"
"""Kind of the artifact."""
MAX_ROWS = 20_000
"""So many recent training rows at most are encoded: more do not change a distribution."""


class Sides(NamedTuple):
    """The same B users as the training and as serving encode them, and their histories' lengths.

    Attributes:
        trained: tensors of the user tower.
        served: the same, with histories as they were at the training rows' times.
        trained_lengths: of the training rows' histories, int [B].
        served_lengths: of the snapshot's, as a request would get them now, int [B].
    """

    trained: Tensors
    served: Tensors
    trained_lengths: np.ndarray
    served_lengths: np.ndarray


def check_online_skew(
    dataset: Path, release: Path, config: OnlineSkewConfig, output: Path
) -> Manifest:
    """Compares recent training rows with what the handler makes of the snapshot for their users.

    Each row's user is looked up in the release's snapshot and encoded as the handler does, so that
    both sides have the same users in the same proportions, although active ones have more rows.
    The snapshot's history is taken back to the time of the row, less the delay of the recipe: else
    it would differ by what the user did since. Where the snapshot holds only the last part of a
    history, the row's is cut to what can be compared. Equal pipelines then give no difference. The
    lengths that requests get now are shown beside, and not judged.

    Args:
        dataset: the dataset artifact, with examples.
        release: the release that was made of it.
        config: the online_skew section of a recipe.
        output: folder of the artifact: the comparisons, and a report to read.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: a feature differs by more than a limit; names all such features.
    """
    source, served = read_manifest(dataset, DATASET), read_release_manifest(release)
    output.mkdir(parents=True, exist_ok=True)
    encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
    since = source.details["serving_time"] - config.recent_days * SECONDS_A_DAY
    rows = _recent_rows(dataset, since, output)
    comparisons = []
    num_rows = rows.num_rows
    if num_rows:
        sides = _encode(dataset, Release(release, served), encoder, rows)
        num_rows = len(sides.trained_lengths)
        comparisons = _compare(encoder, sides) if num_rows else []
    skew = Skew(num_rows=num_rows, comparisons=tuple(comparisons))
    conclude(skew, config, output)
    return write_manifest(
        output,
        Manifest(
            kind=ONLINE_SKEW,
            inputs={DATASET: source.fingerprint, RELEASE: served.fingerprint},
            details={
                "psi": {each.feature: each.psi for each in comparisons},
                "config": to_builtins(config),
            },
        ),
    )


def _recent_rows(dataset: Path, since: float, output: Path) -> pa.Table:
    """At most about `MAX_ROWS` of the training rows since then, with the ids of their users."""
    columns = [Column.EVENT_ID, USER_INDEX, Column.TIMESTAMP, *HISTORY_COLUMNS]
    with open_engine(output) as engine:
        parts = [
            engine.read(dataset / EXAMPLES_FOLDER / split / "*.parquet").select(columns)
            for split in (TRAIN, VALIDATION)
        ]
        recent = parts[0].union(parts[1]).filter(_.timestamp >= since)
        every = 1 + recent.count().execute() // MAX_ROWS
        users = engine.read(dataset / USERS_FILE).select(USER_INDEX, Column.USER_ID)
        chosen = recent.filter(_.event_id % every == 0).join(users, USER_INDEX)
        return chosen.order_by(Column.EVENT_ID).to_pyarrow()


def _encode(dataset: Path, release: Release, encoder: FeatureEncoder, rows: pa.Table) -> Sides:
    length = read_manifest(release.users, USERS).details["history_length"]
    delay = max(1, round(encoder.config.history.delay_hours * SECONDS_AN_HOUR))
    histories = list(zip(*(rows[name].to_pylist() for name in HISTORY_COLUMNS), strict=True))
    kept: list[int] = []
    records: list[UserRecord] = []
    then: list[tuple[HistoryItem, ...]] = []
    with UserSnapshot.open(release.users) as snapshot:
        whose = zip(
            rows[Column.USER_ID].to_pylist(), rows[Column.TIMESTAMP].to_pylist(), strict=True
        )
        for place, (user_id, timestamp) in enumerate(whose):
            record = snapshot.get(user_id) or UserRecord()
            before = tuple(i for i in record.history if i.timestamp <= timestamp - delay)
            if len(record.history) == length:
                # Older items are lost: only as many as there still are can be compared.
                if not before:
                    continue
                histories[place] = tuple(each[: len(before)] for each in histories[place])
            kept.append(place)
            records.append(record)
            then.append(before)
    lengths = rows[HISTORY].combine_chunks().value_lengths().to_numpy()[kept]
    users = rows[USER_INDEX].to_numpy()[kept]
    return Sides(
        _as_trained(dataset, encoder, users, [histories[place] for place in kept], rows.schema),
        UserTower(release.folder).encode([record.features for record in records], then),
        lengths,
        np.array([len(record.history) for record in records]),
    )


def _as_trained(
    dataset: Path,
    encoder: FeatureEncoder,
    users: np.ndarray,
    histories: list[tuple[list[int], ...]],
    schema: pa.Schema,
) -> Tensors:
    """What the training makes of users [B] with their pins, actions and times."""
    columns = [
        pa.chunked_array([pa.array([each[side] for each in histories], schema.field(name).type)])
        for side, name in enumerate(HISTORY_COLUMNS)
    ]
    gathered = Histories.of(pa.table(columns, list(HISTORY_COLUMNS)))
    batch = EncodedDataset(dataset, encoder).users(users, gathered, np.arange(len(users)))
    return {name: tensor.numpy() for name, tensor in batch.items()}


def _compare(encoder: FeatureEncoder, sides: Sides) -> list[Comparison]:
    trained, served = sides.trained, sides.served
    comparisons = []
    for feature in encoder.config.user:
        name = feature.column
        if isinstance(feature, Categorical):
            names = _names(encoder.vocabularies[name])
            values = trained[name].ravel(), served[name].ravel()
            comparisons.append(_compare_rows(name, *values, names))
        elif isinstance(feature, Embedding):
            norms = (np.linalg.norm(side[name], axis=1) for side in (trained, served))
            comparisons.append(compare_numbers(f"{name} (length of the vector)", *norms))
    numbers = ["history_length", *(feature.column for feature in encoder.user_numeric)]
    for place, name in enumerate(numbers):
        values = (side[NUMERIC][:, place].astype(np.float64) for side in (trained, served))
        comparisons.append(compare_numbers(name, *values))
    lists = {
        HISTORY: _names(encoder.vocabularies[Column.PIN_ID]),
        HISTORY_ACTIONS: _names(encoder.actions),
        HISTORY_AGES: {},
    }
    for name, names in lists.items():
        values = (side[name][side[HISTORY] != PADDING_ROW] for side in (trained, served))
        there = [side if len(side) else np.array([PADDING_ROW]) for side in values]
        comparisons.append(_compare_rows(name, there[0], there[1], names))
    now = (sides.trained_lengths.astype(np.float64), sides.served_lengths.astype(np.float64))
    comparisons.append(compare_numbers("history_length of requests now", *now, is_judged=False))
    return comparisons


def _compare_rows(
    name: str, trained: np.ndarray, served: np.ndarray, names: dict[int, str]
) -> Comparison:
    return compare_categories(name, trained, served, names, OUT_OF_VOCABULARY_ROW)


def _names(vocabulary: Vocabulary) -> dict[int, str]:
    rows = dict(enumerate(vocabulary.values, FIRST_ROW))
    return {PADDING_ROW: "none", OUT_OF_VOCABULARY_ROW: "unknown", **rows}
