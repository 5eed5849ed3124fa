"""The service that is asked: where it is, and its errors as one line."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homefeed.cli.console import program
from serving.client import HomefeedClient, HomefeedError
from serving.local import ServingState, read_state


@contextmanager
def connect(url: str, num_retries: int = 3) -> Iterator[HomefeedClient]:
    """A client of the service at a URL.

    Raises:
        ValueError: the URL is none.
        RuntimeError: the service refused a request, failed, or did not answer.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the service's URL {url!r} must begin with http:// or https://")
    try:
        with HomefeedClient(url, num_retries=num_retries) as client:
            yield client
    except HomefeedError as error:
        raise RuntimeError(f"{url}: {error}") from error


def find_service(work: Path) -> ServingState:
    """What is served from a work folder.

    Raises:
        ValueError: nothing is.
    """
    state = read_state(work)
    if state is None:
        raise ValueError(
            f"nothing is served from {work}: start it with `{program()} serve --work "
            f"{shlex.quote(str(work))}` in another terminal, or name a service with --url"
        )
    return state


def refuse_served(work: Path) -> None:
    """Keeps a run from changing what is being served, and says so before it starts.

    Raises:
        ValueError: a release is served from the work folder.
    """
    if state := read_state(work):
        raise ValueError(
            f"release {state.version} is being served from {work} at {state.url}: stop that "
            "first, or give another folder with --work"
        )
