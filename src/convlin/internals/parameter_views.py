"""What is a parameter to PyTorch, and what others noted on one.

Private: `Tensor._is_param`, by which `nn.Parameter` knows instances that are of another class.
Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

__all__ = ["as_parameter", "with_notes"]

Some = TypeVar("Some", bound=Tensor)


def with_notes(tensor: Some, parameter: Tensor) -> Some:
    """Return the tensor with the attributes that were set on a parameter, as loaders set them."""
    notes = {name: value for name, value in vars(parameter).items() if name != "_is_param"}
    vars(tensor).update(notes)
    return tensor


def as_parameter(view: Tensor, parameter: Tensor) -> Tensor:
    """Return a parameter's view, with its notes, such that `nn.Parameter` knows it as one.

    `nn.Module.get_parameter` returns it; it is no leaf, and an optimizer refuses it.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.ones(6))
    >>> view = as_parameter(weight.view(2, 3), weight)
    >>> isinstance(view, torch.nn.Parameter), view.is_leaf
    (True, False)
    """
    vars(view)["_is_param"] = True
    return with_notes(view, parameter)
