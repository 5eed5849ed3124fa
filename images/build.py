"""Builds the container images: `python -m images.build [NAME ...]`.

    --registry ghcr.io/homefeed   what the names begin with
    --tag 0.1.0                   their tag; by default the project's version
    --base IMAGE                  Debian with Python 3.11; by default Docker's python:3.11-slim
    --accelerator cpu             of the pipeline's image: cpu or cuda
    --results FILE                builds without cached layers and writes what that took

Without names all are built; with `--accelerator cuda` the pipeline's alone, and its tag ends with
-cuda. Layers that did not change are taken from the last build. pip gets its packages from where
this machine's pip gets them. One that is larger than its budget is an error.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from homefeed import __version__
from homefeed.evaluation.provenance import commit
from homefeed.evaluation.results import write_results
from images.base import base_image
from images.engine import limits, stream_podman
from images.measure import image_records, size_bytes
from images.sources import PipSources, pip_sources

ROOT = Path(__file__).parents[1]
REGISTRY = "ghcr.io/homefeed"


@dataclass(frozen=True)
class Image:
    """An image, and what its Containerfile can be told beside the base."""

    name: str
    containerfile: str
    """Path from the root of the repository."""
    budget_bytes: int
    """Most that all its layers may take, unpacked and with the base."""
    has_torch: bool = False
    is_accelerated: bool = False
    """Whether there is a CUDA variant."""


IMAGES = (
    Image(
        "homefeed-pipeline",
        "components/image/Containerfile",
        budget_bytes=1_900_000_000,
        has_torch=True,
        is_accelerated=True,
    ),
    Image(
        "homefeed-torchserve",
        "serving/torchserve/Containerfile",
        budget_bytes=1_200_000_000,
        has_torch=True,
    ),
    Image("homefeed-index-sidecar", "serving/index_sidecar/Containerfile", 350_000_000),
)
LABELS = "org.opencontainers.image"
CUDA_BUDGET_BYTES = 9_000_000_000
"""Of it fbgemm_gpu, the CUDA libraries and torch, each in the gigabytes, take nine tenths."""
CUDA_SUFFIX = "-cuda"
"""Of the tag, as `components.image` has it."""


@dataclass(frozen=True)
class Build:
    """An image to build."""

    image: Image
    registry: str
    tag: str
    accelerator: str = "cpu"

    @property
    def reference(self) -> str:
        """Its whole name."""
        suffix = CUDA_SUFFIX if self.accelerator == "cuda" else ""
        return f"{self.registry}/{self.image.name}:{self.tag}{suffix}"

    @property
    def budget_bytes(self) -> int:
        """The most that it may take."""
        return CUDA_BUDGET_BYTES if self.accelerator == "cuda" else self.image.budget_bytes

    def run(self, base: str, sources: PipSources, fresh: bool = False) -> float:
        """Builds it; returns the seconds that took.

        Args:
            base: Debian with Python 3.11.
            sources: where pip gets its packages.
            fresh: whether no layer of an earlier build is taken.

        Raises:
            RuntimeError: podman failed; what it said was printed.
        """
        arguments = {"BASE": base}
        # As build arguments they would not be seen: podman 4.3 takes a cached layer with others.
        labels = {"version": self.tag, "revision": commit()}
        if self.image.is_accelerated:
            arguments |= {"ACCELERATOR": self.accelerator}
        if self.image.has_torch and sources.has_torch:
            arguments |= {"TORCH_INDEX_URL": ""}
        print(f"building {self.reference}", flush=True)
        start = time.monotonic()
        stream_podman(
            *("build", "--file", str(ROOT / self.image.containerfile)),
            *limits(),
            *(option for item in arguments.items() for option in ("--build-arg", "=".join(item))),
            *(f"--label={LABELS}.{name}={value}" for name, value in labels.items()),
            *sources.podman_options,
            *(["--no-cache"] if fresh else []),
            *("--tag", self.reference, str(ROOT)),
        )
        return time.monotonic() - start


def _check_budget(build: Build) -> None:
    size = size_bytes(build.reference)
    print(f"{build.reference}: {size / 1e6:,.0f} MB", flush=True)
    if size > build.budget_bytes:
        raise RuntimeError(
            f"{build.reference} has {size:,} bytes, its budget is {build.budget_bytes:,}: find "
            "what made it grow, or raise the budget and say why"
        )


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
    wanted = [image for image in IMAGES if image.name in (given.names or names)]
    if given.accelerator == "cuda":
        wanted = [image for image in wanted if image.is_accelerated]
    builds = [Build(image, given.registry, given.tag, given.accelerator) for image in wanted]
    try:
        base = given.base or base_image()
        with pip_sources() as sources:
            for build in builds:
                seconds = build.run(base, sources, fresh=given.results is not None)
                _check_budget(build)
                if given.results is not None:
                    again = build.run(base, sources)
                    figures = image_records(
                        build.reference, seconds, again, build.budget_bytes, base
                    )
                    write_results(given.results, figures)
    except RuntimeError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
