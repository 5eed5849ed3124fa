"""The Python client of the REST API."""

from serving.client.client import (
    ClientRequest,
    HomefeedClient,
    HomefeedError,
    InvalidRequestError,
    UnavailableError,
)

__all__ = [
    "ClientRequest",
    "HomefeedClient",
    "HomefeedError",
    "InvalidRequestError",
    "UnavailableError",
]
