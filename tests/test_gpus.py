import pytest
import torch

from homefeed.gpus import require_gpus


def test_gpus_that_are_there_are_enough() -> None:
    require_gpus(0)
    require_gpus(torch.cuda.device_count())


def test_gpus_that_are_not_there_are_named_with_what_to_do() -> None:
    found = torch.cuda.device_count()
    with pytest.raises(ValueError) as error:
        require_gpus(found + 2)
    said = str(error.value)
    assert said.startswith(f"this step asked for {found + 2} GPUs and torch {torch.__version__}, ")
    assert f"sees {found}." in said
    assert "HOMEFEED_CUDA_IMAGE" in said
    assert "--gpus 0" in said
