"""Pins: each a copy of an image, which has interests, content and a quality."""

from dataclasses import dataclass

import numpy as np

from homefeed.events.simulator.config import SECONDS_A_DAY, Simulator
from homefeed.events.simulator.interests import Interests, draw_rows

MAX_COPIES = 100
SHARES = (0.7, 0.3)
"""How much of an image is of the first and of the second of its interests."""
_WITH_SECOND = 0.5
"""Share of images that have a second interest."""
_POPULARITY_DEVIATION = 1.0
"""Of the logarithm of how often a pin is shown among those of its interest and age."""


@dataclass(frozen=True)
class Pins:
    """P pins, in order of `created_at`.

    Attributes:
        created_at: Unix seconds, int64 [P].
        original: the first pin of the same image, int64 [P]: itself for most.
        interests: g and g', int32 [2, P]; both are the same where there is but one.
        content: epsilon, how the image differs from others of its interests, float32 [P, D].
        quality: q, float32 [P].
        popularity: pi, float32 [P].
    """

    created_at: np.ndarray
    original: np.ndarray
    interests: np.ndarray
    content: np.ndarray
    quality: np.ndarray
    popularity: np.ndarray


def draw_pins(config: Simulator, interests: Interests, generator: np.random.Generator) -> Pins:
    """Draws images and their copies; every interest has a pin before the log begins."""
    image, is_first = _draw_copies(config, generator)
    num_images = image[-1] + 1
    own = np.empty((2, num_images), np.int32)
    own[0] = draw_rows(interests.prevalence, (num_images,), generator)
    own[0, : config.interests] = np.arange(config.interests)
    second = draw_rows(interests.prevalence, (num_images,), generator)
    own[1] = np.where(generator.random(num_images) < _WITH_SECOND, second, own[0])
    content = generator.standard_normal((num_images, config.dimension), np.float32)
    quality = np.float32(config.quality) * generator.standard_normal(num_images, np.float32)
    created_at = _draw_births(config, image, is_first, generator)
    order = np.argsort(created_at, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    image_in_order = image[order]
    spread = np.float32(_POPULARITY_DEVIATION)
    return Pins(
        created_at=created_at[order],
        original=place[is_first][image_in_order],
        interests=own[:, image_in_order],
        content=content[image_in_order],
        quality=quality[image_in_order],
        popularity=np.exp(spread * generator.standard_normal(len(order), np.float32)),
    )


def _draw_copies(
    config: Simulator, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image of each pin, int64 [P] ascending, and whether it is the image's first: bool [P]."""
    # No more copies than leave an image for every interest.
    most = min(MAX_COPIES, config.pins // config.interests)
    weight = np.arange(1, most + 1) ** -float(config.copies_exponent)
    num_pins = 1 + draw_rows(weight, (config.pins,), generator)
    image = np.repeat(np.arange(config.pins), num_pins)[: config.pins]
    return image, np.diff(image, prepend=-1) > 0


def _draw_births(
    config: Simulator, image: np.ndarray, is_first: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """When each pin is made, int64 [P]: a copy at any time between its image and the end."""
    num_images, length = image[-1] + 1, config.days * SECONDS_A_DAY
    is_before = generator.random(num_images) < config.born_before
    is_before[: config.interests] = True
    first = length * (generator.random(num_images) - is_before)
    later = first[image] + generator.random(len(image)) * (length - first[image])
    return config.start_seconds + np.where(is_first, first[image], later).astype(np.int64)
