"""The images that the steps of a pipeline run in; both hold the library."""

import os

from homefeed import __version__

IMAGE_VARIABLE = "HOMEFEED_PIPELINE_IMAGE"
"""Set it while compiling to take the image from another registry, or by its digest."""
CUDA_IMAGE_VARIABLE = "HOMEFEED_CUDA_IMAGE"
"""The same for the image of steps that get a GPU; by default the first one's, where that is set."""
PUBLISHED = f"ghcr.io/homefeed/homefeed-pipeline:{__version__}"


def fixed_image(name: str, where: str) -> str:
    """The image, if its name stands for one content.

    Args:
        name: of the image.
        where: what named it, for the error.

    Raises:
        ValueError: the image may change under its name.
    """
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if "@sha256:" not in name and (not colon or tag in ("", "latest")):
        raise ValueError(
            f"{where}={name!r} may change under its name, and caching would not see it: "
            "give a version (registry/name:1.2.3) or a digest (registry/name@sha256:...)"
        )
    return name


IMAGE = fixed_image(os.environ.get(IMAGE_VARIABLE, PUBLISHED), IMAGE_VARIABLE)
CUDA_IMAGE = fixed_image(
    os.environ.get(CUDA_IMAGE_VARIABLE, os.environ.get(IMAGE_VARIABLE, f"{PUBLISHED}-cuda")),
    CUDA_IMAGE_VARIABLE,
)
