"""Which layers may be exchanged: those that compute what their class says, from plain parameters.

Everything that would make a layer compute something else, or that an exchange would silently
drop, is refused by name: hooks, parametrizations, weight_norm, subclasses with a forward of their
own, lazy and quantized layers, parameters that are no plain tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from convlin.errors import Refusal, Refused

__all__ = ["CONVOLUTIONS", "Conv", "require_plain"]

Conv: TypeAlias = nn.modules.conv._ConvNd

CONVOLUTIONS: dict[tuple[int, bool], type[Conv]] = {
    (1, False): nn.Conv1d,
    (2, False): nn.Conv2d,
    (3, False): nn.Conv3d,
    (1, True): nn.ConvTranspose1d,
    (2, True): nn.ConvTranspose2d,
    (3, True): nn.ConvTranspose3d,
}


def require_plain(layer: nn.Module, *bases: type[nn.Module]) -> None:
    """Raise `Refused`, listing everything that keeps `layer` from being just one of `bases`."""
    refusals = tuple(_oddities(layer, bases))
    if refusals:
        raise Refused(refusals)


def _oddities(layer: nn.Module, bases: tuple[type[nn.Module], ...]) -> Iterator[Refusal]:
    site = type(layer).__name__
    base = next((base for base in bases if isinstance(layer, base)), None)
    if base is None:
        names = ", ".join(map(_called, bases))
        where = f"from {type(layer).__module__}"
        yield Refusal(site, "type", site, names, where)
        return
    if isinstance(layer, LazyModuleMixin):
        yield Refusal(site, "type", site, _called(base), "run a lazy layer once first")
        return
    yield from _foreign_code(layer, base)
    yield from _hooks(layer)
    if is_parametrized(layer):
        names = ", ".join(layer.parametrizations)  # type: ignore[arg-type]
        yield Refusal(site, "parametrizations", names, "none",
                      "torch.nn.utils.parametrize.remove_parametrizations first")  # fmt: skip
        return
    yield from _odd_parameters(layer)


def _foreign_code(layer: nn.Module, base: type[nn.Module]) -> Iterator[Refusal]:
    """Yield a refusal for every method of the base that something else has replaced."""
    cls = type(layer)
    for method in ("forward", "_conv_forward", "__call__"):
        if method in vars(layer):
            yield Refusal(cls.__name__, method, "set on this one layer", f"{_called(base)}'s")
        elif getattr(cls, method, None) is not getattr(base, method, None):
            owner = next(c for c in cls.__mro__ if method in vars(c))
            yield Refusal(
                cls.__name__, method, f"{owner.__module__}.{owner.__qualname__}.{method}",
                f"{_called(base)}'s", f"an {_called(base)} with these parameters would do",
            )  # fmt: skip


def _hooks(layer: nn.Module) -> Iterator[Refusal]:
    """Yield a refusal for every kind of hook that the exchanged layer would lose.

    Hooks on loading and saving are no part of it: the keys of an exchanged layer are others, and
    a weight_norm that was removed leaves one behind.
    """
    for name, hooks in vars(layer).items():
        if name.endswith("_hooks") and "state_dict" not in name and hooks:
            called = ", ".join(_name(hook) for hook in hooks.values())
            yield Refusal(type(layer).__name__, name, called, "none",
                          "a hook may change what the layer computes")  # fmt: skip
    for name, parameter in layer._parameters.items():
        for kind in ("_backward_hooks", "_post_accumulate_grad_hooks"):
            if hooks := getattr(parameter, kind, None):
                called = ", ".join(_name(hook) for hook in hooks.values())
                yield Refusal(type(layer).__name__, f"{name}.{kind}", called, "none",
                              "the exchanged parameter would lose it")  # fmt: skip


def _called(base: type[nn.Module]) -> str:
    """Return a class as one writes it: PyTorch's with nn. before it."""
    return f"nn.{base.__name__}" if base.__module__.startswith("torch.") else base.__name__


def _name(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__)


def _odd_parameters(layer: nn.Module) -> Iterator[Refusal]:
    """Yield a refusal for a weight or bias that is no plain `nn.Parameter`."""
    site = type(layer).__name__
    for name in ("weight", "bias"):
        if not hasattr(layer, name):
            continue
        value = layer._parameters.get(name)
        if name not in layer._parameters:
            reason = "torch.nn.utils.remove_weight_norm, remove_spectral_norm or prune.remove first"
            yield Refusal(site, name, "computed from other parameters", "an nn.Parameter", reason)
        elif value is None and name == "weight":
            yield Refusal(site, name, None, "an nn.Parameter")
        elif value is not None and (
            type(value) is not nn.Parameter or type(value.data) is not Tensor
        ):
            yield Refusal(
                site, name, f"a {type(value).__name__}", "an nn.Parameter of plain Tensor"
            )
