"""What the service says through its Service is what the release says on this machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from serving.local import LocalServing
from tests.cluster.demo import Demo
from tests.cluster.pods import Client
from tests.cluster.service import Service
from tests.kubectl import needs_cluster

INTERESTS = ["Drama", "Film-Noir", "Children's", "Western", "Sci-Fi"]


def ask_here(url: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    command = [sys.executable, str(Path(__file__).parent / "ask.py"), url]
    asked = subprocess.run(command, input=json.dumps(requests).encode(), capture_output=True)
    assert asked.returncode == 0, asked.stderr.decode()
    return json.loads(asked.stdout)


@needs_cluster
def test_the_pins_are_those_of_this_machine(
    service: Service, client: Client, demo: Demo, tmp_path: Path
) -> None:
    plain = [{"user_id": user, "k": 100} for user in demo.users]
    with LocalServing(demo.release, tmp_path) as local:
        expected = ask_here(local.state.url, plain)
        best = [[pin["pin_id"] for pin in answer["body"]["pins"][:30]] for answer in expected]
        others = [
            {"user_id": user, "k": 50, **asked}
            for number, user in enumerate(demo.users)
            for asked in (
                {"interests": [INTERESTS[number % len(INTERESTS)]]},
                {"exclude": best[number]},
                {"interests": INTERESTS[:2], "exclude": best[number][::2], "include_seen": True},
            )
        ]
        expected += ask_here(local.state.url, others)
    found = client.ask(service.url, plain + others)
    assert [answer["status"] for answer in found] == [200] * (4 * len(demo.users))
    # Filters and excludes leave pins, or the comparison would be of nothing.
    assert all(answer["body"]["pins"] for answer in expected)
    assert found == expected
