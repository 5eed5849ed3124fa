"""What the pipelines ask of a cluster for their steps; on one machine KFP leaves it all aside."""

from kfp import dsl, kubernetes

from components.image import CUDA_IMAGE
from components.report_run.component import report_run

GPU = "nvidia.com/gpu"
"""The resource that stands for a GPU, unless a cluster calls it otherwise."""
SHARED_MEMORY = "2Gi"
"""Of a training step's /dev/shm, where processes hand tensors over; a container has 64 MB."""
STORE_SECRET = "homefeed-release-store"
"""Secret of the runs' namespace with the release store's credentials; where it is absent, or one of
its keys, the variable is not set: a store in a folder needs none."""
STORE_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
)
"""The secret's keys, which become variables of the same name."""
MINUTE = 60
HOUR = 3600
RETRY_SECONDS = 7 * 24 * HOUR
"""Longer than all tries of any step take, with their waits for a node. It bounds no pause: Argo
counts it from the start of the first try, begins no other after it, and ends one that runs."""


def report_at_end(pipeline: str, webhook: str, last_step: str) -> dsl.ExitHandler:
    """The context of all steps of a pipeline, after which the run is reported, however it ended.

    Args:
        pipeline: its name.
        webhook: the pipeline's parameter: a URL that the report is posted to, or empty.
        last_step: the step that waits for all others and is never taken from the cache, so that
            the run succeeded where it did.
    """
    report = report_run(
        pipeline=pipeline,
        last_step=last_step,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        webhook=webhook,
    )
    prepare(report, "Report the run", 10 * MINUTE)
    # Every run has an end of its own.
    report.set_caching_options(enable_caching=False)
    return dsl.ExitHandler(report, name="All steps")


def prepare(task: dsl.PipelineTask, name: str, timeout_seconds: int) -> None:
    """Gives a step its name in KFP's interface, an end in time, and no rights of root.

    Args:
        task: the step.
        name: as people read it.
        timeout_seconds: what its pod may take; a retry is a new pod and has as much again.
    """
    task.set_display_name(name)
    kubernetes.set_timeout(task, timeout_seconds)
    # The image's user is numeric, so the kubelet can tell that it is not root.
    kubernetes.set_security_context(task, run_as_non_root=True)


def retry(task: dsl.PipelineTask) -> None:
    """For steps that read over a network, or run long on nodes that may be taken away."""
    task.set_retry(
        num_retries=2,
        backoff_duration="30s",
        backoff_factor=2,
        backoff_max_duration=f"{RETRY_SECONDS}s",
    )


def request(task: dsl.PipelineTask, cpu: str, memory: str) -> None:
    """Asks for this much, without limits: a step starts on small nodes and takes what is free."""
    task.set_cpu_request(cpu)
    task.set_memory_request(memory)


def equip_training(task: dsl.PipelineTask, num_gpus: int, gpu_type: str = GPU) -> None:
    """Gives a training step memory-backed /dev/shm; with GPUs, the image with CUDA too.

    Args:
        task: the step.
        num_gpus: 0 trains on the CPU.
        gpu_type: the cluster's name of the resource.
    """
    kubernetes.empty_dir_mount(
        task,
        volume_name="shared-memory",
        mount_path="/dev/shm",
        medium="Memory",
        size_limit=SHARED_MEMORY,
    )
    if num_gpus:
        task.set_container_image(CUDA_IMAGE)
        task.set_accelerator_type(gpu_type)
        task.set_accelerator_limit(num_gpus)


def give_store_credentials(task: dsl.PipelineTask) -> None:
    """Lets a step read and write the release store."""
    kubernetes.use_secret_as_env(
        task,
        secret_name=STORE_SECRET,
        secret_key_to_env={name: name for name in STORE_VARIABLES},
        optional=True,
    )
