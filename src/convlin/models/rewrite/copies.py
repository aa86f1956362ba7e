"""A model with modules of its own, that shares the tensors of another, or has its own of these."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.proof.twins import named_tensors

__all__ = ["copied"]

PARTS = frozenset({"_modules", "_parameters", "_buffers"})


def copied(model: nn.Module, *, sharing: bool) -> nn.Module:
    """Return a deep copy of a model; `sharing`: but for its tensors, which are the same objects.

    Raises `Refused`, naming the attribute, for what cannot be copied: a lock, a generator, modules
    that are sharded.

    >>> model = nn.Sequential(nn.Linear(3, 5))
    >>> twin = copied(model, sharing=True)
    >>> twin is model, twin[0] is model[0], twin[0].weight is model[0].weight
    (False, False, True)
    """
    shared: dict[int, Any] = {}
    if sharing:
        shared = {id(tensor): tensor for tensor in named_tensors(model).values()}
    try:
        return copy.deepcopy(model, dict(shared))
    except Exception as error:
        raise Refused(_culprit(model, shared, error)) from error


def _culprit(model: nn.Module, shared: dict[int, Any], error: Exception) -> Refusal:
    """Return which attribute of which module cannot be copied."""
    allowed, cls = "what can be copied, or in_place=True", type(model).__name__
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute not in PARTS:
                reason = _why_not(value, shared)
                if reason:
                    kind = Description(f"a {type(value).__name__}")
                    return Refusal(name or cls, attribute, kind, allowed, reason)
        for key, tensor in {**module._parameters, **module._buffers}.items():
            if reason := _why_not(tensor, shared):
                kind = Description(f"a {type(tensor).__name__}")
                return Refusal(name or cls, key, kind, allowed, reason)
    return Refusal(cls, "type", Description(cls), allowed, one_line(error))


def _why_not(value: Any, shared: dict[int, Any]) -> str:
    if isinstance(value, nn.Module):
        return ""
    try:
        copy.deepcopy(value, dict(shared))
    except Exception as error:
        return one_line(error)
    return ""
