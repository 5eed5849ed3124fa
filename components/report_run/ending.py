"""How a run ended: KFP's word for it is not always the last, so the steps' pods are asked too."""

from components.report_run.failures import Failure, Steps, find_steps

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
CANCELLED = "CANCELLED"
UNKNOWN = "UNKNOWN"
STATES = {
    "SUCCEEDED": SUCCEEDED,
    "COMPLETE": SUCCEEDED,
    "FAILED": FAILED,
    "CANCELLED": CANCELLED,
    "CANCELED": CANCELLED,
}
"""KFP's words: backends that keep the state in ML Metadata, as 2.17, have their own."""


def find_ending(
    word: str, known: Failure, run_id: str, last_step: str
) -> tuple[str, list[Failure]]:
    """The state of a run whose other steps have ended, and the steps that failed.

    Args:
        word: KFP's for the group of the other steps.
        known: what KFP says of a failure, for where the cluster says nothing.
        run_id: of the run.
        last_step: the step that waits for all others.
    """
    state = STATES.get(word, UNKNOWN)
    if state == SUCCEEDED:
        return state, []
    steps = find_steps(run_id)
    state = judge(state, steps, last_step)
    return state, steps.failures or ([known] if state == FAILED else [])


def judge(state: str, steps: Steps, last_step: str) -> str:
    """Corrects a state other than success by what the pods tell.

    The backend sums the steps up whenever one of them ends. Those from the cache don't count as
    such an end, so a loop of them leaves a run that succeeded at RUNNING, or at FAILED by a first
    try that a second made good.
    """
    if steps.failures:
        return FAILED
    if last_step in steps.succeeded:
        return SUCCEEDED
    # Pods that ended are still there, and the last step's is not: some pod was lost with its node.
    return FAILED if steps.succeeded and state == UNKNOWN else state
