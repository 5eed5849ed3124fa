"""What a container finds in itself, as JSON; runs with nothing but the image's Python."""

import importlib.util
import json
import os
from pathlib import Path


def is_there(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def programs() -> list[str]:
    """Names of all programs in PATH."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(":")]
    return sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir()})


MODULES = (
    *("homefeed.towers", "homefeed.dataset", "homefeed.evaluation", "homefeed.index"),
    *("components", "pipelines", "kfp", "torchrec", "duckdb", "ibis", "pandas", "pyarrow"),
    *("torch", "ts", "faiss", "pip"),
)
print(
    json.dumps(
        {
            "user": f"{os.getuid()}:{os.getgid()}",
            "programs": programs(),
            "modules": [name for name in MODULES if is_there(name)],
        }
    )
)
