"""Where the border lets two convolutions be one: the rule against running all small ones.

The rule says *exact* iff the merge, made all the same, gives the composition's very numbers, whole
ones, at every input size from 1 to 9. It may never say so wrongly. Where it refuses what would have
been exact is listed here, and nothing else may be.
"""

import itertools
import random

import pytest
import torch
from torch.nn import functional

from convlin import ConvGeometry, GeometryError
from convlin.exchange.merges import Composition
from convlin.geometry import short
from convlin.layers import sliding

MODES = ("zeros", "reflect", "replicate", "circular")
SIZES = range(1, 10)
RUN = {1: functional.conv1d, 2: functional.conv2d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d}


def whole(generator, *shape):
    """Return whole numbers that do not cancel: positive, and without a pattern."""
    return torch.randint(1, 9999, shape, generator=generator).double()


def run(geometry, weight, bias, x):
    g = geometry
    if g.transposed:
        before = [side for side, _ in g.padding]
        return TRANSPOSED[g.ndim](
            x, weight, bias, g.stride, before, g.output_padding, g.groups, g.dilation
        )
    padded = sliding.pad(x, g.padding, g.padding_mode)
    return RUN[g.ndim](padded, weight, bias, g.stride, 0, g.dilation, g.groups)


def sizes_of(first, second, sizes):
    """Yield the sizes that both layers take, one behind the other."""
    for size in itertools.product(sizes, repeat=first.ndim):
        try:
            second.output_size(first.output_size(size))
        except GeometryError:
            continue
        yield size


def is_exact(both, sizes):
    """Return whether the merge gives the composition's numbers, without a bias and with one.

    At all sizes; None where there are too few.
    """
    first, second = both.first, both.second
    generator = torch.Generator().manual_seed(7)
    weights = [whole(generator, *layer.weight_shape) for layer in (first, second)]
    bias = whole(generator, first.out_channels)
    merged, weight = both.geometry, both.weight(*weights)
    constant = not second.transposed or (
        second.taps == max(second.stride) == 1 and not any(second.output_padding)
    )
    total = both.bias(bias, weights[1], None) if constant else None
    tested, biased = 0, constant
    for size in sizes_of(first, second, sizes):
        x = whole(generator, 1, first.in_channels, *size)
        try:
            merged.output_size(size)
        except GeometryError:  # a circle is turned once at most, which is said of `merge`
            assert merged.padding_mode == "circular" or both.border(False)
            continue
        tested += 1
        expected = run(second, weights[1], None, run(first, weights[0], None, x))
        if not torch.equal(run(merged, weight, None, x), expected):
            return (False, False)
        if biased:
            expected = run(second, weights[1], None, run(first, weights[0], bias, x))
            biased = torch.equal(run(merged, weight, total, x), expected)
    return (True, biased) if tested > 1 else (None, None)


def lines():
    fields = itertools.product((1, 2, 3), (1, 2), (0, 1, 2), (1, 2), MODES)
    for kernel, stride, padding, dilation, mode in fields:
        if (kernel > 1 or dilation == 1) and (padding or mode == "zeros"):
            yield ConvGeometry(1, 1, (kernel,), stride, padding, dilation, padding_mode=mode)
    for kernel in (2, 4):
        yield ConvGeometry(1, 1, (kernel,), padding="same")
    # What pads its two sides by other numbers is no layer, but may be a merge of some.
    for kernel, stride, pads in ((3, 2, (1, 2)), (3, 2, (2, 1)), (1, 1, (0, 1)), (2, 1, (1, 0))):
        for mode in MODES:
            yield ConvGeometry(1, 1, (kernel,), stride, [pads], padding_mode=mode)


def pads(geometry):
    return any(map(any, geometry.padding))


def are_mixed(first, second):
    """Return whether the layers pad in two ways, which is always refused.

    Exact it would be where the first pads with so much that its outer outputs are constants.
    """
    return pads(first) and pads(second) and first.padding_mode != second.padding_mode


def may_refuse(both):
    """Return whether an exact merge may be refused all the same: the only other case.

    The even kernel 2 padded "same", on one side, behind which only every other pixel is read.
    """
    return both.first.padding == ((0, 1),) and both.second.padding == ((2, 2),)


