"""What the Prometheus that scrapes the cluster answers."""

import math
from typing import Any

import httpx


def query(prometheus: str, text: str) -> list[dict[str, Any]]:
    """The series that an instant query finds; it must be one."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": text}, trust_env=False)
    assert answer.status_code == 200, (text, answer.text)
    return answer.json()["data"]["result"]


def has_number(found: list[dict[str, Any]]) -> bool:
    """Whether a query found a number; a quotient without requests is none."""
    return any(not math.isnan(float(each["value"][1])) for each in found)
