"""Serving images copy, file by file, what their programs import: seen without building them."""

from pathlib import Path

import grimp
import pytest

CODE = "/opt/code"
PROGRAMS = {
    "serving/index_sidecar/Containerfile": ("serving.index_sidecar.__main__",),
    "serving/torchserve/Containerfile": (
        "serving.torchserve.__main__",
        "serving.torchserve.handler",
        "serving.torchserve.ready",
        "serving.fetch_release",
    ),
}


def copied_modules(containerfile: Path) -> set[str]:
    """Names of the Python modules that a Containerfile copies to `CODE`."""
    found = set()
    for line in containerfile.read_text().replace("\\\n", " ").splitlines():
        instruction, *words = line.split() or [""]
        if instruction != "COPY" or not words[-1].startswith(CODE):
            continue
        for source in (Path(word) for word in words[:-1] if not word.startswith("--")):
            for file in [source] if source.suffix else source.rglob("*.py"):
                found.add(".".join(file.with_suffix("").parts).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("containerfile", PROGRAMS)
def test_all_that_programs_import_is_copied(containerfile: str) -> None:
    graph = grimp.build_graph("homefeed", "serving")
    programs = PROGRAMS[containerfile]
    needed = set(programs).union(*(graph.find_upstream_modules(each) for each in programs))
    assert len(needed) > 20
    assert sorted(needed - copied_modules(Path(containerfile))) == []
