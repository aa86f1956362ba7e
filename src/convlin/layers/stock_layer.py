"""Which layers may be exchanged: those that compute what their class says, from plain parameters.

Everything that would make a layer compute something else, or that an exchange would silently
drop, is refused by name: hooks, parametrizations, weight_norm, subclasses with a forward of their
own, lazy and quantized layers, parameters that are no plain tensors, attributes that are not so
(`behaviour.py`). What only reads a layer's weight takes computed ones too (`computed.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.internals.modules import ConvBase, global_hooks
from convlin.layers.behaviour import misdescribed
from convlin.layers.computed import computed, computes_parameter

__all__ = ["CONVOLUTIONS", "Conv", "require_module", "require_stock_layer", "weight_of"]

Conv: TypeAlias = ConvBase

CONVOLUTIONS: dict[tuple[int, bool], type[Conv]] = {
    (1, False): nn.Conv1d,
    (2, False): nn.Conv2d,
    (3, False): nn.Conv3d,
    (1, True): nn.ConvTranspose1d,
    (2, True): nn.ConvTranspose2d,
    (3, True): nn.ConvTranspose3d,
}


def require_module(site: str, field: str, model: Any) -> None:
    """Raise for what is no module, or one that is not made yet: lazy, or its __init__ never ran."""
    if not isinstance(model, nn.Module) or not hasattr(model, "_modules"):
        raise Refused(Refusal(site, field, shown(model), "a torch.nn.Module"))
    _raise(
        Refusal(
            name or "model",
            "layer",
            Description("lazy"),
            "one that has its parameters",
            "run the model once",
        )
        for name, layer in model.named_modules()
        if getattr(layer, "has_uninitialized_params", bool)()
    )


def require_stock_layer(layer: nn.Module, *bases: type[nn.Module]) -> None:
    """Raise `Refused`, listing everything that keeps `layer` from being just one of `bases`."""
    base = _base(layer, bases)
    odd = list(_oddities(layer, base))
    _raise(odd if is_parametrized(layer) else [*odd, *_odd_parameters(layer, base)])
    weight: Any = layer._parameters.get("weight")
    _raise(misdescribed(layer, base, weight, layer._parameters.get("bias")))


def weight_of(layer: nn.Module, *bases: type[nn.Module]) -> Tensor:
    """Return the weight that the layer's next call computes with.

    For what only reads a layer: its weight may come from a parametrization, weight_norm,
    spectral_norm or pruning, and is computed without changing the layer. Raises `Refused` for
    everything else that `require_stock_layer` refuses.
    """
    base = _base(layer, bases)
    _raise(_oddities(layer, base, reads=True))
    weight = computed(layer, "weight")
    if weight is None:
        raise Refused(Refusal(type(layer).__name__, "weight", None, "a plain tensor"))
    _raise(misdescribed(layer, base, weight, computed(layer, "bias")))
    return weight


def _raise(refusals: Iterable[Refusal]) -> None:
    listed = tuple(refusals)
    if listed:
        raise Refused(listed)


def _base(layer: Any, bases: tuple[type[nn.Module], ...]) -> type[nn.Module]:
    """Return which of `bases` the layer is one of; raise if none."""
    base = next((base for base in bases if isinstance(layer, base)), None)
    site = type(layer).__name__
    if base is None or "_parameters" not in vars(layer):  # or its __init__ never ran
        names = ", ".join(map(_called, bases))
        raise Refused(
            Refusal(site, "type", Description(site), names, f"from {type(layer).__module__}")
        )
    if isinstance(layer, LazyModuleMixin):
        raise Refused(
            Refusal(site, "type", Description(site), _called(base), "run a lazy layer once first")
        )
    return base


def _oddities(layer: nn.Module, base: type[nn.Module], reads: bool = False) -> Iterator[Refusal]:
    """Yield what else a call of the layer runs; `reads`: but for what computes its weight."""
    yield from _foreign_code(layer, base)
    yield from _hooks(layer, reads)
    if is_parametrized(layer) and not reads:
        names = ", ".join(layer.parametrizations)  # type: ignore[arg-type]
        yield Refusal(type(layer).__name__, "parametrizations", Description(names), "none",
                      "torch.nn.utils.parametrize.remove_parametrizations first")  # fmt: skip


def _foreign_code(layer: nn.Module, base: type[nn.Module]) -> Iterator[Refusal]:
    """Yield a refusal for every method of the base that something else has replaced."""
    cls = type(layer)
    for method in ("forward", "_conv_forward", "__call__"):
        if method in vars(layer):
            yield Refusal(
                cls.__name__, method, Description("set on this one layer"), f"{_called(base)}'s"
            )
        elif getattr(cls, method, None) is not getattr(base, method, None):
            owner = next(c for c in cls.__mro__ if method in vars(c))
            yield Refusal(
                cls.__name__, method,
                Description(f"{owner.__module__}.{owner.__qualname__}.{method}"),
                f"{_called(base)}'s", f"an {_called(base)} with these parameters would do",
            )  # fmt: skip


def _hooks(layer: nn.Module, reads: bool) -> Iterator[Refusal]:
    """Yield a refusal for every kind of hook that the exchanged layer would lose, or meet.

    Hooks on loading and saving are no part of it: the keys of an exchanged layer are others, and
    a weight_norm that was removed leaves one behind. `reads`: nor are those that compute a weight.
    """
    for name, hooks in [*vars(layer).items(), *global_hooks()]:
        if name.endswith("_hooks") and "state_dict" not in name and hooks:
            odd = [hook for hook in hooks.values() if not (reads and computes_parameter(hook))]
            if odd:
                yield Refusal(type(layer).__name__, name, Description(", ".join(map(_name, odd))),
                              "none", "a hook may change what the layer computes")  # fmt: skip
    for name, parameter in layer._parameters.items():
        for kind in ("_backward_hooks", "_post_accumulate_grad_hooks"):
            if hooks := getattr(parameter, kind, None):
                called = ", ".join(_name(hook) for hook in hooks.values())
                yield Refusal(type(layer).__name__, f"{name}.{kind}", Description(called), "none",
                              "the exchanged parameter would lose it")  # fmt: skip


def _called(base: type[nn.Module]) -> str:
    """Return a class as one writes it: PyTorch's with nn. before it."""
    return f"nn.{base.__name__}" if base.__module__.startswith("torch.") else base.__name__


