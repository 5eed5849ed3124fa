"""One small release, and one TorchServe with its sidecar, for all tests of serving."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.local import LocalServing
from tests.serving.small_release import SmallRelease, build_small_release


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    return build_small_release(tmp_path_factory.mktemp("a small release"))


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of `serving`."""
    return tmp_path_factory.mktemp("serving größe")


@pytest.fixture(scope="session")
def serving(small_release: SmallRelease, work: Path) -> Iterator[LocalServing]:
    """To be left as it is: whoever ends or changes a server starts one of their own."""
    with LocalServing(small_release.folder, work) as running:
        yield running


@pytest.fixture(scope="session")
def api(serving: LocalServing) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.state.url, timeout=60) as client:
        yield client
