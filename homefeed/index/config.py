"""How the ANN index is built."""

from typing import Literal

from homefeed.config import Config


class IndexConfig(Config, frozen=True):
    """The index stage; `auto` follows the corpus size."""

    kind: Literal["auto", "flat", "ivf"] = "auto"
    flat_up_to: int = 200_000
    """Largest corpus that `auto` serves with an exact index."""
    scan_up_to: int = 40_000
    """A filter with at most so many pins is answered by an exact scan of them. The build raises it
    to where the approximate index finds enough under filters."""
    recall_k: int = 100
    min_recall: float = 0.95
    """The build fails when users find less than this of what exact search finds of the best
    `recall_k` pins: a sample of users as known at serving time, of which no training was. Of fewer
    pins a smaller share may be found."""
    min_filtered_recall: float = 0.99
    """The same under each interest that is not scanned, for users who follow it and for others, and
    under some unions of interests. Where it is not reached, more is searched, and if that is not
    enough, scanned."""

    def __post_init__(self) -> None:
        if self.recall_k < 1:
            raise ValueError(f"index.recall_k={self.recall_k} must be at least 1")
        for name in ("min_recall", "min_filtered_recall"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"index.{name}={getattr(self, name)} must lie in [0, 1]")
        for name in ("flat_up_to", "scan_up_to"):
            if getattr(self, name) < 0:
                raise ValueError(f"index.{name}={getattr(self, name)} must be >= 0")
