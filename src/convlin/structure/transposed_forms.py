"""A transposed convolution in a matrix: a convolution with zero padding in its transpose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

from scipy.sparse import csr_array

from convlin.errors import GeometryError
from convlin.geometry import ConvGeometry
from convlin.structure.fibres import Layout
from convlin.structure.search import Form, Search

__all__ = ["transposed_searches", "turned"]


def transposed_searches(
    csr: csr_array,
    into: tuple[int, ...],
    shapes: Sequence[tuple[int, ...]],
    unit: float,
    suspects: Sequence[tuple[int, int]],
) -> Iterator[Search]:
    """Yield the searches that find a convolution in the transposed matrix.

    suspects: (row, column) in the matrix as it was, entries to look at before all others.

    None on a one-pixel input: every matrix is a transposed convolution there.
    """
    if math.prod(into[1:]) == 1:
        return
    transpose = csr_array(csr.T)
    transpose.sort_indices()
    turned_round = [(column, row) for row, column in suspects]
    for shape in shapes:
        search = Search(Layout(transpose, shape, into), unit, ("zeros",), turned_round)
        search.run()
        if search.form is None:
            if search.miss is not None:
                turned_round.append((search.miss.row, search.miss.column))
            continue
        with suppress(GeometryError):  # it may need more output padding than there is
            turned(search.form, into[1:])
            yield search


def turned(form: Form, input_size: tuple[int, ...]) -> ConvGeometry:
    """Return the transposed convolution whose adjoint the form is, cropped alike where that fits.

    Per dimension, outputs - ((inputs - 1)·stride + extent) = output_padding - before - after. With
    `missing` = output_padding - after, cropping alike on both sides (after = before) asks for an
    output_padding of missing + before, as far as that is within 0 … max(stride, dilation) - 1.
    Raises `GeometryError` where that takes more output padding than PyTorch has.
    """
    sides, extra = [], []
    for axis, n in zip(form.axes, input_size, strict=True):
        before = axis.padding[0]
        missing = axis.n - (n - 1) * axis.stride - axis.extent + before
        more = min(max(0, missing + before), max(axis.stride, axis.dilation) - 1)
        sides.append((before, more - missing))
        extra.append(more)
    return ConvGeometry(
        form.out_channels, form.in_channels, [axis.kernel for axis in form.axes],
        stride=[axis.stride for axis in form.axes], padding=sides,
        dilation=[axis.dilation for axis in form.axes], groups=form.groups,
        transposed=True, output_padding=extra,
    )  # fmt: skip
