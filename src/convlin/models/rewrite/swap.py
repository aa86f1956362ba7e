"""The sites of a model exchanged: their classes changed (`same`), or forms put in (`native`)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from convlin.errors import Refusal, Refused
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.reclassed.reclass import reclass
from convlin.layers.reclassed.reclassed import Reclassed, restore
from convlin.layers.to_conv import to_conv
from convlin.layers.to_conv2d import to_conv2d
from convlin.layers.to_linear import to_linear
from convlin.models.rewrite.sites import Target, given_back

__all__ = ["Exchanged", "Keys", "Swapped", "standing_in", "swap"]

Keys: TypeAlias = Literal["same", "native"]


@dataclass(frozen=True)
class Exchanged:
    """What is to be done at a site, for whatever weights its layer has.

    inputs: the shapes that it was seen to take, for a kernel that covers all of its input.
    """

    site: str
    base: type[nn.Module]
    target: Target
    keys: Keys
    identity: str
    inputs: Sequence[tuple[int, ...]] = ()

    def made_of(self, layer: nn.Module) -> nn.Module:
        """Return another object that computes the form, and shares the layer's parameters."""
        if isinstance(layer, Reclassed | StandsFor):
            return given_back(layer)
        if self.keys == "same":
            return reclass(copy.copy(layer), self.base, self.target)
        return self._native(standing_in(layer, self.base))

    def _native(self, layer: Any) -> nn.Module:
        if self.target == "linear":
            covers = self.identity == "covering_kernel"
            size = self.inputs[0][1 - layer.weight.ndim + 1 :] if covers else None
            return to_linear(layer, size)
        return to_conv(layer) if self.target == "conv" else to_conv2d(layer)


def standing_in(layer: nn.Module, base: type[nn.Module]) -> nn.Module:
    """Return a layer of exactly the base class, with all that this one holds."""
    if type(layer) is base:
        return layer
    twin = base.__new__(base)
    vars(twin).update(vars(layer))
    return twin


@dataclass(frozen=True)
class Swapped:
    """A model with its sites exchanged, and what it takes to have it as it was."""

    model: nn.Module
    classes: Mapping[nn.Module, type[nn.Module]]
    children: Sequence[tuple[nn.Module, str, nn.Module]]

    def undo(self) -> None:
        """Give every layer its class back, and put every layer back in its place."""
        for layer, cls in self.classes.items():
            layer.__class__ = cls
        for parent, name, child in self.children:
            parent._modules[name] = child


def swap(model: nn.Module, exchanges: Iterable[Exchanged], *, replaceable: bool = True) -> Swapped:
    """Exchange the sites of a model in place.

    Modules that are one object under several names stay one; parameters that are one stay one.
    Raises `Refused` where the model itself would be another object, unless it is `replaceable`.
    """
    chosen = [(exchange, model.get_submodule(exchange.site)) for exchange in exchanges]
    classes = {layer: type(layer) for _, layer in chosen}
    forms: dict[nn.Module, nn.Module] = {}
    inner: dict[Any, nn.Parameter] = {}
    for exchange, layer in chosen:
        if isinstance(layer, Reclassed):
            restore(layer)
        elif exchange.keys == "same" and not isinstance(layer, StandsFor):
            reclass(layer, exchange.base, exchange.target)
        else:
            forms[layer] = exchange.made_of(layer)
            _tie(layer, forms[layer], inner)
    if model in forms and not replaceable:
        allowed = "False, or keys='same': the model itself is the layer that is replaced"
        raise Refused(Refusal("rewrite", "in_place", True, allowed))
    children = [
        (module, name, child)
        for module in model.modules()
        for name, child in module._modules.items()
        if child in forms
    ]
    for parent, name, child in children:
        parent._modules[name] = forms[child]
    return Swapped(forms.get(model, model), classes, children)


def _tie(layer: nn.Module, form: nn.Module, inner: dict[Any, nn.Parameter]) -> None:
    """Let forms hold one parameter where their layers hold one, laid out alike."""
    if not isinstance(form, StandsFor):
        return
    for name, path in form.held.items():
        of_layer = layer._parameters.get(name)
        if of_layer is None:
            continue
        owner, _, last = path.rpartition(".")
        holder = form.get_submodule(owner)
        parameter = holder._parameters[last]
        assert parameter is not None
        vars(parameter).update(vars(of_layer))  # what optimizers are told by, say
        key = id(of_layer), tuple(parameter.shape), parameter.stride()
        holder._parameters[last] = inner.setdefault(key, parameter)
