"""What a form and the layer that it stands for have in common: attributes, weights, checkpoints.

Code around a layer reads it: its parent asks for `proj.weight.dtype`, an initialiser fills
`.weight`, a checkpoint has its keys. So a form answers as the layer did, though its inner layer
holds the weight laid out otherwise:

    parameters, for optimizers, quantizers and adapters   the inner layer's, by its names
    .weight, .bias, .in_channels, .kernel_size, …         the layer's
    state_dict()                                          the layer's, if the inner layer is plain
    load_state_dict()                                     both
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, compiler, fx, nn

from convlin.arguments import shown
from convlin.errors import Refusal, Refused
from convlin.exchange import Exchange
from convlin.internals.parameter_views import as_parameter, with_notes
from convlin.internals.plain_tensors import is_plain
from convlin.internals.storages import storage_id
from convlin.layers.stock_layer import CONVOLUTIONS

__all__ = ["StandsFor"]

PLAIN = (nn.Linear, *CONVOLUTIONS.values())
GEOMETRY = frozenset({
    "dilation", "groups", "in_channels", "in_features", "kernel_size", "out_channels",
    "out_features", "output_padding", "padding", "padding_mode", "stride", "transposed",
})  # fmt: skip
MACHINERY = frozenset(vars(nn.Module()))  # what every module has: parameters, hooks, its mode


class StandsFor(nn.Module):
    """A module that stands for a layer, whose weight an inner layer holds laid out otherwise.

    A form sets `exchange`, makes its parameters, and calls `stand_for(layer)` once. Its class says
    which of the exchange's two weights is the layer's (`side`: "kernel" where the layer is a
    convolution, "weight" where it is a Linear), and what the form calls the parameters that hold
    the layer's weight and bias (`held`).

    Where no view of the inner weight is the layer's (not `exchange.views`), `.weight` is the inner
    weight, and `state_dict()` has the inner keys; what is set or loaded may be the layer's still.

    `.weight` is a new view at each access, and no leaf: gradients flow to the parameter behind it,
    and setting its `.data`, its `.requires_grad` or an attribute of it changes nothing.
    """

    side: ClassVar[Literal["kernel", "weight"]]
    held: ClassVar[Mapping[str, str]] = {"weight": "linear.weight", "bias": "linear.bias"}

    exchange: Exchange

    def stand_for(self, layer: nn.Module) -> Self:
        """Take over the layer's attributes, those that its user set among them; return itself."""
        self.layer_shapes = {name: _shape(getattr(layer, name)) for name in self.held}
        self.inner_shapes = {name: _shape(self._inner(name)) for name in self.held}
        for name, value in vars(layer).items():
            if name not in MACHINERY and not hasattr(self, name):
                vars(self)[name] = value
        self.register_load_state_dict_pre_hook(_translate)  # type: ignore[no-untyped-call]
        return self

    @property
    def weight(self) -> Tensor:
        """The layer's weight, a view of the inner one; the inner one itself if none is."""
        return _seen(self._inner("weight"), self.exchange, self.side, self.inner_shapes["weight"])

    @property
    def bias(self) -> Tensor | None:
        """The inner layer's bias: the layer's, but for forms that repeat it."""
        bias: Tensor | None = self._inner("bias")
        return bias

    def __setattr__(self, name: str, value: Any) -> None:
        if name in GEOMETRY and vars(self).get(name, value) != value:
            fits = f"{vars(self)[name]}, for which this was made; set it on the layer"
            raise Refused(Refusal(type(self).__name__, name, shown(value), fits))
        if name in self.held:
            _, module, attribute = self._home(name)
            if (module, attribute) != (self, name):
                setattr(module, attribute, self._as_inner_parameter(name, value))
                return
        super().__setattr__(name, value)

    def state_dict(self, *args: Any, **options: Any) -> Any:
        """Return the state, under the layer's keys and in its shapes if the inner layer is plain.

        Another inner layer (quantized, adapted, parametrized, sharded) has keys of its own.
        """
        state = super().state_dict(*args, **options)
        prefix = options.get("prefix", args[1] if len(args) > 1 else "")
        if not self._is_plain():
            return state
        own = {name: state.pop(prefix + held, None) for name, held in self.held.items()}
        own["weight"] = getattr(self.exchange, self.side)(weight := own["weight"])
        if isinstance(weight, nn.Parameter):  # keep_vars
            as_parameter(own["weight"], weight)
        state.update({prefix + name: value for name, value in own.items() if value is not None})
        inner, _, _ = self.held["weight"].rpartition(".")
        if inner:  # a part that the layer does not have
            getattr(state, "_metadata", {}).pop(prefix + inner, None)
        return state

    def translate(self, state_dict: dict[str, Any], prefix: str, errors: list[str]) -> None:
        """Give what a state dict has under the layer's keys the inner keys and shapes."""
        for name in self.held:
            path, module, attribute = self._home(name)
            key, inner_key = prefix + name, prefix + path + attribute
            inner = module._parameters.get(attribute)
            if key not in state_dict or inner_key in state_dict or inner is None:
                continue  # nothing to translate, or nn.Module's to report
            value = state_dict.pop(key)
            inside = self._inside(name, value.detach()) if isinstance(value, Tensor) else None
            if inside is None:
                shape = tuple(getattr(value, "shape", ())) or type(value).__name__
                errors.append(
                    f"size mismatch for {key}: copying a param with shape {shape} from checkpoint, "
                    f"the shape in current model is {self.layer_shapes[name]}."
                )
            # What does not fit leaves the parameter as it is, and one error is enough.
            state_dict[inner_key] = inner if inside is None else inside

    def _home(self, name: str) -> tuple[str, nn.Module, str]:
        """Return which module holds this now, after which prefix, and what it calls it.

        An adapter (as of LoRA) put in place of a layer keeps it as its `base_layer`.
        """
        path, _, attribute = self.held[name].rpartition(".")
        if not path:
            return "", self, attribute
        module, path = getattr(self, path), f"{path}."
        while isinstance(base := getattr(module, "base_layer", None), nn.Module):
            module, path = base, f"{path}base_layer."
        return path, module, attribute

    def _inner(self, name: str) -> Any:
        """Return the tensor that the inner layer computes with, of whatever kind it is by now."""
        _, module, attribute = self._home(name)
        if module is self or attribute in module._parameters:
            return nn.Module.__getattr__(module, attribute)  # not this class's property of the name
        value = getattr(module, attribute, None)
        if callable(value) and not isinstance(value, Tensor):  # as quantized layers have it
            value = value()
        if name == "weight" and not isinstance(value, Tensor):
            value = next(chain(module.parameters(), module.buffers()), None)  # has a dtype at least
        return value

    def _inside(self, name: str, value: Tensor) -> Tensor | None:
        """Return the layer's weight or bias as the inner layer holds it; None if it is neither's.

        The inner shape is taken too where the form shows it.
        """
        if value.shape == self.layer_shapes[name]:
            other = "weight" if self.side == "kernel" else "kernel"
            inside: Tensor = getattr(self.exchange, other if name == "weight" else name)(value)
            return inside
        if self.layer_shapes[name] is None:  # a bias that the layer did not have
            return value
        shown = not self.exchange.views and value.shape == self.inner_shapes[name]
        return value if shown else None

    def _as_inner_parameter(self, name: str, value: Any) -> Any:
        """Return the parameter to be set on the inner layer; what is none is for it to refuse."""
        inner = self._inner(name)
        if not isinstance(value, nn.Parameter):
            if not isinstance(value, Tensor) or value.requires_grad or inner is None:
                return value
            # Loaders that do not see the parameter itself set a tensor and do not say it is one.
            value = nn.Parameter(value, inner.requires_grad)
        with torch.no_grad():
            inside = self._inside(name, value)
        if inside is None:
            shape, due = tuple(value.shape), str(self.layer_shapes[name])
            raise Refused(Refusal(type(self).__name__, f"{name}.shape", shape, due))
        if inside is value:  # so that ties stay ties
            return value
        if is_plain(inner) and _share_memory(inside, inner) and _lies(inside) == _lies(inner):
            # A model that ties its weights anew: an optimizer goes on stepping this parameter.
            return with_notes(inner.requires_grad_(value.requires_grad), value)
        return with_notes(nn.Parameter(inside.detach(), value.requires_grad), value)

    def _is_plain(self) -> bool:
        """Return whether the inner layer is PyTorch's own, with plain parameters of this size."""
        if not self.exchange.views:
            return False
        for name, held in self.held.items():
            path, module, attribute = self._home(name)
            inner = module._parameters.get(attribute)
            if type(module) not in (*PLAIN, type(self)) or path + attribute != held:
                return False
            if not (inner is None or is_plain(inner)):
                return False
            if name == "weight" and _shape(inner) != self.inner_shapes[name]:
                return False
        return True


def _translate(
    form: StandsFor, state_dict: dict[str, Any], prefix: str, _metadata: Any, _strict: bool,
    _missing: list[str], _unexpected: list[str], errors: list[str],
) -> None:  # fmt: skip
    form.translate(state_dict, prefix, errors)


@fx.wrap
def _seen(weight: Tensor, exchange: Any, side: str, shape: tuple[int, ...] | None) -> Tensor:
    """Return the layer's weight as a view of an inner weight of this shape, else that itself."""
    if not exchange.views or not is_plain(weight) or weight.shape != shape:
        return weight
    view: Tensor = getattr(exchange, side)(weight)
    if compiler.is_compiling():
        return view
    return as_parameter(view, weight) if _share_memory(view, weight) else weight


def _share_memory(one: Tensor, other: Tensor) -> bool:
    try:
        return storage_id(one) == storage_id(other)
    except (NotImplementedError, RuntimeError):  # a tensor inside of torch.func's transforms
        return True


def _lies(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset()


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
