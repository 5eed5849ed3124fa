"""How a function becomes a step of a pipeline."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.image import IMAGE


def step(function: Callable[..., Any]) -> Callable[..., dsl.PipelineTask]:
    """Makes a KFP component of a function, which runs in the image that holds the library.

    KFP sends the function's source and nothing around it, so its body imports what it needs: within
    the stage, which is thereby measured whole.
    """
    # KFP declares another type: one that gives no task when it is called.
    component: Any = dsl.component(function, base_image=IMAGE, install_kfp_package=False)
    return component
