"""How Redis is reached: by a URL without a password, which comes from the environment."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD_VARIABLE = "HOMEFEED_REDIS_PASSWORD"
"""Of Redis; unset or empty where it wants none."""
SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PREFIX = "homefeed:user:"
"""What the key of a user's record begins with; the user's own key follows."""


def check_redis_url(url: str) -> None:
    """Checks a URL that will be shown: in parameters, settings and errors.

    Raises:
        ValueError: it is none of Redis, or holds a password, which is not repeated.
    """
    parts = urlsplit(url)
    if parts.password or "password" in parse_qs(parts.query):
        raise ValueError(
            f"the URL of Redis at {parts.hostname or parts.path} holds a password, which everybody "
            f"would read: leave it out, and give it in the variable {PASSWORD_VARIABLE}"
        )
    if parts.scheme not in SCHEMES or not (parts.hostname or parts.path.strip("/")):
        raise ValueError(
            f"{url!r} is no URL of Redis; one is redis://host:6379/0, rediss://user@host:6379/0 "
            "with TLS, or unix:///path"
        )


def connect(url: str, **options: Any) -> Any:  # redis-py's client, whose answers have no one type
    """A client of redis-py, which connects with its first command.

    Args:
        url: as `check_redis_url` takes it.
        options: redis-py's own.
    """
    # Serving and pipelines without Redis need not pay for its import.
    from redis import Redis

    check_redis_url(url)
    # Protocol 2, as all servers speak it, and without messages that nobody asked for.
    return Redis.from_url(
        url, password=os.environ.get(PASSWORD_VARIABLE) or None, protocol=2, **options
    )
