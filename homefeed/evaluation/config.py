"""What is measured through the release, and beside what."""

from homefeed.config import Config


class EvaluationConfig(Config, frozen=True):
    """The evaluation stage."""

    cutoffs: tuple[int, ...] = (10, 100)
    decayed_half_life_days: float = 7.0
    """Half-life of the decayed-popularity baseline."""
    ease_regularisation: float = 500.0
    ease_max_pins: int = 20_000
    """EASE inverts a pins x pins matrix; on larger catalogues it is left out and the report says
    so."""
    max_users: int | None = None
    """Evaluate on so many warm users, drawn by the recipe's seed; null takes all."""

    def __post_init__(self) -> None:
        if not self.cutoffs or min(self.cutoffs) < 1:
            raise ValueError(f"evaluation.cutoffs={list(self.cutoffs)}: at least one, each >= 1")
        for name in ("decayed_half_life_days", "ease_regularisation", "max_users"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"evaluation.{name}={value} must be positive")
