"""Multi-head attention with its four projections as layers of their own."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn import functional

from convlin.errors import Description, GeometryError, Refusal, Refused
from convlin.exchange.packed_rows import packed
from convlin.internals.storages import storage_id
from convlin.layers.parameters import alias, same_bias
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["UnpackedAttention"]

PROJECTIONS = ("q", "k", "v", "out")


class UnpackedAttention(nn.Module):
    """nn.MultiheadAttention whose projections `q`, `k`, `v` and `out` are each an nn.Linear.

    It takes what nn.MultiheadAttention takes and returns what that returns, but for its fast path:
    none is taken, so that every projection is called. The attributes are the layer's, `bias_k` and
    `bias_v` its very parameters.
    """

    q: nn.Linear
    k: nn.Linear
    v: nn.Linear
    out: nn.Linear
    bias_k: nn.Parameter | None
    bias_v: nn.Parameter | None

    def __init__(self, attention: Any, projections: dict[str, nn.Linear]) -> None:
        super().__init__()
        for name in PROJECTIONS:
            self.add_module(name, projections[name])
        self.register_parameter("bias_k", attention.bias_k)
        self.register_parameter("bias_v", attention.bias_v)
        self.embed_dim, self.num_heads = attention.embed_dim, attention.num_heads
        self.kdim, self.vdim = attention.kdim, attention.vdim
        self.head_dim, self.dropout = attention.head_dim, attention.dropout
        self.batch_first, self.add_zero_attn = attention.batch_first, attention.add_zero_attn

    def extra_repr(self) -> str:
        """Return what no child shows."""
        return f"num_heads={self.num_heads}, batch_first={self.batch_first}"

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs, and the weights of the attention if they are needed.

        As nn.MultiheadAttention: batch second, or first with `batch_first`, or no batch at all;
        masks of truth values (True leaves out) or of numbers to add. Raises `Refused` for what
        that does not take either, and for nested tensors.
        """
        batched = _require_rows(query, key, value)
        q, k, v = (
            self._batch_first(layer(x), batched)
            for layer, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        mask = self._mask(attn_mask, key_padding_mask, q, k, batched)
        if is_causal and attn_mask is None:
            raise Refused(Refusal("input", "attn_mask", None, "a mask: is_causal is but a hint"))
        causal = is_causal and key_padding_mask is None and not need_weights
        k, v, added = self._with_added_keys(k, v)
        if mask is not None and added:
            mask = functional.pad(mask, (0, added))
        q, k, v = (self._heads(x) for x in (q, k, v))
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            y, weights = _attend(q, k, v, mask, dropout)
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        else:
            y = functional.scaled_dot_product_attention(
                q, k, v, None if causal else mask, dropout, is_causal=causal
            )
        y = self.out(y.transpose(1, 2).flatten(2))
        return self._as_given(y, batched), weights

    def to_attention(self) -> nn.MultiheadAttention:
        """Return the nn.MultiheadAttention again, bit for bit.

        It shares the current weights; those of query, key and value only while they lie one after
        the other in memory, as they did; else it copies these.
        """
        require_stock_layer(self, type(self))
        layers = {name: getattr(self, name) for name in PROJECTIONS}
        for layer in layers.values():
            require_stock_layer(layer, nn.Linear)
        inputs = [layers[name] for name in PROJECTIONS[:3]]
        biases = [layer.bias for layer in inputs]
        if any(bias is None for bias in biases) and not all(bias is None for bias in biases):
            shown = Description(", ".join("None" if b is None else "a bias" for b in biases))
            raise Refused(Refusal("q, k, v", "bias", shown, "a bias of all, or of none"))
        attention: Any = nn.MultiheadAttention(
            self.embed_dim, self.num_heads, self.dropout, biases[0] is not None,
            self.bias_k is not None, self.add_zero_attn, self.kdim, self.vdim, self.batch_first,
            device="meta", dtype=layers["out"].weight.dtype,
        )  # fmt: skip
        if attention.in_proj_weight is not None:
            attention.in_proj_weight = _joined([layer.weight for layer in inputs])
        else:
            for name, layer in zip(PROJECTIONS, inputs, strict=False):
                setattr(attention, f"{name}_proj_weight", layer.weight)
        if biases[0] is not None:
            attention.in_proj_bias = _joined(biases)
        attention.bias_k, attention.bias_v = self.bias_k, self.bias_v
        attention.out_proj.weight = self.out.weight
        attention.out_proj.register_parameter("bias", same_bias(self.out.bias))
        done: nn.MultiheadAttention = attention.train(self.training)
        return done

    def _batch_first(self, x: Tensor, batched: bool) -> Shaped[Tensor, "n rows e"]:
        if not batched:
            return x.unsqueeze(0)
        return x if self.batch_first else x.transpose(0, 1)

    def _as_given(self, y: Shaped[Tensor, "n rows e"], batched: bool) -> Tensor:
        if not batched:
            return y.squeeze(0)
        return y if self.batch_first else y.transpose(0, 1).contiguous()

    def _heads(self, x: Shaped[Tensor, "n rows e"]) -> Shaped[Tensor, "n heads rows d"]:
        return torch.unflatten(x, -1, (self.num_heads, -1)).transpose(1, 2)

    def _with_added_keys(
        self, k: Shaped[Tensor, "n rows e"], v: Shaped[Tensor, "n rows e"]
    ) -> tuple[Tensor, Tensor, int]:
        """Return keys and values with those that no input gives, and how many these are."""
        rows = k.shape[1]
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(k.shape[0], 1, -1)], 1)
            v = torch.cat([v, self.bias_v.expand(v.shape[0], 1, -1)], 1)
        if self.add_zero_attn:
            k, v = functional.pad(k, (0, 0, 0, 1)), functional.pad(v, (0, 0, 0, 1))
        return k, v, k.shape[1] - rows

    def _mask(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, k: Tensor,
        batched: bool,
    ) -> Shaped[Tensor, "n_or_1 heads_or_1 l_or_1 s"] | None:  # fmt: skip
        """Return both masks as one, of numbers to add to each head's products."""
        (n, rows, _), keys = q.shape, k.shape[1]
        masks = []
        if attn_mask is not None:
            shapes = ((rows, keys), (n * self.num_heads, rows, keys))
            _require_shape("attn_mask", attn_mask, *shapes)
            own = attn_mask.ndim == 3
            masks.append(attn_mask.reshape(*((n, self.num_heads) if own else (1, 1)), rows, keys))
        if key_padding_mask is not None:
            _require_shape("key_padding_mask", key_padding_mask, (n, keys) if batched else (keys,))
            masks.append(key_padding_mask.reshape(n, 1, 1, keys))
        numbers = [_as_numbers(mask, q.dtype) for mask in masks]
        return sum(numbers[1:], numbers[0]) if numbers else None


