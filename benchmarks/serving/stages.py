"""Where the time of a batch goes, by what handler and sidecar tell Prometheus."""

from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from serving.local import LocalServing

HANDLER = "homefeed_retrieval_stage_seconds"
BATCH = "homefeed_retrieval_batch_size"
SIDECAR = "homefeed_sidecar_stage_seconds"


class Stages(NamedTuple):
    """Sums and counts since the servers started, by stage."""

    sums: dict[str, float]
    counts: dict[str, float]

    def since(self, before: "Stages") -> dict[str, float]:
        """Means of what came after: milliseconds of each stage, and requests a batch."""
        means = {}
        for stage, total in self.sums.items():
            num = self.counts[stage] - before.counts[stage]
            scale = 1.0 if stage == "batch" else 1000.0
            means[stage] = scale * (total - before.sums[stage]) / num
        return means


def read_stages(http: httpx.Client, serving: LocalServing) -> Stages:
    """The stages of a served release until now."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for server in ("handler", "sidecar"):
        text = http.get(serving.state.metrics_urls[server]).text
        for family in text_string_to_metric_families(text):
            if family.name not in (HANDLER, BATCH, SIDECAR):
                continue
            for sample in family.samples:
                stage = sample.labels.get("stage", "batch")
                stage = f"sidecar {stage}" if family.name == SIDECAR else stage
                if sample.name == f"{family.name}_sum":
                    sums[stage] = sample.value
                elif sample.name == f"{family.name}_count":
                    counts[stage] = sample.value
    return Stages(sums, counts)
