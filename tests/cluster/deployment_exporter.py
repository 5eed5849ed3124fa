"""What kube-state-metrics says of a Deployment, for a cluster where it does not run."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.kubectl import kubectl


@contextmanager
def deployment_exporter(namespace: str, name: str) -> Iterator[str]:
    """Serves the metrics that alerts ask for; yields host and port."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _exposition(namespace, name).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _exposition(namespace: str, name: str) -> str:
    found = json.loads(
        kubectl("get", "deployment", name, "--namespace", namespace, "--output=json")
    )
    labels = f'{{namespace="{namespace}",deployment="{name}"}}'
    values = {
        "kube_deployment_spec_replicas": found["spec"]["replicas"],
        "kube_deployment_status_replicas_available": found["status"].get("availableReplicas", 0),
    }
    return "".join(f"{metric}{labels} {value}\n" for metric, value in values.items())
