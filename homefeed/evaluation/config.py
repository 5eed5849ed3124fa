"""What is measured through the release, and beside what."""

from homefeed.config import Config

MEASURED = ("recall", "ndcg", "hit")
"""Metrics that have a value for each user, so that differences have an interval."""


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

    gate_metrics: tuple[str, ...] | None = None
    """A release is not published where one of these is worse than that of the release in
    production, by an interval that leaves out no difference. null takes recall and NDCG at the
    first of `cutoffs`; an empty list lets every release pass."""

    def __post_init__(self) -> None:
        if not self.cutoffs or min(self.cutoffs) < 1:
            raise ValueError(f"evaluation.cutoffs={list(self.cutoffs)}: at least one, each >= 1")
        for name in ("decayed_half_life_days", "ease_regularisation", "max_users"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"evaluation.{name}={value} must be positive")
        known = [f"{metric}@{k}" for metric in MEASURED for k in self.cutoffs]
        if unknown := [name for name in self.gate_metrics or () if name not in known]:
            raise ValueError(
                f"evaluation.gate_metrics={list(unknown)} are not measured; there are "
                f"{', '.join(known)}"
            )

    @property
    def gated(self) -> tuple[str, ...]:
        """The metrics that a release must not be worse by."""
        if self.gate_metrics is not None:
            return self.gate_metrics
        return f"recall@{self.cutoffs[0]}", f"ndcg@{self.cutoffs[0]}"
