"""Writes the model store of a release: the folder that TorchServe loads the model from."""

from pathlib import Path

import msgspec

from serving.torchserve.settings import DEFAULT_SETTINGS, ModelSettings

MODEL = "homefeed"
"""The model's name in the REST path."""
MODEL_FOLDER = "homefeed-retrieval"
"""Its folder, which TorchServe puts on the worker's Python path: a name that no import can have, or
the folder would hide the package."""
SETTINGS_FILE = "model-config.yaml"
MANIFEST = {
    "runtime": "python",
    "archiverVersion": "0.12.0",
    "model": {
        "modelName": MODEL,
        "modelVersion": "1.0",
        # TorchServe's loader imports the handler by this name, from the installed package.
        "handler": "serving.torchserve.handler",
        "configFile": SETTINGS_FILE,
    },
}


def write_model_store(output: Path, settings: ModelSettings = DEFAULT_SETTINGS) -> None:
    """Writes the model as a plain folder, TorchServe's "no-archive" format.

    It holds no weights and nothing of the machine: the handler finds its release by environment
    variables, so equal settings give equal files.

    Args:
        output: the model store; absent or empty.
        settings: how TorchServe and the handler run it.
    """
    folder = output / MODEL_FOLDER
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "MAR-INF" / "MANIFEST.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(MANIFEST), indent=2) + b"\n"
    )
    (folder / SETTINGS_FILE).write_bytes(msgspec.yaml.encode(settings))
