import os
import subprocess
import sys

import pytest

from components.image import CUDA_IMAGE_VARIABLE, IMAGE_VARIABLE, fixed_image
from homefeed import __version__

DIGEST = "registry.example.org/homefeed@sha256:" + "0" * 64


def read_images(**variables: str) -> list[str]:
    """Both images, in a process of its own: they are read when the package is imported."""
    cleared = {IMAGE_VARIABLE, CUDA_IMAGE_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in cleared}
    code = "from components.image import CUDA_IMAGE, IMAGE; print(IMAGE, CUDA_IMAGE)"
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment | variables, check=True, capture_output=True, text=True
    ).stdout.split()


def test_the_published_images_have_the_version() -> None:
    published = f"ghcr.io/homefeed/homefeed-pipeline:{__version__}"
    assert read_images() == [published, f"{published}-cuda"]


def test_one_image_can_be_for_all_steps_or_each_kind_has_its_own() -> None:
    assert read_images(**{IMAGE_VARIABLE: DIGEST}) == [DIGEST, DIGEST]
    own = {IMAGE_VARIABLE: DIGEST, CUDA_IMAGE_VARIABLE: "localhost:5000/cuda:1.0"}
    assert read_images(**own) == [DIGEST, "localhost:5000/cuda:1.0"]


@pytest.mark.parametrize("name", ["homefeed", "ghcr.io/homefeed:latest", "localhost:5000/homefeed"])
def test_an_image_that_may_change_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="SOME_IMAGE='.*' may change under its name"):
        fixed_image(name, "SOME_IMAGE")
