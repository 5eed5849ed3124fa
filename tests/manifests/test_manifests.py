"""The manifests as kustomize builds them, and what the API server lets the runs' account do."""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pipelines.compile import COMPILED
from pipelines.tasks import (
    DEPLOYER_SECRET,
    REDIS_PASSWORD_KEY,
    REDIS_SECRET,
    STORE_SECRET,
    STORE_VARIABLES,
)
from tests.kubectl import kubectl, needs_cluster, run_kubectl
from tests.tools import chart_check

MANIFESTS = Path(__file__).parents[2] / "manifests"
FOLDERS = sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))
EXAMPLES = sorted(MANIFESTS.rglob("*.example.yaml"))
RUNS, SERVING = "homefeed-pipelines", "homefeed-serving"
OVERLAYS = {"claim": RUNS, "single-user": "kubeflow"}
"""Where runs land in each."""
TRAINING_OVERLAYS = {"training": RUNS, "training-single-user": "kubeflow"}
"""Those beside another, for clusters with Kubeflow Trainer; where runs land in each."""
DEPLOYING_OVERLAYS = {"deploying": RUNS, "deploying-single-user": "kubeflow"}
"""Those beside another, for runs that deploy; where runs land in each."""
RUNTIME = "TrainingRuntime"
"""A kind of Kubeflow Trainer's, whose schema only a cluster knows."""
SECURITY = "pod-security.kubernetes.io/enforce"

