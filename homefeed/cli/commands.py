"""The commands and their options; each imports what it needs when called: help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from homefeed import __version__
from homefeed.cli.cluster_commands import app as cluster_commands
from homefeed.cli.entry import TRACEBACK_VARIABLE
from serving.torchserve.protocol import DEFAULT_K

DEFAULT_WORK = Path("build/demo")

app = typer.Typer(
    name="homefeed",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=f"{TRACEBACK_VARIABLE}=1 shows where an error came from.",
)

Work = Annotated[
    Path, typer.Option("--work", help="Folder of artifacts, logs and the last run's record.")
]

IdStore = Annotated[
    str,
    typer.Option(
        "--store",
        help="URL, or folder, of the store with ID embeddings; for recipes that use any.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"homefeed {__version__}")
        raise typer.Exit


@app.callback()
def homefeed(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From an engagement log to recommendations over REST."""


@app.command()
def demo(
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe's name, or the path of your own.")
    ] = "ml-1m",
    work: Work = DEFAULT_WORK,
    users: Annotated[int, typer.Option(min=1, help="Users to show.")] = 3,
    results: Annotated[
        Path | None,
        typer.Option(help="JSON file that also gets the figures, as measured from nothing."),
    ] = None,
    store: IdStore = "",
) -> None:
    """Run the pipeline, serve the release, ask it, show what came out, and stop everything."""
    from homefeed.cli.demo import run_demo

    run_demo(recipe, work, users, results, store)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or your own's path.")],
    work: Work = DEFAULT_WORK,
    store: IdStore = "",
) -> None:
    """Run the pipeline alone: from the recipe's log to an evaluated release."""
    from homefeed.cli.pipeline import show_run

    show_run(recipe, work, store)


@app.command()
def serve(
    release: Annotated[
        Path | None, typer.Argument(help="Folder of a release; by default the last run's.")
    ] = None,
    work: Work = DEFAULT_WORK,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the REST API; 0 takes a free one.")
    ] = 8080,
) -> None:
    """Serve a release on this machine until Ctrl-C."""
    from homefeed.cli.serve import serve_release

    serve_release(release, work, port)


@app.command()
def publish(
    store: Annotated[str, typer.Option(help="URL of the release store, or a folder.")],
    release: Annotated[
        Path | None, typer.Argument(help="Folder of a release; by default the last run's.")
    ] = None,
    channel: Annotated[
        str, typer.Option(help="What then stands for the release; pods serve production.")
    ] = "production",
    version: Annotated[
        str | None,
        typer.Option(help="Instead, a version or channel of the store: nothing is uploaded."),
    ] = None,
    work: Work = DEFAULT_WORK,
) -> None:
    """Put a release into a release store, where a cluster's pods take it from."""
    from homefeed.cli.publish import publish_again, publish_release

    if version is None:
        publish_release(release, store, channel, work)
    elif release is None:
        publish_again(version, store, channel)
    else:
        raise ValueError(f"{release} and --version {version} are two releases: name one")


@app.command()
def deploy(
    config: Annotated[
        Path, typer.Argument(help="YAML file that says where, and how the release is tested.")
    ],
    store: Annotated[str, typer.Option(help="URL of the release store, or a folder.")],
    channel: Annotated[str, typer.Option(help="What stands for the release.")] = "production",
    version: Annotated[
        str | None, typer.Option(help="Refuse if the channel does not stand for this one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("build/deployment"),
) -> None:
    """Put a published release into service, ask it, and go back if it fails."""
    from homefeed.cli.deploy import deploy_release

    deploy_release(config, store, channel, version, dry_run, output)


@app.command()
def prune(
    store: Annotated[str, typer.Option(help="URL of the release store, or a folder.")],
    keep: Annotated[int, typer.Option(min=1, help="How many of the last releases stay.")],
    also: Annotated[
        list[str] | None,
        typer.Option(help="Version that stays too, as one that pods name; repeatable."),
    ] = None,
    keep_ids: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the last ID embeddings stay; by default all."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove old releases from a store, but none that a channel stands for."""
    from homefeed.cli.prune import prune_store

    prune_store(store, keep, also or [], keep_ids, dry_run)


@app.command()
def sweep_corpus(
    recipe: Annotated[
        str, typer.Argument(help="The last run's: a shipped one's name, or the path of your own.")
    ],
    half_life: Annotated[
        list[float] | None,
        typer.Option(help="In days, 0 for a plain sum; repeatable. By default seven of them."),
    ] = None,
    work: Work = DEFAULT_WORK,
) -> None:
    """Show what corpora of several half-lives would have covered, on an earlier cut."""
    from homefeed.cli.sweep import show_sweep

    show_sweep(recipe, work, half_life)


@app.command()
def plan(
    pins: Annotated[float, typer.Option(help="Of the corpus; 1e8 is taken too, up to 1e9.")],
    qps: Annotated[float, typer.Option(help="Requests a second at the peak.")],
    dimension: Annotated[int, typer.Option(help="Of the embeddings.")] = 64,
    users: Annotated[float, typer.Option(help="Of the release's snapshot, on disk.")] = 0,
    cpus: Annotated[int, typer.Option(help="Of each container, as the chart's cpus.")] = 1,
    memory: Annotated[float, typer.Option(help="GiB that a pod may take; more is sharded.")] = 64,
    core_hour: Annotated[
        float | None, typer.Option(help="Price of a core for an hour; none reckons no cost.")
    ] = None,
    gib_hour: Annotated[
        float | None, typer.Option(help="Price of a GiB of memory for an hour.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Reckon the pods, CPU and memory of a service from measured figures."""
    from homefeed.capacity.plan import Demand
    from homefeed.cli.plan import show_plan, whole

    demand = Demand(
        pins=whole("pins", pins),
        requests_per_second=qps,
        dimension=dimension,
        users=whole("users", users),
        cpus=cpus,
        pod_memory_gib=memory,
    )
    show_plan(demand, core_hour, gib_hour, as_json)


@app.command()
def query(
    user: Annotated[str, typer.Argument(help="Id of a user; an unknown one is answered too.")],
    k: Annotated[int, typer.Option("--k", "-k", help="Most pins to return.")] = DEFAULT_K,
    interests: Annotated[
        list[str] | None,
        typer.Option(help="Only pins with one of these; repeat it or separate by commas."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Id of a pin that must not come back; repeatable.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Of the service; by default what is served from --work.")
    ] = None,
    work: Work = DEFAULT_WORK,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask the running service for a user's pins."""
    from homefeed.cli.query import run_query

    names = [name.strip() for part in interests or () for name in part.split(",")]
    run_query(user, k, names, exclude or [], url=url, work=work, as_json=as_json)


app.add_typer(cluster_commands)
