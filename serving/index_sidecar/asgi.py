"""The little of ASGI that the sidecar needs: bodies in, answers and typed errors out."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong: `code` for programs, `message` for people."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """JSON body of every answer that is no success."""

    error: ErrorDetail


class Response(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()

    async def send(self, send: Send) -> None:
        """Sends it."""
        size = str(len(self.body)).encode()
        fixed = ((b"content-type", self.content_type), (b"content-length", size))
        headers = (*fixed, *self.headers)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Refusal(Exception):
    """Ends a request with an error body."""

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        body = msgspec.json.encode(ErrorBody(ErrorDetail(code, message)))
        self.response = Response(status, body, headers=headers)


def check_route(scope: Scope, routes: Mapping[str, str]) -> None:
    """Checks a request against `routes`, path to method.

    Raises:
        Refusal: 404, no such path; 405, another method.
    """
    path, method = scope["path"], scope["method"]
    if path not in routes:
        there = ", ".join(f"{method} {path}" for path, method in routes.items())
        raise Refusal(404, "not_found", f"no {path} here; there is {there}")
    if method != routes[path]:
        allow = ((b"allow", routes[path].encode()),)
        message = f"{path} takes {routes[path]}, not {method}"
        raise Refusal(405, "method_not_allowed", message, allow)


async def read_body(receive: Receive, max_bytes: int) -> bytearray:
    """The whole body of a request.

    Raises:
        Refusal: 413, the body is larger than `max_bytes`.
    """
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > max_bytes:
            # Closing spares both sides the rest of the body.
            raise Refusal(
                413,
                "body_too_large",
                f"the body is larger than {max_bytes} bytes: send fewer queries a request",
                ((b"connection", b"close"),),
            )
        if not message.get("more_body", False):
            return body
