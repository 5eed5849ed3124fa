"""The floor: a TorchServe model that answers every request with the same bytes.

It is copied into its model's folder, from where TorchServe loads it.
"""

from pathlib import Path

from ts.context import Context

ANSWER_FILE = "answer.json"
JSON = "application/json"


class EchoHandler:
    """What TorchServe calls; its loader wants the module's only class."""

    def initialize(self, context: Context) -> None:
        """Reads the answer."""
        folder = Path(context.system_properties["model_dir"])
        self._answer = (folder / ANSWER_FILE).read_bytes()

    def handle(self, data: list[dict[str, bytearray]], context: Context) -> list[bytes]:
        """Answers a batch of requests."""
        for place in range(len(data)):
            context.set_response_content_type(place, JSON)
        return [self._answer] * len(data)
