"""Tensors with shapes and no numbers: a model's own code runs, and nothing is computed.

Private: `torch._subclasses.FakeTensor`, `FakeTensorMode`, `unset_fake_temporarily`, two exceptions
and the name of its log. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    unset_fake_temporarily,
)

__all__ = ["NEEDS_NUMBERS", "fake_tensors", "is_fake", "real_tensors"]

NEEDS_NUMBERS = (DataDependentOutputException, DynamicOutputShapeException)
"""What an operation raises whose result, or its shape, follows from numbers."""
LOG = "torch._subclasses.fake_tensor"


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Make every new tensor a fake one, and take real ones for fakes of their shape.

    A failure is raised, and reported, by whoever runs something: PyTorch's own log of it is
    silenced meanwhile.

    >>> import torch
    >>> with fake_tensors():
    ...     (torch.zeros(2**40, 3) @ torch.zeros(3, 5)).shape
    torch.Size([1099511627776, 5])
    """
    logger = logging.getLogger(LOG)
    logger.addFilter(_drop)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        logger.removeFilter(_drop)


@contextmanager
def real_tensors() -> Iterator[None]:
    """Compute with real tensors inside of `fake_tensors`.

    >>> import torch
    >>> with fake_tensors(), real_tensors():
    ...     torch.ones(2).sum().item()
    2.0
    """
    with unset_fake_temporarily():
        yield


def is_fake(tensor: Tensor) -> bool:
    """Whether a tensor has a shape and no numbers."""
    return isinstance(tensor, FakeTensor)


def _drop(record: logging.LogRecord) -> bool:
    return False
