"""The pod that a step runs in, as Kubernetes tells it by variables that the pipeline asks for."""

import os
from dataclasses import dataclass

NAME_VARIABLE = "HOMEFEED_POD_NAME"
UID_VARIABLE = "HOMEFEED_POD_UID"
NAMESPACE_VARIABLE = "HOMEFEED_POD_NAMESPACE"
RUN_VARIABLE = "HOMEFEED_RUN_ID"
FIELDS = {
    NAME_VARIABLE: "metadata.name",
    UID_VARIABLE: "metadata.uid",
    NAMESPACE_VARIABLE: "metadata.namespace",
    # No input of the step: KFP would know no step again that is told its run.
    RUN_VARIABLE: "metadata.labels['pipeline/runid']",
}
"""Variable to the field of the pod that it holds."""


@dataclass(frozen=True)
class StepPod:
    """The pod of a step."""

    name: str
    uid: str
    namespace: str
    run_id: str
    """Of the run of KFP's."""

    @classmethod
    def from_environment(cls) -> "StepPod":
        """The pod of this process.

        Raises:
            ValueError: a variable is missing, as outside of a cluster.
        """
        if missing := [name for name in FIELDS if not os.environ.get(name)]:
            raise ValueError(
                f"training on several nodes runs in a pod of a run of Kubeflow Pipelines, whose "
                f"variables {', '.join(missing)} are not set here: compile the pipeline with one "
                "node to train elsewhere"
            )
        return cls(
            name=os.environ[NAME_VARIABLE],
            uid=os.environ[UID_VARIABLE],
            namespace=os.environ[NAMESPACE_VARIABLE],
            run_id=os.environ[RUN_VARIABLE],
        )
