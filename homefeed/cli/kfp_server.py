"""Kubeflow Pipelines as the commands talk to it: within a set time, its errors as one line."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import kfp
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import HTTPError

from homefeed.time_limit import time_limit

HEALTH = "/apis/v2beta1/healthz"
CONNECT_SECONDS = 10.0
CONVERSATION_SECONDS = 60
"""What all requests of a command may take together."""


@contextmanager
def connect(host: str, namespace: str | None) -> Iterator[kfp.Client]:
    """A client of KFP, once that has answered; what the client prints is left out.

    Args:
        host: URL of KFP.
        namespace: of the user, where KFP has several; None where it has not.

    Raises:
        RuntimeError: it does not answer in time, is no KFP, or refuses a request.
    """
    _check_alive(host)
    complaint = f"KFP at {host} did not answer all requests within {CONVERSATION_SECONDS} seconds"
    limit = time_limit(CONVERSATION_SECONDS, complaint)
    with limit, contextlib.redirect_stdout(io.StringIO()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                client = kfp.Client(host=host, namespace=namespace or "kubeflow")
            yield client
        except ApiException as error:
            raise RuntimeError(f"KFP at {host} refuses: {_explain(error)}") from error
        except HTTPError as error:
            raise RuntimeError(f"KFP at {host} does not answer any more: {error}") from error


def _check_alive(host: str) -> None:
    if not host.startswith(("http://", "https://")):
        raise ValueError(f"the KFP host {host!r} must begin with http:// or https://")
    try:
        # As KFP's client does, past any proxy.
        answer = httpx.get(host.rstrip("/") + HEALTH, timeout=CONNECT_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RuntimeError(
            f"KFP at {host} does not answer within {CONNECT_SECONDS:g} s "
            f"({str(error) or type(error).__name__}): check --host, and that it can be reached "
            "from here, as by `kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80` and "
            "--host http://localhost:8080"
        ) from error
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    if not is_json:
        raise RuntimeError(
            f"{host} answers, but not as KFP 2 does: {HEALTH} gave {answer.status_code} and no "
            "JSON. Give the URL below which KFP's API is, past any login page, as `kubectl "
            "port-forward` makes one"
        )


def _explain(error: ApiException) -> str:
    try:
        said = json.loads(error.body or "")
        reason = said.get("message") or said.get("error") or error.reason
    except (TypeError, ValueError, AttributeError):
        reason = error.reason
    return f"{error.status}, {reason}"
