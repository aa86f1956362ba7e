"""Families of equal outputs against the Jacobian of the layer itself, taken by autograd."""

import copy
import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from article import IMAGE
from convlin import Refused
from convlin.layers import layer_data
from convlin.layers.forms.local import LocallyConnected1d, LocallyConnected2d, to_local
from convlin.layers.same_outputs import SameOutputs, same_outputs
from geometry_strategies import conv, convolutions, fill, integers
from rounding import STABLE, agree, approx, gamma

ARTICLE = torch.from_numpy(IMAGE).double()


def linear(*sizes: int, **fields: object) -> nn.Module:
    return fill(nn.Linear(*sizes, dtype=torch.float64, **fields))


def local(layer: nn.Module, size: tuple[int, ...], seed: int = 0) -> nn.Module:
    return fill(to_local(layer, size), seed=seed)


def jacobian(layer: nn.Module, data: torch.Tensor) -> np.ndarray:
    """Return the derivative of all outputs by weight and bias, flattened: every constraint."""
    names = [name for name in ("weight", "bias") if getattr(layer, name) is not None]
    shapes = [getattr(layer, name).shape for name in names]

    def outputs(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([shape.numel() for shape in shapes])
        values = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(layer, values, (data,)).flatten()

    flat = torch.cat([getattr(layer, name).detach().flatten() for name in names])
    return torch.func.jacrev(outputs)(flat).numpy()


def flat(layer: nn.Module) -> np.ndarray:
    parts = [p.detach().flatten() for p in (layer.weight, layer.bias) if p is not None]
    return torch.cat(parts).double().numpy()


# Layer, and the shape of its data.
CASES = {
    "linear": (linear(7, 3, bias=False), (4, 7)),
    "linear-bias": (linear(7, 3), (4, 7)),
    "linear-unique": (linear(4, 3), (6, 4)),
    "linear-one": (linear(5, 2), (5,)),
    "linear-sequence": (linear(5, 2), (2, 2, 5)),
    "conv1d": (conv(1, 3, 2, 4), (1, 3, 6)),
    "conv1d-unbatched": (conv(1, 3, 2, 4, bias=False), (3, 6)),
    "conv1d-padding-only": (conv(1, 2, 3, 7, padding=9, dilation=3), (5, 2, 8)),
    "conv1d-coinciding": (conv(1, 2, 3, 5, padding=4, padding_mode="circular"), (9, 2, 4)),
    "conv2d-stride": (conv(2, 3, 4, (3, 2), stride=(2, 3), padding=1, bias=False), (2, 3, 4, 5)),
    "conv2d-groups": (conv(2, 4, 6, (3, 2), groups=2), (1, 4, 5, 4)),
    "conv2d-reflect": (conv(2, 3, 2, (4, 5), padding=(1, 2), padding_mode="reflect"), (1, 3, 4, 5)),
    "conv2d-replicate": (
        conv(2, 3, 2, (2, 3), padding=2, dilation=2, padding_mode="replicate"),
        (1, 3, 3, 4),
    ),
    "conv2d-unique": (conv(2, 3, 2, (3, 2)), (2, 3, 6, 5)),
    "conv3d": (conv(3, 4, 2, (2, 1, 3), groups=2, bias=False), (1, 4, 3, 2, 4)),
    "transposed1d": (conv(1, 4, 6, 5, transposed=True, stride=3, groups=2), (2, 4, 3)),
    "transposed2d": (
        conv(2, 3, 2, (3, 2), transposed=True, stride=2, padding=1, output_padding=1, bias=False),
        (1, 3, 2, 3),
    ),
    "local1d": (local(conv(1, 3, 2, 4), (6,)), (5, 3, 6)),
    "local1d-coinciding": (
        local(conv(1, 2, 3, 5, padding=4, padding_mode="circular", bias=False), (4,)),
        (3, 2, 4),
    ),
    "local2d-padding": (local(conv(2, 2, 3, (3, 2), padding=(1, 2)), (4, 3)), (4, 2, 4, 3)),
    "local2d-groups": (
        local(conv(2, 4, 6, 2, stride=(2, 1), groups=2, padding=1, padding_mode="reflect"), (3, 4)),
        (3, 4, 3, 4),
    ),
    "local2d-reached-only": (local(conv(2, 1, 2, (3, 2), padding=2), (2, 3)), (9, 1, 2, 3)),
}
TABLE = pytest.mark.parametrize("layer, shape", CASES.values(), ids=CASES)


def family_of(layer, shape):
    data = integers(*shape, seed=11)
    return same_outputs(layer, data), data


@TABLE
def test_dimension_is_unknowns_less_the_rank_of_all_constraints(layer, shape):
    family, data = family_of(layer, shape)
    constraints = jacobian(layer, data)
    rank = np.linalg.matrix_rank(constraints)
    assert (family.unknowns, family.rank) == (constraints.shape[1], rank)
    assert family.dimension == constraints.shape[1] - rank
    assert family.unique == (family.dimension == 0)
    assert family.certified
    kept, dropped = family.gap
    assert kept > 1e-6
    assert dropped <= gamma(STABLE * sum(constraints.shape))


@TABLE
def test_identifiable_is_what_more_data_would_fix(layer, shape):
    family, data = family_of(layer, shape)
    sample = family.data.shape[1:] if data.ndim > 1 else data.shape
    if len(shape) == 2 and not isinstance(layer, nn.Linear):
        sample = shape
    generator = torch.Generator().manual_seed(5)
    much = torch.randn(16, *sample, dtype=torch.float64, generator=generator)
    everything = np.linalg.matrix_rank(jacobian(layer, much))
    assert family.identifiable == everything - family.rank


@settings(max_examples=25)
@given(
    st.one_of(convolutions(max_kernel=3), convolutions(max_kernel=3, transposed=True)),
    st.booleans(),
    st.integers(1, 4),
)
def test_any_convolution_shared_or_local(case, own, n):
    layer, size = case
    channels = layer.in_channels
    if own and not layer.transposed:
        layer = local(layer, size)
    data = integers(n, channels, *size, seed=n)
    family = same_outputs(layer, data)
    constraints = jacobian(layer, data)
    assert family.rank == np.linalg.matrix_rank(constraints)
    basis = family.basis.toarray()
    assert basis.shape == (constraints.shape[1], family.dimension)
    assert_free_and_orthonormal(basis, constraints)


def assert_free_and_orthonormal(basis, constraints):
    stable = STABLE * sum(constraints.shape)
    assert agree(basis.T @ basis, np.eye(basis.shape[1]), stable, 1)
    norms = np.linalg.norm(constraints, axis=1, keepdims=True)
    assert agree(constraints @ basis, np.zeros((len(constraints), basis.shape[1])), stable, norms)


@TABLE
def test_the_basis_is_orthonormal_and_spans_what_is_free(layer, shape):
    family, data = family_of(layer, shape)
    basis, constraints = family.basis.toarray(), jacobian(layer, data)
    assert basis.shape == (family.unknowns, family.dimension)
    assert_free_and_orthonormal(basis, constraints)
    direction = np.random.default_rng(2).standard_normal(family.unknowns)
    free = family.project(direction)
    stable, norm = STABLE * sum(constraints.shape), np.linalg.norm(direction)
    assert agree(free, basis @ (basis.T @ direction), stable, norm)
    assert agree(family.project(free), free, stable, norm)
    several = np.stack([direction, free, -direction])
    assert agree(family.project(several), [free, free, -free], stable, norm)
    operator = family.basis
    assert agree(operator.rmatvec(direction), basis.T @ direction, stable, norm)
    assert agree(operator.H @ several.T, basis.T @ several.T, stable, norm)


@TABLE
def test_another_is_far_away_and_agrees_on_the_data(layer, shape):
    family, data = family_of(layer, shape)
    kept = copy.deepcopy(layer.state_dict())
    if family.unique:
        with pytest.raises(
            Refused, match="dimension is 0, expected ≥ 1 .no other weights give these"
        ):
            family.another(seed=0)
        return
    other = family.another(seed=3)
    assert type(other) is type(layer)
    norm, stable = np.linalg.norm(flat(layer)), STABLE * family.unknowns
    assert np.linalg.norm(flat(other) - flat(layer)) == approx(norm, stable)
    assert agree(other(data), layer(data), stable, norm * data.abs().max() * family.unknowns**0.5)
    assert family.agreement(other).within
    assert torch.equal(family.another(seed=3).weight, other.weight)
    assert (family.another(seed=4).weight - other.weight).abs().max() > 1e-3
    assert all(torch.equal(value, kept[name]) for name, value in layer.state_dict().items())


@TABLE
def test_a_witness_tells_them_apart_or_there_is_none(layer, shape):
    family, _ = family_of(layer, shape)
    assert family.witness(layer) is None
    if family.unique:
        assert family.statement == "no other weights give these outputs"
        return
    other = family.another(seed=3)
    x = family.witness(other)
    if not family.identifiable:
        assert x is None
        assert family.statement.endswith("and then equal ones on every input")
        much = torch.randn(20, *shape[1:], dtype=torch.float64)
        size = np.linalg.norm(flat(layer)) * float(much.flatten(1).norm(dim=1).max() + 1)
        assert agree(layer(much), other(much), STABLE * family.unknowns, size)
        return
    assert family.statement.endswith("and other ones on other inputs")
    one = shape if len(shape) == 1 or shape == (3, 6) else shape[1:]
    assert (tuple(x.shape), x.dtype) == (one, torch.float64)
    assert x.abs().max() == 1
    gap = (layer(x) - other(x)).abs().max()
    # Far above rounding: as much as the weights of one output typically moved.
    assert gap > 0.5 * np.abs(flat(other) - flat(layer)).mean()


def test_the_articles_numbers():
    image = ARTICLE.reshape(1, 36)
    one = same_outputs(linear(36, 1, bias=False), image)
    assert (one.dimension, one.rank, one.identifiable) == (35, 1, 35)
    assert str(one) == "one FC output on 1 input: 35 of 36 directions free (rank 1)"
    layer = same_outputs(linear(36, 16, bias=False), image)
    assert (layer.dimension, layer.rank) == (560, 16)
    assert str(layer) == "16 FC outputs on 1 input: 560 of 576 directions free (rank 16)"
    shared = same_outputs(conv(2, 1, 1, 3, bias=False), ARTICLE[None])
    assert (shared.dimension, shared.rank, shared.unique) == (0, 9, True)
    assert str(shared) == "one convolution channel on 1 input: unique (rank 9 of 9)"
    own = same_outputs(local(conv(2, 1, 1, 3, bias=False), (6, 6)), ARTICLE[None])
    assert (own.dimension, own.rank, own.unknowns) == (128, 16, 144)
    assert all(family.certified for family in (one, layer, shared, own))


def test_the_articles_own_wires_could_weigh_something_else():
    kernel = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    layer = linear(36, 1, bias=False)
    layer.weight.data.zero_().view(6, 6)[:3, :3] = kernel
    image = ARTICLE.reshape(1, 36)
    assert layer(image).item() == 3
    other = same_outputs(layer, image).another(seed=0)
    assert other(image).item() == approx(3, 36)  # of 36 wires, one in three of them lit
    assert (other.weight != 0).all()


def test_five_images_fix_a_convolution_and_leave_67_directions_of_an_fc_output():
    images = integers(5, 2, 6, 6, seed=1)
    shared = same_outputs(conv(2, 2, 1, 3, bias=False), images)
    assert (shared.unique, shared.rank, shared.unknowns) == (True, 18, 18)
    assert same_outputs(linear(72, 1, bias=False), images.flatten(1)).dimension == 67


def test_directions_beyond_any_input_are_named():
    case = CASES["conv1d-padding-only"][0]
    family = same_outputs(case, integers(5, 2, 8, seed=1))
    assert (family.dimension, family.identifiable) == (3 * 2 * 2, 0)  # taps 0 and 6 read nothing
    assert str(family) == (
        "3 convolution channels on 5 inputs: 12 of 45 directions free (rank 33), "
        "12 of them beyond the reach of any input"
    )
    free = family.project(np.random.default_rng(0).standard_normal(45))[:42].reshape(3, 2, 7)
    assert np.flatnonzero(abs(free).max((0, 1)) > gamma(STABLE * 45)).tolist() == [0, 6]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", ["linear-bias", "conv2d-stride", "local2d-groups"])
def test_in_low_precision_outputs_agree_within_the_bound(dtype, kind):
    layer, shape = CASES[kind]
    layer = copy.deepcopy(layer).to(dtype)
    family = same_outputs(layer, torch.randn(*shape, generator=torch.Generator().manual_seed(1)))
    other = family.another(seed=0)
    assert other.weight.dtype == dtype
    found = family.agreement(other)
    assert found.within
    assert (
        found.bound < 100 * torch.finfo(dtype).eps * found.scale * family.solutions.design.unknowns
    )
    x = family.witness(other)
    assert (layer(x) - other(x)).abs().max() > 10 * torch.finfo(dtype).eps * layer(x).abs().max()


def test_what_is_no_member_lies_beyond_the_bound():
    layer, shape = CASES["conv2d-stride"]
    family, _ = family_of(layer, shape)
    stranger = copy.deepcopy(layer)
    stranger.weight.data[1, 2, 0, 1] += 1e-6
    found = family.agreement(stranger)
    assert not found.within
    assert found.note == "beyond the bound: no order of summation explains it"
    x = family.witness(stranger)
    assert (layer(x) - stranger(x)).abs().max() > 0.9e-6


def test_a_bias_alone_is_told_apart_by_the_empty_image():
    layer = linear(3, 2)
    family = same_outputs(layer, torch.ones(1, 3))
    stranger = copy.deepcopy(layer)
    stranger.bias.data[1] += 2
    x = family.witness(stranger)
    assert x.tolist() == [0, 0, 0]


def test_the_witness_adds_to_a_difference_of_bias():
    layer = linear(2, 1)
    family = same_outputs(layer, torch.ones(1, 2))
    for sign in (1, -1):
        stranger = copy.deepcopy(layer)
        stranger.weight.data[0, 1] += 1
        stranger.bias.data[0] += sign
        x = family.witness(stranger)
        assert abs((layer(x) - stranger(x)).item()) == 2


def test_what_counts_as_rank_is_reported():
    rows = torch.tensor([[1, 1], [1, 1 + 2.0**-28], [0.5, 0.5]], dtype=torch.float64)
    family = same_outputs(linear(2, 1, bias=False), rows)
    assert (family.rank, family.certified) == (2, None)
    assert 2.0**-31 < family.gap[0] < 2.0**-29
    assert family.gap[1] == 0


def test_a_rank_that_hangs_on_a_tiny_singular_value_is_said_to_be_unclear():
    rows = torch.tensor([[1, 1, 2], [1, 1 + 2.0**-28, 2], [0.5, 0.5, 1.0]], dtype=torch.float64)
    doubt = (
        r"; the rank is unclear: a singular value of \d\.?\d*e-10 times the largest counts, one "
    )
    assert re.fullmatch(
        rf"one FC output on 3 inputs: 1 of 3 directions free \(rank 2\){doubt}of \S+ does not",
        str(same_outputs(linear(3, 1, bias=False), rows)),
    )
    assert re.fullmatch(
        rf"one FC output on 2 inputs: unique \(rank 2 of 2\){doubt}of 0 does not",
        str(same_outputs(linear(2, 1, bias=False), rows[:2, :2])),
    )
    clear = same_outputs(linear(2, 1, bias=False), rows[:2, :2].triu())
    assert str(clear) == "one FC output on 2 inputs: unique (rank 2 of 2)"


@pytest.mark.parametrize("difference, unclear", [(2.8e-6, True), (5.6e-6, False)])
def test_a_millionth_of_the_largest_is_where_clear_singular_values_begin(difference, unclear):
    """Of these two rows the smaller is a quarter of the difference, as a part of the larger."""
    rows = torch.tensor([[1, 1], [1, 1 + difference]], dtype=torch.float64)
    family = same_outputs(linear(2, 1, bias=False), rows)
    # σ₁·σ₂ = |det| = d and σ₁² + σ₂² = 3 + (1 + d)², so r = σ₂/σ₁ has r/(1 + r²) = d/(4 + 2d + d²).
    ratio = family.gap[0] / (1 + family.gap[0] ** 2)
    exact = difference / (4 + 2 * difference + difference**2)
    assert ratio == pytest.approx(exact, rel=0, abs=gamma(STABLE * 4))
    assert ("unclear" in str(family)) is unclear


def test_a_rank_that_exact_arithmetic_confirms_is_not_said_to_be_unclear():
    rows = torch.tensor([[2.0**30, 2.0**30], [2.0**30, 2.0**30 + 1]], dtype=torch.float64)
    family = same_outputs(linear(2, 1, bias=False), rows)
    assert family.gap[0] < 1e-9
    assert str(family) == "one FC output on 2 inputs: unique (rank 2 of 2)"


def test_a_rank_that_exact_arithmetic_denies_is_said_to_be_unclear():
    rows = torch.tensor([[2.0**52, 2.0**52], [2.0**52, 2.0**52 + 1]], dtype=torch.float64)
    family = same_outputs(linear(2, 1, bias=False), rows)
    assert (family.rank, family.certified) == (1, False)
    assert re.fullmatch(
        r"one FC output on 2 inputs: 1 of 2 directions free \(rank 1\); the rank is unclear: a "
        r"singular value of 1 times the largest counts, one of \S+ does not, and exact arithmetic "
        r"finds another",
        str(family),
    )


def test_a_singular_value_taken_for_0_is_named():
    rows = torch.tensor([[0.1, 0.2, 0.3], [0.7, 0.9, 0.4]], dtype=torch.float64)
    family = same_outputs(linear(3, 1, bias=False), torch.cat([rows, rows.sum(0)[None]]))
    assert (family.rank, family.certified) == (2, None)
    assert re.search(
        r"\(rank 2\); a singular value of \S+e-1\d times the .* taken for 0$", str(family)
    )
    assert "taken for" not in str(same_outputs(linear(3, 1, bias=False), rows))


# Data whose features or samples differ in size by more than a float has digits, and its rank.
GRADED = {
    "two-features": ([[2.0**52, 0, 0], [0, 1, 0]], 2),
    "nanoseconds-beside-a-ratio": ([[1.7e18, 0.2], [1.7e18, 0.9]], 2),
    "nanoseconds-beside-two": ([[1.7e18, 0.2, 0.3], [1.7e18, 0.9, 0.5]], 2),
    "two-samples": ([[1, 2, 3, 1], [1e-20, 3e-20, 7e-20, 1e-20]], 2),
    "both": ([[1e20, 3, 0, 2], [3e20, 1, 0, 5], [2e-20, 4e-40, 0, 3e-40]], 3),
}


@pytest.mark.parametrize("rows, rank", GRADED.values(), ids=GRADED)
def test_features_and_samples_may_differ_in_size(rows, rank):
    data = torch.tensor(rows, dtype=torch.float64)
    layer = linear(data.shape[1], 1, bias=False)
    layer.weight.data /= data.abs().amax(0).clamp(min=1e-30).sqrt()
    family = same_outputs(layer, data)
    assert (family.rank, family.dimension) == (rank, data.shape[1] - rank)
    assert "unclear" not in str(family)
    if family.unique:
        return
    other = family.another(seed=0)
    found = family.agreement(other)
    assert found.within
    terms = data.abs() @ (layer.weight.abs() + other.weight.abs()).T
    assert ((layer(data) - other(data)).abs() <= 8 * 2.0**-52 * terms).all()


@pytest.mark.parametrize("size", [8, 11, 16, 40])
@pytest.mark.parametrize("channel", [0, 1])
def test_no_input_tells_coinciding_taps_apart_whatever_the_channels_sizes(size, channel):
    layer = CASES["conv1d-coinciding"][0]
    for seed in range(8):
        data = integers(9, 2, 4, seed=seed)
        data[:, channel] *= 2.0**size
        family = same_outputs(layer, data)
        assert (family.dimension, family.identifiable) == (6, 0)
        assert family.witness(family.another(seed)) is None


def test_small_unknowns_of_large_features_hide_no_witness():
    data = torch.tensor([[2.0**60, 2.0**60, 0, 0], [0, 0, 1, 1]], dtype=torch.float64)
    layer = linear(4, 1, bias=False)
    family = same_outputs(layer, data)
    stranger = copy.deepcopy(layer)
    stranger.weight.data += torch.tensor([0, 0, 1.0, -1.0])
    assert family.witness(stranger).tolist() == [0, 0, 1, -1]


def test_each_sample_is_judged_by_its_own_size():
    layer = linear(3, 2, bias=False)
    data = torch.tensor([[1e20, 1e20, 0.0], [0.0, 1e-3, 2e-3]], dtype=torch.float64)
    family = same_outputs(layer, data)
    stranger = copy.deepcopy(layer)
    stranger.weight.data[1, 2] += 1e-6
    found = family.agreement(stranger)
    assert not found.within
    assert found.deviation == approx(2e-9, 4 * 9 / 1e-6)  # weights up to 9, rounded


def test_each_position_is_judged_by_its_own_size():
    """As in the linear case, of a convolution and of one that is only local."""
    data = integers(1, 2, 6, seed=4)
    data[..., 3:] *= 2.0**60
    for layer in (conv(1, 2, 3, 2, bias=False), local(conv(1, 2, 3, 2, bias=False), (6,))):
        family = same_outputs(layer, data)
        moved = family._moved(np.ones((family.solutions.design.blocks, 3, 4)))
        assert moved.shape == (1, 3, 5)
        assert (moved[..., :2] < 1e-10).all()
        assert (moved[..., 2:] > 1e-2).all()


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32, np.float16, np.int64, np.uint16, bool, ">f8"], ids=str
)
def test_numpy_data_will_do(dtype):
    layer = linear(4, 2)
    numbers = np.array([[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 2]])[:, ::-1].astype(dtype)
    numbers.flags.writeable = False
    family = same_outputs(layer, numbers)
    assert family.data.dtype == torch.float64
    assert torch.equal(family.data, torch.from_numpy(numbers.astype(np.float64)))
    assert family.agreement(family.another(seed=0)).within


