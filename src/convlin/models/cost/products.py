"""What one operation multiplies: the multiply-adds of a product, from the shapes of its factors.

| operation | multiply-adds |
|---|---|
| `a @ b`, (…, m, k) by (…, k, n) | …·m·k·n: each number of a meets n of b |
| attention, (…, s, d) by (…, t, d), then by (…, t, e) | …·s·t·(d + e) |
| convolution | those of the layer of its geometry |

Everything else that ATen runs, such as x * y, multiplies no matrix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from operator import getitem
from typing import Any, cast

from torch import fx

from convlin.costs import convolution_forms
from convlin.geometry import ConvGeometry
from convlin.internals.dispatch import is_operator
from convlin.models.graph.operations import name_of
from convlin.models.graph.traced import shape_of

__all__ = ["WHOLE", "Product", "product_of"]

ATTENTION = "scaled_dot_product_attention"
# Attention is to be seen as such, whatever kernel would run it; the others multiply nothing, and
# have parts that look at how memory lies, which is refused.
WHOLE = (ATTENTION, "adaptive_avg_pool2d", "adaptive_avg_pool3d", "stft", "istft")

# The matrix products that others are made of (matmul, linear, einsum …): which arguments they take.
FACTORS = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), (0, 1)),
    **dict.fromkeys(("addmm", "addmv", "addbmm", "baddbmm"), (1, 2)),
}
# Operations of ATen's that multiply in a way of their own, and all of other libraries.
UNKNOWN = re.compile(r"mm(_|$)|conv(?!ert)|rnn|^_trilinear|attention|transformer|::")


@dataclass(frozen=True)
class Product:
    """What an operation multiplies: as in `FormCost`; None where it is not known.

    operation: as the code that called it has it, of which it may be a part.
    """

    operation: str
    multiply_adds: int | None
    padded_multiply_adds: int | None


def product_of(node: fx.Node) -> Product | None:
    """Return what an operation multiplies; None if it is no product."""
    if node.op != "call_function" or node.target is getitem:
        return None
    name, args = name_of(node.target), cast("tuple[Any, ...]", node.args)
    counts: tuple[int | None, int | None]
    if name in FACTORS:
        counts = (_matrix_product(*(args[place] for place in FACTORS[name])),) * 2
    elif name == ATTENTION:
        counts = (_attention(*args[:3]),) * 2
    elif name == "convolution":
        counts = _convolution(*args)
    elif is_operator(node.target) and not UNKNOWN.search(name):
        return None
    else:
        counts = None, None
    return Product(node.meta["origin"].composite or name, *counts)


def _matrix_product(a: fx.Node, b: fx.Node) -> Any:
    """Return how many pairs of numbers are multiplied; a vector is a matrix of one column."""
    return prod(shape_of(a)) * (shape_of(b)[-1] if len(shape_of(b)) > 1 else 1)


def _attention(query: fx.Node, key: fx.Node, value: fx.Node) -> Any:
    """Return those of query by key, and of the weights that these make by value."""
    *queries, width = shape_of(query)
    return prod(queries) * shape_of(key)[-2] * (width + shape_of(value)[-1])


def _convolution(
    x: fx.Node, weight: fx.Node, bias: fx.Node | None, stride: list[int], padding: list[int],
    dilation: list[int], transposed: bool, output_padding: list[int], groups: int,
) -> tuple[int | None, int | None]:  # fmt: skip
    """Return the true multiply-adds, and those that count padded zeros too."""
    batch, channels, *size = shape_of(x)
    first, second, *kernel = shape_of(weight)
    geometry = ConvGeometry(
        channels, second * groups if transposed else first, kernel, tuple(stride), tuple(padding),
        tuple(dilation), groups, transposed=transposed, output_padding=tuple(output_padding),
    )  # fmt: skip
    cost = convolution_forms(geometry, size, times=batch)[0]
    return cost.multiply_adds, cost.padded_multiply_adds
