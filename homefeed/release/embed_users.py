"""Embeds a sample of users as serving will, for the recall of the index to be measured with."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
from ibis import _
from tqdm import tqdm

from homefeed.contracts import Column, Manifest, read_manifest
from homefeed.corpus.embed import SPACE_FACTS
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.dataset.layout import DATASET, USER_INDEX
from homefeed.engine import open_engine
from homefeed.events.layout import USERS_FILE
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.features.users import UserRecord
from homefeed.index.config import IndexConfig
from homefeed.index.user_embeddings import USER_EMBEDDINGS, UserVectors, write_user_embeddings
from homefeed.release.known_users import known_events, read_records
from homefeed.release.user_tower import UserTower

NUM_USERS = 1_000
NUM_ASKED = 100
"""Of those that follow an interest, and of others, so many are asked for it: a corpus may have
hundreds of interests that are large enough."""
NUM_NEW = 300
"""Users that are embedded once more, as if they were new."""
USERS_AT_ONCE = 16
"""Each with all the interests that they are asked for."""


def embed_users(
    exported: Path, dataset: Path, corpus: Path, config: IndexConfig, seed: int, output: Path
) -> Manifest:
    """Embeds users who have engaged with something, as they are known at serving time.

    No example of the training was of a user as of then: the towers learnt from what users did
    before, and what they did later is held back or has yet to happen. Some are embedded once more
    as newcomers, by their features alone.

    Args:
        exported: the exported towers artifact.
        dataset: the dataset artifact.
        corpus: the corpus artifact: users of conditional towers are asked for those of its
            interests that the index may search approximately.
        config: the index section of a recipe.
        seed: of the sample.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: no user can be embedded.
    """
    towers, source = read_manifest(exported, EXPORTED_TOWERS), read_manifest(dataset, DATASET)
    pins = read_manifest(corpus, CORPUS)
    tower = UserTower(exported)
    output.mkdir(parents=True, exist_ok=True)
    records = _sample(dataset, source.details["serving_time"], tower, seed, output)
    is_conditional = towers.details.get("conditional", False)  # earlier exports lack it
    interests = _large_interests(corpus, config.scan_up_to) if is_conditional else []
    users = _embed(tower, records, _choose_conditions(records, interests))
    if not users:
        raise ValueError(
            f"no user of {dataset} can be embedded: an index is measured with users who have "
            "engaged with something before serving time and whose features are finite numbers"
        )
    new = [msgspec.structs.replace(record, history=()) for record in records[:NUM_NEW]]
    newcomers = [user._replace(is_new=True) for user in _embed(tower, new, [()] * len(new))]
    manifest = Manifest(
        kind=USER_EMBEDDINGS,
        granularity=source.granularity,
        window=source.window,
        inputs={
            EXPORTED_TOWERS: towers.fingerprint,
            DATASET: source.fingerprint,
            CORPUS: pins.fingerprint,
        },
        details={name: towers.details[name] for name in SPACE_FACTS}
        | {"num_users": len(users), "num_interests": len(interests), "seed": seed},
    )
    return write_user_embeddings(output, users + newcomers, manifest)


def _sample(
    dataset: Path, serving_time: int, tower: UserTower, seed: int, scratch: Path
) -> list[UserRecord]:
    """Users by chance, in random order."""
    rng = np.random.default_rng(seed)
    with open_engine(scratch) as engine:
        events = known_events(engine, dataset)
        engaged = events.select(USER_INDEX).distinct().order_by(USER_INDEX)
        known = engaged.to_pyarrow()[USER_INDEX].to_numpy()
        chosen = rng.choice(known, min(NUM_USERS, len(known)), replace=False).tolist()
        is_chosen = _[USER_INDEX].isin(chosen)
        users = engine.read(dataset / USERS_FILE).filter(is_chosen)
        batches = read_records(engine, users, events.filter(is_chosen), tower.encoder, serving_time)
        records = [record for batch in batches for _, record in batch]
    return [records[place] for place in rng.permutation(len(records))]


def _large_interests(corpus: Path, scan_up_to: int) -> list[str]:
    """Interests with more pins than are scanned in any case, sorted."""
    pins = pq.read_table(corpus / CORPUS_FILE, columns=[Column.INTERESTS])
    counts = pins[Column.INTERESTS].combine_chunks().flatten().value_counts().to_pylist()
    return sorted(each["values"] for each in counts if each["counts"] > scan_up_to)


def _choose_conditions(
    records: Sequence[UserRecord], interests: Sequence[str]
) -> list[tuple[str, ...]]:
    """The interests that each user is asked for: by as many that follow one as by others."""
    conditions: list[list[str]] = [[] for _ in records]
    for name in interests:
        kinds: tuple[list[int], list[int]] = ([], [])
        for place, record in enumerate(records):
            kinds[name in _follows(record)].append(place)
        for kind in kinds:
            for place in kind[:NUM_ASKED]:
                conditions[place].append(name)
    return [tuple(own) for own in conditions]


def _follows(record: UserRecord) -> frozenset[str]:
    return frozenset(record.followed_interests + record.inferred_interests)


def _embed(
    tower: UserTower, records: Sequence[UserRecord], conditions: Sequence[tuple[str, ...]]
) -> list[UserVectors]:
    users = []
    for start in tqdm(range(0, len(records), USERS_AT_ONCE), desc="embedding users", unit="batch"):
        part = slice(start, start + USERS_AT_ONCE)
        inputs = tower.encode(
            [record.features for record in records[part]],
            [record.history for record in records[part]],
        )
        found = tower.embed_asked(tower.ask(inputs, conditions[part]), conditions[part])
        for record, own, vectors in zip(records[part], conditions[part], found, strict=True):
            # A feature of 1e300 has no vector; serving answers such users with popular pins.
            if np.isfinite(vectors).all():
                num_own = len(vectors) - len(own)
                conditioned = dict(zip(own, vectors[num_own:], strict=True))
                users.append(UserVectors(_follows(record), vectors[:num_own], conditioned))
    return users
