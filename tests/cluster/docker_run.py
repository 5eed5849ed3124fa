"""The process in which KFP runs the pipeline, a container a step; `steps_in_images` starts it.

A container has what a pod of KFP's has: the image's own user, no capabilities, no way to more
rights; beyond that a read-only root, and no network, as ml-100k is mounted where a step would keep
what it fetched. One part of kfp.local is replaced, for which it has no setting: it has containers
removed as they end, and takes one that is gone by then for one that succeeded.
"""

import sys
from pathlib import Path
from typing import Any

import docker
from docker.types import Mount, Ulimit
from kfp import local
from kfp.local import docker_task_handler

from pipelines.train_and_release import build_pipeline

LABEL = "homefeed-run"
"""Key of the label that all containers of a run have."""
CHANNEL = "from-images"
PINS_PER_SHARD = 600
NUM_SHARDS = 3
"""Of ml-100k's 1,664 pins; their steps run at once."""
STORE = "/store"
CACHE = "/cache"
RESTRICTED = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "network_mode": "none",
    "shm_size": "2g",
    # By default podman raises them to its own, which not every machine may do.
    "ulimits": [Ulimit(name=name, soft=4096, hard=4096) for name in ("nofile", "nproc")],
}


def run(recipe: str, runs: Path, store: Path, movielens: Path, label: str) -> None:
    """Runs `train_and_release` through whatever DOCKER_HOST names.

    Args:
        recipe: the name of a shipped one.
        runs: gets each step's outputs; any user may write to it, as to the next.
        store: the release store.
        movielens: the unpacked package, under the name that the cache gives it.
        label: value of every container's `LABEL`; the containers stay.
    """
    docker_task_handler.run_docker_container = run_container
    mounts = [
        Mount(STORE, str(store), type="bind"),
        Mount(f"{CACHE}/{movielens.name}", str(movielens), type="bind", read_only=True),
    ]
    environment = {"HOMEFEED_CACHE": CACHE, "OMP_NUM_THREADS": "1", "TQDM_MININTERVAL": "10"}
    settings: dict[str, Any] = {"environment": environment, "labels": {LABEL: label}, **RESTRICTED}
    local.init(runner=local.DockerRunner(mounts=mounts, **settings), pipeline_root=str(runs))
    build_pipeline()(recipe=recipe, store=STORE, channel=CHANNEL, pins_per_shard=PINS_PER_SHARD)


def run_container(
    client: docker.DockerClient, image: str, command: list[str], volumes: Any, **settings: Any
) -> int:
    """Runs a step's container and prints its log; returns its exit code."""
    container = client.containers.run(image, command, detach=True, volumes=volumes, **settings)
    for part in container.logs(stream=True):
        print(part.decode(errors="replace"), end="")
    return container.wait()["StatusCode"]


if __name__ == "__main__":
    recipe, runs, store, movielens, label = sys.argv[1:]
    run(recipe, Path(runs), Path(store), Path(movielens), label)
