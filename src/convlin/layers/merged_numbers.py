"""What merges compute in, float64, and what they are rounded to: the first kernel's dtype, once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.internals.modules import ConvBase, NormBase
from convlin.layers.rounded_once import rounded_once
from convlin.matrix import require_own_memory

__all__ = ["common_home", "layout_of", "rounded", "wide"]


def common_home(original: nn.Module) -> Tensor:
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
            if not tensor.is_meta and bool((~tensor.isfinite()).any()):
                at = tuple(torch.nonzero(~tensor.isfinite())[0].tolist())
                value = tensor[at].item()
                odd.append(Refusal(site, f"{field}{list(at)}", value, "a finite number"))
            if tensor.device != home.device or tensor.is_meta:
                allowed = "one for all layers, that holds numbers"
                odd.append(Refusal(site, f"{field}.device", tensor.device, allowed))
    if odd:
        raise Refused(odd)
    return home


def layout_of(original: nn.Module) -> torch.memory_format:
    """Return how the merged weight is to lie in memory: as the first kernel does."""
    weights = (m.weight for m in original.modules() if isinstance(m, ConvBase))
    first = next(weights, None)
    for ndim, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if first is not None and first.ndim == ndim and not first.is_contiguous():
            return layout if first.is_contiguous(memory_format=layout) else torch.preserve_format
    return torch.preserve_format


def wide(tensor: Tensor) -> Tensor:
    """Return numbers to compute with."""
    dtype = torch.complex128 if tensor.is_complex() else torch.float64
    return tensor.detach().to("cpu", dtype)


def rounded(numbers: Tensor, at: str, field: str, home: Tensor) -> Tensor:
    """Return numbers as the layer is to hold them; raise for what its dtype cannot."""
    nearest = rounded_once(numbers, home.dtype)
    if not nearest.isfinite().all():
        odd = tuple(torch.nonzero(~nearest.isfinite())[0].tolist())
        dtype = str(home.dtype).removeprefix("torch.")
        allowed = f"a finite number in {dtype}"
        raise Refused(Refusal(at, f"{field}{list(odd)}", numbers[odd].item(), allowed))
    return nearest.to(home.device, copy=True)
