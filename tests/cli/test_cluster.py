"""`homefeed compile`, `submit` and `schedule`, as processes."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from homefeed.cli import cluster, cluster_commands
from pipelines.compile import PIPELINES
from pipelines.tasks import GPU
from tests.cli.homefeed_process import run_homefeed
from tests.cli.kfp_recorder import API, record_kfp
from tests.http_recorder import record

CRON = "0 0 3 * * *"
IMAGE = "registry.example.org/homefeed:1.2.3"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine at which nothing answers."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def submit(host: str, *options: str, name: str = "train_and_release") -> CompletedProcess[str]:
    return run_homefeed("submit", name, "--host", host, "--recipe", "ml-100k", *options)


def assert_refused(finished: CompletedProcess[str], *said: str) -> None:
    assert finished.returncode == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    for text in said:
        assert text in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_every_pipeline_is_compiled_for_the_gpus_and_images_asked_for(tmp_path: Path) -> None:
    options = ("--output", tmp_path, "--gpus", "4", "--gpu-type", "amd.com/gpu", "--image", IMAGE)
    finished = run_homefeed("compile", *options)
    assert finished.returncode == 0, finished.stderr
    files = [Path(line) for line in finished.stdout.splitlines()]
    assert sorted(files) == sorted(tmp_path.iterdir())
    stems = {file.stem.removesuffix("_gpu").removesuffix("_nodes") for file in files}
    assert stems == set(PIPELINES)
    for file in files:
        pipeline, *_ = yaml.safe_load_all(file.read_text())
        containers = [
            each["container"] for each in pipeline["deploymentSpec"]["executors"].values()
        ]
        assert {container["image"] for container in containers} == {IMAGE}
        asked = [
            (part["accelerator"]["resourceType"], part["accelerator"]["resourceCount"])
            for part in (container.get("resources", {}) for container in containers)
            if "accelerator" in part
        ]
        assert asked == ([("amd.com/gpu", "4")] if file.stem.endswith("_gpu") else [])


def test_an_image_that_may_change_is_refused(tmp_path: Path) -> None:
    finished = run_homefeed("compile", "--output", tmp_path, "--image", "homefeed:latest")
    assert_refused(finished, "'homefeed:latest' may change under its name")
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_pipeline_and_the_usual_gpu() -> None:
    finished = run_homefeed("submit", "--help")
    assert [name for name in PIPELINES if name not in finished.stdout] == []
    assert cluster_commands.GPU == GPU


def test_a_run_is_submitted_with_its_recipe_and_watched_to_its_end() -> None:
    with record_kfp() as (server, _):
        options = ("--param", "pins_per_shard=1000", "--run-name", "first", "--wait")
        finished = submit(server.url, *options, "--service-account", "pipeline-runner")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"submitted first: {server.url}/#/runs/details/r1\n"
    _, *states = finished.stderr.splitlines()
    assert [line.split()[1] for line in states] == ["PENDING", "RUNNING", "SUCCEEDED"]
    (experiment,) = server.told("POST", f"{API}/experiments")
    assert experiment.body["display_name"] == "homefeed"
    (run,) = server.told("POST", f"{API}/runs")
    assert (run.body["display_name"], run.body["experiment_id"]) == ("first", "e1")
    assert run.body["service_account"] == "pipeline-runner"
    parameters = run.body["runtime_config"]["parameters"]
    assert parameters == {"recipe": "ml-100k", "pins_per_shard": 1000}
    assert spec_of(run.body)["pipelineInfo"]["name"] == "train-and-release"


def spec_of(body: dict[str, Any]) -> dict[str, Any]:
    return body["pipeline_spec"]["pipeline_spec"]


def test_a_run_that_is_waited_for_and_fails_is_an_error() -> None:
    with record_kfp(end="FAILED") as (server, _):
        finished = submit(server.url, "--wait")
    assert finished.returncode == 1
    last = finished.stderr.splitlines()[-1]
    assert last == f"homefeed: the run ended as FAILED: {server.url}/#/runs/details/r1"


def test_a_run_is_watched_on_after_an_outage() -> None:
    with record_kfp() as (server, kfp):
        kfp.outages = 1
        finished = submit(server.url, "--wait")
    assert finished.returncode == 0, finished.stderr
    _, *states = finished.stderr.splitlines()
    said = [line.split(maxsplit=1)[1] for line in states]
    assert said == ["PENDING", "no answer, asking again", "RUNNING", "SUCCEEDED"]


def test_a_run_that_is_not_heard_of_any_more_is_not_called_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "SILENCE_SECONDS", 0.0)
    with record_kfp() as (server, kfp):
        kfp.outages = 1
        order = cluster.Order(
            pipeline="train_and_release",
            host=server.url,
            recipe="ml-100k",
            parameters=(),
            images=cluster.Images(None, None),
            num_gpus=0,
            gpu_type=GPU,
            num_nodes=1,
            look_at_nodes=False,
            namespace=None,
            service_account=None,
            experiment="homefeed",
            name=None,
        )
        with pytest.raises(RuntimeError) as error:
            cluster.submit(order, wait=True)
    url = f"{server.url}/#/runs/details/r1"
    assert f"was heard of the run for 0 seconds; it goes on, see {url}. " in str(error.value)
    assert str(error.value).endswith("as `kubectl port-forward` makes one")


def test_a_schedule_is_replaced_and_not_doubled() -> None:
    with record_kfp() as (server, kfp):
        options = ("--host", server.url, "--cron", CRON, "--param", "store=s3://b/releases")
        account = ("--service-account", "pipeline-runner")
        command = ("schedule", "refresh_corpus", "--recipe", "ml-100k", *options, *account)
        first = run_homefeed(*command)
        assert first.returncode == 0, first.stderr
        assert first.stdout == (
            f"scheduled refresh_corpus at '{CRON}': {server.url}/#/recurringrun/details/s1\n"
        )
        assert kfp.schedules == {"s1": "refresh_corpus"}
        second = run_homefeed(*command)
        assert second.stdout.startswith(f"replaced refresh_corpus at '{CRON}': ")
        assert kfp.schedules == {"s2": "refresh_corpus"}
    made, _ = server.told("POST", f"{API}/recurringruns")
    assert made.body["trigger"] == {"cron_schedule": {"cron": CRON}}
    assert made.body["no_catchup"] is True
    assert made.body["service_account"] == "pipeline-runner"
    assert made.body["runtime_config"]["parameters"]["store"] == "s3://b/releases"
    listed, _ = server.told("GET", f"{API}/recurringruns")
    (predicate,) = json.loads(listed.query["filter"])["predicates"]
    assert (predicate["key"], predicate["stringValue"]) == ("display_name", "refresh_corpus")


def test_a_schedule_that_is_refused_leaves_the_earlier_one() -> None:
    with record_kfp() as (server, kfp):
        kfp.schedules["s1"] = "train_and_release"
        kfp.refuses_schedules = True
        command = ("schedule", "train_and_release", "--recipe", "ml-100k", "--host", server.url)
        assert_refused(run_homefeed(*command, "--cron", "0 0 25 * * *"), "'25' is no hour")
        assert server.asked == []
        assert_refused(run_homefeed(*command, "--cron", CRON), "400, no such pipeline root")
        assert kfp.schedules == {"s1": "train_and_release"}


def test_a_schedule_that_cannot_replace_the_earlier_one_names_both() -> None:
    with record_kfp() as (server, kfp):
        kfp.schedules["s1"] = "train_and_release"
        kfp.keeps_schedules = True
        command = ("schedule", "train_and_release", "--recipe", "ml-100k", "--host", server.url)
        finished = run_homefeed(*command, "--cron", CRON)
        url = f"{server.url}/#/recurringrun/details"
        assert_refused(finished, f"made, as {url}/s2, but", f"{url}/s1 (", "user may not delete")
        assert finished.stdout == ""
        kfp.keeps_schedules = False
        again = run_homefeed(*command, "--cron", CRON)
        assert again.returncode == 0, again.stderr
        assert kfp.schedules == {"s3": "train_and_release"}


def test_a_host_that_does_not_answer_is_named_with_what_to_do(closed_port: int) -> None:
    host = f"http://127.0.0.1:{closed_port}"
    said = (f"KFP at {host} does not answer within 10 s", "check --host", "port-forward")
    assert_refused(submit(host), *said)


def test_a_host_that_is_no_kfp_is_refused() -> None:
    with record(lambda asked: (404, "")) as server:
        said = f"{server.url} answers, but not as KFP 2 does: {API}/healthz gave 404"
        assert_refused(submit(server.url), said)
    with record(lambda asked: (200, "<html>Log in</html>")) as server:
        assert_refused(submit(server.url), "gave 200 and no JSON", "past any login page")
    assert_refused(submit("kfp.example.org"), "'kfp.example.org' must begin with http://")


def test_what_kfp_refuses_is_told_in_its_words() -> None:
    def answer(asked: Any) -> tuple[int, Any]:
        if asked.path.endswith("healthz"):
            return 200, {"multi_user": False}
        return 403, {"error": "", "message": "user may not list experiments"}

    with record(answer) as server:
        said = f"KFP at {server.url} refuses: 403, user may not list experiments"
        assert_refused(submit(server.url), said)


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        ((), "train_everything", "no pipeline 'train_everything': there are train_and_release, "),
        (("--param", "shop=1"), "train_and_release", "has no parameter 'shop'"),
        (("--gpus", "2"), "refresh_corpus", "trains nothing, so 2 GPUs would stay idle"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_before_kfp_is_asked(
    options: tuple[str, ...], name: str, said: str, closed_port: int
) -> None:
    assert_refused(submit(f"http://127.0.0.1:{closed_port}", *options, name=name), said)
