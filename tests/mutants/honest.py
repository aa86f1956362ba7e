"""Honest reformulations, put together at random out of listed operations.

`IDENTITIES` give back the tensor they are given, whatever its leading axes (none, or a batch,
an empty one too); `CONVOLUTIONS` are ways to convolve. A form runs a convolution of one kind with
some identities before and behind it, and on its weights: equal to the layer for every weight and
every input, by moves and sums alone.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mutants.enrol import Form

__all__ = ["CONVOLUTIONS", "IDENTITIES", "Identity", "reformulated"]

Identity = Callable[[Tensor], Tensor]


def _eye(t: Tensor) -> Tensor:
    return torch.eye(t.shape[-1], dtype=t.dtype, device=t.device)


def _even(t: Tensor) -> Tensor:
    """Return a mask of every second column, by no number of `t`."""
    return torch.arange(t.shape[-1], device=t.device) % 2 == 0


def _backwards(t: Tensor) -> Tensor:
    return torch.arange(t.shape[-1], device=t.device).flip(0)


def _assigned_by_mask(t: Tensor) -> Tensor:
    y, even = torch.zeros_like(t), _even(t)
    y[..., even] = t[..., even]
    y[..., ~even] = t[..., ~even]
    return y


def _assigned_in_halves(t: Tensor) -> Tensor:
    y = t.new_empty(t.shape)
    y[..., :1], y[..., 1:] = t[..., :1], t[..., 1:]
    return y


def _gathered(t: Tensor) -> Tensor:
    there = _backwards(t).expand(t.shape)
    return t.gather(-1, there).gather(-1, there)


def _looped(t: Tensor) -> Tensor:
    y = t.new_zeros(t.shape)
    for column in range(t.shape[-1]):
        y[..., column] += t[..., column]
    return y


def _called(t: Tensor) -> Tensor:
    linear = nn.Linear(t.shape[-1], t.shape[-1], bias=False, device="meta")
    return torch.func.functional_call(linear, {"weight": _eye(t)}, (t,))


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor) -> Tensor:
        return t.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


IDENTITIES: dict[str, Identity] = {
    "movedim": lambda t: t.movedim(-1, 0).movedim(0, -1),
    "transpose": lambda t: t.mT.contiguous().mT,
    "permute": lambda t: t.permute(*range(t.ndim)),
    "swap-twice": lambda t: t.swapaxes(-1, -2).swapaxes(-2, -1),
    "flip-twice": lambda t: t.flip(-1).flip(-1),
    "roll-and-back": lambda t: t.roll(2, -1).roll(-2, -1),
    "rot90-and-back": lambda t: t.rot90(1, (-2, -1)).rot90(3, (-2, -1)),
    "split-cat": lambda t: torch.cat(t.split(2, -1), -1),
    "chunk-cat": lambda t: torch.cat(t.chunk(2, -2), -2),
    "tensor-split-cat": lambda t: torch.cat(t.tensor_split((1, 3), -1), -1),
    "unbind-stack": lambda t: torch.stack(t.unbind(-1), -1),
    "iterate": lambda t: torch.stack([*t.movedim(-1, 0)], -1),
    "narrow-cat": lambda t: torch.cat([t.narrow(-1, 0, 1), t.narrow(-1, 1, t.shape[-1] - 1)], -1),
    "reshape": lambda t: t.reshape(*t.shape[:-2], t.shape[-2:].numel()).reshape(t.shape),
    "flatten-unflatten": lambda t: t.flatten(-2).unflatten(-1, t.shape[-2:]),
    "squeeze": lambda t: t.unsqueeze(-1).squeeze(-1),
    "expand-select": lambda t: t[None].expand(3, *t.shape)[1],
    "repeat-crop": lambda t: t.repeat(*(1,) * (t.ndim - 1), 2)[..., : t.shape[-1]],
    "unfold": lambda t: t.unfold(-1, 1, 1).squeeze(-1),
    "as-strided": lambda t: (c := t.contiguous()).as_strided(c.shape, c.stride()),
    "channels-last": lambda t: (
        t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t.contiguous()
    ),
    "clone": lambda t: t.clone(),
    "index-twice": lambda t: t[..., _backwards(t)][..., _backwards(t)],
    "index-select": lambda t: t.index_select(-1, _backwards(t)).index_select(-1, _backwards(t)),
    "gather": _gathered,
    "take-along": lambda t: t.take_along_dim(_backwards(t).expand(t.shape), -1).flip(-1),
    "mask-index-cat": lambda t: torch.cat([t[..., _even(t)], t[..., ~_even(t)]], -1)[
        ..., torch.argsort((~_even(t)).long(), stable=True).argsort()
    ],
    "mask-assign": _assigned_by_mask,
    "mask-sum": lambda t: t * _even(t) + t * ~_even(t),
    "where": lambda t: torch.where(_even(t), t, 0) + torch.where(_even(t), 0, t),
    "masked-fill": lambda t: t.masked_fill(_even(t), 0) + t.masked_fill(~_even(t), 0),
    "half-assign": _assigned_in_halves,
    "loop-assign": _looped,
    "select-scatter": lambda t: torch.select_scatter(t * 0, t[..., 0], -1, 0)
    + torch.slice_scatter(t * 0, t[..., 1:], -1, 1),
    "copy-into": lambda t: torch.empty_like(t).copy_(t),
    "pad-crop": lambda t: functional.pad(t, (2, 1))[..., 2:-1],
    "negative-pad": lambda t: functional.pad(functional.pad(t, (1, 1), value=7.0), (-1, -1)),
    "tril-triu": lambda t: t.tril() + t.triu(1),
    "diagonal": lambda t: torch.diag_embed(t).diagonal(dim1=-2, dim2=-1),
    "diagonal-sum": lambda t: torch.diag_embed(t).sum(-1),
    "stack-sum": lambda t: torch.stack([t, torch.zeros_like(t)]).sum(0),
    "negate-twice": lambda t: t.neg().neg(),
    "add-subtract": lambda t: (t + 5) - 5,
    "in-place": lambda t: t.clone().add_(t).sub_(t),
    "alpha": lambda t: torch.sub(2 * t, t, alpha=1),
    "rsub": lambda t: torch.rsub(t, torch.zeros_like(t), alpha=-1),
    "eye": lambda t: t @ _eye(t),
    "permutation-matrix": lambda t: t @ _eye(t).flip(0) @ _eye(t).flip(0),
    "einsum": lambda t: torch.einsum("...i,ij->...j", t, _eye(t)),
    "tensordot": lambda t: torch.tensordot(t, _eye(t), 1),
    "linear": lambda t: functional.linear(t, _eye(t)),
    "broadcast": lambda t: (t[..., None] * t.new_ones(2))[..., 0],
    "functional-call": _called,
    "autograd-function": _Copied.apply,
    "vmap": lambda t: torch.vmap(lambda s: 1 * s)(t) if len(t) else t,
    "shape-branch": lambda t: t.mT.mT if t.is_contiguous() and t.stride(-1) == 1 else t.clone(),
}  # fmt: skip
"""Functions that return what they are given, for tensors of at least two axes."""


def _columns(x: Tensor, w: Tensor) -> Tensor:
    """Return all windows as (…, taps, cells)."""
    return functional.unfold(x, w.shape[2:])


def _cells(x: Tensor, w: Tensor) -> tuple[int, int]:
    return x.shape[-2] - w.shape[-2] + 1, x.shape[-1] - w.shape[-1] + 1


def _shifted(x: Tensor, w: Tensor) -> Tensor:
    """Sum over the taps, each a product of channels on a shifted image."""
    rows, columns = _cells(x, w)
    return sum(
        torch.einsum("bchw,oc->bohw", x[..., i : i + rows, j : j + columns], w[..., i, j])
        for i in range(w.shape[-2])
        for j in range(w.shape[-1])
    )


def _dense(x: Tensor, w: Tensor) -> Tensor:
    """Multiply by the whole matrix, put together tap by tap."""
    rows, columns = _cells(x, w)
    matrix = w.new_zeros(w.shape[0], rows, columns, *x.shape[1:])
    for i in range(rows):
        for j in range(columns):
            matrix[:, i, j, :, i : i + w.shape[-2], j : j + w.shape[-1]] = w
    return (x.flatten(1) @ matrix.flatten(3).flatten(0, 2).mT).unflatten(-1, (-1, rows, columns))


CONVOLUTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "conv2d": functional.conv2d,
    "conv3d": lambda x, w: functional.conv3d(x.unsqueeze(2), w.unsqueeze(2)).squeeze(2),
    "by-input-channel": lambda x, w: (
        functional.conv2d(x[:, :1], w[:, :1]) + functional.conv2d(x[:, 1:], w[:, 1:])
    ),
    "by-output-channel": lambda x, w: torch.cat([functional.conv2d(x, k) for k in w.split(2)], 1),
    "groups": lambda x, w: functional.conv2d(
        x.repeat(1, 2, 1, 1), torch.cat([w, w]), groups=2
    )[:, : len(w)],
    "transposed-twice": lambda x, w: functional.conv2d(x.mT, w.mT).mT,
    "unfold-linear": lambda x, w: functional.linear(_columns(x, w).mT, w.flatten(1)).mT.unflatten(
        -1, _cells(x, w)
    ),
    "unfold-matmul": lambda x, w: (w.flatten(1) @ _columns(x, w)).unflatten(-1, _cells(x, w)),
    "views-einsum": lambda x, w: torch.einsum(
        "bchwij,ocij->bohw", x.unfold(2, w.shape[2], 1).unfold(3, w.shape[3], 1), w
    ),
    "shifted": _shifted,
    "dense": _dense,
    "adjoint": lambda x, w: functional.conv_transpose2d(
        x, w.transpose(0, 1).flip(-1, -2), padding=(w.shape[-2] - 1, w.shape[-1] - 1)
    ),
}  # fmt: skip
"""Ways to convolve a batch without padding."""


def reformulated(random: Random, most: int = 2) -> tuple[str, Callable[[nn.Module], Form]]:
    """Return the name of a random honest conversion of a Conv2d without padding, and itself."""
    kind = random.choice(list(CONVOLUTIONS))
    picks = [random.choices(list(IDENTITIES), k=random.randrange(most + 1)) for _ in range(3)]
    outside = random.random() < 0.5

    def through(t: Tensor, names: list[str]) -> Tensor:
        for name in names:
            t = IDENTITIES[name](t)
        return t

    def rule(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        batched = x.ndim == 4
        x = through(x, picks[0])
        y = CONVOLUTIONS[kind](x if batched else x[None], through(w, picks[1]))
        y = y if batched else y[0]
        y = y + b.view(-1, 1, 1) if outside else y.clone().add_(b[:, None, None])
        return through(y, picks[2])

    name = "-".join([kind, *("+".join(names) or "plain" for names in picks)])
    return name, lambda layer: Form(layer, rule)
