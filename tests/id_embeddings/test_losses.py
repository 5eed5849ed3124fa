"""The loss against a softmax by hand, and what it makes vectors learn."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from homefeed.id_embeddings.batches import Batches
from homefeed.id_embeddings.losses import sampled_softmax
from homefeed.id_embeddings.prepare import Pairs

TEMPERATURE = 0.2


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_hand(
    users: torch.Tensor,
    candidates: torch.Tensor,
    log_q: torch.Tensor,
    user_ids: list[int],
    pin_ids: list[int],
    first: int,
) -> float:
    """Candidate by candidate, in Python."""
    total = 0.0
    for row, user in enumerate(users, first):
        logits = (candidates @ user / TEMPERATURE - log_q).tolist()
        mine = {
            pin for pin, owner in zip(pin_ids, user_ids, strict=False) if owner == user_ids[row]
        }
        weights = [np.exp(logits[row])]
        for place, pin in enumerate(pin_ids):
            if pin not in mine:
                weights.append(np.exp(logits[place]) / pin_ids.count(pin))
        total -= np.log(weights[0] / sum(weights))
    return total / len(users)


@pytest.mark.parametrize("share", [slice(0, 5), slice(0, 2), slice(2, 5)])
def test_it_is_the_corrected_softmax_over_the_different_pins_of_the_batch(share: slice) -> None:
    # User 2's copy of pin 8 is no negative of user 1, who has engaged with it, nor is a drawn one.
    user_ids, pin_ids = [1, 1, 2, 3, 4], [7, 8, 8, 9, 9, 8, 5, 9, 5, 6]
    users, candidates = unit(5, 6)[share], unit(10, 6, seed=1)
    log_q = torch.linspace(-3, 0, 10)
    loss = sampled_softmax(
        users,
        candidates,
        TEMPERATURE,
        log_q,
        torch.tensor(user_ids),
        torch.tensor(pin_ids),
        first=share.start,
    )
    expected = by_hand(users, candidates, log_q, user_ids, pin_ids, share.start)
    assert abs(loss.item() - expected) < 1e-5


@pytest.mark.parametrize("size", [4, 64])
def test_vectors_learn_the_true_probabilities_however_large_the_batch(size: int) -> None:
    """Also the sign: without the correction, or with the opposite one, they come out otherwise."""
    truth = np.array([0.5, 0.3, 0.15, 0.05])
    random = np.random.default_rng(0)
    # A log with these shares, and as many users as engagements.
    log = np.repeat(np.arange(4), [50, 30, 15, 5])
    pairs = Pairs(np.arange(100), log, np.arange(100), num_users=100, num_pins=4)
    log_q = torch.from_numpy(Batches(pairs, size, 1, seed=0).log_q)
    scores = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([scores])
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 1500)
        own = random.choice(4, size=size, p=truth)
        pins = torch.from_numpy(np.concatenate([own, random.integers(4, size=size)]))
        loss = sampled_softmax(
            torch.ones(size, 1),
            scores[pins, None],
            1.0,
            log_q[pins],
            torch.arange(size),
            pins,
            first=0,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = torch.softmax(scores, dim=0).detach().numpy()
    np.testing.assert_allclose(learned, truth, atol=0.04)
