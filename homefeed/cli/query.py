"""`homefeed query`: a user's pins from the running service, readable."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homefeed.cli.answers import pins_table, remarks
from homefeed.cli.catalogue import PinText, read_pin_texts
from homefeed.cli.console import console, say
from homefeed.cli.last_run import read_last_run
from homefeed.cli.service import connect, find_service
from serving.torchserve.protocol import Recommendations


def run_query(
    user: str,
    k: int,
    interests: Sequence[str],
    exclude: Sequence[str],
    *,
    url: str | None,
    work: Path,
    as_json: bool,
) -> None:
    """Asks for a user's pins and prints them.

    Args:
        user: id of the user.
        k: most pins.
        interests: of which each pin has one; empty is no filter.
        exclude: pins that must not come back.
        url: of the service; None takes what is served from the work folder.
        work: folder of the last run, which knows the pins' titles.
        as_json: print the answer as the service gave it.

    Raises:
        ValueError: nothing is served from the work folder, or the URL is none.
        RuntimeError: the service refused the request, failed, or did not answer.
    """
    with connect(url or find_service(work).url) as client:
        answer = client.recommend(user, k=k, interests=interests, exclude=exclude)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(answer)).decode())
        return
    console.print(pins_table(answer, _read_texts(answer, work)))
    for line in (*remarks(answer), f"release {answer.model_version}"):
        say(line)


def _read_texts(answer: Recommendations, work: Path) -> Mapping[str, PinText]:
    """What the last run knows of the pins, if it made the release that answered."""
    last = read_last_run(work)
    if last is None or last.version != answer.model_version:
        return {}
    return read_pin_texts(Path(last.dataset), (pin.pin_id for pin in answer.pins))
