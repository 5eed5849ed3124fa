"""What Kubernetes and Prometheus ask: `GET /healthz`, `/readyz` and `/metrics`, over TCP."""

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from serving.index_sidecar.asgi import App, Receive, Refusal, Response, Scope, Send, check_route
from serving.index_sidecar.loader import Loader
from serving.index_sidecar.metrics import Metrics

ROUTES = {"/healthz": "GET", "/readyz": "GET", "/metrics": "GET"}


class Readiness(msgspec.Struct, frozen=True):
    """JSON body of `/readyz`."""

    index_version: str
    embedding_space: str
    num_pins: int


def create_operations_app(loader: Loader, metrics: Metrics) -> App:
    """The probes and metrics of a sidecar that answers searches already."""

    def readiness() -> bytes:
        current = loader.held.current
        details = current.engine.details
        return msgspec.json.encode(
            Readiness(current.version, details.embedding_space, details.num_pins)
        )

    def answer(path: str) -> Response:
        match path:
            case "/metrics":
                return Response(200, metrics.exposition(), CONTENT_TYPE_PLAIN_0_0_4.encode())
            case "/readyz":
                return Response(200, readiness())
            case _:
                return Response(200, b"{}")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_route(scope, ROUTES)
            response = answer(scope["path"])
        except Refusal as refusal:
            response = refusal.response
        await response.send(send)

    return app
