"""The same convolution by PyTorch's own functions: the judge that shares no code with convlin.

`F.pad` takes each side by itself, so geometries that no layer has can be judged too.
"""

import math

import torch
from torch.nn import functional

from convlin import ConvGeometry, ConvMatrix
from geometry_strategies import integers

TORCH_MODES = {"zeros": "constant"}


def by_torch(geometry, weight, x):
    """Return the convolution of a batch x (n, in, *size), without bias."""
    g, kind = geometry, "conv_transpose" if geometry.transposed else "conv"
    run = getattr(functional, f"{kind}{g.ndim}d")
    if g.transposed:
        return run(
            x, weight, stride=g.stride, padding=tuple(lo for lo, _ in g.padding),
            output_padding=g.output_padding, groups=g.groups, dilation=g.dilation,
        )  # fmt: skip
    sides = [side for pair in reversed(g.padding) for side in pair]
    padded = functional.pad(x, sides, TORCH_MODES.get(g.padding_mode, g.padding_mode))
    return run(padded, weight, stride=g.stride, dilation=g.dilation, groups=g.groups)


def probed(geometry, weight, size):
    """Return the matrix in float64, column by column: the outputs for unit vectors."""
    shape = (geometry.in_channels, *size)
    units = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    return by_torch(geometry, weight.detach().to(torch.float64), units).flatten(1).T


def integer_matrix(*channels, size, seed=0, dtype=torch.float64, **fields):
    """Return a ConvMatrix with whole numbers for weights."""
    geometry = ConvGeometry(*channels, **fields)
    return ConvMatrix(geometry, integers(*geometry.weight_shape, seed=seed, dtype=dtype), size)


def geometry_id(geometry):
    """Return a readable id, such as conv2d-4to6-k3x2-s2-p1+0x2-d2-g2-reflect."""
    g = geometry

    def by(values):
        return "x".join(map(str, values))

    parts = [g.kind.lower(), f"{g.in_channels}to{g.out_channels}", f"k{by(g.kernel)}"]
    parts.append(f"s{by(g.stride)}")
    parts.append("p" + by(lo if lo == hi else f"{lo}+{hi}" for lo, hi in g.padding))
    parts.append(f"d{by(g.dilation)}")
    parts += [f"o{by(g.output_padding)}"] * any(g.output_padding)
    return "-".join([*parts, f"g{g.groups}", *[g.padding_mode] * (not g.transposed)])


# One row of every kind: what the slower tests run over.
EVERY_KIND = [
    integer_matrix(2, 3, size=(7,), kernel=(4,), stride=2, padding=((3, 1),)),
    integer_matrix(1, 2, size=(4,), kernel=(5,), padding=4, padding_mode="circular"),
    integer_matrix(
        4, 6, size=(8, 7), kernel=(3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), dilation=2,
        groups=2,
    ),
    integer_matrix(
        4, 2, size=(5, 6), kernel=(3, 2), padding=((2, 0), (1, 2)), dilation=(1, 3),
        padding_mode="reflect",
    ),
    integer_matrix(
        3, 6, size=(3, 2), kernel=(4, 5), stride=(1, 2), padding=((3, 4), (2, 5)), groups=3,
        padding_mode="replicate",
    ),
    integer_matrix(
        4, 2, size=(3, 4), kernel=(3, 2), transposed=True, stride=(3, 2), padding=1,
        output_padding=(2, 1),
    ),
    integer_matrix(
        4, 6, size=(5,), kernel=(3,), transposed=True, stride=2, dilation=3, padding=2, groups=2,
        output_padding=2,
    ),
    integer_matrix(
        2, 4, size=(3, 5, 4), kernel=(2, 1, 3), stride=(1, 2, 1), padding=((1, 0), (0, 1), (2, 1)),
        groups=2,
    ),
    integer_matrix(
        2, 1, size=(2, 4, 3), kernel=(2, 3, 2), padding=((1, 1), (2, 0), (0, 2)),
        padding_mode="circular",
    ),
]  # fmt: skip
EVERY_ID = [geometry_id(A.geometry) for A in EVERY_KIND]
