"""The load generator: connections that send requests and time every answer, on one thread.

Each connection has one request under way. Without a rate it sends the next as soon as its answer is
there (a closed loop). With one, requests fall due at equal distances, whichever connection is free
sends them, and the time of an answer counts from when its request was due: a server that stalls is
charged for all that it kept waiting.
"""

import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

ANSWER_SECONDS = 30.0
"""What is not answered so long after the last request was sent is an error."""
CHUNK_BYTES = 1 << 16
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Target(NamedTuple):
    """A server, and what to ask it."""

    host: str
    port: int
    path: str
    expected: bytes = b""
    """What every good answer holds."""
    bodies: Sequence[bytes] = ()
    """JSON; sent in turn."""


class Load(NamedTuple):
    """What came of it."""

    seconds: list[float]
    """Of each good answer."""
    elapsed: float
    """From the first request to the last answer."""
    errors: Counter[str]
    """What was no good answer, by what it was."""
    cpu_seconds: float
    """What the generator itself used."""


def generate(
    target: Target, num_connections: int, seconds: float, rate: float | None = None
) -> Load:
    """Sends requests for some time, and waits for the last answers.

    Args:
        target: whom to ask what.
        num_connections: requests under way at a time, at most.
        seconds: after which no request is sent.
        rate: requests a second; None for as many as are answered.
    """
    with selectors.DefaultSelector() as selector:
        connections = [_Connection(target, selector) for _ in range(num_connections)]
        try:
            return _run(selector, connections, _requests(target), seconds, rate)
        finally:
            for connection in connections:
                connection.close()


class _Connection:
    """One request at a time over a connection that is kept open."""

    def __init__(self, target: Target, selector: selectors.BaseSelector) -> None:
        self._target = target
        self._selector = selector
        self._received = bytearray()
        self.due = 0.0
        self._open()

    def send(self, request: bytes, due: float) -> None:
        """Sends a request, which fits into what the kernel takes without waiting."""
        self.due = due
        self._is_busy = True
        self._socket.sendall(request)

    def receive(self) -> str | None:
        """Takes what is there; "" for a good answer, what is wrong for others, None for no end."""
        try:
            chunk = self._socket.recv(CHUNK_BYTES)
        except ConnectionError:
            chunk = b""
        if not chunk:
            was_busy = self._is_busy
            self.close()
            self._open()
            # A server may close one that has nothing to do.
            return "the connection was closed" if was_busy else None
        self._received += chunk
        head, end, body = self._received.partition(HEAD_END)
        if not end:
            return None
        _, has_length, rest = bytes(head).lower().partition(LENGTH)
        assert has_length, f"{self._target} answers without Content-Length, or in chunks"
        if len(body) < int(rest.split(b"\r\n", 1)[0]):
            return None
        self._received.clear()
        self._is_busy = False
        status = head.split(b" ", 2)[1]
        if status != b"200":
            return f"status {status.decode()}"
        return "" if self._target.expected in body else "another answer"

    def close(self) -> None:
        """Closes it."""
        self._selector.unregister(self._socket)
        self._socket.close()

    def _open(self) -> None:
        self._received.clear()
        self._is_busy = False
        self._socket = socket.create_connection((self._target.host, self._target.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)


def _requests(target: Target) -> Iterator[bytes]:
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    return cycle([head + b"%d" % len(body) + HEAD_END + body for body in target.bodies])


def _run(
    selector: selectors.BaseSelector,
    connections: Sequence[_Connection],
    requests: Iterator[bytes],
    seconds: float,
    rate: float | None,
) -> Load:
    times: list[float] = []
    errors: Counter[str] = Counter()
    idle = deque(connections)
    num_sent = 0
    cpu_start, start = time.process_time(), time.perf_counter()
    now, stop = start, start + seconds
    while now < stop + ANSWER_SECONDS:
        due = now if rate is None else start + num_sent / rate
        if idle and due <= now and due < stop:
            idle.popleft().send(next(requests), due)
            num_sent += 1
            continue
        if due >= stop and len(idle) == len(connections):
            break
        # Where all are busy there is nothing to wake up for but an answer.
        wait = due - now if idle and due < stop else stop + ANSWER_SECONDS - now
        for key, _ in selector.select(max(wait, 0.0)):
            outcome = key.data.receive()
            if outcome is None:
                continue
            if outcome:
                errors[outcome] += 1
            else:
                times.append(time.perf_counter() - key.data.due)
            idle.append(key.data)
        now = time.perf_counter()
    if num_lacking := len(connections) - len(idle):
        errors["no answer"] = num_lacking
    return Load(times, time.perf_counter() - start, errors, time.process_time() - cpu_start)
