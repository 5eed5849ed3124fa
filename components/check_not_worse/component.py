"""Step 12: a release that is worse than the one in production goes no further."""

from kfp import dsl

from components.step import step


@step
def check_not_worse(evaluation: dsl.Input[dsl.Artifact], config: str) -> str:
    """Refuses a release that is worse than the one in production for the same users.

    Args:
        evaluation: the evaluation artifact.
        config: the recipe's evaluation section, as YAML.

    Returns:
        What was found, to be read.
    """
    from homefeed.stage import stage

    with stage("check_not_worse"):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.evaluation import gate
        from homefeed.evaluation.config import EvaluationConfig
        from homefeed.evaluation.layout import read_evaluation

        found = gate.check_not_worse(
            read_evaluation(Path(evaluation.path)),
            from_yaml(config, EvaluationConfig, "evaluation"),
        )
        print(found)
        return found
