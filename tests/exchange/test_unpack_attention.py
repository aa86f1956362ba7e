"""Multi-head attention as four Linears: outputs, masks, gradients, and back bit for bit."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from convlin import GeometryError, Refused, unpack_attention
from convlin.exchange.packed_rows import packed, unpacked
from geometry_strategies import fill, integers

E, HEADS = 12, 3
OPTIONS = {
    "plain": {},
    "batch-first": {"batch_first": True},
    "other-sizes": {"kdim": 5, "vdim": 7, "batch_first": True},
    "only-values-differ": {"vdim": 7},
    "no-bias": {"bias": False},
    "added": {"add_bias_kv": True, "add_zero_attn": True},
    "added-keys": {"add_bias_kv": True, "batch_first": True, "kdim": 5},
    "added-zeros": {"add_zero_attn": True},
}
TABLE = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def attention(**options):
    """Return a layer in float64, every parameter other than 0 and small, in eval mode."""
    layer = nn.MultiheadAttention(E, HEADS, dtype=torch.float64, **options).eval()
    for place, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(integers(*parameter.shape, seed=place) / 16)
    return layer


def inputs(layer, n=2, rows=4, keys=6, seed=3):
    """Return query, key and value of pairwise different sizes, laid out as the layer wants them."""
    sizes = [(rows, E), (keys, layer.kdim), (keys, layer.vdim)]
    made = []
    for place, (length, size) in enumerate(sizes):
        x = integers(n, length, size, seed=seed + place) / 8
        made.append(x if layer.batch_first else x.transpose(0, 1))
    return made


def by_loops(layer, query, key, value, left_out=None, added=None):
    """Return outputs (n, rows, E) and weights (n, heads, rows, keys), one row at a time.

    left_out: truth values, and added: numbers, of every (image, head, row, key).
    """
    if not layer.batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    if layer.in_proj_weight is not None:
        weights = [layer.in_proj_weight[i * E : (i + 1) * E] for i in range(3)]
    else:
        weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    biases = [0] * 3 if layer.in_proj_bias is None else [
        layer.in_proj_bias[i * E : (i + 1) * E] for i in range(3)
    ]  # fmt: skip
    d, outputs, all_weights = E // HEADS, [], []
    for n in range(len(query)):
        q, k, v = (
            x[n] @ w.T + b for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        if layer.bias_k is not None:
            k, v = torch.cat([k, layer.bias_k[0]]), torch.cat([v, layer.bias_v[0]])
        if layer.add_zero_attn:
            zero = torch.zeros(1, E, dtype=q.dtype)
            k, v = torch.cat([k, zero]), torch.cat([v, zero])
        heads, head_weights = [], []
        for h in range(HEADS):
            at, rows, own = slice(h * d, (h + 1) * d), [], []
            for i in range(len(q)):
                products = [float(q[i, at] @ k[j, at]) / math.sqrt(d) for j in range(len(k))]
                for j in range(key.shape[1]):
                    if added is not None:
                        products[j] += float(added[n, h, i, j])
                    if left_out is not None and left_out[n, h, i, j]:
                        products[j] = -math.inf
                top = max(products)
                exps = [math.exp(p - top) for p in products]
                weight = torch.tensor([e / sum(exps) for e in exps], dtype=q.dtype)
                rows.append(weight @ v[:, at])
                own.append(weight)
            heads.append(torch.stack(rows))
            head_weights.append(torch.stack(own))
        y = torch.cat(heads, -1) @ layer.out_proj.weight.T
        outputs.append(y if layer.out_proj.bias is None else y + layer.out_proj.bias)
        all_weights.append(torch.stack(head_weights))
    y = torch.stack(outputs)
    return (y if layer.batch_first else y.transpose(0, 1)), torch.stack(all_weights)


def close(a, b):
    # 30 products of numbers below 5, in float64
    return a.shape == b.shape and bool((a - b).abs().max() < 1e-12)


@TABLE
def test_the_outputs_and_weights_are_those_of_the_loops(options):
    layer = attention(**options)
    form, given = unpack_attention(layer), inputs(layer)
    with torch.no_grad():
        expected, weights = by_loops(layer, *given)
        y, averaged = form(*given)
        assert close(y, expected) and close(averaged, weights.mean(1))
        assert close(form(*given, average_attn_weights=False)[1], weights)
        y, none = form(*given, need_weights=False)
        assert close(y, expected) and none is None
        assert close(layer(*given)[0], expected)


@TABLE
@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
def test_masks_of_both_kinds(options, need_weights):
    layer = attention(**options)
    form, given = unpack_attention(layer), inputs(layer)
    rng = np.random.default_rng(1)
    two = torch.tensor(rng.random((4, 6)) < 0.3)
    three = torch.tensor(rng.random((2, HEADS, 4, 6)) < 0.3)
    padding = torch.tensor(rng.random((2, 6)) < 0.3)
    for mask in (two, three.flatten(0, 1), padding):  # one key at least for every row
        mask[..., 0] = False
    numbers = torch.tensor(rng.normal(size=(4, 6)))
    whole = torch.zeros(2, HEADS, 4, 6, dtype=torch.bool)
    cases = [
        ({"attn_mask": two}, whole | two, None),
        ({"attn_mask": three.flatten(0, 1)}, three, None),
        ({"key_padding_mask": padding}, whole | padding[:, None, None], None),
        ({"attn_mask": two, "key_padding_mask": padding}, whole | two | padding[:, None, None], None),
        ({"attn_mask": numbers}, None, numbers.expand(2, HEADS, 4, 6)),
        ({"attn_mask": numbers, "key_padding_mask": padding.double() * -3}, None,
         numbers + padding.double()[:, None, None] * -3 + torch.zeros(2, HEADS, 4, 6)),
    ]  # fmt: skip
    with torch.no_grad():
        for masks, left_out, added in cases:
            expected, weights = by_loops(layer, *given, left_out, added)
            y, own = form(*given, need_weights=need_weights, **masks)
            theirs, _ = layer(*given, need_weights=need_weights, **masks)
            assert close(y, expected) and close(theirs, expected)
            assert own is None or close(own, weights.mean(1))


@TABLE
def test_causal_attention(options):
    layer = attention(**options)
    form, given = unpack_attention(layer), inputs(layer, rows=6)
    mask = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1)
    for need_weights in (True, False):
        own, theirs = (
            module(*given, need_weights=need_weights, attn_mask=mask, is_causal=True)
            for module in (form, layer)
        )
        assert close(own[0], theirs[0])


@TABLE
def test_no_batch_and_empty_batches(options):
    layer = attention(**options)
    form = unpack_attention(layer)
    given = [x[0] if layer.batch_first else x[:, 0] for x in inputs(layer)]
    padding = torch.tensor([False, True, False, False, True, False])
    for more in ({}, {"key_padding_mask": padding}, {"average_attn_weights": False}):
        own, theirs = form(*given, **more), layer(*given, **more)
        assert close(own[0], theirs[0]) and close(own[1], theirs[1])
    empty = inputs(layer, n=0)
    assert form(*empty)[0].shape == layer(*empty)[0].shape


@TABLE
def test_the_same_gradients_in_training(options):
    layer = attention(**options).train()
    form, grads = unpack_attention(layer, copy=True), []
    for module in (layer, form):
        given = [x.clone().requires_grad_() for x in inputs(layer)]
        y, _ = module(*given, need_weights=False)
        y.backward(integers(*y.shape, seed=9))
        grads.append([x.grad for x in given])
    assert all(close(a, b) for a, b in zip(*grads, strict=True))
    assert close(form.out.weight.grad, layer.out_proj.weight.grad)
    if layer.in_proj_weight is not None:
        parts = torch.cat([form.q.weight.grad, form.k.weight.grad, form.v.weight.grad])
        assert close(parts, layer.in_proj_weight.grad)
    else:
        assert close(form.v.weight.grad, layer.v_proj_weight.grad)


@TABLE
def test_weights_are_shared_and_the_layer_comes_back_bit_for_bit(options):
    layer = attention(**options)
    layer.out_proj.weight.requires_grad_(False)
    form = unpack_attention(layer)
    assert [type(form.get_submodule(name)) for name in ("q", "k", "v", "out")] == [nn.Linear] * 4
    own = {p.untyped_storage().data_ptr() for p in form.parameters()}
    assert own == {p.untyped_storage().data_ptr() for p in layer.parameters()}
    assert form.out.weight is layer.out_proj.weight
    back = form.to_attention()
    theirs, ours = dict(layer.named_parameters()), dict(back.named_parameters())
    assert list(theirs) == list(ours)
    for name, parameter in theirs.items():
        assert torch.equal(parameter, ours[name]) and parameter.stride() == ours[name].stride()
        assert parameter.data_ptr() == ours[name].data_ptr()
        assert parameter.requires_grad == ours[name].requires_grad
    skipped = {"_parameters", "_modules"}
    assert {k: v for k, v in vars(layer).items() if k not in skipped} == {
        k: v for k, v in vars(back).items() if k not in skipped
    }
    given = inputs(layer)
    assert torch.equal(back(*given)[0], layer(*given)[0])


@TABLE
def test_copies_are_independent(options):
    layer = attention(**options)
    form, given = unpack_attention(layer, copy=True), inputs(layer)
    before = form(*given)[0]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(3)
    assert torch.equal(form(*given)[0], before)


def test_a_projection_of_another_storage_is_copied_on_the_way_back():
    layer = attention()
    form = unpack_attention(layer)
    form.k.weight = nn.Parameter(form.k.weight.detach() * 2)
    back = form.to_attention()
    assert torch.equal(back.in_proj_weight[E : 2 * E], layer.in_proj_weight[E : 2 * E] * 2)
    assert torch.equal(back.in_proj_weight[:E], layer.in_proj_weight[:E])
    form.k.bias = None
    with pytest.raises(
        Refused, match="q, k, v: bias is a bias, None, a bias, expected a bias of all"
    ):
        form.to_attention()


def test_every_projection_is_called_and_so_can_be_replaced():
    layer = attention()
    form, given, called = unpack_attention(layer), inputs(layer), []
    for name in ("q", "k", "v", "out"):
        module = form.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    form(*given)
    layer(*given)
    assert sorted(called) == ["k", "out", "q", "v"]


def test_dropout_is_that_of_the_layer():
    layer = attention(dropout=0.5).train()
    form, given = unpack_attention(layer), inputs(layer)
    for need_weights in (True, False):
        outputs = []
        for module in (layer, form):
            torch.manual_seed(7)
            outputs.append(module(*given, need_weights=need_weights)[0])
        assert close(*outputs)
    assert close(form.eval()(*given)[0], layer.eval()(*given)[0])


class Doubled(nn.MultiheadAttention):
    def forward(self, *args, **options):
        y, weights = super().forward(*args, **options)
        return 2 * y, weights


def changed(**attributes):
    layer = attention(bias=True, add_bias_kv=True)
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


REFUSED = {
    "forward": (Doubled(E, HEADS), "Doubled: forward is .*Doubled.forward, expected nn.MultiheadAttention's"),
    "heads": (changed(num_heads=4), r"num_heads, head_dim is \(4, 4\), expected numbers whose product is 12"),
    "bias": (changed(in_proj_bias=nn.Parameter(torch.zeros(12))), r"in_proj_bias.shape is \(12,\), expected \(36,\)"),
    "one-added": (changed(bias_k=None), "bias_k, bias_v is one alone, expected both or none"),
    "type": (nn.Linear(3, 5), "Linear: type is Linear, expected nn.MultiheadAttention"),
}  # fmt: skip


@pytest.mark.parametrize("layer, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_field(layer, words):
    with pytest.raises(Refused, match=words):
        unpack_attention(layer)


def test_a_computed_projection_is_refused():
    layer = attention()
    torch.nn.utils.parametrizations.weight_norm(layer.out_proj)
    with pytest.raises(Refused, match=r"out_proj.weight is a Tensor, expected an nn.Parameter"):
        unpack_attention(layer)


def test_inputs_that_do_not_fit_are_named():
    form = unpack_attention(attention(batch_first=True))
    x = torch.zeros(2, 4, E, dtype=torch.float64)
    with pytest.raises(GeometryError, match=r"input: ndim is \(3, 2, 3\), expected 3 of all, or 2"):
        form(x, x[0], x)
    with pytest.raises(
        GeometryError, match=r"attn_mask.shape is \(4, 5\), expected \(4, 4\) or \(6, 4, 4\)"
    ):
        form(x, x, x, attn_mask=torch.zeros(4, 5))
    with pytest.raises(
        GeometryError, match=r"key_padding_mask.shape is \(2, 5\), expected \(2, 4\)"
    ):
        form(x, x, x, key_padding_mask=torch.zeros(2, 5))
    with pytest.raises(
        Refused, match="attn_mask is None, expected a mask: is_causal is but a hint"
    ):
        form(x, x, x, is_causal=True)
    ragged = torch.nested.nested_tensor([x[0], x[1, :2]], layout=torch.jagged)
    with pytest.raises(
        Refused, match="query is a nested tensor, expected a plain tensor and a mask"
    ):
        form(ragged, ragged, ragged)


def test_it_traces_and_its_copies_are_its_own():
    layer = attention(batch_first=True)
    form, given = unpack_attention(layer), inputs(layer)
    twin = copy.deepcopy(form)
    assert torch.equal(twin(*given)[0], form(*given)[0])
    exported = torch.export.export(form, tuple(given)).module()
    assert torch.equal(exported(*given)[0], form(*given)[0])


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_packed_rows_on_plain_arrays(kind):
    rows = integers(15, 4, seed=1)
    rows = rows.numpy() if kind == "numpy" else rows
    parts = unpacked(rows)
    assert [part.shape for part in parts] == [(5, 4)] * 3
    assert np.array_equal(parts[2][1], rows[11])
    assert np.array_equal(packed(*parts), rows)
    parts[1][0, 0] = 99
    assert rows[5, 0] == 99


def test_integers_go_through_the_projections_exactly():
    """One key: its weight is 1, and the output is out(v(value)) to the last bit."""
    layer = fill(nn.MultiheadAttention(E, HEADS, dtype=torch.float64))
    form = unpack_attention(layer)
    query, value = integers(3, 2, E, seed=1), integers(1, 2, E, seed=2)
    expected = form.out(form.v(value)).expand(3, 2, E)
    assert torch.equal(form(query, value, value)[0], expected)
    third = layer.in_proj_weight[2 * E :], layer.in_proj_bias[2 * E :]
    assert torch.equal(form.v(value), value @ third[0].T + third[1])
