"""The commands that bring pipelines to a cluster, and their options."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from homefeed.cli import cluster

GPU = "nvidia.com/gpu"

app = typer.Typer()

GpuType = Annotated[str, typer.Option(help="The resource that the cluster calls a GPU.")]
Image = Annotated[
    str | None, typer.Option(help="Of the steps, by version or digest; else the published one.")
]
GpuImage = Annotated[
    str | None, typer.Option(help="Of steps with GPUs; by default --image, where that is given.")
]


def _order(
    pipeline: Annotated[
        str, typer.Argument(help="train_and_release, pretrain_ids or refresh_corpus.")
    ],
    host: Annotated[str, typer.Option(help="URL of Kubeflow Pipelines.")],
    recipe: Annotated[
        str | None, typer.Option(help="A shipped recipe's name, or the path of your own.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Another parameter of the pipeline, as name=value; repeatable."),
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of a training; 0 trains on the CPU.")] = 0,
    gpu_type: GpuType = GPU,
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Nodes of a training, each with so many GPUs; several need Kubeflow Trainer.",
        ),
    ] = 1,
    no_node_check: Annotated[
        bool,
        typer.Option(
            "--no-node-check",
            help="Do not first look for a node with so many GPUs in the kubeconfig's current "
            "context.",
        ),
    ] = False,
    image: Image = None,
    gpu_image: GpuImage = None,
    namespace: Annotated[
        str | None, typer.Option(help="Your namespace, where KFP has several users.")
    ] = None,
    service_account: Annotated[
        str | None,
        typer.Option(
            help="Of the steps' pods; the manifests make pipeline-runner. By default KFP's own: "
            "where it has several users, that is default-editor."
        ),
    ] = None,
    experiment: Annotated[str, typer.Option(help="What KFP lists the runs under.")] = "homefeed",
    run_name: Annotated[
        str | None,
        typer.Option(help="By default the pipeline's name, with the time where it runs once."),
    ] = None,
) -> cluster.Order:
    return cluster.Order(
        pipeline=pipeline,
        host=host,
        recipe=recipe,
        parameters=tuple(param or ()),
        images=cluster.Images(image, gpu_image),
        num_gpus=gpus,
        gpu_type=gpu_type,
        num_nodes=nodes,
        look_at_nodes=not no_node_check,
        namespace=namespace,
        service_account=service_account,
        experiment=experiment,
        name=run_name,
    )


def _with_order(command: Callable[..., None]) -> Callable[..., None]:
    """Puts the options of `_order` in the place of a command's first parameter."""
    shared = signature(_order).parameters
    _, *own = signature(command).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:
        order = _order(**{name: given.pop(name) for name in shared})
        command(order, **given)

    # What Typer reads the options from.
    described: Any = run
    described.__annotations__ = _order.__annotations__ | command.__annotations__
    described.__signature__ = Signature(
        [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*shared.values(), *own)]
    )
    return run


@app.command("compile")
def compile_command(
    output: Annotated[Path, typer.Option(help="Folder of the YAML files.")] = Path(
        "build/pipelines"
    ),
    image: Image = None,
    gpu_image: GpuImage = None,
    gpus: Annotated[
        int,
        typer.Option(
            min=1, help="GPUs of a training that uses so many, in the files that end in _gpu.yaml."
        ),
    ] = 1,
    gpu_type: GpuType = GPU,
    nodes: Annotated[
        int, typer.Option(min=2, help="Of the training in the files that end in _nodes.yaml.")
    ] = 2,
) -> None:
    """Compile the pipelines into YAML that Kubeflow Pipelines takes."""
    cluster.compile_all(output, cluster.Images(image, gpu_image), gpus, gpu_type, nodes)


@app.command()
@_with_order
def submit(
    order: cluster.Order,
    wait: Annotated[bool, typer.Option("--wait", help="Until the run has ended.")] = False,
) -> None:
    """Run a pipeline on a cluster, once."""
    cluster.submit(order, wait)


@app.command()
@_with_order
def schedule(
    order: cluster.Order,
    cron: Annotated[
        str,
        typer.Option(
            help="When: second, minute, hour, day of the month, month, day of the week, by the "
            "cluster's clock; '0 0 3 * * *' is every day at 3:00."
        ),
    ],
) -> None:
    """Run a pipeline on a cluster again and again; the same name again replaces the schedule."""
    cluster.schedule(order, cron)