def test_sparse_data_will_do():
    data = integers(2, 7, seed=11)
    assert same_outputs(linear(7, 3), data.to_sparse()).rank == 6
    assert same_outputs(linear(7, 3), data.to_sparse_csr()).rank == 6


@pytest.mark.parametrize("seed", [-1, True, False, np.int64(-3)], ids=repr)
def test_odd_seeds_are_refused(seed):
    family = same_outputs(linear(3, 2), torch.ones(1, 3))
    with pytest.raises(Refused) as caught:
        family.another(seed)
    assert str(caught.value) == f"another: seed is {seed!r}, expected a whole number ≥ 0"


def test_a_seed_too_long_to_print_is_refused_too():
    family = same_outputs(linear(3, 2), torch.ones(1, 3))
    with pytest.raises(Refused, match="another: seed is a number below -2⁶⁴, expected a whole"):
        family.another(-(10**5000))


def test_autocast_does_not_reach_the_comparison():
    family = same_outputs(nn.Linear(30, 1), torch.randn(5, 30))
    with torch.autocast("cpu", torch.bfloat16):
        assert family.agreement(family.another(seed=0)).within


def test_outputs_beyond_the_dtype_are_no_agreement():
    family = same_outputs(linear(3, 1), torch.full((2, 3), 1e308, dtype=torch.float64))
    found = family.agreement(family.another(seed=0))
    assert not found.within
    assert (found.bound, found.note) == (None, "numbers beyond the range of float64")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_inputs_is_refused():
    with pytest.raises(Refused, match="Linear: in_features is 0, expected ≥ 1"):
        same_outputs(nn.Linear(0, 2), torch.ones(3, 0))


