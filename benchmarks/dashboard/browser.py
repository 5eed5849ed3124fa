"""A page as a picture, by a browser without a window."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
"""Programs that can do it; Debian's packages have the names of the first two."""
TIMEOUT_SECONDS = 120
NUM_COLOURS = 64
"""Of the picture, which takes a third so."""


def find_browser() -> str:
    """The program's path; empty where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def take_picture(page: str, width: int, height: int, picture: Path) -> None:
    """Draws a page.

    Args:
        page: HTML.
        width: of the picture, in pixels.
        height: likewise.
        picture: the PNG.

    Raises:
        ValueError: no browser is there, or it draws nothing; says what it said.
    """
    browser = find_browser()
    if not browser:
        raise ValueError(f"no browser is on the PATH: install one of {', '.join(NAMES)}")
    with TemporaryDirectory() as folder:
        (Path(folder) / "page.html").write_text(page, "utf-8")
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"),
            *(f"--screenshot={folder}/page.png", f"file://{folder}/page.html"),
        ]
        drawn = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if not (Path(folder) / "page.png").is_file():
            raise ValueError(f"{browser} drew nothing: {drawn.stderr[-2000:]}")
        picture.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(f"{folder}/page.png") as drawn_page:
            few = drawn_page.convert("RGB").quantize(NUM_COLOURS, dither=Image.Dither.NONE)
        few.save(picture, optimize=True)
