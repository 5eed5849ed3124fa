"""The image that every step of a pipeline runs in; it holds the library."""

import os

from homefeed import __version__

IMAGE_VARIABLE = "HOMEFEED_PIPELINE_IMAGE"
"""Set it while compiling to take the image from another registry, or by its digest."""


def pipeline_image() -> str:
    """The image, by version or digest.

    Raises:
        ValueError: the variable names an image whose content may change under the same name.
    """
    image = os.environ.get(IMAGE_VARIABLE, f"ghcr.io/homefeed/homefeed-pipeline:{__version__}")
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if "@sha256:" not in image and (not colon or tag in ("", "latest")):
        raise ValueError(
            f"{IMAGE_VARIABLE}={image!r} may change under its name, and caching would not see it: "
            "give a version (registry/name:1.2.3) or a digest (registry/name@sha256:...)"
        )
    return image


IMAGE = pipeline_image()
