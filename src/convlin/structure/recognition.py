"""Is this matrix a convolution, and which one? The smallest, or a refusal that says where it fails.

Every matrix is the matrix of *some* convolution: with one output position and a kernel as large as
the input, nothing is shared and nothing is said. So forms that share no weight do not count, unless
an output shape of all ones asks for just that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, get_args

from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array

from convlin.arguments import choice, wholes
from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry, PaddingMode, short_at
from convlin.matrix import ConvMatrix
from convlin.numerics.roundoff import unit
from convlin.structure.canonical import canonical, require_matrix
from convlin.structure.difference import Difference, as_refusal
from convlin.structure.fibres import Layout
from convlin.structure.output_shapes import output_shapes
from convlin.structure.search import SEARCHED, Form, Search
from convlin.structure.transposed_forms import transposed_searches, turned

__all__ = ["Candidate", "Recognized", "recognize"]

# Output shapes that are searched where none is given, likely ones first, as far as they could be
# smaller than the smallest found. A zero matrix, or a full one, agrees with every factorisation of
# its rows, hundreds of them: twice as many only take a refusal twice as long, and half as many may
# end before a layer whose output is unlike its input.
SHAPES = 64


@dataclass(frozen=True)
class Candidate:
    """One output shape that was looked at, and what became of it."""

    output_shape: tuple[int, ...]
    outcome: str

    def __str__(self) -> str:
        return f"{self.output_shape}: {self.outcome}"


@dataclass(frozen=True, eq=False, repr=False)
class Recognized:
    """The smallest convolution whose matrix is the given one.

    `free` says in words which of its numbers could be others, with the same matrix;
    `unidentified[d]` holds combinations of taps along dimension d that no entry depends on
    (`weight` is then the kernel of least norm); `candidates` are the output shapes looked at.
    """

    geometry: ConvGeometry
    weight: Any
    input_size: tuple[int, ...]
    free: tuple[str, ...]
    unidentified: tuple[Float[ndarray, "directions taps"], ...]
    candidates: tuple[Candidate, ...]

    @property
    def identified(self) -> bool:
        """Whether the matrix leaves no weight open."""
        return not any(len(directions) for directions in self.unidentified)

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        return self.geometry.output_size(self.input_size)

    def matrix(self) -> ConvMatrix:
        """Return the convolution's matrix: the one that was given."""
        return ConvMatrix(self.geometry, self.weight, self.input_size)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        text = short_at(self.geometry, self.input_size)
        return f"{text}; free: {', '.join(self.free)}" if self.free else text


def recognize(
    matrix: Any,
    input_shape: Sequence[SupportsIndex],
    output_shape: Sequence[SupportsIndex] | None = None,
    *,
    padding_mode: PaddingMode | None = None,
    unit_roundoff: float | None = None,
) -> Recognized:
    """Return the smallest convolution whose matrix this is, found from its entries alone.

    matrix: (outputs, inputs), NumPy or SciPy sparse; only its values count, stored zeros do not.
    input_shape, output_shape: (channels, *spatial); without an output shape, the likeliest ones
    are searched. Smallest is fewest weights, then smallest padding, dilation, stride, then zeros
    before circular; a transposed convolution is looked for last.
    padding_mode: the only one to look at. None searches zeros and circular. Reflect and replicate
    padding must be named, and are read off windows that lie inside the input: forms that have none
    along some dimension are not looked for.

    Only values decide: where an entry is added far off, a larger kernel, mostly 0, can still be the
    matrix exactly, and is then the answer; more than eight taps for each that an output reads are
    not looked for. Equality is exact; only floating-point entries that sum
    several taps may be off by rounding. A form that shares no weight along some dimension is not
    looked for: every matrix that reads the same pixels would have it.
    unit_roundoff: of the arithmetic that made those sums; that of the matrix's dtype if None.

    Raises `Refused` with the first entry that no such convolution has, in words.

    >>> import numpy as np
    >>> print(recognize(np.array([[7, 0], [5, 7], [0, 5]]), (1, 2)))
    Conv1d 1→1 k2 p1 on (2,)
    >>> recognize(np.array([[7, 0, 0], [5, 7, 0], [0, 6, 7]]), (1, 3), (1, 3))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: recognize: matrix[2, 1] is 6, expected 5 (weights of tap (0,) ...
    """
    rows, columns = require_matrix(matrix, "recognize")
    if padding_mode is not None:
        choice("recognize", "padding_mode", padding_mode, get_args(PaddingMode))
    modes = SEARCHED if padding_mode is None else (padding_mode,)
    into = _shape("input_shape", input_shape, columns, "columns")
    out = None if output_shape is None else _shape("output_shape", output_shape, rows, "rows")
    if out is not None and len(out) != len(into):
        fits = f"{len(into)} numbers, as {into} has"
        raise Refused(Refusal("recognize", "output_shape", out, fits))
    csr = canonical(matrix, "recognize")
    shapes = output_shapes(csr, into) if out is None else [out]
    if unit_roundoff is None:
        unit_roundoff = unit(csr.dtype) if csr.dtype.kind in "fc" else 0.0
    tried = shapes[:SHAPES]
    searches, suspects = _search_all(csr, into, tried, unit_roundoff, modes)
    candidates = [_candidate(search) for search in searches]
    if len(shapes) > len(tried):
        more = f"not searched, nor {len(shapes) - len(tried) - 1} more: give output_shape"
        candidates.append(Candidate(shapes[len(tried)], more))
    smallest = min((s for s in searches if s.form), key=_key, default=None)
    if "zeros" in modes and (smallest is None or not smallest.least):
        found = transposed_searches(csr, into, tried, unit_roundoff, suspects)
        other = min(found, key=_key, default=None)
        if other is not None and (smallest is None or _key(other)[0] < _key(smallest)[0]):
            return _answer(other, candidates, transposed=True)
    if smallest is not None:
        return _answer(smallest, candidates)
    raise Refused(_why_not(searches, csr, into, output_shape is not None, padding_mode))


