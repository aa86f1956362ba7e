"""A layer that stays the object it is and computes another form: its class is changed, no more.

Parameters, buffers, names, hooks, attributes, ties and references in lists are the layer's own, so
state dicts, optimizers, EMA and whatever looks for `isinstance(layer, nn.Conv2d)` go on as before.
The class is a static, importable subclass of the layer's, one for each base class and target. For a
layer of a subclass of a base class, the two are combined once, and such a class pickles by its
parts.

Every `forward` here reads the layer's own fields at every call, and hands everything that it has no
form for to the `forward` that the layer had: other sizes and geometries, other numbers of axes or
channels, tensor subclasses, sparse, nested and quantized tensors, dtypes that do not go together.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, fx, nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.internals.plain_tensors import is_plain
from convlin.layers.scripting import TracedOnly

__all__ = ["Reclassed", "combined", "restore"]

_COMBINED: dict[tuple[type[Reclassed], type[nn.Module]], type[nn.Module]] = {}


class Reclassed(TracedOnly):
    """What all such classes share: which class they stand for, how they pickle, when they apply.

    `base_class` is the class whose layers are given this one; `target` what its forward computes.
    """

    base_class: ClassVar[type[nn.Module]]
    target: ClassVar[str]
    unscriptable = "its forward looks at its input; give the layer its own class back first"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a combined class by the two it is made of, since no module has it by name."""
        reduced: Any = super().__reduce_ex__(protocol)
        parts = vars(type(self)).get("_parts")
        return reduced if parts is None else (_remade, parts, *reduced[2:])


def combined(form: type[Reclassed], layer: type[nn.Module]) -> type[nn.Module]:
    """Return the class of layers of class `layer` that compute as `form` does.

    >>> from convlin.layers.reclassed.convs_as_linear import Conv2dAsLinear
    >>> combined(Conv2dAsLinear, nn.Conv2d)
    <class 'convlin.layers.reclassed.convs_as_linear.Conv2dAsLinear'>
    """
    if layer is form.base_class:
        return form  # type: ignore[return-value]
    key = form, layer
    if key not in _COMBINED:
        name = f"{layer.__name__}As{form.__name__.partition('As')[2]}"
        parts = {"_parts": key, "__module__": layer.__module__}
        try:
            _COMBINED[key] = type(name, (form, layer), parts)
        except TypeError as error:  # a class that asks more of its subclasses
            value, allowed = Description(layer.__name__), "a class that can be derived from"
            refusal = Refusal(layer.__name__, "type", value, allowed, one_line(error))
            raise Refused(refusal) from error
    return _COMBINED[key]


def restore(layer: nn.Module) -> bool:
    """Give a layer the class back that it had; return whether it had another.

    >>> from convlin.layers.reclassed.convs_as_linear import Conv2dAsLinear
    >>> layer = nn.Conv2d(3, 5, 1)
    >>> layer.__class__ = Conv2dAsLinear
    >>> restore(layer), type(layer)
    (True, <class 'torch.nn.modules.conv.Conv2d'>)
    """
    cls = type(layer)
    if not issubclass(cls, Reclassed):
        return False
    layer.__class__ = vars(cls).get("_parts", (cls, cls.base_class))[1]
    return True


def _remade(form: type[Reclassed], layer: type[nn.Module]) -> nn.Module:
    cls = combined(form, layer)
    return cls.__new__(cls)


def parameters_of(layer: nn.Module, x: Any) -> tuple[Tensor, Tensor | None] | None:
    """Return weight and bias if a form can compute with them and `x`; None if it cannot.

    While torch.fx traces, `x` stands for a tensor, and the weight is looked at in its place.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        # sizes are tensors then, and what was decided by them is not traced
        return None
    if "_conv_forward" in vars(layer):  # set on this one layer: what its own forward goes through
        return None
    traced = isinstance(x, fx.Proxy)
    held: Any = layer._parameters.get if traced else partial(getattr, layer)
    weight, bias = held("weight"), held("bias")
    tensors = [t for t in (weight, bias) if t is not None] + ([] if traced else [x])
    if weight is None or not all(map(is_plain, tensors)):
        return None
    if not traced and not _go_together(tensors):
        return None
    return weight, bias


def _go_together(tensors: list[Tensor]) -> bool:
    """Whether tensors are of one dtype and device, or autocast makes the dtypes one."""
    first, *others = tensors
    if any(tensor.device != first.device for tensor in others):
        return False
    return all(t.dtype == first.dtype for t in others) or torch.is_autocast_enabled(
        first.device.type
    )
