"""The nodes of a cluster, as its API tells of them, before a run with GPUs is submitted."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import kube_config

from homefeed.cli import cluster_gpus
from tests.cli.homefeed_process import run_homefeed
from tests.cli.kfp_recorder import API, record_kfp
from tests.http_recorder import Asked, record

NODES = {
    "cpu-1": {"cpu": "8"},
    "gpu-1": {"cpu": "8", "nvidia.com/gpu": "2"},
    "cordoned": {"cpu": "8", "nvidia.com/gpu": "8"},
}
NOBODY: dict[str, Any] = {}


def answer(asked: Asked) -> tuple[int, Any]:
    assert asked.path == "/api/v1/nodes"
    nodes = [
        {
            "metadata": {"name": name},
            "spec": {"unschedulable": True} if name == "cordoned" else {},
            "status": {"allocatable": allocatable},
        }
        for name, allocatable in NODES.items()
    ]
    return 200, {"kind": "NodeList", "apiVersion": "v1", "items": nodes}


def write_kubeconfig(path: Path, server: str, user: dict[str, Any] = NOBODY) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.mark.parametrize(
    ("gpus", "kind", "options", "is_submitted", "said"),
    [
        (
            "2",
            "nvidia.com/gpu",
            (),
            True,
            "a node of kubeconfig context 'test' offers 2 nvidia.com/gpu",
        ),
        ("4", "nvidia.com/gpu", (), False, "no node offers 4 nvidia.com/gpu"),
        (
            "1",
            "amd.com/gpu",
            (),
            False,
            "those of kubeconfig context 'test' that take pods offer: cpu-1 0, gpu-1 0.",
        ),
        ("4", "nvidia.com/gpu", ("--no-node-check",), True, ""),
    ],
)
def test_a_run_is_submitted_where_a_node_has_its_gpus(
    gpus: str, kind: str, options: tuple[str, ...], is_submitted: bool, said: str, tmp_path: Path
) -> None:
    with record_kfp() as (kfp, _), record(answer) as cluster:
        finished = run_homefeed(
            *("submit", "pretrain_ids", "--host", kfp.url, "--recipe", "movielens"),
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
        container = spec["deploymentSpec"]["executors"]["exec-pretrain-ids"]["container"]
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
        "the nodes of the kubeconfig's context were not looked at for 1 nvidia.com/gpu: Invalid "
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
    said = "the nodes of kubeconfig context 'test' were not looked at for 1 nvidia.com/gpu: "
    assert said in finished.stderr
    assert len(kfp.told("POST", f"{API}/runs")) == 1


def test_credentials_that_do_not_come_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["20"]}
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig",
        "http://127.0.0.1:1",
        {"exec": plugin | {"interactiveMode": "Never"}},
    )
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig)
    monkeypatch.setattr(cluster_gpus, "PATIENCE_SECONDS", 1)
    assert cluster_gpus.check_gpus(1, "nvidia.com/gpu") == (
        "the nodes of kubeconfig context 'test' were not looked at for 1 nvidia.com/gpu: no "
        "credentials within 1 seconds"
    )
