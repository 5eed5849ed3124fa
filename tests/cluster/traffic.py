"""Asks a service again and again: `python traffic.py URL FOLDER`.

The folder holds the requests, a JSON list in `requests.json`. When there is a file `stop` in it,
the answers are written beside it, as a JSON list in `answers.json.gz`: of each the seconds since
the start when it was asked for and when it came, the request's number, and its status and body, or
the error that came instead.
"""

import gzip
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

CALLERS = 6
TIMEOUT_SECONDS = 20
REQUESTS_PER_SECOND = 60.0
"""Of all callers; one that waits for an answer does not catch up."""
# A connection of its own for each request, or all of a caller's would go to one pod.
LIMITS = httpx.Limits(max_keepalive_connections=0)


def main(url: str, folder: Path) -> None:
    requests = json.loads((folder / "requests.json").read_text())
    answers: list[dict[str, Any]] = []
    ended = threading.Event()
    start = time.monotonic()

    def ask(caller: int) -> None:
        turn, due = caller, start + caller / REQUESTS_PER_SECOND
        while not ended.wait(max(0.0, due - time.monotonic())):
            number = turn % len(requests)
            asked = time.monotonic() - start
            answer = _ask(http, requests[number])
            came = time.monotonic() - start
            answers.append({"asked": asked, "came": came, "number": number, **answer})
            turn += CALLERS
            due = max(due + CALLERS / REQUESTS_PER_SECOND, time.monotonic())

    with (
        httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, limits=LIMITS, trust_env=False) as http,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        asking = [pool.submit(ask, caller) for caller in range(CALLERS)]
        while not (folder / "stop").exists():
            time.sleep(0.1)
        ended.set()
        for each in asking:
            each.result()
    draft = folder / "draft"
    draft.write_bytes(gzip.compress(json.dumps(answers).encode(), compresslevel=1))
    draft.rename(folder / "answers.json.gz")


def _ask(http: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = http.post("/predictions/homefeed", json=body)
        return {"status": answer.status_code, "body": answer.json()}
    except (httpx.TransportError, ValueError) as error:
        return {"status": 0, "body": repr(error)}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