@pytest.mark.parametrize("seed", [None, 1.5, "7", [1, 2], np.bool_(True)], ids=repr)
def test_seeds_that_are_no_integers_are_refused(seed):
    """Given past the annotations, which the tests' type checker enforces first."""
    family = same_outputs(linear(3, 2), torch.ones(1, 3))
    with pytest.raises(Refused, match="another: seed is .*, expected a whole number ≥ 0"):
        unchecked(type(family).another)(family, seed)


def unchecked(function):
    """Return a function without the type checks of the test run."""
    return inspect.unwrap(function)


def test_any_whole_number_is_a_seed():
    family = same_outputs(linear(3, 2), torch.ones(1, 3))
    weights = [
        family.another(seed).weight for seed in (0, 2**64, 10**5000, np.uint8(3), torch.tensor(3))
    ]
    assert torch.equal(weights[3], weights[4])
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_weights_whose_squares_no_float_holds_move_as_far(size):
    layer = linear(3, 2)
    layer.weight.data *= size
    layer.bias.data *= size
    family = same_outputs(layer, torch.ones(1, 3))
    moved = (flat(family.another(seed=0)) - flat(layer)) / size
    assert np.linalg.norm(moved) == approx(np.linalg.norm(flat(layer) / size), STABLE * 4)


