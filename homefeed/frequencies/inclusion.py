"""The probability that a batch's candidates hold a pin, from the pin's share of the engagements."""

import numpy as np


def log_inclusion(
    shares: np.ndarray, num_draws: int, num_uniform: int = 0, num_pins: int = 1
) -> np.ndarray:
    """Log of the probability that any of some draws gives a pin, float32 [N].

    `log(1 - (1 - share)^num_draws (1 - 1/num_pins)^num_uniform)`: the mixture's own Q, where pins
    are drawn uniformly beside those of a batch (Yang et al., "Mixed Negative Sampling for Learning
    Two-tower Neural Networks in Recommendations", WWW 2020).

    Args:
        shares: probability that one draw gives it, in [0, 1], [N]; 0 only with uniform draws.
        num_draws: independent draws by these shares, at least 1.
        num_uniform: draws besides in which all pins are equal.
        num_pins: pins that those are drawn from.
    """
    with np.errstate(divide="ignore"):  # a share of 1 is log1p(-1), and comes out as log(1)
        log_missing = num_draws * np.log1p(-np.asarray(shares, np.float64))
        if num_uniform:
            log_missing = log_missing + num_uniform * np.log1p(-1 / num_pins)
        return np.log(-np.expm1(log_missing)).astype(np.float32)
