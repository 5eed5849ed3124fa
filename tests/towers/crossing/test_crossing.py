from typing import Literal

import pytest
import torch

from homefeed.towers.crossing.config import (
    Crossing,
    DHENConfig,
    IdentityConfig,
    MaskNetConfig,
    MLPConfig,
)
from homefeed.towers.crossing.dhen import DHEN, DHENLayer, FieldTransformer, OverFields
from homefeed.towers.crossing.make import make_crossing
from homefeed.towers.crossing.masknet import MaskBlock, MaskNet
from homefeed.towers.crossing.mlp import MLP

CROSSINGS = [
    MLPConfig(widths=(16, 8), activation="gelu"),
    MLPConfig(widths=(), normalise_fields=False),
    MLPConfig(widths=(16,), shortcut=True),
    MaskNetConfig(blocks=2, width=5),
    DHENConfig(heads=2, mlp_width=12),
    DHENConfig(order="mer", heads=2, mlp_width=12),
]


@pytest.mark.parametrize("config", CROSSINGS, ids=lambda each: type(each).__name__)
def test_fields_become_one_vector_scripted_or_not(config: Crossing) -> None:
    torch.manual_seed(0)
    crossing = make_crossing(3, 8, 6, config, dropout=0.2)
    fields = torch.randn(5, 3, 8)
    crossing(fields).square().sum().backward()
    for name, parameter in crossing.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    crossing.eval()
    vectors = crossing(fields)
    assert vectors.shape == (5, 6)
    assert torch.equal(crossing(fields), vectors)
    torch.testing.assert_close(torch.jit.script(crossing)(fields), vectors)
    # A row does not know of the others of its batch.
    torch.testing.assert_close(crossing(fields[2:3]), vectors[2:3])


def test_dropout_reaches_every_branch_in_training_alone() -> None:
    mlp = make_crossing(3, 8, 6, MLPConfig(widths=(16,)), dropout=0.5)
    masknet = make_crossing(3, 8, 6, MaskNetConfig(blocks=1, width=16), dropout=0.5)
    dhen = DHEN(3, 8, 6, DHENConfig(heads=2), dropout=0.5)
    branches = [each for each in dhen.modules() if isinstance(each, OverFields | FieldTransformer)]
    assert len(branches) == 4
    fields = torch.randn(5, 3, 8)
    for module in (mlp, masknet, *branches):
        assert not torch.equal(module(fields), module(fields))
        module.eval()
        assert torch.equal(module(fields), module(fields))


def test_a_mask_block_multiplies_its_input_by_what_an_mlp_makes_of_it() -> None:
    block = MaskBlock(6, MaskNetConfig(blocks=1, width=4, ratio=0.5), dropout=0.0)
    assert block.mask[0].out_features == 3
    x = torch.randn(2, 6)
    torch.testing.assert_close(block(x), block.output(x * block.mask(x)))
    last = block.mask[2]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        # Where it starts, a mask lets everything through.
        torch.testing.assert_close(block(x), block.output(x))
        last.bias.zero_()
    # A mask of zeros lets nothing of x through.
    torch.testing.assert_close(block(x), block(2 * x))


def test_masknet_normalises_each_field_by_itself() -> None:
    crossing = MaskNet(3, 4, 2, MaskNetConfig(blocks=2, width=5), dropout=0.0)
    fields = torch.randn(5, 3, 4)
    scaled = fields * torch.tensor([1.0, 10.0, 0.5])[None, :, None] + 3.0
    torch.testing.assert_close(crossing(fields), crossing(scaled), atol=1e-3, rtol=1e-3)


def test_the_two_orders_have_the_same_interactions_in_other_layers() -> None:
    seed, mer = (
        DHEN(3, 8, 6, DHENConfig(order=order, heads=2), dropout=0.0) for order in ("seed", "mer")
    )
    places = [
        {
            type(module).__name__: name.split(".")[1]
            for name, module in crossing.named_modules()
            if isinstance(module, MaskNet | FieldTransformer)
        }
        for crossing in (seed, mer)
    ]
    assert places[0] == {"MaskNet": "0", "FieldTransformer": "1"}
    assert places[1] == {"MaskNet": "1", "FieldTransformer": "0"}
    sizes = [sum(p.numel() for p in crossing.parameters()) for crossing in (seed, mer)]
    assert sizes[0] == sizes[1]


