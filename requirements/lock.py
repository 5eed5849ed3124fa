"""Writes requirements/<group>.txt: the closure of each group's .in file, every version pinned.

Run by `make lock`. pip resolves the largest group once; the others are resolved within its
versions, so that a package has one version everywhere.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
LARGEST = "dev"
GROUPS = ("index_sidecar", "torchserve", "pipeline")
NO_DEPS = "# no-deps"


def lines_of(group: str) -> list[str]:
    """The group's requirement lines, those of the files it includes too."""
    lines: list[str] = []
    for line in (FOLDER / f"{group}.in").read_text().splitlines():
        if line.startswith("-r "):
            lines += lines_of(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith("#"):
            lines.append(line)
    return lines


def resolve(lines: list[str], constraints: Path) -> dict[str, str]:
    """Package name to version, as pip would install them on a bare environment."""
    with_deps = [line for line in lines if not line.endswith(NO_DEPS)]
    without = [line.removesuffix(NO_DEPS).strip() for line in lines if line.endswith(NO_DEPS)]
    found: dict[str, str] = {}
    for names, flags in ((with_deps, []), (without, ["--no-deps"])):
        if not names:
            continue
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-"]
        command += ["--ignore-installed", "--constraint", str(constraints), *flags, *names]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for item in report["install"]:
            metadata = item["metadata"]
            found[metadata["name"].lower().replace("_", "-")] = metadata["version"].split("+")[0]
    return found


def write(group: str, versions: dict[str, str]) -> None:
    """Writes the group's lock file."""
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    (FOLDER / f"{group}.txt").write_text(
        f"# Made by `make lock` from {group}.in; install with pip install --no-deps.\n{pins}"
    )


def main() -> None:
    """Resolves and writes every group."""
    everything = resolve(lines_of(LARGEST), FOLDER / "constraints.in")
    write(LARGEST, everything)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.writelines(f"{name}=={version}\n" for name, version in everything.items())
        pins.flush()
        for group in GROUPS:
            write(group, resolve(lines_of(group), Path(pins.name)))


if __name__ == "__main__":
    main()
