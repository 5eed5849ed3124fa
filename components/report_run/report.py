"""What is said of a run that has ended, and how it is sent on."""

import http.client
import json
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

from components.report_run.failures import Failure

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Report:
    """How a run ended; as JSON it is what a webhook gets."""

    pipeline: str
    run_id: str
    run_name: str
    state: str
    """`SUCCEEDED`, `FAILED` or `CANCELLED`; `UNKNOWN` where neither KFP nor the pods tell."""
    failures: list[Failure]

    def as_line(self) -> str:
        """All of it in one line, for the log."""
        said = "; ".join(f"{each.task}: {each.message or 'see its log'}" for each in self.failures)
        line = f"{self.pipeline}, run {self.run_name} ({self.run_id}): {self.state}"
        return " ".join(f"{line}; {said}".split()) if said else line

    def as_markdown(self) -> str:
        """All of it as KFP's interface shows it."""
        lines = [f"# {self.state}", "", f"{self.pipeline}, run {self.run_name} (`{self.run_id}`)"]
        for each in self.failures:
            lines += ["", f"## Failed: {each.task}", ""]
            # Indented, so that nothing in a message is taken for Markdown.
            message = each.message or "no message: see the step's log"
            lines += [f"    {line}" for line in message.splitlines()]
        return "\n".join([*lines, ""])

    def as_json(self) -> dict[str, Any]:
        """The webhook's body; `text` is what chat services show."""
        return {"text": self.as_line(), **asdict(self)}


def post(url: str, body: dict[str, Any]) -> str:
    """Posts JSON; whatever comes of it, nothing is raised: a run does not fail by its report.

    Returns:
        What came of it, for the log. Of the URL it names the host alone: whoever knows the URL of
        a chat service's webhook may post there.
    """
    host = "without a host"
    try:
        host = urllib.parse.urlsplit(url).hostname or host
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return f"the webhook {host} answered {answer.status}"
    except OSError as error:
        return f"the webhook {host} was not reached: {error}"
    # They quote the URL.
    except (ValueError, http.client.HTTPException) as error:
        return f"the webhook {host} was not reached: {type(error).__name__}, check its URL"
