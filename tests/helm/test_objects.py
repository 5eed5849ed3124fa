"""The objects beside the pods, and what all of them have in common."""

import json
from typing import Any

import pytest
import yaml

from tests.helm.chart import (
    CHART,
    CI_VALUES,
    NAME,
    NAMESPACE,
    Rendered,
    containers,
    environment,
    options,
    run_helm,
    template,
)

CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected"}
METRICS_PORTS = {"metrics": 8082, "handler-metrics": 8083, "sidecar-metrics": 9100}


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_lint(values: Any) -> None:
    finished = run_helm("lint", "--strict", str(CHART), "--values", str(values))
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("native", ["true", "false"])
@pytest.mark.parametrize("values", ["canary", "minimal", "redis", "s3"])
def test_templates(values: str, native: str) -> None:
    kinds = [each["kind"] for each in Rendered(values, f"--set=sidecar.native={native}").objects]
    assert {"ConfigMap", "Deployment", "Pod", "PodDisruptionBudget", "Service",
            "ServiceAccount"} <= set(kinds)  # fmt: skip


def test_every_file_of_values_is_tested() -> None:
    names = ["canary", "minimal", "redis", "s3"]
    assert [path.name for path in CI_VALUES] == [f"{name}-values.yaml" for name in names]


def test_labels_select_the_deployments_pods_alone(rendered: Rendered) -> None:
    spec = rendered.one("Deployment")["spec"]
    selector = spec["selector"]["matchLabels"]
    assert selector.items() <= spec["template"]["metadata"]["labels"].items()
    selectors = [each["spec"]["selector"] for each in rendered.objects if each["kind"] == "Service"]
    selectors.append(rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    assert all(each == selector for each in selectors)
    test_pod = rendered.one("Pod", f"{NAME}-test")
    # Else the Service would send it requests.
    assert not selector.items() <= test_pod["metadata"]["labels"].items()


def test_every_object_is_labelled_and_in_the_namespace(rendered: Rendered) -> None:
    for each in rendered.objects:
        metadata = each["metadata"]
        assert metadata["namespace"] == NAMESPACE, metadata["name"]
        if not metadata["name"].endswith("-extra"):
            assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
            assert metadata["labels"]["app.kubernetes.io/instance"] == "demo"


def test_two_installations_share_a_namespace_and_nothing_in_it(s3: Rendered) -> None:
    values = str(CHART / "ci" / "s3-values.yaml")
    finished = run_helm("template", "other", str(CHART), "--namespace", NAMESPACE, "-f", values)
    others = [each for each in yaml.safe_load_all(finished.stdout) if each]
    assert len(others) == len(s3.objects)

    def named(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in objects}

    assert not named(others) & named(s3.objects)
    pod = s3.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        spec[key].get("matchLabels", spec[key])
        for spec in (each["spec"] for each in others if "spec" in each)
        for key in ("selector", "podSelector")
        if key in spec
    ]
    assert len(selectors) == 6
    assert not any(each.items() <= pod.items() for each in selectors)


def test_containers_meet_restricted_pod_security_and_cannot_write(rendered: Rendered) -> None:
    for pod in rendered.pod_specs:
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for volume in pod.get("volumes", []):
            assert len(volume.keys() & RESTRICTED_VOLUMES) == 1, volume
        for container in containers(pod):
            assert container["securityContext"] == CONTAINER_SECURITY
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_the_fetch_alone_gets_an_api_token(rendered: Rendered) -> None:
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert all(pod["automountServiceAccountToken"] is False for pod in rendered.pod_specs)
    projected = [
        volume["name"]
        for pod in rendered.pod_specs
        for volume in pod.get("volumes", [])
        if "projected" in volume
    ]
    assert projected == ["api-access"]
    mounts = {
        container["name"]: mount["mountPath"]
        for container in containers(rendered.pod)
        for mount in container["volumeMounts"]
        if mount["name"] == "api-access"
    }
    assert mounts == {"fetch-release": options(rendered.container("fetch-release"))["api-access"]}


def test_the_token_may_create_events_and_nothing_else(rendered: Rendered) -> None:
    role, binding = rendered.one("Role"), rendered.one("RoleBinding")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = rendered.pod["serviceAccountName"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    ]


