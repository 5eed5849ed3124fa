"""The TorchServe model: a thin adapter over `Retriever`.

Every answer carries its own status and JSON body. A raised `PredictionException` would not do: it
fails the whole batch, and TorchServe wraps its text in an error body of its own.

Environment: HOMEFEED_RELEASE, folder of the release; HOMEFEED_SOCKET, the sidecar's Unix socket;
HOMEFEED_METRICS_ADDRESS, host:port of the handler's metrics; PROMETHEUS_MULTIPROC_DIR, a folder
that all workers share for them; HOMEFEED_REDIS_PASSWORD, where the settings name a Redis that wants
one.
"""

import logging
import os
from http import HTTPStatus
from pathlib import Path

import msgspec
import torch
from ts.context import Context

from serving.torchserve.metrics import Metrics, serve_metrics
from serving.torchserve.request import InvalidRequest
from serving.torchserve.retriever import Answer, Retriever
from serving.torchserve.settings import ModelSettings
from serving.torchserve.sidecar_client import SidecarClient

JSON = "application/json"


class HomefeedHandler:
    """What TorchServe calls; its loader wants the module's only class."""

    def initialize(self, context: Context) -> None:
        """Loads the release.

        Raises:
            KeyError: an environment variable is missing.
            ValueError: the release or the model's settings cannot be used.
        """
        _quieten()
        settings = msgspec.convert(context.model_yaml_config, ModelSettings)
        torch.set_num_threads(settings.handler.torch_threads)
        host, _, port = os.environ["HOMEFEED_METRICS_ADDRESS"].rpartition(":")
        socket_path = Path(os.environ["HOMEFEED_SOCKET"])
        self._retriever = Retriever(
            Path(os.environ["HOMEFEED_RELEASE"]),
            SidecarClient(
                socket_path,
                settings.handler.sidecar_deadline_seconds,
                settings.handler.sidecar_pause_seconds,
            ),
            Metrics(),
            settings.handler,
        )
        self._retriever.warm_up(settings.batch_size)
        serve_metrics(host, int(port))

    def handle(self, data: list[dict[str, bytearray]], context: Context) -> list[bytes]:
        """Answers a batch of requests.

        Args:
            data: the parts of each request; `body` is missing where it came as a form.
            context: takes the statuses and headers of the answers.

        Returns:
            The answers' bodies, in order.
        """
        answers = self._retriever.retrieve([parts.get("body") for parts in data])
        return [_respond(answer, place, context) for place, answer in enumerate(answers)]


def _respond(answer: Answer, place: int, context: Context) -> bytes:
    context.set_response_content_type(place, JSON)
    if isinstance(answer, InvalidRequest):
        context.set_response_status(answer.status, HTTPStatus(answer.status).phrase, place)
        return msgspec.json.encode(answer.body)
    return msgspec.json.encode(answer)


def _quieten() -> None:
    """Drops TorchServe's line for every batch; its metrics travel in the log and must pass."""
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("ts.metrics").setLevel(logging.INFO)
