"""The image that the others start from: Debian with Python 3.11.

By default Docker's official `python:3.11-slim`. Where no registry can be reached, one of the same
kind is made of Debian's packages.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from images.engine import install_debian, run_podman

OFFICIAL = "docker.io/library/python:3.11-slim"
BOOTSTRAPPED = "localhost/homefeed/python:3.11-bookworm"
DEBIAN = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
# What apt fetched to install them.
LEFTOVERS = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man")


def base_image() -> str:
    """The base that is here, or can be had: pulled, else made.

    Raises:
        RuntimeError: neither; says why.
    """
    for name in (OFFICIAL, BOOTSTRAPPED):
        if run_podman("image", "exists", name, check=False).returncode == 0:
            return name
    print(f"pulling {OFFICIAL}", flush=True)
    if run_podman("pull", "--quiet", OFFICIAL, check=False).returncode == 0:
        return OFFICIAL
    print(
        f"it cannot be pulled; making {BOOTSTRAPPED} of Debian's packages: three minutes",
        flush=True,
    )
    bootstrap()
    return BOOTSTRAPPED


def bootstrap() -> None:
    """Makes the base of Debian's packages; needs root and apt.

    Raises:
        RuntimeError: it cannot be made here; says why.
    """
    if shutil.which("debootstrap") is None:
        install_debian("debootstrap")
    with tempfile.TemporaryDirectory(prefix="homefeed-base-") as scratch:
        root = Path(scratch) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        done = subprocess.run([*command, DEBIAN, str(root)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr}")
        archive = Path(scratch) / "root.tar"
        left_out = [f"--exclude=./{path}/*" for path in LEFTOVERS]
        subprocess.run(["tar", "-C", str(root), *left_out, "-cf", str(archive), "."], check=True)
        run_podman("import", "--quiet", str(archive), BOOTSTRAPPED)
