"""A model whose tensors have no numbers, to be run in any dtype without a copy of its weights.

The twin is its tree of modules made anew. Around parameters that share the model's storage, what is
built of it can be trained, moved or cast without touching the model's modules; around tensors
without numbers, it can be run again and again, and what its code leaves behind goes with it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.internals.fakes import real_tensors

__all__ = ["fake_twin", "named_tensors", "names_of", "twin"]


def twin(model: nn.Module) -> nn.Module:
    """Return the model with new modules, and new parameters on the same storage; ties stay ties."""
    return _made_anew(model, _alias)


def fake_twin(model: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """Return the model around tensors without numbers; as in `model.to(dtype)`, if that is given.

    For use in `fake_tensors`, and nowhere else.
    """
    moved = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}

    def fake(tensor: Tensor) -> Tensor:
        cast = dtype is not None and id(tensor) in moved and tensor.is_floating_point()
        empty = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=dtype if cast else tensor.dtype,
            device=tensor.device,
        )  # fmt: skip
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(empty, requires_grad=tensor.requires_grad)
        return empty

    return _made_anew(model, fake)


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that modules hold as parameters, buffers and attributes, by dotted names.

    A tensor of several names has all of them.
    """
    return {
        f"{path}.{name}" if path else name: tensor
        for path, module in model.named_modules()
        for name, tensor in _held(module)
    }


def names_of(model: nn.Module) -> set[str]:
    """Return the dotted names of all modules and tensors."""
    return {path for path, _ in model.named_modules()} | named_tensors(model).keys()


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, value in {**vars(module), **module._buffers, **module._parameters}.items():
        if isinstance(value, Tensor):
            yield name, value


def _alias(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=tensor.requires_grad)
    return tensor.detach()


def _made_anew(model: nn.Module, make: Callable[[Tensor], Tensor]) -> nn.Module:
    """Return the model's tree of modules around other tensors, one for each of its own."""
    made: dict[int, Any] = {}
    try:
        for module in model.modules():
            for _, tensor in _held(module):
                if id(tensor) not in made:
                    made[id(tensor)] = make(tensor)
            for value in vars(module).values():  # where hooks would be: a dozen, slow to copy
                if type(value) is OrderedDict and not value:
                    made[id(value)] = OrderedDict()
        with real_tensors():  # what lies in containers is copied as it is
            return copy.deepcopy(model, made)
    except Exception as error:  # whatever its attributes raise
        kind, reason = type(model).__name__, one_line(error)
        raise Refused(
            Refusal("model", "type", Description(kind), "a module that can be copied", reason)
        ) from error
