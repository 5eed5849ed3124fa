"""`homefeed compile | submit | schedule`: pipelines on a cluster with Kubeflow Pipelines."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from homefeed.cli.console import log, say
from homefeed.cli.cron import check_cron

SECONDS_BETWEEN_LOOKS = 5.0
SILENCE_SECONDS = 300.0
"""Without an answer, until a run is no longer watched: a port-forward can be started again."""
SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "SKIPPED", "FAILED", "CANCELED")


@dataclass(frozen=True)
class Images:
    """The images of the steps; None leaves it to the environment or the published one."""

    steps: str | None
    with_gpu: str | None

    def use(self) -> None:
        """Sets them, before the pipelines are imported, which read them once."""
        given = {"HOMEFEED_PIPELINE_IMAGE": self.steps, "HOMEFEED_CUDA_IMAGE": self.with_gpu}
        os.environ.update({name: image for name, image in given.items() if image is not None})


@dataclass(frozen=True)
class Order:
    """What is to run, where, and as what."""

    pipeline: str
    host: str
    recipe: str | None
    parameters: tuple[str, ...]
    images: Images
    num_gpus: int
    gpu_type: str
    num_nodes: int
    look_at_nodes: bool
    namespace: str | None
    service_account: str | None
    experiment: str
    name: str | None
    """Of the run; by default the pipeline's with the time, of a schedule without."""


class Package(NamedTuple):
    """A pipeline that was compiled, and the checked parameters of its run."""

    file: str
    parameters: dict[str, Any]


def compile_all(folder: Path, images: Images, num_gpus: int, gpu_type: str, num_nodes: int) -> None:
    """Writes the YAML of every pipeline and prints the files' names.

    Raises:
        ValueError: an image may change under its name.
    """
    images.use()
    from pipelines.compile import compile_pipelines

    for file in compile_pipelines(folder, num_gpus, gpu_type, num_nodes):
        say(str(file))


def submit(order: Order, wait: bool) -> None:
    """Starts a run and prints where it can be watched.

    Args:
        order: the run.
        wait: until it has ended.

    Raises:
        ValueError: the order cannot be carried out; says why.
        RuntimeError: KFP does not answer or refuses, or the run that was waited for failed, or
            nothing was heard of it for some minutes.
    """
    with _prepared(order) as package:
        from homefeed.cli.kfp_server import connect

        name = order.name or f"{order.pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        with connect(order.host, order.namespace) as client:
            run: Any = client.create_run_from_pipeline_package(
                package.file,
                arguments=package.parameters,
                run_name=name,
                experiment_name=order.experiment,
                namespace=order.namespace,
                service_account=order.service_account,
            )
    url = f"{order.host.rstrip('/')}/#/runs/details/{run.run_id}"
    say(f"submitted {name}: {url}")
    if wait:
        _wait(order, run.run_id, url)


def schedule(order: Order, cron: str) -> None:
    """Lets a pipeline run again and again; a schedule of the same name is replaced.

    Args:
        order: each of the runs.
        cron: when, as KFP's six fields.

    Raises:
        ValueError: the order or the time cannot be used; says why.
        RuntimeError: KFP does not answer or refuses. An earlier schedule then stays; where the new
            one was made nevertheless, the error names all that are left.
    """
    check_cron(cron)
    with _prepared(order) as package:
        from homefeed.cli.kfp_server import connect

        name = order.name or order.pipeline
        with connect(order.host, order.namespace) as client:
            namespace = order.namespace or client.get_user_namespace()
            named = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
            earlier: Any = client.list_recurring_runs(
                page_size=100,
                # Without several users it has none, and an empty one is none of KFP's.
                namespace=namespace or None,
                filter=json.dumps({"predicates": [named]}),
            )
            experiment: Any = client.create_experiment(order.experiment, namespace=namespace)
            made: Any = client.create_recurring_run(
                experiment.experiment_id,
                name,
                cron_expression=cron,
                pipeline_package_path=package.file,
                params=package.parameters,
                # After a pause one run makes up for all that were missed.
                no_catchup=True,
                service_account=order.service_account,
            )
    replaced = [each.recurring_run_id for each in earlier.recurring_runs or []]
    _delete_schedules(order, replaced, made.recurring_run_id)
    verb = "replaced" if replaced else "scheduled"
    say(f"{verb} {name} at {cron!r}: {_schedule_url(order, made.recurring_run_id)}")


def _delete_schedules(order: Order, earlier: list[str], new: str) -> None:
    from homefeed.cli.kfp_server import connect

    left = list(earlier)
    try:
        with connect(order.host, order.namespace) as client:
            while left:
                client.delete_recurring_run(left[0])
                del left[0]
    except RuntimeError as error:
        there = ", ".join(_schedule_url(order, each) for each in left)
        raise RuntimeError(
            f"the schedule was made, as {_schedule_url(order, new)}, but what it replaces may "
            f"still run beside it: {there} ({error}). Delete either there, or give the same "
            "command again, which replaces all of them"
        ) from error


def _schedule_url(order: Order, recurring_run_id: str) -> str:
    return f"{order.host.rstrip('/')}/#/recurringrun/details/{recurring_run_id}"


@contextmanager
def _prepared(order: Order) -> Iterator[Package]:
    """Checks all of an order that can be checked here, and compiles its pipeline."""
    order.images.use()
    from kfp import compiler

    from homefeed.cli.cluster_gpus import check_gpus
    from homefeed.cli.parameters import read_parameters
    from pipelines.compile import build_pipeline

    pipeline = build_pipeline(order.pipeline, order.num_gpus, order.gpu_type, order.num_nodes)
    parameters = read_parameters(order.pipeline, pipeline, order.parameters, order.recipe)
    if order.num_gpus and order.look_at_nodes:
        log.print(check_gpus(order.num_gpus, order.gpu_type), soft_wrap=True)
    with TemporaryDirectory(prefix="homefeed-") as scratch:
        file = str(Path(scratch) / f"{order.pipeline}.yaml")
        compiler.Compiler().compile(pipeline, file)
        yield Package(file, parameters)


def _wait(order: Order, run_id: str, url: str) -> None:
    log.print("waiting for its end; if this is stopped, the run goes on")
    seen, heard = None, time.monotonic()
    while seen not in ENDED:
        try:
            state = _state(order, run_id)
        except RuntimeError as error:
            if time.monotonic() - heard > SILENCE_SECONDS:
                raise RuntimeError(
                    f"nothing was heard of the run for {SILENCE_SECONDS:g} seconds; it goes on, "
                    f"see {url}. {error}"
                ) from error
            state = "no answer, asking again"
        else:
            heard = time.monotonic()
        if state != seen:
            log.print(f"{time.strftime('%H:%M:%S')} {state}")
        else:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        seen = state
    if seen != SUCCEEDED:
        raise RuntimeError(f"the run ended as {seen}: {url}")


def _state(order: Order, run_id: str) -> str | None:
    from homefeed.cli.kfp_server import connect

    with connect(order.host, order.namespace) as client:
        return client.get_run(run_id).state
