"""`homefeed demo`: the whole road once, with something to look at along it."""

import shlex
import time
from pathlib import Path

from homefeed.cli.catalogue import most_common_interest
from homefeed.cli.console import console, program, say
from homefeed.cli.files import write_json
from homefeed.cli.latency import measure_latency
from homefeed.cli.people import read_crowd
from homefeed.cli.pipeline import metrics_table, run_pipeline, stages_table
from homefeed.cli.results import refuse_reuse, write_figures
from homefeed.cli.serve import start_serving
from homefeed.cli.service import connect
from homefeed.cli.showcase import NEWCOMER, show_user
from homefeed.cli.summary import SUMMARY_FILE, summarise
from homefeed.evaluation.layout import REPORT_FILE
from homefeed.index.postings import read_interests
from homefeed.release.bundle import INDEX_FOLDER


def run_demo(
    recipe: str, work: Path, num_users: int, results: Path | None = None, store: str = ""
) -> None:
    """Runs the pipeline, serves the release, asks it, prints and writes what came out.

    Args:
        recipe: the name of a shipped one, or a path.
        work: folder that gets everything; what is valid in it is reused.
        num_users: users to show.
        results: also write the figures as measured results here; see `write_figures`.
        store: URL, or folder, of the store with ID embeddings; empty where the recipe uses none.

    Raises:
        ValueError: the recipe or its log cannot be used, the work folder is being served, or the
            results cannot be measured in it.
        RuntimeError: a stage or a server failed, or a request was not answered.
    """
    start = time.monotonic()
    if results:
        refuse_reuse(results, work)
    run, evaluation = run_pipeline(recipe, work, store)
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
    if results:
        write_figures(results, summary, evaluation)
    console.print(metrics_table(evaluation))
    console.print(stages_table(run))
    say(
        f"{latency.count} single requests: p50 {latency.p50_milliseconds:.1f} ms, "
        f"p99 {latency.p99_milliseconds:.1f} ms"
    )
    say(f"report:  {work / REPORT_FILE}")
    say(f"figures: {work / SUMMARY_FILE}")
    say(f"Everything took {summary.total_seconds:.0f} s and has stopped again.")
    place = f"--work {shlex.quote(str(work))}"
    say("To serve this release, and to ask it from another terminal:")
    say(f"  {program()} serve {place}")
    say(f"  {program()} query {shlex.quote(crowd.shown[0].user_id)} {place}")
