import xml.etree.ElementTree as ET
from pathlib import Path

from serving.torchserve.archive import MODEL, MODEL_FOLDER
from serving.torchserve.config import (
    CONFIG_FILE,
    LOG_CONFIG_FILE,
    ServerSettings,
    torchserve_command,
    write_server_config,
)
from serving.torchserve.request import MAX_BODY_BYTES


def written(folder: Path, settings: ServerSettings) -> dict[str, str]:
    write_server_config(folder, settings)
    lines = (folder / CONFIG_FILE).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_by_default_only_the_machine_itself_manages(tmp_path: Path) -> None:
    properties = written(tmp_path, ServerSettings())
    assert properties["inference_address"] == "http://0.0.0.0:8080"
    assert properties["metrics_address"] == "http://0.0.0.0:8082"
    assert properties["management_address"] == "http://127.0.0.1:8081"
    assert properties["enable_model_api"] == "false"
    assert properties["allowed_urls"] == "none"
    assert properties["install_py_dep_per_model"] == "false"


def test_the_model_is_loaded_from_its_folder(tmp_path: Path) -> None:
    assert written(tmp_path, ServerSettings())["load_models"] == f"{MODEL}={MODEL_FOLDER}"


def test_settings_arrive_under_torchserves_names(tmp_path: Path) -> None:
    settings = ServerSettings(
        inference_address="127.0.0.1:1",
        management_address="127.0.0.1:2",
        metrics_address="127.0.0.1:3",
        grpc_inference_port=4,
        grpc_management_port=5,
        max_request_bytes=6,
        response_timeout_seconds=7,
        max_queued=8,
    )
    properties = written(tmp_path, settings)
    assert (
        properties.items()
        >= {
            "inference_address": "http://127.0.0.1:1",
            "management_address": "http://127.0.0.1:2",
            "metrics_address": "http://127.0.0.1:3",
            "grpc_inference_port": "4",
            "grpc_management_port": "5",
            "max_request_size": "6",
            "default_response_timeout": "7",
            "job_queue_size": "8",
        }.items()
    )


def test_a_body_that_is_too_large_for_the_handler_still_reaches_it() -> None:
    assert ServerSettings().max_request_bytes > 10 * MAX_BODY_BYTES


def test_the_log_configuration_is_xml_and_spares_single_requests(tmp_path: Path) -> None:
    write_server_config(tmp_path, ServerSettings())
    root = ET.parse(tmp_path / LOG_CONFIG_FILE).getroot()
    levels = {logger.get("name"): logger.get("level") for logger in root.iter("Logger")}
    assert levels["ACCESS_LOG"] == "warn"
    assert levels["org.pytorch.serve.http.HttpRequestHandler"] == "off"


def test_the_command_names_files_that_exist(tmp_path: Path) -> None:
    command = torchserve_command(tmp_path / "c d", tmp_path / "store", tmp_path / "tmp")
    java, python = Path(command[0]), Path(command[command.index("--python") + 1])
    assert java.is_file()
    assert python.is_file()
    home = next(part for part in command if part.startswith("-Dmodel_server_home="))
    assert (Path(home.split("=")[1]) / "ts" / "model_service_worker.py").is_file()
    (classes,) = [part for part in command if part.endswith("/frontend/*")]
    assert list(Path(classes).parent.glob("*.jar"))
    assert command[command.index("-f") + 1] == str(tmp_path / "c d" / CONFIG_FILE)
    assert command[command.index("-s") + 1] == str(tmp_path / "store")
    assert "-ncs" in command
