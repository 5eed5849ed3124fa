"""Rendered objects under the schemas of Kubernetes, and under checkov's policies."""

import json
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import CI_VALUES, template
from tests.tools import chart_check

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
ALL_VALUES = [path.name.removesuffix("-values.yaml") for path in CI_VALUES]
FILES = [f"{values}.yaml" for values in ALL_VALUES]
CUSTOM = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}
EXCEPTIONS = yaml.safe_load((Path(__file__).parent / "policy_exceptions.yaml").read_text())

# The oldest that the chart takes, the oldest with native sidecars, the one it is tested on, and
# the newest.
VERSIONS = [("1.25", "false"), ("1.29", "true"), ("1.34", "true"), ("1.37", "true")]


@pytest.mark.parametrize(("version", "native"), VERSIONS)
def test_the_schemas_of_kubernetes(version: str, native: str, tmp_path: Path) -> None:
    options = ("--kube-version", version, "--set", f"sidecar.native={native}")
    kinds: list[str] = []
    for values in ALL_VALUES:
        rendered = template(values, *options)
        (tmp_path / f"{values}.yaml").write_text(rendered)
        kinds += [each["kind"] for each in yaml.safe_load_all(rendered)]
    finished = chart_check(
        "kubernetes_validate",
        *("--strict", "--kubernetes-version", version, "--no-warn", *FILES),
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stdout
    # It passes over kinds that it does not know.
    known = [kind for kind in kinds if kind not in CUSTOM]
    assert finished.stdout.count("passed for resource") == len(known)


def test_the_schemas_find_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text(template("minimal").replace("sizeLimit", "sizelimit"))
    finished = chart_check("kubernetes_validate", "--strict", "chart.yaml", cwd=tmp_path)
    assert finished.returncode != 0
    assert "sizelimit" in finished.stdout


def test_policies(tmp_path: Path) -> None:
    digests = f"image.torchserve.digest={DIGEST},image.indexSidecar.digest={DIGEST}"
    for values in ALL_VALUES:
        (tmp_path / f"{values}.yaml").write_text(template(values, "--set", digests))
    finished = chart_check(
        "checkov.main",
        *("--framework", "kubernetes", "--skip-download", "--compact", "--output", "json"),
        *("--file", *FILES),
        cwd=tmp_path,
    )
    report = json.loads(finished.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    failed: dict[str, set[str]] = {}
    for check in report["results"]["failed_checks"]:
        kind, _, name = check["resource"].split(".")[:3]
        if kind == "Pod" and not name.endswith("-test"):
            kind = "Deployment"  # its pods, under the policies on how objects go together
        failed.setdefault(f"{kind}/{name}", set()).add(check["check_id"])
    assert failed == {place: set(reasons) for place, reasons in EXCEPTIONS.items()}
