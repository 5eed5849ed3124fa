"""Clustering and MIND: what a history's embeddings must be, whichever way they are made."""

import itertools
import math
from typing import Any

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
    ClusteringConfig(embeddings=K, centroids="squashed", assignment="soft"),
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
    shorter = [each[:-1, :-4] for each in (pins, actions, is_there)]
    for expected, again in zip(found, interests(*shorter), strict=True):
        torch.testing.assert_close(again, expected[:-1])


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
    given[0][-1] = given[0][-1, 0]  # one pin over and over
    given[0].requires_grad_()
    interests.train()(*given)[0].square().sum().backward()
    for each in (given[0], *interests.parameters()):
        assert each.grad is not None
        assert each.grad.isfinite().all()
        assert each.grad.abs().sum() > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("assignment", ["single", "soft"])
def test_the_order_of_the_history_does_not_change_the_set(seed: int, assignment: str) -> None:
    config = ClusteringConfig(embeddings=K, count="fixed", assignment=assignment)  # type: ignore[arg-type]
    interests = make(config)
    pins, actions, is_there = (each[-1:] for each in histories(seed))
    order = torch.randperm(L, generator=torch.Generator().manual_seed(seed))
    one, _ = interests(pins, actions, is_there)
    other, _ = interests(pins[:, order], actions[:, order], is_there)
    # Sorted by mass, so even their order is the same.
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


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


def plain_clustering(config: ClusteringConfig) -> Clustering:
    clustering = Clustering(D, config)
    clustering.items = Plain()  # type: ignore[assignment]
    return clustering.eval()


def two_groups() -> tuple[Tensor, Tensor, Tensor]:
    """Four items that point one way, two that point another, one in between."""
    a, b = torch.eye(D)[0], torch.eye(D)[1]
    items = torch.stack([a, b, a, a + 0.1 * b, b, 3 * a, a + 0.9 * b])[None]
    return items, torch.zeros_like(items), torch.ones(1, 7, dtype=torch.bool)


def test_maxmin_starts_from_items_far_apart() -> None:
    items, _, is_there = two_groups()
    clustering = plain_clustering(ClusteringConfig(embeddings=2, count="fixed"))
    first, second = clustering._far_apart(items, is_there)[0].tolist()
    # The most central is the one in between or next to the larger group; far from it is the other.
    assert first in (3, 6)
    cosines = torch.nn.functional.cosine_similarity(items[0], items[0, first : first + 1])
    assert cosines[second] == cosines.min()


def routed(items: Tensor, starts: list[int], config: ClusteringConfig) -> tuple[Tensor, Tensor]:
    """One history's clusters `[K, d]`, and what each of its items gives to each, `[n, K]`."""
    clusters = [items[start] for start in starts]
    shares = torch.zeros(len(items), len(clusters))
    for _ in range(config.iterations):
        for i, item in enumerate(items):
            lengths = [c.norm() if config.centroids == "unit" else 1.0 for c in clusters]
            scores = [item @ c / n for c, n in zip(clusters, lengths, strict=True)]
            shares[i] = torch.stack(scores).softmax(dim=0)
            if config.assignment == "single":
                shares[i, torch.arange(len(clusters)) != shares[i].argmax()] = 0
        clusters = [
            squash(sum(share * item for share, item in zip(column, items, strict=True)))  # type: ignore[arg-type]
            for column in shares.T
        ]
    return torch.stack(clusters), shares


