"""Releases in the claim's store, and which of them pods answer from."""

import json

from tests.cluster.demo import Demo
from tests.cluster.pods import STORE, Client
from tests.cluster.service import Service

CHANNEL = "production"
CHANNEL_FILE = f"channels/{CHANNEL}.json"
ASIDE = "aside"
"""A channel that no pod follows."""
BROKEN_FILE = "user_tower.pt"
SWAP_SECONDS = 180
FLIP = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
held = bytearray(path.read_bytes())
held[len(held) // 2] ^= 1
path.write_bytes(held)
"""


def republish(client: Client, version: str, created_at: int, channel: str = CHANNEL) -> str:
    """Publishes a release again, as if it were made at another time; returns its version.

    Its contents are the same, so every answer is right by the same pins, whichever gave it.
    """
    script = client.script("republish.py")
    return client.run(*script, version, str(created_at), channel).strip()


def point_to(client: Client, version: str) -> None:
    """Lets the channel stand for a release of the store, which need not be whole."""
    entry = json.dumps({"version": version, "published_at": "2026-01-01T00:00:00+00:00"})
    client.run("sh", "-c", f"cat > {STORE}/{CHANNEL_FILE}.new", stdin=entry.encode())
    client.run("mv", f"{STORE}/{CHANNEL_FILE}.new", f"{STORE}/{CHANNEL_FILE}")


def flip_a_bit(client: Client, version: str) -> None:
    """Flips a bit in the middle of a file in the store; a second time flips it back."""
    client.run("python", "-c", FLIP, f"{STORE}/releases/{version}/{BROKEN_FILE}")


def versions(service: Service, client: Client, demo: Demo) -> set[str]:
    """The releases that the pods answer from, each asked by itself."""
    found = set()
    for pod in service.pods():
        url = f"http://{pod['status']['podIP']}:8080"
        (answer,) = client.ask(url, [{"user_id": demo.users[0]}])
        found.add(answer["body"]["model_version"])
    return found


def wait_for_version(service: Service, client: Client, demo: Demo, version: str) -> float:
    """Waits until every pod answers from a release; returns the seconds that it took."""
    return service.wait_until(lambda: versions(service, client, demo) == {version}, SWAP_SECONDS)
