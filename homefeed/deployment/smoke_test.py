"""The smoke test: each new pod is asked for some users, as callers of the REST API would."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException

import msgspec

from homefeed.deployment.config import SmokeTestConfig
from homefeed.deployment.layout import Answer

PATH = "/predictions/homefeed"
UNKNOWN_USER = "homefeed-smoke-test"
SECONDS_BETWEEN_TRIES = 1.0
MOST_SAID = 300
"""Bytes of an error's body that are kept."""
NO_ANSWER = (OSError, HTTPException)
"""The second is of an answer that breaks off, or is none of HTTP."""


class Expected(msgspec.Struct, frozen=True):
    """What makes an answer a right one."""

    version: str
    num_pins: int


class _Recommendations(msgspec.Struct):
    """The part of an answer that is looked at."""

    pins: list[msgspec.Raw]
    model_version: str
    index_version: str | None
    degraded: bool


def run_smoke_test(
    urls: Mapping[str, str], version: str, num_pins: int, config: SmokeTestConfig
) -> Iterator[Answer]:
    """Asks each pod for each user.

    Args:
        urls: name of a pod to its URL.
        version: of the release that must answer.
        num_pins: that the release has.
        config: who is asked for, and how often.

    Yields:
        Each answer as it comes; one without a complaint is right.
    """
    expected = Expected(version, min(config.k, num_pins))
    # No proxy of the environment knows the address of a pod.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for pod, url in urls.items():
        for user in (UNKNOWN_USER, *config.users):
            for last_try in range(config.tries):
                answer = _ask(opener, pod, url, user, expected, config)
                if not answer.complaint:
                    break
                if last_try + 1 < config.tries:
                    time.sleep(SECONDS_BETWEEN_TRIES)
            yield answer


def _ask(
    opener: urllib.request.OpenerDirector,
    pod: str,
    url: str,
    user: str,
    expected: Expected,
    config: SmokeTestConfig,
) -> Answer:
    body = msgspec.json.encode({"user_id": user, "k": config.k})
    request = urllib.request.Request(url + PATH, body, {"Content-Type": "application/json"})
    begin, num_pins = time.monotonic(), 0
    try:
        with opener.open(request, timeout=config.timeout_seconds) as response:
            found = msgspec.json.decode(response.read(), type=_Recommendations)
        num_pins, complaint = len(found.pins), _complaint(found, expected)
    except urllib.error.HTTPError as error:
        complaint = f"status {error.code}: {_body(error)}"
    except NO_ANSWER as error:
        complaint = f"no answer: {error}"
    except msgspec.MsgspecError as error:
        complaint = f"the answer is none of homefeed's: {error}"
    milliseconds = round(1000 * (time.monotonic() - begin), 1)
    return Answer(
        pod=pod, user=user, milliseconds=milliseconds, num_pins=num_pins, complaint=complaint
    )


def _body(error: urllib.error.HTTPError) -> str:
    try:
        return error.read()[:MOST_SAID].decode(errors="replace").strip()
    except NO_ANSWER as broken:
        return f"its text broke off: {broken}"


def _complaint(found: _Recommendations, expected: Expected) -> str:
    said = []
    if found.degraded:
        said.append("the answer is degraded: the search failed, and popular pins stand in")
    for what, version in (("towers", found.model_version), ("index", found.index_version)):
        if version not in (expected.version, None):
            said.append(f"{what} of release {version} answered, not of {expected.version}")
    if len(found.pins) != expected.num_pins:
        said.append(f"{len(found.pins)} pins, not {expected.num_pins}")
    return "; ".join(said)
