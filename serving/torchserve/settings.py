"""What a model folder says: TorchServe's keys of `model-config.yaml`, and the handler's own."""

import msgspec

from homefeed.release.redis_connection import DEFAULT_PREFIX, check_redis_url
from serving.torchserve.protocol import MAX_CONDITIONS
from serving.torchserve.sidecar_client import PAUSE_SECONDS


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where users are looked up before the release's snapshot, under `handler.redis`."""

    url: str = ""
    """Such as redis://host:6379/0; the password comes from the environment. Empty asks none."""
    prefix: str = DEFAULT_PREFIX
    """What the keys of users begin with."""
    deadline_seconds: float = 0.05
    """Users not there by then are taken from the snapshot."""
    max_age_seconds: int = 0
    """After which a record is stale; 0 for never."""

    def __post_init__(self) -> None:
        if self.url:
            check_redis_url(self.url)
        if self.deadline_seconds <= 0:
            raise ValueError(
                f"handler.redis.deadline_seconds={self.deadline_seconds} must be positive"
            )
        if self.max_age_seconds < 0:
            raise ValueError(
                f"handler.redis.max_age_seconds={self.max_age_seconds} must be positive, or 0 for "
                "records that are never stale"
            )


class HandlerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The handler's own keys, under `handler`."""

    sidecar_deadline_seconds: float = 0.5
    """A search not answered by then is answered with popular pins."""
    sidecar_pause_seconds: float = PAUSE_SECONDS
    """How long a sidecar that was late twice in a row is not asked; popular pins stand in."""
    torch_threads: int = 1
    """Threads of the tower in each worker: a small tower gains nothing from more."""
    max_conditions: int = 4
    """Interests that a request which names no conditions is conditioned on; 0 for none. Each takes
    the tower as long as another user does."""
    redis: RedisSettings = RedisSettings()

    def __post_init__(self) -> None:
        for name in ("sidecar_deadline_seconds", "sidecar_pause_seconds", "torch_threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"handler.{name}={getattr(self, name)} must be positive")
        if not 0 <= self.max_conditions <= MAX_CONDITIONS:
            raise ValueError(
                f"handler.max_conditions={self.max_conditions} must be from 0 to {MAX_CONDITIONS}"
            )


class ModelSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The whole file; TorchServe reads all but `handler`."""

    min_workers: int = 1
    """Worker processes; each takes a batch at a time."""
    max_workers: int = 1
    batch_size: int = 16
    """Most requests a worker takes at once."""
    max_batch_delay: int = 1
    """Milliseconds that a request may wait for neighbours. With 0 no batch passes 2 requests."""
    response_timeout: int = 10
    """Seconds after which a worker that does not answer is replaced."""
    startup_timeout: int = 120
    """Seconds a worker may take to load the release."""
    handler: HandlerSettings = HandlerSettings()

    def __post_init__(self) -> None:
        if not 1 <= self.min_workers <= self.max_workers:
            raise ValueError(
                f"minWorkers={self.min_workers} and maxWorkers={self.max_workers}: there must be "
                "at least one worker, and no fewer at most than at least"
            )
        deadline, redis = self.handler.sidecar_deadline_seconds, self.handler.redis
        if deadline >= self.response_timeout:
            raise ValueError(
                f"handler.sidecar_deadline_seconds={deadline} must be below "
                f"responseTimeout={self.response_timeout}: TorchServe would kill the worker that "
                "waits for the sidecar"
            )
        if redis.url and deadline + redis.deadline_seconds >= self.response_timeout:
            raise ValueError(
                f"handler.redis.deadline_seconds={redis.deadline_seconds} and "
                f"handler.sidecar_deadline_seconds={deadline} must together be below "
                f"responseTimeout={self.response_timeout}: TorchServe would kill the worker that "
                "waits for both"
            )
        if self.batch_size < 1:
            raise ValueError(f"batchSize={self.batch_size} must be at least 1")


DEFAULT_SETTINGS = ModelSettings()
