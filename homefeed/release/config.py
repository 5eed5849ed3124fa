"""Limits of the check that serving encodes users as the training did."""

from homefeed.config import Config


class OnlineSkewConfig(Config, frozen=True):
    """The check that serving encodes users as the training did.

    Distributions are compared by the population stability index (PSI), of numbers over ten equal
    parts of the training side, and by Kolmogorov and Smirnov's distance (KS).
    """

    recent_days: float = 1.0
    """Training rows of the last so many days before serving time are compared with the snapshot."""
    min_rows: int = 500
    """With fewer of such rows nothing is judged: differences would be chance."""
    max_psi: float = 0.1
    """Of a feature; more stops the run. Where both sides are alike it is 0."""
    max_ks: float = 0.12
    """Of a number; more stops the run."""
    max_unknown_rise: float = 0.05
    """The most by which the share of values that are out of vocabulary may rise from training to
    serving."""

    def __post_init__(self) -> None:
        for name in ("recent_days", "max_psi", "max_ks", "max_unknown_rise"):
            if getattr(self, name) <= 0:
                raise ValueError(f"online_skew.{name}={getattr(self, name):g} must be positive")
        if self.min_rows < 1:
            raise ValueError(f"online_skew.min_rows={self.min_rows} must be at least 1")
