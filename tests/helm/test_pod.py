"""What the pods run, and how they start, answer and end."""

import msgspec
import pytest

from homefeed.release.redis_connection import PASSWORD_VARIABLE
from serving.fetch_release import ANSWER_SECONDS
from serving.index_sidecar.settings import Settings as SidecarSettings
from serving.torchserve.config import ServerSettings
from serving.torchserve.settings import DEFAULT_SETTINGS, ModelSettings, RedisSettings
from tests.helm.chart import NAME, Rendered, containers, environment, options, template

FETCHING = ("fetch-release", "follow-release")
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def test_a_native_sidecar_starts_after_the_fetch_and_before_torchserve(minimal: Rendered) -> None:
    initial = [each["name"] for each in minimal.pod["initContainers"]]
    assert initial == ["fetch-release", "faiss", "follow-release"]
    assert [each["name"] for each in minimal.pod["containers"]] == ["torchserve"]
    faiss = minimal.container("faiss")
    assert (
        faiss["restartPolicy"] == minimal.container("follow-release")["restartPolicy"] == "Always"
    )
    assert "restartPolicy" not in minimal.container("fetch-release")
    assert "lifecycle" not in faiss  # Kubernetes ends it after TorchServe


def test_an_ordinary_sidecar_outlives_torchserve(s3: Rendered) -> None:
    assert [each["name"] for each in s3.pod["initContainers"]] == ["fetch-release"]
    ordinary = {each["name"] for each in s3.pod["containers"]}
    assert ordinary == {"torchserve", "faiss", "follow-release"}
    assert "restartPolicy" not in s3.container("follow-release")
    faiss = s3.container("faiss")
    assert "restartPolicy" not in faiss
    seconds = [
        int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        for container in (s3.container("torchserve"), faiss)
    ]
    assert seconds[1] >= seconds[0] + s3.settings["model"]["responseTimeout"]


def test_the_claim_is_fetched_from_and_nothing_else_sees_it(minimal: Rendered) -> None:
    for name in FETCHING:
        assert options(minimal.container(name))["store"] == "file:///store"
    (claim,) = (each for each in minimal.pod["volumes"] if each["name"] == "store")
    assert claim["persistentVolumeClaim"] == {"claimName": "release-store", "readOnly": True}
    users = {
        container["name"]: mount["readOnly"]
        for container in containers(minimal.pod)
        for mount in container["volumeMounts"]
        if mount["name"] == "store"
    }
    assert users == dict.fromkeys(FETCHING, True)


def test_the_bucket_and_its_secret_are_known_to_those_who_fetch_alone(s3: Rendered) -> None:
    for name in FETCHING:
        fetch = s3.container(name)
        assert options(fetch)["store"] == "s3://homefeed/store"
        assert environment(fetch)["AWS_ENDPOINT_URL"] == "http://s3:9000"
        assert fetch["envFrom"] == [{"secretRef": {"name": "release-store"}}]
    assert not any(each["name"] == "store" for each in s3.pod["volumes"])
    for container in (s3.container("torchserve"), s3.container("faiss")):
        assert "envFrom" not in container
        assert not any(name.startswith("AWS") for name in environment(container))


def test_only_those_who_fetch_write_to_the_release(rendered: Rendered) -> None:
    writers = {
        container["name"]
        for container in containers(rendered.pod)
        for mount in container["volumeMounts"]
        if mount["name"] == "release" and not mount.get("readOnly")
    }
    assert writers == set(FETCHING)


def test_a_channel_is_followed_to_where_it_was_fetched(rendered: Rendered) -> None:
    fetch, follow = (options(rendered.container(name)) for name in FETCHING)
    for name in ("store", "to", "timeout-seconds"):
        assert follow[name] == fetch[name]
    assert follow["channel"] == fetch["version"] == "production"
    released = environment(rendered.container("torchserve"))["HOMEFEED_RELEASE"]
    assert options(rendered.container("faiss"))["release"] == released == follow["to"]


@pytest.mark.parametrize("native", ["true", "false"])
@pytest.mark.parametrize(
    "setting", ["release.followSeconds=0", "release.version=20260101T000000Z-0123abcd"]
)
def test_what_stays_is_not_followed(native: str, setting: str) -> None:
    chart = Rendered("minimal", "--set", f"sidecar.native={native},{setting}")
    assert {each["name"] for each in containers(chart.pod)} == {
        "fetch-release",
        "faiss",
        "torchserve",
    }