def test_a_layer_is_the_norm_of_its_interactions_and_its_input() -> None:
    class Swap(torch.nn.Module):
        def forward(self, fields: torch.Tensor) -> torch.Tensor:
            return fields.flip(1)

    fields = torch.tensor([[[1.0, 3.0], [4.0, 1.0]]])
    normalised = {
        # The shortcut alone: the input itself.
        0: [[-1.0, 1.0], [1.0, -1.0]],
        # (1, 3) + (4, 1) = (5, 4) in both fields.
        1: [[1.0, -1.0], [1.0, -1.0]],
        # Each sees the input and not what the other made: (1, 3) + 2 (4, 1) = (9, 5), and (6, 7).
        2: [[1.0, -1.0], [-1.0, 1.0]],
    }
    for num_interactions, expected in normalised.items():
        layer = DHENLayer([Swap() for _ in range(num_interactions)], 2, 2)
        torch.testing.assert_close(layer(fields), torch.tensor([expected]), atol=1e-4, rtol=0)


def test_the_field_transformer_is_the_encoder_layer_of_torch() -> None:
    ours = FieldTransformer(8, heads=2, width=16, dropout=0.0)
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    for norm in (ours.first_norm, ours.second_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    pairs = (
        (theirs.self_attn.out_proj, ours.output),
        (theirs.linear1, ours.feed_forward[0]),
        (theirs.linear2, ours.feed_forward[3]),
        (theirs.norm1, ours.first_norm),
        (theirs.norm2, ours.second_norm),
    )
    for to, of in pairs:
        to.load_state_dict(of.state_dict())
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(ours.projection.weight)
        theirs.self_attn.in_proj_bias.copy_(ours.projection.bias)
    fields = torch.randn(4, 5, 8)
    torch.testing.assert_close(ours(fields), theirs(fields))


def test_attention_runs_over_fields_whatever_their_order() -> None:
    transformer = FieldTransformer(8, heads=2, width=16, dropout=0.0).eval()
    fields = torch.randn(2, 5, 8)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(transformer(fields[:, order]), transformer(fields)[:, order])
    changed = fields.clone()
    changed[0, 4] += 1
    # Every field hears of every other, and none of another row's.
    differs = (transformer(changed) - transformer(fields)).abs().amax(dim=2) > 1e-6
    assert differs[0].all()
    assert not differs[1].any()


def test_an_mlp_without_hidden_layers_is_linear() -> None:
    crossing = MLP(2, 3, 4, MLPConfig(widths=(), normalise_fields=False), dropout=0.0)
    a, b = torch.randn(1, 2, 3), torch.randn(1, 2, 3)
    zero = crossing(torch.zeros(1, 2, 3))
    torch.testing.assert_close(crossing(a + b), crossing(a) + crossing(b) - zero)


@pytest.mark.parametrize("output_width", [3, 4])
def test_a_shortcut_adds_the_fields_as_they_are(output_width: int) -> None:
    config = MLPConfig(widths=(5,), shortcut=True)
    crossing = MLP(2, 3, output_width, config, dropout=0.0)
    assert isinstance(crossing.map, torch.nn.Identity) == (output_width == 3)
    fields = torch.randn(6, 2, 3)
    expected = crossing.layers(fields) + crossing.map(fields[:, 0] + fields[:, 1])
    torch.testing.assert_close(crossing(fields), expected)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_an_mlp_has_the_activation_asked_for(activation: Literal["relu", "gelu", "tanh"]) -> None:
    config = MLPConfig(widths=(5,), activation=activation, normalise_fields=False)
    crossing = MLP(2, 3, 4, config, dropout=0.0)
    first, last = (each for each in crossing.layers if isinstance(each, torch.nn.Linear))
    fields = torch.randn(7, 2, 3)
    expected = last(getattr(torch.nn.functional, activation)(first(fields.flatten(1))))
    torch.testing.assert_close(crossing(fields), expected)


def test_identity_is_the_field_itself() -> None:
    fields = torch.randn(4, 1, 6)
    same = torch.jit.script(make_crossing(1, 6, 6, IdentityConfig(), 0.0))
    assert torch.equal(same(fields), fields[:, 0])
    narrower = torch.jit.script(make_crossing(1, 6, 3, IdentityConfig(), 0.0))
    assert narrower(fields).shape == (4, 3)
    # Linear, without a shift.
    torch.testing.assert_close(narrower(2 * fields), 2 * narrower(fields))
    with pytest.raises(ValueError, match="takes one field, and this tower has 2"):
        make_crossing(2, 6, 6, IdentityConfig(), 0.0)


def test_meaningless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="^towers.crossing.ratio=-1.0 must be positive"):
        MaskNetConfig(ratio=-1.0)
    with pytest.raises(ValueError, match=r"^towers.crossing.widths=\[0\] must be positive"):
        MLPConfig(widths=(0,))
    with pytest.raises(ValueError, match="^towers.crossing.heads=0 must be positive"):
        DHENConfig(heads=0)
    with pytest.raises(ValueError, match="heads=3 must divide towers.field_dimension=8"):
        make_crossing(2, 8, 4, DHENConfig(heads=3), 0.0)
