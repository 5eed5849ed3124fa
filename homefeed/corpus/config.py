"""Which pins can be served."""

from homefeed.config import Config
from homefeed.contracts import Granularity


class SkewConfig(Config, frozen=True):
    """The check that statistics mean in the corpus what they meant in training."""

    recent_days: int = 30
    """Pins are compared by their last training row, if it is no older than this. Statistics with a
    shorter half-life are reported, and not judged."""
    max_psi: float = 0.2
    """Largest population stability index of a statistic."""
    max_ks: float = 0.12
    """Largest Kolmogorov-Smirnov statistic of a statistic."""
    max_ratio: float = 1.25
    """How many times as large, or as small, the mean of a statistic may be in the corpus. Where few
    pins have duplicates, counting them together moves the mean and hardly the distribution."""
    min_pins: int = 200
    """Fewer pins show nothing."""

    def __post_init__(self) -> None:
        for name in ("recent_days", "max_psi", "max_ks", "min_pins"):
            if getattr(self, name) <= 0:
                raise ValueError(f"corpus.skew.{name}={getattr(self, name):g} must be positive")
        if self.max_ratio <= 1:
            raise ValueError(f"corpus.skew.max_ratio={self.max_ratio:g} must be above 1")


class CorpusConfig(Config, frozen=True):
    """Selection of the serving corpus by time-decayed engagement, of pins that may be served."""

    max_pins: int = 10_000_000
    """The best so many pins are kept."""
    half_life_days: float = 30.0
    """0 is a plain sum. `homefeed sweep-corpus` finds one on an earlier cut."""
    window_days: int | None = 90
    """Only events of the last so many days count; null counts all."""
    min_engagements: float = 0.0
    """Pins whose decayed sum is below this are left out, and always those without any event."""
    action_weights: dict[str, float] = {}
    """Weight of each action; actions that are absent here weigh 1."""
    max_age_days: float | None = None
    """Pins that were made longer ago are left out; null keeps all. Pins without a time of creation
    are of no age."""
    hide_actions: tuple[str, ...] = ("hide",)
    """Actions by which users turn a pin away, of those that `dataset.exclude_actions` names."""
    max_hide_share: float = 0.5
    """Pins are left out of whose events within the window a larger share turns them away."""
    min_hides: int = 10
    """Fewer such events say nothing of a pin."""
    granularity: Granularity | None = None
    """What is one item; null is that of the data set, and right. A coarser one counts together
    what training counted apart: it is here so that the skew check can be seen to find it."""
    skew: SkewConfig = SkewConfig()

    def __post_init__(self) -> None:
        if self.max_pins < 1:
            raise ValueError(f"corpus.max_pins={self.max_pins} must be at least 1")
        if self.window_days is not None and self.window_days < 1:
            raise ValueError(
                f"corpus.window_days={self.window_days} must be at least 1, or null for all events"
            )
        if self.max_age_days is not None and self.max_age_days <= 0:
            raise ValueError(
                f"corpus.max_age_days={self.max_age_days:g} must be positive, or null for any age"
            )
        if not 0 <= self.max_hide_share <= 1:
            raise ValueError(f"corpus.max_hide_share={self.max_hide_share:g} must lie in [0, 1]")
        if self.min_hides < 1:
            raise ValueError(f"corpus.min_hides={self.min_hides} must be at least 1")
        for name in ("half_life_days", "min_engagements"):
            if getattr(self, name) < 0:
                raise ValueError(f"corpus.{name}={getattr(self, name):g} must be >= 0")
