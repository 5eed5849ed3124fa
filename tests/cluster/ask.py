"""Asks a service many things, one after another: `python ask.py URL < requests.json`.

Runs on this machine and, with the serving image's packages, in a pod. Prints a JSON list with the
status and the body of each answer.
"""

import json
import sys

import httpx


def main(url: str) -> None:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        answers = [http.post("/predictions/homefeed", json=body) for body in json.load(sys.stdin)]
    json.dump([{"status": each.status_code, "body": each.json()} for each in answers], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
