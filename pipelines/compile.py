"""Compiles the pipelines for a cluster: `python -m pipelines.compile`, or `homefeed compile`.

What runs the steps is read once, when this is imported: see `components.image` for the variables.
"""

from pathlib import Path

from kfp import compiler
from kfp.dsl.graph_component import GraphComponent

from pipelines import pretrain_ids, refresh_corpus, train_and_release
from pipelines.tasks import GPU

COMPILED = Path(__file__).parent / "compiled"


TRAINING = {
    "train_and_release": train_and_release.build_pipeline,
    "pretrain_ids": pretrain_ids.build_pipeline,
}
"""Pipelines that train; of each there is one for CPUs and one for GPUs."""
ON_NODES = ("train_and_release",)
"""Those of which there is one for several nodes too."""
OTHERS = {"refresh_corpus": refresh_corpus.build_pipeline}
PIPELINES = (*TRAINING, *OTHERS)


def build_pipeline(
    name: str, num_gpus: int = 0, gpu_type: str = GPU, num_nodes: int = 1
) -> GraphComponent:
    """A pipeline by its name.

    Args:
        name: one of `PIPELINES`.
        num_gpus: for its training, of each node; 0 trains on the CPU.
        gpu_type: the cluster's name of the resource.
        num_nodes: for its training; with more than 1 the cluster needs Kubeflow Trainer.

    Raises:
        ValueError: there is no such pipeline, or it has no use for GPUs or several nodes.
    """
    if num_nodes > 1 and name in PIPELINES:
        if name not in ON_NODES:
            raise ValueError(
                f"{name} uses one node, so {num_nodes - 1} would stay idle; several are for "
                f"{', '.join(ON_NODES)}"
            )
        return train_and_release.build_pipeline(num_gpus, gpu_type, num_nodes)
    if name in TRAINING:
        return TRAINING[name](num_gpus, gpu_type)
    if name not in OTHERS:
        raise ValueError(f"no pipeline {name!r}: there are {', '.join(PIPELINES)}")
    if num_gpus:
        raise ValueError(
            f"{name} trains nothing, so {num_gpus} GPUs would stay idle; they are for "
            f"{', '.join(TRAINING)}"
        )
    return OTHERS[name]()


def compile_pipelines(
    folder: Path = COMPILED, num_gpus: int = 1, gpu_type: str = GPU, num_nodes: int = 2
) -> list[Path]:
    """Writes every pipeline's YAML into a folder; equal code and images give equal files.

    Args:
        folder: made where it is absent.
        num_gpus: of the trainings in the files that end in `_gpu.yaml`, and of each node in those
            that end in `_nodes.yaml`.
        gpu_type: the cluster's name of the resource.
        num_nodes: of the trainings in the files that end in `_nodes.yaml`.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.yaml": build_pipeline(name) for name in PIPELINES}
    for name, build in TRAINING.items():
        files[f"{name}_gpu.yaml"] = build(num_gpus, gpu_type)
        if name in ON_NODES:
            files[f"{name}_nodes.yaml"] = build_pipeline(name, num_gpus, gpu_type, num_nodes)
    for name, pipeline in files.items():
        compiler.Compiler().compile(pipeline, str(folder / name))
    return [folder / name for name in files]


if __name__ == "__main__":
    compile_pipelines()
