"""What the sampled softmax comes to over many batches, the signs of its gradient, its numbers."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from homefeed.frequencies.inclusion import log_inclusion
from homefeed.losses import full_softmax, sampled_softmax, square

NUM_PINS = 100
SHARES = 1 / np.arange(1, NUM_PINS + 1)
SHARES /= SHARES.sum()


def distance_to_full(batch: int, num_uniform: int, log_q: np.ndarray, corrected: bool) -> float:
    """Of the mean gradient by scores from the full softmax's, relative, over 200 batches."""
    random, num_batches = np.random.default_rng(0), 200
    # No order of the scores is that of the shares.
    scores = torch.linspace(1, -1, NUM_PINS).roll(30).requires_grad_()
    total = torch.zeros(())
    for _ in range(num_batches):
        own = random.choice(NUM_PINS, batch, p=SHARES)
        pins = torch.from_numpy(np.append(own, random.integers(NUM_PINS, size=num_uniform)))
        total = total + sampled_softmax(
            torch.ones(batch, 1),
            scores[pins, None],
            1.0,
            torch.from_numpy(log_q)[pins],
            torch.arange(batch),
            pins,
            corrected=corrected,
        )
    (found,) = torch.autograd.grad(total / num_batches, scores)
    full = scores.detach().softmax(dim=0) - torch.from_numpy(SHARES).float()
    return ((found - full).norm() / full.norm()).item()


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize(("batch", "num_uniform"), [(64, 0), (32, 64)])
def test_over_many_batches_it_is_the_full_softmax(
    batch: int, num_uniform: int, corrected: bool
) -> None:
    log_q = log_inclusion(SHARES, batch - 1, num_uniform, NUM_PINS)
    right = distance_to_full(batch, num_uniform, log_q, corrected)
    assert right < 0.08
    # Neither without the correction nor with its sign turned (tensorflow/recommenders issue 219).
    assert distance_to_full(batch, num_uniform, 0 * log_q, corrected) > 1.3 * right
    assert distance_to_full(batch, num_uniform, -log_q, corrected) > 2 * right


@pytest.mark.parametrize("corrected", [False, True])
def test_uniform_draws_need_the_q_of_the_mixture(corrected: bool) -> None:
    of_mixture = log_inclusion(SHARES, 31, 64, NUM_PINS)
    of_popularity = log_inclusion(SHARES, 31)
    right = distance_to_full(32, 64, of_mixture, corrected)
    assert distance_to_full(32, 64, of_popularity, corrected) > 2 * right


def unit(*shape: int, seed: int) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_step_draws_the_positive_nearer_and_drives_negatives_off(corrected: bool) -> None:
    user, pins = unit(1, 4, seed=0), unit(4, 4, seed=1).requires_grad_()
    log_q = torch.full((4,), -1.0, requires_grad=True)
    # The last is a copy of the positive, an accidental hit.
    loss = sampled_softmax(
        user,
        pins,
        0.5,
        log_q,
        torch.tensor([0]),
        torch.tensor([7, 8, 9, 7]),
        corrected=corrected,
    )
    of_pins, of_log_q = torch.autograd.grad(loss, (pins, log_q))
    along_user = (of_pins @ user.T).squeeze(1)
    assert along_user[0] < 0
    assert (along_user[1:3] > 0).all()
    assert along_user[3] == 0
    # A greater log Q lowers the logit: of a negative that lessens the loss.
    assert (of_log_q[1:3] < 0).all()
    assert of_log_q[3] == 0
    # The positive is corrected too, but where it was not drawn.
    assert of_log_q[0] == 0 if corrected else of_log_q[0] > 0


@pytest.mark.parametrize("corrected", [False, True])
def test_rare_pins_at_a_low_temperature_keep_float32_exact(corrected: bool) -> None:
    users, pins = unit(64, 32, seed=0), unit(128, 32, seed=1)
    log_q, ids = torch.linspace(-20, -1e-6, 128), torch.arange(128)

    def at(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        own = users.to(dtype).requires_grad_()
        rest = (log_q.to(dtype), ids[:64], ids)
        loss = sampled_softmax(own, pins.to(dtype), 0.01, *rest, corrected=corrected)
        return loss.detach().double(), torch.autograd.grad(loss, own)[0].double()

    for one, other in zip(at(torch.float32), at(torch.float64), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("corrected", [False, True])
def test_of_several_vectors_the_one_nearest_the_rows_own_positive_has_the_row(
    corrected: bool,
) -> None:
    """Also where the users are a process's share, whose positives are not the first candidates."""
    users, pins = unit(3, 4, 8, seed=0).requires_grad_(), unit(9, 8, seed=1)
    is_used = torch.tensor([[True] * 4, [True, True, False, False], [False, True, True, True]])
    log_q, ids = torch.linspace(-3, -1, 9), torch.arange(9)
    scores = torch.einsum("bkd,bd->bk", users, pins[2:5]).masked_fill(~is_used, -torch.inf)
    best = scores.argmax(dim=1)
    rest = (pins, 0.2, log_q, ids[:5], ids)
    found = sampled_softmax(users, *rest, first=2, is_used=is_used, corrected=corrected)
    chosen = users[torch.arange(3), best]
    torch.testing.assert_close(found, sampled_softmax(chosen, *rest, 2, corrected=corrected))
    (gradient,) = torch.autograd.grad(found, users)
    is_trained = gradient.abs().sum(dim=2) > 0
    assert torch.equal(is_trained, torch.nn.functional.one_hot(best, 4).bool())


def test_users_without_any_pin_have_no_cross_entropy_and_only_the_zeros_to_learn() -> None:
    users, pins = unit(3, 4, seed=0).requires_grad_(), unit(5, 4, seed=1)
    nothing, weights = torch.empty(0, dtype=torch.int64), torch.empty(0)
    loss = full_softmax(users, pins, 0.1, nothing, nothing, weights)
    assert loss == 0
    assert torch.autograd.grad(loss, users)[0].abs().max() == 0
    zeros = square(users, pins, 0.5, nothing, nothing, weights, torch.ones(3))
    torch.testing.assert_close(zeros, 0.5 * (users @ pins.T).square().sum() / 3)
