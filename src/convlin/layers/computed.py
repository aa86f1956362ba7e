"""A parameter that a layer computes from others, read as its next call does; nothing changes.

A parametrization computes a weight whenever it is read, the older weight_norm, spectral_norm and
pruning by a hook before each call: what the attribute holds then is left from the last call.
Spectral normalisation in training mode also takes a step of its power iteration each time. So the
weight is computed as the layer's next call would, and what that left behind is put back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from convlin.errors import Description, Refusal, Refused
from convlin.layers.unchanged import unchanged

__all__ = ["computed", "computes_parameter"]


def computes_parameter(hook: object) -> bool:
    """Return whether a hook before the forward does nothing but compute a parameter."""
    return isinstance(hook, BasePruningMethod | SpectralNorm | WeightNorm)


def computed(layer: nn.Module, name: str) -> Tensor | None:
    """Return the parameter of a layer's next call, plain or computed, with its gradient.

    None where it has none. Raises `Refused` where it is no plain tensor, where several hooks
    compute it, and where each call draws another.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 1, 2))
    >>> computed(layer, "weight").equal(layer.weight)
    True
    """
    site = type(layer).__name__
    hooks = [hook for hook in layer._forward_pre_hooks.values() if _computed_by(hook) == name]
    if len(hooks) > 1:
        names = ", ".join(type(hook).__name__ for hook in hooks)
        raise Refused(Refusal(site, name, Description(f"computed by {names}"), "one of them"))
    hook = hooks[0] if hooks else None
    with unchanged(layer), torch.random.fork_rng(devices=()):
        value: Any = _value(layer, name, hook)
    if value is None:
        return None
    if type(value) not in (Tensor, nn.Parameter) or type(value.data) is not Tensor:
        raise Refused(
            Refusal(site, name, Description(f"a {type(value).__name__}"), "a plain tensor")
        )
    plain: Tensor = value
    if name in layer._parameters or plain.is_meta:
        return plain
    with unchanged(layer), torch.random.fork_rng(devices=()), torch.no_grad():
        torch.rand(())  # or both would draw alike
        again = _value(layer, name, hook)
    if not plain.detach().allclose(again, rtol=0, atol=0, equal_nan=True):
        raise Refused(
            Refusal(site, name, Description("drawn anew at each call"), "the same at each call")
        )
    return plain


def _computed_by(hook: Any) -> str | None:
    """Return the parameter that a hook computes, None if it computes none."""
    if not computes_parameter(hook):
        return None
    name: str = hook._tensor_name if isinstance(hook, BasePruningMethod) else hook.name
    return name


def _value(layer: nn.Module, name: str, hook: Any) -> Any:
    match hook:
        case BasePruningMethod():
            return hook.apply_mask(layer)  # type: ignore[no-untyped-call]
        case SpectralNorm():
            return hook.compute_weight(layer, do_power_iteration=layer.training)
        case WeightNorm():
            return hook.compute_weight(layer)
    return getattr(layer, name, None)
