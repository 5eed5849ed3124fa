"""The Python client of the REST API."""

from serving.client.client import (
    HomefeedClient,
    HomefeedError,
    InvalidRequestError,
    UnavailableError,
)

__all__ = ["HomefeedClient", "HomefeedError", "InvalidRequestError", "UnavailableError"]
