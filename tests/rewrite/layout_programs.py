"""Random programs of layers and layouts in whole numbers, that any two right runs agree on."""

from functools import partial
from math import prod

import torch
from torch import nn
from torch.nn import functional

BATCH = 7  # no other size has the factor: where it is, the batch is
PERIOD = 97  # values are taken modulo this, and so stay exact


class LinearAsConv2d(nn.Linear):
    """A Linear on (B, C, 1, S), as layers are exchanged."""

    def forward(self, x):
        weight = self.weight[:, :, None, None]
        if x.dim() == 2:
            columns = x.t().unsqueeze(0).unsqueeze(2)
            return functional.conv2d(columns, weight, self.bias).squeeze(2).squeeze(0).t()
        flat = x.flatten(1, -2)
        channels_first = flat.transpose(1, 2).unsqueeze(2)
        y = functional.conv2d(channels_first, weight, self.bias).squeeze(2).transpose(1, 2)
        return y.unflatten(1, x.shape[1:-1]) if x.dim() > 3 else y


class Conv1dAsConv2d(nn.Conv1d):
    """A Conv1d on (B, C, 1, S)."""

    def forward(self, x):
        y = functional.conv2d(
            x.unsqueeze(2), self.weight.unsqueeze(2), self.bias, (1, *self.stride),
            (0, *self.padding), (1, *self.dilation), self.groups,
        )  # fmt: skip
        return y.squeeze(2)


def as_conv2d(model):
    """Exchange every Linear and Conv1d of a model, in place."""
    forms = {nn.Linear: LinearAsConv2d, nn.Conv1d: Conv1dAsConv2d}
    for module in model.modules():
        module.__class__ = forms.get(type(module), type(module))
    return model


class Program(nn.Module):
    """Steps that each take some of the values so far and give one more."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList()
        self.steps = []

    def forward(self, x):
        values = [x]
        for step, operands in self.steps:
            values.append(step(*(values[n] for n in operands), batch=x.shape[0]))
        return values[-1], values[len(values) // 2]


def shape_for(batch, sizes):
    return [size // BATCH * batch if size % BATCH == 0 else size for size in sizes]


def linear(layer, x, batch):
    return layer(x).remainder(PERIOD)


def permute(order, x, batch):
    return x.permute(order)


def reshape(sizes, x, batch):
    return x.reshape(shape_for(batch, sizes))


def unsqueeze(axis, x, batch):
    return x.unsqueeze(axis)


def squeeze(axes, x, batch):
    return x.squeeze(axes)


def cumulated(axis, x, batch):
    return x.cumsum(axis).remainder(PERIOD)


def flipped(axis, x, batch):
    return x.flip(axis)


def relu(x, batch):
    return functional.relu(x - 11)


def affine(weight, x, batch):
    return (x * weight + 5).remainder(PERIOD)


def add(x, y, batch):
    return (x + 2 * y).remainder(PERIOD)


def whole_numbers(draw, layer):
    """Give a layer random small whole numbers."""
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    for parameter in layer.parameters():
        parameter.data = torch.randint(-4, 5, parameter.shape, generator=generator).double()
    return layer


def random_program(draw, length):
    """Return a program of some steps, and an example; `draw` is a `random.Random`."""
    program = Program()
    shapes = [(BATCH, draw.choice((1, 4, 6)), draw.choice((4, 10)))]
    for _ in range(length):
        operand = draw.choice((len(shapes) - 1, len(shapes) - 1, draw.randrange(len(shapes))))
        step, operands, shape = draw.choice(KINDS)(draw, program, shapes, operand)
        program.steps.append((step, operands))
        shapes.append(shape)
    return program, shapes[0]


def _linear(draw, program, shapes, n):
    shape = shapes[n]
    if not 2 <= len(shape) <= 4 or shape[-1] % BATCH == 0:
        return _cumulated(draw, program, shapes, n)
    layer = LinearAsConv2d(shape[-1], draw.choice((4, 6, 10)))
    program.layers.append(whole_numbers(draw, layer))
    return partial(linear, layer), [n], (*shape[:-1], layer.out_features)


def _permute(draw, program, shapes, n):
    order = draw.sample(range(len(shapes[n])), len(shapes[n]))
    return partial(permute, order), [n], tuple(shapes[n][axis] for axis in order)


def _reshape(draw, program, shapes, n):
    total, sizes = prod(shapes[n]), []
    while total > 1:
        size = draw.choice([size for size in range(2, total + 1) if total % size == 0])
        sizes.append(size)
        total //= size
    draw.shuffle(sizes)
    return partial(reshape, sizes), [n], tuple(sizes)


def _split(draw, program, shapes, n):
    """Split the last axis and put its parts apart, as heads are."""
    *outer, last = shapes[n]
    if last % 2 or last == 2:
        return _permute(draw, program, shapes, n)
    sizes = (*outer, 2, last // 2)
    return partial(reshape, sizes), [n], sizes


def _unsqueeze(draw, program, shapes, n):
    axis = draw.randrange(len(shapes[n]) + 1)
    return partial(unsqueeze, axis), [n], (*shapes[n][:axis], 1, *shapes[n][axis:])


def _squeeze(draw, program, shapes, n):
    axes = tuple(axis for axis, size in enumerate(shapes[n]) if size == 1)
    return partial(squeeze, axes), [n], tuple(size for size in shapes[n] if size != 1)


def _cumulated(draw, program, shapes, n):
    kind = draw.choice((cumulated, flipped))
    return partial(kind, draw.randrange(len(shapes[n]))), [n], shapes[n]


def _relu(draw, program, shapes, n):
    return relu, [n], shapes[n]


def _affine(draw, program, shapes, n):
    sizes = [size if draw.random() < 0.5 and size % BATCH else 1 for size in shapes[n]]
    weight = torch.arange(1.0, 1 + prod(sizes), dtype=torch.float64).reshape(sizes)
    return partial(affine, weight), [n], shapes[n]


def _add(draw, program, shapes, n):
    """Add two values of which one can be broadcast to the other."""
    partners = [m for m in range(len(shapes)) if _fits(shapes[m], shapes[n])]
    return add, draw.sample([n, draw.choice(partners)], 2), shapes[n]


def _fits(shape, whole):
    missing = len(whole) - len(shape)
    pairs = zip(shape, whole[max(missing, 0) :], strict=False)
    return missing >= 0 and all(size in (1, other) for size, other in pairs)


KINDS = [_linear] * 4 + [_permute] * 2 + [_add] * 4 + [
    _reshape, _split, _unsqueeze, _squeeze, _cumulated, _relu, _relu, _affine, _affine,
]  # fmt: skip