def test_without_events_there_is_no_token() -> None:
    chart = Rendered("s3", "--set", "events.enabled=false")
    assert not {"Role", "RoleBinding"} & {each["kind"] for each in chart.objects}
    assert not any("projected" in volume for volume in chart.pod["volumes"])
    fetch = chart.container("fetch-release")
    assert "api-access" not in options(fetch)
    assert fetch["env"] == [
        {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
        {"name": "AWS_ENDPOINT_URL", "value": "http://s3:9000"},
    ]


def test_the_user_of_all_containers_can_be_chosen() -> None:
    for pod in Rendered("minimal", "--set", "user=20001").pod_specs:
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 20001


def test_the_service_leads_to_the_rest_api_alone(rendered: Rendered) -> None:
    assert rendered.one("Service")["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "http"}
    ]
    ports = {
        each["name"]: each["containerPort"] for each in rendered.container("torchserve")["ports"]
    }
    server = rendered.settings["server"]
    assert server["inference_address"] == f"0.0.0.0:{ports['http']}"
    assert server["management_address"].startswith("127.0.0.1:")
    exposed = {
        port["containerPort"]
        for container in rendered.pod["containers"]
        for port in container.get("ports", [])
    }
    assert int(server["management_address"].rpartition(":")[2]) not in exposed


def test_metrics_are_where_prometheus_looks_for_them(s3: Rendered) -> None:
    torchserve, faiss = s3.container("torchserve"), s3.container("faiss")
    ports = {
        each["name"]: each["containerPort"] for each in (*torchserve["ports"], *faiss["ports"])
    }
    assert ports.items() >= METRICS_PORTS.items()
    assert s3.settings["server"]["metrics_address"] == "0.0.0.0:8082"
    assert environment(torchserve)["HOMEFEED_METRICS_ADDRESS"] == "0.0.0.0:8083"
    assert {"--metrics-host=0.0.0.0", "--metrics-port=9100"} <= set(faiss["args"])

    service = s3.one("Service", f"{NAME}-metrics")
    monitor = s3.one("ServiceMonitor")
    assert {each["name"] for each in service["spec"]["ports"]} == METRICS_PORTS.keys()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == list(METRICS_PORTS)
    assert all(each["interval"] == "15s" for each in monitor["spec"]["endpoints"])
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= service["metadata"]["labels"].items()
    assert not selector <= s3.one("Service")["metadata"]["labels"].items()


def test_prometheus_can_find_the_pods_without_a_service() -> None:
    options = "serviceMonitor.enabled=false,podMonitor.enabled=true,podMonitor.labels.team=feed"
    chart = Rendered("s3", "--set", options)
    kinds = [each["kind"] for each in chart.objects]
    assert "ServiceMonitor" not in kinds
    assert kinds.count("Service") == 1
    monitor = chart.one("PodMonitor")
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == list(METRICS_PORTS)
    assert monitor["metadata"]["labels"]["team"] == "feed"
    pod = chart.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= pod
    assert not selector <= chart.one("Pod", f"{NAME}-test")["metadata"]["labels"].items()


def test_what_is_off_is_not_there(minimal: Rendered) -> None:
    kinds = {each["kind"] for each in minimal.objects}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}
    settings = "podDisruptionBudget.enabled=false,serviceAccount.create=false"
    bare = Rendered("minimal", "--set", settings)
    kinds = {each["kind"] for each in bare.objects}
    assert not kinds & {"PodDisruptionBudget", "ServiceAccount"}
    assert bare.pod["serviceAccountName"] == "default"


def test_extra_objects_are_templates(s3: Rendered) -> None:
    assert s3.one("ConfigMap", f"{NAME}-extra")["data"] == {"service": NAME}


def test_what_pods_are_given_reaches_them() -> None:
    given = {
        "podAnnotations": {"note": "x"},
        "podLabels": {"team": "feed"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
    }
    options = [
        option
        for name, value in given.items()
        for option in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    chart = Rendered("minimal", *options)
    metadata = chart.one("Deployment")["spec"]["template"]["metadata"]
    assert metadata["annotations"]["note"] == "x"
    assert metadata["labels"]["team"] == "feed"
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert chart.pod[name] == given[name]
    for pod in chart.pod_specs:
        assert pod["imagePullSecrets"] == given["imagePullSecrets"]


def test_the_affinity_that_values_advise_keeps_pods_on_one_node() -> None:
    """For where no claim can be looked up: what the comment shows, as `home`."""
    above = (CHART / "values.yaml").read_text().partition("\naffinity: {}")[0].splitlines()
    advised = "\n".join(line[2:] for line in above[above.index("#   podAffinity:") :])
    chart = Rendered("minimal", "--set-json", f"affinity={json.dumps(yaml.safe_load(advised))}")
    assert "affinity" not in Rendered("minimal").pod
    (term,) = chart.pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    labels = chart.one("Deployment")["spec"]["selector"]["matchLabels"]
    named = {**labels, "app.kubernetes.io/instance": "home"}
    assert term["labelSelector"]["matchLabels"] == named


def test_the_notes_say_what_to_do_next() -> None:
    values = str(CHART / "ci" / "minimal-values.yaml")
    command = ["install", "demo", str(CHART), "--namespace", NAMESPACE, "--values", values]
    finished = run_helm(*command, "--dry-run=client")
    assert finished.returncode == 0, finished.stderr
    notes = finished.stdout.partition("NOTES:")[2]
    for step in (f"rollout status deployment/{NAME}", "helm test demo --namespace shop",
                 f"port-forward service/{NAME} 8080:80", "claim release-store"):  # fmt: skip
        assert step in notes


def test_rendering_is_repeatable() -> None:
    assert template("s3") == template("s3")
