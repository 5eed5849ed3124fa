"""Users' vectors for the recall of the index, beside those that serving makes."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.index.config import IndexConfig
from homefeed.index.user_embeddings import UserEmbeddings, read_user_embeddings
from homefeed.release import embed_users as embed_module
from homefeed.release.embed_users import embed_users
from homefeed.release.user_tower import UserTower
from homefeed.release.users import UserSnapshot
from homefeed.release.write_users import write_user_snapshot
from tests.data_fixtures import INTERESTS, TINY_FEATURES
from tests.index.artifacts import space_details

DIMENSION = 6


class Tower(nn.Module):
    """Two embeddings a user, of the history, the age and the interest that is asked for."""

    def __init__(self, num_pins: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.pins = nn.Embedding.from_pretrained(
            torch.randn(num_pins, DIMENSION, generator=generator)
        )
        self.others = nn.Embedding.from_pretrained(torch.randn(20, DIMENSION, generator=generator))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`history[B, L]`, `age[B, 1]`, `condition[B, 1]` to `[B, 2, D]`."""
        summed = self.pins(features["history"]).sum(dim=1)
        for name in ("age", "condition"):
            summed = summed + 3 * self.others(features[name]).sum(dim=1)
        vectors = nn.functional.normalize(summed, dim=1)[:, None, :]
        return torch.cat([vectors, vectors.flip(2)], dim=1)


class Parts(NamedTuple):
    exported: Path
    dataset: Path
    corpus: Path


@pytest.fixture(scope="module")
def parts(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("parts")
    exported = folder / "exported"
    exported.mkdir()
    encoder = FeatureEncoder.load(tiny_dataset / FEATURES_FILE)
    encoder.save(exported / FEATURES_FILE)
    num_pins = len(encoder.vocabularies["pin_id"])
    torch.jit.script(Tower(num_pins)).save(str(exported / "user_tower.pt"))
    sign(exported, conditional=True)
    corpus = folder / "corpus"
    select_corpus(tiny_dataset, CorpusConfig(window_days=None), TINY_FEATURES, corpus)
    return Parts(exported, tiny_dataset, corpus)


def sign(exported: Path, conditional: bool) -> None:
    details = space_details(DIMENSION) | {"conditional": conditional}
    write_manifest(exported, Manifest(kind="exported_towers", details=details))


def embed(parts: Parts, output: Path, scan_up_to: int = 0, seed: int = 0) -> UserEmbeddings:
    embed_users(*parts, IndexConfig(scan_up_to=scan_up_to), seed, output)
    return read_user_embeddings(output)


def in_order(vectors: np.ndarray) -> np.ndarray:
    return vectors[np.lexsort(vectors.round(4).T)]


@pytest.fixture(scope="module")
def served(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """By interest, or by '' for none: each user's vectors [2, D], with whether they follow it."""
    folder = tmp_path_factory.mktemp("served") / "users"
    write_user_snapshot(parts.dataset, folder)
    ids = pq.read_table(parts.dataset / "users.parquet")["user_id"].to_pylist()
    tower = UserTower(parts.exported)
    found: dict[str, list] = {}
    with UserSnapshot.open(folder) as users:
        for user_id in ids:
            record = users.get(user_id)
            assert record is not None
            if not record.history:
                continue
            for name in ("", *INTERESTS):
                tensors = tower.encode([record.features], [record.history], [name or None])
                (vectors,) = tower.embed(tensors)
                found.setdefault(name, []).append((vectors, name in record.followed_interests))
    return found


def test_users_are_embedded_as_serving_embeds_them(
    parts: Parts, served: dict[str, list], tmp_path: Path
) -> None:
    users = embed(parts, tmp_path / "users")
    expected = np.concatenate([vectors for vectors, _ in served[""]])
    np.testing.assert_allclose(in_order(users.vectors), in_order(expected), atol=1e-5)
    assert len(users.follows) == len(users.vectors)
    # Of three ages, one of which is unknown, and each followed interest; nothing else is known.
    tower = UserTower(parts.exported)
    ages = np.concatenate(tower.embed(tower.encode([{"age": "18"}, {"age": "25"}, {}], [()] * 3)))
    distances = np.abs(users.newcomers[:, None] - ages).max(axis=2)
    assert set(distances.argmin(axis=1)) == set(range(6))
    assert distances.min(axis=1).max() < 1e-5
    manifest = read_manifest(tmp_path / "users", "user_embeddings")
    assert manifest.details["num_users"] == len(served[""])
    assert manifest.details.items() >= space_details(DIMENSION).items()
    assert manifest.inputs["dataset"] == read_manifest(parts.dataset, "dataset").fingerprint


def test_users_are_asked_for_an_interest_by_those_who_follow_it_and_by_others(
    parts: Parts, served: dict[str, list], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed_module, "NUM_ASKED", 4)
    users = embed(parts, tmp_path / "users")
    assert users.conditioned.keys() == set(INTERESTS)
    for name, vectors in users.conditioned.items():
        # Of several vectors of a condition, serving asks with the first.
        known = [(first, follows) for (first, _), follows in served[name]]
        distances = np.abs(vectors[:, None] - np.array([first for first, _ in known])).max(axis=2)
        assert (distances.min(axis=1) < 1e-5).all()
        assert (
            sorted(known[place][1] for place in distances.argmin(axis=1))
            == [False] * 4 + [True] * 4
        )


def test_interests_that_are_scanned_anyway_are_not_asked_for(parts: Parts, tmp_path: Path) -> None:
    pins = pq.read_table(parts.corpus / "corpus.parquet")["interests"].to_pylist()
    sizes = {name: sum(name in own for own in pins) for name in INTERESTS}
    scan_up_to = sorted(sizes.values())[1]
    users = embed(parts, tmp_path / "users", scan_up_to)
    assert users.conditioned.keys() == {n for n, size in sizes.items() if size > scan_up_to}


def test_towers_without_conditions_are_asked_for_nothing(parts: Parts, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    shutil.copytree(parts.exported, exported)
    sign(exported, conditional=False)
    assert embed(parts._replace(exported=exported), tmp_path / "users").conditioned == {}


def test_towers_that_give_no_numbers_are_refused(parts: Parts, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    shutil.copytree(parts.exported, exported)
    tower = torch.jit.load(exported / "user_tower.pt")
    tower.pins.weight.fill_(torch.nan)
    tower.save(str(exported / "user_tower.pt"))
    with pytest.raises(ValueError, match="no user of .* can be embedded: an index is measured"):
        embed(parts._replace(exported=exported), tmp_path / "users")


def test_a_seed_gives_one_sample(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed_module, "NUM_USERS", 5)
    first, again, other = (
        embed(parts, tmp_path / str(place), seed=seed) for place, seed in enumerate((0, 0, 1))
    )
    assert len(first.vectors) == 10
    assert np.array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)
