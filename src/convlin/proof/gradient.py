"""Which tensors a gradient reaches: a converted layer must learn from what the layer learned from.

Equal functions of weights and inputs have equal derivatives, unless a step hides a dependence
from autograd (`detach`, `.data`). So it is enough to look at what the graph of the outputs leads
back to; no gradient is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convlin.internals.trees import tree_leaves
from convlin.proof.verdict import Counterexample

__all__ = ["cut"]


def cut(layer: nn.Module, converted: nn.Module, x: Tensor) -> Counterexample | None:
    """Return where the gradient ends in `converted`, if it reaches all of `layer`'s weights."""
    mine, theirs = _reached(layer, x), _reached(converted, x)
    if "its input" in mine and "its input" not in theirs:
        return Counterexample("contract", "reached", "cut off", field="its input's gradient")
    if all(name in mine for name, weight in layer.named_parameters() if weight.requires_grad):
        for name, weight in converted.named_parameters():
            if weight.requires_grad and name not in theirs:
                return Counterexample("contract", "reached", "cut off", field=f"{name}'s gradient")
    return None


def _reached(program: Callable[[Tensor], Any], x: Tensor) -> set[str]:
    """Return the names of the parameters, and of the input, that the outputs' graph leads to."""
    floats = [p for p in getattr(program, "parameters", list)() if p.is_floating_point()]
    like = floats[0] if floats else x
    handed = x.detach().to(like.device, like.dtype, copy=True).requires_grad_()
    names = {id(handed): "its input"}
    if isinstance(program, nn.Module):
        names |= {id(weight): name for name, weight in program.named_parameters()}
    try:
        with torch.enable_grad():  # on a copy, since it may work in place on its input
            outputs = tree_leaves(program(handed.clone()))
    except Exception:  # not served with gradients at all
        return set()
    # backwards, each step once: steps are shared, so the paths may be exponentially many
    steps = [y.grad_fn for y in outputs if isinstance(y, Tensor) and y.grad_fn is not None]
    seen, reached = set(steps), set()
    while steps:
        step = steps.pop()
        leaf = getattr(step, "variable", None)  # of AccumulateGrad, where a graph ends
        if id(leaf) in names:
            reached.add(names[id(leaf)])
        later = {after for after, _ in step.next_functions if after is not None} - seen
        seen |= later
        steps += later
    return reached
