"""The pipeline, each step in a container of its image, and the chart that serves what it made."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from homefeed.contracts import Column
from homefeed.evaluation.layout import read_evaluation
from homefeed.events.layout import USERS_FILE
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from pipelines.compile import COMPILED
from tests.cluster.docker_run import CHANNEL, NUM_SHARDS
from tests.cluster.pods import Node, client_pod
from tests.cluster.service import Images, installed
from tests.cluster.steps_in_images import OUTPUT_FILE, ImageRun, run_in_images
from tests.kubectl import needs_cluster, new_namespace

pytestmark = pytest.mark.cluster


def test_every_step_runs_in_the_image(images: Images, image_run: ImageRun) -> None:
    compiled = next(yaml.safe_load_all((COMPILED / "train_and_release.yaml").read_text()))
    steps = {name.removeprefix("exec-") for name in compiled["deploymentSpec"]["executors"]}
    ran = [path.parent.name for path in image_run.steps.rglob(OUTPUT_FILE)]
    assert set(ran) == steps
    assert ran.count("embed-pins") == NUM_SHARDS
    assert image_run.images == [images.named("homefeed-pipeline")] * len(ran)


def test_no_step_writes_as_root_or_as_who_runs_the_tests(image_run: ImageRun) -> None:
    written = [*image_run.steps.rglob("*"), *image_run.store.rglob("*")]
    assert {path.stat().st_uid for path in written}.isdisjoint({0, os.geteuid()})


def test_the_release_is_whole_measured_and_published(image_run: ImageRun, tmp_path: Path) -> None:
    fetched = ReleaseStore(str(image_run.store)).fetch(CHANNEL, tmp_path / "release")
    made = Release.open(image_run.steps / "bundle-release" / "release")
    assert fetched.manifest == made.manifest
    measured = read_evaluation(image_run.steps / "evaluate-release" / "evaluation")
    assert measured.release_version == fetched.version
    assert measured.recommenders["model"]["recall@10"] > 0
    report = (image_run.steps / "report-run" / "report").read_text()
    assert report.startswith("# SUCCEEDED\n")


def test_a_step_that_fails_in_its_container_fails_the_run(images: Images, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="read_recipe failed: .*'ml-100'"):
        run_in_images(images.named("homefeed-pipeline"), "ml-100", tmp_path)
    (report,) = tmp_path.rglob("report-run/report")
    assert report.read_text().startswith("# FAILED\n")
    assert not list((tmp_path / "store").iterdir())


@needs_cluster
def test_the_chart_serves_that_release(images: Images, node: Node, image_run: ImageRun) -> None:
    known = image_run.steps / "build-dataset" / "dataset" / USERS_FILE
    users = pq.read_table(known, columns=[Column.USER_ID])[Column.USER_ID].to_pylist()[:20]
    image = images.named("homefeed-torchserve")
    with new_namespace() as namespace, client_pod(namespace, image, node) as client:
        client.copy(image_run.store)
        options = ("--set", f"release.version={CHANNEL}")
        with installed(namespace, "minimal", images, *options) as service:
            answers = client.ask(service.url, [{"user_id": user, "k": 10} for user in users])
    assert {answer["status"] for answer in answers} == {200}
    assert {answer["body"]["model_version"] for answer in answers} == {image_run.version}
    assert not any(answer["body"]["degraded"] for answer in answers)
    assert {len(answer["body"]["pins"]) for answer in answers} == {10}
