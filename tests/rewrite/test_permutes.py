import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convlin
from convlin.errors import Refused
from convlin.models.permutes.permutes import cancelled
from rewrite.layout_programs import BATCH, as_conv2d, random_program
from rewrite.real_models import MODELS, difference, in_double, leaves, run


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def mlp(width=6):
    return nn.Linear(width, 10), nn.GELU(), nn.Linear(10, width)


def per_channel():
    """A Linear whose result is scaled for each channel, between two more."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.linspace(1, 2, 10))
            self.first, self.second = nn.Linear(6, 10), nn.Linear(10, 6)

        def forward(self, x):
            return self.second(torch.tanh(self.first(x) * self.scale - 0.5))

    return Scaled()


# Permutes before and after, and what keeps each of the latter.
COUNTED = {
    "one layer": (nn.Linear(6, 10), 2, {("x", "input"): 1, ("", "output"): 1}),
    "mlp": (nn.Sequential(*mlp()), 4, {("input", "input"): 1, ("", "output"): 1}),
    "mlp with dropout": (
        nn.Sequential(nn.Linear(6, 10), nn.Dropout(), nn.ReLU(), nn.Linear(10, 6)),
        4, {("input", "input"): 1, ("", "output"): 1},
    ),
    "scaled by channels": (per_channel(), 4, {("x", "input"): 1, ("", "output"): 1}),
    "residual stack": (
        nn.Sequential(*(Residual(*mlp()) for _ in range(3))),
        12, {("input", "input"): 1, ("", "output"): 1},
    ),
    "with norms": (
        nn.Sequential(*(Residual(nn.LayerNorm(6), *mlp()) for _ in range(2))),
        8, {("0.layers.0", "layer_norm"): 1, ("1.layers.0", "layer_norm"): 2, ("", "output"): 1},
    ),
    "no layer": (nn.GELU(), 0, {}),
    "lines and rows": (
        nn.Sequential(nn.Conv1d(5, 4, 3), nn.ReLU(), nn.Conv1d(4, 3, 1), nn.Linear(5, 2)),
        2, {("2", "conv2d"): 1, ("", "output"): 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COUNTED)
def test_what_neighbours_undo_is_gone_and_what_stays_is_named(case):
    model, before, kept = COUNTED[case]
    model = as_conv2d(model).eval().double()
    x = torch.randn(3, 5, 7 if case == "lines and rows" else 6, dtype=torch.float64)
    graph, permutes = cancelled(model, (x,), {})
    print(permutes)
    assert permutes.before == before
    assert {(k.site, k.operation): k.count for k in permutes.kept} == kept
    assert permutes.after == sum(kept.values())
    for batch in (3, 1, 8):
        y = torch.randn(batch, *x.shape[1:], dtype=torch.float64)
        assert difference(model(y), graph(y)) < 1e-10


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 14))
def test_random_programs_of_whole_numbers_give_the_same_numbers(seed, length):
    draw = random.Random(seed)
    program, shape = random_program(draw, length)
    graph, permutes = cancelled(program, (torch.ones(shape, dtype=torch.float64),), {})
    assert permutes.after == sum(kept.count for kept in permutes.kept)
    for batch in (BATCH, 3, 1) if permutes.batch is None else (permutes.batch,):
        x = torch.randint(-9, 10, (batch, *shape[1:])).double()
        for ours, theirs in zip(graph(x), program(x), strict=True):
            assert torch.equal(ours, theirs)
            assert ours.is_contiguous()


# Of two layers each. A block of attention has 16 permutes as exchanged: two of each of its six
# layers, three that split heads and one that joins them. 8 stay: two for each LayerNorm, and four
# for the attention itself.
REAL = {"whisper": (33, 17), "gpt2": (26, 20), "vit": (35, 19), "minilm": (98, 50)}


@pytest.mark.parametrize("name", REAL)
def test_real_models_lose_what_neither_norms_nor_attention_need(name):
    real = MODELS[name]
    model = real.model().double()
    one, two = map(in_double, real.examples())
    result = convlin.rewrite(model, to="conv2d", example=one, proofs=False)
    permutes = result.report.permutes
    print(permutes)
    assert (permutes.before, permutes.after) == REAL[name]
    keep = {kept.operation for kept in permutes.kept}
    assert {"layer_norm", "scaled_dot_product_attention"} <= keep
    assert keep.isdisjoint({"gelu", "add", "conv2d"})
    assert (permutes.batch, permutes.largest_rank) == (None, 4)
    alone = {key: value[:1] for key, value in two.items()}
    for example in (one, two, alone):
        assert difference(run(model, example), run(result.graph, example)) < 1e-10


def test_the_graph_shares_the_tensors_of_the_model():
    model = as_conv2d(nn.Sequential(*mlp())).eval()
    x = torch.randn(2, 5, 6)
    graph, _ = cancelled(model, (x,), {})
    with torch.no_grad():
        model[0].weight.mul_(3)
    assert difference(model(x), graph(x)) < 1e-5
    assert dict(graph.named_parameters())["0.weight"] is model[0].weight


def test_a_model_stays_in_its_modes():
    model = as_conv2d(nn.Sequential(nn.Linear(6, 10), nn.Dropout(), nn.Linear(10, 6)))
    model[0].eval()
    cancelled(model, (torch.randn(2, 5, 6),), {})
    assert [module.training for module in model.modules()] == [True, False, True, True]


def test_a_batch_of_one_is_the_only_one():
    graph, permutes = cancelled(as_conv2d(nn.Linear(6, 4)), (torch.ones(1, 5, 6),), {})
    assert permutes.batch == 1
    with pytest.raises(AssertionError, match="size"):
        graph(torch.ones(2, 5, 6))


def test_figures_are_of_exchanged_layers_alone():
    model = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.Flatten(2), nn.Linear(6, 4))
    x = torch.ones(2, 3, 8, 12)
    _, all_of_them = cancelled(as_conv2d(model), (x,), {})
    _, one = cancelled(model, (x,), {}, sites=["2"])
    assert (all_of_them.smallest_last_axis, one.smallest_last_axis) == (3, 6)


def test_numbers_of_a_wider_kind_do_not_widen_what_they_meet():
    """A tensor without axes is a number to PyTorch: put into a layout, it would not be one."""

    class Widened(nn.Module):
        def forward(self, x, wide):
            return x.transpose(0, 1) * wide + x.sum().double()

    x, wide = torch.randn(2, 3), torch.tensor(2.0, dtype=torch.float64)
    graph, _ = cancelled(Widened(), (x, wide), {})
    (result,) = leaves(graph(x, wide))
    assert result.dtype == torch.float32


def test_memory_that_is_read_as_it_lies_is_refused():
    class Strided(nn.Module):
        def forward(self, x):
            return x.transpose(0, 1).relu().as_strided((6,), (1,))

    with pytest.raises(Refused, match="as_strided.*memory as it lies"):
        cancelled(Strided(), (torch.randn(2, 3),), {})


def test_what_export_does_not_take_is_refused():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(Refused, match="Branching: code is what torch.export does not take"):
        cancelled(Branching(), (torch.randn(2, 3),), {})
