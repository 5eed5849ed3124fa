"""Bytes of a release for each pin and each user: what `homefeed plan` takes memory and disk from.

    python -m benchmarks.release_sizes TITLE RELEASE

writes `docs/results/release-sizes.json`. `make bench-serving` leaves a release of a million pins in
build/bench-serving/releases/release-plain-1000000.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from homefeed.contracts import read_manifest
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import RESULTS_FOLDER, Record, write_results
from homefeed.index.layout import ANN, INDEX, VECTORS
from homefeed.release.bundle import Release, read_release_manifest
from homefeed.release.users import UserSnapshot

NAME = "release-sizes"
USERS_AT_ONCE = 10_000


def measure_sizes(title: str, folder: Path) -> Iterator[Record]:
    """Records of one release.

    Args:
        title: its configuration.
        folder: of the release.
    """
    release = Release(folder, read_release_manifest(folder))
    details = read_manifest(release.index, INDEX).details
    num_pins, dimension = details["num_pins"], details["dimension"]
    files = {path.name: path.stat().st_size for path in release.index.iterdir()}
    vectors, approximate = files[VECTORS], files.get(ANN, 0)
    with UserSnapshot.open(release.users) as users:
        num_users = sum(map(len, users.batches(USERS_AT_ONCE)))
    assert release.prepared_users is not None, "build the release anew"
    own = [*release.users.iterdir(), release.prepared_users]
    snapshot = sum(path.stat().st_size for path in own)
    figures = (
        ("pins", num_pins, ""),
        ("dimensions", dimension, ""),
        ("vectors", vectors / num_pins, "bytes a pin"),
        ("approximate index", approximate / num_pins, "bytes a pin"),
        (
            "ids and postings",
            (sum(files.values()) - vectors - approximate) / num_pins,
            "bytes a pin",
        ),
        ("users", snapshot / num_users, "bytes a user"),
    )
    for metric, value, unit in figures:
        yield Record(
            experiment=NAME,
            configuration=title,
            metric=metric,
            value=round(value, 3),
            unit=unit,
            command=f"python -m benchmarks.release_sizes {title!r} {folder}",
            commit=commit(),
            machine=machine(),
        )


if __name__ == "__main__":
    title, folder = sys.argv[1:]
    write_results(RESULTS_FOLDER / f"{NAME}.json", measure_sizes(title, Path(folder)))
