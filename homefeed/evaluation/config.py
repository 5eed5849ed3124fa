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