def _attend(
    q: Shaped[Tensor, "n h l d"], k: Shaped[Tensor, "n h s d"], v: Shaped[Tensor, "n h s d"],
    mask: Tensor | None, dropout: float,
) -> tuple[Shaped[Tensor, "n h l d"], Shaped[Tensor, "n h l s"]]:  # fmt: skip
    """Return the outputs and weights of each head."""
    products = torch.matmul(q * math.sqrt(1.0 / q.shape[-1]), k.transpose(-1, -2))
    weights = torch.softmax(products if mask is None else products + mask, -1)
    if dropout:
        weights = functional.dropout(weights, dropout)
    return torch.matmul(weights, v), weights


def _as_numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask as numbers to add: -∞ where a truth value leaves out."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)


def _require_rows(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Return whether the inputs are batches; raise unless all are, or none."""
    named = {"query": query, "key": key, "value": value}
    if nested := [name for name, x in named.items() if x.is_nested]:
        what = Description("a nested tensor")
        raise Refused(Refusal("input", name, what, "a plain tensor and a mask") for name in nested)
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        ranks = tuple(x.ndim for x in named.values())
        reason = "dimensions of query, key and value"
        raise GeometryError(
            Refusal("input", "ndim", ranks, "3 of all, or 2 without a batch", reason)
        )
    return query.ndim == 3


def _require_shape(name: str, mask: Tensor, *shapes: tuple[int, ...]) -> None:
    if tuple(mask.shape) not in shapes:
        allowed = " or ".join(map(str, shapes))
        raise GeometryError(Refusal("input", f"{name}.shape", tuple(mask.shape), allowed))


def _joined(parts: list[Any]) -> nn.Parameter:
    """Return three parameters as one: a view while they lie one after the other, else a copy."""
    first, *others = parts
    step = first.numel()
    if all(
        storage_id(part) == storage_id(first)
        and part.storage_offset() == first.storage_offset() + place * step
        and part.stride() == first.stride() and part.is_contiguous()
        for place, part in enumerate(others, 1)
    ):  # fmt: skip
        shape = (first.shape[0] * len(parts), *first.shape[1:])
        return alias(first, lambda rows: rows.as_strided(shape, rows.stride()))
    return nn.Parameter(packed(*(part.detach() for part in parts)), first.requires_grad)
