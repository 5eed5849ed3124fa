"""The last step: whatever became of the run is reported."""

from kfp import dsl

from components.step import step


@step
def report_run(
    pipeline: str,
    last_step: str,
    run_id: str,
    run_name: str,
    webhook: str,
    report: dsl.Output[dsl.Markdown],
    status: dsl.PipelineTaskFinalStatus,
) -> None:
    """Says how a run ended: in one line of its log, as a report to read, and to a webhook.

    Args:
        pipeline: name of the pipeline.
        last_step: the step that waits for all others: where it succeeded, the run did.
        run_id: of the run.
        run_name: of the run, as people gave it.
        webhook: URL that the report is posted to as JSON; empty for none. One that fails is noted
            in the log and fails nothing.
        report: the state and, where the run failed, which step did and what it said.
        status: how the other steps ended; KFP's own.
    """
    from homefeed.stage import stage

    with stage("report_run"):
        from pathlib import Path

        from components.report_run.ending import Failure, find_ending
        from components.report_run.report import Report, post

        known = Failure(status.pipeline_task_name, status.error_message or "")
        state, failures = find_ending(status.state, known, run_id, last_step)
        found = Report(pipeline, run_id, run_name, state, failures)
        print(found.as_line())
        Path(report.path).write_text(found.as_markdown(), "utf-8")
        if webhook:
            print(post(webhook, found.as_json()))
