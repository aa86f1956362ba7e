"""The search for the smallest convolution that is a matrix of known input and output shape.

Along each dimension, what is read and the fibre of one entry leave few forms (`axis_forms.py`): the
smallest ones of each padding mode are combined, their kernel is read off the matrix
(`kernel_entries.py`), and then the judge is `ConvMatrix` itself: its matrix must be the given one,
entry by entry. Where it is not, the fibres of the first difference join the first ones, and the
search goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import ConvMatrix
from convlin.structure.axis_forms import AxisForm, covering
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import position_of
from convlin.structure.circular_forms import circular_forms
from convlin.structure.difference import Difference, differences
from convlin.structure.fibres import Layout, groups
from convlin.structure.inside_windows import inside_forms
from convlin.structure.kernel_entries import agreed_by_vote, extract
from convlin.structure.zero_forms import likely_form, zero_forms

__all__ = ["SEARCHED", "Form", "Search"]

SEARCHED: tuple[PaddingMode, ...] = ("zeros", "circular")


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
        return weights, *map(sum, others), self.axes[0].mode != "zeros"

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


class Search:
    """One search: after `run`, `form` and `model`, or perhaps `miss`.

    unit_roundoff: of the arithmetic that summed the taps of an entry.
    """

    def __init__(self, layout: Layout, unit_roundoff: float, modes: Sequence[PaddingMode]) -> None:
        self.layout = layout
        self.unit_roundoff = unit_roundoff
        self.modes = modes
        channels, self.supports = layout.support()
        self.groups = groups(channels)
        first = [position_of(layout.matrix, 0)] if layout.matrix.nnz else []
        self.fibres = [
            np.array([layout.fibre(axis, support, *entry) for entry in first])
            for axis, support in enumerate(self.supports, 1)
        ]
        self.form: Form | None = None
        self.model: ConvMatrix | None = None
        self.miss: Difference | None = None
        self.compared = 0
        self._forms: dict[tuple[int, PaddingMode], list[AxisForm]] = {}

    @property
    def least_weights(self) -> int:
        """The fewest weights that any form could have."""
        pairs = self.layout.input_shape[0] * self.layout.output_shape[0] // self.groups
        return pairs * math.prod(self._least_kernels)

    def run(self) -> None:
        """Look for the smallest form, until the matrix agrees with one or none is left."""
        last: Form | None = None
        modes = list(self.modes)
        while (form := self._smallest(modes)) is not None:
            if form == last:  # nothing more can be learned of it: only rounding tells it is wrong
                modes.remove(form.axes[0].mode)
                continue
            last = form
            model, difference = self._compare(form)
            if difference is None:
                self.form, self.model = form, model
                return
            if self.miss is None or difference.count < self.miss.count:
                self.miss = difference
            self._learn(difference)

    @property
    def least(self) -> bool:
        """Whether what was found has no more taps than its widest row shows."""
        assert self.form is not None
        return [axis.kernel for axis in self.form.axes] == self._least_kernels

    @property
    def says_nothing(self) -> bool:
        """Whether no dimension has anything to share, though there are several outputs a channel.

        Then every matrix that reads these pixels is a convolution.
        """
        outputs = math.prod(self.layout.output_shape[1:])
        shareable = any(support.shareable for support in self.supports)
        return self.layout.matrix.nnz > 0 and outputs > 1 and not shareable

    def why_not(self) -> Difference | None:
        """Return the fewest differences from any form compared, or from the likeliest ones."""
        compared = [self.miss]
        for mode in self.modes:
            axes = [form for dim in range(len(self.supports)) for form in self._likely(dim, mode)]
            if len(axes) == len(self.supports):
                compared.insert(0, self._compare(self._form(axes))[1])
        return min(filter(None, compared), key=lambda difference: difference.count, default=None)

    def _likely(self, dim: int, mode: PaddingMode) -> list[AxisForm]:
        """Return a form along one dimension that most of the matrix may agree with, if any."""
        likely = likely_form(self.supports[dim], mode)
        return [likely] if likely is not None else self._candidates(dim, mode)[:1]

    def _compare(self, form: Form) -> tuple[ConvMatrix, Difference | None]:
        """Return the form's matrix, with the kernel found in the given one, and the difference."""
        self.compared += 1
        spaces, matrix = form.spaces(), self.layout.matrix
        size = self.layout.input_shape[1:]

        def compare(weight: np.ndarray) -> tuple[ConvMatrix, Difference | None]:
            model = ConvMatrix(form.geometry, weight, size, memory_limit=2**62)
            return model, differences(matrix, model, spaces, self.unit_roundoff)

        weight = extract(matrix, form.geometry, size, spaces)
        model, difference = compare(weight)
        if difference is not None:
            # Where a weight was read off a wrong entry, all others seem to differ.
            other = agreed_by_vote(matrix, form.geometry, size, spaces)
            if not np.array_equal(other, weight):
                again = compare(other)
                if again[1] is None or again[1].count < difference.count:
                    return again
        return model, difference

    def _learn(self, difference: Difference) -> None:
        """Add the fibres through the first difference to the samples."""
        for dim, support in enumerate(self.supports):
            fibre = self.layout.fibre(dim + 1, support, difference.row, difference.column)
            self.fibres[dim] = np.concatenate([self.fibres[dim], fibre[None]])

    def _form(self, axes: Sequence[AxisForm]) -> Form:
        shapes = self.layout.input_shape[0], self.layout.output_shape[0]
        return Form(*shapes, self.groups, tuple(axes))

    def _smallest(self, modes: Sequence[PaddingMode]) -> Form | None:
        """Return the smallest combination of forms that explains all fibres seen so far."""
        if self.says_nothing:
            return None
        forms = []
        for mode in modes:
            axes = [self._axis_form(dim, mode) for dim in range(len(self.supports))]
            if None not in axes:
                forms.append(self._form([axis for axis in axes if axis is not None]))
        return min(forms, key=lambda form: form.key, default=None)

    def _axis_form(self, dim: int, mode: PaddingMode) -> AxisForm | None:
        """Return the first form along one dimension that explains its fibres."""
        support, fibres = self.supports[dim], self.fibres[dim]
        refuted = set()
        for form in self._candidates(dim, mode):
            if form.span in refuted:
                continue
            space = form.space()
            if space.explains(support, fibres, self._tolerance) and space.shares(support):
                return form
            refuted.add(form.span)
        return None

    def _candidates(self, dim: int, mode: PaddingMode) -> list[AxisForm]:
        """Return the forms along one dimension that what is read shows, smaller ones first."""
        if (dim, mode) not in self._forms:
            support, fibres = self.supports[dim], self.fibres[dim]
            if not len(support):
                apart = -(-support.pixels // support.outputs)  # one tap, windows that never meet
                forms = list(covering(np.array([], dtype=int), apart, support, mode))
            elif mode == "zeros":
                forms = zero_forms(support, fibres[0])
            elif mode == "circular":
                forms = circular_forms(support, fibres[0])
            else:
                forms = inside_forms(support, mode)
            self._forms[dim, mode] = forms
        return self._forms[dim, mode]

    @cached_property
    def _tolerance(self) -> float:
        """How far a sum along one dimension may be off by rounding, at the most.

        All weights stand in the matrix, none above M = max|a|. An entry sums j ≤ T of them, T taps
        a window, with an error of j·u·j·M at the most; so do, together, the entries that a fibre's
        own sum adds up; and the sum rounds as often.
        """
        taps = math.prod(self._least_kernels)
        largest = float(np.abs(self.layout.matrix.data).max(initial=0))
        return 4 * taps**2 * self.unit_roundoff * largest

    @cached_property
    def _least_kernels(self) -> list[int]:
        """The fewest taps that each dimension's kernel can have: as many as an output shows."""
        return [max(1, int(support.widths.max(initial=0))) for support in self.supports]
