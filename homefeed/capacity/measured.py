"""The measured figures that plans are made of, each with the record that it is.

`docs/` is no part of an installed package, so they lie beside this file, in `measured.json`. Run it
as `python -m homefeed.capacity.measured` where `docs/` lies to write them again.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from homefeed.evaluation.results import RESULTS_FOLDER, Record, read_results

FILE = Path(__file__).with_name("measured.json")
SMALL_PINS = 3_700
"""Of the configurations of `3.7 k pins`."""


class Place(NamedTuple):
    """Where a figure is among the results."""

    experiment: str
    configuration: str
    metric: str


PLACES = {
    "small throughput": Place("serving-load", "3.7 k pins, plain, homefeed, 16", "throughput"),
    "large throughput": Place("serving-load", "1 M pins, plain, homefeed, 16", "throughput"),
    "filtered throughput": Place("serving-load", "1 M pins, filtered, homefeed, 16", "throughput"),
    "large p99": Place("serving-load", "1 M pins, plain, homefeed, 16", "p99"),
    "exact search": Place("serving-search", "3.7 k pins, plain, 1 vector", "FAISS"),
    "engine": Place("serving-search", "1 M pins, plain, 1 vector", "engine"),
    "sidecar": Place("serving-search", "1 M pins, plain, 1 vector", "sidecar"),
    "large pins": Place("release-sizes", "1 M pins", "pins"),
    "dimensions": Place("release-sizes", "1 M pins", "dimensions"),
    "vector bytes": Place("release-sizes", "1 M pins", "vectors"),
    "approximate bytes": Place("release-sizes", "1 M pins", "approximate index"),
    "id bytes": Place("release-sizes", "1 M pins", "ids and postings"),
    "user bytes": Place("release-sizes", "1 M pins", "users"),
}


def collect(folder: Path) -> dict[str, Record]:
    """The figures by name, from the files of results.

    Raises:
        ValueError: one of them was not measured; names it.
    """
    found = {}
    for name, place in PLACES.items():
        path = folder / f"{place.experiment}.json"
        for record in read_results(path):
            if (record.configuration, record.metric) == (place.configuration, place.metric):
                found[name] = record
                break
        else:
            raise ValueError(
                f"{path} has no {place.metric!r} of {place.configuration!r}, which plans need: "
                f"measure it, or correct PLACES in {__name__}"
            )
    return found


@cache
def read_measured() -> dict[str, Record]:
    """The figures of this package."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Record])


def main() -> None:
    """Writes the file again."""
    text = msgspec.json.format(msgspec.json.encode(collect(RESULTS_FOLDER)), indent=2)
    FILE.write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
