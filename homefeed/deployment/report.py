"""A deployment as files: JSON for programs, a page for people."""

from pathlib import Path

import msgspec

from homefeed.deployment.layout import DEPLOYMENT_FILE, GOOD, REPORT_FILE, Deployment
from homefeed.pages.render import render

TEMPLATE = "report.html.j2"


def write_deployment(deployment: Deployment, output: Path) -> None:
    """Writes both files."""
    output.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(deployment), indent=2) + b"\n"
    (output / DEPLOYMENT_FILE).write_bytes(text)
    page = render(
        Path(__file__).parent / TEMPLATE,
        {},
        deployment=deployment,
        is_good=deployment.outcome in GOOD,
    )
    (output / REPORT_FILE).write_text(page, "utf-8")


def read_deployment(output: Path) -> Deployment:
    """Reads a deployment's JSON back."""
    return msgspec.json.decode((output / DEPLOYMENT_FILE).read_bytes(), type=Deployment)
