"""A training on several nodes, against a server that plays Kubernetes' API."""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.config import from_yaml
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.job import CHECKPOINTS_FOLDER, DATASET_FOLDER, JOB_FILE, TOWERS_FOLDER, Job
from homefeed.training_job.config import NodesConfig
from homefeed.training_job.launch import train_on_nodes
from tests.training_job.played_cluster import (
    COMPLETE,
    EVENTS,
    FAILED,
    JOB,
    JOBS,
    NAME,
    PODS,
    STEP,
    Look,
    PlayedCluster,
    ended,
    playing,
    pod,
    warning,
)

TASK = Job(towers=TowersConfig(), training=TrainingConfig(batch_size=64), seed=7)
RUNNING = Look([pod(0), pod(1)])
PENDING = pod(1, "Pending", waiting={"reason": "ImagePullBackOff", "message": "no such image"})
TIMES = ["2026-01-01T00:00:0", ".000000000Z "]
CAUSE = """2026-01-01T00:00:05.100000000Z epoch 3
2026-01-01T00:00:05.200000000Z [rank1]: Traceback (most recent call last):
2026-01-01T00:00:05.200000001Z [rank1]: RuntimeError: the loss is no number any more
2026-01-01T00:00:05.300000000Z E0101 00:00:05.3 1 torch/x.py:1] failed (exitcode: 1) local_rank: 0
2026-01-01T00:00:05.300000001Z Traceback (most recent call last):
2026-01-01T00:00:05.300000001Z torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""
VICTIM = """2026-01-01T00:00:05.250000000Z [rank0]: Traceback (most recent call last):
2026-01-01T00:00:05.250000001Z [rank0]: RuntimeError: Connection closed by peer
"""
KILLED = """2026-01-01T00:00:05.350000000Z E0101 00:00:05.3 9 x.py:1] failed (exitcode: -9) rank: 0
2026-01-01T00:00:05.350000001Z Traceback (most recent call last):
2026-01-01T00:00:05.350000001Z torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""
LOGS = {f"{NAME}-node-0-0": VICTIM, f"{NAME}-node-0-1": CAUSE}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts" / "dataset"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "0.parquet").write_text("rows")
    return folder


class Try:
    """A step that trains on two nodes, in a folder of its own."""

    def __init__(self, tmp_path: Path, dataset: Path) -> None:
        self.dataset = dataset
        self.shared = tmp_path / "shared"
        self.shared.mkdir()
        self.folder = self.shared / STEP.run_id
        self.output = tmp_path / "artifacts" / "towers"
        self.asked: list[tuple[str, str]] = []

    def run(self, played: PlayedCluster, task: Job = TASK, **limits: Any) -> Any:
        config = NodesConfig(num_nodes=2, image="registry/homefeed:1", **limits)
        inputs = {DATASET_FOLDER: self.dataset}
        with playing(played) as (cluster, server):
            try:
                train_on_nodes(inputs, task, config, self.output, cluster, STEP, self.shared, 0.01)
            finally:
                self.asked = [(each.method, each.path) for each in server.asked]
        return server


@pytest.fixture
def attempt(tmp_path: Path, dataset: Path) -> Try:
    return Try(tmp_path, dataset)


def write_towers(folder: Path) -> None:
    """What a training does that ends well."""
    assert (folder / DATASET_FOLDER / "train" / "0.parquet").read_text() == "rows"
    assert from_yaml((folder / JOB_FILE).read_bytes(), Job, JOB_FILE) == TASK
    (folder / TOWERS_FOLDER).mkdir()
    (folder / TOWERS_FOLDER / "weights.pt").write_text("weights")


def test_towers_come_back_and_nothing_is_left(
    attempt: Try, capfd: pytest.CaptureFixture[str]
) -> None:
    looks = [Look(), Look([pod(0), PENDING]), RUNNING, Look([pod(0, "Succeeded")], COMPLETE)]
    server = attempt.run(PlayedCluster(looks, write_towers))
    assert (attempt.output / "weights.pt").read_text() == "weights"
    assert list(attempt.shared.iterdir()) == []
    (created,) = server.told("POST", JOBS)
    assert created.query == {"fieldValidation": "Strict"}
    assert created.body["metadata"]["name"] == NAME
    assert attempt.asked[-1] == ("DELETE", JOB)
    # One that stays until its pods are gone would be started anew.
    assert server.told("DELETE", JOB)[0].query["propagationPolicy"] == "Background"
    said = capfd.readouterr().err
    assert " 0 of 2 pods run\n" in said
    assert f" 1 of 2 pods run; ImagePullBackOff, no such image ({NAME}-node-0-1)\n" in said
    assert said.count(" 2 of 2 pods run\n") == 1