def test_other_weights_that_the_dtype_has_not_are_refused():
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float16)
    nn.init.constant_(layer.weight, 65504.0)
    family = same_outputs(layer, torch.tensor([[1.0, 0.0]]))
    words = r"Linear: weight\[0, 1\] is inf, expected a finite number in float16"
    with pytest.raises(Refused, match=words):
        family.another(
            seed=next(s for s in range(9) if np.random.default_rng(s).normal(size=2)[1] > 0)
        )


def test_other_weights_that_no_float_holds_are_refused(recwarn):
    layer = linear(3, 1, bias=False)
    nn.init.constant_(layer.weight, -1.7e308)
    words = r"Linear: weight\[0, \d\] is -?inf, expected a finite number in float64"
    with pytest.raises(Refused, match=words):
        same_outputs(layer, torch.ones(1, 3)).another(seed=0)
    assert not recwarn.list


def test_data_is_what_the_layer_sees_of_it():
    layer = nn.Linear(2, 1, bias=False)
    data = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-12]], dtype=torch.float64)
    assert same_outputs(layer, data).rank == 1
    assert same_outputs(layer.double(), data).rank == 2


def test_a_wide_layer_needs_no_square_of_its_width():
    layer = nn.Linear(25088, 2)
    data = torch.rand(64, 25088, generator=torch.Generator().manual_seed(0))
    family = same_outputs(layer, data)
    assert family.dimension == 2 * (25089 - 64)
    z = np.random.default_rng(0).standard_normal(family.dimension)
    direction = family.basis @ z
    norm, stable = np.linalg.norm(z), STABLE * 64  # 64 reflections, each of which keeps norms
    assert np.linalg.norm(direction) == approx(norm, stable)
    assert agree(family.basis.H @ direction, z, stable, norm)
    assert agree(family.project(direction), direction, stable, norm)
    assert family.agreement(family.another(seed=0)).within


