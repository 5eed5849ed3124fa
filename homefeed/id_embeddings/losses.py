"""Sampled softmax over in-batch and uniformly drawn negatives, with the mixture's own logQ.

Sources: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019, section 3; Yang et al., "Mixed Negative Sampling for Learning
Two-tower Neural Networks in Recommendations", WWW 2020.
"""

import torch
from torch import Tensor, nn


def sampled_softmax(
    users: Tensor,
    candidates: Tensor,
    temperature: float,
    log_q: Tensor,
    user_ids: Tensor,
    pin_ids: Tensor,
    first: int,
) -> Tensor:
    """Mean cross-entropy of `users[B, D]` finding their own row of `candidates[C, D]`, a scalar.

    The candidates are the positives of the whole batch, of which these B users may be one process's
    share, and then the drawn pins. Each different pin among them has the logit
    `<u_i, v_j> / temperature - log_q_j`, the positive too; copies of a negative share its weight.
    No pin that the user has engaged with in this batch is a negative, however it came here.

    Args:
        users: unit vectors.
        candidates: unit vectors.
        temperature: divides the cosines.
        log_q: log of the probability that a batch has the pin among its candidates, [C].
        user_ids: whose positives the first candidates are, [W], W <= C.
        pin_ids: [C].
        first: place of these users' first among the W; they follow each other.
    """
    size, num_positives = len(users), len(user_ids)
    _, user_rows = user_ids.unique(return_inverse=True)
    _, pin_rows, num_copies = pin_ids.unique(return_inverse=True, return_counts=True)
    is_positive = torch.zeros(
        int(user_rows.max()) + 1, len(num_copies), dtype=torch.bool, device=users.device
    )
    is_positive[user_rows, pin_rows[:num_positives]] = True
    own = slice(first, first + size)
    scaled = users / temperature
    logits = torch.addmm(-(log_q + num_copies[pin_rows].log()), scaled, candidates.T)
    logits = logits.masked_fill(is_positive[user_rows[own]][:, pin_rows], -torch.inf)
    positives = (scaled * candidates[own]).sum(dim=1) - log_q[own]
    logits = logits.diagonal_scatter(positives, offset=first)
    places = torch.arange(first, first + size, device=users.device)
    return nn.functional.cross_entropy(logits, places)