def test_what_an_earlier_try_left_ends_before_the_folder_is_used(attempt: Try) -> None:
    played = PlayedCluster([Look([], COMPLETE)], write_towers, is_there=True)
    played.earlier = [RUNNING, Look([pod(0, "Running")]), Look()]
    attempt.run(played)
    created = attempt.asked.index(("POST", JOBS))
    assert attempt.asked[:2] == [("GET", JOB), ("DELETE", JOB)]
    assert attempt.asked[:created].count(("GET", PODS)) == 3


def test_a_failed_job_says_which_pod_began_it_and_another_try_goes_on(
    attempt: Try, capfd: pytest.CaptureFixture[str]
) -> None:
    def train_a_part(folder: Path) -> None:
        (folder / CHECKPOINTS_FOLDER).mkdir()
        (folder / CHECKPOINTS_FOLDER / "towers.pt").write_text("epoch 3")
        (folder / TOWERS_FOLDER).mkdir()

    both = [ended(0, 6), ended(1, 6)]
    looks = [RUNNING, Look(both), RUNNING, Look(both, FAILED)]
    with pytest.raises(RuntimeError) as error:
        attempt.run(PlayedCluster(looks, train_a_part, logs=LOGS))
    said = str(error.value)
    assert said.startswith(f"TrainJob {NAME} failed: jobset failed; pod {NAME}-node-0-1 failed: ")
    assert said.endswith(
        "Error, exit code 1; its last lines:\n[rank1]: Traceback (most recent call last):\n"
        "[rank1]: RuntimeError: the loss is no number any more"
    )
    assert attempt.asked[-1] == ("DELETE", JOB)
    assert "is kept for another try" in capfd.readouterr().err

    def go_on(folder: Path) -> None:
        assert (folder / CHECKPOINTS_FOLDER / "towers.pt").read_text() == "epoch 3"
        write_towers(folder)

    attempt.run(PlayedCluster([Look([], COMPLETE)], go_on))
    assert list(attempt.shared.iterdir()) == []


def test_a_restart_begins_the_search_for_a_cause_anew(attempt: Try) -> None:
    later = ended(1, 9)
    later["metadata"]["uid"] = "of the restart"
    looks = [RUNNING, Look([ended(0, 1)]), RUNNING, Look([pod(0), later], FAILED)]
    logs = {f"{NAME}-node-0-{node}": f"{node}".join(TIMES) + f"node {node}\n" for node in (0, 1)}
    with pytest.raises(RuntimeError, match=r"; its last lines:\nnode 1$"):
        attempt.run(PlayedCluster(looks, logs=logs))


def test_a_killed_process_is_the_cause_though_others_complain_before_its_end_is_seen(
    attempt: Try,
) -> None:
    logs = LOGS | {f"{NAME}-node-0-1": KILLED}
    said = rf"; pod {NAME}-node-0-1 failed: Error, exit code 1; a process of it was killed, as whe"
    with pytest.raises(RuntimeError, match=said):
        attempt.run(PlayedCluster([RUNNING, Look([ended(0, 6), ended(1, 6)], FAILED)], logs=logs))