# Verb, resource, further options of `kubectl auth can-i`.
MAY = [
    ("get", "configmaps/kfp-launcher"),
    ("get", "secrets/mlpipeline-minio-artifact"),
    ("get", "pods"),
    ("list", "pods"),
    ("get", "pods", "--subresource=log"),
]
MAY_NOT = [
    ("get", f"secrets/{STORE_SECRET}"),
    ("list", "secrets"),
    ("update", "secrets/mlpipeline-minio-artifact"),
    ("get", "configmaps/other"),
    ("update", "configmaps/kfp-launcher"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods", "--subresource=exec"),
    ("watch", "pods"),
    ("create", "deployments.apps"),
    ("create", "jobs.batch"),
    ("create", "persistentvolumeclaims"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("escalate", "roles.rbac.authorization.k8s.io"),
    ("bind", "roles.rbac.authorization.k8s.io"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("create", "serviceaccounts", "--subresource=token"),
    ("impersonate", "serviceaccounts"),
    ("get", "nodes"),
    ("list", "namespaces"),
]


class Runner(NamedTuple):
    """The account of the runs as the API server calls it, and the namespaces of runs and chart."""

    user: str
    runs: str
    serving: str


def name_of(path: Path) -> str:
    return str(path.relative_to(MANIFESTS))


def build(folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_each_builds_and_fits_the_schemas_of_kubernetes(folder: Path, tmp_path: Path) -> None:
    objects = [each for each in build(folder) if each["kind"] != RUNTIME]
    (tmp_path / "built.yaml").write_text(yaml.safe_dump_all(objects))
    for version in ("1.25", "1.34", "1.37"):
        finished = chart_check(
            "kubernetes_validate",
            *("--strict", "--kubernetes-version", version, "--no-warn", "built.yaml"),
            cwd=tmp_path,
        )
        assert finished.returncode == 0, finished.stdout
        assert finished.stdout.count("passed for resource") == len(objects)


def test_every_file_is_part_of_a_kustomization_or_an_example() -> None:
    used = {
        (folder / resource).resolve()
        for folder in FOLDERS
        for resource in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    }
    files = {path for path in MANIFESTS.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert files - used == set(EXAMPLES)


def test_there_is_no_other_overlay() -> None:
    found = {path.parent.name for path in (MANIFESTS / "overlays").glob("*/kustomization.yaml")}
    assert found == OVERLAYS.keys() | TRAINING_OVERLAYS.keys() | DEPLOYING_OVERLAYS.keys()


@pytest.mark.parametrize(("overlay", "namespace"), TRAINING_OVERLAYS.items())
def test_training_lands_where_the_runs_do(overlay: str, namespace: str) -> None:
    objects = build(MANIFESTS / "overlays" / overlay)
    assert {each["metadata"]["namespace"] for each in objects} == {namespace}
    assert RUNTIME in {each["kind"] for each in objects}
    (binding,) = (each for each in objects if each["kind"] == "RoleBinding")
    (subject,) = binding["subjects"]
    # It comes with the other overlay.
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", "pipeline-runner")


@pytest.mark.parametrize(("overlay", "namespace"), DEPLOYING_OVERLAYS.items())
def test_who_deploys_is_where_runs_land_and_has_rights_where_the_chart_is(
    overlay: str, namespace: str
) -> None:
    objects = {each["kind"]: each for each in build(MANIFESTS / "overlays" / overlay)}
    places = {kind: each["metadata"]["namespace"] for kind, each in objects.items()}
    assert places == {"ServiceAccount": namespace, "Role": SERVING, "RoleBinding": SERVING}
    (subject,) = objects["RoleBinding"]["subjects"]
    account = {"kind": "ServiceAccount", "name": DEPLOYER_SECRET, "namespace": namespace}
    assert subject == account
    assert objects["ServiceAccount"]["metadata"]["name"] == DEPLOYER_SECRET


def test_a_cluster_without_trainer_is_asked_for_none_of_it() -> None:
    for overlay in OVERLAYS:
        objects = build(MANIFESTS / "overlays" / overlay)
        assert RUNTIME not in {each["kind"] for each in objects}
        assert "trainer.kubeflow.org" not in str(objects)


def test_no_secret_is_applied() -> None:
    kinds = {each["kind"] for folder in FOLDERS for each in build(folder)}
    assert kinds == {
        "Namespace", "PersistentVolumeClaim", "Role", "RoleBinding", "ServiceAccount", RUNTIME,
    }  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_the_examples_are_what_steps_and_the_chart_read(example: Path) -> None:
    secret = yaml.safe_load(example.read_text())
    read = {
        STORE_SECRET: set(STORE_VARIABLES),
        REDIS_SECRET: {REDIS_PASSWORD_KEY},
        DEPLOYER_SECRET: set(),  # Kubernetes fills it in
    }
    assert set(secret.get("stringData", {})) <= read[secret["metadata"]["name"]]
    assert ("stringData" in secret) == (secret.get("type") is None)
    namespaces = {each["metadata"]["name"] for each in build(example.parent)}
    assert secret["metadata"]["namespace"] in namespaces


def test_both_namespaces_are_restricted_and_every_step_is_allowed_there() -> None:
    namespaces = [each for each in build(MANIFESTS / "base") if each["kind"] == "Namespace"]
    levels = {each["metadata"]["name"]: each["metadata"]["labels"][SECURITY] for each in namespaces}
    assert levels == {RUNS: "restricted", SERVING: "restricted"}
    for path in COMPILED.glob("*.yaml"):
        spec, platforms = yaml.safe_load_all(path.read_text())
        steps = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        assert steps.keys() == spec["deploymentSpec"]["executors"].keys(), path.name
        # All else that `restricted` asks for, Kubeflow Pipelines gives to every step.
        assert all(step["securityContext"] == {"runAsNonRoot": True} for step in steps.values())


@contextmanager
def applied(overlay: str, folder: Path) -> Iterator[dict[str, str]]:
    """Real name to own name of the namespaces that an overlay was applied to."""
    copy = folder / "manifests"
    shutil.copytree(MANIFESTS, copy)
    suffix = uuid.uuid4().hex[:8]
    runs = OVERLAYS[overlay]
    names = {runs: f"homefeed-test-runs-{suffix}", SERVING: f"homefeed-test-serving-{suffix}"}
    for path in copy.rglob("*.yaml"):
        text = path.read_text()
        for real, own in names.items():
            text = re.sub(rf"(?<=: ){real}$", own, text, flags=re.MULTILINE)
        path.write_text(text)
    try:
        if runs == "kubeflow":  # which its installation makes
            kubectl("create", "namespace", names[runs])
        kubectl("apply", "--validate=strict", "-k", str(copy / "overlays" / overlay))
        yield names
    finally:
        kubectl("delete", "namespace", *names.values(), "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The namespaces of the overlay `claim`, and so of the base."""
    with applied("claim", tmp_path_factory.mktemp("claim")) as names:
        yield names


@pytest.fixture(scope="module")
def single_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The namespaces of the overlay `single-user`."""
    with applied("single-user", tmp_path_factory.mktemp("single-user")) as names:
        yield names


@pytest.fixture(scope="module", params=["claim", "single_user"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """The account of the runs, of each overlay."""
    runs, serving = request.getfixturevalue(request.param).values()
    return Runner(f"system:serviceaccount:{runs}:pipeline-runner", runs, serving)


def can(runner: Runner, row: tuple[str, ...], namespace: str) -> bool:
    finished = run_kubectl("auth", "can-i", *row, f"--as={runner.user}", "--namespace", namespace)
    answer = finished.stdout.strip()
    assert answer in ("yes", "no"), finished.stderr
    return answer == "yes"


@needs_cluster
@pytest.mark.parametrize("row", MAY, ids=" ".join)
def test_the_runner_may(runner: Runner, row: tuple[str, ...]) -> None:
    assert can(runner, row, runner.runs)
    assert not can(runner, row, runner.serving)


@needs_cluster
@pytest.mark.parametrize("row", MAY_NOT, ids=" ".join)
def test_the_runner_may_not(runner: Runner, row: tuple[str, ...]) -> None:
    assert not can(runner, row, runner.runs)
    assert not can(runner, row, runner.serving)


@needs_cluster
@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("create", "workflowtaskresults", True),
        ("patch", "workflowtaskresults", True),
        ("delete", "workflowtaskresults", False),
        ("create", "workflows", False),
        ("patch", "workflows", False),
    ],
)
def test_what_the_runner_may_tell_argo(
    runner: Runner, verb: str, resource: str, allowed: bool
) -> None:
    # What `kubectl auth can-i` asks; it does not ask about resources that this cluster lacks.
    attributes = {"group": "argoproj.io", "resource": resource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": runner.user,
            "resourceAttributes": attributes | {"namespace": runner.runs},
        },
    }
    answer = kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    assert json.loads(answer)["status"]["allowed"] is allowed


@needs_cluster
def test_the_claim_is_taken(claim: dict[str, str]) -> None:
    modes = kubectl("get", "persistentvolumeclaim", "release-store", "--namespace",
                    claim[SERVING], "-o", "jsonpath={.spec.accessModes}")  # fmt: skip
    assert modes == '["ReadWriteOnce"]'


@needs_cluster
def test_nothing_is_admitted_that_pod_security_forbids(claim: dict[str, str]) -> None:
    for namespace in claim.values():
        finished = run_kubectl("run", "step", "--image=step:1", "--dry-run=server", "-n", namespace)
        assert finished.returncode != 0
        assert 'violates PodSecurity "restricted:latest"' in finished.stderr
