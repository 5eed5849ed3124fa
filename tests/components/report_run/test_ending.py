"""How a run ended, by KFP's word and by the pods of its steps."""

import pytest

from components.report_run.ending import find_ending, judge
from components.report_run.failures import Failure, Steps

KNOWN = Failure("exit-handler-1", "")
BROKEN = Failure("embed_pins", "no space")


@pytest.mark.parametrize(
    ("state", "steps", "ending"),
    [
        ("FAILED", Steps([BROKEN], {"read-recipe"}), "FAILED"),
        ("UNKNOWN", Steps([BROKEN], {"read-recipe"}), "FAILED"),
        # A loop from the cache: the backend has not summed up.
        ("UNKNOWN", Steps([], {"read-recipe", "publish"}), "SUCCEEDED"),
        ("FAILED", Steps([], {"read-recipe", "publish"}), "SUCCEEDED"),
        # A pod that was lost with its node; and pods that are removed when they have ended.
        ("UNKNOWN", Steps([], {"read-recipe"}), "FAILED"),
        ("UNKNOWN", Steps(), "UNKNOWN"),
        ("FAILED", Steps(), "FAILED"),
        ("CANCELLED", Steps([], {"read-recipe"}), "CANCELLED"),
    ],
)
def test_pods_correct_the_state(state: str, steps: Steps, ending: str) -> None:
    assert judge(state, steps, "publish") == ending


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("SUCCEEDED", ("SUCCEEDED", [])),
        ("COMPLETE", ("SUCCEEDED", [])),
        ("FAILED", ("FAILED", [KNOWN])),
        ("CANCELED", ("CANCELLED", [])),
        ("RUNNING", ("UNKNOWN", [])),
    ],
)
def test_where_no_cluster_can_be_asked_kfp_is_believed(
    word: str, ending: tuple[str, list[Failure]]
) -> None:
    assert find_ending(word, KNOWN, "0a1b", "publish") == ending
