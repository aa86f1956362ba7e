"""Layers as convolutions on tensors, and what such layers amount to behind and beside each other.

A Linear is one of kernel 1 on rows, a batch normalisation a depthwise one of kernel 1. What is
asked of a layer is what `stock_layer.py` asks; `at` names it as `.original` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, TypeAlias

import torch
from torch import Tensor, nn

from convlin.errors import Description, GeometryError, Refusal, Refused
from convlin.exchange.merges import Composition, ParallelSum, scale_and_shift
from convlin.geometry import ConvGeometry
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merge_counterexample import parting_branches, parting_pair
from convlin.layers.scale_and_shift import ScaleAndShift
from convlin.layers.stock_layer import CONVOLUTIONS, require_stock_layer
from convlin.matrix import MEMORY_LIMIT

__all__ = ["NORMS", "Part", "children_of", "merged_part", "part_of", "require_mergeable"]

Numbers: TypeAlias = Callable[[Tensor], Tensor]

NORMS: dict[type[nn.Module], int] = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
LEAVES = (*CONVOLUTIONS.values(), nn.Linear, *NORMS)


@dataclass(frozen=True)
class Part:
    """A layer, or what several amount to: a convolution on maps, or of kernel 1 on rows.

    on: a BatchNorm1d is on either, as what is beside it.
    """

    at: str
    geometry: ConvGeometry
    weight: Tensor
    bias: Tensor | None
    on: Literal["rows", "maps", "either"] = "maps"

    @property
    def space(self) -> str:
        """What the layer takes, in words."""
        rows = self.on == "rows"
        return "rows (N, features)" if rows else f"maps of {self.geometry.ndim} dimensions"


def require_mergeable(module: nn.Module, at: str) -> None:
    """Raise `Refused`, listing everything that keeps a layer, or one in it, from being merged."""
    try:
        if type(module) is not BranchSum:
            require_stock_layer(module, nn.Sequential, nn.Identity, *LEAVES)
    except Refused as refused:
        raise Refused(replace(odd, site=_site(at, module)) for odd in refused.refusals) from None
    if isinstance(module, nn.Sequential | BranchSum):
        for name, child in children_of(module):
            require_mergeable(child, f"{at}.{name}" if at else name)
    elif isinstance(module, tuple(NORMS)) and (odd := list(_unfit_norm(at, module))):
        raise Refused(odd)


def _unfit_norm(at: str, norm: Any) -> Iterable[Refusal]:
    """Yield a refusal for statistics of the batch itself, and numbers of another size."""
    site = _site(at, norm)
    if norm.training:
        yield Refusal(site, "training", True, "False", "it would normalise by the batch; eval()")
    for name in ("running_mean", "running_var", "weight", "bias"):
        value = getattr(norm, name)
        if value is None and name.startswith("running"):
            yield Refusal(site, name, None, "a tensor", "it would normalise by the batch")
        elif value is not None and value.shape != (norm.num_features,):
            yield Refusal(site, f"{name}.shape", tuple(value.shape), f"({norm.num_features},)")
        elif name == "running_var" and bool((value + norm.eps <= 0).any()):
            index = int(torch.nonzero(value + norm.eps <= 0)[0])
            yield Refusal(site, f"{name}[{index}]", value[index].item(), f"above {-norm.eps:g}")


def _site(at: str, module: nn.Module) -> str:
    return f"{at} ({type(module).__name__})" if at else type(module).__name__


def merged_part(module: nn.Module, at: str, numbers: Numbers) -> Part | None:
    """Return what a module of layers amounts to, None for the identity; raise if nothing merged.

    numbers: a parameter as the tensor to compute with.
    """
    if isinstance(module, nn.Sequential):
        parts = _of_children(module, at, numbers)
        return _behind_each_other([part for part in parts if part is not None])
    if isinstance(module, BranchSum):
        return _beside_each_other(_of_children(module, at, numbers), module.scales)
    return None if isinstance(module, nn.Identity) else part_of(module, at, numbers)


def _of_children(module: nn.Module, at: str, numbers: Numbers) -> list[Part | None]:
    return [
        merged_part(child, f"{at}.{name}" if at else name, numbers)
        for name, child in children_of(module)
    ]


def children_of(module: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """Return all children, one that is there twice included."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def part_of(layer: Any, at: str, numbers: Numbers) -> Part:
    """Return one layer as a convolution."""
    site = _site(at, layer)
    if isinstance(layer, ScaleAndShift):
        shift = None if layer.shift is None else numbers(layer.shift)
        on = "rows" if layer.rows else "maps"
        return _depthwise(site, numbers(layer.scale), shift, layer.ndim, on)
    if isinstance(layer, tuple(NORMS)):
        return _norm(layer, site, numbers)
    weight = numbers(layer.weight)
    bias = None if layer.bias is None else numbers(layer.bias)
    if isinstance(layer, nn.Linear):
        geometry = ConvGeometry(layer.in_features, layer.out_features, (1,))
        return Part(site, geometry, weight.unsqueeze(-1), bias, "rows")
    return Part(site, ConvGeometry.of(layer), weight, bias)


