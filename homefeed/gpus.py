"""The GPUs that a step was promised: there, or a clear word on why not."""

import torch


def require_gpus(num_gpus: int) -> None:
    """Refuses to train slowly on the CPU where GPUs were asked for.

    Args:
        num_gpus: how many the step was to get; 0 takes what there is.

    Raises:
        ValueError: torch sees fewer.
    """
    found = torch.cuda.device_count()
    if found >= num_gpus:
        return
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    raise ValueError(
        f"this step asked for {num_gpus} GPUs and torch {torch.__version__}, {build}, sees "
        f"{found}. Give it the image with CUDA (HOMEFEED_CUDA_IMAGE while compiling), a node that "
        "offers as many, and a KFP server of version 2.17, as older ones leave the request out; or "
        "compile the pipeline with --gpus 0"
    )
