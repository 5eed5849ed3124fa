"""Builds the container images: `python -m images.build [NAME ...]`.

    --registry ghcr.io/homefeed   what the names begin with
    --tag 0.1.0                   their tag; by default the project's version
    --base IMAGE                  Debian with Python 3.11; by default Docker's python:3.11-slim
    --accelerator cpu             of the pipeline's image: cpu or cuda
    --results FILE                writes size and seconds of each, with its budget

Without names all are built. Layers that did not change are taken from the last build. pip gets its
packages from where this machine's pip gets them.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from homefeed import __version__
from homefeed.evaluation.provenance import commit
from images.base import base_image
from images.engine import run_podman, stream_podman
from images.sources import PipSources, pip_sources

ROOT = Path(__file__).parents[1]
REGISTRY = "ghcr.io/homefeed"


@dataclass(frozen=True)
class Image:
    """An image: its name, its Containerfile from the root on, and the most it may take."""

    name: str
    containerfile: str
    budget_bytes: int
    """Of all its layers, unpacked, with the base."""


IMAGES = (
    Image("homefeed-pipeline", "components/image/Containerfile", 1_900_000_000),
    Image("homefeed-torchserve", "serving/torchserve/Containerfile", 1_150_000_000),
    Image("homefeed-index-sidecar", "serving/index_sidecar/Containerfile", 400_000_000),
)
CUDA_BUDGET_BYTES = 8_000_000_000


@dataclass(frozen=True)
class Built:
    """An image that was built, and the seconds that took."""

    image: Image
    reference: str
    seconds: float


def build(
    image: Image, reference: str, base: str, sources: PipSources, accelerator: str = "cpu"
) -> Built:
    """Builds one image.

    Args:
        image: which.
        reference: its name with registry and tag.
        base: Debian with Python 3.11.
        sources: where pip gets its packages.
        accelerator: cpu or cuda; only the pipeline's image knows it.

    Raises:
        RuntimeError: podman failed; what it said was printed.
    """
    arguments = {"BASE": base, "VERSION": reference.rpartition(":")[2], "REVISION": commit()}
    if image.name == "homefeed-pipeline":
        arguments |= {"ACCELERATOR": accelerator}
    if image.name != "homefeed-index-sidecar" and sources.has_torch:
        arguments |= {"TORCH_INDEX_URL": ""}
    print(f"building {reference}", flush=True)
    start = time.monotonic()
    stream_podman(
        *("build", "--quiet", "--file", str(ROOT / image.containerfile), "--tag", reference),
        *(option for item in arguments.items() for option in ("--build-arg", "=".join(item))),
        *sources.podman_options,
        str(ROOT),
    )
    return Built(image, reference, time.monotonic() - start)


def size_bytes(reference: str) -> int:
    """All layers of an image, unpacked."""
    return int(run_podman("image", "inspect", "--format", "{{.Size}}", reference).stdout)


def main() -> int:
    """Parses the command line and builds; returns the exit code."""
    names = [image.name for image in IMAGES]
    parser = argparse.ArgumentParser(
        "python -m images.build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--registry", default=REGISTRY)
    parser.add_argument("--tag", default=__version__)
    parser.add_argument("--base")
    parser.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(names)):
        parser.error(f"no image {', '.join(unknown)}: there are {', '.join(names)}")
    try:
        base, sources = given.base or base_image(), pip_sources()
        built = [
            build(
                image,
                f"{given.registry}/{image.name}:{given.tag}",
                base,
                sources,
                given.accelerator,
            )
            for image in IMAGES
            if image.name in (given.names or names)
        ]
    except RuntimeError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
