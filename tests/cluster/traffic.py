"""Asks a service without pause until standard input ends: `python traffic.py URL`.

The first line of standard input is a JSON list of requests. Each line of output is an answer: the
seconds since the start when it was asked for and when it came, the request's number, and its
status and body, or the error that came instead.
"""

import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

CALLERS = 3
TIMEOUT_SECONDS = 20


def main(url: str) -> None:
    requests = json.loads(sys.stdin.readline())
    ended = threading.Event()
    start = time.monotonic()
    print_lock = threading.Lock()

    def ask(caller: int) -> None:
        for number in itertools.cycle(range(caller, len(requests), CALLERS)):
            if ended.is_set():
                return
            asked = time.monotonic() - start
            answer = _ask(url, requests[number])
            came = time.monotonic() - start
            with print_lock:
                print(json.dumps({"asked": asked, "came": came, "number": number, **answer}),
                      flush=True)  # fmt: skip

    with ThreadPoolExecutor(CALLERS) as pool:
        asking = [pool.submit(ask, caller) for caller in range(CALLERS)]
        sys.stdin.read()
        ended.set()
        for each in asking:
            each.result()


def _ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    # A connection of its own, or all of a caller's requests would go to one pod.
    try:
        answer = httpx.post(
            f"{url}/predictions/homefeed", json=body, timeout=TIMEOUT_SECONDS, trust_env=False
        )
        return {"status": answer.status_code, "body": answer.json()}
    except (httpx.TransportError, ValueError) as error:
        return {"status": 0, "body": repr(error)}


if __name__ == "__main__":
    main(sys.argv[1])