REFUSED = [
    (nn.Linear(4, 2), torch.ones(3, 5), "Linear: data.shape is (3, 5), expected (…, 4)"),
    (nn.Linear(4, 2), torch.ones(()), "Linear: data.shape is (), expected (…, 4)"),
    (
        nn.Linear(4, 2),
        torch.ones(0, 4),
        "Linear: data.shape is (0, 4), expected at least one input",
    ),
    (
        nn.Conv2d(3, 2, (3, 2)),
        torch.ones(1, 3, 2, 5),
        "Conv2d: data.shape is (1, 3, 2, 5), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)",
    ),
    (
        nn.Conv1d(3, 2, 2),
        torch.ones(1, 1, 3, 5),
        "Conv1d: data.shape is (1, 1, 3, 5), expected (N, 3, ≥2) or (3, ≥2)",
    ),
    (
        LocallyConnected2d(3, 2, 2, (4, 5)),
        torch.ones(1, 3, 5, 4),
        "LocallyConnected2d: data.shape is (1, 3, 5, 4), expected (N, 3, 4, 5) or (3, 4, 5)",
    ),
    (
        nn.Linear(2, 2),
        torch.tensor([[1.0, 2.0], [3.0, torch.nan]]),
        "Linear: data[1, 1] is nan, expected a finite number in float32",
    ),
    (
        nn.Linear(1, 2),
        torch.tensor([[1e300]], dtype=torch.float64),
        "Linear: data[0, 0] is inf, expected a finite number in float32",
    ),
    (
        nn.Linear(1, 2),
        torch.ones(1, 1, dtype=torch.complex64),
        "Linear: data.dtype is torch.complex64, expected a real dtype",
    ),
    (
        nn.Linear(3, 2),
        torch.nested.nested_tensor([torch.ones(3)]),
        "Linear: data is a nested tensor, expected a plain one",
    ),
    (nn.Linear(2, 2), np.array([["a", "b"]]), "Linear: data.dtype is <U1, expected numbers"),
    (
        nn.Linear(1, 2).to(torch.float8_e4m3fn),
        torch.ones(1, 1),
        "Linear: weight.dtype is torch.float8_e4m3fn, expected float64, float32, float16, bfloat16",
    ),
    (
        nn.Linear(1, 2),
        torch.ones(1, 1, device="meta"),
        "Linear: data.device is meta, expected a device that holds numbers",
    ),
    (
        nn.Linear(1, 2, device="meta"),
        torch.ones(1, 1),
        "Linear: weight.device is meta, expected a device that holds numbers",
    ),
]


