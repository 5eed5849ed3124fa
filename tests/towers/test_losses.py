"""The loss against a softmax by hand, and what it makes towers learn."""

import numpy as np
import torch
from torch.nn.functional import normalize

from homefeed.towers.batches import log_inclusion
from homefeed.towers.losses import sampled_softmax

TEMPERATURE = torch.tensor(0.1)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_hand(
    users: torch.Tensor,
    pins: torch.Tensor,
    log_q: torch.Tensor,
    user_ids: list[int],
    pin_ids: list[int],
) -> float:
    """Candidate by candidate, in Python."""
    total = 0.0
    for i, user in enumerate(users):

        def logit(j: int, user: torch.Tensor = user) -> float:
            return (user @ pins[j] / TEMPERATURE - log_q[j]).item()

        weights = {}
        for j in range(len(pins)):
            mine = {
                pin for pin, owner in zip(pin_ids, user_ids, strict=True) if owner == user_ids[i]
            }
            if j == i or pin_ids[j] not in mine:
                weights.setdefault(pin_ids[j], []).append(np.exp(logit(j)))
        copies = {pin: pin_ids.count(pin) for pin in weights} | {pin_ids[i]: 1}
        denominator = sum(sum(own) / copies[pin] for pin, own in weights.items())
        total -= logit(i) - np.log(denominator)
    return total / len(users)


def test_it_is_the_corrected_softmax_over_the_different_pins_of_the_batch() -> None:
    # User 2's copy of pin 8 is no negative of user 1, who has engaged with it as well.
    user_ids, pin_ids = [1, 1, 2, 2, 3, 4, 5], [7, 8, 7, 8, 9, 9, 9]
    users, pins = unit(7, 5), unit(7, 5, seed=1)
    log_q = torch.tensor([0.5, 0.2, 0.5, 0.2, 0.9, 0.9, 0.9]).log()
    ids = torch.tensor(user_ids), torch.tensor(pin_ids)
    loss = sampled_softmax(users, pins, TEMPERATURE, log_q, *ids)
    assert abs(loss.item() - by_hand(users, pins, log_q, user_ids, pin_ids)) < 1e-4


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


def learned(truth: np.ndarray, batch: int, num_steps: int = 1500) -> np.ndarray:
    """Probabilities of pins that scores come to, trained on batches of draws alone."""
    random = np.random.default_rng(0)
    scores = torch.zeros(len(truth), requires_grad=True)
    optimizer = torch.optim.Adam([scores])
    log_q = torch.from_numpy(log_inclusion(truth, batch - 1))
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / num_steps)
        ids = torch.from_numpy(random.choice(len(truth), size=batch, p=truth))
        loss = sampled_softmax(
            torch.ones(batch, 1),
            scores[ids, None],
            torch.tensor(1.0),
            log_q[ids],
            torch.arange(batch),
            ids,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.softmax(scores, dim=0).detach().numpy()


def test_towers_learn_the_true_probabilities_however_large_the_batch() -> None:
    """Large batches hold popular pins many times over, small ones seldom hold the rare."""
    truth = np.array([0.5, 0.3, 0.15, 0.05])
    for batch in (4, 64):
        np.testing.assert_allclose(learned(truth, batch), truth, atol=0.04)
