"""The four forms of a convolution at one input size, and of a fully connected layer.

A convolution of weights W = in·out/groups·taps at one input size, `cells` output and `pixels`
input positions::

    form     weights            bias        true multiply-adds       counting padded zeros
    conv     W                  out         wires                    W·cells
    local    W·cells            out·cells   wires                    W·cells
    linear   out·cells·in·pix.  out·cells   out·cells·in·pixels      the same
    matrix   stored entries     out·cells   stored entries           the same

wires = in·out/groups · Π over dimensions of the (output, tap) pairs that read an input
(`ConvGeometry.connections`). stored entries = the same product over *distinct* (output, input)
pairs: fewer where reflect, replicate or circular padding makes several taps of an output read one
pixel, else just as many. A transposed convolution sends every input through every tap, so for it
`cells` in the weights and in the last column is `pixels`: its local form has a kernel for each
input position, as that of its adjoint has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import SupportsIndex

from convlin.costs.form import FORMS, Form, FormCost
from convlin.geometry import ConvGeometry

__all__ = ["across", "convolution_forms", "known", "linear_forms", "stored_entries", "unchanged"]


def convolution_forms(
    geometry: ConvGeometry,
    input_size: SupportsIndex | Sequence[SupportsIndex],
    bias: bool = True,
    itemsize: int = 4,
    times: int = 1,
) -> tuple[FormCost, ...]:
    """Return the costs of a convolution in all four forms, in the order of `FORMS`.

    `input_size` is spatial, in pixels; `itemsize` the bytes of one number; `times` how often a
    sample goes through the layer. Raises `GeometryError` where the input is too small.

    >>> article = convolution_forms(ConvGeometry(1, 1, kernel=(3, 3)), 6, bias=False)
    >>> {cost.form: cost.parameters for cost in article}
    {'conv': 9, 'local': 144, 'linear': 576, 'matrix': 144}
    """
    sizes, output_size = geometry.sizes(input_size), geometry.output_size(input_size)
    cells, pixels = math.prod(output_size), math.prod(sizes)
    rows, columns = geometry.out_channels * cells, geometry.in_channels * pixels
    weights = math.prod(geometry.weight_shape)
    kernels = pixels if geometry.transposed else cells
    wires, entries = geometry.connections(sizes), stored_entries(geometry, sizes)

    def cost(form: Form, count: int, biases: int, true: int, padded: int) -> FormCost:
        parameters = count + biases * bias
        return FormCost(
            form, parameters, parameters * itemsize, true * times, padded * times,
            rows * itemsize * times,
        )  # fmt: skip

    matrix = cost("matrix", entries, rows, entries, entries)
    indices = _index_bytes(rows, columns, entries)
    return (
        cost("conv", weights, geometry.out_channels, wires, weights * kernels),
        cost("local", weights * kernels, rows, wires, weights * kernels),
        cost("linear", rows * columns, rows, rows * columns, rows * columns),
        replace(matrix, stored_bytes=matrix.stored_bytes + indices),
    )


def linear_forms(
    in_features: int,
    out_features: int,
    bias: bool = True,
    rows: int = 1,
    itemsize: int = 4,
    times: int = 1,
) -> tuple[FormCost, ...]:
    """Return the costs of a fully connected layer in all four forms, in the order of `FORMS`.

    It is applied to `rows` vectors of a sample, all with the same weights. `linear` is the layer
    itself, `conv` the 1×1 convolution (or the one with a kernel as large as the map) that it
    equals, number for number; `local` gives each row weights of its own; `matrix` is the one
    matrix, stored sparse with no zero to leave out. `times` is how often all rows come again.

    >>> [cost.parameters for cost in linear_forms(3, 2, bias=False, rows=9)]
    [6, 54, 6, 6]
    """
    weights, biases = in_features * out_features, out_features * bias
    adds, output = weights * rows * times, out_features * rows * times * itemsize
    shared, own = weights + biases, (weights + biases) * rows
    indices = _index_bytes(out_features, in_features, weights)
    return (
        FormCost("conv", shared, shared * itemsize, adds, adds, output),
        FormCost("local", own, own * itemsize, adds, adds, output),
        FormCost("linear", shared, shared * itemsize, adds, adds, output),
        FormCost("matrix", shared, shared * itemsize + indices, adds, adds, output),
    )


def unchanged(
    parameters: int,
    stored_bytes: int,
    multiply_adds: int | None,
    padded_multiply_adds: int | None,
    activation_bytes: int,
) -> tuple[FormCost, ...]:
    """Return the costs of a layer that is the same in every form, such as a normalisation."""
    numbers = (parameters, stored_bytes, multiply_adds, padded_multiply_adds, activation_bytes)
    return tuple(FormCost(form, *numbers) for form in FORMS)


def across(
    uses: Sequence[tuple[FormCost, ...]], shared: frozenset[Form] | set[Form]
) -> tuple[FormCost, ...]:
    """Return the costs of one layer that runs at several input sizes of a sample.

    Everything adds up, but the parameters of the `shared` forms, which are the same at all sizes.

    >>> uses = [linear_forms(3, 2, bias=False, rows=rows) for rows in (4, 5)]
    >>> [cost.parameters for cost in across(uses, {"conv", "linear", "matrix"})]
    [6, 54, 6, 6]
    """
    summed = []
    for costs in zip(*uses, strict=True):
        first = costs[0]
        once = first.form in shared
        summed.append(
            FormCost(
                first.form,
                first.parameters if once else sum(cost.parameters for cost in costs),
                first.stored_bytes if once else sum(cost.stored_bytes for cost in costs),
                known(cost.multiply_adds for cost in costs),
                known(cost.padded_multiply_adds for cost in costs),
                sum(cost.activation_bytes for cost in costs),
            )
        )
    return tuple(summed)


def stored_entries(geometry: ConvGeometry, input_size: tuple[int, ...]) -> int:
    """Return how many entries the sparse matrix stores; a tap whose weight is 0 is one too.

    >>> stored_entries(ConvGeometry(1, 1, kernel=(3,), padding=1, padding_mode="replicate"), (4,))
    10
    """
    pairs = math.prod(_stored_pairs(geometry, dim, n) for dim, n in enumerate(input_size))
    return geometry.in_channels * geometry.out_channels // geometry.groups * pairs


def _stored_pairs(geometry: ConvGeometry, dim: int, n: int) -> int:
    """Return how many (output, input) pairs along `dim` are joined by a tap, or by several.

    Only where padding repeats pixels may several taps of an output read the same one, so an output
    that reads no padding has as many pairs as there are taps.
    """
    if geometry.padding_mode == "zeros":
        return geometry.reading_pairs(dim, n)
    outputs, taps = geometry.output_length(dim, n), geometry.kernel[dim]
    before, stride = geometry.padding[dim][0], geometry.stride[dim]
    first = min(outputs, -(-before // stride))
    stop = min(outputs, max(first, (n - geometry.extent[dim] + before) // stride + 1))
    at_edges = sum(
        len({geometry.source(dim, n, output, tap) for tap in range(taps)})
        for output in itertools.chain(range(first), range(stop, outputs))
    )
    return (stop - first) * taps + at_edges


def _index_bytes(rows: int, columns: int, entries: int) -> int:
    """Return the bytes of CSR's column indices and row pointers: 32 bits each while that fits."""
    width = 4 if max(rows, columns, entries) < 2**31 else 8
    return width * (entries + rows + 1)


def known(counts: Iterable[int | None]) -> int | None:
    """Return the sum, or None if one of them is not known."""
    listed = list(counts)
    known = [count for count in listed if count is not None]
    return sum(known) if len(known) == len(listed) else None
