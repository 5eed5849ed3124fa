"""Writes requirements/<group>.txt: the closure of each group's .in file, every version pinned.

Run by `make lock`. pip resolves the largest group once; the others are resolved within its
versions, so that a package has one version everywhere.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
LARGEST = "dev"
GROUPS = ("index_sidecar", "torchserve", "pipeline")
NO_DEPS = "# no-deps"
CUDA_BUILDS = {"torch": "torch", "fbgemm-gpu-cpu": "fbgemm-gpu"}
"""What the pipeline's image for GPUs holds in another build of the same version, from PyPI."""


def lines_of(group: str) -> list[str]:
    """The group's requirement lines, those of the files it includes too."""
    lines: list[str] = []
    for line in (FOLDER / f"{group}.in").read_text().splitlines():
        if line.startswith("-r "):
            lines += lines_of(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith("#"):
            lines.append(line)
    return lines


def resolve(lines: list[str], constraints: Path, only_pypi: bool = False) -> dict[str, str]:
    """Package name to version, as pip would install them on a bare environment."""
    environment = os.environ | (
        {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""} if only_pypi else {}
    )
    with_deps = [line for line in lines if not line.endswith(NO_DEPS)]
    without = [line.removesuffix(NO_DEPS).strip() for line in lines if line.endswith(NO_DEPS)]
    found: dict[str, str] = {}
    for names, flags in ((with_deps, []), (without, ["--no-deps"])):
        if not names:
            continue
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-"]
        command += ["--ignore-installed", "--constraint", str(constraints), *flags, *names]
        report = json.loads(
            subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
        )
        for item in report["install"]:
            metadata = item["metadata"]
            found[metadata["name"].lower().replace("_", "-")] = metadata["version"].split("+")[0]
    return found


def write(group: str, versions: dict[str, str], made_from: str = "") -> None:
    """Writes the group's lock file."""
    # Of a CUDA build nothing but itself will do: `==` takes 1.0+cpu for 1.0, `===` does not.
    exact = set(CUDA_BUILDS.values()) if made_from else set()
    pins = "".join(
        f"{name}{'===' if name in exact else '=='}{version}\n"
        for name, version in sorted(versions.items())
    )
    source = f"{made_from or group}.in"
    (FOLDER / f"{group}.txt").write_text(
        f"# Made by `make lock` from {source}; install with pip install --no-deps.\n{pins}"
    )


def main() -> None:
    """Resolves and writes every group."""
    everything = resolve(lines_of(LARGEST), FOLDER / "constraints.in")
    write(LARGEST, everything)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.writelines(f"{name}=={version}\n" for name, version in everything.items())
        pins.flush()
        groups = {group: resolve(lines_of(group), Path(pins.name)) for group in GROUPS}
        cuda_lines = [f"{cuda}=={everything[cpu]}" for cpu, cuda in CUDA_BUILDS.items()]
        cuda = resolve(cuda_lines, Path(pins.name), only_pypi=True)
    for group, versions in groups.items():
        write(group, versions)
    shared = {k: v for k, v in groups["pipeline"].items() if k not in CUDA_BUILDS}
    write("pipeline_cuda", shared | cuda, made_from="pipeline")


if __name__ == "__main__":
    main()
