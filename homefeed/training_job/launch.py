"""Trains the towers on several nodes: a step of a pipeline that waits for a TrainJob."""

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from homefeed.towers.config import check_processes, check_together
from homefeed.towers.job import DATASET_FOLDER, IDS_FOLDER, Job
from homefeed.training_job.cluster import Cluster
from homefeed.training_job.config import SHARED_FOLDER, NodesConfig
from homefeed.training_job.folder import fill, take_towers
from homefeed.training_job.manifest import MANIFESTS, job_name, train_job
from homefeed.training_job.status import reason
from homefeed.training_job.step_pod import StepPod
from homefeed.training_job.watch import SECONDS_BETWEEN_LOOKS, Watch

GOING_SECONDS = 300.0
"""What the pods of an earlier try may take to end."""


def train_in_this_cluster(
    dataset: Path, ids: Path | None, job: Job, config: NodesConfig, output: Path
) -> None:
    """`train_on_nodes`, from a step of a run of KFP's.

    Args:
        dataset: the dataset artifact.
        ids: the artifact of ID embeddings; None for none.
        job: what is to be trained.
        config: nodes and resources.
        output: folder of the towers artifact.
    """
    step = StepPod.from_environment()
    inputs = {DATASET_FOLDER: dataset} | ({IDS_FOLDER: ids} if ids else {})
    train_on_nodes(inputs, job, config, output, Cluster.of_this_pod(step.namespace), step)


def train_on_nodes(
    inputs: Mapping[str, Path],
    job: Job,
    config: NodesConfig,
    output: Path,
    cluster: Cluster,
    step: StepPod,
    shared: Path = SHARED_FOLDER,
    seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
) -> None:
    """Trains the towers in the pods of a TrainJob, which is gone when this returns or raises.

    Its folder on the shared volume stays where it failed: another try of the same run goes on from
    the checkpoint there.

    Args:
        inputs: the artifacts to train on, by the names of their folders in `homefeed.towers.job`.
        job: what is to be trained.
        config: nodes and resources.
        output: folder of the towers artifact.
        cluster: where the step runs.
        step: the pod that the step runs in.
        shared: the volume that the step and the job's pods share.
        seconds_between_looks: at the job.

    Raises:
        ValueError: the sections do not fit each other or the number of processes, the volume cannot
            be written, or the cluster refuses the job.
        RuntimeError: the job failed, could not start, took too long or was deleted, or this process
            was told to end; says why.
    """
    check_together(job.towers, job.training)
    check_processes(job.training, config.num_processes)
    folder, name = shared / step.run_id, job_name(step.run_id)
    with _told_to_end():
        _remove_earlier(cluster, name, seconds_between_looks)
        fill(folder, inputs, job)
        print(f"training on {config.num_nodes} nodes as TrainJob {name}", file=sys.stderr)
        try:
            cluster.create(train_job(step, config, folder))
            Watch(cluster, name, config, seconds_between_looks).until_end()
        except Exception:
            print(f"{folder} of the shared volume is kept for another try", file=sys.stderr)
            raise
        finally:
            _delete(cluster, name)
        take_towers(folder, output)


def _remove_earlier(cluster: Cluster, name: str, seconds_between_looks: float) -> None:
    """Waits until nothing is left of an earlier try, whose pods would write the same checkpoint."""
    deadline = time.monotonic() + GOING_SECONDS
    try:
        while cluster.find(name) is not None or cluster.pods(name):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"TrainJob {name} of an earlier try, or a pod of it, is not gone after "
                    f"{GOING_SECONDS:g} s: `kubectl get trainjobs,pods` and `kubectl describe` "
                    "show what holds it"
                )
            cluster.delete(name)
            time.sleep(seconds_between_looks)
    except ApiException as error:
        raise ValueError(
            f"the cluster does not let the step look for TrainJobs: {reason(error)}. Its rights "
            f"come with {MANIFESTS}"
        ) from error


def _delete(cluster: Cluster, name: str) -> None:
    try:
        cluster.delete(name)
    except (ApiException, HTTPError) as error:
        why = reason(error) if isinstance(error, ApiException) else error
        # With the pod of this step it goes too; what became of the training matters more.
        print(f"TrainJob {name} could not be deleted: {why}", file=sys.stderr)


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Makes an error of SIGTERM, by which a run that is terminated ends its pods.

    Raises:
        RuntimeError: it came.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise RuntimeError("the step was told to end, as where its run is terminated")

    before: Any = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
