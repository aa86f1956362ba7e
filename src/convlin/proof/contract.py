"""What a converted layer must keep, apart from its values.

A conversion leaves the layer it was given alone, and returns a module that takes its place: in
the same training mode, with parameters of the same dtype, on the same device, that learn if and
only if the layer's did (of what several layers were merged into, nobody can say), and that share
the layer's storage or do not, as was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from convlin.internals.storages import storage_id
from convlin.proof.twins import named_tensors
from convlin.proof.verdict import Counterexample

__all__ = ["aliasing", "broken", "modified"]


def broken(layer: nn.Module, converted: Any, copies: bool | None) -> Counterexample | None:
    """Return the first field of the contract that `converted` breaks, None if it keeps all."""
    return next(iter(_broken(layer, converted, copies)), None)


def _broken(layer: nn.Module, converted: Any, copies: bool | None) -> Iterable[Counterexample]:
    def field(name: str, expected: object, got: object) -> Counterexample:
        return Counterexample("contract", expected, got, field=name)

    if not isinstance(converted, nn.Module):
        yield field("the result's type", "nn.Module", type(converted).__name__)
        return
    for name, child in converted.named_modules():
        if child.training != layer.training:
            site = f"{name}.training" if name else "training"
            yield field(site, layer.training, child.training)
    theirs = dict(layer.named_parameters())
    mine = dict(converted.named_parameters())
    if theirs and not mine:
        yield field("its parameters", ", ".join(theirs), "none")
    several = sum(any(True for _ in m.parameters(recurse=False)) for m in layer.modules()) > 1
    for name, tensor in mine.items():
        models = [p for p in theirs.values() if _shares(p, tensor)]
        models = models or [p for p in theirs.values() if p.numel() == tensor.numel()]
        models = models or list(theirs.values())
        # What several layers were merged into is no parameter of one of them, that learned or not.
        merged = several and name not in theirs and not any(_shares(p, tensor) for p in models)
        for attribute in ("dtype", "device", "requires_grad")[: 2 if merged else 3]:
            allowed = {getattr(p, attribute) for p in models}
            value = getattr(tensor, attribute)
            if models and value not in allowed:
                expected = " or ".join(map(str, allowed))
                yield field(f"{name}.{attribute}", expected, value)
    for name, tensor in mine.items():
        shares = any(_shares(p, tensor) for p in theirs.values())
        if copies is not None and shares is copies:
            words = ("its own storage", "the layer's storage")
            yield field(f"{name}'s storage", words[not copies], words[copies])


def aliasing(layer: nn.Module, converted: nn.Module) -> str:
    """Return whether the converted parameters share the layer's storage, in words."""
    shared = [
        any(_shares(mine, theirs) for theirs in layer.parameters())
        for mine in converted.parameters()
    ]
    if not shared:
        return "no parameters"
    return "weights shared" if all(shared) else "some weights shared" if any(shared) else "copied"


def modified(before: nn.Module, after: nn.Module) -> Counterexample | None:
    """Return what the conversion changed of the layer it was given."""
    old, new = named_tensors(before), named_tensors(after)
    for name in {**old, **new}:
        mine, theirs = old.get(name), new.get(name)
        if mine is None or theirs is None:
            had, has = ("none" if tensor is None else "a tensor" for tensor in (mine, theirs))
            return Counterexample("contract", had, has, field=f"the layer's {name}")
        for attribute in ("shape", "dtype", "device", "requires_grad"):
            values = getattr(mine, attribute), getattr(theirs, attribute)
            if values[0] != values[1]:
                return Counterexample("contract", *values, field=f"the layer's {name}.{attribute}")
        if not _same_bits(mine, theirs):
            return Counterexample("contract", "left alone", "changed", field=f"the layer's {name}")
    if before.training != after.training:
        modes = before.training, after.training
        return Counterexample("contract", *modes, field="the layer's training")
    return None


def _shares(one: Tensor, other: Tensor) -> bool:
    return storage_id(one) == storage_id(other)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN equal to itself."""
    same: bool = torch.equal(one, other)
    if same or not one.is_floating_point():
        return same
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
