"""The search for the smallest convolution that is a matrix of known input and output shape.

Along each dimension, what is read and a few sampled fibres leave few forms (`axis_forms.py`). The
smallest ones of each padding mode are combined, their kernel is read off the matrix (`kernel.py`),
and then the judge is `ConvMatrix` itself: its matrix must be the given one, entry by entry. Where
it is not, the fibres of the first difference join the samples, and the search goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import ConvMatrix
from convlin.structure.axis_forms import (
    FOLDED,
    AxisForm,
    anything_to_share,
    folded_forms,
    likely_form,
    zero_forms,
)
from convlin.structure.axis_space import AxisSpace
from convlin.structure.difference import Difference, differences
from convlin.structure.fibres import Layout, groups, spread
from convlin.structure.kernel import extract

__all__ = ["MODES", "Form", "Search"]

MODES: tuple[PaddingMode, ...] = ("zeros", *FOLDED)
SAMPLES = 16  # fibres per dimension to begin with
TRIED = 100  # folded forms per padding mode and dimension that are compared with them
RANK = 1e-8  # of the largest, what is no singular value of the fibres, squared
ROUNDS = 12  # combinations that are compared with the whole matrix


@dataclass(frozen=True)
class Form:
    """One convolution that could be the matrix: a form per dimension, and the groups."""

    in_channels: int
    out_channels: int
    groups: int
    axes: tuple[AxisForm, ...]

    @property
    def key(self) -> tuple[int, ...]:
        """What makes a form small: weights, then padding, dilation, stride, mode."""
        kernels, *others = zip(*(axis.key for axis in self.axes), strict=True)
        weights = self.in_channels * self.out_channels // self.groups * math.prod(kernels)
        return weights, *map(sum, others), MODES.index(self.axes[0].mode)

    @property
    def geometry(self) -> ConvGeometry:
        """The geometry of the whole convolution."""
        return ConvGeometry(
            self.in_channels, self.out_channels, [axis.kernel for axis in self.axes],
            stride=[axis.stride for axis in self.axes],
            padding=[axis.padding for axis in self.axes],
            dilation=[axis.dilation for axis in self.axes],
            groups=self.groups, padding_mode=self.axes[0].mode,
        )  # fmt: skip

    def spaces(self) -> list[AxisSpace]:
        """Return what the taps of each dimension span."""
        return [axis.space() for axis in self.axes]


def shares(space: AxisSpace, read: Bool[np.ndarray, "outputs pixels"]) -> bool:
    """Return whether a form says more than which pixels are read: its weights are fewer than they.

    Weights that are 0 somewhere are 0, and shared for nothing. Where just one output or one pixel
    is in use there is nothing to share.
    """
    if not anything_to_share(read):
        return True
    outputs = np.arange(len(read))[:, None]
    used = (read[outputs, space.table] | (space.table < 0)).all(axis=0)
    return space.restricted(used).rank < int(np.count_nonzero(read))


class Search:
    """One search: after `run`, `found` and `model`, or perhaps `miss`."""

    def __init__(self, layout: Layout, modes: Sequence[PaddingMode] = MODES) -> None:
        self.layout = layout
        self.modes = modes
        channels, self.read = layout.support()
        self.groups = groups(channels)
        entries = spread(layout.matrix.nnz, SAMPLES)
        dims = range(1, len(layout.input_shape))
        self.fibres = [layout.fibres(axis, entries) for axis in dims]
        # Sums of taps were rounded in the matrix's own dtype.
        kind = layout.matrix.dtype
        self.tolerance = 64 * float(np.finfo(kind).eps) if kind.kind in "fc" else 1e-9
        self.found: Form | None = None
        self.model: ConvMatrix | None = None
        self.miss: Difference | None = None
        self.compared = 0

    @property
    def least_weights(self) -> int:
        """The fewest weights that any form could have."""
        pairs = self.layout.input_shape[0] * self.layout.output_shape[0] // self.groups
        return pairs * math.prod(self._least_kernels)

    def run(self) -> None:
        """Look for the smallest form, until the matrix agrees with one or none is left."""
        while self.compared < ROUNDS and (form := self._smallest()) is not None:
            model, difference = self._compare(form)
            if difference is None:
                self.found, self.model = form, model
                return
            if self.miss is None or difference.count < self.miss.count:
                self.miss = difference
            for dim, held in enumerate(self.fibres):
                fibre = self.layout.fibre(dim + 1, difference.row, difference.column)
                self.fibres[dim] = np.concatenate([held, fibre[None]])

    @property
    def least(self) -> bool:
        """Whether what was found has no more taps than its widest row shows."""
        assert self.found is not None
        return [axis.kernel for axis in self.found.axes] == self._least_kernels

    def why_not(self) -> Difference | None:
        """Return the fewest differences from any form compared, or from the likeliest one."""
        if self.miss is None:
            reads = enumerate(self.read)
            axes = [self._axis_form(dim, "zeros") or likely_form(read) for dim, read in reads]
            self.miss = self._compare(self._form(axes))[1]
        return self.miss

    def _compare(self, form: Form) -> tuple[ConvMatrix, Difference | None]:
        """Return the form's matrix, with the kernel found in the given one, and the difference."""
        self.compared += 1
        spaces = form.spaces()
        size = self.layout.input_shape[1:]
        weight = extract(self.layout.matrix, form.geometry, size, spaces)
        model = ConvMatrix(form.geometry, weight, size, memory_limit=2**62)
        return model, differences(self.layout.matrix, model, spaces)

    def _form(self, axes: Sequence[AxisForm]) -> Form:
        shapes = self.layout.input_shape[0], self.layout.output_shape[0]
        return Form(*shapes, self.groups, tuple(axes))

    def _smallest(self) -> Form | None:
        """Return the smallest combination of forms that explains all fibres seen so far."""
        best: Form | None = None
        for mode in self.modes:
            axes = []
            for dim in range(len(self.read)):
                form = self._axis_form(dim, mode, best)
                if form is None:
                    break
                axes.append(form)
            else:
                combined = self._form(axes)
                if best is None or combined.key < best.key:
                    best = combined
        return best

    def _axis_form(self, dim: int, mode: PaddingMode, best: Form | None = None) -> AxisForm | None:
        """Return the smallest form along one dimension, no larger than can still beat `best`."""
        found = next(
            (
                form
                for form in zero_forms(self.read[dim])
                if (mode == "zeros" or not any(form.padding)) and self._explains(dim, form)
            ),
            None,
        )
        if mode == "zeros":
            return found
        if found is not None:
            found = replace(found, mode=mode)
        least = self._least_kernels[dim]
        if found is not None and found.kernel == least:
            return found
        most = 2 * self.read[dim].shape[1]
        if best is not None:
            others = math.prod(self._least_kernels) // least
            most = min(most, math.prod(axis.kernel for axis in best.axes) // others)
        tried = 0
        for kernel in range(least, (min(most, found.kernel) if found else most) + 1):
            for form in folded_forms(self.read[dim], mode, kernel):
                tried += 1
                if tried > TRIED:
                    return found
                if self._explains(dim, form):
                    return min(form, found or form, key=lambda form: form.key)
        return found

    def _explains(self, dim: int, form: AxisForm) -> bool:
        space = form.space()
        return space.explains(self.fibres[dim], self.tolerance) and shares(space, self.read[dim])

    @cached_property
    def _least_kernels(self) -> list[int]:
        """The fewest taps that each dimension's kernel can have."""
        least = []
        for read, fibres in zip(self.read, self.fibres, strict=True):
            flat = fibres.reshape(len(fibres), read.size).astype(
                np.result_type(fibres.dtype, float)
            )
            # By the squares of the singular values: a rank too low is still a bound.
            squares = np.linalg.eigvalsh(flat @ flat.conj().T)
            rank = int(np.count_nonzero(squares > RANK * squares.max(initial=0)))
            least.append(max(1, rank, int(read.sum(axis=1).max(initial=0))))
        return least
