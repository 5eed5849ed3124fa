"""iALS, the matrix factorisation of implicit feedback, by the library `implicit`.

Source: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
"""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from homefeed.evaluation.baselines import rank_by_scores
from homefeed.evaluation.truth import Truth

ITERATIONS = 15
"""implicit's own number."""


def rank_by_ials(
    truth: Truth, factors: int, regularisation: float, alpha: float, seed: int, k: int
) -> np.ndarray:
    """The ranking of each warm user: pin_index, int64 [U, k], filled up by `NO_PIN`.

    Args:
        truth: what may be learned from.
        factors: width of the vectors.
        regularisation: weight of their squared norms.
        alpha: weight of an engagement, beside 1 for every other pair of user and pin.
        seed: of the first vectors.
        k: pins for each user.
    """
    columns = truth.columns(truth.learned.values)
    shape = (len(truth.learned), len(truth.candidates))
    weights = np.ones(len(columns), np.float32)
    events = csr_matrix((weights, columns, truth.learned.offsets), shape)
    model = AlternatingLeastSquares(
        factors=factors,
        regularization=regularisation,
        alpha=alpha,
        iterations=ITERATIONS,
        random_state=seed,
    )
    # Its own threads share the work; those of the BLAS below would fight them.
    with threadpool_limits(1, "blas"):
        model.fit(events, show_progress=False)
    users, pins = np.asarray(model.user_factors)[truth.users], np.asarray(model.item_factors)
    return rank_by_scores(truth, lambda row: pins @ users[row], k, "iALS")
