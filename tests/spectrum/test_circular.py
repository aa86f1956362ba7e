"""The circular convolution around a convolution, against a matrix written out entry by entry."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry
from convlin.matrix import dense
from convlin.matrix.kernel_taps import by_group
from convlin.spectrum.circular import Circular, circular
from convlin.spectrum.frequencies import blocks, frequency_values
from geometry_strategies import conv, convolutions, integers
from rounding import STABLE, agree

ZEROS_OR_CIRCULAR = st.one_of(
    convolutions(max_kernel=4, modes=("zeros", "circular")),
    convolutions(transposed=True, max_kernel=4),
)


def written_out(geometry, weight, circle):
    """The circular convolution itself: rows (out, *N/step), columns (in, *N), by its definition."""
    kernel = by_group(geometry, weight)
    groups, to, of = kernel.shape[:3]
    rows = [n // step for n, step in zip(circle.sizes, circle.steps, strict=True)]
    matrix = np.zeros((groups, to, *rows, groups, of, *circle.sizes), dtype=weight.dtype)
    for group in range(groups):
        for row in np.ndindex(*rows):
            for tap in np.ndindex(*geometry.kernel):
                pixel = tuple(
                    (r * step + t * d) % n
                    for r, step, t, d, n in zip(
                        row, circle.steps, tap, geometry.dilation, circle.sizes, strict=True
                    )
                )
                place = (group, slice(None), *row, group, slice(None), *pixel)
                matrix[place] += kernel[(group, slice(None), slice(None), *tap)]
    cells, pixels = math.prod(rows), math.prod(circle.sizes)
    return matrix.reshape(groups * to, cells, groups * of, pixels)


def used(geometry, input_size, output_size, circle):
    """Which row of it each output is, and which column each input pixel."""
    rows, columns = [], []
    for dim, (n, m) in enumerate(zip(input_size, output_size, strict=True)):
        first = np.arange(m) * geometry.stride[dim]  # the circle may start anywhere
        rows.append(first % circle.sizes[dim] // circle.steps[dim])
        columns.append((np.arange(n) + geometry.padding[dim][0]) % circle.sizes[dim])
    shape = [n // step for n, step in zip(circle.sizes, circle.steps, strict=True)]
    return (
        np.ravel_multi_index(np.ix_(*rows), shape).ravel(),
        np.ravel_multi_index(np.ix_(*columns), circle.sizes).ravel(),
    )


def reading_side(layer, size):
    """A layer as the convolution that reads by windows: its geometry, and both sizes."""
    geometry = ConvGeometry.of(layer)
    if not geometry.transposed:
        return geometry, size, geometry.output_size(size)
    return geometry.adjoint, geometry.output_size(size), size


@settings(max_examples=150)
@given(ZEROS_OR_CIRCULAR)
def test_a_convolution_is_rows_and_columns_of_its_circular_one(case):
    layer, size = case
    geometry, pixels, cells = reading_side(layer, size)
    circle = circular(ConvGeometry.of(layer), size)
    rows, columns = used(geometry, pixels, cells, circle)
    weight = layer.weight.detach()
    whole = written_out(geometry, weight.numpy(), circle)
    inside = whole[:, rows][:, :, :, columns]
    matrix, structure = (dense(ConvGeometry.of(layer), w, size) for w in (weight, weight**0))
    if layer.transposed:
        matrix, structure = matrix.T, structure.T
    matrix, structure = (m.numpy().reshape(inside.shape) for m in (matrix, structure))
    reading = structure.any(axis=(0, 2, 3))  # rows of nothing are no part of it
    assert np.array_equal(inside[:, reading], matrix[:, reading])
    assert np.bincount(rows[reading], minlength=1).max() == circle.repeats
    if circle.whole:
        assert sorted(rows) == list(range(whole.shape[1]))
        assert sorted(columns) == list(range(whole.shape[3]))


@settings(max_examples=100)
@given(ZEROS_OR_CIRCULAR, st.booleans())
def test_frequencies_have_the_singular_values_of_the_circular_convolution(case, complex_weights):
    layer, size = case
    geometry, circle = reading_side(layer, size)[0], circular(ConvGeometry.of(layer), size)
    weight = layer.weight.detach().numpy()
    if complex_weights:
        weight = weight + 1j * integers(*weight.shape, seed=5).numpy()
    whole = written_out(geometry, weight, circle)
    expected = np.linalg.svd(whole.reshape(-1, whole[0, 0].size), compute_uv=False)
    found = frequency_values(ConvGeometry.of(layer), weight, circle)
    assert agree(found, expected, STABLE * len(expected), max(1, expected[0]))


@pytest.mark.parametrize(
    "layer, size, expected",
    [
        (conv(2, 2, 3, (3, 5), padding=(1, 2)), (8, 9), ((9, 11), (1, 1), False)),
        (conv(1, 2, 3, 3, padding=1, stride=2), (8,), ((10,), (2,), False)),
        (conv(1, 2, 3, 1, padding=3), (8,), ((8,), (1,), False)),
        (conv(1, 2, 3, 2, dilation=7, padding=6), (3,), ((9,), (1,), False)),
        (conv(2, 3, 5, 4, stride=4), (12, 8), ((12, 8), (4, 4), True)),
        (conv(1, 3, 5, 1), (7,), ((7,), (1,), True)),
        (conv(2, 3, 2, 3, padding="same", padding_mode="circular"), (5, 4), ((5, 4), (1, 1), True)),
        (conv(1, 3, 2, 4, padding="same", padding_mode="circular"), (7,), ((7,), (1,), True)),
        (conv(1, 1, 2, 3, padding=1, stride=2, padding_mode="circular"), (8,), ((8,), (2,), True)),
        (conv(1, 1, 2, 3, padding=4, stride=3, padding_mode="circular"), (4,), ((4,), (1,), True)),
        (conv(1, 2, 3, 3, padding=2, padding_mode="circular"), (8,), ((8,), (1,), False)),
        (conv(2, 3, 2, 1, padding_mode="reflect"), (5, 4), ((5, 4), (1, 1), True)),
        (conv(1, 3, 2, 4, transposed=True, stride=4), (3,), ((12,), (4,), True)),
        (
            conv(1, 3, 2, 2, transposed=True, dilation=3, output_padding=2),
            (4,),
            ((9,), (1,), False),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_sizes_steps_and_whether_all_of_it_is_used(layer, size, expected):
    found = circular(ConvGeometry.of(layer), size)
    assert (found.sizes, found.steps, found.whole) == expected


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_folded_padding_has_none(mode):
    assert circular(ConvGeometry(1, 1, (3, 3), padding=(0, 1), padding_mode=mode), (5, 6)) is None


def test_rows_of_circular_padding_repeat():
    geometry = ConvGeometry(1, 1, (1, 1), padding=((2, 1), (0, 5)), padding_mode="circular")
    assert circular(geometry, (4, 5)) == Circular((4, 5), (1, 1), 4, False)


def test_chunks_are_all_frequencies_once(monkeypatch):
    """Blocks have 12 numbers an alias; waves take more, 6 taps by one and two dimensions."""
    geometry = ConvGeometry(4, 6, (3, 2), stride=(1, 2), padding="valid", groups=2)
    weight = integers(*geometry.weight_shape).numpy()
    circle = Circular((6, 8), (1, 2), 1, False)
    expected = frequency_values(geometry, weight, circle)
    monkeypatch.setattr("convlin.spectrum.frequencies.CHUNK_BYTES", 16 * 2 * 18 * 5)
    found = list(blocks(geometry, weight, circle))
    assert [len(block) for block, _ in found] == [5, 5, 4]
    assert sum(times.sum() for _, times in found) == 6 * 4
    assert np.array_equal(frequency_values(geometry, weight, circle), expected)


def test_blocks_of_64_megabytes_come_at_a_time():
    geometry = ConvGeometry(256, 256, (2,), padding="same", padding_mode="circular")
    weight = np.broadcast_to(1.0, geometry.weight_shape)
    block, _ = next(blocks(geometry, weight, Circular((200,), (1,), 1, True)))
    assert block.nbytes == 2**26


def test_patches_are_one_block_for_all_frequencies():
    geometry = ConvGeometry(3, 8, (4, 2), stride=(4, 3), dilation=(1, 2))
    ((block, times),) = blocks(
        geometry, integers(*geometry.weight_shape).numpy(), circular(geometry, (12, 9))
    )
    assert block.shape == (1, 1, 8, 3 * 12) and times.tolist() == [9]


def test_every_small_stride_and_size_along_one_dimension():
    """Nothing sampled: all strides, dilations, paddings and sizes up to 4, 3, 4 and 6."""
    for k, s, d, lo, hi in itertools.product(
        range(1, 4), range(1, 5), range(1, 4), range(5), range(5)
    ):
        geometry = ConvGeometry(1, 1, (k,), stride=s, dilation=d, padding=((lo, hi),))
        for n in range(geometry.smallest_input[0], 7):
            (size,), (step,) = (circle := circular(geometry, (n,))).sizes, circle.steps
            (cells,) = geometry.output_size((n,))
            read = {(o, geometry.source(0, n, o, t), t) for o in range(cells) for t in range(k)}
            read = {entry for entry in read if entry[1] is not None}
            outputs = {o for o, _, _ in read}
            rows = {o: (o * s - lo) % size for o in outputs}
            assert len(set(rows.values())) == len(outputs)
            assert len({row % step for row in rows.values()}) <= 1
            assert read == {
                (o, pixel, t)
                for o in outputs
                for t in range(k)
                if (pixel := (rows[o] + t * d) % size) < n
            }