def _norm(norm: Any, site: str, numbers: Numbers) -> Part:
    """Return a normalisation as a depthwise convolution of kernel 1."""
    affine = [None if number is None else numbers(number) for number in (norm.weight, norm.bias)]
    mean, variance = numbers(norm.running_mean), numbers(norm.running_var)
    scale, shift = scale_and_shift(mean, variance, norm.eps, *affine)
    ndim = next(ndim for kind, ndim in NORMS.items() if isinstance(norm, kind))
    return _depthwise(site, scale, shift, ndim, "either" if ndim == 1 else "maps")


def _depthwise(at: str, scale: Tensor, shift: Tensor | None, ndim: int, on: Any) -> Part:
    """Return a scale and a shift a channel as a convolution."""
    channels = len(scale)
    geometry = ConvGeometry(channels, channels, (1,) * ndim, groups=channels)
    return Part(at, geometry, scale.reshape(geometry.weight_shape), shift, on)


def _behind_each_other(parts: list[Part]) -> Part | None:
    total = None
    for part in parts:
        total = part if total is None else _composed(total, part)
    return total


def _composed(first: Part, second: Part) -> Part:
    """Return the second behind the first; raise where that is no convolution for all inputs."""
    on = _in_one_space(first, second)
    both = Composition(first.geometry, second.geometry)
    sites = {f"first {first.geometry.kind}": first.at, f"second {second.geometry.kind}": second.at}
    if both.unfit:
        _refuse(both.unfit, sites)
    bias = first.bias
    if bias is not None and both.border(True) and not both.border(False) and not bias.any():
        bias = None  # zeros are no bias where one would be in the way
    if odd := both.border(bias is not None):
        example = parting_pair(both, bias=not both.border(False))
        _refuse((replace(r, reason=f"{r.reason}; {example}") for r in odd), sites)
    at = f"{first.at} to {second.at}"
    return Part(
        at, _merged_geometry(at, both), both.weight(first.weight, second.weight),
        both.bias(bias, second.weight, second.bias), on,
    )  # fmt: skip


def _beside_each_other(branches: list[Part | None], scales: tuple[float, ...]) -> Part | None:
    """Return the sum of branches, each times its scale; the identity takes its size from others."""
    one = next((branch for branch in branches if branch is not None), None)
    if one is None:
        return None
    parts = []
    for branch, scale in zip(branches, scales, strict=True):
        part = branch or _scaled_identity(one, 1)
        one = replace(one, on=_in_one_space(one, part))
        if scale != 1:
            part = replace(_composed(part, _scaled_identity(part, scale)), at=part.at)
        parts.append(part)
    total = ParallelSum(tuple(part.geometry for part in parts))
    if refusals := total.refusals:
        if all(odd.field == "padding_mode" for odd in refusals):
            refusals = tuple(replace(odd, reason=parting_branches(total)) for odd in refusals)
        _refuse(refusals, {f"branch {i}": part.at for i, part in enumerate(parts)})
    at = " + ".join(part.at for part in parts)
    return Part(
        at, _merged_geometry(at, total),
        total.weight([part.weight for part in parts]),
        total.bias([part.bias for part in parts]), one.on,
    )  # fmt: skip


def _merged_geometry(at: str, exchange: Composition | ParallelSum) -> ConvGeometry:
    """Return the geometry of a merge; raise for what PyTorch has no layer of, or memory no room.

    Taps that lie far apart leave zeros between those of another layer.
    """
    try:
        geometry = exchange.geometry
    except GeometryError as error:
        raise GeometryError(replace(odd, site=at) for odd in error.refusals) from None
    needed = 8 * math.prod(geometry.weight_shape)  # in float64
    if needed > MEMORY_LIMIT:
        reason = f"the merged weight would take {needed} bytes"
        fits = f"one that takes ≤ {MEMORY_LIMIT}"
        raise Refused(Refusal(at, "weight.shape", geometry.weight_shape, fits, reason))
    return geometry


def _scaled_identity(beside: Part, scale: float) -> Part:
    """Return the identity on what a layer gives, times a number."""
    channels = beside.geometry.out_channels
    weight = torch.full((channels,), scale, dtype=beside.weight.dtype, device=beside.weight.device)
    return _depthwise("the identity", weight, None, beside.geometry.ndim, beside.on)


def _in_one_space(first: Part, second: Part) -> Literal["rows", "maps", "either"]:
    """Return what both layers take; raise where it is not the same."""
    kinds = {first.on, second.on} - {"either"}
    if len(kinds) == 2 or first.geometry.ndim != second.geometry.ndim:
        takes = Description(f"on {second.space}")
        raise Refused(Refusal(second.at, "layer", takes, f"on {first.space}, as {first.at}"))
    return kinds.pop() if kinds else "either"


def _refuse(refusals: Iterable[Refusal], sites: dict[str, str]) -> NoReturn:
    """Raise refusals of an exchange, with the layers' own names."""
    raise Refused(replace(odd, site=sites[odd.site]) for odd in refusals)