@pytest.mark.parametrize("assignment", ["single", "soft"])
@pytest.mark.parametrize("centroids", ["unit", "squashed"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_clusters_are_what_routing_item_by_item_gives(
    assignment: Any, centroids: Any, iterations: int
) -> None:
    """With single assignment, an item feeds one cluster alone."""
    config = ClusteringConfig(
        embeddings=3, assignment=assignment, centroids=centroids, iterations=iterations
    )
    clustering = plain_clustering(config)
    pins, actions, is_there = histories()
    embeddings, is_used = clustering(pins, actions, is_there)
    starts = clustering._far_apart(pins * is_there[..., None], is_there)
    for row, length in enumerate(LENGTHS[1:], start=1):
        num_started = max(1, min(3, int(math.log2(length))))
        places = starts[row, :num_started].tolist()
        clusters, shares = routed(pins[row, :length], places, config)
        mass = shares.sum(dim=0)
        order = mass.argsort(descending=True)[: int((mass > 0).sum())]
        assert is_used[row].sum() == len(order)
        torch.testing.assert_close(embeddings[row, : len(order)], clusters[order])
        if assignment == "single":
            assert ((shares > 0).sum(dim=1) == 1).all()


def test_a_large_cluster_empties_small_ones_unless_directions_are_compared() -> None:
    """Nine items about one axis, one item along another."""
    torch.manual_seed(0)
    items = torch.eye(D)[[0] * 9 + [1]] + 0.3 + 0.05 * torch.randn(10, D)
    given = (items[None], torch.zeros(1, 10, D), torch.ones(1, 10, dtype=torch.bool))
    for centroids, num_used in (("unit", 2), ("squashed", 1)):
        config = ClusteringConfig(embeddings=2, count="fixed", centroids=centroids)  # type: ignore[arg-type]
        embeddings, is_used = plain_clustering(config)(*given)
        assert is_used.sum() == num_used
        assert embeddings[0, 0].argmax() == 0
        assert (embeddings[0, 1] == 0).all() or embeddings[0, 1].argmax() == 1


def test_one_pin_over_and_over_is_one_cluster() -> None:
    pins, actions = (torch.ones(1, L, D) * each for each in (0.5, -0.3))
    _, is_used = make(ClusteringConfig(embeddings=K))(pins, actions, torch.ones(1, L).bool())
    assert is_used.tolist() == [[True, False, False, False]]


def test_each_setting_changes_what_comes_out() -> None:
    given = histories()
    found = [
        make(each)(*given)[0]
        for each in (
            ClusteringConfig(embeddings=K),
            ClusteringConfig(embeddings=K, count="fixed"),
            ClusteringConfig(embeddings=K, iterations=1),
            ClusteringConfig(embeddings=K, start="random"),
            ClusteringConfig(embeddings=K, assignment="soft"),
            ClusteringConfig(embeddings=K, centroids="squashed"),
            MindConfig(embeddings=K),
            MindConfig(embeddings=K, count="fixed"),
            MindConfig(embeddings=K, iterations=1),
        )
    ]
    for one, other in itertools.combinations(found, 2):
        assert not torch.allclose(one, other, atol=1e-4)


def test_mind_routes_equally_made_modules_alike() -> None:
    """Its start by chance is drawn once, whatever torch's seed, and travels with the weights."""
    logits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        logits.append(make_interests(D, L, MindConfig(embeddings=K)).state_dict()["logits"])
    assert torch.equal(*logits)
    assert logits[0].std() > 0.5


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
    powers = 2 ** torch.arange(1, 24)
    assert torch.equal(count_clusters(powers, 99, True), torch.arange(1, 24))
    assert torch.equal(count_clusters(powers - 1, 99, True), torch.arange(23).clamp(min=1))
    assert count_clusters(lengths, 4, True).tolist() == [1, 1, 1, 1, 2, 2, 3, 4]
    assert count_clusters(lengths, 4, False).tolist() == [1, 1, 2, 3, 4, 4, 4, 4]


def test_a_random_start_is_one_in_training_alone() -> None:
    clustering = plain_clustering(ClusteringConfig(embeddings=2, start="random"))
    given = two_groups()
    assert torch.equal(clustering(*given)[0], clustering(*given)[0])
    clustering.train()
    torch.manual_seed(0)
    starts = {tuple(clustering._by_chance(given[2])[0].tolist()) for _ in range(20)}
    assert len(starts) > 3


@pytest.mark.parametrize("kind", [ClusteringConfig, MindConfig])
def test_settings_that_mean_nothing_are_refused(kind: type) -> None:
    for name in ("embeddings", "iterations"):
        with pytest.raises(ValueError, match=f"towers.interests.{name}=0 must be at least 1"):
            kind(**{name: 0})
    with pytest.raises(ValueError, match="embeddings=13 must be at most features.history.length=1"):
        make_interests(D, L, kind(embeddings=L + 1))
