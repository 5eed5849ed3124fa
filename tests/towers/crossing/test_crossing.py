import pytest
import torch

from homefeed.towers.crossing.config import (
    Crossing,
    DHENConfig,
    IdentityConfig,
    MaskNetConfig,
    MLPConfig,
)
from homefeed.towers.crossing.dhen import DHEN, DHENLayer, FieldTransformer
from homefeed.towers.crossing.make import make_crossing
from homefeed.towers.crossing.masknet import MaskBlock, MaskNet
from homefeed.towers.crossing.mlp import MLP

CROSSINGS = [
    MLPConfig(widths=(16, 8), activation="gelu"),
    MLPConfig(widths=(), normalise_fields=False),
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
    torch.testing.assert_close(torch.jit.script(crossing)(fields), vectors)
    # A row does not know of the others of its batch.
    torch.testing.assert_close(crossing(fields[2:3]), vectors[2:3])


def test_a_mask_block_multiplies_its_input_by_what_an_mlp_makes_of_it() -> None:
    block = MaskBlock(6, MaskNetConfig(blocks=1, width=4, ratio=0.5), dropout=0.0)
    assert block.mask[0].out_features == 3
    x = torch.randn(2, 6)
    torch.testing.assert_close(block(x), block.output(x * block.mask(x)))
    with torch.no_grad():
        for parameter in block.mask[2].parameters():
            parameter.zero_()
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
    class Double(torch.nn.Module):
        def forward(self, fields: torch.Tensor) -> torch.Tensor:
            return 2 * fields

    fields = torch.randn(2, 3, 4)
    layer = DHENLayer([Double(), Double()], 3, 4)
    # 2x + 2x + x, and a norm that does not see the factor.
    expected = torch.nn.functional.layer_norm(fields, (4,))
    torch.testing.assert_close(layer(fields), expected, atol=1e-3, rtol=1e-3)


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


def test_identity_is_the_field_itself() -> None:
    fields = torch.randn(4, 1, 6)
    assert torch.equal(make_crossing(1, 6, 6, IdentityConfig(), 0.0)(fields), fields[:, 0])
    assert make_crossing(1, 6, 3, IdentityConfig(), 0.0)(fields).shape == (4, 3)
    with pytest.raises(ValueError, match="takes one field, and this tower has 2"):
        make_crossing(2, 6, 6, IdentityConfig(), 0.0)


def test_meaningless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="ratio=-1.0 must be positive"):
        MaskNetConfig(ratio=-1.0)
    with pytest.raises(ValueError, match=r"widths=\[0\] must be positive"):
        MLPConfig(widths=(0,))
    with pytest.raises(ValueError, match="heads=3 must divide towers.field_dimension=8"):
        make_crossing(2, 8, 4, DHENConfig(heads=3), 0.0)
