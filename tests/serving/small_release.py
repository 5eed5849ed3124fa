"""A small real release whose tower is simple enough to say what must come out of it."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from homefeed.contracts import Manifest, Window, write_manifest
from homefeed.features.config import (
    Categorical,
    Embedding,
    FeaturesConfig,
    HistoryConfig,
    Numeric,
    StatisticsConfig,
)
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, Moments, Vocabulary
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.release.build import build_release
from homefeed.release.bundle import MODEL_STORE_FOLDER, read_release_manifest
from homefeed.release.write_users import write_user_snapshot
from serving.torchserve.archive import write_model_store
from serving.torchserve.settings import HandlerSettings, ModelSettings
from tests.index.artifacts import (
    SERVING_TIME,
    SPACE,
    space_details,
    write_asking_users,
    write_corpus,
    write_embeddings,
)

NUM_PINS = 300
DIMENSION = 8
HISTORY_LENGTH = 4
INTERESTS = ("art", "cats", "größe")
AGES = ("18", "25")
READER = ("p3", "p2", "p1")
"""History of the user `reader`, aged 18, most recent first; `lurker`, aged 25, has none."""
COPIED = "p5"
COPY = "copy of p5"
"""A near-duplicate, which COPIED stands for in the release."""
EXACT = IndexConfig()
# A test machine may be busy; the default deadlines belong to production.
SETTINGS = ModelSettings(
    response_timeout=60, handler=HandlerSettings(sidecar_deadline_seconds=30.0)
)


class SmallRelease(NamedTuple):
    """The folder of a release, and what its pins are."""

    folder: Path
    vectors: np.ndarray
    """Of the pins in the index."""
    interests: list[list[str]]
    tower_vectors: np.ndarray
    """Of the pins as the tower learned them, and keeps them in every refresh."""
    reader: tuple[str, ...]
    """History of the user `reader`."""

    @property
    def version(self) -> str:
        return read_release_manifest(self.folder).version

    def best(
        self,
        history: Sequence[str],
        k: int,
        age: str | None = None,
        activity: float = 0.0,
        interests: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> list[str]:
        """The k best pins by brute force, for the user that the tower makes of these."""
        user = self.user_vector(history, age, activity)
        order = np.argsort(-(self.vectors @ user), kind="stable")
        found = [
            f"p{row}"
            for row in order
            if (not interests or set(interests) & set(self.interests[row]))
            and f"p{row}" not in exclude
        ]
        return found[:k]

    def user_vector(
        self, history: Sequence[str], age: str | None = None, activity: float = 0.0
    ) -> np.ndarray:
        """What `SumTower` makes of a user's engagements, most recent first, and features."""
        rows = [pin_number(pin) for pin in history[:HISTORY_LENGTH]]
        pins = self.tower_vectors[rows].sum(axis=0)
        summed = pins + age_table()[0 if age is None else 1 + AGES.index(age)] + activity
        return summed / np.linalg.norm(summed)

    def conditioned_vectors(
        self, history: Sequence[str], age: str | None = None, condition: str | None = None
    ) -> np.ndarray:
        """What `ConditionalTower` makes of a user, [2, DIMENSION]; SumTower's is its first."""
        row = 0 if condition is None else 2 + INTERESTS.index(condition)
        vector = self.user_vector(history, age) + condition_table()[row]
        vector /= np.linalg.norm(vector)
        return np.stack([vector, vector[::-1]])

    def interests_of(self, pin_id: str) -> set[str]:
        return set(self.interests[pin_number(pin_id)])

    def popular(self, k: int, interest: str | None = None, exclude: Collection[str] = ()) -> list:
        """The k most popular pins: p0 is the first of the corpus."""
        pins = [
            f"p{row}" for row, own in enumerate(self.interests) if not interest or interest in own
        ]
        return [pin for pin in pins if pin not in exclude][:k]


def pin_number(pin_id: str) -> int:
    return int(pin_id.removeprefix("p"))


