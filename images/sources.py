"""Where pip gets its packages while an image is built: from where this machine's pip gets them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

INDEXES = ("extra-index-url", "index-url")
OTHERS = ("cert", "default-timeout", "proxy", "retries", "trusted-host")
"""What else decides whether pip reaches them."""


@dataclass(frozen=True)
class PipSources:
    """What `podman build` needs to be told of it."""

    podman_options: tuple[str, ...]
    has_torch: bool
    """Whether one of this machine's own folders holds torch's CPU build."""


@contextmanager
def pip_sources() -> Iterator[PipSources]:
    """This machine's pip configuration, and the folders of packages that it names.

    They are mounted while an image is built, so that no layer holds any of it.
    """
    settings = _pip_settings()
    wheels = _local_folders(settings.get("find-links", ""))
    # The pages of an index link to files that lie beside it.
    beside = [
        folder.parent for name in INDEXES for folder in _local_folders(settings.get(name, ""))
    ]
    mounted = {path: path for path in (*wheels, *beside) if path != Path("/")}
    if certificates := settings.get("cert"):
        mounted[Path(certificates)] = Path(certificates)
    with TemporaryDirectory(prefix="homefeed-pip-") as folder:
        file = Path(folder) / "pip.conf"
        file.touch(mode=0o600)  # an index' address may hold a password
        lines = [f"{name} = {value}" for name, value in sorted(settings.items())]
        file.write_text("\n".join(["[global]", *lines, ""]))
        mounted[file] = Path("/etc/pip.conf")
        # Where SELinux keeps containers from the machine's files, it would keep them from these.
        options = ["--security-opt=label=disable"]
        options += [f"--volume={here}:{inside}:ro" for here, inside in sorted(mounted.items())]
        has_torch = any(list(folder.glob("torch-*+cpu-*.whl")) for folder in wheels)
        yield PipSources(tuple(options), has_torch)


def _pip_settings() -> dict[str, str]:
    """Name to value, of pip's files and of its environment, which goes first."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        found.setdefault(section, {})[key] = value.strip("'\"").replace("\\n", " ").strip()
    settings = found.get("global", {}) | found.get(":env:", {})
    return {
        name: settings[name] for name in ("find-links", *INDEXES, *OTHERS) if settings.get(name)
    }


def _local_folders(places: str) -> list[Path]:
    """Those of some places that are folders of this machine."""
    parts = [urlsplit(place) for place in places.split()]
    paths = [Path(unquote(part.path)) for part in parts if part.scheme in ("", "file")]
    return [path for path in paths if path.is_dir()]
