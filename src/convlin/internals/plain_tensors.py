"""Which tensors are PyTorch's own and hold their numbers in strides.

A subclass may compute something else with the same call. What a tracer hands over in place of a
tensor is of a class of its own too, and stands for a plain one.

Private: `torch._subclasses.functional_tensor.FunctionalTensor`,
`torch._prims_common.suggest_memory_format` and
`torch.fx.experimental.symbolic_shapes.statically_known_true`. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

import torch
from torch import Tensor, compiler, nn
from torch._prims_common import suggest_memory_format
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

from convlin.internals.fakes import is_fake

__all__ = ["are_equal", "is_channels_last", "is_plain"]

PLAIN = (Tensor, nn.Parameter, nn.Buffer)
LAST = (torch.channels_last, torch.channels_last_3d)


def is_plain(tensor: object) -> bool:
    """Whether this is a plain tensor, or what a tracer has in place of one.

    >>> is_plain(nn.Parameter(torch.ones(2))), is_plain(torch.ones(2).to_sparse())
    (True, False)
    """
    if not isinstance(tensor, Tensor):
        return False
    traced = is_fake(tensor) or isinstance(tensor, FunctionalTensor)
    if type(tensor) not in PLAIN and not traced:
        return False
    return tensor.layout == torch.strided and not (tensor.is_nested or tensor.is_quantized)


def is_channels_last(tensor: Tensor) -> bool:
    """Whether PyTorch's kernels take the steps of a tensor's axes for channels_last.

    >>> x = torch.ones(2, 3, 4, 5)
    >>> is_channels_last(x), is_channels_last(x.to(memory_format=torch.channels_last))
    (False, True)
    """
    return tensor.ndim in (4, 5) and suggest_memory_format(tensor) in LAST


def are_equal(sizes: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Whether sizes are equal: for a tracer's, whether they are for every input.

    >>> are_equal((3, 4), (3, 4)), are_equal((3, 4), (3, 5))
    (True, False)
    """
    if compiler.is_compiling():
        return all(statically_known_true(a == b) for a, b in zip(sizes, others, strict=True))
    return tuple(sizes) == tuple(others)
