"""One observer: what the modules of a model take and give while it runs, with values or without.

::

    with watched(model, note) as running:
        model(sample(model, (1, 3, 224, 224)))

| | |
|---|---|
| `watched` | every call of every module, reported as it begins and as it returns |
| `sample` | a batch as the model takes it: in its dtype, on its device |

Nothing else in this room hooks a module. Runs on tensors without values, where the operations
between the layers are seen too, are all made in `graph/traced.py`: `trace` gives the graph that a
network is written from, `record` the one that costs are counted in. Of a network that is written
already, `bands/network_steps.py` asks shapes alone. Layers that part are found on numbers
(`dense/parting.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused, first_line
from convlin.internals.trees import tree_leaves
from convlin.models.containers import opened

__all__ = ["LayerCall", "sample", "tensors_in", "watched"]


@dataclass(frozen=True)
class LayerCall:
    """A call of the module at `site`: the tensors it took, and those it gave; None: not yet."""

    site: str
    layer: nn.Module
    inputs: list[Tensor]
    outputs: list[Tensor] | None = None


@contextmanager
def watched(model: nn.Module, note: Callable[[LayerCall], None]) -> Iterator[list[LayerCall]]:
    """Let `note` see every call of a module of the model, when it begins and when it returns.

    Yields the calls that have begun and not returned, outermost first: where a run fails, the last
    one names the module that failed. Raises `Refused` for TorchScript.

    >>> model = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    >>> with watched(model, lambda call: print(call.site or "all", call.outputs is not None)):
    ...     _ = model(torch.ones(2, 3))
    all False
    0 False
    0 True
    1 False
    1 True
    all True
    """
    running: list[LayerCall] = []

    def begin(site: str, layer: nn.Module, args: Any, named: Any) -> None:
        running.append(LayerCall(site, layer, tensors_in((args, named))))
        note(running[-1])

    def end(layer: nn.Module, args: Any, named: Any, output: Any) -> None:
        while (call := running.pop()).layer is not layer:
            pass  # it failed, and the model went on
        note(replace(call, outputs=tensors_in(output)))

    handles: list[Any] = []
    try:
        for site, layer in model.named_modules():
            handles += _hooked(site, layer, partial(begin, site), end)
        yield running
    finally:
        for handle in handles:
            handle.remove()


def _hooked(site: str, layer: nn.Module, begin: Any, end: Any) -> Iterator[Any]:
    """Yield the handles of two hooks, of which TorchScript takes none."""
    try:
        yield layer.register_forward_pre_hook(begin, with_kwargs=True)
        yield layer.register_forward_hook(end, with_kwargs=True)
    except RuntimeError as error:
        kind, reason = type(layer).__name__, first_line(error)
        refusal = Refusal(site or kind, "type", Description(kind), "Python code", reason)
        raise Refused(refusal) from error


def sample(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return zeros of this shape, in the first floating-point dtype that the model holds."""
    tensors = chain(model.parameters(), model.buffers())
    like = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    return torch.zeros(shape, dtype=like.dtype, device=like.device)


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested containers, data classes among them, in order."""
    return [leaf for leaf in tree_leaves(opened(value)[0]) if isinstance(leaf, Tensor)]
