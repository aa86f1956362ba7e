"""The sites of a rewrite: the layers whose class has an equal form of the kind asked for.

A layer is of its base class if no class between its type and that base redefines a name that the
base has (constructor and printing apart). Any other may compute something else: weights
standardised, padding of its own. It counts as its base class only where its form was proved to
equal it. A method that was set on the layer itself is refused.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from convlin.errors import Description, Refusal, Refused
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.gpt2_layer import gpt2_class
from convlin.layers.reclassed.reclassed import Reclassed, restore
from convlin.layers.stock_layer import CONVOLUTIONS

__all__ = [
    "BASES", "Target", "base_of", "holders_of", "is_form", "sites_of", "strangeness",
    "takes_one_input", "unfit",
]  # fmt: skip

Target: TypeAlias = Literal["linear", "conv", "conv2d"]

CONVS = tuple(CONVOLUTIONS.values())
BASES: dict[str, tuple[type[nn.Module], ...]] = {
    "linear": CONVS,
    "conv": (nn.Linear,),
    "conv2d": (nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.Conv3d),
}
# What prints a layer, or says which version of state dict it writes, computes nothing.
SAYS = frozenset({"extra_repr", "_get_name", "_version"})
CALLS = frozenset({"__call__", "__getattr__", "__getattribute__", "__setattr__"})


def sites_of(model: nn.Module, target: Target) -> dict[str, nn.Module]:
    """Return the layers of a model that may have an equal form, by their first dotted name.

    What stands for a layer already is a site if its own layer is of the kind asked for: it is then
    given back. What is inside of a form is none.

    >>> list(sites_of(nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Linear(5, 7)), "conv"))
    ['2']
    """
    return dict(_sites(model, target, "", set()))


def _sites(
    module: nn.Module, target: Target, name: str, met: set[nn.Module]
) -> Iterator[tuple[str, nn.Module]]:
    if module in met:
        return
    met.add(module)
    if is_form(module):
        of_another = isinstance(module, Reclassed) and module.target != target
        if _gives_back(module, target) or (of_another and base_of(module, target) is not None):
            yield name, module
        return
    if base_of(module, target) is not None:
        yield name, module
    for key, child in module._modules.items():
        if child is not None:
            yield from _sites(child, target, f"{name}.{key}".lstrip("."), met)


def is_form(module: nn.Module) -> bool:
    """Whether a module stands for a layer, as the object itself or in its place."""
    return isinstance(module, Reclassed | StandsFor)


def base_of(layer: nn.Module, target: Target) -> type[nn.Module] | None:
    """Return which of the base classes a layer is of; None if it is none's."""
    bases = (*BASES[target], gpt2_class())
    return next((base for base in bases if base is not None and isinstance(layer, base)), None)


def _gives_back(form: nn.Module, target: Target) -> bool:
    """Whether the layer that a form stands for is of the kind asked for."""
    kinds: dict[str, Any] = {"linear": (nn.Linear,), "conv": CONVS, "conv2d": (nn.Conv2d,)}
    try:
        return isinstance(given_back(form), kinds[target])
    except Refused:  # it was changed since
        return False


def given_back(form: Any) -> nn.Module:
    """Return the layer that a form stands for, another object, with its current parameters."""
    if isinstance(form, Reclassed):
        layer: Any = copy.copy(form)
        restore(layer)
    else:
        layer = form.to_original()
    return layer  # type: ignore[no-any-return]


def unfit(name: str, layer: nn.Module) -> Iterator[Refusal]:
    """Yield what keeps any layer from being exchanged in place, whatever its geometry is."""
    cls = type(layer).__name__
    site = name or cls
    if isinstance(layer, Reclassed):
        own = layer.base_class.__name__
        reason = "it has another form already; rewrite to its own kind gives it back"
        yield Refusal(site, "type", Description(cls), own, reason)
    elif is_parametrized(layer):
        parametrized = ", ".join(layer.parametrizations)  # type: ignore[arg-type]
        yield Refusal(site, "parametrizations", Description(parametrized), "none",
                      "rewrite first, parametrize after")  # fmt: skip
    else:
        yield from _patched(site, layer)
        yield from _odd_parameters(site, layer)


def _patched(site: str, layer: nn.Module) -> Iterator[Refusal]:
    """Yield every method that was set on this one layer, which no class of another form has."""
    of_class = set().union(*map(vars, type(layer).__mro__[:-1]))
    for method, own in vars(layer).items():
        if method in of_class and callable(own):
            value, allowed = Description("set on this one layer"), f"{type(layer).__name__}'s"
            yield Refusal(site, method, value, allowed, "no form would run it")


def _odd_parameters(site: str, layer: nn.Module) -> Iterator[Refusal]:
    """Yield a weight or bias that is no parameter, or one that no layer computes with."""
    for field in ("weight", "bias"):
        held, value = layer._parameters.get(field), getattr(layer, field, None)
        if value is not held or (field == "weight" and held is None):
            yield Refusal(site, field, Description("computed from other parameters"),
                          "an nn.Parameter", "rewrite first, prune or normalise after")  # fmt: skip
            return
    weight: Any = layer._parameters["weight"]
    if not weight.numel():
        yield Refusal(site, "weight.shape", tuple(weight.shape), "at least one number")
    elif not (weight.is_complex() or (weight.is_floating_point() and weight.itemsize > 1)):
        allowed = "a dtype that PyTorch's layers compute in"
        yield Refusal(site, "weight.dtype", weight.dtype, allowed)


def strangeness(name: str, layer: nn.Module, base: type[nn.Module]) -> Iterator[Refusal]:
    """Yield every name of the base's that something between it and the layer redefines."""
    cls = type(layer)
    site = name or cls.__name__
    own = f"{base.__name__}'s"
    of_base = set().union(*map(vars, base.__mro__[:-1]))
    for between in cls.__mro__[: cls.__mro__.index(base)]:
        for redefined in sorted(vars(between).keys() & of_base - SAYS):
            if redefined in CALLS or not redefined.startswith("__"):
                value = Description(f"{between.__module__}.{between.__qualname__}.{redefined}")
                yield Refusal(site, redefined, value, own)


def takes_one_input(layer: nn.Module) -> bool:
    """Whether a layer's forward takes one tensor and nothing else."""
    try:
        parameters = inspect.signature(layer.forward).parameters
    except (TypeError, ValueError):
        return False
    return len(parameters) == 1


def holders_of(model: nn.Module) -> Mapping[int, list[tuple[str, nn.Module, str]]]:
    """Return which modules hold each parameter, by its identity: site, module, field."""
    holders: dict[int, list[tuple[str, nn.Module, str]]] = {}
    for site, module in model.named_modules():
        for field, parameter in module._parameters.items():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append((site, module, field))
    return holders
