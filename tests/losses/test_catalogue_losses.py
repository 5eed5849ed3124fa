"""The losses over a whole catalogue beside what brute force makes of them."""

import torch
from torch import Tensor

from homefeed.losses import full_softmax, sampled_softmax, scaled_l2, square
from homefeed.losses.sampled_softmax import most_similar

B, N, D = 5, 9, 4
ROWS = torch.tensor([0, 0, 1, 3, 3, 3])  # the third and the last have nothing
PINS = torch.tensor([2, 5, 2, 0, 8, 4])
WEIGHTS = torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0, 1.0])
USER_WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.7, 0.8])


def vectors() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(B, D, requires_grad=True), torch.randn(N, D, requires_grad=True)


def test_the_gramian_form_is_the_sum_over_all_pairs() -> None:
    users, pins = vectors()
    scores = users @ pins.T
    expected = 0.3 * (USER_WEIGHTS[:, None] * scores.square()).sum()
    for row, pin, weight in zip(ROWS, PINS, WEIGHTS, strict=True):
        expected = expected + USER_WEIGHTS[row] * weight * (scores[row, pin] - 1).square()
    found = square(users, pins, 0.3, ROWS, PINS, WEIGHTS, USER_WEIGHTS)
    torch.testing.assert_close(found, expected / B)
    for one, other in zip(
        torch.autograd.grad(found, (users, pins)),
        torch.autograd.grad(expected / B, (users, pins)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_regularisation_grows_with_frequency() -> None:
    pins = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    frequencies = torch.tensor([3.0, 5.0])
    assert scaled_l2(pins, frequencies, 1.0) == 3 * 2 + 5 * 4
    assert scaled_l2(pins, frequencies, 0.0) == 2 + 4


def test_the_full_softmax_is_the_cross_entropy_of_each_pair() -> None:
    users, pins = vectors()
    shares = WEIGHTS / WEIGHTS.sum()
    log_p = ((users @ pins.T) / 0.7).log_softmax(dim=1)
    expected = -(WEIGHTS * log_p[ROWS, PINS]).sum() / WEIGHTS.sum()
    torch.testing.assert_close(full_softmax(users, pins, 0.7, ROWS, PINS, shares), expected)


def test_of_several_vectors_the_nearest_is_trained() -> None:
    pins = torch.eye(3)[:2]
    users = torch.tensor([[[0.0, 1.0, 0.0], [0.8, 0.0, 0.6]], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    users.requires_grad_()
    chosen = most_similar(users, pins, None)
    assert torch.equal(chosen, torch.stack([users[0, 1], users[1, 0]]))
    chosen.sum().backward()
    assert users.grad is not None
    assert users.grad.abs().sum(dim=2).tolist() == [[0.0, 3.0], [3.0, 0.0]]
    # A vector that a user has not is never the nearest.
    is_used = torch.tensor([[True, False], [True, True]])
    assert torch.equal(most_similar(users, pins, is_used)[0], users[0, 0])


def ids(size: int) -> Tensor:
    return torch.arange(size)


def test_weights_are_those_of_rows() -> None:
    users, pins = vectors()
    own = pins[:B]
    log_q = torch.zeros(B)

    def loss(weights: Tensor | None) -> Tensor:
        return sampled_softmax(users, own, 1.0, log_q, ids(B), ids(B), weights=weights)

    torch.testing.assert_close(loss(torch.ones(B)), loss(None))
    alone = torch.zeros(B)
    alone[2] = B
    logits = users @ own.T
    torch.testing.assert_close(loss(alone), -logits.log_softmax(dim=1)[2, 2])


def test_the_corrected_form_leaves_the_positive_out() -> None:
    users, pins = vectors()
    own = pins[:B]
    log_q = torch.linspace(-3, -1, B)
    found = sampled_softmax(users, own, 0.5, log_q, ids(B), ids(B), corrected=True)
    scores = users @ own.T / 0.5
    expected = torch.zeros(())
    for row in range(B):
        others = [scores[row, pin] - log_q[pin] for pin in range(B) if pin != row]
        rest = torch.stack(others).logsumexp(dim=0)
        p = scores[row, row].exp() / (scores[row, row].exp() + rest.exp())
        expected = expected + (1 - p.detach()) * (rest - scores[row, row])
    torch.testing.assert_close(found, expected / B)
    (gradient,) = torch.autograd.grad(found, users)
    assert gradient.isfinite().all()


def test_where_nothing_is_a_negative_nothing_is_learnt() -> None:
    users, pins = vectors()
    same = torch.zeros(B, dtype=torch.int64)
    for corrected in (False, True):
        loss = sampled_softmax(
            users, pins[:B], 0.5, torch.zeros(B), same, ids(B), corrected=corrected
        )
        (gradient,) = torch.autograd.grad(loss, users)
        assert gradient.abs().max() == 0


def test_sampled_with_every_pin_as_candidate_is_the_full_softmax() -> None:
    """Each pin drawn once, and none of them likelier than another."""
    users, pins = vectors()
    size = 4
    users = users[:size]
    candidates = torch.cat([pins[:size], pins])
    pin_ids = torch.cat([ids(size), ids(N)])
    loss = sampled_softmax(users, candidates, 1.0, torch.zeros(size + N), ids(size), pin_ids)
    expected = -(users @ pins.T).log_softmax(dim=1)[ids(size), ids(size)].mean()
    torch.testing.assert_close(loss, expected)
