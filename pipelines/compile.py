"""Compiles the pipelines for a cluster: `python -m pipelines.compile [FOLDER]`.

Set `HOMEFEED_PIPELINE_IMAGE` to take the steps' image from elsewhere (see `components.image`).
"""

import sys
from pathlib import Path

from kfp import compiler

from pipelines.train_and_release import train_and_release, train_and_release_gpu

COMPILED = Path(__file__).parent / "compiled"
PIPELINES = {
    "train_and_release.yaml": train_and_release,
    "train_and_release_gpu.yaml": train_and_release_gpu,
}


def compile_pipelines(folder: Path = COMPILED) -> None:
    """Writes every pipeline's YAML into a folder; equal code gives equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pipeline in PIPELINES.items():
        compiler.Compiler().compile(pipeline, str(folder / name))


if __name__ == "__main__":
    compile_pipelines(*map(Path, sys.argv[1:]))
