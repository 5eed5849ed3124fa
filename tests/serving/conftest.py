"""One small release, and one TorchServe with its sidecar, for all tests of serving."""

from collections.abc import Iterator

import pytest

from serving.local import LocalServing
from tests.serving.small_release import SmallRelease, build_small_release


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    return build_small_release(tmp_path_factory.mktemp("small_release"))


@pytest.fixture(scope="session")
def serving(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServing]:
    with LocalServing(small_release.folder, tmp_path_factory.mktemp("serving")) as running:
        yield running
