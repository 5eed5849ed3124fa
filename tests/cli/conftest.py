"""A small release that is served from a work folder, as a run would have left it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.cli.last_run import LastRun, record_run
from homefeed.release.bundle import read_release_manifest
from serving.local import LocalServing, ServingState
from tests.serving.small_release import NUM_PINS, SmallRelease, build_small_release


class Served(NamedTuple):
    """A work folder, the release that is served from it, and where."""

    work: Path
    release: SmallRelease
    state: ServingState


@pytest.fixture(scope="session")
def cli_release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    return build_small_release(tmp_path_factory.mktemp("cli_release"))


@pytest.fixture(scope="session")
def served(cli_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    work = tmp_path_factory.mktemp("served")
    leave_run(work, cli_release)
    with LocalServing(cli_release.folder, work) as serving:
        yield Served(work, cli_release, serving.state)


def leave_run(work: Path, release: SmallRelease) -> None:
    """What a run leaves in its work folder: `run.json` and a data set that knows the titles."""
    dataset = work / "dataset"
    dataset.mkdir()
    pins = {
        "pin_id": [f"p{row}" for row in range(NUM_PINS)],
        "title": [f"Pin number {row}" for row in range(NUM_PINS)],
        "interests": release.interests,
    }
    pq.write_table(pa.table(pins), dataset / "pins.parquet")
    pq.write_table(pa.table({"user_id": ["reader", "lurker"]}), dataset / "users.parquet")
    record_run(
        work,
        LastRun(
            release=str(release.folder),
            version=read_release_manifest(release.folder).version,
            dataset=str(dataset),
        ),
    )