def test_the_socket_and_the_handlers_metrics_lie_in_memory(rendered: Rendered) -> None:
    in_memory = {
        each["name"]
        for each in rendered.pod["volumes"]
        if each.get("emptyDir", {}).get("medium") == "Memory"
    }
    assert in_memory == {"socket", "handler-metrics"}
    torchserve = rendered.container("torchserve")
    mounts = {each["mountPath"]: each["name"] for each in torchserve["volumeMounts"]}
    variables = environment(torchserve)
    assert mounts[variables["PROMETHEUS_MULTIPROC_DIR"]] == "handler-metrics"
    socket = options(rendered.container("faiss"))["socket"]
    assert variables["HOMEFEED_SOCKET"] == socket
    assert mounts[socket.rpartition("/")[0]] == "socket"


def test_every_scratch_volume_has_a_limit(rendered: Rendered) -> None:
    scratch = [each["emptyDir"] for each in rendered.pod["volumes"] if "emptyDir" in each]
    assert scratch
    assert all("sizeLimit" in each for each in scratch)


@pytest.mark.parametrize(("cpus", "workers", "torch_threads"), [(1, 1, 1), (4, 1, 4), (5, 2, 2)])
def test_threads_follow_cpus(cpus: int, workers: int, torch_threads: int) -> None:
    settings = f"cpus={cpus},torchserve.workers={workers},torchserve.memory=2Gi,cpuRequest="
    chart = Rendered("minimal", "--set", settings)
    assert options(chart.container("faiss"))["search-threads"] == str(cpus)
    torchserve = chart.container("torchserve")
    assert environment(torchserve)["OMP_NUM_THREADS"] == str(torch_threads)
    assert chart.settings["model"]["handler"]["torch_threads"] == torch_threads
    assert chart.settings["model"]["minWorkers"] == workers
    assert chart.settings["model"]["maxWorkers"] == workers
    for container in containers(chart.pod):
        resources = container["resources"]
        if container["name"] != "follow-release":  # it has nothing to hurry for
            assert resources["limits"]["cpu"] == str(cpus)
        assert resources["requests"] == resources["limits"]  # a guaranteed pod


def test_fewer_cpus_can_be_reserved_than_used(minimal: Rendered) -> None:
    for container in containers(minimal.pod):
        resources = container["resources"]
        assert resources["requests"]["cpu"] == "100m"
        if container["name"] != "follow-release":
            assert resources["limits"]["cpu"] == "1"
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_digest_takes_the_place_of_the_tag() -> None:
    settings = f"image.tag=1.2.3,image.registry=r.io/x,image.torchserve.digest={DIGEST}"
    chart = Rendered("minimal", "--set", settings)
    torchserve = f"r.io/x/homefeed-torchserve@{DIGEST}"
    images = {each["name"]: each["image"] for each in containers(chart.pod)}
    assert images == {
        "fetch-release": torchserve,
        "faiss": "r.io/x/homefeed-index-sidecar:1.2.3",
        "follow-release": torchserve,
        "torchserve": torchserve,
    }
    assert chart.pod_specs[1]["containers"][0]["image"] == torchserve


def test_torchserve_is_ready_by_its_workers_and_the_sidecar_by_its_index(
    rendered: Rendered,
) -> None:
    torchserve = rendered.container("torchserve")
    management = rendered.settings["server"]["management_address"]
    model = f"http://{management}/models/homefeed"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = torchserve[probe]["exec"]["command"]
        assert command == ["python", "-m", "serving.torchserve.ready", model]
    faiss = rendered.container("faiss")
    for probe, path in {"startupProbe": "/readyz", "readinessProbe": "/readyz",
                        "livenessProbe": "/healthz"}.items():  # fmt: skip
        assert faiss[probe]["httpGet"] == {"path": path, "port": "sidecar-metrics"}