def pin_vectors(refresh: int) -> np.ndarray:
    """Unit vectors of the pins, float32 [NUM_PINS, DIMENSION]."""
    rng = np.random.default_rng(refresh)
    vectors = rng.standard_normal((NUM_PINS, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def age_table() -> np.ndarray:
    """Vectors of the unknown age and of AGES, float32 [3, DIMENSION]."""
    rng = np.random.default_rng(1)
    return 0.1 * rng.standard_normal((1 + len(AGES), DIMENSION)).astype(np.float32)


def condition_table() -> np.ndarray:
    """Vectors of no condition, an unknown one and INTERESTS, float32 [5, DIMENSION]."""
    rng = np.random.default_rng(2)
    table = rng.standard_normal((2 + len(INTERESTS), DIMENSION)).astype(np.float32)
    table[0] = 0
    return table


class SumTower(nn.Module):
    """The sum of the history's pins, the age's vector and the activity, normalised."""

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__()
        nothing = np.zeros((2, DIMENSION), np.float32)
        self.pins = nn.Embedding.from_pretrained(
            torch.from_numpy(np.concatenate([nothing, vectors]))
        )
        self.ages = nn.Embedding.from_pretrained(
            torch.from_numpy(np.concatenate([nothing[:1], age_table()]))
        )

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`history[B, L]`, `age[B, 1]`, `numeric[B, 2]`, `taste[B, 2]` to `[B, 1, D]`."""
        summed = self.pins(features["history"]).sum(dim=1) + self.ages(features["age"]).sum(dim=1)
        summed = summed + features["numeric"][:, 1:] + features["taste"].sum(dim=1, keepdim=True)
        return nn.functional.normalize(summed, dim=1)[:, None, :]


class ConditionalTower(nn.Module):
    """Two embeddings a user: SumTower's with the condition's vector, and the same backwards."""

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__()
        self.user = SumTower(vectors)
        self.conditions = nn.Embedding.from_pretrained(torch.from_numpy(condition_table()))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """SumTower's features and `condition[B, 1]` to `[B, 2, D]`."""
        summed = self.user(features) + self.conditions(features["condition"])
        vectors = nn.functional.normalize(summed, dim=2)
        return torch.cat([vectors, vectors.flip(2)], dim=1)


def make_encoder(conditional: bool = False) -> FeatureEncoder:
    pin_interests = {"interests": Vocabulary(INTERESTS)} if conditional else {}
    config = FeaturesConfig(
        user=(
            Categorical(column="age"),
            Categorical(column="followed_interests", values=2),
            Numeric(column="activity"),
            Embedding(column="taste", dimension=2),
        ),
        history=HistoryConfig(length=HISTORY_LENGTH),
        statistics=StatisticsConfig(half_life_days=()),
    )
    return FeatureEncoder(
        config=config,
        actions=Vocabulary(("click", "save")),
        vocabularies={
            **pin_interests,
            "age": Vocabulary(AGES),
            "followed_interests": Vocabulary(INTERESTS),
            "pin_id": Vocabulary(tuple(f"p{row}" for row in range(NUM_PINS))),
        },
        pin_moments={},
        user_moments={"activity": Moments(0.0, 1.0)},
    )


def write_towers(folder: Path, vectors: np.ndarray, space: str, conditional: bool) -> Path:
    folder.mkdir()
    tower = ConditionalTower(vectors) if conditional else SumTower(vectors)
    torch.jit.script(tower).save(str(folder / "user_tower.pt"))
    (folder / "pin_tower.pt").write_bytes(b"not run here")
    make_encoder(conditional).save(folder / FEATURES_FILE)
    details = space_details(DIMENSION, space) | {"conditional": conditional}
    write_manifest(folder, Manifest(kind="exported_towers", details=details))
    return folder


def write_users(folder: Path, reader: Sequence[str] = READER) -> Path:
    """A dataset of `reader`, who clicked three pins, and `lurker`, who did nothing."""
    folder.mkdir()
    users = {
        "user_id": ["reader", "lurker"],
        "user_index": [0, 1],
        "age": ["18", "25"],
        "activity": [0.0, 0.0],
        "taste": pa.array([[0.0, 0.0], None], pa.list_(pa.float32())),
        "followed_interests": pa.array([["art"], None], pa.list_(pa.string())),
        "inferred_interests": pa.array([None, ["größe", "chess"]], pa.list_(pa.string())),
    }
    pq.write_table(pa.table(users), folder / "users.parquet")
    engagements = {
        "user_id": ["reader"] * 3,
        "pin_id": reader[::-1],
        "action": ["click"] * 3,
        "timestamp": [1, 2, 3],
        "event_id": [0, 1, 2],
        "split": ["train"] * 3,
        "user_index": [0] * 3,
    }
    pq.write_table(pa.table(engagements), folder / "engagements.parquet")
    duplicates = {"pin_id": [COPY], "item_id": [COPIED]}
    pq.write_table(pa.table(duplicates), folder / "duplicates.parquet")
    make_encoder().save(folder / FEATURES_FILE)
    details = {"serving_time": SERVING_TIME}
    write_manifest(folder, Manifest(kind="dataset", window=Window(0, 2000), details=details))
    return folder


def build_small_release(
    folder: Path,
    space: str = SPACE,
    conditional: bool = False,
    interests: Sequence[str] = INTERESTS,
    refresh: int = 0,
    index: IndexConfig = EXACT,
) -> SmallRelease:
    """Makes one of pins that have `interests` in turn.

    Each `refresh` has the towers of all others, but pins of its own and another history of its
    reader.
    """
    tower_vectors, vectors = pin_vectors(0), pin_vectors(refresh)
    reader = tuple(f"p{pin_number(pin) + 3 * refresh}" for pin in READER)
    own = [[interests[row % 3]] + [interests[1]] * (row % 7 == 0) for row in range(NUM_PINS)]
    corpus = write_corpus(folder / "corpus", own)
    embeddings = write_embeddings(folder / "embeddings", vectors, space=space)
    asking = write_asking_users(folder / "asking", tower_vectors, space=space)
    build_index(corpus, [embeddings], index, folder / "index", asking)
    write_user_snapshot(write_users(folder / "dataset", reader), folder / "users")
    write_model_store(folder / "model-store", SETTINGS)
    build_release(
        exported=write_towers(folder / "exported", tower_vectors, space, conditional),
        corpus=corpus,
        index=folder / "index",
        users=folder / "users",
        model_store=folder / "model-store",
        output=folder / "release",
    )
    return SmallRelease(folder / "release", vectors, own, tower_vectors, reader)


def sign_release(release: Path) -> None:
    """Writes the manifest of what the folder holds now."""
    write_manifest(release, read_release_manifest(release))


def with_settings(release: Path, copy: Path, settings: ModelSettings) -> Path:
    """A copy of a release that TorchServe runs by other settings."""
    shutil.copytree(release, copy)
    shutil.rmtree(copy / MODEL_STORE_FOLDER)
    write_model_store(copy / MODEL_STORE_FOLDER, settings)
    sign_release(copy)
    return copy
