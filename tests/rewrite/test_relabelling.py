from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin.models.permutes.relabelling import Relabelling


def written(relabelling, x):
    """Return what a relabelling says of a tensor: split, one permute, and the axes put together."""
    shape, order = relabelling.split
    return x.reshape(shape).permute(order).reshape(relabelling.shape)


@st.composite
def chains(draw, start=None):
    """Return a shape, and transposes and reshapes of a tensor of that shape, one after another."""
    start = start or draw(shapes(draw(st.sampled_from([1, 4, 12, 24, 36, 60, 210]))))
    shape = start
    chain = []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            order = draw(st.permutations(range(len(shape))))
            chain.append((torch.permute, tuple(order)))
            shape = tuple(shape[axis] for axis in order)
        else:
            shape = draw(shapes(prod(shape)))
            chain.append((torch.reshape, shape))
    return start, chain


@st.composite
def shapes(draw, total):
    sizes = []
    while total > 1:
        divisors = [size for size in range(2, total + 1) if total % size == 0]
        sizes.append(draw(st.sampled_from(divisors)))
        total //= sizes[-1]
    sizes += [1] * draw(st.integers(0, 2))
    return tuple(draw(st.permutations(sizes)))


def followed(start, chain):
    """Return numbered elements, the same after a chain, and what is said of the chain."""
    x = y = torch.arange(prod(start)).reshape(start)
    axes = Relabelling.identity(start)
    for change, argument in chain:
        said = axes.permuted(argument) if change is torch.permute else axes.reshaped(argument)
        if said is None:
            break
        axes, y = said, change(y, argument)
    return x, y, axes


@given(chains())
def test_a_chain_is_one_permute_between_two_reshapes(case):
    x, y, axes = followed(*case)
    assert axes.shape == y.shape
    assert torch.equal(written(axes, x), y)
    assert axes.moves == (not torch.equal(x.flatten(), y.flatten()))


@given(chains())
def test_a_chain_and_its_inverse_are_nothing(case):
    x, y, axes = followed(*case)
    assert torch.equal(written(axes.inverse(), y), x)
    assert axes.after(axes.inverse()) == Relabelling.identity(axes.shape)
    assert axes.inverse().after(axes) == Relabelling.identity(axes.source)


@given(chains(), st.data())
def test_a_chain_after_a_chain_is_one_chain(case, data):
    x, y, first = followed(*case)
    _, z, second = followed(*data.draw(chains(first.shape)))
    both = second.after(first)
    assert both is None or torch.equal(written(both, x), written(second, y))
    assert both is not None or (second.moves and first.moves) or z.shape != y.shape


@pytest.mark.parametrize(
    ("shape", "straight", "turned"),
    [((6, 4), False, True), ((3, 8), False, True), ((8, 3), True, False)],
    ids=str,
)
def test_a_row_that_begins_within_another_is_no_relabelling(shape, straight, turned):
    rows = Relabelling.identity((4, 6))
    assert (rows.reshaped(shape) is not None) == straight
    assert (rows.permuted((1, 0)).reshaped(shape) is not None) == turned


def test_what_is_broadcast_to_a_layout_is_laid_alike():
    x, y = torch.arange(30).reshape(2, 3, 5), torch.arange(5).reshape(5)
    layout = Relabelling.identity((2, 3, 5)).permuted((2, 0, 1))
    assert torch.equal(
        written(layout, x) + written(layout.broadcast((5,)), y), written(layout, x + y)
    )


def test_an_axis_that_is_half_repeated_is_not_broadcast():
    merged = Relabelling.identity((2, 3, 5)).reshaped((2, 15))
    assert merged.broadcast((3, 5)) is not None
    assert merged.broadcast((5,)) is None
