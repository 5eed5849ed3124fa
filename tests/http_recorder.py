"""A small HTTP server that keeps what it was asked, and answers as a test tells it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


Answer = Callable[[Asked], tuple[int, Any]]
"""Status and body of the answer; text as it is, all else as JSON."""


@dataclass
class Recorder:
    """The server's address and what it was asked, in order."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def told(self, method: str, path: str) -> list[Asked]:
        """The requests of a kind."""
        return [each for each in self.asked if (each.method, each.path) == (method, path)]


@contextmanager
def record(answer: Answer) -> Iterator[Recorder]:
    """A server at a free port of this machine."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            url = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            asked = Asked(self.command, url.path, query, json.loads(text) if text else None)
            recorder.asked.append(asked)
            status, body = answer(asked)
            self.send_response(status)
            kind = "text/plain" if isinstance(body, str) else "application/json"
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        do_GET = do_POST = do_DELETE = respond

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        recorder.url = f"http://127.0.0.1:{server.server_port}"
        yield recorder
        server.shutdown()
