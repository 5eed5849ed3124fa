"""Whether a release may take the place of the one in production."""

from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.layout import PRODUCTION, Evaluation


def check_not_worse(evaluation: Evaluation, config: EvaluationConfig) -> str:
    """Refuses a release that is worse than the one in production.

    Worse is one whose metric is lower for the same users by a 95 % interval that leaves out zero.
    One that may be as good passes: it knows what happened since.

    Args:
        evaluation: of the release.
        config: names the metrics.

    Returns:
        What was found, to be read.

    Raises:
        ValueError: the release is worse by one of the metrics; has the figures of all of them.
    """
    version, before = evaluation.release_version, evaluation.production_version
    if not before:
        why = evaluation.left_out.get(PRODUCTION, "there is none")
        return f"release {version} is measured beside none in production: {why}"
    gains = {metric: evaluation.gains[metric] for metric in config.gated}
    found = ", ".join(
        f"{metric} {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        for metric, gain in gains.items()
    )
    if worse := [metric for metric, gain in gains.items() if gain.high < 0]:
        raise ValueError(
            f"release {version} is worse than {before}, which is in production, by "
            f"{', '.join(worse)}: {found}. It is not published; see the evaluation's report. To "
            "publish a worse one, as where the log has changed its meaning, leave the metric out "
            "of evaluation.gate_metrics"
        )
    return f"release {version} beside {before}, which is in production: {found or 'no metrics'}"
