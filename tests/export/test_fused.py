"""Fused MaskNets compute what the trained ones do."""

import pytest
import torch
from torch import nn

from homefeed.export.fused import fuse
from homefeed.towers.crossing.config import Crossing, DHENConfig, MaskNetConfig
from homefeed.towers.crossing.make import make_crossing
from homefeed.towers.crossing.masknet import MaskNet

NETS = MaskNetConfig(blocks=3, width=16)


@pytest.mark.parametrize("config", [NETS, DHENConfig(mlp_width=16, masknet=NETS)])
@pytest.mark.parametrize("num_users", [1, 5])
def test_a_fused_tower_is_the_same_function(config: Crossing, num_users: int) -> None:
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Identity(), make_crossing(4, 8, 6, config, dropout=0.5)).eval()
    for parameter in tower.parameters():
        nn.init.normal_(parameter, std=0.3)
    fused = torch.jit.script(fuse(tower))
    fields = torch.randn(num_users, 4, 8)
    with torch.inference_mode():
        torch.testing.assert_close(fused(fields), tower(fields))
    assert not any(isinstance(module, MaskNet) for module in fuse(tower).modules())
    assert any(isinstance(module, MaskNet) for module in tower.modules())
