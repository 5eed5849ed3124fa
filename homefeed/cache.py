"""Where this machine keeps what was fetched once: data sets, programs, settings made for it."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`HOMEFEED_CACHE`, by default `~/.cache/homefeed`; made where it is absent."""
    folder = Path(os.environ.get("HOMEFEED_CACHE", "~/.cache/homefeed")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
