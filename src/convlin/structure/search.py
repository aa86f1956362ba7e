"""The search for the smallest convolution that is a matrix of known input and output shape.

Along each dimension, what is read and the fibre of one entry leave few forms (`axis_forms.py`): the
smallest ones of each padding mode are combined, their kernel is read off the matrix
(`kernel_entries.py`), and then the judge is `ConvMatrix` itself: its matrix must be the given one,
entry by entry. Where it is not, the fibres of the first difference join the first ones, and the
search goes on. That entry is told to the searches at other shapes, too: so a matrix that is nearly
a convolution is compared in full at one shape, and refused at all others by two lines.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import itemgetter

import numpy as np
from jaxtyping import Bool, Num

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import ConvMatrix
from convlin.structure.axis_forms import IDLE, AxisForm, covering
from convlin.structure.axis_space import AxisSpace
from convlin.structure.axis_support import AxisSupport
from convlin.structure.canonical import position_of
from convlin.structure.circular_forms import circular_forms
from convlin.structure.difference import Difference, differences
from convlin.structure.fibres import Layout, groups
from convlin.structure.inside_windows import inside_forms, reaches
from convlin.structure.kernel_entries import agreed_by_vote, extract
from convlin.structure.neighbours import ruled_out
from convlin.structure.spot_check import spot_check
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
    def stored(self) -> int:
        """How many entries its matrix has, zeros of the kernel among them."""
        read = math.prod(int(space.counts.sum()) for space in self.spaces())
        return self.in_channels * self.out_channels // self.groups * read

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
    suspects: entries (row, column) that a search at another shape stumbled over. Whatever is wrong
    with them is wrong here too, and seen before anything else is made.
    """

    def __init__(
        self,
        layout: Layout,
        unit_roundoff: float,
        modes: Sequence[PaddingMode],
        suspects: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.layout = layout
        self.unit_roundoff = unit_roundoff
        self.modes = modes
        first = [position_of(layout.matrix, 0)] if layout.matrix.nnz else []
        self.entries = list(dict.fromkeys([*first, *suspects]))
        self.form: Form | None = None
        self.model: ConvMatrix | None = None
        self.miss: Difference | None = None
        self._compared: dict[Form, tuple[ConvMatrix, Difference | None]] = {}
        self._forms: dict[tuple[int, PaddingMode], list[AxisForm]] = {}
        self._refuted: dict[tuple[int, PaddingMode], set[object]] = defaultdict(set)

    @cached_property
    def supports(self) -> list[AxisSupport]:
        """Which outputs read which pixels, per dimension."""
        return self._support[1]

    @cached_property
    def groups(self) -> int:
        """The number of groups into which the channels fall."""
        return groups(self._support[0])

    @cached_property
    def _support(self) -> tuple[Bool[np.ndarray, "out in"], list[AxisSupport]]:
        return self.layout.support()

    @cached_property
    def fibres(self) -> list[Num[np.ndarray, "fibres pairs"]]:
        """The samples: per dimension, the fibres through some entries."""
        return [
            np.array([self.layout.fibre(axis, support, *entry) for entry in self.entries])
            for axis, support in enumerate(self.supports, 1)
        ]

    @property
    def compared(self) -> int:
        """How many forms were compared in full."""
        return len(self._compared)

    @property
    def open_modes(self) -> list[PaddingMode]:
        """The padding modes that the lines next to the known entries leave possible."""
        return [m for m in self.modes if not ruled_out(self.layout, m, self.entries)]

    @property
    def least_weights(self) -> int:
        """The fewest weights that any form could have."""
        pairs = self.layout.input_shape[0] * self.layout.output_shape[0] // self.groups
        return pairs * math.prod(self._least_kernels)

    def run(self) -> None:
        """Look for the smallest form, until the matrix agrees with one or none is left."""
        last: Form | None = None
        modes = self.open_modes
        while modes and (form := self._smallest(modes)) is not None:
            if form == last:  # nothing more can be learned of it: only rounding tells it is wrong
                modes.remove(form.axes[0].mode)
                continue
            last = form
            if self._huge(form) and (entry := spot_check(self.layout, form.spaces())) is not None:
                self._learn(*entry)
                continue
            model, difference = self._compare(form)
            if difference is None:
                self.form, self.model = form, model
                return
            if self.miss is None or difference.count < self.miss.count:
                self.miss = difference
            self._learn(difference.row, difference.column)
            modes = [mode for mode in modes if mode in self.open_modes]

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

    @cached_property
    def why_not(self) -> Difference | None:
        """The fewest differences from any form compared, or from the likeliest ones."""
        nearest = self.miss
        fewest = math.inf if nearest is None else nearest.count
        forms = filter(None, map(self._likely, reversed(self.modes)))
        likely = [(self._at_least(form), form) for form in forms]
        for least, form in sorted(likely, key=itemgetter(0)):
            if least > fewest:
                break
            difference = self._compare(form)[1]
            # As near as one compared on the way is good enough, as near as another likely one not.
            if difference is not None and difference.count <= fewest:
                nearest, fewest = difference, difference.count - 1
        return nearest

    def _likely(self, mode: PaddingMode) -> Form | None:
        """Return a form that most of the matrix may agree with, if any not far larger than it.

        With one tap a dimension, where all that seem likely would make it so.
        """
        for taps in (None, 1):
            axes = [
                likely_form(support, mode, taps) or next(iter(self._candidates(dim, mode)), None)
                for dim, support in enumerate(self.supports)
            ]
            if None in axes:
                return None
            form = self._form([axis for axis in axes if axis is not None])
            if not self._huge(form):
                return form
        return None

    def _huge(self, form: Form) -> bool:
        """Return whether to compare a form takes far longer than to read the matrix."""
        return max(form.key[0], form.stored) > IDLE * int(self.layout.matrix.nnz)

    def _at_least(self, form: Form) -> int:
        """Return how many entries differ at the least, by their number; 1 if none need to."""
        spaces, matrix = form.spaces(), self.layout.matrix
        if any(space.overlap for space in spaces):
            return 1
        weight = extract(matrix, form.geometry, self.layout.input_shape[1:], spaces)
        stored = reduce(np.multiply.outer, [space.counts for space in spaces])
        held = int((np.count_nonzero(weight, axis=(0, 1)) * stored).sum())
        return max(1, abs(int(matrix.nnz) - held))

    def _compare(self, form: Form) -> tuple[ConvMatrix, Difference | None]:
        """Return the form's matrix, with the kernel found in the given one, and the difference."""
        if form not in self._compared:
            self._compared[form] = self._compare_in_full(form)
        return self._compared[form]

    def _compare_in_full(self, form: Form) -> tuple[ConvMatrix, Difference | None]:
        spaces, matrix = form.spaces(), self.layout.matrix
        size = self.layout.input_shape[1:]
        weight = extract(matrix, form.geometry, size, spaces)
        model = ConvMatrix(form.geometry, weight, size, memory_limit=2**62)
        difference = differences(matrix, model, spaces, self.unit_roundoff)
        if difference is not None:
            # Where a weight was read off a wrong entry, all others seem to differ.
            voted = agreed_by_vote(weight, matrix, form.geometry, size, spaces)
            if not np.array_equal(voted, weight):
                other = model.with_kernel(voted)
                again = differences(matrix, other, spaces, self.unit_roundoff)
                if again is None or again.count < difference.count:
                    return other, again
        return model, difference

    def _learn(self, row: int, column: int) -> None:
        """Add the fibres through an entry that differs to the samples."""
        self.entries.append((row, column))
        for dim, support in enumerate(self.supports):
            fibre = self.layout.fibre(dim + 1, support, row, column)
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
        refuted = self._refuted[dim, mode]
        for form in self._candidates(dim, mode):
            if form.span in refuted or (mode not in SEARCHED and not reaches(form, support)):
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