@pytest.mark.parametrize("startup_seconds", [1, 120, 1000])
def test_no_probe_ends_a_container_that_loads(startup_seconds: int) -> None:
    chart = Rendered("minimal", "--set", f"startupSeconds={startup_seconds}")
    assert chart.settings["model"]["startupTimeout"] == startup_seconds
    for name in ("faiss", "torchserve"):
        probe = chart.container(name)["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= startup_seconds
    # A worker that died loads again behind a frontend that lives.
    liveness = chart.container("torchserve")["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] > startup_seconds
    deadline = chart.one("Deployment")["spec"]["progressDeadlineSeconds"]
    fetching = int(options(chart.container("fetch-release"))["timeout-seconds"])
    assert deadline > ANSWER_SECONDS + fetching + 2 * startup_seconds


def test_requests_are_answered_before_a_pod_ends() -> None:
    settings = "drainSeconds=7,torchserve.responseTimeoutSeconds=40"
    chart = Rendered("minimal", "--set", settings)
    pre_stop = chart.container("torchserve")["lifecycle"]["preStop"]
    assert pre_stop["exec"]["command"] == ["sleep", "7"]
    assert chart.settings["model"]["responseTimeout"] == 40
    assert chart.pod["terminationGracePeriodSeconds"] > 7 + 40


def test_an_upgrade_never_takes_a_pod_away_before_another_is_ready(minimal: Rendered) -> None:
    strategy = minimal.one("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_are_replaced_when_their_configuration_changes() -> None:
    def checksum(*settings: str) -> str:
        chart = Rendered("minimal", *settings)
        annotations = chart.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/config"]

    assert checksum() == checksum("--set", "replicaCount=5")
    assert checksum() != checksum("--set", "torchserve.batchSize=4")


def test_the_failure_of_a_container_is_in_its_state(rendered: Rendered) -> None:
    for container in containers(rendered.pod):
        # The fetch writes its reason itself: its log ends with a progress bar.
        policy = container.get("terminationMessagePolicy", "File")
        expected = "File" if container["name"] == "fetch-release" else "FallbackToLogsOnError"
        assert policy == expected


def test_names_stay_within_the_limit_of_kubernetes() -> None:
    long = "a" * 63
    rendered = template("s3", "--set", f"fullnameOverride={long}")
    assert f"name: {long}" in rendered
    assert f"name: {long[:55]}-metrics" in rendered
    assert NAME not in rendered


def test_values_reach_the_servers() -> None:
    settings = (
        "sidecar.deadlineMilliseconds=250,sidecar.queueSize=7,sidecar.recallSamplePercent=25,"
        "torchserve.batchSize=4,"
        "torchserve.maxBatchDelayMilliseconds=2,torchserve.queueSize=9,torchserve.maxConditions=0,"
        "torchserve.responseTimeoutSeconds=3,release.version=20260101T000000Z-0123abcd"
    )
    chart = Rendered("minimal", "--set", settings)
    assert (
        options(chart.container("faiss")).items()
        >= {
            "deadline-seconds": "0.25",
            "max-waiting": "7",
            "recall-share": "0.25",
        }.items()
    )
    assert chart.settings["server"]["response_timeout_seconds"] == 3
    assert chart.settings["server"]["max_queued"] == 9
    assert chart.settings["model"] == {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 4,
        "maxBatchDelay": 2,
        "responseTimeout": 3,
        "startupTimeout": 120,
        "handler": {"sidecar_deadline_seconds": 0.25, "torch_threads": 1, "max_conditions": 0},
    }
    assert options(chart.container("fetch-release"))["version"] == "20260101T000000Z-0123abcd"


def test_the_defaults_are_those_of_the_servers(minimal: Rendered) -> None:
    assert msgspec.convert(minimal.settings["model"], ModelSettings) == DEFAULT_SETTINGS
    server = minimal.settings["server"]
    assert msgspec.convert(server, ServerSettings) == ServerSettings()
    assert server.keys() <= set(ServerSettings.__struct_fields__)
    sidecar = options(minimal.container("faiss"))
    assert sidecar["max-waiting"] == str(SidecarSettings().max_waiting)
    assert sidecar["recall-share"] == str(SidecarSettings().recall_share)


def test_redis_is_asked_where_it_is_given_and_its_password_stays_in_the_secret(
    minimal: Rendered,
) -> None:
    url = "rediss://homefeed@redis.example.com:6379/1"
    settings = f"users.redis.url={url},users.redis.passwordSecret=redis"
    settings += ",users.redis.maxAgeSeconds=86400,users.redis.deadlineMilliseconds=20"
    chart = Rendered("minimal", "--set", settings)
    handler = msgspec.convert(chart.settings["model"], ModelSettings).handler
    assert handler.redis == RedisSettings(url=url, deadline_seconds=0.02, max_age_seconds=86400)
    secret = {"secretKeyRef": {"name": "redis", "key": "password"}}
    variable = {"name": PASSWORD_VARIABLE, "valueFrom": secret}
    assert variable in chart.container("torchserve")["env"]
    for name in ("fetch-release", "faiss"):
        assert variable not in chart.container(name).get("env", [])
    # By default there is none.
    names = [each["name"] for each in minimal.container("torchserve")["env"]]
    assert PASSWORD_VARIABLE not in names


@pytest.mark.parametrize(
    "url", ["redis://redis", "redis://redis:6379/0?health_check_interval=30", "redis://[::1]:6379"]
)
def test_urls_of_redis_that_serving_takes_are_taken(url: str) -> None:
    chart = Rendered("minimal", "--set", f"users.redis.url={url}")
    assert msgspec.convert(chart.settings["model"], ModelSettings).handler.redis.url == url
