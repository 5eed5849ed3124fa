"""The nodes of a cluster, as its API tells of them, before a run with GPUs is submitted."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.homefeed_process import run_homefeed
from tests.cli.kfp_recorder import API, record_kfp
from tests.http_recorder import Asked, record

NODES = {"cpu-1": {"cpu": "8"}, "gpu-1": {"cpu": "8", "nvidia.com/gpu": "2"}}


def answer(asked: Asked) -> tuple[int, Any]:
    assert asked.path == "/api/v1/nodes"
    nodes = [{"metadata": {"name": n}, "status": {"allocatable": a}} for n, a in NODES.items()]
    return 200, {"kind": "NodeList", "apiVersion": "v1", "items": nodes}


def write_kubeconfig(path: Path, server: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {}}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.mark.parametrize(
    ("gpus", "kind", "options", "is_submitted", "said"),
    [
        ("2", "nvidia.com/gpu", (), True, "a node offers 2 nvidia.com/gpu"),
        ("4", "nvidia.com/gpu", (), False, "no node offers 4 nvidia.com/gpu"),
        ("1", "amd.com/gpu", (), False, "the nodes offer: cpu-1 0, gpu-1 0."),
        ("4", "nvidia.com/gpu", ("--no-node-check",), True, ""),
    ],
)
def test_a_run_is_submitted_where_a_node_has_its_gpus(
    gpus: str, kind: str, options: tuple[str, ...], is_submitted: bool, said: str, tmp_path: Path
) -> None:
    with record_kfp() as (kfp, _), record(answer) as cluster:
        finished = run_homefeed(
            *("submit", "train_and_release", "--host", kfp.url, "--recipe", "ml-100k"),
            *("--gpus", gpus, "--gpu-type", kind, *options),
            KUBECONFIG=write_kubeconfig(tmp_path / "kubeconfig", cluster.url),
        )
    assert finished.returncode == (0 if is_submitted else 1), finished.stderr
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == (1 if said else 0)
    runs = kfp.told("POST", f"{API}/runs")
    assert len(runs) == is_submitted
    for run in runs:
        spec = run.body["pipeline_spec"]["pipeline_spec"]
        container = spec["deploymentSpec"]["executors"]["exec-train-towers"]["container"]
        accelerator = container["resources"]["accelerator"]
        assert (accelerator["resourceType"], accelerator["resourceCount"]) == (kind, gpus)


def test_without_a_kubeconfig_it_is_said_and_the_run_submitted(tmp_path: Path) -> None:
    with record_kfp() as (kfp, _):
        finished = run_homefeed(
            *("submit", "train_and_release", "--host", kfp.url, "--recipe", "ml-100k"),
            *("--gpus", "1"),
            KUBECONFIG=str(tmp_path / "nowhere"),
        )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.startswith(
        "the cluster's nodes were not looked at for 1 nvidia.com/gpu: Invalid kube-config file."
    )
    assert len(kfp.told("POST", f"{API}/runs")) == 1


def test_a_cluster_that_is_not_there_is_said_and_the_run_submitted(tmp_path: Path) -> None:
    with record(answer) as cluster:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
    with record_kfp() as (kfp, _):
        finished = run_homefeed(
            *("submit", "train_and_release", "--host", kfp.url, "--recipe", "ml-100k"),
            *("--gpus", "1"),
            KUBECONFIG=kubeconfig,
        )
    assert finished.returncode == 0, finished.stderr
    assert "the cluster's nodes were not looked at for 1 nvidia.com/gpu: " in finished.stderr
    assert len(kfp.told("POST", f"{API}/runs")) == 1
