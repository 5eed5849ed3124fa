"""Sampled softmax over in-batch and other negatives, corrected for how often each pin is one.

Sources: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019, section 3; Yang et al., "Mixed Negative Sampling for Learning
Two-tower Neural Networks in Recommendations", WWW 2020; Jean et al., "On Using Very Large Target
Vocabulary for Neural Machine Translation", ACL 2015, section 3.1, for the softmax over a sampled
set; "Correcting the LogQ Correction", RecSys 2025 (arXiv 2507.09331), for the corrected form.
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
    is_used: Tensor | None = None,
    weights: Tensor | None = None,
    corrected: bool = False,
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

    The corrected form leaves the positive out of the denominator, where it was not sampled but
    given, and weighs each row by `1 - p`, with p the probability that it has now for its positive,
    which takes no part in the gradient.

    Args:
        users: unit vectors; or `[B, K, D]`, K of each user, of which the one that is nearest to the
            positive is taken (see `most_similar`).
        candidates: unit vectors.
        temperature: divides the cosines; a scalar.
        log_q: log of the probability that a batch has the pin among its candidates, [C].
        user_ids: whose positives the first candidates are, [W], W <= C.
        pin_ids: [C].
        first: place of these users' first among the W; they follow each other.
        is_used: which of its K vectors a user has, bool [B, K].
        weights: of the rows, 1 on average over the batch, [B]. Without any, all weigh 1.
        corrected: whether the form of the correction is that of arXiv 2507.09331.
    """
    own = slice(first, first + len(users))
    if users.ndim == 3:
        users = most_similar(users, candidates[own], is_used)
    size, num_positives = len(users), len(user_ids)
    _, user_rows = user_ids.unique(return_inverse=True)
    _, pin_rows, num_copies = pin_ids.unique(return_inverse=True, return_counts=True)
    is_positive = torch.zeros(
        int(user_rows.max()) + 1, len(num_copies), dtype=torch.bool, device=users.device
    )
    is_positive[user_rows, pin_rows[:num_positives]] = True
    # Dividing B vectors, not B x C logits, is a fifth of the towers' whole step on CPU.
    scaled = users / temperature
    logits = torch.addmm(-(log_q + num_copies[pin_rows].log()), scaled, candidates.T)
    logits = logits.masked_fill(is_positive[user_rows[own]][:, pin_rows], -torch.inf)
    positives = (scaled * candidates[own]).sum(dim=1)
    if corrected:
        losses = _corrected(positives, logits)
    else:
        logits = logits.diagonal_scatter(positives - log_q[own], offset=first)
        places = torch.arange(first, first + size, device=users.device)
        losses = nn.functional.cross_entropy(logits, places, reduction="none")
    return losses.mean() if weights is None else (losses * weights).mean()


def most_similar(users: Tensor, pins: Tensor, is_used: Tensor | None) -> Tensor:
    """Of K vectors of each user the one that is nearest to the user's pin: `[B, D]`.

    Source: MER (arXiv 2506.23060) and ComiRec (arXiv 2005.09347), equation 5: only this one is
    trained by the pin.

    Args:
        users: `[B, K, D]`.
        pins: one for each user, `[B, D]`.
        is_used: which of the K a user has, one at least, bool [B, K]; all where it is absent.
    """
    with torch.no_grad():
        scores = torch.einsum("bkd,bd->bk", users, pins)
        if is_used is not None:
            scores = scores.masked_fill(~is_used, -torch.inf)
        best = scores.argmax(dim=1)
    return users[torch.arange(len(users), device=users.device), best]


def _corrected(positives: Tensor, negatives: Tensor) -> Tensor:
    """Losses [B] of logits of positives [B], uncorrected, and of negatives [B, C]."""
    # Where nothing is a negative there is nothing to be told apart, and no gradient.
    has_negatives = negatives.isfinite().any(dim=1)
    others = torch.where(has_negatives[:, None], negatives, 0.0).logsumexp(dim=1)
    weight = torch.sigmoid(others - positives).detach()
    return weight * torch.where(has_negatives, others - positives, 0.0)