@pytest.mark.parametrize("layer, data, words", REFUSED, ids=[words for *_, words in REFUSED])
def test_what_does_not_fit_is_refused_by_name(layer, data, words):
    with pytest.raises(Refused) as caught:
        same_outputs(layer, data)
    assert str(caught.value) == words


def test_a_list_of_what_outputs_read_beyond_the_memory_limit_is_refused(monkeypatch):
    """Of 4 positions and 3 taps, 32 bytes each."""
    layer, data = conv(1, 1, 1, 3), torch.ones(1, 1, 6, dtype=torch.float64)
    monkeypatch.setattr(layer_data, "MEMORY_LIMIT", 4 * 3 * 32)
    assert same_outputs(layer, data).rank == 1
    monkeypatch.setattr(layer_data, "MEMORY_LIMIT", 4 * 3 * 32 - 1)
    words = (
        r"data.shape is \(1, 1, 6\), expected one that takes ≤ 383 \(the list of .* takes 384 bytes"
    )
    with pytest.raises(Refused, match=words):
        same_outputs(layer, data)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no wider than double here")
def test_data_wider_than_double_is_refused():
    data = np.ones((1, 2), dtype=np.longdouble)
    with pytest.raises(
        Refused, match=r"Linear: data.dtype is float\d+, expected float64 or narrower"
    ):
        same_outputs(nn.Linear(2, 2), data)