def _search_all(
    csr: csr_array,
    into: tuple[int, ...],
    shapes: Sequence[tuple[int, ...]],
    unit: float,
    modes: Sequence[PaddingMode],
) -> tuple[list[Search], list[tuple[int, int]]]:
    """Search every output shape that could still have a form as small as the smallest found.

    Also returns the entries that searches stumbled over, each told to the next ones.
    """
    searches: list[Search] = []
    suspects: list[tuple[int, int]] = []
    smallest: float = math.inf
    for shape in shapes:
        search = Search(Layout(csr, into, shape), unit, modes, suspects)
        if smallest == math.inf or search.least_weights <= smallest:
            search.run()
        if search.form:
            smallest = min(smallest, _key(search)[0])
        else:
            # The first shapes are looked at for an entry to tell on, as long as nothing is found.
            miss = search.miss if suspects or smallest < math.inf else search.why_not
            if miss is not None:
                suspects.append((miss.row, miss.column))
        searches.append(search)
    return searches, suspects


def _key(search: Search) -> tuple[int, ...]:
    assert search.form is not None
    return search.form.key


def _candidate(search: Search) -> Candidate:
    shape = search.layout.output_shape
    if search.form is not None:
        return Candidate(shape, short_at(search.form.geometry, search.layout.input_shape[1:]))
    if search.miss is not None:
        return Candidate(
            shape,
            f"{search.compared} forms compared in full, at best {search.miss.count} entries differ",
        )
    return Candidate(shape, f"no form fits with fewer than {search.least_weights} weights")


def _answer(
    search: Search, candidates: Sequence[Candidate], transposed: bool = False
) -> Recognized:
    form, model = search.form, search.model
    assert form is not None and model is not None
    geometry = turned(form, search.layout.output_shape[1:]) if transposed else form.geometry
    size = search.layout.output_shape[1:] if transposed else model.input_size
    free = () if transposed else tuple(_free(form, model.output_size))
    spaces = form.spaces()
    return Recognized(
        geometry, model.weight, size, free, tuple(space.free for space in spaces),
        tuple(candidates),
    )  # fmt: skip


def _free(form: Form, output_size: tuple[int, ...]) -> list[str]:
    """Return what could be other numbers with the same matrix."""
    free = []
    for dim, (axis, outputs) in enumerate(zip(form.axes, output_size, strict=True)):
        before, after = axis.padding
        spare = outputs * axis.stride + axis.extent - 1 - axis.n - before
        limit = {"reflect": axis.n - 1, "circular": axis.n}.get(axis.mode, spare)
        if outputs == 1:
            free.append(f"stride[{dim}] ≥ {axis.stride}")
        elif min(spare, limit) > after:
            free.append(f"padding[{dim}] after {after} to {min(spare, limit)}")
        if axis.kernel == 1:
            free.append(f"dilation[{dim}]")
    if not any(side for axis in form.axes for side in axis.padding):
        free.append("padding_mode")
    return free


def _why_not(
    searches: Sequence[Search],
    csr: csr_array,
    into: tuple[int, ...],
    asked: bool,
    padding_mode: PaddingMode | None,
) -> list[Refusal]:
    """Return the first difference from the nearest form, and what is always possible."""
    # The likeliest shape comes first; those after one with a likely form only if they came near.
    missed: list[Difference] = []
    for search in searches:
        if (search.miss or not missed) and search.why_not is not None:
            missed.append(search.why_not)
    ones = (csr.shape[0], *(1,) * (len(into) - 1))
    trivial = f"there every matrix is a convolution, with kernel {into[1:]}"
    refusals = []
    if missed:
        nearest = min(missed, key=lambda miss: miss.count)
        refusals.append(as_refusal(nearest))
        form = short_at(nearest.model.geometry, nearest.model.input_size)
        trivial += f"; the matrix differs least from {form}"
    elif all(search.says_nothing for search in searches):
        reason = "every matrix that reads these pixels is such a convolution"
        refusals.append(
            Refusal(
                "recognize",
                "matrix",
                Description("one whose forms share no weight"),
                "shared ones",
                reason,
            )
        )
    if padding_mode is None:
        trivial += "; to check reflect or replicate padding, name it as padding_mode"
    elif padding_mode not in SEARCHED:
        trivial += f"; with {padding_mode} padding, only forms are checked that have, along every "
        trivial += "dimension, a window inside the input"
    shape = searches[0].layout.output_shape if asked else None
    fits = str(ones) if asked else f"the layer's own, if known; or {ones}"
    refusals.append(Refusal("recognize", "output_shape", shape, fits, trivial))
    return refusals


def _shape(field: str, shape: Sequence[SupportsIndex], size: int, what: str) -> tuple[int, ...]:
    """Return (channels, *spatial) as integers whose product is `size`."""
    allowed = "(channels, L), (channels, H, W) or (channels, D, H, W)"
    numbers = wholes("recognize", field, shape, allowed=allowed)
    if len(numbers) not in (2, 3, 4) or min(numbers) < 1:
        raise Refused(Refusal("recognize", field, numbers, allowed))
    if math.prod(numbers) != size:
        reason = f"the matrix has {size} {what}"
        raise Refused(Refusal("recognize", field, numbers, f"numbers with product {size}", reason))
    return numbers