def test_a_pod_that_ran_out_of_memory_is_the_cause_though_its_end_is_told_in_whole_seconds(
    attempt: Try,
) -> None:
    killed = ended(1, 6)
    killed["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
    logs = {f"{NAME}-node-0-0": VICTIM}
    with pytest.raises(RuntimeError, match=rf"; pod {NAME}-node-0-1 failed: OOMKilled, exit code"):
        attempt.run(PlayedCluster([RUNNING, Look([ended(0, 6), killed], FAILED)], logs=logs))


def test_a_pod_without_a_log_is_judged_by_its_end(attempt: Try) -> None:
    killed = ended(1, 3)
    killed["status"]["containerStatuses"][0]["state"]["terminated"] |= {
        "reason": "ContainerStatusUnknown",
        "exitCode": 137,
    }
    logs = {f"{NAME}-node-0-0": VICTIM}
    with pytest.raises(
        RuntimeError, match=rf"; pod {NAME}-node-0-1 failed: ContainerStatusUnknown, exit code 137"
    ):
        attempt.run(PlayedCluster([RUNNING, Look([ended(0, 6), killed], FAILED)], logs=logs))


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (403, "admission webhook: trainingRuntime not found", "trainingRuntime not found. Its Tra"),
        (400, 'unknown field "spec.tainer"', 'in namespace runs: unknown field "spec.tainer"'),
        (404, "the server could not find the requested resource", "install Kubeflow Trainer 2.1"),
    ],
)
def test_a_job_that_is_refused_says_why(attempt: Try, status: int, message: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attempt.run(PlayedCluster([], creation=(status, {"message": message})))


def test_rights_that_are_missing_are_named(attempt: Try) -> None:
    played = PlayedCluster([Look(refusal=403)], is_there=True)
    with pytest.raises(
        ValueError, match="does not let the step look .*: the API refuses. Its righ"
    ):
        attempt.run(played)
    assert not attempt.folder.exists()


def test_a_job_that_cannot_start_says_what_it_waits_for(attempt: Try) -> None:
    events = [
        warning(f"{NAME}-node-0-1", "Failed", "no such image"),
        warning(f"{NAME}-node-0-0", "Failed", "no such image"),
        warning("towers-0a1b2-node-0-0", "Failed", "of another run"),
    ]
    played = PlayedCluster([Look([pod(0), PENDING])], events=events)
    with pytest.raises(RuntimeError) as error:
        attempt.run(played, start_timeout_seconds=0.05)
    assert str(error.value) == (
        f"TrainJob {NAME} could not start within 0.05 s: 1 of 2 pods run; ImagePullBackOff, "
        f"no such image ({NAME}-node-0-1)\nFailed: no such image"
    )
    assert attempt.asked[-2:] == [("GET", EVENTS), ("DELETE", JOB)]


def test_a_quota_that_lets_no_pod_come_to_be_is_named(attempt: Try) -> None:
    events = [warning(f"{NAME}-node-0", "FailedCreate", "exceeded quota: compute")]
    with pytest.raises(RuntimeError, match="0 of 2 pods run\nFailedCreate: exceeded quota"):
        attempt.run(PlayedCluster([Look()], events=events), start_timeout_seconds=0.05)


def test_a_pod_that_waits_for_a_node_says_so(attempt: Try) -> None:
    waits = pod(1, "Pending")
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waits["status"]["conditions"] = [scheduled | {"message": "0/3 nodes are available"}]
    with pytest.raises(RuntimeError, match="Unschedulable, 0/3 nodes are available"):
        attempt.run(PlayedCluster([Look([pod(0), waits])]), start_timeout_seconds=0.05)


def test_a_job_that_takes_too_long_is_ended(attempt: Try) -> None:
    with pytest.raises(RuntimeError, match=r"took longer than 0\.05 s: 2 of 2 pods run"):
        attempt.run(PlayedCluster([RUNNING]), timeout_seconds=0.05)
    assert attempt.asked[-1] == ("DELETE", JOB)


def test_a_job_that_others_delete_is_an_error(attempt: Try) -> None:
    with pytest.raises(RuntimeError, match=f"{NAME} was deleted while it was trained"):
        attempt.run(PlayedCluster([RUNNING, Look(gone=True)]))


def test_an_api_that_fails_for_a_while_is_asked_again(
    attempt: Try, capfd: pytest.CaptureFixture[str]
) -> None:
    looks = [RUNNING, Look(refusal=503), Look(refusal=429), Look([], COMPLETE)]
    attempt.run(PlayedCluster(looks, write_towers))
    assert attempt.output.is_dir()
    assert "no answer of the cluster, asking again: the API refuses" in capfd.readouterr().err


def test_an_api_that_refuses_for_good_is_not_asked_again(attempt: Try) -> None:
    with pytest.raises(RuntimeError, match=f"{NAME} cannot be watched: the API refuses"):
        attempt.run(PlayedCluster([RUNNING, Look(refusal=403)]))


def test_a_step_that_is_told_to_end_takes_the_job_with_it(attempt: Try) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ending = Look([pod(0)], meanwhile=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(RuntimeError, match="the step was told to end"):
        attempt.run(PlayedCluster([RUNNING, ending, RUNNING]))
    assert attempt.asked[-1] == ("DELETE", JOB)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_volume_that_cannot_be_written_is_refused(attempt: Try) -> None:
    attempt.folder.write_text("no folder")
    with pytest.raises(ValueError, match="cannot be filled: .*user 10001"):
        attempt.run(PlayedCluster([]))
    assert ("POST", JOBS) not in attempt.asked


def test_towers_that_are_nowhere_are_an_error(attempt: Try) -> None:
    with pytest.raises(RuntimeError, match="ended well and left no .*/0a1b/towers"):
        attempt.run(PlayedCluster([Look([], COMPLETE)]))


def test_a_batch_that_the_processes_cannot_share_is_refused_before_anything(attempt: Try) -> None:
    odd = msgspec.structs.replace(TASK, training=TrainingConfig(batch_size=65))
    said = r"training\.batch_size=65 is shared by 2 processes equally"
    with pytest.raises(ValueError, match=said):
        attempt.run(PlayedCluster([]), odd)
    assert attempt.asked == []
