"""Step 11: the release is measured beside the one in production and the baselines."""

from kfp import dsl

from components.step import step


@step
def evaluate_release(
    release: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    towers: dsl.Input[dsl.Model],
    config: str,
    seed: int,
    production: str,
    store: str,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Measures the release on the test split, through its own tower and search engine.

    Args:
        release: the release.
        dataset: the dataset artifact that it was made of.
        towers: the towers artifact, for how the training went.
        config: the recipe's evaluation section, as YAML.
        seed: of the samples of users.
        production: version of the release in production; empty for none.
        store: URL of the release store that holds it; may be empty.
        evaluation: the evaluation artifact.
        metrics: of the model, of production and of each baseline: "model recall@10".
        report: the same and more, to read.
    """
    from homefeed.stage import stage

    with stage("evaluate_release", evaluation.metadata):
        import shutil
        from pathlib import Path

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.evaluation import evaluate
        from homefeed.evaluation.config import EvaluationConfig
        from homefeed.evaluation.layout import REPORT_FILE, read_evaluation

        output = Path(evaluation.path)
        evaluate.evaluate_release(
            Path(release.path),
            Path(dataset.path),
            Path(towers.path),
            from_yaml(config, EvaluationConfig, "evaluation"),
            seed,
            output,
            production,
            store,
        )
        found = read_evaluation(output)
        by_name = {**found.recommenders, "index": found.ann_recall}
        log_metrics(
            metrics,
            {f"{who} {name}": v for who, values in by_name.items() for name, v in values.items()},
        )
        shutil.copyfile(output / REPORT_FILE, report.path)
