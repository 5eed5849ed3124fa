"""Answers to requests asked all the time, held against those of a service in good health."""

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from tests.cluster.pods import Client

CALM_SECONDS = 3.0
"""Traffic before anything happens, and after all is well again."""
LONGEST_PAUSE_SECONDS = 25.0
"""Between two answers, of several callers: a request is given up after 20."""


class Traffic:
    """Requests all the time, and what came of them."""

    def __init__(self, client: Client, url: str, requests: list[dict[str, Any]]) -> None:
        self.expected = [answer["body"] for answer in client.ask(url, requests)]
        self._client = client
        self._url = url
        self._requests = requests
        self.answers: list[dict[str, Any]] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Asks while the context is open; collects the answers when it ends."""
        folder = f"/tmp/traffic-{uuid.uuid4().hex}"
        given = json.dumps(self._requests).encode()
        self._client.run("sh", "-c", f"mkdir {folder}; cat > {folder}/requests.json", stdin=given)
        # By itself, as no connection to a pod is certain to last as long as a test.
        asking = (*self._client.script("traffic.py"), self._url, folder)
        self._client.run("sh", "-c", f'setsid "$@" > {folder}/log 2>&1 &', "sh", *asking)
        time.sleep(CALM_SECONDS)
        try:
            yield
            time.sleep(CALM_SECONDS)
        finally:
            self._client.run("touch", f"{folder}/stop")
            self.answers = self._collect(folder)
        came = [answer["came"] for answer in self.answers]
        pauses = [after - before for before, after in pairwise([0.0, *came])]
        assert max(pauses) < LONGEST_PAUSE_SECONDS, "the requests came to a halt"

    def _collect(self, folder: str) -> list[dict[str, Any]]:
        deadline = time.monotonic() + LONGEST_PAUSE_SECONDS
        while "answers.json.gz" not in self._client.run("ls", folder):
            assert time.monotonic() < deadline, self._client.run("cat", f"{folder}/log")
            time.sleep(0.2)
        packed = self._client.run("base64", f"{folder}/answers.json.gz")
        self._client.run("rm", "-r", folder)
        answers = json.loads(gzip.decompress(base64.b64decode(packed)))
        return sorted(answers, key=lambda answer: answer["came"])

    def is_right(self, answer: dict[str, Any]) -> bool:
        """Whether an answer is the one of a service in good health.

        Scores differ in their last digits with the requests that share a batch.
        """
        expected = self.expected[answer["number"]]
        return answer["status"] == 200 and _pins(answer["body"]) == _pins(expected)

    def wrong(self) -> list[dict[str, Any]]:
        """Answers that claim to be good ones and are not."""
        return [
            answer
            for answer in self.answers
            if answer["status"] == 200
            and not self.is_right(answer)
            and not self._is_honest_stand_in(answer)
        ]

    def _is_honest_stand_in(self, answer: dict[str, Any]) -> bool:
        """Whether it says that it is degraded, and keeps to the request all the same."""
        request, body = self._requests[answer["number"]], answer["body"]
        pins = {pin["pin_id"] for pin in body["pins"]}
        excluded = set(request.get("exclude", []))
        return body["degraded"] and len(body["pins"]) == request["k"] and not pins & excluded

    def seconds_disturbed(self) -> float:
        """From the first answer that is not right to the last one."""
        disturbed = [answer for answer in self.answers if not self.is_right(answer)]
        if not disturbed:
            return 0.0
        return max(each["came"] for each in disturbed) - min(each["asked"] for each in disturbed)

    def per_second(self) -> float:
        """Answers a second."""
        asked = [answer["asked"] for answer in self.answers]
        return len(asked) / (max(answer["came"] for answer in self.answers) - min(asked))

    def failed(self) -> int:
        """Requests that got no answer, or an error."""
        return sum(answer["status"] != 200 for answer in self.answers)

    def degraded(self) -> int:
        """Requests that got popular pins."""
        return sum(
            answer["status"] == 200 and answer["body"]["degraded"] for answer in self.answers
        )


def _pins(body: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(pin["pin_id"], pin["source"], body["degraded"]) for pin in body["pins"]]
