"""Geometries that no one layer has, as layers all the same: against the matrix, in integers."""

import numpy as np
import pytest
import torch
from torch import nn

from convlin import ConvGeometry, ConvMatrix, recognize, unroll
from convlin.layers.layer_of import layer_of
from geometry_strategies import conv, integers

# Transposed, with sides that differ; the input's size; what must be cropped, last dimension first.
BY_SIDE = {
    "more-behind": ({"kernel": (4,), "padding": ((0, 2),)}, (5,), (0, -2)),
    "more-before": ({"kernel": (5,), "padding": ((3, 1),)}, (6,), (-2, 0)),
    "by-output-padding": ({"kernel": (4,), "stride": 3, "padding": ((2, 0),)}, (5,), None),
    "by-less-output-padding": (
        {"kernel": (4,), "stride": 3, "padding": ((0, 2),), "output_padding": 2}, (5,), None,
    ),
    "by-output-padding-of-dilation": (
        {"kernel": (3,), "dilation": 4, "padding": ((4, 1),), "output_padding": 0}, (5,), None,
    ),
    "too-much-for-output-padding": (
        {"kernel": (4,), "stride": 2, "padding": ((2, 0),), "output_padding": 1}, (5,), (-2, 0),
    ),
    "output-padding-beyond-the-kernel": (
        {"kernel": (2,), "stride": 5, "padding": ((0, 1),), "output_padding": 4}, (3,), None,
    ),
    "2d": (
        {"kernel": (3, 4), "stride": (2, 1), "dilation": (1, 3), "padding": ((1, 0), (2, 5))},
        (4, 5),
        (0, -3, 0, 0),
    ),
    "2d-groups": (
        {"kernel": (3, 4), "padding": ((0, 1), (2, 0)), "groups": 2}, (4, 5), (-2, 0, 0, -1),
    ),
    "3d": (
        {"kernel": (2, 3, 4), "padding": ((0, 1), (1, 1), (3, 1)), "stride": (1, 2, 1)},
        (3, 4, 2),
        (-2, 0, 0, 0, 0, -1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fields, size, crop", BY_SIDE.values(), ids=BY_SIDE)
def test_a_transposed_convolution_crops_by_side(fields, size, crop):
    geometry = ConvGeometry(4, 6, **fields, transposed=True)
    weight = integers(*geometry.weight_shape, seed=1)
    bias, x = integers(6, seed=2), integers(3, 4, *size, seed=3)
    matrix = ConvMatrix(geometry, weight.numpy(), size)
    expected = (matrix.toarray() @ x.flatten(1).numpy().T).T.reshape(3, *matrix.output_shape)
    layer = layer_of(geometry, weight, bias, size)
    assert np.array_equal(layer(x).detach(), expected + bias.view(-1, *[1] * len(size)).numpy())
    if crop is None:
        assert isinstance(layer, nn.modules.conv._ConvTransposeNd)
    else:
        assert isinstance(layer[1], nn.modules.padding._ConstantPadNd)
        assert layer[1].padding == crop


def test_one_that_is_recognized_comes_back_as_layers():
    """An output padding that the dilation allows is found as more padding behind."""
    own = conv(
        2, 2, 3, (1, 7), transposed=True, stride=(2, 1), dilation=3, output_padding=(1, 2),
        bias=False,
    )  # fmt: skip
    matrix = unroll(own, (6, 9))
    found = recognize(matrix, matrix.input_shape, matrix.output_shape)
    assert found.geometry.transposed
    assert any(before != after for before, after in found.geometry.padding)
    x = integers(4, 2, 6, 9, seed=5)
    assert torch.equal(found.to_conv()(x), own(x))