def judged(both, sizes):
    """Ask rule and run about both, with and without bias; return how often it was exact."""
    said = []
    for bias, exact in zip((False, True), is_exact(both, sizes), strict=True):
        says = not both.refusals(bias)
        if exact is not None:
            assert exact or not says, f"wrong: {both}, bias {bias}"
            assert says or not exact or may_refuse(both), f"too strict: {both}, bias {bias}"
            said.append(says)
    return said


@pytest.mark.parametrize("first", list(lines()), ids=short)
def test_of_lines_it_is_exact_where_the_rule_says_so_and_nowhere_else(first):
    for second in lines():
        both = Composition(first, second)
        if are_mixed(first, second):
            assert both.refusals(False)[0].field == "padding_mode"
        else:
            judged(both, SIZES)


def images(count):
    """Return pairs of images' convolutions: fields of their own per dimension, channels, groups."""
    draw = random.Random(3)

    def pair(*values):
        return draw.choice(values), draw.choice(values)

    def layer(inputs, outputs, mode):
        groups = draw.choice([g for g in (1, 2, 3, 4, 6) if inputs % g == outputs % g == 0])
        return ConvGeometry(
            inputs, outputs, pair(1, 1, 2, 3), pair(1, 1, 2), pair(0, 0, 1, 2), pair(1, 1, 2),
            groups, mode,
        )  # fmt: skip

    for _ in range(count):
        sizes = [draw.choice((2, 3, 4, 6, 12)) for _ in range(3)]
        mode = draw.choice(MODES)
        modes = draw.choice(((mode, mode), (mode, draw.choice(MODES))))
        yield layer(*sizes[:2], modes[0]), layer(*sizes[1:], modes[1])


def test_of_images_too_with_channels_and_groups():
    said = []
    for first, second in images(400):
        if not are_mixed(first, second):
            said += judged(Composition(first, second), range(3, 9))
    assert min(said.count(True), said.count(False)) > 100


def transposed_lines():
    fields = itertools.product((1, 2, 3), (1, 2), (0, 1, 2), (1, 2), (0, 1))
    for kernel, stride, padding, dilation, extra in fields:
        if extra < max(stride, dilation):
            yield ConvGeometry(
                1, 1, (kernel,), stride, padding, dilation, transposed=True, output_padding=extra
            )


def short_transposed(geometry):
    name = "transposed " if geometry.transposed else ""
    return f"{name}{short(geometry)} extra {geometry.output_padding[0]}"


PIXELWISE = ConvGeometry(1, 1, (1,))


@pytest.mark.parametrize("first", [PIXELWISE, *transposed_lines()], ids=short_transposed)
def test_of_transposed_lines_nothing_wrong_is_called_exact(first):
    for second in [PIXELWISE, *transposed_lines()]:
        both = Composition(first, second)
        if both.refusals(False):
            continue
        try:
            exact, biased = is_exact(both, SIZES)
        except GeometryError as error:
            assert "output_padding" in str(error)  # more of it than PyTorch's layers take
            continue
        assert exact is not False, short_transposed(second)
        assert biased is not False or both.refusals(True), short_transposed(second)


def test_of_transposed_lines_only_what_the_first_crops_is_refused_without_need():
    refused = 0
    for first, second in itertools.product([PIXELWISE, *transposed_lines()], repeat=2):
        both = Composition(first, second)
        if both.refusals(False):
            refused += 1
            assert first.transposed and second.transposed and pads(first)
    assert refused > 500


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_a_convolution_of_more_taps_beside_a_transposed_one_is_refused(kind):
    up = ConvGeometry(4, 4, (2, 2), 2, transposed=True)
    conv = ConvGeometry(4, 4, (3, 3))
    pair = (up, conv) if kind == "Conv2d" else (conv, up)
    [odd] = Composition(*pair).refusals(False)
    assert odd.site == ("second" if kind == "Conv2d" else "first") + " Conv2d"
    assert odd.field == "kernel, stride, padding"
    assert odd.reason == "beside a transposed convolution"
