"""The little of HTTP/1.1 that asking the sidecar takes: one POST at a time on a Unix socket.

`http.client` makes objects of all headers and sends them apart from the body, which takes a fifth
of a lone search.
"""

import socket
import time
from pathlib import Path

READ_BYTES = 1 << 16
END_OF_HEAD = b"\r\n\r\n"


class UnixConnection:
    """A connection that is kept open; for one thread.

    Its methods raise TimeoutError after the deadline, and OSError for all else that goes wrong:
    what the other side says may be no HTTP, or end too early. The connection must be closed then.
    """

    def __init__(self, path: Path, content_type: str) -> None:
        """Connects with the first request.

        Args:
            path: of the socket.
            content_type: of all bodies that are sent.
        """
        self._path = str(path)
        self._head = f" HTTP/1.1\r\nHost: sidecar\r\nContent-Type: {content_type}\r\n".encode()
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether a request finds it connected; the other side may have hung up since."""
        return self._socket is not None

    def post(self, path: bytes, body: bytes, deadline: float) -> tuple[int, bytes]:
        """Sends a request and waits for its answer.

        Args:
            path: of the resource.
            body: of the request.
            deadline: when to give up, by `time.monotonic`.

        Returns:
            Status and body of the answer.
        """
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._limit(self._socket, deadline)
            self._socket.connect(self._path)
        connected = self._socket
        self._limit(connected, deadline)
        connected.sendall(
            b"POST %b%bContent-Length: %d%b%b" % (path, self._head, len(body), END_OF_HEAD, body)
        )
        received = bytearray()
        while (end := received.find(END_OF_HEAD)) < 0:
            received += self._read(connected, deadline)
        status, length, closes = _parse(bytes(received[:end]))
        start = end + len(END_OF_HEAD)
        while len(received) < start + length:
            received += self._read(connected, deadline)
        if closes:
            self.close()
        return status, bytes(received[start : start + length])

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    @staticmethod
    def _limit(connected: socket.socket, deadline: float) -> None:
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError
        connected.settimeout(seconds_left)

    def _read(self, connected: socket.socket, deadline: float) -> bytes:
        self._limit(connected, deadline)
        if not (received := connected.recv(READ_BYTES)):
            raise ConnectionError("the answer ended too early")
        return received


def _parse(head: bytes) -> tuple[int, int, bool]:
    """Status and length of an answer, and whether the connection ends with it."""
    first, *lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b":", 1) for line in lines if b":" in line)
    try:
        protocol, status = first.split(maxsplit=2)[:2]
        if not protocol.startswith(b"http/1."):
            raise ValueError
        length = int(headers[b"content-length"])
        return int(status), length, headers.get(b"connection", b"").strip() == b"close"
    except (ValueError, KeyError) as error:
        raise ConnectionError(f"the answer is no HTTP with a length: {head[:100]!r}") from error
