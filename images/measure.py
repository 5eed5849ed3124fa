"""What an image takes: to build, on a node's disk, and over the network to get there."""

import tempfile
from pathlib import Path

from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record
from images.engine import run_podman

EXPERIMENT = "images"


def size_bytes(reference: str) -> int:
    """All layers of an image, unpacked."""
    return int(run_podman("image", "inspect", "--format", "{{.Size}}", reference).stdout)


def pull_bytes(reference: str) -> int:
    """All layers of an image, compressed, as a registry sends them."""
    with tempfile.TemporaryDirectory() as folder:
        run_podman("push", "--quiet", "--compress", reference, f"dir:{folder}")
        return sum(path.stat().st_size for path in Path(folder).iterdir())


def image_records(
    reference: str, seconds: float, seconds_cached: float, budget_bytes: int, base: str
) -> list[Record]:
    """Results of an image.

    Args:
        reference: its name.
        seconds: a build without cached layers took.
        seconds_cached: the same build again.
        budget_bytes: most that it may take.
        base: the image it starts from.
    """
    figures = (
        ("size", size_bytes(reference), "bytes"),
        ("budget", budget_bytes, "bytes"),
        ("of that the base", size_bytes(base), "bytes"),
        ("pull", pull_bytes(reference), "bytes"),
        ("build", seconds, "seconds"),
        ("build with cached layers", seconds_cached, "seconds"),
    )
    return [
        Record(
            experiment=EXPERIMENT,
            configuration=reference.rpartition("/")[2].replace(":", " "),
            metric=metric,
            value=round(value, 1),
            unit=unit,
            command="make images RESULTS=docs/results/images.json",
            commit=commit(),
            machine=machine(),
        )
        for metric, value, unit in figures
    ]
