"""`unpack_attention`: multi-head attention with its four projections as layers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from convlin.arguments import flag
from convlin.errors import Description, Refusal, Refused
from convlin.exchange.packed_rows import unpacked
from convlin.layers.forms.unpacked_attention import PROJECTIONS, UnpackedAttention
from convlin.layers.parameters import alias, layer_with, same_bias
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["unpack_attention"]


def unpack_attention(attention: nn.MultiheadAttention, *, copy: bool = False) -> UnpackedAttention:
    """Return `attention` with its projections as four nn.Linear, drop-in.

    nn.MultiheadAttention reads the weights of its projections and calls none of them, so that what
    is put in their place (a quantized layer, LoRA) is never run. Children `q`, `k`, `v` and `out`
    are called. Every argument and option is taken: masks, `need_weights`, `average_attn_weights`,
    `is_causal`, `batch_first`, no batch, dropout, `bias_k` and `bias_v`, `add_zero_attn`, other
    sizes of keys and values. `.to_attention()` gives the layer back, bit for bit.

    The weights of q, k and v are rows of `in_proj_weight`, in its storage; those of `out`, separate
    projections and `bias_k`, `bias_v` are the same parameters. `copy=True` copies all.

    Equal over the reals; in floating point sums run in another order than on the layer's fast path.

    Raises `Refused` with everything that does not fit: hooks, a subclass's own forward, parameters
    that are computed or of other sizes than the layer says.

    Identity: W·x = [W_q·x; W_k·x; W_v·x] for W = [W_q; W_k; W_v].

    >>> import torch
    >>> attention = nn.MultiheadAttention(12, 3, batch_first=True)
    >>> form = unpack_attention(attention)
    >>> form.q, form.q.weight.data_ptr() == attention.in_proj_weight.data_ptr()
    (Linear(in_features=12, out_features=12, bias=True), True)
    >>> x = torch.randn(2, 5, 12)
    >>> torch.allclose(form(x, x, x)[0], attention(x, x, x)[0], atol=1e-5)
    True
    """
    copy = flag("unpack_attention", "copy", copy)
    require_stock_layer(attention, nn.MultiheadAttention)
    if odd := tuple(_oddities(attention)):
        raise Refused(odd)
    held: Any = attention
    weights = [held.q_proj_weight, held.k_proj_weight, held.v_proj_weight]
    if held.in_proj_weight is not None:
        weights = [alias(held.in_proj_weight, part) for part in _parts()]
    biases = [None] * 3 if held.in_proj_bias is None else [
        alias(held.in_proj_bias, part) for part in _parts()
    ]  # fmt: skip
    weights.append(held.out_proj.weight)
    biases.append(held.out_proj.bias)
    projections = {
        name: layer_with(
            nn.Linear, weight.shape[1], weight.shape[0],
            weight=alias(weight, lambda w: w, copy=True) if copy else weight,
            bias=same_bias(bias, copy),
        ).train(attention.training)
        for name, weight, bias in zip(PROJECTIONS, weights, biases, strict=True)
    }  # fmt: skip
    form = UnpackedAttention(attention, projections)
    if copy:
        form.bias_k, form.bias_v = same_bias(held.bias_k, True), same_bias(held.bias_v, True)
    return form.train(attention.training)


def _parts() -> list[Any]:
    """Return what gives each third of packed rows."""
    return [lambda rows, part=part: unpacked(rows)[part] for part in range(3)]


def _oddities(attention: Any) -> Iterator[Refusal]:
    """Yield a refusal for every parameter that is not what the layer's sizes say."""
    site, e = type(attention).__name__, attention.embed_dim
    if attention.num_heads * attention.head_dim != e:
        value = (attention.num_heads, attention.head_dim)
        yield Refusal(site, "num_heads, head_dim", value, f"numbers whose product is {e}")
    shapes: dict[str, tuple[int, ...]] = {"in_proj_weight": (3 * e, e)}
    if not attention._qkv_same_embed_dim:
        sizes = (e, attention.kdim, attention.vdim)
        shapes = {f"{x}_proj_weight": (e, n) for x, n in zip("qkv", sizes, strict=True)}
    optional = {"in_proj_bias": (3 * e,), "bias_k": (1, 1, e), "bias_v": (1, 1, e)}
    for name, shape in {**shapes, **optional}.items():
        parameter = getattr(attention, name, None)
        if parameter is not None or name in shapes:
            yield from _odd(site, name, parameter, shape)
    if (attention.bias_k is None) != (attention.bias_v is None):
        yield Refusal(site, "bias_k, bias_v", Description("one alone"), "both or none")
    out = attention.out_proj
    yield from _odd(site, "out_proj.weight", getattr(out, "weight", None), (e, e))
    if getattr(out, "bias", None) is not None:
        yield from _odd(site, "out_proj.bias", out.bias, (e,))


def _odd(site: str, name: str, value: Any, shape: tuple[int, ...]) -> Iterator[Refusal]:
    if type(value) is not nn.Parameter or type(value.data) is not Tensor:
        kind = Description(f"a {type(value).__name__}")
        yield Refusal(site, name, kind, "an nn.Parameter of plain Tensor")
    elif tuple(value.shape) != shape:
        yield Refusal(site, f"{name}.shape", tuple(value.shape), str(shape))
