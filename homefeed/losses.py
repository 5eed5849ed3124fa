"""Sampled softmax over in-batch and other negatives, corrected for how often each pin is one.

Sources: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019, section 3; Yang et al., "Mixed Negative Sampling for Learning
Two-tower Neural Networks in Recommendations", WWW 2020; Jean et al., "On Using Very Large Target
Vocabulary for Neural Machine Translation", ACL 2015, section 3.1, for the softmax over a sampled
set.
"""

import torch
from torch import Tensor, nn


def sampled_softmax(
    users: Tensor,
    candidates: Tensor,
    temperature: float | Tensor,
    log_q: Tensor,
    user_ids: Tensor,
    pin_ids: Tensor,
    first: int = 0,
) -> Tensor:
    """Mean cross-entropy of `users[B, D]` finding their own row of `candidates[C, D]`, a scalar.

    The candidates are the positives of the whole batch, of which these B users may be one process's
    share, and then any that were drawn beside them. Each different pin among them has the logit
    `<u_i, v_j> / temperature - log_q_j`, the positive too. A pin that is often among them is seldom
    a true negative, so its logit is lowered: what is learnt is the probability of a pin over the
    catalogue, not over batches.

    No pin that the user has engaged with in this batch is a negative, however it came here: neither
    copies of the positive (accidental hits) nor other positives of the same user, whoever's row
    they are. Copies of a negative share its weight, as each may have the pin's features of another
    time.

    Args:
        users: unit vectors.
        candidates: unit vectors.
        temperature: divides the cosines; a scalar.
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
    # Dividing B vectors, not B x C logits, is a fifth of the towers' whole step on CPU.
    scaled = users / temperature
    logits = torch.addmm(-(log_q + num_copies[pin_rows].log()), scaled, candidates.T)
    logits = logits.masked_fill(is_positive[user_rows[own]][:, pin_rows], -torch.inf)
    positives = (scaled * candidates[own]).sum(dim=1) - log_q[own]
    logits = logits.diagonal_scatter(positives, offset=first)
    places = torch.arange(first, first + size, device=users.device)
    return nn.functional.cross_entropy(logits, places)
