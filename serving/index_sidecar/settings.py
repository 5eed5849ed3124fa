"""What the sidecar can be told."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one sidecar process; the defaults suit a pod with a few cores."""

    search_threads: int = 1
    """Searches at a time: the CPU limit. More would only take turns on the same cores."""
    max_waiting: int = 64
    """Requests that may wait for a search thread; further ones are refused with 429."""
    deadline_seconds: float = 1.0
    """A request not answered by then is refused with 503."""
    max_body_bytes: int = 32 << 20
    """A larger body is refused with 413. A batch of the handler's 16 largest requests, with the
    pins that their users have seen, must fit: refused, it takes its small neighbours with it."""
    retry_after_seconds: int = 1
    """What a refused caller is told to wait."""

    recall_share: float = 0.01
    """Share of the approximate index's queries that are searched again, exactly; 0 for none."""

    def __post_init__(self) -> None:
        for name in ("search_threads", "deadline_seconds", "max_body_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if self.max_waiting < 0:
            raise ValueError(f"max_waiting={self.max_waiting} must not be negative")
        if not 0 <= self.recall_share <= 1:
            raise ValueError(f"recall_share={self.recall_share} must lie in [0, 1]")