def test_layers_that_compute_more_and_others_are_refused():
    with pytest.raises(Refused, match="ReLU: type is ReLU, expected nn.Linear, nn.Conv1d"):
        same_outputs(nn.ReLU(), torch.ones(1, 2))
    broken = LocallyConnected1d(1, 1, 2, 3)
    broken.weight.data[1, 0, 0, 1] = torch.inf
    with pytest.raises(Refused, match=r"LocallyConnected1d: weight\[1, 0, 0, 1\] is inf"):
        same_outputs(broken, torch.ones(1, 1, 3))
    family = same_outputs(nn.Linear(3, 2), torch.ones(1, 3))
    for stranger in (nn.Linear(3, 4), nn.Linear(3, 2, bias=False), nn.ReLU()):
        with pytest.raises(Refused, match=r"Linear: other is .*, expected Linear\(in_features=3"):
            family.witness(stranger)
        with pytest.raises(Refused, match="Linear: other"):
            family.agreement(stranger)


@pytest.mark.parametrize("make", [same_outputs, SameOutputs], ids=["function", "class"])
def test_a_layer_that_computes_more_makes_no_family(make):
    hooked = nn.Linear(3, 2)
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(Refused, match="Linear: _forward_hooks is .*, expected none"):
        make(hooked, torch.ones(1, 3))
    with pytest.raises(Refused, match="ReLU: type is ReLU, expected nn.Linear, nn.Conv1d"):
        make(nn.ReLU(), torch.ones(1, 3))


