"""Code of others runs, and all is what it was afterwards: a module, states of random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["same_random_numbers", "unchanged"]


@contextmanager
def same_random_numbers(tensors: Iterable[Tensor] = ()) -> Iterator[None]:
    """Put back the states of Python's, NumPy's and PyTorch's generators, on the tensors' devices.

    >>> before = torch.get_rng_state()
    >>> with same_random_numbers():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    devices = {tensor.device.index for tensor in tensors if tensor.is_cuda}
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back what a run sets: attributes, buffers and what they hold, entries of containers.

    A step counter or a cached table would else be left as the run made it, and hold fake tensors.

    >>> norm = nn.BatchNorm1d(2)
    >>> with unchanged(norm):
    ...     _ = norm(torch.ones(5, 2))
    >>> norm.running_mean, norm.num_batches_tracked.item()
    (tensor([0., 0.]), 0)
    """
    modules = list(model.modules())
    attributes = [
        {name: (value, _contents(value)) for name, value in vars(module).items()}
        for module in modules
    ]
    values = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for module, before in zip(modules, attributes, strict=True):
            for name in vars(module).keys() - before.keys():
                del vars(module)[name]
            for name, (value, contents) in before.items():
                vars(module)[name] = value
                if contents is not None:
                    value.clear()
                    value.extend(contents) if isinstance(value, list) else value.update(contents)
        with torch.no_grad():
            for buffer, value in values:
                if not buffer.is_meta and not torch.equal(buffer, value):
                    buffer.copy_(value)


def _contents(value: Any) -> Any:
    """Return a copy of a container's entries; None for anything else."""
    return value.copy() if isinstance(value, list | dict | set) else None
