"""`ReceptiveField` against the gradient of a real stack: which pixels does a cell depend on?"""

import pytest
import torch
from torch import nn

from convlin import ConvGeometry, GeometryError, ReceptiveField
from geometry_strategies import conv


def pool(kernel, stride):
    return nn.MaxPool2d(kernel, stride), ReceptiveField(kernel, stride, (0, 0))


def layer(*sizes, **fields):
    made = conv(2, *sizes, **fields)
    made.weight.data.abs_().add_(1)
    return made, ConvGeometry.of(made).field


STACKS = {
    "one-conv": [layer(1, 2, (3, 5), stride=(2, 1), dilation=(1, 2))],
    "conv-conv": [layer(1, 2, (3, 2), stride=(2, 3)), layer(2, 1, (2, 4), stride=(3, 1))],
    "conv-pool-conv": [
        layer(1, 2, (3, 4)),
        pool((2, 3), (2, 3)),
        layer(2, 1, (3, 2), dilation=(2, 3)),
    ],
    "padded": [
        layer(1, 2, (3, 5), padding=(1, 2), stride=(1, 2)),
        layer(2, 1, (3, 3), padding=(0, 1)),
    ],
}
SIZE = (19, 27)


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_field_is_the_hull_of_the_pixels_with_a_gradient(stack):
    field = ReceptiveField.pixel(2)
    for _, step in stack:
        field = field.then(step)
    average = [
        nn.AvgPool2d(m.kernel_size, m.stride) if isinstance(m, nn.MaxPool2d) else m
        for m, _ in stack
    ]
    x = torch.zeros(1, 1, *SIZE, dtype=torch.float64, requires_grad=True)
    y = nn.Sequential(*average)(x)[0, 0]
    for cell in [(0, 0), (1, 2), (y.shape[0] - 1, y.shape[1] - 1)]:
        (gradient,) = torch.autograd.grad(y[cell], x, retain_graph=True)
        read = torch.nonzero(gradient[0, 0])
        hull = tuple(zip(read.amin(0).tolist(), (read.amax(0) + 1).tolist(), strict=True))
        clipped = tuple(
            (max(0, start), min(n, stop))
            for (start, stop), n in zip(field.reads(cell), SIZE, strict=True)
        )
        assert hull == clipped


@pytest.mark.parametrize(
    "stack", [STACKS["conv-conv"], STACKS["conv-pool-conv"]], ids=["convs", "pool"]
)
@pytest.mark.parametrize("size", [(19, 27), (20, 29), (31, 23), (13, 40)], ids=str)
def test_a_padding_free_stack_has_as_many_cells_as_windows(stack, size):
    field = ReceptiveField.pixel(2)
    for _, step in stack:
        field = field.then(step)
    y = nn.Sequential(*(m for m, _ in stack))(torch.zeros(1, 1, *size).double())
    assert field.cells(size) == y.shape[2:]


def test_then_is_associative_and_pixel_is_its_unit():
    a, b, c = (
        ReceptiveField((3, 5), (2, 3), (-1, 0)),
        ReceptiveField((2, 4), (3, 1), (0, -2)),
        ReceptiveField((7, 1), (1, 2), (-3, 1)),
    )
    assert a.then(b).then(c) == a.then(b.then(c))
    assert ReceptiveField.pixel(2).then(a) == a == a.then(ReceptiveField.pixel(2))


def test_a_smaller_image_than_the_field_has_no_cells():
    assert ReceptiveField((4, 6), (2, 3), (0, 0)).cells((3, 60)) == (0, 19)


def test_dimensions_must_agree():
    with pytest.raises(GeometryError, match="ndim is 1, expected 2, as the layer before"):
        ReceptiveField.pixel(2).then(ReceptiveField.pixel(1))