def _name(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__)


def _odd_parameters(layer: nn.Module, base: type[nn.Module]) -> Iterator[Refusal]:
    """Yield a refusal for a weight or bias that is no plain `nn.Parameter`."""
    site = type(layer).__name__
    is_form = misdescribed.dispatch(base) is misdescribed.dispatch(object)  # around a layer
    for name in layer._parameters if is_form else ("weight", "bias"):
        value = layer._parameters.get(name)
        if value is not None:
            if type(value) is not nn.Parameter or type(value.data) is not Tensor:
                kind = f"a {type(value).__name__}"
                yield Refusal(site, name, Description(kind), "an nn.Parameter of plain Tensor")
            elif value.layout != torch.strided:
                yield Refusal(site, f"{name}.layout", value.layout, "torch.strided: to_dense()")
            elif not _calculates(value.dtype):
                allowed = "float64, float32, float16, bfloat16"
                yield Refusal(site, f"{name}.dtype", value.dtype, allowed)
                return
        elif name in layer._parameters:
            if name == "weight" and getattr(layer, "affine", True):
                yield Refusal(site, name, None, "an nn.Parameter")
        elif hasattr(layer, name):
            reason = "torch.nn.utils.remove_weight_norm, remove_spectral_norm or prune.remove first"
            yield Refusal(
                site, name, Description("computed from other parameters"), "an nn.Parameter", reason
            )
        else:
            yield Refusal(site, name, Description("missing"), "an nn.Parameter")


def _calculates(dtype: torch.dtype) -> bool:
    """Return whether PyTorch's layers run in this dtype; floats of 8 bits are stored only."""
    return dtype.is_complex or (dtype.is_floating_point and dtype.itemsize > 1)
