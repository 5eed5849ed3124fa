"""Clustering and MIND: what a history's embeddings must be, whichever way they are made."""

import math

import pytest
import torch
from torch import Tensor

from homefeed.towers.history.clustering import Clustering
from homefeed.towers.history.config import ClusteringConfig, InterestsConfig, MindConfig
from homefeed.towers.history.make import make_interests
from homefeed.towers.history.routing import by_mass, count_clusters, squash

L, D, K = 12, 8, 4
LENGTHS = (0, 1, 2, 5, 8, 12)
EVERY: list[InterestsConfig] = [
    ClusteringConfig(embeddings=K),
    ClusteringConfig(embeddings=K, count="fixed", assignment="soft"),
    ClusteringConfig(embeddings=K, start="random"),
    MindConfig(embeddings=K),
]


def histories(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pins, actions = (torch.randn(len(LENGTHS), L, D, generator=generator) for _ in range(2))
    return pins, actions, torch.arange(L) < torch.tensor(LENGTHS)[:, None]


def make(config: InterestsConfig) -> torch.nn.Module:
    torch.manual_seed(3)
    return make_interests(D, L, config).eval()


@pytest.mark.parametrize("config", EVERY)
def test_padding_is_never_a_centroid_and_changes_nothing(config: InterestsConfig) -> None:
    interests = make(config)
    pins, actions, is_there = histories()
    found = interests(pins, actions, is_there)
    garbage = [torch.where(is_there[..., None], each, 50.0) for each in (pins, actions)]
    for expected, again in zip(found, interests(*garbage, is_there), strict=True):
        torch.testing.assert_close(again, expected)
    embeddings, is_used = found
    assert embeddings.isfinite().all()
    assert (embeddings[~is_used] == 0).all()
    assert is_used[:, 0].all()
    assert (embeddings[0] == 0).all()


@pytest.mark.parametrize("config", EVERY)
def test_users_have_as_many_as_their_history_gives(config: InterestsConfig) -> None:
    _, is_used = make(config)(*histories())
    expected = [
        max(1, min(K, int(math.log2(n)) if config.count == "by_history" else n))
        for n in (max(length, 1) for length in LENGTHS)
    ]
    assert is_used.sum(dim=1).tolist() == expected
    # Those that are there come first.
    assert (is_used.int().diff(dim=1) <= 0).all()


@pytest.mark.parametrize("config", EVERY)
def test_scripts_are_the_same_and_gradients_are_numbers(config: InterestsConfig) -> None:
    interests = make(config)
    given = histories()
    for eager, script in zip(interests(*given), torch.jit.script(interests)(*given), strict=True):
        torch.testing.assert_close(script, eager)
    given[0].requires_grad_()
    interests.train()(*given)[0].square().sum().backward()
    assert given[0].grad is not None
    assert given[0].grad.isfinite().all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("assignment", ["single", "soft"])
def test_the_order_of_the_history_does_not_change_the_set(seed: int, assignment: str) -> None:
    config = ClusteringConfig(embeddings=K, count="fixed", assignment=assignment)  # type: ignore[arg-type]
    interests = make(config)
    pins, actions, is_there = (each[-1:] for each in histories(seed))
    order = torch.randperm(L, generator=torch.Generator().manual_seed(seed))
    one, _ = interests(pins, actions, is_there)
    other, _ = interests(pins[:, order], actions[:, order], is_there)
    distances = torch.cdist(one[0], other[0])
    assert distances.min(dim=0).values.max() < 1e-4
    assert distances.min(dim=1).values.max() < 1e-4


def test_one_embedding_is_the_squashed_sum_of_all_items() -> None:
    interests = make(ClusteringConfig(embeddings=1))
    assert isinstance(interests, Clustering)
    pins, actions, is_there = histories()
    embeddings, is_used = interests(pins, actions, is_there)
    assert is_used.all()
    items = interests.items(torch.cat([pins, actions], dim=2)) * is_there[..., None]
    torch.testing.assert_close(embeddings[:, 0], squash(items.sum(dim=1)))


class Plain(torch.nn.Module):
    """Items as they are, without what was done."""

    def forward(self, both: Tensor) -> Tensor:
        return both[..., :D]


def plain_clustering(**settings: object) -> Clustering:
    clustering = Clustering(D, ClusteringConfig(count="fixed", **settings))  # type: ignore[arg-type]
    clustering.items = Plain()  # type: ignore[assignment]
    return clustering.eval()


def two_groups() -> tuple[Tensor, Tensor, Tensor]:
    """Four items that point one way, two that point another, one in between."""
    a, b = torch.eye(D)[0], torch.eye(D)[1]
    items = torch.stack([a, b, a, a + 0.1 * b, b, 3 * a, a + 0.9 * b])[None]
    return items, torch.zeros_like(items), torch.ones(1, 7, dtype=torch.bool)


def test_maxmin_starts_from_items_far_apart() -> None:
    items, _, is_there = two_groups()
    first, second = plain_clustering(embeddings=2)._far_apart(items, is_there)[0].tolist()
    # The most central is the one in between or next to the larger group; far from it is the other.
    assert first in (3, 6)
    cosines = torch.nn.functional.cosine_similarity(items[0], items[0, first : first + 1])
    assert cosines[second] == cosines.min()


def test_with_single_assignment_each_item_feeds_one_cluster() -> None:
    items, actions, is_there = two_groups()
    single, soft = (
        plain_clustering(embeddings=2, iterations=1, assignment=each)(items, actions, is_there)[0]
        for each in ("single", "soft")
    )
    # Undo the squash: the single ones are sums of whole groups, weighed by their softmax.
    directions = torch.nn.functional.normalize(single[0], dim=1)
    assert (directions[:, :2].amin(dim=1) < 0.5).all()
    mixed = torch.nn.functional.normalize(soft[0], dim=1)[:, :2].amin(dim=1)
    assert mixed.min() > directions[:, :2].amin(dim=1).min()


def test_the_heaviest_comes_first() -> None:
    clusters = torch.arange(6.0).view(1, 3, 2)
    mass = torch.tensor([[0.5, 9.0, 2.0]])
    is_used = torch.tensor([[True, False, True]])
    ordered, used = by_mass(clusters, mass, is_used)
    assert ordered[0].tolist() == [[4.0, 5.0], [0.0, 1.0], [0.0, 0.0]]
    assert used[0].tolist() == [True, True, False]


def test_squash_keeps_the_direction_and_bounds_the_length() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.3, 0.4]])
    squashed = squash(vectors)
    torch.testing.assert_close(squashed[0], torch.tensor([0.6, 0.8]) * 25 / 26)
    assert (squashed[1] == 0).all()
    torch.testing.assert_close(squashed[2].norm(), torch.tensor(0.25 / 1.25))


def test_clusters_are_counted_by_the_logarithm() -> None:
    lengths = torch.tensor([0, 1, 2, 3, 4, 7, 8, 100])
    assert count_clusters(lengths, 4, True).tolist() == [1, 1, 1, 1, 2, 2, 3, 4]
    assert count_clusters(lengths, 4, False).tolist() == [1, 1, 2, 3, 4, 4, 4, 4]


def test_a_random_start_is_one_in_training_alone() -> None:
    clustering = plain_clustering(embeddings=2, start="random")
    given = two_groups()
    assert torch.equal(clustering(*given)[0], clustering(*given)[0])
    clustering.train()
    torch.manual_seed(0)
    starts = {tuple(clustering._by_chance(given[2])[0].tolist()) for _ in range(20)}
    assert len(starts) > 3
