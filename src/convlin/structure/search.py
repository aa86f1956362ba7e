"""The search for the smallest convolution that is a matrix of known input and output shape.

Along each dimension, what is read and a few sampled fibres leave few forms (`axis_forms.py`): the
smallest ones of each padding mode are combined, their kernel is read off the matrix (`kernel.py`),
and then the judge is `ConvMatrix` itself: its matrix must be the given one, entry by entry. Where
it is not, the fibres of the first difference join the samples, and the search goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import ConvMatrix
from convlin.numerics.roundoff import DOUBLE
from convlin.structure.axis_forms import AxisForm, by_size, shares
from convlin.structure.axis_space import AxisSpace
from convlin.structure.difference import Difference, differences
from convlin.structure.fibres import Layout, groups, spread
from convlin.structure.folded_forms import FOLDED, SMALL, listed_forms, reads_just, shown_forms
from convlin.structure.kernel_entries import agreed_by_vote, extract
from convlin.structure.zero_forms import likely_form, zero_forms

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


class Search:
    """One search: after `run`, `found` and `model`, or perhaps `miss`.

    unit_roundoff: of the arithmetic that summed the taps of an entry.
    """

    def __init__(
        self, layout: Layout, unit_roundoff: float, modes: Sequence[PaddingMode] = MODES
    ) -> None:
        self.layout = layout
        self.unit_roundoff = unit_roundoff
        self.modes = modes
        channels, self.supports = layout.support()
        self.groups = groups(channels)
        entries = spread(layout.matrix.nnz, SAMPLES)
        self.fibres = [
            layout.fibres(axis, support, entries) for axis, support in enumerate(self.supports, 1)
        ]
        self.found: Form | None = None
        self.model: ConvMatrix | None = None
        self.miss: Difference | None = None
        self.compared = 0
        self._candidates: dict[tuple[int, PaddingMode], list[AxisForm]] = {}

    @property
    def least_weights(self) -> int:
        """The fewest weights that any form could have."""
        pairs = self.layout.input_shape[0] * self.layout.output_shape[0] // self.groups
        return pairs * math.prod(self._least_kernels)

    def run(self) -> None:
        """Look for the smallest form, until the matrix agrees with one or none is left."""
        last: Form | None = None
        while self.compared < ROUNDS and (form := self._smallest()) is not None:
            if form == last:  # nothing more can be learned of it: only rounding tells it is wrong
                self.modes = [mode for mode in self.modes if mode != form.axes[0].mode]
                continue
            last = form
            model, difference = self._compare(form)
            if difference is None:
                self.found, self.model = form, model
                return
            self._keep(difference)
            self._learn(difference)

    @property
    def least(self) -> bool:
        """Whether what was found has no more taps than its widest row shows."""
        assert self.found is not None
        return [axis.kernel for axis in self.found.axes] == self._least_kernels

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
        if self.miss is None:
            for mode in MODES:
                likely = (self._likely(dim, mode) for dim in range(len(self.supports)))
                axes = [form for form in likely if form is not None]
                if len(axes) == len(self.supports):
                    self._keep(self._compare(self._form(axes))[1])
        return self.miss

    def _keep(self, difference: Difference | None) -> None:
        """Remember the fewest differences."""
        if self.miss is None or (difference and difference.count < self.miss.count):
            self.miss = difference

    def _likely(self, dim: int, mode: PaddingMode) -> AxisForm | None:
        """Return a form along one dimension that most of the matrix may agree with."""
        if mode == "zeros":
            return self._axis_form(dim, mode) or likely_form(self.supports[dim])
        return next(self._just(dim, mode), None)

    def _compare(self, form: Form) -> tuple[ConvMatrix, Difference | None]:
        """Return the form's matrix, with the kernel found in the given one, and the difference."""
        self.compared += 1
        spaces, given = form.spaces(), self.layout.matrix
        size = self.layout.input_shape[1:]

        def compare(weight: np.ndarray) -> tuple[ConvMatrix, Difference | None]:
            model = ConvMatrix(form.geometry, weight, size, memory_limit=2**62)
            return model, differences(given, model, spaces, self.unit_roundoff)

        weight = extract(given, form.geometry, size, spaces)
        model, difference = compare(weight)
        if difference is not None:
            # Where a weight was read off a wrong entry, all others seem to differ.
            other = agreed_by_vote(given, form.geometry, size, spaces)
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

    def _smallest(self) -> Form | None:
        """Return the smallest combination of forms that explains all fibres seen so far."""
        best: Form | None = None
        if self.says_nothing:
            return best
        for mode in self.modes:
            axes = []
            for dim in range(len(self.supports)):
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
        """Return the smallest form along one dimension that explains its fibres."""
        just = islice(self._just(dim, mode), TRIED)
        found = next((form for form in just if self._explains(dim, form)), None)
        if mode in ("zeros", "circular"):
            return found
        return self._listed(dim, mode, found, best)

    def _just(self, dim: int, mode: PaddingMode) -> Iterator[AxisForm]:
        """Yield the forms along one dimension that read just what is read, smallest first."""
        if (dim, mode) not in self._candidates:
            self._candidates[dim, mode] = self._all_forms(dim, mode)
        support = self.supports[dim]
        return (form for form in self._candidates[dim, mode] if reads_just(form, support))

    def _all_forms(self, dim: int, mode: PaddingMode) -> list[AxisForm]:
        """Return the forms that what is read shows; without padding all modes are alike."""
        support, fibres = self.supports[dim], self.fibres[dim]
        fibre = fibres[0] if len(fibres) else np.zeros(len(support))
        if mode == "zeros":
            return zero_forms(support, fibre)
        if (dim, "zeros") not in self._candidates:
            self._candidates[dim, "zeros"] = self._all_forms(dim, "zeros")
        zeros = self._candidates[dim, "zeros"]
        bare = {replace(form, mode=mode) for form in zeros if not any(form.padding)}
        return sorted(bare | shown_forms(support, fibre, mode), key=by_size)

    def _listed(
        self, dim: int, mode: PaddingMode, found: AxisForm | None, best: Form | None
    ) -> AxisForm | None:
        """Return the smallest form by listing all, if it is smaller than `found` and `best`."""
        support, least = self.supports[dim], self._least_kernels[dim]
        if not len(support) or max(support.pixels, support.outputs / 4) > SMALL:
            return found
        most = 2 * support.pixels
        if found is not None:
            most = min(most, found.kernel)
        if best is not None:
            others = math.prod(self._least_kernels) // least
            most = min(most, math.prod(axis.kernel for axis in best.axes) // others)
        tried = 0
        for kernel in range(least, most + 1):
            for form in listed_forms(support, mode, kernel):
                tried += 1
                if tried > TRIED:
                    return found
                if self._explains(dim, form):
                    return min(form, found or form, key=by_size)
        return found

    def _explains(self, dim: int, form: AxisForm) -> bool:
        space, support = form.space(), self.supports[dim]
        # Whole numbers are compared by what is solved for in float64; the judge is exact.
        tolerance = 128 * max(self.unit_roundoff, 2 * DOUBLE)
        explained = space.explains(support, self.fibres[dim], tolerance)
        return explained and shares(space, support)

    @cached_property
    def _least_kernels(self) -> list[int]:
        """The fewest taps that each dimension's kernel can have."""
        least = []
        for support, fibres in zip(self.supports, self.fibres, strict=True):
            flat = fibres.astype(np.result_type(fibres.dtype, float))
            flat /= np.abs(flat).max(initial=0) or 1.0
            # By the squares of the singular values: a rank too low is still a bound.
            squares = np.linalg.eigvalsh(flat @ flat.conj().T)
            rank = int(np.count_nonzero(squares > RANK * squares.max(initial=0)))
            least.append(max(1, rank, int(support.widths.max(initial=0))))
        return least
