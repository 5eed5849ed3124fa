"""Runs TorchServe in a container: `python -m serving.torchserve --settings FILE`.

    --settings FILE      YAML: `server` and `model`, see `Settings`; what it leaves out is default

The environment is the handler's (serving/torchserve/handler.py). TorchServe's own files go to a
temporary folder. TorchServe takes this process' place, so that signals reach it. Exits with 2 when
the settings cannot be used.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from serving.torchserve.archive import write_model_store
from serving.torchserve.config import ServerSettings, torchserve_command, write_server_config
from serving.torchserve.settings import DEFAULT_SETTINGS, ModelSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    model: ModelSettings = DEFAULT_SETTINGS
    """In place of those that the release was built with: only the pod knows its own CPUs."""


def main() -> None:
    """Parses the command line, writes TorchServe's files and becomes TorchServe."""
    parser = argparse.ArgumentParser(
        "python -m serving.torchserve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settings", type=Path, required=True)
    given = parser.parse_args()
    try:
        settings = msgspec.yaml.decode(given.settings.read_bytes(), type=Settings)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"{given.settings} cannot be used: {error}", file=sys.stderr)
        sys.exit(2)
    # The values of workers that ended with the last container; their process ids come again.
    for values in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db"):
        values.unlink()
    work = Path(tempfile.mkdtemp(prefix="torchserve-"))
    model_store, temporary = work / "model-store", work / "tmp"
    write_server_config(work, settings.server)
    write_model_store(model_store, settings.model)
    temporary.mkdir()
    command = torchserve_command(work, model_store, temporary)
    os.chdir(work)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
