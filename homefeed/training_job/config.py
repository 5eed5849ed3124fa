"""What a training on several nodes asks of a cluster."""

from pathlib import Path

from homefeed.config import Config

CLAIM = "homefeed-training"
SHARED_FOLDER = Path("/training")
"""Where the claim is mounted, in the step's pod and by the TrainingRuntime in those of the job."""
HOUR = 3600
MINUTE = 60


class NodesConfig(Config, frozen=True):
    """The pods of a training, one a node, and how long they may take."""

    num_nodes: int
    image: str
    """Of the pods; holds the same homefeed as the image of the step that makes them."""
    num_gpus: int = 0
    """Of each node, each for a process of its own; 0 trains in one process a node, on its CPU."""
    gpu_type: str = "nvidia.com/gpu"
    """The cluster's name of the resource."""
    cpu: str = "1"
    """What each pod asks for."""
    memory: str = "4Gi"
    """What each pod asks for."""
    timeout_seconds: float = 24 * HOUR
    """From the creation to the end, with restarts."""
    start_timeout_seconds: float = 15 * MINUTE
    """How long not all pods may run, at the start or after a restart: they wait for a node with
    room, or an image."""

    def __post_init__(self) -> None:
        if self.num_nodes < 1:
            raise ValueError(f"num_nodes={self.num_nodes} must be at least 1")
        if self.num_gpus < 0:
            raise ValueError(f"num_gpus={self.num_gpus} must be at least 0")
        for name in ("timeout_seconds", "start_timeout_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name):g} must be more than 0")

    @property
    def processes_per_node(self) -> int:
        """Processes that each pod starts."""
        return max(self.num_gpus, 1)

    @property
    def num_processes(self) -> int:
        """Processes that train together."""
        return self.num_nodes * self.processes_per_node
