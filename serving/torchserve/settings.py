"""What a model folder says: TorchServe's keys of `model-config.yaml`, and the handler's own."""

import msgspec


class HandlerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The handler's own keys, under `handler`."""

    sidecar_deadline_seconds: float = 0.5
    """A search not answered by then is answered with popular pins."""
    torch_threads: int = 1
    """Threads of the tower in each worker: a small tower gains nothing from more."""

    def __post_init__(self) -> None:
        for name in ("sidecar_deadline_seconds", "torch_threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"handler.{name}={getattr(self, name)} must be positive")


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
        if self.handler.sidecar_deadline_seconds >= self.response_timeout:
            raise ValueError(
                f"handler.sidecar_deadline_seconds={self.handler.sidecar_deadline_seconds} must be "
                f"below responseTimeout={self.response_timeout}: TorchServe would kill the worker "
                "that waits for the sidecar"
            )
        if self.batch_size < 1:
            raise ValueError(f"batchSize={self.batch_size} must be at least 1")


DEFAULT_SETTINGS = ModelSettings()
