"""What the API server lets the account do that deploys: the chart's objects, in one namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homefeed.deployment.cluster.lease import NAME
from tests.helm.chart import CI_VALUES, Rendered
from tests.kubectl import kubectl, needs_cluster, new_namespace, run_kubectl

DEPLOYING = Path(__file__).parents[2] / "manifests" / "base" / "deploying"
MAY_NOT = [
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("create", "jobs.batch"),
    ("create", "persistentvolumeclaims"),
    ("delete", "persistentvolumeclaims"),
    ("get", "leases.coordination.k8s.io/other"),
    ("update", "leases.coordination.k8s.io/other"),
    ("delete", f"leases.coordination.k8s.io/{NAME}"),
    ("escalate", "roles.rbac.authorization.k8s.io"),
    ("bind", "roles.rbac.authorization.k8s.io"),
    ("create", "serviceaccounts/token"),
    ("impersonate", "serviceaccounts"),
    ("list", "namespaces"),
    ("get", "nodes"),
]


def installed_in(namespace: str) -> None:
    """The account and its rights, both in one namespace."""
    objects = kubectl("kustomize", str(DEPLOYING))
    for own in ("homefeed-pipelines", "homefeed-serving"):
        objects = objects.replace(f"namespace: {own}", f"namespace: {namespace}")
    kubectl("apply", "--validate=strict", "-f", "-", stdin=objects)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with new_namespace() as name:
        installed_in(name)
        yield name


def can(namespace: str, verb: str, resource: str, place: str) -> bool:
    user = f"--as=system:serviceaccount:{namespace}:homefeed-deployer"
    kind, slash, rest = resource.partition("/")
    is_named = slash and kind.startswith("leases")
    asked = (resource,) if not slash or is_named else (kind, f"--subresource={rest}")
    answer = run_kubectl("auth", "can-i", verb, *asked, user, "--namespace", place)
    assert answer.stdout.strip() in ("yes", "no"), answer.stderr
    return answer.stdout.strip() == "yes"


def kinds() -> list[str]:
    """Of all that the chart can make, as kubectl names them; what a value adds is not known."""
    found = {
        f"{each['kind'].lower()}s.{each['apiVersion'].rpartition('/')[0]}".rstrip(".")
        for path in CI_VALUES
        for each in Rendered(path.name.removesuffix("-values.yaml")).objects
        if each["kind"] != "Pod"  # of `helm test`
    }
    return sorted(name.replace("policys.", "policies.") for name in found)


@needs_cluster
def test_it_may_do_with_the_charts_objects_what_helm_does(namespace: str) -> None:
    known = kubectl("api-resources", "--output=name").split()
    for kind in kinds():
        assert kind in known, kind
        for verb in ("get", "list", "watch", "create", "patch", "delete"):
            assert can(namespace, verb, kind, namespace), f"{verb} {kind}"
            assert not can(namespace, verb, kind, "default"), f"{verb} {kind}"


@needs_cluster
def test_it_may_lock(namespace: str) -> None:
    assert can(namespace, "create", "leases.coordination.k8s.io", namespace)
    for verb in ("get", "update"):
        assert can(namespace, verb, f"leases.coordination.k8s.io/{NAME}", namespace)


@needs_cluster
@pytest.mark.parametrize(("verb", "resource"), MAY_NOT)
def test_it_may_do_nothing_else(namespace: str, verb: str, resource: str) -> None:
    assert not can(namespace, verb, resource, namespace)
    assert not can(namespace, verb, resource, "default")
