"""The commands that bring pipelines to a cluster; each imports what it needs when called."""

from pathlib import Path
from typing import Annotated

import typer

GPU = "nvidia.com/gpu"

app = typer.Typer()

Pipeline = Annotated[str, typer.Argument(help="train_and_release, pretrain_ids or refresh_corpus.")]
Host = Annotated[str, typer.Option(help="URL of Kubeflow Pipelines.")]
Recipe = Annotated[
    str | None, typer.Option(help="A shipped recipe's name, or the path of your own.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="Another parameter of the pipeline, as name=value; repeatable."),
]
Gpus = Annotated[int, typer.Option(min=0, help="GPUs of a training; 0 trains on the CPU.")]
GpuType = Annotated[str, typer.Option(help="The resource that the cluster calls a GPU.")]
Image = Annotated[
    str | None, typer.Option(help="Of the steps, by version or digest; else the published one.")
]
GpuImage = Annotated[
    str | None, typer.Option(help="Of steps with GPUs; by default --image, where that is given.")
]
NodeCheck = Annotated[
    bool, typer.Option(help="Look for a node with so many GPUs first, by the kubeconfig.")
]
Namespace = Annotated[str | None, typer.Option(help="Your namespace, where KFP has several users.")]
Experiment = Annotated[str, typer.Option(help="What KFP lists the runs under.")]


@app.command("compile")
def compile_command(
    output: Annotated[Path, typer.Option(help="Folder of the YAML files.")] = Path(
        "build/pipelines"
    ),
    image: Image = None,
    gpu_image: GpuImage = None,
    gpus: Annotated[
        int, typer.Option(min=1, help="GPUs of a training in the files that end in _gpu.yaml.")
    ] = 1,
    gpu_type: GpuType = GPU,
) -> None:
    """Compile the pipelines into YAML that Kubeflow Pipelines takes."""
    from homefeed.cli.cluster import Images, compile_all

    compile_all(output, Images(image, gpu_image), gpus, gpu_type)


@app.command()
def submit(
    pipeline: Pipeline,
    host: Host,
    recipe: Recipe = None,
    param: Parameters = None,
    gpus: Gpus = 0,
    gpu_type: GpuType = GPU,
    node_check: NodeCheck = True,
    image: Image = None,
    gpu_image: GpuImage = None,
    namespace: Namespace = None,
    experiment: Experiment = "homefeed",
    run_name: Annotated[
        str | None, typer.Option(help="By default the pipeline's name and the time.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the run has ended.")] = False,
) -> None:
    """Run a pipeline on a cluster, once."""
    from homefeed.cli import cluster

    order = cluster.Order(
        pipeline=pipeline,
        host=host,
        recipe=recipe,
        parameters=tuple(param or ()),
        images=cluster.Images(image, gpu_image),
        num_gpus=gpus,
        gpu_type=gpu_type,
        look_at_nodes=node_check,
        namespace=namespace,
        experiment=experiment,
        name=run_name,
    )
    cluster.submit(order, wait)


@app.command()
def schedule(
    pipeline: Pipeline,
    host: Host,
    cron: Annotated[
        str,
        typer.Option(
            help="When: second, minute, hour, day of the month, month, day of the week, by the "
            "cluster's clock; '0 0 3 * * *' is every day at 3:00."
        ),
    ],
    recipe: Recipe = None,
    param: Parameters = None,
    gpus: Gpus = 0,
    gpu_type: GpuType = GPU,
    node_check: NodeCheck = True,
    image: Image = None,
    gpu_image: GpuImage = None,
    namespace: Namespace = None,
    experiment: Experiment = "homefeed",
    run_name: Annotated[
        str | None,
        typer.Option(help="Name of the schedule, by default the pipeline's; replaces its like."),
    ] = None,
) -> None:
    """Run a pipeline on a cluster again and again; the same name again replaces the schedule."""
    from homefeed.cli import cluster

    order = cluster.Order(
        pipeline=pipeline,
        host=host,
        recipe=recipe,
        parameters=tuple(param or ()),
        images=cluster.Images(image, gpu_image),
        num_gpus=gpus,
        gpu_type=gpu_type,
        look_at_nodes=node_check,
        namespace=namespace,
        experiment=experiment,
        name=run_name,
    )
    cluster.schedule(order, cron)
