"""Exits with 0 when every worker of a model can answer, else with 1 and why.

    python -m serving.torchserve.ready http://127.0.0.1:8081/models/homefeed

Kubelet's probes run it in the container, as the management address is on the container's loopback;
TorchServe's own /ping is healthy without any worker. It is started every few seconds, so it imports
nothing beyond the standard library.
"""

import http.client
import json
import sys
import urllib.parse

TIMEOUT_SECONDS = 2.0


def why_not_ready(url: str) -> str | None:
    """What keeps a model from answering; None where nothing does.

    Args:
        url: the model's, at TorchServe's management address.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {url}: {error!r}"
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        return f"{url} answers {answer.status}: {body.decode(errors='replace')}"
    statuses = [worker["status"] for worker in json.loads(body)[0]["workers"]]
    if not statuses or any(status != "READY" for status in statuses):
        return f"workers that must be READY: {', '.join(statuses) or 'none yet'}"
    return None


if __name__ == "__main__":
    sys.exit(why_not_ready(sys.argv[1]))
