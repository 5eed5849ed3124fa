"""How the ANN index is built."""

from typing import Literal

from homefeed.config import Config


class IndexConfig(Config):
    """The index stage; `auto` follows the corpus size."""

    kind: Literal["auto", "flat", "ivf"] = "auto"
    flat_up_to: int = 200_000
    """Largest corpus that `auto` serves with an exact index."""
    scan_up_to: int = 40_000
    """A filter with at most so many pins is answered by an exact scan of them."""
    recall_k: int = 100
    min_recall: float = 0.95
    """The build fails when recall@recall_k against exact search falls below this."""
