"""What the pipelines ask of a cluster for their steps; on one machine KFP leaves it all aside."""

from kfp import dsl, kubernetes

from components.check_store.component import check_store
from components.image import CUDA_IMAGE
from components.report_run.component import report_run
from homefeed.deployment.config import STEP_TOKEN_FOLDER
from homefeed.release.redis_connection import PASSWORD_VARIABLE
from homefeed.training_job.config import CLAIM, SHARED_FOLDER
from homefeed.training_job.step_pod import FIELDS

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
REDIS_SECRET = "homefeed-redis"
"""Secret of the runs' namespace with the password of Redis, which may be absent too."""
REDIS_PASSWORD_KEY = "password"
STEP_CPU = "250m"
STEP_MEMORY = "512Mi"
"""A step asks for little, so that it starts on small nodes, but for something: pods that ask for
nothing are evicted first, and a namespace with a ResourceQuota of requests refuses them."""
TRAINING_CPU = "1"
TRAINING_MEMORY = "4Gi"
DEPLOYER_SECRET = "homefeed-deployer"
"""Secret of the runs' namespace with the token of the account that may deploy, of the same name;
where it is absent, nothing can be deployed to a cluster."""
MINUTE = 60
HOUR = 3600
RUN_SECONDS = 7 * 24 * HOUR
"""Longer than all tries of all steps take in practice, with their waits for a node. As a bound of
retries it bounds no pause: Argo counts it from the start of the first try, begins no other after
it, and ends one that runs."""
RUN_CONFIG = dsl.PipelineConfig(active_deadline_seconds=RUN_SECONDS)
"""Of every pipeline: a run that takes longer is ended, one that waits for a node too."""


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
    """Gives a step its name in KFP's interface, requests, an end in time, and no rights of root.

    The timeout counts from when a node has taken the pod. One that no node can take, as where GPUs
    are asked for and there are none, waits until the run ends by `RUN_CONFIG`: KFP 2.17 has no
    shorter bound for the wait alone. `homefeed submit` therefore looks at the nodes first.

    Args:
        task: the step.
        name: as people read it.
        timeout_seconds: what its pod may take; a retry is a new pod and has as much again.
    """
    task.set_display_name(name)
    request(task, STEP_CPU, STEP_MEMORY)
    kubernetes.set_timeout(task, timeout_seconds)
    # The image's user is numeric, so the kubelet can tell that it is not root.
    kubernetes.set_security_context(task, run_as_non_root=True)


def retry(task: dsl.PipelineTask) -> None:
    """For steps that read over a network, or run long on nodes that may be taken away.

    KFP cannot tell why a step failed: one that refuses its input does so three times, and the run
    fails 90 seconds and two pods later than it could.
    """
    task.set_retry(
        num_retries=2,
        backoff_duration="30s",
        backoff_factor=2,
        backoff_max_duration=f"{RUN_SECONDS}s",
    )


def request(task: dsl.PipelineTask, cpu: str, memory: str) -> None:
    """Asks for this much, without limits: a step starts on small nodes and takes what is free."""
    task.set_cpu_request(cpu)
    task.set_memory_request(memory)


def equip_training(task: dsl.PipelineTask, num_gpus: int, gpu_type: str = GPU) -> None:
    """Gives a training step more of a node, and memory-backed /dev/shm; with GPUs, CUDA's image.

    Args:
        task: the step.
        num_gpus: 0 trains on the CPU.
        gpu_type: the cluster's name of the resource.
    """
    request(task, TRAINING_CPU, TRAINING_MEMORY)
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


def equip_launcher(task: dsl.PipelineTask) -> None:
    """Gives a step that trains on several nodes the volume of its training, and tells who it is."""
    kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=str(SHARED_FOLDER))
    for variable, field in FIELDS.items():
        kubernetes.use_field_path_as_env(task, env_name=variable, field_path=field)


def give_store_credentials(task: dsl.PipelineTask) -> None:
    """Lets a step read and write the release store."""
    kubernetes.use_secret_as_env(
        task,
        secret_name=STORE_SECRET,
        secret_key_to_env={name: name for name in STORE_VARIABLES},
        optional=True,
    )


def give_redis_password(task: dsl.PipelineTask) -> None:
    """Lets a step write to Redis."""
    kubernetes.use_secret_as_env(
        task,
        secret_name=REDIS_SECRET,
        secret_key_to_env={REDIS_PASSWORD_KEY: PASSWORD_VARIABLE},
        optional=True,
    )


def give_deployer(task: dsl.PipelineTask) -> None:
    """Lets a step deploy: KFP has no account of a single step, so it gets the token of one."""
    kubernetes.use_secret_as_volume(
        task,
        secret_name=DEPLOYER_SECRET,
        mount_path=str(STEP_TOKEN_FOLDER),
        optional=True,
    )


def look_into(store: str) -> dsl.PipelineTask:
    """A step for the start of a run, which fails where its end could not reach the store.

    Args:
        store: the pipeline's parameter: URL of the store, or empty.
    """
    looked = check_store(
        store=store,
        credentials=f"the Secret {STORE_SECRET} of the runs' namespace, which may hold "
        f"{', '.join(STORE_VARIABLES)}; without it, the service account's cloud role",
    )
    prepare(looked, "Look into the store", 10 * MINUTE)
    # What the store holds, and by which keys, is no input.
    looked.set_caching_options(enable_caching=False)
    give_store_credentials(looked)
    return looked
