"""Softmax over the whole catalogue, for catalogues whose every pin can be scored.

Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018 (arXiv
1802.05814), equation 2: the multinomial likelihood of a user's pins.
"""

from torch import Tensor


def full_softmax(
    users: Tensor,
    catalogue: Tensor,
    temperature: float | Tensor,
    rows: Tensor,
    pins: Tensor,
    weights: Tensor,
) -> Tensor:
    """Cross-entropy of `users[B, D]` finding their pins in `catalogue[N, D]`, a scalar.

    The sum over pairs of a user and a pin, by their weights.

    Args:
        users: vectors.
        catalogue: vectors of all pins.
        temperature: divides the inner products; a scalar.
        rows: of the users, one for each pair, [P].
        pins: rows of the catalogue, one for each pair, [P].
        weights: of the pairs, [P]; where they add up to 1 it is the mean.
    """
    scaled = users / temperature
    logits = scaled @ catalogue.T
    # Faster by half than the difference of logsumexp and logits, backward included.
    return -(logits.log_softmax(dim=1)[rows, pins] * weights).sum()
