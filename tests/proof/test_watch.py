"""What the watch knows of each result: degree, coefficient, and the first step off the list."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin.internals.dispatch import modes_are_bypassed
from convlin.proof import Measured, Refuted, audit, prove
from convlin.proof.algebra import Value
from convlin.proof.watch import Watch

MODES = [torch.no_grad, torch.inference_mode, torch.enable_grad]


def watched(rule, mode=torch.no_grad):
    """Run a rule on whole numbers: a weight (4, 3, 2, 2), an image (2, 3, 6, 5), a bias (4,)."""
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape):
        return torch.randint(-3, 4, shape, generator=generator).double()

    w, x, b = numbers(4, 3, 2, 2), numbers(2, 3, 6, 5), numbers(4)
    with mode(), Watch() as watch:
        watch.mark(w, Value(weights=1, coefficient=1))
        watch.mark(x, Value(inputs=1, coefficient=1))
        watch.mark(b, Value(weights=1, coefficient=1))
        y = rule(x, w, b)
    return watch.value(y), y


def linear_on_windows(x, w, b):
    return functional.linear(functional.unfold(x, 2).transpose(1, 2), w.view(4, -1), b)


def dense(x, w, b):
    matrix = torch.zeros(4, 90, dtype=torch.double)
    matrix[:, torch.arange(12)] = w.reshape(4, -1)
    return x.flatten(1) @ matrix.T + b


def fresh_layer(x, w, b):
    layer = nn.Linear(12, 4).double()
    layer.weight = nn.Parameter(w.view(4, -1), requires_grad=False)
    layer.bias.data.copy_(b)
    return layer(x[:, :, :2, :2].flatten(1))


POLYNOMIALS = {
    "conv": (lambda x, w, b: functional.conv2d(x, w, b), 1, 1, 13),
    "conv-unbatched": (lambda x, w, b: functional.conv2d(x[0], w, b), 1, 1, 13),
    "conv-groups": (lambda x, w, b: functional.conv2d(x, w[:3, :1], groups=3), 1, 1, 4),
    "conv-transposed": (
        lambda x, w, b: functional.conv_transpose2d(x, w.transpose(0, 1), b),
        1,
        1,
        13,
    ),
    "linear": (linear_on_windows, 1, 1, 13),
    "einsum": (lambda x, w, b: torch.einsum("nchw,ocab->nohw", x, w), 1, 1, 12),
    "dense": (dense, 1, 1, 91),
    "fresh-layer": (fresh_layer, 1, 1, 13),
    "circular": (lambda x, w, b: functional.pad(x, (1, 2, 1, 1), mode="circular"), 0, 1, 1),
    "reflect": (lambda x, w, b: functional.pad(x, (1, 2, 1, 1), mode="reflect"), 0, 1, 1),
    "pad-with-7": (lambda x, w, b: functional.pad(x, (1, 2), value=7.0), 0, 1, 7),
    "sum": (lambda x, w, b: x.sum((1, 2)), 0, 1, 18),
    "fold": (lambda x, w, b: functional.fold(functional.unfold(x, 2), (6, 5), 2), 0, 1, 4),
    "scaled": (lambda x, w, b: 3 * x - 2, 0, 1, 5),
    "alpha": (lambda x, w, b: torch.add(x, x, alpha=2), 0, 1, 3),
    "square": (lambda x, w, b: x * x, 0, 2, 1),
    "gather": (lambda x, w, b: x[:, :, torch.tensor([4, 0, 3])], 0, 1, 1),
    "constant-choice": (lambda x, w, b: x[:, :, torch.arange(6) % 2 == 0], 0, 1, 1),
    "constant-where": (lambda x, w, b: torch.where(torch.ones_like(x).tril() > 0, x, 7), 0, 1, 7),
    "constant-mask": (lambda x, w, b: x.masked_fill(torch.ones_like(x).triu() > 0, -7), 0, 1, 7),
    "rsub-alpha": (lambda x, w, b: torch.rsub(2 * x, x, alpha=30), 0, 1, 61),
    "alpha-by-position": (lambda x, w, b: torch.ops.aten.add.Scalar(x, 1, 30), 0, 1, 31),
    "beta-and-alpha": (
        lambda x, w, b: torch.addmm(b, x[0, 0, :, :3], w[0, :, 0].repeat(1, 2), beta=5, alpha=7),
        1,
        1,
        26,
    ),
    "scalar-sum": (lambda x, w, b: x[0, 0, 0, 0].sum(0), 0, 1, 1),
    "wrapped-byte": (lambda x, w, b: x * (torch.zeros(1).byte() - torch.ones(1).byte()), 0, 1, 255),
    "byte-of-minus-one": (lambda x, w, b: x * torch.tensor([-1.0]).to(torch.uint8), 0, 1, 255),
    "new-full": (lambda x, w, b: x.new_full((1,), 3) * torch.full_like(x, 2) * x, 0, 1, 6),
    "vmap": (lambda x, w, b: torch.vmap(lambda s: 2 * s)(x), 0, 1, 2),
    "grad": (lambda x, w, b: torch.func.grad(lambda s: (s * s).sum())(x), 0, 1, 2),
    "constant-item": (lambda x, w, b: x[..., : int(torch.tensor([2, 3]).max())], 0, 1, 1),
    "constant-in-place": (lambda x, w, b: x[:, :, torch.arange(6).floor_divide_(2)], 0, 1, 1),
    "block-diagonal": (lambda x, w, b: torch.block_diag(w[0, 0], w[1, 0]), 1, 0, 1),
}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize(
    ("rule", "weights", "inputs", "most"), POLYNOMIALS.values(), ids=POLYNOMIALS
)
def test_listed_operations_keep_degree_and_size(rule, weights, inputs, most, mode):
    value, y = watched(rule, mode)
    assert not value.off
    assert (value.weights, value.inputs) == (weights, inputs)
    assert value.coefficient == most
    assert float(y.detach().abs().max()) <= most * 3**value.degree


OFF = {
    "relu": (lambda x, w, b: x.relu(), "aten.relu", True),
    "relu-in-place": (lambda x, w, b: (x + 0).relu_(), "aten.relu_", True),
    "slice-in-place": (lambda x, w, b: _touched(x), "aten.abs_", True),
    "abs-out": (lambda x, w, b: torch.abs(x, out=torch.empty_like(x)), "aten.abs", True),
    "clamp": (lambda x, w, b: x.clamp(-1, 1), "aten.clamp", True),
    "where": (lambda x, w, b: torch.where(x < 0, x, 2 * x), "aten.lt", True),
    "max-pool": (lambda x, w, b: functional.max_pool2d(x, 2), "aten.max_pool2d_with_indices", True),
    "avg-pool": (lambda x, w, b: functional.avg_pool2d(x, 2), "aten.avg_pool2d", False),
    "half": (lambda x, w, b: 0.5 * x, "the constant 0.5", False),
    "division": (lambda x, w, b: x / 2, "aten.div", False),
    "random": (lambda x, w, b: x + torch.rand(5).double(), "aten.rand", False),
    "float32": (lambda x, w, b: x.float(), "a change of dtype from torch.float64 to torch.float32", False),
    "integers": (lambda x, w, b: x.long(), "a change of dtype from torch.float64 to torch.int64", False),
    "bits": (lambda x, w, b: x.view(torch.int64), "a change of dtype from torch.float64 to torch.int64", False),
    "complex": (lambda x, w, b: torch.view_as_complex(x[..., :2].contiguous()), "aten.view_as_complex", False),
    "branch": (lambda x, w, b: x if w.sum() > 0 else -x, "aten.gt", True),
    "equal": (lambda x, w, b: x if torch.equal(x, x) else -x, "aten.equal", True),
    "shape": (lambda x, w, b: x * (w < 0).nonzero().shape[0], "aten.lt", True),
    "half-alpha": (lambda x, w, b: torch.add(x, x, alpha=0.5), "the constant 0.5", False),
    "half-by-position": (
        lambda x, w, b: torch.ops.aten.add.Scalar(x, 1, 0.5),
        "the constant 0.5",
        False,
    ),
    "half-rsub": (lambda x, w, b: torch.rsub(x, 1, alpha=0.5), "the constant 0.5", False),
    "half-beta": (
        lambda x, w, b: torch.addmv(b, w[:, 0, 0], b[:2], beta=0.5),
        "the constant 0.5",
        False,
    ),
    "half-fill": (lambda x, w, b: x.masked_fill(torch.ones(5) > 0, 0.5), "the constant 0.5", False),
    "half-pad": (lambda x, w, b: functional.pad(x, (1, 1), value=0.5), "the constant 0.5", False),
    "bits-of-a-constant": (
        lambda x, w, b: x * torch.tensor([5]).view(torch.float64),
        "a constant that is not whole",
        False,
    ),
    "computed-mask": (lambda x, w, b: x[x > 0], "aten.gt", False),
    "computed-fill": (lambda x, w, b: x.masked_fill(x > 0, 0), "aten.gt", True),
    "accumulate": (
        lambda x, w, b: b.index_put((torch.tensor([0, 0]),), b[:2], accumulate=True),
        "aten.index_put",
        False,
    ),
    "text": (lambda x, w, b: (str(x), x)[1], "Tensor.__repr__", True),
    "sparse": (lambda x, w, b: x.to_sparse().to_dense(), "aten._to_sparse", False),
    "index": (lambda x, w, b: x[:, :, (b * b).long() % 2], "a change of dtype from", False),
    "raised": (lambda x, w, b: _raised(x, w), "aten.linalg_cholesky_ex", False),
    "numpy": (lambda x, w, b: torch.from_numpy(x.numpy().clip(0)), "Tensor.numpy", True),
    "array": (lambda x, w, b: x * float(__import__("numpy").asarray(w)[0, 0, 0, 0]), "Tensor.__array__", True),
    "tolist": (lambda x, w, b: x * b.tolist()[0], "Tensor.tolist", True),
    "item": (lambda x, w, b: x * b[0].item(), "aten._local_scalar_dense", True),
    "data-ptr": (lambda x, w, b: x * (x.data_ptr() % 2), "Tensor.data_ptr", True),
    "storage": (lambda x, w, b: (x, x.untyped_storage())[0], "Tensor.untyped_storage", True),
}  # fmt: skip


def _touched(x):
    y = x.clone()
    y[:, 0, 1:3].abs_()
    return y


def _raised(x, w):
    try:
        torch.linalg.cholesky(-w[0, 0])
    except RuntimeError:
        return x
    return -x


@pytest.mark.parametrize(("rule", "step", "exact"), OFF.values(), ids=OFF)
def test_the_first_step_off_the_list_is_named(rule, step, exact):
    value, _ = watched(rule)
    assert value.off.startswith(step), value
    assert value.exact is exact


def test_a_step_off_the_list_taints_the_run_whatever_became_of_its_result():
    value, _ = watched(lambda x, w, b: (x.relu(), x)[1])
    assert (value.off, value.exact) == ("aten.relu", True)
    value, _ = watched(lambda x, w, b: x.relu().copy_(x))
    assert (value.off, value.exact) == ("aten.relu", True)


def test_a_rounded_number_taints_exactness_only_where_it_can_steer():
    unused, _ = watched(lambda x, w, b: (x.sin(), x)[1])
    assert (unused.off, unused.exact) == ("aten.sin", True)
    steering, _ = watched(lambda x, w, b: x if x.sin().sum() > 0 else -x)
    assert (steering.off, steering.exact) == ("aten.sin", False)


def test_what_is_known_is_forgotten_only_where_all_of_it_is_overwritten():
    def partly(x, w, b):
        y = x * x
        y[0] = 1
        return y

    def overlapping(x, w, b):
        y = (x * x)[0, 0, 0, :4].clone()
        torch.as_strided(y, (2, 2), (1, 1)).copy_(torch.ones(2, 2))  # 4 elements over 3 numbers
        return y

    assert watched(partly)[0].degree == watched(overlapping)[0].degree == 2
    assert watched(lambda x, w, b: (x * x).copy_(x))[0].degree == 1


def test_memory_that_is_never_written_is_nan():
    _, y = watched(lambda x, w, b: torch.cat([b, torch.empty(2).double(), x.new_empty(1)]))
    assert y.isnan().tolist() == [False] * 4 + [True] * 3


def test_a_constant_that_is_not_whole_is_named():
    kernel = torch.full((1, 1, 2, 2), 0.25, dtype=torch.float64)
    value, _ = watched(lambda x, w, b: functional.conv2d(x[:, :1], kernel))
    assert value.off == "a constant that is not whole"


def test_whole_constants_bound_the_result():
    kernel = torch.tensor([[3.0, -5.0], [0.0, 2.0]], dtype=torch.float64)[None, None]
    value, _ = watched(lambda x, w, b: functional.conv2d(x[:, :1], kernel))
    assert (value.off, value.coefficient, value.signed) == ("", 20, True)


def test_a_change_behind_the_back_is_noticed():
    hidden = torch.zeros(3, dtype=torch.float64)
    alias = hidden.numpy()

    def rule(x, w, b):
        y = hidden + 0
        alias[:] = 5
        return y + hidden + x[0, 0, 0, :3]

    value, _ = watched(rule)
    assert value.off == "a tensor changed by no operation that was seen"


def test_the_watch_changes_no_result():
    rule = POLYNOMIALS["dense"][0]
    _, y = watched(rule)
    generator = torch.Generator().manual_seed(0)
    w, x, b = (
        torch.randint(-3, 4, shape, generator=generator).double()
        for shape in ((4, 3, 2, 2), (2, 3, 6, 5), (4,))
    )
    assert torch.equal(y, rule(x, w, b))


class _Shy(nn.Module):
    """Does what a Linear does, and fails under any dispatch mode, as compilers may."""

    def __init__(self, linear, lies=False):
        super().__init__()
        self.linear, self.lies = linear, lies

    def forward(self, x):
        if not modes_are_bypassed():
            raise RuntimeError("not under a mode")
        return self.linear(x) + self.lies


def test_what_fails_under_the_watch_alone_is_measured_and_named():
    linear = nn.Linear(3, 2)
    for verdict in (audit(_Shy, linear, (3,)), prove(linear, _Shy(linear), (3,))):
        assert isinstance(verdict, Measured)
        assert "fails where it is watched" in verdict.reason
    assert isinstance(prove(linear, _Shy(linear, lies=True), (3,)), Refuted)


def normalised(x, w, b, **options):
    return functional.batch_norm(functional.conv2d(x, w), b, b, b, b, **options)


COUNTED = {
    "normalised": (lambda x, w, b: normalised(x, w, b, eps=0.5), 12 + 8),
    "quotient": (lambda x, w, b: functional.conv2d(x, w) / b.view(4, 1, 1), 12 + 1),
    "by a constant": (lambda x, w, b: functional.conv2d(x, w, b) / 3, 13 + 1),
    "times a constant": (lambda x, w, b: functional.conv2d(x, w, b) * 0.1, 13 + 1 + 1),
    "folded": (
        lambda x, w, b: functional.conv2d(x, w * (b + 0.5).rsqrt().view(4, 1, 1, 1)),
        12 + 1 + 1 + 1 + 2,
    ),
    "rounded": (lambda x, w, b: functional.conv2d(x, (w.double() / 3).float()), 12 + 1 + 1),
}


@pytest.mark.parametrize(("rule", "terms"), COUNTED.values(), ids=COUNTED)
def test_roundings_of_steps_off_the_list_are_counted(rule, terms):
    generator = torch.Generator().manual_seed(0)
    w, x = (torch.randn(*shape, generator=generator) for shape in ((4, 3, 2, 2), (2, 3, 6, 5)))
    b = torch.tensor([0.5, 1, 2, 3])
    with torch.no_grad(), Watch() as watch:
        for weight in (w, b):
            watch.mark(weight, Value(weights=1, coefficient=1, below=weight is w))
        watch.mark(x, Value(inputs=1, coefficient=1))
        value = watch.value(rule(x, w, b))
    assert value.off
    assert value.affine
    assert not value.rough
    assert value.terms == terms


NOT_COUNTED = {
    "of the batch": lambda x, w, b: normalised(x, w, b, training=True),
    "by weights below 0": lambda x, w, b: functional.conv2d(x, w) / b.view(4, 1, 1),
    "by a difference": lambda x, w, b: functional.conv2d(x, w) / (3 - b.view(4, 1, 1)),
    "by the input": lambda x, w, b: functional.conv2d(x, w) / (x[:, :1, 1:, 1:] + 7),
    "rounded down": lambda x, w, b: functional.conv2d(x, w).div(3, rounding_mode="floor"),
    "a root of weights below 0": lambda x, w, b: functional.conv2d(x, w) * b.view(4, 1, 1).sqrt(),
    "sorted": lambda x, w, b: functional.conv2d(x, w).sort().values,
}


@pytest.mark.parametrize("rule", NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_of_others_no_bound_is_derived(rule):
    generator = torch.Generator().manual_seed(0)
    w, x = (torch.randn(*shape, generator=generator) for shape in ((4, 3, 2, 2), (2, 3, 6, 5)))
    b = torch.tensor([-1.0, 2, -3, 4])
    with torch.no_grad(), Watch() as watch:
        watch.mark(w, Value(weights=1, coefficient=1, below=True))
        watch.mark(x, Value(inputs=1, coefficient=1))
        watch.mark(b, Value(weights=1, coefficient=1, below=True))
        y = rule(x, w, b)
    assert watch.value(y).rough


@pytest.mark.parametrize(
    ("rule", "affine"),
    [
        (lambda x, w, b: functional.conv2d(x, w.abs()), True),
        (lambda x, w, b: functional.conv2d(x, w) + 0 * functional.conv2d(x, w).abs(), False),
        (lambda x, w, b: functional.conv2d(x, w) * (1 if x.sum() > 0 else 2), False),
        (lambda x, w, b: functional.conv2d(x, w) * x[:, :1, 1:, 1:], False),
        (lambda x, w, b: functional.conv2d(x, w) + torch.rand(1), False),
        (lambda x, w, b: normalised(x, w, b, training=True), False),
        (lambda x, w, b: normalised(x, w, b), True),
    ],
)
def test_it_is_known_what_is_affine_in_the_input(rule, affine):
    value, _ = watched(rule)
    assert value.affine is affine
