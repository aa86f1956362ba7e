"""RepVGG's three branches, of timm's own block, beside its own reparameterization."""

import copy

import pytest
import torch
from timm.models.byobnet import RepVggBlock
from torch import nn

from convlin import merge
from convlin.proof import Proved, Rounded


def plain(norm):
    """Return timm's normalisation, which is of a class of its own, as PyTorch's."""
    twin = nn.BatchNorm2d(norm.num_features, norm.eps)
    twin.load_state_dict(norm.state_dict())
    return twin.eval()


@pytest.mark.parametrize("stride, groups", [(1, 1), (1, 4), (2, 2)])
def test_it_is_timms_own_but_for_rounding(stride, groups):
    channels = 8
    block = RepVggBlock(channels, channels, stride=stride, group_size=channels // groups)
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    block.eval()
    branches = [
        nn.Sequential(branch.conv, plain(branch.bn)) for branch in (block.conv_kxk, block.conv_1x1)
    ]
    if block.identity is not None:
        branches.append(plain(block.identity))
    assert len(branches) == 2 + (stride == 1)
    merged = merge(*branches, parallel=True)
    assert isinstance(merged.verdict, Rounded), merged.verdict
    assert isinstance(merged.verdict.identity, Proved)

    theirs = copy.deepcopy(block)
    theirs.reparameterize()
    conv = theirs.reparam_conv
    assert (merged.layer.stride, merged.layer.padding) == (conv.stride, conv.padding)
    assert merged.layer.groups == conv.groups == groups
    eps = torch.finfo(torch.float32).eps
    scale = merged.layer.weight.abs().max()
    assert (merged.layer.weight - conv.weight).abs().max() <= 8 * eps * scale
    x = torch.randn(2, channels, 7, 9)
    expected = block(x)
    assert (torch.relu(merged.layer(x)) - expected).abs().max() < 1e-5 * expected.abs().max()
