"""gRPC, which TorchServe offers on the pod's loopback beside REST, by TorchServe's own `.proto`."""

import json
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from zipfile import ZipFile

import grpc
import httpx
import pytest

from serving.client.client import PATH
from serving.local import LocalServing
from serving.torchserve.archive import MODEL
from tests.serving.asking import describe, server_properties

TIMEOUT_SECONDS = 60
SECRET = "secret-user-of-grpc"


class Service(NamedTuple):
    """A gRPC service: what to call, and its messages."""

    stub: Any
    messages: ModuleType


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """TorchServe's `.proto` files where grpcio-tools looks for them, on Python's path."""
    package = find_spec("ts")
    assert package is not None and package.origin is not None
    (jar,) = (Path(package.origin).parent / "frontend").glob("*.jar")
    folder = tmp_path_factory.mktemp("protos")
    with ZipFile(jar) as archive:
        archive.extractall(folder, ["inference.proto", "management.proto"])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


def connected(serving: LocalServing, work: Path, name: str) -> Iterator[Service]:
    """One of TorchServe's services, `inference` or `management`."""
    port = server_properties(work)[f"grpc_{name}_port"]
    messages, services = grpc.protos_and_services(f"{name}.proto")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        make_stub = getattr(services, f"{name.capitalize()}APIsServiceStub")
        yield Service(make_stub(channel), messages)


@pytest.fixture(scope="module")
def inference(serving: LocalServing, work: Path, protos: None) -> Iterator[Service]:
    yield from connected(serving, work, "inference")


@pytest.fixture(scope="module")
def management(serving: LocalServing, work: Path, protos: None) -> Iterator[Service]:
    yield from connected(serving, work, "management")


def predict(inference: Service, body: bytes, part: str = "body", model: str = MODEL) -> Any:
    request = inference.messages.PredictionsRequest(model_name=model, input={part: body})
    answer = inference.stub.Predictions(request, timeout=TIMEOUT_SECONDS)
    return json.loads(answer.prediction)


@pytest.mark.parametrize(
    "request_",
    [
        {"user_id": "reader", "k": 7},
        {"user_id": "größe", "interests": ["größe"], "features": {"age": "18"}},
        {"user_id": "reader", "k": 0},
        {"user_id": "reader", "interests": ["chess"]},
    ],
)
def test_the_answer_is_that_of_rest_without_its_status(
    api: httpx.Client, inference: Service, request_: dict[str, Any]
) -> None:
    body = json.dumps(request_).encode()
    assert predict(inference, body) == api.post(PATH, json=request_).json()


def test_another_part_than_the_body_is_refused(inference: Service) -> None:
    assert predict(inference, b'{"user_id": "reader"}', "data")["error"]["field"] == "body"


def test_torchserves_own_errors_are_those_of_grpc(inference: Service) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        predict(inference, b'{"user_id": "reader"}', model="none")
    assert caught.value.code() == grpc.StatusCode.INTERNAL


def test_no_user_is_found_in_metrics_or_logs(
    serving: LocalServing, work: Path, inference: Service
) -> None:
    predict(inference, f'{{"user_id": "{SECRET}"}}'.encode())
    predict(inference, f'{{"user_id": "{SECRET}", "k": 0}}'.encode())
    predict(inference, SECRET.encode(), part=SECRET)
    with pytest.raises(grpc.RpcError):
        predict(inference, SECRET.encode() * (1 << 20))
    held = [httpx.get(url).text for url in serving.state.metrics_urls.values()]
    held += [path.read_text(errors="replace") for path in (work / "logs").iterdir()]
    assert len(held) == 5
    assert not any(SECRET in text for text in held)


@pytest.mark.parametrize("name", ["inference", "management"])
def test_it_is_reached_from_this_machine_only(serving: LocalServing, work: Path, name: str) -> None:
    port = int(server_properties(work)[f"grpc_{name}_port"])
    socket.create_connection(("127.0.0.1", port)).close()
    # Whoever listens on all addresses, loopback or not, is reached by this one too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))


def test_models_can_be_neither_added_nor_taken_away(
    serving: LocalServing, management: Service
) -> None:
    store = Path(serving.state.release) / "model-store" / "homefeed-retrieval"
    stub, messages = management
    added = messages.RegisterModelRequest(url=store.as_uri(), model_name="mine")
    removed = messages.UnregisterModelRequest(model_name=MODEL)
    for call, request in ((stub.RegisterModel, added), (stub.UnregisterModel, removed)):
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=TIMEOUT_SECONDS)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert describe(serving)["modelName"] == MODEL
