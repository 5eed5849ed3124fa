"""Who a deployment is to Kubernetes: an account of its own, for helm and for the client alike."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kubernetes import client, config

from homefeed.deployment.config import STEP_TOKEN_FOLDER

TOKEN_FOLDERS = (STEP_TOKEN_FOLDER, Path("/var/run/secrets/kubernetes.io/serviceaccount"))
"""Where a pod has the `token` and the `ca.crt` of an account; the first that is there counts."""


@contextmanager
def kubeconfig(folders: tuple[Path, ...] = TOKEN_FOLDERS) -> Iterator[Path | None]:
    """A file that says where the cluster is and who asks.

    Yields:
        None outside of a cluster, where helm and the client find the user's own.
    """
    found = next((folder for folder in folders if (folder / "token").exists()), None)
    if found is None:
        yield None
        return
    with TemporaryDirectory(prefix="homefeed-") as scratch:
        path = Path(scratch) / "kubeconfig"
        path.write_text(json.dumps(_config(found)))
        path.chmod(0o600)
        yield path


def api_client(path: Path | None) -> client.ApiClient:
    """A client of the API.

    Args:
        path: as `kubeconfig` gives it.

    Raises:
        ValueError: no cluster is known.
    """
    try:
        return config.new_client_from_config(None if path is None else str(path))
    except config.ConfigException as error:
        raise ValueError(
            f"no Kubernetes to deploy to is known: {error}. Set KUBECONFIG, or run it in a pod"
        ) from error


def _config(folder: Path) -> dict[str, object]:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    if ":" in host:
        host = f"[{host}]"
    cluster = {
        "server": f"https://{host}:{port}",
        "certificate-authority": str(folder / "ca.crt"),
    }
    name = "homefeed"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        # By its file: a token of a pod's own account is replaced while it is in use.
        "users": [{"name": name, "user": {"tokenFile": str(folder / "token")}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
