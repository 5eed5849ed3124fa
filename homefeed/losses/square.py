"""The square loss over all pairs of a user and a pin, with the weights of implicit ALS.

Sources: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM
2008; Rendle et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys
2022 (arXiv 2110.14037), sections 2 and 3.2, for the form with an unobserved weight and for the
regularisation by frequency.
"""

from torch import Tensor


def square(
    users: Tensor,
    catalogue: Tensor,
    unobserved_weight: float,
    rows: Tensor,
    pins: Tensor,
    weights: Tensor,
    user_weights: Tensor,
) -> Tensor:
    """Squared errors of `users[B, D]` against `catalogue[N, D]`, the mean over users, a scalar.

    `sum over a user's pins w (s - 1)^2 + unobserved_weight * sum over all pins s^2`, with
    `s = <u, v>`. The second sum is `u' (V'V) u`, so it costs the same for any number of pins
    beyond making the D x D matrix once.

    Args:
        users: vectors.
        catalogue: vectors of all pins.
        unobserved_weight: of the zeros.
        rows: of the users, one for each pair, [P].
        pins: rows of the catalogue, one for each pair, [P].
        weights: of the pairs, [P].
        user_weights: of all errors of a user, [B].
    """
    scores = (users[rows] * catalogue[pins]).sum(dim=1)
    observed = (user_weights[rows] * weights * (scores - 1).square()).sum()
    gramian = catalogue.T @ catalogue
    everywhere = (user_weights * ((users @ gramian) * users).sum(dim=1)).sum()
    return (observed + unobserved_weight * everywhere) / len(users)


def scaled_l2(vectors: Tensor, frequencies: Tensor, exponent: float) -> Tensor:
    """`sum over rows of frequency^exponent |v|^2` of `vectors[N, D]`, a scalar.

    Args:
        vectors: of users or of pins.
        frequencies: engagements of each and, by their weight, the pairs without one, [N].
        exponent: 1 is the scaling of ALS-WR, 0 is none.
    """
    return (frequencies.pow(exponent) * vectors.square().sum(dim=1)).sum()
