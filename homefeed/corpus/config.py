"""Which pins can be served."""

from homefeed.config import Config


class CorpusConfig(Config, frozen=True):
    """Selection of the serving corpus by time-decayed engagement."""

    max_pins: int = 10_000_000
    """The best so many pins are kept."""
    half_life_days: float = 30.0
    """0 is a plain sum."""
    window_days: int | None = 90
    """Only events of the last so many days count; null counts all."""
    min_engagements: float = 0.0
    """Pins whose decayed sum is below this are left out, and always those without any event."""
    action_weights: dict[str, float] = {}
    """Weight of each action; actions that are absent here weigh 1."""

    def __post_init__(self) -> None:
        if self.max_pins < 1:
            raise ValueError(f"corpus.max_pins={self.max_pins} must be at least 1")
        if self.window_days is not None and self.window_days < 1:
            raise ValueError(
                f"corpus.window_days={self.window_days} must be at least 1, or null for all events"
            )
        for name in ("half_life_days", "min_engagements"):
            if getattr(self, name) < 0:
                raise ValueError(f"corpus.{name}={getattr(self, name):g} must be >= 0")
