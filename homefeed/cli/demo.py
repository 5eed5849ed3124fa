"""`homefeed demo`: the whole road once, with something to look at along it."""

import time
from pathlib import Path

from homefeed.cli.catalogue import most_common_interest
from homefeed.cli.console import console, say
from homefeed.cli.files import write_json
from homefeed.cli.latency import measure_latency
from homefeed.cli.people import read_crowd
from homefeed.cli.pipeline import metrics_table, run_pipeline, stages_table
from homefeed.cli.serve import refuse_second, start_serving
from homefeed.cli.service import connect
from homefeed.cli.showcase import NEWCOMER, show_user
from homefeed.cli.summary import SUMMARY_FILE, summarise
from homefeed.evaluation.layout import REPORT_FILE
from homefeed.index.postings import read_interests
from homefeed.release.bundle import INDEX_FOLDER


def run_demo(recipe: str, work: Path, num_users: int) -> None:
    """Runs the pipeline, serves the release, asks it, prints and writes what came out.

    Args:
        recipe: the name of a shipped one, or a path.
        work: folder that gets everything; what is valid in it is reused.
        num_users: users to show.

    Raises:
        ValueError: the recipe or its log cannot be used, or the work folder is being served.
        RuntimeError: a stage or a server failed, or a request was not answered.
    """
    start = time.monotonic()
    refuse_second(work)
    run, evaluation = run_pipeline(recipe, work)
    crowd = read_crowd(run.dataset, num_users, work / "people")
    interest = most_common_interest(run.dataset, read_interests(run.release / INDEX_FOLDER))
    with start_serving(run.release, work) as serving:
        url = serving.state.url
        latency = measure_latency(url, crowd.user_ids)
        with connect(url) as client:
            for person in crowd.shown:
                show_user(client, run.dataset, person)
            if interest:
                show_user(client, run.dataset, crowd.shown[0]._replace(recent=()), [interest])
            show_user(client, run.dataset, NEWCOMER)
    say("* what the user took up afterwards, in the test split", style="dim")
    summary = summarise(recipe, run, evaluation, latency, time.monotonic() - start)
    write_json(work / SUMMARY_FILE, summary)
    console.print(metrics_table(evaluation))
    console.print(stages_table(run))
    say(
        f"{latency.count} single requests: p50 {latency.p50:.1f} {latency.unit}, "
        f"p99 {latency.p99:.1f} {latency.unit}"
    )
    say(f"report:  {work / REPORT_FILE}")
    say(f"figures: {work / SUMMARY_FILE}")
    say(f"Everything took {summary.total_seconds:.0f} s and has stopped again.")
    say("`homefeed serve` serves this release; `homefeed query USER` asks it.")
