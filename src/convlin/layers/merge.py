"""`merge`: layers with nothing between them as one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convlin.arguments import elements, flag, shown
from convlin.errors import Description, Refusal, Refused
from convlin.internals.modules import ConvBase, NormBase
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merge_parts import merged_part, require_mergeable
from convlin.layers.merged import Merged
from convlin.layers.merged_layer import merged_layer
from convlin.layers.rounded_once import rounded_once
from convlin.matrix import require_own_memory

__all__ = ["merge"]


def merge(
    first: nn.Module,
    second: nn.Module,
    *more: nn.Module,
    parallel: bool = False,
    scales: Sequence[float] | None = None,
) -> Merged:
    """Return layers with nothing between them as one: child `.layer`, of PyTorch's own class.

    Each is an nn.Conv, nn.ConvTranspose, nn.Linear, an nn.BatchNorm in eval mode, nn.Identity, or
    an nn.Sequential of these. Any stride, dilation and groups; what else is asked:

    - Behind each other: where the second pads, the border has to agree. Padding 0 always does, and
      so does a first kernel of 1, without bias if the second pads with zeros. Else it is refused,
      with the element that would be wrong.
    - `parallel=True`, outputs are added: one stride, one output size, one padding mode. `scales`
      multiply them, as in LoRA: `merge(conv, Sequential(down, up), parallel=True, scales=(1, 2))`.
    - Transposed convolutions merge with what is of kernel 1, and with each other where the first
      crops nothing.

    A BatchNorm1d behind a Linear is read as on (N, features). Circular layers merge to one that
    takes maps no smaller than its padding.

    Weights are computed in float64 and rounded once, to the dtype of the first layer that has a
    kernel, on its device. `.verdict` says how far that took them, and that the merge is an identity
    in all weights, scales and shifts. The given layers are not changed.

    Raises `Refused` with everything that does not fit: hooks, subclasses, other dtypes or devices,
    numbers that are not finite or too large for the dtype.

    Identity: W[o, c, T] = Σ_m Σ w₂[o, m, u]·w₁[m, c, t] over t·d₁ + u·d₂·s₁ = T.

    >>> merged = merge(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8).eval())
    >>> merged.layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> merge(nn.Conv1d(3, 8, 3), nn.Conv1d(8, 5, 3, bias=False, stride=2)).layer
    Conv1d(3, 5, kernel_size=(5,), stride=(2,))
    """
    layers = (first, second, *more)
    parallel = flag("merge", "parallel", parallel)
    factors = _factors(scales, len(layers), parallel)
    for index, layer in enumerate(layers):
        require_mergeable(layer, str(index))
    original = BranchSum(layers, factors) if parallel else nn.Sequential(*layers)
    home = _common_home(original)
    original.training = first.training
    part = merged_part(original, "", _wide)
    assert part is not None  # there is a layer that is no identity
    weight = _rounded(part.weight, part.at, "weight", home)
    bias = None if part.bias is None else _rounded(part.bias, part.at, "bias", home)
    rows = part.on == "rows"
    layer = merged_layer(part.geometry, weight, bias, rows)
    layer.requires_grad_(any(parameter.requires_grad for parameter in original.parameters()))
    return Merged(layer.train(first.training), original, part.geometry, rows)


def _factors(scales: Any, branches: int, parallel: bool) -> tuple[float, ...]:
    """Return a number for each branch, none if none were given."""
    if scales is None:
        return ()
    allowed = f"{branches} finite numbers, one for each branch" if parallel else "None"
    numbers = elements(scales)
    try:
        factors = tuple(map(float, numbers or ()))
    except Exception:  # whatever the numbers' own methods raise
        factors = ()
    if not parallel or len(factors) != branches or not all(map(math.isfinite, factors)):
        reason = "" if parallel else "parallel is False"
        raise Refused(Refusal("merge", "scales", shown(scales), allowed, reason))
    return factors


def _common_home(original: nn.Module) -> Tensor:
    """Return a tensor of the merged layer's dtype and device: the first kernel, or statistics.

    Raises for layers of other dtypes or devices; a normalisation may be wider than 16 bits.
    """
    kernels = [m.weight for m in original.modules() if isinstance(m, ConvBase | nn.Linear)]
    home = next(iter([*kernels, *original.buffers()]), None)
    if home is None:
        raise Refused(Refusal("merge", "layers", Description("the identity"), "one with weights"))
    odd: list[Refusal] = []
    for name, layer in original.named_modules():
        for field, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            if tensor is None or field == "num_batches_tracked":
                continue
            site = f"{name} ({type(layer).__name__})"
            require_own_memory(site, field, tensor)
            wider = isinstance(layer, NormBase) and tensor.dtype == torch.float32
            if tensor.dtype != home.dtype and not (wider and home.dtype.itemsize == 2):
                allowed = f"{home.dtype}, as of the others"
                odd.append(Refusal(site, f"{field}.dtype", tensor.dtype, allowed))
            if tensor.device != home.device or tensor.is_meta:
                allowed = "one for all layers, that holds numbers"
                odd.append(Refusal(site, f"{field}.device", tensor.device, allowed))
    if odd:
        raise Refused(odd)
    return home


def _wide(tensor: Tensor) -> Tensor:
    """Return numbers to compute with."""
    dtype = torch.complex128 if tensor.is_complex() else torch.float64
    return tensor.detach().to("cpu", dtype)


def _rounded(numbers: Tensor, at: str, field: str, home: Tensor) -> Tensor:
    """Return numbers as the layer is to hold them; raise for what its dtype cannot."""
    rounded = rounded_once(numbers, home.dtype)
    if not rounded.isfinite().all():
        odd = tuple(torch.nonzero(~rounded.isfinite())[0].tolist())
        dtype = str(home.dtype).removeprefix("torch.")
        allowed = f"a finite number in {dtype}"
        raise Refused(Refusal(at, f"{field}{list(odd)}", numbers[odd].item(), allowed))
    return rounded.to(home.device, copy=True)