def test_strangers_that_only_look_alike_are_refused():
    layer = nn.Linear(3, 2)
    family = same_outputs(layer, torch.ones(1, 3))
    hooked, double, broken = (copy.deepcopy(layer) for _ in range(3))
    hooked.register_forward_hook(lambda *_: None)
    double.double()
    broken.weight.data[1, 2] = torch.nan
    for stranger, words in (
        (hooked, "Linear: _forward_hooks is .*, expected none"),
        (double, "Linear: weight.dtype is torch.float64, expected torch.float32, as before"),
        (broken, r"Linear: weight\[1, 2\] is nan, expected a finite number in float32"),
    ):
        for ask in (family.agreement, family.witness):
            with pytest.raises(Refused, match=words):
                ask(stranger)


def test_a_layer_that_was_changed_since_is_refused():
    layer = nn.Linear(3, 2)
    family = same_outputs(layer, torch.ones(1, 3))
    layer.double()
    with pytest.raises(Refused, match=r"weight\.dtype is torch.float64, expected torch.float32"):
        family.another(seed=0)
    layer.float().register_forward_pre_hook(lambda *_: None)
    with pytest.raises(Refused, match="_forward_pre_hooks"):
        family.another(seed=0)


def test_families_print_in_a_line_and_are_themselves():
    layer = nn.Conv2d(3, 8, 3)
    first, second = (same_outputs(layer, torch.ones(1, 3, 9, 9)) for _ in range(2))
    assert repr(first) == f"<SameOutputs: {first}>"
    assert first != second
    assert len({first, second}) == 2
