"""The loss against a softmax by hand, and what it makes vectors learn."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from homefeed.frequencies.inclusion import log_inclusion
from homefeed.id_embeddings.batches import Batches
from homefeed.id_embeddings.prepare import Pairs
from homefeed.losses import sampled_softmax

TEMPERATURE = 0.2
# User 2's copy of pin 8 is no negative of user 1, who has engaged with it, nor is a drawn one.
USER_IDS, PIN_IDS = [1, 1, 2, 2, 3, 4], [7, 8, 7, 8, 9, 9]
DRAWN = [8, 5, 9, 5, 6]


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


@pytest.mark.parametrize("share", [slice(0, 6), slice(0, 2), slice(2, 6)])
@pytest.mark.parametrize("drawn", [[], DRAWN])
def test_it_is_the_corrected_softmax_over_the_different_pins_of_the_batch(
    drawn: list[int], share: slice
) -> None:
    pin_ids = PIN_IDS + drawn
    users, candidates = unit(6, 5)[share], unit(len(pin_ids), 5, seed=1)
    log_q = torch.linspace(-3, 0, len(pin_ids))
    ids = torch.tensor(USER_IDS), torch.tensor(pin_ids)
    loss = sampled_softmax(users, candidates, TEMPERATURE, log_q, *ids, first=share.start)
    expected = by_hand(users, candidates, log_q, USER_IDS, pin_ids, share.start)
    assert abs(loss.item() - expected) < 1e-5


def test_a_pin_drawn_more_often_weighs_less_as_a_negative() -> None:
    """The sign: a frequent negative pushes less, and a frequent positive is not rewarded."""
    users, pins, ids = unit(2, 4), unit(2, 4, seed=1), torch.arange(2)

    def loss_of_first(q: list[float]) -> float:
        # The second user is nowhere near a negative, and its loss is zero.
        log_q = torch.tensor(q).log()
        far = torch.stack([users[0], -10 * pins[0]])
        return sampled_softmax(far, pins, TEMPERATURE, log_q, ids, ids).item()

    assert loss_of_first([0.1, 0.9]) < loss_of_first([0.1, 0.1]) < loss_of_first([0.9, 0.1])


def test_accidental_hits_and_the_users_other_pins_get_no_gradient() -> None:
    users, pins = unit(4, 4), unit(4, 4, seed=1).requires_grad_()
    user_ids, pin_ids = torch.tensor([1, 1, 2, 3]), torch.tensor([7, 8, 7, 8])
    log_q = torch.full((4,), 0.5).log()
    sampled_softmax(users, pins, TEMPERATURE, log_q, user_ids, pin_ids).backward()
    assert pins.grad is not None
    found = pins.grad.clone()
    pins.grad = None
    logits = users @ pins.T / TEMPERATURE
    copies = torch.tensor(2.0).log()
    # User 2's negatives are the two copies of pin 8, user 3's those of pin 7; user 1 has none.
    second = torch.logsumexp(torch.stack([logits[2, 1] - copies, logits[2, 3] - copies]), 0)
    third = torch.logsumexp(torch.stack([logits[3, 0] - copies, logits[3, 2] - copies]), 0)
    softplus = torch.nn.functional.softplus
    ((softplus(second - logits[2, 2]) + softplus(third - logits[3, 3])) / 4).backward()
    torch.testing.assert_close(found, pins.grad)


def learned(truth: np.ndarray, batch: int, num_drawn: int, log_q: np.ndarray) -> np.ndarray:
    """Probabilities of pins that scores come to, trained on draws by the truth.

    Args:
        truth: each pin's probability.
        batch: number of positives.
        num_drawn: number of pins drawn uniformly beside them.
        log_q: of each pin.
    """
    random = np.random.default_rng(0)
    scores = torch.zeros(len(truth), requires_grad=True)
    optimizer = torch.optim.Adam([scores])
    num_steps = 1500
    for step in range(num_steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / num_steps)
        own = random.choice(len(truth), size=batch, p=truth)
        pins = torch.from_numpy(np.append(own, random.integers(len(truth), size=num_drawn)))
        loss = sampled_softmax(
            torch.ones(batch, 1),
            scores[pins, None],
            1.0,
            torch.from_numpy(log_q)[pins],
            torch.arange(batch),
            pins,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.softmax(scores, dim=0).detach().numpy()


@pytest.mark.parametrize("batch", [4, 64])
def test_the_true_probabilities_are_learnt_however_large_the_batch(batch: int) -> None:
    """Large batches hold popular pins many times over, small ones seldom hold the rare.

    Also the sign: without the correction, or with the opposite one, they come out otherwise.
    """
    truth = np.array([0.5, 0.3, 0.15, 0.05])
    of_towers = learned(truth, batch, 0, log_inclusion(truth, batch - 1))
    np.testing.assert_allclose(of_towers, truth, atol=0.04)
    # A log with these shares, and as many users as engagements.
    log = np.repeat(np.arange(4), [50, 30, 15, 5])
    pairs = Pairs(np.arange(100), log, np.arange(100), num_users=100, num_pins=4)
    of_ids = learned(truth, batch, batch, Batches(pairs, batch, 1, seed=0).log_q)
    np.testing.assert_allclose(of_ids, truth, atol=0.04)
