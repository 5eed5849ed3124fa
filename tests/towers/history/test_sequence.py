import pytest
import torch

from homefeed.towers.history.config import SequenceConfig
from homefeed.towers.history.sequence import SequenceEncoder

B, L, D = 4, 6, 8
LENGTHS = (0, 1, 3, 6)


@pytest.fixture
def history() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    is_there = torch.arange(L) < torch.tensor(LENGTHS)[:, None]
    return {
        "pins": torch.randn(B, L, D),
        "actions": torch.randn(B, L, D),
        "ages": torch.randint(30, (B, L)),
        "is_there": is_there,
    }


def make(**settings: object) -> SequenceEncoder:
    torch.manual_seed(1)
    return SequenceEncoder(D, L, SequenceConfig(**settings), 0.1).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_nothing_and_gets_zeros(
    history: dict[str, torch.Tensor], causal: bool
) -> None:
    encoder = make(causal=causal)
    outputs = encoder(**history)
    assert outputs.isfinite().all()
    is_there = history["is_there"]
    assert (outputs[~is_there] == 0).all()
    assert (outputs[is_there].abs().sum(dim=1) > 0).all()
    garbage = {
        name: torch.where(is_there[..., None], tensor, 1e3)
        for name, tensor in history.items()
        if tensor.ndim == 3
    }
    torch.testing.assert_close(encoder(**history | garbage), outputs)
    shorter = {name: tensor[:-1, : L - 3] for name, tensor in history.items()}
    torch.testing.assert_close(encoder(**shorter), outputs[:-1, : L - 3])


def test_an_item_sees_only_older_ones_where_it_is_told_so(
    history: dict[str, torch.Tensor],
) -> None:
    changed = history | {"pins": history["pins"].clone()}
    changed["pins"][3, 2] = torch.randn(D)
    for causal, seen_by in ((True, [0, 1, 2]), (False, list(range(L)))):
        encoder = make(causal=causal)
        difference = (encoder(**changed) - encoder(**history))[3].abs().amax(dim=1)
        assert difference.gt(1e-6).nonzero().flatten().tolist() == seen_by


@pytest.mark.parametrize("part", ["positions", "ages", "actions"])
def test_each_part_of_an_item_can_be_left_out(history: dict[str, torch.Tensor], part: str) -> None:
    others = {"positions": False, "ages": False, "actions": False}
    with_it, without = make(**others | {part: True}), make(**others)
    assert not torch.allclose(with_it(**history)[3], without(**history)[3])
    changed = {
        "actions": history | {"actions": torch.randn(B, L, D)},
        "ages": history | {"ages": (history["ages"] + 1) % 30},
        "positions": {name: tensor.flip(1) for name, tensor in history.items()},
    }[part]
    full = 3  # of its items none is padding, so that flipping makes none newest

    def of(encoder: SequenceEncoder, given: dict[str, torch.Tensor]) -> torch.Tensor:
        outputs = encoder(**given)[full]
        return outputs.flip(0) if part == "positions" and given is changed else outputs

    torch.testing.assert_close(of(without, changed), of(without, history))
    assert not torch.allclose(of(with_it, changed), of(with_it, history), atol=1e-4)


def test_it_scripts_and_its_gradients_are_numbers(history: dict[str, torch.Tensor]) -> None:
    encoder = make(causal=True)
    torch.testing.assert_close(torch.jit.script(encoder)(**history), encoder(**history))
    pins = history["pins"].requires_grad_()
    encoder.train()(**history).square().sum().backward()
    assert pins.grad is not None
    assert pins.grad.isfinite().all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="heads=3 must divide towers.field_dimension=8"):
        make(heads=3)
    with pytest.raises(ValueError, match=r"dropout=1.0 must lie in \[0, 1\)"):
        SequenceConfig(dropout=1.0)
