"""A release served on this machine."""

from serving.local.serving import HOST, LocalServing, free_ports, sidecar_command
from serving.local.state import ServingState, read_state

__all__ = [
    "HOST",
    "LocalServing",
    "ServingState",
    "free_ports",
    "read_state",
    "sidecar_command",
]
