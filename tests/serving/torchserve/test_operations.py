"""What operators see, and what nobody but them may do."""

import json
import socket
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.client.client import PATH
from serving.local import LocalServing
from serving.torchserve.archive import MODEL
from serving.torchserve.metrics import STAGES
from tests.serving.observing import metric

SECRET = "secret-user-id"


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("torchserve", "ts_inference_requests_total"),
        ("handler", "homefeed_retrieval_requests_total"),
        ("sidecar", "homefeed_sidecar_requests_total"),
    ],
)
def test_every_server_counts_requests_for_prometheus(
    api: httpx.Client, serving: LocalServing, server: str, name: str
) -> None:
    url = serving.state.metrics_urls[server]
    before = metric(url, name)
    for _ in range(3):
        assert api.post(PATH, json={"user_id": "reader"}).status_code == 200
    assert metric(url, name) == before + 3
    answer = httpx.get(url)
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)


def test_every_stage_is_timed(api: httpx.Client, serving: LocalServing) -> None:
    url = serving.state.metrics_urls["handler"]

    def counts() -> dict[str, float]:
        name = "homefeed_retrieval_stage_seconds_count"
        return {stage: metric(url, name, stage=stage) for stage in STAGES}

    before = counts()
    api.post(PATH, json={"user_id": "reader"})
    assert counts() == {stage: count + 1 for stage, count in before.items()}
    api.post(PATH, json={"user_id": "reader", "k": 0})
    beyond_hydration = {stage: count + 1 for stage, count in before.items()}
    assert counts() == beyond_hydration | {
        "hydrate": before["hydrate"] + 2,
        "total": before["total"] + 2,
    }


def test_cold_starts_are_counted(api: httpx.Client, serving: LocalServing) -> None:
    url = serving.state.metrics_urls["handler"]
    before = metric(url, "homefeed_retrieval_cold_starts_total")
    for user_id in ("reader", "nobody", "lurker", "no one"):
        api.post(PATH, json={"user_id": user_id})
    assert metric(url, "homefeed_retrieval_cold_starts_total") == before + 2


def test_no_user_is_found_in_metrics_or_logs(
    api: httpx.Client, serving: LocalServing, work: Path
) -> None:
    api.post(PATH, json={"user_id": SECRET, "exclude": [SECRET]})
    api.post(PATH, json={"user_id": SECRET, "k": 0})
    api.post(PATH, json={"user_id": SECRET, SECRET: 0})
    api.post(PATH, content=f'{{"user_id": "{SECRET}"')
    api.get(PATH, params={"user_id": SECRET})
    api.post(PATH, data={"user_id": SECRET})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    api.post(PATH, content=f"user_id={SECRET}%zz", headers=form)
    api.post(PATH, content=SECRET.encode() * (1 << 20))
    api.post(f"/predictions/{SECRET}", json={"user_id": SECRET})
    api.post(f"{PATH}/{SECRET}", json={"user_id": SECRET})
    for path in (
        f"/explanations/{MODEL}",
        f"/v1/models/{MODEL}:predict",
        f"/wfpredict/{SECRET}",
        f"/{SECRET}",
    ):
        api.post(path, json={"user_id": SECRET})
    for url in serving.state.metrics_urls.values():
        assert SECRET not in httpx.get(url).text
    logs = [path for path in work.rglob("*") if path.is_file()]
    assert {path.name for path in logs} >= {"torchserve.log", "sidecar.log"}
    for path in logs:
        assert SECRET not in path.read_text(errors="replace")


def test_the_log_has_no_line_for_each_request(api: httpx.Client, work: Path) -> None:
    log = work / "logs" / "torchserve.log"
    before = log.read_text()
    for _ in range(5):
        api.post(PATH, json={"user_id": "reader"})
        api.post(PATH, json={"user_id": "reader", "k": 0})
    assert log.read_text() == before


def test_the_management_api_is_reached_from_this_machine_only(serving: LocalServing) -> None:
    url = httpx.URL(serving.state.management_url)
    assert url.host == "127.0.0.1"
    assert url.port is not None
    socket.create_connection((url.host, url.port)).close()
    # Whoever listens on all addresses, loopback or not, is reached by this one too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", url.port))


def test_models_can_be_neither_added_nor_taken_away(
    api: httpx.Client, serving: LocalServing
) -> None:
    with httpx.Client(base_url=serving.state.management_url) as management:
        store = Path(serving.state.release) / "model-store" / "homefeed-retrieval"
        added = management.post("/models", params={"url": store.as_uri(), "model_name": "mine"})
        assert added.status_code == 405
        assert management.delete(f"/models/{MODEL}").status_code == 405
        models = management.get("/models").json()["models"]
        assert [model["modelName"] for model in models] == [MODEL]
    assert api.post("/models", params={"url": store.as_uri()}).status_code == 404
    assert api.get("/models").status_code == 404


def test_no_workflow_can_be_added(api: httpx.Client, serving: LocalServing, tmp_path: Path) -> None:
    # TorchServe has no setting that turns workflows off, and would run their code.
    archive = tmp_path / "mine.war"
    workflow = {"workflowName": "mine", "specFile": "spec.yaml", "handler": "handler.py"}
    manifest = {"runtime": "python", "workflow": workflow, "archiverVersion": "0.2.10"}
    with ZipFile(archive, "w") as file:
        file.writestr("WAR-INF/MANIFEST.json", json.dumps(manifest))
        file.writestr("spec.yaml", "models: {mine: {url: mine.mar}}\ndag: {mine: []}\n")
        file.writestr("handler.py", "")
    with httpx.Client(base_url=serving.state.management_url) as management:
        for url in (archive.as_uri(), f"{serving.state.url}/mine.war"):
            answer = management.post("/workflows", params={"url": url})
            assert answer.status_code == 404
            assert "does not match any allowed URL" in answer.json()["message"]
        assert management.get("/workflows").json() == {"workflows": []}
    assert api.post("/workflows", params={"url": archive.as_uri()}).status_code == 404
