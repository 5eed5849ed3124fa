"""The chart, rendered once for all tests that only look at it."""

import pytest

from tests.helm.chart import Rendered


@pytest.fixture(scope="session")
def minimal() -> Rendered:
    """A claim, and the sidecar as a native one."""
    return Rendered("minimal")


@pytest.fixture(scope="session")
def s3() -> Rendered:
    """A bucket, the sidecar as an ordinary container, and all that is off by default."""
    return Rendered("s3")


@pytest.fixture(scope="session", params=["minimal", "s3"])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Each of the two."""
    return request.getfixturevalue(request.param)
