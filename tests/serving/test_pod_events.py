"""Events of the real command, on a real API server and where there is none to take them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import certifi
import pytest
import yaml

from serving.local import free_ports
from serving.pod_events import MAX_MESSAGE_BYTES
from tests.helm.chart import Rendered
from tests.kubectl import get, kubectl, needs_cluster, new_namespace
from tests.serving.fetching import Fetching

POD = "homefeed-1"
NO_POD = {
    "POD_NAME": POD,
    "POD_NAMESPACE": "shop",
    "POD_UID": "0",
    "KUBERNETES_SERVICE_HOST": "::1",
    "KUBERNETES_SERVICE_PORT": "1",
}


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    fetching = Fetching(tmp_path, f"file://{tmp_path}/store")
    fetching.publish(1000)
    return fetching


@pytest.fixture
def api_access(tmp_path: Path) -> Path:
    """A folder as Kubernetes fills it, with no cluster's token."""
    folder = tmp_path / "api-access"
    folder.mkdir()
    (folder / "token").write_text("none")
    (folder / "ca.crt").write_text(Path(certifi.where()).read_text())
    return folder


def complaint(fetching: Fetching, api_access: Path, variables: Mapping[str, str]) -> str:
    """Why no event was left; the release was fetched all the same."""
    code, lines = fetching.run("--api-access", str(api_access), variables=variables)
    assert code == 0
    assert [line["event"] for line in lines] == ["fetched", "cannot leave an event on the pod"]
    assert lines[1]["level"] == "warning"
    return lines[1]["reason"]


def test_an_api_server_that_is_away_keeps_no_pod_from_starting(
    fetching: Fetching, api_access: Path
) -> None:
    (port,) = free_ports(1)
    variables = NO_POD | {"KUBERNETES_SERVICE_PORT": str(port)}
    reason = complaint(fetching, api_access, variables)
    assert reason.startswith(
        f"ConnectionError: https://[::1]:{port}/api/v1/namespaces/shop/events:"
    )


def test_what_the_pod_is_not_given_is_named(fetching: Fetching, api_access: Path) -> None:
    without = {name: value for name, value in NO_POD.items() if name != "POD_UID"}
    assert complaint(fetching, api_access, without) == "KeyError: 'POD_UID'"
    (api_access / "ca.crt").write_text("no certificate")
    assert complaint(fetching, api_access, NO_POD).startswith("SSLError: ")
    (api_access / "token").unlink()
    assert "api-access/token" in complaint(fetching, api_access, NO_POD)


class RealPod(NamedTuple):
    """A pod of the chart that waits for its claim, and what its fetch container would be given."""

    namespace: str
    variables: dict[str, str]

    def events(self) -> list[dict[str, Any]]:
        """The fetch's events."""
        found = get("events", "--namespace", self.namespace)
        return [each for each in found if each["source"].get("component") == "homefeed"]


@pytest.fixture(scope="module")
def real_pod() -> Iterator[RealPod]:
    with new_namespace() as namespace:
        chart = Rendered("minimal", "--namespace", namespace)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": chart.pod}
        kinds = ("ServiceAccount", "Role", "RoleBinding")
        objects = [each for each in chart.objects if each["kind"] in kinds] + [pod]
        kubectl("apply", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump_all(objects))
        config = yaml.safe_load(kubectl("config", "view", "--minify"))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        uid = kubectl("get", "pod", POD, "--namespace", namespace, "-o", "jsonpath={.metadata.uid}")
        variables = {
            "POD_NAME": POD,
            "POD_NAMESPACE": namespace,
            "POD_UID": uid,
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
        }
        yield RealPod(namespace, variables)


@pytest.fixture
def pod_access(real_pod: RealPod, api_access: Path) -> Path:
    """The folder, filled for the account of the chart's pods."""
    namespace = real_pod.namespace
    (account,) = (
        each["metadata"]["name"]
        for each in get("serviceaccounts", "--namespace", namespace)
        if each["metadata"]["name"] != "default"
    )
    (api_access / "token").write_text(kubectl("create", "token", account, "-n", namespace))
    (trusted,) = get(
        "configmaps", "-n", namespace, "--field-selector=metadata.name=kube-root-ca.crt"
    )
    (api_access / "ca.crt").write_text(trusted["data"]["ca.crt"])
    return api_access


@needs_cluster
def test_a_broken_release_leaves_an_event_that_names_the_file(
    fetching: Fetching, real_pod: RealPod, pod_access: Path, tmp_path: Path
) -> None:
    (version,) = [path.name for path in (tmp_path / "store" / "releases").iterdir()]
    (tmp_path / "store" / "releases" / version / "user_tower.pt").write_text("flipped")
    reason = fetching.refused("--api-access", str(pod_access), variables=real_pod.variables)
    (event,) = (each for each in real_pod.events() if each["type"] == "Warning")
    assert event["reason"] == "ReleaseNotFetched"
    assert event["message"] == reason
    assert f"user_tower.pt of release {version} has sha256" in event["message"]
    described = kubectl("describe", "pod", POD, "--namespace", real_pod.namespace)
    assert f"user_tower.pt of release {version} has sha256" in described


@needs_cluster
def test_a_fetched_release_leaves_its_version(
    fetching: Fetching, real_pod: RealPod, pod_access: Path
) -> None:
    code, lines = fetching.run("--api-access", str(pod_access), variables=real_pod.variables)
    assert (code, len(lines)) == (0, 1)
    (event,) = (each for each in real_pod.events() if each["type"] == "Normal")
    assert event["reason"] == "ReleaseFetched"
    assert f"release {lines[0]['version']} ('production' of" in event["message"]
    assert event["involvedObject"]["name"] == POD


@needs_cluster
def test_a_long_message_is_cut_to_what_an_event_takes(
    fetching: Fetching, real_pod: RealPod, pod_access: Path
) -> None:
    store = f"file:///{'ö' * 200}/{'x' * 300}"
    reason = fetching.refused(
        "--api-access", str(pod_access), "--store", store, variables=real_pod.variables
    )
    assert len(reason.encode()) > MAX_MESSAGE_BYTES
    (message,) = (each["message"] for each in real_pod.events() if "ö" in each["message"])
    assert reason.startswith(message)
    assert MAX_MESSAGE_BYTES - 1 <= len(message.encode()) <= MAX_MESSAGE_BYTES


@needs_cluster
def test_an_account_that_may_not_is_told_so_in_the_log(
    fetching: Fetching, real_pod: RealPod, pod_access: Path
) -> None:
    (pod_access / "token").write_text(
        kubectl("create", "token", "default", "-n", real_pod.namespace)
    )
    reason = complaint(fetching, pod_access, real_pod.variables)
    assert "answers 403" in reason
    assert "cannot create resource" in reason


@needs_cluster
def test_another_certificate_authority_gets_no_token(
    fetching: Fetching, real_pod: RealPod, pod_access: Path
) -> None:
    (pod_access / "ca.crt").write_text(Path(certifi.where()).read_text())
    assert "CERTIFICATE_VERIFY_FAILED" in complaint(fetching, pod_access, real_pod.variables)
